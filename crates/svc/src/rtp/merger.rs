//! Layers of one sender that come on several synchronisation sources, put in order again.
//!
//! RFC 6190 §6.2, mode NI-TC: parts belong together by timestamp, and stand in the order of their
//! dependency ids; the cross-session decoding order number tells whether anything is missing
//! between two of them. Senders are known whose numbers say nothing, so numbers only make the wait
//! shorter, never the result different.

use std::collections::VecDeque;

use crate::access_unit::AccessUnit;
use crate::limits::Limits;
use crate::rtp::source::Part;

/// Parts that wait for others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merger {
    pending: Vec<Part>,
    next_donc: Option<u16>,
    /// Timestamp of the last access unit given out, by simulcast stream.
    released: Vec<(u8, u32)>,
    /// Parts that came too late.
    pub(crate) late: u64,
    /// Kept for its memory.
    group: Vec<Part>,
}

/// What a merger knows of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) ssrc: u32,
    pub(crate) stream: u8,
    /// Its layer needs a lower one: the part alone is not an access unit.
    pub(crate) dependent: bool,
    /// Timestamp of its newest packet in order.
    pub(crate) newest: u32,
}

/// Where finished access units go, and where used memory goes.
#[derive(Debug)]
pub(crate) struct Outlet<'a> {
    pub(crate) ready: &'a mut VecDeque<AccessUnit>,
    pub(crate) pool: &'a mut Vec<AccessUnit>,
    pub(crate) limits: &'a Limits,
}

impl Outlet<'_> {
    fn recycle(&mut self, unit: AccessUnit) {
        if self.pool.len() < 16 {
            self.pool.push(unit);
        }
    }
}

impl Merger {
    /// Takes a finished part; [`Self::release`] gives it out.
    pub(crate) fn offer(&mut self, part: Part, outlet: &mut Outlet<'_>) {
        if self.is_late(&part) {
            self.late += 1;
            outlet.recycle(part.unit);
            return;
        }
        self.pending.push(part);
    }

    /// Gives out a part that is a whole access unit, unless a later one has gone out.
    pub(crate) fn pass(&mut self, part: Part, outlet: &mut Outlet<'_>) {
        let stamp = part.unit.timestamp();
        match self.released.iter_mut().find(|r| r.0 == part.stream) {
            Some((_, last)) if is_behind(stamp, *last) => {
                self.late += 1;
                return outlet.recycle(part.unit);
            }
            Some((_, last)) => *last = stamp,
            None => self.released.push((part.stream, stamp)),
        }
        outlet.ready.push_back(part.unit);
    }

    fn is_late(&self, part: &Part) -> bool {
        let last = self.released.iter().find(|r| r.0 == part.stream);
        last.is_some_and(|&(_, last)| is_behind(part.unit.timestamp(), last))
    }

    fn note(&mut self, stream: u8, stamp: u32) {
        match self.released.iter_mut().find(|r| r.0 == stream) {
            Some(released) => released.1 = stamp,
            None => self.released.push((stream, stamp)),
        }
    }

    /// Gives out what is complete, or everything when `all` is set.
    pub(crate) fn release(&mut self, peers: &[Peer], all: bool, outlet: &mut Outlet<'_>) {
        loop {
            let mut found = None;
            for part in &self.pending {
                let group = (part.stream, part.unit.timestamp());
                let earliest = self
                    .pending
                    .iter()
                    .all(|p| p.stream != group.0 || !is_after(group.1, p.unit.timestamp()));
                if earliest
                    && (all
                        || self.pending.len() > outlet.limits.queued_access_units
                        || self.is_complete(group, peers, outlet.limits))
                {
                    found = Some(group);
                    break;
                }
            }
            let Some((stream, stamp)) = found else { return };
            self.give(stream, stamp, outlet);
        }
    }

    fn is_complete(&self, (stream, stamp): (u8, u32), peers: &[Peer], limits: &Limits) -> bool {
        let of_stream = || peers.iter().filter(|p| p.stream == stream);
        let parts =
            || self.pending.iter().filter(|p| p.stream == stream && p.unit.timestamp() == stamp);
        let has_part = |peer: &Peer| parts().any(|p| p.unit.ssrc() == peer.ssrc);
        // Everybody has delivered, or is past it.
        if of_stream().all(|p| has_part(p) || is_after(p.newest, stamp)) {
            return true;
        }
        // Waited long enough, or the source has fallen silent.
        let waited =
            of_stream().map(|p| p.newest.wrapping_sub(stamp)).filter(|w| *w < 1 << 31).max();
        if waited.is_some_and(|w| w > limits.reorder_ticks) {
            return true;
        }
        // Nothing is missing in front, and nothing else can belong to it.
        let first = parts()
            .map(|p| p.donc)
            .min_by_key(|d| d.map(|d| d.wrapping_sub(self.next_donc.unwrap_or(0))));
        let in_order = first.flatten().is_some() && first.flatten() == self.next_donc;
        in_order
            && of_stream().filter(|p| p.dependent).all(|p| has_part(p) || is_after(p.newest, stamp))
    }

    /// Joins the parts of one access unit.
    fn give(&mut self, stream: u8, stamp: u32, outlet: &mut Outlet<'_>) {
        let mut group = core::mem::take(&mut self.group);
        let mut index = 0;
        while let Some(part) = self.pending.get(index) {
            if part.stream == stream && part.unit.timestamp() == stamp {
                group.push(self.pending.remove(index));
            } else {
                index += 1;
            }
        }
        group.sort_unstable_by_key(|p| p.layer.map(|l| (l.did, l.qid)));
        self.note(stream, stamp);
        let mut unit: Option<AccessUnit> = None;
        for part in group.drain(..) {
            self.next_donc = part.donc.map(|d| d.wrapping_add(part.described)).or(self.next_donc);
            match &mut unit {
                None => unit = Some(part.unit),
                Some(unit) => {
                    // A hole in a higher layer costs that layer alone.
                    if !part.unit.is_damaged() {
                        unit.append(&part.unit);
                    }
                    outlet.recycle(part.unit);
                }
            }
        }
        match unit {
            Some(unit) if unit.is_empty() && !unit.is_damaged() => outlet.recycle(unit),
            unit => outlet.ready.extend(unit),
        }
        self.group = group;
    }
}

/// Whether something as late as `last` has gone out. Ten seconds back is not late: the sender has
/// begun anew.
const fn is_behind(stamp: u32, last: u32) -> bool {
    last.wrapping_sub(stamp) < 900_000
}

fn is_after(stamp: u32, other: u32) -> bool {
    let ahead = stamp.wrapping_sub(other);
    ahead != 0 && ahead < 1 << 31
}
