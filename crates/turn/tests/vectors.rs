//! Replays recorded TURN sessions: our client against the recorded servers, our server against the
//! recorded clients. Transaction ids, nonces and connection ids differ from the record, so each
//! message is written again with those of the session at hand, and signed again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stop at what they did not expect"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use linkspan_stun::{
    AttributeType, Class, Dialect, IntegrityKey, Message, MessageBuilder, Method, TransactionId,
};
use linkspan_turn::{
    ChannelData, ClientConfig, ClientDialect, ClientEvent, Credentials, PeerPolicy, Received,
    RelayAddress, ServerConfig, ServerEvent, StreamFramer, Transport, TurnClient, TurnServer, ms,
};
use serde_json::Value;

struct Datagram {
    number: usize,
    scenario: String,
    is_from_client: bool,
    transport: Transport,
    src: SocketAddr,
    dst: SocketAddr,
    octets: Vec<u8>,
    note: String,
}

struct Session {
    username: Vec<u8>,
    password: Vec<u8>,
    key: IntegrityKey,
    datagrams: Vec<Datagram>,
}

fn hex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn load(name: &str) -> Option<Session> {
    let folder = linkspan_testnet::vectors("ice")?;
    Some(read(&folder.join(name)))
}

fn read(path: &Path) -> Session {
    let mut session: Option<Session> = None;
    for (index, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        if row["record"] == "scenario" {
            let octets = |plain: &str, encoded: &str| match row[plain].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => hex(&text(encoded)),
            };
            let key = IntegrityKey::from_octets(&hex(&text("long_term_key_hex")));
            session.get_or_insert_with(|| Session {
                username: octets("username", "username_hex"),
                password: octets("password", "password_hex"),
                key,
                datagrams: Vec::new(),
            });
            continue;
        }
        session.as_mut().unwrap().datagrams.push(Datagram {
            number: index + 1,
            scenario: text("scenario"),
            is_from_client: text("dir") == "client->server",
            transport: if text("transport") == "tcp" { Transport::Tcp } else { Transport::Udp },
            src: text("src").parse().unwrap(),
            dst: text("dst").parse().unwrap(),
            octets: hex(&text("hex")),
            note: text("note"),
        });
    }
    session.unwrap()
}

impl Session {
    fn number(&self, number: usize) -> &Datagram {
        self.datagrams.iter().find(|datagram| datagram.number == number).unwrap()
    }
}

/// The same message under another id, with some attributes replaced, signed again where it was.
fn rewrite(
    octets: &[u8],
    dialect: Dialect,
    id: TransactionId,
    key: &IntegrityKey,
    replace: &BTreeMap<AttributeType, Vec<u8>>,
) -> Vec<u8> {
    let message = Message::parse(octets, dialect).unwrap();
    let mut out = Vec::new();
    let mut copy = MessageBuilder::new(&mut out, dialect, message.class(), message.method(), id);
    for attribute in message.attributes() {
        match attribute.kind {
            AttributeType::MESSAGE_INTEGRITY
            | AttributeType::FINGERPRINT
            | AttributeType::MS_MAGIC_COOKIE => {}
            AttributeType::MS_XOR_MAPPED_ADDRESS => {
                // Obscured by the id, which is another one now.
                copy.xor_mapped_address(message.xor_mapped_address().unwrap());
            }
            kind => {
                let value = replace.get(&kind).map_or(attribute.value, Vec::as_slice);
                copy.attribute(kind, value);
            }
        }
    }
    if message.has_integrity() {
        copy.sign(key);
    }
    copy.finish().unwrap();
    out
}

#[test]
fn every_recorded_frame_is_read() {
    let Some(session) = load("coturn_rfc5766.jsonl") else { return };
    let mut framers = BTreeMap::new();
    for datagram in &session.datagrams {
        let octets = &datagram.octets;
        if octets[0] >> 6 == 1 {
            let data = ChannelData::parse(octets, datagram.transport).unwrap();
            let header = ChannelData::header(data.channel, data.data.len()).unwrap();
            assert_eq!(header, octets[..4], "{}", datagram.number);
        } else {
            let message = Message::parse(octets, Dialect::Rfc8489).unwrap();
            assert!(message.verify_fingerprint().is_ok(), "{}", datagram.number);
            if message.has_integrity() {
                // One is signed with a wrong password on purpose.
                let is_signed = message.verify_integrity(&session.key).is_ok();
                let count = |one: &&Datagram| {
                    one.scenario == datagram.scenario && one.note == "Allocate request"
                };
                let second = session.datagrams.iter().filter(count).nth(1).unwrap().number;
                assert_eq!(is_signed, datagram.number != second, "{}", datagram.number);
            }
        }
        if datagram.transport == Transport::Tcp {
            let framer =
                framers.entry(datagram.is_from_client).or_insert_with(StreamFramer::default);
            framer.push(octets).unwrap();
            assert_eq!(framer.poll_frame().unwrap().unwrap(), octets, "{}", datagram.number);
        }
    }
}

#[test]
fn every_recorded_ms_turn_frame_is_read() {
    let Some(session) = load("msturn_oc2007.jsonl") else { return };
    let mut framers = BTreeMap::new();
    let (mut signed, mut frames) = (0, 0);
    for datagram in &session.datagrams {
        let mut octets = datagram.octets.clone();
        if datagram.note.contains("ClientHello") {
            assert!(ms::is_client_hello(&octets));
            assert_eq!(ms::client_hello(octets[11..43].try_into().unwrap()), octets[..]);
            continue;
        }
        if datagram.note.contains("ServerHello") {
            assert!(ms::is_server_hello(&octets));
            let part = |at: usize| octets[at..at + 32].try_into().unwrap();
            assert_eq!(ms::server_hello(part(11), part(44)), octets[..]);
            continue;
        }
        if datagram.transport == Transport::Tcp {
            let stream = (datagram.scenario.clone(), datagram.is_from_client);
            let framer = framers.entry(stream).or_insert_with(ms::StreamFramer::default);
            framer.push(&octets).unwrap();
            assert_eq!(framer.poll_frame().unwrap().unwrap(), octets, "{}", datagram.number);
            octets.drain(..4);
            frames += 1;
        }
        if datagram.note.starts_with("un-encapsulated") {
            continue;
        }
        let message = Message::parse(&octets, Dialect::MsTurn).unwrap();
        if message.has_integrity() {
            assert!(message.verify_integrity(&session.key).is_ok(), "{}", datagram.number);
            signed += 1;
        }
    }
    assert!(signed >= 20 && frames >= 12, "{signed} {frames}");
}

/// Hands the engine a recorded answer to the request that it has just sent.
fn answer(
    client: &mut TurnClient,
    session: &Session,
    number: usize,
    dialect: Dialect,
    now: Instant,
) {
    let request = client.poll_transmit().unwrap();
    let request = Message::parse(&request.payload, dialect).unwrap();
    let datagram = session.number(number);
    let id = request.transaction_id();
    let octets = rewrite(&datagram.octets, dialect, id, &session.key, &BTreeMap::new());
    client.handle_input(received(datagram, &octets), now).unwrap();
}

fn received<'a>(datagram: &Datagram, octets: &'a [u8]) -> Received<'a> {
    let transport = datagram.transport;
    Received { transport, local: datagram.dst, remote: datagram.src, payload: octets }
}

#[test]
fn our_client_runs_the_session_with_coturn() {
    let Some(session) = load("coturn_rfc5766.jsonl") else { return };
    let now = Instant::now();
    let first = session.number(4);
    let peer: SocketAddr = "127.0.0.1:44982".parse().unwrap();
    let credentials = Credentials::new(&session.username, &session.password);
    let mut client =
        TurnClient::new(ClientConfig::new(first.src, first.dst, credentials), [1; 32], now);
    client.allocate(now).unwrap();
    answer(&mut client, &session, 5, Dialect::Rfc8489, now); // 401
    answer(&mut client, &session, 9, Dialect::Rfc8489, now);
    let Some(ClientEvent::Allocated(allocation)) = client.poll_event() else { panic!() };
    assert_eq!(allocation.lifetime.as_secs(), 600);
    assert_eq!((allocation.mapped, client.relayed()), (Some(first.src), &[allocation.relayed][..]));

    client.create_permission(peer, now).unwrap();
    answer(&mut client, &session, 13, Dialect::Rfc8489, now);
    assert_eq!(client.poll_event(), Some(ClientEvent::PermissionCreated { peer: peer.ip() }));

    client.send(peer, b"hello via send indication").unwrap();
    let sent = client.poll_transmit().unwrap();
    let recorded = Message::parse(&session.number(14).octets, Dialect::Rfc8489).unwrap();
    let sent = Message::parse(&sent.payload, Dialect::Rfc8489).unwrap();
    assert_eq!((sent.peer_address(), sent.data()), (recorded.peer_address(), recorded.data()));
    let data = session.number(15);
    client.handle_input(received(data, &data.octets), now).unwrap();
    let expected = ClientEvent::Data { peer, data: (&b"reply as data indication"[..]).into() };
    assert_eq!(client.poll_event(), Some(expected));

    client.bind_channel(peer, now).unwrap();
    answer(&mut client, &session, 17, Dialect::Rfc8489, now);
    let Some(ClientEvent::ChannelBound { channel, .. }) = client.poll_event() else { panic!() };
    client.send(peer, b"channel data 17 b").unwrap();
    let mut expected = session.number(18).octets.clone();
    expected[..2].copy_from_slice(&channel.get().to_be_bytes());
    assert_eq!(client.poll_transmit().unwrap().payload, expected);
    let data = session.number(19);
    let mut octets = data.octets.clone();
    octets[..2].copy_from_slice(&channel.get().to_be_bytes());
    client.handle_input(received(data, &octets), now).unwrap();
    assert!(matches!(client.poll_event(), Some(ClientEvent::Data { data, .. })
        if data == b"channel reply"[..]));

    client.release(now).unwrap();
    answer(&mut client, &session, 21, Dialect::Rfc8489, now);
    assert_eq!(client.poll_event(), Some(ClientEvent::Released));
    assert!(client.has_ended() && client.poll_timeout().is_none());
}

#[test]
fn our_client_runs_the_session_with_an_ms_turn_relay() {
    let Some(session) = load("msturn_oc2007.jsonl") else { return };
    let now = Instant::now();
    let first = session.number(2);
    let mut config = ClientConfig::new(
        first.src,
        first.dst,
        Credentials::new(&session.username, &session.password),
    );
    config.dialect = ClientDialect::MsTurn;
    let mut client = TurnClient::new(config, [1; 32], now);
    client.allocate(now).unwrap();
    answer(&mut client, &session, 3, Dialect::MsTurn, now);
    answer(&mut client, &session, 5, Dialect::MsTurn, now);
    let Some(ClientEvent::Allocated(allocation)) = client.poll_event() else { panic!() };
    assert_eq!((allocation.lifetime.as_secs(), allocation.mapped), (1800, Some(first.src)));

    // The first Send request, attribute for attribute as libnice wrote it.
    let recorded = Message::parse(&session.number(6).octets, Dialect::MsTurn).unwrap();
    let peer = recorded.address(AttributeType::MS_DESTINATION_ADDRESS).unwrap();
    client.send(peer, recorded.data().unwrap()).unwrap();
    let sent = client.poll_transmit().unwrap();
    let sent = Message::parse(&sent.payload, Dialect::MsTurn).unwrap();
    let plain = |message: &Message<'_>| -> Vec<(AttributeType, Vec<u8>)> {
        let all = message.attributes().map(|one| (one.kind, one.value.to_vec()));
        all.filter(|one| one.0 != AttributeType::MESSAGE_INTEGRITY).collect()
    };
    assert_eq!(plain(&sent), plain(&recorded));
    assert!(sent.verify_integrity(&session.key).is_ok());

    let data = session.number(8);
    client.handle_input(received(data, &data.octets), now).unwrap();
    assert!(matches!(client.poll_event(), Some(ClientEvent::Data { peer: from, data })
        if from == peer && data.len() == 104));

    client.bind_channel(peer, now).unwrap();
    answer(&mut client, &session, 17, Dialect::MsTurn, now);
    assert!(matches!(client.poll_event(), Some(ClientEvent::ChannelBound { .. })));
    client.send(peer, &session.number(18).octets).unwrap();
    assert_eq!(client.poll_transmit().unwrap().payload, session.number(18).octets);
    let raw = session.number(19);
    client.handle_input(received(raw, &raw.octets), now).unwrap();
    assert!(
        matches!(client.poll_event(), Some(ClientEvent::Data { peer: from, .. }) if from == peer)
    );

    client.release(now).unwrap();
    answer(&mut client, &session, 21, Dialect::MsTurn, now);
    assert_eq!(client.poll_event(), Some(ClientEvent::Released));
}

/// Our server before a recorded client.
struct Replay<'s> {
    session: &'s Session,
    server: TurnServer,
    dialect: Dialect,
    replace: BTreeMap<AttributeType, Vec<u8>>,
    relay: Option<SocketAddr>,
    now: Instant,
}

impl<'s> Replay<'s> {
    fn new(session: &'s Session, realm: &str, dialect: Dialect) -> Self {
        let now = Instant::now();
        let mut config = ServerConfig::new(realm);
        config.users.add(Credentials::new(&session.username, &session.password));
        config.relays.push(RelayAddress::new("198.51.100.1".parse().unwrap()));
        config.policy = PeerPolicy::permissive();
        config.ms_turn = dialect == Dialect::MsTurn;
        let server = TurnServer::new(config, [2; 32], now);
        Self { session, server, dialect, replace: BTreeMap::new(), relay: None, now }
    }

    /// Plays a recorded datagram of the client; what the server sends in turn.
    fn play(&mut self, number: usize) -> Vec<linkspan_turn::Transmit> {
        let datagram = self.session.number(number);
        let octets = match Message::parse(&datagram.octets, self.dialect) {
            Ok(message) => {
                // What was signed wrongly stays so.
                let wrong = IntegrityKey::short_term("wrong");
                let is_right = message.verify_integrity(&self.session.key).is_ok();
                let key = if is_right { &self.session.key } else { &wrong };
                let id = message.transaction_id();
                rewrite(&datagram.octets, self.dialect, id, key, &self.replace)
            }
            Err(_) => datagram.octets.clone(),
        };
        let transport = datagram.transport;
        self.server
            .handle_input(
                Received { transport, local: datagram.dst, remote: datagram.src, payload: &octets },
                self.now,
            )
            .unwrap_or_else(|error| panic!("{number}: {error}"));
        self.drain()
    }

    fn drain(&mut self) -> Vec<linkspan_turn::Transmit> {
        while let Some(event) = self.server.poll_event() {
            if let ServerEvent::Bind { relay } = event {
                self.relay = Some(relay);
                self.server.bound(relay, true, self.now);
            }
        }
        let mut sent = Vec::new();
        while let Some(transmit) = self.server.poll_transmit() {
            if let Ok(message) = Message::parse(&transmit.payload, self.dialect)
                && let Some(nonce) = message.nonce()
            {
                self.replace.insert(self.dialect.nonce(), nonce.to_vec());
            }
            sent.push(transmit);
        }
        sent
    }

    fn play_for_code(&mut self, number: usize) -> (Class, Option<u16>) {
        let sent = self.play(number);
        let message = Message::parse(&sent[0].payload, self.dialect).unwrap();
        if message.class() == Class::Success && message.method() != Method::Binding {
            assert!(message.verify_integrity(&self.session.key).is_ok(), "{number}");
        }
        (message.class(), message.error_code().map(|error| error.code))
    }
}

#[test]
fn our_server_serves_the_client_of_the_coturn_session() {
    let Some(session) = load("coturn_rfc5766.jsonl") else { return };
    let mut replay = Replay::new(&session, "gw.example.test", Dialect::Rfc8489);
    let peer: SocketAddr = "127.0.0.1:44982".parse().unwrap();
    for (number, outcome) in [
        (2, (Class::Success, None)),
        (4, (Class::Error, Some(401))),
        (6, (Class::Error, Some(401))),
        (8, (Class::Success, None)),
        (10, (Class::Error, Some(437))),
        (12, (Class::Success, None)),
    ] {
        assert_eq!(replay.play_for_code(number), outcome, "{number}");
    }
    let relay = replay.relay.unwrap();
    let sent = replay.play(14);
    assert_eq!((sent[0].local, sent[0].remote), (relay, peer));
    assert_eq!(sent[0].payload, &b"hello via send indication"[..]);
    assert_eq!(replay.play_for_code(16), (Class::Success, None));
    let sent = replay.play(18);
    assert_eq!(sent[0].payload, session.number(18).octets[4..]);
    // The peer's answer reaches the client in the very octets that coturn sent.
    let payload = &b"channel reply"[..];
    let received = Received { transport: Transport::Udp, local: relay, remote: peer, payload };
    replay.server.handle_input(received, replay.now).unwrap();
    assert_eq!(replay.drain()[0].payload, session.number(19).octets);
    assert_eq!(replay.play_for_code(20), (Class::Success, None));
    // coturn answers success to a refresh of what was released; RFC 8656 §8.2 has 437.
    assert_eq!(replay.play_for_code(22), (Class::Error, Some(437)));
    assert_eq!(replay.server.allocations(), 0);
}

#[test]
fn our_server_serves_libnice_in_ms_turn() {
    let Some(session) = load("msturn_oc2007.jsonl") else { return };
    let mut replay = Replay::new(&session, "rtcmedia", Dialect::MsTurn);
    assert_eq!(replay.play_for_code(2), (Class::Error, Some(401)));
    let sent = replay.play(4);
    let message = Message::parse(&sent[0].payload, Dialect::MsTurn).unwrap();
    assert!(message.verify_integrity(&session.key).is_ok());
    assert_eq!(message.xor_mapped_address(), Some(session.number(4).src));
    assert_eq!(message.relayed_address(), replay.relay);
    let sequence = message.attribute(AttributeType::MS_SEQUENCE_NUMBER).unwrap();
    let connection = sequence[..20].to_vec();
    let relay = replay.relay.unwrap();
    for (next, number) in (1_u32..).zip([6, 7, 10, 11, 15]) {
        let mut value = connection.clone();
        value.extend_from_slice(&next.to_be_bytes());
        replay.replace.insert(AttributeType::MS_SEQUENCE_NUMBER, value);
        let recorded = Message::parse(&session.number(number).octets, Dialect::MsTurn).unwrap();
        let sent = replay.play(number);
        let peer = recorded.address(AttributeType::MS_DESTINATION_ADDRESS).unwrap();
        assert_eq!((sent[0].local, sent[0].remote), (relay, peer), "{number}");
        assert_eq!(sent[0].payload, recorded.data().unwrap(), "{number}");
        // The peer's checks come back as Data indications.
        let payload = &b"from the peer"[..];
        let received = Received { transport: Transport::Udp, local: relay, remote: peer, payload };
        replay.server.handle_input(received, replay.now).unwrap();
        let sent = replay.drain();
        let message = Message::parse(&sent[0].payload, Dialect::MsTurn).unwrap();
        assert_eq!((message.peer_address(), message.data()), (Some(peer), Some(payload)));
    }
    assert_eq!(replay.play_for_code(16), (Class::Success, None));
    assert_eq!(replay.play(18)[0].payload, session.number(18).octets);
    assert_eq!(replay.play_for_code(20), (Class::Success, None));
    assert_eq!(replay.server.allocations(), 0);
    // The repeated release finds nothing, and is answered all the same.
    assert_eq!(replay.play_for_code(22), (Class::Success, None));
}
