//! The structures inside one RTP payload (RFC 6184 §5.6 to §5.8, RFC 6190 §4).

use crate::error::DepacketizeError;
use crate::nal::NalType;
use crate::rtp::PayloadFormat;

/// One piece of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Piece<'a> {
    /// A whole NAL unit.
    Whole(&'a [u8]),
    /// A part of one.
    Fragment(Fragment<'a>),
}

/// A fragmentation unit (RFC 6184 §5.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fragment<'a> {
    /// The first octet of the unit that is fragmented.
    pub(crate) header: u8,
    pub(crate) start: bool,
    pub(crate) end: bool,
    pub(crate) bytes: &'a [u8],
}

/// Calls `each` for every piece of `payload`, in order; the pieces before an error have been given.
pub(crate) fn split<'a>(
    payload: &'a [u8],
    format: PayloadFormat,
    each: &mut dyn FnMut(Piece<'a>) -> Result<(), DepacketizeError>,
) -> Result<(), DepacketizeError> {
    let Some(&first) = payload.first() else { return Err(DepacketizeError::Empty) };
    let kind = NalType::new(first);
    match kind {
        NalType::StapA => aggregate(payload, each),
        NalType::FuA => each(Piece::Fragment(fragment(payload)?)),
        NalType::Pacsi if format == PayloadFormat::UcSvc => each(Piece::Whole(payload)),
        // RFC 6190 §4.10: an empty NAL unit only says that there is nothing.
        NalType::Multi
            if format == PayloadFormat::UcSvc && payload.get(1).is_some_and(|b| b >> 3 == 1) =>
        {
            Ok(())
        }
        _ if kind.is_rtp_only() || kind.value() == 0 && format == PayloadFormat::UcSvc => {
            Err(DepacketizeError::NotAllowed { kind: kind.value() })
        }
        _ => each(Piece::Whole(payload)),
    }
}

/// RFC 6184 §5.7.1: one octet, then units behind their lengths.
fn aggregate<'a>(
    payload: &'a [u8],
    each: &mut dyn FnMut(Piece<'a>) -> Result<(), DepacketizeError>,
) -> Result<(), DepacketizeError> {
    let mut rest = payload.get(1..).unwrap_or_default();
    if rest.is_empty() {
        return Err(DepacketizeError::Truncated { at: 1 });
    }
    while let Some((size, tail)) = rest.split_first_chunk::<2>() {
        let at = payload.len() - rest.len();
        let size = usize::from(u16::from_be_bytes(*size));
        let Some((unit, tail)) = tail.split_at_checked(size) else {
            return Err(DepacketizeError::Truncated { at });
        };
        rest = tail;
        let Some(&first) = unit.first() else { continue };
        // RFC 6184 §5.7: an aggregation packet holds no aggregation packet and no fragment.
        let kind = NalType::new(first);
        if kind.is_rtp_only() && kind != NalType::Pacsi {
            return Err(DepacketizeError::NotAllowed { kind: kind.value() });
        }
        each(Piece::Whole(unit))?;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(DepacketizeError::Truncated { at: payload.len() - rest.len() })
    }
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
    Ok(Fragment { header: indicator & 0xe0 | header & 0x1f, start, end, bytes })
}
