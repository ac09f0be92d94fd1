use crate::command::CommandBody;
use crate::entity::Entity;
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::info::ConferenceInfo;
use crate::keys::{ConferenceKeys, MediaKeys, UserKeys};
use crate::limits::Limits;
use crate::reason::Reason;
use crate::request::{Envelope, Request, RequestId, expect_root, write_envelope};
use crate::text::Text;
use crate::token::{McuType, tokens};
use crate::user::{Media, User};
use crate::xml::{
    Element, Extensions, Name, Namespace, Ns, Reader, Tag, Writer, decode, write_document,
};

tokens! {
    /// How a command ended.
    ResponseCode {
        /// It was done.
        Success = "success",
        /// It was not.
        Failure = "failure",
        /// It is being done: another response follows.
        Pending = "pending",
    }
}

/// A C3P response: a body of type `application/cccp+xml` ([MS-CONFPRO] 2.2.3).
///
/// ```
/// use linkspan_c3p::{Command, CommandBody, Reason, Request, RequestId, Response, UserKeys};
///
/// let command = Command::new(CommandBody::DeleteUser(UserKeys::new("sip:focus@x", "sip:b@x")));
/// let request = Request::new(RequestId(7), "sip:a@x", "sip:focus@x", command);
/// let response = Response::failure_of(&request, Reason::UserDoesntExist);
/// assert_eq!(response.to, "sip:a@x");
/// assert_eq!(response.reply.reason, Some(Reason::UserDoesntExist));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// Names the request.
    pub request_id: RequestId,
    /// The focus or the factory.
    pub from: Entity,
    /// Who asked.
    pub to: Entity,
    /// Version of the protocol: 1.
    pub version: Option<u32>,
    /// How the command ended.
    pub code: ResponseCode,
    /// What came of it.
    pub reply: Reply,
    /// Attributes that this crate has no field for.
    pub extensions: Extensions,
}

/// The one child of a [`Response`], named as the command.
///
/// One type for all commands: what servers put into a reply differs more than what they take in a
/// request. What is known is typed, the rest is kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reply {
    /// The name of the command.
    pub command: Name,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// What `endorseUser` answers in place of a reason ([MS-CONFBAS] 2.2.3.6).
    pub result: Option<Reason>,
    /// Version of the capabilities.
    pub capability_version: Option<u32>,
    /// The conference.
    pub conference_keys: Option<ConferenceKeys>,
    /// The user.
    pub user_keys: Option<UserKeys>,
    /// The stream.
    pub media_keys: Option<MediaKeys>,
    /// The user, with the role that was granted.
    pub user: Option<Box<User>>,
    /// The conference, or a summary of it.
    pub conferences: Vec<ConferenceInfo>,
    /// The stream's new state.
    pub media: Option<Box<Media>>,
    /// The conferencing servers there are.
    pub mcu_types: Option<Vec<McuType>>,
    /// Numbers to call in by, with their regions; see [`Reply::access_numbers`].
    pub pstn_bridging: Option<Element>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl Reply {
    /// An empty reply to a command of that name.
    #[must_use]
    pub fn new(command: &str) -> Self {
        Self { command: Name::new(Namespace::Cccp, command), ..Self::default() }
    }

    /// The role that was granted to a user who joined; may be lower than the one asked for.
    #[must_use]
    pub fn granted_role(&self) -> Option<&crate::Role> {
        self.user.as_ref()?.role()
    }

    /// The telephone numbers of a conference service: region and number.
    pub fn access_numbers(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let numbers = self.pstn_bridging.as_ref().and_then(|all| all.child("access-numbers"));
        let regions = numbers.into_iter().flat_map(Element::elements);
        regions.filter(|region| region.name.local == "region").flat_map(|region| {
            let numbers = region.elements().filter_map(|access| access.child("number"));
            numbers.map(|number| (region.attribute("name"), number.text()))
        })
    }

    fn read<'a>(tag: Tag<'a>, reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let mut reply = Self { command: reader.name(tag), ..Self::default() };
        reply.reason = reader.attribute(Ns::NONE, "reason")?.map(|value| (*value).into());
        reply.result = reader.attribute(Ns::NONE, "result")?.map(|value| (*value).into());
        if let Some(version) = reader.attribute(Ns::NONE, "capability-version")? {
            let version = version.trim_ascii().parse();
            let version = version.map_err(|_| reader.fail(Kind::Invalid("capability-version")))?;
            reply.capability_version = Some(version);
        }
        reader.keep_rest(&mut reply.extensions)?;
        while let Some(child) = reader.child()? {
            reply.read_child(child, reader)?;
        }
        Ok(reply)
    }

    fn read_child<'a>(&mut self, tag: Tag<'a>, reader: &mut Reader<'a>) -> Result<(), ParseError> {
        match (tag.ns, tag.local) {
            (Ns::CCCP, "conferenceKeys") if self.conference_keys.is_none() => {
                self.conference_keys = Some(ConferenceKeys::read(reader)?);
            }
            (Ns::CCCP, "userKeys") if self.user_keys.is_none() => {
                self.user_keys = Some(UserKeys::read(reader)?);
            }
            (Ns::CCCP, "mediaKeys") if self.media_keys.is_none() => {
                self.media_keys = Some(MediaKeys::read(reader)?);
            }
            (Ns::CI, "user") if self.user.is_none() => {
                self.user = Some(Box::new(User::read(reader)?));
            }
            (Ns::CI, "conference-info") => {
                self.conferences.push(ConferenceInfo::read(reader)?);
                reader.check_members(self.conferences.len())?;
            }
            (Ns::CI, "media") if self.media.is_none() => {
                self.media = Some(Box::new(Media::read(reader)?));
            }
            (Ns::CCCP, "mcu-types") if self.mcu_types.is_none() && !reader.has_rest() => {
                self.mcu_types = Some(read_mcu_types(reader)?);
            }
            (Ns::CCCP, "pstn-bridging") if self.pstn_bridging.is_none() => {
                self.pstn_bridging = Some(reader.element(tag)?);
            }
            _ => reader.keep(tag, &mut self.extensions)?,
        }
        Ok(())
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.start(&self.command.namespace, &self.command.local);
        if let Some(reason) = &self.reason {
            writer.plain("reason", reason.as_str());
        }
        if let Some(result) = &self.result {
            writer.plain("result", result.as_str());
        }
        if let Some(version) = self.capability_version {
            writer.plain("capability-version", &version.to_string());
        }
        self.extensions.write_attributes(writer);
        if let Some(keys) = &self.conference_keys {
            keys.write(writer);
        }
        if let Some(keys) = &self.user_keys {
            keys.write(writer);
        }
        if let Some(keys) = &self.media_keys {
            keys.write(writer);
        }
        if let Some(user) = &self.user {
            user.write(writer);
        }
        for conference in &self.conferences {
            conference.write_inside(writer);
        }
        if let Some(media) = &self.media {
            media.write(writer);
        }
        if let Some(types) = &self.mcu_types {
            writer.start(&Namespace::Cccp, "mcu-types");
            for mcu in types {
                writer.leaf(&Namespace::Cccp, "mcuType", mcu.as_str());
            }
            writer.end();
        }
        if let Some(bridging) = &self.pstn_bridging {
            bridging.write(writer);
        }
        self.extensions.write_elements(writer);
        writer.end();
    }
}

impl Response {
    /// A response with everything but its outcome taken from the request: sender and recipient
    /// change places.
    #[must_use]
    pub fn to_request(request: &Request, code: ResponseCode, reply: Reply) -> Self {
        Self {
            request_id: request.request_id,
            from: request.to.clone(),
            to: request.from.clone(),
            version: Some(1),
            code,
            reply,
            extensions: Extensions::default(),
        }
    }

    /// The request was carried out.
    #[must_use]
    pub fn success_of(request: &Request) -> Self {
        Self::to_request(request, ResponseCode::Success, reply_to(&request.command.body))
    }

    /// The request was not carried out.
    #[must_use]
    pub fn failure_of(request: &Request, reason: Reason) -> Self {
        let mut reply = reply_to(&request.command.body);
        if matches!(request.command.body, CommandBody::EndorseUser(_)) {
            reply.result = Some(reason);
        } else {
            reply.reason = Some(reason);
        }
        Self::to_request(request, ResponseCode::Failure, reply)
    }

    /// Reads a response within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// When it is not a response to one command, or exceeds a limit.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        const LIMITS: Limits = Limits::new();
        Self::parse_with(octets, &LIMITS)
    }

    /// Reads a response within `limits`.
    ///
    /// # Errors
    ///
    /// When it is not a response to one command, or exceeds a limit.
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let text = decode(octets, limits)?;
        let (mut reader, root) = Reader::open(&text, limits)?;
        expect_root(root, "response")?;
        let response = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(response)
    }

    /// Appends the document.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_document(out, &Namespace::Cccp, "response", |writer| {
            write_envelope(self.version, self.request_id, &self.from, &self.to, writer);
            writer.plain("code", self.code.as_str());
            self.extensions.write_attributes(writer);
            self.reply.write(writer);
        });
    }

    /// The document.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.write(&mut out);
        out
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let envelope = Envelope::read(reader)?;
        let code = reader.attribute(Ns::NONE, "code")?;
        let code = code.ok_or_else(|| reader.fail(Kind::Missing("code")))?;
        let mut extensions = Extensions::default();
        reader.keep_rest(&mut extensions)?;
        let tag = reader.child()?.ok_or_else(|| reader.fail(Kind::Missing("command")))?;
        let reply = Reply::read(tag, reader)?;
        if reader.child()?.is_some() {
            // [MS-CONFPRO] 2.2.3: one child
            return Err(reader.fail(Kind::Repeated("command")));
        }
        Ok(Self {
            request_id: envelope.request_id,
            from: envelope.from,
            to: envelope.to,
            version: envelope.version,
            code: (*code).into(),
            reply,
            extensions,
        })
    }
}

/// The keys of the command, echoed.
fn reply_to(body: &CommandBody) -> Reply {
    let mut reply = match body {
        CommandBody::Other(name) => Reply { command: name.clone(), ..Reply::default() },
        body => Reply::new(body.name()),
    };
    match body {
        CommandBody::AddUser { keys, .. }
        | CommandBody::EndorseUser(keys)
        | CommandBody::ModifyConferenceLock { keys, .. }
        | CommandBody::SetLobbyAccess { keys, .. }
        | CommandBody::ModifyConferenceAnnouncements { keys, .. } => {
            reply.conference_keys = Some(keys.clone());
        }
        CommandBody::ModifyUserRoles { keys, .. } | CommandBody::DeleteUser(keys) => {
            reply.user_keys = Some(keys.clone());
        }
        CommandBody::ModifyEndpointMedia { keys, .. } => reply.media_keys = Some(keys.clone()),
        _ => {}
    }
    reply
}

fn read_mcu_types(reader: &mut Reader<'_>) -> Result<Vec<McuType>, ParseError> {
    let mut types = Vec::new();
    while let Some(tag) = reader.child()? {
        if tag.local == "mcuType" {
            types.push(McuType::from(&*Text::from(reader.token()?)));
        } else {
            reader.skip()?;
        }
    }
    Ok(types)
}
