//! Proves TCP allocations (RFC 6062) between our client and server, and the rules of the server.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stop at what they did not expect"
)]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linkspan_turn::{
    AllocateError, Allocation, ClientConfig, ClientEvent, ConnectionId, Credentials, PeerPolicy,
    Received, RequestError, ServerConfig, ServerEvent, Transport, TurnClient, TurnServer,
    VerbError, Way,
};
use support::{SERVER, address, arrived, server_config};

const CLIENT: &str = "192.0.2.1:5000";
const DATA: &str = "192.0.2.1:5001";
const PEER: &str = "203.0.113.7:80";

struct Pair {
    now: Instant,
    server: TurnServer,
    client: TurnClient,
    to_do: Vec<ServerEvent>,
    events: Vec<ClientEvent>,
}

impl Pair {
    fn new(
        configure: impl FnOnce(&mut ServerConfig),
        change: impl FnOnce(&mut ClientConfig),
    ) -> Self {
        let now = Instant::now();
        let mut config = server_config();
        config.users.add(Credentials::new("other", "secret"));
        config.tcp_relay = true;
        configure(&mut config);
        let server = TurnServer::new(config, [1; 32], now);
        let credentials = Credentials::new("user", "secret");
        let mut config = ClientConfig::new(address(CLIENT), address(SERVER), credentials);
        config.transport = Transport::Tcp;
        config.relayed_transport = Transport::Tcp;
        change(&mut config);
        let client = TurnClient::new(config, [2; 32], now);
        Self { now, server, client, to_do: Vec::new(), events: Vec::new() }
    }

    fn allocated() -> (Self, Allocation) {
        let mut pair = Self::new(|_| {}, |_| {});
        pair.client.allocate(pair.now).unwrap();
        pair.run();
        let Some(ClientEvent::Allocated(allocation)) = pair.events.pop() else {
            panic!("{:?}", pair.events);
        };
        (pair, allocation)
    }

    /// Lets packets pass until there are none.
    fn run(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(sent) = self.client.poll_transmit() {
                is_quiet = false;
                let _ = self.server.handle_input(arrived(&sent), self.now);
            }
            while let Some(event) = self.server.poll_event() {
                is_quiet = false;
                match event {
                    ServerEvent::Bind { relay } | ServerEvent::Listen { relay } => {
                        self.server.bound(relay, true, self.now);
                    }
                    event => self.to_do.push(event),
                }
            }
            while let Some(sent) = self.server.poll_transmit() {
                is_quiet = false;
                let _ = self.client.handle_input(arrived(&sent), self.now);
            }
            while let Some(event) = self.client.poll_event() {
                self.events.push(event);
            }
            if is_quiet {
                return;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
        self.client.handle_timeout(self.now);
        self.run();
    }

    fn connect(&mut self, peer: SocketAddr) -> Option<ConnectionId> {
        self.client.connect(peer, self.now).unwrap();
        self.run();
        match self.to_do.pop() {
            Some(ServerEvent::Connect { connection, peer: asked, .. }) if asked == peer => {
                Some(connection)
            }
            other => {
                self.to_do.extend(other);
                None
            }
        }
    }

    fn failure(&mut self) -> Option<u16> {
        match self.events.pop() {
            Some(
                ClientEvent::ConnectFailed { error: RequestError::Refused { code, .. }, .. }
                | ClientEvent::ConnectionFailed { error: RequestError::Refused { code, .. }, .. }
                | ClientEvent::AllocateFailed {
                    error: AllocateError::Request(RequestError::Refused { code, .. }),
                },
            ) => Some(code),
            _ => None,
        }
    }

    fn is_closed(&self, id: ConnectionId) -> bool {
        self.to_do
            .iter()
            .any(|event| matches!(event, ServerEvent::Close { connection } if *connection == id))
    }
}

#[test]
fn a_peer_is_connected_to_and_joined() {
    let (mut pair, allocation) = Pair::allocated();
    let peer = address(PEER);
    let connection = pair.connect(peer).unwrap();
    assert!(pair.events.is_empty());
    pair.server.connected(connection, true, pair.now);
    pair.run();
    assert_eq!(pair.events.pop(), Some(ClientEvent::Connected { peer, connection }));
    let local = address(DATA);
    pair.client.bind_connection(connection, local, pair.now).unwrap();
    pair.run();
    assert_eq!(pair.events.pop(), Some(ClientEvent::ConnectionBound { connection, local }));
    let (remote, local) = (local, address(SERVER));
    assert_eq!(pair.to_do.pop(), Some(ServerEvent::Join { connection, local, remote }));
    // What comes there is not read any more, and what it carries is counted.
    let payload = b"\x00\x01\x00\x00\x21\x12\xa4\x42123456789012";
    let received = Received { transport: Transport::Tcp, local, remote, payload };
    assert!(pair.server.handle_input(received, pair.now).is_err());
    assert_eq!(pair.server.carried(connection, 99, Way::ToPeer, pair.now), Duration::ZERO);
    // It lives for as long as the allocation, and ends with it.
    for _ in 0..60 {
        pair.pass(Duration::from_secs(50));
    }
    assert!(!pair.is_closed(connection) && pair.client.relayed() == [allocation.relayed]);
    pair.client.release(pair.now).unwrap();
    pair.run();
    assert!(pair.is_closed(connection));
    assert!(matches!(pair.to_do.last(), Some(ServerEvent::Ended { usage, .. })
        if usage.octets_sent == 99));
    assert_eq!(pair.server.poll_timeout(), None);
}

#[test]
fn either_end_closes_the_other() {
    for by_client in [false, true] {
        let (mut pair, _) = Pair::allocated();
        let connection = pair.connect(address(PEER)).unwrap();
        pair.server.connected(connection, true, pair.now);
        pair.run();
        pair.client.bind_connection(connection, address(DATA), pair.now).unwrap();
        pair.run();
        if by_client {
            pair.server.handle_disconnect(address(SERVER), address(DATA));
        } else {
            pair.server.closed(connection);
        }
        pair.run();
        assert!(pair.is_closed(connection));
        assert_eq!(pair.server.allocations(), 1);
        // The peer may be connected to again.
        assert!(pair.connect(address(PEER)).is_some());
    }
}

#[test]
fn peers_with_permission_may_connect() {
    let (mut pair, allocation) = Pair::allocated();
    let peer = address("203.0.113.7:41000");
    assert_eq!(pair.server.accepted(allocation.relayed, peer, pair.now), None);
    pair.client.create_permission(address(PEER), pair.now).unwrap();
    pair.run();
    let connection = pair.server.accepted(allocation.relayed, peer, pair.now).unwrap();
    pair.run();
    assert_eq!(pair.events.pop(), Some(ClientEvent::ConnectionAttempt { peer, connection }));
    pair.client.bind_connection(connection, address(DATA), pair.now).unwrap();
    pair.run();
    assert!(matches!(pair.to_do.pop(), Some(ServerEvent::Join { .. })));
    // Another one waits in vain: 30 seconds, and it is closed.
    let other = address("203.0.113.7:41001");
    let unwanted = pair.server.accepted(allocation.relayed, other, pair.now).unwrap();
    pair.pass(Duration::from_secs(29));
    assert!(!pair.is_closed(unwanted));
    pair.pass(Duration::from_secs(1));
    assert!(pair.is_closed(unwanted) && !pair.is_closed(connection));
    pair.client.bind_connection(unwanted, address("192.0.2.1:5002"), pair.now).unwrap();
    pair.run();
    assert_eq!(pair.failure(), Some(400));
}

#[test]
fn connecting_fails_in_time_and_by_rule() {
    let (mut pair, allocation) = Pair::allocated();
    let connection = pair.connect(address(PEER)).unwrap();
    pair.server.connected(connection, false, pair.now);
    pair.run();
    assert_eq!((pair.failure(), pair.is_closed(connection)), (Some(447), true));
    // RFC 6062 §5.2: not before 30 seconds
    let connection = pair.connect(address(PEER)).unwrap();
    pair.pass(Duration::from_secs(29));
    assert!(!pair.is_closed(connection));
    pair.pass(Duration::from_secs(1));
    assert_eq!((pair.failure(), pair.is_closed(connection)), (Some(447), true));
    // Nobody relays to himself, to the inside, or to another family.
    for (peer, code) in [
        ("10.0.0.1:80", 403),
        ("127.0.0.1:80", 403),
        (SERVER, 403),
        (&allocation.relayed.to_string(), 0),
    ] {
        pair.to_do.clear();
        let connection = pair.connect(address(peer));
        assert_eq!(connection.is_some(), code == 0, "{peer}");
        assert_eq!(pair.failure().unwrap_or_default(), code, "{peer}");
    }
    let v6 = address("[2001:db8::7]:80");
    assert_eq!(pair.client.connect(v6, pair.now), Err(VerbError::Family));
    // One connection to a peer.
    let connection = pair.connect(address(PEER)).unwrap();
    pair.server.connected(connection, true, pair.now);
    pair.run();
    assert!(matches!(pair.events.pop(), Some(ClientEvent::Connected { .. })));
    assert_eq!(pair.connect(address(PEER)), None);
    assert_eq!(pair.failure(), Some(446));
}

#[test]
fn connections_are_bounded() {
    let mut pair = Pair::new(|config| config.limits.connections = 2, |_| {});
    pair.client.allocate(pair.now).unwrap();
    pair.run();
    let relayed = pair.client.relayed()[0];
    pair.client.create_permission(address(PEER), pair.now).unwrap();
    pair.run();
    assert!(pair.connect(address("203.0.113.7:1")).is_some());
    assert!(pair.server.accepted(relayed, address("203.0.113.7:2"), pair.now).is_some());
    assert_eq!(pair.server.accepted(relayed, address("203.0.113.7:3"), pair.now), None);
    assert_eq!(pair.connect(address("203.0.113.7:4")), None);
    pair.events.retain(|event| matches!(event, ClientEvent::ConnectFailed { .. }));
    assert_eq!(pair.failure(), Some(508));
}

#[test]
fn only_the_owner_binds() {
    let (mut pair, _) = Pair::allocated();
    let connection = pair.connect(address(PEER)).unwrap();
    pair.server.connected(connection, true, pair.now);
    pair.run();
    let mut thief = Pair::new(
        |_| {},
        |config| {
            config.local = address("192.0.2.66:5000");
            config.credentials = Credentials::new("other", "secret");
        },
    );
    std::mem::swap(&mut thief.server, &mut pair.server);
    thief.client.allocate(thief.now).unwrap();
    thief.run();
    assert!(matches!(thief.events.pop(), Some(ClientEvent::Allocated(_))));
    thief.client.bind_connection(connection, address("192.0.2.66:5001"), thief.now).unwrap();
    thief.run();
    assert_eq!(thief.failure(), Some(441));
    std::mem::swap(&mut thief.server, &mut pair.server);
    pair.client.bind_connection(connection, address(DATA), pair.now).unwrap();
    pair.run();
    assert!(matches!(pair.to_do.last(), Some(ServerEvent::Join { .. })));
}

#[test]
fn what_cannot_go_together_is_refused() {
    let allocate = |configure: fn(&mut ServerConfig), change: fn(&mut ClientConfig)| {
        let mut pair = Pair::new(configure, change);
        pair.client.allocate(pair.now).map(|()| pair.run()).map(|()| pair.failure())
    };
    assert_eq!(allocate(|config| config.tcp_relay = false, |_| {}), Ok(Some(442)));
    let over_udp = |config: &mut ClientConfig| config.transport = Transport::Udp;
    assert_eq!(allocate(|_| {}, over_udp), Err(VerbError::Transport));
    // A UDP allocation has no connections, a TCP allocation no datagrams.
    let mut pair = Pair::new(|_| {}, |config| config.relayed_transport = Transport::Udp);
    pair.client.allocate(pair.now).unwrap();
    pair.run();
    assert_eq!(pair.client.connect(address(PEER), pair.now), Err(VerbError::Transport));
    let (mut pair, _) = Pair::allocated();
    assert_eq!(pair.client.send(address(PEER), b"data"), Err(VerbError::Transport));
    assert_eq!(pair.client.bind_channel(address(PEER), pair.now), Err(VerbError::Transport));
}

#[test]
fn streams_keep_to_the_pace() {
    let policy = PeerPolicy::default();
    let mut pair = Pair::new(
        |config| {
            config.limits.octets_per_second = Some(1000);
            config.policy = policy;
        },
        |_| {},
    );
    pair.client.allocate(pair.now).unwrap();
    pair.run();
    let connection = pair.connect(address(PEER)).unwrap();
    pair.server.connected(connection, true, pair.now);
    pair.run();
    assert_eq!(pair.server.carried(connection, 1000, Way::ToPeer, pair.now), Duration::ZERO);
    let wait = pair.server.carried(connection, 500, Way::ToClient, pair.now);
    assert_eq!(wait, Duration::from_millis(500));
}
