use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::info::bool_str;
use crate::limits::Limits;
use crate::xml::{Extensions, Namespace, Ns, Reader, Writer, decode, write_document};

/// An invitation to a conference: a body of type `application/ms-conf-invite+xml` in an INVITE
/// from user to user.
///
/// ```
/// use linkspan_c3p::Invitation;
///
/// let invitation = Invitation {
///     focus_uri: "sip:a@x;gruu;opaque=app:conf:focus:id:K7".into(),
///     subject: Some("Weekly".into()),
///     audio: Some(true),
///     ..Invitation::default()
/// };
/// assert_eq!(Invitation::parse(&invitation.to_bytes())?, invitation);
/// # Ok::<(), linkspan_c3p::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// Version of the format: `2.0`.
    pub version: Option<Box<str>>,
    /// Where to join.
    pub focus_uri: Box<str>,
    /// What it is about; may be empty.
    pub subject: Option<Box<str>>,
    /// Whether there is sound.
    pub audio: Option<bool>,
    /// Whether there are pictures.
    pub video: Option<bool>,
    /// Instant messages, when the invitation mentions them.
    pub im: Option<Im>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

/// The instant messages of an [`Invitation`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Im {
    /// Whether there are any.
    pub available: Option<bool>,
    /// The first message; may be empty.
    pub first: Option<Box<str>>,
    /// What this crate has no field for.
    pub extensions: Extensions,
}

impl Invitation {
    /// Reads an invitation within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// When it is not an invitation, or exceeds a limit.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        const LIMITS: Limits = Limits::new();
        let text = decode(octets, &LIMITS)?;
        let (mut reader, root) = Reader::open(&text, &LIMITS)?;
        if root.local != "Conferencing" {
            return Err(reader.fail(Kind::UnexpectedRoot));
        }
        if root.ns != Ns::NONE {
            return Err(reader.fail(Kind::WrongNamespace));
        }
        let invitation = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(invitation)
    }

    /// Appends the document.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_document(out, &Namespace::None, "Conferencing", |writer| {
            if let Some(version) = &self.version {
                writer.plain("version", version);
            }
            self.extensions.write_attributes(writer);
            writer.leaf(NONE, "focus-uri", &self.focus_uri);
            if let Some(subject) = &self.subject {
                writer.leaf(NONE, "subject", subject);
            }
            for (local, available) in [("audio", self.audio), ("video", self.video)] {
                if let Some(available) = available {
                    writer.start(NONE, local);
                    writer.plain("available", bool_str(available));
                    writer.end();
                }
            }
            if let Some(im) = &self.im {
                im.write(writer);
            }
            self.extensions.write_elements(writer);
        });
    }

    /// The document.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.write(&mut out);
        out
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut invitation = Self {
            version: reader.attribute(Ns::NONE, "version")?.map(Into::into),
            ..Self::default()
        };
        reader.keep_rest(&mut invitation.extensions)?;
        while let Some(tag) = reader.child()? {
            match (tag.ns, tag.local) {
                (Ns::NONE, "focus-uri") if invitation.focus_uri.is_empty() => {
                    invitation.focus_uri = reader.token()?.into();
                }
                (Ns::NONE, "subject") if invitation.subject.is_none() => {
                    invitation.subject = Some(reader.text()?.into());
                }
                (Ns::NONE, "audio") if invitation.audio.is_none() => {
                    invitation.audio = Some(available(reader)?.unwrap_or(true));
                    reader.skip()?;
                }
                (Ns::NONE, "video") if invitation.video.is_none() => {
                    invitation.video = Some(available(reader)?.unwrap_or(true));
                    reader.skip()?;
                }
                (Ns::NONE, "im") if invitation.im.is_none() => {
                    invitation.im = Some(Im::read(reader)?);
                }
                _ => reader.keep(tag, &mut invitation.extensions)?,
            }
        }
        if invitation.focus_uri.is_empty() {
            return Err(reader.fail(Kind::Missing("focus-uri")));
        }
        Ok(invitation)
    }
}

impl Default for Invitation {
    fn default() -> Self {
        Self {
            version: Some("2.0".into()),
            focus_uri: Box::default(),
            subject: None,
            audio: None,
            video: None,
            im: None,
            extensions: Extensions::default(),
        }
    }
}

impl Im {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let mut im = Self { available: available(reader)?, ..Self::default() };
        reader.keep_rest(&mut im.extensions)?;
        while let Some(tag) = reader.child()? {
            if tag.is(Ns::NONE, "first-im") && im.first.is_none() {
                im.first = Some(reader.text()?.into());
            } else {
                reader.keep(tag, &mut im.extensions)?;
            }
        }
        Ok(im)
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.start(NONE, "im");
        if let Some(available) = self.available {
            writer.plain("available", bool_str(available));
        }
        self.extensions.write_attributes(writer);
        if let Some(first) = &self.first {
            writer.leaf(NONE, "first-im", first);
        }
        self.extensions.write_elements(writer);
        writer.end();
    }
}

fn available(reader: &mut Reader<'_>) -> Result<Option<bool>, ParseError> {
    match reader.attribute(Ns::NONE, "available")?.as_deref().map(str::trim_ascii) {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(reader.fail(Kind::Invalid("available"))),
    }
}

const NONE: &Namespace = &Namespace::None;
