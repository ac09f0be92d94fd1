/// Why octets are not a ChannelData message or a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Shorter than the header, or than the header says.
    #[error("{have} octets where {need} are needed")]
    Truncated {
        /// Octets needed.
        need: usize,
        /// Octets there.
        have: usize,
    },
    /// The first two octets are not the number of a channel.
    #[error("no channel at octet 0: {number:#06x}")]
    Channel {
        /// The number there.
        number: u16,
    },
    /// Octets follow the end of the message.
    #[error("message ends at octet {at}, more octets follow")]
    Trailing {
        /// Where the message ends.
        at: usize,
    },
}

/// Why an input was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// It is for somebody else; nothing has changed.
    #[error("not for this engine")]
    NotMine,
    /// It has the look of STUN and is not.
    #[error(transparent)]
    Stun(#[from] linkspan_stun::ParseError),
    /// It has the look of ChannelData and is not.
    #[error(transparent)]
    Channel(#[from] ParseError),
    /// Its integrity or fingerprint is wrong.
    #[error("not authentic: {0}")]
    Integrity(#[from] linkspan_stun::IntegrityError),
    /// It is relayed data that nothing permits: no allocation, permission or channel.
    #[error("not permitted")]
    NotPermitted,
    /// It is to be sent without fragmentation, which only what
    /// [`forward`](crate::TurnServer::forward) gives can say.
    #[error("not to be fragmented")]
    DontFragment,
    /// A message whose content makes no sense where it came.
    #[error("unexpected message")]
    Unexpected,
    /// What was queued has not been taken.
    #[error("queue full")]
    QueueFull,
}

/// Why a verb was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerbError {
    /// There is no allocation, or there is one already.
    #[error("not in this state")]
    State,
    /// No permission or channel lets the data pass.
    #[error("no permission for the peer")]
    NoPermission,
    /// The peer's address family is not the allocation's.
    #[error("address family of the peer is not allocated")]
    Family,
    /// The data do not fit into one message.
    #[error("data too long")]
    TooLong,
    /// It is not for this transport: data of a TCP allocation have their own connections, and a TCP
    /// allocation needs TCP to the server.
    #[error("not over this transport")]
    Transport,
    /// A table or queue is full.
    #[error("limit reached")]
    Limit,
}
