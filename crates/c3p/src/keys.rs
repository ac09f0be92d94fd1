use crate::entity::Entity;
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::text::Text;
use crate::xml::{Extensions, Namespace, Ns, Reader, Writer};

/// Names a conference.
///
/// ```
/// use linkspan_c3p::ConferenceKeys;
///
/// let keys = ConferenceKeys::new("sip:a@x;gruu;opaque=app:conf:focus:id:K7");
/// assert!(keys.conf_entity.is_some() && keys.conference_id.is_none());
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConferenceKeys {
    /// The URI of the focus.
    pub conf_entity: Option<Entity>,
    /// The bare identifier, toward the focus factory ([MS-CONFPRO] 4.5).
    pub conference_id: Option<Text>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl ConferenceKeys {
    /// Names the conference of a focus.
    #[must_use]
    pub fn new(focus: &str) -> Self {
        Self { conf_entity: Some(focus.into()), ..Self::default() }
    }

    /// Names a conference toward the focus factory.
    #[must_use]
    pub fn with_id(conference_id: &str) -> Self {
        Self { conference_id: Some(conference_id.into()), ..Self::default() }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut keys = Self {
            conf_entity: reader.attribute(Ns::NONE, "confEntity")?.map(Into::into),
            conference_id: reader.ms_attribute("conference-id")?.map(Into::into),
            extensions: Extensions::default(),
        };
        if keys.conf_entity.is_none() && keys.conference_id.is_none() {
            return Err(reader.fail(Kind::Missing("confEntity")));
        }
        read_rest(reader, &mut keys.extensions)?;
        Ok(keys)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(&Namespace::Cccp, "conferenceKeys");
        if let Some(entity) = &self.conf_entity {
            writer.plain("confEntity", entity);
        }
        if let Some(id) = &self.conference_id {
            writer.attribute(&Namespace::ConfInfoExtensions, "conference-id", id);
        }
        write_rest(&self.extensions, writer);
    }
}

/// Names a user of a conference.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserKeys {
    /// The URI of the focus.
    pub conf_entity: Entity,
    /// The user.
    pub user_entity: Entity,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl UserKeys {
    /// Names a user.
    #[must_use]
    pub fn new(focus: &str, user: &str) -> Self {
        Self {
            conf_entity: focus.into(),
            user_entity: user.into(),
            extensions: Extensions::default(),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut keys = Self {
            conf_entity: required(reader, "confEntity")?,
            user_entity: required(reader, "userEntity")?,
            extensions: Extensions::default(),
        };
        read_rest(reader, &mut keys.extensions)?;
        Ok(keys)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(&Namespace::Cccp, "userKeys");
        writer.plain("confEntity", &self.conf_entity);
        writer.plain("userEntity", &self.user_entity);
        write_rest(&self.extensions, writer);
    }
}

/// Names an endpoint of a user.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EndpointKeys {
    /// The URI of the focus.
    pub conf_entity: Entity,
    /// The user.
    pub user_entity: Entity,
    /// The endpoint.
    pub endpoint_entity: Entity,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl EndpointKeys {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut keys = Self {
            conf_entity: required(reader, "confEntity")?,
            user_entity: required(reader, "userEntity")?,
            endpoint_entity: required(reader, "endpointEntity")?,
            extensions: Extensions::default(),
        };
        read_rest(reader, &mut keys.extensions)?;
        Ok(keys)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(&Namespace::Cccp, "endpointKeys");
        writer.plain("confEntity", &self.conf_entity);
        writer.plain("userEntity", &self.user_entity);
        writer.plain("endpointEntity", &self.endpoint_entity);
        write_rest(&self.extensions, writer);
    }
}

/// Names a stream of an endpoint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MediaKeys {
    /// The URI of the focus.
    pub conf_entity: Entity,
    /// The user.
    pub user_entity: Entity,
    /// The endpoint: that of the roster whose session type is `audio-video`.
    pub endpoint_entity: Entity,
    /// The stream's identifier in the roster.
    pub media_id: Text,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl MediaKeys {
    /// Names a stream.
    #[must_use]
    pub fn new(focus: &str, user: &str, endpoint: &str, media_id: &str) -> Self {
        Self {
            conf_entity: focus.into(),
            user_entity: user.into(),
            endpoint_entity: endpoint.into(),
            media_id: media_id.into(),
            extensions: Extensions::default(),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let media_id = reader.attribute(Ns::NONE, "mediaId")?;
        let mut keys = Self {
            conf_entity: required(reader, "confEntity")?,
            user_entity: required(reader, "userEntity")?,
            endpoint_entity: required(reader, "endpointEntity")?,
            media_id: media_id.ok_or_else(|| reader.fail(Kind::Missing("mediaId")))?.into(),
            extensions: Extensions::default(),
        };
        read_rest(reader, &mut keys.extensions)?;
        Ok(keys)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(&Namespace::Cccp, "mediaKeys");
        writer.plain("confEntity", &self.conf_entity);
        writer.plain("userEntity", &self.user_entity);
        writer.plain("endpointEntity", &self.endpoint_entity);
        writer.plain("mediaId", &self.media_id);
        write_rest(&self.extensions, writer);
    }
}

fn required(reader: &mut Reader<'_>, name: &'static str) -> Result<Entity, ParseError> {
    let value = reader.attribute(Ns::NONE, name)?;
    value.map(Entity::from).ok_or_else(|| reader.fail(Kind::Missing(name)))
}

fn read_rest(reader: &mut Reader<'_>, extensions: &mut Extensions) -> Result<(), ParseError> {
    reader.keep_rest(extensions)?;
    while let Some(tag) = reader.child()? {
        reader.keep(tag, extensions)?;
    }
    Ok(())
}

fn write_rest(extensions: &Extensions, writer: &mut Writer<'_>) {
    extensions.write_attributes(writer);
    extensions.write_elements(writer);
    writer.end();
}
