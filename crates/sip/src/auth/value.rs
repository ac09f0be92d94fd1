//! The shape that challenges and credentials share.

use std::borrow::Cow;

use crate::error::ValueError;
use crate::lex::{self, CommaList};

/// A value of WWW-Authenticate, Authorization, Authentication-Info or their proxy kin: a scheme and
/// a comma list of parameters, of whatever scheme it is.
///
/// ```
/// use linkspan_sip::AuthValue;
///
/// let text = r#"NTLM realm="SIP Communications Service",
///     targetname="fe.example.com", version=4"#;
/// let challenge = AuthValue::parse(text).unwrap();
/// assert!(challenge.is("ntlm"));
/// assert_eq!(challenge.param("targetname").unwrap(), "fe.example.com");
/// assert_eq!(challenge.param("version").unwrap(), "4");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuthValue<'a> {
    scheme: &'a str,
    params: &'a str,
}

impl<'a> AuthValue<'a> {
    /// Parses one value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where the scheme is no token, or a parameter of a known shape is malformed.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let text = lex::trim(text);
        let end = lex::find_not(text.as_bytes(), lex::TOKEN).unwrap_or(text.len());
        let (scheme, rest) = (text.get(..end).unwrap_or(""), text.get(end..).unwrap_or(""));
        let params = lex::trim(rest);
        if scheme.is_empty() || params.len() == rest.len() && !rest.is_empty() {
            return Err(ValueError::new(AUTH, "a scheme", end));
        }
        for param in CommaList::new(params) {
            // Some schemes have one token of base64 there; it has no parameters to check.
            if params.is_empty() {
                break;
            }
            param.map_err(|at| ValueError::new(AUTH, "a parameter", end + at))?;
        }
        Ok(Self { scheme, params })
    }

    /// The scheme, as written.
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Whether the scheme is that, without regard to case.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// What stands behind the scheme, as written.
    pub fn params(&self) -> &'a str {
        self.params
    }

    /// The value of a parameter, without quotes.
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        let params = CommaList::new(self.params).filter_map(Result::ok);
        let mut pairs = params.filter_map(|param| param.split_once('='));
        pairs
            .find(|(own, _)| lex::trim(own).eq_ignore_ascii_case(name))
            .map(|(_, value)| lex::unquote(lex::trim(value)))
    }
}

const AUTH: &str = "authentication";
