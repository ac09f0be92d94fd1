use crate::description::Description;
use crate::entity::Entity;
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::limits::Limits;
use crate::token::McuType;
use crate::user::{User, element, optional};
use crate::xml::{Element, Extensions, Namespace, Ns, Reader, Tag, Writer, decode, write_document};

/// Whether an element describes all of its subject (RFC 4575 §4.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum State {
    /// All of it; what an absent attribute means.
    #[default]
    Full,
    /// What changed.
    Partial,
    /// The subject is gone.
    Deleted,
}

impl State {
    /// The value as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the attribute, with or without the namespace: Microsoft writes it qualified in its
    /// own elements ([MS-CONFBAS] 4.4.10).
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, ParseError> {
        let value = match reader.attribute(Ns::NONE, "state")? {
            None => reader.attribute(Ns::CI, "state")?,
            value => value,
        };
        match value.as_deref().map(str::trim_ascii) {
            None => Ok(None),
            Some("full") => Ok(Some(Self::Full)),
            Some("partial") => Ok(Some(Self::Partial)),
            Some("deleted") => Ok(Some(Self::Deleted)),
            Some(_) => Err(reader.fail(Kind::Invalid("state"))),
        }
    }

    pub(crate) fn write(state: Option<Self>, writer: &mut Writer<'_>) {
        if let Some(state) = state {
            writer.plain("state", state.as_str());
        }
    }

    fn write_qualified(state: Option<Self>, writer: &mut Writer<'_>) {
        if let Some(state) = state {
            writer.attribute(CI, "state", state.as_str());
        }
    }
}

/// A conference document: the body of a notification, `application/conference-info+xml`
/// (RFC 4575 §5 with [MS-CONFBAS] 2.2.2.4).
///
/// ```
/// use linkspan_c3p::{ConferenceInfo, State};
///
/// let body = br#"<conference-info xmlns="urn:ietf:params:xml:ns:conference-info"
///     entity="sip:a@x" state="partial" version="7">
///     <users state="partial"><user entity="sip:b@x" state="deleted"/></users></conference-info>"#;
/// let info = ConferenceInfo::parse(body)?;
/// assert_eq!((info.state, info.version), (Some(State::Partial), Some(7)));
/// assert_eq!(info.users.as_ref().unwrap().list[0].entity, "sip:b@x");
/// assert_eq!(ConferenceInfo::parse(&info.to_bytes())?, info);
/// # Ok::<(), linkspan_c3p::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConferenceInfo {
    /// The key: the URI of the focus. Empty in a request to create a conference.
    pub entity: Entity,
    /// Whether this describes all of the conference; absent means full.
    pub state: Option<State>,
    /// Counts the documents of one subscription.
    pub version: Option<u32>,
    /// What the conference is.
    pub description: Option<Description>,
    /// Who hosts it.
    pub host_info: Option<Element>,
    /// How it is doing.
    pub conference_state: Option<ConferenceState>,
    /// Who takes part.
    pub users: Option<Users>,
    /// Side conferences, by reference.
    pub sidebars_by_ref: Option<Element>,
    /// Side conferences, in full.
    pub sidebars_by_val: Option<Element>,
    /// The view of each conferencing server (Microsoft's `conference-view`).
    pub view: Option<ConferenceView>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl ConferenceInfo {
    /// Reads a document within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// When it is not a conference document, or exceeds a limit.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        const LIMITS: Limits = Limits::new();
        Self::parse_with(octets, &LIMITS)
    }

    /// Reads a document within `limits`.
    ///
    /// # Errors
    ///
    /// When it is not a conference document, or exceeds a limit.
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let text = decode(octets, limits)?;
        let (mut reader, root) = Reader::open(&text, limits)?;
        if root.local != "conference-info" {
            return Err(reader.fail(Kind::UnexpectedRoot));
        }
        if root.ns != Ns::CI {
            return Err(reader.fail(Kind::WrongNamespace));
        }
        let info = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(info)
    }

    /// Appends the document.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_document(out, CI, "conference-info", |writer| self.write_content(writer));
    }

    /// The document.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.write(&mut out);
        out
    }

    /// The address of a conferencing server, from the list of the conference.
    #[must_use]
    pub fn mcu_uri(&self, mcu: &McuType) -> Option<&str> {
        let entries = &self.description.as_ref()?.conf_uris.as_ref()?.entries;
        entries.iter().find(|entry| entry.purpose.as_ref() == Some(mcu)).map(|entry| &*entry.uri)
    }

    /// The users; none when the document does not mention them.
    #[must_use]
    pub fn users(&self) -> &[User] {
        self.users.as_ref().map_or(&[], |users| &users.list)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let entity = reader.attribute(Ns::NONE, "entity")?;
        let entity = entity.ok_or_else(|| reader.fail(Kind::Missing("entity")))?;
        let version = match reader.attribute(Ns::NONE, "version")? {
            Some(version) => Some(
                version.trim_ascii().parse().map_err(|_| reader.fail(Kind::Invalid("version")))?,
            ),
            None => None,
        };
        let mut info =
            Self { entity: entity.into(), state: State::read(reader)?, version, ..Self::default() };
        reader.keep_rest(&mut info.extensions)?;
        while let Some(tag) = reader.child()? {
            info.read_child(tag, reader)?;
        }
        Ok(info)
    }

    fn read_child<'a>(&mut self, tag: Tag<'a>, reader: &mut Reader<'a>) -> Result<(), ParseError> {
        match (tag.ns, tag.local) {
            (Ns::CI, "conference-description") if self.description.is_none() => {
                self.description = Some(Description::read(reader)?);
            }
            (Ns::CI, "host-info") if self.host_info.is_none() => {
                self.host_info = Some(reader.element(tag)?);
            }
            (Ns::CI, "conference-state") if self.conference_state.is_none() => {
                self.conference_state = Some(ConferenceState::read(reader)?);
            }
            (Ns::CI, "users") if self.users.is_none() => self.users = Some(Users::read(reader)?),
            (Ns::CI, "sidebars-by-ref") if self.sidebars_by_ref.is_none() => {
                self.sidebars_by_ref = Some(reader.element(tag)?);
            }
            (Ns::CI, "sidebars-by-val") if self.sidebars_by_val.is_none() => {
                self.sidebars_by_val = Some(reader.element(tag)?);
            }
            (ns, "conference-view") if ns.is_msci() && self.view.is_none() => {
                self.view = Some(ConferenceView::read(reader)?);
            }
            _ => reader.keep(tag, &mut self.extensions)?,
        }
        Ok(())
    }

    /// Writes it inside another document.
    pub(crate) fn write_inside(&self, writer: &mut Writer<'_>) {
        writer.start(CI, "conference-info");
        self.write_content(writer);
        writer.end();
    }

    fn write_content(&self, writer: &mut Writer<'_>) {
        writer.plain("entity", &self.entity);
        State::write(self.state, writer);
        if let Some(version) = self.version {
            writer.plain("version", &version.to_string());
        }
        self.extensions.write_attributes(writer);
        if let Some(description) = &self.description {
            description.write(writer);
        }
        element(writer, self.host_info.as_ref());
        if let Some(state) = &self.conference_state {
            state.write(writer);
        }
        if let Some(users) = &self.users {
            users.write(writer);
        }
        element(writer, self.sidebars_by_ref.as_ref());
        element(writer, self.sidebars_by_val.as_ref());
        if let Some(view) = &self.view {
            view.write(writer);
        }
        self.extensions.write_elements(writer);
    }
}

/// How a conference is doing (RFC 4575 §5.5).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConferenceState {
    /// Number of users; do not rely on it, count those of the roster.
    pub user_count: Option<u32>,
    /// Whether it goes on.
    pub active: Option<bool>,
    /// Whether newcomers are kept out or sent to the lobby.
    pub locked: Option<bool>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl ConferenceState {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut state = Self::default();
        reader.keep_rest(&mut state.extensions)?;
        while let Some(tag) = reader.child()? {
            match (tag.ns, tag.local) {
                (Ns::CI, "user-count") if state.user_count.is_none() => {
                    state.user_count = Some(read_number(reader, "user-count")?);
                }
                (Ns::CI, "active") if state.active.is_none() => {
                    state.active = Some(read_bool(reader, "active")?);
                }
                (Ns::CI, "locked") if state.locked.is_none() => {
                    state.locked = Some(read_bool(reader, "locked")?);
                }
                _ => reader.keep(tag, &mut state.extensions)?,
            }
        }
        Ok(state)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.start(CI, "conference-state");
        self.extensions.write_attributes(writer);
        if let Some(count) = self.user_count {
            writer.leaf(CI, "user-count", &count.to_string());
        }
        optional(writer, CI, "active", self.active.map(bool_str));
        optional(writer, CI, "locked", self.locked.map(bool_str));
        self.extensions.write_elements(writer);
        writer.end();
    }
}

/// The participants (RFC 4575 §5.6).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Users {
    /// Whether these are all; absent means full.
    pub state: Option<State>,
    /// The users.
    pub list: Vec<User>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl Users {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut users = Self { state: State::read(reader)?, ..Self::default() };
        reader.keep_rest(&mut users.extensions)?;
        while let Some(tag) = reader.child()? {
            if tag.is(Ns::CI, "user") {
                users.list.push(User::read(reader)?);
            } else {
                reader.keep(tag, &mut users.extensions)?;
            }
        }
        users.list.shrink_to_fit();
        Ok(users)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.start(CI, "users");
        State::write(self.state, writer);
        self.extensions.write_attributes(writer);
        for user in &self.list {
            user.write(writer);
        }
        self.extensions.write_elements(writer);
        writer.end();
    }
}

/// The views of the conferencing servers (Microsoft's `conference-view`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConferenceView {
    /// Whether these are all; absent means full.
    pub state: Option<State>,
    /// The views.
    pub views: Vec<EntityView>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl ConferenceView {
    /// The view with that key.
    #[must_use]
    pub fn view(&self, entity: &str) -> Option<&EntityView> {
        self.views.iter().find(|view| view.entity.is(entity))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut whole = Self { state: State::read(reader)?, ..Self::default() };
        reader.keep_rest(&mut whole.extensions)?;
        while let Some(tag) = reader.child()? {
            if tag.ns.is_msci() && tag.local == "entity-view" {
                whole.views.push(EntityView::read(reader)?);
                reader.check_members(whole.views.len())?;
            } else {
                reader.keep(tag, &mut whole.extensions)?;
            }
        }
        Ok(whole)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.start(MSCI, "conference-view");
        State::write_qualified(self.state, writer);
        self.extensions.write_attributes(writer);
        for view in &self.views {
            writer.start(MSCI, "entity-view");
            State::write_qualified(view.state, writer);
            writer.plain("entity", &view.entity);
            view.extensions.write_attributes(writer);
            view.extensions.write_elements(writer);
            writer.end();
        }
        self.extensions.write_elements(writer);
        writer.end();
    }
}

/// What one conferencing server (or the focus) says about the conference: capabilities, settings,
/// policy and state, kept as elements, with methods for what is known of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EntityView {
    /// The key: the server's URI, or its type in a request to create a conference.
    pub entity: Entity,
    /// Whether this is all of the view; absent means full.
    pub state: Option<State>,
    /// Its content.
    pub extensions: Extensions,
}

impl EntityView {
    /// Whether the server says that the conference is locked.
    #[must_use]
    pub fn locked(&self) -> Option<bool> {
        match self.extensions.element("entity-state")?.child("locked")?.text() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// The kinds of media that the server carries.
    pub fn media_types(&self) -> impl Iterator<Item = crate::MediaType> + '_ {
        let media = self.extensions.element("entity-state").and_then(|state| state.child("media"));
        media
            .into_iter()
            .flat_map(Element::elements)
            .filter_map(|entry| entry.child("type"))
            .map(|kind| kind.text().into())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let entity = reader.attribute(Ns::NONE, "entity")?;
        let entity = entity.ok_or_else(|| reader.fail(Kind::Missing("entity")))?;
        let mut view = Self {
            entity: entity.into(),
            state: State::read(reader)?,
            extensions: Extensions::default(),
        };
        reader.keep_rest(&mut view.extensions)?;
        while let Some(tag) = reader.child()? {
            reader.keep(tag, &mut view.extensions)?;
        }
        Ok(view)
    }
}

pub(crate) fn read_number(reader: &mut Reader<'_>, what: &'static str) -> Result<u32, ParseError> {
    let number = reader.token()?.parse();
    number.map_err(|_| reader.fail(Kind::Invalid(what)))
}

pub(crate) fn read_bool(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, ParseError> {
    match &*reader.token()? {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(reader.fail(Kind::Invalid(what))),
    }
}

pub(crate) const fn bool_str(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

const CI: &Namespace = &Namespace::ConferenceInfo;
const MSCI: &Namespace = &Namespace::ConfInfoExtensions;
