//! `"Display" <uri>;params`: From, To, Contact, Route and their kin.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;

use crate::error::ValueError;
use crate::lex;
use crate::params::{Params, ParamsRef};
use crate::uri::{Uri, UriRef};

/// One address of a header, borrowed.
///
/// ```
/// use linkspan_sip::NameAddrRef;
///
/// let from = NameAddrRef::parse(r#""Alice"<sip:alice@example.com>;tag=c5a4;epid=d2ff665153"#).unwrap();
/// assert_eq!(from.display().unwrap(), "Alice");
/// assert_eq!(from.tag(), Some("c5a4"));
/// assert_eq!(from.epid(), Some("d2ff665153"));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NameAddrRef<'a> {
    display: &'a str,
    uri: UriRef<'a>,
    params: ParamsRef<'a>,
}

impl<'a> NameAddrRef<'a> {
    /// Parses one address, which must fill the text.
    ///
    /// # Errors
    ///
    /// [`ValueError`] with the offset of what does not belong.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let start = text.len() - lex::trim_start(text).len();
        let value = lex::trim(text);
        Self::parse_trimmed(value).map_err(|error| error.within(ADDRESS, start))
    }

    fn parse_trimmed(text: &'a str) -> Result<Self, ValueError> {
        let bytes = text.as_bytes();
        // The display name is either one quoted string or tokens, and "<" opens the URI.
        let open = if bytes.first() == Some(&b'"') {
            let end =
                lex::quoted_end(bytes, 0).ok_or(ValueError::new(ADDRESS, "a closing quote", 0))?;
            let gap = text.get(end..).unwrap_or("");
            let open = end + gap.len() - lex::trim_start(gap).len();
            if bytes.get(open) != Some(&b'<') {
                return Err(ValueError::new(ADDRESS, "<", open));
            }
            Some(open)
        } else {
            memchr::memchr(b'<', bytes)
        };
        match open {
            Some(open) => Self::parse_bracketed(text, open),
            None => Self::parse_bare(text),
        }
    }

    fn parse_bracketed(text: &'a str, open: usize) -> Result<Self, ValueError> {
        let display = lex::trim(text.get(..open).unwrap_or(""));
        if !display.starts_with('"')
            && let Some(bad) = display.bytes().position(|octet| !is_display(octet))
        {
            return Err(ValueError::new(ADDRESS, "a quoted display name", bad));
        }
        let inner = text.get(open + 1..).unwrap_or("");
        let close = memchr::memchr(b'>', inner.as_bytes())
            .ok_or_else(|| ValueError::new(ADDRESS, ">", text.len()))?;
        let uri = UriRef::parse(inner.get(..close).unwrap_or(""))
            .map_err(|error| error.within(ADDRESS, open + 1))?;
        let after = open + 1 + close + 1;
        let tail = text.get(after..).unwrap_or("");
        let params = lex::trim_start(tail);
        let params_at = after + tail.len() - params.len();
        Self::finish(display, uri, params, params_at)
    }

    /// RFC 3261 §20.10: without brackets everything behind the first ";" belongs to the header.
    fn parse_bare(text: &'a str) -> Result<Self, ValueError> {
        let end = memchr::memchr(b';', text.as_bytes()).unwrap_or(text.len());
        let address = lex::trim(text.get(..end).unwrap_or(""));
        if let Some(bad) = memchr::memchr2(b'?', b',', address.as_bytes()) {
            return Err(ValueError::new(ADDRESS, "brackets around the URI", bad));
        }
        let uri = UriRef::parse(address)?;
        Self::finish("", uri, text.get(end..).unwrap_or(""), end)
    }

    fn finish(
        display: &'a str,
        uri: UriRef<'a>,
        params: &'a str,
        at: usize,
    ) -> Result<Self, ValueError> {
        let params = ParamsRef::new(params);
        match params.fault() {
            Some(bad) => Err(ValueError::new(ADDRESS, "a parameter", at + bad)),
            None => Ok(Self { display, uri, params }),
        }
    }

    /// The display name without quotes and escapes; `None` where there is none.
    pub fn display(&self) -> Option<Cow<'a, str>> {
        if self.display.is_empty() { None } else { Some(lex::unquote(self.display)) }
    }

    /// The URI.
    pub fn uri(&self) -> UriRef<'a> {
        self.uri
    }

    /// The header parameters.
    pub fn params(&self) -> ParamsRef<'a> {
        self.params
    }

    /// The tag of From and To.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.value("tag")
    }

    /// Lync's endpoint id.
    pub fn epid(&self) -> Option<&'a str> {
        self.params.value("epid")
    }

    /// Lync's machine endpoint id, of conferencing devices.
    pub fn mepid(&self) -> Option<&'a str> {
        self.params.value("mepid")
    }

    /// An owned copy.
    pub fn to_name_addr(&self) -> NameAddr {
        NameAddr {
            display: self.display().map(Cow::into_owned),
            uri: self.uri.to_uri(),
            params: self.params.into(),
        }
    }
}

/// An address to build a header from.
///
/// ```
/// use linkspan_sip::NameAddr;
///
/// let room: NameAddr = r#""Room 7" <sip:room7@example.com>;epid=5A0B3C77E1"#.parse().unwrap();
/// assert_eq!(room.epid(), Some("5A0B3C77E1"));
/// assert_eq!(room.to_string(), r#""Room 7" <sip:room7@example.com>;epid=5A0B3C77E1"#);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameAddr {
    /// The display name, without quotes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// The header parameters.
    pub params: Params,
}

impl NameAddr {
    /// `<uri>`.
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::default() }
    }

    /// Parses one address.
    ///
    /// # Errors
    ///
    /// As [`NameAddrRef::parse`].
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        NameAddrRef::parse(text).map(|address| address.to_name_addr())
    }

    /// The same address with a display name.
    #[must_use]
    pub fn with_display(mut self, display: &str) -> Self {
        self.display = Some(display.to_owned());
        self
    }

    /// The same address with a header parameter.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: &str) -> Self {
        self.params.set(name, value);
        self
    }

    /// The tag of From and To.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }

    /// Sets the tag.
    pub fn set_tag(&mut self, tag: &str) {
        self.params.set("tag", tag);
    }

    /// Lync's endpoint id.
    pub fn epid(&self) -> Option<&str> {
        self.params.value("epid")
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}

impl FromStr for NameAddr {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", lex::quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// Octets of an unquoted display name: tokens with LWS between. Real senders put more there; what
/// would end the value is refused, RFC 4475 §3.1.2.15.
fn is_display(octet: u8) -> bool {
    lex::is(octet, lex::TOKEN) || lex::is_lws(octet) || octet >= 0x80
}

const ADDRESS: &str = "address";
