//! The view over the octets of one message.

use crate::error::{ParseError, ParseErrorKind};
use crate::header_name::{self, HeaderName};
use crate::headers::{Headers, Line, Selector, Values};
use crate::lex;
use crate::limits::Limits;
use crate::method::{Method, StatusCode};
use crate::request::{Request, Response};
use crate::uri::UriRef;

/// A message, borrowed from the octets that arrived. It holds no copy, and up to
/// 64 header lines it allocates nothing; headers are typed when they are asked for.
///
/// ```
/// use linkspan_sip::{Message, Method};
///
/// let octets = b"BYE sip:alice@192.0.2.4 SIP/2.0\r\n\
///     Via: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1\r\n\
///     f: <sip:bob@example.com>;tag=77\r\n\
///     t: <sip:alice@example.com>;tag=42;epid=01ab\r\n\
///     i: 8a7d@example.com\r\n\
///     CSeq: 2 BYE\r\nl: 0\r\n\r\n";
/// let message = Message::parse(octets).unwrap();
/// assert_eq!(message.method(), Some(Method::Bye));
/// assert_eq!(message.to().unwrap().unwrap().tag(), Some("42"));
/// assert_eq!(message.cseq().unwrap().unwrap().number(), 2);
/// message.validate().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Message<'a> {
    octets: &'a [u8],
    head: &'a str,
    start: StartLine<'a>,
    lines: Lines,
    body: &'a [u8],
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StartLine<'a> {
    /// `METHOD uri SIP/2.0`
    Request {
        /// The method, as written.
        method: &'a str,
        /// The Request-URI, as written.
        uri: &'a str,
    },
    /// `SIP/2.0 code reason`
    Response {
        /// The status code.
        status: StatusCode,
        /// The reason phrase, as written.
        reason: &'a str,
    },
}

impl<'a> Message<'a> {
    /// Reads a message that fills a datagram or a frame, within the default [`Limits`].
    ///
    /// Start line, header lines and body length are checked here; the values of the headers when
    /// they are asked for, or all together by [`Message::validate`]. So a message with one broken
    /// header can still be answered. Octets behind the body that Content-Length announces are
    /// ignored (RFC 3261 §18.3).
    ///
    /// # Errors
    ///
    /// [`ParseError`], whose `status` is what to answer.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_within(octets, &Limits::default())
    }

    /// The same within other limits.
    ///
    /// # Errors
    ///
    /// As [`Message::parse`].
    pub fn parse_within(octets: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        // RFC 3261 §7.5: empty lines before the start line are ignored.
        let empty = octets.iter().position(|octet| !matches!(octet, b'\r' | b'\n'));
        let octets = octets.get(empty.unwrap_or(octets.len())..).unwrap_or(&[]);
        let line_end = memchr::memchr(b'\n', octets).unwrap_or(octets.len());
        let line = octets.get(..line_end).unwrap_or(octets);
        let request = !line.starts_with(b"SIP/");
        let fail = |kind, at| ParseError::new(kind, at, request);
        let start_line_at = |_| fail(ParseErrorKind::Encoding, 0);
        let line = core::str::from_utf8(line).map_err(start_line_at)?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let start = if request { request_line(line)? } else { status_line(line)? };
        if octets.len() > limits.message {
            return Err(fail(ParseErrorKind::TooLarge, limits.message));
        }
        let mut lines = Lines::default();
        let head_len =
            scan(octets, line_end + 1, limits, &mut lines).map_err(|(kind, at)| fail(kind, at))?;
        let head = octets.get(..head_len).unwrap_or(octets);
        let head = core::str::from_utf8(head)
            .map_err(|error| fail(ParseErrorKind::Encoding, error.valid_up_to()))?;
        let body = octets.get(head_len..).unwrap_or(&[]);
        let mut message = Self { octets, head, start, lines, body };
        if let Some(len) = message.content_length_checked().map_err(|(kind, at)| fail(kind, at))? {
            message.body =
                body.get(..len).ok_or_else(|| fail(ParseErrorKind::Truncated, octets.len()))?;
        }
        Ok(message)
    }

    /// Content-Length: repeated lines must agree (RFC 4475 §3.3.9).
    fn content_length_checked(&self) -> Result<Option<usize>, (ParseErrorKind, usize)> {
        let mut found = None;
        let selector = Selector::known(HeaderName::ContentLength);
        for line in self.lines.as_slice() {
            if !selector.matches(line, self.head) {
                continue;
            }
            let at = line.value_start as usize;
            let len = lex::number::<usize>(line.value_in(self.head))
                .filter(|&len| found.is_none_or(|found| found == len))
                .ok_or((ParseErrorKind::ContentLength, at))?;
            found = Some(len);
        }
        Ok(found)
    }

    /// The octets of the message: start line, headers and body, as received.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.octets.get(..self.head.len() + self.body.len()).unwrap_or(self.octets)
    }

    /// Start line and headers with the empty line, as received.
    pub fn head(&self) -> &'a str {
        self.head
    }

    /// The first line.
    pub fn start_line(&self) -> StartLine<'a> {
        self.start
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method of a request.
    pub fn method(&self) -> Option<Method> {
        self.method_str().map(Method::from)
    }

    /// The method of a request, as written.
    pub fn method_str(&self) -> Option<&'a str> {
        match self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The Request-URI.
    pub fn uri(&self) -> Option<UriRef<'a>> {
        match self.start {
            StartLine::Request { uri, .. } => UriRef::parse(uri).ok(),
            StartLine::Response { .. } => None,
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<StatusCode> {
        match self.start {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. } => None,
        }
    }

    /// The reason phrase of a response.
    pub fn reason(&self) -> Option<&'a str> {
        match self.start {
            StartLine::Response { reason, .. } => Some(reason),
            StartLine::Request { .. } => None,
        }
    }

    /// `(name, value)` of every header line in order, as received.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        let head = self.head;
        self.lines.as_slice().iter().map(move |line| (line.name_in(head), line.value_in(head)))
    }

    /// The value of the first line of that name, long or compact, in any case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        Values::new(self.head, self.lines.as_slice(), Selector::new(name)).next()
    }

    /// The values of every line of that name, in order.
    pub fn header_all<'s>(&'s self, name: &'s str) -> Values<'s, 'a> {
        self.values(Selector::new(name))
    }

    /// The body, as long as Content-Length says.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// An owned request; `None` for a response.
    pub fn to_request(&self) -> Option<Request> {
        let StartLine::Request { method, uri } = self.start else { return None };
        Some(Request {
            method: Method::from(method),
            uri: UriRef::parse(uri).ok()?.to_uri(),
            headers: self.to_headers(),
            body: bytes::Bytes::copy_from_slice(self.body),
        })
    }

    /// An owned response; `None` for a request.
    pub fn to_response(&self) -> Option<Response> {
        let StartLine::Response { status, reason } = self.start else { return None };
        Some(Response {
            status,
            reason: reason.to_owned(),
            headers: self.to_headers(),
            body: bytes::Bytes::copy_from_slice(self.body),
            origin: crate::request::Origin::Received,
        })
    }

    /// The headers, owned.
    pub fn to_headers(&self) -> Headers {
        Headers::from_lines(self.head, self.lines.as_slice(), self.body.len())
    }

    pub(crate) fn values<'s>(&'s self, selector: Selector<'s>) -> Values<'s, 'a> {
        Values::new(self.head, self.lines.as_slice(), selector)
    }

    /// Name and offset of every line whose name is known.
    pub(crate) fn known_lines(&self) -> impl Iterator<Item = (HeaderName, usize)> + '_ {
        let lines = self.lines.as_slice().iter();
        lines.filter_map(|line| {
            Some((HeaderName::find(line.name_in(self.head))?, line.start as usize))
        })
    }

    /// Offset of a value that was taken from this message.
    pub(crate) fn offset_of(&self, value: &str) -> usize {
        (value.as_ptr() as usize).saturating_sub(self.head.as_ptr() as usize)
    }
}

/// Header lines: the first 64 in place, the rest on the heap.
#[derive(Clone)]
struct Lines {
    count: usize,
    first: [Line; INLINE],
    all: Vec<Line>,
}

const INLINE: usize = 64;

impl Lines {
    fn push(&mut self, line: Line) {
        if let Some(slot) = self.first.get_mut(self.count) {
            *slot = line;
        } else {
            if self.all.is_empty() {
                self.all.extend_from_slice(&self.first);
            }
            self.all.push(line);
        }
        self.count += 1;
    }

    fn as_slice(&self) -> &[Line] {
        if self.all.is_empty() { self.first.get(..self.count).unwrap_or(&[]) } else { &self.all }
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self { count: 0, first: [Line::default(); INLINE], all: Vec::new() }
    }
}

impl core::fmt::Debug for Lines {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} lines", self.count)
    }
}

/// Reads the header lines from `at` on, and says where the body starts.
fn scan(
    octets: &[u8],
    mut at: usize,
    limits: &Limits,
    lines: &mut Lines,
) -> Result<usize, (ParseErrorKind, usize)> {
    loop {
        let rest = octets.get(at..).unwrap_or(&[]);
        match rest {
            [b'\r', b'\n', ..] => return Ok(at + 2),
            [b'\n', ..] => return Ok(at + 1),
            _ => {}
        }
        if rest.is_empty() {
            return Err((ParseErrorKind::NoEnd, at));
        }
        let end = line_end(octets, at)?;
        if end > limits.head {
            return Err((ParseErrorKind::TooLarge, limits.head));
        }
        if lines.count == limits.headers {
            return Err((ParseErrorKind::TooManyHeaders, at));
        }
        lines.push(header_line(octets, at, end)?);
        at = end;
    }
}

/// Behind the line end of the line at `at`; a line end before whitespace is a fold. Where CR is
/// missing from the CRLF of RFC 3261 §7, LF ends the line: some devices send no other.
fn line_end(octets: &[u8], at: usize) -> Result<usize, (ParseErrorKind, usize)> {
    let mut from = at;
    loop {
        let rest = octets.get(from..).unwrap_or(&[]);
        let feed = memchr::memchr(b'\n', rest).ok_or((ParseErrorKind::NoEnd, octets.len()))?;
        let feed = from + feed;
        if !matches!(octets.get(feed + 1), Some(b' ' | b'\t')) {
            return Ok(feed + 1);
        }
        from = feed + 1;
    }
}

fn header_line(octets: &[u8], at: usize, end: usize) -> Result<Line, (ParseErrorKind, usize)> {
    let fail = |at| (ParseErrorKind::HeaderLine, at);
    let line = octets.get(at..end).unwrap_or(&[]);
    let name_len = lex::name_length(line);
    let name = line.get(..name_len).unwrap_or(&[]);
    if name.is_empty() {
        return Err(fail(at));
    }
    let (value_start, value_end) = match line.get(name_len..).unwrap_or(&[]) {
        // How almost all lines are written.
        [b':', b' ', first, .., last, b'\r', b'\n'] if *first > b' ' && *last > b' ' => {
            (name_len + 2, line.len() - 2)
        }
        _ => value_range(line, name_len).map_err(|colon| fail(at + colon))?,
    };
    let offset = |within: usize| u32::try_from(at + within).map_err(|_| fail(at));
    Ok(Line {
        start: offset(0)?,
        value_start: offset(value_start)?,
        value_end: offset(value_end)?,
        trail: u16::try_from(line.len() - value_end).map_err(|_| fail(end))?,
        name_len: u8::try_from(name_len).map_err(|_| fail(at))?,
        hash: header_name::hash(name),
    })
}

/// Where the value starts and ends; `Err` with the place where a colon should be.
fn value_range(line: &[u8], name_len: usize) -> Result<(usize, usize), usize> {
    let mut colon = name_len;
    // HCOLON = *( SP / HTAB ) ":" SWS
    while matches!(line.get(colon), Some(b' ' | b'\t')) {
        colon += 1;
    }
    if line.get(colon) != Some(&b':') {
        return Err(colon);
    }
    let start = lex::skip(line, colon + 1, lex::LWS);
    let mut end = line.len();
    while end > start && line.get(end - 1).is_some_and(|&octet| lex::is_lws(octet)) {
        end -= 1;
    }
    Ok((start.min(end), end))
}

fn request_line(line: &str) -> Result<StartLine<'_>, ParseError> {
    let fail = |kind, at| ParseError::new(kind, at, true);
    let drop = ParseError::new(ParseErrorKind::StartLine, 0, false);
    let (method, rest) = line.split_once(' ').ok_or(drop)?;
    // RFC 3261 §7.1: single spaces, and none inside the URI. The version is what tells a SIP
    // request from anything else that has words in it.
    let uri_at = method.len() + 1;
    let Some((uri, version)) = rest.rsplit_once(' ') else {
        // A request line of RFC 2543's grammar without its version.
        let sip = UriRef::parse(rest).is_ok_and(|uri| uri.is_sip());
        return Err(if sip { fail(ParseErrorKind::StartLine, uri_at + rest.len()) } else { drop });
    };
    if !starts_with_sip(version) {
        // Trailing space behind the version, RFC 4475 §3.1.2.10.
        let version_at = rest.find("SIP/").map(|at| uri_at + at);
        return Err(match version_at {
            Some(at) => fail(ParseErrorKind::StartLine, at),
            None => drop,
        });
    }
    if !lex::is_token(method) {
        return Err(fail(ParseErrorKind::Method, 0));
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(fail(ParseErrorKind::Version, uri_at + uri.len() + 1));
    }
    let parsed =
        UriRef::parse(uri).map_err(|error| fail(ParseErrorKind::Uri, uri_at + error.at))?;
    // RFC 3261 §19.1.1, table 1: no headers part in a Request-URI.
    if let Some(headers) = parsed.headers() {
        return Err(fail(ParseErrorKind::Uri, uri_at + uri.len() - headers.len()));
    }
    Ok(StartLine::Request { method, uri })
}

fn starts_with_sip(version: &str) -> bool {
    version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
}

fn status_line(line: &str) -> Result<StartLine<'_>, ParseError> {
    let fail = |kind, at| ParseError::new(kind, at, false);
    let rest = line.strip_prefix("SIP/2.0 ").ok_or_else(|| fail(ParseErrorKind::Version, 0))?;
    // A missing space behind the code is seen in the wild where there is no phrase.
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = (code.len() == 3).then(|| lex::number(code)).flatten().and_then(StatusCode::new);
    let status = status.ok_or_else(|| fail(ParseErrorKind::Status, 8))?;
    Ok(StartLine::Response { status, reason })
}
