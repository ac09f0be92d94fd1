//! Subscriptions, referrals, replacements, retries and rest, between two user agents.

use std::time::Duration;

use super::tests::Pair;
use super::*;
use crate::headers::Headers;
use crate::method::{Method, StatusCode};
use crate::name_addr::NameAddr;
use crate::request::Body;

const HOUR: Duration = Duration::from_secs(3600);

fn subscribe(pair: &Pair) -> OutgoingSubscribe {
    OutgoingSubscribe::new(
        pair.path(),
        "sip:bob@192.0.2.2".parse().unwrap(),
        "<sip:alice@example.com>".parse().unwrap(),
        "<sip:alice@192.0.2.1>".parse().unwrap(),
        "presence;id=7",
    )
}

fn contact() -> NameAddr {
    "<sip:bob@192.0.2.2>".parse().unwrap()
}

fn asked(agent: &mut UserAgent) -> RequestId {
    loop {
        match agent.poll_event() {
            Some(UaEvent::Request { id, .. }) => return id,
            Some(_) => {}
            None => panic!("no request"),
        }
    }
}

fn events(agent: &mut UserAgent) -> Vec<UaEvent> {
    std::iter::from_fn(|| agent.poll_event()).collect()
}

fn body(text: &str) -> Option<Body> {
    Some(Body::new("application/pidf+xml", text.to_owned()))
}

/// A subscription that is up: alice's and bob's.
fn subscribed(pair: &mut Pair, longest: Duration) -> (SubscriptionId, SubscriptionId) {
    let a = pair.a.subscribe(subscribe(pair), pair.now).unwrap();
    pair.run();
    let id = asked(&mut pair.b);
    let b = pair.b.accept_subscription(id, &contact(), longest, Headers::new(), pair.now).unwrap();
    let state = SubscriptionState::Active;
    pair.b.notify(b, &state, &Headers::new(), body("open"), pair.now).unwrap();
    pair.run();
    (a, b)
}

#[test]
fn a_subscription_from_subscribe_to_its_end() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut pair = Pair::new(transport);
        let (a, b) = subscribed(&mut pair, Duration::from_secs(600));
        let seen = events(&mut pair.a);
        assert!(matches!(&seen[0], UaEvent::Subscribed { subscription, .. } if *subscription == a));
        let UaEvent::Notified { request, fork_of: None, .. } = &seen[1] else { panic!() };
        assert_eq!(request.headers.first("Event"), Some("presence;id=7"));
        assert_eq!(request.headers.first("Subscription-State"), Some("active;expires=600"));
        assert_eq!(&request.body[..], b"open");
        // It is refreshed before its time is out, again and again.
        for _ in 0..3 {
            pair.log.clear();
            let start = pair.now;
            while pair.b.events.is_empty() {
                pair.advance(Duration::from_secs(1));
            }
            assert!((500..600).contains(&(pair.now - start).as_secs()));
            assert_eq!(pair.log[..2], ["> SUBSCRIBE sip:bob@192.0.2.2", "< 200 OK"]);
            let seen = events(&mut pair.b);
            assert!(matches!(seen[..], [UaEvent::SubscriptionRefreshed { expires, .. }]
                if expires.as_secs() == 600));
            let state = SubscriptionState::Active;
            pair.b.notify(b, &state, &Headers::new(), body("closed"), pair.now).unwrap();
            pair.run();
            let seen = events(&mut pair.a);
            assert!(matches!(seen[..], [UaEvent::Notified { .. }]), "{seen:?}");
        }
        pair.a.unsubscribe(a, pair.now).unwrap();
        pair.run();
        let seen = events(&mut pair.b);
        assert!(matches!(seen[..], [UaEvent::SubscriptionRefreshed { expires, .. }]
            if expires.is_zero()));
        let state = SubscriptionState::terminated("timeout");
        pair.b.notify(b, &state, &Headers::new(), body("last"), pair.now).unwrap();
        pair.run();
        let seen = events(&mut pair.a);
        assert!(matches!(
            &seen[..],
            [
                UaEvent::Notified { .. },
                UaEvent::SubscriptionEnded { cause: SubscriptionEnd::Local, .. }
            ]
        ));
        pair.advance(HOUR);
        assert_eq!((pair.a.subscription_count(), pair.b.subscription_count()), (0, 0));
        assert_eq!((pair.a.poll_timeout(), pair.b.poll_timeout()), (None, None));
    }
}

#[test]
fn a_notifier_that_says_nothing_or_no_is_noticed() {
    let mut pair = Pair::new(Transport::Udp);
    pair.a.subscribe(subscribe(&pair), pair.now).unwrap();
    pair.run();
    let id = asked(&mut pair.b);
    pair.b.accept_subscription(id, &contact(), HOUR, Headers::new(), pair.now).unwrap();
    pair.run();
    pair.advance(Duration::from_secs(33));
    let seen = events(&mut pair.a);
    assert!(matches!(
        seen.last(),
        Some(UaEvent::SubscriptionEnded { cause: SubscriptionEnd::Silent, .. })
    ));
    pair.a.subscribe(subscribe(&pair), pair.now).unwrap();
    pair.run();
    let id = asked(&mut pair.b);
    pair.b.respond(id, StatusCode::BAD_EVENT, Headers::new(), None, pair.now).unwrap();
    pair.run();
    let Some(UaEvent::SubscriptionEnded { cause, .. }) = pair.a.poll_event() else { panic!() };
    assert!(matches!(cause, SubscriptionEnd::Refused(r) if r.status == StatusCode::BAD_EVENT));
}

#[test]
fn who_does_not_refresh_is_told_and_who_forgot_is_dropped() {
    let mut pair = Pair::new(Transport::Udp);
    let (_, b) = subscribed(&mut pair, Duration::from_secs(300));
    events(&mut pair.a);
    // Alice starts anew, and knows nothing.
    pair.a = UserAgent::new(UaConfig::default(), [3; 32], pair.now);
    pair.log.clear();
    pair.b.notify(b, &SubscriptionState::Active, &Headers::new(), None, pair.now).unwrap();
    pair.run();
    assert_eq!(pair.log[1], "> 481 Call/Transaction Does Not Exist");
    assert!(matches!(
        events(&mut pair.b).last(),
        Some(UaEvent::SubscriptionEnded { cause: SubscriptionEnd::Lost(_), .. })
    ));
    let mut pair = Pair::new(Transport::Udp);
    let (a, _) = subscribed(&mut pair, Duration::from_secs(60));
    pair.a.subscriptions.get_mut(&a).unwrap().refresh_at = None;
    pair.a.rewatch(a);
    pair.advance(Duration::from_secs(61));
    assert!(matches!(
        events(&mut pair.b).last(),
        Some(UaEvent::SubscriptionEnded { cause: SubscriptionEnd::Expired, .. })
    ));
    assert_eq!((pair.a.subscription_count(), pair.b.subscription_count()), (0, 0));
}

/// A NOTIFY of another notifier, as behind a forking proxy.
fn forked_notify(pair: &Pair, sent: &[u8], tag: &str) -> String {
    let message = Message::parse(sent).unwrap();
    let from = message.header("From").unwrap();
    format!(
        "NOTIFY sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{tag}\r\n\
         From: <sip:bob@192.0.2.2>;tag={tag}\r\nTo: {from}\r\nCall-ID: {}\r\nCSeq: 1 NOTIFY\r\n\
         Contact: <sip:bob@192.0.2.2:{}>\r\nEvent: presence;id=7\r\n\
         Subscription-State: active;expires=900\r\nMax-Forwards: 70\r\n\r\n",
        message.header("Call-ID").unwrap(),
        pair.path().remote.port(),
    )
}

#[test]
fn a_notify_makes_the_dialog_and_forks_are_taken_where_they_are_wanted() {
    for wanted in [false, true] {
        let mut pair = Pair::new(Transport::Udp);
        let subscribe = OutgoingSubscribe { forks: wanted, ..subscribe(&pair) };
        let first = pair.a.subscribe(subscribe, pair.now).unwrap();
        let sent = pair.a.poll_transmit().unwrap().payload;
        for tag in ["one", "two"] {
            let notify = forked_notify(&pair, &sent, tag);
            let input = Received { path: pair.path(), payload: notify.as_bytes() };
            pair.a.handle_input(input, pair.now).unwrap();
        }
        let answers: Vec<_> = std::iter::from_fn(|| pair.a.poll_transmit())
            .map(|transmit| tests::first_line(&transmit.payload))
            .collect();
        let second = if wanted { "200 OK" } else { "481 Call/Transaction Does Not Exist" };
        assert_eq!(answers, ["200 OK", second]);
        let forks: Vec<_> = events(&mut pair.a)
            .into_iter()
            .filter_map(|event| match event {
                UaEvent::Notified { fork_of, .. } => Some(fork_of),
                _ => None,
            })
            .collect();
        assert_eq!(forks, if wanted { vec![None, Some(first)] } else { vec![None] });
        // Each is refreshed on its own.
        pair.a.handle_timeout(pair.now + Duration::from_secs(880));
        let refreshes = std::iter::from_fn(|| pair.a.poll_transmit())
            .filter(|transmit| transmit.payload.starts_with(b"SUBSCRIBE"))
            .count();
        assert!(refreshes > usize::from(wanted), "{refreshes}");
    }
}

#[test]
fn too_short_times_are_asked_for_again() {
    let mut pair = Pair::new(Transport::Udp);
    pair.a.subscribe(subscribe(&pair), pair.now).unwrap();
    pair.run();
    let id = asked(&mut pair.b);
    let mut headers = Headers::new();
    headers.push("Min-Expires", "7200");
    pair.b.respond(id, StatusCode::INTERVAL_TOO_BRIEF, headers, None, pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Request { request, .. }) = pair.b.poll_event() else { panic!() };
    assert_eq!(request.headers.first("Expires"), Some("7200"));
    assert_eq!(request.headers.first("CSeq"), Some("2 SUBSCRIBE"));
    // RFC 4028 §7.3, by a callee that wants more than we do.
    let mut pair = Pair::new(Transport::Tcp);
    pair.a.config.session_timer.interval = Duration::from_secs(100);
    pair.b.config.session_timer.min = Duration::from_secs(1800);
    pair.a.invite(pair.outgoing(), pair.now).unwrap();
    pair.run();
    let seen = events(&mut pair.b);
    let Some(UaEvent::Invite { request, .. }) = seen.last() else { panic!("{seen:?}") };
    assert_eq!(request.headers.first("Session-Expires"), Some("1800"));
    assert_eq!(request.headers.first("Min-SE"), Some("1800"));
    assert_eq!(request.headers.first("CSeq"), Some("2 INVITE"));
    assert!(pair.a.poll_event().is_none());
}

#[test]
fn a_referral_is_told_even_after_the_call() {
    let mut pair = Pair::new(Transport::Tcp);
    let (a, b) = pair.call();
    let carol = "<sip:carol@example.com>".parse().unwrap();
    let referral = pair.a.refer(a, &carol, &Headers::new(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Request { session, id, request, .. }) = pair.b.poll_event() else { panic!() };
    assert_eq!(session, Some(b));
    assert_eq!(request.headers.first("Refer-To"), Some("<sip:carol@example.com>"));
    let usage = pair.b.accept_subscription(id, &contact(), HOUR, Headers::new(), pair.now).unwrap();
    let state = SubscriptionState::Active;
    let trying = Some(Body::sipfrag(StatusCode::TRYING));
    pair.b.notify(usage, &state, &Headers::new(), trying, pair.now).unwrap();
    pair.run();
    let seen = events(&mut pair.a);
    assert!(matches!(&seen[0], UaEvent::Subscribed { response, .. }
        if response.status == StatusCode::ACCEPTED));
    // The one who referred hangs up, and hears the outcome all the same.
    pair.a.bye(a, Headers::new(), pair.now).unwrap();
    pair.run();
    assert_eq!((pair.a.session_count(), pair.b.session_count()), (0, 0));
    let state = SubscriptionState::terminated("noresource");
    let outcome = Some(Body::sipfrag(StatusCode::OK));
    pair.b.notify(usage, &state, &Headers::new(), outcome, pair.now).unwrap();
    pair.run();
    let seen = events(&mut pair.a);
    let told = seen.iter().find_map(|event| match event {
        UaEvent::Notified { subscription, request, .. } if *subscription == referral => {
            request.to_body()?.sipfrag_status()
        }
        _ => None,
    });
    assert_eq!(told, Some(StatusCode::OK));
    assert_eq!((pair.a.subscription_count(), pair.b.subscription_count()), (0, 0));
}

#[test]
fn a_refused_referral_ends_its_subscription_alone() {
    let mut pair = Pair::new(Transport::Tcp);
    let (a, _) = pair.call();
    let carol = "<sip:carol@example.com>".parse().unwrap();
    pair.a.refer(a, &carol, &Headers::new(), pair.now).unwrap();
    pair.run();
    let id = asked(&mut pair.b);
    pair.b.respond(id, StatusCode::DECLINE, Headers::new(), None, pair.now).unwrap();
    pair.run();
    assert!(matches!(
        events(&mut pair.a)[..],
        [UaEvent::SubscriptionEnded { cause: SubscriptionEnd::Refused(_), .. }]
    ));
    assert_eq!(pair.a.session_count(), 1);
}

#[test]
fn a_call_takes_the_place_of_another() {
    let mut pair = Pair::new(Transport::Tcp);
    let (a, b) = pair.call();
    let replaces = pair.a.dialog(a).unwrap().replaces();
    let mut invite = pair.outgoing();
    invite.headers.push("Replaces", &replaces);
    let new = pair.a.invite(invite, pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session, .. }) = pair.b.poll_event() else { panic!() };
    assert_eq!(pair.b.replaces(session), Some(b));
    let answer = Some(Body::sdp("v=0\r\n"));
    pair.b.accept(session, contact(), Headers::new(), answer, pair.now).unwrap();
    pair.run();
    assert!(matches!(
        events(&mut pair.b)[..],
        [UaEvent::Ended { session, cause: EndCause::Replaced(_) }] if session == b
    ));
    let seen = events(&mut pair.a);
    assert!(seen.iter().any(|event| matches!(event, UaEvent::Accepted { session, .. }
        if *session == new)));
    assert!(seen.iter().any(|event| matches!(event, UaEvent::Ended { session, .. }
        if *session == a)));
    // What is not known is refused (RFC 3891 §3), and an early-only of an answered call too.
    pair.a.ack(new, Headers::new(), None, pair.now).unwrap();
    pair.run();
    let current = pair.a.dialog(new).unwrap().replaces();
    for (value, status) in [
        ("nobody;to-tag=1;from-tag=2".to_owned(), StatusCode::CALL_DOES_NOT_EXIST),
        (format!("{current};early-only"), StatusCode::BUSY_HERE),
        ("no tags".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let mut invite = pair.outgoing();
        invite.headers.push("Replaces", value);
        pair.a.invite(invite, pair.now).unwrap();
        pair.run();
        let rejected = events(&mut pair.a).into_iter().find_map(|event| match event {
            UaEvent::Rejected { response, .. } => Some(response.status),
            _ => None,
        });
        assert_eq!(rejected, Some(status));
    }
}

#[test]
fn an_offer_in_a_reliable_response_is_answered_in_its_prack() {
    let mut pair = Pair::new(Transport::Udp);
    let mut invite = pair.outgoing();
    invite.body = None;
    let a = pair.a.invite(invite, pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session: b, .. }) = pair.b.poll_event() else { panic!() };
    let mut reliable = Headers::new();
    reliable.push("Require", "100rel");
    let progress = StatusCode::SESSION_PROGRESS;
    let offer = Some(Body::sdp("v=0 offer\r\n"));
    pair.b.progress(b, progress, reliable, offer, pair.now).unwrap();
    pair.log.clear();
    pair.run();
    assert_eq!(pair.log, ["< 183 Session Progress"]);
    let Some(UaEvent::Progress { response, .. }) = pair.a.poll_event() else { panic!() };
    let tag = response.headers.to().unwrap().unwrap().tag().unwrap().to_owned();
    let answer = Some(Body::sdp("v=0 answer\r\n"));
    pair.a.prack(a, &tag, &Headers::new(), answer.clone(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::ProgressAcked { body, .. }) = pair.b.poll_event() else { panic!() };
    assert_eq!(body, answer);
    assert!(matches!(pair.a.poll_event(), Some(UaEvent::Response { response, .. })
        if response.status == StatusCode::OK));
    let again = pair.a.prack(a, &tag, &Headers::new(), None, pair.now);
    assert_eq!(again, Err(VerbError::State));
}

#[test]
fn an_offer_in_a_prack_is_the_applications_to_answer() {
    let mut pair = Pair::new(Transport::Tcp);
    pair.a.invite(pair.outgoing(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session: b, .. }) = pair.b.poll_event() else { panic!() };
    let mut reliable = Headers::new();
    reliable.push("Require", "100rel");
    let answer = Some(Body::sdp("v=0\r\n"));
    pair.b.progress(b, StatusCode::RINGING, reliable, answer.clone(), pair.now).unwrap();
    while let Some(transmit) = pair.b.poll_transmit() {
        let input = Received { path: pair.path(), payload: &transmit.payload };
        pair.a.handle_input(input, pair.now).unwrap();
    }
    let prack = pair.a.poll_transmit().unwrap().payload;
    let mut prack = Message::parse(&prack).unwrap().to_request().unwrap();
    assert_eq!(prack.method, Method::Prack);
    prack.set_body(Body::sdp("v=0 more\r\n"));
    let path = pair.path();
    let path = Path::new(path.transport, path.remote, path.local);
    let input = Received { path, payload: &prack.to_bytes() };
    pair.b.handle_input(input, pair.now).unwrap();
    assert!(pair.b.poll_transmit().is_none());
    let id = asked(&mut pair.b);
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::ProgressAcked { body: None, .. })));
    pair.b.respond(id, StatusCode::OK, Headers::new(), answer, pair.now).unwrap();
    let ok = pair.b.poll_transmit().unwrap().payload;
    assert!(ok.starts_with(b"SIP/2.0 200") && ok.ends_with(b"v=0\r\n"));
}

/// RFC 3311 §5: the callee's Allow invites UPDATE, and an UPDATE of the early dialog moves it.
#[test]
fn updates_of_both_sides_before_the_answer() {
    let mut pair = Pair::new(Transport::Tcp);
    let a = pair.a.invite(pair.outgoing(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session: b, .. }) = pair.b.poll_event() else { panic!() };
    let mut reliable = Headers::new();
    reliable.push("Require", "100rel");
    let answer = Some(Body::sdp("v=0\r\n"));
    pair.b.progress(b, StatusCode::SESSION_PROGRESS, reliable, answer, pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Progress { response, .. }) = pair.a.poll_event() else { panic!() };
    assert!(response.headers.allow().has("UPDATE"));
    assert!(matches!(pair.b.poll_event(), Some(UaEvent::ProgressAcked { .. })));
    let body = || Some(Body::sdp("v=0 more\r\n"));
    let mut moved = Headers::new();
    moved.push("Contact", "<sip:bob@192.0.2.2;moved>");
    pair.b.request(b, Method::Update, moved, body(), pair.now).unwrap();
    pair.run();
    let id = asked(&mut pair.a);
    pair.a.respond(id, StatusCode::OK, Headers::new(), body(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Response { response, .. }) = pair.b.poll_event() else { panic!() };
    assert_eq!(response.headers.first("Contact"), Some("<sip:alice@192.0.2.1>"));
    pair.a.request(a, Method::Update, Headers::new(), body(), pair.now).unwrap();
    let update = pair.a.poll_transmit().unwrap().payload;
    assert!(update.starts_with(b"UPDATE sip:bob@192.0.2.2;moved SIP/2.0\r\n"));
}

#[test]
fn a_peer_that_asks_for_rest_gets_it() {
    let mut pair = Pair::new(Transport::Udp);
    let a = pair.a.invite(pair.outgoing(), pair.now).unwrap();
    pair.run();
    let Some(UaEvent::Invite { session, .. }) = pair.b.poll_event() else { panic!() };
    let mut headers = Headers::new();
    headers.push("Retry-After", "30 (overload);duration=60");
    pair.b.reject(session, StatusCode::SERVICE_UNAVAILABLE, headers, None, pair.now).unwrap();
    pair.run();
    assert!(matches!(pair.a.poll_event(), Some(UaEvent::Rejected { session, .. }) if session == a));
    let until = pair.a.resting_until(&pair.path()).unwrap();
    assert_eq!(until - pair.now, Duration::from_secs(30));
    assert_eq!(pair.a.invite(pair.outgoing(), pair.now), Err(VerbError::Overloaded));
    assert_eq!(pair.a.subscribe(subscribe(&pair), pair.now), Err(VerbError::Overloaded));
    let mut other = pair.outgoing();
    other.path.remote = "192.0.2.3:5060".parse().unwrap();
    pair.a.invite(other, pair.now).unwrap();
    pair.a.invite(pair.outgoing(), until).unwrap();
}

#[test]
fn a_lync_subscriber_is_told_without_an_answer() {
    let config = UaConfig { dialect: Dialect::Lync, ..UaConfig::default() };
    let mut pair = Pair::with(Transport::Tcp, config);
    let mut lync = subscribe(&pair);
    lync.headers.push("Supported", "ms-benotify");
    pair.a.subscribe(lync, pair.now).unwrap();
    pair.run();
    let id = asked(&mut pair.b);
    let mut headers = Headers::new();
    headers.push("ms-piggyback-cseq", "1");
    let b = pair.b.accept_subscription(id, &contact(), HOUR, headers, pair.now).unwrap();
    pair.run();
    // The first notification came along: nothing more is waited for.
    pair.advance(Duration::from_secs(60));
    assert_eq!(pair.a.subscription_count(), 1);
    events(&mut pair.a);
    pair.log.clear();
    let (state, none) = (SubscriptionState::Active, Headers::new());
    pair.b.send_cseq(b);
    pair.b.notify(b, &state, &none, body("busy"), pair.now).unwrap();
    pair.run();
    assert_eq!(pair.log, ["< BENOTIFY sip:alice@192.0.2.1"]);
    let seen = events(&mut pair.a);
    assert!(matches!(&seen[..], [UaEvent::Notified { request, .. }]
        if request.method == Method::Benotify));
}

impl UserAgent {
    /// As if a first notification had gone out within the 200.
    fn send_cseq(&mut self, id: SubscriptionId) {
        self.usage_dialog(id).unwrap().raise_local_cseq(1);
    }
}
