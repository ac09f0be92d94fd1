//! `a=fingerprint` (RFC 8122).

use core::fmt;

use crate::AttributeError;
use crate::mline::split_token;

/// A certificate fingerprint (RFC 8122 §5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint<'a> {
    /// Hash function, e.g. `sha-256`.
    pub hash: &'a str,
    /// Pairs of hexadecimal digits, separated by colons.
    pub value: &'a str,
}

impl<'a> Fingerprint<'a> {
    /// Parses the value of `a=fingerprint`.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 8122 §5.
    pub fn parse(text: &'a str) -> Result<Self, AttributeError> {
        let (hash, rest) = split_token(text);
        let value = rest.trim_end_matches(' ');
        let is_pair = |p: &str| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit());
        if hash.is_empty() || !value.split(':').all(is_pair) {
            let at = text.len() - rest.len();
            return Err(AttributeError::new("fingerprint", at, "pairs of hexadecimal digits"));
        }
        Ok(Self { hash, value })
    }

    /// The octets of the hash.
    pub fn octets(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.value.split(':').filter_map(|pair| u8::from_str_radix(pair, 16).ok())
    }

    /// Whether a certificate can be checked against it: a hash function that is known and not
    /// forbidden (RFC 8122 §5: MD2 and MD5 are), and a value of its length.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let length = HASH_OCTETS.iter().find(|(name, _)| name.eq_ignore_ascii_case(self.hash));
        length.is_some_and(|(_, length)| self.octets().count() == *length)
    }
}

/// Writes the value.
impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hash, self.value)
    }
}

/// RFC 8122 §5, with the lengths of FIPS 180.
const HASH_OCTETS: [(&str, usize); 5] =
    [("sha-1", 20), ("sha-224", 28), ("sha-256", 32), ("sha-384", 48), ("sha-512", 64)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_checked_is_told_from_what_cannot() {
        let usable = |hash: &str, octets: usize| {
            let text = format!("{hash} {}", vec!["A1"; octets].join(":"));
            let parsed = Fingerprint::parse(&text).unwrap();
            assert_eq!(parsed.to_string(), text);
            parsed.is_usable()
        };
        assert!(usable("sha-256", 32) && usable("SHA-1", 20));
        assert!(!usable("sha-256", 31) && !usable("md5", 16) && !usable("sha-3", 32));
        for bad in ["sha-1", "sha-1 A", "sha-1 A1:", "sha-1 A1 A1", ""] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad}");
        }
    }
}
