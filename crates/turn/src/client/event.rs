use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::{ChannelNumber, ConnectionId, IcmpError};

/// What a [`TurnClient`](crate::TurnClient) tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// There is a relayed address.
    Allocated(Allocation),
    /// There is none, and there will be none.
    AllocateFailed {
        /// Why.
        error: AllocateError,
    },
    /// Packets of the peer's address pass.
    PermissionCreated {
        /// The address.
        peer: IpAddr,
    },
    /// They do not, or no longer.
    PermissionFailed {
        /// The address.
        peer: IpAddr,
        /// Why.
        error: RequestError,
    },
    /// Packets to and from the peer use a channel.
    ChannelBound {
        /// The peer.
        peer: SocketAddr,
        /// The channel; without meaning in MS-TURN.
        channel: ChannelNumber,
    },
    /// They do not, or no longer; indications still work where a permission was asked for.
    ChannelFailed {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        error: RequestError,
    },
    /// The server knows the client's new address, and sends there.
    Moved,
    /// Data have come through the relay.
    Data {
        /// Who sent them.
        peer: SocketAddr,
        /// The data.
        data: Bytes,
    },
    /// A peer can be reached over TCP: connect to the server once more, from another port, and
    /// call [`bind_connection`](crate::TurnClient::bind_connection) within 30 seconds.
    Connected {
        /// The peer.
        peer: SocketAddr,
        /// Names its connection.
        connection: ConnectionId,
    },
    /// It cannot.
    ConnectFailed {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        error: RequestError,
    },
    /// A peer has connected to the relayed address. To take its connection do as for
    /// [`Connected`](Self::Connected); the server closes it otherwise.
    ConnectionAttempt {
        /// The peer.
        peer: SocketAddr,
        /// Names its connection.
        connection: ConnectionId,
    },
    /// From now on the connection to the server carries the peer's octets and nothing else: what
    /// comes behind the answer, and whatever is written to it.
    ConnectionBound {
        /// The peer's connection.
        connection: ConnectionId,
        /// This end of the connection to the server.
        local: SocketAddr,
    },
    /// It does not: close it.
    ConnectionFailed {
        /// The peer's connection.
        connection: ConnectionId,
        /// This end of the connection to the server.
        local: SocketAddr,
        /// Why.
        error: RequestError,
    },
    /// A packet to a peer did not arrive, says the network behind the server (RFC 8656 §11.6).
    Icmp {
        /// The peer.
        peer: SocketAddr,
        /// What the network says. It is not authentic: a hint.
        error: IcmpError,
    },
    /// The allocation was given back: the end.
    Released,
    /// The allocation was lost: the end.
    Lost {
        /// Why.
        error: RequestError,
    },
}

/// What the server gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Allocation {
    /// Address that peers send to.
    pub relayed: SocketAddr,
    /// The one of the other family, when both were asked for and given.
    pub relayed_additional: Option<SocketAddr>,
    /// The client's own address as the server sees it.
    pub mapped: Option<SocketAddr>,
    /// How long it lasts unless refreshed.
    pub lifetime: Duration,
    /// Names the port that was kept.
    pub reservation_token: Option<[u8; 8]>,
}

/// Why there is no allocation.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// The credentials are wrong.
    #[error("credentials refused")]
    Credentials,
    /// The request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server's answer lacks what it must have.
    #[error("incomplete answer")]
    Incomplete,
    /// Too many redirections, or one in a circle.
    #[error("redirected too often")]
    Redirects,
    /// Over TCP the redirection has to be followed by the driver: a new connection, a new client.
    #[error("redirected to {0}")]
    Redirected(SocketAddr),
}

/// Why a request failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Nobody answered.
    #[error("no answer")]
    TimedOut,
    /// The answer lacks what it must have.
    #[error("incomplete answer")]
    Incomplete,
    /// The challenge offers no password algorithm that is known, or somebody on the way took the
    /// better one out (RFC 8489 §9.2.1).
    #[error("no password algorithm to be trusted")]
    BidDown,
    /// The server refused it.
    #[error("refused with {code} {reason}")]
    Refused {
        /// The code of the error.
        code: u16,
        /// What the server says.
        reason: String,
    },
}
