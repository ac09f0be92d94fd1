mod parts;

use std::collections::VecDeque;

use crate::entity::Entity;
use crate::info::{ConferenceInfo, EntityView, State, Users};
use crate::limits::Limits;
use crate::roster::{Participant, RosterEvent, Summary};
use crate::user::User;
use parts::{merge_description, merge_extensions, merge_view, replace_some};

/// The state of a conference, kept up to date by its notifications (RFC 4575 §4).
///
/// The run loop: hand each notification to [`Conference::apply`], drain
/// [`Conference::poll_event`], and when an error says that full state is needed, refresh the
/// subscription.
///
/// ```
/// use linkspan_c3p::{Conference, ConferenceInfo, Limits, RosterEvent};
///
/// let body = br#"<conference-info xmlns="urn:ietf:params:xml:ns:conference-info"
///     entity="sip:a@x" version="1"><users><user entity="sip:b@x"><endpoint entity="1">
///     <status>connected</status></endpoint></user></users></conference-info>"#;
/// let mut conference = Conference::new(Some("sip:a@x".into()), Limits::default());
/// conference.apply(ConferenceInfo::parse(body)?)?;
/// assert!(matches!(conference.poll_event(), Some(RosterEvent::Joined { .. })));
/// assert_eq!(conference.participants().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conference {
    limits: Limits,
    /// The merged document: no `state` attributes inside, no deleted members.
    info: ConferenceInfo,
    /// [`Entity::fold`] of each user, in the order of the list: what a search runs over.
    folds: Vec<u64>,
    phase: Phase,
    speaker: Option<Entity>,
    events: VecDeque<RosterEvent>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Partial notifications cannot be understood.
    NeedsFull,
    Current,
    Ended,
}

/// What a notification did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Applied {
    /// It replaced everything.
    Full,
    /// It changed what it mentioned.
    Partial,
    /// It was older than what is known: nothing changed.
    Stale,
    /// The conference is over.
    Ended,
}

/// Why a notification was not applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Notifications are missing before this one: refresh the subscription for full state. Nothing
    /// has changed.
    #[error("version {received} follows {known}: full state is needed")]
    Gap {
        /// The version of the state that is known.
        known: u32,
        /// The version of the notification.
        received: u32,
    },
    /// There is no state yet that a partial notification could change: refresh the subscription.
    #[error("partial notification without full state")]
    NoFullState,
    /// It is about another conference.
    #[error("notification of another conference")]
    OtherConference,
    /// It would exceed a limit: drop the subscription, or refresh it. The state is incomplete and
    /// takes nothing but full state from here on.
    #[error("limit on {0} exceeded")]
    Limit(&'static str),
    /// The conference is over.
    #[error("conference has ended")]
    Ended,
    /// Events of earlier notifications have not been taken.
    #[error("events not taken")]
    EventsPending,
}

impl MergeError {
    /// True when a refresh of the subscription, which brings full state, is the remedy. At most
    /// one should be outstanding, and one every five seconds.
    #[must_use]
    pub const fn needs_full_state(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::NoFullState | Self::Limit(_))
    }
}

impl Conference {
    /// A conference of which nothing is known yet. With `focus`, notifications of any other are
    /// refused; without, the first one decides.
    #[must_use]
    pub fn new(focus: Option<Entity>, limits: Limits) -> Self {
        Self {
            limits,
            info: ConferenceInfo { entity: focus.unwrap_or_default(), ..Default::default() },
            folds: Vec::new(),
            phase: Phase::NeedsFull,
            speaker: None,
            events: VecDeque::new(),
        }
    }

    /// Applies a notification, in the order of versions.
    ///
    /// # Errors
    ///
    /// When it is about another conference, out of order, beyond a limit, or the conference has
    /// ended.
    pub fn apply(&mut self, notification: ConferenceInfo) -> Result<Applied, MergeError> {
        let state = notification.state.unwrap_or_default();
        self.admit(&notification)?;
        if state == State::Partial {
            if self.phase == Phase::NeedsFull {
                return Err(MergeError::NoFullState);
            }
            if let Some(gap) = self.gap(&notification) {
                return Err(gap);
            }
            if let (Some(known), Some(received)) = (self.info.version, notification.version)
                && received <= known
            {
                return Ok(Applied::Stale);
            }
        }
        self.force(notification)
    }

    /// Applies a notification whatever its version: for documents that are known to be in order
    /// though the series has gaps, such as a list of files.
    ///
    /// # Errors
    ///
    /// When it is about another conference, beyond a limit, or the conference has ended.
    pub fn force(&mut self, notification: ConferenceInfo) -> Result<Applied, MergeError> {
        self.admit(&notification)?;
        match notification.state.unwrap_or_default() {
            State::Full => self.replace(notification).map(|()| Applied::Full),
            State::Partial => {
                let merged = self.merge(notification);
                if merged.is_err() {
                    self.phase = Phase::NeedsFull;
                }
                merged.map(|()| Applied::Partial)
            }
            State::Deleted => {
                self.phase = Phase::Ended;
                self.info.version = notification.version;
                self.info.users = None;
                self.folds.clear();
                self.events.push_back(RosterEvent::Ended);
                Ok(Applied::Ended)
            }
        }
    }

    /// The gap before a partial notification, when there is one.
    #[must_use]
    pub fn gap(&self, notification: &ConferenceInfo) -> Option<MergeError> {
        let (known, received) = (self.info.version?, notification.version?);
        let is_gap = notification.state == Some(State::Partial)
            && received > known.checked_add(1).unwrap_or(known);
        is_gap.then_some(MergeError::Gap { known, received })
    }

    /// Takes note of who speaks: the source id that a report of the dominant speaker, or the first
    /// CSRC of the mixed sound, names. Says [`RosterEvent::DominantSpeaker`] when it is somebody
    /// else than before.
    pub fn set_dominant_speaker(&mut self, source_id: Option<u32>) {
        let speaker = source_id.and_then(|source| self.participant_by_source(source));
        let speaker = speaker.map(|participant| participant.entity().clone());
        if speaker != self.speaker {
            self.speaker.clone_from(&speaker);
            self.events.push_back(RosterEvent::DominantSpeaker { user: speaker });
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<RosterEvent> {
        self.events.pop_front()
    }

    /// All that is known, as a full document without `state` attributes.
    #[must_use]
    pub fn info(&self) -> &ConferenceInfo {
        &self.info
    }

    /// The version of the last notification applied.
    #[must_use]
    pub fn version(&self) -> Option<u32> {
        self.info.version
    }

    /// True when the conference is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// The roster, in the order in which users came to be known.
    pub fn participants(&self) -> impl Iterator<Item = Participant<'_>> {
        self.info.users().iter().map(Participant::new)
    }

    /// One participant.
    #[must_use]
    pub fn participant(&self, user: &str) -> Option<Participant<'_>> {
        let at = self.position(&Entity::from(user))?;
        self.info.users().get(at).map(Participant::new)
    }

    /// Who sends the stream with that source id, which stands in the CSRC lists of RTP and in the
    /// reports of dominant speakers.
    #[must_use]
    pub fn participant_by_source(&self, source_id: u32) -> Option<Participant<'_>> {
        self.participants().find(|participant| participant.has_source(source_id))
    }

    /// Whether newcomers are kept out or sent to the lobby.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let state = self.info.conference_state.as_ref().and_then(|state| state.locked);
        let views = self.info.view.iter().flat_map(|view| &view.views);
        state.unwrap_or_default() || views.filter_map(EntityView::locked).any(|locked| locked)
    }

    fn admit(&self, notification: &ConferenceInfo) -> Result<(), MergeError> {
        if self.phase == Phase::Ended {
            return Err(MergeError::Ended);
        }
        if !self.info.entity.is_empty() && self.info.entity != notification.entity {
            return Err(MergeError::OtherConference);
        }
        if self.events.len() > self.limits.users {
            return Err(MergeError::EventsPending);
        }
        Ok(())
    }

    fn replace(&mut self, mut new: ConferenceInfo) -> Result<(), MergeError> {
        new.normalize();
        let folds: Vec<u64> = new.users().iter().map(|user| user.entity.fold()).collect();
        if folds.len() > self.limits.users {
            return Err(MergeError::Limit("users"));
        }
        let was_locked = self.is_locked();
        let old = std::mem::replace(&mut self.info, new);
        let old_folds = std::mem::replace(&mut self.folds, folds);
        self.phase = Phase::Current;
        let find = |folds: &[u64], list: &[User], fold: u64, entity: &Entity| {
            find(folds, list, fold, entity).and_then(|at| list.get(at)).map(Summary::of)
        };
        for (user, fold) in old.users().iter().zip(&old_folds) {
            if find(&self.folds, self.info.users(), *fold, &user.entity).is_none() {
                Summary::of(user).changes(&Summary::default(), &user.entity, &mut self.events);
            }
        }
        for (user, fold) in self.info.users().iter().zip(&self.folds) {
            let before = find(&old_folds, old.users(), *fold, &user.entity).unwrap_or_default();
            before.changes(&Summary::of(user), &user.entity, &mut self.events);
        }
        self.note_lock(was_locked);
        Ok(())
    }

    fn merge(&mut self, new: ConferenceInfo) -> Result<(), MergeError> {
        let was_locked = self.is_locked();
        if self.info.entity.is_empty() {
            self.info.entity = new.entity;
        }
        self.phase = Phase::Current;
        if new.version.is_some() {
            self.info.version = new.version;
        }
        if let Some(description) = new.description {
            merge_description(&mut self.info.description, description, self.limits.members)?;
        }
        replace_some(&mut self.info.host_info, new.host_info);
        replace_some(&mut self.info.conference_state, new.conference_state);
        replace_some(&mut self.info.sidebars_by_ref, new.sidebars_by_ref);
        replace_some(&mut self.info.sidebars_by_val, new.sidebars_by_val);
        if let Some(users) = new.users {
            self.merge_users(users)?;
        }
        if let Some(view) = new.view {
            for view in &view.views {
                self.events.push_back(RosterEvent::ViewChanged { entity: view.entity.clone() });
            }
            merge_view(&mut self.info.view, view, self.limits.members)?;
        }
        merge_extensions(&mut self.info.extensions, new.extensions, self.limits.members)?;
        self.note_lock(was_locked);
        Ok(())
    }

    fn merge_users(&mut self, mut new: Users) -> Result<(), MergeError> {
        if new.state != Some(State::Partial) {
            let gone = new.state == Some(State::Deleted);
            let users = if gone { Users::default() } else { new };
            // As if the whole document had come: users that are not mentioned have left.
            let mut info = self.info.clone_without_users();
            info.users = Some(users);
            return self.replace(info);
        }
        for user in std::mem::take(&mut new.list) {
            self.merge_user(user)?;
        }
        let kept = self.info.users.get_or_insert_default();
        merge_extensions(&mut kept.extensions, new.extensions, self.limits.members)
    }

    fn merge_user(&mut self, mut new: User) -> Result<(), MergeError> {
        let fold = new.entity.fold();
        let list = &mut self.info.users.get_or_insert_default().list;
        let at = find(&self.folds, list, fold, &new.entity);
        let state = new.state.unwrap_or_default();
        let Some((at, known)) = at.and_then(|at| list.get_mut(at).map(|user| (at, user))) else {
            // A partial user who is not known is taken as full.
            if state != State::Deleted {
                if list.len() >= self.limits.users {
                    return Err(MergeError::Limit("users"));
                }
                new.normalize();
                Summary::default().changes(&Summary::of(&new), &new.entity, &mut self.events);
                list.push(new);
                self.folds.push(fold);
            }
            return Ok(());
        };
        let before = Summary::of(known);
        let entity = known.entity.clone();
        let after = match state {
            State::Deleted => {
                list.remove(at);
                self.folds.remove(at);
                Summary::default()
            }
            State::Full => {
                new.normalize();
                *known = new;
                Summary::of(known)
            }
            State::Partial => {
                known.merge(new, self.limits.members)?;
                Summary::of(known)
            }
        };
        before.changes(&after, &entity, &mut self.events);
        Ok(())
    }

    fn position(&self, entity: &Entity) -> Option<usize> {
        find(&self.folds, self.info.users(), entity.fold(), entity)
    }

    fn note_lock(&mut self, was_locked: bool) {
        let locked = self.is_locked();
        if locked != was_locked {
            self.events.push_back(RosterEvent::Locked(locked));
        }
    }
}

/// The place of a user: a scan over hashes, each hit verified.
fn find(folds: &[u64], list: &[User], fold: u64, entity: &Entity) -> Option<usize> {
    let candidates = folds.iter().enumerate().filter(|(_, other)| **other == fold);
    candidates.map(|(at, _)| at).find(|at| list.get(*at).is_some_and(|user| user.entity == *entity))
}
