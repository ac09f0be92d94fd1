//! Two agents on a virtual network.
#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test binary uses a part"
)]

pub mod internet;

use linkspan_ice::{
    Agent, AgentConfig, Candidate, Credentials, IceEvent, InputError, Received, Role, SelectedPair,
    StreamId, Transport,
};
use linkspan_testnet::{Link, Network};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub struct Peer {
    pub agent: Agent,
    pub streams: Vec<StreamId>,
    pub events: Vec<(Duration, IceEvent)>,
    pub sent: usize,
}

impl Peer {
    /// An agent with `streams` streams of `components` components on each of the addresses.
    pub fn new(
        config: AgentConfig,
        seed: u8,
        now: Instant,
        shape: (usize, u16),
        ips: &[&str],
    ) -> Self {
        let mut agent = Agent::new(config, [seed; 32], now);
        let mut streams = Vec::new();
        for stream in 0..shape.0 {
            let id = agent.add_stream(shape.1).unwrap();
            streams.push(id);
            for ip in ips {
                for component in 1..=shape.1 {
                    let port = 5000 + u16::try_from(stream).unwrap() * 10 + component;
                    let address = SocketAddr::new(ip.parse().unwrap(), port);
                    agent.add_host_candidate(id, component, address, now).unwrap();
                }
            }
        }
        agent.end_of_candidates(now);
        Self { agent, streams, events: Vec::new(), sent: 0 }
    }

    pub fn has(&self, wanted: impl Fn(&IceEvent) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }

    pub fn time_of(&self, wanted: impl Fn(&IceEvent) -> bool) -> Option<Duration> {
        self.events.iter().find(|(_, event)| wanted(event)).map(|(at, _)| *at)
    }

    pub fn is_completed(&self) -> bool {
        self.has(|event| *event == IceEvent::Completed)
    }

    pub fn selected(&self, stream: usize, component: u16) -> SelectedPair {
        self.agent.selected(self.streams[stream], component).unwrap()
    }
}

/// `set_remote` on `to` with everything that `from` signals.
pub fn signal(from: &Peer, to: &mut Peer, now: Instant) {
    for (a, b) in from.streams.iter().zip(to.streams.clone()) {
        let credentials: Credentials = from.agent.local_credentials(*a).clone();
        let candidates = from.agent.local_candidates(*a).to_vec();
        tell(&mut to.agent, b, credentials, candidates, now);
    }
}

/// `set_remote` in every dialect.
pub fn tell(
    agent: &mut Agent,
    stream: StreamId,
    credentials: Credentials,
    candidates: Vec<Candidate>,
    now: Instant,
) {
    if !credentials.ufrag.is_empty() {
        return agent.set_remote(stream, credentials, candidates, now).unwrap();
    }
    let with = |candidate| (candidate, credentials.pwd.clone());
    agent.set_remote_older(stream, candidates.into_iter().map(with).collect(), now).unwrap();
}

pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub network: Network,
    pub left: Peer,
    pub right: Peer,
    /// Paths that do not exist.
    pub blocked: Vec<(SocketAddr, SocketAddr)>,
    /// Address translation: what goes out from the first appears from the second.
    pub nat: Vec<(SocketAddr, SocketAddr)>,
    /// What is lost besides: by time, address it is from, and octets.
    pub loses: fn(Duration, SocketAddr, &[u8]) -> bool,
    pub log: Vec<(Duration, SocketAddr, SocketAddr, Vec<u8>)>,
}

impl World {
    pub fn new(left: Peer, right: Peer, start: Instant, seed: u64, link: Link) -> Self {
        let network = Network::new(seed, link);
        Self {
            start,
            now: start,
            network,
            left,
            right,
            blocked: Vec::new(),
            nat: Vec::new(),
            loses: |_, _, _| false,
            log: Vec::new(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn drain(&mut self) {
        let elapsed = self.elapsed();
        for peer in [&mut self.left, &mut self.right] {
            while let Some(transmit) = peer.agent.poll_transmit() {
                peer.sent += 1;
                assert_eq!(transmit.transport, Transport::Udp);
                let seen = self.nat.iter().find(|(inside, _)| *inside == transmit.local);
                let from = seen.map_or(transmit.local, |(_, outside)| *outside);
                let payload = transmit.payload.to_vec();
                self.log.push((elapsed, from, transmit.remote, payload.clone()));
                let is_lost = (self.loses)(elapsed, from, &payload);
                if !is_lost && !self.blocked.contains(&(from, transmit.remote)) {
                    self.network.send(self.now, from, transmit.remote, payload);
                }
            }
            while let Some(event) = peer.agent.poll_event() {
                peer.events.push((elapsed, event));
            }
            let next = peer.agent.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timeout that is not in the future");
            assert!(peer.agent.poll_transmit().is_none());
        }
    }

    /// Runs until `done`, or until nothing more happens within `limit` of the start.
    pub fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.start + limit;
        loop {
            self.drain();
            if done(self) {
                return;
            }
            let timeouts = [self.left.agent.poll_timeout(), self.right.agent.poll_timeout()];
            let next = timeouts.into_iter().flatten().chain(self.network.next_arrival()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = next;
            while let Some(packet) = self.network.receive(self.now) {
                let inside = self.nat.iter().find(|(_, outside)| *outside == packet.to);
                let to = inside.map_or(packet.to, |(inside, _)| *inside);
                for peer in [&mut self.left, &mut self.right] {
                    let input = Received {
                        transport: Transport::Udp,
                        local: to,
                        remote: packet.from,
                        payload: &packet.payload,
                    };
                    match peer.agent.handle_input(input, self.now) {
                        Err(InputError::NotMine) => {}
                        _ => break,
                    }
                }
            }
            self.left.agent.handle_timeout(self.now);
            self.right.agent.handle_timeout(self.now);
        }
    }

    pub fn run_to_completion(&mut self, limit: Duration) {
        self.run(limit, |world| world.left.is_completed() && world.right.is_completed());
    }
}

pub fn roles(dialect: linkspan_ice::Dialect) -> (AgentConfig, AgentConfig) {
    (AgentConfig::new(dialect, Role::Controlling), AgentConfig::new(dialect, Role::Controlled))
}
