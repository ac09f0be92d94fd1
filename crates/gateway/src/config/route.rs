use core::fmt;
use core::str::FromStr;

use super::{NextHop, NumberPattern};
use crate::id::Side;

/// Where calls for a domain, or for numbers, go.
///
/// ```
/// use linkspan_gateway::{Route, Side};
///
/// let mut route = Route::new("video.example.test".parse()?, Side::Standard);
/// route.next_hops.push("tcp:198.51.100.10:5060".parse()?);
/// assert!(route.domain.matches("VIDEO.example.test"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct Route {
    /// What logs call it, and what its calls are counted by.
    #[cfg_attr(feature = "serde", serde(default))]
    pub name: Option<String>,
    /// Host part of the Request-URI.
    pub domain: DomainPattern,
    /// Only these numbers, after the dial plan; empty takes names and numbers.
    #[cfg_attr(feature = "serde", serde(default))]
    pub numbers: Vec<NumberPattern>,
    /// The side that the call is sent out on.
    pub to: Side,
    /// The side that it must have come in by; `None` takes both. A call is never sent back to the
    /// side that it came from.
    #[cfg_attr(feature = "serde", serde(default))]
    pub from: Option<Side>,
    /// Next hops in the order in which they are tried.
    #[cfg_attr(feature = "serde", serde(default))]
    pub next_hops: Vec<NextHop>,
    /// Host part written into the Request-URI and To; `None` keeps the one that was dialled.
    #[cfg_attr(feature = "serde", serde(default))]
    pub request_host: Option<String>,
    /// Only URIs that are phone numbers (`user=phone`, `tel:`).
    #[cfg_attr(feature = "serde", serde(default))]
    pub phone_only: bool,
    /// Numbers go out without their `+`, as `RemovePlusFromUri` of a Lync trunk has it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub remove_plus: bool,
    /// So many calls at most, those that are being set up included; then the next route that fits is
    /// taken. Needs a name.
    #[cfg_attr(feature = "serde", serde(default))]
    pub max_calls: Option<usize>,
}

impl Route {
    /// A route without next hops.
    #[must_use]
    pub const fn new(domain: DomainPattern, to: Side) -> Self {
        Self {
            name: None,
            domain,
            numbers: Vec::new(),
            to,
            from: None,
            next_hops: Vec::new(),
            request_host: None,
            phone_only: false,
            remove_plus: false,
            max_calls: None,
        }
    }
}

/// A domain (`video.example.test`), the domains below one (`*.example.test`, which does not
/// match `example.test` itself), or every domain (`*`). Letter case does not count.
///
/// ```
/// use linkspan_gateway::DomainPattern;
///
/// let below: DomainPattern = "*.example.test".parse()?;
/// assert!(below.matches("video.example.test") && !below.matches("example.test"));
/// # Ok::<(), linkspan_gateway::PatternError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct DomainPattern(Pattern);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Pattern {
    Exact(String),
    Below(String),
    Any,
}

impl DomainPattern {
    /// Whether `host` matches.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match &self.0 {
            Pattern::Exact(domain) => domain.eq_ignore_ascii_case(host),
            Pattern::Below(parent) => host
                .len()
                .checked_sub(parent.len())
                .and_then(|at| host.split_at_checked(at))
                .and_then(|(child, tail)| {
                    tail.eq_ignore_ascii_case(parent).then(|| child.strip_suffix('.'))?
                })
                .is_some_and(|child| !child.is_empty()),
            Pattern::Any => true,
        }
    }

    /// How narrow the pattern is: an exact domain before a suffix, a longer suffix before a
    /// shorter one, and `*` last.
    #[must_use]
    pub fn weight(&self) -> usize {
        match &self.0 {
            Pattern::Exact(_) => usize::MAX,
            Pattern::Below(parent) => parent.len(),
            Pattern::Any => 0,
        }
    }
}

impl FromStr for DomainPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self(Pattern::Any));
        }
        let (below, domain) =
            text.strip_prefix("*.").map_or((false, text), |parent| (true, parent));
        let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if domain.is_empty() || domain.starts_with('.') || !domain.chars().all(host) {
            return Err(PatternError);
        }
        let domain = domain.to_ascii_lowercase();
        Ok(Self(if below { Pattern::Below(domain) } else { Pattern::Exact(domain) }))
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Exact(domain) => f.write_str(domain),
            Pattern::Below(parent) => write!(f, "*.{parent}"),
            Pattern::Any => f.write_str("*"),
        }
    }
}

impl TryFrom<String> for DomainPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<DomainPattern> for String {
    fn from(pattern: DomainPattern) -> Self {
        pattern.to_string()
    }
}

/// A domain pattern was neither a domain nor `*.` and a domain nor `*`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a domain, *.domain or *")]
pub struct PatternError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_static_routes_do() {
        for (pattern, host, expected) in [
            ("video.example.test", "video.example.test", true),
            ("video.example.test", "VIDEO.Example.Test.", true),
            ("video.example.test", "a.video.example.test", false),
            ("*.example.test", "video.example.test", true),
            ("*.example.test", "a.b.EXAMPLE.test", true),
            ("*.example.test", "example.test", false),
            ("*.example.test", "badexample.test", false),
            ("*.example.test", ".example.test", false),
            ("*.example.test", "éexample.test", false),
            ("*", "anything", true),
            ("192.0.2.1", "192.0.2.1", true),
        ] {
            let pattern: DomainPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for text in ["", "*.", "**", "a*b", ".example.test", "exa mple"] {
            assert!(text.parse::<DomainPattern>().is_err(), "{text}");
        }
    }
}
