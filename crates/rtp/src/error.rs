/// Why octets are not the packet they were taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The input ends inside a field.
    #[error("{what} at octet {at} is cut off")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the input.
        at: usize,
    },
    /// The version field is not 2 (RFC 3550 §5.1).
    #[error("version {found} at octet {at}, expected 2")]
    Version {
        /// The version that was found.
        found: u8,
        /// Offset from the start of the input.
        at: usize,
    },
    /// The padding count is zero or reaches back into the header (RFC 3550 §5.1).
    #[error("bad padding count at octet {at}")]
    Padding {
        /// Offset from the start of the input.
        at: usize,
    },
    /// A length or count field contradicts what follows it.
    #[error("bad length of {what} at octet {at}")]
    Length {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the input.
        at: usize,
    },
    /// A field has a value that its specification forbids.
    #[error("bad value of {what} at octet {at}")]
    Value {
        /// What was being read.
        what: &'static str,
        /// Offset from the start of the input.
        at: usize,
    },
}

/// Why a packet cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A list is longer than its count field can say.
    #[error("more than {max} {what}")]
    TooMany {
        /// The items counted.
        what: &'static str,
        /// The most that fit.
        max: usize,
    },
    /// A field is longer than its length field can say.
    #[error("{what} is too long")]
    TooLong {
        /// The field.
        what: &'static str,
    },
    /// A field has a value or length that its specification forbids.
    #[error("bad value of {what}")]
    Value {
        /// The field.
        what: &'static str,
    },
    /// The caller's buffer is too small.
    #[error("{needed} octets needed")]
    NoRoom {
        /// Octets that the packet takes.
        needed: usize,
    },
}

impl ParseError {
    /// The same error, `by` octets further into the input.
    pub(crate) fn shifted(self, by: usize) -> Self {
        match self {
            Self::Truncated { what, at } => Self::Truncated { what, at: at.saturating_add(by) },
            Self::Version { found, at } => Self::Version { found, at: at.saturating_add(by) },
            Self::Padding { at } => Self::Padding { at: at.saturating_add(by) },
            Self::Length { what, at } => Self::Length { what, at: at.saturating_add(by) },
            Self::Value { what, at } => Self::Value { what, at: at.saturating_add(by) },
        }
    }
}
