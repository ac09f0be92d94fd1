//! `a=x-mediabw`.

use core::fmt;

use crate::AttributeError;
use crate::mline::{decimal, split_token};

/// `a=x-mediabw` (\[MS-SDPEXT\] 3.1.5.28.1): what the writer sends and receives at most.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MediaBandwidth<'a> {
    /// The label of the media sections it limits together, e.g. `main-video`.
    pub label: &'a str,
    /// What the writer sends, in kbit/s; 0 is none.
    pub send_kbps: u32,
    /// What the writer receives, in kbit/s; 0 is none.
    pub receive_kbps: u32,
}

impl<'a> MediaBandwidth<'a> {
    /// Parses the attribute's value.
    ///
    /// # Errors
    ///
    /// When it is not `label send=n;recv=n`.
    pub fn parse(value: &'a str) -> Result<Self, AttributeError> {
        let (label, rest) = split_token(value);
        let at = value.len() - rest.len();
        let bad = || AttributeError::new("x-mediabw", at, "send=number;recv=number");
        let mut this = Self { label, send_kbps: 0, receive_kbps: 0 };
        let (mut send, mut receive) = (false, false);
        for part in rest.split(';').map(str::trim) {
            match part.split_once('=') {
                Some(("send", n)) if !n.is_empty() => {
                    this.send_kbps = decimal(n).ok_or_else(bad)?;
                    send = true;
                }
                Some(("recv", n)) if !n.is_empty() => {
                    this.receive_kbps = decimal(n).ok_or_else(bad)?;
                    receive = true;
                }
                _ => return Err(bad()),
            }
        }
        if label.is_empty() || !send || !receive { Err(bad()) } else { Ok(this) }
    }
}

impl fmt::Display for MediaBandwidth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} send={};recv={}", self.label, self.send_kbps, self.receive_kbps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let text = "main-video send=585;recv=1416";
        let parsed = MediaBandwidth::parse(text).unwrap();
        assert_eq!((parsed.send_kbps, parsed.receive_kbps), (585, 1_416));
        assert_eq!(parsed.to_string(), text);
        for bad in [
            "main-video",
            "main-video send=1",
            "main-video send=;recv=1",
            "m send=1;recv=4294967296",
        ] {
            assert!(MediaBandwidth::parse(bad).is_err(), "{bad}");
        }
    }
}
