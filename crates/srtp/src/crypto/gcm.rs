use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::provider::{Aead, CryptoProvider};

/// AES-GCM with one key (RFC 7714): ring's, or the provider's.
#[allow(clippy::large_enum_variant, reason = "one per key, never moved around")]
pub(crate) enum Gcm {
    Ring(LessSafeKey),
    Provided(Box<dyn Aead>),
}

impl Gcm {
    /// With a key of 16 or 32 octets.
    pub(crate) fn new(provider: &dyn CryptoProvider, key: &[u8]) -> Option<Self> {
        if let Some(provided) = provider.aead(key) {
            return Some(Self::Provided(provided));
        }
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        Some(Self::Ring(LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?)))
    }

    /// Encrypts `data` in place and writes the tag.
    #[inline(always)]
    pub(crate) fn seal(
        &self,
        nonce: u128,
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8; 16],
    ) -> Option<()> {
        match self {
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(octets(nonce));
                let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(aad), data).ok()?;
                *tag = *sealed.as_ref().first_chunk()?;
            }
            Self::Provided(key) => *tag = key.seal(octets(nonce), aad, data)?,
        }
        Some(())
    }

    /// Decrypts `data`, whose last 16 octets are the tag, in place. `None` when the tag is wrong;
    /// the data is worthless then.
    #[inline(always)]
    pub(crate) fn open(&self, nonce: u128, aad: &[u8], data: &mut [u8]) -> Option<()> {
        match self {
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(octets(nonce));
                key.open_in_place(nonce, Aad::from(aad), data).ok().map(|_| ())
            }
            Self::Provided(key) => key.open(octets(nonce), aad, data).then_some(()),
        }
    }
}

/// The low 96 bits.
#[inline(always)]
fn octets(nonce: u128) -> [u8; 12] {
    let [_, _, _, _, octets @ ..] = nonce.to_be_bytes();
    octets
}
