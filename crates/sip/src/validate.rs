//! What a strict element checks before it serves a message.

use crate::error::{HeaderError, ParseError, ParseErrorKind};
use crate::header_name::HeaderName;
use crate::headers::Selector;
use crate::message::{Message, StartLine};
use crate::method::{Method, StatusCode};
use crate::typed::MAGIC_COOKIE;

impl Message<'_> {
    /// Checks what every request and response must have (RFC 3261 §8.1.1, §8.2): the mandatory
    /// headers once each, the grammar of everything that dialogs and routing are made of, and that
    /// CSeq names the method of the request. Neither a From tag nor Max-Forwards nor a Via branch is
    /// asked for: RFC 2543 peers, and Lync's, send none.
    ///
    /// ```
    /// use linkspan_sip::{Message, ParseErrorKind, StatusCode};
    ///
    /// let message = Message::parse(b"OPTIONS sip:a@example.com SIP/2.0\r\n\r\n").unwrap();
    /// let error = message.validate().unwrap_err();
    /// assert_eq!(error.kind(), ParseErrorKind::Missing("Via"));
    /// assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
    /// ```
    ///
    /// # Errors
    ///
    /// [`ParseError`], whose `status` is what to answer.
    pub fn validate(&self) -> Result<(), ParseError> {
        self.check_mandatory().and_then(|()| self.check_rest())
    }

    fn check_mandatory(&self) -> Result<(), ParseError> {
        let missing = |name: HeaderName| {
            let kind = ParseErrorKind::Missing(name.as_str());
            ParseError::new(kind, self.head().len(), self.is_request())
        };
        let via = self.via().map_err(|error| self.at(HeaderName::Via, error))?;
        let via = via.ok_or_else(|| missing(HeaderName::Via))?;
        if self.is_request() && via.branch() == Some(MAGIC_COOKIE) {
            // RFC 4475 §3.2.1: nothing behind the cookie tells transactions apart.
            let error = HeaderError::new("Via", "a branch behind the cookie", 0);
            return Err(self.at(HeaderName::Via, error));
        }
        for (name, value) in [
            (HeaderName::From, self.from().map(|value| value.is_some())),
            (HeaderName::To, self.to().map(|value| value.is_some())),
            (HeaderName::CallId, self.call_id().map(|value| value.is_some())),
        ] {
            if !value.map_err(|error| self.at(name, error))? {
                return Err(missing(name));
            }
        }
        let cseq = self.cseq().map_err(|error| self.at(HeaderName::CSeq, error))?;
        let cseq = cseq.ok_or_else(|| missing(HeaderName::CSeq))?;
        match self.start_line() {
            StartLine::Request { method, .. } if cseq.method_str() != method => {
                let at = self.header("CSeq").map_or(0, |value| self.offset_of(value));
                Err(ParseError::new(ParseErrorKind::CSeqMethod, at, true))
            }
            _ => Ok(()),
        }
    }

    fn check_rest(&self) -> Result<(), ParseError> {
        let mut seen = 0_u8;
        for (name, at) in self.known_lines() {
            let Some(bit) = SINGLE.iter().position(|&single| single == name) else { continue };
            if seen & (1 << bit) != 0 {
                let kind = ParseErrorKind::Repeated(name.as_str());
                return Err(ParseError::new(kind, at, self.is_request()));
            }
            seen |= 1 << bit;
        }
        for via in self.vias() {
            via.map_err(|error| self.at(HeaderName::Via, error))?;
        }
        if self.header("Contact") != Some("*") {
            for contact in self.contacts() {
                contact.map_err(|error| self.at(HeaderName::Contact, error))?;
            }
        }
        for route in self.routes().chain(self.record_routes()) {
            route.map_err(|error| self.at(HeaderName::Route, error))?;
        }
        self.content_type().map_err(|error| self.at(HeaderName::ContentType, error))?;
        let hops = self.max_forwards().map_err(|error| self.at(HeaderName::MaxForwards, error))?;
        if hops.is_some_and(|hops| hops > 255) {
            let error = HeaderError::new("Max-Forwards", "0 to 255", 0);
            return Err(self.at(HeaderName::MaxForwards, error));
        }
        Ok(())
    }

    /// The error with its place in the message, as far as it is known: that of the first line.
    fn at(&self, name: HeaderName, error: HeaderError) -> ParseError {
        let first = self.values(Selector::known(name)).next();
        let at = first.map_or(0, |value| self.offset_of(value));
        ParseError::new(ParseErrorKind::Header(error), at + error.at, self.is_request())
    }

    /// What a user agent server without extensions answers to this message: 200 where nothing is
    /// wrong, and `None` where it is silent, as to a response, an ACK and a BENOTIFY.
    ///
    /// The order is that of RFC 3261 §8.2: syntax, method, URI scheme, extensions, content.
    ///
    /// ```
    /// use linkspan_sip::{Message, StatusCode};
    ///
    /// let octets = b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
    ///     To: <sip:a@example.com>\r\nFrom: <sip:b@example.com>;tag=1\r\nCall-ID: 1\r\n\
    ///     CSeq: 1 OPTIONS\r\nRequire: magic\r\n\r\n";
    /// let message = Message::parse(octets).unwrap();
    /// assert_eq!(message.strict_answer(), Some(StatusCode::BAD_EXTENSION));
    /// ```
    pub fn strict_answer(&self) -> Option<StatusCode> {
        let method = self.method()?;
        if matches!(method, Method::Ack | Method::Benotify) {
            return None;
        }
        if let Err(error) = self.validate() {
            return error.status();
        }
        Some(self.refusal(&method).unwrap_or(StatusCode::OK))
    }

    fn refusal(&self, method: &Method) -> Option<StatusCode> {
        // RFC 3261 §8.2.1.
        if matches!(method, Method::Other(_) | Method::Negotiate) {
            return Some(StatusCode::METHOD_NOT_ALLOWED);
        }
        // RFC 3261 §8.2.2.1.
        if !self.uri().is_some_and(|uri| uri.is_sip() || uri.is_tel()) {
            return Some(StatusCode::UNSUPPORTED_URI_SCHEME);
        }
        // RFC 3261 §8.2.2.3.
        if self.require().next().is_some() {
            return Some(StatusCode::BAD_EXTENSION);
        }
        if *method != Method::Invite {
            return None;
        }
        // RFC 3261 §8.2.3: an optional part is not a reason to refuse.
        let kind = self.content_type().ok().flatten().map(media_type);
        let known = |kind: &str| {
            kind.eq_ignore_ascii_case("application/sdp")
                || kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
        };
        let disposition = self.header("Content-Disposition").unwrap_or("");
        let optional = disposition.to_ascii_lowercase().contains("handling=optional");
        if !self.body().is_empty() && !optional && kind.is_some_and(|kind| !known(kind)) {
            return Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let sdp = ["application/sdp", "application/*", "*/*"];
        let mut accepts = self.accept().peekable();
        let refuses = accepts.peek().is_some()
            && !accepts
                .any(|kind| sdp.iter().any(|sdp| sdp.eq_ignore_ascii_case(media_type(kind))));
        refuses.then_some(StatusCode::NOT_ACCEPTABLE)
    }
}

fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or("").trim()
}

/// Headers of which a second line makes a message ambiguous.
const SINGLE: [HeaderName; 6] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::ContentType,
];
