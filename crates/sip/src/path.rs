//! Where a message came from and where one goes.

use core::net::SocketAddr;

use bytes::Bytes;

/// What carries the messages of a [`Path`].
///
/// ```
/// use linkspan_sip::Transport;
///
/// assert!(Transport::Tls.is_reliable());
/// assert_eq!(Transport::Udp.via_token(), "UDP");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Transport {
    /// One message per datagram, RFC 3261 §18.
    Udp,
    /// A byte stream, framed by Content-Length.
    Tcp,
    /// TLS over TCP.
    Tls,
}

impl Transport {
    /// Whether the transport retransmits by itself, so that the transactions need not.
    pub fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The token of the sent-protocol in Via: `UDP`, `TCP` or `TLS`.
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The value of the URI parameter `transport`: `udp`, `tcp` or `tls`.
    pub fn uri_token(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The transport that a Via token or a URI parameter names, without regard to case.
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls]
            .into_iter()
            .find(|transport| transport.uri_token().eq_ignore_ascii_case(token))
    }

    /// The port where nothing names one: 5061 for TLS, 5060 otherwise.
    pub fn default_port(self) -> u16 {
        if matches!(self, Self::Tls) { 5061 } else { 5060 }
    }
}

/// One connection of a reliable transport, numbered by the driver.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// The way between two ends.
///
/// ```
/// use linkspan_sip::{Path, Transport};
///
/// let path = Path::new(
///     Transport::Udp,
///     "192.0.2.1:5060".parse().unwrap(),
///     "192.0.2.2:5060".parse().unwrap(),
/// );
/// assert_eq!(path.connection, None);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Path {
    /// What carries the messages.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The connection of a reliable transport. `None` there means that the driver finds or opens
    /// one to `remote`; responses and requests to a client carry the id they came by.
    pub connection: Option<ConnectionId>,
}

impl Path {
    /// A path without a connection.
    pub fn new(transport: Transport, local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport, local, remote, connection: None }
    }

    /// The same path over one connection.
    #[must_use]
    pub fn with_connection(mut self, connection: ConnectionId) -> Self {
        self.connection = Some(connection);
        self
    }
}

/// One framed message that arrived: a datagram, or a frame of a
/// [`StreamFramer`](crate::StreamFramer).
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The way it came.
    pub path: Path,
    /// The octets of the message.
    pub payload: &'a [u8],
}

/// One message to send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transmit {
    /// The way it goes.
    pub path: Path,
    /// The octets of the message, whole.
    pub payload: Bytes,
}
