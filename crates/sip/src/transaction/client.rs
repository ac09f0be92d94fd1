//! The client machines (RFC 3261 §17.1).

use std::time::Instant;

use bytes::Bytes;

use super::{Clock, Step, TransactionEvent};
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::path::Path;
use crate::request::Request;
use crate::ua::Timers;

#[derive(Debug)]
pub(super) struct Client {
    pub(super) request: Bytes,
    pub(super) path: Path,
    pub(super) key: Box<str>,
    invite: bool,
    state: State,
    clock: Clock,
    /// The ACK of a failure, for its retransmissions.
    ack: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Calling of INVITE, Trying of the others.
    Trying,
    Proceeding,
    /// A failure (INVITE) or any final response came.
    Completed,
    /// RFC 6026 §7.2: a 2xx for INVITE came, and more may.
    Accepted,
}

impl Client {
    pub(super) fn new(
        method: Method,
        request: Bytes,
        path: Path,
        key: Box<str>,
        timers: &Timers,
        now: Instant,
    ) -> Self {
        let invite = method == Method::Invite;
        // Timers B and F.
        let mut clock = Clock { deadline: now.checked_add(timers.timeout()), ..Clock::default() };
        if !path.transport.is_reliable() {
            // Timers A and E.
            clock.start_retransmit(timers.t1, now);
        }
        if method == Method::Benotify {
            // [MS-SIP]: nobody answers it, so that nothing is waited for.
            clock = Clock { deadline: Some(now), ..Clock::default() };
        }
        clock.scheduled = clock.due();
        Self { request, path, key, invite, state: State::Trying, clock, ack: None }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.clock.due()
    }

    pub(super) fn reschedule(&mut self) -> (Option<Instant>, Option<Instant>) {
        self.clock.reschedule()
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    pub(super) fn fire(&mut self, timers: &Timers, now: Instant) -> Step {
        // It has left the schedule.
        self.clock.scheduled = None;
        if self.clock.is_late(now) {
            let unanswerable = self.request.starts_with(b"BENOTIFY ");
            return match self.state {
                State::Trying | State::Proceeding if !unanswerable => {
                    Step::fail(TransactionEvent::TimedOut)
                }
                _ => Step::terminate(),
            };
        }
        if !self.clock.is_retransmit_due(now) {
            return Step::default();
        }
        match (self.invite, self.state) {
            // §17.1.1.2: timer A doubles without bound; it stops with the first response.
            (true, _) => self.clock.back_off(None, now),
            // §17.1.2.2: timer E doubles up to T2, and is T2 in Proceeding.
            (false, State::Proceeding) => self.clock.start_retransmit(timers.t2, now),
            (false, _) => self.clock.back_off(Some(timers.t2), now),
        }
        Step::send(self.request.clone())
    }

    /// Whether the user of the transactions has to see the response, and what to do.
    pub(super) fn receive(
        &mut self,
        status: StatusCode,
        response: &Message<'_>,
        timers: &Timers,
        now: Instant,
    ) -> (bool, Step) {
        match self.state {
            State::Trying | State::Proceeding if status.is_provisional() => {
                self.provisional(timers, now);
                (true, Step::default())
            }
            State::Trying | State::Proceeding => (true, self.finish(status, response, timers, now)),
            // RFC 6026 §7.2: further 2xx are the user's.
            State::Accepted => (status.is_success(), Step::default()),
            State::Completed if self.invite && status.is_final() && !status.is_success() => {
                (false, self.ack.clone().map(Step::send).unwrap_or_default())
            }
            State::Completed => (false, Step::default()),
        }
    }

    fn provisional(&mut self, timers: &Timers, now: Instant) {
        self.state = State::Proceeding;
        if self.invite {
            // §17.1.1.2: neither timer A nor B runs in Proceeding. Timer C of a proxy (§16.6 step
            // 11) keeps a silent callee from holding the transaction for ever.
            self.clock.retransmit = None;
            self.clock.deadline = now.checked_add(timers.c.max(timers.timeout()));
        }
    }

    fn finish(
        &mut self,
        status: StatusCode,
        response: &Message<'_>,
        timers: &Timers,
        now: Instant,
    ) -> Step {
        let reliable = self.path.transport.is_reliable();
        self.clock.retransmit = None;
        if !self.invite {
            // Timer K.
            self.state = State::Completed;
            self.clock.deadline = now.checked_add(timers.t4);
            return if reliable { Step::terminate() } else { Step::default() };
        }
        if status.is_success() {
            // RFC 6026 §8.4: timer M.
            self.state = State::Accepted;
            self.clock.deadline = now.checked_add(timers.timeout());
            return Step::default();
        }
        self.state = State::Completed;
        self.ack = self.build_ack(response);
        // Timer D: at least 32 s.
        self.clock.deadline = now.checked_add(timers.timeout());
        Step { transmit: self.ack.clone(), event: None, terminated: reliable }
    }

    /// RFC 3261 §17.1.1.3: the ACK of a failure is built from the request and the To of the
    /// response.
    fn build_ack(&self, response: &Message<'_>) -> Option<Bytes> {
        let invite = Message::parse(&self.request).ok()?;
        let mut ack = Request::new(Method::Ack, invite.uri()?.to_uri());
        ack.headers.push("Via", invite.via().ok()??.as_str());
        for route in invite.header_all("Route") {
            ack.headers.push("Route", route);
        }
        ack.headers.push("From", invite.header("From")?);
        ack.headers.push("To", response.header("To")?);
        ack.headers.push("Call-ID", invite.header("Call-ID")?);
        let cseq = invite.cseq().ok()??.number();
        ack.headers.push("CSeq", format!("{cseq} ACK"));
        ack.headers.push("Max-Forwards", "70");
        Some(ack.to_bytes())
    }
}
