//! `a=fingerprint` (RFC 8122).

use crate::AttributeError;
use crate::mline::split_token;

/// A certificate fingerprint.
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
}
