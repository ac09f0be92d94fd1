//! `MaxVideoRateAllowed`: the video policy of a deployment, and what it means in a description.

use super::{VideoCapabilities, VideoCapability};

/// The most video that a deployment lets its clients send (`MaxVideoRateAllowed` of the media
/// configuration).
///
/// ```
/// use linkspan_sdp::ms::MaxVideoRate;
///
/// let rate = MaxVideoRate::from_name("VGA600K").ok_or("unknown")?;
/// assert_eq!(rate.kbps(), 600);
/// assert!(rate.capabilities(121).capabilities.iter().all(|c| c.width <= 640));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum MaxVideoRate {
    /// `CIF250K`: 352x288 at 15 pictures a second, 250 kbit/s.
    Cif250K,
    /// `VGA600K`, the default: 640x480, 600 kbit/s.
    #[default]
    Vga600K,
    /// `Hd720p15M`: 1280x720, 1.5 Mbit/s.
    Hd720p15M,
}

impl MaxVideoRate {
    const NAMES: [(&'static str, Self); 3] =
        [("CIF250K", Self::Cif250K), ("VGA600K", Self::Vga600K), ("Hd720p15M", Self::Hd720p15M)];

    /// From the policy's value, without regard to case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, rate)| *rate)
    }

    /// The policy's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, rate)| *rate == self).map_or("", |(name, _)| *name)
    }

    /// The bit rate, in kbit/s.
    #[must_use]
    pub const fn kbps(self) -> u32 {
        match self {
            Self::Cif250K => 250,
            Self::Vga600K => 600,
            Self::Hd720p15M => 1_500,
        }
    }

    /// The `a=x-caps` of a receiver within the policy (\[MS-SDPEXT\] 3.1.5.24): the sizes of a
    /// Lync client's ladder that it allows. QCIF, CIF and VGA are always there, because a
    /// `main-video` section has to list them; no rate is above the policy's.
    #[must_use]
    pub fn capabilities(self, payload_type: u8) -> VideoCapabilities {
        let limit = self.kbps() * 1_000;
        let allowed = LADDER
            .iter()
            .filter(|(width, height, _, bps)| *bps <= limit || (*width, *height) == (640, 480));
        let capabilities = allowed.zip(0..).map(|((width, height, rate, bps), index)| {
            // The numbers that clients give.
            let id = 0x107 + 0x1000 * index;
            VideoCapability {
                id,
                width: *width,
                height: *height,
                frame_rate: (*rate).into(),
                bitrate_bps: limit.min(*bps),
                extra: Some("1".into()),
            }
        });
        VideoCapabilities { payload_type, capabilities: capabilities.collect() }
    }
}

/// What a section without `a=x-caps` can receive (\[MS-SDPEXT\] 3.1.5.24): CIF and VGA, each at 15
/// pictures a second.
#[must_use]
pub fn default_capabilities(payload_type: u8) -> VideoCapabilities {
    let size = |id, width, height, bitrate_bps| VideoCapability {
        id,
        width,
        height,
        frame_rate: "15.0".into(),
        bitrate_bps,
        extra: None,
    };
    VideoCapabilities {
        payload_type,
        capabilities: vec![size(1, 640, 480, 600_000), size(2, 352, 288, 250_000)],
    }
}

/// Width, height, pictures a second, bit/s of a Lync 2013 client, below 1080p.
const LADDER: [(u32, u32, &str, u32); 6] = [
    (1_280, 720, "30.0", 1_500_000),
    (640, 480, "30.0", 600_000),
    (640, 360, "30.0", 600_000),
    (352, 288, "15.0", 250_000),
    (424, 240, "15.0", 250_000),
    (176, 144, "15.0", 180_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_ends_at_the_policy() {
        let sizes = |rate: MaxVideoRate| -> Vec<u32> {
            rate.capabilities(121).capabilities.iter().map(|c| c.width).collect()
        };
        assert_eq!(sizes(MaxVideoRate::Cif250K), [640, 352, 424, 176]);
        assert_eq!(sizes(MaxVideoRate::Vga600K), [640, 640, 352, 424, 176]);
        assert_eq!(sizes(MaxVideoRate::Hd720p15M).first(), Some(&1_280));
        for (name, rate) in MaxVideoRate::NAMES {
            assert_eq!((MaxVideoRate::from_name(name), rate.name()), (Some(rate), name));
            let text = rate.capabilities(121).to_string();
            assert_eq!(VideoCapabilities::parse(&text), Ok(rate.capabilities(121)));
        }
        let most = |rate: MaxVideoRate| {
            rate.capabilities(121).capabilities.iter().map(|c| c.bitrate_bps).max()
        };
        assert_eq!(most(MaxVideoRate::Cif250K), Some(250_000));
        assert_eq!(default_capabilities(121).capabilities.len(), 2);
    }
}
