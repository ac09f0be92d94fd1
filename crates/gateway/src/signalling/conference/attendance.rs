//! One caller's dialogs with a focus: the client machine's wishes made SIP, and back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use c3p::{CCCP_XML, CONFERENCE_INFO_XML, ClientAction, ClientEnd, ClientEvent, McuType};
use linkspan_c3p as c3p;
use linkspan_sip as sip;
use sip::{Headers, Method, StatusCode, UaEvent};

use super::super::core::Core;
use super::super::headers::{self, MARK};
use super::super::setup::status;
use super::referral::Referrals;
use super::roster::Reader;
use super::{Effect, Usage};
use crate::config::NextHop;
use crate::event::GatewayEvent;
use crate::id::{CallId, Side, StreamKind};

/// A caller's part in a Lync conference.
#[derive(Debug)]
pub(super) struct Attendance {
    call: CallId,
    client: c3p::ConferenceClient,
    enrolment: Enrolment,
    focus: Option<sip::SessionId>,
    subscription: Option<sip::SubscriptionId>,
    /// The caller, where it has subscribed to the roster.
    pub(super) reader: Option<Reader>,
    pub(super) referrals: Referrals,
    /// The caller is told again that it waits.
    remind: Option<Instant>,
}

/// What the INVITE to the focus is made of.
#[derive(Clone, Debug)]
pub(super) struct Enrolment {
    pub(super) focus: sip::Uri,
    pub(super) from: sip::NameAddr,
    pub(super) contact_user: String,
    /// How the caller knows the conference.
    pub(super) contact: Option<sip::NameAddr>,
    pub(super) max_forwards: String,
    pub(super) hop: NextHop,
    pub(super) remote: SocketAddr,
}

impl Attendance {
    pub(super) fn new(core: &mut Core, call: CallId, enrolment: Enrolment, now: Instant) -> Self {
        let user = enrolment.from.uri.as_str();
        let endpoint = guid(core);
        let mut config = c3p::ClientConfig::new(enrolment.focus.as_str(), user, &endpoint);
        if let Some(name) = &enrolment.from.display {
            config = config.with_display_name(name);
        }
        config.limits.users = ROSTER;
        Self {
            call,
            client: c3p::ConferenceClient::new(config, now),
            enrolment,
            focus: None,
            subscription: None,
            reader: None,
            referrals: Referrals::default(),
            remind: None,
        }
    }

    pub(super) const fn enrolment(&self) -> &Enrolment {
        &self.enrolment
    }

    pub(super) const fn roster(&self) -> &c3p::Conference {
        self.client.conference()
    }

    pub(super) const fn client(&mut self) -> &mut c3p::ConferenceClient {
        &mut self.client
    }

    pub(super) fn has_ended(&self) -> bool {
        self.client.has_ended()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.client.poll_timeout().into_iter().chain(self.remind).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
    }

    pub(super) fn leave(&mut self) {
        self.client.leave();
    }

    pub(super) fn session_answered(&mut self, status: u16, now: Instant) {
        self.client.handle_mcu_response(&McuType::AudioVideo, status, now);
    }

    /// An event of the dialog with the focus.
    pub(super) fn heard(&mut self, core: &mut Core, event: &UaEvent, now: Instant) {
        match event {
            UaEvent::Accepted { session, response } => {
                let _ = core.agent(Side::Lync).ack(*session, Headers::new(), None, now);
                self.client.handle_focus_response(200, None, &response.body, now);
            }
            UaEvent::Rejected { response, .. } => {
                let (code, diagnostic) = (response.status.as_u16(), diagnostic(&response.headers));
                self.focus = None;
                self.client.handle_focus_response(code, diagnostic, &response.body, now);
            }
            UaEvent::Reinvite { id, .. } => {
                // A refresh of the session: there is no description to change.
                let _ =
                    core.agent(Side::Lync).respond(*id, StatusCode::OK, Headers::new(), None, now);
            }
            UaEvent::Request { id, request, .. } => self.request(core, *id, request, now),
            UaEvent::Ended { cause, .. } => {
                self.focus = None;
                self.client.handle_focus_ended(matches!(cause, sip::EndCause::Bye(_)));
            }
            _ => {}
        }
    }

    fn request(
        &mut self,
        core: &mut Core,
        id: sip::RequestId,
        request: &sip::Request,
        now: Instant,
    ) {
        let mut headers = Headers::new();
        let code = match request.method {
            Method::Info => match self.client.handle_info(&request.body, now) {
                Ok(()) => 200,
                Err(diagnostic) => {
                    refuse_with(&mut headers, diagnostic, core);
                    diagnostic.sip_status()
                }
            },
            Method::Options | Method::Update => 200,
            _ => 405,
        };
        let _ = core.agent(Side::Lync).respond(id, status(code), headers, None, now);
    }

    /// An event of the subscription to the roster. The user agent answers and refreshes.
    pub(super) fn subscription(&mut self, id: sip::SubscriptionId, event: &UaEvent, now: Instant) {
        if self.subscription != Some(id) {
            return;
        }
        match event {
            UaEvent::Subscribed { response, .. } => {
                let body = &response.body;
                self.client.handle_subscribe_response(200, Some(REFRESHED), body, now);
            }
            UaEvent::Notified { request, .. } if !request.body.is_empty() => {
                self.client.handle_notification(&request.body, now);
            }
            UaEvent::SubscriptionEnded { cause, .. } => {
                self.subscription = None;
                if let sip::SubscriptionEnd::Refused(response) = cause {
                    let code = response.status.as_u16();
                    self.client.handle_subscribe_response(code, None, b"", now);
                } else {
                    self.client.handle_subscription_ended(now);
                }
            }
            _ => {}
        }
    }

    /// The final response to an INFO of ours.
    pub(super) fn response(&mut self, id: c3p::RequestId, response: &sip::Response, now: Instant) {
        let (code, diagnostic) = (response.status.as_u16(), diagnostic(&response.headers));
        self.client.handle_info_response(id, code, diagnostic, &response.body, now);
    }

    /// Carries out what the client wants, and tells what has happened.
    pub(super) fn drive(&mut self, core: &mut Core, now: Instant) {
        let mut changed = false;
        loop {
            if let Some(action) = self.client.poll_action() {
                self.act(core, action, now);
            } else if let Some(event) = self.client.poll_event() {
                changed |= matches!(event, ClientEvent::Roster(_));
                self.tell(core, event, now);
            } else {
                break;
            }
        }
        if changed && let Some(reader) = &mut self.reader {
            reader.tell(core, self.client.conference(), now);
        }
        if self.remind.is_some_and(|at| at <= now) {
            self.wait(core, now);
        }
    }

    fn act(&mut self, core: &mut Core, action: ClientAction, now: Instant) {
        match action {
            ClientAction::InviteFocus { body } => self.invite(core, body, now),
            ClientAction::Subscribe { .. } => {
                // A new one is how full state is asked for: its first notification is that.
                self.unsubscribe(core, now);
                self.subscribe(core, now);
                if self.subscription.is_none() {
                    self.client.handle_subscribe_response(503, None, b"", now);
                }
            }
            ClientAction::Unsubscribe => self.unsubscribe(core, now),
            ClientAction::InviteMcu { uri, .. } => {
                core.conferences.effects.push_back((self.call, Effect::Enter(uri.to_string())));
            }
            ClientAction::Info { id, body } => {
                let body = Some(sip::Body::new(CCCP_XML, body));
                let agent = core.agent(Side::Lync);
                let sent = self.focus.and_then(|session| {
                    agent.request(session, Method::Info, Headers::new(), body, now).ok()
                });
                match sent {
                    Some(request) => {
                        core.conferences.requests.insert(request, (self.call, id));
                    }
                    None => self.client.handle_info_response(id, 503, None, b"", now),
                }
            }
            ClientAction::EndFocus => {
                if let Some(session) = self.focus.take() {
                    let _ = core.agent(Side::Lync).end(session, Headers::new(), now);
                }
            }
            // The call ends its own leg.
            _ => {}
        }
    }

    fn tell(&mut self, core: &mut Core, event: ClientEvent, now: Instant) {
        let call = self.call;
        let effect = match event {
            ClientEvent::Accepted { role } => {
                let role = role.map_or_else(|| "no role".into(), |role| role.to_string());
                return core.explain(call, format!("the focus has taken the caller: {role}"));
            }
            ClientEvent::Roster(change) => {
                return core.tell(GatewayEvent::Roster { call, change });
            }
            ClientEvent::Command(outcome) => return self.referrals.settle(core, &outcome, now),
            ClientEvent::InLobby => return self.wait(core, now),
            ClientEvent::Joined => {
                self.remind = None;
                return core.explain(call, "in the conference");
            }
            ClientEvent::SessionFailed { status, .. } => Effect::NoServer(status),
            ClientEvent::OwnMute { media, muted } => match media {
                c3p::MediaType::Audio => Effect::Mute(StreamKind::Audio, muted),
                c3p::MediaType::Video => Effect::Mute(StreamKind::Video, muted),
                _ => return,
            },
            ClientEvent::Ended(ClientEnd::Left) => return,
            ClientEvent::Ended(end) => Effect::Over(end),
            _ => return,
        };
        core.conferences.effects.push_back((call, effect));
    }

    /// RFC 3261 §13.3.1.1: a caller who waits hears of it once a minute, lest proxies give up.
    fn wait(&mut self, core: &mut Core, now: Instant) {
        self.remind = self.client.is_in_lobby().then(|| now + Duration::from_secs(60));
        if self.remind.is_some() {
            core.conferences.effects.push_back((self.call, Effect::Wait));
        }
    }

    fn invite(&mut self, core: &mut Core, body: Vec<u8>, now: Instant) {
        let Enrolment { focus, from, max_forwards, .. } = &self.enrolment;
        let Some((path, contact)) = self.way(core) else {
            return self.client.handle_focus_response(503, None, b"", now);
        };
        let mut headers = self.identity(core);
        headers.push("Max-Forwards", max_forwards);
        // [MS-OCER] 3010: the focus takes no dialog without a session timer.
        headers.push("Session-Expires", "1800");
        let invite = sip::OutgoingInvite {
            path,
            uri: focus.clone(),
            from: from.clone().with_param("epid", &core.hex(5)),
            to: sip::NameAddr::new(focus.clone()),
            contact,
            routes: Vec::new(),
            call_id: None,
            headers,
            body: Some(sip::Body::new(CCCP_XML, body)),
        };
        match core.agent(Side::Lync).invite(invite, now) {
            Ok(session) => {
                self.focus = Some(session);
                core.conferences.sessions.insert(session, self.call);
            }
            Err(_) => self.client.handle_focus_response(503, None, b"", now),
        }
    }

    /// The subscription has a dialog of its own, as a Lync client's has.
    fn subscribe(&mut self, core: &mut Core, now: Instant) {
        let Some((path, contact)) = self.way(core) else { return };
        let Enrolment { focus, from, .. } = &self.enrolment;
        let from = from.clone().with_param("epid", &core.hex(5));
        let mut subscribe =
            sip::OutgoingSubscribe::new(path, focus.clone(), from, contact, "conference");
        subscribe.headers = self.identity(core);
        subscribe.headers.push("Accept", CONFERENCE_INFO_XML);
        subscribe.headers.push("Supported", "ms-benotify, ms-piggyback-first-notify");
        subscribe.headers.push("Proxy-Require", "ms-benotify");
        self.subscription = core.agent(Side::Lync).subscribe(subscribe, now).ok();
        if let Some(id) = self.subscription {
            core.conferences.subscriptions.insert((Side::Lync, id), (self.call, Usage::Focus));
        }
    }

    fn unsubscribe(&mut self, core: &mut Core, now: Instant) {
        if let Some(id) = self.subscription.take() {
            // An error means that it is not up yet, or no more.
            let _ = core.agent(Side::Lync).unsubscribe(id, now);
        }
    }

    /// The way to the focus, and the Contact on it.
    fn way(&self, core: &Core) -> Option<(sip::Path, sip::NameAddr)> {
        let Enrolment { contact_user, hop, remote, .. } = &self.enrolment;
        let path = headers::path(core, Side::Lync, hop, *remote);
        let contact = headers::contact(core, Side::Lync, contact_user, path.transport)?;
        Some((path, contact))
    }

    /// Who asks; trusted links need no signature.
    fn identity(&self, core: &Core) -> Headers {
        let mut headers = Headers::new();
        headers.push(MARK, &core.mark);
        headers.push("P-Asserted-Identity", self.enrolment.from.to_string());
        headers
    }
}

/// A fresh key for an endpoint.
pub(super) fn guid(core: &mut Core) -> String {
    let hex = core.hex(16).to_uppercase();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    let [a, b, c, d, e] = [part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32)];
    // RFC 4122 §4.4: version 4.
    format!("{{{a}-{b}-4{c}-A{d}-{e}}}")
}

fn diagnostic(headers: &Headers) -> Option<c3p::Diagnostic> {
    let id = headers::diagnostic_id(headers)?;
    c3p::Diagnostic::from_id(u16::try_from(id).ok()?)
}

fn refuse_with(headers: &mut Headers, diagnostic: c3p::Diagnostic, core: &Core) {
    let value = sip::ms::Diagnostics::new(u32::from(diagnostic.id()), diagnostic.reason())
        .with_source(&core.config.name);
    // [MS-OCER] 7.4: this one is for outside parties too.
    let public = diagnostic == c3p::Diagnostic::NotImplemented;
    let name = if public { "ms-diagnostics-public" } else { "ms-diagnostics" };
    headers.push(name, value.to_string());
}

/// The user agent refreshes the subscription: the client need not, but once in a while.
const REFRESHED: Duration = Duration::from_secs(86_400);
/// Users of one roster.
const ROSTER: usize = 1_000;
