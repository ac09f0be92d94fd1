use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};

use super::key_stream::{KeyStreams, Piece};
use crate::provider::{CounterMode, CryptoProvider};

/// AES in counter mode with one key (RFC 3711 §4.1.1, RFC 6188 §2).
///
/// The key schedule is made once and used where it lies: copying and wiping it for each packet
/// would cost a tenth of a short packet's time.
#[allow(clippy::large_enum_variant, reason = "one per key, never moved around")]
pub(crate) enum AesCm {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
    Provided(Box<dyn CounterMode>),
}

impl AesCm {
    /// With a key of 16, 24 or 32 octets.
    pub(crate) fn new(provider: &dyn CryptoProvider, key: &[u8]) -> Option<Self> {
        if let Some(provided) = provider.counter_mode(key) {
            return Some(Self::Provided(provided));
        }
        match key.len() {
            16 => Aes128Enc::new_from_slice(key).ok().map(Self::Aes128),
            24 => Aes192Enc::new_from_slice(key).ok().map(Self::Aes192),
            32 => Aes256Enc::new_from_slice(key).ok().map(Self::Aes256),
            _ => None,
        }
    }

    /// Adds the key stream that begins at counter block `iv`. The caller's data is shorter than
    /// the 2^16 blocks that one IV is good for: a datagram has at most 2^12.
    #[inline]
    pub(crate) fn apply(&self, iv: u128, data: &mut [u8]) {
        self.apply_all(&mut [(iv, data)]);
    }

    /// The same for several pieces of data at once.
    #[inline]
    pub(crate) fn apply_all(&self, pieces: &mut [Piece<'_>]) {
        match self {
            Self::Aes128(aes) => aes.encrypt_with_backend(KeyStreams(pieces)),
            Self::Aes192(aes) => aes.encrypt_with_backend(KeyStreams(pieces)),
            Self::Aes256(aes) => aes.encrypt_with_backend(KeyStreams(pieces)),
            Self::Provided(aes) => {
                pieces.iter_mut().for_each(|(iv, data)| aes.apply(iv.to_be_bytes(), data));
            }
        }
    }

    /// The same for data that lies `at` octets into the key stream.
    pub(crate) fn apply_at(&self, iv: u128, at: usize, data: &mut [u8]) {
        let (blocks, skipped) = (at / 16, at % 16);
        let iv = iv.wrapping_add(blocks as u128);
        // The first block's key stream belongs to somebody else up to here.
        let mut first = [0u8; 16];
        self.apply(iv, &mut first);
        let (head, rest) = data.split_at_mut((16 - skipped).min(data.len()));
        head.iter_mut().zip(first.iter().skip(skipped)).for_each(|(octet, key)| *octet ^= key);
        self.apply(iv.wrapping_add(1), rest);
    }
}
