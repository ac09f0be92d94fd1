use linkspan_stun::Transport;
use linkspan_turn::{ClientDialect, Credentials, Family};
use std::net::SocketAddr;

/// A TURN server on which an [`Agent`](crate::Agent) allocates relayed candidates
/// (RFC 8445 §5.1.1.2).
///
/// ```
/// use linkspan_ice::{RelayCredentials, RelayDialect, RelayServer};
///
/// // The relay of Lync, with what its credential service gave, decoded from base64.
/// let server = RelayServer {
///     dialect: RelayDialect::MsTurn,
///     ..RelayServer::new("198.51.100.9:3478".parse()?, RelayCredentials::new(b"\x01", b"\x02"))
/// };
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RelayServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is reached. Over TCP, and TLS, the driver opens one connection for each host
    /// candidate, from any port: in [`Transmit`](crate::Transmit) and
    /// [`Received`](crate::Received) the candidate's address names it. What goes over it is not
    /// framed but whole messages of TURN.
    pub transport: Transport,
    /// Who asks.
    pub credentials: Credentials,
    /// RFC 8656, the default, or MS-TURN.
    pub dialect: ClientDialect,
    /// Families of relayed addresses. Default: what the server gives, IPv4.
    pub family: Family,
}

impl RelayServer {
    /// A server of RFC 8656 over UDP.
    #[must_use]
    pub fn new(address: SocketAddr, credentials: Credentials) -> Self {
        Self {
            address,
            transport: Transport::Udp,
            credentials,
            dialect: ClientDialect::Rfc8656,
            family: Family::Default,
        }
    }
}
