//! The bodies of the fuzz targets: each takes any octets and asserts what has to hold for them.

use core::time::Duration;
use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;

use crate::{
    AuthValue, Body, CSeq, Date, Dialect, Frame, Headers, Limits, Message, Method, NameAddr,
    NameAddrRef, OutgoingInvite, OutgoingSubscribe, Parametrized, ParamsRef, Path, RAck, Received,
    RequestId, RequestMatch, ResponseMatch, SessionId, StatusCode, StreamFramer, SubscriptionId,
    SubscriptionState, Timers, TransactionEvent, TransactionId, Transactions, Transport, UaConfig,
    UaEvent, Uri, UriRef, UserAgent, Via, Warning, body_parts, ms,
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

/// A script of events for both sides of the transaction layer: requests, responses, lost paths and
/// time, in any order. Each transaction ends once, and nothing is left.
pub fn transactions(octets: &[u8]) {
    const METHODS: [&str; 5] = ["INVITE", "OPTIONS", "BENOTIFY", "ACK", "CANCEL"];
    const STATUSES: [u16; 6] = [100, 180, 200, 404, 487, 603];
    let start = Instant::now();
    let mut now = start;
    let limits = Limits { transactions: 24, ..Limits::default() };
    let mut layer = Transactions::new(Timers::default(), &limits);
    let (mut servers, mut live, mut sent) = (Vec::new(), BTreeSet::new(), Vec::new());
    for pair in octets.chunks_exact(2).take(300) {
        let [step, pick] = [pair.first(), pair.get(1)].map(|octet| octet.copied().unwrap_or(0));
        let transport = if pick & 0x80 == 0 { Transport::Udp } else { Transport::Tcp };
        let path =
            Path::new(transport, ([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 2], 5060).into());
        let method = METHODS.get(usize::from(pick & 7) % METHODS.len()).copied().unwrap_or("ACK");
        let status = STATUSES.get(usize::from(pick >> 3) % STATUSES.len()).copied();
        let status = status.and_then(StatusCode::new).unwrap_or(StatusCode::OK);
        // Some have no branch, as RFC 2543 peers and Lync clients.
        let branch =
            if pick & 0x40 == 0 { format!(";branch=z9hG4bK{}", step >> 4) } else { String::new() };
        let request = format!(
            "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2{branch}\r\n\
             From: <sip:a@b>;tag={}\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n\r\n",
            step >> 4
        );
        let Ok(message) = Message::parse(request.as_bytes()) else { unreachable!("own request") };
        match step & 7 {
            0 if method != "ACK" => {
                let id = layer.request(Bytes::copy_from_slice(request.as_bytes()), path, now);
                live.extend(id);
            }
            1 | 2 => {
                if let RequestMatch::New(id) = layer.receive_request(&message, path, now) {
                    servers.push(id);
                    live.insert(id);
                }
            }
            3 => {
                let id = servers.get(usize::from(step >> 3) % servers.len().max(1)).copied();
                let response = message.to_request().map(|request| request.response(status, "t"));
                if let (Some(id), Some(response)) = (id, response) {
                    layer.respond(id, status, response.to_bytes(), now);
                }
            }
            4 => {
                let response = message.to_request().map(|request| request.response(status, "t"));
                let octets = response.map(|response| response.to_bytes()).unwrap_or_default();
                if let Ok(response) = Message::parse(&octets)
                    && let ResponseMatch::Deliver(id) = layer.receive_response(&response, now)
                {
                    assert!(live.contains(&id) || sent.contains(&id), "a response for nobody");
                }
            }
            5 => now += Duration::from_millis(u64::from(pick) * 37),
            6 => layer.handle_transport_error(&path),
            _ => layer.handle_timeout(now),
        }
        settle(&mut layer, &mut live, &mut sent);
        assert!(layer.len() <= limits.transactions);
    }
    // Whatever nobody answers ends by itself, but for INVITEs that the user owes a response.
    for id in servers {
        layer.respond(
            id,
            StatusCode::BUSY_HERE,
            Bytes::from_static(b"SIP/2.0 486 Busy\r\n\r\n"),
            now,
        );
    }
    for _ in 0..10_000 {
        settle(&mut layer, &mut live, &mut sent);
        let Some(at) = layer.poll_timeout() else { break };
        now = now.max(at);
        layer.handle_timeout(now);
        assert!(layer.poll_timeout().is_none_or(|next| next > now), "time stands still");
    }
    assert!(layer.is_empty() && live.is_empty(), "left: {live:?}");
    assert!(now <= start + Duration::from_secs(3600), "no end");
}

/// Takes what the layer wants; a transaction that ended is told of no more.
fn settle(
    layer: &mut Transactions,
    live: &mut BTreeSet<TransactionId>,
    ended: &mut Vec<TransactionId>,
) {
    while let Some(transmit) = layer.poll_transmit() {
        assert!(!transmit.payload.is_empty());
    }
    while let Some(event) = layer.poll_event() {
        let (TransactionEvent::TimedOut(id)
        | TransactionEvent::TransportFailed(id)
        | TransactionEvent::Terminated(id)) = event;
        assert!(live.contains(&id), "{event:?} after the end");
        if matches!(event, TransactionEvent::Terminated(_)) {
            live.remove(&id);
            ended.push(id);
        }
    }
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
        subscriptions: Vec::new(),
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
    for subscription in script.subscriptions.clone() {
        script.end_subscription(subscription);
    }
    for _ in 0..10_000 {
        script.drain();
        let Some(at) = script.ua.poll_timeout() else { break };
        script.now = at;
        script.ua.handle_timeout(at);
        assert!(script.ua.poll_timeout().is_none_or(|next| next > at), "time stands still");
    }
    assert_eq!((script.ua.transaction_count(), script.ua.subscription_count()), (0, 0));
}

struct Script {
    ua: UserAgent,
    now: Instant,
    sessions: Vec<SessionId>,
    subscriptions: Vec<SubscriptionId>,
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
            (11 | 12, ..) => self.answer(step, path),
            (13, ..) => self.subscription(pick, path),
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

    fn subscription(&mut self, pick: usize, path: Path) {
        let now = self.now;
        let last = self.subscriptions.get(pick / 8 % self.subscriptions.len().max(1)).copied();
        let parsed = (
            "sip:them@192.0.2.2".parse::<Uri>(),
            "<sip:us@192.0.2.1>".parse::<NameAddr>(),
            self.asked.last().copied(),
        );
        let (Ok(uri), Ok(us), asked) = parsed else { return };
        match (pick % 8, last, self.sessions.last(), asked) {
            (0, ..) => {
                let subscribe = OutgoingSubscribe {
                    forks: true,
                    ..OutgoingSubscribe::new(path, uri, us.clone(), us, "presence")
                };
                self.subscriptions.extend(self.ua.subscribe(subscribe, now));
            }
            (1, _, Some(&session), _) => {
                self.subscriptions.extend(self.ua.refer(session, &us, &Headers::new(), now));
            }
            (2, _, _, Some(id)) => {
                let longest = Duration::from_secs(600);
                let taken = self.ua.accept_subscription(id, &us, longest, Headers::new(), now);
                self.subscriptions.extend(taken);
            }
            (3, Some(id), ..) => {
                let _ = self.ua.notify(id, &SubscriptionState::Active, &Headers::new(), None, now);
            }
            (4, Some(id), ..) => self.end_subscription(id),
            (5, ..) => self.hear("SUBSCRIBE", "Event: presence\r\nExpires: 300\r\n", path),
            (6, ..) => self.hear("REFER", "Refer-To: <sip:c@d>\r\n", path),
            _ => self.notify_us(pick, path),
        }
    }

    fn end_subscription(&mut self, id: SubscriptionId) {
        let over = SubscriptionState::terminated("noresource");
        let _ = self.ua.notify(id, &over, &Headers::new(), None, self.now);
        let _ = self.ua.unsubscribe(id, self.now);
    }

    /// A request outside any dialog, or within a call that they made.
    fn hear(&mut self, method: &str, lines: &str, path: Path) {
        let payload = format!(
            "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.2\r\n\
             From: <sip:them@192.0.2.2>;tag=s\r\nTo: <sip:us@192.0.2.1>\r\nCall-ID: heard\r\n\
             CSeq: {} {method}\r\nContact: <sip:them@192.0.2.2>\r\nSupported: ms-benotify\r\n{lines}\r\n",
            self.sent.len() + 1
        );
        let _ = self.ua.handle_input(Received { path, payload: payload.as_bytes() }, self.now);
    }

    /// A NOTIFY for a SUBSCRIBE or REFER of ours, of one of two notifiers.
    fn notify_us(&mut self, pick: usize, path: Path) {
        let ours = self.sent.iter().rev().find(|sent| sent.starts_with(b"SUBSCRIBE"));
        let Some(message) = ours.and_then(|sent| Message::parse(sent).ok()) else { return };
        let value = |name| message.header(name).unwrap_or_default();
        let state = if pick & 8 == 0 { "active;expires=99" } else { "terminated;reason=giveup" };
        let payload = format!(
            "NOTIFY sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.2\r\nFrom: {};tag=n{}\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {} NOTIFY\r\nContact: <sip:them@192.0.2.2>\r\n\
             Event: presence\r\nSubscription-State: {state}\r\n\r\n",
            value("To").split(";tag=").next().unwrap_or_default(),
            pick & 1,
            value("From"),
            value("Call-ID"),
            self.sent.len() + pick,
        );
        let payload = Bytes::from(payload);
        let _ = self.ua.handle_input(Received { path, payload: &payload }, self.now);
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
                UaEvent::Notified { subscription, fork_of: Some(_), .. } => {
                    self.subscriptions.push(subscription);
                }
                UaEvent::Reinvite { id, .. } | UaEvent::Request { id, .. } => self.asked.push(id),
                _ => {}
            }
        }
    }
}
