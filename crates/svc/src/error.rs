/// Why a NAL unit header was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NalError {
    /// The unit is shorter than its header.
    #[error("NAL unit of {len} octets where {needed} are needed")]
    Truncated {
        /// Octets there are.
        len: usize,
        /// Octets the header takes.
        needed: usize,
    },
    /// The unit has no scalable extension.
    #[error("NAL unit without a scalable extension")]
    NotSvc,
}

/// Why a parameter set, slice header or SEI message was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The unit ends inside a syntax element.
    #[error("ends at bit {at} of its payload")]
    Truncated {
        /// Bits of the raw byte sequence payload read before the end.
        at: usize,
    },
    /// A syntax element has a value that the standard forbids or this crate does not support.
    #[error("{element} is out of range at bit {at} of its payload")]
    OutOfRange {
        /// Name of the syntax element in the standard.
        element: &'static str,
        /// Bits of the raw byte sequence payload read behind the element.
        at: usize,
    },
    /// A parameter set is longer than any real one, and would be kept.
    #[error("parameter set of {len} octets")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// The unit is of another type than the function reads.
    #[error("NAL unit of another type")]
    WrongType,
    /// A slice or parameter set names a parameter set that has not been seen.
    #[error("names {kind} {id}, which is unknown")]
    UnknownParameterSet {
        /// `"pps"`, `"sps"` or `"subset sps"`.
        kind: &'static str,
        /// The identifier it names.
        id: u8,
    },
}

/// Why a `profile-level-id` or the name of a policy was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The parameter has another form.
    #[error("six hexadecimal digits expected, at octet {at}")]
    NotHexadecimal {
        /// Offset from the start of the value.
        at: usize,
    },
    /// No setting has this name.
    #[error("unknown name")]
    Unknown,
}

/// Why an RTP payload was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DepacketizeError {
    /// The payload is empty.
    #[error("empty payload")]
    Empty,
    /// A length field or a fixed header reaches over the end of the payload.
    #[error("structure at octet {at} reaches over the end of the payload")]
    Truncated {
        /// Offset of the structure.
        at: usize,
    },
    /// The payload is of a type that the format does not allow, or that is reserved.
    #[error("payload type {kind} is not allowed here")]
    NotAllowed {
        /// `nal_unit_type` of the payload's first octet.
        kind: u8,
    },
    /// A fragmentation unit claims to be both first and last, or fragments what may not be.
    #[error("malformed fragmentation unit")]
    BadFragment,
    /// The payload would make an access unit larger than the limits allow.
    #[error("access unit exceeds the limit of {limit}")]
    TooLarge {
        /// The limit that was hit: octets, or NAL units.
        limit: usize,
    },
    /// More synchronisation sources than the limits allow.
    #[error("more than {limit} synchronisation sources")]
    TooManySources {
        /// The limit.
        limit: usize,
    },
    /// More finished access units wait than the limits allow.
    #[error("{limit} access units wait to be taken")]
    QueueFull {
        /// The limit.
        limit: usize,
    },
    /// The packet was seen before, or is older than what has been given out.
    #[error("duplicate or late packet")]
    Stale,
}

/// Why a PACSI NAL unit or a Microsoft SEI message was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PacsiError {
    /// The unit ends inside a field.
    #[error("ends inside the field at octet {at}")]
    Truncated {
        /// Offset of the field.
        at: usize,
    },
    /// The unit is not of type 30.
    #[error("not a PACSI NAL unit")]
    WrongType,
    /// A field has a value that cannot be meant.
    #[error("{field} is out of range at octet {at}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// Offset of the field.
        at: usize,
    },
}
