//! Answers to our own requests (RFC 8445 §7.2.5).

use super::transactions::{Purpose, Transaction};
use super::{Agent, FoundationKey, older};
use crate::pair::{PairState, Valid};
use crate::{Candidate, CandidateKind, Dialect, InputError, Received, Role};
use linkspan_stun::{Class, IntegrityError, IntegrityKey, Message};
use std::net::SocketAddr;
use std::time::Instant;

impl Agent {
    pub(super) fn handle_response(
        &mut self,
        input: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), InputError> {
        let id = message.transaction_id();
        let index = self.transactions.iter().position(|transaction| transaction.id == id);
        let index = index.ok_or(InputError::NotMine)?;
        let Some(purpose) = self.transactions.get(index).map(|transaction| transaction.purpose)
        else {
            return Err(InputError::NotMine);
        };
        match message.verify_fingerprint() {
            // Skype for Business 2016 leaves it out of responses.
            Ok(_) | Err(IntegrityError::Missing) => {}
            Err(_) => return Err(InputError::Unauthenticated),
        }
        let (stream, is_gathering) = match purpose {
            Purpose::Check { stream, .. } | Purpose::Consent { stream, .. } => (stream, false),
            Purpose::Gather { stream, .. } => (stream, true),
        };
        if !is_gathering {
            let key = self.response_key(stream, purpose).ok_or(InputError::NotMine)?;
            // RFC 8489 §9.1.4: a response that is not authentic was never received.
            message.verify_integrity(&key).map_err(|_| InputError::Unauthenticated)?;
        }
        let transaction = self.transactions.swap_remove(index);
        if let Some(this) = self.streams.get_mut(stream).filter(|_| !is_gathering) {
            this.peer_version = message.implementation_version().or(this.peer_version);
        }
        match purpose {
            Purpose::Gather { stream, local } => {
                let mapped = message.xor_mapped_address().or_else(|| message.mapped_address());
                if let Some(mapped) = mapped.filter(|_| message.class() == Class::Success) {
                    self.add_reflexive(stream, local, mapped, transaction.remote);
                }
            }
            Purpose::Consent { stream, component } => {
                if message.class() == Class::Success {
                    self.renew_consent(stream, component, now);
                }
            }
            Purpose::Check { .. } => self.handle_check_response(&transaction, input, message, now),
        }
        Ok(())
    }

    /// The key that the peer answers with.
    fn response_key(&self, stream: usize, purpose: Purpose) -> Option<IntegrityKey> {
        let this = self.streams.get(stream)?;
        match (self.config.dialect, purpose) {
            (Dialect::MsIce1, Purpose::Check { pair, .. }) => {
                let remote = this.remotes.get(this.pairs.get(pair)?.remote)?;
                older::key_of(&this.users, &remote.foundation)
            }
            _ => Some(this.remote.as_ref()?.key.clone()),
        }
    }

    fn handle_check_response(
        &mut self,
        transaction: &Transaction,
        input: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) {
        // RFC 8445 §7.2.5.2.1: the answer must come back the way the check went.
        let path = (transaction.transport, transaction.local, transaction.remote);
        if (input.transport, input.local, input.remote) != path {
            return self.fail(transaction);
        }
        let Purpose::Check { stream, pair, role, priority, .. } = transaction.purpose else {
            return;
        };
        if message.class() == Class::Error {
            let is_conflict = message.error_code().is_some_and(|error| error.code == 487);
            if !is_conflict {
                return self.fail(transaction);
            }
            // RFC 8445 §7.2.5.1: switch, unless that has happened since, and check again.
            if role == self.role && !self.config.lite {
                self.switch_role();
            }
            if let Some(this) = self.streams.get_mut(stream) {
                this.trigger(pair);
            }
            return;
        }
        let Some(mapped) = message.xor_mapped_address() else { return self.fail(transaction) };
        self.succeed(transaction, mapped, priority, now);
    }

    fn succeed(
        &mut self,
        transaction: &Transaction,
        mapped: SocketAddr,
        priority: u32,
        now: Instant,
    ) {
        let Purpose::Check { stream, pair: index, use_candidate, .. } = transaction.purpose else {
            return;
        };
        let Some(valid) = self.valid_local(stream, index, mapped, priority) else { return };
        // Whatever else is under way for the pair has become needless.
        self.transactions.retain(|t| {
            !(t.is_for_pair(stream, index)
                && (t.is_cancelled
                    || !matches!(t.purpose, Purpose::Check { use_candidate: true, .. })))
        });
        let (role, delay) = (self.role, self.config.nomination_delay);
        let Some(this) = self.streams.get_mut(stream) else { return };
        let Some(pair) = this.pairs.get_mut(index) else { return };
        pair.state = PairState::Succeeded;
        pair.valid = Some(valid);
        let component = pair.component;
        match role {
            // RFC 8445 §7.2.5.3.4.
            Role::Controlling => pair.is_nominated |= use_candidate,
            Role::Controlled => pair.is_nominated |= pair.is_nominating,
        }
        pair.is_nominating &= role == Role::Controlling && !pair.is_nominated;
        if this.decide_at.is_none() && !this.is_decision_due {
            this.decide_at = Some(now + delay);
            // What stayed frozen behind a check of another component that is never answered would
            // miss the decision.
            let frozen = this.pairs.iter_mut().filter(|pair| pair.state == PairState::Frozen);
            frozen.for_each(|pair| pair.state = PairState::Waiting);
        }
        self.expect_reminder(stream, now);
        let Some(this) = self.streams.get(stream) else { return };
        let names = this.pairs.get(index).and_then(|pair| this.foundations(pair));
        if let Some((local, remote)) = names.map(|(l, r)| (l.to_owned(), r.to_owned())) {
            self.thaw(Some((&local, &remote)));
        }
        self.select(stream, component, now);
    }

    /// RFC 8445 §7.2.5.3.1: the local candidate with the mapped address; a new peer-reflexive one
    /// where there is none.
    fn valid_local(
        &mut self,
        stream: usize,
        pair: usize,
        mapped: SocketAddr,
        priority: u32,
    ) -> Option<Valid> {
        let limit = self.config.limits.candidates;
        let is_ms = self.config.dialect == Dialect::MsIce2;
        let this = self.streams.get(stream)?;
        let local_index = this.pairs.get(pair)?.local;
        let local = this.locals.get(local_index)?;
        let base = *this.bases.get(local_index)?;
        if local.address == mapped || !local.transport.is_udp() {
            return Some(Valid::Signalled(local_index));
        }
        let is_mapped = |c: &Candidate| {
            (c.component, c.transport, c.address) == (local.component, local.transport, mapped)
        };
        // [MS-ICE2]: a server-reflexive candidate must not be selected, Skype for Business ends
        // such a call. The peer-reflexive candidate with the same address is accepted.
        let known = this
            .locals
            .iter()
            .position(|c| is_mapped(c) && !(is_ms && c.kind == CandidateKind::Srflx));
        if let Some(index) = known {
            return Some(Valid::Signalled(index));
        }
        if let Some(index) = this.reflexives.iter().position(is_mapped) {
            return Some(Valid::Reflexive(index));
        }
        if this.reflexives.len() >= limit {
            return Some(Valid::Signalled(local_index));
        }
        let mut candidate = Candidate {
            address: mapped,
            kind: CandidateKind::Prflx,
            priority,
            related: Some(base),
            ..local.clone()
        };
        let transport = candidate.transport;
        let is_older = self.config.dialect == Dialect::MsIce1;
        let remote = this.pairs.get(pair).and_then(|pair| this.remotes.get(pair.remote));
        let older = remote.filter(|_| is_older).map(|remote| remote.foundation.clone());
        let key =
            FoundationKey { kind: CandidateKind::Prflx, transport, base: base.ip(), server: None };
        candidate.foundation = match older {
            Some(remote) => older::joined(&candidate.foundation, &remote),
            None => self.foundation(key).to_string(),
        };
        let this = self.streams.get_mut(stream)?;
        this.reflexives.push(candidate);
        Some(Valid::Reflexive(this.reflexives.len() - 1))
    }
}
