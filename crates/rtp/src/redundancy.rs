use crate::wire::Cursor;
use crate::{ParseError, PayloadType, WriteError};

/// One block of a redundant audio payload (RFC 2198 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RedundantBlock<'a> {
    /// Payload type of the block.
    pub payload_type: PayloadType,
    /// How much older than the packet's timestamp, 0 to 16,383; 0 for the primary.
    pub timestamp_offset: u16,
    /// The data: at most 1,023 octets, except for the primary.
    pub data: &'a [u8],
}

/// A redundant audio payload: older blocks first, the primary last (RFC 2198).
///
/// ```
/// use linkspan_rtp::{PayloadType, RedundantAudio, RedundantBlock};
/// let older = RedundantBlock { payload_type: PayloadType(0), timestamp_offset: 160, data: b"old" };
/// let primary = RedundantBlock { timestamp_offset: 0, data: b"new", ..older };
/// let mut payload = Vec::new();
/// RedundantAudio::write(&[older, primary], &mut payload)?;
/// let read = RedundantAudio::parse(&payload).unwrap();
/// assert_eq!(read.blocks().collect::<Vec<_>>(), [older, primary]);
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RedundantAudio<'a> {
    headers: &'a [u8],
    data: &'a [u8],
}

impl<'a> RedundantAudio<'a> {
    /// Reads a payload; the blocks' lengths are checked.
    ///
    /// # Errors
    ///
    /// When headers or blocks do not fit.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(payload);
        let mut lengths = 0usize;
        loop {
            let at = cursor.at();
            let first = cursor.u8("redundancy header")?;
            if first & 0x80 == 0 {
                break;
            }
            let rest = cursor.u24("redundancy header")?;
            lengths = lengths.saturating_add(block_len(rest));
            if lengths > payload.len() {
                return Err(ParseError::Length { what: "redundant block", at });
            }
        }
        let (headers, data) = payload.split_at_checked(cursor.at()).unwrap_or((payload, &[]));
        if lengths > data.len() {
            return Err(ParseError::Truncated { what: "redundant block", at: payload.len() });
        }
        Ok(Self { headers, data })
    }

    /// The blocks, oldest first as far as the sender keeps to the rule; the last is the primary.
    #[must_use]
    pub fn blocks(&self) -> RedundantBlocks<'a> {
        RedundantBlocks { headers: Cursor::new(self.headers), data: self.data }
    }

    /// Appends a payload with these blocks, the primary last.
    ///
    /// # Errors
    ///
    /// When there is no block, or a field of one exceeds its size.
    pub fn write(blocks: &[RedundantBlock<'_>], out: &mut Vec<u8>) -> Result<(), WriteError> {
        let Some((primary, older)) = blocks.split_last() else {
            return Err(WriteError::Value { what: "redundant blocks" });
        };
        for block in older {
            let too_long = WriteError::TooLong { what: "redundant block" };
            let len = u32::try_from(block.data.len()).map_err(|_| too_long)?;
            if len > 0x3ff || block.timestamp_offset > 0x3fff {
                return Err(too_long);
            }
        }
        for block in older {
            let len = u32::try_from(block.data.len()).unwrap_or(0);
            let payload_type = u32::from(block.payload_type.0 & 0x7f) << 24;
            let offset = u32::from(block.timestamp_offset) << 10;
            out.extend_from_slice(&(1 << 31 | payload_type | offset | len).to_be_bytes());
        }
        out.push(primary.payload_type.0 & 0x7f);
        blocks.iter().for_each(|block| out.extend_from_slice(block.data));
        Ok(())
    }
}

/// Iterator over the blocks of a redundant payload.
#[derive(Clone, Debug)]
pub struct RedundantBlocks<'a> {
    headers: Cursor<'a>,
    data: &'a [u8],
}

impl<'a> Iterator for RedundantBlocks<'a> {
    type Item = RedundantBlock<'a>;

    fn next(&mut self) -> Option<RedundantBlock<'a>> {
        let first = self.headers.u8("redundancy header").ok()?;
        let payload_type = PayloadType(first & 0x7f);
        if first & 0x80 == 0 {
            return Some(RedundantBlock { payload_type, timestamp_offset: 0, data: self.data });
        }
        let rest = self.headers.u24("redundancy header").ok()?;
        let (data, later) = self.data.split_at_checked(block_len(rest))?;
        self.data = later;
        let timestamp_offset = u16::try_from(rest >> 10).unwrap_or(0x3fff);
        Some(RedundantBlock { payload_type, timestamp_offset, data })
    }
}

/// RFC 2198 §3: 14 bits of timestamp offset, 10 bits of length.
fn block_len(rest: u32) -> usize {
    usize::try_from(rest & 0x3ff).unwrap_or(0)
}

/// Comfort noise (RFC 3389).
///
/// ```
/// use linkspan_rtp::ComfortNoise;
/// let noise = ComfortNoise::parse(&[60, 127, 120])?;
/// assert_eq!((noise.level, noise.reflection), (60, &[127, 120][..]));
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ComfortNoise<'a> {
    /// Noise level in -dBov, 0 to 127.
    pub level: u8,
    /// Quantised reflection coefficients; none means white noise.
    pub reflection: &'a [u8],
}

impl<'a> ComfortNoise<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// When it is empty.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let Some((level, reflection)) = payload.split_first() else {
            return Err(ParseError::Truncated { what: "comfort noise", at: 0 });
        };
        // RFC 3389 §3.1: the most significant bit is 0 and not part of the level.
        Ok(Self { level: level & 0x7f, reflection })
    }

    /// Appends the payload to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.level & 0x7f);
        out.extend_from_slice(self.reflection);
    }
}

/// A retransmitted payload: the original sequence number, then the original payload
/// (RFC 4588 §4).
///
/// ```
/// use linkspan_rtp::{Retransmission, SequenceNumber};
/// let packet = Retransmission::parse(&[0x12, 0x34, 0xaa])?;
/// assert_eq!((packet.original, packet.payload), (SequenceNumber(0x1234), &[0xaa][..]));
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retransmission<'a> {
    /// Sequence number of the packet sent again.
    pub original: crate::SequenceNumber,
    /// Its payload.
    pub payload: &'a [u8],
}

impl<'a> Retransmission<'a> {
    /// Reads a payload of the retransmission payload type.
    ///
    /// # Errors
    ///
    /// When it has fewer than two octets.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(payload);
        let original = crate::SequenceNumber(cursor.u16("original sequence number")?);
        Ok(Self { original, payload: cursor.rest() })
    }

    /// Appends the payload to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.original.0.to_be_bytes());
        out.extend_from_slice(self.payload);
    }
}
