//! The ICE agent of one stream.

use std::net::SocketAddr;
use std::time::Instant;

use linkspan_ice as ice;

use super::super::command::LocalIce;
use super::error::ConnectError;
use super::values::RemoteIce;

/// What the agent has brought about.
#[derive(Debug)]
pub(super) enum LinkEvent {
    Connected(Vec<ice::SelectedPair>),
    Disconnected,
}

/// An agent with one stream, and the pairs that it has selected.
#[derive(Debug)]
pub(super) struct Link {
    agent: ice::Agent,
    stream: ice::StreamId,
    components: u16,
    pairs: [Option<(SocketAddr, SocketAddr)>; 2],
    remote: Option<RemoteIce>,
}

impl Link {
    pub(super) fn new(
        (dialect, role): (ice::Dialect, ice::Role),
        sockets: &[SocketAddr],
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, ice::AgentError> {
        let mut agent = ice::Agent::new(ice::AgentConfig::new(dialect, role), seed, now);
        let components = u16::try_from(sockets.len()).unwrap_or(2);
        let stream = agent.add_stream(components)?;
        for (component, socket) in (1..).zip(sockets) {
            agent.add_host_candidate(stream, component, *socket, now)?;
        }
        agent.end_of_candidates(now);
        Ok(Self { agent, stream, components, pairs: [None; 2], remote: None })
    }

    pub(super) fn local(&self) -> LocalIce {
        LocalIce {
            credentials: self.agent.local_credentials(self.stream).clone(),
            candidates: self.agent.local_candidates(self.stream).to_vec(),
        }
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
        self.pairs.get(component).copied().flatten()
    }

    pub(super) fn handle_input(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), ice::InputError> {
        let transport = ice::Transport::Udp;
        self.agent.handle_input(ice::Received { transport, local, remote, payload }, now)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.agent.poll_timeout().is_some_and(|at| at <= now) {
            self.agent.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.agent.poll_timeout()
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
                        *slot = Some((pair.local, pair.remote));
                    }
                    // Every change of an established stream is told; before that, only its end.
                    if let Some(pairs) = self.all_pairs() {
                        return Some(LinkEvent::Connected(pairs));
                    }
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
