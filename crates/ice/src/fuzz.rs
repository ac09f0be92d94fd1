//! Bodies of the fuzz targets.

use crate::{
    Agent, AgentConfig, Candidate, Credentials, Dialect, InputError, Nomination, Received,
    RelayCredentials, RelayDialect, RelayServer, Role, StreamId, Transmit, Transport,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use linkspan_stun::{
    Class, Dialect as Wire, IntegrityKey, Message, MessageBuilder, Method, TransactionId,
};
use linkspan_turn::{RelayAddress, ServerConfig, ServerEvent, TurnServer};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A script of inputs for one agent: raw datagrams, authentic requests, answers to its own checks,
/// time, restarts, and a relay that works, loses packets, or is impersonated. After each step the agent is within its bounds and quiet until its timeout.
///
/// # Panics
///
/// When a property does not hold.
pub fn agent(octets: &[u8]) {
    let mut script = Script { rest: octets };
    let mut play = Play::new(script.octet());
    play.settle();
    while !script.rest.is_empty() && play.steps < 400 {
        play.step(&mut script);
        play.settle();
    }
}

struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    fn octet(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}

struct Play {
    agent: Agent,
    stream: StreamId,
    wire: Wire,
    now: Instant,
    steps: usize,
    peer: Credentials,
    /// The agent's requests that have no answer yet.
    open: Vec<Transmit>,
    relay: Option<TurnServer>,
}

impl Play {
    fn new(flags: u8) -> Self {
        let now = Instant::now();
        let is_ms = flags & 1 == 1;
        let dialect = match (is_ms, flags & 64 == 64) {
            (_, true) => Dialect::MsIce1,
            (true, _) => Dialect::MsIce2,
            (false, _) => Dialect::Rfc8445,
        };
        let role = if flags & 2 == 2 { Role::Controlled } else { Role::Controlling };
        let nomination = if flags & 4 == 4 { Nomination::Aggressive } else { Nomination::Regular };
        let config = AgentConfig {
            nomination,
            lite: flags & 8 == 8,
            trickle: flags & 16 == 16,
            ..AgentConfig::new(dialect, role)
        };
        let mut agent = Agent::new(config, [flags; 32], now);
        let Ok(stream) = agent.add_stream(2) else { unreachable!("the first stream") };
        for local in 0..4 {
            let _ = agent.add_host_candidate(stream, u16::from(local % 2) + 1, here(local), now);
        }
        let relay = (flags & 32 == 32).then(|| relay(&mut agent, is_ms, now));
        let peer = Credentials::new("peer", "0123456789012345678901");
        let wire = match dialect {
            Dialect::MsIce1 => Wire::MsIce1,
            Dialect::MsIce2 => Wire::MsIce2,
            Dialect::Rfc8445 => Wire::Rfc8489,
        };
        Self { agent, stream, wire, now, steps: 0, peer, open: Vec::new(), relay }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        self.steps += 1;
        match script.octet() % 13 {
            12 => {
                let present = script.octet();
                let present = (0..4).filter(|n| present >> n & 1 == 1);
                let present: Vec<_> = present.map(|n| here(2 * n).ip()).collect();
                let _ = self.agent.handle_network_change(&present, self.now);
            }
            0 => {
                let len = usize::from(script.octet());
                let payload = script.take(len).to_vec();
                self.input(script.octet(), script.octet(), &payload);
            }
            1 => self.now += Duration::from_millis(u64::from(script.octet()) * 10),
            2 => {
                if let Some(next) = self.agent.poll_timeout() {
                    self.now = self.now.max(next);
                }
            }
            3 => self.request(script),
            4 | 5 => self.answer(script),
            6 => drop(self.agent.restart(self.stream, self.now)),
            7 => self.set_remote(script.octet()),
            10 => self.agent.close(self.now),
            11 => {
                let relay = self.relay.as_ref().and_then(|_| self.agent.relayed().first().copied());
                let len = usize::from(script.octet());
                let (peer, data) = (there(script.octet()), script.take(len));
                if let Some(local) = relay {
                    let transport = Transport::Udp;
                    self.reach_relay(Received { transport, local, remote: peer, payload: data });
                }
            }
            8 => {
                let candidate = remote(script.octet(), script.octet());
                let _ = self.agent.add_remote_candidate(self.stream, candidate, self.now);
            }
            _ => {
                let (local, remote) = (here(script.octet()), there(script.octet()));
                self.agent.handle_transport_error(local, remote, self.now);
            }
        }
        self.agent.handle_timeout(self.now);
    }

    /// Drains the agent and checks what must always hold.
    fn settle(&mut self) {
        let mut sent = 0;
        while let Some(transmit) = self.agent.poll_transmit() {
            sent += 1;
            if transmit.remote == RELAY {
                let (transport, local, remote) = (Transport::Udp, RELAY, transmit.local);
                self.reach_relay(Received { transport, local, remote, payload: &transmit.payload });
                continue;
            }
            assert!(transmit.payload.len() <= 1280);
            let message = Message::parse(&transmit.payload, self.wire);
            assert!(message.is_ok(), "{message:?}");
            if message.is_ok_and(|message| message.class() == Class::Request) {
                self.open.push(transmit);
            }
        }
        assert!(sent <= 4096, "{sent} packets");
        let excess = self.open.len().saturating_sub(64);
        self.open.drain(..excess);
        let mut events = 0;
        while self.agent.poll_event().is_some() {
            events += 1;
        }
        assert!(events <= 96);
        assert!(self.agent.poll_timeout().is_none_or(|next| next > self.now));
        assert!(self.agent.poll_transmit().is_none());
        for component in [1, 2] {
            if let Some(pair) = self.agent.selected(self.stream, component) {
                assert_eq!(pair.remote_candidate.component, component);
                assert_eq!(pair.local_candidate.component, component);
            }
        }
    }

    /// What the relay says to a packet comes back at once.
    fn reach_relay(&mut self, received: Received<'_>) {
        let Some(relay) = &mut self.relay else { return };
        let _ = relay.handle_input(received, self.now);
        while let Some(event) = relay.poll_event() {
            if let ServerEvent::Bind { relay: address } = event {
                relay.bound(address, true, self.now);
            }
        }
        while let Some(sent) = relay.poll_transmit() {
            // Toward peers packets go nowhere.
            if sent.local == RELAY {
                let (transport, local, remote) = (sent.transport, sent.remote, sent.local);
                let input = Received { transport, local, remote, payload: &sent.payload };
                let inner = self.agent.unwrap(input);
                assert!(inner.payload.len() <= sent.payload.len());
                let _ = self.agent.handle_input(input, self.now);
            }
        }
    }

    fn input(&mut self, local: u8, remote: u8, payload: &[u8]) {
        let input = Received {
            transport: Transport::Udp,
            local: here(local),
            remote: if remote >= 224 { RELAY } else { there(remote) },
            payload,
        };
        if let Err(error) = self.agent.handle_input(input, self.now) {
            let is_silent = matches!(error, InputError::NotMine | InputError::Malformed(_));
            assert!(!is_silent || self.agent.poll_transmit().is_none());
        }
    }

    fn request(&mut self, script: &mut Script<'_>) {
        let own = self.agent.local_credentials(self.stream).clone();
        let is_older = self.wire == Wire::MsIce1;
        let key = match BASE64.decode(&own.pwd) {
            Ok(password) if is_older => IntegrityKey::short_term(password),
            _ => IntegrityKey::short_term(&own.pwd),
        };
        let flags = script.octet();
        let id = TransactionId::new([script.octet(); 12]);
        let mut octets = Vec::new();
        let mut check =
            MessageBuilder::new(&mut octets, self.wire, Class::Request, Method::Binding, id);
        if is_older {
            let locals = self.agent.local_candidates(self.stream);
            let local = locals.get(usize::from(flags >> 4) % locals.len().max(1));
            let Some(local) = local else { return };
            let mut name = BASE64.decode(&local.foundation).unwrap_or_default();
            name.extend(format!(":{}:", local.component).into_bytes());
            name.extend([script.octet() % 5; 32]);
            name.extend(format!(":{}", local.component).into_bytes());
            check.username(&name);
        } else {
            check.username(format!("{}:peer", own.ufrag).as_bytes());
        }
        check.priority(u32::from(script.octet()) << 20);
        let tie_breaker = u64::from(script.octet()) << 56;
        if flags & 1 == 1 {
            check.ice_controlled(tie_breaker);
        } else {
            check.ice_controlling(tie_breaker);
        }
        if flags & 2 == 2 {
            check.use_candidate();
        }
        if flags & 4 == 4 {
            check.implementation_version(u32::from(flags >> 4));
        }
        check.sign(&key);
        if check.finish().is_ok() {
            self.input(script.octet(), script.octet(), &octets);
        }
    }

    fn answer(&mut self, script: &mut Script<'_>) {
        let (which, flags) = (usize::from(script.octet()), script.octet());
        if self.open.is_empty() {
            return;
        }
        let transmit = self.open.swap_remove(which % self.open.len());
        let Ok(request) = Message::parse(&transmit.payload, self.wire) else { return };
        let key = match self.wire {
            Wire::MsIce1 => IntegrityKey::short_term([7; 16]),
            _ => IntegrityKey::short_term(&self.peer.pwd),
        };
        let mut octets = Vec::new();
        let class = if flags & 1 == 1 { Class::Error } else { Class::Success };
        let id = request.transaction_id();
        let mut reply = MessageBuilder::new(&mut octets, self.wire, class, Method::Binding, id);
        if flags & 1 == 1 {
            reply.error_code(if flags & 2 == 2 { 487 } else { 400 }, "No");
        } else {
            reply.xor_mapped_address(if flags & 4 == 4 { there(flags) } else { transmit.local });
        }
        reply.sign(&key);
        if reply.finish().is_ok() {
            let remote = if flags & 8 == 8 { there(flags) } else { transmit.remote };
            let (transport, local) = (Transport::Udp, transmit.local);
            let input = Received { transport, local, remote, payload: &octets };
            let _ = self.agent.handle_input(input, self.now);
        }
    }

    fn set_remote(&mut self, flags: u8) {
        if flags & 1 == 1 {
            self.peer.ufrag = format!("peer{flags}");
        }
        if self.wire == Wire::MsIce1 {
            let named = (0..flags >> 4).map(|n| {
                let user = BASE64.encode([n % 5; 32]);
                let candidate = Candidate { foundation: user, ..remote(n, n) };
                (candidate, BASE64.encode([7; 16]))
            });
            let _ = self.agent.set_remote_older(self.stream, named.collect(), self.now);
            let (user, peer) = (BASE64.encode([flags % 5; 32]), there(flags));
            let _ = self.agent.set_final_pair(self.stream, 1, &user, peer, self.now);
            return;
        }
        let candidates = (0..flags >> 4).map(|n| remote(n, n)).collect();
        let _ = self.agent.set_remote(self.stream, self.peer.clone(), candidates, self.now);
    }
}

/// A server of either dialect, and the agent told of it.
fn relay(agent: &mut Agent, is_ms: bool, now: Instant) -> TurnServer {
    let credentials = RelayCredentials::new("user", "secret");
    let mut config = ServerConfig::new("fuzz");
    config.users.add(credentials.clone());
    config.listeners.push(RELAY);
    config.relays.push(RelayAddress::new(RELAY.ip()));
    config.ms_turn = is_ms;
    let dialect = if is_ms { RelayDialect::MsTurn } else { RelayDialect::Rfc8656 };
    let told = RelayServer { dialect, ..RelayServer::new(RELAY, credentials) };
    let _ = agent.add_relay_server(told, now);
    TurnServer::new(config, [9; 32], now)
}

const RELAY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)), 3478);

fn here(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + number % 8 / 2], 5000 + u16::from(number % 2)))
}

fn there(number: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1 + number % 16 / 2], 6000 + u16::from(number % 2)))
}

fn remote(number: u8, priority: u8) -> Candidate {
    let component = u16::from(number % 3) + 1;
    Candidate::host(&(number % 5).to_string(), component, there(number), u32::from(priority) << 20)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn seeds_hold_the_properties() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/ice_agent");
        // A packaged crate comes without them.
        let Ok(folder) = std::fs::read_dir(seeds) else { return };
        folder.for_each(|file| super::agent(&std::fs::read(file.unwrap().path()).unwrap()));
    }

    #[test]
    fn scripts_of_chance_hold_the_properties() {
        let mut state = 1_u64;
        for _ in 0..300 {
            let script: Vec<u8> = (0..400)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    state.to_be_bytes()[0]
                })
                .collect();
            super::agent(&script);
        }
    }
}
