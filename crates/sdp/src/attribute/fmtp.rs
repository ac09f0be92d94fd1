//! Values of `a=fmtp`: parameter lists, and those of H.264.

use core::fmt;

/// A list of `name=value` parameters, separated by `;` with or without blanks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    /// Takes the value of `a=fmtp` without its format.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Name and value of every parameter, in order; the value of a bare word is empty.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.0.split(';').map(str::trim).filter(|part| !part.is_empty()).map(|part| {
            part.split_once('=').map_or((part, ""), |(name, value)| (name.trim(), value.trim()))
        })
    }

    /// The value of a parameter; names are compared without regard to case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of a parameter that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(crate::mline::decimal)
    }

    /// The events of a `telephone-event` list (RFC 4733 §2.4.1) as a set of bits, those above 63
    /// left out. `events=0-15`, as some clients write it, is understood too.
    #[must_use]
    pub fn events(&self) -> u64 {
        let list = self.get("events").unwrap_or(self.0);
        let mut set = 0_u64;
        for part in list.split(',').map(str::trim) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) =
                (crate::mline::decimal::<u8>(first), crate::mline::decimal::<u8>(last))
            else {
                continue;
            };
            for event in first..=last.min(63) {
                set |= 1_u64.checked_shl(event.into()).unwrap_or(0);
            }
        }
        set
    }
}

/// `profile-level-id` of RFC 6184 §8.1: three octets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ProfileLevelId {
    /// `profile_idc`.
    pub profile: u8,
    /// `profile-iop`: the constraint flags.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
}

impl ProfileLevelId {
    /// What RFC 6184 §8.1 infers when the parameter is missing: Baseline, level 1.
    pub const DEFAULT: Self = Self { profile: 0x42, constraints: 0, level: 0x0a };

    /// Parses six hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, profile, constraints, level] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        Some(Self { profile, constraints, level })
    }

    /// The profile as RFC 6184 table 5 tells them apart: equal for two values that mean the same
    /// profile.
    #[must_use]
    pub const fn h264_profile(self) -> H264Profile {
        let c = self.constraints;
        match self.profile {
            0x42 if c & 0x4f == 0x40 => H264Profile::ConstrainedBaseline,
            0x4d if c & 0x8f == 0x80 => H264Profile::ConstrainedBaseline,
            0x58 if c & 0xcf == 0xc0 => H264Profile::ConstrainedBaseline,
            0x42 if c & 0x4f == 0 => H264Profile::Baseline,
            0x58 if c & 0xcf == 0x80 => H264Profile::Baseline,
            0x4d if c & 0xaf == 0 => H264Profile::Main,
            0x58 if c & 0xcf == 0 => H264Profile::Extended,
            0x64 if c == 0 => H264Profile::High,
            0x64 if c == 0x0c => H264Profile::ConstrainedHigh,
            _ => H264Profile::Other(self.profile, c),
        }
    }

    /// The level on a scale that can be compared: level 1b lies between 1 and 1.1.
    #[must_use]
    pub const fn level_rank(self) -> u16 {
        // RFC 6184 §8.1: level_idc 11 with constraint_set3 is level 1b in these profiles.
        let is_1b = self.level == 9
            || (self.level == 11
                && self.constraints & 0x10 != 0
                && matches!(self.profile, 0x42 | 0x4d | 0x58));
        // A cast in a const fn: u8 always fits.
        if is_1b { 105 } else { self.level as u16 * 10 }
    }
}

/// Writes six lower-case digits.
impl fmt::Display for ProfileLevelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.profile, self.constraints, self.level)
    }
}

/// An H.264 profile (RFC 6184 §8.1, table 5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum H264Profile {
    /// Constrained Baseline.
    ConstrainedBaseline,
    /// Baseline.
    Baseline,
    /// Main.
    Main,
    /// Extended.
    Extended,
    /// High.
    High,
    /// Constrained High.
    ConstrainedHigh,
    /// `profile_idc` and constraints of another.
    Other(u8, u8),
}

/// The parameters of H.264 that negotiation needs (RFC 6184 §8.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct H264Format {
    /// Profile and level.
    pub profile_level_id: ProfileLevelId,
    /// `packetization-mode`: 0, 1 or 2.
    pub packetization_mode: u8,
    /// `level-asymmetry-allowed=1`.
    pub level_asymmetry_allowed: bool,
    /// `max-mbps`, macroblocks per second.
    pub max_mbps: Option<u64>,
    /// `max-fs`, macroblocks in a picture.
    pub max_fs: Option<u64>,
    /// `max-br`, units of 1,000 bit/s.
    pub max_br: Option<u64>,
}

impl H264Format {
    /// Reads the parameters; what is missing or malformed has the value that RFC 6184 infers.
    #[must_use]
    pub fn parse(fmtp: &str) -> Self {
        let parameters = Parameters::new(fmtp);
        let id = parameters.get("profile-level-id").and_then(ProfileLevelId::parse);
        let mode = parameters.number("packetization-mode").and_then(|m| u8::try_from(m).ok());
        Self {
            profile_level_id: id.unwrap_or(ProfileLevelId::DEFAULT),
            packetization_mode: mode.unwrap_or(0),
            level_asymmetry_allowed: parameters.number("level-asymmetry-allowed") == Some(1),
            max_mbps: parameters.number("max-mbps"),
            max_fs: parameters.number("max-fs"),
            max_br: parameters.number("max-br"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_with_and_without_blanks() {
        let p = Parameters::new("useinbandfec=1; usedtx=0;Max-FS = 3600;flag");
        assert_eq!((p.get("usedtx"), p.number("max-fs")), (Some("0"), Some(3600)));
        assert_eq!((p.get("flag"), p.get("none")), (Some(""), None));
    }

    #[test]
    fn events_are_read_in_both_forms() {
        assert_eq!(Parameters::new("0-15").events(), 0xffff);
        assert_eq!(Parameters::new("events=0-16").events(), 0x1_ffff);
        assert_eq!(Parameters::new("0-11,66, 15").events(), 0x8fff);
        assert_eq!(Parameters::new("9-1,x,300").events(), 0);
    }

    /// RFC 6184 §8.1, table 5.
    #[test]
    fn profiles_are_told_apart_as_in_the_table() {
        let profile = |text| ProfileLevelId::parse(text).unwrap().h264_profile();
        for text in ["42e01f", "42c01f", "42401f", "4d801f", "58c01f"] {
            assert_eq!(profile(text), H264Profile::ConstrainedBaseline, "{text}");
        }
        for text in ["42001f", "42801f", "58801f"] {
            assert_eq!(profile(text), H264Profile::Baseline, "{text}");
        }
        assert_eq!(profile("4d001f"), H264Profile::Main);
        assert_eq!(profile("58001f"), H264Profile::Extended);
        assert_eq!(
            (profile("64001f"), profile("640c1f")),
            (H264Profile::High, H264Profile::ConstrainedHigh)
        );
        assert_eq!(profile("7a001f"), H264Profile::Other(0x7a, 0));
    }

    #[test]
    fn level_1b_lies_between_1_and_1_1() {
        let rank = |text| ProfileLevelId::parse(text).unwrap().level_rank();
        assert!(rank("42e00a") < rank("42f00b") && rank("42f00b") < rank("42e00b"));
        assert_eq!(rank("64000b"), 110);
        assert_eq!(ProfileLevelId::parse("42e0"), None);
        assert_eq!(ProfileLevelId::parse("42e01f").unwrap().to_string(), "42e01f");
    }

    #[test]
    fn missing_h264_parameters_have_their_inferred_values() {
        let format = H264Format::parse("max-mbps=108000");
        assert_eq!(format.profile_level_id, ProfileLevelId::DEFAULT);
        assert_eq!((format.packetization_mode, format.max_mbps), (0, Some(108_000)));
    }
}
