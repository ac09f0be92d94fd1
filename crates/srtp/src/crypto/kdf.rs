use super::AesCm;
use crate::MasterKey;
use crate::provider::CryptoProvider;

/// What a derived key is for (RFC 3711 §4.3.1, RFC 6904 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
    HeaderEncryption = 6,
    HeaderSalt = 7,
}

/// The key derivation function of one master key (RFC 3711 §4.3).
pub(crate) struct Kdf<'k> {
    pub(crate) provider: &'k dyn CryptoProvider,
    pub(crate) master: &'k MasterKey,
    aes: AesCm,
}

impl<'k> Kdf<'k> {
    pub(crate) fn new(provider: &'k dyn CryptoProvider, master: &'k MasterKey) -> Option<Self> {
        Some(Self { provider, master, aes: AesCm::new(provider, master.key())? })
    }

    /// Fills `out` with key material.
    ///
    /// `quotient` is the packet index divided by the key derivation rate, 0 where there is no rate.
    pub(crate) fn derive(&self, label: Label, quotient: u64, out: &mut [u8]) {
        // RFC 3711 §4.3.1: key_id = label || r; x = key_id XOR master_salt. RFC 7714 §11 pads the
        // 96-bit salt of the AEAD suites with zeros on the right.
        let mut x = [0u8; 16];
        x.iter_mut().zip(self.master.salt()).for_each(|(to, from)| *to = *from);
        let key_id = (u128::from(label as u8) << 48) | u128::from(quotient & 0xffff_ffff_ffff);
        // §4.3.3: the key stream of x * 2^16.
        out.fill(0);
        self.aes.apply(u128::from_be_bytes(x) ^ (key_id << 16), out);
    }
}
