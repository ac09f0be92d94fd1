use core::str::FromStr;

use crate::error::ProfileError;

/// `MaxVideoRateAllowed` of a Lync deployment: the largest video that a user may send.
///
/// It governs RTVideo clients by the letter; a gateway takes it as one limit among others.
///
/// ```
/// use linkspan_svc::ms::MaxVideoRate;
/// let policy: MaxVideoRate = "CIF250K".parse()?;
/// assert_eq!((policy.bitrate_bps(), policy.frame_size_mbs()), (250_000, 396));
/// # Ok::<(), linkspan_svc::ProfileError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum MaxVideoRate {
    /// `CIF250K`: 352x288, 15 pictures a second.
    Cif250K,
    /// `VGA600K`, the default: 640x480, 25 pictures a second.
    #[default]
    Vga600K,
    /// `Hd720p15M`: 1280x720, 1.5 Mbit/s.
    Hd720p15M,
}

impl MaxVideoRate {
    /// The bound on the bit rate.
    #[must_use]
    pub const fn bitrate_bps(self) -> u32 {
        match self {
            Self::Cif250K => 250_000,
            Self::Vga600K => 600_000,
            Self::Hd720p15M => 1_500_000,
        }
    }

    /// The bound on the picture in macroblocks.
    #[must_use]
    pub const fn frame_size_mbs(self) -> u32 {
        match self {
            Self::Cif250K => 396,
            Self::Vga600K => 1_200,
            Self::Hd720p15M => 3_600,
        }
    }

    /// The bound on pictures a second, where there is one.
    #[must_use]
    pub const fn frame_rate(self) -> Option<f64> {
        match self {
            Self::Cif250K => Some(15.0),
            Self::Vga600K => Some(25.0),
            Self::Hd720p15M => None,
        }
    }
}

impl FromStr for MaxVideoRate {
    type Err = ProfileError;

    /// Reads the name of the setting, in any case of letters.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let all = [
            ("CIF250K", Self::Cif250K),
            ("VGA600K", Self::Vga600K),
            ("Hd720p15M", Self::Hd720p15M),
        ];
        let found = all.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, rate)| rate).ok_or(ProfileError::Unknown)
    }
}
