use core::fmt;
use core::str::FromStr;

use crate::id::Side;

/// Numbers of one shape: digits and a leading `+` as they are, `X` for any digit, and `*` at the end
/// for any number of digits, none included.
///
/// ```
/// use linkspan_gateway::NumberPattern;
///
/// let seattle: NumberPattern = "+1425XXXXXXX".parse()?;
/// assert!(seattle.matches("+14255550100") && !seattle.matches("+1425555010"));
/// let abroad: NumberPattern = "011*".parse()?;
/// assert!(abroad.matches("01144205550100"));
/// # Ok::<(), linkspan_gateway::NumberPatternError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct NumberPattern {
    shape: String,
    open: bool,
}

impl NumberPattern {
    /// Whether `number`, without visual separators, has this shape.
    #[must_use]
    pub fn matches(&self, number: &str) -> bool {
        let fits = |(shape, digit): (u8, u8)| match shape {
            b'X' => digit.is_ascii_digit(),
            other => digit == other,
        };
        number.split_at_checked(self.shape.len()).is_some_and(|(head, rest)| {
            self.shape.bytes().zip(head.bytes()).all(fits)
                && (rest.is_empty() || self.open && rest.bytes().all(|b| b.is_ascii_digit()))
        })
    }

    /// How narrow the pattern is: more fixed digits before fewer, then more places before fewer, then
    /// a fixed length before an open one.
    #[must_use]
    pub fn weight(&self) -> usize {
        let fixed = self.shape.bytes().filter(|b| *b != b'X').count();
        1 + fixed * 256 + self.shape.len() * 2 + usize::from(!self.open)
    }

    /// Digits that every number of this shape has at least, `+` counted.
    pub(super) fn shortest(&self) -> usize {
        self.shape.len()
    }
}

impl FromStr for NumberPattern {
    type Err = NumberPatternError;

    fn from_str(text: &str) -> Result<Self, NumberPatternError> {
        let (shape, open) = text.strip_suffix('*').map_or((text, false), |shape| (shape, true));
        let shape = shape.to_ascii_uppercase();
        let digits = shape.strip_prefix('+').unwrap_or(&shape);
        let known = digits.bytes().all(|b| b.is_ascii_digit() || b == b'X');
        // Longer than any number (ITU-T E.164: 15 digits), also behind an access code.
        if !known || digits.len() > 31 || text.is_empty() || text == "+" {
            return Err(NumberPatternError);
        }
        Ok(Self { shape, open })
    }
}

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shape)?;
        f.write_str(if self.open { "*" } else { "" })
    }
}

impl TryFrom<String> for NumberPattern {
    type Error = NumberPatternError;

    fn try_from(text: String) -> Result<Self, NumberPatternError> {
        text.parse()
    }
}

impl From<NumberPattern> for String {
    fn from(pattern: NumberPattern) -> Self {
        pattern.to_string()
    }
}

/// A number pattern was none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected digits and X, with + in front and * behind where wanted")]
pub struct NumberPatternError;

/// A rule of the dial plan: what people dial becomes a number. The first that matches counts.
///
/// ```
/// use linkspan_gateway::DialRule;
///
/// let mut rule = DialRule::new("5XXXX".parse()?);
/// (rule.strip, rule.prepend) = (1, "+1425555".into());
/// assert_eq!(rule.apply("50100").as_deref(), Some("+14255550100"));
/// # Ok::<(), linkspan_gateway::NumberPatternError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct DialRule {
    /// The side that the call came in by; `None` takes both.
    #[cfg_attr(feature = "serde", serde(default))]
    pub from: Option<Side>,
    /// What is dialled.
    pub pattern: NumberPattern,
    /// Digits taken off its front, a leading `+` counted.
    #[cfg_attr(feature = "serde", serde(default))]
    pub strip: usize,
    /// What is put in their place.
    #[cfg_attr(feature = "serde", serde(default))]
    pub prepend: String,
}

impl DialRule {
    /// A rule that changes nothing.
    #[must_use]
    pub const fn new(pattern: NumberPattern) -> Self {
        Self { from: None, pattern, strip: 0, prepend: String::new() }
    }

    /// What becomes of `dialled`; `None` where the pattern does not match.
    #[must_use]
    pub fn apply(&self, dialled: &str) -> Option<String> {
        let rest = dialled.get(self.strip..).filter(|_| self.pattern.matches(dialled))?;
        Some(format!("{}{rest}", self.prepend))
    }
}

/// Whose a number is, as `LineURI` says it in a Lync deployment: who dials the number reaches the
/// address, and whoever calls from one of the two is known by the other across the bridge.
///
/// ```
/// use linkspan_gateway::User;
///
/// let alice = User::new("+14255550100", "alice@example.test");
/// assert_eq!(alice.address(), Some(("alice", "example.test")));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct User {
    /// The number, with `+` (ITU-T E.164).
    pub number: String,
    /// The address, with or without `sip:`.
    pub uri: String,
}

impl User {
    /// A number and an address.
    #[must_use]
    pub fn new(number: &str, uri: &str) -> Self {
        Self { number: number.into(), uri: uri.into() }
    }

    /// User and host of the address; `None` where it is no address.
    #[must_use]
    pub fn address(&self) -> Option<(&str, &str)> {
        let address = self.uri.strip_prefix("sip:").unwrap_or(&self.uri);
        let plain = |text: &str| {
            let foreign = |c: char| c.is_whitespace() || c.is_control() || "<>;?\"@".contains(c);
            !text.is_empty() && !text.contains(foreign)
        };
        address.split_once('@').filter(|(user, host)| plain(user) && plain(host))
    }

    /// Whether this is the user's address: the host's letter case does not count (RFC 3261 §19.1.4).
    pub(crate) fn is(&self, user: &str, host: &str) -> bool {
        self.address().is_some_and(|own| own.0 == user && own.1.eq_ignore_ascii_case(host))
    }
}

/// Whether this is a number as ITU-T E.164 has it, with `+`.
pub(crate) fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_numbers_of_their_shape() {
        for (pattern, number, expected) in [
            ("XXXX", "0100", true),
            ("xxxx", "0100", true),
            ("XXXX", "010", false),
            ("XXXX", "01000", false),
            ("XXXX", "01a0", false),
            ("+1425XXXXXXX", "+14255550100", true),
            ("+1425XXXXXXX", "14255550100", false),
            ("011*", "011", true),
            ("011*", "01144", true),
            ("011*", "01", false),
            ("011*", "011é", false),
            ("+*", "+49", true),
            ("*", "", true),
            ("*", "+49", false),
        ] {
            let parsed: NumberPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(number), expected, "{pattern} {number}");
            assert_eq!(parsed.to_string(), pattern.to_ascii_uppercase());
        }
        for text in ["", "+", "1+2", "1*2", "**", "12a", "X X", "é", &"1".repeat(32)] {
            assert!(text.parse::<NumberPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn narrower_patterns_weigh_more() {
        let rising = ["*", "XXXX", "+*", "1*", "1XX*", "1XXX", "12*", "+1425XXXXXXX"];
        let weights = rising.map(|text| text.parse::<NumberPattern>().unwrap().weight());
        assert!(weights[0] < weights[2] && weights.is_sorted_by(|a, b| a <= b), "{weights:?}");
    }

    #[test]
    fn rules_of_a_dial_plan_rewrite_what_is_dialled() {
        for (pattern, strip, prepend, dialled, number) in [
            ("XXXX", 0, "+1425555", "0100", Some("+14255550100")),
            ("1XXXXXXXXXX", 0, "+", "14255550100", Some("+14255550100")),
            ("011*", 3, "+", "01144205550100", Some("+44205550100")),
            ("0", 1, "+14255550199", "0", Some("+14255550199")),
            ("+1425*", 1, "00", "+14255550100", Some("0014255550100")),
            ("9*", 2, "+", "9", None),
            ("0", 1, "+1", "1", None),
        ] {
            let rule = DialRule {
                from: None,
                pattern: pattern.parse().unwrap(),
                strip,
                prepend: prepend.into(),
            };
            assert_eq!(rule.apply(dialled).as_deref(), number, "{pattern} {dialled}");
        }
    }

    #[test]
    fn users_are_known_by_their_addresses() {
        let alice = User::new("+14255550100", "sip:alice@Example.test");
        assert!(alice.is("alice", "example.TEST") && !alice.is("Alice", "example.test"));
        for uri in ["", "alice", "@example.test", "alice@", "a b@example.test", "a@b@c"] {
            assert_eq!(User::new("+1", uri).address(), None, "{uri}");
        }
        for (number, known) in
            [("+1", true), ("+", false), ("1", false), ("+1234567890123456", false), ("+1a", false)]
        {
            assert_eq!(is_e164(number), known, "{number}");
        }
    }
}
