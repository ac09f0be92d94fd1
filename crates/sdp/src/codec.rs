//! Codecs as SDP names them.

/// A codec: its encoding name, clock rate, channels, and the parameters wanted for receiving it.
///
/// ```
/// use linkspan_sdp::Codec;
///
/// let codec = Codec::h264("42e01f", 1);
/// assert_eq!(codec.fmtp.as_deref(), Some("profile-level-id=42e01f;packetization-mode=1"));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Codec {
    /// Encoding name of `a=rtpmap`, compared without regard to case.
    pub name: String,
    /// RTP clock rate.
    pub clock_hz: u32,
    /// Channels; 1 for video.
    pub channels: u8,
    /// The payload type that an offer of ours prefers.
    pub payload_type: Option<u8>,
    /// Parameters of `a=fmtp` that we write.
    pub fmtp: Option<String>,
}

impl Codec {
    /// A codec without parameters.
    #[must_use]
    pub fn new(name: &str, clock_hz: u32, channels: u8, payload_type: Option<u8>) -> Self {
        Self { name: name.into(), clock_hz, channels, payload_type, fmtp: None }
    }

    /// G.711 µ-law, payload type 0.
    #[must_use]
    pub fn pcmu() -> Self {
        Self::new("PCMU", 8_000, 1, Some(0))
    }

    /// G.711 A-law, payload type 8.
    #[must_use]
    pub fn pcma() -> Self {
        Self::new("PCMA", 8_000, 1, Some(8))
    }

    /// G.722, payload type 9; its RTP clock is 8,000 Hz (RFC 3551 §4.5.2).
    #[must_use]
    pub fn g722() -> Self {
        Self::new("G722", 8_000, 1, Some(9))
    }

    /// G.722.1 at 24 or 32 kbit/s (RFC 5577), payload type 112 as Lync has it.
    #[must_use]
    pub fn g7221(bitrate_bps: u32) -> Self {
        Self {
            fmtp: Some(format!("bitrate={bitrate_bps}")),
            ..Self::new("G7221", 16_000, 1, Some(112))
        }
    }

    /// Comfort noise at 8,000 Hz (RFC 3389), payload type 13.
    #[must_use]
    pub fn comfort_noise() -> Self {
        Self::new("CN", 8_000, 1, Some(13))
    }

    /// DTMF events 0-15 at 8,000 Hz (RFC 4733), payload type 101.
    #[must_use]
    pub fn telephone_event() -> Self {
        Self { fmtp: Some("0-15".into()), ..Self::new("telephone-event", 8_000, 1, Some(101)) }
    }

    /// Opus (RFC 7587), payload type 111.
    #[must_use]
    pub fn opus() -> Self {
        Self::new("opus", 48_000, 2, Some(111))
    }

    /// H.264 (RFC 6184) with a `profile-level-id` of six hexadecimal digits and a packetization
    /// mode; payload type 97 for mode 1, 98 for the others.
    #[must_use]
    pub fn h264(profile_level_id: &str, packetization_mode: u8) -> Self {
        Self {
            fmtp: Some(format!(
                "profile-level-id={profile_level_id};packetization-mode={packetization_mode}"
            )),
            ..Self::new("H264", 90_000, 1, Some(if packetization_mode == 1 { 97 } else { 98 }))
        }
    }

    /// H.264 UC (\[MS-SDPEXT\] 3.1.5.3), payload type 122 with the two parameters it must have.
    #[must_use]
    pub fn x_h264uc() -> Self {
        Self {
            fmtp: Some("packetization-mode=1;mst-mode=NI-TC".into()),
            ..Self::new("X-H264UC", 90_000, 1, Some(122))
        }
    }

    /// The stream of a shared application (\[MS-SDPEXT\] 3.1.5.3), payload type 127.
    #[must_use]
    pub fn x_data() -> Self {
        Self::new("x-data", 90_000, 1, Some(127))
    }

    /// Whether it is the same encoding: name, clock and channels (RFC 3264 §6.1), not parameters.
    #[must_use]
    pub fn is_same_encoding(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_hz == other.clock_hz
            && self.channels == other.channels
    }

    /// Whether it only accompanies a codec: events, comfort noise, redundancy, retransmission.
    #[must_use]
    pub fn is_auxiliary(&self) -> bool {
        const AUXILIARY: [&str; 9] = [
            "telephone-event",
            "tone",
            "CN",
            "red",
            "ulpfec",
            "x-ulpfecuc",
            "flexfec-03",
            "flexfec",
            "rtx",
        ];
        AUXILIARY.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }
}
