//! Bodies of the fuzz targets. Each asserts properties, not only that nothing panics.

use linkspan_stun::{
    AttributeType, Class, Dialect, IntegrityKey, Message, MessageBuilder, Method, userhash,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::{
    ChannelData, ClientConfig, ClientDialect, ConnectionId, Credentials, IcmpError, Received,
    RelayAddress, ServerConfig, ServerEvent, StreamFramer, Transport, TurnClient, TurnServer, ms,
};

/// Streams of either framing: the same frames however the stream is cut, and ChannelData that are
/// written as they were read.
pub fn framing(octets: &[u8]) {
    let Some((&cut, stream)) = octets.split_first() else { return };
    let size = usize::from(cut) + 1;
    let standard = |size: usize| {
        let mut framer = StreamFramer::default();
        let mut frames = Vec::new();
        for part in stream.chunks(size) {
            if framer.push(part).is_err() {
                return None;
            }
            while let Ok(Some(frame)) = framer.poll_frame() {
                frames.push(frame);
            }
        }
        Some(frames)
    };
    let frames = standard(size);
    assert_eq!(frames, standard(stream.len().max(1)));
    for frame in frames.iter().flatten() {
        if frame.first().is_some_and(|first| first >> 6 == 1)
            && let Ok(data) = ChannelData::parse(frame, Transport::Tcp)
        {
            let header = ChannelData::header(data.channel, data.data.len());
            assert_eq!(frame.first_chunk(), header.as_ref());
        }
    }
    let microsoft = |size: usize| {
        let mut framer = ms::StreamFramer::default();
        let mut frames = Vec::new();
        for part in stream.chunks(size) {
            if framer.push(part).is_err() {
                return None;
            }
            while let Ok(Some(frame)) = framer.poll_frame() {
                frames.push(frame);
            }
        }
        Some(frames)
    };
    assert_eq!(microsoft(size), microsoft(stream.len().max(1)));
}

/// A server under a script: packets of clients and peers, raw or signed rightly, time, and sockets
/// that can or cannot be bound. Its tables stay within their limits, and what it sends to peers
/// goes to those that the policy lets through.
pub fn server(script: &[u8]) {
    let mut now = Instant::now();
    let mut config = ServerConfig::new("fuzz");
    config.users.add(Credentials::new("user", "secret"));
    config.listeners.push(LISTENER);
    config.relays.push(RelayAddress::new(LISTENER.ip()));
    config.relay_ports = 50_000..=50_015;
    config.ms_turn = true;
    config.tcp_relay = true;
    config.dont_fragment = true;
    config.limits.connections = 3;
    config.limits.allocations = 6;
    config.limits.allocations_per_user = 5;
    config.limits.permissions = 4;
    config.limits.channels = 4;
    let policy = config.policy.clone();
    let mut server = TurnServer::new(config, [0; 32], now);
    let mut bound: Vec<SocketAddr> = Vec::new();
    let mut peers = Vec::new();
    let mut ticket = Vec::new();
    let mut nonces: [Vec<u8>; 8] = Default::default();
    let mut rest = script;
    while let Some((&[action, who], behind)) = rest.split_first_chunk() {
        let len = usize::from(behind.first().copied().unwrap_or_default());
        let (payload, next) =
            behind.get(1..).unwrap_or_default().split_at_checked(len).unwrap_or_default();
        rest = next;
        let client = SocketAddr::new([192, 0, 2, 1].into(), 5000 + u16::from(who % 8));
        let transport = if who & 8 == 0 { Transport::Udp } else { Transport::Tcp };
        let nonce = nonces.get(usize::from(who % 8)).map_or(&[][..], Vec::as_slice);
        match action % 8 {
            0 | 1 => {
                let received = Received { transport, local: LISTENER, remote: client, payload };
                let _ = server.handle_input(received, now);
            }
            2..=4 => {
                let dialect = if action & 8 == 0 { Dialect::Rfc8489 } else { Dialect::MsTurn };
                let connection = peers.get(usize::from(who) % peers.len().max(1)).copied();
                let known = Known { nonce, ticket: &ticket, connection };
                let message = signed(payload, dialect, &known, transport);
                let received =
                    Received { transport, local: LISTENER, remote: client, payload: &message };
                let _ = server.handle_input(received, now);
            }
            5 => {
                let relay = bound.get(usize::from(who) % bound.len().max(1)).copied();
                let peer = SocketAddr::new([203, 0, 113, who % 4].into(), 6000);
                if let Some(local) = relay {
                    let transport = Transport::Udp;
                    let _ = server
                        .handle_input(Received { transport, local, remote: peer, payload }, now);
                }
            }
            6 => {
                now += Duration::from_secs(u64::from(who) * 4);
                server.handle_timeout(now);
                assert!(server.poll_timeout().is_none_or(|at| at > now));
            }
            _ => {
                let connection = peers.get(usize::from(who) % peers.len().max(1)).copied();
                let relay = bound.get(usize::from(who) % bound.len().max(1)).copied();
                let peer = SocketAddr::new([203, 0, 113, who % 4].into(), 7000 + u16::from(who));
                match (action >> 5, connection, relay) {
                    (1, _, Some(relay)) => peers.extend(server.accepted(relay, peer, now)),
                    (2 | 3, Some(one), _) => server.connected(one, action >> 5 == 2, now),
                    (4, Some(one), _) => server.closed(one),
                    (5, Some(one), _) => {
                        server.carried(one, payload.len(), crate::Way::ToPeer, now);
                    }
                    (6, _, Some(relay)) => {
                        let error = IcmpError { kind: who, code: 4, data: 1280 };
                        let _ = server.handle_icmp(relay, peer, error, now);
                    }
                    _ => server.handle_disconnect(LISTENER, client),
                }
            }
        }
        let mut binds = 0;
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::Bind { relay } => {
                    binds += 1;
                    assert!(binds < 64, "asks for sockets without end");
                    let can = action & 16 == 0 && !bound.contains(&relay);
                    if can {
                        bound.push(relay);
                    }
                    server.bound(relay, can, now);
                }
                ServerEvent::Unbind { relay } => bound.retain(|one| *one != relay),
                ServerEvent::Listen { relay } => {
                    let can = action & 16 == 0 && !bound.contains(&relay);
                    if can {
                        bound.push(relay);
                    }
                    server.bound(relay, can, now);
                }
                ServerEvent::Connect { connection, peer, .. } => {
                    assert!(policy.permits(peer.ip()) || bound.contains(&peer));
                    peers.push(connection);
                }
                ServerEvent::Close { connection } => peers.retain(|one| *one != connection),
                ServerEvent::Join { connection, .. } => assert!(peers.contains(&connection)),
                ServerEvent::Moved { .. } => {}
                ServerEvent::Allocated { .. } | ServerEvent::Ended { .. } => {}
            }
        }
        while let Some(transmit) = server.poll_transmit() {
            if transmit.local == LISTENER {
                note_nonce(&transmit.payload, transmit.remote, &mut nonces, &mut ticket);
            } else {
                let own = transmit.remote.ip() == LISTENER.ip();
                assert!(own || policy.permits(transmit.remote.ip()));
                assert!(!own || bound.contains(&transmit.remote));
            }
        }
        assert!(server.allocations() <= 6 && bound.len() <= 16);
        assert!(peers.len() <= 6 * 3, "more connections than there may be");
    }
    // Everything ends by itself.
    now += Duration::from_secs(4000);
    server.handle_timeout(now);
    assert_eq!((server.allocations(), server.poll_timeout()), (0, None));
}

/// A client under arbitrary answers: it ends in bounded time, and keeps quiet then.
pub fn client(script: &[u8]) {
    let mut now = Instant::now();
    let Some((&first, mut rest)) = script.split_first() else { return };
    let mut local = SocketAddr::new([192, 0, 2, 1].into(), 5000);
    let mut config = ClientConfig::new(local, LISTENER, Credentials::new("user", "secret"));
    config.dialect = if first & 1 == 0 { ClientDialect::Rfc8656 } else { ClientDialect::MsTurn };
    config.transport = if first & 2 == 0 { Transport::Udp } else { Transport::Tcp };
    (config.mobility, config.dont_fragment) = (first & 4 != 0, first & 8 != 0);
    if first & 16 != 0 {
        config.relayed_transport = Transport::Tcp;
    }
    let is_sha256 = first & 33 == 32;
    let (transport, is_ms) = (config.transport, first & 1 == 1);
    let dialect = if is_ms { Dialect::MsTurn } else { Dialect::Rfc8489 };
    let key = if is_ms {
        linkspan_stun::ms::long_term_key(b"user", b"fuzz", b"secret")
    } else if is_sha256 {
        IntegrityKey::long_term_sha256("user", "fuzz", "secret")
    } else {
        IntegrityKey::long_term_md5("user", "fuzz", "secret")
    };
    let mut client = TurnClient::new(config, [0; 32], now);
    let peer = SocketAddr::new([203, 0, 113, 7].into(), 6000);
    if client.allocate(now).is_err() {
        return; // a TCP allocation without TCP to the server
    }
    let mut last = None;
    let mut from = local;
    while let Some((&[action, len], behind)) = rest.split_first_chunk() {
        let (payload, next) = behind.split_at_checked(usize::from(len)).unwrap_or((behind, &[]));
        rest = next;
        match action % 6 {
            0 => deliver(&mut client, transport, local, payload, now),
            1 | 2 => {
                // An answer to the last request, with the attributes of the script.
                let answer = last.as_ref().and_then(|request: &bytes::Bytes| {
                    let key = (action & 8 == 0).then_some((&key, is_sha256));
                    answer(request, dialect, transport, payload, key)
                });
                if let Some(answer) = answer {
                    deliver(&mut client, transport, from, &answer, now);
                }
            }
            3 => {
                now += Duration::from_secs(u64::from(len));
                client.handle_timeout(now);
            }
            4 => match action >> 5 {
                1 => drop(client.connect(peer, now)),
                2 => {
                    let from = SocketAddr::new(local.ip(), 6000 + u16::from(len));
                    let _ = client.bind_connection(ConnectionId::new(len.into()), from, now);
                }
                3 => {
                    let to = SocketAddr::new(local.ip(), 5000 + u16::from(len));
                    if client.move_to(to, now).is_ok() {
                        local = to;
                    }
                }
                4 => drop(client.send_unfragmented(peer, payload)),
                _ => drop(client.bind_channel(peer, now)),
            },
            _ => {
                let _ = client.create_permission(peer, now);
                let _ = client.send(peer, payload);
            }
        }
        let mut sent = 0;
        while let Some(transmit) = client.poll_transmit() {
            sent += 1;
            assert!(sent < 300, "sends without end");
            from = transmit.local;
            last = Some(transmit.payload);
        }
        while client.poll_event().is_some() {}
    }
    let _ = client.release(now);
    for _ in 0..1000 {
        while client.poll_transmit().is_some() {}
        while client.poll_event().is_some() {}
        let Some(at) = client.poll_timeout() else { break };
        now = now.max(at);
        client.handle_timeout(now);
    }
    assert!(client.has_ended() && client.poll_timeout().is_none());
}

/// Documents of the AV Edge's credential service (feature `edge`): what is read is written so that it reads back.
#[cfg(feature = "edge")]
pub fn edge(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(request) = ms::EdgeRequest::parse(text) {
        assert!((1..=100).contains(&request.identities.len()));
        assert_eq!(ms::EdgeRequest::parse(&request.to_xml()), Ok(request));
    }
    if let Ok(response) = ms::EdgeResponse::parse(text) {
        let written = response.to_xml();
        let read = ms::EdgeResponse::parse(&written).map(|read| read.to_xml());
        assert_eq!(read, Ok(written));
    }
}

fn deliver(
    client: &mut TurnClient,
    transport: Transport,
    local: SocketAddr,
    payload: &[u8],
    now: Instant,
) {
    let _ = client.handle_input(Received { transport, local, remote: LISTENER, payload }, now);
}

/// What requests can only repeat.
struct Known<'k> {
    nonce: &'k [u8],
    ticket: &'k [u8],
    connection: Option<ConnectionId>,
}

/// A request whose method and attributes the script chooses, and whose signature is right.
fn signed(script: &[u8], dialect: Dialect, known: &Known<'_>, transport: Transport) -> Vec<u8> {
    let nonce = known.nonce;
    let (&[method, salt], mut rest) = script.split_first_chunk().unwrap_or((&[0, 0], &[]));
    let methods = [
        Method::Allocate,
        Method::Refresh,
        Method::CreatePermission,
        Method::ChannelBind,
        Method::Send,
        Method::SetActiveDestination,
        Method::Binding,
        Method::Connect,
        Method::ConnectionBind,
    ];
    let method = methods.get(usize::from(method) % methods.len()).copied();
    let id = linkspan_stun::TransactionId::new([salt; 12]);
    let key = if dialect == Dialect::MsTurn {
        linkspan_stun::ms::long_term_key(b"user", b"fuzz", b"secret")
    } else {
        IntegrityKey::long_term_md5("user", "fuzz", "secret")
    };
    let mut out = Vec::new();
    let method = method.unwrap_or(Method::Binding);
    let mut message = MessageBuilder::new(&mut out, dialect, Class::Request, method, id);
    if let (Method::ConnectionBind, Some(connection)) = (method, known.connection) {
        message.u32(AttributeType::CONNECTION_ID, connection.get());
    }
    if method == Method::Refresh && salt & 0x40 != 0 {
        message.attribute(AttributeType::MOBILITY_TICKET, known.ticket);
    }
    while let Some((&[t0, t1, len], behind)) = rest.split_first_chunk() {
        let (value, next) = behind.split_at_checked(usize::from(len % 32)).unwrap_or((behind, &[]));
        message.attribute(AttributeType(u16::from_be_bytes([t0, t1])), value);
        rest = next;
    }
    if salt & 0x80 != 0 && dialect == Dialect::Rfc8489 {
        let key = IntegrityKey::long_term_sha256("user", "fuzz", "secret");
        message
            .attribute(AttributeType::USERHASH, &userhash("user", "fuzz"))
            .realm(b"fuzz")
            .nonce(nonce)
            .attribute(AttributeType::PASSWORD_ALGORITHMS, &OFFER)
            .attribute(AttributeType::PASSWORD_ALGORITHM, &[0, 2, 0, 0])
            .sign_sha256(&key);
    } else {
        message.username(b"user").realm(b"fuzz").nonce(nonce).sign(&key);
    }
    let _ = message.finish();
    framed(out, dialect, transport)
}

fn answer(
    request: &[u8],
    dialect: Dialect,
    transport: Transport,
    script: &[u8],
    key: Option<(&IntegrityKey, bool)>,
) -> Option<Vec<u8>> {
    let is_framed = dialect == Dialect::MsTurn && transport == Transport::Tcp;
    let request = Message::parse(request.get(if is_framed { 4 } else { 0 }..)?, dialect).ok()?;
    let (&kind, mut rest) = script.split_first()?;
    let class = if kind & 1 == 0 { Class::Success } else { Class::Error };
    let mut out = Vec::new();
    let id = request.transaction_id();
    let mut message = MessageBuilder::new(&mut out, dialect, class, request.method(), id);
    match kind % 8 {
        1 => {
            let _ = message.error_code(401, "").realm(b"fuzz").nonce(b"nonce");
            if key.is_some_and(|(_, is_sha256)| is_sha256) {
                message.attribute(AttributeType::PASSWORD_ALGORITHMS, &OFFER);
            }
        }
        3 => {
            let _ = message.error_code(438, "").realm(b"fuzz").nonce(b"other");
        }
        5 => {
            let _ = message.error_code(300, "").address(AttributeType::ALTERNATE_SERVER, LISTENER);
        }
        7 => {
            let _ = message.error_code(437, "");
        }
        _ => {
            let _ = message
                .xor_address(AttributeType::XOR_RELAYED_ADDRESS, LISTENER)
                .lifetime_secs(u32::from(kind))
                .attribute(AttributeType::MOBILITY_TICKET, &[kind]);
        }
    }
    while let Some((&[t0, t1, len], behind)) = rest.split_first_chunk() {
        let (value, next) = behind.split_at_checked(usize::from(len % 32)).unwrap_or((behind, &[]));
        message.attribute(AttributeType(u16::from_be_bytes([t0, t1])), value);
        rest = next;
    }
    match key {
        Some((key, true)) => drop(message.sign_sha256(key)),
        Some((key, false)) => drop(message.sign(key)),
        None => {}
    }
    message.finish().ok()?;
    Some(framed(out, dialect, transport))
}

fn framed(message: Vec<u8>, dialect: Dialect, transport: Transport) -> Vec<u8> {
    if dialect != Dialect::MsTurn || transport != Transport::Tcp {
        return message;
    }
    let header = ms::frame_header(true, message.len()).unwrap_or_default();
    [header.as_slice(), &message].concat()
}

fn note_nonce(payload: &[u8], client: SocketAddr, nonces: &mut [Vec<u8>], ticket: &mut Vec<u8>) {
    for dialect in [Dialect::Rfc8489, Dialect::MsTurn] {
        for start in [0, 4] {
            let message = payload.get(start..).map(|octets| Message::parse(octets, dialect));
            if let Some(Ok(message)) = message
                && let Some(value) = message.attribute(AttributeType::MOBILITY_TICKET)
            {
                *ticket = value.to_vec();
            }
            if let Some(Ok(message)) = message
                && let Some(nonce) = message.nonce()
                && let Some(place) = nonces.get_mut(usize::from(client.port().wrapping_sub(5000)))
            {
                *place = nonce.to_vec();
            }
        }
    }
}

/// PASSWORD-ALGORITHMS of SHA-256 and MD5.
const OFFER: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

const LISTENER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)), 3478);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seeds_hold() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (name, body) in [
            ("turn_framing", framing as fn(&[u8])),
            ("turn_server", server),
            ("turn_client", client),
            ("turn_edge", edge),
        ] {
            for entry in std::fs::read_dir(root.join(name)).unwrap() {
                body(&std::fs::read(entry.unwrap().path()).unwrap());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn scripts_hold(script in proptest::collection::vec(any::<u8>(), 0..600)) {
            framing(&script);
            server(&script);
            client(&script);
            edge(&script);
        }
    }
}
