use core::fmt;
use core::str::FromStr;
use std::net::{IpAddr, SocketAddr};

use super::SignallingTransport;

/// Where requests of a route are sent: `tls:fe01.example.test:5061`, `tcp:192.0.2.7:5060`,
/// `udp:[2001:db8::7]:5060`.
///
/// A host name has no address until [`Config::set_addresses`](crate::Config::set_addresses)
/// gives it some; an IP address is its own.
///
/// ```
/// use linkspan_gateway::{NextHop, SignallingTransport};
///
/// let hop: NextHop = "tls:fe01.example.test:5061".parse()?;
/// assert_eq!((hop.transport, hop.port), (SignallingTransport::Tls, 5061));
/// assert!(hop.addresses.is_empty());
/// # Ok::<(), linkspan_gateway::NextHopError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
#[non_exhaustive]
pub struct NextHop {
    /// Transport.
    pub transport: SignallingTransport,
    /// Host name or address, as configured.
    pub host: String,
    /// Port; 5061 for TLS and 5060 otherwise where none was written.
    pub port: u16,
    /// Addresses of the host, tried in this order.
    pub addresses: Vec<IpAddr>,
}

impl NextHop {
    /// Every address with the port.
    pub fn socket_addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.addresses.iter().map(|ip| SocketAddr::new(*ip, self.port))
    }

    /// The name that its certificate must carry.
    #[must_use]
    pub fn tls_name(&self) -> &str {
        &self.host
    }
}

impl FromStr for NextHop {
    type Err = NextHopError;

    fn from_str(text: &str) -> Result<Self, NextHopError> {
        let (transport, rest) = text.split_once(':').ok_or(NextHopError::Transport)?;
        let transport: SignallingTransport =
            transport.parse().map_err(|()| NextHopError::Transport)?;
        let (host, port) = split_port(rest)?;
        let port = port.unwrap_or_else(|| transport.default_port());
        if host.is_empty() || port == 0 {
            return Err(NextHopError::Host);
        }
        let addresses: Vec<IpAddr> = host.parse().into_iter().collect();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if addresses.is_empty() && !host.chars().all(plain) {
            return Err(NextHopError::Host);
        }
        Ok(Self { transport, host: host.into(), port, addresses })
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}:[{}]:{}", self.transport, self.host, self.port)
        } else {
            write!(f, "{}:{}:{}", self.transport, self.host, self.port)
        }
    }
}

impl TryFrom<String> for NextHop {
    type Error = NextHopError;

    fn try_from(text: String) -> Result<Self, NextHopError> {
        text.parse()
    }
}

impl From<NextHop> for String {
    fn from(hop: NextHop) -> Self {
        hop.to_string()
    }
}

/// Why a next hop was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NextHopError {
    /// It does not begin with `tls:`, `tcp:` or `udp:`.
    #[error("expected tls:, tcp: or udp:")]
    Transport,
    /// Host name or address missing or malformed.
    #[error("expected a host name or address")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("expected a port")]
    Port,
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), NextHopError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(NextHopError::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port.parse().map_err(|_| NextHopError::Port)?))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(NextHopError::Host),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Ok((host, Some(port.parse().map_err(|_| NextHopError::Port)?))),
        None => Ok((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_hops_are_read_and_written() {
        for (text, written) in [
            ("tls:fe01.example.test", Some("tls:fe01.example.test:5061")),
            ("TCP:192.0.2.7", Some("tcp:192.0.2.7:5060")),
            ("udp:[2001:db8::7]:5080", Some("udp:[2001:db8::7]:5080")),
            ("udp:[2001:db8::7]", Some("udp:[2001:db8::7]:5060")),
            ("192.0.2.7:5060", None),
            ("sctp:192.0.2.7", None),
            ("tcp:", None),
            ("tcp:host:0", None),
            ("tcp:host:70000", None),
            ("tcp:ho st:5060", None),
            ("tcp:[2001:db8::7:5060", None),
        ] {
            let read = text.parse::<NextHop>().ok().map(|hop| hop.to_string());
            assert_eq!(read.as_deref(), written, "{text}");
        }
    }
}
