//! Recorded messages of a Lync client behind a front end: answered as a gateway should.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, Instant};

use linkspan_gateway::{
    Config, Encryption, Gateway, GatewayEvent, Listener, MediaCommand, MediaEngine, MediaEvent,
    Route, Side, SignallingTransport,
};
use linkspan_sdp::{IceMode, LocalMedia, Profile, Session, SessionDescription};
use linkspan_sip as sip;

fn gateway() -> Gateway {
    let mut config = Config::default();
    config.name = "gw.example.test".into();
    let listen = |address: &str| {
        vec![Listener { transport: SignallingTransport::Tcp, address: address.parse().unwrap() }]
    };
    config.lync.listeners = listen("10.98.2.2:5090");
    config.standard.listeners = listen("10.98.3.2:5060");
    config.lync.media_address = "10.98.2.2".parse().unwrap();
    config.standard.media_address = "10.98.3.2".parse().unwrap();
    config.lync.encryption = Encryption::Required;
    let mut route = Route::new("video.example.test".parse().unwrap(), Side::Standard);
    route.next_hops.push("tcp:10.98.3.3:5060".parse().unwrap());
    config.routes.push(route);
    Gateway::new(config, [1; 32], Instant::now()).unwrap()
}

/// Serves the media half, without sockets.
fn serve(gateway: &mut Gateway, engine: &mut MediaEngine, now: Instant) {
    while let Some(command) = gateway.poll_media_command() {
        match command {
            MediaCommand::Bind { stream, .. } => {
                gateway.handle_media_event(MediaEvent::Bound { stream }, now);
            }
            MediaCommand::Unbind { .. } => {}
            other => engine.handle_command(other, now),
        }
        while let Some(event) = engine.poll_event() {
            gateway.handle_media_event(event, now);
        }
    }
}

fn messages(gateway: &mut Gateway) -> Vec<(sip::Path, String)> {
    let mut messages = Vec::new();
    while let Some(transmit) = gateway.poll_sip_transmit() {
        messages.push((transmit.path, String::from_utf8(transmit.payload.to_vec()).unwrap()));
    }
    messages
}

#[test]
fn a_recorded_call_over_a_static_route() {
    let Some(dir) = linkspan_testnet::vectors("sipe/07-static-route-out/msgs") else { return };
    let now = Instant::now();
    let (mut gateway, mut engine) = (gateway(), MediaEngine::new([2; 32], now));
    let front_end = sip::Path::new(
        sip::Transport::Tcp,
        "10.98.2.2:5090".parse().unwrap(),
        "10.98.1.1:40000".parse().unwrap(),
    )
    .with_connection(sip::ConnectionId(1));
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let invite = read("0021-fe2gw-INVITE-alternative.sip");
    gateway.handle_sip(sip::Received { path: front_end, payload: &invite }, now).unwrap();
    serve(&mut gateway, &mut engine, now);
    let sent = messages(&mut gateway);
    let (path, offer) = sent.iter().find(|(_, m)| m.starts_with("INVITE ")).expect("a second leg");
    assert_eq!(path.remote, "10.98.3.3:5060".parse().unwrap());
    assert!(offer.starts_with("INVITE sip:room7@video.example.test SIP/2.0\r\n"), "{offer}");
    assert!(offer.contains("Max-Forwards: 68\r\n"));
    assert!(!offer.contains("SPEEX") && !offer.contains("TCP-ACT"), "{offer}");
    assert!(offer.contains("RTP/AVP 9 0 8") || offer.contains("RTP/AVP 0 8 9"), "{offer}");
    assert!(!offer.contains("ms-"), "nothing of Lync's crosses: {offer}");

    // The far end answers.
    let request = sip::Message::parse(offer.as_bytes()).unwrap();
    let mut far = Session::new(Profile { ice: IceMode::None, ..Profile::standard() });
    let described = SessionDescription::parse(request.body()).unwrap();
    let local =
        LocalMedia { address: [10, 98, 3, 3].into(), rtp_port: 6000, ..LocalMedia::default() };
    let (answer, _) = far.answer(&described, &[local]).unwrap();
    let mut response = sip::Response::new(sip::StatusCode::OK);
    for (name, value) in request.to_headers().iter() {
        if ["Via", "From", "Call-ID", "CSeq"].contains(&name) {
            response.headers.push(name, value);
        }
    }
    response.headers.push("To", format!("{};tag=far", request.header("To").unwrap()));
    response.headers.push("Contact", "<sip:room7@10.98.3.3:5060;transport=tcp>");
    response.set_body(sip::Body::sdp(answer.to_string()));
    let back = sip::Path::new(path.transport, path.local, path.remote)
        .with_connection(sip::ConnectionId(2));
    let octets = response.to_bytes();
    gateway.handle_sip(sip::Received { path: back, payload: &octets }, now).unwrap();
    serve(&mut gateway, &mut engine, now);
    let sent = messages(&mut gateway);
    assert!(sent.iter().any(|(_, m)| m.starts_with("ACK ")));
    let (path, ok) = sent.iter().find(|(_, m)| m.starts_with("SIP/2.0 200")).expect("an answer");
    assert_eq!(path.connection, Some(sip::ConnectionId(1)));
    // Byte for byte, or a front end refuses what follows.
    let original = String::from_utf8_lossy(&invite).into_owned();
    for name in ["Record-Route", "From"] {
        let line = original.lines().find(|l| l.starts_with(name)).unwrap();
        assert!(ok.contains(line), "{line}\n{ok}");
    }
    assert!(ok.contains("ms-received-cid=2100"));
    assert!(
        ok.contains("m=audio") && ok.contains("RTP/SAVP") && ok.contains("a=candidate:1 1 UDP")
    );

    // The recorded BYE, in the dialog that was made here.
    let tag = ok.lines().find(|l| l.starts_with("To:")).unwrap().split("tag=").nth(1).unwrap();
    let contact = ok.lines().find(|l| l.starts_with("Contact:")).unwrap();
    let contact = contact.split(['<', '>']).nth(1).unwrap();
    for name in ["0027-fe2gw-ACK.sip", "0029-fe2gw-BYE.sip"] {
        let text = String::from_utf8(read(name)).unwrap();
        let text =
            text.replace("27155S1", tag).replace("sip:room@10.98.2.2:5090;transport=TCP", contact);
        let input = sip::Received { path: front_end, payload: text.as_bytes() };
        gateway.handle_sip(input, now + Duration::from_secs(1)).unwrap();
        serve(&mut gateway, &mut engine, now);
    }
    let sent = messages(&mut gateway);
    assert!(sent.iter().any(|(_, m)| m.starts_with("SIP/2.0 200") && m.contains("CSeq: 2 BYE")));
    assert!(
        sent.iter().any(|(p, m)| m.starts_with("BYE ") && p.remote.port() == 5060),
        "{sent:#?}"
    );
    let ended = |e: GatewayEvent| matches!(e, GatewayEvent::Ended { by: Some(Side::Lync), .. });
    assert!(std::iter::from_fn(|| gateway.poll_event()).any(ended));
    assert_eq!(gateway.calls().len(), 0);
}

#[test]
fn every_recorded_request_of_a_lync_client_gets_an_answer_or_none_that_is_due() {
    let Some(root) = linkspan_testnet::vectors("sipe") else { return };
    let now = Instant::now();
    let (mut gateway, mut engine) = (gateway(), MediaEngine::new([2; 32], now));
    let mut connection = 10;
    let mut requests = 0;
    for folder in std::fs::read_dir(root).unwrap().flatten() {
        let Ok(files) = std::fs::read_dir(folder.path().join("msgs")) else { continue };
        connection += 1;
        for file in files.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "sip")) {
            let octets = std::fs::read(file.path()).unwrap();
            let path = sip::Path::new(
                sip::Transport::Tcp,
                "10.98.2.2:5090".parse().unwrap(),
                "10.98.1.2:40000".parse().unwrap(),
            )
            .with_connection(sip::ConnectionId(connection));
            requests += usize::from(!octets.starts_with(b"SIP/2.0"));
            gateway.handle_sip(sip::Received { path, payload: &octets }, now).unwrap();
            serve(&mut gateway, &mut engine, now);
            messages(&mut gateway);
        }
    }
    assert!(requests > 100);
    // Whatever came of them ends within the timers.
    let mut at = now;
    for _ in 0..100_000 {
        let Some(next) =
            [gateway.poll_timeout(), engine.poll_timeout()].into_iter().flatten().min()
        else {
            break;
        };
        at = at.max(next);
        if at > now + Duration::from_secs(400) {
            break;
        }
        gateway.handle_timeout(at);
        engine.handle_timeout(at);
        serve(&mut gateway, &mut engine, at);
        messages(&mut gateway);
        while engine.poll_transmit().is_some() {}
        while gateway.poll_event().is_some() {}
    }
    assert_eq!(gateway.calls().len(), 0);
}
