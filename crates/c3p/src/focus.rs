use std::collections::{BTreeMap, VecDeque};

use crate::command::{Command, CommandBody, LobbyAccess};
use crate::description::{ConfUri, ConfUris, Description};
use crate::dialog::FocusDialog;
use crate::entity::Entity;
use crate::info::{ConferenceInfo, ConferenceState, State};
use crate::keys::MediaKeys;
use crate::limits::Limits;
use crate::reason::{Diagnostic, Reason};
use crate::request::{Request, RequestId};
use crate::response::{Response, ResponseCode};
use crate::roster::Participant;
use crate::token::{EndpointStatus, JoiningMethod, McuType, MediaFilter, Role};
use crate::uri::ConferenceUri;
use crate::user::{Endpoint, Media, User};

/// The focus of one conference: who takes part, who may do what, and what each subscriber is told.
///
/// It decides and keeps the roster; dialogs, media and calls are the application's, which says
/// what became of them ([`session_changed`](Self::session_changed),
/// [`user_left`](Self::user_left)). After any `&mut self` call drain
/// [`poll_event`](Self::poll_event) and [`poll_notification`](Self::poll_notification).
///
/// ```
/// use linkspan_c3p::{ConferenceUri, Focus, FocusConfig, join_request, Limits, ResponseCode};
///
/// let uri = ConferenceUri::focus("alice@contoso.example", "K7Q2M4ZD");
/// let mut focus = Focus::new(FocusConfig::new(uri.clone(), "Weekly"), Limits::default());
/// let join = join_request(&uri.to_string(), "sip:bob@contoso.example", "{1}", "Bob", true);
/// let response = focus.handle_request("sip:bob@contoso.example", &join)?;
/// assert_eq!(response.code, ResponseCode::Success);
/// let (subscription, full) = focus.subscribe("sip:bob@contoso.example").unwrap();
/// assert_eq!(full.users().len(), 1);
/// # Ok::<(), linkspan_c3p::Diagnostic>(())
/// ```
#[derive(Clone, Debug)]
pub struct Focus {
    uri: ConferenceUri,
    limits: Limits,
    info: ConferenceInfo,
    subscriptions: BTreeMap<u64, Subscription>,
    next_subscription: u64,
    calls: Vec<(RequestId, Request)>,
    has_ended: bool,
    events: VecDeque<FocusEvent>,
    notifications: VecDeque<(SubscriptionId, ConferenceInfo)>,
}

/// What a [`Focus`] begins with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FocusConfig {
    /// Its address; the organiser is its first presenter.
    pub uri: ConferenceUri,
    /// What the conference is about.
    pub subject: Box<str>,
    /// The conferencing servers there are. Default `chat` and `audio-video`.
    pub mcus: Vec<McuType>,
}

impl FocusConfig {
    /// A conference with instant messages, sound and pictures.
    #[must_use]
    pub fn new(uri: ConferenceUri, subject: &str) -> Self {
        let mcus = vec![McuType::Chat, McuType::AudioVideo];
        Self { uri, subject: subject.into(), mcus }
    }
}

/// Names a subscription.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SubscriptionId(pub u64);

#[derive(Clone, Debug)]
struct Subscription {
    user: Entity,
    version: u32,
    /// What the subscriber knows.
    known: ConferenceInfo,
}

/// What the application has to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FocusEvent {
    /// Call somebody in, then say what became of it with [`Focus::dial_out_ended`].
    DialOut {
        /// The request that asks for it.
        request_id: RequestId,
        /// Who asks.
        by: Entity,
        /// Who is called.
        user: Box<User>,
        /// By which conferencing server.
        mcu: McuType,
    },
    /// Send BYE in all dialogs of a user, who was removed.
    Remove {
        /// Who.
        user: Entity,
    },
    /// Let a stream pass, or stop it.
    SetFilter {
        /// The stream.
        keys: Box<MediaKeys>,
        /// Whether the conference takes what the endpoint sends.
        ingress: MediaFilter,
    },
    /// End all dialogs: the conference is over.
    Ended,
}

impl Focus {
    /// A conference without participants.
    #[must_use]
    pub fn new(config: FocusConfig, limits: Limits) -> Self {
        let entries = config.mcus.iter().map(|mcu| ConfUri {
            uri: config.uri.mcu(mcu.clone()).to_string().into(),
            display_text: Some(mcu.as_str().into()),
            purpose: Some(mcu.clone()),
            ..ConfUri::default()
        });
        let description = Description {
            display_text: Some(config.subject.clone()),
            subject: Some(config.subject),
            conf_uris: Some(ConfUris { entries: entries.collect(), ..ConfUris::default() }),
            conference_id: config.uri.conference_id().map(Into::into),
            ..Description::default()
        };
        let mut focus = Self {
            limits,
            info: ConferenceInfo {
                entity: config.uri.to_string().into(),
                description: Some(description),
                users: Some(crate::Users::default()),
                ..ConferenceInfo::default()
            },
            uri: config.uri,
            subscriptions: BTreeMap::new(),
            next_subscription: 0,
            calls: Vec::new(),
            has_ended: false,
            events: VecDeque::new(),
            notifications: VecDeque::new(),
        };
        focus.set_lock(false);
        focus
    }

    /// Carries out a command of an authenticated user. A `pending` response is followed by another
    /// one, which [`dial_out_ended`](Self::dial_out_ended) gives.
    ///
    /// # Errors
    ///
    /// A [`Diagnostic`] when the request is not to be believed: refuse the SIP request with it.
    pub fn handle_request(
        &mut self,
        user: &str,
        request: &Request,
    ) -> Result<Response, Diagnostic> {
        FocusDialog::new(user, &self.info.entity).check_request(request)?;
        let outcome = if self.has_ended {
            Err(Reason::ConferenceDoesntExist)
        } else {
            self.carry_out(user, request)
        };
        self.notify();
        Ok(match outcome {
            Ok(response) => response,
            Err(reason) => Response::failure_of(request, reason),
        })
    }

    /// A call that [`FocusEvent::DialOut`] asked for was answered or not: the final response to
    /// whoever asked for it.
    pub fn dial_out_ended(
        &mut self,
        request_id: RequestId,
        by: &str,
        outcome: Result<(), Reason>,
    ) -> Option<Response> {
        let at = self.calls.iter().position(|(id, call)| *id == request_id && call.from == *by)?;
        let (_, request) = self.calls.swap_remove(at);
        Some(match outcome {
            Ok(()) => Response::success_of(&request),
            Err(reason) => Response::failure_of(&request, reason),
        })
    }

    /// A conferencing server says how a session of a user is now; an endpoint that is new is
    /// added, and its user with it.
    ///
    /// # Errors
    ///
    /// [`Reason`] when the roster is full.
    pub fn session_changed(&mut self, user: &str, endpoint: Endpoint) -> Result<(), Reason> {
        if self.user(user).is_none() {
            self.add(User { roles: Some(vec![Role::Attendee]), ..User::new(user) })?;
        }
        let limit = self.limits.members;
        if let Some(found) = self.user_mut(user) {
            match found.endpoints.iter_mut().find(|one| one.entity == endpoint.entity) {
                Some(known) => *known = endpoint,
                None => {
                    if found.endpoints.len() >= limit {
                        return Err(Reason::OtherFailure);
                    }
                    found.endpoints.push(endpoint);
                }
            }
        }
        self.notify();
        Ok(())
    }

    /// A session of a user has ended.
    pub fn session_ended(&mut self, user: &str, endpoint: &str) {
        if let Some(found) = self.user_mut(user) {
            found.endpoints.retain(|one| !one.entity.is(endpoint));
        }
        self.notify();
    }

    /// A user's focus dialog has ended.
    pub fn user_left(&mut self, user: &str) {
        self.remove(user);
        self.notify();
    }

    /// Begins a subscription of a participant: its identifier, and the full state to send.
    /// `None` for anybody else.
    pub fn subscribe(&mut self, user: &str) -> Option<(SubscriptionId, ConferenceInfo)> {
        self.user(user)?;
        let id = self.next_subscription;
        self.next_subscription += 1;
        let known = self.view_of(user);
        let full = ConferenceInfo { state: Some(State::Full), version: Some(1), ..known.clone() };
        let subscription = Subscription { user: user.into(), version: 1, known };
        self.subscriptions.insert(id, subscription);
        Some((SubscriptionId(id), full))
    }

    /// Full state for a subscription that was refreshed.
    pub fn refresh(&mut self, id: SubscriptionId) -> Option<ConferenceInfo> {
        let user = self.subscriptions.get(&id.0)?.user.clone();
        let known = self.view_of(&user);
        let subscription = self.subscriptions.get_mut(&id.0)?;
        subscription.version = subscription.version.saturating_add(1);
        subscription.known = known.clone();
        Some(ConferenceInfo {
            state: Some(State::Full),
            version: Some(subscription.version),
            ..known
        })
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.remove(&id.0);
    }

    /// The next thing to do.
    pub fn poll_event(&mut self) -> Option<FocusEvent> {
        self.events.pop_front()
    }

    /// The next notification to send.
    pub fn poll_notification(&mut self) -> Option<(SubscriptionId, ConferenceInfo)> {
        self.notifications.pop_front()
    }

    /// The whole state.
    #[must_use]
    pub fn info(&self) -> &ConferenceInfo {
        &self.info
    }

    fn carry_out(&mut self, by: &str, request: &Request) -> Result<Response, Reason> {
        let command = &request.command;
        let done = || Ok(Response::success_of(request));
        match &command.body {
            CommandBody::AddUser { user, .. } if command.mcu_uri.is_none() => {
                self.join(by, user, request)
            }
            CommandBody::AddUser { user, .. } => self.dial_out(by, user, command, request),
            CommandBody::GetConference(_) => {
                self.user(by).ok_or(Reason::Unauthorized)?;
                let mut response = Response::success_of(request);
                response.reply.conferences.push(self.view_of(by));
                Ok(response)
            }
            CommandBody::DeleteUser(keys) => {
                self.require_presenter(by)?;
                self.user(&keys.user_entity).ok_or(Reason::UserDoesntExist)?;
                self.remove(&keys.user_entity);
                self.events.push_back(FocusEvent::Remove { user: keys.user_entity.clone() });
                done()
            }
            CommandBody::ModifyUserRoles { keys, roles } => {
                self.require_presenter(by)?;
                let [role @ (Role::Presenter | Role::Attendee)] = roles.as_slice() else {
                    return Err(Reason::InvalidRole);
                };
                let user = self.user_mut(&keys.user_entity).ok_or(Reason::UserDoesntExist)?;
                user.roles = Some(vec![role.clone()]);
                done()
            }
            CommandBody::ModifyConferenceLock { locked, .. } => {
                self.require_presenter(by)?;
                self.set_lock(*locked);
                done()
            }
            CommandBody::SetLobbyAccess { users, access, .. } => {
                self.require_presenter(by)?;
                users.iter().try_for_each(|user| self.answer_lobby(user, access))?;
                done()
            }
            CommandBody::ModifyEndpointMedia { keys, media } => {
                self.set_filter(by, keys, media)?;
                done()
            }
            CommandBody::DeleteConference(_) => {
                self.require_presenter(by)?;
                self.end();
                done()
            }
            _ => Err(Reason::NotSupported),
        }
    }

    fn join(&mut self, by: &str, user: &User, request: &Request) -> Result<Response, Reason> {
        if user.entity != *by {
            return Err(Reason::Unauthorized);
        }
        let [endpoint] = user.endpoints.as_slice() else { return Err(Reason::RequestMalformed) };
        let organizer = self.uri.organizer.clone();
        let is_organizer = by.get(4..).is_some_and(|rest| rest.eq_ignore_ascii_case(&organizer));
        let waits = self.is_locked() && !is_organizer && self.user(by).is_none();
        if waits && !is_lobby_capable(endpoint) {
            return Err(Reason::Forbidden);
        }
        let role = if is_organizer { Role::Presenter } else { Role::Attendee };
        let status = if waits { EndpointStatus::OnHold } else { EndpointStatus::Connected };
        let mut session = Endpoint::new(&endpoint.entity, McuType::Focus);
        session.status = Some(status);
        session.joining_method = Some(JoiningMethod::DialedIn);
        if let Some(known) = self.user_mut(by) {
            known.endpoints.retain(|one| one.entity != session.entity);
            known.endpoints.push(session);
        } else {
            let mut new = User::new(by);
            new.display_text.clone_from(&user.display_text);
            new.roles = Some(vec![role]);
            new.endpoints.push(session);
            self.add(new)?;
        }
        // [MS-CONFBAS] 2.2.3.4: the same keys, one user, the role that is granted
        let mut response = Response::success_of(request);
        let mut granted = User::new(by);
        granted.roles = self.user(by).and_then(|user| user.roles.clone());
        granted.endpoints.push(Endpoint { entity: endpoint.entity.clone(), ..Default::default() });
        response.reply.user = Some(Box::new(granted));
        Ok(response)
    }

    fn dial_out(
        &mut self,
        by: &str,
        user: &User,
        command: &Command,
        request: &Request,
    ) -> Result<Response, Reason> {
        self.require_presenter(by)?;
        let server: Option<ConferenceUri> = command.mcu_uri.as_ref().and_then(|u| u.parse().ok());
        // [MS-CONFBAS] 2.2.3.15: only these two call out
        let Some(crate::Resource::Server {
            mcu: mcu @ (McuType::Chat | McuType::AudioVideo), ..
        }) = server.map(|server| server.resource)
        else {
            return Err(Reason::NotSupported);
        };
        if self.calls.len() >= self.limits.members {
            return Err(Reason::OtherFailure);
        }
        self.calls.push((request.request_id, request.clone()));
        self.events.push_back(FocusEvent::DialOut {
            request_id: request.request_id,
            by: by.into(),
            user: Box::new(user.clone()),
            mcu,
        });
        let mut response = Response::success_of(request);
        response.code = ResponseCode::Pending;
        Ok(response)
    }

    fn answer_lobby(&mut self, user: &Entity, access: &LobbyAccess) -> Result<(), Reason> {
        let found = self.user_mut(user).ok_or(Reason::UserDoesntExist)?;
        if !Participant::new(found).is_in_lobby() {
            return Err(Reason::UserExists);
        }
        if *access == LobbyAccess::Granted {
            for endpoint in &mut found.endpoints {
                endpoint.status = Some(EndpointStatus::Connected);
            }
        } else {
            self.remove(user);
            self.events.push_back(FocusEvent::Remove { user: user.clone() });
        }
        Ok(())
    }

    fn set_filter(&mut self, by: &str, keys: &MediaKeys, new: &Media) -> Result<(), Reason> {
        if keys.user_entity != *by {
            self.require_presenter(by)?;
        }
        let user = self.user_mut(&keys.user_entity).ok_or(Reason::UserDoesntExist)?;
        let mut endpoints = user.endpoints.iter_mut();
        let endpoint = endpoints.find(|one| one.entity == keys.endpoint_entity);
        let endpoint = endpoint.ok_or(Reason::EndpointDoesntExist)?;
        let mut streams = endpoint.media.iter_mut();
        let stream = streams.find(|one| one.id == keys.media_id).ok_or(Reason::MediaDoesntExist)?;
        if new.status.is_some() {
            stream.status.clone_from(&new.status);
        }
        if new.egress_filter.is_some() {
            stream.egress_filter.clone_from(&new.egress_filter);
        }
        if let Some(ingress) = &new.ingress_filter {
            stream.ingress_filter = Some(ingress.clone());
            let (keys, ingress) = (Box::new(keys.clone()), ingress.clone());
            self.events.push_back(FocusEvent::SetFilter { keys, ingress });
        }
        Ok(())
    }

    fn end(&mut self) {
        self.has_ended = true;
        for (id, subscription) in std::mem::take(&mut self.subscriptions) {
            let over = ConferenceInfo {
                entity: self.info.entity.clone(),
                state: Some(State::Deleted),
                version: Some(subscription.version.saturating_add(1)),
                ..ConferenceInfo::default()
            };
            self.notifications.push_back((SubscriptionId(id), over));
        }
        self.events.push_back(FocusEvent::Ended);
    }

    fn require_presenter(&self, user: &str) -> Result<(), Reason> {
        let found = self.user(user).filter(|user| Participant::new(user).is_connected());
        let is_presenter = found.is_some_and(|user| user.role() == Some(&Role::Presenter));
        if is_presenter { Ok(()) } else { Err(Reason::Unauthorized) }
    }

    fn add(&mut self, user: User) -> Result<(), Reason> {
        let list = &mut self.info.users.get_or_insert_default().list;
        if list.len() >= self.limits.users {
            return Err(Reason::MaximumMeetingSizeExceeded);
        }
        list.push(user);
        Ok(())
    }

    fn remove(&mut self, user: &str) {
        if let Some(users) = &mut self.info.users {
            users.list.retain(|one| !one.entity.is(user));
        }
        self.subscriptions.retain(|_, subscription| !subscription.user.is(user));
    }

    fn user(&self, user: &str) -> Option<&User> {
        self.info.users().iter().find(|one| one.entity.is(user))
    }

    fn user_mut(&mut self, user: &str) -> Option<&mut User> {
        self.info.users.as_mut()?.list.iter_mut().find(|one| one.entity.is(user))
    }

    fn is_locked(&self) -> bool {
        self.info.conference_state.as_ref().and_then(|state| state.locked).unwrap_or_default()
    }

    fn set_lock(&mut self, locked: bool) {
        let state = ConferenceState {
            active: Some(true),
            locked: Some(locked),
            ..ConferenceState::default()
        };
        self.info.conference_state = Some(state);
    }

    /// What a user may know: in the lobby only itself; others not who waits but for presenters.
    fn view_of(&self, user: &str) -> ConferenceInfo {
        let mut info = self.info.clone();
        let own = self.user(user).map(Participant::new);
        let waits = own.is_some_and(|own| own.is_in_lobby());
        let presents = own.is_some_and(|own| own.role() == Some(&Role::Presenter));
        if let Some(users) = &mut info.users {
            users.list.retain(|one| {
                one.entity.is(user)
                    || (!waits && (presents || !Participant::new(one).is_in_lobby()))
            });
        }
        info
    }

    fn notify(&mut self) {
        let mut subscriptions = std::mem::take(&mut self.subscriptions);
        for (id, subscription) in &mut subscriptions {
            let new = self.view_of(&subscription.user);
            if new == subscription.known {
                continue;
            }
            let partial = subscription.known.diff(&new);
            let mut notification = partial
                .unwrap_or_else(|| ConferenceInfo { state: Some(State::Full), ..new.clone() });
            subscription.version = subscription.version.saturating_add(1);
            notification.version = Some(subscription.version);
            subscription.known = new;
            self.notifications.push_back((SubscriptionId(*id), notification));
        }
        self.subscriptions = subscriptions;
    }
}

fn is_lobby_capable(endpoint: &Endpoint) -> bool {
    let info = endpoint.extensions.element("clientInfo");
    info.and_then(|info| info.child("lobby-capable")).is_some_and(|one| one.text() == "true")
}
