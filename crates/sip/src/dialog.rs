//! Dialogs: what two user agents share between requests (RFC 3261 §12).

use crate::headers::Headers;
use crate::method::Method;
use crate::name_addr::{NameAddr, NameAddrRef};
use crate::path::{Path, Transport};
use crate::request::{Request, Response};
use crate::uri::{Uri, UriRef};

/// The state of one dialog, early or confirmed.
///
/// Routes, From and To are kept as they were written: Lync signs its routes, and refuses a
/// request in which one octet differs.
///
/// ```
/// use linkspan_sip::{Dialog, Headers, Method, Path, Request, Response, StatusCode, Transport};
///
/// let mut invite = Request::new(Method::Invite, "sip:bob@example.com".parse().unwrap());
/// for (name, value) in [
///     ("From", "<sip:alice@example.com>;tag=a1"),
///     ("To", "<sip:bob@example.com>"),
///     ("Call-ID", "77@example.com"),
///     ("CSeq", "1 INVITE"),
///     ("Contact", "<sip:alice@192.0.2.1>"),
/// ] {
///     invite.headers.push(name, value);
/// }
/// let mut ok = Response::new(StatusCode::OK);
/// ok.headers.push("To", "<sip:bob@example.com>;tag=b2");
/// ok.headers.push("Contact", "<sip:bob@example.com;opaque=user:epid:JLcBefPLmVK_0A;gruu>");
/// let path = Path::new(Transport::Tcp, "192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
///
/// let mut dialog = Dialog::from_response(&invite, &ok, path).unwrap();
/// let bye = dialog.request(Method::Bye);
/// assert_eq!(bye.uri.as_str(), "sip:bob@example.com;opaque=user:epid:JLcBefPLmVK_0A;gruu");
/// assert_eq!(bye.headers.first("CSeq"), Some("2 BYE"));
/// ```
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: String,
    local_tag: String,
    remote_tag: String,
    local: String,
    remote: String,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    routes: Vec<String>,
    target: Uri,
    contact: Option<String>,
    path: Path,
}

impl Dialog {
    /// The caller's dialog, from its request and a response with a To tag (RFC 3261 §12.1.2).
    /// `None` where a mandatory value is missing.
    pub fn from_response(request: &Request, response: &Response, path: Path) -> Option<Self> {
        let local = request.headers.first("From")?;
        let remote = response.headers.first("To")?;
        let target = match response.headers.contact() {
            Ok(Some(contact)) => contact.uri().to_uri(),
            // A Contact is mandatory in a 2xx; early responses of many peers lack it.
            _ => request.uri.clone(),
        };
        let mut routes: Vec<String> =
            response.headers.record_routes().raw().map(str::to_owned).collect();
        // §12.1.2: "in reverse order".
        routes.reverse();
        Some(Self {
            call_id: request.headers.first("Call-ID")?.to_owned(),
            local_tag: tag(local)?,
            remote_tag: tag(remote)?,
            local: local.to_owned(),
            remote: remote.to_owned(),
            local_cseq: request.headers.cseq().ok()??.number(),
            remote_cseq: None,
            routes,
            target,
            contact: request.headers.first("Contact").map(str::to_owned),
            path,
        })
    }

    /// The callee's dialog, from the request and the tag of its To (RFC 3261 §12.1.1). An RFC 2543
    /// caller may have no tag.
    pub fn from_request(request: &Request, local_tag: &str, path: Path) -> Option<Self> {
        let remote = request.headers.first("From")?;
        let local = request.headers.first("To")?;
        let local = match tag(local) {
            Some(_) => local.to_owned(),
            None => format!("{local};tag={local_tag}"),
        };
        Some(Self {
            call_id: request.headers.first("Call-ID")?.to_owned(),
            local_tag: local_tag.to_owned(),
            remote_tag: tag(remote).unwrap_or_default(),
            local,
            remote: remote.to_owned(),
            local_cseq: 0,
            remote_cseq: Some(request.headers.cseq().ok()??.number()),
            routes: request.headers.record_routes().raw().map(str::to_owned).collect(),
            target: match request.headers.contact().ok().flatten() {
                Some(contact) => contact.uri().to_uri(),
                // RFC 2543 §6.13: without a Contact, From is where the caller is reached.
                None => request.headers.from().ok()??.uri().to_uri(),
            },
            contact: None,
            path,
        })
    }

    /// Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The peer's tag; empty for an RFC 2543 peer.
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// The peer's Contact.
    pub fn target(&self) -> &Uri {
        &self.target
    }

    /// The route set, as written, first hop first.
    pub fn routes(&self) -> &[String] {
        &self.routes
    }

    /// The number of our last request.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    pub(crate) fn raise_local_cseq(&mut self, cseq: u32) {
        self.local_cseq = self.local_cseq.max(cseq);
    }

    /// The way to the next hop.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Takes another way, as after a lost connection.
    pub fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// Sets the Contact of our requests.
    pub fn set_contact(&mut self, contact: &NameAddr) {
        self.contact = Some(contact.to_string());
    }

    pub(crate) fn set_contact_raw(&mut self, contact: &str) {
        self.contact = Some(contact.to_owned());
    }

    /// The value of Replaces (RFC 3891) with which somebody else, whom the peer or we refer,
    /// takes our place in this dialog: what the peer knows it by.
    pub fn replaces(&self) -> String {
        let zero = |tag: &str| if tag.is_empty() { "0".to_owned() } else { tag.to_owned() };
        let (to, from) = (zero(&self.remote_tag), zero(&self.local_tag));
        format!("{};to-tag={to};from-tag={from}", self.call_id)
    }

    /// Our Contact, as written.
    pub fn contact(&self) -> Option<&str> {
        self.contact.as_deref()
    }

    /// The next request within the dialog, without Via (RFC 3261 §12.2.1.1).
    pub fn request(&mut self, method: Method) -> Request {
        self.local_cseq = self.local_cseq.saturating_add(1);
        self.request_numbered(method, self.local_cseq)
    }

    /// A request with a given number: the ACK of a 2xx, which has that of its INVITE.
    pub fn request_numbered(&self, method: Method, cseq: u32) -> Request {
        let (uri, routes) = self.route();
        let mut request = Request::new(method.clone(), uri);
        for route in routes {
            request.headers.push("Route", route);
        }
        request.headers.push("From", &self.local);
        request.headers.push("To", &self.remote);
        request.headers.push("Call-ID", &self.call_id);
        request.headers.push("CSeq", format!("{cseq} {method}"));
        request.headers.push("Max-Forwards", "70");
        // A Contact stands in what can refresh the target, and in nothing that must not have it.
        let refreshes = matches!(
            method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
        );
        if let Some(contact) = self.contact.as_ref().filter(|_| refreshes) {
            request.headers.push("Contact", contact);
        }
        request
    }

    /// Takes the number of a request that came: `false` where it is older than the last
    /// (RFC 3261 §12.2.2).
    pub fn accept_cseq(&mut self, cseq: u32) -> bool {
        if self.remote_cseq.is_some_and(|last| cseq < last) {
            return false;
        }
        self.remote_cseq = Some(cseq);
        true
    }

    /// The number of the peer's last request.
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// Target refresh (RFC 3261 §12.2.1.2, §12.2.2): the Contact of a re-INVITE or UPDATE, or of
    /// the 2xx to one.
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(Some(contact)) = headers.contact() {
            self.target = contact.uri().to_uri();
        }
    }

    /// RFC 3261 §13.2.2.4: the 2xx of an early dialog sets the route set anew.
    pub fn confirm(&mut self, response: &Response) {
        self.refresh_target(&response.headers);
        let mut routes: Vec<String> =
            response.headers.record_routes().raw().map(str::to_owned).collect();
        routes.reverse();
        self.routes = routes;
        if let Some(remote) = response.headers.first("To") {
            self.remote = remote.to_owned();
        }
    }

    /// Where the next hop is, as far as its URI tells: on a stream the dialog stays on its
    /// connection, over UDP it follows addresses and keeps to the known one for names, which only
    /// the driver can resolve.
    pub fn next_hop(&self) -> Path {
        if self.path.transport.is_reliable() {
            return self.path;
        }
        let first = self.routes.first().and_then(|route| NameAddrRef::parse(route).ok());
        let hop = first.map_or_else(|| self.target.as_ref(), |route| route.uri());
        let transport = hop.transport().map_or(Some(Transport::Udp), Transport::from_token);
        match (hop.host_ip(), transport) {
            (Some(ip), Some(transport)) if transport == self.path.transport => {
                let port = hop.port().unwrap_or_else(|| transport.default_port());
                Path { remote: (ip, port).into(), ..self.path }
            }
            _ => self.path,
        }
    }

    /// The connection is gone: the next request asks for a new one, to where the next hop says it
    /// listens.
    pub(crate) fn reconnect(&mut self) {
        self.path.connection = None;
        let first = self.routes.first().and_then(|route| NameAddrRef::parse(route).ok());
        let hop = first.map_or_else(|| self.target.as_ref(), |route| route.uri());
        if let Some(ip) = hop.host_ip() {
            let port = hop.port().unwrap_or_else(|| self.path.transport.default_port());
            self.path.remote = (ip, port).into();
        }
    }

    /// Request-URI and Route headers, for loose and strict routers.
    fn route(&self) -> (Uri, Vec<String>) {
        let first = self.routes.first().and_then(|route| NameAddrRef::parse(route).ok());
        match first.map(|route| route.uri()) {
            // §12.2.1.1: a strict router takes its own URI as Request-URI, and the target goes last.
            Some(uri) if !uri.params().contains("lr") => {
                let mut routes = self.routes.get(1..).unwrap_or(&[]).to_vec();
                routes.push(format!("<{}>", self.target));
                (strict_uri(uri), routes)
            }
            _ => (self.target.clone(), self.routes.clone()),
        }
    }
}

fn strict_uri(uri: UriRef<'_>) -> Uri {
    let mut uri = uri.to_uri();
    uri.remove_headers();
    uri.remove_param("method");
    uri
}

fn tag(address: &str) -> Option<String> {
    NameAddrRef::parse(address).ok()?.tag().map(str::to_owned)
}
