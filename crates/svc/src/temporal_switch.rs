//! Where a receiver may go up in temporal layers.

use crate::access_unit::{Nal, NalList};
use crate::nal::NalType;
use crate::sei::{SeiPayload, rbsp, sei_messages};

/// What a stream is known to keep to when higher temporal layers begin (H.264 §G.7.4.1.1,
/// §G.13.2.12).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SwitchingPoints {
    /// Layers are nested: no picture refers over one of a lower layer, so that a layer may begin
    /// right behind any picture of a lower one. So do the encoders of real-time senders, and
    /// [`crate::ScalabilityInfo::is_temporally_nested`] says it.
    #[default]
    Nested,
    /// At pictures with a temporal switching point message, and at IDR pictures.
    Signalled,
    /// At IDR pictures alone.
    IdrOnly,
}

/// The temporal layers that go out, which follow those that are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TemporalSwitch {
    pub(crate) points: SwitchingPoints,
    current: u8,
    last_tid: u8,
}

impl Default for TemporalSwitch {
    fn default() -> Self {
        Self { points: SwitchingPoints::default(), current: 7, last_tid: 0 }
    }
}

impl TemporalSwitch {
    /// The highest temporal layer that goes out of this access unit, when `wanted` is wanted.
    /// `slice` is the first one of the stream.
    pub(crate) fn step(
        &mut self,
        wanted: u8,
        slice: &Nal<'_>,
        unit: &(impl NalList + ?Sized),
    ) -> u8 {
        if wanted <= self.current {
            // Down at once: lower layers need nothing of the higher ones.
            self.current = wanted;
        }
        let tid = slice.layer.map_or(0, |l| l.tid);
        if wanted > self.current && self.may_rise(tid, unit, slice.kind == NalType::IdrSlice) {
            let idr = slice.kind == NalType::IdrSlice;
            self.current = if idr { wanted } else { tid.clamp(self.current, wanted) };
        }
        self.last_tid = tid;
        self.current
    }

    fn may_rise(&self, tid: u8, unit: &(impl NalList + ?Sized), idr: bool) -> bool {
        idr || tid > self.current
            && match self.points {
                SwitchingPoints::Nested => self.last_tid <= self.current,
                SwitchingPoints::Signalled => {
                    tid == self.current + 1 && unit.units().any(|n| is_switching_point(n.bytes))
                }
                SwitchingPoints::IdrOnly => false,
            }
    }
}

fn is_switching_point(nal: &[u8]) -> bool {
    crate::sei::is_scalable(nal)
        && nal.first().is_some_and(|&b| NalType::new(b) == NalType::Sei)
        && sei_messages(&rbsp(nal))
            .any(|m| matches!(m.read(), Ok(SeiPayload::TemporalSwitchingPoint { .. })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::AccessUnit;
    use crate::nal::LayerId;

    fn unit(tid: u8, first: u8, point: bool) -> AccessUnit {
        let mut unit = AccessUnit::new(0);
        if point {
            unit.push(&[6, 35, 1, 0x28, 0x80]);
        }
        unit.push_in(&[first, 0xe0], Some(LayerId { tid, ..LayerId::default() }), 0);
        unit
    }

    /// What goes out of T0 T2 T1 T2 ..., from where `wanted` rises from 0 to 2.
    fn rises_at(points: SwitchingPoints, from: usize, idr: usize, point: usize) -> Vec<usize> {
        let mut switch = TemporalSwitch { points, ..TemporalSwitch::default() };
        let mut passed = Vec::new();
        for n in 0..16 {
            let tid = [0, 2, 1, 2][n % 4];
            let unit = unit(tid, if n == idr { 0x65 } else { 0x61 }, n == point);
            let slice = unit.iter().last().unwrap();
            let highest = switch.step(if n < from { 0 } else { 2 }, &slice, &unit);
            if tid <= highest {
                passed.push(n);
            }
        }
        passed
    }

    #[test]
    fn layers_begin_only_where_they_can_be_decoded() {
        // Wanted in the middle of a group: not before a picture of a lower layer has come.
        let nested = rises_at(SwitchingPoints::Nested, 3, 99, 99);
        assert_eq!(nested, [0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let signalled = rises_at(SwitchingPoints::Signalled, 3, 99, 10);
        assert_eq!(signalled, [0, 4, 8, 10, 12, 14]);
        let idr = rises_at(SwitchingPoints::IdrOnly, 3, 8, 6);
        assert_eq!(idr, [0, 4, 8, 9, 10, 11, 12, 13, 14, 15]);
    }
}
