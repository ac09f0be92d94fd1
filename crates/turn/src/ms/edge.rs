//! How a client comes by credentials of an AV Edge ([MS-AVEDGEA]): a SIP SERVICE request to the
//! `mrasUri` of its provisioning, with one document in it, and one in the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;
use std::fmt::Write as _;
use std::time::Duration;

use super::tree::{NAMESPACE, Node};
use crate::Credentials;

/// Content-Type of both documents.
pub const EDGE_CONTENT_TYPE: &str = "application/msrtc-media-relay-auth+xml";

/// Asks the credential service for credentials, for one identity or several.
///
/// ```
/// use linkspan_turn::ms::{EdgeIdentity, EdgeLocation, EdgeRequest};
///
/// let user = EdgeIdentity::new("1", "sip:alice@example.org", EdgeLocation::Internet);
/// let request = EdgeRequest::new("1", "sip:alice@example.org", "sip:mras@example.org", user);
/// let body = request.to_xml();
/// assert!(body.contains("<identity>sip:alice@example.org</identity>"));
/// assert_eq!(EdgeRequest::parse(&body), Ok(request));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EdgeRequest {
    /// Chosen by the client, at most 64 characters.
    pub id: String,
    /// `1.0`, or what newer clients say.
    pub version: String,
    /// URI of who asks.
    pub from: String,
    /// URI of the service.
    pub to: String,
    /// Whether the relay's own address is wanted, and not that of a load balancer before it.
    pub wants_direct_ip: bool,
    /// Whom the credentials are for: one to a hundred.
    pub identities: Vec<EdgeIdentity>,
}

/// Whom credentials are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EdgeIdentity {
    /// Chosen by the client; the answer repeats it.
    pub id: String,
    /// URI of the user.
    pub identity: String,
    /// Where the user's client is.
    pub location: Option<EdgeLocation>,
    /// How long they are to be good, in whole minutes.
    pub duration: Option<Duration>,
}

/// Side of the Edge.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EdgeLocation {
    /// Inside.
    Intranet,
    /// Outside.
    Internet,
}

/// The answer of the service.
///
/// ```
/// use linkspan_turn::ms::{EdgeIdentity, EdgeLocation, EdgeReason, EdgeRequest, EdgeResponse};
///
/// let user = EdgeIdentity::new("1", "sip:alice@example.org", EdgeLocation::Internet);
/// let request = EdgeRequest::new("1", "sip:alice@example.org", "sip:mras@example.org", user);
/// let answer = EdgeResponse::to(&request, EdgeReason::Forbidden);
/// let read = EdgeResponse::parse(&answer.to_xml())?;
/// assert_eq!(read.reason, EdgeReason::Forbidden);
/// # Ok::<(), linkspan_turn::ms::EdgeParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EdgeResponse {
    /// That of the request.
    pub id: String,
    /// Version of the answer.
    pub version: String,
    /// Version that the service has.
    pub server_version: String,
    /// URI of the service: as in the request.
    pub to: String,
    /// URI of who asked.
    pub from: String,
    /// Whether there are credentials, and why not.
    pub reason: EdgeReason,
    /// What was granted.
    pub granted: Vec<EdgeGrant>,
}

/// Credentials for one identity, and where they are good.
#[derive(Clone, Debug)]
pub struct EdgeGrant {
    /// Id of the [`EdgeIdentity`] in the request.
    pub id: String,
    /// User name and password, decoded: what [`ClientConfig`](crate::ClientConfig) takes.
    pub credentials: Credentials,
    /// For how long, in whole minutes: ask again before.
    pub duration: Duration,
    /// The relays' realm, where it is said; their challenge says it too.
    pub realm: Option<String>,
    /// The relays.
    pub relays: Vec<EdgeRelay>,
}

/// A media relay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EdgeRelay {
    /// From where it is to be reached.
    pub location: EdgeLocation,
    /// Its name, or an address.
    pub host: String,
    /// The host is the address of this one relay (`directIPAddress`).
    pub is_direct_ip: bool,
    /// MS-TURN over UDP.
    pub udp_port: Option<u16>,
    /// MS-TURN over TCP; 443 means that a pseudo-TLS handshake comes first.
    pub tcp_port: Option<u16>,
}

/// What the service says of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EdgeReason {
    /// There are credentials.
    Ok,
    /// `Request Malformed`.
    RequestMalformed,
    /// `Request Too Large`: more than a hundred identities.
    RequestTooLarge,
    /// `Not Supported`.
    NotSupported,
    /// `Server Busy`.
    ServerBusy,
    /// `Time Out`.
    TimeOut,
    /// `Forbidden`.
    Forbidden,
    /// `Internal Server Error`.
    InternalServerError,
    /// `Other Failure`.
    OtherFailure,
    /// `Version Mismatch`.
    VersionMismatch,
    /// Any other.
    Other(String),
}

/// Why a document was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeParseError {
    /// It is not well-formed XML, or has a document type.
    #[error("malformed at octet {at}")]
    Xml {
        /// Where, from the start of the document.
        at: u64,
    },
    /// Its root is another element.
    #[error("another document")]
    Root,
    /// An element or attribute is missing, or its value has the wrong form.
    #[error("no valid {what}")]
    Missing {
        /// Its name.
        what: &'static str,
    },
    /// Longer, deeper or with more elements than such a document is.
    #[error("document too large")]
    TooLarge,
}

impl EdgeParseError {
    /// What the service answers to a request that it cannot read.
    #[must_use]
    pub const fn reason(self) -> EdgeReason {
        match self {
            Self::TooLarge => EdgeReason::RequestTooLarge,
            _ => EdgeReason::RequestMalformed,
        }
    }
}

impl EdgeIdentity {
    /// Credentials for eight hours, as clients ask.
    #[must_use]
    pub fn new(id: &str, identity: &str, location: EdgeLocation) -> Self {
        let duration = Some(Duration::from_secs(8 * 3600));
        Self { id: id.into(), identity: identity.into(), location: Some(location), duration }
    }

    fn read(node: &Node) -> Result<Self, EdgeParseError> {
        let identity = node.text_of("identity").filter(|text| !text.is_empty());
        Ok(Self {
            id: required(node, "credentialsRequestID")?,
            identity: identity.ok_or(missing("identity"))?.into(),
            location: node.child("location").map(EdgeLocation::read).transpose()?,
            duration: node.child("duration").map(minutes).transpose()?,
        })
    }
}

impl EdgeRequest {
    /// A request for one identity.
    #[must_use]
    pub fn new(id: &str, from: &str, to: &str, identity: EdgeIdentity) -> Self {
        Self {
            id: id.into(),
            version: "1.0".into(),
            from: from.into(),
            to: to.into(),
            wants_direct_ip: false,
            identities: vec![identity],
        }
    }

    /// Reads the body of a SERVICE request.
    ///
    /// # Errors
    ///
    /// [`EdgeParseError`], whose [`reason`](EdgeParseError::reason) is the answer to it.
    pub fn parse(document: &str) -> Result<Self, EdgeParseError> {
        let root = Node::parse(document)?;
        if root.name != "request" {
            return Err(EdgeParseError::Root);
        }
        let identities = root.children.iter().filter(|child| child.name == "credentialsRequest");
        let identities: Vec<_> = identities.map(EdgeIdentity::read).collect::<Result<_, _>>()?;
        match identities.len() {
            0 => return Err(missing("credentialsRequest")),
            1..=100 => {}
            _ => return Err(EdgeParseError::TooLarge),
        }
        let wants_direct_ip = match root.attribute("route") {
            None | Some("loadbalanced") => false,
            Some("directip") => true,
            Some(_) => return Err(missing("route")),
        };
        Ok(Self {
            id: required(&root, "requestID")?,
            version: required(&root, "version")?,
            from: required(&root, "from")?,
            to: required(&root, "to")?,
            wants_direct_ip,
            identities,
        })
    }

    /// The body of a SERVICE request.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut out = String::with_capacity(512);
        open(
            &mut out,
            "request",
            &[
                ("requestID", &self.id),
                ("from", &self.from),
                ("version", &self.version),
                ("to", &self.to),
                ("route", if self.wants_direct_ip { "directip" } else { "loadbalanced" }),
                ("xmlns", NAMESPACE),
            ],
        );
        for identity in &self.identities {
            open(&mut out, "credentialsRequest", &[("credentialsRequestID", &identity.id)]);
            element(&mut out, "identity", &identity.identity);
            if let Some(location) = identity.location {
                element(&mut out, "location", location.as_str());
            }
            if let Some(duration) = identity.duration {
                element(&mut out, "duration", &whole_minutes(duration));
            }
            out.push_str("</credentialsRequest>");
        }
        out.push_str("</request>");
        out
    }
}

impl EdgeResponse {
    /// The answer to a request, without credentials yet.
    #[must_use]
    pub fn to(request: &EdgeRequest, reason: EdgeReason) -> Self {
        Self {
            id: request.id.clone(),
            version: request.version.clone(),
            server_version: "2.0".into(),
            to: request.to.clone(),
            from: request.from.clone(),
            reason,
            granted: Vec::new(),
        }
    }

    /// Reads the body of the answer to a SERVICE request.
    ///
    /// # Errors
    ///
    /// [`EdgeParseError`]
    pub fn parse(document: &str) -> Result<Self, EdgeParseError> {
        let root = Node::parse(document)?;
        if root.name != "response" {
            return Err(EdgeParseError::Root);
        }
        // To what could not be read the service has nothing to repeat.
        let repeated = |name| root.attribute(name).unwrap_or_default().to_owned();
        let granted = root.children.iter().filter(|child| child.name == "credentialsResponse");
        Ok(Self {
            id: repeated("requestID"),
            version: repeated("version"),
            server_version: repeated("serverVersion"),
            to: repeated("to"),
            from: repeated("from"),
            reason: EdgeReason::read(&required(&root, "reasonPhrase")?),
            granted: granted.map(EdgeGrant::read).collect::<Result<_, _>>()?,
        })
    }

    /// The body of the answer. It holds the passwords.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut out = String::with_capacity(1024);
        out.push_str("<?xml version=\"1.0\"?>");
        open(
            &mut out,
            "response",
            &[
                ("requestID", &self.id),
                ("version", &self.version),
                ("serverVersion", &self.server_version),
                ("to", &self.to),
                ("from", &self.from),
                ("reasonPhrase", self.reason.as_str()),
                ("xmlns", NAMESPACE),
            ],
        );
        for granted in &self.granted {
            granted.write(&mut out);
        }
        out.push_str("</response>");
        out
    }
}

impl EdgeGrant {
    fn read(node: &Node) -> Result<Self, EdgeParseError> {
        let found = node.child("credentials").ok_or(missing("credentials"))?;
        let decoded = |name: &'static str| {
            let text = found.text_of(name).ok_or_else(|| missing(name))?;
            STANDARD.decode(text).map_err(|_| missing(name))
        };
        let (username, password) = (decoded("username")?, decoded("password")?);
        let relays = node.child("mediaRelayList").map_or(&[][..], |list| &list.children);
        let relays = relays.iter().filter(|child| child.name == "mediaRelay");
        Ok(Self {
            id: required(node, "credentialsRequestID")?,
            credentials: Credentials::new(username, password),
            duration: minutes(found.child("duration").ok_or(missing("duration"))?)?,
            realm: found.text_of("realm").map(Into::into),
            relays: relays.map(EdgeRelay::read).collect::<Result<_, _>>()?,
        })
    }

    fn write(&self, out: &mut String) {
        open(out, "credentialsResponse", &[("credentialsRequestID", &self.id)]);
        open(out, "credentials", &[]);
        element(out, "username", &STANDARD.encode(self.credentials.username()));
        element(out, "password", &STANDARD.encode(self.credentials.password()));
        element(out, "duration", &whole_minutes(self.duration));
        if let Some(realm) = &self.realm {
            element(out, "realm", realm);
        }
        out.push_str("</credentials>");
        open(out, "mediaRelayList", &[]);
        for relay in &self.relays {
            open(out, "mediaRelay", &[]);
            element(out, "location", relay.location.as_str());
            let name = if relay.is_direct_ip { "directIPAddress" } else { "hostName" };
            element(out, name, &relay.host);
            for (name, port) in [("udpPort", relay.udp_port), ("tcpPort", relay.tcp_port)] {
                if let Some(port) = port {
                    element(out, name, &port.to_string());
                }
            }
            out.push_str("</mediaRelay>");
        }
        out.push_str("</mediaRelayList></credentialsResponse>");
    }
}

impl EdgeRelay {
    fn read(node: &Node) -> Result<Self, EdgeParseError> {
        let direct = node.text_of("directIPAddress");
        let host = direct.or_else(|| node.text_of("hostName")).filter(|host| !host.is_empty());
        let port = |name: &'static str| {
            node.text_of(name).map(|text| text.parse().map_err(|_| missing(name))).transpose()
        };
        let location = node.child("location").ok_or(missing("location"))?;
        Ok(Self {
            location: EdgeLocation::read(location)?,
            host: host.ok_or(missing("hostName"))?.into(),
            is_direct_ip: direct.is_some(),
            udp_port: port("udpPort")?,
            tcp_port: port("tcpPort")?,
        })
    }
}

impl EdgeLocation {
    fn read(node: &Node) -> Result<Self, EdgeParseError> {
        match node.text.trim() {
            "intranet" => Ok(Self::Intranet),
            "internet" => Ok(Self::Internet),
            _ => Err(missing("location")),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Intranet => "intranet",
            Self::Internet => "internet",
        }
    }
}

impl EdgeReason {
    const ALL: [(Self, &'static str); 10] = [
        (Self::Ok, "OK"),
        (Self::RequestMalformed, "Request Malformed"),
        (Self::RequestTooLarge, "Request Too Large"),
        (Self::NotSupported, "Not Supported"),
        (Self::ServerBusy, "Server Busy"),
        (Self::TimeOut, "Time Out"),
        (Self::Forbidden, "Forbidden"),
        (Self::InternalServerError, "Internal Server Error"),
        (Self::OtherFailure, "Other Failure"),
        (Self::VersionMismatch, "Version Mismatch"),
    ];

    fn read(phrase: &str) -> Self {
        let known = Self::ALL.into_iter().find(|(_, known)| *known == phrase);
        known.map_or_else(|| Self::Other(phrase.into()), |(reason, _)| reason)
    }

    fn as_str(&self) -> &str {
        if let Self::Other(phrase) = self {
            return phrase;
        }
        Self::ALL.iter().find(|(known, _)| known == self).map_or("", |(_, phrase)| phrase)
    }
}

const fn missing(what: &'static str) -> EdgeParseError {
    EdgeParseError::Missing { what }
}

fn required(node: &Node, name: &'static str) -> Result<String, EdgeParseError> {
    node.attribute(name).map(Into::into).ok_or_else(|| missing(name))
}

/// `xs:positiveInteger`, minutes.
fn minutes(node: &Node) -> Result<Duration, EdgeParseError> {
    let minutes = node.text.trim().parse::<u32>().ok().filter(|minutes| *minutes > 0);
    let minutes = minutes.ok_or(missing("duration"))?;
    Ok(Duration::from_secs(u64::from(minutes) * 60))
}

fn whole_minutes(duration: Duration) -> String {
    (duration.as_secs() / 60).max(1).to_string()
}

fn open(out: &mut String, name: &str, attributes: &[(&str, &str)]) {
    let _ = write!(out, "<{name}");
    for (name, value) in attributes {
        let _ = write!(out, " {name}=\"{}\"", escape(*value));
    }
    out.push('>');
}

fn element(out: &mut String, name: &str, text: &str) {
    let _ = write!(out, "<{name}>{}</{name}>", escape(text));
}
