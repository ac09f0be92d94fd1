use super::xr_summary::{StatisticsSummary, TOH};
use super::{PT_XR, write_packet};
use crate::wire::Cursor;
use crate::{NtpTime, ParseError, Ssrc, WriteError};

/// Extended reports (RFC 3611): blocks about reception.
///
/// ```
/// use linkspan_rtp::{ExtendedReport, NtpTime, RtcpPacket, Ssrc, XrBlock};
/// // A receiver that sends no media asks for a round trip of its own.
/// let report = ExtendedReport {
///     ssrc: Ssrc(1),
///     blocks: vec![XrBlock::ReceiverReferenceTime(NtpTime(0x1234_5678_9abc_def0))],
/// };
/// let mut octets = Vec::new();
/// report.write(&mut octets)?;
/// assert_eq!(RtcpPacket::parse(&octets).unwrap(), RtcpPacket::ExtendedReport(report));
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExtendedReport {
    /// Who reports.
    pub ssrc: Ssrc,
    /// The blocks in order.
    pub blocks: Vec<XrBlock>,
}

/// One block of an extended report.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum XrBlock {
    /// When the report was sent (§4.4), so that a receiver of media can measure round trips.
    ReceiverReferenceTime(NtpTime),
    /// The answers to that (§4.5).
    Dlrr(Vec<DlrrItem>),
    /// What a stretch of a stream was like (§4.6).
    StatisticsSummary(StatisticsSummary),
    /// Any other block: kept and written back.
    Other {
        /// Block type.
        kind: u8,
        /// The octet behind the type.
        specific: u8,
        /// The contents, in whole words.
        data: Vec<u8>,
    },
}

/// Delay since the last receiver reference time report (RFC 3611 §4.5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DlrrItem {
    /// Who had sent the reference time.
    pub ssrc: Ssrc,
    /// Its middle 32 bits; 0 for none.
    pub last_rr: u32,
    /// Time since it came, in 1/65536 s.
    pub delay_since_last_rr: u32,
}

impl ExtendedReport {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When a block is no whole number of words or does not fit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, 0, PT_XR, |out| {
            out.extend_from_slice(&self.ssrc.0.to_be_bytes());
            self.blocks.iter().try_for_each(|block| block.write(out))
        })
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let ssrc = Ssrc(cursor.u32("extended report")?);
        let mut blocks = Vec::new();
        while !cursor.is_empty() {
            blocks.push(XrBlock::read(cursor)?);
        }
        Ok(Self { ssrc, blocks })
    }
}

impl XrBlock {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let start = out.len();
        let (kind, specific) = match self {
            Self::ReceiverReferenceTime(_) => (RECEIVER_REFERENCE_TIME, 0),
            Self::Dlrr(_) => (DLRR, 0),
            Self::StatisticsSummary(summary) => (STATISTICS_SUMMARY, summary.flags()),
            Self::Other { kind, specific, .. } => (*kind, *specific),
        };
        out.extend_from_slice(&[kind, specific, 0, 0]);
        match self {
            Self::ReceiverReferenceTime(ntp) => out.extend_from_slice(&ntp.0.to_be_bytes()),
            Self::Dlrr(items) => {
                for item in items {
                    for field in [item.ssrc.0, item.last_rr, item.delay_since_last_rr] {
                        out.extend_from_slice(&field.to_be_bytes());
                    }
                }
            }
            Self::StatisticsSummary(summary) => summary.write(out),
            Self::Other { data, .. } => out.extend_from_slice(data),
        }
        // §3: length in words minus one, which is that of the contents.
        let too_long = WriteError::TooLong { what: "extended report block" };
        let len = out.len().saturating_sub(start).saturating_sub(4);
        if !len.is_multiple_of(4) {
            return Err(WriteError::Value { what: "extended report block" });
        }
        let words = u16::try_from(len / 4).map_err(|_| too_long)?;
        let field = out.get_mut(start.saturating_add(2)..start.saturating_add(4));
        field.ok_or(too_long)?.copy_from_slice(&words.to_be_bytes());
        Ok(())
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let what = "extended report block";
        let [kind, specific] = cursor.array(what)?;
        let len = usize::from(cursor.u16(what)?).saturating_mul(4);
        let data = cursor.take(len, what)?;
        let mut inside = Cursor::new(data);
        // A known block of the wrong size is kept as it is.
        match (kind, specific) {
            (RECEIVER_REFERENCE_TIME, 0) if len == 8 => {
                Ok(Self::ReceiverReferenceTime(NtpTime(inside.u64(what)?)))
            }
            (DLRR, 0) if len.is_multiple_of(12) => {
                let mut items = Vec::with_capacity(len / 12);
                while !inside.is_empty() {
                    items.push(DlrrItem {
                        ssrc: Ssrc(inside.u32(what)?),
                        last_rr: inside.u32(what)?,
                        delay_since_last_rr: inside.u32(what)?,
                    });
                }
                Ok(Self::Dlrr(items))
            }
            (STATISTICS_SUMMARY, _) if len == 36 && specific & TOH != TOH => {
                Ok(Self::StatisticsSummary(StatisticsSummary::read(specific, &mut inside)?))
            }
            _ => Ok(Self::Other { kind, specific, data: data.to_vec() }),
        }
    }
}

// RFC 3611 §6.1: block types.
const RECEIVER_REFERENCE_TIME: u8 = 4;
const DLRR: u8 = 5;
const STATISTICS_SUMMARY: u8 = 6;
