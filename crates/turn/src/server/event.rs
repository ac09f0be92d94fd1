use std::net::SocketAddr;

/// What a [`TurnServer`](crate::TurnServer) wants done, and tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// Bind a UDP socket to this address, then call [`bound`](crate::TurnServer::bound).
    Bind {
        /// The address.
        relay: SocketAddr,
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
