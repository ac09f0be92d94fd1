//! Answering what is malformed.

use bytes::Bytes;

use crate::error::ParseError;
use crate::header_name::HeaderName;
use crate::headers::Headers;
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::path::{Path, Received, Transmit};
use crate::request::Response;
use crate::transaction::TransactionId;
use crate::ua::build::respond;
use crate::ua::{RefusedError, UaEvent, UserAgent};

impl UserAgent {
    /// Octets that are no message: answered with what can be salvaged from them.
    pub(super) fn refuse_malformed(&mut self, input: Received<'_>, error: ParseError) {
        let headers = salvage(input.payload);
        let ack = input.payload.starts_with(b"ACK ") || input.payload.starts_with(b"BENOTIFY ");
        if let Some(status) = error.status().filter(|_| !ack && headers.contains("Via")) {
            let tag = self.draw_token();
            let response = self.own_response(respond(&headers, status, &tag), error);
            self.transmits.push_back(Transmit { path: input.path, payload: response });
        }
        self.emit(UaEvent::Refused { path: input.path, error: error.into() });
    }

    /// A message whose headers are not sound.
    pub(super) fn refuse_invalid(&mut self, message: &Message<'_>, path: Path, error: ParseError) {
        let answerable = !matches!(message.method_str(), Some("ACK" | "BENOTIFY"));
        if let Some(status) =
            error.status().filter(|_| answerable && message.header("Via").is_some())
        {
            let tag = self.draw_token();
            let response = respond(&message.to_headers(), status, &tag);
            let payload = self.own_response(response, error);
            self.transmits.push_back(Transmit { path, payload });
        }
        self.emit(UaEvent::Refused { path, error: error.into() });
    }

    /// A sound request that the engine answers by itself, through its transaction.
    pub(super) fn refuse(
        &mut self,
        message: &Message<'_>,
        transaction: TransactionId,
        path: Path,
        status: StatusCode,
        now: std::time::Instant,
    ) {
        self.answer(message, transaction, status, &Headers::new(), now);
        self.emit(UaEvent::Refused { path, error: RefusedError::Answered(status) });
    }

    /// Answers a request by itself, with our usual headers and `extra`.
    pub(super) fn answer(
        &mut self,
        message: &Message<'_>,
        transaction: TransactionId,
        status: StatusCode,
        extra: &Headers,
        now: std::time::Instant,
    ) {
        let tag = self.draw_token();
        let mut response = respond(&message.to_headers(), status, &tag);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers.push("Allow", self.allow());
        }
        if !self.config.product.is_empty() {
            response.headers.push("Server", &self.config.product);
        }
        response.headers.extend(extra);
        self.transactions.respond(transaction, status, response.to_bytes(), now);
        self.flush();
    }

    fn own_response(&self, mut response: Response, error: ParseError) -> Bytes {
        if !self.config.product.is_empty() {
            response.headers.push("Server", &self.config.product);
        }
        // RFC 3261 §21.4.1: the phrase says what was wrong.
        if response.status == StatusCode::BAD_REQUEST {
            response.reason = format!("Bad Request ({error})");
        }
        response.to_bytes()
    }

    /// Whether requests of this method are served at all.
    pub(super) fn allows(&self, method: &Method) -> bool {
        matches!(method, Method::Benotify) || self.config.allow.contains(method)
    }
}

/// The headers that a response repeats, from octets that may be no message at all.
fn salvage(octets: &[u8]) -> Headers {
    const REPEATED: [HeaderName; 5] =
        [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];
    let mut headers = Headers::new();
    let head = octets.get(..octets.len().min(SALVAGED)).unwrap_or(octets);
    let text = String::from_utf8_lossy(head);
    for line in text.split("\r\n").skip(1).take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if HeaderName::find(name.trim_end()).is_some_and(|name| REPEATED.contains(&name)) {
            headers.push(name.trim_end(), value);
        }
    }
    headers
}

/// Octets that are searched for headers.
const SALVAGED: usize = 8192;
