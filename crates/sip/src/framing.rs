//! Cutting a byte stream into messages.

use bytes::{Bytes, BytesMut};

use crate::lex;
use crate::limits::Limits;

/// Cuts the bytes of one TCP or TLS connection into messages (RFC 3261 §18.3) and keep-alives
/// (RFC 5626 §3.5.1).
///
/// ```
/// use linkspan_sip::{Frame, Limits, StreamFramer};
///
/// let mut framer = StreamFramer::new(Limits::default());
/// framer.push(b"\r\n\r\nSIP/2.0 200 OK\r\nl: 2\r\n\r\n").unwrap();
/// assert_eq!(framer.poll_frame(), Ok(Some(Frame::KeepAlive)));
/// assert_eq!(framer.poll_frame(), Ok(None));
/// framer.push(b"hi").unwrap();
/// assert!(matches!(framer.poll_frame(), Ok(Some(Frame::Message(message))) if message.ends_with(b"hi")));
/// ```
///
/// After a [`FrameError`] the place of the next message is unknown: every later call returns the
/// same error, and the connection has to be closed.
#[derive(Clone, Debug)]
pub struct StreamFramer {
    limits: Limits,
    buffer: BytesMut,
    /// Octets that were searched for the end of the headers already.
    searched: usize,
    /// Octets of the message whose headers are whole.
    total: Option<usize>,
    failed: Option<FrameError>,
}

/// What a [`StreamFramer`] found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// One message, whole.
    Message(Bytes),
    /// A double CRLF between messages. RFC 5626 answers it with one CRLF; Lync expects nothing.
    KeepAlive,
    /// A single CRLF between messages: RFC 5626's answer.
    Pong,
}

/// The buffer of a [`StreamFramer`] is full: take its frames first, or give the connection up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more than {limit} octets wait in the framer")]
pub struct LimitError {
    /// Octets that may wait.
    pub limit: usize,
}

/// Why a stream cannot be cut any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The headers exceed [`Limits::head`].
    #[error("headers longer than {limit} octets")]
    HeadTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Headers and announced body exceed [`Limits::message`].
    #[error("message longer than {limit} octets")]
    MessageTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Content-Length is not one number.
    #[error("malformed Content-Length at octet {at}")]
    ContentLength {
        /// Offset of the line from the start of the message.
        at: usize,
    },
    /// Not the start of a SIP message.
    #[error("no start line")]
    NotSip,
}

impl StreamFramer {
    /// A framer for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: BytesMut::new(), searched: 0, total: None, failed: None }
    }

    /// Appends what was read.
    ///
    /// # Errors
    ///
    /// [`LimitError`] where more than two messages of the largest size would wait.
    pub fn push(&mut self, octets: &[u8]) -> Result<(), LimitError> {
        let limit = self.limits.message.saturating_mul(2);
        if self.buffer.len().saturating_add(octets.len()) > limit {
            return Err(LimitError { limit });
        }
        self.buffer.extend_from_slice(octets);
        Ok(())
    }

    /// The next message or keep-alive that is whole.
    ///
    /// # Errors
    ///
    /// [`FrameError`] where the stream has lost its frame. A head that is whole, with what is wrong
    /// in it, can be had from [`StreamFramer::rejected`].
    pub fn poll_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.cut().inspect_err(|&error| self.failed = Some(error))
    }

    /// The octets that a failed framer stopped at, for a 400 and for logs.
    pub fn rejected(&self) -> &[u8] {
        if self.failed.is_some() { &self.buffer } else { &[] }
    }

    /// Octets that wait.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(frame) = self.cut_keep_alive() {
            return Ok(Some(frame));
        }
        match self.buffer.first() {
            None | Some(b'\r') => return Ok(None),
            // RFC 3261 §7: a token or "SIP/" starts every message.
            Some(&octet) if !lex::is(octet, lex::TOKEN) => return Err(FrameError::NotSip),
            Some(_) => {}
        }
        let total = match self.total {
            Some(total) => total,
            None => {
                let Some(head) = self.head_length()? else { return Ok(None) };
                let body = content_length(self.buffer.get(..head).unwrap_or(&[]))?;
                let limit = self.limits.message;
                let total = head.checked_add(body).filter(|&total| total <= limit);
                total.ok_or(FrameError::MessageTooLarge { limit })?
            }
        };
        self.total = Some(total);
        if self.buffer.len() < total {
            return Ok(None);
        }
        self.searched = 0;
        self.total = None;
        Ok(Some(Frame::Message(self.buffer.split_to(total).freeze())))
    }

    /// RFC 5626 §4.4.1 and RFC 3261 §7.5: CRLF before a start line.
    fn cut_keep_alive(&mut self) -> Option<Frame> {
        if self.buffer.starts_with(b"\r\n\r\n") {
            let _ = self.buffer.split_to(4);
            return Some(Frame::KeepAlive);
        }
        // A single CRLF is known as one only when what follows is no second one.
        let next = self.buffer.get(2)?;
        let next_but_one = self.buffer.get(3);
        if self.buffer.starts_with(b"\r\n") && (*next != b'\r' || next_but_one.is_some()) {
            let _ = self.buffer.split_to(2);
            return Some(Frame::Pong);
        }
        None
    }

    /// Octets up to and with the empty line, found as [`Message`](crate::Message) finds it.
    fn head_length(&mut self) -> Result<Option<usize>, FrameError> {
        let limit = self.limits.head;
        loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or(&[]);
            let Some(feed) = memchr::memchr(b'\n', unseen).map(|at| self.searched + at) else {
                self.searched = self.buffer.len();
                break;
            };
            let head = match self.buffer.get(feed + 1..).unwrap_or(&[]) {
                [b'\n', ..] => Some(feed + 2),
                [b'\r', b'\n', ..] => Some(feed + 3),
                [] | [b'\r'] => {
                    // The next octets decide.
                    self.searched = feed;
                    break;
                }
                _ => None,
            };
            self.searched = feed + 1;
            match head {
                Some(head) if head <= limit => return Ok(Some(head)),
                Some(_) => return Err(FrameError::HeadTooLarge { limit }),
                None => {}
            }
        }
        let late = self.buffer.len() > limit;
        if late { Err(FrameError::HeadTooLarge { limit }) } else { Ok(None) }
    }
}

/// RFC 3261 §18.3: on a stream a missing Content-Length leaves no body.
fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut found = None;
    let mut at = memchr::memchr(b'\n', head).map_or(head.len(), |end| end + 1);
    while let Some(rest) = head.get(at..).filter(|rest| !rest.is_empty()) {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = rest.get(..end).unwrap_or(rest);
        if matches!(line.first(), Some(b'l' | b'L' | b'c' | b'C'))
            && let Some(value) = length_value(line, rest)
        {
            let len = core::str::from_utf8(value).ok().map(lex::trim).and_then(lex::number);
            let len = len.filter(|&len| found.is_none_or(|found| found == len));
            found = Some(len.ok_or(FrameError::ContentLength { at })?);
        }
        at += end;
    }
    Ok(found.unwrap_or(0))
}

/// The value of a Content-Length line, folds included.
fn length_value<'a>(line: &[u8], rest: &'a [u8]) -> Option<&'a [u8]> {
    let colon = memchr::memchr(b':', line)?;
    let name = core::str::from_utf8(line.get(..colon)?).ok()?.trim_end_matches([' ', '\t']);
    if !name.eq_ignore_ascii_case("l") && !name.eq_ignore_ascii_case("Content-Length") {
        return None;
    }
    let mut end = colon + 1;
    loop {
        end += memchr::memchr(b'\n', rest.get(end..)?)? + 1;
        if !matches!(rest.get(end), Some(b' ' | b'\t')) {
            return rest.get(colon + 1..end);
        }
    }
}
