use zeroize::{Zeroize as _, Zeroizing};

use super::{AesCm, Gcm, HmacSha1, Kdf, Label, Mac};
use crate::Suite;

/// Session keys of one master key, for RTP or for RTCP. Boxed at once: each move of a key leaves a
/// copy behind, and takes time.
pub(crate) struct SessionKeys {
    pub(crate) session: Session,
    /// Encryption of header extensions (RFC 6904), where that is on.
    pub(crate) header: Option<(AesCm, u128)>,
    salt: u128,
}

/// The algorithms of a suite with their keys.
#[allow(clippy::large_enum_variant, reason = "one per key, never moved around")]
pub(crate) enum Session {
    Cm { aes: AesCm, mac: Mac },
    Gcm(Gcm),
    Null { mac: Mac },
}

impl SessionKeys {
    /// Derives the keys for RTP.
    pub(crate) fn rtp(kdf: &Kdf<'_>, quotient: u64, header: bool) -> Option<Box<Self>> {
        let labels = [Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt];
        let mut keys = Self::derive(kdf, quotient, labels)?;
        if header {
            // RFC 6904 §3.1, RFC 7714 §8.3: AES-CM, also for the AEAD suites, whose salt is
            // padded with zeros as in libsrtp.
            let mut key = Zeroizing::new([0u8; 32]);
            let (key, _) = key.split_at_mut(kdf.master.suite().key_len());
            kdf.derive(Label::HeaderEncryption, quotient, key);
            let mut salt = Zeroizing::new([0u8; 14]);
            let (salt, _) = salt.split_at_mut(kdf.master.suite().salt_len());
            kdf.derive(Label::HeaderSalt, quotient, salt);
            keys.header = Some((AesCm::new(kdf.provider, key)?, left_aligned(salt)));
        }
        Some(keys)
    }

    /// Derives the keys for RTCP.
    pub(crate) fn rtcp(kdf: &Kdf<'_>, quotient: u64) -> Option<Box<Self>> {
        let labels = [Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt];
        Self::derive(kdf, quotient, labels)
    }

    /// The counter block of RFC 3711 §4.1.1.
    #[inline(always)]
    pub(crate) fn iv(&self, ssrc: u32, index: u64) -> u128 {
        self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16)
    }

    /// The nonce of RFC 7714 §8.1 and §9.1: 16 zero bits, SSRC, 48 bits of index, XOR salt. A
    /// number of 96 bits: it goes to the cipher in registers.
    #[inline(always)]
    pub(crate) fn nonce(&self, ssrc: u32, index: u64) -> u128 {
        Self::nonce_of(self.salt, ssrc, index)
    }

    #[inline(always)]
    pub(super) fn nonce_of(salt: u128, ssrc: u32, index: u64) -> u128 {
        (salt >> 32) ^ (u128::from(ssrc) << 48) ^ u128::from(index)
    }

    fn derive(kdf: &Kdf<'_>, quotient: u64, labels: [Label; 3]) -> Option<Box<Self>> {
        let [encryption, authentication, salting] = labels;
        let (suite, provider) = (kdf.master.suite(), kdf.provider);
        let mut salt_octets = Zeroizing::new([0u8; 14]);
        let (salt, _) = salt_octets.split_at_mut(suite.salt_len());
        kdf.derive(salting, quotient, salt);
        let salt = left_aligned(salt);

        let mut key_octets = Zeroizing::new([0u8; 32]);
        let (key, _) = key_octets.split_at_mut(suite.key_len());
        kdf.derive(encryption, quotient, key);
        let session = if suite.is_aead() {
            Session::Gcm(Gcm::new(provider, key)?)
        } else {
            let mut mac_key = Zeroizing::new([0u8; 20]);
            kdf.derive(authentication, quotient, &mut *mac_key);
            let mac = match provider.hmac_sha1(&mac_key) {
                Some(provided) => Mac::Provided(provided),
                None => Mac::Own(HmacSha1::new(&mac_key)),
            };
            match suite {
                Suite::NullHmacSha1_80 => Session::Null { mac },
                _ => Session::Cm { aes: AesCm::new(provider, key)?, mac },
            }
        };
        Some(Box::new(Self { session, header: None, salt }))
    }
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

/// A salt at the high end of a block.
fn left_aligned(salt: &[u8]) -> u128 {
    let mut block = [0u8; 16];
    block.iter_mut().zip(salt).for_each(|(to, from)| *to = *from);
    u128::from_be_bytes(block)
}
