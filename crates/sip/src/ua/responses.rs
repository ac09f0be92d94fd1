//! Responses that arrive, and those that stand for none.

use std::time::Instant;

use crate::dialog::Dialog;
use crate::headers::Headers;
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::path::Path;
use crate::request::{Origin, Response};
use crate::transaction::{ResponseMatch, TransactionEvent, TransactionId};
use crate::ua::build::respond;
use crate::ua::session::{Early, State};
use crate::ua::{ClientUse, EndCause, RefusedError, SessionId, UaEvent, UserAgent, index};

impl UserAgent {
    pub(super) fn receive_response(&mut self, message: &Message<'_>, path: Path, now: Instant) {
        if let Err(error) = message.validate() {
            return self.emit(UaEvent::Refused { path, error: error.into() });
        }
        // RFC 3261 §8.1.3.3: a response with another Via below ours went astray.
        if message.vias().nth(1).is_some() {
            return self.emit(UaEvent::Refused { path, error: RefusedError::StrayResponse });
        }
        let retriable = self.retriable(message);
        self.note_rest(message, now);
        match self.transactions.receive_response(message, now) {
            ResponseMatch::Deliver(id) => {
                self.flush();
                if let Some((sent, path)) = retriable
                    && self.retry(id, &sent, path, message, now)
                {
                    return;
                }
                if let Some(response) = message.to_response() {
                    self.deliver(id, response, now);
                }
            }
            ResponseMatch::Absorbed => self.flush(),
            // RFC 6026 §7.2: a 2xx that comes after its transaction ended is acknowledged still.
            ResponseMatch::Stray if self.reack(message) => {}
            ResponseMatch::Stray => {
                self.emit(UaEvent::Refused { path, error: RefusedError::StrayResponse });
            }
        }
    }

    fn reack(&mut self, message: &Message<'_>) -> bool {
        let find = || {
            let cseq = message.cseq().ok()??;
            let tag = message.from().ok()??.tag()?;
            let id = self.by_local.get(&index(message.call_id().ok()??, tag))?;
            let (number, ack) = self.sessions.get(id)?.ack.as_ref()?;
            let fits = message.status()?.is_success()
                && cseq.method_str() == "INVITE"
                && cseq.number() == *number;
            fits.then(|| ack.clone())
        };
        let Some(ack) = find() else { return false };
        self.transmits.push_back(ack);
        true
    }

    /// Tells the transactions' own news, until nothing moves any more.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            self.flush();
            let Some(event) = self.transactions.poll_event() else { return };
            match event {
                TransactionEvent::TimedOut(id) => {
                    self.fail(id, StatusCode::REQUEST_TIMEOUT, Origin::Timeout, now);
                }
                TransactionEvent::TransportFailed(id) => {
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    self.fail(id, status, Origin::TransportFailure, now);
                }
                TransactionEvent::Terminated(id) => {
                    self.forget_client(id);
                    if let Some(request) = self.server_uses.remove(&id) {
                        self.asked.remove(&request);
                    }
                }
            }
        }
    }

    fn forget_client(&mut self, id: TransactionId) {
        if let Some(ClientUse::Invite(session)) = self.client_uses.remove(&id)
            && let Some(state) = self.sessions.get_mut(&session)
        {
            // No fork can answer any more.
            state.outgoing = None;
        }
    }

    /// A transaction ended without a response: one is made up (RFC 3261 §8.1.3.1).
    fn fail(&mut self, id: TransactionId, status: StatusCode, origin: Origin, now: Instant) {
        let Some(&use_) = self.client_uses.get(&id) else { return };
        if let ClientUse::Invite(session) = use_ {
            self.cancel_silent(session, now);
        }
        let request = match use_ {
            ClientUse::Invite(session) => self.sessions.get(&session).and_then(|state| {
                state.outgoing.as_ref().map(|outgoing| outgoing.request.headers.clone())
            }),
            _ => None,
        };
        let mut response = match request {
            Some(headers) => respond(&headers, status, ""),
            None => Response::new(status),
        };
        response.origin = origin;
        self.deliver(id, response, now);
    }

    /// RFC 3261 §16.8: a callee that rings beyond timer C is told to stop.
    fn cancel_silent(&mut self, session: SessionId, now: Instant) {
        let outgoing = self.sessions.get_mut(&session).and_then(|state| state.outgoing.as_mut());
        if let Some(outgoing) = outgoing
            && outgoing.provisional
            && outgoing.give_up.is_none()
        {
            outgoing.cancel = Some(Headers::new());
            self.send_cancel(session, now);
        }
    }

    fn deliver(&mut self, id: TransactionId, response: Response, now: Instant) {
        let Some(&use_) = self.client_uses.get(&id) else { return };
        match use_ {
            ClientUse::Invite(session) => self.invite_response(session, response, now),
            ClientUse::Reinvite(session) => self.reinvite_response(session, response, now),
            ClientUse::Request { session, id } if response.status.is_final() => {
                if let Some(session) = session
                    && response.status.is_success()
                    && response.headers.cseq().ok().flatten().is_some_and(refreshes_target)
                    && let Some(state) = self.sessions.get_mut(&session)
                    && let Some(dialog) = &mut state.dialog
                {
                    dialog.refresh_target(&response.headers);
                }
                let lost = is_lost(&response).then_some(response.status);
                self.emit(UaEvent::Response { session, id, response });
                // RFC 3261 §12.2.1.2: 481 and 408 end the dialog.
                if let (Some(session), Some(status)) = (session, lost) {
                    self.end_lost(session, status, now);
                }
            }
            ClientUse::Request { .. } => {}
            ClientUse::Refresh(session) if response.status.is_success() => {
                if let Some(dialog) =
                    self.sessions.get_mut(&session).and_then(|state| state.dialog.as_mut())
                {
                    dialog.refresh_target(&response.headers);
                }
                self.take_timer(session, &response.headers, now);
            }
            ClientUse::Refresh(session) if is_lost(&response) => {
                self.end_lost(session, response.status, now);
            }
            // The next try comes by itself.
            ClientUse::Refresh(_) => {}
            ClientUse::Subscribe(id) => self.subscribe_response(id, response, now),
            ClientUse::Notify(id) if response.status.is_final() => {
                self.notify_response(id, &response);
            }
            ClientUse::Notify(_) => {}
            ClientUse::Own(session) if response.status.is_final() => {
                if let Some(state) = self.sessions.get(&session)
                    && state.state == State::Established
                    && is_lost(&response)
                {
                    self.end_lost(session, response.status, now);
                }
            }
            ClientUse::Own(_) => {}
        }
    }

    fn end_lost(&mut self, session: SessionId, status: StatusCode, now: Instant) {
        if self.sessions.get(&session).is_some_and(|state| state.state == State::Established) {
            // The peer may still know the call where only a request was lost on its way.
            self.say_bye(session, &Headers::new(), now);
            self.end_session(session, EndCause::Lost(status), now);
        }
    }

    fn invite_response(&mut self, session: SessionId, response: Response, now: Instant) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        if response.status.is_provisional() {
            if let Some(outgoing) = &mut state.outgoing {
                outgoing.provisional = true;
            }
            if state.state == State::Cancelling {
                return self.send_cancel(session, now);
            }
            return self.invite_progress(session, response, now);
        }
        if response.status.is_success() {
            return self.invite_accepted(session, response, now);
        }
        if state.state == State::Established {
            // The transaction of an accepted INVITE ends in silence.
            return;
        }
        self.remove_session(session);
        self.emit(UaEvent::Rejected { session, response });
    }

    fn invite_progress(&mut self, session: SessionId, response: Response, now: Instant) {
        if response.status == StatusCode::TRYING {
            return;
        }
        let limit = self.config.limits.early_dialogs;
        let Some(state) = self.sessions.get_mut(&session) else { return };
        if state.state == State::Established {
            return;
        }
        let Some(outgoing) = &state.outgoing else { return };
        let path = outgoing.path;
        let tag = to_tag(&response);
        let reliable = response.headers.require().has("100rel");
        if let Some(tag) = tag.as_deref()
            && !state.early.iter().any(|early| early.dialog.remote_tag() == tag)
        {
            if state.early.len() >= limit {
                let error = RefusedError::Answered(response.status);
                return self.emit(UaEvent::Refused { path, error });
            }
            let dialog = Dialog::from_response(&outgoing.request, &response, path);
            state.early.extend(dialog.map(|dialog| Early { dialog, rseq: 0, offered: None }));
        }
        if reliable && !self.acknowledge_progress(session, tag.as_deref(), &response, now) {
            return;
        }
        self.emit(UaEvent::Progress { session, response });
    }

    /// Sends PRACK; `false` where the response is a retransmission or out of order
    /// (RFC 3262 §4).
    fn acknowledge_progress(
        &mut self,
        session: SessionId,
        tag: Option<&str>,
        response: &Response,
        now: Instant,
    ) -> bool {
        let Ok(Some(rseq)) = response.headers.rseq() else { return true };
        let Some(cseq) = response.headers.cseq().ok().flatten().map(|cseq| cseq.number()) else {
            return true;
        };
        let Some(state) = self.sessions.get_mut(&session) else { return false };
        // RFC 3262 §5: an offer in the response is answered in the PRACK.
        let asked = state.outgoing.as_ref().is_some_and(|own| own.request.body.is_empty());
        let offers = asked && !response.body.is_empty();
        let early = state.early.iter_mut().find(|early| Some(early.dialog.remote_tag()) == tag);
        let Some(early) = early else { return true };
        if early.rseq != 0 && rseq != early.rseq.wrapping_add(1) {
            return false;
        }
        early.rseq = rseq;
        if response.headers.contact().ok().flatten().is_some() {
            early.dialog.confirm(response);
        }
        if offers {
            early.offered = Some((rseq, cseq));
            return true;
        }
        let mut prack = early.dialog.request(Method::Prack);
        let path = early.dialog.next_hop();
        prack.headers.push("RAck", format!("{rseq} {cseq} INVITE"));
        self.complete(&mut prack, &Headers::new(), None);
        if let Ok(id) = self.send_request(&mut prack, path, now) {
            self.client_uses.insert(id, ClientUse::Own(session));
        }
        true
    }

    fn invite_accepted(&mut self, session: SessionId, response: Response, now: Instant) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let tag = to_tag(&response).unwrap_or_default();
        if state.state == State::Established {
            let same = state.dialog.as_ref().is_some_and(|dialog| dialog.remote_tag() == tag);
            let ack = state.ack.as_ref().map(|(_, ack)| ack.clone());
            return match (same, ack) {
                // RFC 3261 §13.2.2.4: each retransmission of the 2xx is acknowledged again.
                (true, Some(ack)) => self.transmits.push_back(ack),
                (true, None) => {}
                (false, _) => self.end_fork(session, &response, now),
            };
        }
        let Some(dialog) = self.confirmed_dialog(session, &response) else {
            // A 2xx without To tag or From: nothing can be said within such a dialog.
            self.remove_session(session);
            return self.emit(UaEvent::Rejected { session, response });
        };
        let Some(state) = self.sessions.get_mut(&session) else { return };
        if state.state == State::Cancelling {
            // RFC 3261 §15: the 2xx crossed our CANCEL.
            state.dialog = Some(dialog);
            state.state = State::Established;
            self.acknowledge_and_bye(session, now);
            return self.end_session(session, EndCause::Local, now);
        }
        state.state = State::Established;
        state.early.clear();
        let cseq = response.headers.cseq().ok().flatten();
        state.awaiting_ack = cseq.map(|cseq| cseq.number());
        let key = index(&state.call_id, dialog.remote_tag());
        state.dialog = Some(dialog);
        state.peer_updates = response.headers.allow().has("UPDATE");
        self.by_remote.insert(key, session);
        self.take_timer(session, &response.headers, now);
        self.emit(UaEvent::Accepted { session, response });
    }

    /// The dialog of a 2xx: an early one confirmed, or a new one.
    fn confirmed_dialog(&mut self, session: SessionId, response: &Response) -> Option<Dialog> {
        let state = self.sessions.get_mut(&session)?;
        let tag = to_tag(response)?;
        let found = state.early.iter().position(|early| early.dialog.remote_tag() == tag);
        if let Some(index) = found {
            let mut dialog = state.early.swap_remove(index).dialog;
            dialog.confirm(response);
            return Some(dialog);
        }
        let outgoing = state.outgoing.as_ref()?;
        Dialog::from_response(&outgoing.request, response, outgoing.path)
    }

    /// RFC 3261 §13.2.2.4: another fork answered too. One call is enough: ACK, then BYE.
    fn end_fork(&mut self, session: SessionId, response: &Response, now: Instant) {
        let Some(mut dialog) = self.confirmed_dialog(session, response) else { return };
        let cseq = response.headers.cseq().ok().flatten().map_or(1, |cseq| cseq.number());
        let ack = self.ack_of(&dialog, cseq, &Headers::new(), None);
        self.transmits.push_back(ack);
        let mut bye = dialog.request(Method::Bye);
        let path = dialog.next_hop();
        self.complete(&mut bye, &Headers::new(), None);
        // Nobody waits for its answer.
        let _ = self.send_request(&mut bye, path, now);
    }

    pub(super) fn acknowledge_and_bye(&mut self, session: SessionId, now: Instant) {
        let Some(state) = self.sessions.get(&session) else { return };
        let (Some(dialog), Some(outgoing)) = (state.dialog.clone(), &state.outgoing) else {
            return;
        };
        let cseq = outgoing.request.headers.cseq().ok().flatten().map_or(1, |cseq| cseq.number());
        let ack = self.ack_of(&dialog, cseq, &Headers::new(), None);
        self.transmits.push_back(ack);
        self.say_bye(session, &Headers::new(), now);
    }

    fn reinvite_response(&mut self, session: SessionId, response: Response, now: Instant) {
        if response.status.is_provisional() {
            return;
        }
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(reinvite) = &mut state.reinvite else {
            // A retransmitted 2xx after its end.
            if let Some((_, ack)) = state.ack.as_ref().filter(|_| response.status.is_success()) {
                self.transmits.push_back(ack.clone());
            }
            return;
        };
        reinvite.transaction = None;
        if response.status == StatusCode::REQUEST_PENDING && reinvite.retries > 0 {
            reinvite.retries -= 1;
            return self.back_off(session, now);
        }
        let (id, cseq) = (reinvite.id, reinvite.cseq);
        state.reinvite = None;
        if response.status.is_success()
            && let Some(dialog) = &mut state.dialog
        {
            dialog.refresh_target(&response.headers);
            // The application acknowledges; `ack` finds the number here.
            state.ack = None;
            state.awaiting_ack = Some(cseq);
        }
        let refresh = state.refreshing.take_if(|own| *own == id).is_some();
        if response.status.is_success() {
            self.take_timer(session, &response.headers, now);
        }
        let lost = is_lost(&response).then_some(response.status);
        if !refresh {
            self.emit(UaEvent::Response { session: Some(session), id, response });
        } else if response.status.is_success() {
            // Its answer is the description that is in force.
            let _ = self.ack(session, Headers::new(), None, now);
        }
        if let Some(status) = lost {
            self.end_lost(session, status, now);
        }
    }

    /// RFC 3261 §14.1: the owner of the Call-ID waits longer.
    fn back_off(&mut self, session: SessionId, now: Instant) {
        let draw = self.draw_below(200);
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let tens = if state.caller { 210 + draw % 191 } else { draw };
        if let Some(reinvite) = &mut state.reinvite {
            reinvite.retry_at = now.checked_add(core::time::Duration::from_millis(tens * 10));
        }
        self.reschedule(session);
    }
}

fn to_tag(response: &Response) -> Option<String> {
    response.headers.to().ok().flatten()?.tag().map(str::to_owned)
}

/// RFC 3261 §12.2.1.2: what ends a dialog, ours made up included.
fn is_lost(response: &Response) -> bool {
    response.status == StatusCode::CALL_DOES_NOT_EXIST
        || (response.status == StatusCode::REQUEST_TIMEOUT)
}

fn refreshes_target(cseq: crate::typed::CSeq<'_>) -> bool {
    matches!(cseq.method_str(), "UPDATE" | "SUBSCRIBE" | "NOTIFY" | "REFER")
}
