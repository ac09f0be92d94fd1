//! The reference pictures that a decoder holds (H.264 §8.2.4, §8.2.5), frames only.

use crate::bounded::Bounded;
use crate::params::Sps;
use crate::slice_syntax::{Commands, Marking, Modifications, SliceSyntax};

/// Frames that are held at most: `max_num_ref_frames` (H.264 A.3.1), and the one that is coming.
const FRAMES: usize = 17;
/// Entries of a reference list of frames, one more while it is reordered (H.264 §8.2.4.2).
const LIST: usize = 33;
/// Those of list 0, and every frame.
const REFERENCES: usize = LIST + FRAMES;

/// The reference frames in a decoder, each with what the caller wants to know about it.
#[derive(Clone, Debug)]
pub(crate) struct Dpb<T> {
    frames: Vec<Frame<T>>,
    prev_ref_frame_num: Option<u32>,
    max_frames: usize,
    max_frame_num: u32,
    /// `max_long_term_frame_idx_plus1` that holds.
    long_terms: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<T> {
    pub(crate) frame_num: u32,
    pub(crate) long_term: Option<u32>,
    /// `None` for a frame that never came, or that nobody asks for.
    pub(crate) tag: Option<T>,
}

impl<T> Default for Dpb<T> {
    fn default() -> Self {
        Self {
            frames: Vec::new(),
            prev_ref_frame_num: None,
            max_frames: 1,
            max_frame_num: 16,
            long_terms: 0,
        }
    }
}

impl<T: Copy + PartialEq> Dpb<T> {
    /// Makes it what `other` is, in its own memory.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let mut frames = core::mem::take(&mut self.frames);
        frames.clear();
        frames.extend_from_slice(&other.frames);
        *self = Self { frames, ..*other };
    }

    /// Prepares for a picture: forgets everything at an IDR picture, and fills the frame numbers
    /// that are missing (§8.2.5.2). Returns how many are missing.
    pub(crate) fn begin(&mut self, frame_num: u32, idr: bool, sps: &Sps) -> u32 {
        self.max_frames = usize::from(sps.max_num_ref_frames).max(1);
        self.max_frame_num = 1 << sps.log2_max_frame_num;
        if idr {
            self.frames.clear();
            self.prev_ref_frame_num = Some(0);
            return 0;
        }
        let Some(previous) = self.prev_ref_frame_num else { return 0 };
        let step = frame_num.wrapping_sub(previous) & (self.max_frame_num - 1);
        let missing = step.saturating_sub(1);
        // Only the last few can still be there afterwards.
        let kept = missing.min(u32::try_from(self.max_frames).unwrap_or(16));
        for back in (1..=kept).rev() {
            let number = frame_num.wrapping_sub(back) & (self.max_frame_num - 1);
            self.slide();
            self.frames.push(Frame { frame_num: number, long_term: None, tag: None });
        }
        if missing > 0 {
            self.prev_ref_frame_num = Some(frame_num.wrapping_sub(1) & (self.max_frame_num - 1));
        }
        missing
    }

    /// `PicNum` of a short-term frame (§8.2.4.1).
    fn pic_num(&self, frame: &Frame<T>, current: u32) -> i64 {
        let wrap = if frame.frame_num > current { i64::from(self.max_frame_num) } else { 0 };
        i64::from(frame.frame_num) - wrap
    }

    /// Indices of frames in the initial order of list 0 for P slices (§8.2.4.2.1).
    fn initial_list(&self, current: u32) -> Bounded<u8, FRAMES> {
        let mut list = Bounded::default();
        // The newest first, as most of them will stand.
        for index in (0..self.frames.len().min(FRAMES)).rev() {
            list.push(index.to_le_bytes()[0]);
        }
        list.as_mut_slice().sort_by_key(|&i| match self.frame(i) {
            Some(f) => match f.long_term {
                Some(index) => (1, i64::from(index)),
                None => (0, -self.pic_num(f, current)),
            },
            None => (2, 0),
        });
        list
    }

    /// Reference list 0 of a P slice, as far as it is active; `None` where an entry names nothing.
    pub(crate) fn list0(
        &self,
        current: u32,
        modifications: &Modifications,
        active: u8,
    ) -> Bounded<Option<u8>, LIST> {
        let active = usize::from(active);
        let mut list: Bounded<Option<u8>, LIST> = Bounded::default();
        for &index in &*self.initial_list(current) {
            list.push(Some(index));
        }
        list.resize(active, None);
        let mut predicted = i64::from(current);
        for (place, &(idc, operand)) in modifications.iter().enumerate() {
            // §8.2.4.3.
            let found = match idc {
                0 | 1 => {
                    let difference = i64::from(operand) + 1;
                    let max = i64::from(self.max_frame_num);
                    predicted += if idc == 0 { -difference } else { difference };
                    predicted = predicted.rem_euclid(max);
                    let wanted =
                        if predicted > i64::from(current) { predicted - max } else { predicted };
                    self.short_term(wanted, current)
                }
                2 => self.frames.iter().position(|f| f.long_term == Some(operand)),
                _ => None,
            };
            if place >= active {
                break;
            }
            let found = found.map(|index| index.to_le_bytes()[0]);
            list.insert(place, found);
            // The entry moves forward: its old place is closed.
            if found.is_some()
                && let Some(old) =
                    list.iter().skip(place + 1).position(|&e| e == found).map(|p| p + place + 1)
            {
                list.remove(old);
            }
            list.resize(active.min(list.len()), None);
        }
        list
    }

    fn short_term(&self, pic_num: i64, current: u32) -> Option<usize> {
        self.frames
            .iter()
            .position(|f| f.long_term.is_none() && self.pic_num(f, current) == pic_num)
    }

    /// The tag of the short-term frame that `difference_of_pic_nums_minus1` names.
    pub(crate) fn by_difference(&self, current: u32, difference: u32) -> Option<T> {
        let number = i64::from(current) - i64::from(difference) - 1;
        self.frames.get(self.short_term(number, current)?)?.tag
    }

    /// `difference_of_pic_nums_minus1` of the short-term frame with a tag.
    pub(crate) fn difference_of(&self, current: u32, tag: T) -> Option<u32> {
        let named = |f: &&Frame<T>| f.tag == Some(tag) && f.long_term.is_none();
        self.difference(self.frames.iter().find(named)?, current)
    }

    fn difference(&self, frame: &Frame<T>, current: u32) -> Option<u32> {
        u32::try_from(i64::from(current) - self.pic_num(frame, current) - 1).ok()
    }

    pub(crate) fn frame(&self, index: u8) -> Option<&Frame<T>> {
        self.frames.get(usize::from(index))
    }

    fn tagged(&self, tag: Option<T>) -> Option<&Frame<T>> {
        self.frames.iter().find(|f| f.tag.is_some() && f.tag == tag)
    }

    pub(crate) fn frames(&self) -> &[Frame<T>] {
        &self.frames
    }

    /// The operand pairs of modification commands that put `wanted` in front, in this order; empty
    /// when the initial order does so already.
    pub(crate) fn commands_for(&self, current: u32, wanted: &[u8]) -> Modifications {
        let initial = self.initial_list(current);
        let mut commands = Modifications::default();
        if initial.get(..wanted.len()) == Some(wanted) {
            return commands;
        }
        let max = i64::from(self.max_frame_num);
        let mut predicted = i64::from(current);
        for frame in wanted.iter().filter_map(|&i| self.frame(i)) {
            if let Some(index) = frame.long_term {
                commands.push((2, index));
                continue;
            }
            let number = self.pic_num(frame, current).rem_euclid(max);
            let down = (predicted - number).rem_euclid(max);
            // A difference of zero is written as a full turn (§7.4.3.1).
            let (idc, difference) = if down == 0 {
                (0, max)
            } else if down <= max / 2 {
                (0, down)
            } else {
                (1, max - down)
            };
            commands.push((idc, u32::try_from(difference - 1).unwrap_or(0)));
            predicted = number;
        }
        commands
    }

    /// Whether it has every frame of `other`, marked alike, and no long-term frame beyond those.
    pub(crate) fn serves(&self, other: &Self) -> bool {
        let marked = |frame: &Frame<T>, by: &Self| {
            by.tagged(frame.tag).is_some_and(|f| f.long_term == frame.long_term)
        };
        self.long_terms == other.long_terms
            && other.frames.iter().filter(|f| f.tag.is_some()).all(|f| marked(f, self))
            && self.frames.iter().filter(|f| f.long_term.is_some()).all(|f| marked(f, other))
    }

    /// The marking of a picture with the number `current` and the tag `own` that leaves it with the
    /// frames of `wanted`.
    pub(crate) fn marking_towards(&self, wanted: &Self, current: u32, own: T) -> Commands {
        let mut commands = Commands::default();
        let mut assigned = Commands::default();
        for frame in &self.frames {
            let to = wanted.tagged(frame.tag).map(|f| f.long_term);
            match (frame.long_term, to) {
                (Some(index), None) => _ = commands.push((2, index, 0)),
                (None, None | Some(Some(_))) => {
                    let Some(difference) = self.difference(frame, current) else { continue };
                    _ = match to.flatten() {
                        Some(index) => assigned.push((3, difference, index)),
                        None => commands.push((1, difference, 0)),
                    };
                }
                _ => {}
            }
        }
        // Behind what goes, and in front of what takes a number that was not allowed before.
        if self.long_terms != wanted.long_terms {
            commands.push((4, wanted.long_terms, 0));
        }
        assigned.iter().for_each(|&command| _ = commands.push(command));
        if let Some(index) = wanted.tagged(Some(own)).and_then(|f| f.long_term) {
            commands.push((6, index, 0));
        }
        commands
    }

    /// Frees a place for another reference frame (§8.2.5.3).
    fn slide(&mut self) {
        while self.frames.len() >= self.max_frames {
            let oldest = self.frames.iter().position(|f| f.long_term.is_none()).unwrap_or(0);
            self.frames.remove(oldest);
        }
    }

    /// Marks references behind a picture and adds it (§8.2.5); false when there was no room for it.
    pub(crate) fn end(
        &mut self,
        frame_num: u32,
        idr: bool,
        marking: &Marking,
        reference: bool,
        tag: Option<T>,
    ) -> bool {
        if !reference {
            // A picture that nothing refers to takes the next number without using it up.
            return true;
        }
        let mut long_term = None;
        let mut frame_num = frame_num;
        if idr {
            self.long_terms = u32::from(marking.long_term_reference);
            long_term = marking.long_term_reference.then_some(0);
        }
        let adaptive = marking.adaptive && !idr;
        for &(operation, a, b) in marking.commands.iter().filter(|_| adaptive) {
            self.command(operation, a, b, frame_num, &mut long_term);
            if operation == 5 {
                frame_num = 0;
            }
        }
        // After commands a conforming stream has room; a damaged one must not grow.
        let fits = !adaptive || self.frames.len() < self.max_frames;
        self.slide();
        self.prev_ref_frame_num = Some(frame_num);
        self.frames.push(Frame { frame_num, long_term, tag });
        fits
    }

    /// One memory management control operation (§8.2.5.4).
    pub(crate) fn command(
        &mut self,
        operation: u8,
        a: u32,
        b: u32,
        current: u32,
        own: &mut Option<u32>,
    ) {
        let number = i64::from(current) - i64::from(a) - 1;
        match operation {
            1 => {
                if let Some(index) = self.short_term(number, current) {
                    self.frames.remove(index);
                }
            }
            2 => self.frames.retain(|f| f.long_term != Some(a)),
            3 => {
                let index = self.short_term(number, current);
                let Some(mut frame) = index.map(|i| self.frames.remove(i)) else { return };
                self.frames.retain(|f| f.long_term != Some(b));
                frame.long_term = Some(b);
                self.frames.push(frame);
            }
            4 => {
                self.frames.retain(|f| f.long_term.is_none_or(|l| l < a));
                self.long_terms = a;
            }
            5 => {
                self.frames.clear();
                self.long_terms = 0;
            }
            6 => {
                self.frames.retain(|f| f.long_term != Some(a));
                *own = Some(a);
            }
            _ => {}
        }
    }

    /// `frame_num` of the last reference picture.
    pub(crate) const fn previous_reference(&self) -> Option<u32> {
        self.prev_ref_frame_num
    }

    /// The tags of the frames that a slice may predict from; `None` for one that is missing.
    pub(crate) fn references(&self, slice: &SliceSyntax) -> Bounded<Option<T>, REFERENCES> {
        let list = self.list0(slice.header.frame_num, &slice.modifications[0], slice.active[0]);
        let mut tags = Bounded::default();
        for entry in &*list {
            tags.push(entry.and_then(|i| self.frame(i)?.tag));
        }
        if slice.active[1] > 0 {
            // B slices: every frame may be in list 1.
            for frame in &self.frames {
                tags.push(frame.tag);
            }
        }
        tags
    }
}
