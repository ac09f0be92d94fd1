use std::time::{Duration, Instant};

use super::sessions::Outcome;
use super::{ClientEnd, ClientEvent, ConferenceClient, Phase, refresh_after};
use crate::document::Document;
use crate::info::ConferenceInfo;
use crate::merge::MergeError;
use crate::reason::Diagnostic;
use crate::request::RequestId;
use crate::requests::ResponseError;
use crate::response::Response;
use crate::token::McuType;

impl ConferenceClient {
    /// The final response to the INVITE to the focus, with the diagnostic of its `ms-diagnostics`
    /// header and its body. ACK a 2xx in any case.
    pub fn handle_focus_response(
        &mut self,
        status: u16,
        diagnostic: Option<Diagnostic>,
        body: &[u8],
        now: Instant,
    ) {
        let Some(join) = self.join.filter(|_| self.phase == Phase::Joining) else { return };
        if status < 200 {
            return;
        }
        self.has_focus = status < 300;
        let response = Response::parse_with(body, &self.config.limits).ok();
        let taken = response.map(|response| self.requests.handle_response(response));
        if status >= 300 {
            // What the body says, if anything, is more precise than the status.
            self.requests.handle_sip_status(join, status, diagnostic);
        } else if taken != Some(Ok(())) {
            // A 2xx without the outcome of its command is no answer.
            return self.end(ClientEnd::refused(502));
        }
        self.drain_requests(now);
    }

    /// The final response to a SUBSCRIBE: its `Expires`, and its body where the server sends the
    /// first notification in it (`ms-piggyback-first-notify`).
    pub fn handle_subscribe_response(
        &mut self,
        status: u16,
        expires: Option<Duration>,
        body: &[u8],
        now: Instant,
    ) {
        if self.phase == Phase::Ended || !self.subscription.is_pending || status < 200 {
            return;
        }
        self.subscription.is_pending = false;
        if status >= 300 {
            return self.subscription_refused(status, now);
        }
        let expires = expires.unwrap_or(DEFAULT_EXPIRES).max(SHORTEST_EXPIRES);
        self.subscription.is_active = true;
        self.subscription.expires = Some(now + expires);
        self.subscription.refresh = Some(now + refresh_after(expires));
        if !body.is_empty() {
            self.handle_notification(body, now);
        }
    }

    /// The body of a NOTIFY or BENOTIFY.
    ///
    /// Gives the status to answer a NOTIFY with.
    pub fn handle_notification(&mut self, body: &[u8], now: Instant) -> u16 {
        if matches!(self.phase, Phase::Ended | Phase::Joining) {
            return 481;
        }
        if self.events.len() > self.config.limits.users {
            return 500;
        }
        let Ok(info) = ConferenceInfo::parse_with(body, &self.config.limits) else { return 400 };
        match self.conference.apply(info) {
            Ok(_) => {}
            Err(MergeError::OtherConference) => return 400,
            Err(error) if error.needs_full_state() => self.ask_for_full_state(now),
            Err(_) => {}
        }
        if self.conference.version().is_some() || self.conference.info().users.is_some() {
            self.review(now);
        }
        200
    }

    /// The subscription was ended by the server (`Subscription-State: terminated`): a new one is
    /// asked for.
    pub fn handle_subscription_ended(&mut self, now: Instant) {
        if self.phase != Phase::Ended && self.subscription.is_active {
            self.subscription.is_active = false;
            self.ask_for_full_state(now);
        }
    }

    /// The body of an INFO that came in the dialog with the focus: the outcome of a command.
    ///
    /// # Errors
    ///
    /// What to refuse the INFO with; nothing has changed.
    pub fn handle_info(&mut self, body: &[u8], now: Instant) -> Result<(), Diagnostic> {
        let document = Document::parse_with(body, &self.config.limits)
            .map_err(|error| Diagnostic::from(error.kind))?;
        let response = match document {
            Document::Response(response) => *response,
            // A focus sends no commands that a client could carry out.
            Document::Request(_) => return Err(Diagnostic::NotImplemented),
            _ => return Err(Diagnostic::Malformed),
        };
        let taken = self.requests.handle_response(response);
        self.drain_requests(now);
        match taken {
            Err(ResponseError::OtherSender) => Err(Diagnostic::InvalidFrom),
            // Late, repeated or odd ones are dropped: the focus need not know.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The final response to an INFO of ours.
    pub fn handle_info_response(
        &mut self,
        id: RequestId,
        status: u16,
        diagnostic: Option<Diagnostic>,
        body: &[u8],
        now: Instant,
    ) {
        // The outcome may stand in the response itself; it is held against the dialog all the same.
        if let Ok(response) = Response::parse_with(body, &self.config.limits)
            && response.request_id == id
        {
            let _ = self.requests.handle_response(response);
        }
        self.requests.handle_sip_status(id, status, diagnostic);
        self.drain_requests(now);
    }

    /// The final response to the INVITE to a conferencing server.
    pub fn handle_mcu_response(&mut self, mcu: &McuType, status: u16, now: Instant) {
        if (200..300).contains(&status) {
            self.sessions.answered(mcu);
        } else if status >= 300 {
            self.session_lost(mcu, Some(status), now);
        }
    }

    /// A conferencing server has ended its session: it is called again, as one that fails over
    /// comes back. Where the user was removed, the focus says so before the first attempt.
    pub fn handle_mcu_ended(&mut self, mcu: &McuType, now: Instant) {
        self.session_lost(mcu, None, now);
    }

    /// The dialog with the focus has ended: BYE, or it was lost.
    pub fn handle_focus_ended(&mut self, was_bye: bool) {
        self.has_focus = false;
        self.end(if was_bye { ClientEnd::Removed } else { ClientEnd::FocusLost });
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.phase == Phase::Ended {
            return;
        }
        self.requests.handle_timeout(now);
        self.drain_requests(now);
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            let end = match self.phase {
                Phase::Lobby => ClientEnd::LobbyTimeout,
                _ => ClientEnd::FocusLost,
            };
            self.end(end);
        }
        if self.phase == Phase::Ended {
            return;
        }
        if self.subscription.expires.is_some_and(|at| at <= now) {
            // No refresh was answered: begin anew.
            self.subscription = super::Subscription::default();
            self.subscribe(now);
        } else if self.subscription.refresh.is_some_and(|at| at <= now) {
            self.subscription.refresh = None;
            if !self.subscription.is_pending {
                self.subscribe(now);
            }
        }
        self.call_servers(now);
    }

    fn subscription_refused(&mut self, status: u16, now: Instant) {
        let lost = matches!(status, 404 | 481 | 489);
        let has_state = matches!(self.phase, Phase::Lobby | Phase::Joined);
        if !has_state {
            // Without a roster a user cannot be known to be in, nor where to go.
            return self.end(ClientEnd::refused(status));
        }
        if lost {
            self.subscription.is_active = false;
        }
        self.subscription.refresh = Some(now + self.config.refresh_gap.max(RETRY));
    }

    fn session_lost(&mut self, mcu: &McuType, status: Option<u16>, now: Instant) {
        if self.phase == Phase::Ended {
            return;
        }
        if self.sessions.lost(mcu, status, now) == Outcome::Failed {
            let (mcu, status) = (mcu.clone(), status.unwrap_or(503));
            self.events.push_back(ClientEvent::SessionFailed { mcu, status });
        }
    }
}

/// RFC 4575 §3.3: a subscription lasts an hour where nothing is said.
const DEFAULT_EXPIRES: Duration = Duration::from_secs(3_600);
/// No server makes a client refresh faster than this.
const SHORTEST_EXPIRES: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(5);
