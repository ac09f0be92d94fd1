use linkspan_stun::ParseError;

/// Why [`Agent::handle_input`](crate::Agent::handle_input) did not act on a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Data, or for another engine on the same socket. Nothing has changed.
    #[error("not for this agent")]
    NotMine,
    /// STUN by its first octets, but malformed. Never to be taken for media.
    #[error("malformed STUN message: {0}")]
    Malformed(#[from] ParseError),
    /// The message integrity or the fingerprint is missing or wrong. Only an error response may
    /// have been queued.
    #[error("not authentic")]
    Unauthenticated,
    /// A bound of [`Limits`](crate::Limits) is reached.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// From a TURN server of this agent, and nothing that it should send.
    #[error("from the relay: {0}")]
    Relay(#[from] linkspan_turn::InputError),
}

/// Why a verb of [`Agent`](crate::Agent) was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// No such stream.
    #[error("no such stream")]
    UnknownStream,
    /// No such component in the stream.
    #[error("no such component")]
    UnknownComponent,
    /// Not possible as local candidate: the unspecified address or port 0.
    #[error("unusable address")]
    UnusableAddress,
    /// RFC 8839 §5.4: a username fragment has 4 to 256 characters, a password 22 to 256, of the
    /// letters, digits, `+` and `/`.
    #[error("credentials do not fit the grammar")]
    Credentials,
    /// The stream has failed, or the agent has none left to serve.
    #[error("the stream has ended")]
    Ended,
    /// A bound of [`Limits`](crate::Limits) is reached.
    #[error("limit reached: {0}")]
    Limit(&'static str),
}
