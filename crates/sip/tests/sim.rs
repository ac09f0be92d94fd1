//! Two ends over a bad network: whatever is lost, doubled or reordered, every transaction and every
//! call ends, within its timers, and each application is told once.
//!
//! `LINKSPAN_SIM_RUNS` sets the number of seeded runs of each test.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where it is surprised"
)]

use std::time::{Duration, Instant};

use linkspan_sip::{
    Body, Bytes, Headers, Limits, Message, Method, OutgoingInvite, Path, Received, Request,
    RequestId, RequestMatch, ResponseMatch, SessionId, StatusCode, Timers, TransactionEvent,
    Transactions, Transmit, Transport, UaConfig, UaEvent, UserAgent,
};
use linkspan_testnet::{Link, Network};

const A: &str = "192.0.2.1:5060";
const B: &str = "192.0.2.2:5060";

fn runs(default: u64) -> u64 {
    std::env::var("LINKSPAN_SIM_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(default)
}

fn bad_link() -> Link {
    Link {
        delay: Duration::from_millis(40),
        jitter: Duration::from_millis(600),
        loss: 0.3,
        duplication: 0.15,
        ..Link::default()
    }
}

fn path(local: &str, remote: &str) -> Path {
    Path::new(Transport::Udp, local.parse().unwrap(), remote.parse().unwrap())
}

fn request(method: Method, seed: u64) -> Bytes {
    let mut request = Request::new(method.clone(), "sip:b@192.0.2.2".parse().unwrap());
    request.headers.push("Via", format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{seed:x}"));
    request.headers.push("From", "<sip:a@192.0.2.1>;tag=a");
    request.headers.push("To", "<sip:b@192.0.2.2>");
    request.headers.push("Call-ID", format!("{seed}"));
    request.headers.push("CSeq", format!("1 {method}"));
    request.to_bytes()
}

/// One client and one server transaction, to their ends.
fn transaction_run(seed: u64, method: &Method, status: StatusCode) {
    let start = Instant::now();
    let mut now = start;
    let mut network = Network::new(seed, bad_link());
    let mut client = Transactions::new(Timers::default(), &Limits::default());
    let mut server = Transactions::new(Timers::default(), &Limits::default());
    let id = client.request(request(method.clone(), seed), path(A, B), now).unwrap();
    let mut finals = 0;
    let mut timed_out = false;
    let mut served = 0;
    loop {
        while let Some(transmit) = client.poll_transmit() {
            network.send(now, A.parse().unwrap(), B.parse().unwrap(), transmit.payload.to_vec());
        }
        while let Some(Transmit { payload, .. }) = server.poll_transmit() {
            network.send(now, B.parse().unwrap(), A.parse().unwrap(), payload.to_vec());
        }
        let next = [network.next_arrival(), client.poll_timeout(), server.poll_timeout()];
        let Some(next) = next.into_iter().flatten().min() else { break };
        now = now.max(next);
        while let Some(packet) = network.receive(now) {
            let message = Message::parse(&packet.payload).unwrap();
            if message.is_request() {
                if let RequestMatch::New(id) = server.receive_request(&message, path(B, A), now) {
                    served += 1;
                    let response = message.to_request().unwrap().response(status, "b");
                    assert!(server.respond(id, status, response.to_bytes(), now), "seed {seed}");
                }
            } else if client.receive_response(&message, now) == ResponseMatch::Deliver(id)
                && message.status().unwrap().is_final()
            {
                finals += 1;
            }
        }
        client.handle_timeout(now);
        server.handle_timeout(now);
        while let Some(event) = client.poll_event() {
            timed_out |= event == TransactionEvent::TimedOut(id);
        }
        while server.poll_event().is_some() {}
        assert!(client.poll_timeout().is_none_or(|at| at > now), "seed {seed}");
        assert!(now < start + Duration::from_secs(400), "seed {seed}: no end");
    }
    assert!(client.is_empty() && server.is_empty(), "seed {seed}");
    let accepted = *method == Method::Invite && status.is_success();
    // Every 2xx of an INVITE is the user's; of everything else there is one final response.
    assert!(if accepted { finals >= 1 } else { finals == 1 } != timed_out, "seed {seed}: {finals}");
    // A late retransmission may open a second server transaction, once the first is gone.
    assert!(served <= 2, "seed {seed}: {served}");
}

#[test]
fn transactions_end() {
    for seed in 0..runs(10_000) {
        transaction_run(seed, &Method::Invite, StatusCode::OK);
        transaction_run(seed, &Method::Invite, StatusCode::BUSY_HERE);
        transaction_run(seed, &Method::Options, StatusCode::OK);
    }
}

/// One end of the call simulation, and what its application does.
struct End {
    ua: UserAgent,
    session: Option<SessionId>,
    /// How often the application heard that its call is over.
    ended: u32,
    established: bool,
    asked: Vec<RequestId>,
}

impl End {
    fn new(seed: u8, run: u64, now: Instant) -> Self {
        let mut bytes = [seed; 32];
        bytes[..8].copy_from_slice(&run.to_le_bytes());
        let ua = UserAgent::new(UaConfig::default(), bytes, now);
        Self { ua, session: None, ended: 0, established: false, asked: Vec::new() }
    }

    fn react(&mut self, network: &mut Network, now: Instant) {
        while let Some(event) = self.ua.poll_event() {
            match event {
                UaEvent::Invite { session, request, .. } => {
                    // A retransmission that outlived its transaction is a new call: refused.
                    if self.session.is_some() {
                        let busy = StatusCode::BUSY_HERE;
                        self.ua.reject(session, busy, Headers::new(), None, now).unwrap();
                        continue;
                    }
                    assert!(request.headers.call_id().unwrap().is_some());
                    self.session = Some(session);
                    self.answer(session, network, now);
                }
                UaEvent::Accepted { session, .. } => {
                    self.established = true;
                    self.ua.ack(session, Headers::new(), None, now).unwrap();
                }
                UaEvent::Rejected { session, .. } | UaEvent::Cancelled { session, .. } => {
                    self.over(session);
                }
                UaEvent::Ended { session, .. } => self.over(session),
                UaEvent::Reinvite { id, .. } => self.asked.push(id),
                UaEvent::Request { id, .. } => {
                    let _ = self.ua.respond(id, StatusCode::OK, Headers::new(), None, now);
                }
                UaEvent::Response { session: Some(session), response, .. } => {
                    let invite = response.headers.cseq().ok().flatten();
                    if invite.is_some_and(|cseq| cseq.method() == Method::Invite)
                        && response.status.is_success()
                    {
                        self.ua.ack(session, Headers::new(), None, now).unwrap();
                    }
                }
                _ => {}
            }
        }
        for id in std::mem::take(&mut self.asked) {
            let _ = self.ua.respond(id, StatusCode::OK, Headers::new(), None, now);
        }
    }

    fn answer(&mut self, session: SessionId, network: &mut Network, now: Instant) {
        if network.chance() < 0.5 {
            let mut headers = Headers::new();
            if network.chance() < 0.5 {
                headers.push("Require", "100rel");
            }
            let ringing = StatusCode::RINGING;
            self.ua.progress(session, ringing, headers, None, now).unwrap();
        }
        if network.chance() < 0.2 {
            let busy = StatusCode::BUSY_HERE;
            self.ua.reject(session, busy, Headers::new(), None, now).unwrap();
            self.over(session);
        } else if network.chance() < 0.8 {
            let contact = "<sip:b@192.0.2.2>".parse().unwrap();
            let body = Some(Body::sdp("v=0\r\n"));
            self.ua.accept(session, contact, Headers::new(), body, now).unwrap();
            self.established = true;
        }
    }

    fn over(&mut self, session: SessionId) {
        if self.session == Some(session) {
            self.ended += 1;
        }
    }
}

fn call_run(seed: u64) {
    let start = Instant::now();
    let mut now = start;
    let mut network = Network::new(seed, bad_link());
    let (mut a, mut b) = (End::new(1, seed, now), End::new(2, seed, now));
    let mut invite = OutgoingInvite::new(
        path(A, B),
        "sip:b@192.0.2.2".parse().unwrap(),
        "<sip:a@192.0.2.1>".parse().unwrap(),
        "<sip:a@192.0.2.1>".parse().unwrap(),
    );
    invite.body = Some(Body::sdp("v=0\r\n"));
    a.session = Some(a.ua.invite(invite, now).unwrap());
    // What the applications do by themselves: a hold from either side, and an end from one, then
    // from the other for the case that the first BYE is lost.
    let chance = |network: &mut Network| network.chance();
    let early = chance(&mut network) < 0.2;
    let mut plan = vec![(if early { 0.1 } else { 35.0 } + chance(&mut network) * 5.0, 0_u8)];
    plan.push((10.0 + chance(&mut network) * 10.0, 2));
    plan.push((10.0 + chance(&mut network) * 10.0, 3));
    plan.push((120.0, 1));
    plan.sort_by(|a, b| b.0.total_cmp(&a.0));
    loop {
        for (end, from, to) in [(&mut a, A, B), (&mut b, B, A)] {
            end.react(&mut network, now);
            while let Some(transmit) = end.ua.poll_transmit() {
                assert_eq!(transmit.path, path(from, to), "seed {seed}");
                let payload = transmit.payload.to_vec();
                network.send(now, from.parse().unwrap(), to.parse().unwrap(), payload);
            }
        }
        let planned = plan.last().map(|(at, _)| start + Duration::from_secs_f64(*at));
        let next = [network.next_arrival(), a.ua.poll_timeout(), b.ua.poll_timeout(), planned];
        let Some(next) = next.into_iter().flatten().min() else { break };
        now = now.max(next);
        while let Some(packet) = network.receive(now) {
            let (end, path) = if packet.to == A.parse().unwrap() {
                (&mut a, path(A, B))
            } else {
                (&mut b, path(B, A))
            };
            end.ua.handle_input(Received { path, payload: &packet.payload }, now).unwrap();
        }
        if let Some((at, what)) = plan.last().copied()
            && start + Duration::from_secs_f64(at) <= now
        {
            plan.pop();
            let end = if what % 2 == 0 { &mut a } else { &mut b };
            match (what, end.session) {
                (0 | 1, Some(session)) => {
                    let _ = end.ua.end(session, Headers::new(), now);
                    if what == 1 && !end.established && end.ended == 0 {
                        // Refusing makes no event.
                        end.over(session);
                    }
                }
                (_, Some(session)) => {
                    let _ = end.ua.reinvite(session, Headers::new(), None, now);
                }
                _ => {}
            }
        }
        a.ua.handle_timeout(now);
        b.ua.handle_timeout(now);
        assert!(now < start + Duration::from_secs(600), "seed {seed}: no end");
    }
    for end in [&a, &b] {
        assert_eq!(end.ua.session_count(), 0, "seed {seed}");
        assert_eq!(end.ua.transaction_count(), 0, "seed {seed}");
        let expected = u32::from(end.session.is_some());
        assert_eq!(end.ended, expected, "seed {seed}: told {} times", end.ended);
    }
}

#[test]
fn calls_end() {
    for seed in 0..runs(2_000) {
        call_run(seed);
    }
}

/// The same seed gives the same octets.
#[test]
fn a_run_can_be_replayed() {
    let octets = || {
        let now = Instant::now();
        let mut ua = UserAgent::new(UaConfig::default(), [9; 32], now);
        let invite = OutgoingInvite::new(
            path(A, B),
            "sip:b@192.0.2.2".parse().unwrap(),
            "<sip:a@192.0.2.1>".parse().unwrap(),
            "<sip:a@192.0.2.1>".parse().unwrap(),
        );
        ua.invite(invite, now).unwrap();
        ua.poll_transmit().unwrap().payload
    };
    assert_eq!(octets(), octets());
}
