//! Temporal layers of streams that do not tell them.

use crate::dpb::Dpb;
use crate::nal::{LayerId, NalType};
use crate::params::ParameterSets;
use crate::reader::{AccessUnitReader, StreamNal};
use crate::slice::SliceHeader;
use crate::slice_syntax::SliceReader;

/// Temporal ids by access unit and simulcast stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct TemporalIds {
    streams: Vec<Vec<u8>>,
}

impl TemporalIds {
    /// Looks through `stream` when an extraction with `max_temporal` needs it.
    ///
    /// Encoders with temporal layers give higher layers a smaller `nal_ref_idc`. That is a habit, so
    /// it is believed only where the references bear it out: no picture refers to one of a higher
    /// layer. Otherwise the pictures that nothing refers to are layer 1 and all others layer 0.
    pub(crate) fn of(stream: &[u8], max_temporal: u8) -> Self {
        if max_temporal >= 7 {
            return Self::default();
        }
        let mut marks = Vec::new();
        let mut reader = AccessUnitReader::new(stream);
        for index in 0.. {
            let unit = reader.read_nals().to_vec();
            if unit.is_empty() {
                break;
            }
            for nal in unit.iter().filter(|n| is_untold(n)) {
                let Ok(header) = SliceHeader::parse(nal.located.bytes, reader.parameter_sets())
                else {
                    continue;
                };
                note(&mut marks, index, nal.stream, &header);
            }
        }
        let mut streams: Vec<Vec<u8>> = marks.iter().map(|m| rank(m)).collect();
        for (number, tids) in streams.iter_mut().enumerate() {
            if !bears_out(stream, number, tids) {
                let marks = marks.get(number).map_or(&[][..], |m| m);
                *tids = marks
                    .iter()
                    .map(|m| u8::from(*m == Some(Mark { idr: false, ref_idc: 0 })))
                    .collect();
            }
        }
        Self { streams }
    }

    /// The layer of a slice.
    pub(crate) fn layer(&self, unit: usize, nal: &StreamNal<'_>) -> LayerId {
        nal.layer.unwrap_or_else(|| {
            let tids = self.streams.get(usize::from(nal.stream));
            let tid = tids.and_then(|t| t.get(unit)).copied().unwrap_or(0);
            LayerId { tid, ..LayerId::default() }
        })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Mark {
    idr: bool,
    ref_idc: u8,
}

fn is_untold(nal: &StreamNal<'_>) -> bool {
    matches!(nal.kind, NalType::Slice | NalType::IdrSlice) && nal.layer.is_none()
}

fn note(marks: &mut Vec<Vec<Option<Mark>>>, unit: usize, stream: u8, header: &SliceHeader) {
    let stream = usize::from(stream);
    if marks.len() <= stream {
        marks.resize_with(stream + 1, Vec::new);
    }
    if let Some(list) = marks.get_mut(stream) {
        list.resize(unit + 1, None);
        if let Some(slot) = list.last_mut() {
            *slot = Some(Mark { idr: header.idr, ref_idc: header.ref_idc });
        }
    }
}

/// Layer numbers by descending `nal_ref_idc` of the pictures that are not IDR pictures.
fn rank(marks: &[Option<Mark>]) -> Vec<u8> {
    let mut seen = [false; 4];
    for mark in marks.iter().flatten().filter(|m| !m.idr) {
        if let Some(slot) = seen.get_mut(usize::from(mark.ref_idc & 3)) {
            *slot = true;
        }
    }
    let above = |idc: u8| seen.iter().skip(usize::from(idc & 3) + 1).filter(|s| **s).count();
    marks
        .iter()
        .map(|m| m.filter(|m| !m.idr).map_or(0, |m| above(m.ref_idc).to_le_bytes()[0]))
        .collect()
}

/// Whether no picture refers to one of a higher layer.
fn bears_out(stream: &[u8], number: usize, tids: &[u8]) -> bool {
    let mut sets = ParameterSets::new();
    let mut dpb: Dpb<u8> = Dpb::default();
    let mut slices = SliceReader::default();
    let mut reader = AccessUnitReader::new(stream);
    for index in 0.. {
        let unit = reader.read_nals();
        if unit.is_empty() {
            return true;
        }
        for nal in unit {
            let _ = sets.update(nal.located.bytes);
        }
        let tid = tids.get(index).copied().unwrap_or(0);
        let mut picture = None;
        for nal in unit.iter().filter(|n| is_untold(n) && usize::from(n.stream) == number) {
            let Ok((slice, sps)) = slices.read_header(nal.located.bytes, &sets) else {
                return false;
            };
            if picture.is_none() {
                dpb.begin(slice.header.frame_num, slice.header.idr, sps);
            }
            if dpb.references(slice).iter().flatten().any(|&of| of > tid) {
                return false;
            }
            picture = Some(slice.header);
        }
        if let Some(h) = picture {
            let marking = &slices.syntax.marking;
            dpb.end(h.frame_num, h.idr, marking, h.ref_idc != 0, Some(tid));
        }
    }
    true
}
