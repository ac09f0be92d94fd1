//! The shape of a Lync 2013 client's messages, and of the front end before it.
//!
//! A gateway never talks to a Lync client alone: a front end has added its Via, its signed
//! Record-Route and the client's connection to what it forwards, and takes them away again from
//! what comes back. [`FrontEnd`] does that to the octets between the client's user agent and the
//! socket, and notices when the gateway does not return what it was given.

use std::net::SocketAddr;

use bytes::Bytes;
use linkspan_sip::{Body, Headers, Message, Method, Request, Response, Transport};

/// What makes a Lync client known.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) user: String,
    pub(super) domain: String,
    pub(super) epid: String,
    /// The endpoint part of the GRUU.
    pub(super) endpoint: String,
    /// Base64 of 20 octets, the same through a conversation.
    pub(super) conversation: String,
}

impl Identity {
    /// The contact that a server gave the client: without host and port of its own.
    pub(super) fn contact(&self) -> String {
        let Self { user, domain, endpoint, .. } = self;
        format!("sip:{user}@{domain};opaque=user:epid:{endpoint}AAA;gruu")
    }

    /// The headers of an audio and video INVITE, one token a line as the client writes them.
    pub(super) fn invite_headers(&self, callee: &str, address: SocketAddr) -> Headers {
        let mut headers = Headers::new();
        headers.push("Supported", "ms-dialog-route-set-update");
        headers.push("Ms-Conversation-ID", &self.conversation);
        for token in
            ["timer", "histinfo", "ms-safe-transfer", "ms-sender", "ms-early-media", "100rel"]
        {
            headers.push("Supported", token);
        }
        headers.push("ms-keep-alive", "UAC;hop-hop=yes");
        headers.push(
            "Allow",
            "INVITE, BYE, ACK, CANCEL, INFO, UPDATE, REFER, NOTIFY, BENOTIFY, OPTIONS",
        );
        headers.push("ms-subnet", subnet(address));
        headers.push("Accept-Language", "en-US");
        headers.push("ms-endpoint-location-data", "NetworkScope;ms-media-location-type=Intranet");
        headers.push("Supported", "replaces");
        headers.push("Supported", "ms-conf-invite");
        headers.push("history-info", format!("<{callee}>;index=1"));
        headers
    }

    /// The headers of the client's 200.
    pub(super) fn answer_headers(&self, invite: &Headers) -> Headers {
        let mut headers = Headers::new();
        // [MS-OCPSTN] 3.7: which of the offered parts was answered.
        if let Some(id) = invite.first("Content-ID") {
            headers.push("ms-accepted-content-id", id);
        }
        if let Some(id) = invite.first("Ms-Conversation-ID") {
            headers.push("Ms-Conversation-ID", id);
        }
        headers.push("ms-endpoint-location-data", "NetworkScope;ms-media-location-type=Intranet");
        headers
    }

    /// The two-part body of the first INVITE: a part for servers of 2007 with candidates of their
    /// dialect, and the real one.
    pub(super) fn two_parts(&self, offer: &str, random: [u8; 8]) -> Body {
        let [a, b, c, d, e, f, g, h] = random;
        let boundary = format!(
            "----=_NextPart_000_{a:02X}{b:02X}_{c:02X}{d:02X}{e:02X}{f:02X}.{g:02X}{h:02X}{a:02X}{c:02X}"
        );
        let part = |id: &str, disposition: &str, body: &str| {
            format!(
                "--{boundary}\r\nContent-Type: application/sdp\r\n\
                 Content-Transfer-Encoding: 7bit\r\n\
                 Content-ID: <{id}{c:02x}{d:02x}{e:02x}{f:02x}@{}>\r\n\
                 Content-Disposition: session; handling=optional{disposition}\r\n\r\n{body}\r\n",
                self.domain
            )
        };
        let first = part("620c23ac", "; ms-proxy-2007fallback", &fallback(offer));
        let second = part("37df6f7d", "", offer);
        let body = format!("{first}{second}--{boundary}--\r\n");
        Body::new(format!("multipart/alternative;boundary=\"{boundary}\""), body)
    }
}

/// The offer as a client of 2007 would write it: one candidate a component in the dialect of the
/// older MS-ICE, and no newer attribute of ICE.
fn fallback(offer: &str) -> String {
    let mut out = String::new();
    for line in offer.lines() {
        if line.starts_with("a=ice-") || line.starts_with("a=x-candidate-ipv6:") {
            continue;
        }
        let line = match line.strip_prefix("a=candidate:") {
            Some(value) => {
                let fields: Vec<&str> = value.split_whitespace().collect();
                let [_, component, "UDP", _, address, port, "typ", "host", ..] = fields[..] else {
                    continue;
                };
                format!(
                    "a=candidate:{LEGACY_USER} {component} {LEGACY_PASSWORD} UDP 0.830 {address} {port} "
                )
            }
            None => line.to_owned(),
        };
        out.push_str(&line);
        out.push_str("\r\n");
    }
    out
}

/// The first three octets of an address: what the client calls its subnet.
fn subnet(address: SocketAddr) -> String {
    match address.ip() {
        std::net::IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0")
        }
        std::net::IpAddr::V6(ip) => ip.to_string(),
    }
}

/// What a front end does to the messages between its client and a gateway.
#[derive(Clone, Debug)]
pub(super) struct FrontEnd {
    /// The client's own Via: without a branch.
    client_via: String,
    /// The signed route: every octet matters.
    record_route: String,
    route: String,
    /// What came back otherwise than it went out.
    pub(super) faults: Vec<String>,
}

impl FrontEnd {
    pub(super) fn new(transport: Transport, listen: SocketAddr, random: [u8; 8]) -> Self {
        let (token, uri_token) = (transport.via_token(), transport.uri_token());
        let hex = |octets: &[u8]| octets.iter().map(|o| format!("{o:02X}")).collect::<String>();
        let [a, b, c, ..] = random;
        let uri = format!(
            "<sip:{listen};transport={uri_token};opaque=state:T:F:Ci.R{a:02x}{b:02x}{c:02x};lr;\
             ms-route-sig=agtnI0PHO0jvTWlLPLdbdZfVUQdZ{}AxelO7oAAAA>",
            hex(&random)
        );
        Self {
            client_via: format!(
                "SIP/2.0/{token} 192.0.2.57:1590;ms-received-port=1590;ms-received-cid={}",
                hex(&[a, b, c])
            ),
            record_route: format!("{uri};tag={}", hex(&random).repeat(2)),
            route: uri,
            faults: Vec::new(),
        }
    }

    /// A message of the client, as the front end forwards it.
    pub(super) fn forward(&self, payload: &Bytes) -> Bytes {
        let Ok(message) = Message::parse(payload) else { return payload.clone() };
        if let Some(mut request) = message.to_request() {
            // RFC 3261 §16.10, §17.1.1.3: CANCEL, and ACK of a failure, belong to the hop before.
            let own = matches!(request.method, Method::Cancel);
            if !own {
                request.headers.insert(1, "Via", &self.client_via);
            }
            if is_dialog_forming(&request) {
                request.headers.push_front("Record-Route", &self.record_route);
            }
            return request.to_bytes();
        }
        match message.to_response() {
            Some(mut response)
                if is_invite(&response.headers) && response.status.as_u16() > 100 =>
            {
                response.headers.push("Record-Route", &self.record_route);
                response.to_bytes()
            }
            _ => payload.clone(),
        }
    }

    /// A message of the gateway, as the front end hands it to the client.
    pub(super) fn deliver(&mut self, payload: &Bytes) -> Bytes {
        let Ok(message) = Message::parse(payload) else { return payload.clone() };
        if let Some(mut request) = message.to_request() {
            let in_dialog =
                request.headers.to().ok().flatten().is_some_and(|to| to.tag().is_some());
            let early = matches!(request.method, Method::Cancel);
            if in_dialog && !early {
                self.check("Route", &request.headers, |front_end, value| {
                    value == front_end.route || value == front_end.record_route
                });
            }
            request.headers.remove("Route");
            return request.to_bytes();
        }
        let Some(mut response) = message.to_response() else { return payload.clone() };
        self.take_own_lines(&mut response);
        response.to_bytes()
    }

    fn take_own_lines(&mut self, response: &mut Response) {
        let vias: Vec<String> = response.headers.all("Via").map(ToOwned::to_owned).collect();
        if let [top, lower @ ..] = &vias[..]
            && !lower.is_empty()
        {
            if lower != [self.client_via.clone()] {
                self.faults.push(format!("the client's Via came back as {lower:?}"));
            }
            response.headers.remove("Via");
            response.headers.push_front("Via", top);
        }
        if response.headers.contains("Record-Route") {
            self.check("Record-Route", &response.headers, |front_end, value| {
                value == front_end.record_route
            });
            response.headers.remove("Record-Route");
        }
    }

    fn check(&mut self, name: &str, headers: &Headers, same: impl Fn(&Self, &str) -> bool) {
        let values: Vec<String> = headers.all(name).map(ToOwned::to_owned).collect();
        if !matches!(&values[..], [value] if same(self, value)) {
            self.faults.push(format!("{name} came back as {values:?}"));
        }
    }
}

fn is_dialog_forming(request: &Request) -> bool {
    let tagged = request.headers.to().ok().flatten().is_some_and(|to| to.tag().is_some());
    request.method == Method::Invite && !tagged
}

fn is_invite(headers: &Headers) -> bool {
    headers.cseq().ok().flatten().is_some_and(|cseq| cseq.method() == Method::Invite)
}

/// 32 octets in base64 without padding.
const LEGACY_USER: &str = "JWybPk+7SYFG73Awy/lTclLczq3XZLajL7sJrerhCcQ";
/// 16 octets in base64 without padding.
const LEGACY_PASSWORD: &str = "qZcgOXU1K4eLFFyKQtiEzw";

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            user: "alice".into(),
            domain: "example.test".into(),
            epid: "d2ff665153".into(),
            endpoint: "JLcBefPLmVK_0AQYJ-UEiA".into(),
            conversation: "AdKCt6xl6HOex5lgSXKtavryVhRJlw==".into(),
        }
    }

    #[test]
    fn the_first_part_is_a_fallback_and_the_second_the_offer() {
        let offer = "v=0\r\nm=audio 4000 RTP/SAVP 0\r\na=ice-ufrag:abcd\r\n\
                     a=candidate:1 1 UDP 2130706431 192.0.2.31 4000 typ host \r\n";
        let body = identity().two_parts(offer, [1; 8]);
        let text = String::from_utf8(body.bytes.to_vec()).unwrap();
        assert!(body.content_type.starts_with("multipart/alternative;boundary=\"----=_NextPart_"));
        assert_eq!(text.matches("Content-Disposition: session").count(), 2);
        assert!(text.contains(" 1 qZcgOXU1K4eLFFyKQtiEzw UDP 0.830 192.0.2.31 4000 \r\n"));
        assert_eq!(text.matches("a=ice-ufrag:abcd").count(), 1);
        assert!(text.contains(offer));
    }

    #[test]
    fn what_the_front_end_adds_it_takes_away_and_it_notices_changes() {
        let listen = "192.0.2.12:5061".parse().unwrap();
        let mut front_end = FrontEnd::new(Transport::Tls, listen, [7; 8]);
        let invite = Bytes::from_static(
            b"INVITE sip:room@example.test SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\n\
              From: <sip:a@b>;tag=1\r\nTo: <sip:room@example.test>\r\nCall-ID: 1\r\n\
              CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        );
        let sent = front_end.forward(&invite);
        let message = Message::parse(&sent).unwrap();
        let vias: Vec<_> = message.header_all("Via").collect();
        assert!(vias[0].contains("branch") && !vias[1].contains("branch"), "{vias:?}");
        let route = message.header("Record-Route").unwrap();
        let answer = |via: &str, route: &str| {
            Bytes::from(format!(
                "SIP/2.0 200 OK\r\nVia: {}\r\nVia: {via}\r\nRecord-Route: {route}\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:room@example.test>;tag=2\r\nCall-ID: 1\r\n\
                 CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
                vias[0]
            ))
        };
        let delivered = front_end.deliver(&answer(vias[1], route));
        let delivered = Message::parse(&delivered).unwrap();
        assert_eq!(delivered.header_all("Via").count(), 1);
        assert_eq!(delivered.header("Record-Route"), None);
        assert!(front_end.faults.is_empty(), "{:?}", front_end.faults);
        front_end.deliver(&answer(vias[1], &route.replace("agtn", "AGTN")));
        front_end.deliver(&answer("SIP/2.0/TLS other", route));
        assert_eq!(front_end.faults.len(), 2);
    }
}
