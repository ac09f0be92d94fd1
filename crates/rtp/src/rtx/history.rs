use std::time::{Duration, Instant};

use crate::SequenceNumber;

/// Packets that were sent, by sequence number, for as long as they may be asked for.
///
/// A ring: the packet a whole ring later takes the place, and the memory, of an old one.
#[derive(Clone, Debug)]
pub(super) struct History {
    slots: Vec<Kept>,
    max_age: Duration,
    max_octets: usize,
}

/// A packet as it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// Its number and when it was sent; `None` where nothing is kept.
    sent: Option<(SequenceNumber, Instant)>,
    pub(super) octets: Vec<u8>,
    /// When it was sent again last.
    pub(super) again: Option<Instant>,
    /// Whether it waits to be sent again.
    pub(super) queued: bool,
}

impl History {
    pub(super) fn new(packets: usize, max_octets: usize, max_age: Duration) -> Self {
        let slots = packets.clamp(2, 16_384).next_power_of_two();
        Self { slots: vec![Kept::default(); slots], max_age, max_octets }
    }

    pub(super) fn keep(&mut self, sequence: SequenceNumber, octets: &[u8], now: Instant) {
        if octets.len() > self.max_octets {
            return;
        }
        let Some(slot) = self.slot(sequence) else { return };
        slot.sent = Some((sequence, now));
        (slot.again, slot.queued) = (None, false);
        slot.octets.clear();
        slot.octets.extend_from_slice(octets);
    }

    /// The packet of this number, unless it is too old.
    pub(super) fn find(&mut self, sequence: SequenceNumber, now: Instant) -> Option<&mut Kept> {
        let max_age = self.max_age;
        let kept = self.slot(sequence)?;
        let (number, at) = kept.sent?;
        let is_it = number == sequence && now.saturating_duration_since(at) <= max_age;
        is_it.then_some(kept)
    }

    fn slot(&mut self, sequence: SequenceNumber) -> Option<&mut Kept> {
        let at = usize::from(sequence.0) & (self.slots.len().saturating_sub(1));
        self.slots.get_mut(at)
    }
}
