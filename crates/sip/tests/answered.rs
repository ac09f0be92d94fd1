//! Every request of a real Lync client, and of its front end, is answered as the protocol says.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it is surprised"
)]

use std::path::PathBuf;
use std::time::Instant;

use linkspan_sip::{
    Body, Dialect, Headers, Message, Method, Path, Received, Response, StatusCode, Transport,
    UaConfig, UaEvent, UserAgent, VerbError,
};

fn path() -> Path {
    Path::new(Transport::Tcp, "192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap())
}

fn agent(now: Instant) -> UserAgent {
    let mut config = UaConfig { dialect: Dialect::Lync, ..UaConfig::default() };
    config.allow.extend([Method::Register, Method::Service]);
    config
        .supported
        .extend(["ms-benotify", "gruu-10", "adhoclist", "categoryList"].map(str::to_owned));
    UserAgent::new(config, [5; 32], now)
}

/// What the agent and a willing application answer to one request.
fn answers(octets: &[u8]) -> Vec<Response> {
    let now = Instant::now();
    let mut agent = agent(now);
    agent.handle_input(Received { path: path(), payload: octets }, now).unwrap();
    let body = Some(Body::sdp("v=0\r\n"));
    while let Some(event) = agent.poll_event() {
        match event {
            UaEvent::Invite { session, .. } => {
                let contact = "<sip:us@192.0.2.1>".parse().unwrap();
                agent.accept(session, contact, Headers::new(), body.clone(), now).unwrap();
            }
            UaEvent::Request { id, request, .. } => {
                let done = agent.respond(id, StatusCode::OK, Headers::new(), None, now);
                let silent = request.method == Method::Benotify;
                assert_eq!(done, if silent { Err(VerbError::NoAnswer) } else { Ok(()) });
            }
            UaEvent::Refused { .. } => {}
            event => panic!("{event:?}"),
        }
    }
    std::iter::from_fn(|| agent.poll_transmit())
        .map(|transmit| Message::parse(&transmit.payload).unwrap().to_response().unwrap())
        .collect()
}

fn messages() -> Option<Vec<PathBuf>> {
    let dir = linkspan_testnet::vectors("sipe")?;
    let mut paths = Vec::new();
    for capture in std::fs::read_dir(dir).unwrap() {
        let Ok(entries) = std::fs::read_dir(capture.unwrap().path().join("msgs")) else { continue };
        let files = entries.map(|entry| entry.unwrap().path());
        paths.extend(files.filter(|path| path.extension().is_some_and(|ext| ext == "sip")));
    }
    paths.sort();
    Some(paths)
}

#[test]
fn captured_requests_are_answered() {
    let Some(paths) = messages() else { return };
    let mut methods = std::collections::BTreeMap::new();
    let mut failed = Vec::new();
    for path in paths {
        let octets = std::fs::read(&path).unwrap();
        let message = Message::parse(&octets).unwrap();
        let Some(method) = message.method_str() else { continue };
        *methods.entry(method.to_owned()).or_insert(0) += 1;
        let answers = answers(&octets);
        let silent = matches!(method, "ACK" | "BENOTIFY");
        let finals: Vec<_> = answers.iter().filter(|answer| answer.status.is_final()).collect();
        if silent || finals.len() != 1 {
            if !(silent && answers.is_empty()) {
                failed.push((path, format!("{} answers", finals.len())));
            }
            continue;
        }
        let answer = finals[0];
        // What belongs to a dialog that this agent never had is told so; the rest is served.
        let within = message.to().unwrap().unwrap().tag().is_some();
        let expected = if within { StatusCode::CALL_DOES_NOT_EXIST } else { StatusCode::OK };
        let lost = matches!(method, "CANCEL" | "BYE" | "INFO" | "UPDATE");
        if answer.status != expected && !lost {
            failed.push((path.clone(), format!("{method}: {}", answer.status)));
        }
        for name in ["From", "Call-ID", "CSeq"] {
            if answer.headers.first(name) != message.header(name) {
                failed.push((path.clone(), format!("{name} is not repeated")));
            }
        }
        let epid = message.to().unwrap().unwrap().epid().map(str::to_owned);
        let echoed = answer.headers.to().unwrap().unwrap().epid().map(str::to_owned);
        if epid != echoed || answer.headers.vias().count() != message.vias().count() {
            failed.push((path, "To or Via".to_owned()));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    for method in
        ["REGISTER", "SUBSCRIBE", "SERVICE", "INVITE", "MESSAGE", "BENOTIFY", "BYE", "ACK"]
    {
        assert!(methods.contains_key(method), "{method}: {methods:?}");
    }
}

/// `[MS-SIPCOMP]`: whatever is no success leaves the connection uncompressed.
#[test]
fn compression_is_declined_politely() {
    let text = "NEGOTIATE sip:127.0.0.1:5061 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.2:5061\r\n\
        From: <sip:fe01.example.com>;tag=1;epid=01\r\nTo: <sip:127.0.0.1:5061>\r\nCall-ID: 1\r\n\
        CSeq: 1 NEGOTIATE\r\nCompression: LZ77-64K\r\nSupported: NewNegotiate,OCSNative,ECC,IPv6\r\n\
        Content-Length: 0\r\n\r\n";
    let answers = answers(text.as_bytes());
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answers[0].headers.first("Compression").is_none());
    assert!(answers[0].headers.allow().has("INVITE"));
}
