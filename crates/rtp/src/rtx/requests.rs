use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::SequenceNumber;

/// What is missing of one stream, and when it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    highest: Option<SequenceNumber>,
    /// In sequence order.
    missing: VecDeque<Missing>,
    max_missing: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    pub(super) sequence: SequenceNumber,
    pub(super) noticed: Instant,
    /// When it is to be asked for.
    pub(super) due: Instant,
    /// How often it was asked for, and when last.
    pub(super) asked: u8,
    pub(super) asked_at: Option<Instant>,
}

impl Requests {
    pub(super) fn new(max_missing: usize) -> Self {
        Self { highest: None, missing: VecDeque::new(), max_missing: max_missing.clamp(1, 4096) }
    }

    /// A packet is there. Gives what was known of it while it was missing; `Err` when it was not.
    pub(super) fn on_arrived(
        &mut self,
        sequence: SequenceNumber,
        patience: Duration,
        now: Instant,
    ) -> Result<Option<Missing>, ()> {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return Ok(None);
        };
        let ahead = sequence.distance_from(highest);
        if ahead == 1 {
            self.highest = Some(sequence);
            return Ok(None);
        }
        let gap = usize::try_from(ahead).unwrap_or(0);
        // Neither a gap worth asking for nor a late packet: the sender began anew.
        if gap > self.max_missing || ahead < -MAX_MISORDER {
            self.missing.clear();
            self.highest = Some(sequence);
            return Ok(None);
        }
        if ahead > 0 {
            self.highest = Some(sequence);
            for back in (1..ahead.unsigned_abs()).rev() {
                let sequence = sequence.wrapping_add(back.wrapping_neg());
                let due = now + patience;
                let (asked, asked_at) = (0, None);
                self.missing.push_back(Missing { sequence, noticed: now, due, asked, asked_at });
            }
            let excess = self.missing.len().saturating_sub(self.max_missing);
            self.missing.drain(..excess);
            return Ok(None);
        }
        let at = self.place(sequence).ok_or(())?;
        Ok(self.missing.remove(at))
    }

    /// Whether this packet has been asked for and not come.
    pub(super) fn is_outstanding(&self, sequence: SequenceNumber) -> bool {
        let missing = self.place(sequence).and_then(|at| self.missing.get(at));
        missing.is_some_and(|missing| missing.asked > 0)
    }

    /// Drops what is not to be waited for any more.
    pub(super) fn give_up(&mut self, mut is_over: impl FnMut(&Missing) -> bool) {
        self.missing.retain(|missing| !is_over(missing));
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = &Missing> {
        self.missing.iter()
    }

    pub(super) fn missing_mut(&mut self) -> impl Iterator<Item = &mut Missing> {
        self.missing.iter_mut()
    }

    fn place(&self, sequence: SequenceNumber) -> Option<usize> {
        let before = |missing: &Missing| sequence.distance_from(missing.sequence) > 0;
        let at = self.missing.partition_point(before);
        self.missing.get(at).filter(|missing| missing.sequence == sequence).map(|_| at)
    }
}

/// RFC 3550 A.1, with room for what was asked for.
const MAX_MISORDER: i16 = 3000;
