use std::time::{Duration, Instant};

use super::*;
use crate::headers::Headers;
use crate::method::{Method, StatusCode};
use crate::path::Transport;
use crate::request::{Body, Origin};

/// Two user agents, and the messages between them.
pub(super) struct Pair {
    pub(super) a: UserAgent,
    pub(super) b: UserAgent,
    pub(super) now: Instant,
    pub(super) transport: Transport,
    pub(super) log: Vec<String>,
}

const A: &str = "192.0.2.1:5060";
const B: &str = "192.0.2.2:5060";

impl Pair {
    pub(super) fn new(transport: Transport) -> Self {
        Self::with(transport, UaConfig::default())
    }

    pub(super) fn with(transport: Transport, config: UaConfig) -> Self {
        let now = Instant::now();
        Self {
            a: UserAgent::new(config.clone(), [1; 32], now),
            b: UserAgent::new(config, [2; 32], now),
            now,
            transport,
            log: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> Path {
        Path::new(self.transport, A.parse().unwrap(), B.parse().unwrap())
    }

    pub(super) fn outgoing(&self) -> OutgoingInvite {
        let mut invite = OutgoingInvite::new(
            self.path(),
            "sip:bob@192.0.2.2".parse().unwrap(),
            "\"Alice\" <sip:alice@example.com>;epid=d2ff665153".parse().unwrap(),
            "<sip:alice@192.0.2.1>".parse().unwrap(),
        );
        invite.body = Some(Body::sdp("v=0\r\n"));
        invite
    }

    /// Carries messages until both are quiet.
    pub(super) fn run(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.a.poll_transmit() {
                quiet = false;
                self.log.push(format!("> {}", first_line(&transmit.payload)));
                let path = Path::new(self.transport, B.parse().unwrap(), A.parse().unwrap());
                let input = Received { path, payload: &transmit.payload };
                self.b.handle_input(input, self.now).unwrap();
            }
            while let Some(transmit) = self.b.poll_transmit() {
                quiet = false;
                self.log.push(format!("< {}", first_line(&transmit.payload)));
                let input = Received { path: self.path(), payload: &transmit.payload };
                self.a.handle_input(input, self.now).unwrap();
            }
            if quiet {
                return;
            }
        }
    }

    pub(super) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = [self.a.poll_timeout(), self.b.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
            .filter(|&at| at <= end)
        {
            self.now = self.now.max(at);
            self.a.handle_timeout(self.now);
            self.b.handle_timeout(self.now);
            self.run();
        }
        self.now = end;
    }

    /// A call that is up, `(a's, b's)`.
    pub(super) fn call(&mut self) -> (SessionId, SessionId) {
        let a = self.a.invite(self.outgoing(), self.now).unwrap();
        self.run();
        let Some(UaEvent::Invite { session: b, .. }) = self.b.poll_event() else { panic!() };
        let contact = "<sip:bob@192.0.2.2>".parse().unwrap();
        let body = Some(Body::sdp("v=0\r\n"));
        self.b.accept(b, contact, Headers::new(), body, self.now).unwrap();
        self.run();
        assert!(matches!(self.a.poll_event(), Some(UaEvent::Accepted { .. })));
        self.a.ack(a, Headers::new(), None, self.now).unwrap();
        self.run();
        assert!(matches!(self.b.poll_event(), Some(UaEvent::Acked { .. })));
        self.log.clear();
        (a, b)
    }
}

pub(super) fn first_line(octets: &[u8]) -> String {
    let text = std::str::from_utf8(octets).unwrap();
    text.lines().next().unwrap().replace(" SIP/2.0", "").replace("SIP/2.0 ", "")
}

#[test]
fn a_call_from_invite_to_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = Pair::new(transport);
        let a = pair.a.invite(pair.outgoing(), pair.now).unwrap();
        pair.run();
        let Some(UaEvent::Invite { session: b, request, .. }) = pair.b.poll_event() else {
            panic!("no INVITE")
        };
        assert_eq!(request.headers.from().unwrap().unwrap().epid(), Some("d2ff665153"));
        pair.b.progress(b, StatusCode::RINGING, Headers::new(), None, pair.now).unwrap();
        pair.run();
        assert!(matches!(pair.a.poll_event(), Some(UaEvent::Progress { .. })));
        let contact = "<sip:bob@192.0.2.2;opaque=user:epid:JLcB_0AAA;gruu>".parse().unwrap();
        pair.b.accept(b, contact, Headers::new(), Some(Body::sdp("v=0\r\n")), pair.now).unwrap();
        pair.run();
        let Some(UaEvent::Accepted { session, response }) = pair.a.poll_event() else {
            panic!("no 200")
        };
        assert_eq!(
            (session, response.to_body().unwrap().content_type.as_str()),
            (a, "application/sdp")
        );
        pair.a.ack(a, Headers::new(), None, pair.now).unwrap();
        pair.run();
        assert!(matches!(pair.b.poll_event(), Some(UaEvent::Acked { body: None, .. })));
        pair.advance(Duration::from_secs(60));
        pair.b.bye(b, Headers::new(), pair.now).unwrap();
        pair.run();
        assert!(matches!(
            pair.a.poll_event(),
            Some(UaEvent::Ended { cause: EndCause::Bye(_), .. })
        ));
        assert!(matches!(pair.b.poll_event(), Some(UaEvent::Ended { cause: EndCause::Local, .. })));
        pair.advance(Duration::from_secs(60));
        assert_eq!(
            pair.log,
            [
                "> INVITE sip:bob@192.0.2.2",
                "< 180 Ringing",
                "< 200 OK",
                "> ACK sip:bob@192.0.2.2;opaque=user:epid:JLcB_0AAA;gruu",
                "< BYE sip:alice@192.0.2.1",
                "> 200 OK",
            ]
        );
        assert!(pair.a.poll_event().is_none() && pair.b.poll_event().is_none());
        assert_eq!(pair.a.poll_timeout(), None);
        assert_eq!(pair.b.poll_timeout(), None);
        assert_eq!(pair.a.transaction_count() + pair.b.transaction_count(), 0);
    }
}

#[test]
fn cancel_ends_a_ringing_call() {
    let mut pair = Pair::new(Transport::Udp);
    let a = pair.a.invite(pair.outgoing(), pair.now).unwrap();
    pair.a.cancel(a, Headers::new(), pair.now).unwrap();
    // RFC 3261 §9.1: not before a provisional response.
    assert_eq!(pair.a.transaction_count(), 1);
    pair.run();
    pair.advance(Duration::from_millis(250));
    assert_eq!(
        pair.log,
        [
            "> INVITE sip:bob@192.0.2.2",
            "< 100 Trying",
            "> CANCEL sip:bob@192.0.2.2",
            "< 200 OK",
            "< 487 Request Terminated",
            "> ACK sip:bob@192.0.2.2",
        ]
    );
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::Invite { .. })));
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::Cancelled { .. })));
    let Some(UaEvent::Rejected { response, .. }) = pair.a.poll_event() else { panic!() };
    assert_eq!(response.status, StatusCode::REQUEST_TERMINATED);
    pair.advance(Duration::from_secs(40));
    assert_eq!(pair.a.transaction_count() + pair.b.transaction_count(), 0);
}

#[test]
fn nobody_answers_and_the_call_times_out_as_408() {
    let mut pair = Pair::new(Transport::Udp);
    pair.a.invite(pair.outgoing(), pair.now).unwrap();
    let mut sent = 0;
    for _ in 0..100 {
        while pair.a.poll_transmit().is_some() {
            sent += 1;
        }
        let Some(at) = pair.a.poll_timeout() else { break };
        pair.a.handle_timeout(at);
    }
    // At 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s.
    assert_eq!(sent, 7);
    let Some(UaEvent::Rejected { response, .. }) = pair.a.poll_event() else { panic!() };
    assert_eq!((response.status, response.origin), (StatusCode::REQUEST_TIMEOUT, Origin::Timeout));
}

#[test]
fn a_retransmitted_2xx_is_acknowledged_again() {
    let mut pair = Pair::new(Transport::Udp);
    let a = pair.a.invite(pair.outgoing(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session: b, .. }) = pair.b.poll_event() else { panic!() };
    let contact = "<sip:bob@192.0.2.2>".parse().unwrap();
    pair.b.accept(b, contact, Headers::new(), None, pair.now).unwrap();
    pair.run();
    pair.a.ack(a, Headers::new(), None, pair.now).unwrap();
    // The first ACK is lost.
    while pair.a.poll_transmit().is_some() {}
    pair.log.clear();
    pair.advance(Duration::from_secs(30));
    assert_eq!(pair.log, ["< 200 OK", "> ACK sip:bob@192.0.2.2"]);
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::Acked { .. })));
}

#[test]
fn a_reinvite_and_an_info_within_the_call() {
    let mut pair = Pair::new(Transport::Tcp);
    let (a, b) = pair.call();
    let id = pair.b.reinvite(b, Headers::new(), Some(Body::sdp("v=0\r\n")), pair.now).unwrap();
    assert_eq!(pair.b.reinvite(b, Headers::new(), None, pair.now), Err(VerbError::Pending));
    pair.run();
    let Some(UaEvent::Reinvite { id: asked, session, .. }) = pair.a.poll_event() else { panic!() };
    assert_eq!(session, a);
    pair.a
        .respond(asked, StatusCode::OK, Headers::new(), Some(Body::sdp("v=0\r\n")), pair.now)
        .unwrap();
    pair.run();
    let Some(UaEvent::Response { id: answered, response, .. }) = pair.b.poll_event() else {
        panic!()
    };
    assert_eq!((answered, response.status), (id, StatusCode::OK));
    pair.b.ack(b, Headers::new(), None, pair.now).unwrap();
    pair.run();
    assert!(matches!(pair.a.poll_event(), Some(UaEvent::Acked { .. })));
    let id = pair.a.request(a, Method::Info, Headers::new(), None, pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Request { id: asked, session, .. }) = pair.b.poll_event() else { panic!() };
    assert_eq!(session, Some(b));
    pair.b.respond(asked, StatusCode::OK, Headers::new(), None, pair.now).unwrap();
    pair.run();
    assert!(
        matches!(pair.a.poll_event(), Some(UaEvent::Response { id: answered, .. }) if answered == id)
    );
}

#[test]
fn a_glare_is_resolved_by_trying_again() {
    let mut pair = Pair::new(Transport::Tcp);
    let (a, b) = pair.call();
    pair.a.reinvite(a, Headers::new(), None, pair.now).unwrap();
    pair.b.reinvite(b, Headers::new(), None, pair.now).unwrap();
    pair.run();
    assert!(pair.log.contains(&"< 491 Request Pending".to_owned()), "{:?}", pair.log);
    let mut acks = Vec::new();
    for _ in 0..80 {
        pair.advance(Duration::from_millis(100));
        while let Some(event) = pair.b.poll_event() {
            match event {
                UaEvent::Reinvite { id, .. } => {
                    pair.b.respond(id, StatusCode::OK, Headers::new(), None, pair.now).unwrap();
                }
                UaEvent::Response { response, .. } => {
                    acks.push(response.status);
                    pair.b.ack(b, Headers::new(), None, pair.now).unwrap();
                }
                _ => {}
            }
        }
        while let Some(event) = pair.a.poll_event() {
            match event {
                UaEvent::Reinvite { id, .. } => {
                    pair.a.respond(id, StatusCode::OK, Headers::new(), None, pair.now).unwrap();
                }
                UaEvent::Response { response, .. } => {
                    acks.push(response.status);
                    pair.a.ack(a, Headers::new(), None, pair.now).unwrap();
                }
                _ => {}
            }
        }
        pair.run();
    }
    assert_eq!(acks, [StatusCode::OK; 2], "{:#?}", pair.log);
}

#[test]
fn a_malformed_request_is_answered_and_told() {
    let mut pair = Pair::new(Transport::Udp);
    let path = pair.path();
    let payload = b"OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nFrom: <sip:x@192.0.2.2>;tag=1\r\nTo: <sip:y@192.0.2.2>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n";
    pair.a.handle_input(Received { path, payload }, pair.now).unwrap();
    let transmit = pair.a.poll_transmit().unwrap();
    assert!(transmit.payload.starts_with(b"SIP/2.0 400 Bad Request"));
    assert!(matches!(pair.a.poll_event(), Some(UaEvent::Refused { .. })));
    let broken = b"INVITE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\nbroken\r\n\r\n";
    pair.a.handle_input(Received { path, payload: broken }, pair.now).unwrap();
    assert!(pair.a.poll_transmit().unwrap().payload.starts_with(b"SIP/2.0 400 Bad Request"));
}

#[test]
fn a_challenge_is_answered_once() {
    use crate::auth::{AuthValue, Credentials, DigestServer, Password};
    for (password, expected) in [("secret", 200), ("wrong", 401)] {
        let config = UaConfig {
            credentials: vec![Credentials::new("alice", password)],
            ..UaConfig::default()
        };
        let mut pair = Pair::with(Transport::Tcp, config);
        let server = DigestServer::new("example.com", [3; 32], pair.now);
        let register = Request::new(Method::Options, "sip:192.0.2.2".parse().unwrap());
        pair.a.send(register, pair.path(), pair.now).unwrap();
        let mut asked = 0;
        let last = loop {
            pair.run();
            if let Some(UaEvent::Request { id, request, .. }) = pair.b.poll_event() {
                asked += 1;
                let value = request.headers.first("Authorization");
                let fits =
                    value.and_then(|value| AuthValue::parse(value).ok()).is_some_and(|value| {
                        let secret = Password::new("secret");
                        server.verify(&value, "OPTIONS", b"", &secret, pair.now).is_ok()
                    });
                let mut headers = Headers::new();
                let status = if fits { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                if !fits {
                    headers.push("WWW-Authenticate", "NTLM realm=\"x\", version=4");
                    for challenge in server.challenges(pair.now, false) {
                        headers.push("WWW-Authenticate", challenge);
                    }
                }
                pair.b.respond(id, status, headers, None, pair.now).unwrap();
            }
            if let Some(UaEvent::Response { response, .. }) = pair.a.poll_event() {
                break response;
            }
        };
        assert_eq!((asked, last.status.as_u16()), (2, expected));
    }
}

fn timed(interval: u64, allow: Option<Vec<Method>>) -> UaConfig {
    let mut config = UaConfig::default();
    config.session_timer.interval = Duration::from_secs(interval);
    config.allow = allow.unwrap_or(config.allow);
    config
}

#[test]
fn a_session_is_refreshed_at_half_its_interval() {
    let mut pair = Pair::with(Transport::Tcp, timed(600, None));
    pair.call();
    pair.advance(Duration::from_secs(1000));
    // The caller agreed to refresh, and does so with UPDATE, at 300, 600 and 900 s.
    assert_eq!(pair.log, ["> UPDATE sip:bob@192.0.2.2", "< 200 OK"].repeat(3));
    assert!(pair.a.poll_event().is_none() && pair.b.poll_event().is_none());
}

#[test]
fn without_update_a_reinvite_refreshes() {
    let allow = vec![Method::Invite, Method::Ack, Method::Bye, Method::Cancel];
    let mut pair = Pair::with(Transport::Tcp, timed(600, Some(allow)));
    let (a, _) = pair.call();
    for _ in 0..350 {
        pair.advance(Duration::from_secs(1));
        if let Some(UaEvent::Reinvite { id, request, .. }) = pair.b.poll_event() {
            assert_eq!(request.body, "v=0\r\n");
            pair.b.respond(id, StatusCode::OK, Headers::new(), None, pair.now).unwrap();
            pair.run();
        }
    }
    assert_eq!(pair.log[0], "> INVITE sip:bob@192.0.2.2");
    assert_eq!(pair.log.last().unwrap(), "> ACK sip:bob@192.0.2.2");
    assert!(pair.a.poll_event().is_none());
    assert!(pair.a.bye(a, Headers::new(), pair.now).is_ok());
}

#[test]
fn a_session_that_nobody_refreshes_is_ended() {
    let mut pair = Pair::with(Transport::Tcp, timed(600, None));
    pair.call();
    // The caller is gone.
    let mut now = pair.now;
    let end = now + Duration::from_secs(700);
    while let Some(at) = pair.b.poll_timeout().filter(|at| *at <= end) {
        now = at;
        pair.b.handle_timeout(now);
    }
    assert!(now <= pair.now + Duration::from_secs(600));
    assert!(matches!(
        pair.b.poll_event(),
        Some(UaEvent::Ended { cause: EndCause::SessionExpired, .. })
    ));
    assert_eq!(first_line(&pair.b.poll_transmit().unwrap().payload), "BYE sip:alice@192.0.2.1");
}

/// The callee knows no timers and asks for none.
fn pair_with_a_plain_callee() -> Pair {
    let mut pair = Pair::with(Transport::Tcp, timed(600, None));
    let config = UaConfig { supported: Vec::new(), ..UaConfig::default() };
    pair.b = UserAgent::new(config, [2; 32], pair.now);
    pair
}

#[test]
fn a_refresher_that_gets_no_answer_ends_the_session() {
    let mut pair = Pair::with(Transport::Tcp, timed(600, None));
    pair.call();
    let (mut now, mut sent) = (pair.now, Vec::new());
    let end = now + Duration::from_secs(700);
    while let Some(at) = pair.a.poll_timeout().filter(|at| *at <= end) {
        now = at;
        pair.a.handle_timeout(now);
        while let Some(transmit) = pair.a.poll_transmit() {
            sent.push(first_line(&transmit.payload));
        }
    }
    assert!(now <= pair.now + Duration::from_secs(600));
    assert!(matches!(pair.a.poll_event(), Some(UaEvent::Ended { .. })));
    assert!(sent[0].starts_with("UPDATE"), "{sent:?}");
}

#[test]
fn a_peer_that_knows_no_timers_is_refreshed_all_the_same() {
    let mut pair = pair_with_a_plain_callee();
    let a = pair.a.invite(pair.outgoing(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session: b, .. }) = pair.b.poll_event() else { panic!() };
    let contact = "<sip:bob@192.0.2.2>".parse().unwrap();
    // The 2xx of a peer that knows none: without Session-Expires.
    pair.b.accept(b, contact, Headers::new(), Some(Body::sdp("v=0\r\n")), pair.now).unwrap();
    let mut answer = None;
    while let Some(transmit) = pair.b.poll_transmit() {
        let text = String::from_utf8(transmit.payload.to_vec()).unwrap();
        answer = Some(
            text.lines()
                .filter(|l| !l.starts_with("Session-Expires"))
                .fold(String::new(), |all, line| all + line + "\r\n"),
        );
    }
    let (path, answer) = (pair.path(), answer.unwrap());
    let input = Received { path, payload: answer.as_bytes() };
    pair.a.handle_input(input, pair.now).unwrap();
    assert!(matches!(pair.a.poll_event(), Some(UaEvent::Accepted { .. })));
    pair.a.ack(a, Headers::new(), None, pair.now).unwrap();
    pair.run();
    pair.log.clear();
    pair.advance(Duration::from_secs(400));
    assert!(pair.log.iter().any(|line| line.contains("UPDATE")), "{:?}", pair.log);
}

#[test]
fn an_interval_below_the_minimum_is_refused_and_asked_for_again() {
    let mut pair = Pair::with(Transport::Tcp, timed(60, None));
    let mut invite = pair.outgoing();
    // What is not ours is not changed: the caller itself asks for too little.
    invite.headers.push("Session-Expires", "60;refresher=uac");
    pair.a.config.session_timer.interval = Duration::ZERO;
    pair.b.config.session_timer.min = Duration::from_secs(90);
    pair.a.invite(invite, pair.now).unwrap();
    pair.run();
    assert!(pair.a.poll_event().is_none());
    assert_eq!(pair.log[..2], ["> INVITE sip:bob@192.0.2.2", "< 422 Session Interval Too Small"]);
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::Refused { .. })));
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::Invite { .. })));
    // One that cannot be met: the callee does not say what would do.
    let mut pair = Pair::with(Transport::Tcp, timed(60, None));
    pair.a.invite(pair.outgoing(), pair.now).unwrap();
    let invite = pair.a.poll_transmit().unwrap().payload;
    let invite = Message::parse(&invite).unwrap().to_request().unwrap();
    let refusal = invite.response(StatusCode::SESSION_INTERVAL_TOO_SMALL, "b").to_bytes();
    let input = Received { path: pair.path(), payload: &refusal };
    pair.a.handle_input(input, pair.now).unwrap();
    let Some(UaEvent::Rejected { response, .. }) = pair.a.poll_event() else { panic!() };
    assert_eq!(response.status, StatusCode::SESSION_INTERVAL_TOO_SMALL);
}

#[test]
fn a_callee_that_rings_for_ever_is_cancelled() {
    let mut pair = Pair::new(Transport::Tcp);
    pair.a.invite(pair.outgoing(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session: b, .. }) = pair.b.poll_event() else { panic!() };
    pair.b.progress(b, StatusCode::RINGING, Headers::new(), None, pair.now).unwrap();
    pair.run();
    pair.log.clear();
    pair.advance(Duration::from_secs(200));
    assert_eq!(pair.log[0], "> CANCEL sip:bob@192.0.2.2");
    assert!(matches!(pair.a.poll_event(), Some(UaEvent::Progress { .. })));
    assert!(matches!(pair.a.poll_event(), Some(UaEvent::Rejected { .. })));
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::Cancelled { .. })));
}

#[test]
fn progress_is_reliable_where_it_is_asked_for() {
    let mut pair = Pair::new(Transport::Udp);
    let mut invite = pair.outgoing();
    invite.headers.push("Require", "100rel");
    let a = pair.a.invite(invite, pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session: b, .. }) = pair.b.poll_event() else { panic!() };
    pair.b.progress(b, StatusCode::SESSION_PROGRESS, Headers::new(), None, pair.now).unwrap();
    let again = pair.b.progress(b, StatusCode::RINGING, Headers::new(), None, pair.now);
    assert_eq!(again, Err(VerbError::Pending));
    pair.run();
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::ProgressAcked { body: None, .. })));
    pair.b.progress(b, StatusCode::RINGING, Headers::new(), None, pair.now).unwrap();
    pair.run();
    assert_eq!(
        pair.log,
        [
            "> INVITE sip:bob@192.0.2.2",
            "< 183 Session Progress",
            "> PRACK sip:bob@192.0.2.2:5060;transport=udp",
            "< 200 OK",
            "< 180 Ringing",
            "> PRACK sip:bob@192.0.2.2:5060;transport=udp",
            "< 200 OK",
        ]
    );
    pair.a.end(a, Headers::new(), pair.now).unwrap();
    pair.run();
}

/// What Lync's clients do: no branch, equal Call-IDs, a GRUU with colons, signed routes.
#[test]
fn a_lync_call_keeps_gruu_routes_and_epid() {
    const ROUTE: &str = "<sip:fe01.example.com:5061;transport=tls;opaque=state:T:F:Ci.Rc6ee00;lr;\
        ms-route-sig=agtnI0PHO0jvTWlLPLdbdZfVUQdZaaHxAelO7oAAAA>;tag=0C757E5CA9712CAAD078B70A0C7F28D2";
    let config = UaConfig { dialect: Dialect::Lync, ..UaConfig::default() };
    let now = Instant::now();
    let mut ua = UserAgent::new(config, [5; 32], now);
    let path = Path::new(Transport::Tls, B.parse().unwrap(), A.parse().unwrap())
        .with_connection(crate::path::ConnectionId(7));
    let mut sessions = Vec::new();
    for tag in ["c5a4bb5e07", "77d1e2a4b9"] {
        let invite = format!(
            "INVITE sip:room7@video.example.com SIP/2.0\r\nRecord-Route: {ROUTE}\r\n\
             Via: SIP/2.0/TLS 192.0.2.1:5060;ms-received-port=1590;ms-received-cid=C6B200\r\n\
             From: \"Alice\"<sip:alice@example.com>;tag={tag};epid=d2ff665153\r\n\
             To: <sip:room7@video.example.com>\r\nCall-ID: a45397523c114f73\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:alice@example.com;opaque=user:epid:JLcBefPLmVK_0AQYJ-UEiAAA;gruu>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        ua.handle_input(Received { path, payload: invite.as_bytes() }, now).unwrap();
        // A retransmission of a branch-less INVITE is one all the same.
        ua.handle_input(Received { path, payload: invite.as_bytes() }, now).unwrap();
        let Some(UaEvent::Invite { session, .. }) = ua.poll_event() else { panic!("{tag}") };
        assert!(ua.poll_event().is_none());
        sessions.push(session);
    }
    let contact = "<sip:room7@192.0.2.2:5061;transport=tls>".parse().unwrap();
    ua.accept(sessions[0], contact, Headers::new(), None, now).unwrap();
    let ok = ua.poll_transmit().unwrap();
    assert_eq!(ok.path, path);
    let ok = Message::parse(&ok.payload).unwrap().to_response().unwrap();
    assert_eq!(ok.headers.first("Record-Route"), Some(ROUTE));
    let from = "\"Alice\"<sip:alice@example.com>;tag=c5a4bb5e07;epid=d2ff665153";
    assert_eq!(ok.headers.first("From"), Some(from));
    ua.reinvite(sessions[0], Headers::new(), None, now).unwrap();
    let reinvite = ua.poll_transmit().unwrap();
    assert_eq!(reinvite.path, path);
    let reinvite = Message::parse(&reinvite.payload).unwrap().to_request().unwrap();
    assert_eq!(
        reinvite.uri.as_str(),
        "sip:alice@example.com;opaque=user:epid:JLcBefPLmVK_0AQYJ-UEiAAA;gruu"
    );
    assert_eq!(reinvite.headers.first("Route"), Some(ROUTE));
    assert_eq!(reinvite.headers.first("To"), Some(from));
    // A BYE without To tag finds its call.
    let bye = "BYE sip:room7@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1:5060\r\n\
        From: <sip:alice@example.com>;tag=77d1e2a4b9\r\nTo: <sip:room7@video.example.com>\r\n\
        Call-ID: a45397523c114f73\r\nCSeq: 2 BYE\r\n\
        ms-client-diagnostics: 51004;reason=\"x\"\r\n\r\n";
    ua.handle_input(Received { path, payload: bye.as_bytes() }, now).unwrap();
    let Some(UaEvent::Ended { session, cause: EndCause::Bye(bye) }) = ua.poll_event() else {
        panic!()
    };
    assert_eq!(session, sessions[1]);
    assert!(bye.headers.contains("ms-client-diagnostics"));
}
