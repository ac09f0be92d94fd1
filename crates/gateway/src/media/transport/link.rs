//! The ICE agent of one stream.

use core::ops::Range;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use linkspan_ice as ice;

use super::super::command::LocalIce;
use super::error::ConnectError;
use super::values::RemoteIce;

/// What the agent has brought about.
#[derive(Debug)]
pub(super) enum LinkEvent {
    Connected(Vec<ice::SelectedPair>),
    Disconnected,
    RelayFailed(SocketAddr, ice::RelayError),
}

/// An agent with one stream, and the pairs that it has selected.
#[derive(Debug)]
pub(super) struct Link {
    agent: ice::Agent,
    stream: ice::StreamId,
    components: u16,
    pairs: [Option<Pair>; 2],
    remote: Option<RemoteIce>,
    /// Host addresses: a pair of another local address is a relay's.
    sockets: Vec<SocketAddr>,
    has_relays: bool,
    /// Until when candidates are gathered; `None` once they are complete.
    gathering: Option<Instant>,
}

/// The selected pair of a component.
#[derive(Debug)]
struct Pair {
    pair: ice::SelectedPair,
    is_relayed: bool,
}

/// Relays that have not answered by then are done without: the peer waits for a description.
const GATHERING: Duration = Duration::from_secs(2);

impl Link {
    pub(super) fn new(
        (dialect, role): (ice::Dialect, ice::Role),
        sockets: &[SocketAddr],
        relays: &[ice::RelayServer],
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, ice::AgentError> {
        let mut agent = ice::Agent::new(ice::AgentConfig::new(dialect, role), seed, now);
        let components = u16::try_from(sockets.len()).unwrap_or(2);
        let stream = agent.add_stream(components)?;
        for (component, socket) in (1..).zip(sockets) {
            agent.add_host_candidate(stream, component, *socket, now)?;
        }
        for server in relays {
            agent.add_relay_server(server.clone(), now)?;
        }
        agent.end_of_candidates(now);
        let has_relays = !relays.is_empty();
        let gathering = has_relays.then(|| now + GATHERING);
        Ok(Self {
            agent,
            stream,
            components,
            pairs: [None, None],
            remote: None,
            sockets: sockets.to_vec(),
            has_relays,
            gathering,
        })
    }

    pub(super) fn local(&self) -> LocalIce {
        LocalIce {
            credentials: self.agent.local_credentials(self.stream).clone(),
            candidates: self.agent.local_candidates(self.stream).to_vec(),
            defaults: (1..=self.components)
                .filter_map(|c| Some(self.agent.default_candidate(self.stream, c)?.address))
                .collect(),
        }
    }

    /// Whether all candidates are there, or have had their time.
    pub(super) fn is_gathered(&self, now: Instant) -> bool {
        self.gathering.is_none_or(|until| until <= now)
    }

    /// Who has sent a packet, and where in it what they have sent is.
    pub(super) fn unwrap(&self, received: ice::Received<'_>) -> (SocketAddr, Range<usize>) {
        let payload = received.payload;
        let whole = (received.remote, 0..payload.len());
        if !self.has_relays {
            return whole;
        }
        let inner = self.agent.unwrap(received);
        // It is a part of the packet: how far into it, the addresses tell.
        let start = inner.payload.as_ptr().addr().checked_sub(payload.as_ptr().addr());
        start.map_or(whole, |start| (inner.remote, start..start + inner.payload.len()))
    }

    /// Puts the relay's header before a packet: how and between which addresses it goes. `None` when
    /// the agent has taken it, because the relay is not ready for more than its own way.
    pub(super) fn wrap(
        &mut self,
        component: usize,
        packet: &mut BytesMut,
    ) -> Option<(ice::Transport, SocketAddr, SocketAddr)> {
        let pair = &self.pairs.get(component)?.as_ref()?.pair;
        let Ok(forward) = self.agent.forward(pair, packet) else {
            let number = u16::try_from(component + 1).ok()?;
            let _ = self.agent.send(self.stream, number, packet);
            return None;
        };
        let way = (forward.transport, forward.local, forward.remote);
        let ([head, data, tail], mut room) = (forward.packet.slices(), [0; 64]);
        let (before, len, after) = (head.len(), data.len(), tail.len());
        room.get_mut(..before)?.copy_from_slice(head);
        packet.resize(before + len + after, 0);
        packet.copy_within(..len, before);
        packet.get_mut(..before)?.copy_from_slice(room.get(..before)?);
        packet.get_mut(before + len..)?.fill(0);
        Some(way)
    }

    /// Allocations are given back.
    pub(super) fn close(&mut self, now: Instant) {
        if self.has_relays {
            self.agent.close(now);
        }
    }

    /// Whether a component's packets go through a relay.
    pub(super) fn is_relayed(&self, component: usize) -> bool {
        self.pairs.get(component).and_then(Option::as_ref).is_some_and(|pair| pair.is_relayed)
    }

    /// The peer's half, the first time or again: what is the same changes nothing.
    pub(super) fn set_remote(
        &mut self,
        remote: &RemoteIce,
        muxed: bool,
        most: usize,
        now: Instant,
    ) -> Result<(), ConnectError> {
        if muxed {
            // RFC 8445 §5.1.1.1, RFC 5761 §5.1.3: the second component has no use.
            self.components = 1;
        }
        let same = |known: &RemoteIce| known.credentials == remote.credentials;
        if self.remote.as_ref().is_some_and(same) {
            return Ok(());
        }
        self.agent.set_remote_lite(remote.lite);
        let candidates = remote.candidates.iter().take(most).cloned().collect();
        self.agent.set_remote(self.stream, remote.credentials.clone(), candidates, now)?;
        self.remote = Some(remote.clone());
        Ok(())
    }

    /// Local and remote address of a component: 0 for RTP, 1 for RTCP.
    pub(super) fn pair(&self, component: usize) -> Option<(SocketAddr, SocketAddr)> {
        let pair = &self.pairs.get(component)?.as_ref()?.pair;
        Some((pair.local, pair.remote))
    }

    pub(super) fn handle_input(
        &mut self,
        received: ice::Received<'_>,
        now: Instant,
    ) -> Result<(), ice::InputError> {
        self.agent.handle_input(received, now)
    }

    pub(super) fn handle_disconnect(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        self.agent.handle_transport_error(local, remote, now);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.agent.poll_timeout().is_some_and(|at| at <= now) {
            self.agent.handle_timeout(now);
        }
        self.gathering = self.gathering.filter(|until| *until > now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.agent.poll_timeout(), self.gathering].into_iter().flatten().min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<ice::Transmit> {
        self.agent.poll_transmit()
    }

    pub(super) fn poll_event(&mut self) -> Option<LinkEvent> {
        while let Some(event) = self.agent.poll_event() {
            match event {
                ice::IceEvent::ComponentConnected { component, pair, .. }
                | ice::IceEvent::PairChanged { component, pair, .. } => {
                    let at = usize::from(component).saturating_sub(1);
                    if let Some(slot) = self.pairs.get_mut(at) {
                        let is_relayed = !self.sockets.contains(&pair.local);
                        *slot = Some(Pair { pair, is_relayed });
                    }
                    // Every change of an established stream is told; before that, only its end.
                    if let Some(pairs) = self.all_pairs() {
                        return Some(LinkEvent::Connected(pairs));
                    }
                }
                ice::IceEvent::GatheringComplete => self.gathering = None,
                ice::IceEvent::RelayFailed { server, error, .. } => {
                    return Some(LinkEvent::RelayFailed(server, error));
                }
                ice::IceEvent::ConsentLost { component, .. } if component > self.components => {}
                // With RTCP on the RTP component the other one may well fail.
                ice::IceEvent::Failed { .. } if self.components == 1 && self.pair(0).is_some() => {}
                ice::IceEvent::Failed { .. } | ice::IceEvent::ConsentLost { .. } => {
                    return Some(LinkEvent::Disconnected);
                }
                _ => {}
            }
        }
        None
    }

    /// The pairs of all components, once each has one.
    pub(super) fn all_pairs(&self) -> Option<Vec<ice::SelectedPair>> {
        (1..=self.components).map(|c| self.agent.selected(self.stream, c)).collect()
    }
}
