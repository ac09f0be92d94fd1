use std::collections::VecDeque;

use crate::entity::Entity;
use crate::token::{EndpointStatus, McuType, MediaStatus, MediaType, Role};
use crate::user::{Endpoint, Media, User};

/// What changed in a conference.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RosterEvent {
    /// A user takes part.
    Joined {
        /// Who.
        user: Entity,
        /// Whether the user waited in the lobby until now.
        from_lobby: bool,
    },
    /// A user waits in the lobby.
    EnteredLobby {
        /// Who.
        user: Entity,
    },
    /// A user has left, from the conference or from the lobby.
    Left {
        /// Who.
        user: Entity,
    },
    /// A user has another role.
    RoleChanged {
        /// Who.
        user: Entity,
        /// The role; `None` when the user has none any more.
        role: Option<Role>,
    },
    /// The conference does not take a user's sound or picture any more.
    Muted {
        /// Who.
        user: Entity,
        /// What of.
        media: MediaType,
    },
    /// The conference takes it again.
    Unmuted {
        /// Who.
        user: Entity,
        /// What of.
        media: MediaType,
    },
    /// A user shows a screen.
    SharingStarted {
        /// Who.
        user: Entity,
    },
    /// A user shows it no more.
    SharingStopped {
        /// Who.
        user: Entity,
    },
    /// A user uses another modality.
    SessionAdded {
        /// Who.
        user: Entity,
        /// The modality.
        session_type: McuType,
    },
    /// A user uses a modality no more.
    SessionRemoved {
        /// Who.
        user: Entity,
        /// The modality.
        session_type: McuType,
    },
    /// Another user speaks: see [`Conference::set_dominant_speaker`].
    ///
    /// [`Conference::set_dominant_speaker`]: crate::Conference::set_dominant_speaker
    DominantSpeaker {
        /// Who; `None` when it is nobody on the roster.
        user: Option<Entity>,
    },
    /// The conference was locked or unlocked.
    Locked(bool),
    /// A conferencing server says something else about its part of the conference: layout,
    /// settings, policy.
    ViewChanged {
        /// The key of its view.
        entity: Entity,
    },
    /// The conference is over.
    Ended,
}

/// One line of the roster.
///
/// ```
/// use linkspan_c3p::{Participant, User};
///
/// let user = User { display_text: Some("Bob\u{202E}\u{7}".into()), ..User::new("sip:bob@x") };
/// assert_eq!(Participant::new(&user).display_name(), "Bob");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Participant<'a> {
    user: &'a User,
}

impl<'a> Participant<'a> {
    /// The view of a user.
    #[must_use]
    pub const fn new(user: &'a User) -> Self {
        Self { user }
    }

    /// The user as the document has it.
    #[must_use]
    pub const fn user(&self) -> &'a User {
        self.user
    }

    /// The key.
    #[must_use]
    pub const fn entity(&self) -> &'a Entity {
        &self.user.entity
    }

    /// The name, fit to be shown: without control characters and marks that change the direction
    /// of text, at most 256 characters; the key where there is none.
    #[must_use]
    pub fn display_name(&self) -> String {
        let raw = self.user.display_text.as_deref().unwrap_or_default();
        let clean: String = raw.chars().filter(|c| is_shown(*c)).take(256).collect();
        let clean = clean.trim();
        if clean.is_empty() { self.user.entity.to_string() } else { clean.into() }
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Option<&'a Role> {
        self.user.role()
    }

    /// True when the user takes part.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.is_in_lobby() && self.user.endpoints.iter().any(Endpoint::is_connected)
    }

    /// True when the user waits to be let in: the focus endpoint is on hold.
    #[must_use]
    pub fn is_in_lobby(&self) -> bool {
        let focus = self.user.session(&McuType::Focus);
        focus.is_some_and(|endpoint| endpoint.status == Some(EndpointStatus::OnHold))
    }

    /// True when the conference does not take that kind of media from the user.
    #[must_use]
    pub fn is_muted(&self, kind: &MediaType) -> bool {
        let streams = self.user.endpoints.iter().flat_map(|endpoint| &endpoint.media);
        streams.filter(|media| media.kind.as_ref() == Some(kind)).any(Media::is_muted)
    }

    /// True when the user shows a screen.
    #[must_use]
    pub fn is_sharing(&self) -> bool {
        let sharing = |media: &Media| {
            media.kind == Some(MediaType::ApplicationSharing)
                && media.media_state == Some(EndpointStatus::Connected)
                && media.status == Some(MediaStatus::SendOnly)
        };
        let endpoints = self.user.endpoints.iter();
        let mut endpoints =
            endpoints.filter(|e| e.session_type == Some(McuType::ApplicationSharing));
        endpoints.any(|endpoint| endpoint.media.iter().any(sharing))
    }

    /// True when one of the user's streams has that source id.
    #[must_use]
    pub fn has_source(&self, source_id: u32) -> bool {
        let mut streams = self.user.endpoints.iter().flat_map(|endpoint| &endpoint.media);
        streams.any(|media| media.source_id == Some(source_id))
    }
}

/// What events are about, of one user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Summary {
    presence: Presence,
    role: Option<Role>,
    muted: [bool; MEDIA.len()],
    sharing: bool,
    sessions: [bool; SESSIONS.len()],
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Presence {
    #[default]
    Absent,
    Lobby,
    Connected,
}

impl Summary {
    pub(crate) fn of(user: &User) -> Self {
        let participant = Participant::new(user);
        let presence = if participant.is_in_lobby() {
            Presence::Lobby
        } else if participant.is_connected() {
            Presence::Connected
        } else {
            Presence::Absent
        };
        Self {
            presence,
            role: user.role().cloned(),
            muted: MEDIA.each_ref().map(|kind| participant.is_muted(kind)),
            sharing: participant.is_sharing(),
            sessions: SESSIONS
                .each_ref()
                .map(|kind| user.session(kind).is_some_and(Endpoint::is_connected)),
        }
    }

    /// The events that lead from here to `after`.
    pub(crate) fn changes(&self, after: &Self, user: &Entity, events: &mut VecDeque<RosterEvent>) {
        if self == after {
            return;
        }
        let user = || user.clone();
        match (self.presence, after.presence) {
            (before, Presence::Connected) if before != Presence::Connected => {
                let from_lobby = before == Presence::Lobby;
                events.push_back(RosterEvent::Joined { user: user(), from_lobby });
            }
            (before, Presence::Lobby) if before != Presence::Lobby => {
                events.push_back(RosterEvent::EnteredLobby { user: user() });
            }
            (Presence::Lobby | Presence::Connected, Presence::Absent) => {
                // What else the user had is gone with it.
                events.push_back(RosterEvent::Left { user: user() });
                return;
            }
            _ => {}
        }
        if self.role != after.role && self.presence != Presence::Absent {
            events.push_back(RosterEvent::RoleChanged { user: user(), role: after.role.clone() });
        }
        let sessions = SESSIONS.into_iter().zip(self.sessions.into_iter().zip(after.sessions));
        for (session_type, (before, now)) in sessions {
            match (before, now) {
                (false, true) => {
                    events.push_back(RosterEvent::SessionAdded { user: user(), session_type });
                }
                (true, false) => {
                    events.push_back(RosterEvent::SessionRemoved { user: user(), session_type });
                }
                _ => {}
            }
        }
        let muted = MEDIA.into_iter().zip(self.muted.into_iter().zip(after.muted));
        for (media, (before, now)) in muted {
            match (before, now) {
                (false, true) => events.push_back(RosterEvent::Muted { user: user(), media }),
                (true, false) => events.push_back(RosterEvent::Unmuted { user: user(), media }),
                _ => {}
            }
        }
        match (self.sharing, after.sharing) {
            (false, true) => events.push_back(RosterEvent::SharingStarted { user: user() }),
            (true, false) => events.push_back(RosterEvent::SharingStopped { user: user() }),
            _ => {}
        }
    }
}

/// No control characters, no marks that embed, override or isolate a direction, no separators.
fn is_shown(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
                | '\u{FEFF}' | '\u{FFFD}'
        )
}

const MEDIA: [MediaType; 2] = [MediaType::Audio, MediaType::Video];
const SESSIONS: [McuType; 6] = [
    McuType::AudioVideo,
    McuType::Chat,
    McuType::ApplicationSharing,
    McuType::PhoneConf,
    McuType::Meeting,
    McuType::DataConf,
];
