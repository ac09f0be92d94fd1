//! What the view and a live transaction or dialog cost: octets of the heap, counted.
#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::hint::black_box;
use std::time::Instant;

use linkspan_sip::{
    Body, Headers, Limits, Message, Method, OutgoingInvite, Path, Received, Request, Timers,
    Transactions, Transport, UaConfig, UaEvent, UserAgent,
};
use linkspan_testnet::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const A: &str = "192.0.2.1:5060";
const B: &str = "192.0.2.2:5060";

fn path(local: &str, remote: &str) -> Path {
    Path::new(Transport::Udp, local.parse().unwrap(), remote.parse().unwrap())
}

/// How many of each; the figure for one does not depend on it. `LINKSPAN_LIVE=100000` in a release
/// build is the whole claim.
fn live(default: usize) -> usize {
    std::env::var("LINKSPAN_LIVE").ok().and_then(|live| live.parse().ok()).unwrap_or(default)
}

#[test]
fn the_view_and_its_typed_values_allocate_nothing() {
    let octets = b"INVITE sip:bob@example.com;opaque=user:epid:JLcB;gruu SIP/2.0\r\n\
        Via: SIP/2.0/TLS 192.0.2.12:5061;branch=z9hG4bK3A32;branched=FALSE, SIP/2.0/TLS 192.0.2.57:1590\r\n\
        Record-Route: <sip:fe01.example.com:5061;transport=tls;opaque=state:T:F:Ci.Rc6ee00;lr>;tag=0C\r\n\
        From: \"Alice\"<sip:alice@example.com>;tag=c5a4;epid=d2ff\r\nTo: <sip:bob@example.com>\r\n\
        Call-ID: a45397523c114f738470ffb675e3bd75\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@example.com;gruu>\r\n\
        Supported: timer, 100rel\r\nContent-Length: 4\r\n\r\nv=0\n";
    let before = CountingAllocator::count();
    let message = Message::parse(black_box(octets)).unwrap();
    message.validate().unwrap();
    for via in message.vias() {
        black_box((via.unwrap().branch(), via.unwrap().host_ip()));
    }
    black_box((message.from().unwrap().unwrap().epid(), message.to().unwrap().unwrap().tag()));
    black_box((message.call_id().unwrap(), message.cseq().unwrap(), message.uri().unwrap().host()));
    black_box(message.contacts().filter_map(Result::ok).count());
    black_box(message.record_routes().filter_map(Result::ok).count());
    black_box((message.supported().has("100rel"), message.header("X-None"), message.body()));
    assert_eq!(CountingAllocator::count() - before, 0, "allocations");
}

#[test]
fn a_live_transaction_takes_less_than_2_kb() {
    let live = live(5_000);
    let now = Instant::now();
    let before = CountingAllocator::held();
    let mut layer = Transactions::new(Timers::default(), &Limits::default());
    for number in 0..live / 2 {
        let mut request = Request::new(Method::Invite, "sip:b@192.0.2.2".parse().unwrap());
        for (name, value) in [
            ("Via", format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number:016x}")),
            ("From", format!("\"Alice\" <sip:alice@example.com>;tag={number:016x}")),
            ("To", "<sip:bob@example.com>".to_owned()),
            ("Call-ID", format!("{number:016x}@192.0.2.1")),
            ("CSeq", "1 INVITE".to_owned()),
            ("Contact", "<sip:alice@192.0.2.1:5060>".to_owned()),
            ("Max-Forwards", "70".to_owned()),
        ] {
            request.headers.push(name, value);
        }
        request.set_body(Body::sdp("v=0\r\n".repeat(60)));
        let octets = request.to_bytes();
        layer.request(octets.clone(), path(A, B), now).unwrap();
        layer.receive_request(&Message::parse(&octets).unwrap(), path(B, A), now);
        while layer.poll_transmit().is_some() {}
    }
    assert_eq!(layer.len(), live / 2 * 2);
    let each = (CountingAllocator::held() - before) / layer.len().cast_signed();
    println!("{} transactions, {each} octets each", layer.len());
    assert!(each < 2_000, "{each}");
    // Timers: each costs the logarithm of how many there are.
    let start = Instant::now();
    let mut fired = 0;
    while let Some(at) = layer.poll_timeout() {
        layer.handle_timeout(at);
        while layer.poll_transmit().is_some() {
            fired += 1;
        }
        while layer.poll_event().is_some() {}
        if at > now + Timers::default().timeout() {
            break;
        }
    }
    println!("{fired} retransmissions in {:?}", start.elapsed());
}

#[test]
fn a_live_dialog_takes_less_than_2_kb() {
    let live = live(1_000);
    let mut now = Instant::now();
    let (mut a, mut b) = (
        UserAgent::new(UaConfig::default(), [1; 32], now),
        UserAgent::new(UaConfig::default(), [2; 32], now),
    );
    let before = CountingAllocator::held();
    for _ in 0..live {
        call(&mut a, &mut b, now);
    }
    // The transactions of the set-up end.
    for _ in 0..8 {
        now += Timers::default().timeout() / 4;
        a.handle_timeout(now);
        b.handle_timeout(now);
        while a.poll_transmit().or_else(|| b.poll_transmit()).is_some() {}
        while a.poll_event().or_else(|| b.poll_event()).is_some() {}
    }
    assert_eq!((a.session_count(), b.session_count()), (live, live));
    assert_eq!(a.transaction_count() + b.transaction_count(), 0);
    let each = (CountingAllocator::held() - before) / (2 * live).cast_signed();
    println!("{} dialogs, {each} octets each", 2 * live);
    assert!(each < 2_000, "{each}");
}

fn call(a: &mut UserAgent, b: &mut UserAgent, now: Instant) {
    let mut invite = OutgoingInvite::new(
        path(A, B),
        "sip:bob@192.0.2.2".parse().unwrap(),
        "\"Alice\" <sip:alice@example.com>".parse().unwrap(),
        "<sip:alice@192.0.2.1>".parse().unwrap(),
    );
    invite.body = Some(Body::sdp("v=0\r\n"));
    a.invite(invite, now).unwrap();
    loop {
        let mut quiet = true;
        while let Some(transmit) = a.poll_transmit() {
            quiet = false;
            let input = Received { path: path(B, A), payload: &transmit.payload };
            b.handle_input(input, now).unwrap();
        }
        while let Some(transmit) = b.poll_transmit() {
            quiet = false;
            let input = Received { path: path(A, B), payload: &transmit.payload };
            a.handle_input(input, now).unwrap();
        }
        while let Some(event) = b.poll_event() {
            if let UaEvent::Invite { session, .. } = event {
                let contact = "<sip:bob@192.0.2.2>".parse().unwrap();
                let body = Some(Body::sdp("v=0\r\n"));
                b.accept(session, contact, Headers::new(), body, now).unwrap();
            }
        }
        while let Some(event) = a.poll_event() {
            if let UaEvent::Accepted { session, .. } = event {
                a.ack(session, Headers::new(), None, now).unwrap();
            }
        }
        if quiet {
            return;
        }
    }
}
