mod inputs;
mod join;
mod sessions;
mod values;
mod verbs;

#[cfg(test)]
mod tests;

pub use join::join_request;
pub use values::{ClientAction, ClientConfig, ClientEnd, ClientError, ClientEvent};

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::dialog::FocusDialog;
use crate::entity::Entity;
use crate::merge::Conference;
use crate::request::{Request, RequestId};
use crate::requests::{RequestEvent, Requests};
use crate::roster::{Participant, RosterEvent};
use crate::token::{McuType, MediaType, Role};
use crate::user::Media;
use sessions::Sessions;

/// One user's part in a conference, from the INVITE to its focus to the last BYE: what a Lync
/// client does to join, and what becomes of it.
///
/// It holds no dialogs: it says which SIP message to send next ([`ClientAction`]) and is told what
/// came of it. The steps are those of [MS-CONFBAS]: an INVITE with `addUser` to the focus, a
/// subscription to its conference event, and, once the roster shows that the user is not kept in
/// the lobby, an INVITE with a media description to each conferencing server. Commands go out in
/// INFO; their outcome comes back in an INFO of the focus.
///
/// After any `&mut self` call drain [`poll_action`](Self::poll_action) and
/// [`poll_event`](Self::poll_event), then wait until [`poll_timeout`](Self::poll_timeout) or
/// input. After [`ClientEvent::Ended`] there is nothing to wait for and verbs are refused.
///
/// ```
/// use linkspan_c3p::{
///     ClientAction, ClientConfig, ClientEvent, ConferenceClient, ConferenceUri, Focus,
///     FocusConfig, Limits, McuType, Request,
/// };
/// use std::time::Instant;
///
/// let now = Instant::now();
/// let uri = ConferenceUri::focus("alice@contoso.example", "K7Q2M4ZD");
/// let mut focus = Focus::new(FocusConfig::new(uri.clone(), "Weekly"), Limits::default());
/// let bob = "sip:bob@contoso.example";
/// let mut client = ConferenceClient::new(ClientConfig::new(&uri.to_string(), bob, "{1}"), now);
///
/// // INVITE with this body, answered 200 with the focus' response:
/// let Some(ClientAction::InviteFocus { body }) = client.poll_action() else { panic!() };
/// let response = focus.handle_request(bob, &Request::parse(&body)?)?;
/// client.handle_focus_response(200, None, &response.to_bytes(), now);
/// // SUBSCRIBE, answered 200 with the first notification in it:
/// assert!(matches!(client.poll_action(), Some(ClientAction::Subscribe { .. })));
/// let (_, full) = focus.subscribe(bob).unwrap();
/// client.handle_subscribe_response(200, None, &full.to_bytes(), now);
/// // … and off to the conferencing server.
/// let Some(ClientAction::InviteMcu { mcu, uri }) = client.poll_action() else { panic!() };
/// assert_eq!(mcu, McuType::AudioVideo);
/// assert!(uri.contains("app:conf:audio-video:id:K7Q2M4ZD"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ConferenceClient {
    config: ClientConfig,
    phase: Phase,
    requests: Requests,
    join: Option<RequestId>,
    /// A dialog with the focus is up or on its way.
    has_focus: bool,
    conference: Conference,
    subscription: Subscription,
    sessions: Sessions,
    role: Option<Role>,
    /// The roster has shown the user: from then on its absence means removal.
    was_listed: bool,
    deadline: Option<Instant>,
    actions: VecDeque<ClientAction>,
    events: VecDeque<ClientEvent>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The INVITE to the focus is out.
    Joining,
    /// The focus has taken the user; the roster is not known yet.
    Subscribing,
    /// The user waits to be let in.
    Lobby,
    /// The user takes part.
    Joined,
    Ended,
}

/// The subscription to the conference event.
#[derive(Debug, Default)]
struct Subscription {
    is_active: bool,
    /// A SUBSCRIBE is out.
    is_pending: bool,
    /// When the server forgets it.
    expires: Option<Instant>,
    /// When it is refreshed.
    refresh: Option<Instant>,
    /// When the last SUBSCRIBE went out.
    sent: Option<Instant>,
}

impl ConferenceClient {
    /// Joins: the first action is the INVITE to the focus.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant) -> Self {
        let dialog = FocusDialog::new(&config.user, &config.focus);
        let requests = Requests::new(dialog, config.first_request).with_timeout(config.answer);
        let focus = Some(Entity::from(&*config.focus));
        let mut client = Self {
            phase: Phase::Joining,
            requests,
            join: None,
            has_focus: true,
            conference: Conference::new(focus, config.limits.clone()),
            subscription: Subscription::default(),
            sessions: Sessions::new(&config.modalities),
            role: None,
            was_listed: false,
            deadline: None,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            config,
        };
        client.begin(now);
        client
    }

    /// The next SIP message to send.
    pub fn poll_action(&mut self) -> Option<ClientAction> {
        self.actions.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Ended {
            return None;
        }
        let own = [self.deadline, self.subscription.refresh, self.subscription.expires];
        let parts = [self.sessions.poll_timeout(), self.requests.poll_timeout()];
        own.into_iter().chain(parts).flatten().min()
    }

    /// What is known of the conference.
    #[must_use]
    pub const fn conference(&self) -> &Conference {
        &self.conference
    }

    /// Who joins, and where.
    #[must_use]
    pub const fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The user's own line of the roster, once there is one.
    #[must_use]
    pub fn own(&self) -> Option<Participant<'_>> {
        self.conference.participant(&self.config.user)
    }

    /// The role that the user has, as the focus granted it or the roster shows it.
    #[must_use]
    pub const fn role(&self) -> Option<&Role> {
        self.role.as_ref()
    }

    /// True while the user waits to be let in.
    #[must_use]
    pub fn is_in_lobby(&self) -> bool {
        self.phase == Phase::Lobby
    }

    /// True when the user has left, was removed, or never came in.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// The user's own stream of that kind at the sound and picture server: what a mute is about.
    #[must_use]
    pub fn own_stream(&self, kind: &MediaType) -> Option<(&Entity, &Media)> {
        let session = self.own()?.user().session(&McuType::AudioVideo)?;
        session.stream_of(kind).map(|stream| (&session.entity, stream))
    }

    fn begin(&mut self, now: Instant) {
        let command = join::join_command(&self.config);
        match self.requests.send(command, now) {
            Ok(request) => {
                self.join = Some(request.request_id);
                self.actions.push_back(ClientAction::InviteFocus { body: request.to_bytes() });
            }
            // The focus is no conference's address.
            Err(_) => {
                self.has_focus = false;
                self.end(ClientEnd::refused(404));
            }
        }
    }

    /// Hands out what became of commands; the join itself is ours.
    fn drain_requests(&mut self, now: Instant) {
        while let Some(event) = self.requests.poll_event() {
            if self.join != Some(id_of(&event)) {
                self.events.push_back(ClientEvent::Command(event));
                continue;
            }
            match event {
                RequestEvent::Pending { .. } => {}
                RequestEvent::Succeeded { reply, .. } => {
                    self.join = None;
                    self.role = reply.granted_role().cloned();
                    self.phase = Phase::Subscribing;
                    self.deadline = Some(now + self.config.answer);
                    self.events.push_back(ClientEvent::Accepted { role: self.role.clone() });
                    self.subscribe(now);
                }
                RequestEvent::Failed { failure, .. } => {
                    self.join = None;
                    self.end(ClientEnd::Refused(failure));
                }
            }
        }
    }

    fn subscribe(&mut self, now: Instant) {
        let refresh = self.subscription.is_active;
        self.subscription.is_pending = true;
        self.subscription.sent = Some(now);
        self.subscription.refresh = None;
        self.actions.push_back(ClientAction::Subscribe { refresh });
    }

    /// Full state is needed: by a refresh, at most one every so often.
    fn ask_for_full_state(&mut self, now: Instant) {
        if self.subscription.is_pending {
            return;
        }
        let earliest = self.subscription.sent.map_or(now, |sent| sent + self.config.refresh_gap);
        if earliest <= now {
            self.subscribe(now);
        } else {
            let planned = self.subscription.refresh.unwrap_or(earliest);
            self.subscription.refresh = Some(planned.min(earliest));
        }
    }

    /// The roster has changed: what it says about the user's own part.
    fn review(&mut self, now: Instant) {
        while let Some(event) = self.conference.poll_event() {
            self.note(&event);
            self.events.push_back(ClientEvent::Roster(event));
        }
        if self.conference.has_ended() {
            return self.end(ClientEnd::ConferenceOver);
        }
        let Some(own) = self.own() else {
            if self.was_listed {
                return self.end(ClientEnd::Removed);
            }
            // A focus that does not list the user has let it in all the same.
            return self.enter(now);
        };
        let (in_lobby, role) = (own.is_in_lobby(), own.role().cloned());
        self.was_listed = true;
        if role.is_some() {
            self.role = role;
        }
        if !in_lobby {
            self.enter(now);
        } else if self.phase == Phase::Subscribing {
            self.phase = Phase::Lobby;
            self.deadline = Some(now + self.config.lobby);
            self.events.push_back(ClientEvent::InLobby);
        }
    }

    fn note(&mut self, event: &RosterEvent) {
        let (user, media, muted) = match event {
            RosterEvent::Muted { user, media } => (user, media, true),
            RosterEvent::Unmuted { user, media } => (user, media, false),
            _ => return,
        };
        if user.is(&self.config.user) {
            self.events.push_back(ClientEvent::OwnMute { media: media.clone(), muted });
        }
    }

    /// Past the lobby: off to the conferencing servers.
    fn enter(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Subscribing | Phase::Lobby) {
            return;
        }
        self.phase = Phase::Joined;
        self.deadline = None;
        self.events.push_back(ClientEvent::Joined);
        self.sessions.begin(now, self.config.activation);
        self.call_servers(now);
    }

    fn call_servers(&mut self, now: Instant) {
        while let Some(mcu) = self.sessions.next_due(now) {
            // [MS-CONFBAS] 2.2.2.4: the address that the roster lists; else the one built from
            // that of the focus, which servers take too.
            let listed = self.conference.info().mcu_uri(&mcu).map(str::to_owned);
            let uri = listed.or_else(|| self.config.mcu_uri(&mcu));
            match uri {
                Some(uri) => {
                    let uri = Entity::from(uri);
                    self.actions.push_back(ClientAction::InviteMcu { mcu, uri });
                }
                None => {
                    self.sessions.give_up(&mcu);
                    self.events.push_back(ClientEvent::SessionFailed { mcu, status: 488 });
                }
            }
        }
    }

    /// Ends everything that is still up, once.
    fn end(&mut self, end: ClientEnd) {
        if self.phase == Phase::Ended {
            return;
        }
        for mcu in self.sessions.drain() {
            self.actions.push_back(ClientAction::EndMcu { mcu });
        }
        if self.subscription.is_active && !matches!(end, ClientEnd::ConferenceOver) {
            self.actions.push_back(ClientAction::Unsubscribe);
        }
        if self.has_focus {
            self.actions.push_back(ClientAction::EndFocus);
        }
        self.phase = Phase::Ended;
        self.requests.handle_end();
        while let Some(event) = self.requests.poll_event() {
            let is_join = |event: &RequestEvent| Some(id_of(event)) == self.join;
            if !is_join(&event) {
                self.events.push_back(ClientEvent::Command(event));
            }
        }
        self.events.push_back(ClientEvent::Ended(end));
    }

    fn send(&mut self, request: &Request) -> RequestId {
        let (id, body) = (request.request_id, request.to_bytes());
        self.actions.push_back(ClientAction::Info { id, body });
        id
    }
}

fn id_of(event: &RequestEvent) -> RequestId {
    match event {
        RequestEvent::Pending { id } => *id,
        RequestEvent::Succeeded { request, .. } | RequestEvent::Failed { request, .. } => {
            request.request_id
        }
    }
}

/// Half of what the server grants, so that one lost refresh does not end the subscription.
fn refresh_after(expires: Duration) -> Duration {
    expires / 2
}
