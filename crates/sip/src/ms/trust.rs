//! Who a message from outside is from: `ms-edge-proxy-message-trust` (`[MS-SIPRE]` 2.2.15).

use core::fmt;

use crate::error::ValueError;
use crate::lex;

/// The value of `ms-edge-proxy-message-trust`, which the Edge adds to every request and response of
/// an external user. A client never adds it, and it is to be dropped from messages of peers that
/// are not trusted.
///
/// ```
/// use linkspan_sip::ms::{MessageTrust, SourceType};
///
/// let text = "ms-source-type=AutoFederation;ms-ep-fqdn=edge.example.com;\
///             ms-source-verified-user=verified;ms-source-network=federation";
/// let trust = MessageTrust::parse(text).unwrap();
/// assert_eq!(trust.source, SourceType::AutoFederation);
/// assert!(trust.verified);
/// assert_eq!(trust.to_string(), text);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageTrust {
    /// Where the message came in.
    pub source: SourceType,
    /// The name of the Edge.
    pub edge: Option<String>,
    /// Whether the sender's identity was verified.
    pub verified: bool,
    /// `federation` or `publiccloud`.
    pub network: Option<String>,
    /// The partner's Edge.
    pub remote: Option<String>,
}

/// How an Edge knows the sender.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SourceType {
    /// A hosting provider of the list.
    AuthorizedServer,
    /// A partner that DNS found, or that is allowed by its domain alone.
    AutoFederation,
    /// A partner that is allowed by domain and name.
    DirectPartner,
    /// The Edge itself.
    EdgeProxyGenerated,
    /// A user of our own, outside.
    InternetUser,
    /// Something else, as written.
    Other(String),
}

const SOURCES: [(SourceType, &str); 5] = [
    (SourceType::AuthorizedServer, "AuthorizedServer"),
    (SourceType::AutoFederation, "AutoFederation"),
    (SourceType::DirectPartner, "DirectPartner"),
    (SourceType::EdgeProxyGenerated, "EdgeProxyGenerated"),
    (SourceType::InternetUser, "InternetUser"),
];

impl SourceType {
    fn from_token(token: &str) -> Self {
        let known = SOURCES.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(token));
        known.map_or_else(|| Self::Other(token.to_owned()), |(source, _)| source)
    }

    /// The token of the header.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(token) => token,
            known => SOURCES.iter().find(|(own, _)| own == known).map_or("", |(_, name)| name),
        }
    }
}

impl MessageTrust {
    /// Parses a value: parameters in any order, all but the first optional.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where `ms-source-type` is missing.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let value = |name: &str| {
            let mut pairs = text.split(';').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(own, _)| lex::trim(own).eq_ignore_ascii_case(name))
                .map(|(_, value)| lex::unquote(lex::trim(value)).into_owned())
        };
        let source = value("ms-source-type").filter(|source| !source.is_empty());
        let fail = ValueError::new("ms-edge-proxy-message-trust", "ms-source-type", 0);
        Ok(Self {
            source: SourceType::from_token(&source.ok_or(fail)?),
            edge: value("ms-ep-fqdn"),
            verified: value("ms-source-verified-user")
                .is_some_and(|verified| verified.eq_ignore_ascii_case("verified")),
            network: value("ms-source-network"),
            remote: value("ms-remote-fqdn"),
        })
    }
}

impl fmt::Display for MessageTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ms-source-type={}", self.source.as_str())?;
        if let Some(edge) = &self.edge {
            write!(f, ";ms-ep-fqdn={edge}")?;
        }
        let verified = if self.verified { "verified" } else { "unverified" };
        write!(f, ";ms-source-verified-user={verified}")?;
        if let Some(network) = &self.network {
            write!(f, ";ms-source-network={network}")?;
        }
        match &self.remote {
            Some(remote) => write!(f, ";ms-remote-fqdn={remote}"),
            None => Ok(()),
        }
    }
}
