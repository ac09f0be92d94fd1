use crate::access_unit::{AccessUnit, Nal};
use crate::active_sets::ActiveSets;
use crate::nal::NalType;
use crate::rewrite::{Changes, Renumberer, SliceWriter, subset_to_sps};
use crate::sei;
use crate::slice_syntax::{SliceReader, is_slice};

/// Makes plain AVC of UC-SVC, access unit by access unit.
///
/// Takes the slices of one simulcast stream up to a temporal layer; drops what an AVC decoder must
/// not see: prefix NAL units, subset parameter sets and slices of types 14, 15 and 20, RTP's own types,
/// scalability and Microsoft SEI, delimiters and filler. Parameter sets go out when a slice needs
/// them, and in front of every IDR picture.
///
/// With [`LayerTarget::dependency`] above 0 it takes that layer instead of the base, when its slices
/// do not predict from lower layers: type 20 becomes type 1 or 5, the subset parameter set a sequence
/// parameter set, and the slice data stays as it is. Slices that do predict are left out.
///
/// What comes out is exactly what [`crate::extract`] makes of the same stream in the form
/// [`crate::ExtractForm::Avc`]. It is never larger than the input and the parameter sets repeated in
/// it, plus 600 octets per renumbered slice.
///
/// ```
/// use linkspan_svc::{AccessUnit, LayerTarget, UcToAvc};
/// let mut rewriter = UcToAvc::new(LayerTarget::default());
/// let mut unit = AccessUnit::new(0);
/// unit.push(&[0x6e, 0xc0, 0x80, 0x07, 0x20]);
/// unit.push(&[0x65, 0xb8, 0x04]);
/// let avc = rewriter.process(&unit).unwrap();
/// assert_eq!(avc.annex_b(), [0, 0, 0, 1, 0x65, 0xb8, 0x04]);
/// ```
#[derive(Clone, Debug)]
pub struct UcToAvc {
    target: LayerTarget,
    numbering: FrameNumbering,
    sets: ActiveSets,
    renumberer: Renumberer,
    converter: Converter,
    converted: AccessUnit,
    scratch: Vec<u8>,
    out: AccessUnit,
}

impl UcToAvc {
    /// A rewriter that has seen nothing.
    #[must_use]
    pub fn new(target: LayerTarget) -> Self {
        Self {
            target,
            numbering: FrameNumbering::default(),
            sets: ActiveSets::default(),
            renumberer: Renumberer::default(),
            converter: Converter::default(),
            converted: AccessUnit::default(),
            scratch: Vec::new(),
            out: AccessUnit::default(),
        }
    }

    /// Chooses what happens to `frame_num` where pictures are dropped.
    #[must_use]
    pub const fn with_numbering(mut self, numbering: FrameNumbering) -> Self {
        self.numbering = numbering;
        self
    }

    /// Changes what is taken, from the next access unit on.
    ///
    /// A lower temporal layer is legal at any time; a higher one, another stream and another
    /// dependency layer only where the decoder can follow, which is at an IDR picture of what is wanted: [`crate::LayerSelector`] keeps to that.
    pub const fn set_target(&mut self, target: LayerTarget) {
        self.target = target;
    }

    /// What is taken.
    #[must_use]
    pub const fn target(&self) -> LayerTarget {
        self.target
    }

    /// The plain AVC of one access unit; `None` when nothing of it is to be sent.
    pub fn process(&mut self, unit: &AccessUnit) -> Option<&AccessUnit> {
        if self.target.dependency == 0 {
            return self.process_avc(unit);
        }
        let mut converted = core::mem::take(&mut self.converted);
        self.converter.convert(unit, &self.target, &mut converted);
        let has_output = self.process_avc(&converted).is_some();
        self.converted = converted;
        has_output.then_some(&self.out)
    }

    fn process_avc(&mut self, unit: &AccessUnit) -> Option<&AccessUnit> {
        let target = self.target;
        for nal in unit {
            // An unreadable set is dropped; slices that need it are the decoder's loss either way.
            let _ = self.sets.input.update(nal.bytes);
        }
        let keep = |nal: &Nal<'_>| keeps(&target, nal);
        let kept = unit.iter().any(|n| n.kind.is_vcl() && keep(&n));
        let renumber = self.renumbers(unit, kept);
        if !kept {
            return None;
        }
        self.out.reset(unit.timestamp());
        self.out.set_ssrc(unit.ssrc());
        self.out.set_damaged(unit.is_damaged());
        self.out.set_lost_before(unit.lost_before());
        let keep_at = |index: usize| unit.nal(index).is_some_and(|n| keep(&n));
        self.sets.prepare(unit, keep_at, &mut self.out);
        for nal in unit.iter().filter(keep) {
            if matches!(nal.kind, NalType::Sps | NalType::Pps) && !self.sets.pass(nal.bytes) {
                continue;
            }
            self.scratch.clear();
            let rewritten = renumber
                && is_slice(nal.kind)
                && self.renumberer.write(nal.bytes, &self.sets.input, &mut self.scratch).is_some();
            let bytes = if rewritten { &self.scratch } else { nal.bytes };
            self.out.push_in(bytes, nal.layer, 0);
        }
        Some(&self.out)
    }

    /// Whether the picture gets a new number; tells the renumberer of it, kept or not.
    fn renumbers(&mut self, unit: &AccessUnit, kept: bool) -> bool {
        if self.numbering == FrameNumbering::Keep || self.target.max_temporal >= 7 {
            self.renumberer.stop();
            return false;
        }
        let stream = self.target.stream;
        let first = unit
            .iter()
            .find(|n| matches!(n.kind, NalType::Slice | NalType::IdrSlice) && n.stream == stream);
        let Some(first) = first else { return false };
        let sets = &self.sets.input;
        let allowed = crate::active_sets::pps_id_of(first.bytes)
            .and_then(|id| sets.activate(id, false).ok())
            .is_some_and(|(_, sps)| sps.gaps_in_frame_num_allowed);
        if allowed && self.numbering == FrameNumbering::WhereForbidden {
            return false;
        }
        self.renumberer.begin(first.bytes, sets, kept).is_some()
    }
}

/// Whether a NAL unit is for an AVC decoder that gets the target's layers.
fn keeps(target: &LayerTarget, nal: &Nal<'_>) -> bool {
    if nal.stream != target.stream {
        return false;
    }
    match nal.kind {
        NalType::Slice | NalType::IdrSlice | NalType::Partition(_) => {
            nal.layer.is_none_or(|l| l.tid <= target.max_temporal && l.is_avc())
        }
        NalType::Sei => sei::is_for_avc(nal.bytes),
        NalType::Sps | NalType::Pps | NalType::SpsExtension => true,
        NalType::EndOfSequence | NalType::EndOfStream => true,
        _ => false,
    }
}

/// Turns a dependency layer without inter-layer prediction into AVC.
#[derive(Clone, Debug, Default)]
struct Converter {
    sets: crate::params::ParameterSets,
    slices: SliceReader,
    writer: SliceWriter,
    scratch: Vec<u8>,
}

impl Converter {
    fn convert(&mut self, unit: &AccessUnit, target: &LayerTarget, out: &mut AccessUnit) {
        out.reset(unit.timestamp());
        out.set_ssrc(unit.ssrc());
        out.set_damaged(unit.is_damaged());
        out.set_lost_before(unit.lost_before());
        for nal in unit.iter().filter(|n| n.stream == target.stream) {
            let _ = self.sets.update(nal.bytes);
            self.scratch.clear();
            match nal.kind {
                NalType::SubsetSps => {
                    let Some(()) = subset_to_sps(nal.bytes, &mut self.scratch) else { continue };
                    out.push_in(&self.scratch, None, nal.stream);
                }
                NalType::SliceExtension => {
                    let Some(layer) = nal.layer else { continue };
                    if (layer.did, layer.qid) != (target.dependency, 0) {
                        continue;
                    }
                    // Fails where the slice predicts from another layer.
                    let Ok(slice) = self.slices.read(nal.bytes, &self.sets) else { continue };
                    let payload = &self.slices.payload;
                    let changes = Changes::default();
                    self.writer.write(nal.bytes, &slice, payload, &changes, &mut self.scratch);
                    let layer = crate::nal::LayerId { did: 0, ..layer };
                    out.push_in(&self.scratch, Some(layer), nal.stream);
                }
                NalType::Pps | NalType::Sei => out.push_in(nal.bytes, None, nal.stream),
                _ => {}
            }
        }
    }
}

/// The layers that a receiver gets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LayerTarget {
    /// Simulcast stream, numbered from 0 as in [`Nal::stream`].
    pub stream: u8,
    /// Highest `temporal_id`, 0 to 7.
    pub max_temporal: u8,
    /// `dependency_id` of the layer, 0 for the base layer.
    pub dependency: u8,
}

impl Default for LayerTarget {
    /// The base layer of the first stream at its full frame rate.
    fn default() -> Self {
        Self { stream: 0, max_temporal: 7, dependency: 0 }
    }
}

/// What happens to `frame_num` where reference pictures are dropped.
///
/// Renumbering follows the stream from an IDR picture on. A target that may be lowered later should
/// start with a `max_temporal` of 6, which drops nothing either, but has the stream followed; 7
/// promises that nothing will be dropped before the next IDR picture.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FrameNumbering {
    /// It stays. Gaps are an error to decoders unless the sequence parameter set allows them, and
    /// some hardware decoders stumble even then.
    Keep,
    /// Pictures are numbered anew where the sequence parameter set does not allow gaps.
    #[default]
    WhereForbidden,
    /// Pictures are numbered anew.
    Always,
}
