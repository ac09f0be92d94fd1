//! Requests that arrive.

use std::time::Instant;

use crate::error::ParseErrorKind;
use crate::headers::Headers;
use crate::lex;
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::path::{Path, Received};
use crate::request::Request;
use crate::transaction::{RequestMatch, TransactionId};
use crate::ua::build::respond;
use crate::ua::session::{Incoming, Session, State};
use crate::ua::{
    Asked, Dialect, EndCause, RefusedError, RequestId, SessionId, UaEvent, UserAgent, index,
};
use crate::{ParseError, dialog::Dialog};

impl UserAgent {
    pub(super) fn receive_request(
        &mut self,
        message: &Message<'_>,
        input: Received<'_>,
        now: Instant,
    ) {
        if let Err(error) = message.validate() {
            return self.refuse_invalid(message, input.path, error);
        }
        let path = response_path(message, input.path);
        // RFC 3261 §18.2.1 and RFC 3581 §4: the top Via tells where the request came from.
        match patched_via(message, &input.path) {
            Some(octets) => match Message::parse_within(&octets, &self.config.limits) {
                Ok(message) => self.match_request(&message, path, now),
                Err(error) => self.refuse_invalid(message, path, error),
            },
            None => self.match_request(message, path, now),
        }
    }

    fn match_request(&mut self, message: &Message<'_>, path: Path, now: Instant) {
        match self.transactions.receive_request(message, path, now) {
            RequestMatch::New(id) => self.new_request(message, id, path, now),
            RequestMatch::Ack => self.receive_ack(message, path),
            RequestMatch::Absorbed => {}
            RequestMatch::Full => {
                // Stateless, and with a wish for peace: RFC 3261 §21.5.4.
                let tag = self.draw_token();
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let mut response = respond(&message.to_headers(), status, &tag);
                response.headers.push("Retry-After", "10");
                let payload = response.to_bytes();
                self.transmits.push_back(crate::path::Transmit { path, payload });
                self.emit(UaEvent::Refused { path, error: RefusedError::Answered(status) });
            }
        }
        self.flush();
    }

    fn new_request(&mut self, message: &Message<'_>, id: TransactionId, path: Path, now: Instant) {
        let Some(request) = message.to_request() else { return };
        if request.method == Method::Cancel {
            return self.receive_cancel(message, request, id, path, now);
        }
        if let Some(subscription) = self.subscription_of(message) {
            return self.in_subscription(subscription, message, request, id, path, now);
        }
        let to_tag = message.to().ok().flatten().and_then(|to| to.tag());
        match self.find_session(message) {
            Some(session) => self.in_dialog(session, message, request, id, path, now),
            None if to_tag.is_some() && request.method != Method::Register => {
                self.refuse(message, id, path, StatusCode::CALL_DOES_NOT_EXIST, now);
            }
            None => self.out_of_dialog(message, request, id, path, now),
        }
    }

    /// The session that a request or an ACK belongs to.
    fn find_session(&self, message: &Message<'_>) -> Option<SessionId> {
        let call_id = message.call_id().ok()??;
        let from_tag = message.from().ok()??.tag().unwrap_or("");
        let to_tag = message.to().ok()??.tag();
        if let Some(tag) = to_tag {
            let id = *self.by_local.get(&index(call_id, tag))?;
            let dialog = self.sessions.get(&id)?.dialog.as_ref();
            // A caller without a confirmed dialog takes requests of any early one.
            return dialog.is_none_or(|dialog| dialog.remote_tag() == from_tag).then_some(id);
        }
        // Lync clients send BYE without To tag where they saw none.
        let tolerated = self.config.dialect == Dialect::Lync && message.method_str() == Some("BYE");
        tolerated.then(|| self.by_remote.get(&index(call_id, from_tag)).copied()).flatten()
    }

    fn out_of_dialog(
        &mut self,
        message: &Message<'_>,
        request: Request,
        id: TransactionId,
        path: Path,
        now: Instant,
    ) {
        // RFC 3261 §8.2: method, URI, loops, extensions, in this order.
        if !self.allows(&request.method) {
            return self.refuse(message, id, path, StatusCode::METHOD_NOT_ALLOWED, now);
        }
        let uri = request.uri.as_ref();
        if !uri.is_sip() && !uri.is_tel() {
            return self.refuse(message, id, path, StatusCode::UNSUPPORTED_URI_SCHEME, now);
        }
        // RFC 3261 §15.1.2, RFC 3262 §3, RFC 3311 §5.2, RFC 6086 §4.2.1: nothing outside a dialog.
        if matches!(request.method, Method::Bye | Method::Prack | Method::Update | Method::Info) {
            return self.refuse(message, id, path, StatusCode::CALL_DOES_NOT_EXIST, now);
        }
        if self.is_merged(message) {
            return self.refuse(message, id, path, StatusCode::LOOP_DETECTED, now);
        }
        if self.refuse_extensions(message, id, path, now) {
            return;
        }
        if self.refuse_interval(message, id, path, now) || self.refuse_event(message, id, path, now)
        {
            return;
        }
        if request.method == Method::Invite {
            return self.receive_invite(message, request, id, path, now);
        }
        self.ask(None, request, id, path);
    }

    /// RFC 3261 §8.2.2.2: the same request by another way.
    fn is_merged(&self, message: &Message<'_>) -> bool {
        let found = || {
            let tag = message.from().ok()??.tag()?;
            let id = self.by_remote.get(&index(message.call_id().ok()??, tag))?;
            let dialog =
                self.sessions.get(id).filter(|session| !session.caller)?.dialog.as_ref()?;
            Some(dialog.remote_cseq()? == message.cseq().ok()??.number())
        };
        message.method_str() == Some("INVITE") && found().unwrap_or(false)
    }

    /// RFC 3261 §8.2.2.3.
    fn refuse_extensions(
        &mut self,
        message: &Message<'_>,
        id: TransactionId,
        path: Path,
        now: Instant,
    ) -> bool {
        let known =
            |tag: &str| self.config.supported.iter().any(|own| own.eq_ignore_ascii_case(tag));
        let unknown: Vec<&str> = message.require().filter(|tag| !known(tag)).collect();
        if unknown.is_empty() {
            return false;
        }
        let mut extra = Headers::new();
        extra.push("Unsupported", unknown.join(", "));
        self.answer(message, id, StatusCode::BAD_EXTENSION, &extra, now);
        let error = RefusedError::Answered(StatusCode::BAD_EXTENSION);
        self.emit(UaEvent::Refused { path, error });
        true
    }

    fn receive_invite(
        &mut self,
        message: &Message<'_>,
        request: Request,
        transaction: TransactionId,
        path: Path,
        now: Instant,
    ) {
        if self.sessions.len() >= self.config.limits.sessions {
            return self.refuse(message, transaction, path, StatusCode::SERVICE_UNAVAILABLE, now);
        }
        let replaces = match self.find_replaced(message) {
            Ok(replaces) => replaces,
            Err(status) => return self.refuse(message, transaction, path, status, now),
        };
        let local_tag = self.draw_token();
        let Some(dialog) = Dialog::from_request(&request, &local_tag, path) else {
            // RFC 3261 §8.1.1.8: an INVITE without a Contact cannot make a dialog.
            let error = ParseError::new(ParseErrorKind::Missing("Contact"), 0, true);
            self.answer(message, transaction, StatusCode::BAD_REQUEST, &Headers::new(), now);
            return self.emit(UaEvent::Refused { path, error: error.into() });
        };
        let session = SessionId(self.draw_id());
        let call_id = dialog.call_id().to_owned();
        self.by_local.insert(index(&call_id, &local_tag), session);
        self.by_remote.insert(index(&call_id, dialog.remote_tag()), session);
        let mut state = Session::new(false, call_id, local_tag);
        state.peer_updates = request.headers.allow().has("UPDATE");
        state.dialog = Some(dialog);
        state.replaces = replaces;
        state.incoming =
            Some(Box::new(Incoming { transaction, request: request.clone(), id: None }));
        self.sessions.insert(session, Box::new(state));
        self.emit(UaEvent::Invite { session, request, path });
    }

    fn in_dialog(
        &mut self,
        session: SessionId,
        message: &Message<'_>,
        request: Request,
        id: TransactionId,
        path: Path,
        now: Instant,
    ) {
        let cseq = message.cseq().ok().flatten().map_or(0, |cseq| cseq.number());
        let Some(state) = self.sessions.get_mut(&session) else { return };
        if let Some(dialog) = &mut state.dialog
            && !dialog.accept_cseq(cseq)
        {
            // RFC 3261 §12.2.2: out of order.
            return self.refuse(message, id, path, StatusCode::SERVER_INTERNAL_ERROR, now);
        }
        self.follow_peer(session, path);
        match request.method {
            Method::Bye => self.receive_bye(session, message, request, id, now),
            Method::Invite => self.receive_reinvite(session, message, request, id, path, now),
            Method::Prack => self.receive_prack(session, message, &request, id, path, now),
            ref method if !self.allows(method) => {
                self.refuse(message, id, path, StatusCode::METHOD_NOT_ALLOWED, now);
            }
            _ if self.refuse_extensions(message, id, path, now)
                || self.refuse_event(message, id, path, now) => {}
            Method::Update if self.refuse_interval(message, id, path, now) => {}
            Method::Update if request.body.is_empty() => {
                self.answer_refresh(session, &request, id, now);
            }
            _ => self.ask(Some(session), request, id, path),
        }
    }

    /// A peer whose connection was replaced is answered, and spoken to, on the new one.
    fn follow_peer(&mut self, session: SessionId, path: Path) {
        let dialog = self.sessions.get_mut(&session).and_then(|state| state.dialog.as_mut());
        if let Some(dialog) = dialog.filter(|dialog| {
            path.transport.is_reliable() && dialog.path().transport == path.transport
        }) {
            dialog.set_path(path);
        }
    }

    fn receive_bye(
        &mut self,
        session: SessionId,
        message: &Message<'_>,
        request: Request,
        id: TransactionId,
        now: Instant,
    ) {
        self.answer(message, id, StatusCode::OK, &Headers::new(), now);
        // RFC 3261 §15.1.2: what is pending ends with 487.
        self.end_session(session, EndCause::Bye(Box::new(request)), now);
    }

    fn receive_reinvite(
        &mut self,
        session: SessionId,
        message: &Message<'_>,
        request: Request,
        transaction: TransactionId,
        path: Path,
        now: Instant,
    ) {
        let Some(state) = self.sessions.get(&session) else { return };
        if state.incoming.is_some() {
            // RFC 3261 §14.2: a second INVITE before the answer to the first.
            let mut extra = Headers::new();
            extra.push("Retry-After", self.draw_below(11).to_string());
            self.answer(message, transaction, StatusCode::SERVER_INTERNAL_ERROR, &extra, now);
            let error = RefusedError::Answered(StatusCode::SERVER_INTERNAL_ERROR);
            return self.emit(UaEvent::Refused { path, error });
        }
        let ours = state.reinvite.as_ref().is_some_and(|own| own.transaction.is_some());
        let unanswered = state.caller && state.state != State::Established;
        if ours || unanswered || state.awaiting_ack.is_some() {
            // RFC 3261 §14.2: glare.
            return self.refuse(message, transaction, path, StatusCode::REQUEST_PENDING, now);
        }
        if self.refuse_extensions(message, transaction, path, now)
            || self.refuse_interval(message, transaction, path, now)
        {
            return;
        }
        let id = self.open(Some(session), request.clone(), transaction, path);
        if let Some(state) = self.sessions.get_mut(&session) {
            state.incoming =
                Some(Box::new(Incoming { transaction, request: request.clone(), id: Some(id) }));
        }
        self.emit(UaEvent::Reinvite { session, id, request });
    }

    /// RFC 3262 §3: RAck names the response and the INVITE.
    fn receive_prack(
        &mut self,
        session: SessionId,
        message: &Message<'_>,
        request: &Request,
        id: TransactionId,
        path: Path,
        now: Instant,
    ) {
        let rack = message.header("RAck").map(|value| value.split_ascii_whitespace());
        let rseq = rack.and_then(|mut parts| parts.next()).and_then(lex::number::<u32>);
        let state = self.sessions.get_mut(&session);
        let pending = state.and_then(|state| {
            let matches = state.unpracked.as_ref().is_some_and(|own| Some(own.number) == rseq);
            if matches { state.unpracked.take() } else { None }
        });
        let Some(pending) = pending else {
            // RFC 3262 §3: a PRACK may come behind our final response.
            let late = self.sessions.get(&session).is_some_and(|state| {
                state.rseq != 0 && Some(state.rseq) == rseq && state.incoming.is_none()
            });
            if late {
                return self.answer(message, id, StatusCode::OK, &Headers::new(), now);
            }
            return self.refuse(message, id, path, StatusCode::CALL_DOES_NOT_EXIST, now);
        };
        let incoming = self.sessions.get(&session).and_then(|state| state.incoming.as_ref());
        let had_offer = incoming.is_some_and(|incoming| !incoming.request.body.is_empty());
        let rseq = pending.number;
        if had_offer && !request.body.is_empty() {
            // RFC 3262 §5: a further offer, which the application answers in its 200.
            self.ask(Some(session), request.clone(), id, path);
            self.emit(UaEvent::ProgressAcked { session, rseq, body: None });
        } else {
            self.answer(message, id, StatusCode::OK, &Headers::new(), now);
            let body = request.to_body();
            self.emit(UaEvent::ProgressAcked { session, rseq, body });
        }
        self.reschedule(session);
    }

    fn receive_cancel(
        &mut self,
        message: &Message<'_>,
        request: Request,
        id: TransactionId,
        path: Path,
        now: Instant,
    ) {
        let invite = self.transactions.cancelled_by(message, &path);
        let session = invite.and_then(|invite| self.session_of_invite(message, invite));
        let Some(invite) = invite else {
            return self.refuse(message, id, path, StatusCode::CALL_DOES_NOT_EXIST, now);
        };
        // RFC 3261 §9.2: 200 in any case, with the To tag of the INVITE's responses.
        let tag = match session.and_then(|session| self.sessions.get(&session)) {
            Some(state) => state.local_tag.clone(),
            None => self.draw_token(),
        };
        let mut response = respond(&request.headers, StatusCode::OK, &tag);
        if !self.config.product.is_empty() {
            response.headers.push("Server", &self.config.product);
        }
        self.transactions.respond(id, StatusCode::OK, response.to_bytes(), now);
        self.flush();
        let Some(session) = session else { return };
        self.answer_pending(session, invite, now);
        let first = self.sessions.get(&session).is_some_and(|state| state.state == State::Early);
        if first {
            self.remove_session(session);
            self.emit(UaEvent::Cancelled { session, request });
        }
    }

    /// The session whose INVITE `invite` waits for its answer.
    fn session_of_invite(&self, message: &Message<'_>, invite: TransactionId) -> Option<SessionId> {
        let tag = message.from().ok()??.tag().unwrap_or("");
        let id = *self.by_remote.get(&index(message.call_id().ok()??, tag))?;
        let incoming = self.sessions.get(&id)?.incoming.as_ref()?;
        (incoming.transaction == invite).then_some(id)
    }

    /// 487 for an INVITE that waits for our answer.
    fn answer_pending(&mut self, session: SessionId, invite: TransactionId, now: Instant) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(incoming) = state.incoming.take_if(|own| own.transaction == invite) else {
            return;
        };
        state.unpracked = None;
        if let Some(id) = incoming.id {
            self.asked.remove(&id);
        }
        let status = StatusCode::REQUEST_TERMINATED;
        let response = respond(&incoming.request.headers, status, &state.local_tag);
        self.transactions.respond(invite, status, response.to_bytes(), now);
        self.flush();
        self.reschedule(session);
    }

    fn receive_ack(&mut self, message: &Message<'_>, path: Path) {
        let session = self.find_session(message);
        let cseq = message.cseq().ok().flatten().map(|cseq| cseq.number());
        let state = session.and_then(|session| self.sessions.get_mut(&session));
        let (Some(session), Some(state)) = (session, state) else {
            return self.emit(UaEvent::Refused { path, error: RefusedError::StrayAck });
        };
        // A retransmitted 2xx makes more than one ACK; only the first is news.
        if state.unacked.take_if(|own| Some(own.number) == cseq).is_some() {
            let body = message.to_request().and_then(|request| request.to_body());
            self.emit(UaEvent::Acked { session, body });
            self.reschedule(session);
        }
    }

    fn ask(
        &mut self,
        session: Option<SessionId>,
        request: Request,
        transaction: TransactionId,
        path: Path,
    ) {
        let id = self.open(session, request.clone(), transaction, path);
        self.emit(UaEvent::Request { session, id, request, path });
    }

    /// Notes a request that the application has to answer.
    fn open(
        &mut self,
        session: Option<SessionId>,
        request: Request,
        transaction: TransactionId,
        path: Path,
    ) -> RequestId {
        let id = RequestId(self.draw_id());
        let to_tag = self.draw_token();
        self.server_uses.insert(transaction, id);
        self.asked.insert(id, Asked { transaction, session, request, to_tag, path });
        id
    }

    /// Ends a session: pending INVITEs of the peer get 487, and the application is told.
    pub(super) fn end_session(&mut self, session: SessionId, cause: EndCause, now: Instant) {
        let pending = self.sessions.get(&session).and_then(|state| state.incoming.as_ref());
        if let Some(transaction) = pending.map(|incoming| incoming.transaction) {
            self.answer_pending(session, transaction, now);
        }
        if self.remove_session(session).is_some() {
            self.emit(UaEvent::Ended { session, cause });
        }
    }
}

/// Where the response to a request goes (RFC 3261 §18.2.2, RFC 3581 §4).
fn response_path(message: &Message<'_>, path: Path) -> Path {
    if path.transport.is_reliable() {
        return path;
    }
    let Ok(Some(via)) = message.via() else { return path };
    if via.rport().is_some() {
        return path;
    }
    let port = via.port().unwrap_or_else(|| path.transport.default_port());
    Path { remote: (path.remote.ip(), port).into(), ..path }
}

/// The message with `received` and `rport` in its top Via, where they are due.
fn patched_via(message: &Message<'_>, path: &Path) -> Option<Vec<u8>> {
    let via = message.via().ok()??;
    let asks = via.rport().is_some() && !path.transport.is_reliable();
    if !asks && via.host_ip() == Some(path.remote.ip()) {
        return None;
    }
    let mut params = crate::params::Params::from(via.params());
    params.set("received", &path.remote.ip().to_string());
    if via.rport().is_some() {
        params.set("rport", &path.remote.port().to_string());
    }
    let start = message.offset_of(via.as_str());
    let kept = via.as_str().len() - via.params().as_str().len();
    let octets = message.as_bytes();
    let mut patched = Vec::with_capacity(octets.len() + 64);
    patched.extend_from_slice(octets.get(..start + kept)?);
    patched.extend_from_slice(params.to_string().as_bytes());
    patched.extend_from_slice(octets.get(start + via.as_str().len()..)?);
    Some(patched)
}
