//! Calls by number: the dial plan, whose number is whose, trunks, and how many calls they take.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod world;

use std::time::Duration;

use linkspan_gateway::{Config, DialRule, GatewayEvent, Route, Side, User};
use linkspan_sip::Request;
use linkspan_testnet::Link;
use world::{Behaviour, STANDARD, World, config};

/// Extensions of four digits, two users, and a trunk for numbers abroad.
fn with_numbers() -> Config {
    let mut config = config();
    let mut rule = DialRule::new("XXXX".parse().unwrap());
    rule.prepend = "+1425555".into();
    config.dial_plan.push(rule);
    config.users = vec![
        User::new("+14255550100", "alice@example.test"),
        User::new("+14255550101", "bob@example.test"),
    ];
    let mut route = Route::new("*".parse().unwrap(), Side::Standard);
    route.name = Some("abroad".into());
    route.numbers = vec!["+44*".parse().unwrap()];
    route.request_host = Some("pbx.example.test".into());
    route.next_hops.push(format!("tcp:{STANDARD}").parse().unwrap());
    (route.remove_plus, route.max_calls) = (true, Some(1));
    config.routes.push(route);
    config
}

/// A call, and the INVITE that the callee has got.
fn call(
    caller: Side,
    from: &'static str,
    asserted: Option<&'static str>,
    uri: &str,
) -> (World, Request) {
    let [mut lync, mut standard] = [Side::Lync, Side::Standard].map(Behaviour::of);
    let behaviour = if caller == Side::Lync { &mut lync } else { &mut standard };
    (behaviour.from, behaviour.asserted) = (from, asserted);
    let mut world = World::new(7, with_numbers(), lync, standard, Link::default());
    let now = world.now;
    world.endpoint(caller).place_call(uri, now);
    world.run_for(Duration::from_secs(3));
    let invite = world.endpoint(caller.other()).requests.first().cloned();
    let invite = invite.unwrap_or_else(|| panic!("no INVITE: {:#?}", world.tail()));
    (world, invite)
}

fn header<'a>(request: &'a Request, name: &'a str) -> Vec<&'a str> {
    request.headers.all(name).collect()
}

#[test]
fn a_trunk_reaches_a_user_by_extension_and_is_known_by_its_own_number() {
    let from = "sip:+1-425-555-0101@pbx.example.test;user=phone";
    let (world, invite) = call(Side::Standard, from, None, "sip:0100@example.test");
    assert_eq!(invite.uri.as_str(), "sip:alice@example.test");
    assert!(header(&invite, "From")[0].contains("<sip:bob@example.test>"), "{:?}", invite.headers);
    let asserted = header(&invite, "P-Asserted-Identity");
    assert!(asserted[0].contains("<sip:bob@example.test>"), "{asserted:?}");
    assert_eq!(asserted[1..], ["<tel:+14255550101>"]);
    let explained = "alice@example.test to lync";
    assert!(format!("{:?}", world.events).contains(explained), "no decision in words");
}

#[test]
fn a_user_calls_a_number_through_a_trunk_with_room() {
    let to = "sip:+44-20-55501@example.test;user=phone";
    for (from, asserted, shown) in [
        ("sip:alice@example.test", None, "<sip:+14255550100@example.test;user=phone>"),
        (
            "sip:carol@example.test",
            Some("<sip:carol@example.test>, <tel:+14255550199>"),
            "<sip:+14255550199@example.test;user=phone>",
        ),
        ("sip:carol@example.test", None, "<sip:carol@example.test>"),
    ] {
        let (mut world, invite) = call(Side::Lync, from, asserted, to);
        assert_eq!(invite.uri.as_str(), "sip:442055501@pbx.example.test;user=phone");
        assert!(header(&invite, "From")[0].contains(shown), "{:?}", invite.headers);
        assert!(header(&invite, "P-Asserted-Identity").is_empty());
        // The trunk takes one call.
        world.inject_sip(
            Side::Lync,
            b"INVITE sip:+442055502@example.test;user=phone SIP/2.0\r\nVia: SIP/2.0/TLS 198.51.100.66:5060;\
branch=z9hG4bKx\r\nFrom: <sip:dave@example.test>;tag=1;epid=1\r\nTo: <sip:+442055502@example.test>\r\n\
Call-ID: second\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:dave@198.51.100.66>\r\n\
Content-Length: 0\r\n\r\n",
        );
        let refused = world.events.iter().any(|event| match event {
            GatewayEvent::Ended { status: Some(503), reason, .. } => reason.contains("as it may"),
            _ => false,
        });
        assert!(refused, "{:#?}", world.tail());
    }
}
