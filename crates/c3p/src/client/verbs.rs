use std::time::Instant;

use super::{ClientEnd, ClientError, ConferenceClient, Phase};
use crate::command::{Command, CommandBody, LobbyAccess};
use crate::entity::Entity;
use crate::keys::{ConferenceKeys, MediaKeys, UserKeys};
use crate::request::RequestId;
use crate::token::{JoiningMethod, McuType, MediaFilter, MediaStatus, MediaType, Role};
use crate::user::{Endpoint, Media, User};

impl ConferenceClient {
    /// Leaves: ends all dialogs.
    pub fn leave(&mut self) {
        self.end(ClientEnd::Left);
    }

    /// Sends any command; its outcome comes as [`ClientEvent::Command`](super::ClientEvent).
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn command(&mut self, command: Command, now: Instant) -> Result<RequestId, ClientError> {
        self.require_joined()?;
        let request = self.requests.send(command, now)?;
        Ok(self.send(&request))
    }

    /// Mutes the user's own stream of a kind, or lets it be heard again ([MS-CONFAV]
    /// `modifyEndpointMedia`).
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn mute(
        &mut self,
        kind: &MediaType,
        muted: bool,
        now: Instant,
    ) -> Result<RequestId, ClientError> {
        let user = Entity::from(&*self.config.user);
        self.mute_user(&user, kind, muted, now)
    }

    /// The same of any user's stream; presenters may.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn mute_user(
        &mut self,
        user: &str,
        kind: &MediaType,
        muted: bool,
        now: Instant,
    ) -> Result<RequestId, ClientError> {
        self.require_joined()?;
        let server = self.server(&McuType::AudioVideo)?;
        let listed = self.conference.participant(user).ok_or(ClientError::NoStream)?;
        let session = listed.user().session(&McuType::AudioVideo).ok_or(ClientError::NoStream)?;
        let stream = session.stream_of(kind).ok_or(ClientError::NoStream)?;
        let keys = MediaKeys::new(&self.config.focus, user, &session.entity, &stream.id);
        let mut media = Media::new(&stream.id, kind.clone());
        media.status = Some(if muted { MediaStatus::RecvOnly } else { MediaStatus::SendRecv });
        media.ingress_filter = Some(if muted { MediaFilter::Block } else { MediaFilter::Unblock });
        let body = CommandBody::ModifyEndpointMedia { keys, media: Box::new(media) };
        self.command(Command::to_mcu(&server, body), now)
    }

    /// Removes a user; presenters may.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn remove(&mut self, user: &str, now: Instant) -> Result<RequestId, ClientError> {
        let keys = UserKeys::new(&self.config.focus, user);
        self.command(Command::new(CommandBody::DeleteUser(keys)), now)
    }

    /// Gives a user another role; presenters may.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn set_role(
        &mut self,
        user: &str,
        role: Role,
        now: Instant,
    ) -> Result<RequestId, ClientError> {
        let keys = UserKeys::new(&self.config.focus, user);
        let body = CommandBody::ModifyUserRoles { keys, roles: vec![role] };
        self.command(Command::new(body), now)
    }

    /// Locks the conference, or opens it; presenters may.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn lock(&mut self, locked: bool, now: Instant) -> Result<RequestId, ClientError> {
        let keys = ConferenceKeys::new(&self.config.focus);
        self.command(Command::new(CommandBody::ModifyConferenceLock { keys, locked }), now)
    }

    /// Lets users in from the lobby, or turns them away; presenters may.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn admit(
        &mut self,
        users: &[&str],
        access: LobbyAccess,
        now: Instant,
    ) -> Result<RequestId, ClientError> {
        let keys = ConferenceKeys::new(&self.config.focus);
        let users = users.iter().map(|user| Entity::from(*user)).collect();
        self.command(Command::new(CommandBody::SetLobbyAccess { keys, users, access }), now)
    }

    /// Has somebody called in by the sound and picture server ([MS-CONFBAS] 2.2.3.15). `endpoint`
    /// is a fresh GUID in braces.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn dial_out(
        &mut self,
        uri: &str,
        endpoint: &str,
        now: Instant,
    ) -> Result<RequestId, ClientError> {
        let server = self.server(&McuType::AudioVideo)?;
        let mut user = User::new(uri);
        user.roles = Some(vec![Role::Attendee]);
        user.endpoints.push(Endpoint {
            entity: endpoint.into(),
            endpoint_uri: Some(uri.into()),
            joining_method: Some(JoiningMethod::DialedOut),
            ..Endpoint::default()
        });
        let keys = ConferenceKeys::new(&self.config.focus);
        let body = CommandBody::AddUser { keys, user: Box::new(user) };
        self.command(Command::to_mcu(&server, body), now)
    }

    fn require_joined(&self) -> Result<(), ClientError> {
        if self.phase == Phase::Joined { Ok(()) } else { Err(ClientError::NotJoined) }
    }

    fn server(&self, mcu: &McuType) -> Result<String, ClientError> {
        let listed = self.conference.info().mcu_uri(mcu).map(str::to_owned);
        listed.or_else(|| self.config.mcu_uri(mcu)).ok_or(ClientError::NoServer)
    }
}
