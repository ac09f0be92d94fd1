//! Peers without ICE, and the addresses that a description names for them.

use super::Agent;
use crate::stream::{Selected, Stream};
use crate::{
    AgentError, Candidate, CandidateKind, CandidateTransport, IceEvent, SelectedPair, StreamId,
};
use std::net::SocketAddr;
use std::time::Instant;

impl Agent {
    /// The local candidate that a description names for peers without ICE (RFC 8445 §5.1.4): the
    /// relayed one where there is one, then the reflexive, then the host.
    #[must_use]
    pub fn default_candidate(&self, stream: StreamId, component: u16) -> Option<&Candidate> {
        let this = self.streams.get(stream.0)?;
        default_of(this, component, None).and_then(|index| this.locals.get(index))
    }

    /// The peer speaks no ICE: it has one address for each component, from 1 on, and each is
    /// paired at once with the default candidate of its family. No checks, no keepalives and no
    /// consent follow, because the peer would take them for media.
    ///
    /// # Errors
    ///
    /// [`AgentError::UnknownComponent`] for another number of addresses than the stream has
    /// components, [`AgentError::UnusableAddress`] where there is no candidate of that family.
    pub fn set_remote_without_ice(
        &mut self,
        stream: StreamId,
        addresses: &[SocketAddr],
        now: Instant,
    ) -> Result<(), AgentError> {
        let this = self.streams.get_mut(stream.0).ok_or(AgentError::UnknownStream)?;
        if this.components.len() != addresses.len() {
            return Err(AgentError::UnknownComponent);
        }
        let mut pairs = Vec::new();
        for (component, remote) in (1..).zip(addresses) {
            let local = default_of(this, component, Some(*remote));
            pairs.push(fixed_pair(this, local, component, *remote)?);
        }
        this.forget_checks();
        this.remote = None;
        this.is_failed = false;
        this.is_connected = false;
        for (component, pair) in (1..).zip(pairs) {
            self.fix(stream, component, pair, now);
        }
        self.report_connected(stream.0);
        self.pump(now);
        Ok(())
    }

    fn fix(&mut self, stream: StreamId, component: u16, pair: SelectedPair, now: Instant) {
        let this = self.streams.get_mut(stream.0).and_then(|this| this.component_mut(component));
        if let Some(component) = this {
            // No place in a check list, and none that is open.
            let index = Some(usize::MAX);
            let (keep_at, expires_at) = (None, None);
            let pair = pair.clone();
            let selected = Selected { pair, index, keep_at, expires_at, reminders: 0 };
            component.selected = Some(selected);
        }
        self.bind_relay(pair.local, pair.remote, now);
        self.events.push_back(IceEvent::ComponentConnected { stream, component, pair });
    }
}

/// Index of the default candidate, of the family of a peer.
fn default_of(stream: &Stream, component: u16, peer: Option<SocketAddr>) -> Option<usize> {
    let locals = stream.locals.iter().enumerate();
    locals
        .filter(|(_, local)| local.component == component && local.transport.is_udp())
        .filter(|(_, local)| peer.is_none_or(|p| p.is_ipv4() == local.address.is_ipv4()))
        .max_by_key(|(_, local)| {
            let rank = match local.kind {
                CandidateKind::Relay => 2,
                CandidateKind::Srflx | CandidateKind::Prflx => 1,
                CandidateKind::Host => 0,
            };
            (rank, local.priority)
        })
        .map(|(index, _)| index)
}

fn fixed_pair(
    stream: &Stream,
    local: Option<usize>,
    component: u16,
    remote: SocketAddr,
) -> Result<SelectedPair, AgentError> {
    let candidate =
        local.and_then(|index| Some((stream.locals.get(index)?, stream.bases.get(index)?)));
    let (candidate, base) = candidate.ok_or(AgentError::UnusableAddress)?;
    Ok(SelectedPair {
        local: *base,
        local_candidate: candidate.clone(),
        remote,
        remote_candidate: Candidate {
            foundation: "remote".to_owned(),
            component,
            transport: CandidateTransport::Udp,
            priority: 0,
            address: remote,
            kind: CandidateKind::Host,
            related: None,
        },
    })
}
