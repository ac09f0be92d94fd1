use crate::wire::Cursor;
use crate::{NtpTime, ParseError, SequenceNumber, Ssrc, WriteError};

/// One profile-specific extension of a sender or receiver report (\[MS-RTP\] 2.2.11).
///
/// ```
/// use linkspan_rtp::{ReceiverReport, Ssrc};
/// use linkspan_rtp::ms::{BandwidthEstimate, ReportExtension};
/// let estimate = ReportExtension::EstimatedBandwidth {
///     ssrc: Ssrc(0x4f4d_1749),
///     estimate: BandwidthEstimate::Bps(1_500_000),
///     confidence: None,
/// };
/// let mut report = ReceiverReport { ssrc: Ssrc(1), ..ReceiverReport::default() };
/// estimate.write(&mut report.extension)?;
/// let read: Vec<_> = ReportExtension::iter(&report.extension).collect::<Result<_, _>>().unwrap();
/// assert_eq!(read, [estimate]);
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReportExtension {
    /// Type 1: the bandwidth the receiver estimates.
    EstimatedBandwidth {
        /// The stream reported on.
        ssrc: Ssrc,
        /// The estimate.
        estimate: BandwidthEstimate,
        /// How sure it is, 0 to 15; absent in the short form.
        confidence: Option<u8>,
    },
    /// Type 4: a packet was lost (RTVideo).
    PacketLoss {
        /// The packet lost or expected.
        sequence: SequenceNumber,
    },
    /// Type 5: the size of video preferred (RTVideo).
    VideoPreference {
        /// Width.
        width: u16,
        /// Height.
        height: u16,
        /// Bit rate in kbit/s; reserved, 0.
        bitrate_kbps: u32,
        /// Frame rate; reserved, 0.
        frame_rate: u16,
    },
    /// Type 6: filler, this many octets.
    Padding(u16),
    /// Type 7: the limit that the policy server sets for this stream, bit/s.
    PolicyBandwidth(u32),
    /// Type 8: the limit that the TURN server sets for this stream, bit/s.
    TurnBandwidth(u32),
    /// Type 9: what the audio healer did.
    AudioHealer(HealerMetrics),
    /// Type 10: the limit that the receiver sets for this stream, bit/s.
    ReceiverBandwidth(u32),
    /// Type 11: a packet of a packet train.
    PacketTrain(PacketTrain),
    /// Type 12: what the peer knows of its links.
    PeerInfo(PeerInfo),
    /// Type 13: the network is congested, or no longer.
    Congestion(Congestion),
    /// Type 14: the limit for everything sent of a modality.
    ModalityBandwidth {
        /// 2 is video.
        modality: u8,
        /// Bit/s.
        limit_bps: u32,
    },
    /// Any other type, or a known one with another length.
    Other {
        /// The type.
        kind: u16,
        /// What follows the length.
        data: Vec<u8>,
    },
}

/// A bandwidth in an estimate (\[MS-RTP\] 2.2.11.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BandwidthEstimate {
    /// Bit/s.
    Bps(u32),
    /// No estimate yet; packet pairs are understood.
    PacketPair,
    /// No estimate yet; packet trains are understood.
    PacketTrain,
    /// Packet trains are understood and wanted whenever possible.
    PacketTrainWanted,
}

/// Audio healer metrics, totals of the call in frames of 10 ms (\[MS-RTP\] 2.2.11.7).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HealerMetrics {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Concealed frames.
    pub concealed: u32,
    /// Stretched frames.
    pub stretched: u32,
    /// Compressed frames.
    pub compressed: u32,
    /// All frames.
    pub total: u32,
    /// Receive quality state.
    pub quality_state: u8,
    /// Requested distance of redundant audio.
    pub fec_distance: u8,
}

/// One packet of a packet train (\[MS-RTP\] 2.2.11.9).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PacketTrain {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Whether it is the last of its train.
    pub last: bool,
    /// Its number, 7 bits.
    pub index: u8,
    /// Packets of the train, 7 bits.
    pub count: u8,
    /// Octets of the train up to here.
    pub octets: u16,
}

/// Peer info exchange (\[MS-RTP\] 2.2.11.10).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PeerInfo {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Inbound link bandwidth, bit/s.
    pub inbound_bps: u32,
    /// Outbound link bandwidth, bit/s.
    pub outbound_bps: u32,
    /// Whether the figures must not be cached.
    pub no_cache: bool,
}

/// Network congestion notification (\[MS-RTP\] 2.2.11.11).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Congestion {
    /// When it was noticed.
    pub at: NtpTime,
    /// Bit 0 uncongested by delay, 1 congested by delay, 2 uncongested by loss, 3 congested by
    /// loss.
    pub info: u8,
}

impl ReportExtension {
    /// The extensions in what follows the blocks of a report, at most 20. After an error the
    /// iterator ends.
    #[must_use]
    pub fn iter(extension: &[u8]) -> ReportExtensions<'_> {
        ReportExtensions { cursor: Cursor::new(extension), left: MAX_EXTENSIONS }
    }

    /// Appends the extension to `out`, which is the `extension` of a report.
    ///
    /// # Errors
    ///
    /// When the data is not a whole number of words or too long.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let mut data = Vec::with_capacity(24);
        let kind = self.write_data(&mut data);
        let wrong = WriteError::TooLong { what: "report extension" };
        if !data.len().is_multiple_of(4) {
            return Err(WriteError::Value { what: "report extension" });
        }
        let len = u16::try_from(data.len().saturating_add(4)).map_err(|_| wrong)?;
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&data);
        Ok(())
    }

    fn write_data(&self, out: &mut Vec<u8>) -> u16 {
        let mut words = |fields: &[u32]| {
            fields.iter().for_each(|field| out.extend_from_slice(&field.to_be_bytes()));
        };
        match self {
            Self::EstimatedBandwidth { ssrc, estimate, confidence } => {
                words(&[ssrc.0, estimate.to_wire()]);
                if let Some(confidence) = confidence {
                    words(&[u32::from(confidence & 0x0f) << 28]);
                }
                1
            }
            Self::PacketLoss { sequence } => {
                words(&[u32::from(sequence.0)]);
                4
            }
            Self::VideoPreference { width, height, bitrate_kbps, frame_rate } => {
                let size = (u32::from(*width) << 16) | u32::from(*height);
                words(&[0, size, *bitrate_kbps, u32::from(*frame_rate) << 16]);
                5
            }
            Self::Padding(len) => {
                out.resize(usize::from(*len), 0);
                6
            }
            Self::PolicyBandwidth(limit) => {
                words(&[0, *limit]);
                7
            }
            Self::TurnBandwidth(limit) => {
                words(&[0, *limit]);
                8
            }
            Self::AudioHealer(m) => {
                let state = (u32::from(m.quality_state) << 8) | u32::from(m.fec_distance);
                words(&[m.ssrc.0, m.concealed, m.stretched, m.compressed, m.total, state]);
                9
            }
            Self::ReceiverBandwidth(limit) => {
                words(&[0, *limit]);
                10
            }
            Self::PacketTrain(train) => {
                let index = (u32::from(train.last) << 31) | (u32::from(train.index & 0x7f) << 24);
                let count = u32::from(train.count & 0x7f) << 16;
                words(&[train.ssrc.0, index | count | u32::from(train.octets)]);
                11
            }
            Self::PeerInfo(info) => {
                let flags = u32::from(info.no_cache) << 31;
                words(&[info.ssrc.0, info.inbound_bps, info.outbound_bps, flags]);
                12
            }
            Self::Congestion(congestion) => {
                out.extend_from_slice(&congestion.at.0.to_be_bytes());
                out.extend_from_slice(&[congestion.info, 0, 0, 0]);
                13
            }
            Self::ModalityBandwidth { modality, limit_bps } => {
                words(&[u32::from(*modality) << 24, *limit_bps]);
                14
            }
            Self::Other { kind, data } => {
                out.extend_from_slice(data);
                *kind
            }
        }
    }

    fn read(kind: u16, data: &[u8]) -> Result<Self, ParseError> {
        let what = "report extension";
        let mut cursor = Cursor::new(data);
        Ok(match (kind, data.len()) {
            (1, 8 | 12) => Self::EstimatedBandwidth {
                ssrc: Ssrc(cursor.u32(what)?),
                estimate: BandwidthEstimate::from_wire(cursor.u32(what)?),
                confidence: (!cursor.is_empty())
                    .then(|| cursor.u8(what))
                    .transpose()?
                    .map(|c| c >> 4),
            },
            (4, 4) => {
                let _reserved = cursor.u16(what)?;
                Self::PacketLoss { sequence: SequenceNumber(cursor.u16(what)?) }
            }
            (5, 16) => {
                let _reserved = cursor.u32(what)?;
                Self::VideoPreference {
                    width: cursor.u16(what)?,
                    height: cursor.u16(what)?,
                    bitrate_kbps: cursor.u32(what)?,
                    frame_rate: cursor.u16(what)?,
                }
            }
            (6, len) => Self::Padding(u16::try_from(len).unwrap_or(u16::MAX)),
            (7 | 8 | 10, 8) => {
                let _reserved = cursor.u32(what)?;
                let limit = cursor.u32(what)?;
                match kind {
                    7 => Self::PolicyBandwidth(limit),
                    8 => Self::TurnBandwidth(limit),
                    _ => Self::ReceiverBandwidth(limit),
                }
            }
            (9, 24) => {
                let mut metrics = HealerMetrics {
                    ssrc: Ssrc(cursor.u32(what)?),
                    concealed: cursor.u32(what)?,
                    stretched: cursor.u32(what)?,
                    compressed: cursor.u32(what)?,
                    total: cursor.u32(what)?,
                    ..HealerMetrics::default()
                };
                let _reserved = cursor.u16(what)?;
                metrics.quality_state = cursor.u8(what)?;
                metrics.fec_distance = cursor.u8(what)?;
                Self::AudioHealer(metrics)
            }
            (11, 8) => {
                let ssrc = Ssrc(cursor.u32(what)?);
                let [index, count] = cursor.array(what)?;
                Self::PacketTrain(PacketTrain {
                    ssrc,
                    last: index & 0x80 != 0,
                    index: index & 0x7f,
                    count: count & 0x7f,
                    octets: cursor.u16(what)?,
                })
            }
            (12, 16) => Self::PeerInfo(PeerInfo {
                ssrc: Ssrc(cursor.u32(what)?),
                inbound_bps: cursor.u32(what)?,
                outbound_bps: cursor.u32(what)?,
                no_cache: cursor.u8(what)? & 0x80 != 0,
            }),
            (13, 12) => {
                let at = NtpTime(cursor.u64(what)?);
                Self::Congestion(Congestion { at, info: cursor.u8(what)? })
            }
            (14, 8) => {
                let modality = cursor.u8(what)?;
                let _reserved = cursor.u24(what)?;
                Self::ModalityBandwidth { modality, limit_bps: cursor.u32(what)? }
            }
            _ => Self::Other { kind, data: data.to_vec() },
        })
    }
}

impl BandwidthEstimate {
    fn from_wire(value: u32) -> Self {
        match value {
            0xffff_fffd => Self::PacketPair,
            0xffff_fffb => Self::PacketTrain,
            0xffff_fffa => Self::PacketTrainWanted,
            bps => Self::Bps(bps),
        }
    }

    fn to_wire(self) -> u32 {
        match self {
            Self::PacketPair => 0xffff_fffd,
            Self::PacketTrain => 0xffff_fffb,
            Self::PacketTrainWanted => 0xffff_fffa,
            Self::Bps(bps) => bps,
        }
    }
}

/// Iterator over the extensions of a report.
#[derive(Clone, Debug)]
pub struct ReportExtensions<'a> {
    cursor: Cursor<'a>,
    left: u8,
}

impl ReportExtensions<'_> {
    fn read(&mut self) -> Result<ReportExtension, ParseError> {
        let at = self.cursor.at();
        // [MS-RTP] 2.2.11: a report holds at most 20.
        let Some(left) = self.left.checked_sub(1) else {
            return Err(ParseError::Value { what: "number of report extensions", at });
        };
        self.left = left;
        let kind = self.cursor.u16("report extension type")?;
        let len = usize::from(self.cursor.u16("report extension length")?);
        let wrong = ParseError::Length { what: "report extension", at: at.saturating_add(2) };
        let data_at = self.cursor.at();
        let data = self.cursor.take(len.checked_sub(4).ok_or(wrong)?, "report extension")?;
        ReportExtension::read(kind, data).map_err(|error| error.shifted(data_at))
    }
}

impl Iterator for ReportExtensions<'_> {
    type Item = Result<ReportExtension, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.is_empty() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.cursor = Cursor::new(&[]);
        }
        Some(item)
    }
}

/// [MS-RTP] 2.2.11.
const MAX_EXTENSIONS: u8 = 20;
