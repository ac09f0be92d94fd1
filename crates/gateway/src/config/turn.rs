use core::fmt;
use std::net::SocketAddr;

use linkspan_ice as ice;

use crate::base64;

/// A TURN server that relays a side's media where there is no direct way: RFC 8656 toward the
/// standards side, \[MS-TURN\] (a Lync edge) toward Lync.
///
/// ```
/// use linkspan_gateway::TurnServer;
///
/// let server = TurnServer::new("198.51.100.9:3478".parse()?, "gateway", "secret");
/// assert!(!format!("{server:?}").contains("secret"));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct TurnServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// User name; binary ones, as a Lync credential service gives them, in base64 behind `b64:`.
    pub username: String,
    /// Password, the same way.
    pub password: String,
    /// How it is reached: UDP, the default, or TCP or TLS where no datagrams get out.
    #[cfg_attr(feature = "serde", serde(default))]
    pub transport: TurnTransport,
    /// Over TLS the name that its certificate must carry; its address when empty.
    #[cfg_attr(feature = "serde", serde(default))]
    pub server_name: String,
}

/// How a [`TurnServer`] is reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum TurnTransport {
    /// Datagrams.
    #[default]
    Udp,
    /// A connection for each socket of a stream; toward Lync behind its pseudo-TLS handshake.
    Tcp,
    /// The same inside TLS.
    Tls,
}

impl TurnServer {
    /// A server and who asks it.
    #[must_use]
    pub fn new(address: SocketAddr, username: &str, password: &str) -> Self {
        Self {
            address,
            username: username.into(),
            password: password.into(),
            transport: TurnTransport::Udp,
            server_name: String::new(),
        }
    }

    /// The server as an ICE agent takes it; `None` where the credentials are not base64.
    pub(crate) fn relay(&self, dialect: ice::RelayDialect) -> Option<ice::RelayServer> {
        let (username, password) = (octets(&self.username)?, octets(&self.password)?);
        let credentials = ice::RelayCredentials::new(username, password);
        let transport = match self.transport {
            TurnTransport::Udp => ice::Transport::Udp,
            TurnTransport::Tcp | TurnTransport::Tls => ice::Transport::Tcp,
        };
        let server = ice::RelayServer::new(self.address, credentials);
        Some(ice::RelayServer { dialect, transport, ..server })
    }
}

impl fmt::Debug for TurnServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnServer").field("address", &self.address).finish_non_exhaustive()
    }
}

fn octets(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("b64:") {
        Some(text) => base64::decode(text),
        None => Some(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_credentials_are_base64() {
        let at = "198.51.100.9:3478".parse().unwrap();
        let relay = |user: &str| TurnServer::new(at, user, "x").relay(ice::RelayDialect::MsTurn);
        assert!(relay("b64:AQID/w==").is_some());
        assert!(relay("plain").is_some());
        assert!(relay("b64:!").is_none());
    }
}
