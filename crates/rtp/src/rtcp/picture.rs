use super::{PT_PSFB, write_packet};
use crate::wire::Cursor;
use crate::{ParseError, PayloadType, Ssrc, WriteError};

/// Slice loss indication (RFC 4585 §6.3.2).
///
/// ```
/// use linkspan_rtp::{RtcpPacket, Sli, SliEntry, Ssrc};
/// let lost = SliEntry { first: 99, count: 22, picture_id: 5 };
/// let sli = Sli { sender: Ssrc(1), media: Ssrc(2), entries: vec![lost] };
/// let mut octets = Vec::new();
/// sli.write(&mut octets)?;
/// assert_eq!(RtcpPacket::parse(&octets).unwrap(), RtcpPacket::Sli(sli));
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sli {
    /// Who tells.
    pub sender: Ssrc,
    /// The stream.
    pub media: Ssrc,
    /// The macroblocks lost.
    pub entries: Vec<SliEntry>,
}

/// A run of macroblocks lost.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SliEntry {
    /// The first one, 13 bits.
    pub first: u16,
    /// How many, 13 bits.
    pub count: u16,
    /// Low six bits of the picture's number.
    pub picture_id: u8,
}

impl Sli {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When a field of an entry exceeds its bits, or there are too many.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, FMT_SLI, PT_PSFB, |out| {
            out.extend_from_slice(&self.sender.0.to_be_bytes());
            out.extend_from_slice(&self.media.0.to_be_bytes());
            for entry in &self.entries {
                if entry.first > 0x1fff || entry.count > 0x1fff || entry.picture_id > 0x3f {
                    return Err(WriteError::Value { what: "slice loss entry" });
                }
                let word = u32::from(entry.first) << 19
                    | u32::from(entry.count) << 6
                    | u32::from(entry.picture_id);
                out.extend_from_slice(&word.to_be_bytes());
            }
            Ok(())
        })
    }

    pub(super) fn read(
        sender: Ssrc,
        media: Ssrc,
        mut cursor: Cursor<'_>,
    ) -> Result<Self, ParseError> {
        let mut entries = Vec::with_capacity(cursor.remaining() / 4);
        while !cursor.is_empty() {
            let [a, b, c, d] = cursor.array("slice loss entry")?;
            let first = u16::from_be_bytes([a, b]) >> 3;
            let count = (u16::from_be_bytes([b, c]) & 0x07ff) << 2 | u16::from(d >> 6);
            entries.push(SliEntry { first, count, picture_id: d & 0x3f });
        }
        Ok(Self { sender, media, entries })
    }
}

/// Reference picture selection indication (RFC 4585 §6.3.3).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rpsi {
    /// Who tells.
    pub sender: Ssrc,
    /// The stream.
    pub media: Ssrc,
    /// The payload type whose codec defines the bits.
    pub payload_type: PayloadType,
    /// The native bit string, in whole octets.
    pub bits: Vec<u8>,
    /// Bits at the end of the last octet that do not belong to it, 0 to 7.
    pub unused_bits: u8,
}

impl Rpsi {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When more than seven bits are said to be unused, or the string does not fit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let wrong = WriteError::Value { what: "reference picture selection" };
        if self.unused_bits > 7 || (self.unused_bits > 0 && self.bits.is_empty()) {
            return Err(wrong);
        }
        write_packet(out, FMT_RPSI, PT_PSFB, |out| {
            out.extend_from_slice(&self.sender.0.to_be_bytes());
            out.extend_from_slice(&self.media.0.to_be_bytes());
            let len = self.bits.len().saturating_add(2);
            let padding = len.next_multiple_of(4).saturating_sub(len);
            let padding_bits = padding.saturating_mul(8).saturating_add(self.unused_bits.into());
            let padding_bits = u8::try_from(padding_bits).map_err(|_| wrong)?;
            out.extend_from_slice(&[padding_bits, self.payload_type.0 & 0x7f]);
            out.extend_from_slice(&self.bits);
            out.resize(out.len().saturating_add(padding), 0);
            Ok(())
        })
    }

    pub(super) fn read(
        sender: Ssrc,
        media: Ssrc,
        mut cursor: Cursor<'_>,
    ) -> Result<Self, ParseError> {
        let [padding_bits, payload_type] = cursor.array("reference picture selection")?;
        let bits = cursor.rest();
        let kept = bits.len().checked_sub(usize::from(padding_bits / 8));
        let bits = kept.and_then(|kept| bits.get(..kept));
        let unused_bits = padding_bits % 8;
        match bits {
            // A string of bits ends in an octet with one of its bits at least.
            Some(bits) if unused_bits == 0 || !bits.is_empty() => Ok(Self {
                sender,
                media,
                payload_type: PayloadType(payload_type & 0x7f),
                bits: bits.to_vec(),
                unused_bits,
            }),
            _ => Err(ParseError::Length { what: "reference picture selection", at: 8 }),
        }
    }
}

// RFC 4585 §6.3: feedback message types.
pub(super) const FMT_SLI: u8 = 2;
pub(super) const FMT_RPSI: u8 = 3;
