//! The bodies of the fuzz targets: each takes any octets and asserts what has to hold for them.

use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use crate::{
    AuthValue, Body, CSeq, Date, Dialect, Frame, Headers, Limits, Message, Method, NameAddr,
    NameAddrRef, OutgoingInvite, Parametrized, ParamsRef, Path, RAck, Received, RequestId,
    SessionId, StatusCode, StreamFramer, Transport, UaConfig, UaEvent, Uri, UriRef, UserAgent, Via,
    Warning, body_parts, ms,
};

/// Any octets as a message: what is read is written, and reads the same.
pub fn message(octets: &[u8]) {
    let Ok(message) = Message::parse(octets) else { return };
    let _ = (message.validate(), message.strict_answer());
    getters(&message);
    let lines = message.headers().count();
    let (written, headers) = match (message.to_request(), message.to_response()) {
        (Some(request), _) => (request.to_bytes(), request.headers),
        (_, Some(response)) => (response.to_bytes(), response.headers),
        _ => unreachable!("neither request nor response"),
    };
    assert_eq!(headers.len(), lines);
    let again = Message::parse(&written).map(|again| (again.to_headers(), again.body().to_vec()));
    let Ok((headers_again, body)) = again else { unreachable!("own octets are refused") };
    assert_eq!(body, message.body());
    let ours =
        |name: &str| name.eq_ignore_ascii_case("Content-Length") || name == "l" || name == "L";
    let without = |headers: &Headers| -> Vec<(String, String)> {
        let lines = headers.iter().filter(|(name, _)| !ours(name));
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    assert_eq!(without(&headers), without(&headers_again));
    if let Some(content_type) = headers.first("Content-Type") {
        let _ = body_parts(content_type, &Bytes::copy_from_slice(message.body()));
    }
}

fn getters(message: &Message<'_>) {
    let _ = (message.from(), message.to(), message.call_id(), message.cseq(), message.date());
    let _ = (message.session_expires(), message.event(), message.rack(), message.warning());
    let _ = (message.refer_to(), message.replaces(), message.uri());
    let _ = message.vias().count() + message.contacts().count() + message.history().count();
    let _ = message.record_routes().raw().count() + message.supported().count();
    let _ = message.reasons().count() + message.privacy().count();
    for value in message.header_all("WWW-Authenticate") {
        if let Ok(auth) = AuthValue::parse(value) {
            let _ = (auth.param("realm"), ms::signed_string(message, &auth, 4));
        }
    }
}

/// Any text as every kind of header value.
pub fn headers(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else { return };
    if let Ok(address) = NameAddrRef::parse(text) {
        let owned = address.to_name_addr();
        // Written with brackets, it reads the same.
        let Ok(again) = owned.to_string().parse::<NameAddr>() else {
            unreachable!("own address is refused: {owned}")
        };
        assert_eq!(again.uri.as_str(), owned.uri.as_str());
        assert_eq!(again.tag(), owned.tag());
    }
    if let Ok(via) = Via::parse(text) {
        let _ = (via.branch(), via.received(), via.rport(), via.host_ip());
        assert!(Via::parse(via.as_str()).is_ok());
    }
    if let Ok(diagnostics) = ms::Diagnostics::parse(text) {
        let again = ms::Diagnostics::parse(&diagnostics.to_string());
        assert_eq!(again.as_ref(), Ok(&diagnostics));
    }
    if let Ok(date) = Date::parse(text) {
        assert_eq!(Date::parse(&date.to_string()), Ok(date));
    }
    let _ = (CSeq::parse(text), RAck::parse(text), Warning::parse(text), Parametrized::parse(text));
    let _ = (
        AuthValue::parse(text).map(|auth| auth.param("nonce").is_some()),
        ms::KeepAlive::parse(text),
    );
    for (name, _) in ParamsRef::new(text).iter() {
        let _ = ParamsRef::new(text).unquoted(name);
    }
    let mut headers = Headers::new();
    headers.push("X", text);
    headers.push(text, "y");
    headers.set("x", text);
    // Whatever is pushed stays within its line.
    assert_eq!(headers.to_string().matches('\n').count(), headers.len());
}

/// Any text as a URI.
pub fn uri(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else { return };
    let Ok(uri) = UriRef::parse(text) else { return };
    assert_eq!(uri.as_str(), text);
    let mut owned = uri.to_uri();
    assert_eq!(owned, uri.to_uri());
    owned.set_param("x", Some(text));
    owned.set_user(Some(text));
    owned.set_port(Some(5070));
    owned.remove_param("transport");
    assert!(Uri::parse(owned.as_str()).is_ok(), "{owned}");
}

/// Any octets as a stream: however it is cut, the frames are the same.
pub fn framing(octets: &[u8]) {
    let Some((&step, stream)) = octets.split_first() else { return };
    let limits = Limits { message: 4096, head: 2048, ..Limits::default() };
    let run = |step: usize| {
        let mut framer = StreamFramer::new(limits);
        let mut frames = Vec::new();
        for chunk in stream.chunks(step.max(1)) {
            if framer.push(chunk).is_err() {
                return (frames, None);
            }
            loop {
                match framer.poll_frame() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    };
    let (frames, error) = run(usize::from(step));
    assert_eq!((&frames, &error), (&run(1).0, &run(1).1));
    let len = |frame: &Frame| match frame {
        Frame::Message(message) => message.len(),
        Frame::KeepAlive => 4,
        Frame::Pong => 2,
    };
    assert!(frames.iter().map(len).sum::<usize>() <= stream.len());
}

/// A script of verbs, times and messages, some true, some forged.
pub fn useragent(octets: &[u8]) {
    let start = Instant::now();
    let mut script = Script {
        ua: UserAgent::new(
            UaConfig { dialect: Dialect::Lync, ..UaConfig::default() },
            [7; 32],
            start,
        ),
        now: start,
        sessions: Vec::new(),
        asked: Vec::new(),
        sent: Vec::new(),
    };
    let mut rest = octets;
    for _ in 0..200 {
        let Some((&step, tail)) = rest.split_first() else { break };
        rest = script.step(step, tail);
        script.drain();
    }
    // Everything that has no user left ends by itself.
    for session in script.sessions.clone() {
        let _ = script.ua.end(session, Headers::new(), script.now);
    }
    for _ in 0..10_000 {
        script.drain();
        let Some(at) = script.ua.poll_timeout() else { break };
        script.now = at;
        script.ua.handle_timeout(at);
        assert!(script.ua.poll_timeout().is_none_or(|next| next > at), "time stands still");
    }
    assert_eq!(script.ua.transaction_count(), 0);
}

struct Script {
    ua: UserAgent,
    now: Instant,
    sessions: Vec<SessionId>,
    asked: Vec<RequestId>,
    sent: Vec<Bytes>,
}

impl Script {
    fn path(&self, step: u8) -> Path {
        let transport = if step & 0x80 == 0 { Transport::Udp } else { Transport::Tcp };
        Path::new(transport, ([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 2], 5060).into())
    }

    fn step<'a>(&mut self, step: u8, rest: &'a [u8]) -> &'a [u8] {
        let (now, path) = (self.now, self.path(step));
        let pick = usize::from(step >> 4);
        let session = self.sessions.get(pick % self.sessions.len().max(1)).copied();
        let asked = self.asked.get(pick % self.asked.len().max(1)).copied();
        let body = (step & 1 == 0).then(|| Body::sdp("v=0\r\n"));
        match (step & 0x0f, session, asked) {
            (0, ..) => {
                let len = rest.len().min(pick * 64);
                let (payload, rest) = rest.split_at(len);
                let _ = self.ua.handle_input(Received { path, payload }, now);
                return rest;
            }
            (1, ..) => self.call(path),
            (2, Some(session), _) => {
                let _ = self.ua.progress(session, StatusCode::RINGING, Headers::new(), body, now);
            }
            (3, Some(session), _) => {
                if let Ok(contact) = "<sip:us@192.0.2.1>".parse() {
                    let _ = self.ua.accept(session, contact, Headers::new(), body, now);
                }
            }
            (4, Some(session), _) => {
                let _ = self.ua.end(session, Headers::new(), now);
            }
            (5, Some(session), _) => {
                let _ = self.ua.reinvite(session, Headers::new(), body, now);
            }
            (6, Some(session), _) => {
                let _ = self.ua.request(session, Method::Info, Headers::new(), body, now);
            }
            (7, Some(session), _) => {
                let _ = self.ua.ack(session, Headers::new(), None, now);
            }
            (8, _, Some(id)) => {
                let _ = self.ua.respond(id, StatusCode::OK, Headers::new(), body, now);
            }
            (9, ..) => {
                self.now += Duration::from_millis(u64::from(step) * 25);
                self.ua.handle_timeout(self.now);
            }
            (10, ..) => self.ua.handle_transport_error(path, now),
            (11..=13, ..) => self.answer(step, path),
            (14, ..) => self.echo(pick, path),
            _ => self.invite_us(pick, path),
        }
        rest
    }

    fn call(&mut self, path: Path) {
        let parsed =
            ("sip:them@192.0.2.2".parse::<Uri>(), "<sip:us@192.0.2.1>".parse::<NameAddr>());
        if let (Ok(uri), Ok(us)) = parsed {
            let invite = OutgoingInvite::new(path, uri, us.clone(), us);
            self.sessions.extend(self.ua.invite(invite, self.now));
        }
    }

    /// A response to something we sent.
    fn answer(&mut self, step: u8, path: Path) {
        const STATUSES: [u16; 8] = [100, 180, 183, 200, 401, 481, 486, 491];
        let index = usize::from(step >> 4);
        let sent = self.sent.get(index % self.sent.len().max(1)).cloned();
        let Some(request) =
            sent.as_deref().and_then(|sent| Message::parse(sent).ok()?.to_request())
        else {
            return;
        };
        let status = STATUSES.get(usize::from(step & 3) * 2 + index % 2).copied().unwrap_or(200);
        let Some(status) = StatusCode::new(status) else { return };
        let mut response = request.response(status, "them");
        response.headers.push("Contact", "<sip:them@192.0.2.2>");
        let payload = response.to_bytes();
        let _ = self.ua.handle_input(Received { path, payload: &payload }, self.now);
    }

    /// Our own message comes back to us.
    fn echo(&mut self, index: usize, path: Path) {
        if let Some(payload) = self.sent.get(index % self.sent.len().max(1)).cloned() {
            let _ = self.ua.handle_input(Received { path, payload: &payload }, self.now);
        }
    }

    fn invite_us(&mut self, index: usize, path: Path) {
        let payload = format!(
            "INVITE sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.2\r\n\
             From: <sip:them@192.0.2.2>;tag={index};epid=01\r\nTo: <sip:us@192.0.2.1>\r\n\
             Call-ID: same\r\nCSeq: {} INVITE\r\nContact: <sip:them@192.0.2.2>\r\n\
             Supported: 100rel\r\n\r\n",
            index / 4
        );
        let _ = self.ua.handle_input(Received { path, payload: payload.as_bytes() }, self.now);
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.ua.poll_transmit() {
            // What we send is sound.
            assert!(Message::parse(&transmit.payload).is_ok());
            if self.sent.len() < 64 && !transmit.payload.starts_with(b"SIP/") {
                self.sent.push(transmit.payload);
            }
        }
        while let Some(event) = self.ua.poll_event() {
            match event {
                UaEvent::Invite { session, .. } => self.sessions.push(session),
                UaEvent::Reinvite { id, .. } | UaEvent::Request { id, .. } => self.asked.push(id),
                _ => {}
            }
        }
    }
}
