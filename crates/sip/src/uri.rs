//! URIs: sip, sips, tel, and everything else as it stands.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

use crate::error::ValueError;
use crate::lex;
use crate::params::{Params, ParamsRef};
use crate::path::Path;

/// A URI taken apart, borrowed.
///
/// ```
/// use linkspan_sip::UriRef;
///
/// let gruu = "sip:alice@example.com;opaque=user:epid:JLcBefPLmVK_0AQYJ-UEiAAA;gruu";
/// let uri = UriRef::parse(gruu).unwrap();
/// assert_eq!(uri.user(), Some("alice"));
/// assert_eq!(uri.params().value("opaque"), Some("user:epid:JLcBefPLmVK_0AQYJ-UEiAAA"));
/// assert_eq!(uri.as_str(), gruu);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UriRef<'a> {
    text: &'a str,
    scheme: &'a str,
    user: Option<&'a str>,
    password: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
    params: ParamsRef<'a>,
    headers: Option<&'a str>,
}

impl<'a> UriRef<'a> {
    /// Takes a URI apart. Schemes other than sip, sips and tel are kept whole.
    ///
    /// # Errors
    ///
    /// [`ValueError`] with the offset of the first octet that does not belong.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let colon = match text.as_bytes() {
            [_, _, _, b':', ..] => 3,
            text => memchr::memchr(b':', text).ok_or(ValueError::new(URI, "a scheme", 0))?,
        };
        let (scheme, rest) = (text.get(..colon).unwrap_or(""), text.get(colon + 1..).unwrap_or(""));
        let sip = is_sip_scheme(scheme);
        if !sip && !is_scheme(scheme) {
            return Err(ValueError::new(URI, "a scheme", 0));
        }
        let mut uri = Self {
            text,
            scheme,
            user: None,
            password: None,
            host: "",
            port: None,
            params: ParamsRef::default(),
            headers: None,
        };
        let at = colon + 1;
        if sip {
            uri.parse_sip(rest, at)?;
        } else if scheme.eq_ignore_ascii_case("tel") {
            uri.parse_tel(rest, at)?;
        } else if let Some(bad) = rest.bytes().position(|octet| {
            // RFC 3986 §2: what no URI has, and what would end it in a header.
            octet <= b' ' || matches!(octet, b'"' | b'<' | b'>' | 0x7f)
        }) {
            return Err(ValueError::new(URI, "an octet of a URI", at + bad));
        } else if rest.is_empty() {
            return Err(ValueError::new(URI, "something behind the scheme", at));
        }
        Ok(uri)
    }

    fn parse_sip(&mut self, rest: &'a str, at: usize) -> Result<(), ValueError> {
        let bytes = rest.as_bytes();
        let mut host_at = 0;
        // "@" stands nowhere else unescaped, while ";" and "?" do stand in the user part.
        if let Some(sign) = memchr::memchr(b'@', bytes) {
            let info = rest.get(..sign).unwrap_or("");
            check(info, lex::USER, at, "an octet of the user part")?;
            let colon = info.bytes().position(|octet| octet == b':');
            let user = info.get(..colon.unwrap_or(info.len())).unwrap_or("");
            let password = colon.and_then(|colon| info.get(colon + 1..));
            if user.is_empty() {
                return Err(ValueError::new(URI, "a user before the @", at));
            }
            self.user = Some(user);
            self.password = password;
            host_at = sign + 1;
        }
        let tail = rest.get(host_at..).unwrap_or("");
        let host_len =
            host_length(tail).ok_or_else(|| ValueError::new(URI, "a host", at + host_at))?;
        self.host = tail.get(..host_len).unwrap_or("");
        let mut i = host_at + host_len;
        if bytes.get(i) == Some(&b':') {
            let digits = rest.get(i + 1..).unwrap_or("");
            let len = digits.bytes().position(|octet| !octet.is_ascii_digit());
            let len = len.unwrap_or(digits.len());
            let port = lex::number(digits.get(..len).unwrap_or(""));
            self.port = Some(port.ok_or_else(|| ValueError::new(URI, "a port", at + i + 1))?);
            i += 1 + len;
        }
        self.parse_tail(rest, i, at)
    }

    fn parse_tel(&mut self, rest: &'a str, at: usize) -> Result<(), ValueError> {
        let end = memchr::memchr(b';', rest.as_bytes()).unwrap_or(rest.len());
        let number = rest.get(..end).unwrap_or("");
        // RFC 3966 §3: digits, visual separators, and for local numbers hex digits, * and #.
        let sound = |octet: u8| octet.is_ascii_hexdigit() || b"+-.()*#%".contains(&octet);
        match number.bytes().position(|octet| !sound(octet)) {
            Some(bad) => return Err(ValueError::new(URI, "a phone digit", at + bad)),
            None if number.is_empty() => return Err(ValueError::new(URI, "a number", at)),
            None => self.user = Some(number),
        }
        self.parse_tail(rest, end, at)
    }

    /// `;params?headers` from `i` on.
    fn parse_tail(&mut self, rest: &'a str, i: usize, at: usize) -> Result<(), ValueError> {
        let tail = rest.get(i..).unwrap_or("");
        if tail.is_empty() {
            return Ok(());
        }
        let mark = memchr::memchr(b'?', tail.as_bytes());
        let params = tail.get(..mark.unwrap_or(tail.len())).unwrap_or("");
        if !params.is_empty() && !params.starts_with(';') {
            return Err(ValueError::new(URI, "a parameter", at + i));
        }
        check(tail, lex::PARAM, at + i, "an octet of a parameter")?;
        self.params = ParamsRef::new(params);
        self.headers = mark.and_then(|mark| tail.get(mark + 1..));
        Ok(())
    }

    /// The whole, as received.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The scheme, as written.
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Whether the scheme is sip or sips.
    pub fn is_sip(&self) -> bool {
        !self.host.is_empty()
    }

    /// Whether the scheme is sips.
    pub fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// Whether the scheme is tel.
    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("tel")
    }

    /// The user part as written, escapes kept; of a tel URI the number.
    pub fn user(&self) -> Option<&'a str> {
        self.user
    }

    /// The password, as written.
    pub fn password(&self) -> Option<&'a str> {
        self.password
    }

    /// The host, an IPv6 address with its brackets; empty where the scheme has none.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The host as an address, where it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// The port, where one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The URI parameters.
    pub fn params(&self) -> ParamsRef<'a> {
        self.params
    }

    /// What stands behind the `?`.
    pub fn headers(&self) -> Option<&'a str> {
        self.headers
    }

    /// The value of the parameter `transport`.
    pub fn transport(&self) -> Option<&'a str> {
        self.params.value("transport")
    }

    /// An owned copy.
    pub fn to_uri(&self) -> Uri {
        Uri { text: self.text.to_owned() }
    }

    fn opaque(text: &'a str) -> Self {
        Self {
            text,
            scheme: "",
            user: None,
            password: None,
            host: "",
            port: None,
            params: ParamsRef::default(),
            headers: None,
        }
    }
}

impl fmt::Display for UriRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// RFC 3261 §19.1.4, RFC 3966 §4; see [`UriRef::eq`].
impl PartialEq for UriRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        crate::uri_eq::equal(self, other)
    }
}

impl Eq for UriRef<'_> {}

/// A URI that is kept. What was parsed is written back byte for byte; equality follows
/// RFC 3261 §19.1.4.
///
/// ```
/// use linkspan_sip::Uri;
///
/// let mut uri: Uri = "sip:alice@Example.com;transport=tcp".parse().unwrap();
/// assert_eq!(uri, "sip:alice@example.com;transport=TCP".parse().unwrap());
/// uri.set_param("lr", None);
/// uri.set_port(Some(5080));
/// assert_eq!(uri.to_string(), "sip:alice@Example.com:5080;transport=tcp;lr");
/// ```
#[derive(Clone)]
pub struct Uri {
    text: String,
}

impl Uri {
    /// Parses a URI.
    ///
    /// # Errors
    ///
    /// As [`UriRef::parse`].
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        UriRef::parse(text).map(|uri| uri.to_uri())
    }

    /// `sip:user@host`, the parts escaped where they must be. `host` may carry a port.
    ///
    /// # Errors
    ///
    /// As [`UriRef::parse`], for the host.
    pub fn sip(user: Option<&str>, host: &str) -> Result<Self, ValueError> {
        match user {
            Some(user) => Self::parse(&format!("sip:{}@{host}", escape_user(user))),
            None => Self::parse(&format!("sip:{host}")),
        }
    }

    /// Borrowed, taken apart.
    pub fn as_ref(&self) -> UriRef<'_> {
        UriRef::parse(&self.text).unwrap_or_else(|_| UriRef::opaque(&self.text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme, as written.
    pub fn scheme(&self) -> &str {
        self.as_ref().scheme()
    }

    /// The user part, as written.
    pub fn user(&self) -> Option<&str> {
        self.as_ref().user()
    }

    /// The host, an IPv6 address with its brackets.
    pub fn host(&self) -> &str {
        self.as_ref().host()
    }

    /// The host as an address, where it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        self.as_ref().host_ip()
    }

    /// The port, where one is written.
    pub fn port(&self) -> Option<u16> {
        self.as_ref().port()
    }

    /// The URI parameters.
    pub fn params(&self) -> ParamsRef<'_> {
        self.as_ref().params()
    }

    /// The value of a URI parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().value(name)
    }

    /// What stands behind the `?`.
    pub fn headers(&self) -> Option<&str> {
        self.as_ref().headers()
    }

    /// Sets or appends a parameter; octets that may not stand there are escaped.
    pub fn set_param(&mut self, name: &str, value: Option<&str>) {
        let mut params = Params::from(self.params());
        match value {
            Some(value) => params.set(name, &escape_param(value)),
            None => params.set_flag(name),
        }
        self.rebuild(None, None, Some(&params.to_string()));
    }

    /// Takes a parameter away.
    pub fn remove_param(&mut self, name: &str) {
        let mut params = Params::from(self.params());
        params.remove(name);
        self.rebuild(None, None, Some(&params.to_string()));
    }

    /// Replaces the user part of a sip or sips URI, escaping what must be.
    pub fn set_user(&mut self, user: Option<&str>) {
        // A user part is never empty.
        let user = user.filter(|user| !user.is_empty());
        if !self.as_ref().is_sip() {
            return;
        }
        let info = user.map(|user| escape_user(user) + "@").unwrap_or_default();
        self.rebuild(Some(&info), None, None);
    }

    /// Replaces the port of a sip or sips URI.
    pub fn set_port(&mut self, port: Option<u16>) {
        if !self.as_ref().is_sip() {
            return;
        }
        let host = self.host().to_owned();
        let host = port.map(|port| format!("{host}:{port}")).unwrap_or(host);
        self.rebuild(None, Some(&host), None);
    }

    /// Replaces host and port of a sip or sips URI.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where `host` is not a host name or address.
    pub fn set_host(&mut self, host: &str, port: Option<u16>) -> Result<(), ValueError> {
        if host_length(host) != Some(host.len()) || !self.as_ref().is_sip() {
            return Err(ValueError::new(URI, "a host", 0));
        }
        let host = port.map(|port| format!("{host}:{port}")).unwrap_or_else(|| host.to_owned());
        self.rebuild(None, Some(&host), None);
        Ok(())
    }

    /// Takes the headers part away.
    pub fn remove_headers(&mut self) {
        if let Some(mark) = self.headers().map(|headers| self.text.len() - headers.len() - 1) {
            self.text.truncate(mark);
        }
    }

    fn rebuild(&mut self, info: Option<&str>, host: Option<&str>, params: Option<&str>) {
        let uri = self.as_ref();
        if !uri.is_sip() && !uri.is_tel() {
            return;
        }
        let mut text = String::with_capacity(self.text.len() + 16);
        text.push_str(uri.scheme());
        text.push(':');
        match (info, uri.user()) {
            (Some(info), _) => text.push_str(info),
            (None, Some(user)) => {
                text.push_str(user);
                if let Some(password) = uri.password() {
                    text.push(':');
                    text.push_str(password);
                }
                if uri.is_sip() {
                    text.push('@');
                }
            }
            (None, None) => {}
        }
        match (host, uri.port()) {
            (Some(host), _) => text.push_str(host),
            (None, Some(port)) => {
                text.push_str(uri.host());
                text.push_str(&format!(":{port}"));
            }
            (None, None) => text.push_str(uri.host()),
        }
        text.push_str(params.unwrap_or_else(|| uri.params().as_str()));
        if let Some(headers) = uri.headers() {
            text.push('?');
            text.push_str(headers);
        }
        self.text = text;
    }
}

impl FromStr for Uri {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::parse(text)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Uri").field(&self.text).finish()
    }
}

/// Where we are reached on a path: what a Contact names.
///
/// ```
/// use linkspan_sip::{Path, Transport, Uri};
///
/// let path = Path::new(Transport::Tcp, "[2001:db8::1]:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
/// assert_eq!(Uri::from(path).as_str(), "sip:[2001:db8::1]:5060;transport=tcp");
/// ```
impl From<Path> for Uri {
    fn from(path: Path) -> Self {
        Self { text: format!("sip:{};transport={}", path.local, path.transport.uri_token()) }
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Uri {}

pub(crate) fn host_ip(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => ipv6(rest.strip_suffix(']')?).map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| {
        // RFC 5118 §4.10: the grammar of RFC 3261 makes three colons before an embedded IPv4
        // address. Such an address is taken, and never written.
        let colons = text.find(":::").filter(|_| text.len() < 48)?;
        format!("{}{}", text.get(..colons)?, text.get(colons + 1..)?).parse().ok()
    })
}

/// How many octets at the start are a host name, an IPv4 address or an IPv6 reference.
pub(crate) fn host_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'[') {
        let end = memchr::memchr(b']', bytes)?;
        return ipv6(text.get(1..end)?).map(|_| end + 1);
    }
    match lex::find_not(bytes, lex::HOST).unwrap_or(bytes.len()) {
        0 => None,
        len => Some(len),
    }
}

#[inline]
fn is_sip_scheme(scheme: &str) -> bool {
    match scheme.as_bytes() {
        [s, i, p] | [s, i, p, b's' | b'S'] => (s | 0x20, i | 0x20, p | 0x20) == (b's', b'i', b'p'),
        _ => false,
    }
}

fn is_scheme(scheme: &str) -> bool {
    let rest = |octet: &u8| octet.is_ascii_alphanumeric() || b"+-.".contains(octet);
    scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.as_bytes().iter().all(rest)
}

/// Every octet of the class, and every "%" an escape.
fn check(text: &str, class: u8, at: usize, expected: &'static str) -> Result<(), ValueError> {
    let bytes = text.as_bytes();
    let mut i = lex::skip_long(bytes, 0, class);
    while let Some(&octet) = bytes.get(i) {
        if octet != b'%' {
            return Err(ValueError::new(URI, expected, at + i));
        }
        let digits = bytes.get(i + 1..i + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(ValueError::new(URI, "two hex digits behind %", at + i));
        }
        i = lex::skip(bytes, i + 3, class);
    }
    Ok(())
}

fn escape_user(text: &str) -> String {
    escape(text, b"-_.!~*'()&=+$,;?/")
}

fn escape_param(text: &str) -> String {
    escape(text, b"-_.!~*'()[]/:&+$")
}

fn escape(text: &str, unescaped: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || unescaped.contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            escaped.push_str(&format!("%{octet:02X}"));
        }
    }
    escaped
}

const URI: &str = "URI";
