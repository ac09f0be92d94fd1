//! What can be wrong with a message.

use crate::method::StatusCode;

/// Why a URI, a header value or a parameter was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}: expected {expected} at octet {at}")]
pub struct ValueError {
    /// What was being read: the name of the header or `URI`.
    pub what: &'static str,
    /// What stands there in a sound value.
    pub expected: &'static str,
    /// Offset from the start of the value.
    pub at: usize,
}

impl ValueError {
    pub(crate) const fn new(what: &'static str, expected: &'static str, at: usize) -> Self {
        Self { what, expected, at }
    }

    pub(crate) const fn within(mut self, what: &'static str, at: usize) -> Self {
        self.what = what;
        self.at += at;
        self
    }
}

/// Why a typed header could not be read.
pub type HeaderError = ValueError;

/// Why a message was refused: what, where, and the answer that it deserves.
///
/// ```
/// use linkspan_sip::{Message, StatusCode};
///
/// let error = Message::parse(b"OPTIONS sip:a@example.com SIP/7.0\r\n\r\n").unwrap_err();
/// assert_eq!(error.status(), Some(StatusCode::VERSION_NOT_SUPPORTED));
/// assert_eq!(error.at(), 26);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct ParseError {
    kind: ParseErrorKind,
    at: usize,
    request: bool,
}

impl ParseError {
    pub(crate) const fn new(kind: ParseErrorKind, at: usize, request: bool) -> Self {
        Self { kind, at, request }
    }

    /// What is wrong.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// Offset from the start of the message.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What a strict server answers; `None` where the message is dropped, as every response and
    /// everything that is no SIP at all is.
    pub fn status(&self) -> Option<StatusCode> {
        if !self.request {
            return None;
        }
        Some(match self.kind {
            ParseErrorKind::Version => StatusCode::VERSION_NOT_SUPPORTED,
            ParseErrorKind::Scheme => StatusCode::UNSUPPORTED_URI_SCHEME,
            ParseErrorKind::TooLarge => StatusCode::MESSAGE_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        })
    }
}

/// The kinds of [`ParseError`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Neither a request line nor a status line.
    #[error("no start line")]
    StartLine,
    /// A method that is not a token.
    #[error("malformed method")]
    Method,
    /// A Request-URI that is not one.
    #[error("malformed request URI")]
    Uri,
    /// A Request-URI of a scheme that a SIP server does not serve.
    #[error("unsupported URI scheme")]
    Scheme,
    /// A version other than SIP/2.0.
    #[error("unsupported version")]
    Version,
    /// A status code outside 100 to 699.
    #[error("malformed status code")]
    Status,
    /// A line that is not `name: value`.
    #[error("malformed header line")]
    HeaderLine,
    /// Start line and headers are not UTF-8.
    #[error("headers are not UTF-8")]
    Encoding,
    /// No empty line ends the headers.
    #[error("headers without end")]
    NoEnd,
    /// Content-Length that is not one number.
    #[error("malformed Content-Length")]
    ContentLength,
    /// Content-Length beyond the end of the datagram.
    #[error("body shorter than Content-Length")]
    Truncated,
    /// A limit of [`Limits`](crate::Limits) on octets.
    #[error("message too large")]
    TooLarge,
    /// The limit of [`Limits`](crate::Limits) on header lines.
    #[error("too many header lines")]
    TooManyHeaders,
    /// A mandatory header is missing.
    #[error("missing {0}")]
    Missing(&'static str),
    /// A header that may stand once stands twice.
    #[error("repeated {0}")]
    Repeated(&'static str),
    /// A header whose value does not follow its grammar.
    #[error("malformed {0}")]
    Header(ValueError),
    /// The method of CSeq is not the method of the request.
    #[error("CSeq of another method")]
    CSeqMethod,
}
