use super::feedback::{TYPE_VSR, write_header};
use super::{SOURCE_ANY, SOURCE_NONE};
use crate::wire::Cursor;
use crate::{ApplicationFeedback, ParseError, PayloadType, Ssrc, WriteError};

/// Video source request: what video the receiver wants (\[MS-RTP\] 2.2.12.2).
///
/// A Lync client sends video only after one.
///
/// ```
/// use linkspan_rtp::ms::{AspectRatios, FrameRates, VideoSourceEntry, VideoSourceRequest};
/// use linkspan_rtp::{PayloadType, Ssrc};
/// let request = VideoSourceRequest {
///     request_id: 7,
///     key_frame: true,
///     entries: vec![VideoSourceEntry {
///         payload_type: PayloadType(122),
///         max_width: 1280,
///         max_height: 720,
///         aspect_ratios: AspectRatios::R16_9,
///         frame_rates: FrameRates::F30,
///         may_instances: 1,
///         ..VideoSourceEntry::default()
///     }],
///     ..VideoSourceRequest::any(Ssrc(0x831f_8dc1))
/// };
/// let mut octets = Vec::new();
/// request.write(&mut octets)?;
/// assert_eq!(octets.len(), 100);
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VideoSourceRequest {
    /// Who asks.
    pub sender: Ssrc,
    /// The media source field of the feedback header; Lync writes
    /// [`SOURCE_ANY`](super::SOURCE_ANY).
    pub media: Ssrc,
    /// The media source id wanted, [`SOURCE_ANY`](super::SOURCE_ANY) or
    /// [`SOURCE_NONE`](super::SOURCE_NONE).
    pub source: Ssrc,
    /// The same in repetitions, another for each different request.
    pub request_id: u16,
    /// Version, 0.
    pub version: u8,
    /// Whether a key frame is wanted. Written as 0x80; any bit of its octet counts when read,
    /// because descriptions of the format disagree.
    pub key_frame: bool,
    /// What the receiver takes, at most 20 entries.
    pub entries: Vec<VideoSourceEntry>,
}

impl VideoSourceRequest {
    /// An empty request for whatever the sender picks: add entries and an id.
    #[must_use]
    pub fn any(sender: Ssrc) -> Self {
        Self { sender, media: SOURCE_ANY, source: SOURCE_ANY, ..Self::default() }
    }

    /// The request to stop sending.
    #[must_use]
    pub fn none(sender: Ssrc, request_id: u16) -> Self {
        Self { sender, media: SOURCE_ANY, source: SOURCE_NONE, request_id, ..Self::default() }
    }

    /// The request as a feedback packet.
    ///
    /// # Errors
    ///
    /// With more than 20 entries.
    pub fn to_feedback(&self) -> Result<ApplicationFeedback, WriteError> {
        let too_many = WriteError::TooMany { what: "video source entries", max: MAX_ENTRIES };
        let count = u8::try_from(self.entries.len()).map_err(|_| too_many)?;
        if self.entries.len() > MAX_ENTRIES {
            return Err(too_many);
        }
        let body = 16 + ENTRY_LEN * self.entries.len();
        let mut fci = Vec::with_capacity(4 + body);
        write_header(TYPE_VSR, body, &mut fci)?;
        fci.extend_from_slice(&self.source.0.to_be_bytes());
        fci.extend_from_slice(&self.request_id.to_be_bytes());
        fci.extend_from_slice(&[0, 0]);
        let key_frame = if self.key_frame { KEY_FRAME } else { 0 };
        fci.extend_from_slice(&[self.version, key_frame, count, ENTRY_LEN_OCTET, 0, 0, 0, 0]);
        self.entries.iter().for_each(|entry| entry.write(&mut fci));
        Ok(ApplicationFeedback { sender: self.sender, media: self.media, fci })
    }

    /// Appends the RTCP packet to `out`.
    ///
    /// # Errors
    ///
    /// As [`VideoSourceRequest::to_feedback`].
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.to_feedback()?.write(out)
    }

    pub(super) fn read(
        packet: &ApplicationFeedback,
        mut cursor: Cursor<'_>,
    ) -> Result<Self, ParseError> {
        let source = Ssrc(cursor.u32("requested source")?);
        let request_id = cursor.u16("request id")?;
        let _reserved = cursor.u16("video source request")?;
        let version = cursor.u8("version")?;
        let key_frame = cursor.u8("key frame request")? != 0;
        let count_at = cursor.at();
        let count = usize::from(cursor.u8("entry count")?);
        let len_at = cursor.at();
        let entry_len = usize::from(cursor.u8("entry length")?);
        let _reserved = cursor.u32("video source request")?;
        if count > MAX_ENTRIES {
            return Err(ParseError::Value { what: "entry count", at: count_at });
        }
        if count > 0 && entry_len < ENTRY_LEN {
            return Err(ParseError::Length { what: "video source entry", at: len_at });
        }
        // Stepping by the length given lets later versions append fields.
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let at = cursor.at();
            let entry = Cursor::new(cursor.take(entry_len, "video source entry")?);
            entries.push(VideoSourceEntry::read(entry).map_err(|error| error.shifted(at))?);
        }
        let (sender, media) = (packet.sender, packet.media);
        Ok(Self { sender, media, source, request_id, version, key_frame, entries })
    }
}

/// One kind of video that the receiver takes (\[MS-RTP\] 2.2.12.2.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VideoSourceEntry {
    /// The payload type: 122 for X-H264UC, 121 for RTVideo.
    pub payload_type: PayloadType,
    /// The highest UCConfig mode supported.
    pub uc_config_mode: u8,
    /// What else is supported.
    pub flags: SourceFlags,
    /// Aspect ratios taken.
    pub aspect_ratios: AspectRatios,
    /// Largest width.
    pub max_width: u16,
    /// Largest height.
    pub max_height: u16,
    /// Lower edge of the first bin of the bit rate histogram.
    pub min_bitrate_bps: u32,
    /// Width of a bin.
    pub bitrate_per_level_bps: u32,
    /// How many receivers want a bit rate in each bin.
    pub bitrate_histogram: [u16; 10],
    /// Frame rates taken.
    pub frame_rates: FrameRates,
    /// Instances that have to be sent.
    pub must_instances: u16,
    /// Instances that may be sent.
    pub may_instances: u16,
    /// Quality reports, as a histogram.
    pub quality_histogram: [u16; 8],
    /// Most pixels of a frame.
    pub max_pixels: u32,
}

impl VideoSourceEntry {
    /// The highest bit rate any receiver wants: the upper edge of the last bin that counts one.
    /// `None` for an empty histogram.
    #[must_use]
    pub fn max_bitrate_bps(&self) -> Option<u64> {
        let top = self.bitrate_histogram.iter().rposition(|count| *count > 0)?;
        let edge = u64::from(self.bitrate_per_level_bps).saturating_mul(top as u64 + 1);
        Some(u64::from(self.min_bitrate_bps).saturating_add(edge))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[
            self.payload_type.0,
            self.uc_config_mode,
            self.flags.0,
            self.aspect_ratios.0,
        ]);
        out.extend_from_slice(&self.max_width.to_be_bytes());
        out.extend_from_slice(&self.max_height.to_be_bytes());
        for field in [self.min_bitrate_bps, 0, self.bitrate_per_level_bps] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        for count in self.bitrate_histogram {
            out.extend_from_slice(&count.to_be_bytes());
        }
        out.extend_from_slice(&self.frame_rates.0.to_be_bytes());
        out.extend_from_slice(&self.must_instances.to_be_bytes());
        out.extend_from_slice(&self.may_instances.to_be_bytes());
        for count in self.quality_histogram {
            out.extend_from_slice(&count.to_be_bytes());
        }
        out.extend_from_slice(&self.max_pixels.to_be_bytes());
    }

    fn read(mut cursor: Cursor<'_>) -> Result<Self, ParseError> {
        let what = "video source entry";
        let [payload_type, uc_config_mode, flags, aspect_ratios] = cursor.array(what)?;
        let mut entry = Self {
            payload_type: PayloadType(payload_type),
            uc_config_mode,
            flags: SourceFlags(flags),
            aspect_ratios: AspectRatios(aspect_ratios),
            max_width: cursor.u16(what)?,
            max_height: cursor.u16(what)?,
            min_bitrate_bps: cursor.u32(what)?,
            ..Self::default()
        };
        let _reserved = cursor.u32(what)?;
        entry.bitrate_per_level_bps = cursor.u32(what)?;
        for count in &mut entry.bitrate_histogram {
            *count = cursor.u16(what)?;
        }
        entry.frame_rates = FrameRates(cursor.u32(what)?);
        entry.must_instances = cursor.u16(what)?;
        entry.may_instances = cursor.u16(what)?;
        for count in &mut entry.quality_histogram {
            *count = cursor.u16(what)?;
        }
        entry.max_pixels = cursor.u32(what)?;
        Ok(entry)
    }
}

/// Flags of a [`VideoSourceEntry`]; unknown bits are kept.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SourceFlags(pub u8);

impl SourceFlags {
    /// H.264 coarse-grain rewriting is supported.
    pub const CGS_REWRITE: Self = Self(0x01);
    /// Constrained baseline profile only.
    pub const CONSTRAINED_BASELINE_ONLY: Self = Self(0x02);
    /// RTVideo without SP frames.
    pub const NO_SP_FRAMES: Self = Self(0x04);
    /// Resolution must not change within the stream.
    pub const NO_SEAMLESS_RESOLUTION_CHANGE: Self = Self(0x08);
}

/// Aspect ratios of a [`VideoSourceEntry`]; unknown bits are kept.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct AspectRatios(pub u8);

impl AspectRatios {
    /// 4:3.
    pub const R4_3: Self = Self(0x01);
    /// 16:9.
    pub const R16_9: Self = Self(0x02);
    /// 1:1.
    pub const R1_1: Self = Self(0x04);
    /// 3:4.
    pub const R3_4: Self = Self(0x08);
    /// 9:16.
    pub const R9_16: Self = Self(0x10);
    /// 20:3.
    pub const R20_3: Self = Self(0x20);
}

/// Frame rates of a [`VideoSourceEntry`]; unknown bits are kept.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct FrameRates(pub u32);

impl FrameRates {
    /// 7.5 frames per second.
    pub const F7_5: Self = Self(0x01);
    /// 12.5 frames per second.
    pub const F12_5: Self = Self(0x02);
    /// 15 frames per second.
    pub const F15: Self = Self(0x04);
    /// 25 frames per second.
    pub const F25: Self = Self(0x08);
    /// 30 frames per second.
    pub const F30: Self = Self(0x10);
    /// 50 frames per second.
    pub const F50: Self = Self(0x20);
    /// 60 frames per second.
    pub const F60: Self = Self(0x40);

    /// The highest rate in the set, in frames per second times two; `None` for an empty set.
    #[must_use]
    pub fn highest_doubled(self) -> Option<u32> {
        const DOUBLED: [u32; 7] = [15, 25, 30, 50, 60, 100, 120];
        DOUBLED.iter().enumerate().rev().find(|(bit, _)| self.0 & (1 << bit) != 0).map(|(_, r)| *r)
    }
}

macro_rules! bit_set {
    ($($name:ident),*) => {$(
        impl $name {
            /// Whether every bit of `other` is set.
            #[must_use]
            pub fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl core::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    )*};
}

bit_set!(SourceFlags, AspectRatios, FrameRates);

/// [MS-RTP] 2.2.12.2: at most 20 entries of 68 octets.
const MAX_ENTRIES: usize = 20;
const ENTRY_LEN: usize = 68;
const ENTRY_LEN_OCTET: u8 = 0x44;
/// [MS-RTP] 2.2.12.2: the bit before seven reserved ones.
const KEY_FRAME: u8 = 0x80;
