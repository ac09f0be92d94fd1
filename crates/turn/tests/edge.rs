//! Proves that the documents of the AV Edge's credential service are read and written: those that
//! a real client and its front end exchanged, and the rules of the schema.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stop at what they did not expect"
)]

use std::time::Duration;

use linkspan_turn::Credentials;
use linkspan_turn::ms::{
    EDGE_CONTENT_TYPE, EdgeGrant, EdgeIdentity, EdgeLocation, EdgeParseError, EdgeReason,
    EdgeRelay, EdgeRequest, EdgeResponse,
};

/// Bodies of the recorded SERVICE messages; `None` without the recordings.
fn recorded() -> Option<Vec<String>> {
    let folder = linkspan_testnet::vectors("sipe")?.join("04-audio-call-media-relay/msgs");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|one| one.unwrap().path()).collect();
    names.sort();
    let messages = names.iter().filter(|name| name.to_string_lossy().contains("media_relay_auth"));
    let body = |text: String| {
        assert!(text.contains(EDGE_CONTENT_TYPE));
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    Some(messages.map(|name| body(std::fs::read_to_string(name).unwrap())).collect())
}

#[test]
fn recorded_documents_are_read() {
    let Some(bodies) = recorded() else { return };
    let mut asked = Vec::new();
    let mut answered = 0;
    for body in &bodies {
        if let Ok(request) = EdgeRequest::parse(body) {
            assert_eq!(request.identities.len(), 1);
            assert_eq!(request.identities[0].identity, request.from);
            assert_eq!(request.identities[0].duration, Some(Duration::from_secs(480 * 60)));
            assert_eq!(EdgeRequest::parse(&request.to_xml()), Ok(request.clone()));
            asked.push(request);
            continue;
        }
        let response = EdgeResponse::parse(body).unwrap();
        let request = asked.last().unwrap();
        assert_eq!(request.id, response.id);
        assert_eq!((&response.to, &response.reason), (&request.to, &EdgeReason::Ok));
        let granted = &response.granted[0];
        assert_eq!(granted.id, request.identities[0].id);
        assert_eq!((granted.credentials.username().len(), granted.realm.as_deref()), (35, None));
        assert_eq!(
            (granted.relays[0].udp_port, granted.relays[0].tcp_port),
            (Some(3478), Some(443))
        );
        answered += 1;
    }
    assert!(asked.len() >= 2 && answered >= 2, "{} documents", bodies.len());
}

#[test]
fn answers_read_back() {
    let alice = EdgeIdentity::new("a", "sip:alice@example.org", EdgeLocation::Internet);
    let request = EdgeRequest::new("7", "sip:gw@example.org", "sip:m&m@example.org;gruu", alice);
    let mut response = EdgeResponse::to(&request, EdgeReason::Ok);
    let relay = EdgeRelay {
        location: EdgeLocation::Internet,
        host: "edge.example.org".into(),
        is_direct_ip: false,
        udp_port: Some(3478),
        tcp_port: None,
    };
    let direct = EdgeRelay { host: "192.0.2.1".into(), is_direct_ip: true, ..relay.clone() };
    response.granted.push(EdgeGrant {
        id: "a".into(),
        credentials: Credentials::new([1, 2, 0xff], [0, 0x80]),
        duration: Duration::from_secs(3600),
        realm: Some("a < b".into()),
        relays: vec![relay, direct],
    });
    let read = EdgeResponse::parse(&response.to_xml()).unwrap();
    assert_eq!(read.to_xml(), response.to_xml());
    assert_eq!(read.to, "sip:m&m@example.org;gruu");
    let granted = &read.granted[0];
    assert_eq!(
        (granted.credentials.username(), granted.realm.as_deref()),
        (&[1, 2, 0xff][..], Some("a < b"))
    );
    assert_eq!(granted.relays, response.granted[0].relays);
    for phrase in ["Server Busy", "Version Mismatch", "Something Else"] {
        let body = response.to_xml().replace("\"OK\"", &format!("\"{phrase}\""));
        let read = EdgeResponse::parse(&body).unwrap();
        assert!(read.reason != EdgeReason::Ok && read.to_xml() == body);
    }
}

#[test]
fn what_the_schema_forbids_is_refused() {
    let identity = EdgeIdentity::new("1", "sip:a@example.org", EdgeLocation::Intranet);
    let request = EdgeRequest::new("1", "sip:a@example.org", "sip:m@example.org", identity);
    let good = request.to_xml();
    let refused = |body: &str| EdgeRequest::parse(body).unwrap_err();
    let missing = |what| EdgeParseError::Missing { what };
    for (from, to, error) in [
        (" requestID=\"1\"", "", missing("requestID")),
        ("intranet", "moon", missing("location")),
        ("480", "0", missing("duration")),
        ("loadbalanced", "slow", missing("route")),
        ("sip/mrasp", "sip/other", EdgeParseError::Root),
        ("sip:a@example.org</identity>", "</identity>", missing("identity")),
    ] {
        assert_eq!(refused(&good.replace(from, to)), error, "{from} {to}");
    }
    assert!(matches!(refused(&good[..good.len() - 3]), EdgeParseError::Xml { .. }));
    assert!(matches!(refused(&format!("<!DOCTYPE x>{good}")), EdgeParseError::Xml { .. }));
    let mut many = request.clone();
    many.identities = vec![request.identities[0].clone(); 101];
    assert_eq!(refused(&many.to_xml()).reason(), EdgeReason::RequestTooLarge);
    many.identities.pop();
    assert_eq!(EdgeRequest::parse(&many.to_xml()), Ok(many));
    assert_eq!(refused(&"<a>".repeat(100)), EdgeParseError::TooLarge);
    assert_eq!(refused(&" ".repeat(1 << 20)), EdgeParseError::TooLarge);
}
