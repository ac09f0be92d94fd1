//! The server machines (RFC 3261 §17.2).

use std::time::Instant;

use bytes::Bytes;

use super::{Clock, Step, TransactionEvent};
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::path::Path;
use crate::request::Response;
use crate::ua::Timers;

#[derive(Debug)]
pub(super) struct Server {
    pub(super) path: Path,
    pub(super) key: Box<str>,
    invite: bool,
    silent: bool,
    state: State,
    clock: Clock,
    /// What was sent last; before that, for INVITE, the 100 that waits.
    last: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Nothing was sent yet.
    Trying,
    Proceeding,
    /// A final response was sent; for INVITE a failure, whose ACK is waited for.
    Completed,
    /// The ACK came.
    Confirmed,
    /// RFC 6026 §7.1: a 2xx was sent.
    Accepted,
}

impl Server {
    pub(super) fn new(
        method: Method,
        request: &Message<'_>,
        path: Path,
        key: Box<str>,
        timers: &Timers,
        now: Instant,
    ) -> Self {
        let invite = method == Method::Invite;
        let mut clock = Clock::default();
        if invite {
            // §17.2.1: 100 unless the user answers within 200 ms.
            clock.start_retransmit(timers.trying, now);
        } else {
            // No client waits longer than timer F for an answer, so that nothing keeps the
            // transaction of a user who never gives one. A BENOTIFY ([MS-SIP]) never gets one.
            clock.deadline = now.checked_add(timers.timeout());
        }
        clock.scheduled = clock.due();
        let last = if invite { trying(request) } else { None };
        let silent = method == Method::Benotify;
        Self { path, key, invite, silent, state: State::Trying, clock, last }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.clock.due()
    }

    pub(super) fn reschedule(&mut self) -> (Option<Instant>, Option<Instant>) {
        self.clock.reschedule()
    }

    /// Whether an ACK is the user's: it is for a 2xx.
    pub(super) fn passes_ack(&self) -> bool {
        self.state == State::Accepted
    }

    /// A request of the same key: a retransmission, or the ACK.
    pub(super) fn receive(&mut self, ack: bool, timers: &Timers, now: Instant) -> Step {
        match self.state {
            State::Completed if ack && self.invite => {
                // Timer I; §17.2.1: zero on a reliable transport.
                self.state = State::Confirmed;
                self.clock.retransmit = None;
                self.clock.deadline = now.checked_add(timers.t4);
                if self.path.transport.is_reliable() { Step::terminate() } else { Step::default() }
            }
            State::Proceeding | State::Completed if !ack => {
                self.last.clone().map(Step::send).unwrap_or_default()
            }
            // RFC 6026 §7.1: retransmissions of an accepted INVITE are absorbed in silence.
            _ => Step::default(),
        }
    }

    /// `None` where a final response went out before, or none is allowed.
    pub(super) fn respond(
        &mut self,
        status: StatusCode,
        response: Bytes,
        timers: &Timers,
        now: Instant,
    ) -> Option<Step> {
        if self.silent {
            return None;
        }
        if matches!(self.state, State::Accepted) && self.invite && status.is_success() {
            // The user retransmits its 2xx (RFC 3261 §13.3.1.4).
            return Some(Step::send(response));
        }
        if !matches!(self.state, State::Trying | State::Proceeding) {
            return None;
        }
        self.clock.retransmit = None;
        self.last = Some(response.clone());
        if status.is_provisional() {
            self.state = State::Proceeding;
            return Some(Step::send(response));
        }
        let reliable = self.path.transport.is_reliable();
        // Timers H, L and J are all 64*T1.
        self.clock.deadline = now.checked_add(timers.timeout());
        let mut step = Step::send(response);
        if self.invite && status.is_success() {
            self.state = State::Accepted;
            self.last = None;
        } else {
            self.state = State::Completed;
            if self.invite && !reliable {
                // Timer G.
                self.clock.start_retransmit(timers.t1, now);
            }
            // Timer J is zero on a reliable transport.
            step.terminated = !self.invite && reliable;
        }
        Some(step)
    }

    pub(super) fn fire(&mut self, timers: &Timers, now: Instant) -> Step {
        // It has left the schedule.
        self.clock.scheduled = None;
        if self.clock.is_late(now) {
            return match self.state {
                State::Completed if self.invite => Step::fail(TransactionEvent::TimedOut),
                _ => Step::terminate(),
            };
        }
        if !self.clock.is_retransmit_due(now) {
            return Step::default();
        }
        match self.state {
            State::Trying => {
                self.clock.retransmit = None;
                self.state = State::Proceeding;
            }
            _ => self.clock.back_off(Some(timers.t2), now),
        }
        self.last.clone().map(Step::send).unwrap_or_default()
    }
}

/// RFC 3261 §8.2.6.1: a 100 without To tag, Timestamp copied.
fn trying(request: &Message<'_>) -> Option<Bytes> {
    let mut response = Response::new(StatusCode::TRYING);
    for name in ["Via", "From", "To", "Call-ID", "CSeq", "Timestamp"] {
        for value in request.header_all(name) {
            response.headers.push(name, value);
        }
    }
    Some(response.to_bytes())
}
