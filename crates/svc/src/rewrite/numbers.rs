use crate::dpb::Dpb;
use crate::params::{ParameterSets, Sps};
use crate::rewrite::{Changes, SliceWriter};
use crate::slice::SliceType;
use crate::slice_syntax::{Marking, SliceReader, SliceSyntax};

/// Gives pictures new frame numbers without gaps when others between them are dropped.
///
/// Two decoders are followed: one that gets every picture with the numbers as they came, and one that
/// gets the kept pictures with the new numbers. References are translated from one to the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renumberer {
    original: Dpb<u64>,
    renumbered: Dpb<u64>,
    picture: u64,
    /// Both sides have been followed since an IDR picture.
    synchronised: bool,
    /// The picture whose slices are coming.
    current: Option<Current>,
    slices: SliceReader,
    writer: SliceWriter,
}

#[derive(Clone, Debug)]
struct Current {
    original: u32,
    renumbered: u32,
    idr: bool,
    reference: bool,
    kept: bool,
    marking: Marking,
    translated: Marking,
}

impl Renumberer {
    /// Begins a picture with its first slice; `kept` says whether it goes out.
    pub(crate) fn begin(&mut self, nal: &[u8], sets: &ParameterSets, kept: bool) -> Option<()> {
        self.end();
        let slice = self.slices.read(nal, sets).ok()?;
        let (_, sps) = sets.activate(slice.header.pps_id, false).ok()?;
        let header = &slice.header;
        self.synchronised |= header.idr;
        if !self.synchronised {
            return None;
        }
        self.picture += 1;
        self.original.begin(header.frame_num, header.idr, sps);
        let mut renumbered = 0;
        let mut translated = Marking::default();
        if kept {
            renumbered = self.next_number(header.idr, sps);
            self.renumbered.begin(renumbered, header.idr, sps);
            translated = self.translate_marking(&slice, renumbered);
        }
        self.current = Some(Current {
            original: header.frame_num,
            renumbered,
            idr: header.idr,
            reference: header.ref_idc != 0,
            kept,
            marking: slice.marking,
            translated,
        });
        Some(())
    }

    fn next_number(&self, idr: bool, sps: &Sps) -> u32 {
        match self.renumbered.previous_reference() {
            Some(previous) if !idr => {
                previous.wrapping_add(1) & ((1 << sps.log2_max_frame_num) - 1)
            }
            _ => 0,
        }
    }

    /// Appends a slice of the picture with its new numbers; `None` where it must go as it is.
    pub(crate) fn write(
        &mut self,
        nal: &[u8],
        sets: &ParameterSets,
        idr_pic_id: Option<u16>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let slice = self.slices.read(nal, sets).ok()?;
        let mut changes = Changes::default();
        if let Some(current) = self.current.as_ref().filter(|c| c.kept) {
            self.translate(&slice, current, &mut changes)?;
        }
        changes.idr_pic_id = idr_pic_id.filter(|_| slice.header.idr);
        if changes == Changes::default() {
            return None;
        }
        self.writer.write(nal, &slice, &self.slices.payload, &changes, out);
        Some(())
    }

    /// What changes in a slice of the picture; `None` for a kind that cannot be translated.
    fn translate(
        &self,
        slice: &SliceSyntax,
        current: &Current,
        changes: &mut Changes,
    ) -> Option<()> {
        if current.renumbered != current.original {
            changes.frame_num = Some(current.renumbered);
        }
        match slice.header.slice_type {
            SliceType::P | SliceType::Sp => {
                let commands = self.translate_list(slice, current.renumbered);
                if commands != *slice.modifications[0].commands {
                    changes.modifications = Some(commands);
                }
            }
            // Frames only, and no B pictures: temporal layers of real-time senders have none.
            SliceType::B => return None,
            SliceType::I | SliceType::Si => {}
        }
        if current.translated.adaptive != slice.marking.adaptive {
            changes.marking.clone_from(&current.translated.adaptive);
        }
        Some(())
    }

    /// Stops following: what comes next goes as it is, until an IDR picture.
    pub(crate) fn stop(&mut self) {
        self.synchronised = false;
        self.current = None;
    }

    /// Marks the picture's references on both sides.
    pub(crate) fn end(&mut self) {
        let Some(c) = self.current.take() else { return };
        let tag = Some(self.picture);
        self.original.end(c.original, c.idr, &c.marking, c.reference, tag);
        if c.kept {
            self.renumbered.end(c.renumbered, c.idr, &c.translated, c.reference, tag);
        }
    }

    /// The commands that give the renumbered decoder the same list.
    fn translate_list(&self, slice: &SliceSyntax, number: u32) -> Vec<(u8, u32)> {
        let list =
            self.original.list0(slice.header.frame_num, &slice.modifications[0], slice.active[0]);
        let mut wanted = Vec::new();
        let same = &slice.modifications[0];
        let as_it_is = self.renumbered.list0(number, same, slice.active[0]);
        let mut as_it_is = as_it_is.iter().copied();
        let mut agrees = true;
        for entry in list.iter().copied() {
            let tag = entry.and_then(|i| self.original.frame(i)?.tag);
            let place = tag.and_then(|t| self.place(t));
            agrees &= as_it_is.next().flatten() == place && place.is_some();
            // A picture that was dropped is named by no macroblock of a kept one: any will do.
            wanted.extend(place.or_else(|| (!self.renumbered.frames().is_empty()).then_some(0)));
        }
        if agrees {
            return same.commands.to_vec();
        }
        // Repeated entries need commands; a list that agrees needs none.
        self.renumbered.commands_for(number, &wanted)
    }

    fn place(&self, tag: u64) -> Option<usize> {
        self.renumbered.frames().iter().position(|f| f.tag == Some(tag))
    }

    fn translate_marking(&self, slice: &SliceSyntax, number: u32) -> Marking {
        let Some(commands) = &slice.marking.adaptive else { return slice.marking.clone() };
        let mut translated = Vec::new();
        for &(operation, a, b) in commands {
            if !matches!(operation, 1 | 3) {
                translated.push((operation, a, b));
                continue;
            }
            // Operands are differences of picture numbers (H.264 §8.2.5.4.1).
            let tag = self.original.by_difference(slice.header.frame_num, a);
            let difference = tag.and_then(|t| self.renumbered.difference_of(number, t));
            if let Some(difference) = difference {
                translated.push((operation, difference, b));
            }
        }
        Marking { adaptive: Some(translated), ..slice.marking.clone() }
    }
}
