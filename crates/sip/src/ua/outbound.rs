//! Sending requests.

use std::time::Instant;

use crate::dialog::Dialog;
use crate::headers::Headers;
use crate::method::Method;
use crate::name_addr::NameAddr;
use crate::path::{Path, Transmit};
use crate::request::{Body, Request};
use crate::transaction::TransactionId;
use crate::ua::build::merge;
use crate::ua::{UserAgent, VerbError};
use crate::uri::Uri;

/// A call to place.
///
/// ```
/// use linkspan_sip::{NameAddr, OutgoingInvite, Path, Transport};
///
/// let path = Path::new(Transport::Tcp, "192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
/// let alice: NameAddr = "\"Alice\" <sip:alice@example.com>;epid=d2ff665153".parse().unwrap();
/// let contact = "<sip:alice@192.0.2.1;transport=tcp>".parse().unwrap();
/// let invite = OutgoingInvite::new(path, "sip:bob@example.com".parse().unwrap(), alice, contact);
/// assert_eq!(invite.to.uri, "sip:bob@example.com".parse().unwrap());
/// ```
#[derive(Clone, Debug)]
pub struct OutgoingInvite {
    /// The way to the first hop.
    pub path: Path,
    /// The Request-URI.
    pub uri: Uri,
    /// From; its tag is drawn by the engine, an epid is kept.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Contact.
    pub contact: NameAddr,
    /// Route, first hop first.
    pub routes: Vec<NameAddr>,
    /// Call-ID; drawn by the engine where it is `None`.
    pub call_id: Option<String>,
    /// Further headers; a `Max-Forwards` among them takes the place of 70.
    pub headers: Headers,
    /// The offer.
    pub body: Option<Body>,
}

impl OutgoingInvite {
    /// A call to `uri`, which is To as well, without routes, further headers and offer.
    pub fn new(path: Path, uri: Uri, from: NameAddr, contact: NameAddr) -> Self {
        Self {
            path,
            to: NameAddr::new(uri.clone()),
            uri,
            from,
            contact,
            routes: Vec::new(),
            call_id: None,
            headers: Headers::new(),
            body: None,
        }
    }

    /// The INVITE, without what the engine adds.
    pub(super) fn into_request(self, call_id: &str, tag: &str) -> (Request, Headers, Option<Body>) {
        let mut request = Request::new(Method::Invite, self.uri);
        for route in &self.routes {
            request.headers.push("Route", route.to_string());
        }
        let mut from = self.from;
        from.set_tag(tag);
        let mut to = self.to;
        to.params.remove("tag");
        request.headers.push("From", from.to_string());
        request.headers.push("To", to.to_string());
        request.headers.push("Call-ID", call_id);
        request.headers.push("CSeq", "1 INVITE");
        request.headers.push("Max-Forwards", "70");
        request.headers.push("Contact", self.contact.to_string());
        (request, self.headers, self.body)
    }
}

impl UserAgent {
    /// Adds Via, our usual headers and the application's, and opens the transaction.
    pub(super) fn send_request(
        &mut self,
        request: &mut Request,
        path: Path,
        now: Instant,
    ) -> Result<TransactionId, VerbError> {
        let via = self.draw_via(&path);
        request.headers.push_front("Via", via);
        let id = self.transactions.request(request.to_bytes(), path, now);
        self.flush();
        id.ok_or(VerbError::Limit)
    }

    pub(super) fn draw_via(&mut self, path: &Path) -> String {
        let branch = self.draw_token();
        let host = match &self.config.sent_by {
            Some(host) => format!("{host}:{}", path.local.port()),
            None => path.local.to_string(),
        };
        // RFC 3581: the response finds its way back through a NAT.
        let rport = if path.transport.is_reliable() { "" } else { ";rport" };
        format!("SIP/2.0/{} {host};branch=z9hG4bK{branch}{rport}", path.transport.via_token())
    }

    /// The request of a dialog, complete but for its Via.
    pub(super) fn complete(&self, request: &mut Request, headers: &Headers, body: Option<Body>) {
        let method = &request.method;
        if matches!(method, Method::Invite | Method::Update | Method::Refer | Method::Subscribe) {
            request.headers.push("Allow", self.allow());
            if !self.config.supported.is_empty() {
                request.headers.push("Supported", self.config.supported.join(", "));
            }
        }
        if !self.config.product.is_empty() {
            request.headers.push("User-Agent", &self.config.product);
        }
        // A back-to-back user agent goes on with the count of what it passes on (RFC 3261 §16.6).
        if let Some(hops) = headers.first("Max-Forwards") {
            request.headers.set("Max-Forwards", hops);
        }
        request.body = merge(&mut request.headers, headers, body);
    }

    pub(super) fn allow(&self) -> String {
        let methods: Vec<&str> = self.config.allow.iter().map(Method::as_str).collect();
        methods.join(", ")
    }

    /// The ACK of a 2xx (RFC 3261 §13.2.2.4): no transaction, a branch of its own.
    pub(super) fn ack_of(
        &mut self,
        dialog: &Dialog,
        cseq: u32,
        headers: &Headers,
        body: Option<Body>,
    ) -> Transmit {
        let path = dialog.next_hop();
        let mut ack = dialog.request_numbered(Method::Ack, cseq);
        let via = self.draw_via(&path);
        ack.headers.push_front("Via", via);
        self.complete(&mut ack, headers, body);
        Transmit { path, payload: ack.to_bytes() }
    }
}
