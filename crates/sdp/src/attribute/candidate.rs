//! `a=candidate` in its three grammars: RFC 8839, MS-ICE2 and, for reading, MS-ICE.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use nom::{IResult, Parser, bytes::complete::take_while1, character::complete::space1};

use crate::{AttributeError, Dialect};

/// A candidate (RFC 8839 §5.1; \[MS-SDPEXT\] 3.1.5.21).
///
/// ```
/// use linkspan_sdp::{Candidate, CandidateTransport, Dialect};
///
/// // Lync puts the TCP role in place of the transport and ends the line with a blank.
/// let line = "2 1 TCP-PASS 174455807 203.0.113.40 52732 typ relay raddr 198.51.100.17 rport 49911 ";
/// let candidate = Candidate::parse(line)?;
/// assert_eq!(candidate.transport, CandidateTransport::TcpPassive);
/// assert_eq!(candidate.to_text(Dialect::Lync), line);
/// assert!(candidate.to_text(Dialect::Standard).ends_with("rport 49911 tcptype passive"));
/// # Ok::<(), linkspan_sdp::AttributeError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Candidate {
    /// Foundation.
    pub foundation: String,
    /// Component: 1 is RTP, 2 is RTCP.
    pub component: u16,
    /// Transport, with the role for TCP.
    pub transport: CandidateTransport,
    /// Priority.
    pub priority: u32,
    /// Address and port; the unspecified address when [`name`](Self::name) is there.
    pub address: SocketAddr,
    /// A host name in place of an address (RFC 8839 §5.1), e.g. an mDNS name.
    pub name: Option<String>,
    /// Type.
    pub kind: CandidateKind,
    /// `raddr` and `rport`.
    pub related: Option<SocketAddr>,
    /// Other name and value pairs, in order; `tcptype` is not among them.
    pub extensions: Vec<(String, String)>,
}

/// How a candidate is reached.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CandidateTransport {
    /// UDP.
    Udp,
    /// TCP, connects (`tcptype active`; Lync: `TCP-ACT`).
    TcpActive,
    /// TCP, is connected to (`tcptype passive`; Lync: `TCP-PASS`).
    TcpPassive,
    /// TCP, simultaneous open (`tcptype so`).
    TcpSo,
    /// Another transport token, or `TCP` without a `tcptype` (draft 6: active and passive).
    Other(String),
}

/// Where a candidate comes from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CandidateKind {
    /// An address of the host.
    Host,
    /// Seen by a server.
    Srflx,
    /// Seen by the peer.
    Prflx,
    /// An address of a relay.
    Relay,
    /// Another type.
    Other(String),
}

impl Candidate {
    /// A candidate without related address.
    #[must_use]
    pub fn new(
        foundation: &str,
        component: u16,
        transport: CandidateTransport,
        priority: u32,
        address: SocketAddr,
        kind: CandidateKind,
    ) -> Self {
        Self {
            foundation: foundation.into(),
            component,
            transport,
            priority,
            address,
            name: None,
            kind,
            related: None,
            extensions: Vec::new(),
        }
    }

    /// Parses the value of `a=candidate` or `a=x-candidate-ipv6`, of RFC 8839 or of MS-ICE2.
    ///
    /// # Errors
    ///
    /// When a field is missing or malformed; `a=candidate` values of the older MS-ICE are
    /// [`ms::LegacyCandidate`](crate::ms::LegacyCandidate)'s.
    pub fn parse(value: &str) -> Result<Self, AttributeError> {
        let mut fields = Fields { value, rest: value };
        let foundation = fields.next("a foundation")?;
        let component = fields.number("a component number")?;
        let transport = fields.next("a transport")?;
        let priority = fields.number("a priority")?;
        let host = fields.next("an address")?;
        let port: u16 = fields.number("a port")?;
        let no_typ = fields.error("typ");
        if fields.next("typ")? != "typ" {
            return Err(no_typ);
        }
        let kind = CandidateKind::from_token(fields.next("a candidate type")?);
        let mut candidate = Self {
            foundation: foundation.into(),
            component,
            transport: CandidateTransport::from_token(transport),
            priority,
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            name: None,
            kind,
            related: None,
            extensions: Vec::new(),
        };
        match host.parse() {
            Ok(ip) => candidate.address.set_ip(ip),
            Err(_) => candidate.name = Some(host.into()),
        }
        candidate.parse_extensions(&mut fields)?;
        Ok(candidate)
    }

    /// The value of the attribute in a dialect.
    #[must_use]
    pub fn to_text(&self, dialect: Dialect) -> String {
        let mut text = String::with_capacity(96);
        // Writing to a String does not fail.
        let _ = self.write_text(dialect, &mut text);
        text
    }

    fn parse_extensions(&mut self, fields: &mut Fields<'_>) -> Result<(), AttributeError> {
        let mut related_ip: Option<IpAddr> = None;
        let mut related_port = None;
        while !fields.rest.trim_start_matches(' ').is_empty() {
            let name = fields.next("an extension name")?;
            // Some writers end with a name and no value; keep it with an empty one.
            let value = fields.next("an extension value").unwrap_or_default();
            match name {
                "raddr" => related_ip = value.parse().ok(),
                "rport" => related_port = value.parse().ok(),
                "tcptype" => match (&self.transport, value) {
                    (CandidateTransport::Other(t), "active") if t.eq_ignore_ascii_case("tcp") => {
                        self.transport = CandidateTransport::TcpActive;
                    }
                    (CandidateTransport::Other(t), "passive") if t.eq_ignore_ascii_case("tcp") => {
                        self.transport = CandidateTransport::TcpPassive;
                    }
                    (CandidateTransport::Other(t), "so") if t.eq_ignore_ascii_case("tcp") => {
                        self.transport = CandidateTransport::TcpSo;
                    }
                    _ => self.extensions.push((name.into(), value.into())),
                },
                _ => self.extensions.push((name.into(), value.into())),
            }
        }
        if let Some(ip) = related_ip {
            self.related = Some(SocketAddr::new(ip, related_port.unwrap_or(0)));
        }
        Ok(())
    }

    fn write_text(&self, dialect: Dialect, out: &mut impl fmt::Write) -> fmt::Result {
        let transport = match dialect {
            Dialect::Standard => self.transport.standard_token(),
            Dialect::Lync => self.transport.lync_token(),
        };
        write!(out, "{} {} {transport} {} ", self.foundation, self.component, self.priority)?;
        match &self.name {
            Some(name) => out.write_str(name)?,
            None => write!(out, "{}", self.address.ip())?,
        }
        write!(out, " {} typ {}", self.address.port(), self.kind.token())?;
        if let Some(related) = self.related {
            write!(out, " raddr {} rport {}", related.ip(), related.port())?;
        }
        if dialect == Dialect::Standard
            && let Some(tcptype) = self.transport.tcptype()
        {
            write!(out, " tcptype {tcptype}")?;
        }
        for (name, value) in &self.extensions {
            write!(out, " {name} {value}")?;
        }
        match dialect {
            Dialect::Standard => Ok(()),
            Dialect::Lync => out.write_char(' '),
        }
    }
}

/// Writes the standard form.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_text(Dialect::Standard, f)
    }
}

impl core::str::FromStr for Candidate {
    type Err = AttributeError;

    fn from_str(value: &str) -> Result<Self, AttributeError> {
        Self::parse(value)
    }
}

impl CandidateTransport {
    fn from_token(token: &str) -> Self {
        const KNOWN: [(&str, CandidateTransport); 3] = [
            ("UDP", CandidateTransport::Udp),
            ("TCP-ACT", CandidateTransport::TcpActive),
            ("TCP-PASS", CandidateTransport::TcpPassive),
        ];
        KNOWN
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(token))
            .map_or_else(|| Self::Other(token.into()), |(_, transport)| transport)
    }

    fn standard_token(&self) -> &str {
        match self {
            Self::Udp => "UDP",
            Self::TcpActive | Self::TcpPassive | Self::TcpSo => "TCP",
            Self::Other(token) => token,
        }
    }

    fn lync_token(&self) -> &str {
        match self {
            Self::TcpActive => "TCP-ACT",
            Self::TcpPassive => "TCP-PASS",
            other => other.standard_token(),
        }
    }

    const fn tcptype(&self) -> Option<&'static str> {
        match self {
            Self::TcpActive => Some("active"),
            Self::TcpPassive => Some("passive"),
            Self::TcpSo => Some("so"),
            _ => None,
        }
    }
}

impl CandidateKind {
    fn from_token(token: &str) -> Self {
        match token {
            "host" => Self::Host,
            "srflx" => Self::Srflx,
            "prflx" => Self::Prflx,
            "relay" => Self::Relay,
            other => Self::Other(other.into()),
        }
    }

    /// The token after `typ`.
    #[must_use]
    pub fn token(&self) -> &str {
        match self {
            Self::Host => "host",
            Self::Srflx => "srflx",
            Self::Prflx => "prflx",
            Self::Relay => "relay",
            Self::Other(token) => token,
        }
    }
}

/// The fields of a value, separated by blanks.
pub(crate) struct Fields<'a> {
    pub(crate) value: &'a str,
    pub(crate) rest: &'a str,
}

impl<'a> Fields<'a> {
    pub(crate) fn next(&mut self, expected: &'static str) -> Result<&'a str, AttributeError> {
        match token(self.rest) {
            Ok((rest, field)) => {
                self.rest = rest;
                Ok(field)
            }
            Err(_) => Err(self.error(expected)),
        }
    }

    pub(crate) fn number<T: core::str::FromStr>(
        &mut self,
        expected: &'static str,
    ) -> Result<T, AttributeError> {
        let before = self.error(expected);
        let field = self.next(expected)?;
        match field.parse() {
            Ok(number) if field.bytes().all(|b| b.is_ascii_digit()) => Ok(number),
            _ => Err(before),
        }
    }

    pub(crate) fn error(&self, expected: &'static str) -> AttributeError {
        AttributeError::new("candidate", self.value.len() - self.rest.len(), expected)
    }
}

fn token(input: &str) -> IResult<&str, &str> {
    let (rest, blank) = nom::combinator::opt(space1).parse(input)?;
    let _ = blank;
    take_while1(|c: char| c != ' ').parse(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_lines_round_trip() {
        for line in [
            "1 1 UDP 2130706431 203.0.113.141 8998 typ host",
            "2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            "3 1 TCP 2128609279 10.0.1.1 9 typ host tcptype active",
            "3 1 TCP 2128609279 10.0.1.1 9 typ host tcptype so generation 0 network-id 1",
            "1 1 UDP 1 3f2b.local 5 typ host",
            "Hab/+1 2 UDP 1 2001:db8::1 5 typ relay raddr :: rport 0",
            "1 1 DCCP 1 192.0.2.1 5 typ host",
        ] {
            assert_eq!(Candidate::parse(line).unwrap().to_string(), line);
        }
    }

    #[test]
    fn lync_lines_round_trip_with_their_trailing_blank() {
        for line in [
            "1 1 UDP 2130706431 192.0.2.31 15676 typ host ",
            "3 1 TCP-ACT 1684797951 192.0.2.31 15676 typ srflx raddr 192.0.2.31 rport 15676 ",
            "2 2 TCP-PASS 174455294 203.0.113.40 52732 typ relay raddr 198.51.100.17 rport 49911 MTURNID 7 ",
        ] {
            assert_eq!(Candidate::parse(line).unwrap().to_text(Dialect::Lync), line);
        }
    }

    #[test]
    fn says_where_it_is_wrong() {
        let error = |value| Candidate::parse(value).unwrap_err();
        assert_eq!(error("1 x"), AttributeError::new("candidate", 1, "a component number"));
        let over = error("1 1 UDP 4294967296 192.0.2.1 5 typ host");
        assert_eq!(over, AttributeError::new("candidate", 7, "a priority"));
        let no_typ = error("1 1 UDP 1 192.0.2.1 5 tip host");
        assert_eq!(no_typ, AttributeError::new("candidate", 21, "typ"));
    }
}
