use super::{PT_SDES, count_of, write_packet};
use crate::wire::Cursor;
use crate::{ParseError, Ssrc, WriteError};

/// Source description (RFC 3550 §6.5).
///
/// ```
/// use linkspan_rtp::{RtcpPacket, Sdes, Ssrc};
/// let sdes = Sdes::cname(Ssrc(1), "gw@example.test");
/// let mut octets = Vec::new();
/// sdes.write(&mut octets)?;
/// let RtcpPacket::Sdes(read) = RtcpPacket::parse(&octets).unwrap() else { unreachable!() };
/// assert_eq!(read.cname_of(Ssrc(1)), Some(&b"gw@example.test"[..]));
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sdes {
    /// One chunk per source, at most 31.
    pub chunks: Vec<SdesChunk>,
}

/// What is said about one source.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SdesChunk {
    /// The source.
    pub ssrc: Ssrc,
    /// Its items in order.
    pub items: Vec<SdesItem>,
}

/// One item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SdesItem {
    /// What it describes.
    pub kind: SdesKind,
    /// Its text (UTF-8 by RFC 3550; not checked) of at most 255 octets. Of a PRIV item: prefix
    /// length, prefix and value.
    pub value: Vec<u8>,
}

/// Item types (RFC 3550 §12.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SdesKind {
    /// Canonical name.
    Cname,
    /// User name.
    Name,
    /// E-mail address.
    Email,
    /// Telephone number.
    Phone,
    /// Place.
    Loc,
    /// Application.
    Tool,
    /// Notice.
    Note,
    /// Private extension; Microsoft's media quality is one (\[MS-RTP\] 2.2.10.1).
    Priv,
    /// Any other.
    Other(u8),
}

impl Sdes {
    /// The description every compound packet has to carry.
    #[must_use]
    pub fn cname(ssrc: Ssrc, cname: &str) -> Self {
        let item = SdesItem { kind: SdesKind::Cname, value: cname.as_bytes().to_vec() };
        Self { chunks: vec![SdesChunk { ssrc, items: vec![item] }] }
    }

    /// The canonical name given for a source.
    #[must_use]
    pub fn cname_of(&self, ssrc: Ssrc) -> Option<&[u8]> {
        let chunk = self.chunks.iter().find(|chunk| chunk.ssrc == ssrc)?;
        let item = chunk.items.iter().find(|item| item.kind == SdesKind::Cname)?;
        Some(&item.value)
    }

    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// With more than 31 chunks or an item of more than 255 octets.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, count_of(self.chunks.len(), "SDES chunks")?, PT_SDES, |out| {
            for chunk in &self.chunks {
                let start = out.len();
                out.extend_from_slice(&chunk.ssrc.0.to_be_bytes());
                for item in &chunk.items {
                    let len = u8::try_from(item.value.len())
                        .map_err(|_| WriteError::TooLong { what: "SDES item" })?;
                    let kind = item.kind.code();
                    if kind == 0 {
                        return Err(WriteError::Value { what: "SDES item type" });
                    }
                    out.extend_from_slice(&[kind, len]);
                    out.extend_from_slice(&item.value);
                }
                // RFC 3550 §6.5: at least one zero octet ends the list, and more pad it.
                let len = out.len().saturating_sub(start).saturating_add(1).next_multiple_of(4);
                out.resize(start.saturating_add(len), 0);
            }
            Ok(())
        })
    }

    pub(super) fn read(count: u8, cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let chunks = (0..count).map(|_| SdesChunk::read(cursor)).collect::<Result<_, _>>()?;
        Ok(Self { chunks })
    }
}

impl SdesChunk {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let ssrc = Ssrc(cursor.u32("SDES chunk")?);
        let mut items = Vec::new();
        loop {
            let kind = cursor.u8("SDES item")?;
            if kind == 0 {
                break;
            }
            let len = cursor.u8("SDES item length")?;
            let value = cursor.take(usize::from(len), "SDES item")?.to_vec();
            items.push(SdesItem { kind: SdesKind::from_code(kind), value });
        }
        // The common header has four octets, so the packet's offsets are words as well.
        while !cursor.at().is_multiple_of(4) {
            let _padding = cursor.u8("SDES padding")?;
        }
        Ok(Self { ssrc, items })
    }
}

impl SdesKind {
    /// The type of this number.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Cname,
            2 => Self::Name,
            3 => Self::Email,
            4 => Self::Phone,
            5 => Self::Loc,
            6 => Self::Tool,
            7 => Self::Note,
            8 => Self::Priv,
            other => Self::Other(other),
        }
    }

    /// The number of this type.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Cname => 1,
            Self::Name => 2,
            Self::Email => 3,
            Self::Phone => 4,
            Self::Loc => 5,
            Self::Tool => 6,
            Self::Note => 7,
            Self::Priv => 8,
            Self::Other(code) => code,
        }
    }
}
