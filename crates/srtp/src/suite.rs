use core::fmt;

/// A crypto suite: cipher, authentication and their sizes.
///
/// ```
/// use linkspan_srtp::Suite;
/// let suite = Suite::from_name("AES_CM_128_HMAC_SHA1_80").unwrap();
/// assert_eq!((suite.key_len(), suite.salt_len(), suite.rtp_tag_len()), (16, 14, 10));
/// assert_eq!(Suite::from_name("F8_128_HMAC_SHA1_80"), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Suite {
    /// AES-128 in counter mode, 80-bit tag (RFC 4568 §6.2.1). The only one Lync speaks.
    AesCm128HmacSha1_80,
    /// The same with a 32-bit tag for RTP; RTCP keeps 80 bits (RFC 4568 §6.2.2).
    AesCm128HmacSha1_32,
    /// AES-192 in counter mode, 80-bit tag (RFC 6188 §4).
    AesCm192HmacSha1_80,
    /// AES-192 in counter mode, 32-bit tag for RTP (RFC 6188 §4).
    AesCm192HmacSha1_32,
    /// AES-256 in counter mode, 80-bit tag (RFC 6188 §4).
    AesCm256HmacSha1_80,
    /// AES-256 in counter mode, 32-bit tag for RTP (RFC 6188 §4).
    AesCm256HmacSha1_32,
    /// AES-128 in Galois/counter mode, 128-bit tag (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode, 128-bit tag (RFC 7714).
    AeadAes256Gcm,
    /// No encryption, 80-bit tag. For tests: SDES has no name for it, and no line yields it.
    NullHmacSha1_80,
}

impl Suite {
    /// Every suite that has an SDES name, strongest last in each family.
    pub const ALL: [Self; 8] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm192HmacSha1_80,
        Self::AesCm192HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// The suite of this SDES name; names are case-sensitive (RFC 4568 §9.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// The SDES name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm192HmacSha1_80 => "AES_192_CM_HMAC_SHA1_80",
            Self::AesCm192HmacSha1_32 => "AES_192_CM_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::NullHmacSha1_80 => "NULL_HMAC_SHA1_80",
        }
    }

    /// Octets of the master key.
    #[must_use]
    pub fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80
            | Self::AesCm128HmacSha1_32
            | Self::AeadAes128Gcm
            | Self::NullHmacSha1_80 => 16,
            Self::AesCm192HmacSha1_80 | Self::AesCm192HmacSha1_32 => 24,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Octets of the master salt.
    #[must_use]
    pub fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Octets of the tag of an SRTP packet.
    #[must_use]
    pub fn rtp_tag_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_32 | Self::AesCm192HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            _ => 10,
        }
    }

    /// Octets of the tag of an SRTCP packet.
    #[must_use]
    pub fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// Whether one algorithm encrypts and authenticates (RFC 7714).
    #[must_use]
    pub fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
