use crate::wire::Cursor;
use crate::{ParseError, SequenceNumber, Ssrc};

/// A packet of uneven-level forward error correction (RFC 5109), for reading: what it protects, and
/// a lost packet from it and the others.
///
/// ```
/// use linkspan_rtp::{RtpHeader, SequenceNumber, Ssrc, UlpFec};
/// // Two packets, and the parity of all that they hold: header fields, lengths, payloads.
/// let header = RtpHeader { ssrc: Ssrc(7), ..RtpHeader::default() };
/// let (mut a, mut b) = (Vec::new(), Vec::new());
/// RtpHeader { sequence: SequenceNumber(8), timestamp: 3, ..header }.write_packet(b"one", &mut a);
/// RtpHeader { sequence: SequenceNumber(9), timestamp: 5, ..header }.write_packet(b"two", &mut b);
/// let parity: Vec<u8> = b"one".iter().zip(b"two").map(|(a, b)| a ^ b).collect();
/// let fec = [&[0, 0, 0, 8, 0, 0, 0, 3 ^ 5, 0, 0, 0, 3, 0xc0, 0][..], &parity].concat();
///
/// let fec = UlpFec::parse(&fec)?;
/// assert_eq!(fec.protected().collect::<Vec<_>>(), [SequenceNumber(8), SequenceNumber(9)]);
/// let lost = fec.recover(Ssrc(7), |sequence| (sequence.0 == 9).then_some(&b[..])).unwrap();
/// assert_eq!(lost.octets, a);
/// assert!(lost.is_complete());
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UlpFec<'a> {
    /// The recovery fields in the order of an RTP header; the sequence number is the base.
    header: [u8; 8],
    length_recovery: u16,
    long_mask: bool,
    levels: &'a [u8],
}

/// One level of protection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FecLevel<'a> {
    /// The packets that it protects: the base is the highest of 48 bits.
    mask: u64,
    /// The parity of their octets, behind those that the levels before cover.
    pub data: &'a [u8],
}

/// A packet that was lost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecoveredPacket {
    /// Its sequence number.
    pub sequence: SequenceNumber,
    /// The packet, as far as it could be recovered.
    pub octets: Vec<u8>,
    /// Octets that it had. Believe it no more than the sender of the correction.
    pub len: usize,
}

impl RecoveredPacket {
    /// Whether nothing is missing at the end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.octets.len() == self.len
    }
}

impl<'a> UlpFec<'a> {
    /// Reads the payload of a correction packet; all levels are checked.
    ///
    /// # Errors
    ///
    /// When the header or a level is cut off, or there is no level.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(payload);
        let header: [u8; 8] = cursor.array("FEC header")?;
        let length_recovery = cursor.u16("FEC header")?;
        // RFC 5109 §7.3: the E bit is reserved and ignored.
        let [first, ..] = header;
        let long_mask = first & 0x40 != 0;
        let levels = cursor.rest();
        loop {
            FecLevel::read(&mut cursor, long_mask)?;
            if cursor.is_empty() {
                return Ok(Self { header, length_recovery, long_mask, levels });
            }
        }
    }

    /// The levels, the first octets of the packets first.
    pub fn levels(&self) -> impl Iterator<Item = FecLevel<'a>> + 'a {
        let (mut cursor, long_mask) = (Cursor::new(self.levels), self.long_mask);
        core::iter::from_fn(move || FecLevel::read(&mut cursor, long_mask).ok())
    }

    /// The sequence number that the masks count from.
    #[must_use]
    pub fn base(&self) -> SequenceNumber {
        let [_, _, s0, s1, ..] = self.header;
        SequenceNumber(u16::from_be_bytes([s0, s1]))
    }

    /// The packets of the first level: one of them can be recovered.
    pub fn protected(&self) -> impl Iterator<Item = SequenceNumber> + 'a {
        let base = self.base();
        self.levels().take(1).flat_map(move |level| level.sequences(base))
    }

    /// Recovers the one packet of the first level that `received` has not, of the stream `ssrc`
    /// (RFC 5109 §9). `None` when none or several are missing, a packet is no RTP, or what comes out
    /// is none: the wrong packets were given, or an octet is not what was sent.
    ///
    /// A further level adds its octets where no other packet of it is missing. The work is bounded
    /// by the correction's own size times 48.
    #[must_use]
    pub fn recover<'p>(
        &self,
        ssrc: Ssrc,
        received: impl Fn(SequenceNumber) -> Option<&'p [u8]>,
    ) -> Option<RecoveredPacket> {
        let mut missing = self.protected().filter(|sequence| received(*sequence).is_none());
        let (Some(sequence), None) = (missing.next(), missing.next()) else { return None };
        let others = |level: FecLevel<'a>| level.sequences(self.base()).filter(|s| *s != sequence);

        // §9.2: the fields that all headers share, and the lengths behind the fixed header.
        let (mut header, mut len) = (self.header, self.length_recovery);
        for other in self.levels().take(1).flat_map(others) {
            let packet = received(other)?;
            let behind = packet.len().checked_sub(FIXED_LEN)?;
            len ^= u16::try_from(behind).ok()?;
            header.iter_mut().zip(packet).for_each(|(field, octet)| *field ^= octet);
        }
        let [first, second, _, _, t0, t1, t2, t3] = header;
        let [s0, s1] = sequence.0.to_be_bytes();
        let mut octets = vec![0x80 | first & 0x3f, second, s0, s1, t0, t1, t2, t3];
        octets.extend_from_slice(&ssrc.0.to_be_bytes());

        let len = FIXED_LEN + usize::from(len);
        for level in self.levels() {
            let at = octets.len();
            octets.extend_from_slice(level.data);
            let known = octets.get_mut(at..)?;
            let mut usable = level.contains(self.base(), sequence);
            for other in others(level) {
                let Some(packet) = received(other) else {
                    usable = false;
                    break;
                };
                let part = packet.get(at..).unwrap_or_default();
                known.iter_mut().zip(part).for_each(|(parity, octet)| *parity ^= octet);
            }
            if !usable {
                octets.truncate(at);
                break;
            }
        }
        octets.truncate(len);
        Some(RecoveredPacket { sequence, octets, len })
    }
}

impl<'a> FecLevel<'a> {
    /// The packets that the level protects, when the masks count from `base`.
    pub fn sequences(self, base: SequenceNumber) -> impl Iterator<Item = SequenceNumber> + 'a {
        (0..48u16)
            .filter(move |bit| self.mask & (1 << 47) >> bit != 0)
            .map(move |bit| base.wrapping_add(bit))
    }

    fn contains(self, base: SequenceNumber, sequence: SequenceNumber) -> bool {
        self.sequences(base).any(|protected| protected == sequence)
    }

    /// RFC 5109 §7.4: the length of the protection, and a mask of 16 or 48 bits.
    fn read(cursor: &mut Cursor<'a>, long_mask: bool) -> Result<Self, ParseError> {
        let len = cursor.u16("FEC level")?;
        let mut mask = u64::from(cursor.u16("FEC level")?) << 32;
        if long_mask {
            mask |= u64::from(cursor.u32("FEC level")?);
        }
        let data = cursor.take(usize::from(len), "FEC level")?;
        Ok(Self { mask, data })
    }
}

/// RFC 3550 §5.1: the fixed header, which the length recovery leaves out.
const FIXED_LEN: usize = 12;
