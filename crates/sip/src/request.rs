//! Messages to build and to keep.

use bytes::Bytes;

use crate::header_name::HeaderName;
use crate::headers::{Headers, Selector};
use crate::method::{Method, StatusCode};
use crate::uri::Uri;

/// A request.
///
/// ```
/// use linkspan_sip::{Message, Method, Request};
///
/// let mut request = Request::new(Method::Options, "sip:example.com".parse().unwrap());
/// request.headers.push("Call-ID", "7@example.com");
/// let octets = request.to_bytes();
/// assert!(octets.ends_with(b"Content-Length: 0\r\n\r\n"));
/// assert_eq!(Message::parse(&octets).unwrap().header("i"), Some("7@example.com"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// The header lines.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, headers: Headers::new(), body: Bytes::new() }
    }

    /// Appends the message to `out`. A right Content-Length stays as it is; a wrong or missing one
    /// is replaced.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.headers.room() + self.body.len() + self.uri.as_str().len() + 64);
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.uri.as_str().as_bytes());
        out.extend_from_slice(b" SIP/2.0");
        write_rest(&self.headers, &self.body, out);
    }

    /// The octets of the message.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.write(&mut out);
        out.into()
    }

    /// Sets the body and its Content-Type.
    pub fn set_body(&mut self, body: Body) {
        self.headers.set("Content-Type", &body.content_type);
        self.body = body.bytes;
    }

    /// The body with its type, where there is one.
    pub fn to_body(&self) -> Option<Body> {
        to_body(&self.headers, &self.body)
    }
}

/// A response.
///
/// ```
/// use linkspan_sip::{Response, StatusCode};
///
/// let response = Response::new(StatusCode::BUSY_HERE);
/// assert_eq!(response.reason, "Busy Here");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The reason phrase.
    pub reason: String,
    /// The header lines.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// Whether a peer sent it.
    pub origin: Origin,
}

/// Who made a [`Response`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// It was received.
    Received,
    /// It was built here.
    #[default]
    Local,
    /// It stands for a timeout: no response came (RFC 3261 §8.1.3.1: treat as 408).
    Timeout,
    /// It stands for a failed transport (RFC 3261 §8.1.3.1: treat as 503).
    TransportFailure,
}

impl Response {
    /// A response with the usual phrase and no headers.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            reason: status.reason().to_owned(),
            headers: Headers::new(),
            body: Bytes::new(),
            origin: Origin::Local,
        }
    }

    /// Appends the message to `out`, with Content-Length as [`Request::write`] does.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(self.headers.room() + self.body.len() + self.reason.len() + 64);
        out.extend_from_slice(b"SIP/2.0 ");
        out.extend_from_slice(self.status.to_string().as_bytes());
        out.push(b' ');
        // A phrase must not end its line.
        out.extend(self.reason.bytes().map(|octet| match octet {
            b'\r' | b'\n' => b' ',
            octet => octet,
        }));
        write_rest(&self.headers, &self.body, out);
    }

    /// The octets of the message.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.write(&mut out);
        out.into()
    }

    /// Sets the body and its Content-Type.
    pub fn set_body(&mut self, body: Body) {
        self.headers.set("Content-Type", &body.content_type);
        self.body = body.bytes;
    }

    /// The body with its type, where there is one.
    pub fn to_body(&self) -> Option<Body> {
        to_body(&self.headers, &self.body)
    }
}

/// A body and its Content-Type.
///
/// ```
/// use linkspan_sip::Body;
///
/// let sdp = Body::sdp("v=0\r\n");
/// assert_eq!(sdp.content_type, "application/sdp");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Body {
    /// The value of Content-Type.
    pub content_type: String,
    /// The octets.
    pub bytes: Bytes,
}

impl Body {
    /// A body of any type.
    pub fn new(content_type: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { content_type: content_type.into(), bytes: bytes.into() }
    }

    /// What a NOTIFY says of a REFER (RFC 3515 §2.4.5): a status line.
    ///
    /// ```
    /// use linkspan_sip::{Body, StatusCode};
    ///
    /// let body = Body::sipfrag(StatusCode::RINGING);
    /// assert_eq!(&body.bytes[..], b"SIP/2.0 180 Ringing\r\n");
    /// assert_eq!(body.sipfrag_status(), Some(StatusCode::RINGING));
    /// ```
    pub fn sipfrag(status: StatusCode) -> Self {
        let line = format!("SIP/2.0 {status} {}\r\n", status.reason());
        Self::new("message/sipfrag;version=2.0", line)
    }

    /// The status of a sipfrag that is a response (RFC 3420).
    pub fn sipfrag_status(&self) -> Option<StatusCode> {
        let kind = self.content_type.split(';').next().unwrap_or("").trim();
        let rest = self.bytes.strip_prefix(b"SIP/2.0 ")?;
        let code = core::str::from_utf8(rest.get(..3)?).ok()?;
        let status = StatusCode::new(crate::lex::number(code)?)?;
        kind.eq_ignore_ascii_case("message/sipfrag").then_some(status)
    }

    /// A session description.
    pub fn sdp(text: impl Into<String>) -> Self {
        Self::new("application/sdp", text.into())
    }
}

fn to_body(headers: &Headers, body: &Bytes) -> Option<Body> {
    if body.is_empty() {
        return None;
    }
    let content_type = headers.first("Content-Type").unwrap_or("application/octet-stream");
    Some(Body::new(content_type, body.clone()))
}

fn write_rest(headers: &Headers, body: &Bytes, out: &mut Vec<u8>) {
    let [start_line_end, empty_line] = headers.line_ends();
    out.extend_from_slice(start_line_end);
    // What nobody touched is right as it is. A datagram may do without a Content-Length
    // (RFC 3261 §20.14), and then stays so.
    if let Some(lines) = headers.as_received_with(body.len()) {
        out.extend_from_slice(lines.as_bytes());
    } else {
        let mut lengths = headers.all("Content-Length");
        let sound = match (lengths.next(), lengths.next()) {
            (Some(len), None) => crate::lex::number(len) == Some(body.len()),
            _ => false,
        };
        if sound {
            headers.write(out);
        } else {
            headers.write_except(out, Some(Selector::known(HeaderName::ContentLength)));
            out.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
    }
    out.extend_from_slice(empty_line);
    out.extend_from_slice(body);
}
