//! Long-term credentials with RFC 8489's additions: password algorithms and the nonce cookie.

use crate::IntegrityKey;

/// How a long-term key is made (RFC 8489 §18.5).
///
/// ```
/// use linkspan_stun::PasswordAlgorithm;
///
/// let offered = [0, 2, 0, 0, 0, 1, 0, 0];
/// let best = PasswordAlgorithm::list(&offered).find(|algorithm| algorithm.is_supported());
/// assert_eq!(best, Some(PasswordAlgorithm::Sha256));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PasswordAlgorithm {
    /// 0x0001, as in RFC 5389.
    Md5,
    /// 0x0002.
    Sha256,
    /// Any other.
    Other(u16),
}

impl PasswordAlgorithm {
    /// Reads PASSWORD-ALGORITHMS (RFC 8489 §14.11) or PASSWORD-ALGORITHM (§14.12); ends at what is
    /// cut off.
    pub fn list(value: &[u8]) -> impl Iterator<Item = Self> + use<'_> {
        let mut rest = value;
        std::iter::from_fn(move || {
            let (&[n0, n1, l0, l1], tail) = rest.split_first_chunk()?;
            let len = usize::from(u16::from_be_bytes([l0, l1])).next_multiple_of(4);
            rest = tail.get(len..)?;
            Some(Self::from_number(u16::from_be_bytes([n0, n1])))
        })
    }

    /// The value of PASSWORD-ALGORITHM (RFC 8489 §14.12): the number, and no parameters.
    #[must_use]
    pub const fn to_octets(self) -> [u8; 4] {
        let [n0, n1] = self.number().to_be_bytes();
        [n0, n1, 0, 0]
    }

    /// True when [`key`](Self::key) can make a key.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha256)
    }

    /// The key of RFC 8489 §9.2.2; `None` for an unknown algorithm.
    #[must_use]
    pub fn key(
        self,
        username: impl AsRef<[u8]>,
        realm: impl AsRef<[u8]>,
        password: impl AsRef<[u8]>,
    ) -> Option<IntegrityKey> {
        match self {
            Self::Md5 => Some(IntegrityKey::long_term_md5(username, realm, password)),
            Self::Sha256 => Some(IntegrityKey::long_term_sha256(username, realm, password)),
            Self::Other(_) => None,
        }
    }

    const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::Md5,
            2 => Self::Sha256,
            other => Self::Other(other),
        }
    }

    const fn number(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
            Self::Other(number) => number,
        }
    }
}

/// What a server says in its nonce about itself (RFC 8489 §9.2, §18.1), so that nobody on the way can
/// take it out.
///
/// ```
/// use linkspan_stun::NonceFeatures;
///
/// // The nonce of RFC 8489 §B.1.
/// let features = NonceFeatures { username_anonymity: true, ..NonceFeatures::default() };
/// let nonce = "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA";
/// assert_eq!(NonceFeatures::read(nonce.as_bytes()), Some(features));
/// assert_eq!(features.nonce("f//499k954d6OL34oL9FSTvy64sA"), nonce);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct NonceFeatures {
    /// Bit 0: the server sends PASSWORD-ALGORITHMS.
    pub password_algorithms: bool,
    /// Bit 1: the server takes USERHASH.
    pub username_anonymity: bool,
}

impl NonceFeatures {
    /// Reads the features at the start of a nonce; `None` where it has none.
    #[must_use]
    pub fn read(nonce: &[u8]) -> Option<Self> {
        let digits: &[u8; 4] = nonce.strip_prefix(NONCE_COOKIE)?.first_chunk()?;
        let mut bits = 0_u32;
        for digit in digits {
            bits = (bits << 6) | sextet(*digit)?;
        }
        // RFC 8489 §18.1: 24 bits, bit 0 is the least significant.
        Some(Self { password_algorithms: bits & 1 != 0, username_anonymity: bits & 2 != 0 })
    }

    /// A nonce that begins with the features and goes on with `unique`, text without quotation
    /// marks.
    #[must_use]
    pub fn nonce(self, unique: &str) -> String {
        let last = match (self.username_anonymity, self.password_algorithms) {
            (false, false) => 'A',
            (false, true) => 'B',
            (true, false) => 'C',
            (true, true) => 'D',
        };
        format!("obMatJos2AAA{last}{unique}")
    }
}

/// RFC 4648 §4.
fn sextet(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// RFC 8489 §9.2.
const NONCE_COOKIE: &[u8] = b"obMatJos2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_survive_their_nonce() {
        for bits in 0..4_u8 {
            let features = NonceFeatures {
                password_algorithms: bits & 1 == 1,
                username_anonymity: bits & 2 == 2,
            };
            assert_eq!(NonceFeatures::read(features.nonce("x").as_bytes()), Some(features));
        }
        assert_eq!(NonceFeatures::read(b"f//499k954d6OL34oL9FSTvy64sA"), None);
        assert_eq!(NonceFeatures::read(b"obMatJos2A"), None);
    }

    #[test]
    fn parameters_of_algorithms_are_skipped() {
        let value = [0, 9, 0, 3, 1, 2, 3, 0, 0, 1, 0, 0, 0, 2];
        let list: Vec<_> = PasswordAlgorithm::list(&value).collect();
        assert_eq!(list, [PasswordAlgorithm::Other(9), PasswordAlgorithm::Md5]);
    }
}
