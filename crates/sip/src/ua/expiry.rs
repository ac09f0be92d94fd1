//! Session timers (RFC 4028).

use core::time::Duration;
use std::time::Instant;

use crate::headers::Headers;
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::path::Path;
use crate::request::{Request, Response};
use crate::transaction::TransactionId;
use crate::ua::{ClientUse, EndCause, RefusedError, SessionId, UaEvent, UserAgent};

/// The timer of one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    pub(super) interval: Duration,
    /// Whether we send the refreshes.
    pub(super) ours: bool,
    /// When we refresh, or give up.
    pub(super) at: Instant,
    /// When we give up, unless the session is refreshed before.
    pub(super) ends: Instant,
}

impl UserAgent {
    /// Session-Expires of an INVITE or UPDATE of ours.
    pub(super) fn add_session_expires(&self, request: &mut Request, session: Option<SessionId>) {
        let running =
            session.and_then(|session| self.sessions.get(&session)).and_then(|state| state.expiry);
        let wished = self.config.session_timer.interval;
        let value = match running {
            // The requester is "uac" whoever placed the call; the role stays where it is.
            Some(Expiry { interval, ours, .. }) => {
                let refresher = if ours { "uac" } else { "uas" };
                format!("{};refresher={refresher}", interval.as_secs())
            }
            None if !wished.is_zero() => wished.as_secs().to_string(),
            None => return,
        };
        request.headers.push("Session-Expires", value);
        request.headers.push("Min-SE", self.config.session_timer.min.as_secs().to_string());
    }

    /// RFC 4028 §9: an interval below our minimum is refused, from who knows what to do then.
    pub(super) fn refuse_interval(
        &mut self,
        message: &Message<'_>,
        id: TransactionId,
        path: Path,
        now: Instant,
    ) -> bool {
        let min = self.config.session_timer.min.as_secs();
        let asked = message.session_expires().ok().flatten().and_then(|value| value.number());
        let small = asked.is_some_and(|asked| u64::from(asked) < min);
        if !small || !message.supported().has("timer") {
            return false;
        }
        let mut extra = Headers::new();
        extra.push("Min-SE", min.to_string());
        let status = StatusCode::SESSION_INTERVAL_TOO_SMALL;
        self.answer(message, id, status, &extra, now);
        self.emit(UaEvent::Refused { path, error: RefusedError::Answered(status) });
        true
    }

    /// Adds what our 2xx to an INVITE or UPDATE says about the timer, and starts it.
    pub(super) fn answer_timer(
        &mut self,
        session: SessionId,
        request: &Headers,
        response: &mut Response,
        now: Instant,
    ) {
        let supports = request.supported().has("timer");
        let asked = request.session_expires().ok().flatten();
        let wished = self.config.session_timer.interval.as_secs();
        let (seconds, refresher) = match asked.map(|asked| (asked.number(), asked.params())) {
            Some((Some(seconds), params)) => {
                // RFC 4028 §9, table 2: who does not know timers does not refresh.
                let wish = params.value("refresher").filter(|_| supports);
                let theirs = supports && !wish.is_some_and(|wish| wish.eq_ignore_ascii_case("uas"));
                (u64::from(seconds), if theirs { "uac" } else { "uas" })
            }
            _ if wished > 0 => (wished, "uas"),
            _ => return self.stop_timer(session),
        };
        if !response.headers.contains("Session-Expires") {
            let value = format!("{seconds};refresher={refresher}");
            response.headers.push("Session-Expires", value);
            if refresher == "uac" && !response.headers.require().has("timer") {
                response.headers.push("Require", "timer");
            }
        }
        self.start_timer(session, Duration::from_secs(seconds), refresher == "uas", now);
    }

    /// Reads the timer from the 2xx to a request of ours.
    pub(super) fn take_timer(&mut self, session: SessionId, headers: &Headers, now: Instant) {
        let agreed = headers.session_expires().ok().flatten();
        let Some((seconds, params)) =
            agreed.and_then(|agreed| Some((agreed.number()?, agreed.params())))
        else {
            // RFC 4028 §7.2: this peer knows no timers. Who wishes for one refreshes then himself:
            // a peer that has vanished without a BYE is found out in no other way.
            let wished = self.config.session_timer.interval;
            return match wished.is_zero() {
                true => self.stop_timer(session),
                false => self.start_timer(session, wished, true, now),
            };
        };
        let theirs =
            params.value("refresher").is_some_and(|value| value.eq_ignore_ascii_case("uas"));
        self.start_timer(session, Duration::from_secs(seconds.into()), !theirs, now);
    }

    fn start_timer(&mut self, session: SessionId, interval: Duration, ours: bool, now: Instant) {
        let interval = interval.max(Duration::from_secs(1));
        // RFC 4028 §10: the refresher acts at half of the interval; the other gives up before its
        // end, by a third or by 32 s.
        let life = interval.saturating_sub(Duration::from_secs(32).min(interval / 3));
        let wait = if ours { interval / 2 } else { life };
        if let Some(state) = self.sessions.get_mut(&session) {
            let after = |wait| now.checked_add(wait).unwrap_or(now);
            let (at, ends) = (after(wait), after(life));
            state.expiry = Some(Expiry { interval, ours, at, ends });
        }
        self.reschedule(session);
    }

    fn stop_timer(&mut self, session: SessionId) {
        if let Some(state) = self.sessions.get_mut(&session) {
            state.expiry = None;
        }
        self.reschedule(session);
    }

    /// The timer of a session is due. `true` where the session is over.
    pub(super) fn fire_expiry(&mut self, session: SessionId, now: Instant) -> bool {
        let Some(state) = self.sessions.get_mut(&session) else { return true };
        let Some(expiry) = state.expiry.as_mut().filter(|expiry| expiry.at <= now) else {
            return false;
        };
        if !expiry.ours || expiry.ends <= now {
            self.say_bye(session, &Headers::new(), now);
            self.end_session(session, EndCause::SessionExpired, now);
            return true;
        }
        // The next try, should this one meet an INVITE that is under way.
        let next = now.checked_add((expiry.interval / 8).max(T_RETRY)).unwrap_or(now);
        expiry.at = next.min(expiry.ends);
        let busy = state.reinvite.is_some() || state.incoming.is_some();
        if !busy {
            self.refresh(session, now);
        }
        false
    }

    fn refresh(&mut self, session: SessionId, now: Instant) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        if !state.peer_updates {
            // RFC 4028 §7.4: a re-INVITE with the description as it is.
            let body = state.local_body.clone();
            if let Ok(id) = self.reinvite(session, Headers::new(), body, now)
                && let Some(state) = self.sessions.get_mut(&session)
            {
                state.refreshing = Some(id);
            }
            return;
        }
        let Some(dialog) = &mut state.dialog else { return };
        let mut request = dialog.request(Method::Update);
        let path = dialog.next_hop();
        self.add_session_expires(&mut request, Some(session));
        self.complete(&mut request, &Headers::new(), None);
        if let Ok(id) = self.send_request(&mut request, path, now) {
            self.client_uses.insert(id, ClientUse::Refresh(session));
        }
    }

    /// RFC 4028 §8: an UPDATE without a body is a refresh, and the engine's to answer.
    pub(super) fn answer_refresh(
        &mut self,
        session: SessionId,
        request: &Request,
        id: TransactionId,
        now: Instant,
    ) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let tag = state.local_tag.clone();
        if let Some(dialog) = &mut state.dialog {
            dialog.refresh_target(&request.headers);
        }
        let contact = state.dialog.as_ref().and_then(|dialog| dialog.contact().map(str::to_owned));
        let mut response = request.response(StatusCode::OK, &tag);
        if let Some(contact) = contact {
            response.headers.push("Contact", contact);
        }
        if !self.config.product.is_empty() {
            response.headers.push("Server", &self.config.product);
        }
        self.answer_timer(session, &request.headers, &mut response, now);
        self.transactions.respond(id, StatusCode::OK, response.to_bytes(), now);
        self.flush();
    }
}

/// Shortest wait between two tries to refresh.
const T_RETRY: Duration = Duration::from_secs(2);
