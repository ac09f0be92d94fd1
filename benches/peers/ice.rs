use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::harness::Case;

const ONE_WAY: Duration = Duration::from_millis(10);
/// How long a session is followed after both sides have selected a pair.
const AFTER: Duration = Duration::from_secs(1);

/// CPU time of one session: two agents with four host candidates each, every pair reachable,
/// 10 ms one way and no loss, in virtual time, until both have selected and a second on.
pub(crate) fn run() {
    for (name, agents) in [
        ("ours", ours::pair as fn(Instant) -> [Box<dyn Agent>; 2]),
        ("is", is_::pair),
        ("ezk-ice", ezk::pair),
    ] {
        let outcome = session(agents);
        eprintln!(
            "ice: {name}: selected after {:?}, {} messages until then, {} in the second after",
            outcome.selected, outcome.messages, outcome.messages_after
        );
    }
    Case::new("ice", "4x4-10ms", || drop(black_box(session(ours::pair))))
        .peer("is", || drop(black_box(session(is_::pair))))
        .peer("ezk-ice", || drop(black_box(session(ezk::pair))))
        .run();
}

/// What all agents look like from the outside.
trait Agent {
    fn advance(&mut self, now: Instant);
    fn transmit(&mut self) -> Option<(SocketAddr, SocketAddr, Vec<u8>)>;
    fn receive(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, octets: &[u8]);
    fn timeout(&mut self, now: Instant) -> Option<Instant>;
    fn has_selected(&mut self) -> bool;
}

#[derive(Debug)]
struct Outcome {
    selected: Duration,
    messages: usize,
    messages_after: usize,
}

fn addresses(side: usize) -> [SocketAddr; 4] {
    [1, 2, 3, 4].map(|n| format!("10.0.{n}.{}:{}", side + 1, 5000 + n).parse().unwrap())
}

fn session(pair: fn(Instant) -> [Box<dyn Agent>; 2]) -> Outcome {
    let begun = Instant::now();
    let mut agents = pair(begun);
    let mut now = begun;
    let mut wire = BTreeMap::new();
    let mut order = 0_u64;
    let mut outcome = Outcome { selected: Duration::MAX, messages: 0, messages_after: 0 };
    let mut end = None;
    loop {
        for side in 0..2 {
            agents[side].advance(now);
            while let Some((from, to, octets)) = agents[side].transmit() {
                match end {
                    None => outcome.messages += 1,
                    Some(_) => outcome.messages_after += 1,
                }
                order += 1;
                wire.insert((now + ONE_WAY, order), (1 - side, from, to, octets));
            }
        }
        if end.is_none() && agents[0].has_selected() && agents[1].has_selected() {
            outcome.selected = now - begun;
            end = Some(now + AFTER);
        }
        let timeouts = [agents[0].timeout(now), agents[1].timeout(now)];
        let arrival = wire.keys().next().map(|(at, _)| *at);
        let next = timeouts.into_iter().flatten().chain(arrival).min_by_key(|at| *at);
        // An agent that asks for this very moment again gets it a millisecond on.
        now = next.filter(|at| *at > now).unwrap_or(now + Duration::from_millis(1));
        if now > end.unwrap_or(begun + Duration::from_secs(60)) {
            return outcome;
        }
        while let Some(entry) = wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let (side, from, to, octets) = entry.remove();
            agents[side].receive(now, from, to, &octets);
        }
    }
}

mod ours {
    use super::{Agent, addresses};
    use linkspan_ice::{
        Agent as IceAgent, AgentConfig, IceEvent, Nomination, Received, Role, Transport,
    };
    use std::net::SocketAddr;
    use std::time::Instant;

    struct Ours {
        agent: IceAgent,
        selected: bool,
    }

    pub(super) fn pair(now: Instant) -> [Box<dyn Agent>; 2] {
        let mut agents = [Role::Controlling, Role::Controlled].map(|role| {
            let config =
                AgentConfig { role, nomination: Nomination::Aggressive, ..AgentConfig::default() };
            IceAgent::new(config, [role as u8; 32], now)
        });
        let streams = [0, 1].map(|side: usize| {
            let stream = agents[side].add_stream(1).unwrap();
            for address in addresses(side) {
                agents[side].add_host_candidate(stream, 1, address, now).unwrap();
            }
            agents[side].end_of_candidates(now);
            stream
        });
        let offers = [0, 1].map(|side: usize| {
            let agent = &agents[side];
            let candidates = agent.local_candidates(streams[side]).to_vec();
            (agent.local_credentials(streams[side]).clone(), candidates)
        });
        for (side, (credentials, candidates)) in offers.into_iter().enumerate() {
            agents[1 - side].set_remote(streams[1 - side], credentials, candidates, now).unwrap();
        }
        agents.map(|agent| Box::new(Ours { agent, selected: false }) as Box<dyn Agent>)
    }

    impl Agent for Ours {
        fn advance(&mut self, now: Instant) {
            self.agent.handle_timeout(now);
            while let Some(event) = self.agent.poll_event() {
                self.selected |= matches!(event, IceEvent::ComponentConnected { .. });
            }
        }
        fn transmit(&mut self) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
            let transmit = self.agent.poll_transmit()?;
            Some((transmit.local, transmit.remote, transmit.payload.to_vec()))
        }
        fn receive(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
            let received =
                Received { transport: Transport::Udp, local: to, remote: from, payload: octets };
            // An answer to a check that was given up meanwhile is nobody's.
            let _given_up = self.agent.handle_input(received, now);
        }
        fn timeout(&mut self, _: Instant) -> Option<Instant> {
            self.agent.poll_timeout()
        }
        fn has_selected(&mut self) -> bool {
            self.selected
        }
    }
}

mod is_ {
    use super::{Agent, addresses};
    use is::stun::{StunMessage, StunPacket};
    use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
    use std::net::SocketAddr;
    use std::time::Instant;

    struct Is {
        agent: IceAgent,
        selected: bool,
    }

    pub(super) fn pair(_now: Instant) -> [Box<dyn Agent>; 2] {
        let mut agents = [IceAgent::new(IceCreds::new()), IceAgent::new(IceCreds::new())];
        let credentials = [0, 1].map(|side: usize| agents[side].local_credentials().clone());
        for side in 0..2 {
            for address in addresses(side) {
                agents[side].add_local_candidate(Candidate::host(address, "udp").unwrap());
            }
            agents[side].set_remote_credentials(credentials[1 - side].clone());
            for address in addresses(1 - side) {
                agents[side].add_remote_candidate(Candidate::host(address, "udp").unwrap());
            }
            agents[side].set_controlling(side == 0);
        }
        agents.map(|agent| Box::new(Is { agent, selected: false }) as Box<dyn Agent>)
    }

    impl Agent for Is {
        fn advance(&mut self, now: Instant) {
            self.agent.handle_timeout(now);
            while let Some(event) = self.agent.poll_event() {
                self.selected |= matches!(event, IceAgentEvent::NominatedSend { .. });
            }
        }
        fn transmit(&mut self) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
            let transmit = self.agent.poll_transmit()?;
            Some((transmit.source, transmit.destination, transmit.contents.to_vec()))
        }
        fn receive(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
            let Ok(message) = StunMessage::parse(octets) else { return };
            if self.agent.accepts_message(&message) {
                let packet =
                    StunPacket { proto: Protocol::Udp, source: from, destination: to, message };
                self.agent.handle_packet(now, packet);
            }
        }
        fn timeout(&mut self, _: Instant) -> Option<Instant> {
            self.agent.poll_timeout()
        }
        fn has_selected(&mut self) -> bool {
            self.selected
        }
    }
}

mod ezk {
    use super::{Agent, addresses};
    use ezk_ice::{Component, IceAgent, IceConnectionState, IceCredentials, IceEvent, ReceivedPkt};
    use std::collections::VecDeque;
    use std::net::SocketAddr;
    use std::time::Instant;

    struct Ezk {
        agent: IceAgent,
        addresses: [SocketAddr; 4],
        out: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
        selected: bool,
    }

    pub(super) fn pair(_now: Instant) -> [Box<dyn Agent>; 2] {
        let credentials = [IceCredentials::random(), IceCredentials::random()];
        let mut agents = [0, 1].map(|side: usize| {
            let (local, remote) = (credentials[side].clone(), credentials[1 - side].clone());
            let mut agent = IceAgent::new_from_answer(local, remote, side == 0, true);
            for address in addresses(side) {
                agent.add_host_addr(Component::Rtp, address);
            }
            agent
        });
        let candidates = [0, 1].map(|side: usize| agents[side].ice_candidates());
        for side in 0..2 {
            for candidate in &candidates[1 - side] {
                agents[side].add_remote_candidate(candidate);
            }
        }
        let mut side = 0;
        agents.map(|agent| {
            let addresses = addresses(side);
            side += 1;
            let out = VecDeque::new();
            Box::new(Ezk { agent, addresses, out, selected: false }) as Box<dyn Agent>
        })
    }

    impl Ezk {
        fn drain(&mut self) {
            while let Some(event) = self.agent.pop_event() {
                match event {
                    IceEvent::SendData { data, source, target, .. } => {
                        let known = self.addresses.iter().find(|a| Some(a.ip()) == source);
                        let from = known.copied().unwrap_or(self.addresses[0]);
                        self.out.push_back((from, target, data));
                    }
                    IceEvent::ConnectionStateChanged { new, .. } => {
                        self.selected |= new == IceConnectionState::Connected;
                    }
                    _ => {}
                }
            }
        }
    }

    impl Agent for Ezk {
        fn advance(&mut self, now: Instant) {
            self.agent.poll(now);
            self.drain();
        }
        fn transmit(&mut self) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
            self.out.pop_front()
        }
        fn receive(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
            let packet = ReceivedPkt {
                data: octets.to_vec(),
                source: from,
                destination: to,
                component: Component::Rtp,
            };
            self.agent.receive(now, packet);
            self.drain();
        }
        fn timeout(&mut self, now: Instant) -> Option<Instant> {
            self.agent.timeout(now).map(|after| now + after)
        }
        fn has_selected(&mut self) -> bool {
            self.selected
        }
    }
}
