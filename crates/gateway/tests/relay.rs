//! Media through a TURN server, in either dialect: two transports on networks that do not reach each
//! other, SRTP both ways, and nothing left on the server afterwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use linkspan_gateway::{
    Incoming, MediaKey, MediaTransport, RemoteIce, RemoteMedia, StreamKind, TransportConfig,
    TransportEvent,
};
use linkspan_ice as ice;
use linkspan_testnet::{Link, Network};
use linkspan_turn::{RelayAddress, ServerConfig, ServerEvent, TurnServer};

const SERVER: &str = "203.0.113.1:3478";

struct World {
    now: Instant,
    network: Network,
    server: TurnServer,
    /// How the server is reached.
    transport: ice::Transport,
    bound: Vec<SocketAddr>,
    allocations: usize,
    ends: [MediaTransport; 2],
    heard: [Vec<Vec<u8>>; 2],
    connected: [bool; 2],
}

fn host(end: usize, port: u16) -> SocketAddr {
    SocketAddr::new(["192.0.2.1", "198.51.100.1"][end].parse().unwrap(), port)
}

impl World {
    fn new(dialect: ice::Dialect, relay: ice::RelayDialect, transport: ice::Transport) -> Self {
        let now = Instant::now();
        let server: SocketAddr = SERVER.parse().unwrap();
        let mut config = ServerConfig::new("example.test");
        config.users.add(ice::RelayCredentials::new("user", "secret"));
        config.listeners.push(server);
        config.relays.push(RelayAddress::new(server.ip()));
        config.ms_turn = true;
        let ends = [(0, ice::Role::Controlling), (1, ice::Role::Controlled)].map(|(end, role)| {
            let (rtp, rtcp) = (host(end, 4_000), host(end, 4_001));
            let mut config = TransportConfig::new(StreamKind::Audio, rtp, rtcp);
            config.ice = Some((dialect, role));
            let credentials = ice::RelayCredentials::new("user", "secret");
            let known = ice::RelayServer::new(server, credentials);
            config.relays = vec![ice::RelayServer { dialect: relay, transport, ..known }];
            MediaTransport::new(config, [u8::try_from(end).unwrap() + 1; 32], now)
        });
        let delay = Duration::from_millis(10);
        Self {
            now,
            network: Network::new(7, Link { delay, ..Link::default() }),
            server: TurnServer::new(config, [9; 32], now),
            transport,
            bound: Vec::new(),
            allocations: 0,
            ends,
            heard: [Vec::new(), Vec::new()],
            connected: [false; 2],
        }
    }

    /// Runs until `done`, or for `limit`.
    fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let timeouts = self.ends.iter().filter_map(MediaTransport::poll_timeout);
            let next =
                timeouts.chain(self.server.poll_timeout()).chain(self.network.next_arrival()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            while let Some(packet) = self.network.receive(self.now) {
                self.take(packet.from, packet.to, packet.payload);
            }
            let now = self.now;
            self.server.handle_timeout(now);
            self.ends.iter_mut().for_each(|end| end.handle_timeout(now));
        }
    }

    fn take(&mut self, from: SocketAddr, to: SocketAddr, payload: Vec<u8>) {
        let now = self.now;
        let Some(end) = (0..2).find(|end| host(*end, 0).ip() == to.ip()) else {
            let is_listener = to == SERVER.parse().unwrap();
            let transport = if is_listener { self.transport } else { ice::Transport::Udp };
            let payload = &payload[..];
            let input = ice::Received { transport, local: to, remote: from, payload };
            let _ = self.server.handle_input(input, now);
            return;
        };
        let mut packet = BytesMut::from(&payload[..]);
        let taken = match self.transport {
            ice::Transport::Udp => self.ends[end].handle_input(to, from, &mut packet, now),
            ice::Transport::Tcp => self.ends[end].handle_frame(to, from, &mut packet, now),
        };
        if let Ok(Incoming::Rtp(len)) = taken {
            self.heard[end].push(packet[..len].to_vec());
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::Bind { relay } => {
                    self.bound.push(relay);
                    self.allocations += 1;
                    self.server.bound(relay, true, self.now);
                }
                ServerEvent::Unbind { relay } => self.bound.retain(|bound| *bound != relay),
                _ => {}
            }
        }
        let clients = [host(0, 0).ip(), host(1, 0).ip()];
        let mut out = Vec::new();
        while let Some(transmit) = self.server.poll_transmit() {
            out.push((transmit.local, transmit.remote, transmit.payload.to_vec()));
        }
        for (number, end) in self.ends.iter_mut().enumerate() {
            while let Some(transmit) = end.poll_transmit() {
                let is_to_server = transmit.remote == SERVER.parse().unwrap();
                assert!(!is_to_server || transmit.transport == self.transport);
                out.push((transmit.local, transmit.remote, transmit.payload.to_vec()));
            }
            while let Some(event) = end.poll_event() {
                self.connected[number] |= matches!(event, TransportEvent::Connected { .. });
            }
        }
        for (from, to, payload) in out {
            // The two networks do not reach each other.
            if !(clients.contains(&from.ip()) && clients.contains(&to.ip())) {
                self.network.send(self.now, from, to, payload);
            }
        }
    }

    fn connect(&mut self) {
        let now = self.now;
        let halves = [0, 1].map(|end| self.ends[end].local_ice().unwrap());
        for (end, theirs) in [(0, &halves[1]), (1, &halves[0])] {
            assert_ne!(theirs.defaults[0].ip(), host(1 - end, 0).ip(), "a default of its own");
            let mut remote = RemoteMedia::new(theirs.defaults[0]);
            remote.ice = Some(RemoteIce {
                credentials: theirs.credentials.clone(),
                candidates: theirs.candidates.clone(),
                lite: false,
            });
            let key = |of: usize| Some(MediaKey::generate([u8::try_from(of).unwrap() + 5; 32]));
            self.ends[end].connect(remote, key(end), key(1 - end), now).unwrap();
        }
    }
}

fn media_goes_through_a_relay(
    dialect: ice::Dialect,
    relay: ice::RelayDialect,
    transport: ice::Transport,
) {
    let mut world = World::new(dialect, relay, transport);
    assert!(!world.ends[0].is_gathered(world.now), "relays are waited for");
    let gathered = |world: &World| world.ends.iter().all(|end| end.is_gathered(world.now));
    assert!(world.run(Duration::from_secs(3), gathered));
    assert_eq!(world.allocations, 4, "two components of each end");
    world.connect();
    assert!(world.run(Duration::from_secs(20), |world| world.connected == [true; 2]));
    world.run(Duration::from_secs(1), |_| false);
    for number in 0..50_u8 {
        for end in 0..2 {
            let mut packet = BytesMut::with_capacity(256);
            packet.extend_from_slice(&[0x80, 0, 0, number, 0, 0, 0, 160, 0, 0, 0, 9]);
            packet.extend_from_slice(&[number; 160]);
            world.ends[end].send_rtp(packet, world.now).unwrap();
        }
        world.run(Duration::from_millis(20), |_| false);
    }
    world.run(Duration::from_secs(1), |_| false);
    for heard in &world.heard {
        assert_eq!(heard.len(), 50);
        for (number, packet) in (0..).zip(heard) {
            assert_eq!((packet.len(), packet[3], &packet[12..]), (172, number, &[number; 160][..]));
        }
    }
    let now = world.now;
    world.ends.iter_mut().for_each(|end| end.close(now));
    world.run(Duration::from_secs(2), |_| false);
    assert_eq!(world.bound, [], "allocations are given back");
}

#[test]
fn media_goes_through_rfc_8656() {
    for transport in [ice::Transport::Udp, ice::Transport::Tcp] {
        media_goes_through_a_relay(ice::Dialect::Rfc8445, ice::RelayDialect::Rfc8656, transport);
    }
}

#[test]
fn media_goes_through_ms_turn() {
    for transport in [ice::Transport::Udp, ice::Transport::Tcp] {
        media_goes_through_a_relay(ice::Dialect::MsIce2, ice::RelayDialect::MsTurn, transport);
    }
}

#[test]
fn a_connection_that_ends_takes_its_relay_with_it() {
    let (dialect, relay) = (ice::Dialect::Rfc8445, ice::RelayDialect::Rfc8656);
    let mut world = World::new(dialect, relay, ice::Transport::Tcp);
    let (now, server) = (world.now, SERVER.parse().unwrap());
    for component in 0..2 {
        world.ends[0].handle_disconnect(host(0, 4_000 + component), server, now);
    }
    assert!(world.ends[0].is_gathered(now), "nobody is waited for any more");
    assert!(!world.ends[1].is_gathered(now));
    let mut failed = 0;
    while let Some(event) = world.ends[0].poll_event() {
        failed += usize::from(matches!(event, TransportEvent::RelayFailed { .. }));
    }
    assert_eq!(failed, 2);
}
