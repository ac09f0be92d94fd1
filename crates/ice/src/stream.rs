//! The state of one stream: its candidates, its check list, its components.

use crate::pair::{Pair, PairState, Valid};
use crate::{
    Candidate, CandidateKind, CandidateTransport, Credentials, Received, Role, SelectedPair,
    Transport, priority,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use linkspan_stun::IntegrityKey;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) components: Vec<Component>,
    pub(crate) local: Side,
    /// What was in force before a restart: the peer may still use it.
    pub(crate) previous: Option<Side>,
    pub(crate) remote: Option<Side>,
    /// USERNAME of our requests.
    pub(crate) username: Vec<u8>,
    pub(crate) locals: Vec<Candidate>,
    /// Base of each of `locals`.
    pub(crate) bases: Vec<SocketAddr>,
    /// Priorities have been told, or may have been: they stay.
    pub(crate) is_ranked: bool,
    /// Bases that there are no more: nothing is sent from them.
    pub(crate) vanished: Vec<SocketAddr>,
    /// Local peer-reflexive candidates.
    pub(crate) reflexives: Vec<Candidate>,
    pub(crate) remotes: Vec<Candidate>,
    /// The older [MS-ICE]: keys of the peer's candidates.
    pub(crate) users: Vec<OlderUser>,
    /// The older [MS-ICE]: user names by the numbers of their foundations.
    pub(crate) own_users: Vec<(usize, String)>,
    pub(crate) remotes_complete: bool,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) triggered: VecDeque<usize>,
    pub(crate) early: Vec<EarlyCheck>,
    /// [MS-ICE2] IMPLEMENTATION-VERSION of the peer.
    pub(crate) peer_version: Option<u32>,
    /// Regular nomination: no better pair is waited for after this.
    pub(crate) decide_at: Option<Instant>,
    pub(crate) is_decision_due: bool,
    /// It has been put off once.
    pub(crate) is_put_off: bool,
    /// When what has succeeded is checked once more.
    pub(crate) remind_at: Option<Instant>,
    /// RFC 8863: no failure before.
    pub(crate) give_up_at: Option<Instant>,
    pub(crate) is_impatient: bool,
    /// It has been extended once.
    pub(crate) is_extended: bool,
    pub(crate) is_connected: bool,
    pub(crate) is_failed: bool,
}

/// Credentials with their key.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) credentials: Credentials,
    pub(crate) key: IntegrityKey,
}

impl Side {
    fn new(credentials: Credentials) -> Self {
        // Without a fragment it is one of the older [MS-ICE], and the password base64.
        let older = credentials.ufrag.is_empty().then(|| STANDARD_NO_PAD.decode(&credentials.pwd));
        let key = match older {
            Some(Ok(password)) => IntegrityKey::short_term(password),
            _ => IntegrityKey::short_term(&credentials.pwd),
        };
        Self { credentials, key }
    }
}

/// A candidate of the peer in the older [MS-ICE].
#[derive(Debug)]
pub(crate) struct OlderUser {
    /// Its user name, 32 octets.
    pub(crate) user: Vec<u8>,
    pub(crate) key: IntegrityKey,
}

/// State of one component.
#[derive(Debug, Default)]
pub(crate) struct Component {
    pub(crate) selected: Option<Selected>,
}

/// The selected pair and its upkeep.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) pair: SelectedPair,
    /// Its place in the check list; `None` for one of before a restart.
    pub(crate) index: Option<usize>,
    /// Next keepalive or consent check.
    pub(crate) keep_at: Option<Instant>,
    /// RFC 7675 §5.1.
    pub(crate) expires_at: Option<Instant>,
    /// How often it is still checked so that the peer notices too.
    pub(crate) reminders: u8,
}

/// A check that came before the peer's credentials (RFC 8445 §7.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct EarlyCheck {
    pub(crate) local: usize,
    pub(crate) remote: SocketAddr,
    pub(crate) priority: u32,
    pub(crate) use_candidate: bool,
    /// The older [MS-ICE]: the name of the candidate that it came from.
    pub(crate) user: Option<String>,
}

impl Stream {
    pub(crate) fn new(components: u16, credentials: Credentials) -> Self {
        Self {
            components: (0..components).map(|_| Component::default()).collect(),
            local: Side::new(credentials),
            previous: None,
            remote: None,
            username: Vec::new(),
            locals: Vec::new(),
            bases: Vec::new(),
            is_ranked: false,
            vanished: Vec::new(),
            reflexives: Vec::new(),
            remotes: Vec::new(),
            users: Vec::new(),
            own_users: Vec::new(),
            remotes_complete: false,
            pairs: Vec::new(),
            triggered: VecDeque::new(),
            early: Vec::new(),
            peer_version: None,
            decide_at: None,
            is_decision_due: false,
            is_put_off: false,
            remind_at: None,
            give_up_at: None,
            is_impatient: false,
            is_extended: false,
            is_connected: false,
            is_failed: false,
        }
    }

    pub(crate) fn component(&self, component: u16) -> Option<&Component> {
        self.components.get(usize::from(component).checked_sub(1)?)
    }

    pub(crate) fn component_mut(&mut self, component: u16) -> Option<&mut Component> {
        self.components.get_mut(usize::from(component).checked_sub(1)?)
    }

    /// True when a component still looks for its pair.
    pub(crate) fn is_open(&self, component: u16) -> bool {
        let selected = self.component(component).and_then(|c| c.selected.as_ref());
        selected.is_none_or(|selected| selected.index.is_none())
    }

    /// True when checks may be sent.
    pub(crate) const fn is_checking(&self) -> bool {
        self.remote.is_some() && !self.is_failed
    }

    pub(crate) fn set_remote(
        &mut self,
        credentials: Credentials,
        now: Instant,
        patience: Duration,
    ) {
        self.is_ranked = true;
        self.username.clear();
        self.username.extend_from_slice(credentials.ufrag.as_bytes());
        self.username.push(b':');
        self.username.extend_from_slice(self.local.credentials.ufrag.as_bytes());
        self.remote = Some(Side::new(credentials));
        self.give_up_at = Some(now + patience);
        self.is_impatient = false;
        self.is_extended = false;
        self.is_failed = false;
        self.is_connected = false;
    }

    /// RFC 8445 §9: everything starts anew but the local candidates and the selected pairs.
    pub(crate) fn restart(&mut self, credentials: Credentials) {
        let old = std::mem::replace(&mut self.local, Side::new(credentials));
        self.previous = Some(old);
        self.remote = None;
        self.early.clear();
        self.is_failed = false;
        self.is_connected = false;
        self.give_up_at = None;
        self.forget_checks();
    }

    pub(crate) fn forget_checks(&mut self) {
        self.pairs.clear();
        self.triggered.clear();
        self.remotes.clear();
        self.reflexives.clear();
        self.decide_at = None;
        self.is_decision_due = false;
        self.is_put_off = false;
        self.remind_at = None;
        for component in &mut self.components {
            if let Some(selected) = &mut component.selected {
                selected.index = None;
                selected.keep_at = None;
                selected.expires_at = None;
            }
        }
    }

    /// Ends the stream: nothing is sent any more.
    pub(crate) fn end(&mut self) {
        self.is_failed = true;
        self.decide_at = None;
        self.remind_at = None;
        self.give_up_at = None;
        for selected in self.components.iter_mut().filter_map(|c| c.selected.as_mut()) {
            selected.keep_at = None;
            selected.expires_at = None;
        }
    }

    /// Index of the candidate that a packet arrived at.
    pub(crate) fn local_at(&self, input: &Received<'_>) -> Option<usize> {
        let is_udp = input.transport == Transport::Udp;
        self.locals.iter().zip(&self.bases).position(|(candidate, base)| {
            *base == input.local
                && candidate.address == *base
                && candidate.transport.is_udp() == is_udp
        })
    }

    pub(crate) fn has_local(
        &self,
        component: u16,
        transport: CandidateTransport,
        address: SocketAddr,
    ) -> bool {
        self.locals.iter().any(|candidate| {
            (candidate.component, candidate.transport, candidate.address)
                == (component, transport, address)
        })
    }

    /// The place of a local address among those of a component, counted from 0; a new one comes
    /// last.
    pub(crate) fn rank_of(&self, component: u16, ip: IpAddr) -> u16 {
        let order = self.addresses(component);
        let place = order.iter().position(|known| *known == ip).unwrap_or(order.len());
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// Gives the local candidates the priorities of their places, as long as nobody knows them.
    pub(crate) fn rank(&mut self) {
        let has = |is_ipv4| self.bases.iter().any(|base| base.is_ipv4() == is_ipv4);
        if self.is_ranked || !has(true) || !has(false) {
            return;
        }
        for component in 1..=u16::try_from(self.components.len()).unwrap_or(u16::MAX) {
            let order = self.addresses(component);
            let own = self.locals.iter_mut().zip(&self.bases);
            for (c, base) in own.filter(|(c, _)| c.component == component) {
                let place = order.iter().position(|known| *known == base.ip()).unwrap_or(0);
                let rank = u16::try_from(place).unwrap_or(u16::MAX);
                c.priority = priority::candidate(c.kind, c.transport, rank, component);
            }
        }
    }

    /// The local addresses of a component, the preferred first: in the order in which they came, the
    /// families interleaved as long as that is free.
    fn addresses(&self, component: u16) -> Vec<IpAddr> {
        let mut order: Vec<IpAddr> = Vec::new();
        for (candidate, base) in self.locals.iter().zip(&self.bases) {
            if candidate.component == component && !order.contains(&base.ip()) {
                order.push(base.ip());
            }
        }
        if self.is_ranked { self.ranked(order) } else { priority::interleave(order) }
    }

    /// By the priorities that they have: a host candidate over UDP tells its place.
    fn ranked(&self, mut order: Vec<IpAddr>) -> Vec<IpAddr> {
        order.sort_by_key(|ip| {
            let own = self.locals.iter().zip(&self.bases).filter(|(_, base)| base.ip() == *ip);
            std::cmp::Reverse(own.map(|(candidate, _)| candidate.priority).max())
        });
        order
    }

    /// Index of a remote candidate.
    pub(crate) fn remote_at(
        &self,
        component: u16,
        is_udp: bool,
        address: SocketAddr,
    ) -> Option<usize> {
        self.remotes.iter().position(|candidate| {
            candidate.component == component
                && candidate.transport.is_udp() == is_udp
                && candidate.address == address
        })
    }

    /// Takes a signalled candidate; what no check can reach is ignored.
    pub(crate) fn add_remote(&mut self, candidate: Candidate, limit: usize) {
        let ip = candidate.address.ip();
        let is_usable = candidate.address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast();
        if !is_usable || self.component(candidate.component).is_none() {
            return;
        }
        let has_room = self.remotes.len() < limit;
        let known = self.remotes.iter_mut().find(|known| {
            (known.component, known.transport, known.address)
                == (candidate.component, candidate.transport, candidate.address)
        });
        match known {
            // RFC 8838 §11.4: what was learnt from a check gets its signalled name and priority.
            Some(known) if known.kind == CandidateKind::Prflx => *known = candidate,
            Some(_) => {}
            None if has_room => self.remotes.push(candidate),
            None => {}
        }
    }

    /// True for a local candidate whose base is no more.
    pub(crate) fn has_vanished(&self, local: usize) -> bool {
        self.bases.get(local).is_some_and(|base| self.vanished.contains(base))
    }

    pub(crate) fn pair_of(&self, local: usize, remote: usize) -> Option<usize> {
        self.pairs.iter().position(|pair| (pair.local, pair.remote) == (local, remote))
    }

    pub(crate) fn pair_priority(&self, role: Role, local: usize, remote: usize) -> u64 {
        let of = |list: &[Candidate], index: usize| list.get(index).map_or(0, |c| c.priority);
        priority::pair(role, of(&self.locals, local), of(&self.remotes, remote))
    }

    /// A change of role changes every pair's priority (RFC 8445 §7.3.1.1).
    pub(crate) fn reprioritise(&mut self, role: Role) {
        for pair in &mut self.pairs {
            let local = self.locals.get(pair.local).map_or(0, |c| c.priority);
            let remote = self.remotes.get(pair.remote).map_or(0, |c| c.priority);
            pair.reprioritise(role, local, remote);
        }
    }

    /// Adds a pair. With the list full, one that is not under way and has a lower priority gives
    /// its place (RFC 8445 §6.1.2.5).
    pub(crate) fn insert_pair(&mut self, pair: Pair, quota: usize) -> Option<usize> {
        if self.pairs.len() < quota {
            self.pairs.push(pair);
            return Some(self.pairs.len() - 1);
        }
        let rank = |pair: &Pair| (pair.state != PairState::Failed, pair.priority);
        let victims = self.pairs.iter().enumerate().filter(|(_, pair)| pair.is_replaceable());
        let (index, _) = victims.min_by_key(|(_, victim)| rank(victim)).filter(|(_, victim)| {
            victim.state == PairState::Failed || victim.priority < pair.priority
        })?;
        *self.pairs.get_mut(index)? = pair;
        Some(index)
    }

    /// Puts a pair into the triggered-check queue (RFC 8445 §7.3.1.4).
    pub(crate) fn trigger(&mut self, index: usize) {
        let Some(pair) = self.pairs.get_mut(index) else { return };
        pair.state = PairState::Waiting;
        if !pair.is_triggered {
            pair.is_triggered = true;
            self.triggered.push_back(index);
        }
    }

    /// Foundations of a pair: pairs with the same are checked one after the other.
    pub(crate) fn foundations(&self, pair: &Pair) -> Option<(&str, &str)> {
        let local = self.locals.get(pair.local)?;
        let remote = self.remotes.get(pair.remote)?;
        Some((local.foundation.as_str(), remote.foundation.as_str()))
    }

    /// The selected pair that a pair of the list would be.
    pub(crate) fn selected_pair(&self, pair: &Pair) -> Option<SelectedPair> {
        let local_candidate = match pair.valid.unwrap_or(Valid::Signalled(pair.local)) {
            Valid::Signalled(index) => self.locals.get(index),
            Valid::Reflexive(index) => self.reflexives.get(index),
        }?;
        let remote_candidate = self.remotes.get(pair.remote)?.clone();
        Some(SelectedPair {
            local: *self.bases.get(pair.local)?,
            local_candidate: local_candidate.clone(),
            remote: remote_candidate.address,
            remote_candidate,
        })
    }
}
