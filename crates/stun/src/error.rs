/// Why octets are not a message of the dialect.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Shorter than a header, or than the header says.
    #[error("{have} octets where {need} are needed")]
    Truncated {
        /// Octets needed.
        need: usize,
        /// Octets there.
        have: usize,
    },
    /// Octets follow the end of the message.
    #[error("message ends at octet {at}, more octets follow")]
    Trailing {
        /// Where the message ends.
        at: usize,
    },
    /// The two topmost bits are not zero (RFC 8489 §5).
    #[error("not a STUN message type at octet 0")]
    Type,
    /// The magic cookie is missing: octets 4 to 7 in RFC 8489, the first attribute in MS-TURN.
    #[error("no magic cookie at octet {at}")]
    Cookie {
        /// Where it should be.
        at: usize,
    },
    /// The message length is not a multiple of 4 in a dialect with padding (RFC 8489 §5).
    #[error("message length at octet 2 is not a multiple of 4")]
    Alignment,
    /// An attribute does not fit into the message.
    #[error("attribute at octet {at} passes the end of the message")]
    Attribute {
        /// Offset of its type.
        at: usize,
    },
    /// More attributes than a message may have.
    #[error("too many attributes at octet {at}")]
    TooMany {
        /// Offset of the first one too many.
        at: usize,
    },
}
