//! What the application wants of the peer.

use std::time::Instant;

use crate::headers::Headers;
use crate::method::{Method, StatusCode};
use crate::path::Path;
use crate::request::{Body, Request, Response};
use crate::ua::session::{Outgoing, Reinvite, Session, State};
use crate::ua::{
    ClientUse, EndCause, OutgoingInvite, RequestId, SessionId, UserAgent, VerbError, index,
};

impl UserAgent {
    /// Places a call. The session ends with `Rejected`, or lives with `Accepted`.
    ///
    /// # Errors
    ///
    /// [`VerbError::Limit`], [`VerbError::Overloaded`].
    pub fn invite(&mut self, invite: OutgoingInvite, now: Instant) -> Result<SessionId, VerbError> {
        self.check_rest(&invite.path, now)?;
        if self.sessions.len() >= self.config.limits.sessions {
            return Err(VerbError::Limit);
        }
        let path = invite.path;
        let local_tag = self.draw_token();
        let drawn = self.draw_token();
        let call_id =
            invite.call_id.clone().unwrap_or_else(|| format!("{drawn}@{}", path.local.ip()));
        let (mut request, headers, body) = invite.into_request(&call_id, &local_tag);
        self.add_session_expires(&mut request, None);
        let local_body = body.clone();
        self.complete(&mut request, &headers, body);
        let transaction = self.send_request(&mut request, path, now)?;
        let session = SessionId(self.draw_id());
        let mut state = Session::new(true, call_id, local_tag);
        state.local_body = local_body;
        self.by_local.insert(index(&state.call_id, &state.local_tag), session);
        state.outgoing = Some(Box::new(Outgoing {
            transaction,
            request,
            path,
            provisional: false,
            cancel: None,
            give_up: None,
        }));
        self.sessions.insert(session, Box::new(state));
        self.client_uses.insert(transaction, ClientUse::Invite(session));
        Ok(session)
    }

    /// Gives a call up that was not answered. CANCEL waits for the first provisional response;
    /// `Rejected` (487) follows, or `Ended` where the answer crossed it.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] where the call is answered, or is not ours.
    pub fn cancel(
        &mut self,
        session: SessionId,
        headers: Headers,
        now: Instant,
    ) -> Result<(), VerbError> {
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        if state.state != State::Early {
            return Err(VerbError::State);
        }
        let outgoing = state.outgoing.as_mut().ok_or(VerbError::State)?;
        outgoing.cancel = Some(headers);
        let provisional = outgoing.provisional;
        state.state = State::Cancelling;
        if provisional {
            self.send_cancel(session, now);
        }
        Ok(())
    }

    /// RFC 3261 §9.1.
    pub(super) fn send_cancel(&mut self, session: SessionId, now: Instant) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(outgoing) = &mut state.outgoing else { return };
        let Some(headers) = outgoing.cancel.take() else { return };
        let invite = &outgoing.request;
        let mut cancel = Request::new(Method::Cancel, invite.uri.clone());
        // The Via of the INVITE, and only that one.
        for name in ["Via", "Route", "From", "To", "Call-ID"] {
            for value in invite.headers.all(name) {
                cancel.headers.push(name, value);
            }
        }
        let cseq = invite.headers.cseq().ok().flatten().map_or(1, |cseq| cseq.number());
        cancel.headers.push("CSeq", format!("{cseq} CANCEL"));
        cancel.headers.push("Max-Forwards", "70");
        outgoing.give_up = now.checked_add(self.config.timers.timeout());
        let path = outgoing.path;
        self.complete(&mut cancel, &headers, None);
        if let Some(id) = self.transactions.request(cancel.to_bytes(), path, now) {
            self.client_uses.insert(id, ClientUse::Own(session));
        }
        self.flush();
        self.reschedule(session);
    }

    /// Acknowledges the 2xx of our INVITE or re-INVITE. The engine sends the ACK again for every
    /// retransmission of the 2xx.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] where no 2xx waits for its ACK.
    pub fn ack(
        &mut self,
        session: SessionId,
        headers: Headers,
        body: Option<Body>,
        _now: Instant,
    ) -> Result<(), VerbError> {
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        let cseq = state.awaiting_ack.take().ok_or(VerbError::State)?;
        let dialog = state.dialog.clone().ok_or(VerbError::State)?;
        let mut headers = headers;
        if let Some(outgoing) = &state.outgoing {
            // RFC 3261 §22.1: the ACK has the credentials of its INVITE.
            for name in ["Authorization", "Proxy-Authorization"] {
                for value in outgoing.request.headers.all(name) {
                    headers.push(name, value);
                }
            }
        }
        if body.is_some() {
            state.local_body = body.clone();
        }
        let ack = self.ack_of(&dialog, cseq, &headers, body);
        self.transmits.push_back(ack.clone());
        if let Some(state) = self.sessions.get_mut(&session) {
            state.ack = Some((cseq, ack));
        }
        Ok(())
    }

    /// Acknowledges the reliable provisional response of a fork, `to_tag`, that made the offer, as
    /// our INVITE had none (RFC 3262 §5): `body` is the answer. Every other is acknowledged by the
    /// engine. The answer to the PRACK comes as `Response`.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] where no such response waits.
    pub fn prack(
        &mut self,
        session: SessionId,
        to_tag: &str,
        headers: &Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<RequestId, VerbError> {
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        let mut forks = state.early.iter_mut();
        let early = forks.find(|early| early.dialog.remote_tag() == to_tag);
        let early = early.ok_or(VerbError::State)?;
        let (rseq, cseq) = early.offered.take().ok_or(VerbError::State)?;
        let mut prack = early.dialog.request(Method::Prack);
        let path = early.dialog.next_hop();
        prack.headers.push("RAck", format!("{rseq} {cseq} INVITE"));
        if body.is_some() {
            state.local_body = body.clone();
        }
        self.complete(&mut prack, headers, body);
        let transaction = self.send_request(&mut prack, path, now)?;
        let id = RequestId(self.draw_id());
        let session = Some(session);
        self.client_uses.insert(transaction, ClientUse::Request { session, id });
        Ok(id)
    }

    /// Sends a re-INVITE. Where it meets the peer's own it is tried again by itself.
    ///
    /// # Errors
    ///
    /// [`VerbError::Pending`] while another INVITE of the session is under way.
    pub fn reinvite(
        &mut self,
        session: SessionId,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<RequestId, VerbError> {
        let retries = self.config.glare_retries;
        let id = RequestId(self.draw_id());
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        if state.state != State::Established {
            return Err(VerbError::State);
        }
        // RFC 3261 §14.1: one INVITE at a time, either way.
        if state.reinvite.is_some() || state.incoming.is_some() || state.awaiting_ack.is_some() {
            return Err(VerbError::Pending);
        }
        state.reinvite = Some(Box::new(Reinvite {
            id,
            transaction: None,
            cseq: 0,
            headers,
            body,
            retries,
            retry_at: None,
        }));
        self.retry_reinvite(session, now);
        Ok(id)
    }

    pub(super) fn retry_reinvite(&mut self, session: SessionId, now: Instant) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(dialog) = &mut state.dialog else { return };
        let Some(reinvite) = &mut state.reinvite else { return };
        reinvite.retry_at = None;
        let mut request = dialog.request(Method::Invite);
        let path = dialog.next_hop();
        reinvite.cseq = dialog.local_cseq();
        let (headers, body, id) = (reinvite.headers.clone(), reinvite.body.clone(), reinvite.id);
        if body.is_some() {
            state.local_body = body.clone();
        }
        self.add_session_expires(&mut request, Some(session));
        self.complete(&mut request, &headers, body);
        match self.send_request(&mut request, path, now) {
            Ok(transaction) => {
                self.client_uses.insert(transaction, ClientUse::Reinvite(session));
                if let Some(state) = self.sessions.get_mut(&session)
                    && let Some(reinvite) = &mut state.reinvite
                {
                    reinvite.transaction = Some(transaction);
                }
            }
            Err(_) => {
                if let Some(state) = self.sessions.get_mut(&session) {
                    state.reinvite = None;
                }
                let response = Response::new(StatusCode::SERVICE_UNAVAILABLE);
                self.emit(crate::ua::UaEvent::Response { session: Some(session), id, response });
            }
        }
    }

    /// Sends a request within the call: INFO, UPDATE, MESSAGE, REFER, NOTIFY and whatever else has
    /// no verb of its own. The final response comes as `Response`.
    ///
    /// # Errors
    ///
    /// [`VerbError::Method`] for INVITE, ACK, CANCEL, PRACK and BYE; [`VerbError::State`] before
    /// there is a dialog.
    pub fn request(
        &mut self,
        session: SessionId,
        method: Method,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<RequestId, VerbError> {
        const OWN: [Method; 5] =
            [Method::Invite, Method::Ack, Method::Cancel, Method::Prack, Method::Bye];
        if OWN.contains(&method) {
            return Err(VerbError::Method);
        }
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        let early = state.early.last_mut().map(|early| &mut early.dialog);
        let dialog = state.dialog.as_mut().or(early).ok_or(VerbError::State)?;
        let mut request = dialog.request(method);
        let path = dialog.next_hop();
        if request.method == Method::Update {
            self.add_session_expires(&mut request, Some(session));
        }
        self.complete(&mut request, &headers, body);
        let transaction = self.send_request(&mut request, path, now)?;
        let id = RequestId(self.draw_id());
        let session = Some(session);
        self.client_uses.insert(transaction, ClientUse::Request { session, id });
        Ok(id)
    }

    /// Ends an answered call. `Ended` follows at once.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] where the call is not answered: `cancel` or `reject` it.
    pub fn bye(
        &mut self,
        session: SessionId,
        headers: Headers,
        now: Instant,
    ) -> Result<(), VerbError> {
        let state = self.sessions.get(&session).ok_or(VerbError::NoSession)?;
        if state.state != State::Established {
            return Err(VerbError::State);
        }
        if state.awaiting_ack.is_some() {
            // The peer has to have its ACK first.
            self.ack(session, Headers::new(), None, now)?;
        }
        self.say_bye(session, &headers, now);
        self.end_session(session, EndCause::Local, now);
        Ok(())
    }

    pub(super) fn say_bye(&mut self, session: SessionId, headers: &Headers, now: Instant) {
        let dialog = self.sessions.get_mut(&session).and_then(|state| state.dialog.as_mut());
        let Some(dialog) = dialog else { return };
        let mut bye = dialog.request(Method::Bye);
        let path = dialog.next_hop();
        self.complete(&mut bye, headers, None);
        if let Ok(id) = self.send_request(&mut bye, path, now) {
            self.client_uses.insert(id, ClientUse::Own(session));
        }
    }

    /// Ends a call in whatever state it is: CANCEL, BYE, or 603.
    ///
    /// # Errors
    ///
    /// [`VerbError::NoSession`].
    pub fn end(
        &mut self,
        session: SessionId,
        headers: Headers,
        now: Instant,
    ) -> Result<(), VerbError> {
        let state = self.sessions.get(&session).ok_or(VerbError::NoSession)?;
        match (state.state, state.caller) {
            (State::Established, _) => self.bye(session, headers, now),
            (State::Early, true) => self.cancel(session, headers, now),
            (State::Cancelling, _) => Ok(()),
            (State::Early, false) => self.reject(session, StatusCode::DECLINE, headers, None, now),
        }
    }

    /// Sends a request outside any dialog. What it lacks of From, To, Call-ID, CSeq and
    /// Max-Forwards is added; Via is ours.
    ///
    /// # Errors
    ///
    /// [`VerbError::Method`] for INVITE, ACK and CANCEL; [`VerbError::Limit`],
    /// [`VerbError::Overloaded`].
    pub fn send(
        &mut self,
        request: Request,
        path: Path,
        now: Instant,
    ) -> Result<RequestId, VerbError> {
        if matches!(request.method, Method::Invite | Method::Ack | Method::Cancel) {
            return Err(VerbError::Method);
        }
        self.check_rest(&path, now)?;
        let mut request = request;
        self.fill(&mut request, path);
        let transaction = self.send_request(&mut request, path, now)?;
        let id = RequestId(self.draw_id());
        self.client_uses.insert(transaction, ClientUse::Request { session: None, id });
        Ok(id)
    }

    fn fill(&mut self, request: &mut Request, path: Path) {
        let tag = self.draw_token();
        let call_id = self.draw_token();
        let headers = &mut request.headers;
        headers.remove("Via");
        let from = match headers.from() {
            Ok(Some(from)) if from.tag().is_some() => None,
            Ok(Some(from)) => {
                let mut from = from.to_name_addr();
                from.set_tag(&tag);
                Some(from.to_string())
            }
            _ => Some(format!("<sip:{}>;tag={tag}", path.local)),
        };
        if let Some(from) = from {
            headers.set("From", from);
        }
        if !headers.contains("To") {
            headers.push("To", format!("<{}>", request.uri));
        }
        if !headers.contains("Call-ID") {
            headers.push("Call-ID", format!("{call_id}@{}", path.local.ip()));
        }
        if headers.cseq().ok().flatten().is_none_or(|cseq| cseq.method() != request.method) {
            headers.set("CSeq", format!("1 {}", request.method));
        }
        if !headers.contains("Max-Forwards") {
            headers.push("Max-Forwards", "70");
        }
        if !headers.contains("User-Agent") && !self.config.product.is_empty() {
            headers.push("User-Agent", &self.config.product);
        }
    }
}
