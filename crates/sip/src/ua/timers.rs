//! What a session does when its time comes.

use std::time::Instant;

use crate::headers::Headers;
use crate::method::StatusCode;
use crate::path::Transmit;
use crate::request::Origin;
use crate::ua::build::respond;
use crate::ua::{EndCause, SessionId, UaEvent, UserAgent};

impl UserAgent {
    pub(super) fn fire_sessions(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.schedule.first()
            && at <= now
        {
            self.schedule.pop_first();
            if let Some(session) = self.sessions.get_mut(&id) {
                session.scheduled = None;
            }
            self.fire_session(id, now);
            self.reschedule(id);
        }
    }

    fn fire_session(&mut self, id: SessionId, now: Instant) {
        if self.fire_unacked(id, now) || self.fire_unpracked(id, now) || self.fire_cancel(id, now) {
            return;
        }
        if self.fire_expiry(id, now) {
            return;
        }
        let Some(state) = self.sessions.get_mut(&id) else { return };
        let due = state.reinvite.as_ref().and_then(|reinvite| reinvite.retry_at);
        if due.is_some_and(|due| due <= now) {
            self.retry_reinvite(id, now);
        }
    }

    /// RFC 3261 §13.3.1.4: the 2xx goes out again until its ACK comes; after 64*T1 the call is
    /// ended. `true` where the session is over.
    fn fire_unacked(&mut self, id: SessionId, now: Instant) -> bool {
        let t2 = self.config.timers.t2;
        let Some(state) = self.sessions.get_mut(&id) else { return true };
        let Some(unacked) = &mut state.unacked else { return false };
        match unacked.fire(Some(t2), now) {
            Ok(due) => {
                if due {
                    let (path, payload) = (unacked.path, unacked.payload.clone());
                    self.transmits.push_back(Transmit { path, payload });
                }
                false
            }
            Err(()) => {
                self.say_bye(id, &Headers::new(), now);
                self.end_session(id, EndCause::NoAck, now);
                true
            }
        }
    }

    /// RFC 3262 §3: the same for a reliable provisional response, with doubling intervals; the
    /// INVITE is refused then.
    fn fire_unpracked(&mut self, id: SessionId, now: Instant) -> bool {
        let Some(state) = self.sessions.get_mut(&id) else { return true };
        let Some(unpracked) = &mut state.unpracked else { return false };
        match unpracked.fire(None, now) {
            Ok(due) => {
                if due {
                    let (path, payload) = (unpracked.path, unpracked.payload.clone());
                    self.transmits.push_back(Transmit { path, payload });
                }
                false
            }
            Err(()) => {
                let _ = self.refuse_incoming(
                    id,
                    StatusCode::SERVER_TIMEOUT,
                    &Headers::new(),
                    None,
                    now,
                );
                self.end_session(id, EndCause::NoPrack, now);
                true
            }
        }
    }

    /// RFC 3261 §9.1: nobody answers the cancelled INVITE for 64*T1.
    fn fire_cancel(&mut self, id: SessionId, now: Instant) -> bool {
        let Some(state) = self.sessions.get_mut(&id) else { return true };
        let Some(outgoing) = &state.outgoing else { return false };
        if outgoing.give_up.is_none_or(|at| at > now) {
            return false;
        }
        let mut response = respond(&outgoing.request.headers, StatusCode::REQUEST_TERMINATED, "");
        response.origin = Origin::Timeout;
        let transaction = outgoing.transaction;
        self.transactions.abandon(transaction);
        self.remove_session(id);
        self.emit(UaEvent::Rejected { session: id, response });
        true
    }
}
