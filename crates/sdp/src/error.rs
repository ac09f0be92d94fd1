//! What can be wrong with a description or with the value of an attribute.

/// Why a description was refused. Offsets count octets from the start of the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The description is longer than [`Limits::description`](crate::Limits::description).
    #[error("description is longer than {limit} octets")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// More lines than [`Limits::lines`](crate::Limits::lines).
    #[error("more than {limit} lines at octet {at}")]
    TooManyLines {
        /// The limit.
        limit: usize,
        /// Where the first surplus line begins.
        at: usize,
    },
    /// More media sections than [`Limits::media`](crate::Limits::media).
    #[error("more than {limit} media sections at octet {at}")]
    TooManyMedia {
        /// The limit.
        limit: usize,
        /// Where the first surplus section begins.
        at: usize,
    },
    /// RFC 8866 §5: the description is text in UTF-8.
    #[error("not UTF-8 at octet {at}")]
    NotUtf8 {
        /// The first octet that is not.
        at: usize,
    },
    /// RFC 8866 §9: NUL is in no `byte-string`.
    #[error("NUL at octet {at}")]
    Nul {
        /// Where it is.
        at: usize,
    },
    /// RFC 8866 §5: a line is one letter, `=` and a value.
    #[error("line at octet {at} is not of the form x=value")]
    Line {
        /// Where the line begins.
        at: usize,
    },
    /// A line that has to be there is not.
    #[error("{line}= line is missing")]
    Missing {
        /// The letter of the line.
        line: char,
    },
    /// A value does not follow the grammar of its line.
    #[error("malformed {line}= line at octet {at}: expected {expected}")]
    Value {
        /// The letter of the line.
        line: char,
        /// Where the offending part begins.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
}

/// Why the value of an attribute was refused. The offset counts from the start of the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {expected} at octet {at} of the {attribute} value")]
#[non_exhaustive]
pub struct AttributeError {
    /// Name of the attribute.
    pub attribute: &'static str,
    /// Where in the value.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

impl AttributeError {
    pub(crate) const fn new(attribute: &'static str, at: usize, expected: &'static str) -> Self {
        Self { attribute, at, expected }
    }
}
