//! The structures inside one RTP payload (RFC 6184 §5.6 to §5.8, RFC 6190 §4).

use crate::error::DepacketizeError;
use crate::nal::NalType;
use crate::rtp::PayloadFormat;

/// One piece of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Piece<'a> {
    /// A whole NAL unit.
    Whole(Unit<'a>),
    /// A part of one.
    Fragment(Fragment<'a>),
}

/// A whole NAL unit in a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unit<'a> {
    pub(crate) bytes: &'a [u8],
    /// Decoding order number, where the structure has one.
    pub(crate) don: Option<u16>,
    /// RTP timestamp ticks behind the packet's.
    pub(crate) offset: u32,
}

impl<'a> Unit<'a> {
    const fn plain(bytes: &'a [u8]) -> Self {
        Self { bytes, don: None, offset: 0 }
    }
}

/// A fragmentation unit (RFC 6184 §5.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fragment<'a> {
    /// The first octet of the unit that is fragmented.
    pub(crate) header: u8,
    pub(crate) start: bool,
    pub(crate) end: bool,
    /// Decoding order number: of FU-B, which starts a unit in interleaved mode.
    pub(crate) don: Option<u16>,
    pub(crate) bytes: &'a [u8],
}

/// What is called for each piece.
trait Each<'a>: FnMut(Piece<'a>) -> Result<(), DepacketizeError> {}

impl<'a, F: FnMut(Piece<'a>) -> Result<(), DepacketizeError>> Each<'a> for F {}

/// Calls `each` for every piece of `payload`, in order; the pieces before an error have been given.
pub(crate) fn split<'a>(
    payload: &'a [u8],
    format: PayloadFormat,
    each: &mut impl FnMut(Piece<'a>) -> Result<(), DepacketizeError>,
) -> Result<(), DepacketizeError> {
    let Some(&first) = payload.first() else { return Err(DepacketizeError::Empty) };
    let kind = NalType::new(first);
    let allowed = match kind {
        // RFC 6184 Table 3: single NAL units and STAP-A in the modes without interleaving, the
        // structures with decoding order numbers in the other one.
        NalType::StapA => !format.is_interleaved(),
        NalType::Interleaved(_) => format.is_interleaved(),
        NalType::FuA => true,
        NalType::Pacsi => format.is_scalable() && !format.is_interleaved(),
        NalType::Multi => format.is_scalable(),
        _ => !format.is_interleaved() && (kind.value() != 0 || !format.is_scalable()),
    };
    if !allowed {
        return Err(DepacketizeError::NotAllowed { kind: kind.value() });
    }
    match kind {
        NalType::StapA => {
            let (_, rest) = payload.split_at(1);
            aggregate(payload.len(), rest, None, each)
        }
        // STAP-B: the units follow each other in decoding order.
        NalType::Interleaved(25) => {
            let (don, rest) = take_u16(payload, 1)?;
            aggregate(payload.len(), rest, Some(don), each)
        }
        NalType::Interleaved(width @ (26 | 27)) => multi_time(payload, width - 24, each),
        NalType::Interleaved(_) => each(Piece::Fragment(fragment_b(payload)?)),
        NalType::FuA => each(Piece::Fragment(fragment(payload)?)),
        NalType::Multi => subtyped(payload, each),
        _ => each(Piece::Whole(Unit::plain(payload))),
    }
}

/// RFC 6184 §5.7.1: units behind their lengths; `don` is the number of the first.
fn aggregate<'a>(
    len: usize,
    mut rest: &'a [u8],
    mut don: Option<u16>,
    each: &mut impl Each<'a>,
) -> Result<(), DepacketizeError> {
    if rest.is_empty() {
        return Err(DepacketizeError::Truncated { at: 1 });
    }
    while let Some((size, tail)) = rest.split_first_chunk::<2>() {
        let at = len - rest.len();
        let size = usize::from(u16::from_be_bytes(*size));
        let Some((bytes, tail)) = tail.split_at_checked(size) else {
            return Err(DepacketizeError::Truncated { at });
        };
        rest = tail;
        give(Unit { don, ..Unit::plain(bytes) }, each)?;
        // RFC 6184 §5.5: each unit in a STAP-B has the next number.
        don = don.map(|d| d.wrapping_add(1));
    }
    if rest.is_empty() { Ok(()) } else { Err(DepacketizeError::Truncated { at: len - rest.len() }) }
}

/// MTAP16 and MTAP24 (RFC 6184 §5.7.2): units of several instants, each with its difference in
/// decoding order and in time, the latter in `width` octets.
fn multi_time<'a>(
    payload: &'a [u8],
    width: u8,
    each: &mut impl Each<'a>,
) -> Result<(), DepacketizeError> {
    let (base, mut rest) = take_u16(payload, 1)?;
    if rest.is_empty() {
        return Err(DepacketizeError::Truncated { at: 3 });
    }
    while !rest.is_empty() {
        let at = payload.len() - rest.len();
        let truncated = DepacketizeError::Truncated { at };
        let [s1, s2, difference, tail @ ..] = rest else { return Err(truncated) };
        let Some((offset, tail)) = tail.split_at_checked(usize::from(width)) else {
            return Err(truncated);
        };
        let size = usize::from(u16::from_be_bytes([*s1, *s2]));
        let Some((bytes, tail)) = tail.split_at_checked(size) else { return Err(truncated) };
        rest = tail;
        let offset = offset.iter().fold(0, |sum, &b| sum << 8 | u32::from(b));
        let don = Some(base.wrapping_add(u16::from(*difference)));
        give(Unit { bytes, don, offset }, each)?;
    }
    Ok(())
}

/// Type 31 (RFC 6190 §4.2.1): the empty NAL unit says that there is nothing, NI-MTAP holds units of
/// several instants.
fn subtyped<'a>(payload: &'a [u8], each: &mut impl Each<'a>) -> Result<(), DepacketizeError> {
    let [_, flags, rest @ ..] = payload else { return Err(DepacketizeError::Truncated { at: 1 }) };
    match flags >> 3 {
        // RFC 6190 §4.10.
        1 => return Ok(()),
        2 => {}
        _ => return Err(DepacketizeError::NotAllowed { kind: 31 }),
    }
    // RFC 6190 §4.7.1: J says that each unit has a decoding order number.
    let numbered = flags & 4 != 0;
    let mut rest = rest;
    if rest.is_empty() {
        return Err(DepacketizeError::Truncated { at: 2 });
    }
    while !rest.is_empty() {
        let at = payload.len() - rest.len();
        let (size, tail) = take_u16(rest, 0).map_err(|_| DepacketizeError::Truncated { at })?;
        let (offset, tail) = take_u16(tail, 0).map_err(|_| DepacketizeError::Truncated { at })?;
        let (don, tail) = if numbered {
            let (don, tail) = take_u16(tail, 0).map_err(|_| DepacketizeError::Truncated { at })?;
            (Some(don), tail)
        } else {
            (None, tail)
        };
        let Some((bytes, tail)) = tail.split_at_checked(usize::from(size)) else {
            return Err(DepacketizeError::Truncated { at });
        };
        rest = tail;
        give(Unit { bytes, don, offset: u32::from(offset) }, each)?;
    }
    Ok(())
}

/// RFC 6184 §5.7: an aggregation packet holds no aggregation packet and no fragment.
fn give<'a>(unit: Unit<'a>, each: &mut impl Each<'a>) -> Result<(), DepacketizeError> {
    let Some(&first) = unit.bytes.first() else { return Ok(()) };
    let kind = NalType::new(first);
    if kind.is_rtp_only() && kind != NalType::Pacsi {
        return Err(DepacketizeError::NotAllowed { kind: kind.value() });
    }
    each(Piece::Whole(unit))
}

fn fragment(payload: &[u8]) -> Result<Fragment<'_>, DepacketizeError> {
    let [indicator, header, ref bytes @ ..] = *payload else {
        return Err(DepacketizeError::Truncated { at: 0 });
    };
    let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
    // RFC 6184 §5.8: start and end never in one fragment, and RTP's own types are not fragmented; a
    // PACSI must not be either (RFC 6190 §4.9).
    if start && end || NalType::new(header).is_rtp_only() {
        return Err(DepacketizeError::BadFragment);
    }
    Ok(Fragment { header: indicator & 0xe0 | header & 0x1f, start, end, don: None, bytes })
}

/// FU-B: a first fragment with a decoding order number (RFC 6184 §5.8).
fn fragment_b(payload: &[u8]) -> Result<Fragment<'_>, DepacketizeError> {
    let fragment = fragment(payload)?;
    if !fragment.start {
        return Err(DepacketizeError::BadFragment);
    }
    let (don, bytes) = take_u16(fragment.bytes, 0)?;
    Ok(Fragment { don: Some(don), bytes, ..fragment })
}

/// The number at `at`, and what stands behind it.
fn take_u16(octets: &[u8], at: usize) -> Result<(u16, &[u8]), DepacketizeError> {
    let rest = octets.get(at..).unwrap_or_default();
    let (number, rest) = rest.split_first_chunk::<2>().ok_or(DepacketizeError::Truncated { at })?;
    Ok((u16::from_be_bytes(*number), rest))
}
