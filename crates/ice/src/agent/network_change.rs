//! Local addresses that come and go while a session runs.
//!
//! A candidate that was signalled cannot be taken back before a restart (RFC 8838 §10), so that one
//! whose address is gone only stops being used. A new one is checked at once as long as a stream
//! looks for its pairs; once it has them only a restart moves it (RFC 8445 §8.1.1, §9).

use super::Agent;
use super::transactions::Purpose;
use crate::pair::PairState;
use crate::stream::Stream;
use crate::{CandidateKind, IceEvent, StreamId};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

impl Agent {
    /// The addresses of this host's interfaces are these now.
    ///
    /// Candidates of addresses that are gone are not used any more, their allocations end, and
    /// [`IceEvent::RestartAdvised`] tells of streams whose selected pair was on one, and of those
    /// that have their pairs while there is a new address. Returns the new ones: bind sockets, add
    /// their candidates with [`add_host_candidate`](Self::add_host_candidate) (and signal them, while
    /// trickling), then restart the streams that advise it with [`restart`](Self::restart).
    ///
    /// ```
    /// use linkspan_ice::{Agent, AgentConfig, Dialect, Role};
    /// use std::time::Instant;
    ///
    /// let now = Instant::now();
    /// let mut agent = Agent::new(AgentConfig::new(Dialect::Rfc8445, Role::Controlling), [7; 32], now);
    /// let audio = agent.add_stream(1)?;
    /// agent.add_host_candidate(audio, 1, "192.0.2.1:5000".parse()?, now)?;
    /// // From the cable to the radio.
    /// let new = agent.handle_network_change(&["198.51.100.7".parse()?], now);
    /// assert_eq!(new, ["198.51.100.7".parse::<std::net::IpAddr>()?]);
    /// agent.add_host_candidate(audio, 1, "198.51.100.7:5000".parse()?, now)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_network_change(&mut self, addresses: &[IpAddr], now: Instant) -> Vec<IpAddr> {
        let present: Vec<IpAddr> = self.streams.iter().flat_map(present).collect();
        let mut new: Vec<IpAddr> = Vec::new();
        for address in addresses {
            if !present.contains(address) && !new.contains(address) {
                new.push(*address);
            }
        }
        let relayed = self.end_relays(|ip| present.contains(&ip) && !addresses.contains(&ip));
        for stream in 0..self.streams.len() {
            self.leave(stream, addresses, &relayed);
            self.advise(stream, !new.is_empty());
        }
        self.pump(now);
        new
    }

    /// The relayed addresses of the allocations that were reached from addresses that are gone.
    fn end_relays(&mut self, is_gone: impl Fn(IpAddr) -> bool) -> Vec<SocketAddr> {
        let mut relayed = Vec::new();
        self.relays.retain(|relay| {
            let is_gone = is_gone(relay.base().ip());
            if is_gone {
                relayed.extend(relay.relayed());
            }
            !is_gone
        });
        relayed
    }

    fn leave(&mut self, stream: usize, addresses: &[IpAddr], relayed: &[SocketAddr]) {
        let Some(this) = self.streams.get_mut(stream) else { return };
        // What has come back is there again.
        this.vanished.retain(|base| !addresses.contains(&base.ip()));
        let hosts = this.locals.iter().filter(|local| local.kind == CandidateKind::Host);
        let gone = hosts.map(|host| host.address).filter(|at| !addresses.contains(&at.ip()));
        let gone: Vec<SocketAddr> = gone.chain(relayed.iter().copied()).collect();
        for pair in &mut this.pairs {
            if this.bases.get(pair.local).is_some_and(|base| gone.contains(base)) {
                pair.state = PairState::Failed;
                (pair.is_triggered, pair.is_nominating) = (false, false);
            }
        }
        let pairs = &this.pairs;
        let is_alive = |at: &usize| pairs.get(*at).is_some_and(|p| p.state != PairState::Failed);
        this.triggered.retain(is_alive);
        self.transactions.retain(|transaction| !gone.contains(&transaction.local));
        let new = gone.into_iter().filter(|base| !this.vanished.contains(base));
        let new: Vec<SocketAddr> = new.collect();
        this.vanished.extend(new);
    }

    fn advise(&mut self, stream: usize, has_new: bool) {
        let Some(this) = self.streams.get_mut(stream) else { return };
        let mut is_cut = false;
        for selected in this.components.iter_mut().filter_map(|c| c.selected.as_mut()) {
            if this.vanished.contains(&selected.pair.local) {
                is_cut = true;
                (selected.keep_at, selected.expires_at, selected.reminders) = (None, None, 0);
            }
        }
        if is_cut || (has_new && this.is_connected) {
            let stream = StreamId(stream);
            self.events.push_back(IceEvent::RestartAdvised { stream, is_cut });
        }
    }

    /// With a restart what has vanished is no candidate any more.
    pub(super) fn forget_vanished(&mut self, stream: usize) {
        let Some(this) = self.streams.get_mut(stream) else { return };
        let vanished = std::mem::take(&mut this.vanished);
        if vanished.is_empty() {
            return;
        }
        let kept = this.locals.drain(..).zip(this.bases.drain(..));
        let kept: Vec<_> = kept.filter(|(_, base)| !vanished.contains(base)).collect();
        (this.locals, this.bases) = kept.into_iter().unzip();
        this.is_ranked = false;
        this.rank();
        // What was asked for them has other places now.
        self.gathering.forget(stream);
        let is_question =
            |purpose| matches!(purpose, Purpose::Gather { stream: of, .. } if of == stream);
        self.transactions.retain(|transaction| !is_question(transaction.purpose));
    }
}

/// Addresses of the host candidates that are there.
fn present(stream: &Stream) -> impl Iterator<Item = IpAddr> + '_ {
    let hosts = stream.locals.iter().filter(|local| {
        local.kind == CandidateKind::Host && !stream.vanished.contains(&local.address)
    });
    hosts.map(|host| host.address.ip())
}
