/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The master key or salt has the wrong length for the suite.
    #[error("master key and salt take {expected} octets in this suite, not {found}")]
    Length {
        /// Octets that the suite takes, key and salt together.
        expected: usize,
        /// Octets given.
        found: usize,
    },
    /// A context needs at least one key.
    #[error("no master key")]
    NoKey,
    /// Several keys need MKIs of one length, all different, to be told apart (RFC 3711 §8.1.1).
    #[error("several master keys without distinct mkis of one length")]
    Mki,
    /// The key derivation rate is not 0 or a power of two up to 2^24 (RFC 3711 §4.3.1).
    #[error("bad key derivation rate")]
    KeyDerivationRate,
    /// The options contradict each other or the suite.
    #[error("{0} cannot be used here")]
    Option(&'static str),
}

/// Why a packet was not protected. Nothing has changed then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// The buffer has no room for what protection adds.
    #[error("the buffer needs {needed} octets")]
    NoRoom {
        /// Octets that the protected packet takes.
        needed: usize,
    },
    /// The packet is no RTP or RTCP packet.
    #[error("{what} at octet {at} is malformed")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the packet.
        at: usize,
    },
    /// This sequence number has been protected already, or lies too far back to know: the key
    /// stream must not be used twice (RFC 3711 §9.1).
    #[error("packet index used before")]
    IndexReused,
    /// The master key has protected as many packets as it may (RFC 3711 §9.2): 2^48 SRTP or 2^31
    /// SRTCP packets, or its lifetime where that is enforced.
    #[error("master key is used up")]
    KeyExhausted,
    /// More sources than [`Options::max_sources`](crate::Options::max_sources).
    #[error("too many sources")]
    TooManySources,
    /// The cryptographic library refused the packet.
    #[error("cipher failure")]
    Cipher,
}

/// Why a packet was not accepted. No state of the receiver has changed then; the packet's octets
/// are unspecified and have to be dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnprotectError {
    /// The packet is no SRTP or SRTCP packet, or too short for this suite.
    #[error("{what} at octet {at} is malformed")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the packet.
        at: usize,
    },
    /// The packet names a master key that is not known.
    #[error("unknown mki")]
    UnknownMki,
    /// The packet has been received before.
    #[error("replayed packet")]
    Replayed,
    /// The packet is older than the replay window reaches.
    #[error("packet is older than the replay window")]
    TooOld,
    /// The authentication tag is wrong: a forged or damaged packet, or another key.
    #[error("authentication failed")]
    Authentication,
    /// The packet is authentic but its E flag contradicts the options (RFC 3711 §3.4).
    #[error("unexpected encryption flag")]
    EncryptionFlag,
    /// More sources than [`Options::max_sources`](crate::Options::max_sources).
    #[error("too many sources")]
    TooManySources,
    /// The master key's lifetime is over and [`Options::enforce_lifetime`] is set.
    ///
    /// [`Options::enforce_lifetime`]: crate::Options::enforce_lifetime
    #[error("master key is used up")]
    KeyExhausted,
}

/// Why an SDES key was refused (RFC 4568).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SdesError {
    /// The key method is not `inline`.
    #[error("key method at octet {at} is not inline")]
    Method {
        /// Offset from the start of the text.
        at: usize,
    },
    /// The suite is not known or not accepted.
    #[error("unknown crypto suite at octet {at}")]
    Suite {
        /// Offset from the start of the text.
        at: usize,
    },
    /// Not base64.
    #[error("bad base64 at octet {at}")]
    Base64 {
        /// Offset from the start of the text.
        at: usize,
    },
    /// Key and salt have not the length of the suite.
    #[error("key and salt at octet {at} take {expected} octets in this suite, not {found}")]
    KeyLength {
        /// Offset from the start of the text.
        at: usize,
        /// Octets that the suite takes.
        expected: usize,
        /// Octets found.
        found: usize,
    },
    /// The lifetime is no number, zero, or beyond the suite's limit.
    #[error("bad lifetime at octet {at}")]
    Lifetime {
        /// Offset from the start of the text.
        at: usize,
    },
    /// The MKI does not fit the length given, or the length is not 1 to 128.
    #[error("bad mki at octet {at}")]
    Mki {
        /// Offset from the start of the text.
        at: usize,
    },
    /// A session parameter that is mandatory to understand is unknown, or its value bad.
    #[error("bad session parameter at octet {at}")]
    SessionParameter {
        /// Offset from the start of the text.
        at: usize,
    },
    /// A field is missing, repeated, or something follows the end.
    #[error("{what} expected at octet {at}")]
    Syntax {
        /// What was expected.
        what: &'static str,
        /// Offset from the start of the text.
        at: usize,
    },
}

impl SdesError {
    /// The same error, `by` octets further into the text.
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        match &mut self {
            Self::Method { at }
            | Self::Suite { at }
            | Self::Base64 { at }
            | Self::KeyLength { at, .. }
            | Self::Lifetime { at }
            | Self::Mki { at }
            | Self::SessionParameter { at }
            | Self::Syntax { at, .. } => *at = at.saturating_add(by),
        }
        self
    }
}
