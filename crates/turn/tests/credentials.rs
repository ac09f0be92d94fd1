//! Proves the exchange of RFC 8489 §9.2 between our client and server, and that nobody on the way
//! can make it weaker.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stop at what they did not expect"
)]

mod support;

use std::time::Instant;

use linkspan_stun::{
    AttributeType, Class, Dialect, IntegrityKey, Message, MessageBuilder, Method, NonceFeatures,
    PasswordAlgorithm, TransactionId,
};
use linkspan_turn::{
    AllocateError, ClientConfig, ClientEvent, Credentials, Received, RelayAddress, RequestError,
    ServerConfig, ServerEvent, Transmit, Transport, TurnClient, TurnServer,
};
use support::{address, server_config};

/// An allocation, or what became of it: the packets of both directions, those to the client after
/// `tamper`, and the client's event.
fn exchange(
    configure: impl FnOnce(&mut ServerConfig),
    credentials: Credentials,
    tamper: impl Fn(&Message<'_>) -> Option<Vec<u8>>,
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, ClientEvent) {
    let mut now = Instant::now();
    let mut config = server_config();
    configure(&mut config);
    let mut server = TurnServer::new(config, [1; 32], now);
    let config =
        ClientConfig::new(address("192.0.2.1:5000"), address("198.51.100.1:3478"), credentials);
    let mut client = TurnClient::new(config, [2; 32], now);
    client.allocate(now).unwrap();
    let (mut requests, mut answers) = (Vec::new(), Vec::new());
    loop {
        while let Some(sent) = client.poll_transmit() {
            requests.push(sent.payload.to_vec());
            let _ = server.handle_input(arrived(&sent, &sent.payload), now);
        }
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Bind { relay } = event {
                server.bound(relay, true, now);
            }
        }
        while let Some(sent) = server.poll_transmit() {
            let message = Message::parse(&sent.payload, Dialect::Rfc8489).unwrap();
            let payload = tamper(&message).unwrap_or_else(|| sent.payload.to_vec());
            let _ = client.handle_input(arrived(&sent, &payload), now);
            answers.push(payload);
        }
        if let Some(event) = client.poll_event() {
            return (requests, answers, event);
        }
        now = client.poll_timeout().unwrap();
        client.handle_timeout(now);
    }
}

fn arrived<'a>(sent: &Transmit, payload: &'a [u8]) -> Received<'a> {
    Received { transport: sent.transport, local: sent.remote, remote: sent.local, payload }
}

fn has(octets: &[u8], kind: AttributeType) -> bool {
    Message::parse(octets, Dialect::Rfc8489).unwrap().attribute(kind).is_some()
}

/// The message with its attributes changed, or without some of them.
fn rewritten(
    message: &Message<'_>,
    change: impl Fn(AttributeType, &[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let (class, method, id) = (message.class(), message.method(), message.transaction_id());
    let mut copy = MessageBuilder::new(&mut octets, Dialect::Rfc8489, class, method, id);
    for attribute in message.attributes() {
        if attribute.kind != AttributeType::FINGERPRINT
            && let Some(value) = change(attribute.kind, attribute.value)
        {
            copy.attribute(attribute.kind, &value);
        }
    }
    copy.finish().ok()?;
    (message.class() == Class::Error).then_some(octets)
}

#[test]
fn both_sides_choose_sha256_and_hide_the_name() {
    let credentials = Credentials::new("user", "secret");
    let (requests, answers, event) = exchange(|_| {}, credentials, |_| None);
    assert!(matches!(event, ClientEvent::Allocated(_)));
    let (request, answer) = (requests.last().unwrap(), answers.last().unwrap());
    for kind in [
        AttributeType::USERHASH,
        AttributeType::PASSWORD_ALGORITHMS,
        AttributeType::PASSWORD_ALGORITHM,
        AttributeType::MESSAGE_INTEGRITY_SHA256,
    ] {
        assert!(has(request, kind), "{kind:?}");
    }
    assert!(!has(request, AttributeType::USERNAME));
    assert!(!has(request, AttributeType::MESSAGE_INTEGRITY));
    assert!(has(answer, AttributeType::MESSAGE_INTEGRITY_SHA256));
    assert!(!has(answer, AttributeType::MESSAGE_INTEGRITY));
    let challenge = Message::parse(&answers[0], Dialect::Rfc8489).unwrap();
    let features = NonceFeatures { password_algorithms: true, username_anonymity: true };
    assert_eq!(NonceFeatures::read(challenge.nonce().unwrap()), Some(features));
}

#[test]
fn an_old_server_is_answered_in_its_way() {
    let old = |config: &mut ServerConfig| {
        config.password_algorithms.clear();
        config.username_anonymity = false;
    };
    let credentials = Credentials::new("user", "secret");
    let (requests, answers, event) = exchange(old, credentials, |_| None);
    assert!(matches!(event, ClientEvent::Allocated(_)));
    let (request, answer) = (requests.last().unwrap(), answers.last().unwrap());
    assert!(has(request, AttributeType::USERNAME));
    assert!(has(request, AttributeType::MESSAGE_INTEGRITY));
    assert!(has(answer, AttributeType::MESSAGE_INTEGRITY));
    assert!(!has(request, AttributeType::PASSWORD_ALGORITHM));
    let challenge = Message::parse(&answers[0], Dialect::Rfc8489).unwrap();
    assert_eq!(NonceFeatures::read(challenge.nonce().unwrap()), None);
}

#[test]
fn md5_may_be_chosen_and_is_answered_with_sha256() {
    let md5 = |config: &mut ServerConfig| {
        config.password_algorithms = vec![PasswordAlgorithm::Md5];
    };
    let credentials = Credentials::new("user", "secret");
    let (_, answers, event) = exchange(md5, credentials, |_| None);
    assert!(matches!(event, ClientEvent::Allocated(_)));
    // RFC 8489 §9.2.4: for the client has said PASSWORD-ALGORITHM
    assert!(has(answers.last().unwrap(), AttributeType::MESSAGE_INTEGRITY_SHA256));
}

#[test]
fn names_of_shared_secrets_are_told() {
    let credentials = Credentials::time_limited("north", "alice", 2_000_000);
    let (requests, _, event) =
        exchange(|config| config.users.share_secret("north"), credentials, |_| None);
    assert!(matches!(event, ClientEvent::Allocated(_)));
    let request = requests.last().unwrap();
    assert!(has(request, AttributeType::USERNAME) && !has(request, AttributeType::USERHASH));
    assert!(has(request, AttributeType::MESSAGE_INTEGRITY_SHA256));
}

#[test]
fn an_unknown_hash_is_an_unknown_user() {
    let (_, _, event) = exchange(|_| {}, Credentials::new("nobody", "secret"), |_| None);
    let error = AllocateError::Credentials;
    assert_eq!(event, ClientEvent::AllocateFailed { error });
}

#[test]
fn the_offer_cannot_be_made_worse() {
    let is_list = |kind| kind == AttributeType::PASSWORD_ALGORITHMS;
    // The list is taken out: the nonce tells.
    let (requests, _, event) = exchange(
        |_| {},
        Credentials::new("user", "secret"),
        |message| rewritten(message, |kind, value| (!is_list(kind)).then(|| value.to_vec())),
    );
    let error = AllocateError::Request(RequestError::BidDown);
    assert_eq!((requests.len(), event), (1, ClientEvent::AllocateFailed { error }));
    // The better one is taken out of it: the server sees what was not its own.
    let (requests, _, event) = exchange(
        |_| {},
        Credentials::new("user", "secret"),
        |message| {
            rewritten(message, |kind, value| {
                Some(if is_list(kind) { vec![0, 1, 0, 0] } else { value.to_vec() })
            })
        },
    );
    assert!(has(requests.last().unwrap(), AttributeType::PASSWORD_ALGORITHM));
    let error = AllocateError::Request(RequestError::TimedOut);
    assert_eq!(event, ClientEvent::AllocateFailed { error });
    // The nonce loses its beginning too: it is not the server's any more.
    let (_, _, event) = exchange(
        |_| {},
        Credentials::new("user", "secret"),
        |message| {
            rewritten(message, |kind, value| match kind {
                AttributeType::PASSWORD_ALGORITHMS => None,
                AttributeType::NONCE => Some(value[13..].to_vec()),
                _ => Some(value.to_vec()),
            })
        },
    );
    assert!(matches!(
        event,
        ClientEvent::AllocateFailed {
            error: AllocateError::Request(RequestError::Refused { code: 438, .. })
        }
    ));
}

/// What a server says to an Allocate request of a client that knows only RFC 5389.
fn answer_to_md5(algorithms: Vec<PasswordAlgorithm>) -> Option<u16> {
    let now = Instant::now();
    let listener = address("198.51.100.1:3478");
    let mut config = ServerConfig::new("example.org");
    config.users.add(Credentials::new("user", "secret"));
    config.relays.push(RelayAddress::new(listener.ip()));
    config.password_algorithms = algorithms;
    let mut server = TurnServer::new(config, [1; 32], now);
    let key = IntegrityKey::long_term_md5("user", "example.org", "secret");
    let mut nonce = None::<Vec<u8>>;
    loop {
        let mut octets = Vec::new();
        let id = TransactionId::new([nonce.is_some().into(); 12]);
        let (dialect, class) = (Dialect::Rfc8489, Class::Request);
        let mut request = MessageBuilder::new(&mut octets, dialect, class, Method::Allocate, id);
        request.attribute(AttributeType::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        if let Some(nonce) = &nonce {
            request.username(b"user").realm(b"example.org").nonce(nonce).sign(&key);
        }
        request.finish().unwrap();
        let remote = address("192.0.2.1:5000");
        let transport = Transport::Udp;
        let received = Received { transport, local: listener, remote, payload: &octets };
        server.handle_input(received, now).unwrap();
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Bind { relay } = event {
                server.bound(relay, true, now);
            }
        }
        let answer = server.poll_transmit().unwrap().payload;
        let answer = Message::parse(&answer, Dialect::Rfc8489).unwrap();
        if nonce.is_some() {
            assert!(answer.class() == Class::Error || answer.verify_integrity(&key).is_ok());
            return answer.error_code().map(|error| error.code);
        }
        nonce = answer.nonce().map(<[u8]>::to_vec);
    }
}

#[test]
fn clients_of_rfc_5389_come_in_unless_the_operator_leaves_md5_out() {
    assert_eq!(answer_to_md5(vec![PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]), None);
    assert_eq!(answer_to_md5(vec![]), None);
    assert_eq!(answer_to_md5(vec![PasswordAlgorithm::Sha256]), Some(401));
}
