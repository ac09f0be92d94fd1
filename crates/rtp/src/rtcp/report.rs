use core::time::Duration;

use super::{PT_RR, PT_SR, count_of, write_packet};
use crate::wire::Cursor;
use crate::{ParseError, Ssrc, WriteError};

/// A point in time as RTCP writes it: seconds and their fraction in 32.32 fixed point
/// (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since 1970.
    ///
    /// ```
    /// use linkspan_rtp::NtpTime;
    /// use std::time::Duration;
    /// assert_eq!(NtpTime::from_unix(Duration::from_millis(500)).0 >> 32, 2_208_988_800);
    /// ```
    #[must_use]
    pub fn from_unix(since_1970: Duration) -> Self {
        Self(SECONDS_1900_TO_1970 << 32) + since_1970
    }

    /// The middle 32 bits, as in the LSR field of a report block.
    #[must_use]
    pub fn middle(self) -> u32 {
        low_32(self.0 >> 16)
    }

    /// `middle` units (1/65536 s) as a duration.
    #[must_use]
    pub fn duration_of_middle(units: u32) -> Duration {
        Duration::from_nanos(u64::from(units).saturating_mul(1_000_000_000) >> 16)
    }

    /// A duration in units of 1/65536 s, as in the DLSR field; saturates.
    #[must_use]
    pub fn middle_of_duration(duration: Duration) -> u32 {
        u32::try_from((duration.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX)
    }
}

impl core::ops::Add<Duration> for NtpTime {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        let fraction = (u64::from(by.subsec_nanos()) << 32) / 1_000_000_000;
        Self(self.0.wrapping_add(by.as_secs() << 32).wrapping_add(fraction))
    }
}

/// The sender's part of a sender report (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SenderInfo {
    /// Wall clock when the report was sent.
    pub ntp: NtpTime,
    /// The same instant in units of the payload's clock.
    pub rtp_timestamp: u32,
    /// RTP packets sent since the start, modulo 2^32.
    pub packet_count: u32,
    /// Payload octets sent since the start, modulo 2^32.
    pub octet_count: u32,
}

/// What a receiver says about one stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; 24 bits with sign on the wire.
    pub cumulative_lost: i32,
    /// Cycles and highest sequence number received.
    pub highest_sequence: u32,
    /// Interarrival jitter in units of the payload's clock.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0 for none.
    pub last_sr: u32,
    /// Time since that report, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// The round trip as RFC 3550 §6.4.1 computes it, for the sender who gets this block at `now`.
    /// `None` when the receiver had no sender report yet or the figures are impossible.
    ///
    /// ```
    /// use linkspan_rtp::{NtpTime, ReportBlock};
    /// use std::time::Duration;
    /// // Figure 2 of RFC 3550.
    /// let block = ReportBlock {
    ///     last_sr: 0xb705_2000,
    ///     delay_since_last_sr: 0x0005_4000,
    ///     ..ReportBlock::default()
    /// };
    /// let now = NtpTime(0x0000_b710_8000_0000);
    /// assert_eq!(block.round_trip(now), Some(Duration::from_micros(6_125_000)));
    /// ```
    #[must_use]
    pub fn round_trip(&self, now: NtpTime) -> Option<Duration> {
        if self.last_sr == 0 {
            return None;
        }
        let units = now.middle().wrapping_sub(self.last_sr).wrapping_sub(self.delay_since_last_sr);
        // Clock steps make it negative: worthless then.
        (units < 1 << 31).then(|| NtpTime::duration_of_middle(units))
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let ssrc = Ssrc(cursor.u32("report block")?);
        let fraction_lost = cursor.u8("report block")?;
        let lost = cursor.u24("report block")?;
        Ok(Self {
            ssrc,
            fraction_lost,
            cumulative_lost: (lost << 8).cast_signed() >> 8,
            highest_sequence: cursor.u32("report block")?,
            jitter: cursor.u32("report block")?,
            last_sr: cursor.u32("report block")?,
            delay_since_last_sr: cursor.u32("report block")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff;
        out.extend_from_slice(&self.ssrc.0.to_be_bytes());
        out.extend_from_slice(&((u32::from(self.fraction_lost) << 24) | lost).to_be_bytes());
        for field in [self.highest_sequence, self.jitter, self.last_sr, self.delay_since_last_sr] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}

/// A sender report (RFC 3550 §6.4.1).
///
/// ```
/// use linkspan_rtp::{RtcpPacket, SenderInfo, SenderReport, Ssrc};
/// let report = SenderReport {
///     ssrc: Ssrc(1),
///     info: SenderInfo { packet_count: 10, octet_count: 1600, ..SenderInfo::default() },
///     ..SenderReport::default()
/// };
/// let mut octets = Vec::new();
/// report.write(&mut octets)?;
/// assert_eq!(RtcpPacket::parse(&octets).unwrap(), RtcpPacket::SenderReport(report));
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SenderReport {
    /// Who sends the report.
    pub ssrc: Ssrc,
    /// What it has sent.
    pub info: SenderInfo,
    /// What it has received, one block per stream, at most 31.
    pub reports: Vec<ReportBlock>,
    /// Profile-specific extensions, whole words; Microsoft's are read by
    /// [`ms::ReportExtension`](crate::ms::ReportExtension).
    pub extension: Vec<u8>,
}

impl SenderReport {
    /// Appends the report to `out`.
    ///
    /// # Errors
    ///
    /// With more than 31 blocks, or an extension that is no whole number of words or does not fit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let count = count_of(self.reports.len(), "report blocks")?;
        write_packet(out, count, PT_SR, |out| {
            out.extend_from_slice(&self.ssrc.0.to_be_bytes());
            out.extend_from_slice(&self.info.ntp.0.to_be_bytes());
            for field in [self.info.rtp_timestamp, self.info.packet_count, self.info.octet_count] {
                out.extend_from_slice(&field.to_be_bytes());
            }
            self.reports.iter().for_each(|block| block.write(out));
            out.extend_from_slice(&self.extension);
            Ok(())
        })
    }

    pub(super) fn read(count: u8, cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let ssrc = Ssrc(cursor.u32("sender report")?);
        let info = SenderInfo {
            ntp: NtpTime(cursor.u64("sender info")?),
            rtp_timestamp: cursor.u32("sender info")?,
            packet_count: cursor.u32("sender info")?,
            octet_count: cursor.u32("sender info")?,
        };
        let reports = read_blocks(count, cursor)?;
        Ok(Self { ssrc, info, reports, extension: cursor.rest().to_vec() })
    }
}

/// A receiver report (RFC 3550 §6.4.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReceiverReport {
    /// Who sends the report.
    pub ssrc: Ssrc,
    /// What it has received, one block per stream, at most 31.
    pub reports: Vec<ReportBlock>,
    /// Profile-specific extensions, whole words; Microsoft's are read by
    /// [`ms::ReportExtension`](crate::ms::ReportExtension).
    pub extension: Vec<u8>,
}

impl ReceiverReport {
    /// Appends the report to `out`.
    ///
    /// # Errors
    ///
    /// As [`SenderReport::write`].
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let count = count_of(self.reports.len(), "report blocks")?;
        write_packet(out, count, PT_RR, |out| {
            out.extend_from_slice(&self.ssrc.0.to_be_bytes());
            self.reports.iter().for_each(|block| block.write(out));
            out.extend_from_slice(&self.extension);
            Ok(())
        })
    }

    pub(super) fn read(count: u8, cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let ssrc = Ssrc(cursor.u32("receiver report")?);
        let reports = read_blocks(count, cursor)?;
        Ok(Self { ssrc, reports, extension: cursor.rest().to_vec() })
    }
}

fn read_blocks(count: u8, cursor: &mut Cursor<'_>) -> Result<Vec<ReportBlock>, ParseError> {
    (0..count).map(|_| ReportBlock::read(cursor)).collect()
}

/// The low 32 bits.
fn low_32(value: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// RFC 3550 §4: NTP counts from 1900.
const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
