use super::super::command::DropReason;

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaInputError {
    /// The local address belongs to no stream.
    #[error("no stream at the local address")]
    NotMine,
    /// It was dropped and counted; nothing else has changed.
    #[error("dropped: {}", .0.name())]
    Dropped(DropReason),
}

/// Why the peer of a stream was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// ICE credentials or candidates.
    #[error("ICE: {0}")]
    Ice(#[from] linkspan_ice::AgentError),
    /// The peer does ICE and the transport was set up without.
    #[error("the transport was set up without ICE")]
    NoIce,
    /// A key does not fit its suite.
    #[error("unusable SRTP key")]
    Key,
}

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The peer is not known, or ICE has not selected a pair yet.
    #[error("no way to the peer yet")]
    NotConnected,
    /// The packet is no RTP or RTCP.
    #[error("malformed packet")]
    Malformed,
    /// SRTP refuses to protect it.
    #[error("SRTP cannot protect the packet")]
    Protect,
    /// Too many packets wait to be polled.
    #[error("queue full")]
    QueueFull,
}
