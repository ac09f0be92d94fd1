//! `a=crypto` (RFC 4568) and `a=cryptoscale` (\[MS-SDPEXT\] 3.1.5.1).

use core::fmt;

use nom::{
    IResult, Parser,
    bytes::complete::{take_while, take_while1},
    character::complete::{char, digit1, space0, space1},
};

use crate::AttributeError;

/// A key line of RFC 4568 §4: which suite, and the key. What the key means belongs to SRTP.
///
/// ```
/// use linkspan_sdp::Crypto;
///
/// let crypto = Crypto::parse("2 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^31|1:1")?;
/// assert_eq!(crypto.tag, 2);
/// assert_eq!(crypto.mki(), Some((1, 1)));
/// assert!(!format!("{crypto:?}").contains("c2VjcmV0"));
/// # Ok::<(), linkspan_sdp::AttributeError>(())
/// ```
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Crypto {
    /// Tag, unique among the key lines of an `m=` line, `a=cryptoscale` ones included.
    pub tag: u32,
    /// Crypto suite, e.g. `AES_CM_128_HMAC_SHA1_80`.
    pub suite: String,
    /// `inline:` and what follows, up to the next blank.
    pub key_params: String,
    /// Session parameters, separated by blanks; mostly empty.
    pub session_params: String,
}

impl Crypto {
    /// A key line of one key: `inline:` is put before `key` when it is not there.
    #[must_use]
    pub fn new(tag: u32, suite: &str, key: &str) -> Self {
        let key_params =
            if key.starts_with("inline:") { key.into() } else { format!("inline:{key}") };
        Self { tag, suite: suite.into(), key_params, session_params: String::new() }
    }

    /// Parses the value of `a=crypto`.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 4568 §9.2.
    pub fn parse(value: &str) -> Result<Self, AttributeError> {
        Self::parse_with(value, "crypto", |input| Ok((input, ())))
    }

    /// Parses the value of `a=cryptoscale`: `tag client|server suite inline:…`.
    ///
    /// # Errors
    ///
    /// When it does not follow the grammar.
    pub fn parse_cryptoscale(value: &str) -> Result<Self, AttributeError> {
        Self::parse_with(value, "cryptoscale", |input: &str| {
            let (rest, (_, _)) =
                (take_while1(|c: char| c.is_ascii_alphabetic()), space1).parse(input)?;
            Ok((rest, ()))
        })
    }

    /// The base64 text of the first key, without `inline:`, lifetime and MKI.
    #[must_use]
    pub fn key(&self) -> &str {
        let inline = self.key_params.strip_prefix("inline:").unwrap_or(&self.key_params);
        inline.split(['|', ';']).next().unwrap_or_default()
    }

    /// The lifetime of the first key as written, e.g. `2^31`.
    #[must_use]
    pub fn lifetime(&self) -> Option<&str> {
        self.fields().find(|field| !field.contains(':'))
    }

    /// Value and length in octets of the MKI of the first key.
    #[must_use]
    pub fn mki(&self) -> Option<(u128, u8)> {
        let (value, length) = self.fields().find_map(|field| field.split_once(':'))?;
        Some((value.parse().ok()?, length.parse().ok()?))
    }

    /// Whether a parameter without which the key cannot be used is there (RFC 4568 §6.3.7: one
    /// that does not begin with `-`).
    #[must_use]
    pub fn has_mandatory_session_params(&self) -> bool {
        self.session_params.split(' ').any(|p| !p.is_empty() && !p.starts_with('-'))
    }

    /// The same key with another lifetime and MKI.
    pub(crate) fn with_key_fields(&self, fields: &str) -> String {
        format!("inline:{}{fields}", self.key())
    }

    /// `|lifetime|mki` of the first key, as written.
    pub(crate) fn key_fields(&self) -> &str {
        let first = self.key_params.split(';').next().unwrap_or_default();
        first.find('|').map_or("", |at| first.get(at..).unwrap_or_default())
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        self.key_fields().split('|').skip(1)
    }

    fn parse_with<'a>(
        value: &'a str,
        attribute: &'static str,
        role: impl Fn(&'a str) -> IResult<&'a str, ()>,
    ) -> Result<Self, AttributeError> {
        let at = |rest: &str| value.len() - rest.len();
        let step = |rest: &str, expected| AttributeError::new(attribute, at(rest), expected);

        let (rest, (_, tag)) = tag(value).map_err(|_| step(value, "a tag"))?;
        let (rest, ()) = role(rest).map_err(|_| step(rest, "client or server"))?;
        let (rest, (suite, _)) = suite(rest).map_err(|_| step(rest, "a crypto suite"))?;
        let (session, key_params) = key_params(rest).map_err(|_| step(rest, "inline:key"))?;
        if !key_params.contains(':') {
            return Err(step(rest, "inline:key"));
        }
        Ok(Self {
            tag,
            suite: suite.into(),
            key_params: key_params.into(),
            session_params: session.trim_matches(' ').into(),
        })
    }
}

impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.tag, self.suite, self.key_params)?;
        if self.session_params.is_empty() { Ok(()) } else { write!(f, " {}", self.session_params) }
    }
}

impl core::str::FromStr for Crypto {
    type Err = AttributeError;

    fn from_str(value: &str) -> Result<Self, AttributeError> {
        Self::parse(value)
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("tag", &self.tag)
            .field("suite", &self.suite)
            .field("session_params", &self.session_params)
            .finish_non_exhaustive()
    }
}

/// RFC 4568 §9.2: `tag = 1*9DIGIT`.
fn tag(input: &str) -> IResult<&str, (&str, u32)> {
    let (rest, (blank, digits, _)) = (space0, digit1, space1).parse(input)?;
    match digits.parse() {
        Ok(number) if digits.len() <= 9 => Ok((rest, (blank, number))),
        _ => Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Digit))),
    }
}

fn suite(input: &str) -> IResult<&str, (&str, &str)> {
    (take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-'), space1).parse(input)
}

fn key_params(input: &str) -> IResult<&str, &str> {
    let (rest, (value, _)) =
        (take_while1(|c: char| c != ' '), take_while(|c: char| c == ' ')).parse(input)?;
    // RFC 4568 §9.2: key-method ":" key-info.
    (take_while1(|c: char| c.is_ascii_alphanumeric()), char(':')).parse(value)?;
    Ok((rest, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_lines_of_a_lync_client() {
        let scale = Crypto::parse_cryptoscale(
            "1 client AES_CM_128_HMAC_SHA1_80 inline:wEyBsbryPjv57vX3nytJNK+H9VILablLDZguhbtV|2^31|1:1",
        )
        .unwrap();
        assert_eq!((scale.tag, scale.mki(), scale.lifetime()), (1, Some((1, 1)), Some("2^31")));
        let plain = Crypto::parse(
            "3 AES_CM_128_HMAC_SHA1_80 inline:APWwKz3GZvRb3qosyu3NK1FXQQ5N7krys09DCgc0|2^31",
        )
        .unwrap();
        assert_eq!(plain.key(), "APWwKz3GZvRb3qosyu3NK1FXQQ5N7krys09DCgc0");
        assert_eq!(plain.mki(), None);
    }

    #[test]
    fn round_trips_with_session_parameters() {
        let line = "1 F8_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 FEC_ORDER=FEC_SRTP";
        let crypto = Crypto::parse(line).unwrap();
        assert_eq!(crypto.to_string(), line);
        assert!(crypto.has_mandatory_session_params());
    }

    #[test]
    fn says_where_it_is_wrong() {
        let error = |value| Crypto::parse(value).map(|c| c.tag).unwrap_err();
        assert_eq!(error("x"), AttributeError::new("crypto", 0, "a tag"));
        assert_eq!(error("1 "), AttributeError::new("crypto", 2, "a crypto suite"));
        assert_eq!(error("1 AES noinline"), AttributeError::new("crypto", 6, "inline:key"));
        assert_eq!(error("12345678901 A inline:k"), AttributeError::new("crypto", 0, "a tag"));
    }
}
