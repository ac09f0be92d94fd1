use core::cell::OnceCell;

use crate::access_unit::{AccessUnit, Nal, NalList};
use crate::active_sets::pps_id_of;
use crate::annexb::{nal_units, write_annex_b};
use crate::nal::{LayerId, NalType, SvcExtension};
use crate::params::{Pps, Sps};
use crate::reader::{AccessUnitReader, StreamNal};
use crate::sei;
use crate::temporal::TemporalIds;
use crate::uc_to_avc::{FrameNumbering, LayerTarget, Rewriting};

/// Extracts the sub-bitstream of an operation point from an Annex B stream (H.264 §G.8.8.1).
///
/// Every NAL unit of the result stands behind `00 00 00 01`. Slices without a prefix NAL unit get
/// the temporal id that their references imply.
///
/// ```
/// use linkspan_svc::{ExtractOptions, extract};
/// let stream = [0, 0, 1, 0x6e, 0xc0, 0x80, 7, 0x20, 0, 0, 1, 0x65, 0xb8, 0x04];
/// let avc = extract(&stream, &ExtractOptions::avc_base());
/// assert_eq!(avc, [0, 0, 0, 1, 0x65, 0xb8, 0x04]);
/// ```
#[must_use]
pub fn extract(stream: &[u8], options: &ExtractOptions) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len() + stream.len() / 64);
    extract_into(stream, options, &mut out);
    out
}

/// Like [`extract`], appending to `out`.
pub fn extract_into(stream: &[u8], options: &ExtractOptions, out: &mut Vec<u8>) {
    match options.form {
        ExtractForm::Normative => {
            for_each_kept(stream, options, |nal| write_annex_b(nal.located.bytes, out));
        }
        ExtractForm::Minimal => minimal(stream, options, out),
        ExtractForm::Avc => avc(stream, options, out),
    }
}

/// What [`extract`] takes out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtractOptions {
    /// Simulcast stream, numbered in the order of the sequence parameter sets.
    pub stream: u8,
    /// Target `dependency_id`.
    pub max_dependency: u8,
    /// Target `quality_id`; lower dependency layers keep all of theirs.
    pub max_quality: u8,
    /// Target `temporal_id`.
    pub max_temporal: u8,
    /// Target `priority_id`.
    pub max_priority: u8,
    /// Whether slices that no higher dependency layer predicts from (`discardable_flag`) are left
    /// out below the target; H.264 §G.8.8.1 keeps them.
    pub drop_discardable: bool,
    /// Which form.
    pub form: ExtractForm,
    /// What happens to `frame_num` in the form [`ExtractForm::Avc`].
    pub numbering: FrameNumbering,
}

impl Default for ExtractOptions {
    /// The whole stream, normatively.
    fn default() -> Self {
        Self {
            stream: 0,
            max_dependency: 7,
            max_quality: 15,
            max_temporal: 7,
            max_priority: 63,
            drop_discardable: false,
            form: ExtractForm::Normative,
            numbering: FrameNumbering::default(),
        }
    }
}

impl ExtractOptions {
    /// The base layer at its full frame rate, for a plain AVC decoder.
    #[must_use]
    pub fn avc_base() -> Self {
        Self { max_dependency: 0, max_quality: 0, form: ExtractForm::Avc, ..Self::default() }
    }

    /// H.264 §G.8.8.1: whether a coded slice is of the operation point.
    pub(crate) fn keeps(&self, stream: u8, layer: LayerId) -> bool {
        stream == self.stream
            && layer.prid <= self.max_priority
            && layer.tid <= self.max_temporal
            && (layer.did < self.max_dependency
                || layer.did == self.max_dependency && layer.qid <= self.max_quality)
    }

    pub(crate) const fn is_base(&self) -> bool {
        self.max_dependency == 0 && self.max_quality == 0
    }
}

/// The form of an extracted stream.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ExtractForm {
    /// As H.264 §G.8.8.1 says: every parameter set stays.
    #[default]
    Normative,
    /// Without parameter sets that no kept slice uses.
    Minimal,
    /// What a plain AVC decoder takes, made as [`crate::UcToAvc`] makes it: of the highest dependency layer up to
    /// the target that does not predict from others, which may be the base layer.
    Avc,
}

/// The layers of slices that tell none, found out when the first of them comes.
struct Untold<'a, 'o> {
    stream: &'a [u8],
    options: &'o ExtractOptions,
    ids: OnceCell<TemporalIds>,
}

impl Untold<'_, '_> {
    fn layer(&self, unit: usize, nal: &StreamNal<'_>) -> LayerId {
        nal.layer.unwrap_or_else(|| {
            let ids =
                self.ids.get_or_init(|| TemporalIds::of(self.stream, self.options.max_temporal));
            ids.layer(unit, nal)
        })
    }
}

/// Calls `each` for the NAL units of the operation point.
fn for_each_kept<'a>(
    stream: &'a [u8],
    options: &ExtractOptions,
    mut each: impl FnMut(&StreamNal<'a>),
) {
    let temporal = Untold { stream, options, ids: OnceCell::new() };
    let mut reader = AccessUnitReader::new(stream);
    for index in 0.. {
        let unit = reader.read_nals();
        if unit.is_empty() {
            break;
        }
        keep_of_unit(unit, options, |nal| temporal.layer(index, nal), &mut each);
    }
}

fn keep_of_unit<'a>(
    unit: &[StreamNal<'a>],
    options: &ExtractOptions,
    layer_of: impl Fn(&StreamNal<'a>) -> LayerId,
    each: &mut impl FnMut(&StreamNal<'a>),
) {
    let discards = |nal: &StreamNal<'a>| {
        options.drop_discardable
            && nal.discardable
            && layer_of(nal).did < unit_target(unit, options)
    };
    let keeps = |nal: &StreamNal<'a>| options.keeps(nal.stream, layer_of(nal)) && !discards(nal);
    let mut slices = unit.iter().filter(|n| n.kind.is_vcl()).peekable();
    // Step 2: an access unit without a slice of the target goes with everything in it.
    if slices.peek().is_some() && !slices.any(keeps) {
        return;
    }
    let mut last_slice_kept = true;
    for (index, nal) in unit.iter().enumerate() {
        let kept = match nal.kind {
            kind if kind.is_vcl() => {
                last_slice_kept = keeps(nal);
                last_slice_kept
            }
            // Steps 3 and 4: a prefix goes with its slice, and none is in a base stream.
            NalType::Prefix => {
                !options.is_base()
                    && unit.get(index + 1).is_none_or(|n| !n.kind.is_vcl() || keeps(n))
            }
            NalType::SubsetSps => !options.is_base(),
            NalType::Sei => {
                let bytes = nal.located.bytes;
                // Step 5: nested messages for layers above the target go with these.
                !sei::is_dropped(bytes, options.is_base(), |l| options.keeps(nal.stream, l))
            }
            NalType::Filler => last_slice_kept,
            _ => true,
        };
        if kept {
            each(nal);
        }
    }
}

/// The highest dependency layer of the target that the access unit has.
fn unit_target(unit: &[StreamNal<'_>], options: &ExtractOptions) -> u8 {
    let kept = |nal: &&StreamNal<'_>| {
        nal.kind.is_vcl() && nal.layer.is_some_and(|l| options.keeps(nal.stream, l))
    };
    unit.iter().filter(kept).filter_map(|n| n.layer).map(|l| l.did).max().unwrap_or(0)
}

fn minimal(stream: &[u8], options: &ExtractOptions, out: &mut Vec<u8>) {
    let mut kept = Vec::new();
    for_each_kept(stream, options, |nal| kept.push(*nal));
    // Numbers that slices of types 1 and 5, and of type 20, name.
    let mut pps = [[false; 256]; 2];
    for nal in kept.iter().filter(|n| n.kind.is_vcl()) {
        let extension = usize::from(nal.kind == NalType::SliceExtension);
        if let Some(slot) = pps_id_of(nal.located.bytes)
            .and_then(|id| pps.get_mut(extension)?.get_mut(usize::from(id)))
        {
            *slot = true;
        }
    }
    let uses = |extension: usize, id: u8| {
        pps.get(extension).is_some_and(|t| t.get(usize::from(id)) == Some(&true))
    };
    let mut sps = [0u32; 2];
    for set in kept.iter().filter_map(|n| Pps::parse(n.located.bytes).ok()) {
        for (extension, used) in sps.iter_mut().enumerate() {
            *used |= u32::from(uses(extension, set.id)) << (set.sps_id & 31);
        }
    }
    for nal in &kept {
        let bytes = nal.located.bytes;
        let sps_used = |used: u32| Sps::parse(bytes).is_ok_and(|s| used >> (s.id & 31) & 1 != 0);
        let wanted = match nal.kind {
            NalType::Sps => sps_used(sps[0]),
            NalType::SubsetSps => sps_used(sps[1]),
            NalType::Pps => Pps::parse(bytes).is_ok_and(|p| uses(0, p.id) || uses(1, p.id)),
            _ => true,
        };
        if wanted {
            write_annex_b(bytes, out);
        }
    }
}

fn avc(stream: &[u8], options: &ExtractOptions, out: &mut Vec<u8>) {
    let temporal = Untold { stream, options, ids: OnceCell::new() };
    let target = LayerTarget {
        stream: options.stream,
        max_temporal: options.max_temporal,
        dependency: highest_avc_layer(stream, options.max_dependency),
    };
    let mut rewriting = Rewriting::new(target, options.numbering);
    let mut reader = AccessUnitReader::new(stream);
    let mut written = AccessUnit::behind(core::mem::take(out));
    for index in 0.. {
        let nals = reader.read_nals();
        if nals.is_empty() {
            break;
        }
        rewriting.process(&Told { nals, index, temporal: &temporal }, &mut written);
        written.forget_units();
    }
    *out = written.into_annex_b();
}

/// The NAL units of an access unit, slices with their layers.
struct Told<'a, 't> {
    nals: &'t [StreamNal<'a>],
    index: usize,
    temporal: &'t Untold<'a, 't>,
}

impl NalList for Told<'_, '_> {
    #[inline]
    fn unit(&self, index: usize) -> Option<Nal<'_>> {
        let nal = self.nals.get(index)?;
        let told = nal.layer.is_some() || !nal.kind.is_vcl();
        Some(Nal {
            bytes: nal.located.bytes,
            kind: nal.kind,
            layer: if told { nal.layer } else { Some(self.temporal.layer(self.index, nal)) },
            stream: nal.stream,
        })
    }
}

/// The highest dependency layer up to `max` whose slices do without lower layers.
fn highest_avc_layer(stream: &[u8], max: u8) -> u8 {
    if max == 0 {
        return 0;
    }
    let (mut present, mut predicted) = (0u8, 0u8);
    for nal in nal_units(stream) {
        let Ok(svc) = SvcExtension::parse(nal) else { continue };
        if nal.first().is_some_and(|&b| NalType::new(b) == NalType::SliceExtension) && svc.qid == 0
        {
            let bit = 1 << svc.did;
            present |= bit;
            predicted |= if svc.no_inter_layer_pred { 0 } else { bit };
        }
    }
    let usable = present & !predicted;
    (1..=max.min(7)).rfind(|did| usable >> did & 1 != 0).unwrap_or(0)
}
