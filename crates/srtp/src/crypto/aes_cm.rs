use aes::cipher::{InnerIvInit as _, KeyInit as _, StreamCipher as _, StreamCipherCoreWrapper};
use aes::{Aes128, Aes192, Aes256};
use ctr::{CtrCore, flavors::Ctr128BE};

/// AES in counter mode with one key (RFC 3711 §4.1.1, RFC 6188 §2).
///
/// The key schedule is made once and used where it lies: copying and wiping it for each packet
/// would cost a tenth of a short packet's time.
#[allow(clippy::large_enum_variant, reason = "one per key, never moved around")]
pub(crate) enum AesCm {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

impl AesCm {
    /// With a key of 16, 24 or 32 octets.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128::new_from_slice(key).ok().map(Self::Aes128),
            24 => Aes192::new_from_slice(key).ok().map(Self::Aes192),
            32 => Aes256::new_from_slice(key).ok().map(Self::Aes256),
            _ => None,
        }
    }

    /// Adds the key stream that begins at counter block `iv`. The caller's data is shorter than
    /// the 2^16 blocks that one IV is good for: a datagram has at most 2^12.
    pub(crate) fn apply(&self, iv: u128, data: &mut [u8]) {
        let iv = iv.to_be_bytes().into();
        match self {
            Self::Aes128(aes) => {
                let core = CtrCore::<_, Ctr128BE>::inner_iv_init(aes, &iv);
                StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
            }
            Self::Aes192(aes) => {
                let core = CtrCore::<_, Ctr128BE>::inner_iv_init(aes, &iv);
                StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
            }
            Self::Aes256(aes) => {
                let core = CtrCore::<_, Ctr128BE>::inner_iv_init(aes, &iv);
                StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
            }
        }
    }
}
