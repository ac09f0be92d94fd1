//! Which parameter sets an output stream has been given.

use crate::access_unit::{AccessUnit, Nal, NalList};
use crate::nal::NalType;
use crate::params::{ParameterSets, Pps};
use crate::slice::SliceHeader;

/// Passes parameter sets on when a slice needs them, and repeats them in front of each IDR picture
/// that comes without.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActiveSets {
    /// Everything seen on the input, by simulcast stream: each has numbers of its own.
    inputs: Vec<ParameterSets>,
    /// Numbers of picture parameter sets that a passed slice has named.
    used_pps: Vec<u8>,
    used_sps: Vec<u8>,
    /// What the receiver has, as it came in.
    output: ParameterSets,
    /// A stream and a picture parameter set of it that the receiver has with all it needs: as good
    /// as every slice names the same.
    known: Option<(u8, u8)>,
}

/// Simulcast streams whose sets are kept apart; a source has seldom more than three.
const MAX_STREAMS: usize = 8;

impl ActiveSets {
    /// Reads a parameter set of the input.
    pub(crate) fn update(&mut self, nal: &[u8], stream: u8) {
        if !nal.first().is_some_and(|&b| is_set(NalType::new(b))) {
            return;
        }
        self.known = None;
        let index = usize::from(stream).min(MAX_STREAMS - 1);
        if self.inputs.len() <= index {
            self.inputs.resize_with(index + 1, ParameterSets::default);
        }
        if let Some(sets) = self.inputs.get_mut(index) {
            // An unreadable set is dropped; slices that need it are the decoder's loss either way.
            let _ = sets.update(nal);
        }
    }

    /// The sets that a simulcast stream has been seen to have.
    pub(crate) fn input(&self, stream: u8) -> &ParameterSets {
        static NONE: ParameterSets = ParameterSets::new();
        self.inputs.get(usize::from(stream).min(MAX_STREAMS - 1)).unwrap_or(&NONE)
    }

    /// Calls `give` for those sets that the kept slices of `unit` need and that `unit` does not hold
    /// in a place of its own, and marks them as used.
    pub(crate) fn prepare(
        &mut self,
        unit: &(impl NalList + ?Sized),
        keep: impl Fn(&Nal<'_>) -> bool,
        out: &mut AccessUnit,
        write: impl Fn(&[u8], &mut AccessUnit, u8),
    ) {
        let idr = unit.units().any(|n| n.kind == NalType::IdrSlice && keep(&n));
        // Each number once, however many slices name it.
        let mut done = [0u64; 4];
        let mut sps_done = 0u32;
        for nal in unit.units().filter(|n| n.kind.is_vcl() && keep(n)) {
            let Some(pps_id) = pps_id_of(nal.bytes) else { continue };
            if !idr && self.known == Some((nal.stream, pps_id)) {
                continue;
            }
            if let Some(word) = done.get_mut(usize::from(pps_id / 64)) {
                let bit = 1 << (pps_id % 64);
                if *word & bit != 0 {
                    continue;
                }
                *word |= bit;
            }
            let index = usize::from(nal.stream).min(MAX_STREAMS - 1);
            let Some(input) = self.inputs.get(index) else { continue };
            let Some(pps) = input.pps(pps_id) else { continue };
            let sps_id = pps.sps_id;
            remember(&mut self.used_pps, pps_id);
            remember(&mut self.used_sps, sps_id);
            let known = [self.output.sps_nal(sps_id), self.output.pps_nal(pps_id)];
            let wanted = [input.sps_nal(sps_id), input.pps_nal(pps_id)];
            let kinds = [(NalType::Sps, sps_id), (NalType::Pps, pps_id)];
            // Compared before anything is given: the SPS of this slice changes no PPS.
            let due = [0, 1].map(|i: usize| idr || known.get(i) != wanted.get(i));
            for ((set, (kind, id)), due) in wanted.into_iter().zip(kinds).zip(due) {
                let Some(set) = set.filter(|_| due) else { continue };
                let again = kind == NalType::Sps && sps_done >> (id & 31) & 1 != 0;
                if again || holds(unit, &keep, kind, id) {
                    continue;
                }
                sps_done |= u32::from(kind == NalType::Sps) << (id & 31);
                let _ = self.output.update(set);
                write(set, out, nal.stream);
            }
            // Sets that stand in the unit are yet to come.
            self.known = due.iter().all(|due| !due).then_some((nal.stream, pps_id));
        }
    }

    /// Whether a parameter set of the input goes to the output where it stands.
    pub(crate) fn pass(&mut self, nal: &[u8]) -> bool {
        self.known = None;
        let used = match nal.first().map(|&b| NalType::new(b)) {
            Some(NalType::Sps) => sps_id_of(nal).is_some_and(|id| self.used_sps.contains(&id)),
            Some(NalType::Pps) => Pps::parse(nal).is_ok_and(|p| self.used_pps.contains(&p.id)),
            _ => false,
        };
        if used {
            let _ = self.output.update(nal);
        }
        used
    }
}

const fn is_set(kind: NalType) -> bool {
    matches!(kind, NalType::Sps | NalType::SubsetSps | NalType::Pps)
}

fn holds(
    unit: &(impl NalList + ?Sized),
    keep: &impl Fn(&Nal<'_>) -> bool,
    kind: NalType,
    id: u8,
) -> bool {
    unit.units().any(|nal| {
        nal.kind == kind
            && keep(&nal)
            && match kind {
                NalType::Sps => sps_id_of(nal.bytes) == Some(id),
                _ => Pps::parse(nal.bytes).is_ok_and(|p| p.id == id),
            }
    })
}

fn remember(list: &mut Vec<u8>, id: u8) {
    if !list.contains(&id) {
        list.push(id);
    }
}

fn sps_id_of(nal: &[u8]) -> Option<u8> {
    let mut bits = crate::bits::BitReader::new(nal.get(1..)?);
    bits.u(24).ok()?;
    bits.ue_u8("seq_parameter_set_id", 31).ok()
}

/// The picture parameter set that a slice names, without the sets themselves.
pub(crate) fn pps_id_of(nal: &[u8]) -> Option<u8> {
    let (_, body) = SliceHeader::split(nal).ok()?;
    let mut bits = crate::bits::BitReader::new(body);
    bits.ue().ok()?;
    bits.ue().ok()?;
    bits.ue_u8("pic_parameter_set_id", 255).ok()
}
