//! Forming pairs and sending connectivity checks (RFC 8445 §6.1, §7.2).

use super::transactions::Purpose;
use super::{Agent, carrier, older};
use crate::pair::{Pair, PairState};
use crate::stream::Stream;
use crate::{Candidate, CandidateKind, CandidateTransport, Dialect, Role, priority};
use linkspan_stun::{Class, MessageBuilder, Method, TransactionId};
use std::net::IpAddr;
use std::time::Instant;

impl Agent {
    /// Adds the pairs that are missing (RFC 8445 §6.1.2.2 to 6.1.2.6).
    pub(super) fn pair(&mut self, stream: usize) {
        self.has_new_peers = true;
        let quota = self.pair_quota();
        let (role, is_lite) = (self.role, self.config.lite);
        let is_ms = self.config.dialect == Dialect::MsIce2;
        let Some(this) = self.streams.get_mut(stream).filter(|this| this.is_checking()) else {
            return;
        };
        if is_lite {
            return;
        }
        let mut missing = Vec::new();
        for (local_index, local) in this.locals.iter().enumerate() {
            // RFC 8445 §6.1.2.4: a reflexive candidate would only repeat its base. [MS-ICE2]
            // wants it the same way. A passive one waits (RFC 6544 §6.2).
            if matches!(local.kind, CandidateKind::Srflx | CandidateKind::Prflx)
                || local.transport == CandidateTransport::TcpPassive
                || this.has_vanished(local_index)
                // [MS-ICE2]: over TCP RTCP goes with RTP, on one connection.
                || (is_ms && !local.transport.is_udp() && local.component != 1)
            {
                continue;
            }
            for (remote_index, remote) in this.remotes.iter().enumerate() {
                let is_new = can_pair(local, remote)
                    && this.is_open(local.component)
                    && this.pair_of(local_index, remote_index).is_none();
                if is_new {
                    let priority = priority::pair(role, local.priority, remote.priority);
                    missing.push(Pair::new(local_index, remote_index, local.component, priority));
                }
            }
        }
        missing.sort_by_key(|pair| std::cmp::Reverse(pair.priority));
        missing.truncate(quota);
        for pair in missing {
            this.insert_pair(pair, quota);
        }
        this.reprioritise(role);
        self.thaw(None);
    }

    /// Sends what the pacing allows (RFC 8445 §6.1.4.2).
    pub(super) fn send_checks(&mut self, now: Instant) {
        while now >= self.next_check && self.send_next(now) {
            self.next_check = now + self.config.ta;
        }
        self.has_checks =
            self.has_waiting() || self.gathering.has_work() || self.has_queued_relay();
    }

    /// A check on a pair. `nominating`: it is to select the pair, by either side.
    pub(super) fn send_check(
        &mut self,
        stream: usize,
        index: usize,
        nominating: bool,
        now: Instant,
    ) {
        let id = TransactionId::random(&mut self.random);
        let (role, tie_breaker) = (self.role, self.tie_breaker);
        let use_candidate = role == Role::Controlling && (nominating || self.is_aggressive());
        let dialect = self.stun_dialect();
        let Some(path) = self.path_of(stream, index) else { return };
        let Some(this) = self.streams.get_mut(stream) else { return };
        let (Some(remote), Some(pair)) = (&this.remote, this.pairs.get_mut(index)) else { return };
        let Some(local) = this.locals.get(pair.local) else { return };
        let is_older = self.config.dialect == Dialect::MsIce1;
        let older = this.remotes.get(pair.remote).filter(|_| is_older);
        let key = match older {
            Some(peer) => older::key_of(&this.users, &peer.foundation),
            None => Some(remote.key.clone()),
        };
        let Some(key) = key else { return };
        if pair.state != PairState::Succeeded {
            pair.state = PairState::InProgress;
        }
        pair.checked_at.get_or_insert(now);
        let priority = match older {
            Some(_) => priority::older(CandidateKind::Prflx, local.transport, 0),
            None => priority::peer_reflexive(local.priority, local.transport.is_udp()),
        };
        let mut octets = Vec::with_capacity(192);
        let mut check =
            MessageBuilder::new(&mut octets, dialect, Class::Request, Method::Binding, id);
        if let Some(peer) = older {
            check.username(&older::username(peer, local));
        } else {
            if use_candidate {
                check.use_candidate();
            }
            check.priority(priority);
            match role {
                Role::Controlling => check.ice_controlling(tie_breaker),
                Role::Controlled => check.ice_controlled(tie_breaker),
            };
            check.username(&this.username);
        }
        if self.config.dialect == Dialect::MsIce2 {
            let identifier =
                identifier(&this.locals, &this.bases, pair, this.remotes.get(pair.remote));
            check.candidate_identifier(identifier.unwrap_or(&local.foundation).as_bytes());
            check.implementation_version(IMPLEMENTATION_VERSION);
        }
        check.sign(&key);
        if check.finish().is_ok() {
            let purpose = Purpose::Check {
                stream,
                pair: index,
                use_candidate,
                insists: nominating,
                role,
                priority,
            };
            self.start(id, purpose, path, octets, now);
        }
    }

    /// RFC 8445 §6.1.2.6 and §6.1.4.2: of each foundation that nobody is checking, one pair. With
    /// `succeeded` all of that foundation (§7.2.5.3.3).
    pub(super) fn thaw(&mut self, succeeded: Option<(&str, &str)>) {
        if let Some(foundations) = succeeded {
            for stream in &mut self.streams {
                for index in 0..stream.pairs.len() {
                    let is_same = stream.pairs.get(index).is_some_and(|pair| {
                        pair.state == PairState::Frozen
                            && stream.foundations(pair) == Some(foundations)
                    });
                    if let Some(pair) = stream.pairs.get_mut(index).filter(|_| is_same) {
                        pair.state = PairState::Waiting;
                    }
                }
            }
            return;
        }
        while let Some((stream, index)) = self.thawable() {
            let pair = self.streams.get_mut(stream).and_then(|s| s.pairs.get_mut(index));
            let Some(pair) = pair else { return };
            pair.state = PairState::Waiting;
        }
    }

    /// The next frozen pair whose foundation nobody is checking: lowest component, then highest
    /// priority. What is under way for a component that has its pair is nobody's concern any more: it
    /// may never end, and the other components wait.
    fn thawable(&self) -> Option<(usize, usize)> {
        let mut active: Vec<(&str, &str)> = Vec::new();
        for stream in self.streams.iter().filter(|stream| stream.is_checking()) {
            for pair in &stream.pairs {
                let is_checked = matches!(pair.state, PairState::Waiting | PairState::InProgress);
                if is_checked && stream.is_open(pair.component) {
                    active.extend(stream.foundations(pair).filter(|known| !active.contains(known)));
                }
            }
        }
        let frozen = self.streams.iter().enumerate().flat_map(|(stream, this)| {
            this.pairs.iter().enumerate().map(move |(index, pair)| (stream, this, index, pair))
        });
        frozen
            .filter(|(_, this, _, pair)| {
                pair.state == PairState::Frozen
                    && this.is_checking()
                    && this.foundations(pair).is_some_and(|known| !active.contains(&known))
            })
            .min_by_key(|(stream, _, _, pair)| {
                (*stream, pair.component, std::cmp::Reverse(pair.priority))
            })
            .map(|(stream, _, index, _)| (stream, index))
    }

    fn send_next(&mut self, now: Instant) -> bool {
        let count = self.streams.len();
        for step in 0..count {
            let stream = (self.turn + step) % count;
            if let Some(pair) = self.pick(stream) {
                self.turn = (stream + 1) % count;
                let nominating = self.streams.get(stream).is_some_and(|this| {
                    this.pairs.get(pair).is_some_and(|pair| pair.is_nominating)
                });
                self.send_check(stream, pair, nominating, now);
                return true;
            }
        }
        self.ask_server(now) || self.start_relay(now)
    }

    /// RFC 8445 §6.1.4.2: a triggered check, or the best waiting pair.
    fn pick(&mut self, stream: usize) -> Option<usize> {
        let this = self.streams.get_mut(stream).filter(|this| this.is_checking())?;
        while let Some(index) = this.triggered.pop_front() {
            let Some(pair) = this.pairs.get_mut(index) else { continue };
            pair.is_triggered = false;
            if pair.state == PairState::Waiting {
                return Some(index);
            }
        }
        if let Some(index) = best_waiting(this) {
            return Some(index);
        }
        if this.pairs.iter().all(|pair| pair.state != PairState::Frozen) {
            return None;
        }
        self.thaw(None);
        self.streams.get(stream).and_then(best_waiting)
    }

    fn has_waiting(&self) -> bool {
        let mut checking = self.streams.iter().filter(|stream| stream.is_checking());
        checking.any(|stream| stream.pairs.iter().any(|pair| pair.state == PairState::Waiting))
    }

    /// RFC 8445 §6.1.2.5: the limit is for all check lists together.
    pub(super) fn pair_quota(&self) -> usize {
        (self.config.limits.pairs / self.streams.len().max(1)).max(1)
    }
}

fn best_waiting(stream: &Stream) -> Option<usize> {
    let waiting = stream.pairs.iter().enumerate();
    waiting
        .filter(|(_, pair)| pair.state == PairState::Waiting)
        .max_by_key(|(_, pair)| pair.priority)
        .map(|(index, _)| index)
}

/// RFC 8445 §6.1.2.2, RFC 6544 §6.2.
fn can_pair(local: &Candidate, remote: &Candidate) -> bool {
    local.component == remote.component
        && local.transport.pairs_with(remote.transport)
        && local.address.is_ipv4() == remote.address.is_ipv4()
        && is_link_local(local.address.ip()) == is_link_local(remote.address.ip())
        // The port of an active candidate says nothing.
        && remote.address.port() != 9
}

/// RFC 8445 §6.1.2.2: link-local addresses of IPv6 only reach each other.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// [MS-ICE2] CANDIDATE-IDENTIFIER. Toward a relayed candidate real Lync wants the foundation of the
/// reflexive candidate with the same base instead of the host's, against the document.
fn identifier<'a>(
    locals: &'a [Candidate],
    bases: &[std::net::SocketAddr],
    pair: &Pair,
    remote: Option<&Candidate>,
) -> Option<&'a str> {
    let local = locals.get(pair.local)?;
    let base = bases.get(pair.local)?;
    if local.kind != CandidateKind::Host || remote?.kind != CandidateKind::Relay {
        return None;
    }
    let mut reflexive = locals.iter().zip(bases).filter(|(candidate, own)| {
        candidate.kind == CandidateKind::Srflx
            && own == &base
            && carrier(candidate.transport) == carrier(local.transport)
    });
    reflexive.next().map(|(candidate, _)| candidate.foundation.as_str())
}

/// [MS-ICE2]: 2 keeps the peer in the form that this crate writes.
pub(super) const IMPLEMENTATION_VERSION: u32 = 2;
