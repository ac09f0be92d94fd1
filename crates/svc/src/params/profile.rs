use core::fmt;
use core::str::FromStr;

use crate::error::ProfileError;
use crate::params::Sps;

/// What a receiver declares in `profile-level-id` (RFC 6184 §8.1): the three octets that stand at
/// the front of a sequence parameter set.
///
/// ```
/// use linkspan_svc::{ProfileLevel, Sps};
/// let receiver: ProfileLevel = "42e01f".parse()?;
/// let sps = [0x67, 0x42, 0xc0, 0x0b, 0x8c, 0x8d, 0x41, 0x46, 0x90, 0x0f, 0x08, 0x84, 0x6a];
/// let sps = Sps::parse(&sps).unwrap();
/// assert!(receiver.accepts(&sps, 30.0));
/// assert_eq!(receiver.level().max_frame_size_mbs, 3_600);
/// assert!(receiver.relabel(&sps, 30.0) == Some([0x42, 0xc0, 0x0b])); // as it is
/// # Ok::<(), linkspan_svc::ProfileError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ProfileLevel {
    /// `profile_idc`.
    pub profile_idc: u8,
    /// The octet of constraint flags.
    pub constraint_flags: u8,
    /// `level_idc`.
    pub level_idc: u8,
}

impl Default for ProfileLevel {
    /// What an absent `profile-level-id` means (RFC 6184 §8.1): Baseline, level 1.
    fn default() -> Self {
        Self { profile_idc: 66, constraint_flags: 0, level_idc: 10 }
    }
}

impl ProfileLevel {
    /// The limits of the level; of the next lower one where the number is unknown.
    #[must_use]
    pub fn level(&self) -> Level {
        // H.264 §A.3.1: level 1b of Baseline, Main and Extended is 11 with constraint_set3_flag.
        let is_1b = self.level_idc == 11
            && self.constraint_flags & 0x10 != 0
            && matches!(self.profile_idc, 66 | 77 | 88);
        Level::of(if is_1b { 9 } else { self.level_idc })
    }

    /// Whether a decoder with this declaration decodes a stream with `sps`, at `frame_rate`
    /// pictures a second.
    #[must_use]
    pub fn accepts(&self, sps: &Sps, frame_rate: f64) -> bool {
        self.has_tools_of(sps.profile_level_id().into()) && self.level().fits(sps, frame_rate)
    }

    /// The octets of `profile-level-id` that a stream may carry so that this receiver takes it:
    /// its own where they do, otherwise the receiver's profile or level where every constraint of
    /// theirs is met. `None` where only transcoding helps: tools cannot be taken out of a stream,
    /// nor samples out of its pictures.
    #[must_use]
    pub fn relabel(&self, sps: &Sps, frame_rate: f64) -> Option<[u8; 3]> {
        if !self.accepts(sps, frame_rate) {
            return None;
        }
        let [mut profile, mut flags, mut level] = sps.profile_level_id();
        // A receiver of Baseline knows nothing of the other label (H.264 §A.2: the flags say
        // which profiles' constraints are obeyed).
        if self.profile_idc == 66 && profile != 66 {
            (profile, flags) = (66, flags | 0xc0);
        }
        if level > self.level_idc {
            level = self.level_idc;
            flags = flags & !0x10 | self.constraint_flags & 0x10;
        }
        Some([profile, flags, level])
    }

    /// Whether a decoder of this profile has the coding tools of a stream's (H.264 §A.2); the level
    /// does not count.
    #[must_use]
    pub const fn has_tools_of(&self, stream: Self) -> bool {
        let (stream, flags) = (stream.profile_idc, stream.constraint_flags);
        let (set0, set1) = (flags & 0x80 != 0, flags & 0x40 != 0);
        let constrained_baseline = set1 && (stream == 66 || matches!(stream, 77 | 88) && set0);
        if constrained_baseline {
            return matches!(self.profile_idc, 66 | 77 | 88 | 100 | 110 | 122 | 244);
        }
        match self.profile_idc {
            66 => stream == 66 && self.constraint_flags & 0x40 == 0,
            88 => matches!(stream, 66 | 88),
            77 => stream == 77 || set1,
            // set4 and set5: Constrained High, progressive and without B pictures.
            100 if self.constraint_flags & 0x0c == 0x0c => stream == 100 && flags & 0x0c == 0x0c,
            100 => matches!(stream, 77 | 100),
            110 => matches!(stream, 77 | 100 | 110),
            122 => matches!(stream, 77 | 100 | 110 | 122),
            other => other == stream,
        }
    }
}

impl FromStr for ProfileLevel {
    type Err = ProfileError;

    /// Reads the six hexadecimal digits of the parameter.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let octet = |at: usize| {
            let digits = text.get(at..at + 2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            digits
                .and_then(|d| u8::from_str_radix(d, 16).ok())
                .ok_or(ProfileError::NotHexadecimal { at })
        };
        if text.len() != 6 {
            return Err(ProfileError::NotHexadecimal { at: text.len().min(6) });
        }
        Ok(Self { profile_idc: octet(0)?, constraint_flags: octet(2)?, level_idc: octet(4)? })
    }
}

impl fmt::Display for ProfileLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.profile_idc, self.constraint_flags, self.level_idc)
    }
}

impl From<[u8; 3]> for ProfileLevel {
    fn from([profile_idc, constraint_flags, level_idc]: [u8; 3]) -> Self {
        Self { profile_idc, constraint_flags, level_idc }
    }
}

/// The limits of one level (H.264 Table A-1).
///
/// ```
/// use linkspan_svc::Level;
/// // 424x240 is 405 macroblocks: over everything below level 2.1.
/// assert!(Level::of(20).max_frame_size_mbs < 405 && Level::of(21).max_frame_size_mbs > 405);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Level {
    /// `level_idc`; 9 for level 1b.
    pub idc: u8,
    /// `MaxMBPS`: macroblocks a second.
    pub max_mbps: u32,
    /// `MaxFS`: macroblocks of a picture.
    pub max_frame_size_mbs: u32,
    /// `MaxDpbMbs`: macroblocks of all pictures that a decoder keeps.
    pub max_dpb_mbs: u32,
    /// `MaxBR` of Baseline, Main and Extended in bit/s.
    pub max_bitrate_bps: u32,
}

impl Level {
    /// The level with this `level_idc`, or the next lower one.
    #[must_use]
    pub fn of(level_idc: u8) -> Self {
        let row = LEVELS.into_iter().rfind(|l| l.0 <= level_idc).unwrap_or(LEVELS[0]);
        let (idc, max_mbps, max_frame_size_mbs, max_dpb_mbs, kbps) = row;
        Self { idc, max_mbps, max_frame_size_mbs, max_dpb_mbs, max_bitrate_bps: kbps * 1_000 }
    }

    /// Whether pictures of a stream with `sps`, `frame_rate` a second, keep to the level.
    #[must_use]
    pub fn fits(&self, sps: &Sps, frame_rate: f64) -> bool {
        let size = sps.frame_size_mbs();
        // H.264 §A.3.1: neither side is longer than Sqrt(MaxFS * 8).
        let side = |samples: u32| (samples / 16).pow(2) <= self.max_frame_size_mbs * 8;
        let kept = u32::from(sps.max_num_ref_frames);
        size <= self.max_frame_size_mbs
            && side(sps.coded_width())
            && side(sps.coded_height())
            && f64::from(size) * frame_rate <= f64::from(self.max_mbps)
            && kept * size <= self.max_dpb_mbs
    }
}

/// `level_idc`, `MaxMBPS`, `MaxFS`, `MaxDpbMbs`, `MaxBR` (H.264 Table A-1).
const LEVELS: [(u8, u32, u32, u32, u32); 20] = [
    (9, 1_485, 99, 396, 128),
    (10, 1_485, 99, 396, 64),
    (11, 3_000, 396, 900, 192),
    (12, 6_000, 396, 2_376, 384),
    (13, 11_880, 396, 2_376, 768),
    (20, 11_880, 396, 2_376, 2_000),
    (21, 19_800, 792, 4_752, 4_000),
    (22, 20_250, 1_620, 8_100, 4_000),
    (30, 40_500, 1_620, 8_100, 10_000),
    (31, 108_000, 3_600, 18_000, 14_000),
    (32, 216_000, 5_120, 20_480, 20_000),
    (40, 245_760, 8_192, 32_768, 20_000),
    (41, 245_760, 8_192, 32_768, 50_000),
    (42, 522_240, 8_704, 34_816, 50_000),
    (50, 589_824, 22_080, 110_400, 135_000),
    (51, 983_040, 36_864, 184_320, 240_000),
    (52, 2_073_600, 36_864, 184_320, 240_000),
    (60, 4_177_920, 139_264, 696_320, 240_000),
    (61, 8_355_840, 139_264, 696_320, 480_000),
    (62, 16_711_680, 139_264, 696_320, 800_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(profile_idc: u8, constraint_flags: u8, level_idc: u8, width: u16) -> Sps {
        let plain = [0x67, 0x42, 0xc0, 0x0b, 0x8c, 0x8d, 0x41, 0x46, 0x90, 0x0f, 0x08, 0x84, 0x6a];
        let plain = Sps::parse(&plain).unwrap();
        Sps {
            profile_idc,
            constraint_flags,
            level_idc,
            width_mbs: width / 16,
            height_map_units: width * 9 / 256,
            max_num_ref_frames: 1,
            ..plain
        }
    }

    #[test]
    fn constrained_baseline_goes_everywhere_and_high_only_to_high() {
        let base = stream(66, 0xc0, 31, 1_280);
        let high = stream(100, 0, 31, 1_280);
        for (text, base_ok, high_ok) in [
            ("42e01f", true, false),
            ("42001f", true, false),
            ("4d001f", true, false),
            ("64001f", true, true),
            ("640c1f", true, false),
            ("42e01e", false, false),
        ] {
            let receiver: ProfileLevel = text.parse().unwrap();
            assert_eq!(receiver.to_string(), text);
            assert_eq!(receiver.accepts(&base, 30.0), base_ok, "{text}");
            assert_eq!(receiver.accepts(&high, 30.0), high_ok, "{text}");
        }
    }

    #[test]
    fn labels_change_only_where_the_stream_keeps_to_them() {
        let receiver = ProfileLevel::from([0x42, 0xe0, 0x1e]);
        // Level 3.1 claimed, level 3 used.
        let small = stream(66, 0xc0, 31, 640);
        assert_eq!(receiver.relabel(&small, 30.0), Some([66, 0xc0, 30]));
        assert_eq!(receiver.relabel(&small, 60.0), None);
        // Main that obeys Baseline as well.
        let main = stream(77, 0xc0, 30, 640);
        assert_eq!(receiver.relabel(&main, 30.0), Some([66, 0xc0, 30]));
        assert_eq!(receiver.relabel(&stream(77, 0x40, 30, 640), 30.0), None);
        assert_eq!(receiver.relabel(&stream(100, 0, 30, 640), 30.0), None);
    }

    #[test]
    fn level_1b_is_written_in_two_ways() {
        assert_eq!(ProfileLevel::from([66, 0xf0, 11]).level().max_bitrate_bps, 128_000);
        assert_eq!(ProfileLevel::from([66, 0xe0, 11]).level().max_bitrate_bps, 192_000);
        assert_eq!(ProfileLevel::from([100, 0, 9]).level().max_bitrate_bps, 128_000);
        assert_eq!(ProfileLevel::from([66, 0, 3]).level().idc, 9);
        for bad in ["", "42e01", "42e0zz", "42e01f0", "+2e01f"] {
            assert!(bad.parse::<ProfileLevel>().is_err(), "{bad}");
        }
    }
}
