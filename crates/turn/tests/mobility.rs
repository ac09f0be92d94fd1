//! Proves that an allocation outlives a change of its client's address (RFC 8016).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stop at what they did not expect"
)]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linkspan_stun::{
    AttributeType, Class, Dialect, IntegrityKey, Message, MessageBuilder, Method, TransactionId,
};
use linkspan_turn::{
    ClientConfig, ClientEvent, Credentials, Received, ServerConfig, ServerEvent, Transport,
    TurnClient, TurnServer, VerbError,
};
use support::{SERVER, address, arrived, server_config};

const PEER: &str = "203.0.113.7:6000";

struct Pair {
    now: Instant,
    server: TurnServer,
    client: TurnClient,
    events: Vec<ClientEvent>,
    server_events: Vec<ServerEvent>,
    /// Answers of the server that get lost.
    lose: usize,
    ticket: Vec<u8>,
}

impl Pair {
    fn new(transport: Transport, user: &str, configure: impl FnOnce(&mut ServerConfig)) -> Self {
        let now = Instant::now();
        let mut config = server_config();
        config.users.add(Credentials::new("other", "secret"));
        configure(&mut config);
        let server = TurnServer::new(config, [1; 32], now);
        let credentials = Credentials::new(user, "secret");
        let mut config = ClientConfig::new(address("192.0.2.1:5000"), address(SERVER), credentials);
        config.transport = transport;
        config.mobility = true;
        let client = TurnClient::new(config, [2; 32], now);
        let (events, server_events) = (Vec::new(), Vec::new());
        let mut pair =
            Self { now, server, client, events, server_events, lose: 0, ticket: Vec::new() };
        pair.client.allocate(now).unwrap();
        pair.run();
        pair.client.bind_channel(address(PEER), now).unwrap();
        pair.run();
        assert!(matches!(pair.events[1], ClientEvent::ChannelBound { .. }));
        pair.events.clear();
        pair
    }

    fn run(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(sent) = self.client.poll_transmit() {
                is_quiet = false;
                let _ = self.server.handle_input(arrived(&sent), self.now);
            }
            while let Some(event) = self.server.poll_event() {
                if let ServerEvent::Bind { relay } = event {
                    self.server.bound(relay, true, self.now);
                } else {
                    self.server_events.push(event);
                }
            }
            while let Some(sent) = self.server.poll_transmit() {
                is_quiet = false;
                let message = Message::parse(&sent.payload, Dialect::Rfc8489).unwrap();
                let ticket = message.attribute(AttributeType::MOBILITY_TICKET);
                self.ticket = ticket.map_or_else(|| self.ticket.clone(), <[u8]>::to_vec);
                if self.lose == 0 {
                    let _ = self.client.handle_input(arrived(&sent), self.now);
                }
                self.lose = self.lose.saturating_sub(1);
            }
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
            }
            if is_quiet {
                return;
            }
        }
    }

    /// Where the server sends what a peer sends.
    fn way_to_client(&mut self) -> SocketAddr {
        let relay = self.client.relayed()[0];
        let (transport, remote) = (Transport::Udp, address(PEER));
        let received = Received { transport, local: relay, remote, payload: b"data" };
        self.server.forward(received, self.now).unwrap().remote
    }
}

#[test]
fn the_allocation_follows_its_client() {
    let mut pair = Pair::new(Transport::Udp, "user", |_| {});
    let relayed = pair.client.relayed().to_vec();
    for (port, lose) in [(6000, 0), (6001, 2), (6002, 0)] {
        let local = SocketAddr::new(address("192.0.2.99:0").ip(), port);
        // What is lost is the challenge for the new address, and then the answer itself.
        pair.lose = lose;
        pair.client
            .create_permission(
                SocketAddr::from(([203, 0, 113, u8::try_from(port % 256).unwrap()], 1)),
                pair.now,
            )
            .unwrap();
        pair.client.move_to(local, pair.now).unwrap();
        for _ in 0..5 {
            pair.run();
            if let Some(due) = pair.client.poll_timeout().filter(|due| {
                *due < pair.now + Duration::from_secs(5)
                    && !pair.events.contains(&ClientEvent::Moved)
            }) {
                pair.now = due;
                pair.client.handle_timeout(due);
            }
        }
        assert!(pair.events.contains(&ClientEvent::Moved), "{:?}", pair.events);
        // What was under way is asked for again.
        let granted = |event: &ClientEvent| matches!(event, ClientEvent::PermissionCreated { .. });
        assert!(pair.events.iter().any(granted), "{:?}", pair.events);
        pair.events.clear();
        assert_eq!(pair.way_to_client(), local);
        assert_eq!(pair.client.relayed(), relayed);
        assert!(
            matches!(pair.server_events.last(), Some(ServerEvent::Moved { to, .. }) if *to == local)
        );
    }
    assert_eq!(pair.server.allocations(), 1);
}

#[test]
fn a_lost_connection_is_followed_by_another() {
    let mut pair = Pair::new(Transport::Tcp, "user", |_| {});
    pair.server.handle_disconnect(address(SERVER), address("192.0.2.1:5000"));
    assert_eq!(pair.server.allocations(), 1);
    pair.client.move_to(address("192.0.2.1:5001"), pair.now).unwrap();
    pair.run();
    assert_eq!(pair.events.pop(), Some(ClientEvent::Moved));
    assert_eq!(pair.way_to_client(), address("192.0.2.1:5001"));
    // Nobody comes back: it ends with its lifetime.
    pair.server.handle_disconnect(address(SERVER), address("192.0.2.1:5001"));
    pair.server.handle_timeout(pair.now + Duration::from_secs(601));
    assert_eq!(pair.server.allocations(), 0);
}

#[test]
fn a_server_may_forbid_it() {
    let mut pair = Pair::new(Transport::Udp, "user", |config| config.mobility = false);
    let moved = pair.client.move_to(address("192.0.2.99:5000"), pair.now);
    assert_eq!(moved, Err(VerbError::State));
}

/// What a server says to somebody who refreshes with a ticket from elsewhere.
fn refresh_with(server: &mut TurnServer, ticket: &[u8], user: &str, now: Instant) -> Option<u16> {
    let key = IntegrityKey::long_term_md5(user, "example.org", "secret");
    let mut nonce = None::<Vec<u8>>;
    loop {
        let mut octets = Vec::new();
        let id = TransactionId::new([nonce.is_some().into(); 12]);
        let (dialect, class) = (Dialect::Rfc8489, Class::Request);
        let mut request = MessageBuilder::new(&mut octets, dialect, class, Method::Refresh, id);
        request.attribute(AttributeType::MOBILITY_TICKET, ticket);
        if let Some(nonce) = &nonce {
            request.username(user.as_bytes()).realm(b"example.org").nonce(nonce).sign(&key);
        }
        request.finish().unwrap();
        let (local, remote) = (address(SERVER), address("192.0.2.66:5000"));
        let transport = Transport::Udp;
        server.handle_input(Received { transport, local, remote, payload: &octets }, now).unwrap();
        let answer = server.poll_transmit().unwrap().payload;
        let answer = Message::parse(&answer, Dialect::Rfc8489).unwrap();
        if nonce.is_some() {
            return answer.error_code().map(|error| error.code);
        }
        nonce = answer.nonce().map(<[u8]>::to_vec);
    }
}

#[test]
fn a_ticket_is_no_use_to_others() {
    let mut pair = Pair::new(Transport::Udp, "user", |_| {});
    let ticket = pair.ticket.clone();
    assert_eq!(ticket.len(), 16);
    assert_eq!(refresh_with(&mut pair.server, &[7; 16], "other", pair.now), Some(400));
    assert_eq!(refresh_with(&mut pair.server, &ticket, "other", pair.now), Some(441));
    assert_eq!(pair.way_to_client(), address("192.0.2.1:5000"));
    // In its owner's hand it is good.
    assert_eq!(refresh_with(&mut pair.server, &ticket, "user", pair.now), None);
    assert_eq!(pair.way_to_client(), address("192.0.2.66:5000"));
}
