//! Where access units begin (H.264 §7.4.1.2.3, §7.4.1.2.4, §G.7.4.1.2.4).

use crate::active_sets::pps_id_of;
use crate::bits::BitReader;
use crate::nal::NalType;
use crate::params::{ParameterSets, Pps, Sps};
use crate::reader::StreamNal;
use crate::slice::SliceHeader;

/// Where a NAL unit belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// To the access unit in progress, with everything held.
    Same,
    /// It is the first slice of another access unit, which everything held belongs to.
    New,
    /// The next slice decides.
    Held,
}

/// Finds access unit boundaries in a sequence of NAL units.
#[derive(Clone, Debug, Default)]
pub(crate) struct Splitter {
    pub(crate) sets: ParameterSets,
    /// The last slice of each primary picture of the access unit in progress.
    pictures: Vec<SliceHeader>,
    has_slices: bool,
    holding: bool,
    delimited: bool,
    /// Pictures stood side by side.
    simulcast: bool,
    /// The simulcast stream of each sequence parameter set, and its picture size.
    streams: [Option<(u8, u32)>; 32],
}

impl Splitter {
    /// Takes the next NAL unit of the stream.
    pub(crate) fn next(&mut self, nal: &[u8]) -> Place {
        let Some(&first) = nal.first() else { return Place::Held };
        let kind = NalType::new(first);
        match kind {
            NalType::Slice
            | NalType::IdrSlice
            | NalType::Partition(2)
            | NalType::SliceExtension => self.slice(nal, kind),
            NalType::Sps | NalType::SubsetSps | NalType::Pps => {
                // An unreadable set shows where a slice needs it.
                let _ = self.sets.update(nal);
                self.other(true)
            }
            // H.264 §7.4.1.2.3: these start an access unit behind the last slice of a picture.
            NalType::Sei | NalType::Prefix | NalType::Other(16..=18) => self.other(true),
            NalType::Delimiter => {
                self.delimited |= self.has_slices;
                self.other(true)
            }
            _ => self.other(false),
        }
    }

    const fn other(&mut self, starts: bool) -> Place {
        self.holding |= starts && self.has_slices;
        if self.holding { Place::Held } else { Place::Same }
    }

    fn slice(&mut self, nal: &[u8], kind: NalType) -> Place {
        let header = SliceHeader::parse(nal, &self.sets);
        let new = self.has_slices
            && (self.delimited
                || match &header {
                    Ok(h) => self.is_new(h, kind),
                    // Without its parameter sets only the position tells.
                    Err(_) => {
                        kind != NalType::SliceExtension
                            && BitReader::new(nal.get(1..).unwrap_or_default()).ue() == Ok(0)
                    }
                });
        if new {
            self.pictures.clear();
        }
        self.holding = false;
        self.delimited = false;
        self.has_slices = true;
        if let Ok(h) = header {
            match self.pictures.iter_mut().find(|p| same_layer(p, &h)) {
                Some(picture) => *picture = h,
                None => self.pictures.push(h),
            }
        }
        if new { Place::New } else { Place::Same }
    }

    fn is_new(&mut self, h: &SliceHeader, kind: NalType) -> bool {
        if let Some(same) = self.pictures.iter().find(|p| same_layer(p, h)) {
            return h.starts_new_picture(same);
        }
        if kind == NalType::SliceExtension {
            // G.7.4.1.2.4: a layer joins the access unit of the lower ones, at the same time.
            return self
                .pictures
                .iter()
                .any(|p| p.svc.is_some_and(|s| Some(s.tid) != h.svc.map(|e| e.tid)));
        }
        let Some(base) = self.pictures.iter().find(|p| p.svc.is_none()) else {
            // Slices of the base layer come first.
            return !self.pictures.is_empty();
        };
        let beside = h.frame_num == base.frame_num
            && h.poc_lsb == base.poc_lsb
            && h.idr == base.idr
            && h.idr_pic_id == base.idr_pic_id;
        self.simulcast |= beside;
        !beside
    }

    /// Numbers the simulcast streams of an access unit, in the order of their sequence parameter
    /// sets.
    pub(crate) fn number_streams(&mut self, unit: &mut [StreamNal<'_>]) {
        if !self.simulcast {
            return;
        }
        self.learn_streams(unit);
        // From the back, so that a prefix or SEI takes the stream of what follows it.
        let mut following = 0;
        for nal in unit.iter_mut().rev() {
            let sps_id = match nal.kind {
                NalType::Sps => Sps::parse(nal.located.bytes).map(|s| s.id).ok(),
                NalType::Pps => Pps::parse(nal.located.bytes).map(|p| p.sps_id).ok(),
                _ => self.sps_id_of(nal),
            };
            nal.stream = sps_id.map_or(following, |id| self.stream_of(id));
            if nal.kind.is_vcl() {
                following = nal.stream;
            }
        }
    }

    /// Pictures side by side are numbered; encoders may take new numbers for their sets at each
    /// IDR picture, and then the picture size tells a stream that comes alone.
    fn learn_streams(&mut self, unit: &[StreamNal<'_>]) {
        let mut present = 0u32;
        for nal in unit.iter().filter(|n| n.kind != NalType::SliceExtension) {
            present |= self.sps_id_of(nal).map_or(0, |id| 1 << (id & 31));
        }
        let alone = present.count_ones() == 1;
        for id in (0..32u8).filter(|id| present >> id & 1 != 0) {
            let size = self.sets.sps(id).map_or(0, Sps::frame_size_mbs);
            let stream = if alone {
                let known = self.streams.iter().flatten().find(|s| s.1 == size);
                known.map_or(0, |s| s.0)
            } else {
                (present & ((1 << id) - 1)).count_ones().to_le_bytes()[0]
            };
            if let Some(slot) = self.streams.get_mut(usize::from(id))
                && !(alone && slot.is_some_and(|s| s.1 == size))
            {
                *slot = Some((stream, size));
            }
        }
    }

    fn sps_id_of(&self, nal: &StreamNal<'_>) -> Option<u8> {
        let pps_id = nal.kind.is_vcl().then(|| pps_id_of(nal.located.bytes))??;
        self.sets.pps(pps_id).map(|p| p.sps_id)
    }

    fn stream_of(&self, sps_id: u8) -> u8 {
        self.streams.get(usize::from(sps_id)).copied().flatten().map_or(0, |s| s.0)
    }
}

/// Whether two slices are of the same layer of the same simulcast stream.
fn same_layer(a: &SliceHeader, b: &SliceHeader) -> bool {
    match (a.svc, b.svc) {
        (None, None) => a.sps_id == b.sps_id,
        (Some(a), Some(b)) => (a.did, a.qid) == (b.did, b.qid),
        _ => false,
    }
}
