//! Headers and addresses that the gateway writes.

use std::net::SocketAddr;

use linkspan_sip::{Headers, NameAddr, Path, Transport, Uri};

use super::core::Core;
use crate::config::{NextHop, SignallingTransport};
use crate::id::Side;
use crate::policy::Diagnostic;

/// The mark by which a gateway recognises its own requests; its value is drawn at start.
pub(super) const MARK: &str = "X-Linkspan-Hop";

pub(super) const fn transport(transport: SignallingTransport) -> Transport {
    match transport {
        SignallingTransport::Udp => Transport::Udp,
        SignallingTransport::Tcp => Transport::Tcp,
        SignallingTransport::Tls => Transport::Tls,
    }
}

/// The Contact of the gateway on one side.
pub(super) fn contact(core: &Core, side: Side, user: &str, over: Transport) -> Option<NameAddr> {
    let config = core.config.side(side);
    let listener = config
        .listeners
        .iter()
        .find(|l| transport(l.transport) == over)
        .or_else(|| config.listeners.first());
    let port = listener.map(|l| l.address.port());
    let (host, own_port) = match config.contact.as_deref() {
        Some(contact) => split_host(contact),
        None => {
            let ip = listener.map(|l| l.address.ip()).filter(|ip| !ip.is_unspecified());
            (host_text(ip.unwrap_or_else(|| config.advertised())), None)
        }
    };
    let mut uri = Uri::sip((!user.is_empty()).then_some(user), &host).ok()?;
    uri.set_port(own_port.or(port));
    uri.set_param("transport", Some(over.uri_token()));
    Some(NameAddr::new(uri))
}

/// The way to an address of a next hop.
pub(super) fn path(core: &Core, side: Side, hop: &NextHop, remote: SocketAddr) -> Path {
    let config = core.config.side(side);
    let local = config
        .listener(hop.transport)
        .map_or_else(|| SocketAddr::new(config.media_address, 0), |l| l.address);
    Path::new(transport(hop.transport), local, remote)
}

/// `sip:user@host` of an address, without what belongs to the other leg (port, parameters).
pub(super) fn bare_uri(uri: &Uri, host: &str) -> Option<Uri> {
    if uri.as_ref().is_tel() {
        let number = uri.as_str().split_once(':')?.1.split(';').next()?;
        let plain: String =
            number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
        let mut uri = Uri::sip(Some(&plain), host).ok()?;
        uri.set_param("user", Some("phone"));
        return Some(uri);
    }
    let mut bare = Uri::sip(uri.user(), host).ok()?;
    if uri.param("user").is_some_and(|v| v.eq_ignore_ascii_case("phone")) {
        bare.set_param("user", Some("phone"));
    }
    Some(bare)
}

/// `sip:user@host`, where the user may be a phone number.
pub(super) fn new_uri(user: &str, host: &str, phone: bool) -> Option<Uri> {
    let mut uri = Uri::sip((!user.is_empty()).then_some(user), host).ok()?;
    if phone {
        uri.set_param("user", Some("phone"));
    }
    Some(uri)
}

/// The number that a trusted peer vouches for beside the caller's address (RFC 3325 §9.1).
pub(super) fn asserted_number(headers: &Headers) -> Option<String> {
    let values = headers.all("P-Asserted-Identity").flat_map(|value| value.split(','));
    let mut uris = values.filter_map(|value| NameAddr::parse(value.trim()).ok()).map(|a| a.uri);
    uris.find(|uri| uri.as_ref().is_tel()).map(|uri| user_of(&uri).to_owned())
}

/// The user part of a SIP URI, the number of a tel URI.
pub(super) fn user_of(uri: &Uri) -> &str {
    if uri.as_ref().is_tel() {
        let rest = uri.as_str().split_once(':').map_or("", |(_, rest)| rest);
        rest.split(';').next().unwrap_or_default()
    } else {
        uri.user().unwrap_or_default()
    }
}

/// Adds a diagnostics header for a Lync peer.
pub(super) fn diagnose(headers: &mut Headers, diagnostic: Option<&Diagnostic>, core: &Core) {
    if let Some(diagnostic) = diagnostic {
        let (name, value) = diagnostic.header(&core.config.name);
        headers.push(name, value);
    }
}

/// The id of a diagnostics header that a Lync peer sent.
pub(super) fn diagnostic_id(headers: &Headers) -> Option<u32> {
    ["ms-client-diagnostics", "ms-diagnostics", "ms-diagnostics-public"].iter().find_map(|name| {
        let value = headers.first(name)?;
        linkspan_sip::ms::Diagnostics::parse(value).ok().map(|d| d.id)
    })
}

fn split_host(text: &str) -> (String, Option<u16>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host.to_owned(), port.parse().ok())
        }
        _ => (text.to_owned(), None),
    }
}

fn host_text(ip: std::net::IpAddr) -> String {
    match ip {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
