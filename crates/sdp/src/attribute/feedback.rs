//! `a=rtcp-fb` (RFC 4585 §4.2), and Microsoft's use of it.

use crate::AttributeError;
use crate::mline::{decimal, split_token};

/// An `a=rtcp-fb` line.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RtcpFeedback<'a> {
    /// The payload type; `None` for `*`.
    pub payload_type: Option<u8>,
    /// `nack`, `ccm`, `ack`, `x-message`, …
    pub kind: &'a str,
    /// What follows, e.g. `pli` or `app send:src recv:src`.
    pub parameters: &'a str,
}

impl<'a> RtcpFeedback<'a> {
    /// Parses the value of `a=rtcp-fb`.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 4585 §4.2.
    pub fn parse(value: &'a str) -> Result<Self, AttributeError> {
        let bad = |at, expected| AttributeError::new("rtcp-fb", at, expected);
        let (format, rest) = split_token(value);
        let payload_type = match format {
            "*" => None,
            number => Some(decimal(number).ok_or_else(|| bad(0, "a payload type or *"))?),
        };
        let (kind, parameters) = split_token(rest.trim_end_matches(' '));
        if kind.is_empty() {
            return Err(bad(value.len(), "a feedback type"));
        }
        Ok(Self { payload_type, kind, parameters })
    }

    /// Whether an `x-message` line says that its writer sends (`send`) or takes (`recv`) a
    /// message (\[MS-SDPEXT\] 3.1.5.30.3): `src`, `x-pli` or `dsh`.
    #[must_use]
    pub fn has_message(&self, list: &str, message: &str) -> bool {
        self.kind == "x-message"
            && self
                .parameters
                .split(' ')
                .filter_map(|word| word.split_once(':'))
                .any(|(name, names)| name == list && names.split(',').any(|n| n == message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_kinds() {
        let fb = RtcpFeedback::parse("* x-message app send:src,x-pli recv:src,x-pli").unwrap();
        assert!(fb.has_message("send", "x-pli") && fb.has_message("recv", "src"));
        assert!(!fb.has_message("recv", "dsh") && !fb.has_message("app", "src"));
        let fb = RtcpFeedback::parse("96 nack pli").unwrap();
        assert_eq!((fb.payload_type, fb.kind, fb.parameters), (Some(96), "nack", "pli"));
        assert!(RtcpFeedback::parse("x nack").is_err());
        assert!(RtcpFeedback::parse("*").is_err());
    }
}
