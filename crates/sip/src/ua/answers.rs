//! Answering what the peer asks.

use std::time::Instant;

use crate::headers::Headers;
use crate::method::{Method, StatusCode};
use crate::name_addr::NameAddr;
use crate::path::Path;
use crate::request::{Body, Request, Response};
use crate::ua::build::{merge, respond};
use crate::ua::session::{Resend, State};
use crate::ua::{RequestId, SessionId, UserAgent, VerbError};

impl UserAgent {
    /// Answers an INVITE provisionally. The response is reliable (RFC 3262) where the caller
    /// requires it, and where `headers` have `Require: 100rel` and the caller supports it.
    ///
    /// # Errors
    ///
    /// [`VerbError::Status`] where `status` is not 101 to 199, [`VerbError::Pending`] where an
    /// earlier reliable response has no PRACK yet, [`VerbError::State`] where the call is answered.
    pub fn progress(
        &mut self,
        session: SessionId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        if !status.is_provisional() || status == StatusCode::TRYING {
            return Err(VerbError::Status);
        }
        let state = self.sessions.get(&session).ok_or(VerbError::NoSession)?;
        let incoming = state.incoming.as_ref().filter(|_| state.state == State::Early);
        let request = &incoming.ok_or(VerbError::State)?.request;
        let wanted = headers.require().has("100rel");
        let reliable = request.headers.require().has("100rel")
            || (wanted && request.headers.supported().has("100rel"));
        if reliable && state.unpracked.is_some() {
            return Err(VerbError::Pending);
        }
        let mut headers = headers;
        if wanted && !reliable {
            headers.remove("Require");
        }
        let rseq = if state.rseq == 0 { None } else { Some(state.rseq) };
        let drawn = u32::try_from(self.draw_below(1 << 16)).unwrap_or(0);
        let rseq = rseq.map_or(drawn + 1, |last| last.wrapping_add(1));
        let mut response = self.session_response(session, status).ok_or(VerbError::State)?;
        if reliable {
            response.headers.push("RSeq", rseq.to_string());
            // RFC 3311 §5.1: with UPDATE in it the caller may send one before the answer.
            response.headers.push("Allow", self.allow());
            if !wanted {
                headers.push("Require", "100rel");
            }
        }
        response.body = merge(&mut response.headers, &headers, body);
        let payload = response.to_bytes();
        let timers = self.config.timers;
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        let transaction = state.incoming.as_ref().ok_or(VerbError::State)?.transaction;
        let path = state.dialog.as_ref().ok_or(VerbError::State)?.path();
        if reliable {
            state.rseq = rseq;
            state.unpracked = Some(Box::new(Resend {
                payload: payload.clone(),
                path,
                number: rseq,
                next: now.checked_add(timers.t1).unwrap_or(now),
                interval: timers.t1,
                deadline: now.checked_add(timers.timeout()).unwrap_or(now),
            }));
        }
        self.transactions.respond(transaction, status, payload, now);
        self.flush();
        self.reschedule(session);
        Ok(())
    }

    /// Answers an INVITE with 200. The engine sends it again until the ACK comes.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] where the call is answered already.
    pub fn accept(
        &mut self,
        session: SessionId,
        contact: NameAddr,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        if state.state != State::Early || state.incoming.is_none() {
            return Err(VerbError::State);
        }
        if let Some(dialog) = &mut state.dialog {
            dialog.set_contact(&contact);
        }
        state.state = State::Established;
        self.send_success(session, StatusCode::OK, &headers, body, now)?;
        self.end_replaced(session, now);
        Ok(())
    }

    /// 2xx of a first or later INVITE.
    fn send_success(
        &mut self,
        session: SessionId,
        status: StatusCode,
        headers: &Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        let mut response = self.session_response(session, status).ok_or(VerbError::State)?;
        response.headers.push("Allow", self.allow());
        if !self.config.supported.is_empty() {
            response.headers.push("Supported", self.config.supported.join(", "));
        }
        let local_body = body.clone();
        response.body = merge(&mut response.headers, headers, body);
        let incoming = self.sessions.get(&session).and_then(|state| state.incoming.as_ref());
        let request = incoming.ok_or(VerbError::State)?.request.headers.clone();
        self.answer_timer(session, &request, &mut response, now);
        let payload = response.to_bytes();
        let timers = self.config.timers;
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        if local_body.is_some() {
            state.local_body = local_body;
        }
        let incoming = state.incoming.take().ok_or(VerbError::State)?;
        let cseq = incoming.request.headers.cseq().ok().flatten().map_or(0, |cseq| cseq.number());
        state.unpracked = None;
        if let Some(dialog) = &mut state.dialog {
            if incoming.id.is_some() {
                dialog.refresh_target(&incoming.request.headers);
            }
            state.unacked = Some(Box::new(Resend {
                payload: payload.clone(),
                path: dialog.path(),
                number: cseq,
                next: now.checked_add(timers.t1).unwrap_or(now),
                interval: timers.t1,
                deadline: now.checked_add(timers.timeout()).unwrap_or(now),
            }));
        }
        self.transactions.respond(incoming.transaction, status, payload, now);
        self.flush();
        self.reschedule(session);
        Ok(())
    }

    /// Refuses an INVITE with 300 to 699. The session is over; no event follows.
    ///
    /// # Errors
    ///
    /// [`VerbError::Status`], and [`VerbError::State`] where the call is answered already.
    pub fn reject(
        &mut self,
        session: SessionId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        if !status.is_final() || status.is_success() {
            return Err(VerbError::Status);
        }
        let state = self.sessions.get(&session).ok_or(VerbError::NoSession)?;
        if state.state != State::Early || state.incoming.is_none() {
            return Err(VerbError::State);
        }
        self.refuse_incoming(session, status, &headers, body, now)?;
        self.remove_session(session);
        Ok(())
    }

    pub(super) fn refuse_incoming(
        &mut self,
        session: SessionId,
        status: StatusCode,
        headers: &Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        let mut response = self.session_response(session, status).ok_or(VerbError::State)?;
        response.body = merge(&mut response.headers, headers, body);
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        let incoming = state.incoming.take().ok_or(VerbError::State)?;
        state.unpracked = None;
        self.transactions.respond(incoming.transaction, status, response.to_bytes(), now);
        self.flush();
        self.reschedule(session);
        Ok(())
    }

    /// A response to the INVITE that waits, with our tag, and with what makes a dialog.
    fn session_response(&self, session: SessionId, status: StatusCode) -> Option<Response> {
        let state = self.sessions.get(&session)?;
        let request = &state.incoming.as_ref()?.request;
        let mut response = respond(&request.headers, status, &state.local_tag);
        if status.as_u16() < 300 {
            // RFC 3261 §12.1.1: as it came, byte for byte.
            for route in request.headers.all("Record-Route") {
                response.headers.push("Record-Route", route);
            }
            let dialog = state.dialog.as_ref()?;
            let contact = match dialog.contact() {
                Some(contact) => contact.to_owned(),
                None => default_contact(request, dialog.path()),
            };
            response.headers.push("Contact", contact);
        }
        if !self.config.product.is_empty() {
            response.headers.push("Server", &self.config.product);
        }
        Some(response)
    }

    /// Answers a `Request` or a `Reinvite`. A provisional status leaves it open.
    ///
    /// # Errors
    ///
    /// [`VerbError::NoRequest`] where it was answered, or is over; [`VerbError::NoAnswer`] for
    /// BENOTIFY.
    pub fn respond(
        &mut self,
        id: RequestId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        let asked = self.asked.get(&id).ok_or(VerbError::NoRequest)?;
        if asked.request.method == Method::Benotify {
            self.asked.remove(&id);
            return Err(VerbError::NoAnswer);
        }
        let session = asked.session;
        if let (Some(session), Method::Invite) = (session, &asked.request.method) {
            return self.respond_reinvite(session, id, status, &headers, body, now);
        }
        let state = session.and_then(|session| self.sessions.get(&session));
        let tag = state.map_or(&asked.to_tag, |state| &state.local_tag);
        let mut response = respond(&asked.request.headers, status, tag);
        if !self.config.product.is_empty() {
            response.headers.push("Server", &self.config.product);
        }
        if asked.request.method == Method::Options && status.is_success() {
            // RFC 3261 §11.2.
            response.headers.push("Allow", self.allow());
            if !self.config.supported.is_empty() {
                response.headers.push("Supported", self.config.supported.join(", "));
            }
        }
        response.body = merge(&mut response.headers, &headers, body);
        let transaction = asked.transaction;
        let refreshes = asked.request.method == Method::Update && status.is_success();
        if let Some(session) = session.filter(|_| refreshes) {
            let headers = asked.request.headers.clone();
            self.answer_timer(session, &headers, &mut response, now);
            let by = headers.from().ok().flatten().and_then(|from| from.tag()).unwrap_or_default();
            let state = self.sessions.get_mut(&session);
            if let Some(dialog) = state.and_then(|state| state.dialog_with(by)) {
                dialog.refresh_target(&headers);
                if let Some(contact) = dialog.contact() {
                    response.headers.set("Contact", contact);
                }
            }
        }
        if status.is_final() {
            self.asked.remove(&id);
        }
        let sent = self.transactions.respond(transaction, status, response.to_bytes(), now);
        self.settle(now);
        if sent { Ok(()) } else { Err(VerbError::NoRequest) }
    }

    fn respond_reinvite(
        &mut self,
        session: SessionId,
        id: RequestId,
        status: StatusCode,
        headers: &Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        let waits = self.sessions.get(&session).and_then(|state| state.incoming.as_ref());
        if waits.is_none_or(|incoming| incoming.id != Some(id)) {
            return Err(VerbError::NoRequest);
        }
        if status.is_final() {
            self.asked.remove(&id);
        }
        if status.is_success() {
            return self.send_success(session, status, headers, body, now);
        }
        if status.is_final() {
            return self.refuse_incoming(session, status, headers, body, now);
        }
        let mut response = self.session_response(session, status).ok_or(VerbError::NoRequest)?;
        response.body = merge(&mut response.headers, headers, body);
        let state = self.sessions.get(&session).and_then(|state| state.incoming.as_ref());
        let transaction = state.ok_or(VerbError::NoRequest)?.transaction;
        self.transactions.respond(transaction, status, response.to_bytes(), now);
        self.flush();
        Ok(())
    }
}

/// Our address as the peer reached it, where the application named no Contact yet.
fn default_contact(request: &Request, path: Path) -> String {
    let user = request.uri.user().map(|user| format!("{user}@")).unwrap_or_default();
    format!("<sip:{user}{};transport={}>", path.local, path.transport.uri_token())
}
