/// Why a document was refused, and where.
///
/// ```
/// use linkspan_c3p::{ParseErrorKind, Request};
///
/// let error = Request::parse(b"<request xmlns='urn:example:other'/>").unwrap_err();
/// assert!(matches!(error.kind, ParseErrorKind::WrongNamespace));
/// assert_eq!(error.to_string(), "element of another namespace at octet 0");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{kind} at octet {at}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Offset of the construct from the start of the document (of its UTF-8 form, when it came in
    /// UTF-16).
    pub at: usize,
}

impl ParseError {
    pub(crate) const fn new(kind: ParseErrorKind, at: usize) -> Self {
        Self { kind, at }
    }
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// A limit of [`Limits`](crate::Limits) is exceeded.
    #[error("limit on {0} exceeded")]
    Limit(&'static str),
    /// Neither UTF-8 nor UTF-16.
    #[error("invalid encoding")]
    Encoding,
    /// A character that XML 1.0 does not allow.
    #[error("invalid character")]
    Character,
    /// A document type declaration: refused, so there are no entities to expand.
    #[error("document type declaration")]
    Doctype,
    /// A reference to an entity that is not one of the five of XML.
    #[error("unknown entity")]
    Entity,
    /// Not well-formed XML.
    #[error("malformed xml")]
    Xml,
    /// A prefix without a declaration.
    #[error("unbound prefix")]
    UnboundPrefix,
    /// The same attribute twice on one element.
    #[error("duplicate attribute")]
    DuplicateAttribute,
    /// Text where only elements belong.
    #[error("unexpected text")]
    UnexpectedText,
    /// The root element is not the one expected.
    #[error("unexpected root element")]
    UnexpectedRoot,
    /// An element has the expected name but another namespace.
    #[error("element of another namespace")]
    WrongNamespace,
    /// A required attribute or element is missing.
    #[error("missing {0}")]
    Missing(&'static str),
    /// A value does not have the form that its type asks for.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// More than one of what may be there once ([MS-CONFPRO] 2.2.2: one command).
    #[error("second {0}")]
    Repeated(&'static str),
}
