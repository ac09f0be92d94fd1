//! Agents anywhere on an internet with a TURN server and a STUN server, in virtual time.

use linkspan_ice::{
    Agent, AgentConfig, IceEvent, InputError, Received, RelayCredentials, RelayDialect,
    RelayServer, StreamId, Transport,
};
use linkspan_stun::{Class, Dialect as Wire, Message, MessageBuilder, Method, PacketKind};
use linkspan_testnet::{Internet, Link};
use linkspan_turn::{RelayAddress, ServerConfig, ServerEvent, TurnServer};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub const TURN: &str = "198.51.100.1:3478";
pub const STUN: &str = "198.51.100.2:3478";

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// One agent on one host, with one stream.
pub struct Side {
    pub agent: Agent,
    pub stream: StreamId,
    pub host: SocketAddr,
    pub events: Vec<(Duration, IceEvent)>,
    /// Relayed or base address, peer, octets of what is no STUN.
    pub data: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Side {
    pub fn has(&self, wanted: impl Fn(&IceEvent) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }

    /// Names of the events with their times.
    pub fn brief(&self) -> Vec<String> {
        let name = |event: &IceEvent| format!("{event:?}").chars().take(60).collect::<String>();
        self.events.iter().map(|(at, event)| format!("{at:?} {}", name(event))).collect()
    }

    pub fn is_completed(&self) -> bool {
        self.has(|event| *event == IceEvent::Completed)
    }
}

pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub internet: Internet,
    pub sides: Vec<Side>,
    pub server: TurnServer,
    bound: Vec<SocketAddr>,
}

impl World {
    pub fn new(seed: u64, link: Link) -> Self {
        let start = Instant::now();
        let mut config = ServerConfig::new("example.org");
        config.users.add(RelayCredentials::new("user", "secret"));
        config.listeners.push(at(TURN));
        config.relays.push(RelayAddress::new(at(TURN).ip()));
        config.ms_turn = true;
        let mut bytes = [3; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            start,
            now: start,
            internet: Internet::new(seed, link),
            sides: Vec::new(),
            server: TurnServer::new(config, bytes, start),
            bound: Vec::new(),
        }
    }

    /// Puts an agent with `components` components on a host.
    pub fn add(&mut self, config: AgentConfig, host: &str, components: u16) -> usize {
        let index = self.sides.len();
        let mut seed = [u8::try_from(index + 1).unwrap(); 32];
        seed[0] = seed[0].wrapping_add(self.internet_seed());
        let mut agent = Agent::new(config, seed, self.now);
        let stream = agent.add_stream(components).unwrap();
        let host = at(host);
        for component in 1..=components {
            let address = SocketAddr::new(host.ip(), host.port() + component - 1);
            agent.add_host_candidate(stream, component, address, self.now).unwrap();
        }
        self.sides.push(Side { agent, stream, host, events: Vec::new(), data: Vec::new() });
        index
    }

    pub fn relay(&mut self, side: usize, dialect: RelayDialect, transport: Transport) {
        let credentials = RelayCredentials::new("user", "secret");
        let server = RelayServer { dialect, transport, ..RelayServer::new(at(TURN), credentials) };
        self.sides[side].agent.add_relay_server(server, self.now).unwrap();
    }

    /// Gathers on all sides.
    pub fn gather(&mut self) {
        let now = self.now;
        self.sides.iter_mut().for_each(|side| side.agent.end_of_candidates(now));
        let limit = self.now - self.start + Duration::from_secs(60);
        let is_gathered = |side: &Side| side.has(|e| *e == IceEvent::GatheringComplete);
        self.run(limit, |world| world.sides.iter().all(is_gathered));
        assert!(self.sides.iter().all(is_gathered), "gathering did not end");
    }

    /// What one side describes, told to another.
    pub fn signal(&mut self, from: usize, to: usize) {
        let side = &self.sides[from];
        let credentials = side.agent.local_credentials(side.stream).clone();
        let candidates = side.agent.local_candidates(side.stream).to_vec();
        let (now, side) = (self.now, &mut self.sides[to]);
        super::tell(&mut side.agent, side.stream, credentials, candidates, now);
    }

    pub fn send(&mut self, side: usize, component: u16, data: &[u8]) {
        let (now, side) = (self.now, &mut self.sides[side]);
        let pair = side.agent.selected(side.stream, component).unwrap();
        match side.agent.forward(&pair, data) {
            Ok(forward) => {
                let octets = forward.packet.slices().concat();
                self.carry(now, forward.transport, forward.local, forward.remote, octets);
            }
            Err(_) => side.agent.send(side.stream, component, data).unwrap(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Runs until `done`, or for `limit` from the start.
    pub fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.start + limit;
        loop {
            self.drain();
            if done(self) {
                return;
            }
            let timeouts = self.sides.iter().filter_map(|side| side.agent.poll_timeout());
            let next = timeouts
                .chain(self.server.poll_timeout())
                .chain(self.internet.next_arrival())
                .min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            while let Some(packet) = self.internet.receive(self.now) {
                let transport = if packet.is_stream { Transport::Tcp } else { Transport::Udp };
                let (local, remote, payload) = (packet.to, packet.from, &packet.payload);
                self.take(Received { transport, local, remote, payload });
            }
            let now = self.now;
            self.server.handle_timeout(now);
            self.sides.iter_mut().for_each(|side| side.agent.handle_timeout(now));
        }
    }

    pub fn run_to_completion(&mut self, limit: Duration) {
        self.run(limit, |world| world.sides.iter().all(Side::is_completed));
    }

    fn take(&mut self, received: Received<'_>) {
        let to = received.local;
        if to == at(TURN) || self.bound.contains(&to) {
            let _ = self.server.handle_input(received, self.now);
        } else if to == at(STUN) {
            self.answer_binding(received);
        } else if let Some(side) = self.sides.iter_mut().find(|s| s.host.ip() == to.ip()) {
            let result = side.agent.handle_input(received, self.now);
            let inner = side.agent.unwrap(received);
            let is_stun = linkspan_stun::demultiplex(inner.payload) == PacketKind::Stun;
            if result == Err(InputError::NotMine) && !is_stun {
                side.data.push((inner.local, inner.remote, inner.payload.to_vec()));
            }
        }
    }

    fn answer_binding(&mut self, received: Received<'_>) {
        let Ok(question) = Message::parse(received.payload, Wire::Rfc8489) else { return };
        let (mut octets, id) = (Vec::new(), question.transaction_id());
        let mut reply =
            MessageBuilder::new(&mut octets, Wire::Rfc8489, Class::Success, Method::Binding, id);
        reply.xor_mapped_address(received.remote);
        reply.finish().unwrap();
        self.internet.send(self.now, received.local, received.remote, octets);
    }

    fn drain(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::Bind { relay } => {
                    self.bound.push(relay);
                    self.server.bound(relay, true, self.now);
                }
                ServerEvent::Unbind { relay } => self.bound.retain(|bound| *bound != relay),
                _ => {}
            }
        }
        let elapsed = self.elapsed();
        let mut out = Vec::new();
        while let Some(transmit) = self.server.poll_transmit() {
            out.push(transmit);
        }
        for side in &mut self.sides {
            while let Some(transmit) = side.agent.poll_transmit() {
                out.push(transmit);
            }
            while let Some(event) = side.agent.poll_event() {
                side.events.push((elapsed, event));
            }
            let next = side.agent.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timeout that is not in the future");
        }
        for transmit in out {
            let octets = transmit.payload.to_vec();
            self.carry(self.now, transmit.transport, transmit.local, transmit.remote, octets);
        }
    }

    fn carry(
        &mut self,
        now: Instant,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        octets: Vec<u8>,
    ) {
        match transport {
            Transport::Udp => self.internet.send(now, local, remote, octets),
            Transport::Tcp => self.internet.send_stream(now, local, remote, octets),
        }
    }

    fn internet_seed(&mut self) -> u8 {
        // Other credentials and ids with every seed.
        (self.internet.chance() * 200.0) as u8
    }
}
