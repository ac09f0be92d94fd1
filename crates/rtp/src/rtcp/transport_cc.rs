use super::{FMT_TRANSPORT_CC, PT_RTPFB, write_packet};
use crate::wire::Cursor;
use crate::{ParseError, SequenceNumber, Ssrc, WriteError};

/// Transport-wide congestion control feedback
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): when each packet of a transport
/// arrived.
///
/// ```
/// use linkspan_rtp::{RtcpPacket, SequenceNumber, Ssrc, TransportCc};
/// let feedback = TransportCc {
///     sender: Ssrc(1),
///     media: Ssrc(2),
///     first: SequenceNumber(65_535),
///     reference_time: 100,
///     count: 7,
///     arrivals: vec![Some(0), None, Some(12), Some(-3)],
/// };
/// let mut octets = Vec::new();
/// feedback.write(&mut octets)?;
/// assert_eq!(RtcpPacket::parse(&octets).unwrap(), RtcpPacket::TransportCc(feedback));
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TransportCc {
    /// Who received.
    pub sender: Ssrc,
    /// A stream of the transport.
    pub media: Ssrc,
    /// Transport-wide sequence number of the first packet reported.
    pub first: SequenceNumber,
    /// Time that the first arrival counts from, in 64 ms, 24 bits with sign.
    pub reference_time: i32,
    /// Number of this feedback packet.
    pub count: u8,
    /// Each packet from the first on, at most 4,096: `None` when it did not arrive, else the time since the
    /// arrival before it, in 250 µs.
    pub arrivals: Vec<Option<i16>>,
}

impl TransportCc {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// With more than 4,096 packets, or a reference time beyond 24 bits.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let too_many = WriteError::TooMany { what: "packets", max: MAX_PACKETS };
        let fitting = u16::try_from(self.arrivals.len()).ok();
        let fitting = fitting.filter(|_| self.arrivals.len() <= MAX_PACKETS);
        let status_count = fitting.ok_or(too_many)?;
        if !(-0x80_0000..0x80_0000).contains(&self.reference_time) {
            return Err(WriteError::Value { what: "reference time" });
        }
        write_packet(out, FMT_TRANSPORT_CC, PT_RTPFB, |out| {
            let start = out.len();
            out.extend_from_slice(&self.sender.0.to_be_bytes());
            out.extend_from_slice(&self.media.0.to_be_bytes());
            out.extend_from_slice(&self.first.0.to_be_bytes());
            out.extend_from_slice(&status_count.to_be_bytes());
            let [_, r0, r1, r2] = self.reference_time.to_be_bytes();
            out.extend_from_slice(&[r0, r1, r2, self.count]);
            // §3.1.4: vectors of seven two-bit symbols say everything; runs are left to others.
            for seven in self.arrivals.chunks(7) {
                let symbols = seven.iter().map(|arrival| Symbol::of(*arrival) as u16);
                let shifted = symbols.zip((0..7u16).map(|at| 12 - 2 * at));
                let chunk = shifted.fold(0xc000, |chunk, (symbol, shift)| chunk | symbol << shift);
                out.extend_from_slice(&chunk.to_be_bytes());
            }
            for delta in self.arrivals.iter().flatten() {
                match u8::try_from(*delta) {
                    Ok(small) => out.push(small),
                    Err(_) => out.extend_from_slice(&delta.to_be_bytes()),
                }
            }
            // Zeros fill the last word; the symbols say where the deltas end.
            let len = out.len().saturating_sub(start).next_multiple_of(4);
            out.resize(start.saturating_add(len), 0);
            Ok(())
        })
    }

    pub(super) fn read(
        sender: Ssrc,
        media: Ssrc,
        mut cursor: Cursor<'_>,
    ) -> Result<Self, ParseError> {
        let what = "transport feedback";
        let first = SequenceNumber(cursor.u16(what)?);
        let count_at = cursor.at();
        let status_count = usize::from(cursor.u16(what)?);
        if status_count > MAX_PACKETS {
            return Err(ParseError::Value { what: "packet status count", at: count_at });
        }
        let reference_time = (cursor.u24(what)? << 8).cast_signed() >> 8;
        let count = cursor.u8(what)?;
        // One chunk of two octets may stand for 8,191 packets: the count is what bounds the list.
        let mut symbols = Vec::new();
        while symbols.len() < status_count {
            let chunk = cursor.u16("packet status chunk")?;
            let left = status_count.saturating_sub(symbols.len());
            match chunk >> 14 {
                0 | 1 => {
                    let run = usize::from(chunk & 0x1fff).min(left);
                    if run == 0 {
                        let at = cursor.at().saturating_sub(2);
                        return Err(ParseError::Value { what: "packet status chunk", at });
                    }
                    let symbol = Symbol::from_bits(chunk >> 13);
                    symbols.resize(symbols.len().saturating_add(run), symbol);
                }
                2 => {
                    let one_bit = |at| match chunk >> (13 - at) & 1 {
                        0 => Symbol::Missing,
                        _ => Symbol::Small,
                    };
                    symbols.extend((0..14u16).map(one_bit).take(left));
                }
                _ => {
                    let two_bits = |at: u16| Symbol::from_bits(chunk >> (12 - 2 * at));
                    symbols.extend((0..7u16).map(two_bits).take(left));
                }
            }
        }
        let mut arrivals = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            arrivals.push(match symbol {
                Symbol::Missing => None,
                Symbol::Small => Some(i16::from(cursor.u8("receive delta")?)),
                Symbol::Large => Some(cursor.u16("receive delta")?.cast_signed()),
            });
        }
        Ok(Self { sender, media, first, reference_time, count, arrivals })
    }
}

/// Packet status symbols (§3.1.1).
#[derive(Clone, Copy)]
#[repr(u16)]
enum Symbol {
    Missing = 0,
    Small = 1,
    Large = 2,
}

impl Symbol {
    /// The reserved symbol 3 has no delta: like a packet that did not arrive.
    fn from_bits(bits: u16) -> Self {
        match bits & 3 {
            1 => Self::Small,
            2 => Self::Large,
            _ => Self::Missing,
        }
    }

    fn of(arrival: Option<i16>) -> Self {
        match arrival {
            None => Self::Missing,
            Some(0..=255) => Self::Small,
            Some(_) => Self::Large,
        }
    }
}

/// A feedback packet is due every 50 to 250 ms: more packets than this is no honest report.
const MAX_PACKETS: usize = 4096;

#[cfg(test)]
mod tests {
    use crate::{RtcpPacket, TransportCc};

    fn read(body: &[u8]) -> Option<TransportCc> {
        let words = u8::try_from(2 + body.len() / 4).unwrap();
        let header = [0x8f, 205, 0, words, 0, 0, 0, 1, 0, 0, 0, 2];
        match RtcpPacket::parse(&[&header[..], body].concat()).ok()? {
            RtcpPacket::TransportCc(packet) => Some(packet),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn reads_runs_and_both_vectors() {
        // A run of three small ones, fourteen one-bit symbols, seven two-bit symbols.
        let body = [
            0, 9, 0, 12, 0xff, 0xff, 0xff, 1, // first 9, twelve packets, reference -1
            0x20, 3, 0xa8, 0, // run of three; one bit each: 1 0 1 0 0 …
            1, 2, 3, 4, 5, 0, 0, 0,
        ];
        let packet = read(&body).unwrap();
        assert_eq!((packet.reference_time, packet.count), (-1, 1));
        let mut expected = vec![Some(1), Some(2), Some(3), Some(4), None, Some(5)];
        expected.resize(12, None);
        assert_eq!(packet.arrivals, expected);
        let two_bits = [0, 9, 0, 3, 0, 0, 1, 1, 0xd8, 0, 7, 0xff, 0xf0, 0, 0, 0];
        assert_eq!(read(&two_bits).unwrap().arrivals, [Some(7), Some(-16), None]);
    }

    #[test]
    fn refuses_what_does_not_end() {
        assert!(read(&[0, 9, 0, 1, 0, 0, 1, 1, 0x20, 0, 0, 0]).is_none(), "a run of none");
        assert!(read(&[0, 9, 0xff, 0xff, 0, 0, 1, 1, 0x3f, 0xff, 0x3f, 0xff]).is_none());
    }
}
