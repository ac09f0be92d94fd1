use core::cell::Cell;

use crate::access_unit::{AccessUnit, Nal, NalList};
use crate::active_sets::ActiveSets;
use crate::nal::NalType;
use crate::params::{ProfileLevel, Sps};
use crate::rewrite::{Changes, Renumberer, SliceWriter, subset_to_sps};
use crate::sei;
use crate::slice::SliceHeader;
use crate::slice_syntax::{SliceReader, is_slice};
use crate::temporal_switch::{SwitchingPoints, TemporalSwitch};

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
/// [`crate::ExtractForm::Avc`]. It is never larger than the input by more than this: half of a slice
/// that is written anew (bits that shift may need emulation prevention anew) and 600 octets of
/// header, and the parameter sets seen so far, with each IDR picture.
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
    rewriting: Rewriting,
    out: AccessUnit,
}

impl UcToAvc {
    /// A rewriter that has seen nothing.
    #[must_use]
    pub fn new(target: LayerTarget) -> Self {
        let numbering = FrameNumbering::default();
        Self { rewriting: Rewriting::new(target, numbering), out: AccessUnit::default() }
    }

    /// Chooses what happens to `frame_num` where pictures are dropped.
    #[must_use]
    pub const fn with_numbering(mut self, numbering: FrameNumbering) -> Self {
        self.rewriting.numbering = numbering;
        self
    }

    /// Writes the receiver's profile or level into sequence parameter sets that claim another one
    /// and keep to it all the same, at `frame_rate` pictures a second.
    ///
    /// A set that does not keep to it stays as it is: [`ProfileLevel::accepts`] tells beforehand,
    /// [`Self::is_refused`] afterwards.
    #[must_use]
    pub const fn with_receiver(mut self, receiver: ProfileLevel, frame_rate: f64) -> Self {
        self.rewriting.receiver = Some((receiver, frame_rate));
        self
    }

    /// Says where higher temporal layers may begin; [`SwitchingPoints::Nested`] without.
    #[must_use]
    pub const fn with_switching_points(mut self, points: SwitchingPoints) -> Self {
        self.rewriting.temporal.points = points;
        self
    }

    /// Whether the last sequence parameter set that went out is beyond the receiver.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.rewriting.refused
    }

    /// Changes what is taken, from the next access unit on.
    ///
    /// A lower temporal layer is legal at any time; a higher one begins by itself at the next
    /// access unit where it may ([`SwitchingPoints`]). Another stream and another dependency layer
    /// are for the caller to begin at an IDR picture of theirs: [`crate::LayerSelector`] and
    /// [`crate::SimulcastSwitch`] keep to that.
    pub const fn set_target(&mut self, target: LayerTarget) {
        self.rewriting.target = target;
    }

    /// What is taken.
    #[must_use]
    pub const fn target(&self) -> LayerTarget {
        self.rewriting.target
    }

    /// The plain AVC of one access unit; `None` when nothing of it is to be sent.
    pub fn process(&mut self, unit: &AccessUnit) -> Option<&AccessUnit> {
        self.out.reset(unit.timestamp());
        self.out.set_ssrc(unit.ssrc());
        self.out.set_damaged(unit.is_damaged());
        self.out.set_lost_before(unit.lost_before());
        self.out.set_counts_of(unit);
        self.rewriting.process(unit, &mut self.out).then_some(&self.out)
    }
}

/// [`UcToAvc`] without a place for what comes out.
#[derive(Clone, Debug)]
pub(crate) struct Rewriting {
    target: LayerTarget,
    numbering: FrameNumbering,
    receiver: Option<(ProfileLevel, f64)>,
    refused: bool,
    temporal: TemporalSwitch,
    sets: ActiveSets,
    renumberer: Renumberer,
    converter: Converter,
    converted: AccessUnit,
    scratch: Vec<u8>,
    /// `idr_pic_id` of the access unit that went out last, when it was an IDR access unit.
    last_idr: Option<u16>,
}

impl Rewriting {
    pub(crate) fn new(target: LayerTarget, numbering: FrameNumbering) -> Self {
        Self {
            target,
            numbering,
            receiver: None,
            refused: false,
            temporal: TemporalSwitch::default(),
            sets: ActiveSets::default(),
            renumberer: Renumberer::default(),
            converter: Converter::default(),
            converted: AccessUnit::default(),
            scratch: Vec::new(),
            last_idr: None,
        }
    }

    /// Appends the plain AVC of one access unit to `out`; `false` when there is none.
    pub(crate) fn process(&mut self, unit: &(impl NalList + ?Sized), out: &mut AccessUnit) -> bool {
        if self.target.dependency == 0 {
            return self.process_avc(unit, out);
        }
        let mut converted = core::mem::take(&mut self.converted);
        self.converter.convert(unit, &self.target, &mut converted);
        let has_output = self.process_avc(&converted, out);
        self.converted = converted;
        has_output
    }

    fn process_avc(&mut self, unit: &(impl NalList + ?Sized), out: &mut AccessUnit) -> bool {
        let target = self.target;
        // The first slice of the stream, and the first one that AVC knows.
        let (mut first, mut first_avc) = (None, None);
        for nal in unit.units() {
            match nal.kind {
                NalType::Sps | NalType::Pps | NalType::SubsetSps => {
                    self.sets.update(nal.bytes, nal.stream);
                }
                kind if kind.is_vcl() && nal.stream == target.stream => {
                    first.get_or_insert(nal);
                    if matches!(kind, NalType::Slice | NalType::IdrSlice) {
                        first_avc.get_or_insert(nal);
                    }
                }
                _ => {}
            }
        }
        let Some(first) = first else { return false };
        let max_temporal = self.temporal.step(target.max_temporal, &first, unit);
        let target = LayerTarget { max_temporal, ..target };
        let keep = |nal: &Nal<'_>| keeps(&target, nal);
        let kept = keep(&first) || unit.units().any(|n| n.kind.is_vcl() && keep(&n));
        let renumber = self.renumbers(first_avc, kept);
        if !kept {
            return false;
        }
        let idr_pic_id = self.next_idr(first_avc.filter(keep));
        let (receiver, refused) = (self.receiver, Cell::new(self.refused));
        let write_set = |nal: &[u8], out: &mut AccessUnit, _: u8| {
            if nal.first().is_some_and(|&b| NalType::new(b) == NalType::Sps) {
                refused.set(push_sps(nal, receiver, out));
            } else {
                out.push_in(nal, None, 0);
            }
        };
        self.sets.prepare(unit, keep, out, write_set);
        for nal in unit.units().filter(keep) {
            if matches!(nal.kind, NalType::Sps | NalType::Pps) {
                if self.sets.pass(nal.bytes) {
                    write_set(nal.bytes, out, 0);
                }
                continue;
            }
            let rewrites = is_slice(nal.kind) && (renumber || idr_pic_id.is_some());
            let bytes = if rewrites { self.rewrite(&nal, idr_pic_id) } else { None };
            out.push_in(bytes.unwrap_or(nal.bytes), nal.layer, 0);
        }
        self.refused = refused.get();
        true
    }

    /// A slice with its new numbers, where it has any.
    fn rewrite(&mut self, nal: &Nal<'_>, idr_pic_id: Option<u16>) -> Option<&[u8]> {
        self.scratch.clear();
        let sets = self.sets.input(nal.stream);
        self.renumberer.write(nal.bytes, sets, idr_pic_id, &mut self.scratch)?;
        Some(&self.scratch)
    }

    /// H.264 §7.4.3: two IDR pictures in a row differ in `idr_pic_id`. Those of two simulcast
    /// streams need not; then the second one gets another, which is returned.
    fn next_idr(&mut self, first: Option<Nal<'_>>) -> Option<u16> {
        let last = self.last_idr.take();
        let first = first.filter(|n| n.kind == NalType::IdrSlice)?;
        let header = SliceHeader::parse(first.bytes, self.sets.input(first.stream)).ok()?;
        let changed = (last == Some(header.idr_pic_id)).then_some(header.idr_pic_id ^ 1);
        self.last_idr = Some(changed.unwrap_or(header.idr_pic_id));
        changed
    }

    /// Whether the picture gets a new number; tells the renumberer of it, kept or not.
    fn renumbers(&mut self, first: Option<Nal<'_>>, kept: bool) -> bool {
        if self.numbering == FrameNumbering::Keep || self.target.max_temporal >= 7 {
            self.renumberer.stop();
            return false;
        }
        let Some(first) = first else { return false };
        let gaps = self.numbering == FrameNumbering::WhereForbidden;
        self.renumberer.begin(first.bytes, self.sets.input(first.stream), kept, gaps)
    }
}

/// Appends a sequence parameter set with what the receiver is to read at its front; returns whether
/// it is beyond the receiver.
fn push_sps(nal: &[u8], receiver: Option<(ProfileLevel, f64)>, out: &mut AccessUnit) -> bool {
    let parsed = receiver.zip(Sps::parse(nal).ok());
    let label = parsed.map(|((receiver, rate), sps)| receiver.relabel(&sps, rate));
    out.push_in(nal, None, 0);
    // The three octets stand behind the header, and hold no emulation prevention: profile and
    // level are not 0.
    if let Some(Some(label)) = label {
        out.write_at(1, label);
    }
    label == Some(None)
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
    fn convert(
        &mut self,
        unit: &(impl NalList + ?Sized),
        target: &LayerTarget,
        out: &mut AccessUnit,
    ) {
        out.reset(0);
        for nal in unit.units().filter(|n| n.stream == target.stream) {
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
                    let read = self.slices.read(nal.bytes, &self.sets);
                    let SliceReader { payload, syntax } = &self.slices;
                    if read.is_err() || !syntax.is_plain() {
                        continue;
                    }
                    let changes = Changes::default();
                    self.writer.write(nal.bytes, syntax, payload, &changes, &mut self.scratch);
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
/// A dropped picture may carry memory management control operations (H.264 §7.4.3.3): it may free a
/// reference, or make it a long-term one. From such a picture on the stream is numbered anew unless
/// numbers are kept, and the next reference picture that goes out gets the operations that leave a
/// decoder with the same references. Operation 5, which also starts picture order counts anew, is
/// made up for in references alone.
///
/// Renumbering follows the stream from an IDR picture on. A target that may be lowered later should
/// start with a `max_temporal` of 6, which drops nothing either, but has the stream followed; 7
/// promises that nothing will be dropped before the next IDR picture.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FrameNumbering {
    /// It stays. Gaps are an error to decoders unless the sequence parameter set allows them, and
    /// some hardware decoders stumble even then; what dropped pictures mark is lost.
    Keep,
    /// Pictures are numbered anew where the sequence parameter set does not allow gaps, and where
    /// marking has to be made up for.
    #[default]
    WhereForbidden,
    /// Pictures are numbered anew.
    Always,
}
