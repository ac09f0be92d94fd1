use crate::access_unit::{AccessUnit, Nal};
use crate::active_sets::ActiveSets;
use crate::nal::NalType;
use crate::sei;

/// Makes plain AVC of UC-SVC, access unit by access unit.
///
/// Takes the slices of one simulcast stream up to a temporal layer; drops what an AVC decoder must
/// not see: prefix NAL units, subset parameter sets and slices of types 14, 15 and 20, RTP's own types,
/// scalability and Microsoft SEI, delimiters and filler. Parameter sets go out when a slice needs
/// them, and in front of every IDR picture.
///
/// What comes out is exactly what [`crate::extract`] makes of the same stream in the form
/// [`crate::ExtractForm::Avc`].
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
    sets: ActiveSets,
    out: AccessUnit,
}

impl UcToAvc {
    /// A rewriter that has seen nothing.
    #[must_use]
    pub fn new(target: LayerTarget) -> Self {
        Self { target, sets: ActiveSets::default(), out: AccessUnit::default() }
    }

    /// Changes what is taken. A higher temporal layer and another stream take effect where the
    /// stream allows it: see [`Self::wants_keyframe`].
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
        let target = self.target;
        for nal in unit {
            // An unreadable set is dropped; slices that need it are the decoder's loss either way.
            let _ = self.sets.input.update(nal.bytes);
        }
        let keep = |nal: &Nal<'_>| keeps(&target, nal);
        if !unit.iter().any(|n| n.kind.is_vcl() && keep(&n)) {
            return None;
        }
        self.out.reset(unit.timestamp());
        self.out.set_ssrc(unit.ssrc());
        self.out.set_damaged(unit.is_damaged());
        self.out.set_lost_before(unit.lost_before());
        let kept = |index: usize| unit.nal(index).is_some_and(|n| keep(&n));
        self.sets.prepare(unit, kept, &mut self.out);
        for nal in unit.iter().filter(keep) {
            if matches!(nal.kind, NalType::Sps | NalType::Pps) && !self.sets.pass(nal.bytes) {
                continue;
            }
            self.out.push_in(nal.bytes, nal.layer, 0);
        }
        Some(&self.out)
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

/// The layers that a receiver gets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LayerTarget {
    /// Simulcast stream, numbered from 0 as in [`Nal::stream`].
    pub stream: u8,
    /// Highest `temporal_id`, 0 to 7.
    pub max_temporal: u8,
}

impl Default for LayerTarget {
    /// The first stream at its full frame rate.
    fn default() -> Self {
        Self { stream: 0, max_temporal: 7 }
    }
}
