//! Proves that client and server agree over a network that loses, delays, repeats and reorders, in
//! both dialects and over UDP and TCP, and that the server keeps to its rules.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stop at what they did not expect"
)]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use linkspan_testnet::{Link, Network};
use linkspan_turn::{
    AllocateError, ClientConfig, ClientDialect, ClientEvent, Credentials, Family, PeerPolicy,
    Received, RelayAddress, RequestError, ServerConfig, ServerEvent, StreamFramer, Transport,
    TurnClient, TurnServer, ms,
};
use support::{SERVER, address, server_config};

const CLIENT: &str = "192.0.2.10:5000";
const PEER: &str = "203.0.113.7:6000";

/// One server, clients, and peers that echo what they get in capitals.
struct World {
    now: Instant,
    network: Network,
    server: TurnServer,
    clients: Vec<TurnClient>,
    transport: Transport,
    dialect: ClientDialect,
    bound: Vec<SocketAddr>,
    refuse_binds: usize,
    events: Vec<(usize, ClientEvent)>,
    server_events: Vec<ServerEvent>,
    at_peers: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    peers_echo: bool,
}

impl World {
    fn new(seed: u64, link: Link, configure: impl FnOnce(&mut ServerConfig)) -> Self {
        let now = Instant::now();
        let mut config = server_config();
        config.ms_turn = true;
        configure(&mut config);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            now,
            network: Network::new(seed, link),
            server: TurnServer::new(config, bytes, now),
            clients: Vec::new(),
            transport: Transport::Udp,
            dialect: ClientDialect::Rfc8656,
            bound: Vec::new(),
            refuse_binds: 0,
            events: Vec::new(),
            server_events: Vec::new(),
            at_peers: Vec::new(),
            peers_echo: true,
        }
    }

    fn client(&mut self, change: impl FnOnce(&mut ClientConfig)) -> usize {
        let index = self.clients.len();
        let mut local = address(CLIENT);
        local.set_port(local.port() + u16::try_from(index).unwrap());
        let mut config =
            ClientConfig::new(local, address(SERVER), Credentials::new("user", "secret"));
        config.transport = self.transport;
        config.dialect = self.dialect;
        change(&mut config);
        let seed = [u8::try_from(index + 1).unwrap(); 32];
        let mut client = TurnClient::new(config, seed, self.now);
        client.allocate(self.now).unwrap();
        self.clients.push(client);
        index
    }

    /// Lets everything that is due happen, until `done` or for `limit` of virtual time.
    fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let timeouts = self.clients.iter().filter_map(TurnClient::poll_timeout);
            let next =
                timeouts.chain(self.server.poll_timeout()).chain(self.network.next_arrival()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return done(self);
            };
            self.now = self.now.max(next);
            while let Some(packet) = self.network.receive(self.now) {
                self.deliver(packet.from, packet.to, &packet.payload);
            }
            let now = self.now;
            self.server.handle_timeout(now);
            for client in &mut self.clients {
                client.handle_timeout(now);
            }
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let is_relay = self.bound.contains(&to);
        let transport = if is_relay { Transport::Udp } else { self.transport };
        let received = Received { transport, local: to, remote: from, payload };
        if to == address(SERVER) || is_relay {
            let _ = self.server.handle_input(received, self.now);
        } else if let Some(index) =
            to.port().checked_sub(5000).filter(|_| to.ip() == address(CLIENT).ip())
        {
            let _ = self.clients[usize::from(index)].handle_input(received, self.now);
        } else {
            self.at_peers.push((from, to, payload.to_vec()));
            if self.peers_echo {
                self.network.send(self.now, to, from, payload.to_ascii_uppercase());
            }
        }
    }

    fn drain(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(event) = self.server.poll_event() {
                is_quiet = false;
                match &event {
                    ServerEvent::Bind { relay } => {
                        let is_bound = self.refuse_binds == 0 && !self.bound.contains(relay);
                        self.refuse_binds = self.refuse_binds.saturating_sub(1);
                        if is_bound {
                            self.bound.push(*relay);
                        }
                        self.server.bound(*relay, is_bound, self.now);
                    }
                    ServerEvent::Unbind { relay } => self.bound.retain(|bound| bound != relay),
                    _ => {}
                }
                self.server_events.push(event);
            }
            while let Some(transmit) = self.server.poll_transmit() {
                let payload = transmit.payload.to_vec();
                self.network.send(self.now, transmit.local, transmit.remote, payload);
            }
            for (index, client) in self.clients.iter_mut().enumerate() {
                while let Some(event) = client.poll_event() {
                    is_quiet = false;
                    self.events.push((index, event));
                }
                while let Some(transmit) = client.poll_transmit() {
                    let payload = transmit.payload.to_vec();
                    self.network.send(self.now, transmit.local, transmit.remote, payload);
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn relayed(&self, index: usize) -> SocketAddr {
        self.clients[index].relayed()[0]
    }

    fn has(&self, test: impl Fn(&ClientEvent) -> bool) -> bool {
        self.events.iter().any(|(_, event)| test(event))
    }

    fn data(&self, index: usize) -> Vec<Vec<u8>> {
        let data = self.events.iter().filter_map(|(owner, event)| match event {
            ClientEvent::Data { data, .. } if *owner == index => Some(data.to_vec()),
            _ => None,
        });
        data.collect()
    }

    fn allocate(&mut self) -> usize {
        let index = self.client(|_| {});
        let is_there = |world: &Self| world.has(|event| matches!(event, ClientEvent::Allocated(_)));
        assert!(self.run(Duration::from_secs(60), is_there), "{:?}", self.events);
        index
    }
}

fn is_granted(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::PermissionCreated { .. })
}

fn is_bound(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::ChannelBound { .. })
}

#[test]
fn data_pass_by_indication_and_by_channel() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for dialect in [ClientDialect::Rfc8656, ClientDialect::MsTurn] {
            let mut world = World::new(1, Link::default(), |_| {});
            (world.transport, world.dialect) = (transport, dialect);
            let client = world.allocate();
            let peer = address(PEER);
            let now = world.now;
            world.clients[client].create_permission(peer, now).unwrap();
            assert!(world.run(Duration::from_secs(5), |world| world.has(is_granted)));
            world.clients[client].send(peer, b"first").unwrap();
            world.run(Duration::from_secs(1), |_| false);
            let now = world.now;
            world.clients[client].bind_channel(peer, now).unwrap();
            assert!(world.run(Duration::from_secs(5), |world| world.has(is_bound)));
            world.clients[client].send(peer, b"second").unwrap();
            world.run(Duration::from_secs(1), |_| false);
            assert_eq!(world.data(client), [b"FIRST".to_vec(), b"SECOND".to_vec()]);
            let relayed = world.relayed(client);
            assert!(world.at_peers.iter().all(|(from, _, _)| *from == relayed));
            let now = world.now;
            world.clients[client].release(now).unwrap();
            let is_released = |event: &ClientEvent| matches!(event, ClientEvent::Released);
            assert!(world.run(Duration::from_secs(60), |world| world.has(is_released)));
            assert_eq!((world.server.allocations(), world.bound.len()), (0, 0));
            assert!(world.clients[client].poll_timeout().is_none());
            assert!(world.server.poll_timeout().is_none());
        }
    }
}

#[test]
fn a_lossy_network_only_takes_longer() {
    for seed in 0..20 {
        for dialect in [ClientDialect::Rfc8656, ClientDialect::MsTurn] {
            let link = Link {
                loss: 0.2,
                duplication: 0.2,
                jitter: Duration::from_millis(80),
                ..Link::default()
            };
            let mut world = World::new(seed, link, |_| {});
            world.dialect = dialect;
            let client = world.allocate();
            let now = world.now;
            world.clients[client].bind_channel(address(PEER), now).unwrap();
            let bound = world.run(Duration::from_secs(60), |world| world.has(is_bound));
            assert!(bound, "seed {seed}: {:?}", world.events);
            for _ in 0..50 {
                world.clients[client].send(address(PEER), b"hello").unwrap();
            }
            world.run(Duration::from_secs(5), |_| false);
            let count = world.data(client).len();
            assert!((15..80).contains(&count), "seed {seed}: {count} of 50 came back");
            assert_eq!(world.server.allocations(), 1, "seed {seed}");
        }
    }
}

#[test]
fn everything_is_refreshed_for_as_long_as_it_is_wanted() {
    for dialect in [ClientDialect::Rfc8656, ClientDialect::MsTurn] {
        let mut world = World::new(3, Link::default(), |config| {
            config.nonce_lifetime = Duration::from_secs(900);
        });
        world.dialect = dialect;
        let client = world.allocate();
        let now = world.now;
        world.clients[client].bind_channel(address(PEER), now).unwrap();
        world.clients[client].create_permission(address("203.0.113.8:1"), now).unwrap();
        for round in 1..=40 {
            world.run(Duration::from_secs(200), |_| false);
            world.clients[client].send(address(PEER), b"still here").unwrap();
            world.run(Duration::from_secs(1), |_| false);
            assert_eq!(world.data(client).len(), round, "{dialect:?} {:?}", world.events);
        }
        // The client goes away without a word: the server forgets it.
        world.clients.clear();
        world.run(Duration::from_secs(700), |_| false);
        assert_eq!((world.server.allocations(), world.bound.len()), (0, 0));
        assert!(matches!(world.server_events.last(), Some(ServerEvent::Ended { usage, .. })
            if usage.packets_sent == 40 && usage.packets_received == 40));
    }
}

#[test]
fn wrong_credentials_are_refused() {
    for dialect in [ClientDialect::Rfc8656, ClientDialect::MsTurn] {
        for (user, password) in [("user", "wrong"), ("nobody", "secret")] {
            let mut world = World::new(4, Link::default(), |_| {});
            world.dialect = dialect;
            world.client(|config| config.credentials = Credentials::new(user, password));
            world.run(Duration::from_secs(60), |_| false);
            let error = AllocateError::Credentials;
            assert_eq!(world.events, [(0, ClientEvent::AllocateFailed { error })]);
            assert_eq!(world.server.allocations(), 0);
        }
    }
}

#[test]
fn time_limited_credentials_open_the_relay_until_they_expire() {
    for (now, is_open) in [(1_000_000, true), (2_000_001, false)] {
        let mut world = World::new(5, Link::default(), |config| {
            config.users.share_secret("north");
            config.unix_secs = now;
        });
        world.client(|config| {
            config.credentials = Credentials::time_limited("north", "alice", 2_000_000);
        });
        world.run(Duration::from_secs(5), |_| false);
        assert_eq!(world.has(|event| matches!(event, ClientEvent::Allocated(_))), is_open);
    }
}

#[test]
fn quotas_hold_and_come_back() {
    let refused = |world: &World, code: u16| {
        world.has(|event| {
            matches!(event, ClientEvent::AllocateFailed {
                error: AllocateError::Request(RequestError::Refused { code: got, .. })
            } if *got == code)
        })
    };
    let mut world = World::new(6, Link::default(), |config| {
        config.limits.allocations_per_user = 2;
        config.users.add(Credentials::new("other", "secret"));
        config.limits.allocations = 3;
    });
    for _ in 0..3 {
        world.client(|_| {});
    }
    world.run(Duration::from_secs(5), |_| false);
    assert!(refused(&world, 486) && world.server.allocations() == 2);
    for _ in 0..2 {
        world.client(|config| config.credentials = Credentials::new("other", "secret"));
    }
    world.run(Duration::from_secs(5), |_| false);
    assert!(refused(&world, 508) && world.server.allocations() == 3);
    let now = world.now;
    let holder = world.clients.iter_mut().find(|client| !client.relayed().is_empty()).unwrap();
    holder.release(now).unwrap();
    world.run(Duration::from_secs(5), |_| false);
    world.events.clear();
    world.client(|_| {});
    world.run(Duration::from_secs(5), |_| false);
    assert!(world.has(|event| matches!(event, ClientEvent::Allocated(_))));
}

#[test]
fn the_policy_keeps_clients_out_of_the_inside() {
    for peer in ["127.0.0.1:80", "10.0.0.1:80", "169.254.169.254:80", "192.168.1.1:80"] {
        let mut world = World::new(7, Link::default(), |_| {});
        let client = world.allocate();
        let now = world.now;
        world.clients[client].create_permission(address(peer), now).unwrap();
        world.clients[client].bind_channel(address(peer), now).unwrap();
        world.run(Duration::from_secs(5), |_| false);
        assert!(world.has(|event| matches!(
            event,
            ClientEvent::PermissionFailed { error: RequestError::Refused { code: 403, .. }, .. }
        )));
        assert!(world.has(|event| matches!(
            event,
            ClientEvent::ChannelFailed { error: RequestError::Refused { code: 403, .. }, .. }
        )));
        let mut world = World::new(7, Link::default(), |config| {
            config.policy = PeerPolicy::permissive();
        });
        let client = world.allocate();
        let now = world.now;
        world.clients[client].create_permission(address(peer), now).unwrap();
        assert!(world.run(Duration::from_secs(5), |world| world.has(is_granted)));
    }
    // MS-TURN has no permission to ask for: the packets are dropped.
    let mut world = World::new(7, Link::default(), |_| {});
    world.dialect = ClientDialect::MsTurn;
    let client = world.allocate();
    world.clients[client].send(address("10.0.0.1:80"), b"GET /").unwrap();
    world.run(Duration::from_secs(5), |_| false);
    assert!(world.at_peers.is_empty());
}

#[test]
fn of_its_own_addresses_only_relayed_ones_are_peers() {
    let mut world = World::new(8, Link::default(), |_| {});
    world.peers_echo = false;
    for _ in 0..2 {
        world.client(|_| {});
    }
    world.run(Duration::from_secs(5), |_| false);
    let (a, b) = (world.relayed(0), world.relayed(1));
    let now = world.now;
    world.clients[0].create_permission(b, now).unwrap();
    world.clients[1].create_permission(a, now).unwrap();
    world.run(Duration::from_secs(5), |_| false);
    world.clients[0].send(b, b"through two relays").unwrap();
    // The listener and a port that nobody has.
    world.clients[0].send(address(SERVER), b"to the server itself").unwrap();
    world.clients[0].send(SocketAddr::new(b.ip(), 22), b"to its ssh").unwrap();
    world.run(Duration::from_secs(5), |_| false);
    assert_eq!(world.data(1), [b"through two relays".to_vec()]);
    assert!(world.at_peers.is_empty(), "{:?}", world.at_peers);
}

#[test]
fn peers_without_permission_are_not_heard() {
    let mut world = World::new(9, Link::default(), |_| {});
    let client = world.allocate();
    let relayed = world.relayed(client);
    let now = world.now;
    world.network.send(now, address(PEER), relayed, b"let me in".to_vec());
    world.run(Duration::from_secs(1), |_| false);
    assert!(world.data(client).is_empty());
    let now = world.now;
    world.clients[client].create_permission(address("203.0.113.7:1"), now).unwrap();
    assert!(world.run(Duration::from_secs(5), |world| world.has(is_granted)));
    let now = world.now;
    world.network.send(now, address(PEER), relayed, b"any port will do".to_vec());
    world.run(Duration::from_secs(1), |_| false);
    assert_eq!(world.data(client), [b"any port will do".to_vec()]);
}

#[test]
fn ports_that_cannot_be_bound_are_passed_over() {
    let mut world = World::new(10, Link::default(), |_| {});
    world.refuse_binds = 3;
    world.allocate();
    let mut world = World::new(10, Link::default(), |_| {});
    world.refuse_binds = 100;
    world.client(|_| {});
    world.run(Duration::from_secs(5), |_| false);
    assert!(world.has(|event| matches!(
        event,
        ClientEvent::AllocateFailed {
            error: AllocateError::Request(RequestError::Refused { code: 508, .. })
        }
    )));
    assert_eq!((world.server.allocations(), world.bound.len()), (0, 0));
}

#[test]
fn a_pair_of_ports_is_had_by_reservation() {
    let mut world = World::new(11, Link::default(), |_| {});
    world.client(|config| config.even_port = Some(true));
    world.run(Duration::from_secs(5), |_| false);
    let token = world.events.iter().find_map(|(_, event)| match event {
        ClientEvent::Allocated(allocation) => allocation.reservation_token,
        _ => None,
    });
    assert!(token.is_some());
    world.client(|config| config.reservation_token = token);
    world.run(Duration::from_secs(5), |_| false);
    let (rtp, rtcp) = (world.relayed(0), world.relayed(1));
    assert_eq!((rtp.port() % 2, rtp.port() + 1), (0, rtcp.port()));
    // Taken once; and an unused one expires with its socket.
    world.client(|config| config.reservation_token = token);
    world.run(Duration::from_secs(5), |_| false);
    assert!(world.clients[2].has_ended());
    world.client(|config| config.even_port = Some(true));
    world.run(Duration::from_secs(5), |_| false);
    assert_eq!(world.bound.len(), 4);
    world.run(Duration::from_secs(40), |_| false);
    assert_eq!(world.bound.len(), 3);
}

#[test]
fn both_families_when_the_server_has_them() {
    let v6 = RelayAddress::new("2001:db8::1".parse().unwrap());
    for has_v6 in [true, false] {
        let mut world = World::new(12, Link::default(), |config| {
            if has_v6 {
                config.relays.push(v6);
            }
        });
        world.client(|config| config.family = Family::Both);
        world.client(|config| config.family = Family::V6);
        world.run(Duration::from_secs(5), |_| false);
        assert_eq!(world.clients[0].relayed().len(), if has_v6 { 2 } else { 1 });
        assert_eq!(world.clients[1].has_ended(), !has_v6);
        if has_v6 {
            let now = world.now;
            let peer = address("[2001:db8:1::7]:6000");
            world.clients[0].create_permission(peer, now).unwrap();
            world.run(Duration::from_secs(5), |_| false);
            world.clients[0].send(peer, b"six").unwrap();
            world.run(Duration::from_secs(5), |_| false);
            assert_eq!(world.data(0), [b"SIX".to_vec()]);
            assert!(world.at_peers[0].0.is_ipv6());
        }
    }
}

#[test]
fn a_closed_connection_ends_the_allocation() {
    let mut world = World::new(13, Link::default(), |_| {});
    world.transport = Transport::Tcp;
    world.allocate();
    world.server.handle_disconnect(address(SERVER), address(CLIENT));
    world.drain();
    assert_eq!((world.server.allocations(), world.bound.len()), (0, 0));
}

#[test]
fn data_over_the_limit_are_dropped() {
    let mut world = World::new(14, Link::default(), |config| {
        config.limits.octets_per_second = Some(10_000);
    });
    let client = world.allocate();
    let now = world.now;
    world.clients[client].bind_channel(address(PEER), now).unwrap();
    world.run(Duration::from_secs(5), |world| world.has(is_bound));
    for _ in 0..30 {
        world.clients[client].send(address(PEER), &[0; 1000]).unwrap();
    }
    world.run(Duration::from_secs(1), |_| false);
    assert_eq!(world.at_peers.len(), 10);
}

#[test]
fn streams_carry_what_the_engines_write() {
    let mut world = World::new(15, Link::default(), |_| {});
    world.transport = Transport::Tcp;
    let client = world.allocate();
    let now = world.now;
    world.clients[client].bind_channel(address(PEER), now).unwrap();
    world.run(Duration::from_secs(5), |world| world.has(is_bound));
    let mut framer = StreamFramer::default();
    for len in 0..9 {
        world.clients[client].send(address(PEER), &[7; 8][..len.min(8)]).unwrap();
        let transmit = world.clients[client].poll_transmit().unwrap();
        framer.push(&transmit.payload).unwrap();
        assert_eq!(framer.poll_frame().unwrap().unwrap(), transmit.payload);
        assert_eq!(framer.poll_frame().unwrap(), None);
    }

    let mut world = World::new(15, Link::default(), |_| {});
    (world.transport, world.dialect) = (Transport::Tcp, ClientDialect::MsTurn);
    let client = world.allocate();
    let mut framer = ms::StreamFramer::default();
    for len in 0..9 {
        world.clients[client].send(address(PEER), &[7; 8][..len.min(8)]).unwrap();
        let transmit = world.clients[client].poll_transmit().unwrap();
        framer.push(&transmit.payload).unwrap();
        assert_eq!(framer.poll_frame().unwrap().unwrap(), transmit.payload);
    }
}

#[test]
fn replayed_and_forged_packets_change_nothing() {
    let mut world = World::new(16, Link::default(), |_| {});
    world.dialect = ClientDialect::MsTurn;
    let client = world.allocate();
    world.clients[client].send(address(PEER), b"once").unwrap();
    let sent = world.clients[client].poll_transmit().unwrap();
    for _ in 0..3 {
        world.deliver(sent.local, sent.remote, &sent.payload);
    }
    let mut forged = sent.payload.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    world.deliver(sent.local, sent.remote, &forged);
    // From another address it is nobody's.
    world.deliver(address("192.0.2.99:1"), sent.remote, &sent.payload);
    world.run(Duration::from_secs(1), |_| false);
    assert_eq!(world.at_peers.len(), 1);
}

#[test]
fn an_active_destination_without_its_confirmation_is_heard_all_the_same() {
    let mut world = World::new(18, Link::default(), |_| {});
    world.dialect = ClientDialect::MsTurn;
    let client = world.allocate();
    let peer = address(PEER);
    world.clients[client].send(peer, b"first").unwrap();
    world.run(Duration::from_secs(1), |_| false);
    world.clients[client].bind_channel(peer, world.now).unwrap();
    let request = world.clients[client].poll_transmit().unwrap();
    world.network.set_link(Link { loss: 1.0, ..Link::default() });
    world.deliver(request.local, request.remote, &request.payload);
    let has_failed = |event: &ClientEvent| matches!(event, ClientEvent::ChannelFailed { .. });
    assert!(world.run(Duration::from_secs(60), |world| world.has(has_failed)));
    world.network.set_link(Link::default());
    // The server sends without a header now, and takes either form.
    world.clients[client].send(peer, b"second").unwrap();
    world.run(Duration::from_secs(1), |_| false);
    assert_eq!(world.data(client), [b"FIRST".to_vec(), b"SECOND".to_vec()]);
    world.clients[client].bind_channel(peer, world.now).unwrap();
    assert!(world.run(Duration::from_secs(5), |world| world.has(is_bound)));
}

#[test]
fn a_second_allocation_on_the_same_five_tuple_is_refused() {
    let mut world = World::new(17, Link::default(), |_| {});
    world.allocate();
    // The same socket, a client that knows of nothing: 437 (RFC 8656 §7.2).
    let config =
        ClientConfig::new(address(CLIENT), address(SERVER), Credentials::new("user", "secret"));
    let mut client = TurnClient::new(config, [99; 32], world.now);
    client.allocate(world.now).unwrap();
    world.clients[0] = client;
    world.run(Duration::from_secs(5), |_| false);
    assert!(world.has(|event| matches!(
        event,
        ClientEvent::AllocateFailed {
            error: AllocateError::Request(RequestError::Refused { code: 437, .. })
        }
    )));
    assert_eq!(world.server.allocations(), 1);
}
