use crate::dpb::Dpb;
use crate::params::{ParameterSets, Sps};
use crate::rewrite::{Changes, SliceWriter};
use crate::slice::SliceType;
use crate::slice_syntax::{Marking, Modifications, SliceReader, SliceSyntax};

/// Gives pictures new frame numbers without gaps when others between them are dropped.
///
/// Two decoders are followed: one that gets every picture with the numbers as they came, and one that
/// gets the kept pictures with the new numbers. References are translated from one to the other.
///
/// Where gaps may stay they do, and both decoders hold the same, until a picture is dropped that
/// carries memory management control operations: a gap does not carry them out, so from then on
/// pictures are numbered anew, and the next one that may marks what the dropped one would have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renumberer {
    /// What a decoder of everything holds; pictures that are dropped have no tag.
    original: Dpb<u64>,
    renumbered: Dpb<u64>,
    /// The same two behind the picture that is coming.
    ahead: [Dpb<u64>; 2],
    picture: u64,
    /// Both sides have been followed since an IDR picture.
    synchronised: bool,
    /// Numbers are new ones.
    renumbers: bool,
    /// There have been memory management control operations since the IDR picture.
    adaptive: bool,
    /// The picture whose slices are coming, and its marking on both sides.
    current: Option<Current>,
    marking: Marking,
    translated: Marking,
    slices: SliceReader,
    writer: SliceWriter,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    original: u32,
    renumbered: u32,
    idr: bool,
    reference: bool,
    kept: bool,
    /// It is written with new numbers.
    rewritten: bool,
    /// Its marking is another one.
    remarked: bool,
}

impl Renumberer {
    /// Begins a picture with its first slice; `kept` says whether it goes out, `gaps` whether gaps
    /// may stay where the sequence parameter set allows them. Returns whether it is to be written
    /// anew.
    pub(crate) fn begin(
        &mut self,
        nal: &[u8],
        sets: &ParameterSets,
        kept: bool,
        gaps: bool,
    ) -> bool {
        self.end();
        // What nothing refers to leaves no trace.
        if !kept && nal.first().is_none_or(|first| first & 0x60 == 0) {
            return false;
        }
        let Ok((slice, sps)) = self.slices.read_front(nal, sets) else { return false };
        let header = slice.header;
        self.marking.copy_from(&slice.marking);
        if header.idr {
            self.synchronised = true;
            self.renumbers = false;
            self.adaptive = false;
        }
        if !self.synchronised {
            return false;
        }
        self.picture += 1;
        let commands = header.ref_idc != 0 && self.marking.adaptive;
        self.adaptive |= commands;
        self.renumbers |= !(gaps && sps.gaps_in_frame_num_allowed) || commands && !kept;
        self.original.begin(header.frame_num, header.idr, sps);
        let mut current = Current {
            original: header.frame_num,
            renumbered: header.frame_num,
            idr: header.idr,
            reference: header.ref_idc != 0,
            kept,
            rewritten: kept && self.renumbers,
            remarked: false,
        };
        if current.rewritten {
            current.renumbered = self.next_number(header.idr, sps);
            self.renumbered.begin(current.renumbered, header.idr, sps);
            self.translated.copy_from(&self.marking);
            if self.adaptive && current.reference && !current.idr {
                self.translate_marking(current.original, current.renumbered);
                current.remarked = self.translated.adaptive != self.marking.adaptive
                    || *self.translated.commands != *self.marking.commands;
            }
        }
        self.current = Some(current);
        current.rewritten
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
        self.slices.read(nal, sets).ok()?;
        let slice = &self.slices.syntax;
        let mut changes = Changes::default();
        let commands;
        if let Some(current) = self.current.filter(|c| c.rewritten) {
            if current.renumbered != current.original {
                changes.frame_num = Some(current.renumbered);
            }
            match slice.header.slice_type {
                SliceType::P | SliceType::Sp => {
                    commands = self.translate_list(slice, current.renumbered);
                    let same = *commands == *slice.modifications[0];
                    changes.modifications = (!same).then_some(&*commands);
                }
                // Frames only, and no B pictures: temporal layers of real-time senders have none.
                SliceType::B => return None,
                SliceType::I | SliceType::Si => {}
            }
            changes.marking = current.remarked.then_some(&*self.translated.commands);
        }
        changes.idr_pic_id = idr_pic_id.filter(|_| slice.header.idr);
        if changes == Changes::default() {
            return None;
        }
        self.writer.write(nal, slice, &self.slices.payload, &changes, out);
        Some(())
    }

    /// Stops following: what comes next goes as it is, until an IDR picture.
    pub(crate) fn stop(&mut self) {
        self.synchronised = false;
        self.current = None;
    }

    /// Marks the picture's references on both sides.
    fn end(&mut self) {
        let Some(c) = self.current.take() else { return };
        let tag = c.kept.then_some(self.picture);
        self.original.end(c.original, c.idr, &self.marking, c.reference, tag);
        if c.rewritten {
            self.renumbered.end(c.renumbered, c.idr, &self.translated, c.reference, tag);
        } else if c.kept {
            // Where gaps stay, frames that a decoder makes up stand for those that were dropped.
            self.renumbered.copy_from(&self.original);
        }
    }

    /// The commands that give the renumbered decoder the same list.
    fn translate_list(&self, slice: &SliceSyntax, number: u32) -> Modifications {
        let same = &slice.modifications[0];
        let list = self.original.list0(slice.header.frame_num, same, slice.active[0]);
        let as_it_is = self.renumbered.list0(number, same, slice.active[0]);
        let mut as_it_is = as_it_is.iter().copied();
        let mut wanted: crate::bounded::Bounded<u8, 32> = Default::default();
        let mut agrees = true;
        for entry in list.iter().copied() {
            let place = entry.and_then(|i| self.place(self.original.frame(i)?.tag?));
            agrees &= as_it_is.next().flatten() == place && place.is_some();
            // A picture that was dropped is named by no macroblock of a kept one: any will do.
            if let Some(place) = place.or_else(|| self.any_place()) {
                wanted.push(place);
            }
        }
        if agrees {
            return same.clone();
        }
        // Repeated entries need commands; a list that agrees needs none.
        self.renumbered.commands_for(number, &wanted)
    }

    fn place(&self, tag: u64) -> Option<u8> {
        let place = self.renumbered.frames().iter().position(|f| f.tag == Some(tag))?;
        Some(place.to_le_bytes()[0])
    }

    /// A picture that is there, or one that a decoder made up where there is no other.
    fn any_place(&self) -> Option<u8> {
        let frames = self.renumbered.frames();
        let place = frames.iter().position(|f| f.tag.is_some()).unwrap_or(0);
        (!frames.is_empty()).then_some(place.to_le_bytes()[0])
    }

    /// Turns `translated`, which holds the marking as it came, into one for the renumbered decoder
    /// that leaves it with all that the other one holds.
    fn translate_marking(&mut self, original: u32, number: u32) {
        let [all, kept] = &mut self.ahead;
        all.copy_from(&self.original);
        kept.copy_from(&self.renumbered);
        let commands = &mut self.translated.commands;
        commands.clear();
        let mut own = None;
        for &(operation, a, b) in &*self.marking.commands {
            // Operands are differences of picture numbers (H.264 §8.2.5.4.1).
            let named = all.by_difference(original, a);
            let a = match operation {
                1 | 3 => named.and_then(|tag| kept.difference_of(number, tag)),
                2 => kept.frames().iter().any(|f| f.long_term == Some(a)).then_some(a),
                _ => Some(a),
            };
            // What names a dropped picture says nothing here.
            if let Some(a) = a {
                commands.push((operation, a, b));
                kept.command(operation, a, b, number, &mut own);
            }
        }
        let tag = Some(self.picture);
        all.end(original, false, &self.marking, true, tag);
        kept.copy_from(&self.renumbered);
        let fits = kept.end(number, false, &self.translated, true, tag);
        if !fits || !kept.serves(all) {
            self.translated.adaptive = true;
            self.translated.commands = self.renumbered.marking_towards(all, number, self.picture);
        }
    }
}
