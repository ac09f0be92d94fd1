//! Answering checks (RFC 8445 §7.3).

use super::checks::IMPLEMENTATION_VERSION;
use super::{Agent, older};
use crate::pair::{Pair, PairState};
use crate::stream::EarlyCheck;
use crate::{
    Candidate, CandidateKind, CandidateTransport, Dialect, IceEvent, InputError, Received, Role,
    Transmit,
};
use bytes::Bytes;
use linkspan_stun::{
    AttributeType, Class, IntegrityError, IntegrityKey, Message, MessageBuilder, Method, ms,
};
use std::time::Instant;

impl Agent {
    pub(super) fn handle_request(
        &mut self,
        input: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), InputError> {
        let is_ms = self.config.dialect != Dialect::Rfc8445;
        let has_fingerprint = self.config.dialect == Dialect::MsIce2;
        let is_here = self.streams.iter().any(|stream| stream.local_at(input).is_some());
        if !is_here {
            return Err(InputError::NotMine);
        }
        match message.verify_fingerprint() {
            Ok(_) => {}
            // Some RFC 5245 agents leave it out; [MS-ICE2] says to discard such a request.
            Err(IntegrityError::Missing) if !has_fingerprint => {}
            Err(_) => return Err(InputError::Unauthenticated),
        }
        let Some(username) = message.username() else {
            // RFC 8489 §9.1.3: 400. [MS-ICE2]: discarded in silence, it is a keepalive.
            if !is_ms {
                self.refuse(input, message, None, 400, "Bad Request");
            }
            return Err(InputError::Unauthenticated);
        };
        let (stream, local, is_previous) =
            self.addressee(input, username).ok_or(InputError::NotMine)?;
        let Some(key) = self.key_of(stream, is_previous) else { return Err(InputError::NotMine) };
        match message.verify_integrity(&key) {
            Ok(()) => {}
            Err(IntegrityError::Missing) if !is_ms => {
                self.refuse(input, message, None, 400, "Bad Request");
                return Err(InputError::Unauthenticated);
            }
            Err(_) => {
                self.refuse(input, message, None, 401, "Unauthorized");
                return Err(InputError::Unauthenticated);
            }
        }
        self.handle_authentic(input, message, (stream, local, is_previous), &key, now);
        Ok(())
    }

    /// Processes what came before the remote credentials; the answers were sent then.
    pub(super) fn replay_early_checks(&mut self, stream: usize, now: Instant) {
        let Some(this) = self.streams.get_mut(stream) else { return };
        for check in std::mem::take(&mut this.early) {
            self.learn(stream, check, now);
        }
    }

    fn handle_authentic(
        &mut self,
        input: &Received<'_>,
        message: &Message<'_>,
        (stream, local, is_previous): (usize, usize, bool),
        key: &IntegrityKey,
        now: Instant,
    ) {
        let unknown: Vec<_> = message.unknown_required(is_known).collect();
        if !unknown.is_empty() {
            return self.refuse_unknown(input, message, key, &unknown);
        }
        if let Some(this) = self.streams.get_mut(stream) {
            this.peer_version = message.implementation_version().or(this.peer_version);
        }
        let is_older = self.config.dialect == Dialect::MsIce1;
        if !is_older && self.has_role_conflict(message) {
            return self.refuse(input, message, Some(key), 487, "Role Conflict");
        }
        let Some(priority) = message.priority().or_else(|| is_older.then_some(0)) else {
            return self.refuse(input, message, Some(key), 400, "Bad Request");
        };
        self.accept(input, message, key, stream);
        if is_previous {
            return;
        }
        let use_candidate = message.use_candidate();
        let user = self.older_sender(stream, local, message);
        let check = EarlyCheck { local, remote: input.remote, priority, use_candidate, user };
        let limit = self.config.limits.early_checks;
        let Some(this) = self.streams.get_mut(stream) else { return };
        if this.remote.is_some() {
            return self.learn(stream, check, now);
        }
        let has_room = this.early.len() < limit;
        let known = this.early.iter_mut().find(|e| (e.local, e.remote) == (local, input.remote));
        match known {
            Some(known) => known.use_candidate |= use_candidate,
            None if has_room => this.early.push(check),
            // The peer repeats its check when it gets no check from here.
            None => {}
        }
    }

    /// RFC 8445 §7.3.1.3 to §7.3.1.5, once the check has been answered.
    fn learn(&mut self, stream: usize, check: EarlyCheck, now: Instant) {
        let quota = self.pair_quota();
        let (role, is_lite, limit) = (self.role, self.config.lite, self.config.limits.candidates);
        let Some(this) = self.streams.get_mut(stream).filter(|this| this.is_checking()) else {
            return;
        };
        let Some(local) = this.locals.get(check.local) else { return };
        let (component, transport) = (local.component, local.transport);
        let remote = this.remote_at(component, transport.is_udp(), check.remote);
        // The older [MS-ICE]: of the candidate whose name the check has, and by both names.
        let announced = check.user.as_ref().map(|user| {
            let priority = older::announced(this, user).map(|candidate| candidate.priority);
            (older::joined(user, &local.foundation), priority)
        });
        let Some(remote) = remote.or_else(|| {
            // RFC 8445 §7.3.1.3: a peer-reflexive candidate.
            let count = this.remotes.len();
            let (name, priority) = match announced {
                Some((name, priority)) => (name, priority?),
                None => (format!("remote{count}"), check.priority),
            };
            (count < limit * 2).then(|| {
                this.remotes.push(Candidate {
                    foundation: name,
                    component,
                    transport: opposite(transport),
                    priority,
                    address: check.remote,
                    kind: CandidateKind::Prflx,
                    related: None,
                });
                count
            })
        }) else {
            return;
        };
        let known = this.pair_of(check.local, remote);
        let pair = known.or_else(|| {
            let priority = this.pair_priority(role, check.local, remote);
            let mut pair = Pair::new(check.local, remote, component, priority);
            pair.state = PairState::Waiting;
            this.insert_pair(pair, quota)
        });
        let Some(index) = pair else { return };
        let Some(pair) = this.pairs.get_mut(index) else { return };
        let was_heard = std::mem::replace(&mut pair.is_heard, true);
        let nominates = check.use_candidate && role == Role::Controlled;
        if is_lite {
            // RFC 8445 §8.2: the request itself makes the pair valid.
            pair.state = PairState::Succeeded;
            pair.is_nominated |= nominates;
            return self.select(stream, component, now);
        }
        match pair.state {
            PairState::Succeeded => {
                if nominates {
                    pair.is_nominated = true;
                    self.select(stream, component, now);
                }
            }
            PairState::InProgress => {
                pair.is_nominating |= nominates;
                // The first check of the peer opens the way that ours may have found closed. One
                // for each of its later ones would have both sides overtake themselves where the
                // round trip is longer than the pace.
                if !was_heard && (nominates || this.is_open(component)) {
                    this.trigger(index);
                    self.cancel(stream, index);
                }
            }
            PairState::Waiting | PairState::Frozen | PairState::Failed => {
                pair.is_nominating |= nominates;
                // A component that has its pair needs no other, unless the peer nominates one.
                if nominates || this.is_open(component) {
                    this.trigger(index);
                }
            }
        }
    }

    /// RFC 8445 §7.3.1.1. True when the request is to be refused; switches the role otherwise.
    fn has_role_conflict(&mut self, message: &Message<'_>) -> bool {
        let (theirs, larger_keeps) = match self.role {
            Role::Controlling => (message.ice_controlling(), true),
            Role::Controlled => (message.ice_controlled(), false),
        };
        let Some(theirs) = theirs else { return false };
        // RFC 8445 §6.1.1: with a lite peer there is no question who controls.
        if self.config.lite {
            return false;
        }
        if (self.tie_breaker >= theirs) == larger_keeps {
            return true;
        }
        self.switch_role();
        false
    }

    pub(super) fn switch_role(&mut self) {
        self.role = self.role.reversed();
        let role = self.role;
        for stream in &mut self.streams {
            stream.reprioritise(role);
            // What was under way was meant in the old role.
            stream.pairs.iter_mut().for_each(|pair| pair.is_nominating = false);
        }
        self.events.push_back(IceEvent::RoleChanged { role });
    }

    /// Which stream a username names, where the packet arrived, and whether by the credentials of
    /// before a restart.
    fn addressee(&self, input: &Received<'_>, username: &[u8]) -> Option<(usize, usize, bool)> {
        if self.config.dialect == Dialect::MsIce1 {
            return self.streams.iter().enumerate().find_map(|(index, stream)| {
                let local = stream.local_at(input)?;
                older::sender_at(stream, local, username).map(|_| (index, local, false))
            });
        }
        let end = username.iter().position(|octet| *octet == b':')?;
        let ufrag = username.get(..end)?;
        self.streams.iter().enumerate().find_map(|(index, stream)| {
            let local = stream.local_at(input)?;
            let previous = stream.previous.as_ref().map(|side| side.credentials.ufrag.as_bytes());
            if stream.local.credentials.ufrag.as_bytes() == ufrag {
                Some((index, local, false))
            } else {
                (previous == Some(ufrag)).then_some((index, local, true))
            }
        })
    }

    /// The older [MS-ICE]: whose check it is.
    fn older_sender(&self, stream: usize, local: usize, message: &Message<'_>) -> Option<String> {
        let this = self.streams.get(stream).filter(|_| self.config.dialect == Dialect::MsIce1)?;
        older::sender_at(this, local, message.username()?)
    }

    fn key_of(&self, stream: usize, is_previous: bool) -> Option<IntegrityKey> {
        let stream = self.streams.get(stream)?;
        let side = if is_previous { stream.previous.as_ref()? } else { &stream.local };
        Some(side.key.clone())
    }

    fn accept(
        &mut self,
        input: &Received<'_>,
        message: &Message<'_>,
        key: &IntegrityKey,
        stream: usize,
    ) {
        let mut octets = Vec::with_capacity(128);
        let mut reply = self.reply(&mut octets, message, Class::Success);
        reply.xor_mapped_address(input.remote);
        if self.config.dialect == Dialect::MsIce2 {
            // [MS-ICE2]: as every agent of the dialect does.
            reply.username(message.username().unwrap_or_default());
            reply.implementation_version(IMPLEMENTATION_VERSION);
        } else if self.config.dialect == Dialect::MsIce1 {
            reply.username(message.username().unwrap_or_default());
        }
        reply.sign(key);
        if reply.finish().is_err() {
            return;
        }
        let copy = self.wants_copies_for(stream).then(|| ms::altered_copy(&octets)).flatten();
        self.answer(input, octets);
        if let Some(copy) = copy {
            self.answer(input, copy);
        }
    }

    /// An error response. Without a key it is not signed, as RFC 8489 §9.1.3 says for 400 and 401.
    fn refuse(
        &mut self,
        input: &Received<'_>,
        message: &Message<'_>,
        key: Option<&IntegrityKey>,
        code: u16,
        reason: &str,
    ) {
        let mut octets = Vec::with_capacity(96);
        let mut reply = self.reply(&mut octets, message, Class::Error);
        reply.error_code(code, reason);
        if self.config.dialect == Dialect::MsIce2 {
            reply.implementation_version(IMPLEMENTATION_VERSION);
        }
        if let Some(key) = key {
            reply.sign(key);
        }
        if reply.finish().is_ok() {
            self.answer(input, octets);
        }
    }

    fn refuse_unknown(
        &mut self,
        input: &Received<'_>,
        message: &Message<'_>,
        key: &IntegrityKey,
        unknown: &[AttributeType],
    ) {
        let mut octets = Vec::with_capacity(128);
        let mut reply = self.reply(&mut octets, message, Class::Error);
        reply.error_code(420, "Unknown Attribute");
        reply.unknown_attributes(unknown.get(..16).unwrap_or(unknown)).sign(key);
        if reply.finish().is_ok() {
            self.answer(input, octets);
        }
    }

    fn reply<'b>(
        &self,
        octets: &'b mut Vec<u8>,
        message: &Message<'_>,
        class: Class,
    ) -> MessageBuilder<'b> {
        let id = message.transaction_id();
        MessageBuilder::new(octets, self.stun_dialect(), class, Method::Binding, id)
    }

    fn answer(&mut self, input: &Received<'_>, octets: Vec<u8>) {
        self.transmit(Transmit {
            transport: input.transport,
            local: input.local,
            remote: input.remote,
            payload: Bytes::from(octets),
        });
    }
}

/// RFC 8489 §14: what a Binding request may carry and is understood.
const fn is_known(kind: AttributeType) -> bool {
    matches!(
        kind,
        AttributeType::USERNAME
            | AttributeType::MESSAGE_INTEGRITY
            | AttributeType::MESSAGE_INTEGRITY_SHA256
            | AttributeType::PRIORITY
            | AttributeType::USE_CANDIDATE
            | AttributeType::REALM
            | AttributeType::NONCE
            | AttributeType::MAPPED_ADDRESS
            | AttributeType::XOR_MAPPED_ADDRESS
            | AttributeType::ERROR_CODE
            | AttributeType::UNKNOWN_ATTRIBUTES
    )
}

const fn opposite(transport: CandidateTransport) -> CandidateTransport {
    match transport {
        CandidateTransport::TcpPassive => CandidateTransport::TcpActive,
        CandidateTransport::TcpActive => CandidateTransport::TcpPassive,
        other => other,
    }
}
