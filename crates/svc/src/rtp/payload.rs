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
        NalType::StapA => aggregate(payload, 1, 0, each),
        // RFC 6184 §5.7.1, §5.7.2: a decoding order number, and time offsets in MTAPs. Where nothing
        // is interleaved, transmission order is decoding order.
        NalType::Interleaved(25) if format == PayloadFormat::Avc => aggregate(payload, 3, 0, each),
        NalType::Interleaved(v @ 26..=27) if format == PayloadFormat::Avc => {
            aggregate(payload, 3, if v == 26 { 3 } else { 4 }, each)
        }
        NalType::FuA => each(Piece::Fragment(fragment(payload, 2)?)),
        NalType::Interleaved(29) if format == PayloadFormat::Avc => {
            each(Piece::Fragment(fragment(payload, 4)?))
        }
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

/// `front` octets, then units behind their lengths and `skip` octets of decoding order and time.
fn aggregate<'a>(
    payload: &'a [u8],
    front: usize,
    skip: usize,
    each: &mut dyn FnMut(Piece<'a>) -> Result<(), DepacketizeError>,
) -> Result<(), DepacketizeError> {
    let Some(mut rest) = payload.get(front..) else {
        return Err(DepacketizeError::Truncated { at: 0 });
    };
    if rest.is_empty() {
        return Err(DepacketizeError::Truncated { at: front });
    }
    while let Some((size, tail)) = rest.split_first_chunk::<2>() {
        let at = payload.len() - rest.len();
        let size = usize::from(u16::from_be_bytes(*size));
        // RFC 6184 §5.7.2: in MTAPs the size covers the decoding order number and time offset.
        let (Some((unit, tail)), true) = (tail.split_at_checked(size), size > skip) else {
            return Err(DepacketizeError::Truncated { at });
        };
        let unit = unit.get(skip..).unwrap_or_default();
        // RFC 6184 §5.7: an aggregation packet holds no aggregation packet and no fragment.
        match NalType::new(unit.first().copied().unwrap_or(0)) {
            NalType::Pacsi => {}
            kind if kind.is_rtp_only() => {
                return Err(DepacketizeError::NotAllowed { kind: kind.value() });
            }
            _ => {}
        }
        each(Piece::Whole(unit))?;
        rest = tail;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(DepacketizeError::Truncated { at: payload.len() - rest.len() })
    }
}

fn fragment(payload: &[u8], front: usize) -> Result<Fragment<'_>, DepacketizeError> {
    let [indicator, header, ..] = *payload else {
        return Err(DepacketizeError::Truncated { at: 0 });
    };
    let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
    // RFC 6184 §5.8: start and end never in one fragment; FUs of RTP's own types do not exist. A
    // PACSI must not be fragmented (RFC 6190 §4.9).
    if start && end || NalType::new(header).is_rtp_only() {
        return Err(DepacketizeError::BadFragment);
    }
    // The decoding order number of an FU-B stands in the first fragment only, which is the FU-B.
    let bytes = payload.get(front..).ok_or(DepacketizeError::Truncated { at: 2 })?;
    Ok(Fragment { header: indicator & 0xe0 | header & 0x1f, start, end, bytes })
}
