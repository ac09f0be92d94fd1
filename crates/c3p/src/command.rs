use crate::entity::Entity;
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::info::{ConferenceInfo, bool_str, read_bool};
use crate::keys::{ConferenceKeys, EndpointKeys, MediaKeys, UserKeys};
use crate::token::{Role, tokens};
use crate::user::{Endpoint, Media, User, read_roles, write_roles};
use crate::xml::{Extensions, Name, Namespace, Ns, Reader, Tag, Writer};

/// The one child of a [`Request`](crate::Request): what is asked for.
///
/// ```
/// use linkspan_c3p::{Command, CommandBody, UserKeys};
///
/// let eject = Command::new(CommandBody::DeleteUser(UserKeys::new("sip:focus@x", "sip:bob@x")));
/// assert_eq!(eject.body.name(), "deleteUser");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// The conferencing server that the focus passes the command to ([MS-CONFBAS] 2.2.3.15).
    pub mcu_uri: Option<Entity>,
    /// What is asked for.
    pub body: CommandBody,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

/// The commands of C3P ([MS-CONFBAS], [MS-CONFPRO], [MS-CONFAV]).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CommandBody {
    /// To the factory: what can conferences do here?
    GetConferencingCapabilities,
    /// To the factory: the older form of the same question.
    GetAvailableMcuTypes,
    /// To the factory: create a conference.
    AddConference(Box<ConferenceInfo>),
    /// To the factory: change a record; to a conferencing server: change its view.
    ModifyConference(Box<ConferenceInfo>),
    /// To the factory: remove a record; to the focus: end the conference.
    DeleteConference(ConferenceKeys),
    /// The whole state of a conference.
    GetConference(ConferenceKeys),
    /// To the factory: the user's conferences.
    GetConferences,
    /// To the factory: the certificate to encrypt passcodes with.
    GetEncryptionKey,
    /// Join, or (toward a conferencing server) call somebody in.
    AddUser {
        /// The conference.
        keys: ConferenceKeys,
        /// Who joins.
        user: Box<User>,
    },
    /// Vouch for another user.
    EndorseUser(ConferenceKeys),
    /// Give a user another role.
    ModifyUserRoles {
        /// The user.
        keys: UserKeys,
        /// The roles.
        roles: Vec<Role>,
    },
    /// Lock or unlock.
    ModifyConferenceLock {
        /// The conference.
        keys: ConferenceKeys,
        /// Whether newcomers are kept out.
        locked: bool,
    },
    /// Let users in from the lobby, or turn them away.
    SetLobbyAccess {
        /// The conference.
        keys: ConferenceKeys,
        /// Who waits.
        users: Vec<Entity>,
        /// What happens to them.
        access: LobbyAccess,
    },
    /// Remove a user.
    DeleteUser(UserKeys),
    /// Change an endpoint.
    ModifyEndpoint {
        /// The endpoint.
        keys: EndpointKeys,
        /// Its new state.
        endpoint: Option<Box<Endpoint>>,
    },
    /// Switch the announcements of joining and leaving.
    ModifyConferenceAnnouncements {
        /// The conference.
        keys: ConferenceKeys,
        /// Whether they are made.
        enabled: bool,
    },
    /// Mute or unmute a stream.
    ModifyEndpointMedia {
        /// The stream.
        keys: MediaKeys,
        /// Its new state.
        media: Box<Media>,
    },
    /// A command that this crate does not know; its content is in [`Command::extensions`]. Answer
    /// it with [`Reason::NotSupported`](crate::Reason::NotSupported).
    Other(Name),
}

tokens! {
    /// What happens to somebody in the lobby.
    LobbyAccess {
        /// Let in.
        Granted = "granted",
        /// Turned away.
        Denied = "denied",
    }
}

impl Command {
    /// A command to the focus or the factory.
    #[must_use]
    pub fn new(body: CommandBody) -> Self {
        Self { mcu_uri: None, body, extensions: Extensions::default() }
    }

    /// A command to a conferencing server, by way of the focus.
    #[must_use]
    pub fn to_mcu(mcu_uri: &str, body: CommandBody) -> Self {
        Self { mcu_uri: Some(mcu_uri.into()), ..Self::new(body) }
    }

    pub(crate) fn read<'a>(tag: Tag<'a>, reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let mcu_uri = match reader.attribute(Ns::MSCP, "mcuUri")? {
            None => reader.attribute(Ns::NONE, "mcuUri")?,
            uri => uri,
        };
        let mut parts = Parts::default();
        reader.keep_rest(&mut parts.extensions)?;
        let takes = if tag.ns == Ns::CCCP { content_of(tag.local) } else { &[] };
        while let Some(child) = reader.child()? {
            if takes.contains(&child.local) {
                parts.read_child(child, reader)?;
            } else {
                reader.keep(child, &mut parts.extensions)?;
            }
        }
        let body = parts.body(tag, reader)?;
        Ok(Self { mcu_uri: mcu_uri.map(Into::into), body, extensions: parts.extensions })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        match &self.body {
            CommandBody::Other(name) => writer.start(&name.namespace, &name.local),
            body => writer.start(CCCP, body.name()),
        }
        if let Some(uri) = &self.mcu_uri {
            writer.attribute(&Namespace::CccpExtensions, "mcuUri", uri);
        }
        self.extensions.write_attributes(writer);
        self.body.write(writer);
        self.extensions.write_elements(writer);
        writer.end();
    }
}

impl CommandBody {
    /// The name of the command.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::GetConferencingCapabilities => "getConferencingCapabilities",
            Self::GetAvailableMcuTypes => "getAvailableMcuTypes",
            Self::AddConference(_) => "addConference",
            Self::ModifyConference(_) => "modifyConference",
            Self::DeleteConference(_) => "deleteConference",
            Self::GetConference(_) => "getConference",
            Self::GetConferences => "getConferences",
            Self::GetEncryptionKey => "getEncryptionKey",
            Self::AddUser { .. } => "addUser",
            Self::EndorseUser(_) => "endorseUser",
            Self::ModifyUserRoles { .. } => "modifyUserRoles",
            Self::ModifyConferenceLock { .. } => "modifyConferenceLock",
            Self::SetLobbyAccess { .. } => "setLobbyAccess",
            Self::DeleteUser(_) => "deleteUser",
            Self::ModifyEndpoint { .. } => "modifyEndpoint",
            Self::ModifyConferenceAnnouncements { .. } => "modifyConferenceAnnouncements",
            Self::ModifyEndpointMedia { .. } => "modifyEndpointMedia",
            Self::Other(name) => &name.local,
        }
    }

    /// The conference that the command names, when it names one by its URI.
    #[must_use]
    pub fn conf_entity(&self) -> Option<&Entity> {
        match self {
            Self::DeleteConference(keys)
            | Self::GetConference(keys)
            | Self::EndorseUser(keys)
            | Self::AddUser { keys, .. }
            | Self::ModifyConferenceLock { keys, .. }
            | Self::SetLobbyAccess { keys, .. }
            | Self::ModifyConferenceAnnouncements { keys, .. } => keys.conf_entity.as_ref(),
            Self::ModifyUserRoles { keys, .. } | Self::DeleteUser(keys) => Some(&keys.conf_entity),
            Self::ModifyEndpoint { keys, .. } => Some(&keys.conf_entity),
            Self::ModifyEndpointMedia { keys, .. } => Some(&keys.conf_entity),
            Self::ModifyConference(info) => Some(&info.entity),
            Self::GetConferencingCapabilities
            | Self::GetAvailableMcuTypes
            | Self::AddConference(_)
            | Self::GetConferences
            | Self::GetEncryptionKey
            | Self::Other(_) => None,
        }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::AddConference(info) | Self::ModifyConference(info) => info.write_inside(writer),
            Self::DeleteConference(keys) | Self::GetConference(keys) | Self::EndorseUser(keys) => {
                keys.write(writer);
            }
            Self::AddUser { keys, user } => {
                keys.write(writer);
                user.write(writer);
            }
            Self::ModifyUserRoles { keys, roles } => {
                keys.write(writer);
                write_roles(roles, "user-roles", writer);
            }
            Self::ModifyConferenceLock { keys, locked } => {
                keys.write(writer);
                writer.leaf(CCCP, "locked", bool_str(*locked));
            }
            Self::SetLobbyAccess { keys, users, access } => {
                keys.write(writer);
                for user in users {
                    writer.leaf(CCCP, "userEntity", user);
                }
                writer.leaf(CCCP, "access", access.as_str());
            }
            Self::DeleteUser(keys) => keys.write(writer),
            Self::ModifyEndpoint { keys, endpoint } => {
                keys.write(writer);
                if let Some(endpoint) = endpoint {
                    endpoint.write(writer);
                }
            }
            Self::ModifyConferenceAnnouncements { keys, enabled } => {
                keys.write(writer);
                writer.leaf(CCCP, "enabled", bool_str(*enabled));
            }
            Self::ModifyEndpointMedia { keys, media } => {
                keys.write(writer);
                media.write(writer);
            }
            Self::GetConferencingCapabilities
            | Self::GetAvailableMcuTypes
            | Self::GetConferences
            | Self::GetEncryptionKey
            | Self::Other(_) => {}
        }
    }
}

/// What a command of that name is made of; everything else in it is kept as it came.
fn content_of(command: &str) -> &'static [&'static str] {
    match command {
        "addConference" | "modifyConference" => &["conference-info"],
        "deleteConference" | "getConference" | "endorseUser" => &["conferenceKeys"],
        "addUser" => &["conferenceKeys", "user"],
        "modifyUserRoles" => &["userKeys", "user-roles"],
        "modifyConferenceLock" => &["conferenceKeys", "locked"],
        "setLobbyAccess" => &["conferenceKeys", "userEntity", "access"],
        "deleteUser" => &["userKeys"],
        "modifyEndpoint" => &["endpointKeys", "endpoint"],
        "modifyConferenceAnnouncements" => &["conferenceKeys", "enabled"],
        "modifyEndpointMedia" => &["mediaKeys", "media"],
        _ => &[],
    }
}

/// What has been read of a command or a reply.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) conference_keys: Option<ConferenceKeys>,
    pub(crate) user_keys: Option<UserKeys>,
    pub(crate) endpoint_keys: Option<EndpointKeys>,
    pub(crate) media_keys: Option<MediaKeys>,
    pub(crate) info: Option<Box<ConferenceInfo>>,
    pub(crate) user: Option<Box<User>>,
    pub(crate) endpoint: Option<Box<Endpoint>>,
    pub(crate) media: Option<Box<Media>>,
    pub(crate) roles: Option<Vec<Role>>,
    users: Vec<Entity>,
    access: Option<LobbyAccess>,
    locked: Option<bool>,
    enabled: Option<bool>,
    pub(crate) extensions: Extensions,
}

impl Parts {
    pub(crate) fn read_child<'a>(
        &mut self,
        tag: Tag<'a>,
        reader: &mut Reader<'a>,
    ) -> Result<(), ParseError> {
        let at = tag.at;
        match (tag.ns, tag.local) {
            (Ns::CCCP, "conferenceKeys") => {
                let keys = ConferenceKeys::read(reader)?;
                once(&mut self.conference_keys, keys, "conferenceKeys", at)
            }
            (Ns::CCCP, "userKeys") => {
                once(&mut self.user_keys, UserKeys::read(reader)?, "userKeys", at)
            }
            (Ns::CCCP, "endpointKeys") => {
                once(&mut self.endpoint_keys, EndpointKeys::read(reader)?, "endpointKeys", at)
            }
            (Ns::CCCP, "mediaKeys") => {
                once(&mut self.media_keys, MediaKeys::read(reader)?, "mediaKeys", at)
            }
            (Ns::CI, "conference-info") => {
                let info = Box::new(ConferenceInfo::read(reader)?);
                once(&mut self.info, info, "conference-info", at)
            }
            // [MS-CONFBAS] 2.2.3.15: exactly one user
            (Ns::CI, "user") => once(&mut self.user, Box::new(User::read(reader)?), "user", at),
            (Ns::CI, "endpoint") => {
                once(&mut self.endpoint, Box::new(Endpoint::read(reader)?), "endpoint", at)
            }
            (Ns::CI, "media") => once(&mut self.media, Box::new(Media::read(reader)?), "media", at),
            (Ns::CI, "user-roles") => once(&mut self.roles, read_roles(reader)?, "user-roles", at),
            (Ns::CCCP, "locked") => {
                once(&mut self.locked, read_bool(reader, "locked")?, "locked", at)
            }
            (Ns::CCCP, "enabled") => {
                once(&mut self.enabled, read_bool(reader, "enabled")?, "enabled", at)
            }
            (Ns::CCCP, "access") => once(&mut self.access, (*reader.token()?).into(), "access", at),
            (Ns::CCCP, "userEntity") => {
                reader.count_user()?;
                self.users.push(reader.token()?.into());
                Ok(())
            }
            _ => reader.keep(tag, &mut self.extensions),
        }
    }

    fn body(&mut self, tag: Tag<'_>, reader: &Reader<'_>) -> Result<CommandBody, ParseError> {
        let missing = |what| ParseError::new(Kind::Missing(what), tag.at);
        let conference = |parts: &mut Self| {
            parts.conference_keys.take().ok_or_else(|| missing("conferenceKeys"))
        };
        let user_keys =
            |parts: &mut Self| parts.user_keys.take().ok_or_else(|| missing("userKeys"));
        let info = |parts: &mut Self| parts.info.take().ok_or_else(|| missing("conference-info"));
        if tag.ns != Ns::CCCP {
            return Ok(CommandBody::Other(reader.name(tag)));
        }
        Ok(match tag.local {
            "getConferencingCapabilities" => CommandBody::GetConferencingCapabilities,
            "getAvailableMcuTypes" => CommandBody::GetAvailableMcuTypes,
            "addConference" => CommandBody::AddConference(info(self)?),
            "modifyConference" => CommandBody::ModifyConference(info(self)?),
            "deleteConference" => CommandBody::DeleteConference(conference(self)?),
            "getConference" => CommandBody::GetConference(conference(self)?),
            "getConferences" => CommandBody::GetConferences,
            "getEncryptionKey" => CommandBody::GetEncryptionKey,
            "addUser" => CommandBody::AddUser {
                keys: conference(self)?,
                user: self.user.take().ok_or_else(|| missing("user"))?,
            },
            "endorseUser" => CommandBody::EndorseUser(conference(self)?),
            "modifyUserRoles" => CommandBody::ModifyUserRoles {
                keys: user_keys(self)?,
                roles: self.roles.take().ok_or_else(|| missing("user-roles"))?,
            },
            "modifyConferenceLock" => CommandBody::ModifyConferenceLock {
                keys: conference(self)?,
                locked: self.locked.take().ok_or_else(|| missing("locked"))?,
            },
            "setLobbyAccess" => CommandBody::SetLobbyAccess {
                keys: conference(self)?,
                users: std::mem::take(&mut self.users),
                access: self.access.take().ok_or_else(|| missing("access"))?,
            },
            "deleteUser" => CommandBody::DeleteUser(user_keys(self)?),
            "modifyEndpoint" => CommandBody::ModifyEndpoint {
                keys: self.endpoint_keys.take().ok_or_else(|| missing("endpointKeys"))?,
                endpoint: self.endpoint.take(),
            },
            "modifyConferenceAnnouncements" => {
                let mut keys = conference(self)?;
                // One parser definition has `enabled` inside the keys: read in either place.
                let enabled = self.enabled.take().or_else(|| enabled_inside(&mut keys));
                CommandBody::ModifyConferenceAnnouncements {
                    keys,
                    enabled: enabled.ok_or_else(|| missing("enabled"))?,
                }
            }
            "modifyEndpointMedia" => CommandBody::ModifyEndpointMedia {
                keys: self.media_keys.take().ok_or_else(|| missing("mediaKeys"))?,
                media: self.media.take().ok_or_else(|| missing("media"))?,
            },
            other => CommandBody::Other(Name::new(Namespace::Cccp, other)),
        })
    }
}

fn enabled_inside(keys: &mut ConferenceKeys) -> Option<bool> {
    let enabled = match keys.extensions.element("enabled")?.text() {
        "true" | "1" => true,
        "false" | "0" => false,
        _ => return None,
    };
    keys.extensions.elements_mut().retain(|element| element.name.local != "enabled");
    Some(enabled)
}

fn once<T>(
    field: &mut Option<T>,
    value: T,
    what: &'static str,
    at: usize,
) -> Result<(), ParseError> {
    if field.replace(value).is_some() {
        return Err(ParseError::new(Kind::Repeated(what), at));
    }
    Ok(())
}

const CCCP: &Namespace = &Namespace::Cccp;
