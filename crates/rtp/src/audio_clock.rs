use std::time::Duration;

use crate::ParseError;
use crate::stats::timestamp_units;

/// The clock of an audio payload: what its timestamps count, and what it samples.
///
/// The two are one number but for G.722, whose clock was set to 8000 Hz by mistake and stays there
/// for compatibility (RFC 3551 §4.5.2).
///
/// ```
/// use linkspan_rtp::AudioClock;
/// use std::time::Duration;
/// let g722 = AudioClock::of("G722", 8000);
/// assert_eq!(g722, AudioClock::G722);
/// let packet = Duration::from_millis(20);
/// assert_eq!((g722.timestamp_units(packet), g722.samples(packet)), (160, 320));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AudioClock {
    /// Timestamp units in a second: the rate of `a=rtpmap`.
    pub rtp_hz: u32,
    /// Samples in a second.
    pub sampling_hz: u32,
}

impl AudioClock {
    /// G.722.
    pub const G722: Self = Self { rtp_hz: 8000, sampling_hz: 16_000 };

    /// The clock of an encoding with this name and rate in `a=rtpmap`. Names have no case.
    #[must_use]
    pub fn of(encoding: &str, rtpmap_hz: u32) -> Self {
        if encoding.eq_ignore_ascii_case("G722") && rtpmap_hz == 8000 {
            return Self::G722;
        }
        Self { rtp_hz: rtpmap_hz, sampling_hz: rtpmap_hz }
    }

    /// Timestamp units of a duration, modulo 2^32.
    #[must_use]
    pub fn timestamp_units(self, duration: Duration) -> u32 {
        timestamp_units(duration, self.rtp_hz)
    }

    /// Samples of a duration.
    #[must_use]
    pub fn samples(self, duration: Duration) -> u64 {
        let nanoseconds = duration.as_nanos().saturating_mul(u128::from(self.sampling_hz));
        u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(u64::MAX)
    }
}

/// The SILK payload (draft-vos-silk, draft-spittka-silk-payload-format): one packet of the coder
/// without any header, one to five frames of 20 ms, timestamps at the sampling rate.
///
/// ```
/// use linkspan_rtp::Silk;
/// use std::time::Duration;
/// let silk = Silk::from_clock_hz(16_000).unwrap();
/// assert_eq!(silk, Silk::Wideband);
/// assert_eq!(silk.timestamp_step(Duration::from_millis(40)), Some(640));
/// assert_eq!(silk.timestamp_step(Duration::from_millis(30)), None);
/// // The timestamp of the next packet tells how many frames were in this one.
/// assert_eq!(silk.frames_between(u32::MAX - 319, 320), Some(2));
/// assert!(Silk::check_payload(&[0x5a; 120]).is_ok());
/// assert!(Silk::check_payload(&[0x5a; 1025]).is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Silk {
    /// 8000 Hz.
    Narrowband,
    /// 12,000 Hz.
    Mediumband,
    /// 16,000 Hz.
    Wideband,
    /// 24,000 Hz.
    SuperWideband,
}

impl Silk {
    /// The mode of an `a=rtpmap` rate: 8000, 12,000, 16,000 or 24,000. Lync uses the first and the
    /// third.
    #[must_use]
    pub fn from_clock_hz(hz: u32) -> Option<Self> {
        let modes = [Self::Narrowband, Self::Mediumband, Self::Wideband, Self::SuperWideband];
        modes.into_iter().find(|mode| mode.clock_hz() == hz)
    }

    /// Timestamp units in a second.
    #[must_use]
    pub fn clock_hz(self) -> u32 {
        match self {
            Self::Narrowband => 8000,
            Self::Mediumband => 12_000,
            Self::Wideband => 16_000,
            Self::SuperWideband => 24_000,
        }
    }

    /// How far the timestamp goes on behind a packet of this duration; `None` when a packet cannot
    /// have it.
    #[must_use]
    pub fn timestamp_step(self, duration: Duration) -> Option<u32> {
        let allowed = (1..=MAX_FRAMES).any(|frames| duration == FRAME * frames);
        allowed.then(|| timestamp_units(duration, self.clock_hz()))
    }

    /// The frames in a packet with the first timestamp, when the packet that follows it in sequence
    /// has the second; `None` where there is a pause (DTX) between, or a number no packet has.
    #[must_use]
    pub fn frames_between(self, timestamp: u32, next: u32) -> Option<u8> {
        let step = next.wrapping_sub(timestamp);
        let frame = timestamp_units(FRAME, self.clock_hz());
        let frames = u8::try_from(step.checked_div(frame)?).ok()?;
        let whole = step.is_multiple_of(frame) && (1..=MAX_FRAMES).contains(&u32::from(frames));
        whole.then_some(frames)
    }

    /// The most octets of a packet, however many frames are in it: the coder writes no more.
    pub const MAX_PAYLOAD: usize = 1024;

    /// Whether a payload can be a packet of the coder.
    ///
    /// # Errors
    ///
    /// When it is empty or longer than [`MAX_PAYLOAD`](Self::MAX_PAYLOAD).
    pub fn check_payload(payload: &[u8]) -> Result<(), ParseError> {
        match payload.len() {
            0 => Err(ParseError::Truncated { what: "SILK payload", at: 0 }),
            1..=Self::MAX_PAYLOAD => Ok(()),
            _ => Err(ParseError::Length { what: "SILK payload", at: Self::MAX_PAYLOAD }),
        }
    }
}

/// A frame of SILK.
const FRAME: Duration = Duration::from_millis(20);
/// Frames in a packet.
const MAX_FRAMES: u32 = 5;
