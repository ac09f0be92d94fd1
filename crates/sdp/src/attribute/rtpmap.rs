//! `a=rtpmap`, and the static payload types of RFC 3551 §6.

use core::fmt;

use crate::AttributeError;
use crate::Codec;
use crate::mline::{decimal, split_token};

/// What a payload type stands for (RFC 8866 §6.6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RtpMap<'a> {
    /// Encoding name, as written.
    pub name: &'a str,
    /// RTP clock rate.
    pub clock_hz: u32,
    /// Channels; 1 when unsaid.
    pub channels: u8,
}

impl<'a> RtpMap<'a> {
    /// Parses the value of `a=rtpmap`: the payload type and what it stands for.
    ///
    /// # Errors
    ///
    /// When it does not follow the grammar, or the clock rate is 0.
    pub fn parse(value: &'a str) -> Result<(u8, Self), AttributeError> {
        let bad = |at, expected| AttributeError::new("rtpmap", at, expected);
        let (format, encoding) = split_token(value);
        let payload_type =
            decimal(format).filter(|pt| *pt < 128).ok_or_else(|| bad(0, "a payload type"))?;
        let at = value.len() - encoding.len();
        let mut parts = encoding.trim_end_matches(' ').split('/');
        let name = parts.next().filter(|n| !n.is_empty()).ok_or_else(|| bad(at, "a name"))?;
        let clock_at = at + name.len();
        let clock_hz = parts
            .next()
            .and_then(decimal)
            .filter(|clock| *clock > 0)
            .ok_or_else(|| bad(clock_at, "a clock rate"))?;
        let channels = match parts.next() {
            None | Some("") => 1,
            Some(count) => decimal(count)
                .filter(|c| *c > 0)
                .ok_or_else(|| bad(clock_at, "a number of channels"))?,
        };
        Ok((payload_type, Self { name, clock_hz, channels }))
    }

    /// The static mapping of RFC 3551 §6.
    #[must_use]
    pub fn static_of(payload_type: u8) -> Option<RtpMap<'static>> {
        let (_, name, clock_hz, channels) = *STATIC.iter().find(|(pt, ..)| *pt == payload_type)?;
        Some(RtpMap { name, clock_hz, channels })
    }

    /// As a codec.
    #[must_use]
    pub fn to_codec(&self, payload_type: u8, fmtp: Option<&str>) -> Codec {
        Codec {
            name: self.name.into(),
            clock_hz: self.clock_hz,
            channels: self.channels,
            payload_type: Some(payload_type),
            fmtp: fmtp.map(Into::into),
        }
    }
}

/// Writes `name/clock` and, beyond one, `/channels`.
impl fmt::Display for RtpMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.clock_hz)?;
        if self.channels > 1 { write!(f, "/{}", self.channels) } else { Ok(()) }
    }
}

/// RFC 3551 §6, tables 4 and 5.
const STATIC: [(u8, &str, u32, u8); 24] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
    (25, "CelB", 90_000, 1),
    (26, "JPEG", 90_000, 1),
    (28, "nv", 90_000, 1),
    (31, "H261", 90_000, 1),
    (32, "MPV", 90_000, 1),
    (33, "MP2T", 90_000, 1),
    (34, "H263", 90_000, 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for value in ["117 G722/8000/2", "0 PCMU/8000", "122 X-H264UC/90000"] {
            let (pt, map) = RtpMap::parse(value).unwrap();
            assert_eq!(format!("{pt} {map}"), value);
        }
    }

    #[test]
    fn refuses_what_cannot_be_used() {
        for value in ["128 A/1", "0 A/0", "0 A", "x A/1", "0 /8000", "0 A/8000/0"] {
            assert!(RtpMap::parse(value).is_err(), "{value}");
        }
    }
}
