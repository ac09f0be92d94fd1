//! Bad input beside a running call: counted, answered where the protocol says so, and harmless.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod world;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use linkspan_gateway::{DropReason, GatewayEvent, MediaInputError, Side, StreamKind};
use linkspan_testnet::Link;
use world::{Behaviour, World, config};

const HEADERS: &str = "Via: SIP/2.0/TCP 198.51.100.66:5060;branch=z9hG4bKhostile\r\n\
From: <sip:mallory@video.example.test>;tag=evil\r\nTo: <sip:alice@example.test>\r\n\
Call-ID: hostile@example.test\r\nCSeq: 1 INVITE\r\n\
Contact: <sip:mallory@198.51.100.66:5060;transport=tcp>\r\n";

fn running() -> World {
    let (lync, standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
    let mut world = World::new(40, config(), lync, standard, Link::default());
    let now = world.now;
    world.lync.place_call("sip:room7@video.example.test", now);
    world.run_for(Duration::from_secs(5));
    assert!(world.standard.stream(StreamKind::Audio).received_audio.len() > 20);
    world
}

/// The call goes on: media moves both ways, and it ends as it should.
fn unharmed(world: &mut World) {
    let heard = |world: &mut World| {
        [Side::Lync, Side::Standard]
            .map(|side| world.endpoint(side).stream(StreamKind::Audio).received_audio.len())
    };
    let before = heard(world);
    world.run_for(Duration::from_secs(1));
    let after = heard(world);
    assert!(after[0] > before[0] + 40 && after[1] > before[1] + 40, "{before:?} {after:?}");
    for side in [Side::Lync, Side::Standard] {
        assert_eq!(world.endpoint(side).stream(StreamKind::Video).damaged, 0);
    }
    let now = world.now;
    world.lync.hang_up(now);
    world.run_to_end();
    assert_eq!(world.bound(), 0);
}

/// Labels of what the gateway sends to the standards side from now on.
fn answers(world: &mut World, octets: &[u8]) -> Vec<String> {
    let before = world.ladder(Side::Standard).len();
    world.inject_sip(Side::Standard, octets);
    world.run_for(Duration::from_millis(300));
    let sent = |line: &String| line.strip_prefix("< ").map(|label| label[..3].to_owned());
    world.ladder(Side::Standard)[before..].iter().filter_map(sent).collect()
}

fn invite(uri: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!("INVITE {uri} SIP/2.0\r\n{HEADERS}{more}Content-Length: {length}\r\n\r\n{body}")
}

#[test]
fn malformed_sip_is_answered_and_counted_beside_a_call() {
    let mut world = running();
    let to = "sip:alice@example.test";
    let sdp = "Content-Type: application/sdp\r\n";
    let audio = "v=0\r\no=- 1 1 IN IP4 198.51.100.66\r\ns=-\r\nc=IN IP4 198.51.100.66\r\nt=0 0\r\n\
                 m=audio 4000 RTP/AVP 0\r\n";
    let savp = audio.replace("RTP/AVP", "RTP/SAVP");
    let forwards = "Max-Forwards: 0\r\n";
    let rows: Vec<(String, &[&str])> = vec![
        ("\u{1}nonsense\r\n\r\n".into(), &[]),
        (invite(to, "CSeq: 99999999999999 INVITE\r\n", ""), &["400"]),
        (invite(to, sdp, "v=broken"), &["400"]),
        (invite(to, "Content-Type: text/plain\r\n", "hello"), &["415"]),
        (invite(to, &format!("{sdp}{forwards}"), audio), &["483"]),
        (invite(to, &format!("{sdp}Require: teleport\r\n"), audio), &["420"]),
        (invite("sip:bob@nowhere.test", sdp, audio), &["404"]),
        (invite("sip:bob@video.example.test", sdp, audio), &["404"]),
        (invite("mailto:bob@example.test", sdp, audio), &["416"]),
        (invite("sip:example.test", sdp, audio), &["404"]),
        // A profile with encryption and no key.
        (invite(to, sdp, &savp), &["488"]),
        (invite(to, sdp, &audio.replace("m=audio", "m=message")), &["488"]),
        (invite(to, sdp, &audio.replace(" 0\r\n", " 96\r\n")), &["488"]),
    ];
    let mut failed = Vec::new();
    for (at, (text, expected)) in rows.into_iter().enumerate() {
        // Each is another transaction.
        let text = text.replace("z9hG4bKhostile", &format!("z9hG4bK{at}"));
        let text = text.replace("hostile@", &format!("hostile{at}@"));
        let got = answers(&mut world, text.as_bytes());
        // 100 may come first.
        let got: Vec<String> = got.into_iter().filter(|label| label != "100").collect();
        if got != expected {
            failed.push((at, text.lines().next().unwrap_or_default().to_owned(), got));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(world.gateway.counters().messages_refused >= 1);
    assert!(world.gateway.counters().calls_refused >= 6);
    assert!(world.gateway.counters().descriptions_refused >= 3);
    let told = world.events.iter().any(|e| matches!(e, GatewayEvent::Refused { .. }));
    assert!(told, "malformed input is reported");
    // The hostile caller never acknowledges: its transactions end by themselves.
    unharmed(&mut world);
}

#[test]
fn requests_for_dialogs_that_are_not_there_get_481() {
    let mut world = running();
    for method in ["BYE", "INFO", "UPDATE"] {
        let text = format!(
            "{method} sip:alice@example.test SIP/2.0\r\n{}Content-Length: 0\r\n\r\n",
            HEADERS
                .replace("CSeq: 1 INVITE", &format!("CSeq: 7 {method}"))
                .replace("z9hG4bKhostile", &format!("z9hG4bK{method}"))
                .replace("To: <sip:alice@example.test>", "To: <sip:alice@example.test>;tag=none")
        );
        assert_eq!(answers(&mut world, text.as_bytes()), ["481"], "{method}");
    }
    let options = format!(
        "OPTIONS sip:gw.example.test SIP/2.0\r\n{}Content-Length: 0\r\n\r\n",
        HEADERS.replace("CSeq: 1 INVITE", "CSeq: 1 OPTIONS").replace("hostile", "ping")
    );
    assert_eq!(answers(&mut world, options.as_bytes()), ["200"]);
    world.gateway.drain();
    let again = options.replace("ping", "pong");
    assert_eq!(answers(&mut world, again.as_bytes()), ["200"], "also while calls are refused");
    let sdp = "Content-Type: application/sdp\r\n";
    let call = invite("sip:alice@example.test", sdp, "v=0\r\n");
    assert_eq!(answers(&mut world, call.as_bytes()), ["503"]);
    unharmed(&mut world);
}

#[test]
fn hostile_datagrams_are_dropped_and_counted() {
    let mut world = running();
    let stream = world.engine.streams().find(|s| s.side == Side::Lync && s.index == 0).unwrap();
    let local: SocketAddr = "192.0.2.80:40000".parse().unwrap();
    let peer: SocketAddr = "192.0.2.31:20000".parse().unwrap();
    let thief: SocketAddr = "203.0.113.66:6666".parse().unwrap();
    let rtp = |ssrc: u32| {
        let mut packet = vec![0x80, 9, 0x20, 1, 0, 0, 0, 1];
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[0; 40]);
        packet
    };
    let ssrc = world.lync.stream(StreamKind::Audio).transport.ssrc();
    let rows: Vec<(&str, SocketAddr, Vec<u8>, DropReason)> = vec![
        ("nothing", thief, vec![], DropReason::Unknown),
        ("noise", thief, vec![0xF0; 30], DropReason::Unknown),
        ("DTLS", thief, vec![22; 30], DropReason::Unknown),
        (
            "half a STUN header",
            thief,
            vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42],
            DropReason::MalformedStun,
        ),
        ("a short RTP header", peer, vec![0x80, 9, 0], DropReason::MalformedRtp),
        ("forged RTP", peer, rtp(ssrc), DropReason::Unauthenticated),
        ("RTP of another source", peer, rtp(ssrc ^ 1), DropReason::SsrcRange),
        (
            "forged RTCP",
            peer,
            [vec![0x80, 201, 0, 1, 0, 0, 0, 1], vec![0; 14]].concat(),
            DropReason::Unauthenticated,
        ),
    ];
    let now = world.now;
    let mut failed = Vec::new();
    for (name, from, octets, expected) in rows {
        let taken = world.engine.handle_datagram(local, from, BytesMut::from(&octets[..]), now);
        if taken != Err(MediaInputError::Dropped(expected)) {
            failed.push((name, taken));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    let elsewhere = "192.0.2.80:1".parse().unwrap();
    let taken = world.engine.handle_datagram(elsewhere, thief, BytesMut::from(&b"x"[..]), now);
    assert_eq!(taken, Err(MediaInputError::NotMine));
    let statistics = world.engine.statistics(stream).unwrap();
    assert!(statistics.dropped(DropReason::Unknown) >= 3);
    world.run_for(Duration::from_secs(2));
    let told = |e: &GatewayEvent| {
        matches!(e, GatewayEvent::Dropped { reason: DropReason::Unauthenticated, .. })
    };
    assert!(world.events.iter().any(told));
    unharmed(&mut world);
}

#[test]
fn floods_beside_a_call_cost_nothing_that_lasts() {
    let mut world = running();
    let local: SocketAddr = "192.0.2.80:40002".parse().unwrap();
    let thief: SocketAddr = "203.0.113.66:6666".parse().unwrap();
    for round in 0_u32..2_000 {
        let mut packet = BytesMut::from(&[0x80, 122, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 5][..]);
        packet[8..12].copy_from_slice(&round.to_be_bytes());
        let now = world.now;
        let _ = world.engine.handle_datagram(local, thief, packet, now);
        let mut stun = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        stun.extend_from_slice(&[0; 8]);
        stun.extend_from_slice(&round.to_be_bytes());
        let _ = world.engine.handle_datagram(local, thief, BytesMut::from(&stun[..]), now);
        if round % 20 == 0 {
            world.inject_sip(Side::Standard, b"INVITE nonsense\r\n\r\n");
        }
    }
    let before = world.events.len();
    world.run_for(Duration::from_secs(3));
    // At most one report a second, stream and reason.
    let reports = |e: &&GatewayEvent| matches!(e, GatewayEvent::Dropped { .. });
    assert!(world.events[before..].iter().filter(reports).count() < 30);
    unharmed(&mut world);
}

#[test]
fn a_call_that_comes_back_is_a_loop() {
    let mut config = config();
    // The standards side sends what it does not know back to the gateway.
    let mut route = linkspan_gateway::Route::new("*".parse().unwrap(), Side::Lync);
    route.next_hops.push(format!("tls:{}", world::LYNC).parse().unwrap());
    config.routes.push(route);
    let (lync, mut standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
    standard.silent = true;
    let mut world = World::new(41, config, lync, standard, Link::default());
    let now = world.now;
    world.lync.place_call("sip:room7@video.example.test", now);
    world.run_for(Duration::from_secs(1));
    let request = world.standard.requests[0].clone();
    assert_eq!(request.headers.first("Max-Forwards"), Some("69"));
    let mut back = request;
    back.uri = "sip:room7@elsewhere.test".parse().unwrap();
    let text = String::from_utf8(back.to_bytes().to_vec()).unwrap();
    let text = text.replace("z9hG4bK", "z9hG4bKback").replace("Call-ID: ", "Call-ID: back");
    assert_eq!(answers(&mut world, text.as_bytes()), ["482"]);
    let now = world.now;
    world.lync.hang_up(now);
    world.run_to_end();
}

#[test]
fn calls_beyond_the_limit_and_from_strangers_are_refused() {
    let mut config = config();
    config.limits.calls = 1;
    config.standard.peers = vec!["198.51.100.0/24".parse().unwrap()];
    let (lync, standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
    let mut world = World::new(42, config, lync, standard, Link::default());
    let now = world.now;
    world.lync.place_call("sip:room7@video.example.test", now);
    world.run_for(Duration::from_secs(5));
    let sdp = "Content-Type: application/sdp\r\n";
    let call = invite("sip:alice@example.test", sdp, "v=0\r\n");
    assert_eq!(answers(&mut world, call.as_bytes()), ["503"]);
    unharmed(&mut world);

    let mut config = world::config();
    config.standard.peers = vec!["198.51.100.11".parse().unwrap()];
    let (lync, standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
    let mut world = World::new(43, config, lync, standard, Link::default());
    assert_eq!(answers(&mut world, call.as_bytes()), ["403"]);
}

#[test]
fn an_offer_within_a_call_that_is_nonsense_leaves_the_call_as_it_is() {
    let mut world = running();
    let session = world.standard.call.unwrap();
    let now = world.now;
    let body = Some(linkspan_sip::Body::sdp("v=0\r\nnonsense"));
    world.standard.ua.reinvite(session, linkspan_sip::Headers::new(), body, now).unwrap();
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.standard.heard.last().map(String::as_str), Some("re 400"));
    unharmed(&mut world);
}

#[test]
fn a_connection_that_fails_ends_its_call_only() {
    let mut world = running();
    world.refuse_connections = true;
    let now = world.now;
    world.lync.hang_up(now);
    world.run_to_end();
    assert_eq!(world.bound(), 0);
}
