//! Building responses and the parts that requests share.

use crate::headers::Headers;
use crate::method::StatusCode;
use crate::request::{Body, Request, Response};

impl Request {
    /// A response to this request: Via, From, To, Call-ID and CSeq as they came
    /// (RFC 3261 §8.2.6.2), the To with `to_tag` where it has none and the response is no 100.
    ///
    /// ```
    /// use linkspan_sip::{Method, Request, StatusCode};
    ///
    /// let mut request = Request::new(Method::Options, "sip:example.com".parse().unwrap());
    /// request.headers.push("To", "<sip:example.com>");
    /// let response = request.response(StatusCode::OK, "9c");
    /// assert_eq!(response.headers.first("To"), Some("<sip:example.com>;tag=9c"));
    /// ```
    pub fn response(&self, status: StatusCode, to_tag: &str) -> Response {
        respond(&self.headers, status, to_tag)
    }
}

pub(super) fn respond(request: &Headers, status: StatusCode, to_tag: &str) -> Response {
    let mut response = Response::new(status);
    for (name, value) in ["Via", "From", "To", "Call-ID", "CSeq"]
        .iter()
        .flat_map(|&name| request.all(name).map(move |value| (name, value)))
    {
        let tagged = match name {
            "To" if status != StatusCode::TRYING => with_tag(request, value, to_tag),
            _ => None,
        };
        response.headers.push(name, tagged.as_deref().unwrap_or(value));
    }
    if status == StatusCode::TRYING
        && let Some(timestamp) = request.first("Timestamp")
    {
        response.headers.push("Timestamp", timestamp);
    }
    response
}

fn with_tag(request: &Headers, to: &str, tag: &str) -> Option<String> {
    match request.to() {
        Ok(Some(address)) if address.tag().is_some() => None,
        // Even a To that is malformed gets one: the response has to be told from a retransmission.
        Err(_) if to.contains(";tag=") => None,
        _ => Some(format!("{to};tag={tag}")),
    }
}

/// Adds what the application wants said; its headers replace ours of the same name, save those
/// that make the message what it is.
pub(super) fn merge(own: &mut Headers, application: &Headers, body: Option<Body>) -> bytes::Bytes {
    const OURS: [&str; 7] =
        ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length", "Max-Forwards"];
    let mut replaced: Vec<&str> = Vec::new();
    for (name, value) in application.iter() {
        if OURS.iter().any(|ours| same(ours, name)) {
            continue;
        }
        if is_single(name) && !replaced.iter().any(|done| same(done, name)) {
            own.remove(name);
            replaced.push(name);
        }
        own.push(name, value);
    }
    match body {
        Some(body) => {
            own.set("Content-Type", &body.content_type);
            body.bytes
        }
        None => bytes::Bytes::new(),
    }
}

/// Headers of ours that an application's take the place of.
fn is_single(name: &str) -> bool {
    const SINGLE: [&str; 9] = [
        "Contact",
        "User-Agent",
        "Server",
        "Allow",
        "Supported",
        "Require",
        "Session-Expires",
        "Min-SE",
        "Content-Type",
    ];
    SINGLE.iter().any(|single| same(single, name))
}

fn same(a: &str, b: &str) -> bool {
    let known = crate::header_name::HeaderName::find;
    match (known(a), known(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}
