//! Parameters of audio codecs that are more than a list: Opus, SILK, G.722.1.

use crate::Parameters;

/// What the writer wants to receive of Opus (RFC 7587 §6.1). Every parameter is a wish or a limit
/// of one direction, so none of them decides whether two sides match (§7.1).
///
/// ```
/// let opus = linkspan_sdp::OpusFormat::parse("minptime=10;useinbandfec=1");
/// assert!(opus.in_band_fec && !opus.stereo);
/// assert_eq!(opus.max_playback_hz, 48_000);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct OpusFormat {
    /// `maxplaybackrate`: what the writer can play. Default 48,000.
    pub max_playback_hz: u32,
    /// `sprop-maxcapturerate`: what the writer is likely to send. Default 48,000.
    pub max_capture_hz: u32,
    /// `maxaveragebitrate`, when it is limited.
    pub max_average_bps: Option<u32>,
    /// `stereo=1`: prefers stereo.
    pub stereo: bool,
    /// `cbr=1`: wants a constant bit rate.
    pub constant_rate: bool,
    /// `useinbandfec=1`: can use redundancy inside the packets.
    pub in_band_fec: bool,
    /// `usedtx=1`: silence may be left out.
    pub discontinuous: bool,
}

impl OpusFormat {
    /// Reads the parameters; what is missing or malformed has the default of RFC 7587.
    #[must_use]
    pub fn parse(fmtp: &str) -> Self {
        let parameters = Parameters::new(fmtp);
        let number = |name| parameters.number(name).and_then(|n| u32::try_from(n).ok());
        let flag = |name| parameters.number(name) == Some(1);
        Self {
            max_playback_hz: number("maxplaybackrate").unwrap_or(48_000),
            max_capture_hz: number("sprop-maxcapturerate").unwrap_or(48_000),
            max_average_bps: number("maxaveragebitrate"),
            stereo: flag("stereo"),
            constant_rate: flag("cbr"),
            in_band_fec: flag("useinbandfec"),
            discontinuous: flag("usedtx"),
        }
    }
}

/// Which G.722.1 it is (RFC 5577 §4.1), or which of Microsoft's Siren: another bit rate is another
/// codec.
///
/// ```
/// assert_eq!(linkspan_sdp::G7221Format::parse("bitrate=24000").bitrate_bps, Some(24_000));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct G7221Format {
    /// `bitrate`, which RFC 5577 has in every description.
    pub bitrate_bps: Option<u32>,
}

impl G7221Format {
    /// Reads the parameter.
    #[must_use]
    pub fn parse(fmtp: &str) -> Self {
        let bitrate = Parameters::new(fmtp).number("bitrate");
        Self { bitrate_bps: bitrate.and_then(|bitrate| u32::try_from(bitrate).ok()) }
    }
}

/// What the writer wants to receive of SILK, as Lync 2013 writes it (\[MS-SDPEXT\] 3.1.5.3).
///
/// ```
/// let silk = linkspan_sdp::SilkFormat::parse("useinbandfec=1; usedtx=0");
/// assert!(silk.in_band_fec && !silk.discontinuous);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SilkFormat {
    /// `useinbandfec=1`: can use redundancy inside the packets. The default is 1.
    pub in_band_fec: bool,
    /// `usedtx=1`: silence may be left out.
    pub discontinuous: bool,
    /// `maxaveragebitrate`, when it is limited.
    pub max_average_bps: Option<u32>,
}

impl SilkFormat {
    /// Reads the parameters; what is missing or malformed has its default.
    #[must_use]
    pub fn parse(fmtp: &str) -> Self {
        let parameters = Parameters::new(fmtp);
        Self {
            in_band_fec: parameters.number("useinbandfec") != Some(0),
            discontinuous: parameters.number("usedtx") == Some(1),
            max_average_bps: parameters
                .number("maxaveragebitrate")
                .and_then(|n| u32::try_from(n).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parameters_have_their_defaults() {
        let opus = OpusFormat::parse("maxplaybackrate=16000; stereo=1;maxaveragebitrate=x");
        assert_eq!((opus.max_playback_hz, opus.max_average_bps), (16_000, None));
        assert!(opus.stereo && !opus.constant_rate && !opus.discontinuous);
        let silk = SilkFormat::parse("");
        assert!(silk.in_band_fec && !silk.discontinuous && silk.max_average_bps.is_none());
        assert!(!SilkFormat::parse("useinbandfec=0").in_band_fec);
    }
}
