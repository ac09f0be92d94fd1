//! A focus and its conferencing server as SIP sees them: the stand-in for a Lync front end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use linkspan_c3p as c3p;
use linkspan_sip as sip;

use c3p::{
    CCCP_XML, CONFERENCE_INFO_XML, Endpoint, EndpointStatus, Focus, FocusConfig, FocusEvent,
    JoiningMethod, McuType, Media, MediaType, Request, Response, ResponseCode, SubscriptionId,
};
use sip::{Headers, Method, StatusCode, UaEvent};

/// Hosts one conference beside a user agent, whose events it is shown first.
///
/// Dialogs with the focus are its own; calls to the conferencing server it only notes on the
/// roster: who answers them, and with what media, is the owner's business.
#[derive(Debug)]
pub struct FocusHost {
    focus: Focus,
    contact: sip::NameAddr,
    /// Dialogs with the focus: who has each.
    members: HashMap<sip::SessionId, String>,
    /// Calls to the conferencing server.
    legs: HashMap<sip::SessionId, String>,
    subscriptions: HashMap<SubscriptionId, sip::SubscriptionId>,
    /// What the owner has to see to: filters, calls, the end.
    tasks: Vec<FocusEvent>,
}

impl FocusHost {
    /// A conference without participants.
    #[must_use]
    pub fn new(config: FocusConfig, contact: sip::NameAddr) -> Self {
        Self {
            focus: Focus::new(config, c3p::Limits::default()),
            contact,
            members: HashMap::new(),
            legs: HashMap::new(),
            subscriptions: HashMap::new(),
            tasks: Vec::new(),
        }
    }

    /// The conference.
    pub fn focus(&mut self) -> &mut Focus {
        &mut self.focus
    }

    /// What the owner has to see to.
    pub fn take_tasks(&mut self) -> Vec<FocusEvent> {
        std::mem::take(&mut self.tasks)
    }

    /// Takes an event of the user agent; true when it was about the focus.
    pub fn handle(&mut self, ua: &mut sip::UserAgent, event: &UaEvent, now: Instant) -> bool {
        let taken = match event {
            UaEvent::Invite { session, request, .. } => self.invited(ua, *session, request, now),
            UaEvent::Request { session: Some(session), id, request, .. } => {
                self.requested(ua, *session, *id, request, now)
            }
            UaEvent::Request { session: None, id, request, .. } => {
                request.method == Method::Subscribe && self.subscribe(ua, *id, request, now)
            }
            UaEvent::SubscriptionRefreshed { subscription, expires, .. } => {
                self.refresh(ua, *subscription, expires.is_zero(), now)
            }
            UaEvent::SubscriptionEnded { subscription, .. } => self.forget(*subscription),
            UaEvent::Ended { session, .. } | UaEvent::Cancelled { session, .. } => {
                if let Some(user) = self.legs.remove(session) {
                    self.focus.session_ended(&user, &key_of(&user));
                }
                let member = self.members.remove(session);
                if let Some(user) = &member {
                    self.focus.user_left(user);
                }
                member.is_some()
            }
            UaEvent::Acked { session, .. } => self.members.contains_key(session),
            UaEvent::Response { session: Some(session), .. } => self.members.contains_key(session),
            _ => false,
        };
        self.drive(ua, now);
        taken
    }

    /// Sends what the focus has to tell; after every change that was made to it from outside.
    pub fn drive(&mut self, ua: &mut sip::UserAgent, now: Instant) {
        while let Some((to, info)) = self.focus.poll_notification() {
            if let Some(subscription) = self.subscriptions.get(&to) {
                notify(ua, *subscription, &info, now);
            }
        }
        while let Some(event) = self.focus.poll_event() {
            match &event {
                FocusEvent::Remove { user } => {
                    let of_user = |(_, one): &(&sip::SessionId, &String)| user.is(one);
                    let dialogs = self.members.iter().chain(&self.legs).filter(of_user);
                    let dialogs: Vec<_> = dialogs.map(|(session, _)| *session).collect();
                    for session in dialogs {
                        let _ = ua.end(session, Headers::new(), now);
                    }
                }
                FocusEvent::Ended => {
                    let dialogs: Vec<_> =
                        self.legs.drain().chain(self.members.drain()).map(|one| one.0).collect();
                    for session in dialogs {
                        let _ = ua.end(session, Headers::new(), now);
                    }
                }
                _ => {}
            }
            self.tasks.push(event);
        }
    }

    /// A call that [`FocusEvent::DialOut`] asked for was answered or not.
    pub fn dial_out_ended(
        &mut self,
        ua: &mut sip::UserAgent,
        task: &FocusEvent,
        outcome: Result<(), c3p::Reason>,
        now: Instant,
    ) {
        let FocusEvent::DialOut { request_id, by, .. } = task else { return };
        if let Some(response) = self.focus.dial_out_ended(*request_id, by, outcome) {
            self.inform(ua, by, &response, now);
        }
        self.drive(ua, now);
    }

    fn invited(
        &mut self,
        ua: &mut sip::UserAgent,
        session: sip::SessionId,
        request: &sip::Request,
        now: Instant,
    ) -> bool {
        let Some(user) = user_of(request) else { return false };
        let is_c3p = request.to_body().is_some_and(|body| body.content_type == CCCP_XML);
        if !is_c3p {
            self.legs.insert(session, user.clone());
            let _ = self.focus.session_changed(&user, media_session(&user));
            return false;
        }
        let answer = match Request::parse(&request.body) {
            Ok(request) => self.focus.handle_request(&user, &request),
            Err(error) => Err(error.kind.into()),
        };
        match answer {
            Ok(response) if response.code == ResponseCode::Success => {
                self.members.insert(session, user);
                let body = sip::Body::new(CCCP_XML, response.to_bytes());
                let contact = self.contact.clone();
                let _ = ua.accept(session, contact, Headers::new(), Some(body), now);
            }
            Ok(response) => {
                let reason = response.reply.reason.as_ref();
                let code = reason.map_or(500, c3p::Reason::sip_status);
                let body = sip::Body::new(CCCP_XML, response.to_bytes());
                let _ = ua.reject(session, status(code), Headers::new(), Some(body), now);
            }
            Err(diagnostic) => {
                let code = status(diagnostic.sip_status());
                let _ = ua.reject(session, code, refusal(diagnostic), None, now);
            }
        }
        true
    }

    fn requested(
        &mut self,
        ua: &mut sip::UserAgent,
        session: sip::SessionId,
        id: sip::RequestId,
        request: &sip::Request,
        now: Instant,
    ) -> bool {
        let Some(user) = self.members.get(&session).cloned() else { return false };
        match request.method {
            Method::Info => self.command(ua, id, request, &user, now),
            _ => {
                let _ = ua.respond(id, StatusCode::OK, Headers::new(), None, now);
            }
        }
        true
    }

    /// Participants may subscribe, in a dialog of its own.
    fn subscribe(
        &mut self,
        ua: &mut sip::UserAgent,
        id: sip::RequestId,
        request: &sip::Request,
        now: Instant,
    ) -> bool {
        let Some(user) = user_of(request) else { return false };
        let Some((own, info)) = self.focus.subscribe(&user) else {
            let _ = ua.respond(id, StatusCode::FORBIDDEN, Headers::new(), None, now);
            return true;
        };
        match ua.accept_subscription(id, &self.contact, LONGEST, Headers::new(), now) {
            Ok(subscription) => {
                self.subscriptions.insert(own, subscription);
                notify(ua, subscription, &info, now);
            }
            Err(_) => self.focus.unsubscribe(own),
        }
        true
    }

    /// More time, or the end.
    fn refresh(
        &mut self,
        ua: &mut sip::UserAgent,
        subscription: sip::SubscriptionId,
        is_end: bool,
        now: Instant,
    ) -> bool {
        let found = self.subscriptions.iter().find(|(_, one)| **one == subscription);
        let Some(own) = found.map(|(own, _)| *own) else { return false };
        if is_end {
            let state = sip::SubscriptionState::terminated("timeout");
            let _ = ua.notify(subscription, &state, &Headers::new(), None, now);
        } else if let Some(info) = self.focus.refresh(own) {
            notify(ua, subscription, &info, now);
        }
        true
    }

    fn forget(&mut self, subscription: sip::SubscriptionId) -> bool {
        let found = self.subscriptions.iter().find(|(_, one)| **one == subscription);
        let Some(own) = found.map(|(own, _)| *own) else { return false };
        self.subscriptions.remove(&own);
        self.focus.unsubscribe(own);
        true
    }

    /// 202 at once; the outcome follows in an INFO of the focus.
    fn command(
        &mut self,
        ua: &mut sip::UserAgent,
        id: sip::RequestId,
        request: &sip::Request,
        user: &str,
        now: Instant,
    ) {
        let answer = match Request::parse(&request.body) {
            Ok(request) => self.focus.handle_request(user, &request),
            Err(error) => Err(error.kind.into()),
        };
        match answer {
            Ok(response) => {
                let _ = ua.respond(id, status(202), Headers::new(), None, now);
                self.inform(ua, user, &response, now);
            }
            Err(diagnostic) => {
                let code = status(diagnostic.sip_status());
                let _ = ua.respond(id, code, refusal(diagnostic), None, now);
            }
        }
    }

    fn inform(&self, ua: &mut sip::UserAgent, user: &str, response: &Response, now: Instant) {
        let of_user = |one: &&String| one.eq_ignore_ascii_case(user);
        let dialog = self.members.iter().find(|(_, one)| of_user(one));
        if let Some((session, _)) = dialog {
            let body = Some(sip::Body::new(CCCP_XML, response.to_bytes()));
            let _ = ua.request(*session, Method::Info, Headers::new(), body, now);
        }
    }
}

fn notify(
    ua: &mut sip::UserAgent,
    subscription: sip::SubscriptionId,
    info: &c3p::ConferenceInfo,
    now: Instant,
) {
    let body = Some(sip::Body::new(CONFERENCE_INFO_XML, info.to_bytes()));
    let state = sip::SubscriptionState::Active;
    let _ = ua.notify(subscription, &state, &Headers::new(), body, now);
}

/// The user's session with the sound and picture server.
fn media_session(user: &str) -> Endpoint {
    let mut session = Endpoint::new(&key_of(user), McuType::AudioVideo);
    session.status = Some(EndpointStatus::Connected);
    session.joining_method = Some(JoiningMethod::DialedIn);
    for (id, kind, label) in
        [("1", MediaType::Audio, "main-audio"), ("2", MediaType::Video, "main-video")]
    {
        let mut media = Media::new(id, kind);
        media.label = Some(label.into());
        media.status = Some(c3p::MediaStatus::SendRecv);
        session.media.push(media);
    }
    session
}

fn key_of(user: &str) -> String {
    format!("{{{user}}}")
}

fn user_of(request: &sip::Request) -> Option<String> {
    let from = sip::NameAddr::parse(request.headers.first("From")?).ok()?;
    Some(from.uri.as_str().to_owned())
}

fn refusal(diagnostic: c3p::Diagnostic) -> Headers {
    let mut headers = Headers::new();
    let value = sip::ms::Diagnostics::new(u32::from(diagnostic.id()), diagnostic.reason());
    headers.push("ms-diagnostics", value.to_string());
    headers
}

fn status(code: u16) -> StatusCode {
    StatusCode::new(code).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
}

const LONGEST: Duration = Duration::from_secs(3_600);
