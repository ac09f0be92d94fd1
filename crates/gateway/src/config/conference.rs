use linkspan_c3p::{ConferenceUri, JoinLink, McuType};

use super::DomainPattern;

/// What standards-side callers dial to join a Lync conference.
///
/// A caller of a matching address joins the conference as itself: the focus is told its address,
/// and the roster shows it. Addresses of a focus (`sip:…;opaque=app:conf:focus:id:…`) need no
/// alias.
///
/// ```toml
/// [[conferences]]                       # one address for one conference
/// domain = "meet.example.test"
/// user = "weekly"
/// focus = "https://meet.contoso.example/alice/K7Q2M4ZD"
/// organizer-domain = "contoso.example"
/// [[conferences]]                       # alice.K7Q2M4ZD@rooms.example.test, and all others
/// domain = "rooms.example.test"
/// organizer-domain = "contoso.example"
/// ```
///
/// ```
/// use linkspan_gateway::ConferenceAlias;
///
/// let mut rooms = ConferenceAlias::new("rooms.example.test".parse()?);
/// rooms.organizer_domain = Some("contoso.example".into());
/// let focus = rooms.resolve("alice.K7Q2M4ZD", "rooms.example.test").unwrap();
/// assert_eq!(&*focus.organizer, "alice@contoso.example");
/// assert_eq!(focus.conference_id(), Some("K7Q2M4ZD"));
/// # Ok::<(), linkspan_gateway::PatternError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct ConferenceAlias {
    /// Host part of the Request-URI.
    pub domain: DomainPattern,
    /// User part; `None` takes every one.
    #[cfg_attr(feature = "serde", serde(default))]
    pub user: Option<String>,
    /// The conference: the address of its focus, as it is or as a link holds it (`conf:sip:…`), or
    /// its join link. `None` takes organiser and identifier from the user part: `alice.K7Q2M4ZD`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub focus: Option<String>,
    /// SIP domain of the organiser, where neither `focus` nor the dialled domain says it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub organizer_domain: Option<String>,
}

impl ConferenceAlias {
    /// Every user of a domain, named by organiser and identifier.
    #[must_use]
    pub const fn new(domain: DomainPattern) -> Self {
        Self { domain, user: None, focus: None, organizer_domain: None }
    }

    /// Whether somebody who dials that address wants a conference of this alias.
    #[must_use]
    pub fn matches(&self, user: &str, host: &str) -> bool {
        let own = self.user.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(user));
        own && self.domain.matches(host)
    }

    /// The focus of the conference that is dialled; `None` where the address names none.
    #[must_use]
    pub fn resolve(&self, user: &str, host: &str) -> Option<ConferenceUri> {
        if let Some(text) = &self.focus {
            return self.named(text);
        }
        let (organizer, id) = user.rsplit_once('.')?;
        let domain = self.organizer_domain.as_deref().unwrap_or(host);
        // Read back, so that nothing gets in that is no conference's address.
        focus_of(&ConferenceUri::focus(&format!("{organizer}@{domain}"), id).to_string())
    }

    fn named(&self, text: &str) -> Option<ConferenceUri> {
        if let Ok(link) = text.parse::<JoinLink>() {
            let domain = self.organizer_domain.as_deref().or_else(|| link.domain())?;
            return Some(link.focus(domain));
        }
        focus_of(text)
    }
}

/// The focus of the conference that an address belongs to.
pub(crate) fn focus_of(text: &str) -> Option<ConferenceUri> {
    let uri = ConferenceUri::from_link(text).ok()?;
    uri.conference_id()?;
    Some(uri.mcu(McuType::Focus))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_lead_to_a_focus_or_nowhere() {
        let alias = |user: Option<&str>, focus: Option<&str>, domain: Option<&str>| {
            let mut alias = ConferenceAlias::new("*.example.test".parse().unwrap());
            alias.user = user.map(Into::into);
            alias.focus = focus.map(Into::into);
            alias.organizer_domain = domain.map(Into::into);
            alias
        };
        let link = "https://meet.contoso.example/alice/K7Q2M4ZD";
        let focus = "sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD";
        let chat = "conf:sip:alice@contoso.example;gruu;opaque=app:conf:chat:id:K7Q2M4ZD?x=1";
        let found = Some(focus.to_owned());
        for (alias, dialled, expected) in [
            (alias(Some("weekly"), Some(focus), None), "Weekly", found.clone()),
            (alias(Some("weekly"), Some(chat), None), "weekly", found.clone()),
            (alias(None, Some(link), Some("contoso.example")), "any", found.clone()),
            (alias(None, Some(link), None), "any", None),
            (alias(None, None, Some("contoso.example")), "alice.K7Q2M4ZD", found),
            (alias(None, None, Some("contoso.example")), "alice", None),
            (alias(None, None, Some("contoso.example")), "al;ce.K7", None),
            (alias(None, None, Some("contoso.example")), "alice.K7-8", None),
        ] {
            assert!(alias.matches(dialled, "a.example.test"));
            let focus = alias.resolve(dialled, "a.example.test").map(|uri| uri.to_string());
            assert_eq!(focus, expected, "{alias:?}");
        }
        assert!(!alias(Some("weekly"), None, None).matches("daily", "a.example.test"));
    }
}
