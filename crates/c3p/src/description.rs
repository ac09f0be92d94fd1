use crate::entity::Entity;
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::info::{State, read_number};
use crate::text::Text;
use crate::token::{AdmissionPolicy, McuType};
use crate::user::{element, optional};
use crate::xml::{Element, Extensions, Namespace, Ns, Reader, Tag, Writer};

/// What a conference is (RFC 4575 §5.3, with Microsoft's additions).
///
/// ```
/// use linkspan_c3p::{AdmissionPolicy, Description};
///
/// let description = Description {
///     subject: Some("Weekly".into()),
///     admission_policy: Some(AdmissionPolicy::OpenAuthenticated),
///     ..Description::default()
/// };
/// assert_eq!(description.organizer(), None);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Description {
    /// Whether this is all of it; absent means full.
    pub state: Option<State>,
    /// Name to show.
    pub display_text: Option<Box<str>>,
    /// Subject.
    pub subject: Option<Box<str>>,
    /// Anything.
    pub free_text: Option<Box<str>>,
    /// Words to find it by.
    pub keywords: Option<Box<str>>,
    /// Addresses: with Lync those of the conferencing servers.
    pub conf_uris: Option<ConfUris>,
    /// Addresses of services.
    pub service_uris: Option<Element>,
    /// Most users allowed.
    pub maximum_user_count: Option<u32>,
    /// Streams that the conference offers.
    pub available_media: Option<Element>,
    /// The identifier in the conference's addresses.
    pub conference_id: Option<Text>,
    /// When the record expires: UTC, `YYYY-MM-DDThh:mm:ssZ`.
    pub expiry_time: Option<Box<str>>,
    /// Who may join without waiting.
    pub admission_policy: Option<AdmissionPolicy>,
    /// The link that people are sent.
    pub join_url: Option<Box<str>>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl Description {
    /// The name of the organiser.
    #[must_use]
    pub fn organizer(&self) -> Option<&str> {
        Some(self.extensions.element("organizer")?.child("display-name")?.text())
    }

    /// The digits that identify the conference to callers from the telephone network.
    #[must_use]
    pub fn pstn_id(&self) -> Option<&str> {
        Some(self.extensions.element("pstn-access")?.child("id")?.text())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut description = Self { state: State::read(reader)?, ..Self::default() };
        reader.keep_rest(&mut description.extensions)?;
        while let Some(tag) = reader.child()? {
            match tag.ns {
                Ns::CI => description.read_standard(tag, reader)?,
                _ => description.read_extension(tag, reader)?,
            }
        }
        Ok(description)
    }

    fn read_standard<'a>(
        &mut self,
        tag: Tag<'a>,
        reader: &mut Reader<'a>,
    ) -> Result<(), ParseError> {
        match tag.local {
            "display-text" if self.display_text.is_none() => {
                self.display_text = Some(reader.text()?.into());
            }
            "subject" if self.subject.is_none() => self.subject = Some(reader.text()?.into()),
            "free-text" if self.free_text.is_none() => {
                self.free_text = Some(reader.text()?.into());
            }
            "keywords" if self.keywords.is_none() => self.keywords = Some(reader.text()?.into()),
            "conf-uris" if self.conf_uris.is_none() => {
                self.conf_uris = Some(ConfUris::read(reader)?);
            }
            "service-uris" if self.service_uris.is_none() => {
                self.service_uris = Some(reader.element(tag)?);
            }
            "maximum-user-count" if self.maximum_user_count.is_none() => {
                self.maximum_user_count = Some(read_number(reader, "maximum-user-count")?);
            }
            "available-media" if self.available_media.is_none() => {
                self.available_media = Some(reader.element(tag)?);
            }
            _ => reader.keep(tag, &mut self.extensions)?,
        }
        Ok(())
    }

    fn read_extension<'a>(
        &mut self,
        tag: Tag<'a>,
        reader: &mut Reader<'a>,
    ) -> Result<(), ParseError> {
        if !tag.ns.is_msci() {
            return reader.keep(tag, &mut self.extensions);
        }
        match tag.local {
            "conference-id" if self.conference_id.is_none() => {
                self.conference_id = Some(reader.token()?.into());
            }
            "expiry-time" if self.expiry_time.is_none() => {
                self.expiry_time = Some(reader.token()?.into());
            }
            "admission-policy" if self.admission_policy.is_none() => {
                self.admission_policy = Some((*reader.token()?).into());
            }
            "join-url" if self.join_url.is_none() => self.join_url = Some(reader.token()?.into()),
            _ => reader.keep(tag, &mut self.extensions)?,
        }
        Ok(())
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(CI, "conference-description");
        State::write(self.state, writer);
        self.extensions.write_attributes(writer);
        optional(writer, CI, "display-text", self.display_text.as_deref());
        optional(writer, CI, "subject", self.subject.as_deref());
        optional(writer, CI, "free-text", self.free_text.as_deref());
        optional(writer, CI, "keywords", self.keywords.as_deref());
        if let Some(uris) = &self.conf_uris {
            uris.write(writer);
        }
        element(writer, self.service_uris.as_ref());
        if let Some(count) = self.maximum_user_count {
            writer.leaf(CI, "maximum-user-count", &count.to_string());
        }
        element(writer, self.available_media.as_ref());
        optional(writer, MSCI, "conference-id", self.conference_id.as_deref());
        optional(writer, MSCI, "expiry-time", self.expiry_time.as_deref());
        let policy = self.admission_policy.as_ref().map(AdmissionPolicy::as_str);
        optional(writer, MSCI, "admission-policy", policy);
        optional(writer, MSCI, "join-url", self.join_url.as_deref());
        self.extensions.write_elements(writer);
        writer.end();
    }
}

/// Addresses of a conference.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfUris {
    /// Whether these are all; absent means full.
    pub state: Option<State>,
    /// The addresses.
    pub entries: Vec<ConfUri>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl ConfUris {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut uris = Self { state: State::read(reader)?, ..Self::default() };
        reader.keep_rest(&mut uris.extensions)?;
        while let Some(tag) = reader.child()? {
            if tag.is(Ns::CI, "entry") {
                uris.entries.push(ConfUri::read(reader)?);
                reader.check_members(uris.entries.len())?;
            } else {
                reader.keep(tag, &mut uris.extensions)?;
            }
        }
        Ok(uris)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.start(CI, "conf-uris");
        State::write(self.state, writer);
        self.extensions.write_attributes(writer);
        for entry in &self.entries {
            writer.start(CI, "entry");
            State::write(entry.state, writer);
            entry.extensions.write_attributes(writer);
            writer.leaf(CI, "uri", &entry.uri);
            optional(writer, CI, "display-text", entry.display_text.as_deref());
            optional(writer, CI, "purpose", entry.purpose.as_ref().map(McuType::as_str));
            entry.extensions.write_elements(writer);
            writer.end();
        }
        self.extensions.write_elements(writer);
        writer.end();
    }
}

/// One address of a conference (RFC 4575 §5.3.1): with Lync, of one conferencing server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfUri {
    /// Whether the entry is there, changed or gone; absent means full.
    pub state: Option<State>,
    /// The key: the address.
    pub uri: Entity,
    /// Name to show.
    pub display_text: Option<Box<str>>,
    /// What is reached there.
    pub purpose: Option<McuType>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl ConfUri {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut entry = Self { state: State::read(reader)?, ..Self::default() };
        reader.keep_rest(&mut entry.extensions)?;
        while let Some(tag) = reader.child()? {
            match (tag.ns, tag.local) {
                (Ns::CI, "uri") if entry.uri.is_empty() => entry.uri = reader.token()?.into(),
                (Ns::CI, "display-text") if entry.display_text.is_none() => {
                    entry.display_text = Some(reader.text()?.into());
                }
                (Ns::CI, "purpose") if entry.purpose.is_none() => {
                    entry.purpose = Some((*reader.token()?).into());
                }
                _ => reader.keep(tag, &mut entry.extensions)?,
            }
        }
        if entry.uri.is_empty() {
            return Err(reader.fail(Kind::Missing("uri")));
        }
        Ok(entry)
    }
}

const CI: &Namespace = &Namespace::ConferenceInfo;
const MSCI: &Namespace = &Namespace::ConfInfoExtensions;
