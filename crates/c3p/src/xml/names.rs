use std::sync::Arc;

use crate::text::Text;

/// The namespace of an element or attribute name.
///
/// ```
/// use linkspan_c3p::Namespace;
///
/// assert_eq!(Namespace::from("urn:ietf:params:xml:ns:cccp"), Namespace::Cccp);
/// assert_eq!(Namespace::from("urn:example:x").as_str(), "urn:example:x");
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Namespace {
    /// No namespace: plain attributes, and the elements of an invitation.
    #[default]
    None,
    /// `urn:ietf:params:xml:ns:cccp`: requests, responses and commands.
    Cccp,
    /// `urn:ietf:params:xml:ns:conference-info` (RFC 4575).
    ConferenceInfo,
    /// `urn:ietf:params:xml:ns:conference-info-separator`.
    Separator,
    /// `http://schemas.microsoft.com/rtc/2005/08/cccpextensions` (`mscp`).
    CccpExtensions,
    /// `http://schemas.microsoft.com/rtc/2005/08/confinfoextensions` (`msci`).
    ConfInfoExtensions,
    /// `http://schemas.microsoft.com/rtc/2008/12/confinfoextensions` (`msci2`).
    ConfInfoExtensions2,
    /// `http://www.w3.org/XML/1998/namespace`.
    Xml,
    /// Any other.
    Other(Arc<str>),
}

impl Namespace {
    /// The URI; empty for [`Namespace::None`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(uri) => uri,
            known => KNOWN.iter().find(|row| row.0 == *known).map_or("", |row| row.1),
        }
    }

    /// The prefix that Microsoft's implementations use for it.
    pub(crate) fn prefix(&self) -> Option<&'static str> {
        KNOWN.iter().find(|row| row.0 == *self).map(|row| row.2)
    }
}

impl From<&str> for Namespace {
    fn from(uri: &str) -> Self {
        KNOWN
            .iter()
            .find(|row| row.1 == uri)
            .map_or_else(|| Self::Other(uri.into()), |row| row.0.clone())
    }
}

/// An expanded name: namespace and local part.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Name {
    /// The namespace.
    pub namespace: Namespace,
    /// The part behind the prefix.
    pub local: Text,
}

impl Name {
    /// A name in a namespace.
    #[must_use]
    pub fn new(namespace: Namespace, local: &str) -> Self {
        Self { namespace, local: local.into() }
    }
}

/// A namespace while reading: an index, so that comparing is cheap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ns(pub(crate) u16);

impl Ns {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const CCCP: Self = Self(1);
    pub(crate) const CI: Self = Self(2);
    pub(crate) const MSCP: Self = Self(4);
    pub(crate) const MSCI: Self = Self(5);
    pub(crate) const MSCI2: Self = Self(6);
    pub(crate) const XML: Self = Self(7);
    /// The first index of the namespaces that are not known.
    pub(crate) const OTHER: u16 = 8;

    /// True for either of Microsoft's conference-info extension namespaces: servers moved
    /// elements from one to the other.
    pub(crate) fn is_msci(self) -> bool {
        self == Self::MSCI || self == Self::MSCI2
    }

    pub(crate) fn known(uri: &str) -> Option<Self> {
        KNOWN.iter().position(|row| row.1 == uri).and_then(|at| u16::try_from(at).ok()).map(Self)
    }

    pub(crate) fn to_known(self) -> Option<Namespace> {
        KNOWN.get(usize::from(self.0)).map(|row| row.0.clone())
    }
}

/// Known namespaces, in the order of their [`Ns`], with the customary prefix.
const KNOWN: [(Namespace, &str, &str); 8] = [
    (Namespace::None, "", ""),
    (Namespace::Cccp, "urn:ietf:params:xml:ns:cccp", "cccp"),
    (Namespace::ConferenceInfo, "urn:ietf:params:xml:ns:conference-info", "ci"),
    (Namespace::Separator, "urn:ietf:params:xml:ns:conference-info-separator", "cis"),
    (Namespace::CccpExtensions, "http://schemas.microsoft.com/rtc/2005/08/cccpextensions", "mscp"),
    (
        Namespace::ConfInfoExtensions,
        "http://schemas.microsoft.com/rtc/2005/08/confinfoextensions",
        "msci",
    ),
    (
        Namespace::ConfInfoExtensions2,
        "http://schemas.microsoft.com/rtc/2008/12/confinfoextensions",
        "msci2",
    ),
    (Namespace::Xml, "http://www.w3.org/XML/1998/namespace", "xml"),
];
