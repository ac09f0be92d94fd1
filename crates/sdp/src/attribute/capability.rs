//! Capability negotiation (RFC 5939): read, so that an offer can be shown and answered without.

use crate::AttributeError;
use crate::mline::{decimal, split_token};

/// One attribute of RFC 5939.
///
/// An answerer that does not negotiate capabilities answers the actual configuration, the `m=`
/// line and its attributes, as RFC 5939 §3.6.2 foresees.
///
/// ```
/// use linkspan_sdp::Capability;
///
/// let Capability::Potential { number, configuration } = Capability::parse("pcfg", "1 t=1 a=1")? else {
///     return Err("not a configuration".into());
/// };
/// assert_eq!((number, configuration), (1, "t=1 a=1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Capability<'a> {
    /// `a=csup`: option tags that the writer supports (§3.3.1).
    Supported(&'a str),
    /// `a=creq`: option tags that the reader has to support to use any capability (§3.3.2).
    Required(&'a str),
    /// `a=acap`: an attribute that a configuration may add (§3.4.1).
    Attribute {
        /// Its number.
        number: u32,
        /// The attribute, as it would stand behind `a=`.
        attribute: &'a str,
    },
    /// `a=tcap`: transport profiles that a configuration may name (§3.4.2).
    Transports {
        /// The number of the first one.
        number: u32,
        /// The profiles, separated by blanks; their numbers go on from the first.
        profiles: &'a str,
    },
    /// `a=pcfg`: a potential configuration; lower numbers are preferred (§3.5.1).
    Potential {
        /// Its number.
        number: u32,
        /// What it is made of, e.g. `t=1 a=1,2`; empty for the actual configuration.
        configuration: &'a str,
    },
    /// `a=acfg`: the configuration that an answer uses (§3.5.2).
    Actual {
        /// Its number.
        number: u32,
        /// What was chosen of it.
        configuration: &'a str,
    },
}

impl<'a> Capability<'a> {
    /// Whether an attribute belongs to capability negotiation.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        matches!(name, "csup" | "creq" | "acap" | "tcap" | "pcfg" | "acfg")
    }

    /// Parses an attribute by its name and value.
    ///
    /// # Errors
    ///
    /// When the name is none of RFC 5939, or the value has no number where one belongs.
    pub fn parse(name: &str, value: &'a str) -> Result<Self, AttributeError> {
        let bad = |expected| AttributeError::new("capability", 0, expected);
        let value = value.trim_matches(' ');
        match name {
            "csup" if !value.is_empty() => return Ok(Self::Supported(value)),
            "creq" if !value.is_empty() => return Ok(Self::Required(value)),
            _ => {}
        }
        let (digits, rest) = split_token(value);
        let number = decimal(digits).filter(|n| (1..1 << 31).contains(n));
        let number = number.ok_or_else(|| bad("a number"))?;
        match name {
            "acap" if !rest.is_empty() => Ok(Self::Attribute { number, attribute: rest }),
            "tcap" if !rest.is_empty() => Ok(Self::Transports { number, profiles: rest }),
            "pcfg" => Ok(Self::Potential { number, configuration: rest }),
            "acfg" => Ok(Self::Actual { number, configuration: rest }),
            _ => Err(bad("an attribute of RFC 5939 and its value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attributes of RFC 5939 §4.1.
    #[test]
    fn attributes_are_read() {
        let parse = Capability::parse;
        let profiles = "RTP/SAVPF RTP/SAVP RTP/AVPF";
        assert_eq!(
            parse("tcap", "1 RTP/SAVPF RTP/SAVP RTP/AVPF"),
            Ok(Capability::Transports { number: 1, profiles })
        );
        let attribute = "crypto:1 AES_CM_128_HMAC_SHA1_32 inline:k";
        assert_eq!(
            parse("acap", "1 crypto:1 AES_CM_128_HMAC_SHA1_32 inline:k"),
            Ok(Capability::Attribute { number: 1, attribute })
        );
        let potential = Capability::Potential { number: 2, configuration: "t=1 a=1" };
        assert_eq!(parse("pcfg", "2 t=1 a=1"), Ok(potential));
        let actual = Capability::Actual { number: 1, configuration: "" };
        assert_eq!(parse("acfg", "1"), Ok(actual));
        assert_eq!(parse("creq", "cap-v0"), Ok(Capability::Required("cap-v0")));
        assert_eq!(parse("csup", "cap-v0"), Ok(Capability::Supported("cap-v0")));
        for (name, value) in
            [("tcap", "1"), ("acap", "x a"), ("pcfg", ""), ("csup", ""), ("x", "1")]
        {
            assert!(parse(name, value).is_err() && !Capability::is_name("x"), "{name} {value}");
        }
    }
}
