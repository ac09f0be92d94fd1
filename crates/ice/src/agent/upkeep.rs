//! Keepalives and consent on selected pairs (RFC 8445 §11, RFC 7675).

use super::transactions::Purpose;
use super::{Agent, carrier};
use crate::stream::Stream;
use crate::{Consent, Role, Transmit};
use bytes::Bytes;
use linkspan_stun::{Class, MessageBuilder, Method, TransactionId};
use rand_core::Rng;
use std::time::{Duration, Instant};

impl Agent {
    /// Sends the keepalives and consent checks that are due.
    pub(super) fn keep_up(&mut self, now: Instant) {
        for stream in 0..self.streams.len() {
            let count = self.streams.get(stream).map_or(0, |this| this.components.len());
            for component in 1..=u16::try_from(count).unwrap_or(u16::MAX) {
                self.keep_component(stream, component, now);
            }
        }
    }

    pub(super) fn renew_consent(&mut self, stream: usize, component: u16, now: Instant) {
        let Some(consent) = self.consent_of() else { return };
        let this = self.streams.get_mut(stream).and_then(|this| this.component_mut(component));
        if let Some(selected) = this.and_then(|component| component.selected.as_mut())
            && selected.index.is_some()
        {
            selected.expires_at = Some(now + consent.expiry);
        }
    }

    pub(super) fn first_keepalive(&mut self, now: Instant) -> Option<Instant> {
        let wait = self.keepalive_wait();
        Some(now + wait)
    }

    /// RFC 7675 is for full agents; a lite one sends no checks.
    pub(super) fn consent_of(&self) -> Option<Consent> {
        self.config.consent.filter(|_| !self.config.lite)
    }

    pub(super) fn stream_deadline(&self, stream: &Stream) -> Option<Instant> {
        let upkeep = stream.components.iter().filter_map(|component| {
            let selected = component.selected.as_ref()?;
            [selected.keep_at, selected.expires_at].into_iter().flatten().min()
        });
        let phases = [stream.decide_at, stream.remind_at, stream.give_up_at];
        let phases = phases.into_iter().flatten().filter(|_| stream.is_checking());
        upkeep.chain(phases).min()
    }

    fn keep_component(&mut self, stream: usize, component: u16, now: Instant) {
        let this = self.streams.get(stream).and_then(|this| this.component(component));
        let Some(selected) = this.and_then(|component| component.selected.as_ref()) else { return };
        if selected.expires_at.is_some_and(|at| at <= now) {
            return self.lose_consent(stream, component);
        }
        if selected.keep_at.is_none_or(|at| at > now) {
            return;
        }
        if self.consent_of().is_some() {
            self.check_consent(stream, component, now);
        } else {
            self.send_indication(stream, component);
        }
        let next = self.first_keepalive(now);
        let this = self.streams.get_mut(stream).and_then(|this| this.component_mut(component));
        if let Some(selected) = this.and_then(|component| component.selected.as_mut()) {
            selected.keep_at = next;
        }
    }

    /// RFC 7675 §5.1: 0.8 to 1.2 times the interval, so that checks do not synchronise.
    fn keepalive_wait(&mut self) -> Duration {
        let Some(consent) = self.consent_of() else { return self.config.keepalive };
        let thousandths = 800 + self.random.next_u32() % 401;
        consent.interval.saturating_mul(thousandths) / 1000
    }

    /// RFC 7675 §5.1: a Binding request with the credentials of the session.
    fn check_consent(&mut self, stream: usize, component: u16, now: Instant) {
        let id = TransactionId::random(&mut self.random);
        let dialect = self.stun_dialect();
        let Some(this) = self.streams.get(stream) else { return };
        let selected = this.component(component).and_then(|component| component.selected.as_ref());
        let (Some(selected), Some(remote)) = (selected, &this.remote) else { return };
        let pair = &selected.pair;
        let path = (carrier(pair.local_candidate.transport), pair.local, pair.remote);
        let mut octets = Vec::with_capacity(128);
        let mut check =
            MessageBuilder::new(&mut octets, dialect, Class::Request, Method::Binding, id);
        check.priority(pair.local_candidate.priority);
        match self.role {
            Role::Controlling => check.ice_controlling(self.tie_breaker),
            Role::Controlled => check.ice_controlled(self.tie_breaker),
        };
        check.username(&this.username).sign(&remote.key);
        if check.finish().is_ok() {
            self.start(id, Purpose::Consent { stream, component }, path, octets, now);
        }
    }

    /// RFC 8445 §11: a Binding indication with a fingerprint only.
    fn send_indication(&mut self, stream: usize, component: u16) {
        let id = TransactionId::random(&mut self.random);
        let dialect = self.stun_dialect();
        let this = self.streams.get(stream).and_then(|this| this.component(component));
        let Some(selected) = this.and_then(|component| component.selected.as_ref()) else { return };
        let pair = &selected.pair;
        let mut octets = Vec::with_capacity(28);
        let indication =
            MessageBuilder::new(&mut octets, dialect, Class::Indication, Method::Binding, id);
        if indication.finish().is_ok() {
            let transmit = Transmit {
                transport: carrier(pair.local_candidate.transport),
                local: pair.local,
                remote: pair.remote,
                payload: Bytes::from(octets),
            };
            self.transmit(transmit);
        }
    }
}
