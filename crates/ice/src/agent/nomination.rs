//! Nomination, selection and failure (RFC 8445 §8).

use super::Agent;
use crate::pair::{Pair, PairState};
use crate::stream::{Selected, Stream};
use crate::{Dialect, IceEvent, Role, SelectedPair, StreamId};
use std::time::{Duration, Instant};

impl Agent {
    /// Selects the best nominated pair of a component and stops what it makes needless.
    pub(super) fn select(&mut self, stream: usize, component: u16, now: Instant) {
        let Some(this) = self.streams.get(stream) else { return };
        let nominated = this.pairs.iter().enumerate().filter(|(_, pair)| {
            pair.component == component && pair.is_nominated && pair.state == PairState::Succeeded
        });
        // Of pairs with the same priority the one nominated last; they are rare.
        let Some((index, best)) = nominated.max_by_key(|(_, pair)| pair.priority) else { return };
        let (priority, Some(pair)) = (best.priority, this.selected_pair(best)) else { return };
        let current = this.component(component).and_then(|component| component.selected.as_ref());
        let had_one = current.is_some();
        if current.is_some_and(|current| current.index == Some(index) && current.pair == pair) {
            return;
        }
        let selected = Selected {
            pair: pair.clone(),
            index: Some(index),
            keep_at: self.first_keepalive(now),
            expires_at: self.consent_of().map(|consent| now + consent.expiry),
            reminders: self.reminders(),
        };
        self.expect_reminder(stream, now);
        let Some(this) = self.streams.get_mut(stream) else { return };
        if let Some(component) = this.component_mut(component) {
            component.selected = Some(selected);
        }
        self.stop_checks(stream, component, priority);
        self.bind_relay(pair.local, pair.remote, now);
        self.share_connection(stream, component, index, &pair);
        let stream = StreamId(stream);
        self.events.push_back(if had_one {
            IceEvent::PairChanged { stream, component, pair }
        } else {
            IceEvent::ComponentConnected { stream, component, pair }
        });
        self.report_connected(stream.0);
    }

    /// [MS-ICE2]: over TCP all components go on the connection of the first, and none of them is
    /// nominated.
    fn share_connection(
        &mut self,
        stream: usize,
        component: u16,
        index: usize,
        pair: &SelectedPair,
    ) {
        let is_udp = pair.local_candidate.transport.is_udp();
        if self.config.dialect != Dialect::MsIce2 || is_udp || component != 1 {
            return;
        }
        let count = self.streams.get(stream).map_or(0, |this| this.components.len());
        for component in 2..=u16::try_from(count).unwrap_or(u16::MAX) {
            let mut pair = pair.clone();
            pair.local_candidate.component = component;
            pair.remote_candidate.component = component;
            let this = self.streams.get_mut(stream);
            let mut had_one = false;
            if let Some(other) = this.and_then(|this| this.component_mut(component)) {
                had_one = other.selected.is_some();
                let (keep_at, expires_at, index) = (None, None, Some(index));
                let selected = pair.clone();
                let selected =
                    Selected { pair: selected, index, keep_at, expires_at, reminders: 0 };
                other.selected = Some(selected);
            }
            self.stop_checks(stream, component, u64::MAX);
            let stream = StreamId(stream);
            self.events.push_back(if had_one {
                IceEvent::PairChanged { stream, component, pair }
            } else {
                IceEvent::ComponentConnected { stream, component, pair }
            });
        }
    }

    /// Nominates what is ready, and fails what is hopeless.
    pub(super) fn conclude(&mut self, now: Instant) {
        for stream in 0..self.streams.len() {
            if self.streams.get(stream).is_none_or(|this| !this.is_checking()) {
                continue;
            }
            // The repetition of a check, with its round trip.
            let fair = self.config.rto * 3 / 2;
            if let Some(this) = self.streams.get_mut(stream)
                && this.decide_at.is_some_and(|at| at <= now)
            {
                this.decide_at = chance_of_better(this, now, fair);
                this.is_decision_due = this.decide_at.is_none();
                this.is_put_off = true;
            }
            let chooses = self.role == Role::Controlling && !self.is_aggressive();
            if (chooses || self.config.dialect == Dialect::MsIce1) && !self.config.lite {
                self.nominate(stream, now);
            }
            self.give_up(stream, now);
        }
    }

    /// RFC 8445 §8.1.1: which pairs to nominate is the controlling agent's to choose. Ours: the best
    /// one as soon as no better one can come, or what is there when the delay is over.
    fn nominate(&mut self, stream: usize, now: Instant) {
        let Some(this) = self.streams.get(stream) else { return };
        let count = u16::try_from(this.components.len()).unwrap_or(u16::MAX);
        let choices: Vec<(u16, Option<usize>)> = (1..=count)
            .filter(|component| this.is_open(*component) && !is_nominating(this, *component))
            .map(|component| (component, choice(this, component)))
            .collect();
        // [MS-ICE2]: RTP and RTCP are nominated together, on pairs of the same foundations.
        if self.config.dialect != Dialect::Rfc8445
            && !this.is_decision_due
            && !are_alike(this, &choices)
        {
            return;
        }
        if self.config.dialect == Dialect::MsIce1 {
            return self.choose_older(stream, choices, now);
        }
        for (_, pair) in choices {
            let Some(pair) = pair else { continue };
            if let Some(pair) = self.streams.get_mut(stream).and_then(|s| s.pairs.get_mut(pair)) {
                pair.is_nominating = true;
            }
            // On a path that has just answered, and once: it need not wait for its turn.
            self.send_check(stream, pair, true, now);
        }
    }

    /// RFC 8445 §8.1.2: no further checks for the component; what is better may still end.
    fn stop_checks(&mut self, stream: usize, component: u16, priority: u64) {
        let mut stopped = Vec::new();
        let Some(this) = self.streams.get_mut(stream) else { return };
        for (index, pair) in this.pairs.iter_mut().enumerate() {
            if pair.component != component {
                continue;
            }
            let is_nominated_by_peer = pair.is_nominating && pair.is_triggered;
            match pair.state {
                PairState::Frozen | PairState::Waiting if !is_nominated_by_peer => {
                    pair.state = PairState::Failed;
                    pair.is_triggered = false;
                    stopped.push(index);
                }
                PairState::InProgress if pair.priority < priority => stopped.push(index),
                _ => {}
            }
        }
        this.triggered.retain(|index| !stopped.contains(index));
        for index in stopped {
            self.cancel(stream, index);
        }
        self.thaw(None);
    }

    pub(super) fn report_connected(&mut self, stream: usize) {
        let Some(this) = self.streams.get_mut(stream) else { return };
        let count = u16::try_from(this.components.len()).unwrap_or(u16::MAX);
        if this.is_connected || (1..=count).any(|component| this.is_open(component)) {
            return;
        }
        this.is_connected = true;
        this.give_up_at = None;
        this.decide_at = None;
        this.previous = None;
        self.events.push_back(IceEvent::StreamConnected { stream: StreamId(stream) });
        if !self.is_completed && self.streams.iter().all(|stream| stream.is_connected) {
            self.is_completed = true;
            self.events.push_back(IceEvent::Completed);
        }
    }

    /// RFC 8863: not before the patience is over, because a check of the peer may still come. In
    /// [MS-ICE2] the phase ends then whatever is under way.
    fn give_up(&mut self, stream: usize, now: Instant) {
        let (is_ms, patience) = (self.config.dialect != Dialect::Rfc8445, self.config.patience);
        let Some(this) = self.streams.get_mut(stream).filter(|this| !this.is_connected) else {
            return;
        };
        if this.give_up_at.is_some_and(|at| at <= now) {
            // The peer may still be about to nominate what has succeeded, or be reached where its
            // own checks have come from; where one component reaches it, the others may too.
            let has_hope = |p: &Pair| p.state == PairState::Succeeded || p.is_heard;
            let extends = !this.is_extended && this.pairs.iter().any(has_hope);
            this.is_extended = true;
            this.give_up_at = extends.then(|| now + patience);
            this.is_impatient = !extends;
        }
        let is_open = |pair: &Pair| this.is_open(pair.component);
        let is_possible = has_all(this, |p| p.is_pending() || p.state == PairState::Succeeded);
        let is_pending =
            is_possible && this.pairs.iter().any(|pair| is_open(pair) && pair.is_pending());
        let is_deciding = this
            .pairs
            .iter()
            .any(|pair| is_open(pair) && pair.is_nominating && pair.state != PairState::Failed);
        let may_come = is_pending || !this.remotes_complete;
        if !this.is_impatient || is_deciding || (may_come && !is_ms) {
            return;
        }
        this.end();
        self.transactions.retain(|transaction| !transaction.is_check_of(stream));
        self.events.push_back(IceEvent::Failed { stream: StreamId(stream) });
    }
}

/// True when every open component has a pair of that kind.
fn has_all(stream: &Stream, wanted: impl Fn(&Pair) -> bool) -> bool {
    let count = u16::try_from(stream.components.len()).unwrap_or(u16::MAX);
    (1..=count).filter(|component| stream.is_open(*component)).all(|component| {
        stream.pairs.iter().any(|pair| pair.component == component && wanted(pair))
    })
}

/// Until when the decision is put off, once: two agents' checks that open the way for each other may
/// both have to be repeated, and a better pair than those that have succeeded was checked too late
/// for that.
fn chance_of_better(stream: &Stream, now: Instant, fair: Duration) -> Option<Instant> {
    let succeeded = |component| {
        let pairs = stream.pairs.iter().filter(move |pair| pair.component == component);
        pairs.filter(|pair| pair.state == PairState::Succeeded).map(|pair| pair.priority).max()
    };
    let pending = stream.pairs.iter().filter(|pair| pair.is_pending() && !stream.is_put_off);
    let better = pending.filter(|pair| {
        stream.is_open(pair.component)
            && succeeded(pair.component).is_some_and(|best| best < pair.priority)
    });
    let until = better.map(|pair| pair.checked_at.unwrap_or(now) + fair).max();
    until.filter(|until| *until > now)
}

fn is_nominating(stream: &Stream, component: u16) -> bool {
    stream.pairs.iter().any(|pair| {
        pair.component == component && pair.is_nominating && pair.state != PairState::Failed
    })
}

/// The pair of a component to nominate now.
fn choice(stream: &Stream, component: u16) -> Option<usize> {
    let pairs = || stream.pairs.iter().enumerate().filter(|(_, p)| p.component == component);
    let succeeded = pairs().filter(|(_, pair)| pair.state == PairState::Succeeded);
    let (index, best) = succeeded.max_by_key(|(_, pair)| pair.priority)?;
    let is_best = pairs().all(|(_, pair)| !pair.is_pending() || pair.priority <= best.priority);
    (is_best || stream.is_decision_due).then_some(index)
}

/// True when every open component has its choice and all have the same foundations.
fn are_alike(stream: &Stream, choices: &[(u16, Option<usize>)]) -> bool {
    let mut names = choices.iter().map(|(_, pair)| {
        pair.and_then(|index| stream.pairs.get(index)).and_then(|pair| stream.foundations(pair))
    });
    let Some(first) = names.next() else { return true };
    // Over TCP the first component is all there is to nominate.
    let is_tcp = choices.iter().any(|(component, pair)| {
        let pair = pair.and_then(|index| stream.pairs.get(index));
        let local = pair.and_then(|pair| stream.locals.get(pair.local));
        *component == 1 && local.is_some_and(|local| !local.transport.is_udp())
    });
    is_tcp || first.is_some() && names.all(|other| other == first)
}
