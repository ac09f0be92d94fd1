use crate::command::Command;
use crate::entity::Entity;
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::limits::Limits;
use crate::xml::{Extensions, Namespace, Ns, Reader, Tag, Writer, decode, write_document};

/// Ties a response to its request; unique for each sender.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A C3P request: a body of type `application/cccp+xml` ([MS-CONFPRO] 2.2.2).
///
/// ```
/// use linkspan_c3p::{Command, CommandBody, Request, RequestId, UserKeys};
///
/// let focus = "sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD";
/// let keys = UserKeys::new(focus, "sip:room4@video.example");
/// let command = Command::new(CommandBody::DeleteUser(keys));
/// let request = Request::new(RequestId(20), "sip:alice@contoso.example", focus, command);
/// assert_eq!(Request::parse(&request.to_bytes())?, request);
/// # Ok::<(), linkspan_c3p::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Names the request in its response.
    pub request_id: RequestId,
    /// The sender's URI.
    pub from: Entity,
    /// The focus or the factory, as in the To header.
    pub to: Entity,
    /// Version of the protocol: 1.
    pub version: Option<u32>,
    /// What is asked for.
    pub command: Command,
    /// Attributes that this crate has no field for.
    pub extensions: Extensions,
}

impl Request {
    /// A request of version 1.
    #[must_use]
    pub fn new(request_id: RequestId, from: &str, to: &str, command: Command) -> Self {
        Self {
            request_id,
            from: from.into(),
            to: to.into(),
            version: Some(1),
            command,
            extensions: Extensions::default(),
        }
    }

    /// Reads a request within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// When it is not a request of one command, or exceeds a limit.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        const LIMITS: Limits = Limits::new();
        Self::parse_with(octets, &LIMITS)
    }

    /// Reads a request within `limits`.
    ///
    /// # Errors
    ///
    /// When it is not a request of one command, or exceeds a limit.
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let text = decode(octets, limits)?;
        let (mut reader, root) = Reader::open(&text, limits)?;
        expect_root(root, "request")?;
        let request = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(request)
    }

    /// Appends the document.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_document(out, &Namespace::Cccp, "request", |writer| {
            write_envelope(self.version, self.request_id, &self.from, &self.to, writer);
            self.extensions.write_attributes(writer);
            self.command.write(writer);
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
        let mut extensions = Extensions::default();
        reader.keep_rest(&mut extensions)?;
        let tag = reader.child()?.ok_or_else(|| reader.fail(Kind::Missing("command")))?;
        let command = Command::read(tag, reader)?;
        if reader.child()?.is_some() {
            // [MS-CONFPRO] 2.2.2: one command
            return Err(reader.fail(Kind::Repeated("command")));
        }
        Ok(Self {
            request_id: envelope.request_id,
            from: envelope.from,
            to: envelope.to,
            version: envelope.version,
            command,
            extensions,
        })
    }
}

/// The attributes that requests and responses share.
pub(crate) struct Envelope {
    pub(crate) request_id: RequestId,
    pub(crate) from: Entity,
    pub(crate) to: Entity,
    pub(crate) version: Option<u32>,
}

impl Envelope {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let id = reader.attribute(Ns::NONE, "requestId")?;
        let id = id.ok_or_else(|| reader.fail(Kind::Missing("requestId")))?;
        let id = number(&id).ok_or_else(|| reader.fail(Kind::Invalid("requestId")))?;
        let from = reader.attribute(Ns::NONE, "from")?;
        let from = from.ok_or_else(|| reader.fail(Kind::Missing("from")))?;
        let to = reader.attribute(Ns::NONE, "to")?;
        let to = to.ok_or_else(|| reader.fail(Kind::Missing("to")))?;
        let version = match reader.attribute(Ns::NONE, "C3PVersion")? {
            Some(version) => {
                let version = number(&version).and_then(|version| u32::try_from(version).ok());
                Some(version.ok_or_else(|| reader.fail(Kind::Invalid("C3PVersion")))?)
            }
            None => None,
        };
        Ok(Self { request_id: RequestId(id), from: from.into(), to: to.into(), version })
    }
}

pub(crate) fn expect_root(root: Tag<'_>, local: &str) -> Result<(), ParseError> {
    if root.local != local {
        return Err(ParseError::new(Kind::UnexpectedRoot, root.at));
    }
    if root.ns != Ns::CCCP {
        return Err(ParseError::new(Kind::WrongNamespace, root.at));
    }
    Ok(())
}

pub(crate) fn write_envelope(
    version: Option<u32>,
    request_id: RequestId,
    from: &str,
    to: &str,
    writer: &mut Writer<'_>,
) {
    if let Some(version) = version {
        writer.plain("C3PVersion", &version.to_string());
    }
    writer.plain("requestId", &request_id.to_string());
    writer.plain("from", from);
    writer.plain("to", to);
}

/// A non-negative integer of XML Schema: `+` is allowed, as is white space around it.
fn number(text: &str) -> Option<u64> {
    text.trim_ascii().parse().ok()
}
