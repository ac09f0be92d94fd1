//! Which parameter sets an output stream has been given.

use crate::access_unit::AccessUnit;
use crate::nal::NalType;
use crate::params::{ParameterSets, Pps};
use crate::slice::SliceHeader;

/// Passes parameter sets on when a slice needs them, and repeats them in front of each IDR picture
/// that comes without.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActiveSets {
    /// Everything seen on the input.
    pub(crate) input: ParameterSets,
    /// Numbers of picture parameter sets that a passed slice has named.
    used_pps: Vec<u8>,
    used_sps: Vec<u8>,
    /// What the receiver has.
    output: ParameterSets,
}

impl ActiveSets {
    /// Appends to `out` those sets that the kept slices of `unit` need and that `unit` does not hold
    /// in a place of its own, and marks them as used.
    pub(crate) fn prepare(
        &mut self,
        unit: &AccessUnit,
        keep: impl Fn(usize) -> bool,
        out: &mut AccessUnit,
    ) {
        let idr = unit.iter().enumerate().any(|(i, n)| keep(i) && n.kind == NalType::IdrSlice);
        // Each number once, however many slices name it.
        let mut done = [0u64; 4];
        for (index, nal) in unit.iter().enumerate() {
            if !keep(index) || !nal.kind.is_vcl() {
                continue;
            }
            let Some(pps_id) = pps_id_of(nal.bytes) else { continue };
            if let Some(word) = done.get_mut(usize::from(pps_id / 64)) {
                let bit = 1 << (pps_id % 64);
                if *word & bit != 0 {
                    continue;
                }
                *word |= bit;
            }
            let Some(pps) = self.input.pps(pps_id) else { continue };
            let sps_id = pps.sps_id;
            remember(&mut self.used_pps, pps_id);
            remember(&mut self.used_sps, sps_id);
            let pending = |known: Option<&[u8]>, wanted: Option<&[u8]>| idr || known != wanted;
            let sps = self.input.sps_nal(sps_id);
            if pending(self.output.sps_nal(sps_id), sps)
                && !holds(unit, &keep, NalType::Sps, sps_id)
                && let Some(sps) = sps
            {
                give(sps, nal.stream, &mut self.output, out);
            }
            let pps = self.input.pps_nal(pps_id);
            if pending(self.output.pps_nal(pps_id), pps)
                && !holds(unit, &keep, NalType::Pps, pps_id)
                && let Some(pps) = pps
            {
                give(pps, nal.stream, &mut self.output, out);
            }
        }
    }

    /// Whether a parameter set of the input goes to the output where it stands.
    pub(crate) fn pass(&mut self, nal: &[u8]) -> bool {
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

fn give(nal: &[u8], stream: u8, output: &mut ParameterSets, out: &mut AccessUnit) {
    if out.iter().any(|n| n.bytes == nal) {
        return;
    }
    let _ = output.update(nal);
    out.push_in(nal, None, stream);
}

fn holds(unit: &AccessUnit, keep: &impl Fn(usize) -> bool, kind: NalType, id: u8) -> bool {
    unit.iter().enumerate().any(|(index, nal)| {
        nal.kind == kind
            && keep(index)
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
