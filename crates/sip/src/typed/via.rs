//! Via.

use core::net::IpAddr;

use crate::error::ValueError;
use crate::headers::Values;
use crate::lex::{self, CommaList};
use crate::params::ParamsRef;
use crate::uri;

/// One Via value: the way of a hop (RFC 3261 §20.42).
///
/// ```
/// use linkspan_sip::Via;
///
/// // Lync clients leave the branch out.
/// let via = Via::parse("SIP/2.0/TLS 192.0.2.57:1590;ms-received-port=1590").unwrap();
/// assert_eq!((via.host(), via.port()), ("192.0.2.57", Some(1590)));
/// assert_eq!(via.branch(), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Via<'a> {
    text: &'a str,
    transport: &'a str,
    host: &'a str,
    port: Option<u16>,
    params: ParamsRef<'a>,
}

impl<'a> Via<'a> {
    /// Parses one value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] with the offset of what does not belong.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let text = lex::trim(text);
        let at = |rest: &str| text.len() - rest.len();
        let rest = match text.strip_prefix("SIP/2.0/") {
            Some(rest) => rest,
            None => behind_version(text)?,
        };
        let rest = lex::trim_start(rest);
        let len = lex::find_not(rest.as_bytes(), lex::TOKEN).unwrap_or(rest.len());
        let transport = rest.get(..len).unwrap_or("");
        let after = rest.get(len..).unwrap_or("");
        let host_text = lex::trim_start(after);
        if transport.is_empty() || host_text.len() == after.len() {
            return Err(fail("a transport and a space", at(rest)));
        }
        let len = uri::host_length(host_text).ok_or_else(|| fail("a host", at(host_text)))?;
        let host = host_text.get(..len).unwrap_or("");
        let mut rest = lex::trim_start(host_text.get(len..).unwrap_or(""));
        let mut port = None;
        if let Some(tail) = rest.strip_prefix(':') {
            let digits = lex::trim_start(tail);
            let len = digits.bytes().position(|octet| !octet.is_ascii_digit());
            let len = len.unwrap_or(digits.len());
            port = lex::number(digits.get(..len).unwrap_or(""));
            if port.is_none() {
                return Err(fail("a port", at(digits)));
            }
            rest = lex::trim_start(digits.get(len..).unwrap_or(""));
        }
        let params = ParamsRef::new(rest);
        match params.fault() {
            Some(bad) => Err(fail("a parameter", at(rest) + bad)),
            None => Ok(Self { text, transport, host, port, params }),
        }
    }

    /// The value, as received.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The transport, as written.
    pub fn transport(&self) -> &'a str {
        self.transport
    }

    /// The host of sent-by, an IPv6 address with its brackets.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The host of sent-by as an address, where it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        uri::host_ip(self.host)
    }

    /// The port of sent-by.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The parameters.
    pub fn params(&self) -> ParamsRef<'a> {
        self.params
    }

    /// The branch, which an RFC 2543 peer and a Lync client leave out.
    pub fn branch(&self) -> Option<&'a str> {
        self.params.value("branch")
    }

    /// The branch where it is one that RFC 3261 §8.1.1.7 makes unique: behind the magic cookie.
    pub fn unique_branch(&self) -> Option<&'a str> {
        self.branch().filter(|branch| branch.len() > MAGIC_COOKIE.len() && has_cookie(branch))
    }

    /// The address that the next hop saw (RFC 3261 §18.2.1).
    pub fn received(&self) -> Option<IpAddr> {
        let value = self.params.value("received")?;
        uri::host_ip(value).or_else(|| value.parse().ok())
    }

    /// RFC 3581: `None` without the parameter, `Some(None)` where it asks, `Some(Some(port))` where
    /// it answers.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.contains("rport").then(|| self.params.value("rport").and_then(lex::number))
    }
}

/// The start of every branch that RFC 3261 makes unique.
pub(crate) const MAGIC_COOKIE: &str = "z9hG4bK";

fn has_cookie(branch: &str) -> bool {
    branch.get(..MAGIC_COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// sent-protocol = protocol-name SLASH protocol-version SLASH transport, up to the transport.
fn behind_version(text: &str) -> Result<&str, ValueError> {
    let (name, rest) = token_before(text, b'/').ok_or(fail("SIP", 0))?;
    let version_at = text.len() - rest.len();
    let (version, rest) = token_before(rest, b'/').ok_or_else(|| fail("2.0", version_at))?;
    if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
        return Err(fail("SIP/2.0", 0));
    }
    Ok(rest)
}

fn token_before(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(separator, text.as_bytes())?;
    let token = lex::trim(text.get(..at)?);
    lex::is_token(token).then_some((token, text.get(at + 1..)?))
}

const fn fail(expected: &'static str, at: usize) -> ValueError {
    ValueError::new("Via", expected, at)
}

/// Every Via value of a message, top first, several in a line or one in each. A malformed one is
/// the last of its line.
#[derive(Clone, Debug)]
pub struct Vias<'s, 'a> {
    lines: Values<'s, 'a>,
    line: Option<CommaList<'a>>,
}

impl<'s, 'a> Vias<'s, 'a> {
    pub(crate) fn new(lines: Values<'s, 'a>) -> Self {
        Self { lines, line: None }
    }
}

impl<'a> Iterator for Vias<'_, 'a> {
    type Item = Result<Via<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.line.as_mut().and_then(Iterator::next) {
                Some(Ok(value)) => {
                    let parsed = Via::parse(value);
                    if parsed.is_err() {
                        self.line = None;
                    }
                    return Some(parsed);
                }
                Some(Err(at)) => {
                    self.line = None;
                    return Some(Err(fail("a value", at)));
                }
                None => self.line = Some(CommaList::new(self.lines.next()?)),
            }
        }
    }
}
