use std::net::SocketAddr;

use crate::ConnectionId;

/// What a [`TurnServer`](crate::TurnServer) wants done, and tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// Bind a UDP socket to this address, then call [`bound`](crate::TurnServer::bound).
    Bind {
        /// The address.
        relay: SocketAddr,
    },
    /// Bind a TCP socket to this address so that others may be bound to it too (`SO_REUSEADDR`,
    /// `SO_REUSEPORT`), and listen; then call [`bound`](crate::TurnServer::bound). What connects to
    /// it is for [`accepted`](crate::TurnServer::accepted).
    Listen {
        /// The address.
        relay: SocketAddr,
    },
    /// Connect to a peer from the address of a relay socket, then call
    /// [`connected`](crate::TurnServer::connected).
    Connect {
        /// Names the connection from now on.
        connection: ConnectionId,
        /// Address to connect from.
        relay: SocketAddr,
        /// Address to connect to.
        peer: SocketAddr,
    },
    /// From now on a client's connection carries what a peer's does, and nothing else: what comes
    /// behind the request that was read last, and what goes behind the answer to it. When one of
    /// the two ends, call [`closed`](crate::TurnServer::closed) or
    /// [`handle_disconnect`](crate::TurnServer::handle_disconnect).
    Join {
        /// The peer's connection.
        connection: ConnectionId,
        /// This end of the client's connection.
        local: SocketAddr,
        /// The client's end.
        remote: SocketAddr,
    },
    /// Close a peer's connection, or give up connecting, and close the client's connection that it
    /// was joined to.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Close the socket that was bound to this address.
    Unbind {
        /// The address.
        relay: SocketAddr,
    },
    /// A client has an allocation.
    Allocated {
        /// The client.
        client: SocketAddr,
        /// Its user name.
        username: Vec<u8>,
        /// Addresses that its peers see.
        relayed: Vec<SocketAddr>,
    },
    /// A client goes on with its allocation from another address, or over another transport.
    Moved {
        /// Where it was.
        from: SocketAddr,
        /// Where it is.
        to: SocketAddr,
    },
    /// An allocation is over: released, expired, or its connection closed.
    Ended {
        /// The client.
        client: SocketAddr,
        /// Its user name.
        username: Vec<u8>,
        /// What it carried.
        usage: Usage,
    },
}

/// What an allocation carried.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Packets from the client to peers.
    pub packets_sent: u64,
    /// Octets of data in them.
    pub octets_sent: u64,
    /// Packets from peers to the client.
    pub packets_received: u64,
    /// Octets of data in them.
    pub octets_received: u64,
    /// Packets of either direction dropped by the limit on octets per second.
    pub packets_over_limit: u64,
}
