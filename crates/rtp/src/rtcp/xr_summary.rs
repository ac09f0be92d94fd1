use crate::wire::Cursor;
use crate::{ParseError, SequenceNumber, Ssrc};

/// Statistics of a stretch of one stream (RFC 3611 §4.6). What was not measured is `None`.
///
/// ```
/// use linkspan_rtp::{
///     ExtendedReport, RtcpPacket, SequenceNumber, Spread, Ssrc, StatisticsSummary, XrBlock,
/// };
/// let summary = StatisticsSummary {
///     source: Ssrc(2),
///     begin: SequenceNumber(65_500),
///     end: SequenceNumber(64),
///     lost: Some(3),
///     jitter: Some(Spread { min: 0, max: 240, mean: 31, deviation: 12 }),
///     ..StatisticsSummary::default()
/// };
/// let report = ExtendedReport { ssrc: Ssrc(1), blocks: vec![XrBlock::StatisticsSummary(summary)] };
/// let mut octets = Vec::new();
/// report.write(&mut octets)?;
/// assert_eq!(RtcpPacket::parse(&octets).unwrap(), RtcpPacket::ExtendedReport(report));
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StatisticsSummary {
    /// The stream.
    pub source: Ssrc,
    /// The first packet of the stretch.
    pub begin: SequenceNumber,
    /// The packet behind its last.
    pub end: SequenceNumber,
    /// Packets that did not come.
    pub lost: Option<u32>,
    /// Packets that came once more.
    pub duplicates: Option<u32>,
    /// Differences of relative transit times of two packets in sequence, in timestamp units.
    pub jitter: Option<Spread<u32>>,
    /// What was left of the packets' lifetimes.
    pub hops: Option<Hops>,
}

/// How a measure was distributed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Spread<N> {
    /// The least.
    pub min: N,
    /// The greatest.
    pub max: N,
    /// The mean, rounded.
    pub mean: N,
    /// The standard deviation, rounded.
    pub deviation: N,
}

/// A field of the IP header that counts hops down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hops {
    /// Time to live of IPv4.
    TimeToLive(Spread<u8>),
    /// Hop limit of IPv6.
    HopLimit(Spread<u8>),
}

impl StatisticsSummary {
    /// The flags of what is there.
    pub(super) fn flags(&self) -> u8 {
        let hops = match self.hops {
            None => 0,
            Some(Hops::TimeToLive(_)) => 1 << 3,
            Some(Hops::HopLimit(_)) => 2 << 3,
        };
        u8::from(self.lost.is_some()) << 7
            | u8::from(self.duplicates.is_some()) << 6
            | u8::from(self.jitter.is_some()) << 5
            | hops
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.source.0.to_be_bytes());
        out.extend_from_slice(&self.begin.0.to_be_bytes());
        out.extend_from_slice(&self.end.0.to_be_bytes());
        let Spread { min, max, mean, deviation } = self.jitter.unwrap_or_default();
        let [lost, duplicates] = [self.lost, self.duplicates].map(Option::unwrap_or_default);
        for field in [lost, duplicates, min, max, mean, deviation] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        let hops = match self.hops {
            Some(Hops::TimeToLive(hops) | Hops::HopLimit(hops)) => hops,
            None => Spread::default(),
        };
        out.extend_from_slice(&[hops.min, hops.max, hops.mean, hops.deviation]);
    }

    /// Fields without their flag are not looked at.
    pub(super) fn read(flags: u8, cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let what = "statistics summary";
        let source = Ssrc(cursor.u32(what)?);
        let [begin, end] = [cursor.u16(what)?, cursor.u16(what)?].map(SequenceNumber);
        let [lost, duplicates] = [cursor.u32(what)?, cursor.u32(what)?];
        let jitter = Spread {
            min: cursor.u32(what)?,
            max: cursor.u32(what)?,
            mean: cursor.u32(what)?,
            deviation: cursor.u32(what)?,
        };
        let [min, max, mean, deviation] = cursor.array(what)?;
        let hops = Spread { min, max, mean, deviation };
        Ok(Self {
            source,
            begin,
            end,
            lost: (flags & 0x80 != 0).then_some(lost),
            duplicates: (flags & 0x40 != 0).then_some(duplicates),
            jitter: (flags & 0x20 != 0).then_some(jitter),
            hops: match flags & TOH {
                0x08 => Some(Hops::TimeToLive(hops)),
                0x10 => Some(Hops::HopLimit(hops)),
                _ => None,
            },
        })
    }
}

/// RFC 3611 §4.6: which of the two fields; both bits set must not be.
pub(super) const TOH: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RtcpPacket, XrBlock};

    /// The layout of §4.6, by hand.
    #[test]
    fn is_read_as_the_figure_has_it() {
        let mut octets = vec![0x80, 207, 0, 11, 0, 0, 0, 1, 6, 0xf0, 0, 9, 0, 0, 0, 2];
        octets.extend_from_slice(&[0x12, 0x34, 0x12, 0x40]);
        octets.extend((1..=6u8).flat_map(|n| [0, 0, 0, n]));
        octets.extend_from_slice(&[60, 64, 62, 1]);
        let read = RtcpPacket::parse(&octets).unwrap();
        let RtcpPacket::ExtendedReport(report) = &read else { unreachable!("{read:?}") };
        let expected = StatisticsSummary {
            source: Ssrc(2),
            begin: SequenceNumber(0x1234),
            end: SequenceNumber(0x1240),
            lost: Some(1),
            duplicates: Some(2),
            jitter: Some(Spread { min: 3, max: 4, mean: 5, deviation: 6 }),
            hops: Some(Hops::HopLimit(Spread { min: 60, max: 64, mean: 62, deviation: 1 })),
        };
        assert_eq!(report.blocks, [XrBlock::StatisticsSummary(expected)]);
        let mut written = Vec::new();
        read.write(&mut written).unwrap();
        assert_eq!(written, octets);
        // Without flags nothing is believed; a value that must not be used keeps the block as it is.
        octets[9] = 0;
        let read = RtcpPacket::parse(&octets).unwrap();
        let RtcpPacket::ExtendedReport(report) = &read else { unreachable!("{read:?}") };
        let XrBlock::StatisticsSummary(summary) = &report.blocks[0] else { unreachable!() };
        assert_eq!((summary.lost, summary.jitter, summary.hops), (None, None, None));
        octets[9] = 0x18;
        let read = RtcpPacket::parse(&octets).unwrap();
        let RtcpPacket::ExtendedReport(report) = &read else { unreachable!("{read:?}") };
        assert!(matches!(report.blocks[0], XrBlock::Other { kind: 6, specific: 0x18, .. }));
    }
}
