//! Supplemental enhancement information (H.264 §7.3.2.3, Annexes D and G).

mod scalability;
#[cfg(test)]
mod tests;

pub use scalability::{LayerBitrate, ScalabilityInfo, ScalableLayer};

use std::borrow::Cow;

use crate::bits::{BitReader, unescape};
use crate::error::ParseError;
use crate::ms::is_uc_sei;
use crate::nal::{LayerId, NalType};

/// The octets of a NAL unit behind its header, without emulation prevention (H.264 §7.3.1): those of
/// the unit itself where there is none, which is the rule.
///
/// ```
/// let nal = [0x06, 5, 3, 0, 0, 3, 1, 0x80];
/// assert_eq!(*linkspan_svc::rbsp(&nal), [5, 3, 0, 0, 1, 0x80]);
/// ```
#[must_use]
pub fn rbsp(nal: &[u8]) -> Cow<'_, [u8]> {
    let extended = nal.first().is_some_and(|&b| {
        matches!(NalType::new(b), NalType::Prefix | NalType::SliceExtension | NalType::Pacsi)
    });
    let body = nal.get(if extended { 4 } else { 1 }..).unwrap_or_default();
    if memchr::memmem::find(body, &[0, 0, 3]).is_none() {
        return Cow::Borrowed(body);
    }
    let mut octets = Vec::with_capacity(body.len());
    unescape(body, &mut octets);
    Cow::Owned(octets)
}

/// The messages of a SEI NAL unit, from what [`rbsp`] makes of it.
///
/// The iterator ends at the first message that reaches over the end.
///
/// ```
/// use linkspan_svc::{SeiPayload, rbsp, sei_messages};
/// let nal = [0x06, 6, 1, 0xc4, 0x80]; // a recovery point, at once and exact
/// let octets = rbsp(&nal);
/// let message = sei_messages(&octets).next().unwrap();
/// let SeiPayload::RecoveryPoint(point) = message.read()? else { panic!() };
/// assert_eq!((point.frames, point.exact), (0, true));
/// # Ok::<(), linkspan_svc::ParseError>(())
/// ```
#[must_use]
pub const fn sei_messages(rbsp: &[u8]) -> SeiMessages<'_> {
    SeiMessages { rest: rbsp }
}

/// Iterator of [`sei_messages`].
#[derive(Clone, Debug)]
pub struct SeiMessages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for SeiMessages<'a> {
    type Item = SeiMessage<'a>;

    fn next(&mut self) -> Option<SeiMessage<'a>> {
        // more_rbsp_data: a lone stop bit ends the unit.
        if self.rest.len() < 2
            || matches!(self.rest, [0x80, tail @ ..] if tail.iter().all(|&b| b == 0))
        {
            return None;
        }
        let (payload_type, rest) = coded_number(self.rest)?;
        let (size, rest) = coded_number(rest)?;
        let (payload, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        self.rest = rest;
        Some(SeiMessage { payload_type, payload })
    }
}

/// H.264 §7.3.2.3.1: a run of ff octets and a last one are added up.
fn coded_number(octets: &[u8]) -> Option<(u32, &[u8])> {
    let long = octets.iter().take_while(|&&b| b == 0xff).count();
    let (&last, rest) = octets.get(long..)?.split_first()?;
    Some((u32::try_from(long).ok()?.checked_mul(255)?.checked_add(u32::from(last))?, rest))
}

/// One message of a SEI NAL unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SeiMessage<'a> {
    /// `payloadType`.
    pub payload_type: u32,
    /// The payload, without emulation prevention.
    pub payload: &'a [u8],
}

impl<'a> SeiMessage<'a> {
    /// Reads the payload.
    ///
    /// # Errors
    /// [`ParseError`] where a known one is malformed; unknown ones are [`SeiPayload::Other`].
    pub fn read(&self) -> Result<SeiPayload<'a>, ParseError> {
        let r = &mut BitReader::payload(self.payload);
        Ok(match self.payload_type {
            5 => match self.payload.split_first_chunk::<16>() {
                Some((uuid, data)) => SeiPayload::UserData { uuid, data },
                None => return Err(ParseError::Truncated { at: self.payload.len() * 8 }),
            },
            6 => SeiPayload::RecoveryPoint(RecoveryPoint {
                frames: r.ue_max("recovery_frame_cnt", 65_535)?,
                exact: r.flag()?,
                broken_link: r.flag()?,
            }),
            24 => SeiPayload::Scalability(ScalabilityInfo::read(r)?),
            28 => SeiPayload::LayersNotPresent(scalability::read_layers_not_present(r)?),
            30 => SeiPayload::Nesting(Nesting::read(r)?),
            34 => SeiPayload::TemporalBaseIndex {
                index: r.u8(8)?,
                idr_pic_id: u16::try_from(r.u(16)?).unwrap_or(0),
            },
            35 => SeiPayload::TemporalSwitchingPoint { delta_frame_num: r.se()? },
            _ => SeiPayload::Other,
        })
    }
}

/// What a SEI message says; section numbers are those of Annex D and Annex G.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SeiPayload<'a> {
    /// `user_data_unregistered` (§D.1.6). Microsoft's three come so inside a PACSI, without emulation
    /// prevention: [`crate::ms::UcMessage`] reads those.
    UserData {
        /// Whose message it is.
        uuid: &'a [u8; 16],
        /// The message.
        data: &'a [u8],
    },
    /// `recovery_point` (§D.1.7).
    RecoveryPoint(RecoveryPoint),
    /// `scalability_info` (§G.13.1.1).
    Scalability(ScalabilityInfo),
    /// `layers_not_present` (§G.13.1.5): the `layer_id`s of layers that have been taken out.
    LayersNotPresent(Vec<u32>),
    /// `scalable_nesting` (§G.13.1.7), without the messages in it.
    Nesting(Nesting),
    /// `tl0_dep_rep_index` (§G.13.1.11): the count of TL0PICIDX in a PACSI.
    TemporalBaseIndex {
        /// `tl0_dep_rep_idx`: of the picture of temporal layer 0 that this one belongs to.
        index: u8,
        /// `effective_idr_pic_id`.
        idr_pic_id: u16,
    },
    /// `tl_switching_point` (§G.13.1.12): from this picture on its temporal layer can be decoded by
    /// who has not had it before.
    TemporalSwitchingPoint {
        /// `delta_frame_num` to the last picture of the layer that is needed.
        delta_frame_num: i32,
    },
    /// Any other message.
    Other,
}

/// A place from which decoding gets right after some pictures (H.264 §D.2.7).
///
/// It resets neither long-term references nor higher layers: a receiver that lost a base picture
/// needs an IDR picture all the same.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecoveryPoint {
    /// `recovery_frame_cnt`: frames until pictures are right.
    pub frames: u32,
    /// `exact_match_flag`: then they are right exactly.
    pub exact: bool,
    /// `broken_link_flag`.
    pub broken_link: bool,
}

/// Whom nested messages are for (H.264 §G.13.2.7).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Nesting {
    /// Layers as dependency and quality ids; empty for all layers of the access unit.
    pub layers: Vec<(u8, u8)>,
    /// `sei_temporal_id`, where layers are named.
    pub tid: u8,
}

impl Nesting {
    fn read(r: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let mut nesting = Self::default();
        if !r.flag()? {
            for _ in 0..=r.ue_max("num_layer_representations_minus1", 127)? {
                nesting.layers.push((r.u8(3)?, r.u8(4)?));
            }
            nesting.tid = r.u8(3)?;
        }
        Ok(nesting)
    }
}

/// `payloadType` of the first message of a SEI NAL unit (H.264 §7.3.2.3.1).
fn first_payload_type(nal: &[u8]) -> Option<u32> {
    coded_number(nal.get(1..)?).map(|(number, _)| number)
}

/// Whether a SEI NAL unit is for scalable decoders only (H.264 §G.8.8.1: payload types 24 to 35).
pub(crate) fn is_scalable(nal: &[u8]) -> bool {
    first_payload_type(nal).is_some_and(|t| (24..=35).contains(&t))
}

/// Whether extraction drops a SEI NAL unit (H.264 §G.8.8.1): scalable ones of a base stream, and
/// nested messages for layers above the target.
pub(crate) fn is_dropped(nal: &[u8], base: bool, keeps: impl Fn(LayerId) -> bool) -> bool {
    base && is_scalable(nal) || is_nested_elsewhere(nal, keeps)
}

/// Whether an AVC decoder may see a SEI NAL unit.
pub(crate) fn is_for_avc(nal: &[u8]) -> bool {
    !is_scalable(nal) && !is_uc_sei(nal)
}

/// Whether a SEI NAL unit holds nested messages for other layers alone (H.264 §G.8.8.1).
fn is_nested_elsewhere(nal: &[u8], keeps: impl Fn(LayerId) -> bool) -> bool {
    if first_payload_type(nal) != Some(30) {
        return false;
    }
    let octets = rbsp(nal);
    let kept = |message: SeiMessage<'_>| match message.read() {
        Ok(SeiPayload::Nesting(Nesting { layers, tid })) => {
            let layer = |(did, qid)| LayerId { did, qid, tid, prid: 0 };
            layers.is_empty() || layers.into_iter().map(layer).any(&keeps)
        }
        _ => true,
    };
    !sei_messages(&octets).any(kept)
}
