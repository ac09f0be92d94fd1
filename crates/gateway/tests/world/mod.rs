//! A gateway between two scripted user agents, in virtual time: no socket anywhere.
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod endpoint;
// The stand-in of the examples, which are in the same repository.
#[allow(unreachable_pub, reason = "public where it comes from")]
#[path = "../../../../examples/src/focus_host.rs"]
pub(crate) mod focus_host;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use linkspan_gateway::{
    Config, Encryption, Gateway, GatewayEvent, Listener, MediaCommand, MediaEngine, MediaEvent,
    Route, Side, SignallingTransport, StreamKind,
};
use linkspan_sip as sip;
use linkspan_testnet::{Link, Network};

pub(crate) use endpoint::{Behaviour, Endpoint};

/// Everything, and the clock.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) gateway: Gateway,
    pub(crate) engine: MediaEngine,
    pub(crate) lync: Endpoint,
    pub(crate) standard: Endpoint,
    /// For media.
    pub(crate) network: Network,
    /// For SIP over UDP.
    pub(crate) datagrams: Network,
    /// Signalling under way: reliable, in order.
    sip: VecDeque<(Instant, sip::Transmit)>,
    pub(crate) events: Vec<GatewayEvent>,
    pub(crate) media_events: Vec<MediaEvent>,
    bound: HashSet<SocketAddr>,
    /// Ports that some other program has.
    pub(crate) taken: HashSet<u16>,
    /// What crossed the network in clear that should not have.
    pub(crate) wire: Vec<Vec<u8>>,
    connections: BTreeMap<(SocketAddr, SocketAddr), sip::ConnectionId>,
    /// The far end refuses connections.
    pub(crate) refuse_connections: bool,
}

pub(crate) const GATEWAY_LYNC: &str = "192.0.2.80:5061";
pub(crate) const GATEWAY_STANDARD: &str = "198.51.100.80:5060";
pub(crate) const LYNC: &str = "192.0.2.31:5061";
/// Somebody who sends what they like and listens to nothing.
pub(crate) const STRANGER: &str = "198.51.100.66:5060";
pub(crate) const STANDARD: &str = "198.51.100.10:5060";

const SIP_DELAY: Duration = Duration::from_millis(5);

/// A configuration with one listener a side and a route each way.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.name = "gw.example.test".into();
    config.lync.listeners = vec![Listener {
        transport: SignallingTransport::Tls,
        address: GATEWAY_LYNC.parse().unwrap(),
    }];
    config.standard.listeners = vec![Listener {
        transport: SignallingTransport::Tcp,
        address: GATEWAY_STANDARD.parse().unwrap(),
    }];
    config.lync.media_address = "192.0.2.80".parse().unwrap();
    config.standard.media_address = "198.51.100.80".parse().unwrap();
    config.lync.encryption = Encryption::Required;
    for (domain, to, hop) in [
        ("video.example.test", Side::Standard, format!("tcp:{STANDARD}")),
        ("example.test", Side::Lync, format!("tls:{LYNC}")),
    ] {
        let mut route = Route::new(domain.parse().unwrap(), to);
        route.next_hops.push(hop.parse().unwrap());
        config.routes.push(route);
    }
    config
}

/// The same with UDP on the standards side.
pub(crate) fn config_over_udp() -> Config {
    let mut config = config();
    config.standard.listeners[0].transport = SignallingTransport::Udp;
    config.routes[0].next_hops = vec![format!("udp:{STANDARD}").parse().unwrap()];
    config
}

impl World {
    pub(crate) fn new(
        seed: u64,
        config: Config,
        lync: Behaviour,
        standard: Behaviour,
        link: Link,
    ) -> Self {
        let now = Instant::now();
        let [low, ..] = seed.to_le_bytes();
        Self {
            now,
            start: now,
            gateway: Gateway::new(config, [low; 32], now).unwrap(),
            engine: MediaEngine::new([low.wrapping_add(1); 32], now),
            lync: Endpoint::new(
                Side::Lync,
                LYNC.parse().unwrap(),
                lync,
                [low.wrapping_add(2); 32],
                now,
            ),
            standard: Endpoint::new(
                Side::Standard,
                STANDARD.parse().unwrap(),
                standard,
                [low.wrapping_add(3); 32],
                now,
            ),
            network: Network::new(seed, link),
            datagrams: Network::new(seed, link),
            sip: VecDeque::new(),
            events: Vec::new(),
            media_events: Vec::new(),
            bound: HashSet::new(),
            taken: HashSet::new(),
            wire: Vec::new(),
            connections: BTreeMap::new(),
            refuse_connections: false,
        }
    }

    /// A call of `caller` that has just been placed; messages by datagram have a link of their own.
    pub(crate) fn calling(
        seed: u64,
        config: Config,
        caller: Side,
        [media, signalling]: [Link; 2],
        behaviour: impl Fn(Side) -> Behaviour,
    ) -> Self {
        let [lync, standard] = [Side::Lync, Side::Standard].map(behaviour);
        let mut world = Self::new(seed, config, lync, standard, media);
        world.datagrams = Network::new(seed, signalling);
        let uri = match caller {
            Side::Lync => "sip:room7@video.example.test",
            Side::Standard => "sip:alice@example.test",
        };
        let now = world.now;
        world.endpoint(caller).place_call(uri, now);
        world
    }

    /// How many sound packets each side has.
    pub(crate) fn heard_audio(&mut self) -> [usize; 2] {
        [Side::Lync, Side::Standard]
            .map(|side| self.endpoint(side).stream(StreamKind::Audio).received_audio.len())
    }

    /// Whether sound arrives at each side: most of it, and of none not a packet.
    pub(crate) fn audio_flows(&mut self) -> [bool; 2] {
        let before = self.heard_audio();
        self.run_for(Duration::from_secs(1));
        let after = self.heard_audio();
        [0, 1].map(|side| {
            let got = after[side] - before[side];
            assert!(got == 0 || got > 20, "{got} packets in a second: {:#?}", self.tail());
            got > 0
        })
    }

    /// A side hangs up, nothing more is sent, and everything is given back.
    pub(crate) fn end_call(&mut self, by: Side) {
        for side in [Side::Lync, Side::Standard] {
            self.endpoint(side).streams.iter_mut().for_each(|stream| stream.most = 0);
        }
        let now = self.now;
        self.endpoint(by).hang_up(now);
        self.run_to_end();
        assert_eq!(self.bound(), 0);
    }

    pub(crate) fn endpoint(&mut self, side: Side) -> &mut Endpoint {
        match side {
            Side::Lync => &mut self.lync,
            Side::Standard => &mut self.standard,
        }
    }

    /// Runs for so long, or until `done`.
    pub(crate) fn run(&mut self, most: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + most;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            let next = [
                self.gateway.poll_timeout(),
                self.engine.poll_timeout(),
                self.lync.poll_timeout(),
                self.standard.poll_timeout(),
                self.network.next_arrival(),
                self.datagrams.next_arrival(),
                self.sip.front().map(|(at, _)| *at),
            ];
            let Some(next) = next.into_iter().flatten().min() else { return false };
            if next > end {
                self.now = end;
                return false;
            }
            // Nothing may be due in the past once everything is drained.
            self.now = self.now.max(next);
            self.step();
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run(time, |_| false);
    }

    /// Until all of the call is over.
    pub(crate) fn run_to_end(&mut self) {
        let ended = self
            .run(Duration::from_secs(300), |w| w.gateway.calls().len() == 0 && w.bound.is_empty());
        assert!(ended, "the call never ended: {:#?}", self.tail());
        // The last messages arrive, and nothing more happens.
        self.run_for(Duration::from_secs(40));
    }

    fn take_sip_datagram(&mut self, packet: &linkspan_testnet::Packet) {
        let path = sip::Path::new(sip::Transport::Udp, packet.to, packet.from);
        let received = sip::Received { path, payload: &packet.payload };
        let now = self.now;
        if is_gateway(packet.to) {
            self.gateway.handle_sip(received, now).unwrap();
        } else {
            self.standard.handle_sip(received, now);
        }
    }

    /// Queues, or sends, a SIP message.
    fn post(&mut self, transmit: sip::Transmit) {
        let path = transmit.path;
        if path.transport == sip::Transport::Udp {
            let payload = transmit.payload.to_vec();
            self.datagrams.send(self.now, path.local, path.remote, payload);
        } else {
            self.sip.push_back((self.now + SIP_DELAY, transmit));
        }
    }

    fn step(&mut self) {
        let now = self.now;
        if self.gateway.poll_timeout().is_some_and(|at| at <= now) {
            self.gateway.handle_timeout(now);
        }
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        self.lync.handle_timeout(now);
        self.standard.handle_timeout(now);
        while let Some(packet) = self.network.receive(now) {
            let payload = BytesMut::from(&packet.payload[..]);
            if self.bound.contains(&packet.to) {
                let _ = self.engine.handle_datagram(packet.to, packet.from, payload, now);
            } else if packet.to.ip() == self.lync.media_ip() {
                self.lync.handle_datagram(packet.to, packet.from, payload, now);
            } else if packet.to.ip() == self.standard.media_ip() {
                self.standard.handle_datagram(packet.to, packet.from, payload, now);
            }
            self.drain();
        }
        while let Some(packet) = self.datagrams.receive(now) {
            self.take_sip_datagram(&packet);
            self.drain();
        }
        while self.sip.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, transmit)) = self.sip.pop_front() else { break };
            self.deliver(transmit);
            self.drain();
        }
    }

    fn deliver(&mut self, transmit: sip::Transmit) {
        let path = transmit.path;
        let pair = (path.local.min(path.remote), path.local.max(path.remote));
        let next = sip::ConnectionId(1 + self.connections.len() as u64);
        let connection = *self.connections.entry(pair).or_insert(next);
        let back =
            sip::Path::new(path.transport, path.remote, path.local).with_connection(connection);
        let received = sip::Received { path: back, payload: &transmit.payload };
        let now = self.now;
        if path.remote == self.lync.address {
            self.lync.handle_sip(received, now);
        } else if path.remote == self.standard.address {
            if self.refuse_connections {
                self.gateway.handle_sip_transport_error(path, now);
            } else {
                self.standard.handle_sip(received, now);
            }
        } else if is_gateway(path.remote) {
            self.gateway.handle_sip(received, now).unwrap();
        } else if path.remote != STRANGER.parse().unwrap() {
            // Nobody is there.
            self.gateway.handle_sip_transport_error(path, now);
        }
    }

    /// Raw octets from somebody else to the gateway's listener of a side.
    pub(crate) fn inject_sip(&mut self, side: Side, octets: &[u8]) {
        let (transport, local, remote) = match side {
            Side::Lync => (sip::Transport::Tls, GATEWAY_LYNC, STRANGER),
            Side::Standard => (sip::Transport::Tcp, GATEWAY_STANDARD, STRANGER),
        };
        let path = sip::Path::new(transport, local.parse().unwrap(), remote.parse().unwrap())
            .with_connection(sip::ConnectionId(77));
        self.gateway.handle_sip(sip::Received { path, payload: octets }, self.now).unwrap();
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(transmit) = self.gateway.poll_sip_transmit() {
                quiet = false;
                self.post(transmit);
            }
            while let Some(transmit) = self.lync.poll_sip().or_else(|| self.standard.poll_sip()) {
                quiet = false;
                self.post(transmit);
            }
            while let Some(command) = self.gateway.poll_media_command() {
                quiet = false;
                self.carry_out(command);
            }
            while let Some(event) = self.engine.poll_event() {
                quiet = false;
                self.media_events.push(event.clone());
                self.gateway.handle_media_event(event, self.now);
            }
            while let Some(transmit) = self.engine.poll_transmit() {
                quiet = false;
                assert!(
                    self.bound.contains(&transmit.local),
                    "sent from {} unbound",
                    transmit.local
                );
                self.wire.push(transmit.payload.to_vec());
                let payload = transmit.payload.to_vec();
                self.network.send(self.now, transmit.local, transmit.remote, payload);
                self.engine.recycle(transmit.payload);
            }
            for side in [Side::Lync, Side::Standard] {
                while let Some(transmit) = self.endpoint(side).poll_media() {
                    quiet = false;
                    let payload = transmit.payload.to_vec();
                    self.network.send(self.now, transmit.local, transmit.remote, payload);
                }
            }
            while let Some(event) = self.gateway.poll_event() {
                self.events.push(event);
            }
            if quiet {
                break;
            }
        }
        let now = self.now;
        for at in [self.gateway.poll_timeout(), self.engine.poll_timeout()].into_iter().flatten() {
            // Invariant: drained, nothing is more than due.
            assert!(at + Duration::from_secs(1) > now, "overdue by {:?}", now - at);
        }
    }

    fn carry_out(&mut self, command: MediaCommand) {
        match command {
            MediaCommand::Bind { stream, sockets } => {
                let busy = sockets.iter().any(|s| self.taken.contains(&s.port()));
                assert!(sockets.iter().all(|s| !self.bound.contains(s)), "{sockets:?} bound twice");
                let event = if busy {
                    MediaEvent::BindFailed { stream, reason: "address in use".into() }
                } else {
                    self.bound.extend(sockets);
                    MediaEvent::Bound { stream }
                };
                self.gateway.handle_media_event(event, self.now);
            }
            MediaCommand::Unbind { sockets, .. } => {
                for socket in sockets {
                    self.bound.remove(&socket);
                }
            }
            other => self.engine.handle_command(other, self.now),
        }
    }

    /// Labels of the messages that crossed one side, as the gateway saw them.
    pub(crate) fn ladder(&self, side: Side) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                GatewayEvent::Message(line) if line.side == side => {
                    Some(format!("{} {}", if line.inbound { ">" } else { "<" }, line.label))
                }
                _ => None,
            })
            .collect()
    }

    pub(crate) fn digits(&self, side: Side) -> String {
        self.events
            .iter()
            .filter_map(|event| match event {
                GatewayEvent::Digit { stream, digit } if stream.side == side => Some(*digit),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn ended(&self) -> Option<(Option<Side>, Option<u16>, String)> {
        self.events.iter().find_map(|event| match event {
            GatewayEvent::Ended { by, status, reason, .. } => Some((*by, *status, reason.clone())),
            _ => None,
        })
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound.len()
    }

    pub(crate) fn tail(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|e| match e {
                GatewayEvent::Message(line) => Some(format!(
                    "{} {} {}",
                    line.side,
                    if line.inbound { ">" } else { "<" },
                    line.label
                )),
                GatewayEvent::Decided { explanation, .. } => Some(explanation.clone()),
                GatewayEvent::Translated { .. } => None,
                other => Some(format!("{other:?}")),
            })
            .collect()
    }
}

fn is_gateway(address: SocketAddr) -> bool {
    address == GATEWAY_LYNC.parse().unwrap() || address == GATEWAY_STANDARD.parse().unwrap()
}
