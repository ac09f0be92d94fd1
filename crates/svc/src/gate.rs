use crate::access_unit::AccessUnit;
use crate::dpb::Dpb;
use crate::nal::{LayerId, NalType};
use crate::params::ParameterSets;
use crate::sei::{SeiPayload, rbsp, sei_messages};
use crate::slice_syntax::{Marking, SliceReader};

/// Decides which access units a decoder can still decode exactly, and when it needs a key frame.
///
/// It follows the reference pictures of the base layer as a decoder would (H.264 §8.2.4, §8.2.5):
/// an access unit is clean when nothing of it is missing and every picture that it may refer to is
/// clean. A base picture that was lost whole shows in `TL0PICIDX` (PACSI or SEI), in `ref_frm_cnt` of
/// a source without layers, and in gaps of `frame_num`, whichever comes first. A lost enhancement picture so costs its own sub-tree; a lost base picture costs everything
/// up to the next IDR picture, and asks for one, at most once per interval.
///
/// One gate serves one simulcast stream. It reads slice headers, which costs a fraction of a
/// microsecond per slice.
///
/// ```
/// use linkspan_svc::{AccessUnit, GateConfig, LossGate};
/// let mut gate = LossGate::new(GateConfig::default());
/// let mut unit = AccessUnit::new(0);
/// unit.push(&[0x61, 0xe0]); // no IDR picture has been seen yet
/// assert!(!gate.accept(&unit));
/// assert!(gate.poll_keyframe_request().is_some());
/// assert!(gate.poll_keyframe_request().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct LossGate {
    config: GateConfig,
    sets: ParameterSets,
    dpb: Dpb<bool>,
    slices: SliceReader,
    /// Of the picture that is coming.
    marking: Marking,
    started: bool,
    counts: BaseCounts,
    request: Option<KeyframeRequest>,
    last_request: Option<u32>,
}

impl LossGate {
    /// A gate in front of a decoder that has seen nothing.
    #[must_use]
    pub fn new(config: GateConfig) -> Self {
        Self {
            config,
            sets: ParameterSets::new(),
            dpb: Dpb::default(),
            slices: SliceReader::default(),
            marking: Marking::default(),
            started: false,
            counts: BaseCounts::default(),
            request: None,
            last_request: None,
        }
    }

    /// Whether to pass the access unit on.
    ///
    /// Access units come in decoding order, as a [`crate::Depacketizer`] gives them or what
    /// [`crate::UcToAvc`] makes of them.
    pub fn accept(&mut self, unit: &AccessUnit) -> bool {
        for nal in unit {
            // A set that cannot be read shows as a slice that cannot.
            let _ = self.sets.update(nal.bytes);
        }
        let lost = self.counts.base_is_lost(unit, self.config.single_layer);
        let picture = self.judge(unit);
        if picture.needs_keyframe || lost && self.started && !picture.idr {
            self.ask(unit, picture.layer);
        } else if picture.clean && picture.idr {
            self.request = None;
            self.last_request = None;
        }
        match self.config.policy {
            LossPolicy::Freeze => picture.clean,
            // Parameter sets and damaged pictures go as they are, once there is something to show.
            LossPolicy::Continue => self.started,
        }
    }

    /// The key frame that the sender should be asked for, once.
    pub fn poll_keyframe_request(&mut self) -> Option<KeyframeRequest> {
        self.request.take()
    }

    fn ask(&mut self, unit: &AccessUnit, layer: LayerId) {
        let now = unit.timestamp();
        let since = |last: u32| now.wrapping_sub(last);
        if self.last_request.is_none_or(|last| since(last) >= self.config.request_interval_ticks) {
            self.last_request = Some(now);
            self.request = Some(KeyframeRequest { ssrc: unit.ssrc(), prid: layer.prid });
        }
    }

    fn judge(&mut self, unit: &AccessUnit) -> Picture {
        let mut picture = Picture { clean: !unit.is_damaged(), ..Picture::default() };
        let mut reference = false;
        let mut first: Option<(u32, bool)> = None;
        for nal in unit {
            if !matches!(nal.kind, NalType::Slice | NalType::IdrSlice) {
                continue;
            }
            let Ok((slice, sps)) = self.slices.read_front(nal.bytes, &self.sets) else {
                picture.clean = false;
                continue;
            };
            let header = &slice.header;
            picture.layer = nal.layer.unwrap_or_default();
            picture.idr = header.idr;
            reference |= header.ref_idc != 0;
            if first.is_none() {
                first = Some((header.frame_num, header.idr));
                self.marking.copy_from(&slice.marking);
                self.dpb.begin(header.frame_num, header.idr, sps);
            }
            let references = self.dpb.references(slice);
            let counted = match self.config.references {
                ReferenceRule::All => &references[..],
                ReferenceRule::First => references.get(..1).unwrap_or_default(),
            };
            picture.clean &= counted.iter().all(|r| *r == Some(true));
        }
        let Some((frame_num, idr)) = first else {
            // Nothing to decode, or nothing that can be read without parameter sets. A base picture
            // that was lost with all its slices shows in the next one that refers to it.
            let has_slices = unit.has_slices();
            picture.needs_keyframe = has_slices;
            picture.clean &= !has_slices;
            return picture;
        };
        self.started |= idr;
        picture.clean &= self.started;
        self.dpb.end(frame_num, idr, &self.marking, reference, Some(picture.clean));
        // A picture that nothing refers to, and a layer that the base does not need, heal by
        // themselves.
        picture.needs_keyframe =
            !picture.clean && (!self.started || reference && picture.layer.tid == 0);
        picture
    }
}

/// What senders count, so that a base picture that was lost with every packet is missed.
#[derive(Clone, Copy, Debug, Default)]
struct BaseCounts {
    index: Option<u8>,
    /// `ref_frm_cnt` of the last access unit, and whether it has ever moved: a known client's stands
    /// still.
    references: Option<u8>,
    counting: bool,
}

impl BaseCounts {
    /// Whether base pictures are missing in front of this access unit.
    fn base_is_lost(&mut self, unit: &AccessUnit, single_layer: bool) -> bool {
        let tid = unit.temporal_id().unwrap_or(0);
        let mut lost = false;
        if let Some(index) = unit.base_index().or_else(|| index_of_sei(unit)) {
            // RFC 6190 §4.9: it goes up with each picture of layer 0, the others repeat it.
            let step = self.index.map_or(0, |last| index.wrapping_sub(last));
            lost |= step > u8::from(tid == 0) && step < 128;
            self.index = Some(index);
        }
        if let Some(count) = unit.ref_frame_count() {
            let step = self.references.map_or(0, |last| count.wrapping_sub(last));
            lost |= self.counting && single_layer && step > 1 && step < 128;
            self.counting |= step == 1;
            self.references = Some(count);
        }
        lost
    }
}

/// `tl0_dep_rep_idx` of a SEI NAL unit (H.264 §G.13.1.11).
fn index_of_sei(unit: &AccessUnit) -> Option<u8> {
    let sei = unit.iter().filter(|n| n.kind == NalType::Sei && crate::sei::is_scalable(n.bytes));
    sei.filter_map(|nal| {
        sei_messages(&rbsp(nal.bytes)).find_map(|message| match message.read() {
            Ok(SeiPayload::TemporalBaseIndex { index, .. }) => Some(index),
            _ => None,
        })
    })
    .next()
}

#[derive(Clone, Copy, Debug, Default)]
struct Picture {
    clean: bool,
    idr: bool,
    needs_keyframe: bool,
    layer: LayerId,
}

/// How a [`LossGate`] acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GateConfig {
    /// What happens to pictures that are not clean.
    pub policy: LossPolicy,
    /// Which entries of a reference list count.
    pub references: ReferenceRule,
    /// Whether the source has no layers above its base ([`crate::ms::StreamLayout`] tells). Then
    /// `ref_frm_cnt` counts base pictures alone, and tells of one that was lost. Default `false`.
    pub single_layer: bool,
    /// RTP timestamp ticks between two requests for a key frame. Default 90000, one second.
    pub request_interval_ticks: u32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            policy: LossPolicy::Freeze,
            references: ReferenceRule::All,
            single_layer: false,
            request_interval_ticks: 90_000,
        }
    }
}

/// What happens to pictures that would not decode exactly.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LossPolicy {
    /// They are left out: the picture freezes, or goes on at a lower frame rate.
    #[default]
    Freeze,
    /// They go on to a decoder that conceals.
    Continue,
}

/// Which pictures a slice is taken to predict from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReferenceRule {
    /// Every active entry of its reference list: right for any encoder.
    #[default]
    All,
    /// The first entry: right for senders of hierarchical P pictures, which list more than they
    /// use (OpenH264 does), and keeps more pictures of theirs.
    First,
}

/// Whom to ask for a key frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyframeRequest {
    /// Synchronisation source of the base layer.
    pub ssrc: u32,
    /// `priority_id` of the base layer, for Microsoft's picture loss indication.
    pub prid: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> LossGate {
        let mut gate = LossGate::new(GateConfig::default());
        gate.started = true;
        gate
    }

    fn unit(n: u32, tid: u8) -> AccessUnit {
        let mut unit = AccessUnit::new(n * 3_000);
        unit.push_in(&[0x61, 0xe0], Some(LayerId { tid, ..LayerId::default() }), 0);
        unit
    }

    #[test]
    fn the_base_index_tells_of_a_lost_base_picture() {
        let mut counts = BaseCounts::default();
        let mut lost = Vec::new();
        // T0 T1 T0 T1 ...; the third T0 (index 0 behind 255) is lost, and a T1 alone.
        for (n, (tid, index)) in
            (0..).zip([(0, 254), (1, 254), (0, 255), (1, 255), (1, 0), (0, 1), (0, 2), (1, 2)])
        {
            let mut unit = unit(n, tid);
            unit.set_base_index(Some(index));
            lost.push(counts.base_is_lost(&unit, false));
        }
        assert_eq!(lost, [false, false, false, false, true, false, false, false]);
    }

    #[test]
    fn the_base_index_may_come_in_a_message() {
        let mut unit = unit(0, 0);
        unit.push(&[6, 34, 3, 9, 0, 0, 3, 0, 0x80]);
        assert_eq!(index_of_sei(&unit), Some(9));
    }

    #[test]
    fn reference_counts_tell_where_they_count_one_layer() {
        let lost = |single_layer, values: &[u8]| {
            let mut counts = BaseCounts::default();
            let feed = |(n, &count): (u32, &u8)| {
                let mut unit = unit(n, 0);
                unit.set_ref_frame_count(Some(count));
                counts.base_is_lost(&unit, single_layer)
            };
            (0..).zip(values).map(feed).filter(|l| *l).count()
        };
        assert_eq!(lost(true, &[254, 255, 0, 3, 4]), 1);
        // A constant is no count, and with layers a step may be of another layer.
        assert_eq!(lost(true, &[1; 9]), 0);
        assert_eq!(lost(false, &[1, 2, 5, 8]), 0);
    }

    #[test]
    fn a_lost_base_picture_asks_once_per_interval() {
        let mut gate = gate();
        let mut requests = 0;
        for n in 0..60 {
            let mut unit = unit(n, 0);
            unit.set_base_index(Some((n * 2).to_le_bytes()[0]));
            gate.accept(&unit);
            requests += u32::from(gate.poll_keyframe_request().is_some());
        }
        assert_eq!(requests, 2);
    }
}
