use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::info::ConferenceInfo;
use crate::invitation::Invitation;
use crate::limits::Limits;
use crate::request::Request;
use crate::response::Response;
use crate::xml::{Ns, Reader, decode};

/// Any of the documents of this crate, told apart by the root element.
///
/// ```
/// use linkspan_c3p::Document;
///
/// let body = b"<Conferencing version='2.0'><focus-uri>sip:a@x</focus-uri></Conferencing>";
/// assert_eq!(Document::parse(body)?.content_type(), "application/ms-conf-invite+xml");
/// # Ok::<(), linkspan_c3p::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Document {
    /// A command.
    Request(Box<Request>),
    /// What came of a command.
    Response(Box<Response>),
    /// State of a conference.
    ConferenceInfo(Box<ConferenceInfo>),
    /// An invitation to a conference.
    Invitation(Box<Invitation>),
}

impl Document {
    /// Reads a document within the default [`Limits`].
    ///
    /// # Errors
    ///
    /// When it is none of the documents of this crate, or exceeds a limit.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        const LIMITS: Limits = Limits::new();
        Self::parse_with(octets, &LIMITS)
    }

    /// Reads a document within `limits`.
    ///
    /// # Errors
    ///
    /// When it is none of the documents of this crate, or exceeds a limit.
    pub fn parse_with(octets: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let text = decode(octets, limits)?;
        let (mut reader, root) = Reader::open(&text, limits)?;
        let document = match (root.local, root.ns) {
            ("request", Ns::CCCP) => Self::Request(Box::new(Request::read(&mut reader)?)),
            ("response", Ns::CCCP) => Self::Response(Box::new(Response::read(&mut reader)?)),
            ("conference-info", Ns::CI) => {
                Self::ConferenceInfo(Box::new(ConferenceInfo::read(&mut reader)?))
            }
            ("Conferencing", Ns::NONE) => {
                Self::Invitation(Box::new(Invitation::read(&mut reader)?))
            }
            ("request" | "response" | "conference-info" | "Conferencing", _) => {
                return Err(reader.fail(Kind::WrongNamespace));
            }
            _ => return Err(reader.fail(Kind::UnexpectedRoot)),
        };
        reader.finish()?;
        Ok(document)
    }

    /// Appends the document.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request(request) => request.write(out),
            Self::Response(response) => response.write(out),
            Self::ConferenceInfo(info) => info.write(out),
            Self::Invitation(invitation) => invitation.write(out),
        }
    }

    /// The document's octets.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        self.write(&mut out);
        out
    }

    /// The type of a SIP body that holds it.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Request(_) | Self::Response(_) => CCCP_XML,
            Self::ConferenceInfo(_) => CONFERENCE_INFO_XML,
            Self::Invitation(_) => CONF_INVITE_XML,
        }
    }
}

/// The type of bodies that hold requests and responses.
pub const CCCP_XML: &str = "application/cccp+xml";
/// The type of bodies that hold conference documents (RFC 4575 §6).
pub const CONFERENCE_INFO_XML: &str = "application/conference-info+xml";
/// The type of bodies that hold invitations.
pub const CONF_INVITE_XML: &str = "application/ms-conf-invite+xml";
