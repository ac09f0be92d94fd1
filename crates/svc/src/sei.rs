//! Which SEI NAL units may go where.

use crate::ms::is_uc_sei;

/// `payloadType` of the first message of a SEI NAL unit (H.264 §7.3.2.3.1).
pub(crate) fn first_payload_type(nal: &[u8]) -> Option<u32> {
    let body = nal.get(1..)?;
    let long = body.iter().take_while(|&&b| b == 0xff).count();
    let last = u32::from(*body.get(long)?);
    Some(u32::try_from(long).ok()?.saturating_mul(255).saturating_add(last))
}

/// Whether a SEI NAL unit is for scalable decoders only (H.264 §G.8.8.1: payload types 24 to 35).
pub(crate) fn is_scalable(nal: &[u8]) -> bool {
    first_payload_type(nal).is_some_and(|t| (24..=35).contains(&t))
}

/// Whether an AVC decoder may see a SEI NAL unit.
pub(crate) fn is_for_avc(nal: &[u8]) -> bool {
    !is_scalable(nal) && !is_uc_sei(nal)
}
