use crate::entity::Entity;
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::info::State;
use crate::text::Text;
use crate::token::{
    DisconnectionMethod, EndpointStatus, JoiningMethod, McuType, MediaFilter, MediaStatus,
    MediaType, Role,
};
use crate::xml::{Element, Extensions, Namespace, Ns, Reader, Tag, Writer};

/// A participant (RFC 4575 §5.6).
///
/// ```
/// use linkspan_c3p::{Endpoint, McuType, Role, User};
///
/// let mut user = User::new("sip:room4@video.example");
/// user.roles = Some(vec![Role::Attendee]);
/// user.endpoints.push(Endpoint::new("{6F1C0A52}", McuType::Focus));
/// assert_eq!(user.role(), Some(&Role::Attendee));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct User {
    /// The key: the user's SIP URI.
    pub entity: Entity,
    /// Whether this describes all of the user; absent means full.
    pub state: Option<State>,
    /// Name to show; comes from whoever joined, so clean it before showing.
    pub display_text: Option<Box<str>>,
    /// Other addresses of the same person.
    pub associated_aors: Option<Box<Element>>,
    /// Roles.
    pub roles: Option<Vec<Role>>,
    /// Languages that the user understands.
    pub languages: Option<Box<str>>,
    /// The conference that this user stands for, when it is one.
    pub cascaded_focus: Option<Box<str>>,
    /// The user's sessions: with Lync one for each modality of each device.
    pub endpoints: Vec<Endpoint>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl User {
    /// A user without anything but a key.
    #[must_use]
    pub fn new(entity: &str) -> Self {
        Self { entity: entity.into(), ..Self::default() }
    }

    /// The role; of several, the first.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        self.roles.as_ref()?.first()
    }

    /// The endpoint with that key.
    #[must_use]
    pub fn endpoint(&self, entity: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.entity.is(entity))
    }

    /// The first endpoint of that modality.
    #[must_use]
    pub fn session(&self, session_type: &McuType) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.session_type.as_ref() == Some(session_type))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        reader.count_user()?;
        let entity = reader.attribute(Ns::NONE, "entity")?;
        let entity = entity.ok_or_else(|| reader.fail(Kind::Missing("entity")))?;
        let mut user =
            Self { entity: entity.into(), state: State::read(reader)?, ..Self::default() };
        reader.keep_rest(&mut user.extensions)?;
        while let Some(tag) = reader.child()? {
            match (tag.ns, tag.local) {
                (Ns::CI, "endpoint") => {
                    let endpoint = Endpoint::read(reader)?;
                    push_tight(&mut user.endpoints, endpoint);
                    reader.check_members(user.endpoints.len())?;
                }
                (Ns::CI, "display-text") if user.display_text.is_none() => {
                    user.display_text = Some(reader.text()?.into());
                }
                (Ns::CI, "roles") if user.roles.is_none() && !reader.has_rest() => {
                    user.roles = Some(read_roles(reader)?);
                }
                (Ns::CI, "associated-aors") if user.associated_aors.is_none() => {
                    user.associated_aors = Some(Box::new(reader.element(tag)?));
                }
                (Ns::CI, "languages") if user.languages.is_none() => {
                    user.languages = Some(reader.token()?.into());
                }
                (Ns::CI, "cascaded-focus") if user.cascaded_focus.is_none() => {
                    user.cascaded_focus = Some(reader.token()?.into());
                }
                _ => reader.keep(tag, &mut user.extensions)?,
            }
        }
        user.endpoints.shrink_to_fit();
        Ok(user)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(CI, "user");
        writer.plain("entity", &self.entity);
        State::write(self.state, writer);
        self.extensions.write_attributes(writer);
        optional(writer, CI, "display-text", self.display_text.as_deref());
        if let Some(aors) = &self.associated_aors {
            aors.write(writer);
        }
        if let Some(roles) = &self.roles {
            write_roles(roles, "roles", writer);
        }
        optional(writer, CI, "languages", self.languages.as_deref());
        optional(writer, CI, "cascaded-focus", self.cascaded_focus.as_deref());
        for endpoint in &self.endpoints {
            endpoint.write(writer);
        }
        self.extensions.write_elements(writer);
        writer.end();
    }
}

/// One session of a user with the conference (RFC 4575 §5.7).
///
/// ```
/// use linkspan_c3p::{Endpoint, EndpointStatus, McuType};
///
/// let mut endpoint = Endpoint::new("{0B7E93D4}", McuType::AudioVideo);
/// endpoint.status = Some(EndpointStatus::Connected);
/// assert!(endpoint.is_connected());
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Endpoint {
    /// The key: with Lync a GUID in braces.
    pub entity: Entity,
    /// Whether this describes all of the endpoint; absent means full.
    pub state: Option<State>,
    /// The modality (Microsoft's `session-type` attribute).
    pub session_type: Option<McuType>,
    /// The device (Microsoft's `epid` attribute).
    pub epid: Option<Text>,
    /// Where a call to the endpoint goes (Microsoft's `endpoint-uri` attribute, [MS-CONFBAS]
    /// 2.2.3.15).
    pub endpoint_uri: Option<Box<str>>,
    /// Name to show.
    pub display_text: Option<Box<str>>,
    /// Who brought the endpoint in.
    pub referred: Option<Box<Element>>,
    /// What it is doing.
    pub status: Option<EndpointStatus>,
    /// How it came in.
    pub joining_method: Option<JoiningMethod>,
    /// When, why and by whom it came in.
    pub joining_info: Option<Box<Element>>,
    /// How it went out.
    pub disconnection_method: Option<DisconnectionMethod>,
    /// When, why and by whom it went out.
    pub disconnection_info: Option<Box<Element>>,
    /// Its streams.
    pub media: Vec<Media>,
    /// Its SIP dialog.
    pub call_info: Option<Box<Element>>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl Endpoint {
    /// An endpoint of one modality without anything else.
    #[must_use]
    pub fn new(entity: &str, session_type: McuType) -> Self {
        Self { entity: entity.into(), session_type: Some(session_type), ..Self::default() }
    }

    /// True when it takes part: connected, or connected and muted.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.status, Some(EndpointStatus::Connected | EndpointStatus::MutedViaFocus))
    }

    /// The stream with that identifier.
    #[must_use]
    pub fn stream(&self, id: &str) -> Option<&Media> {
        self.media.iter().find(|media| media.id == id)
    }

    /// The first stream of that kind.
    #[must_use]
    pub fn stream_of(&self, kind: &MediaType) -> Option<&Media> {
        self.media.iter().find(|media| media.kind.as_ref() == Some(kind))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let entity = reader.attribute(Ns::NONE, "entity")?;
        let entity = entity.ok_or_else(|| reader.fail(Kind::Missing("entity")))?;
        let mut endpoint = Self {
            entity: entity.into(),
            state: State::read(reader)?,
            session_type: reader.ms_attribute("session-type")?.map(|value| (*value).into()),
            epid: reader.ms_attribute("epid")?.map(Text::from),
            endpoint_uri: reader.ms_attribute("endpoint-uri")?.map(Into::into),
            ..Self::default()
        };
        reader.keep_rest(&mut endpoint.extensions)?;
        while let Some(tag) = reader.child()? {
            endpoint.read_child(tag, reader)?;
        }
        endpoint.media.shrink_to_fit();
        Ok(endpoint)
    }

    fn read_child<'a>(&mut self, tag: Tag<'a>, reader: &mut Reader<'a>) -> Result<(), ParseError> {
        match (tag.ns, tag.local) {
            (Ns::CI, "media") => {
                push_tight(&mut self.media, Media::read(reader)?);
                reader.check_members(self.media.len())?;
            }
            (Ns::CI, "status") if self.status.is_none() => {
                self.status = Some((*reader.token()?).into());
            }
            (Ns::CI, "joining-method") if self.joining_method.is_none() => {
                self.joining_method = Some((*reader.token()?).into());
            }
            (Ns::CI, "display-text") if self.display_text.is_none() => {
                self.display_text = Some(reader.text()?.into());
            }
            (Ns::CI, "referred") if self.referred.is_none() => {
                self.referred = Some(Box::new(reader.element(tag)?));
            }
            (Ns::CI, "joining-info") if self.joining_info.is_none() => {
                self.joining_info = Some(Box::new(reader.element(tag)?));
            }
            (Ns::CI, "disconnection-method") if self.disconnection_method.is_none() => {
                self.disconnection_method = Some((*reader.token()?).into());
            }
            (Ns::CI, "disconnection-info") if self.disconnection_info.is_none() => {
                self.disconnection_info = Some(Box::new(reader.element(tag)?));
            }
            (Ns::CI, "call-info") if self.call_info.is_none() => {
                self.call_info = Some(Box::new(reader.element(tag)?));
            }
            _ => reader.keep(tag, &mut self.extensions)?,
        }
        Ok(())
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(CI, "endpoint");
        writer.plain("entity", &self.entity);
        State::write(self.state, writer);
        if let Some(session_type) = &self.session_type {
            writer.attribute(MSCI, "session-type", session_type.as_str());
        }
        if let Some(epid) = &self.epid {
            writer.attribute(MSCI, "epid", epid);
        }
        if let Some(uri) = &self.endpoint_uri {
            writer.attribute(MSCI, "endpoint-uri", uri);
        }
        self.extensions.write_attributes(writer);
        optional(writer, CI, "display-text", self.display_text.as_deref());
        element(writer, self.referred.as_deref());
        optional(writer, CI, "status", self.status.as_ref().map(EndpointStatus::as_str));
        let joining = self.joining_method.as_ref().map(JoiningMethod::as_str);
        optional(writer, CI, "joining-method", joining);
        element(writer, self.joining_info.as_deref());
        let leaving = self.disconnection_method.as_ref().map(DisconnectionMethod::as_str);
        optional(writer, CI, "disconnection-method", leaving);
        element(writer, self.disconnection_info.as_deref());
        for media in &self.media {
            media.write(writer);
        }
        element(writer, self.call_info.as_deref());
        self.extensions.write_elements(writer);
        writer.end();
    }
}

/// A media stream of an endpoint (RFC 4575 §5.8, [MS-CONFAV]).
///
/// ```
/// use linkspan_c3p::{Media, MediaFilter, MediaStatus, MediaType};
///
/// let mut media = Media::new("1", MediaType::Audio);
/// media.status = Some(MediaStatus::RecvOnly);
/// media.ingress_filter = Some(MediaFilter::Block);
/// assert!(media.is_muted());
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Media {
    /// The key, unique within the endpoint.
    pub id: Text,
    /// Name to show.
    pub display_text: Option<Box<str>>,
    /// What the stream carries.
    pub kind: Option<MediaType>,
    /// The label of the stream in SDP, such as `main-audio`.
    pub label: Option<Text>,
    /// The SSRC, as text (RFC 4575 §5.8.4).
    pub src_id: Option<Text>,
    /// Its direction, as the endpoint sees it.
    pub status: Option<MediaStatus>,
    /// The source id that stands in CSRC lists for this stream (Microsoft's `media-source-id`).
    pub source_id: Option<u32>,
    /// Whether the conference takes what the endpoint sends.
    pub ingress_filter: Option<MediaFilter>,
    /// Whether the conference sends to the endpoint.
    pub egress_filter: Option<MediaFilter>,
    /// Microsoft's `media-state`.
    pub media_state: Option<EndpointStatus>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl Media {
    /// A stream of one kind without anything else.
    #[must_use]
    pub fn new(id: &str, kind: MediaType) -> Self {
        Self { id: id.into(), kind: Some(kind), ..Self::default() }
    }

    /// True when nothing that the endpoint sends is heard or seen: its ingress is blocked.
    #[must_use]
    pub fn is_muted(&self) -> bool {
        self.ingress_filter == Some(MediaFilter::Block)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let id = reader.attribute(Ns::NONE, "id")?;
        let id = id.ok_or_else(|| reader.fail(Kind::Missing("media id")))?;
        let mut media = Self { id: id.into(), ..Self::default() };
        reader.keep_rest(&mut media.extensions)?;
        while let Some(tag) = reader.child()? {
            media.read_child(tag, reader)?;
        }
        Ok(media)
    }

    fn read_child<'a>(&mut self, tag: Tag<'a>, reader: &mut Reader<'a>) -> Result<(), ParseError> {
        match (tag.ns, tag.local) {
            (Ns::CI, "type") if self.kind.is_none() => {
                self.kind = Some((*reader.token()?).into());
            }
            (Ns::CI, "label") if self.label.is_none() => {
                self.label = Some(reader.token()?.into());
            }
            (Ns::CI, "status") if self.status.is_none() => {
                self.status = Some((*reader.token()?).into());
            }
            (Ns::CI, "src-id") if self.src_id.is_none() => {
                self.src_id = Some(reader.token()?.into());
            }
            (Ns::CI, "display-text") if self.display_text.is_none() => {
                self.display_text = Some(reader.text()?.into());
            }
            (ns, "media-source-id") if ns.is_msci() && self.source_id.is_none() => {
                let source = reader.token()?.parse();
                let source = source.map_err(|_| reader.fail(Kind::Invalid("media-source-id")))?;
                self.source_id = Some(source);
            }
            (ns, "media-ingress-filter") if ns.is_msci() && self.ingress_filter.is_none() => {
                self.ingress_filter = Some((*reader.token()?).into());
            }
            (ns, "media-egress-filter") if ns.is_msci() && self.egress_filter.is_none() => {
                self.egress_filter = Some((*reader.token()?).into());
            }
            (ns, "media-state") if ns.is_msci() && self.media_state.is_none() => {
                self.media_state = Some((*reader.token()?).into());
            }
            _ => reader.keep(tag, &mut self.extensions)?,
        }
        Ok(())
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(CI, "media");
        writer.plain("id", &self.id);
        self.extensions.write_attributes(writer);
        optional(writer, CI, "display-text", self.display_text.as_deref());
        optional(writer, CI, "type", self.kind.as_ref().map(MediaType::as_str));
        optional(writer, CI, "label", self.label.as_deref());
        optional(writer, CI, "src-id", self.src_id.as_deref());
        optional(writer, CI, "status", self.status.as_ref().map(MediaStatus::as_str));
        if let Some(source) = self.source_id {
            writer.leaf(MSCI, "media-source-id", &source.to_string());
        }
        let ingress = self.ingress_filter.as_ref().map(MediaFilter::as_str);
        optional(writer, MSCI, "media-ingress-filter", ingress);
        let egress = self.egress_filter.as_ref().map(MediaFilter::as_str);
        optional(writer, MSCI, "media-egress-filter", egress);
        let state = self.media_state.as_ref().map(EndpointStatus::as_str);
        optional(writer, MSCI, "media-state", state);
        self.extensions.write_elements(writer);
        writer.end();
    }
}

/// The `entry` children of the current element.
pub(crate) fn read_roles(reader: &mut Reader<'_>) -> Result<Vec<Role>, ParseError> {
    let mut roles = Vec::new();
    while let Some(tag) = reader.child()? {
        if tag.local == "entry" {
            roles.reserve_exact(1);
            roles.push((*reader.token()?).into());
        } else {
            reader.skip()?;
        }
    }
    Ok(roles)
}

/// Grows by two at first: most lists of a roster have one member or two, and are kept for long.
fn push_tight<T>(list: &mut Vec<T>, member: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len().max(2));
    }
    list.push(member);
}

pub(crate) fn write_roles(roles: &[Role], local: &str, writer: &mut Writer<'_>) {
    writer.start(CI, local);
    for role in roles {
        writer.leaf(CI, "entry", role.as_str());
    }
    writer.end();
}

pub(crate) fn optional(
    writer: &mut Writer<'_>,
    namespace: &Namespace,
    local: &str,
    text: Option<&str>,
) {
    if let Some(text) = text {
        writer.leaf(namespace, local, text);
    }
}

pub(crate) fn element(writer: &mut Writer<'_>, element: Option<&Element>) {
    if let Some(element) = element {
        element.write(writer);
    }
}

const CI: &Namespace = &Namespace::ConferenceInfo;
const MSCI: &Namespace = &Namespace::ConfInfoExtensions;
