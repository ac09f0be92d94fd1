use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while1};
use nom::combinator::{map, opt, rest, value, verify};
use nom::sequence::{preceded, separated_pair, terminated};
use std::fmt;
use std::str::FromStr;

use crate::token::McuType;

/// The URI of something that belongs to an organiser's conferences:
/// `sip:user@domain;gruu;opaque=app:conf:…`.
///
/// ```
/// use linkspan_c3p::{ConferenceUri, McuType};
///
/// let focus: ConferenceUri =
///     "sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD".parse()?;
/// assert_eq!(focus.conference_id(), Some("K7Q2M4ZD"));
/// assert_eq!(
///     focus.mcu(McuType::AudioVideo).to_string(),
///     "sip:alice@contoso.example;gruu;opaque=app:conf:audio-video:id:K7Q2M4ZD",
/// );
/// # Ok::<(), linkspan_c3p::UriError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConferenceUri {
    /// `user@domain` of the organiser.
    pub organizer: Box<str>,
    /// What it addresses.
    pub resource: Resource,
}

/// What a [`ConferenceUri`] addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Resource {
    /// The organiser's focus factory.
    FocusFactory,
    /// The focus of a conference, or one of its conferencing servers.
    Server {
        /// Which.
        mcu: McuType,
        /// The conference's identifier.
        id: Box<str>,
    },
}

/// Text is not the URI or link that it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a conference address")]
pub struct UriError;

impl ConferenceUri {
    /// The focus of a conference: the address that a client may build when the join link cannot be
    /// fetched.
    #[must_use]
    pub fn focus(organizer: &str, id: &str) -> Self {
        Self {
            organizer: organizer.into(),
            resource: Resource::Server { mcu: McuType::Focus, id: id.into() },
        }
    }

    /// The factory of an organiser.
    #[must_use]
    pub fn factory(organizer: &str) -> Self {
        Self { organizer: organizer.into(), resource: Resource::FocusFactory }
    }

    /// A conferencing server of the same conference, or its focus; of a factory the factory.
    /// What the roster lists in its `conf-uris` comes first ([MS-CONFBAS] 2.2.2.4).
    #[must_use]
    pub fn mcu(&self, mcu: McuType) -> Self {
        let resource = match &self.resource {
            Resource::FocusFactory => Resource::FocusFactory,
            Resource::Server { id, .. } => Resource::Server { mcu, id: id.clone() },
        };
        Self { organizer: self.organizer.clone(), resource }
    }

    /// The identifier of the conference.
    #[must_use]
    pub fn conference_id(&self) -> Option<&str> {
        match &self.resource {
            Resource::FocusFactory => None,
            Resource::Server { id, .. } => Some(id),
        }
    }

    /// True when both belong to the same conference.
    #[must_use]
    pub fn is_same_conference(&self, other: &Self) -> bool {
        let ids = self.conference_id().zip(other.conference_id());
        ids.is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
            && self.organizer.eq_ignore_ascii_case(&other.organizer)
    }
}

impl FromStr for ConferenceUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (_, uri) = conference_uri(text.trim()).map_err(|_| UriError)?;
        Ok(uri)
    }
}

impl fmt::Display for ConferenceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sip:{};gruu;opaque=app:conf:", self.organizer)?;
        match &self.resource {
            Resource::FocusFactory => f.write_str("focusfactory"),
            Resource::Server { mcu, id } => write!(f, "{mcu}:id:{id}"),
        }
    }
}

/// A link that people are sent: `https://meet.contoso.example/alice/K7Q2M4ZD`.
///
/// ```
/// use linkspan_c3p::JoinLink;
///
/// let link: JoinLink = "https://meet.contoso.example/alice/K7Q2M4ZD?sl=1".parse()?;
/// assert_eq!((&*link.host, &*link.user, &*link.id), ("meet.contoso.example", "alice", "K7Q2M4ZD"));
/// assert_eq!(link.focus("contoso.example").organizer.as_ref(), "alice@contoso.example");
/// # Ok::<(), linkspan_c3p::UriError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinLink {
    /// The host; fetch links only from hosts that are expected.
    pub host: Box<str>,
    /// Path elements before the user: empty, the site's path, or the SIP domain.
    pub path: Vec<Box<str>>,
    /// The user part of the organiser's address.
    pub user: Box<str>,
    /// The conference's identifier.
    pub id: Box<str>,
}

impl JoinLink {
    /// The focus that the link leads to, for an organiser of that SIP domain.
    #[must_use]
    pub fn focus(&self, domain: &str) -> ConferenceUri {
        ConferenceUri::focus(&format!("{}@{domain}", self.user), &self.id)
    }

    /// The SIP domain, where the path has one.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.path.last().map(|last| &**last).filter(|last| last.contains('.'))
    }
}

impl FromStr for JoinLink {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (_, link) = join_link(text.trim()).map_err(|_| UriError)?;
        Ok(link)
    }
}

impl fmt::Display for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.host)?;
        for part in &self.path {
            write!(f, "/{part}")?;
        }
        write!(f, "/{}/{}", self.user, self.id)
    }
}

/// Whatever somebody typed or a page holds: `conf:sip:…`, `meet:sip:…`, or the URI itself, with a
/// query behind it.
impl ConferenceUri {
    /// Reads a URI with the prefixes and queries that links add to it.
    ///
    /// ```
    /// use linkspan_c3p::ConferenceUri;
    ///
    /// let typed = "conf:sip:a@x;gruu;opaque=app:conf:focus:id:K7Q2M4ZD?conversation-id=1";
    /// assert_eq!(ConferenceUri::from_link(typed)?.conference_id(), Some("K7Q2M4ZD"));
    /// # Ok::<(), linkspan_c3p::UriError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no conference URI in it.
    pub fn from_link(text: &str) -> Result<Self, UriError> {
        let decoded = percent_decode(text.trim()).ok_or(UriError)?;
        let prefix = opt(alt((tag_no_case("conf:"), tag_no_case("meet:"))));
        let parsed: nom::IResult<&str, Self> =
            preceded(prefix, conference_uri_with_query).parse(&decoded);
        parsed.map(|(_, uri)| uri).map_err(|_| UriError)
    }
}

fn conference_uri(text: &str) -> nom::IResult<&str, ConferenceUri> {
    nom::combinator::all_consuming(address).parse(text)
}

fn conference_uri_with_query(text: &str) -> nom::IResult<&str, ConferenceUri> {
    let query = opt(preceded(tag("?"), rest));
    nom::combinator::all_consuming(terminated(address, query)).parse(text)
}

/// `sip:user@domain;gruu;opaque=app:conf:…`, the parameters in either order.
fn address(text: &str) -> nom::IResult<&str, ConferenceUri> {
    let organizer = verify(take_while1(|c: char| is_address(c)), |text: &str| {
        text.split_once('@').is_some_and(|(user, domain)| {
            !user.is_empty() && !domain.is_empty() && !domain.contains('@')
        })
    });
    let gruu = || tag_no_case(";gruu");
    let opaque = || preceded(tag_no_case(";opaque=app:conf:"), resource);
    let parameters = alt((preceded(gruu(), opaque()), terminated(opaque(), opt(gruu()))));
    map((preceded(tag_no_case("sip:"), organizer), parameters), |(organizer, resource)| {
        ConferenceUri { organizer: organizer.into(), resource }
    })
    .parse(text)
}

fn resource(text: &str) -> nom::IResult<&str, Resource> {
    let server = separated_pair(take_while1(is_word), tag_no_case(":id:"), conference_id);
    alt((
        map(server, |(mcu, id)| Resource::Server { mcu: McuType::from(mcu), id: id.into() }),
        value(Resource::FocusFactory, tag_no_case("focusfactory")),
    ))
    .parse(text)
}

/// [MS-CONFBAS] 2.2.3.4: letters and digits. Servers of 2007 write 32, later ones 8.
fn conference_id(text: &str) -> nom::IResult<&str, &str> {
    verify(take_while1(|c: char| c.is_ascii_alphanumeric()), |id: &str| id.len() <= 64).parse(text)
}

fn join_link(text: &str) -> nom::IResult<&str, JoinLink> {
    let host = take_while1(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'));
    let segment = || {
        preceded(tag("/"), take_while1(|c: char| !matches!(c, '/' | '?' | '#') && is_address(c)))
    };
    let (text, host) = preceded(tag_no_case("https://"), host).parse(text)?;
    let (text, mut segments) = nom::multi::many_m_n(2, 8, segment()).parse(text)?;
    let (text, _) =
        nom::combinator::all_consuming(opt((alt((tag("/"), tag("?"), tag("#"))), rest)))
            .parse(text)?;
    let id = segments.pop().unwrap_or_default();
    let (_, id) = nom::combinator::all_consuming(conference_id).parse(id)?;
    let user = segments.pop().unwrap_or_default();
    let path = segments.into_iter().map(Into::into).collect();
    Ok((text, JoinLink { host: host.into(), path, user: user.into(), id: id.into() }))
}

fn is_address(character: char) -> bool {
    !character.is_ascii_control()
        && !character.is_whitespace()
        && !matches!(character, ';' | '?' | '<' | '>' | '"' | '\\' | ',')
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-'
}

/// `%xx` made octets; `None` when the outcome is not text.
fn percent_decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut input = text.as_bytes();
    while let Some((&first, rest)) = input.split_first() {
        let hex = rest
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match hex {
            Some(octet) => {
                octets.push(octet);
                input = rest.get(2..)?;
            }
            None => {
                octets.push(first);
                input = rest;
            }
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conference_uris_read_back() {
        for text in [
            "sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD",
            "sip:alice@contoso.example;gruu;opaque=app:conf:audio-video:id:K7Q2M4ZD",
            "sip:alice@contoso.example;gruu;opaque=app:conf:focusfactory",
            "sip:a.b-c@x.example;gruu;opaque=app:conf:data-conf:id:0123456789ABCDEF0123456789abcdef",
        ] {
            assert_eq!(text.parse::<ConferenceUri>().unwrap().to_string(), text);
        }
        let swapped = "SIP:a@x;opaque=app:conf:chat:id:K7;gruu".parse::<ConferenceUri>().unwrap();
        assert_eq!(swapped.to_string(), "sip:a@x;gruu;opaque=app:conf:chat:id:K7");
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "sip:alice@contoso.example",
            "alice@contoso.example",
            "sip:@x;gruu;opaque=app:conf:focusfactory",
            "sip:a@x;gruu;opaque=app:voicemail",
            "sip:a@x;gruu;opaque=app:conf:focus:id:",
            "sip:a@x;gruu;opaque=app:conf:focus:id:K7;more",
            "sip:a@x;gruu;opaque=app:conf:focus:id:K 7",
            "https://x/y",
            "sip:a@x@y;gruu;opaque=app:conf:focusfactory",
        ] {
            assert_eq!(text.parse::<ConferenceUri>(), Err(UriError), "{text}");
        }
    }

    #[test]
    fn links_lead_to_the_focus() {
        for (text, user, domain) in [
            ("https://meet.contoso.example/alice/K7Q2M4ZD", "alice", None),
            ("https://meet.contoso.example/alice/K7Q2M4ZD/", "alice", None),
            ("HTTPS://meet.x/meet/alice/K7Q2M4ZD?sl=1", "alice", None),
            ("https://lync.x/contoso.example/alice.b/K7Q2M4ZD", "alice.b", Some("contoso.example")),
        ] {
            let link: JoinLink = text.parse().unwrap();
            assert_eq!(
                (&*link.user, &*link.id, link.domain()),
                (user, "K7Q2M4ZD", domain),
                "{text}"
            );
            assert_eq!(link.to_string().parse::<JoinLink>().unwrap(), link);
        }
        for text in [
            "http://meet.x/alice/K7",
            "https://meet.x/alice",
            "https://meet.x/a/b c",
            "https:///a/K7",
        ] {
            assert_eq!(text.parse::<JoinLink>(), Err(UriError), "{text}");
        }
        for text in ["conf:sip:a@x;gruu;opaque=app:conf:focus:id:K7-8", "conf:", "conf:sip:a@x"] {
            assert_eq!(ConferenceUri::from_link(text), Err(UriError), "{text}");
        }
        let typed = "conf:sip:a%40x%3Bgruu%3Bopaque=app:conf:focus:id:K7%3Fconf-key=1";
        assert_eq!(ConferenceUri::from_link(typed).unwrap(), ConferenceUri::focus("a@x", "K7"));
    }

    #[test]
    fn conferences_are_told_apart() {
        let focus = ConferenceUri::focus("alice@x", "K7");
        assert!(
            focus.is_same_conference(&ConferenceUri::focus("Alice@X", "k7").mcu(McuType::Chat))
        );
        assert!(!focus.is_same_conference(&ConferenceUri::focus("carol@x", "K7")));
        assert!(!focus.is_same_conference(&ConferenceUri::focus("alice@x", "K8")));
        assert!(!focus.is_same_conference(&ConferenceUri::factory("alice@x")));
    }
}
