use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::SequenceNumber;

/// Puts packets back in order, and says which were lost.
///
/// A packet that is next goes straight through. Behind a gap packets wait, until the gap is
/// filled, they have waited for [`ReorderConfig::hold`], or the buffer is full.
///
/// After each [`push`](Self::push) and [`handle_timeout`](Self::handle_timeout), drain
/// [`poll`](Self::poll).
///
/// ```
/// use linkspan_rtp::{ReorderBuffer, ReorderConfig, Reordered, SequenceNumber};
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let hold = Duration::from_millis(40);
/// let mut buffer = ReorderBuffer::new(ReorderConfig { capacity: 64, hold });
/// for (sequence, item) in [(1, 'a'), (3, 'c'), (2, 'b'), (5, 'e')] {
///     buffer.push(SequenceNumber(sequence), item, start)?;
/// }
/// let mut out = String::new();
/// while let Some(Reordered::Packet { item, .. }) = buffer.poll() {
///     out.push(item);
/// }
/// assert_eq!(out, "abc");
/// buffer.handle_timeout(start + hold);
/// assert_eq!(buffer.poll(), Some(Reordered::Lost { first: SequenceNumber(4), count: 1 }));
/// # Ok::<(), linkspan_rtp::ReorderError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReorderBuffer<T> {
    config: ReorderConfig,
    /// Waiting packets, by sequence number modulo the length.
    slots: Vec<Option<Waiting<T>>>,
    waiting: usize,
    next: Option<SequenceNumber>,
    /// The number that would prove that the sender started anew.
    restart: Option<SequenceNumber>,
    ready: VecDeque<Reordered<T>>,
}

#[derive(Clone, Debug)]
struct Waiting<T> {
    sequence: SequenceNumber,
    since: Instant,
    item: T,
}

/// Limits of a [`ReorderBuffer`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReorderConfig {
    /// Sequence numbers that the buffer spans, made a power of two of 2 to 16,384.
    pub capacity: usize,
    /// How long a packet waits behind a gap.
    pub hold: Duration,
}

impl Default for ReorderConfig {
    /// 512 packets and 60 ms: a burst of video, and the reordering of two relayed paths.
    fn default() -> Self {
        Self { capacity: 512, hold: Duration::from_millis(60) }
    }
}

/// What comes out of a [`ReorderBuffer`], in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reordered<T> {
    /// A packet.
    Packet {
        /// Its sequence number.
        sequence: SequenceNumber,
        /// What was pushed with it.
        item: T,
    },
    /// Packets that did not come.
    Lost {
        /// The first of them.
        first: SequenceNumber,
        /// How many.
        count: u16,
    },
    /// The sender started anew: what follows has nothing to do with what came before.
    Restarted,
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReorderError {
    /// It was passed on, or given up, before.
    #[error("packet is late")]
    Late,
    /// It waits already.
    #[error("packet is a duplicate")]
    Duplicate,
    /// Its number is too far off to believe; the next one that follows it is believed.
    #[error("sequence number jumped")]
    Jump,
    /// More than a whole buffer has not been polled.
    #[error("output was not polled")]
    NotPolled,
}

impl<T> ReorderBuffer<T> {
    /// An empty buffer.
    #[must_use]
    pub fn new(config: ReorderConfig) -> Self {
        let capacity = config.capacity.clamp(2, 16_384).next_power_of_two();
        let slots = (0..capacity).map(|_| None).collect();
        let ready = VecDeque::with_capacity(capacity);
        let config = ReorderConfig { capacity, ..config };
        Self { config, slots, waiting: 0, next: None, restart: None, ready }
    }

    /// A packet came.
    ///
    /// # Errors
    ///
    /// When the packet is late, a duplicate, or not to be believed; it is dropped.
    pub fn push(
        &mut self,
        sequence: SequenceNumber,
        item: T,
        now: Instant,
    ) -> Result<(), ReorderError> {
        if self.ready.len() > 2 * self.config.capacity {
            return Err(ReorderError::NotPolled);
        }
        let ahead = match self.next {
            None => 0,
            Some(next) => sequence.distance_from(next),
        };
        if !(-MAX_MISORDER..MAX_DROPOUT).contains(&ahead) {
            return self.jump(sequence, item);
        }
        self.restart = None;
        let Ok(ahead) = usize::try_from(ahead) else { return Err(ReorderError::Late) };
        if ahead == 0 {
            self.next = Some(sequence.next());
            self.ready.push_back(Reordered::Packet { sequence, item });
            self.release();
            return Ok(());
        }
        if ahead >= self.config.capacity {
            // Make room: give up whatever lies more than a buffer behind.
            let back = u16::try_from(self.config.capacity - 1).unwrap_or(u16::MAX);
            self.skip_to(sequence.wrapping_add(back.wrapping_neg()));
            self.release();
        }
        if self.next == Some(sequence) {
            return self.push(sequence, item, now);
        }
        let Some(slot) = self.slot_mut(sequence) else { return Err(ReorderError::NotPolled) };
        if slot.is_some() {
            return Err(ReorderError::Duplicate);
        }
        *slot = Some(Waiting { sequence, since: now, item });
        self.waiting += 1;
        Ok(())
    }

    /// Time has passed: gives up gaps behind which a packet has waited long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, sequence)) = self.first_due() {
            if due > now {
                return;
            }
            self.skip_to(sequence);
            self.release();
        }
    }

    /// The next packet or loss.
    pub fn poll(&mut self) -> Option<Reordered<T>> {
        self.ready.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` when nothing waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.first_due().map(|(due, _)| due)
    }

    /// Packets that wait behind a gap.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The packet that waits first in order, and until when it may.
    fn first_due(&self) -> Option<(Instant, SequenceNumber)> {
        if self.waiting == 0 {
            return None;
        }
        let mut sequence = self.next?;
        for _ in 0..self.config.capacity {
            if let Some(waiting) = self.slot(sequence) {
                return Some((waiting.since + self.config.hold, waiting.sequence));
            }
            sequence = sequence.next();
        }
        None
    }

    /// Passes on what is in order now.
    fn release(&mut self) {
        while let Some(sequence) = self.next.filter(|_| self.waiting > 0) {
            let Some(waiting) = self.slot_mut(sequence).and_then(Option::take) else { return };
            self.waiting -= 1;
            self.next = Some(sequence.next());
            self.ready.push_back(Reordered::Packet { sequence, item: waiting.item });
        }
    }

    /// Gives up everything missing before `target`.
    fn skip_to(&mut self, target: SequenceNumber) {
        while let Some(next) = self.next {
            let missing = self.gap(next, target);
            if missing > 0 {
                self.ready.push_back(Reordered::Lost { first: next, count: missing });
                self.next = Some(next.wrapping_add(missing));
            }
            if self.next == Some(target) || missing == 0 && self.slot(next).is_none() {
                return;
            }
            self.release();
            if self.next.is_some_and(|next| next.distance_from(target) >= 0) {
                return;
            }
        }
    }

    /// Numbers from `next` on that are missing, up to `target`.
    fn gap(&self, next: SequenceNumber, target: SequenceNumber) -> u16 {
        let limit = u16::try_from(target.distance_from(next)).unwrap_or(0);
        (0..limit).find(|by| self.slot(next.wrapping_add(*by)).is_some()).unwrap_or(limit)
    }

    fn jump(&mut self, sequence: SequenceNumber, item: T) -> Result<(), ReorderError> {
        // RFC 3550 A.1: two in sequence prove that the sender started anew.
        if self.restart != Some(sequence) {
            self.restart = Some(sequence.next());
            return Err(ReorderError::Jump);
        }
        self.restart = None;
        self.slots.iter_mut().for_each(|slot| *slot = None);
        self.waiting = 0;
        self.next = Some(sequence.next());
        self.ready.push_back(Reordered::Restarted);
        self.ready.push_back(Reordered::Packet { sequence, item });
        Ok(())
    }

    fn slot(&self, sequence: SequenceNumber) -> Option<&Waiting<T>> {
        let at = usize::from(sequence.0) & (self.config.capacity - 1);
        self.slots.get(at)?.as_ref().filter(|waiting| waiting.sequence == sequence)
    }

    fn slot_mut(&mut self, sequence: SequenceNumber) -> Option<&mut Option<Waiting<T>>> {
        self.slots.get_mut(usize::from(sequence.0) & (self.config.capacity - 1))
    }
}

// RFC 3550 A.1: how far a believable packet lies behind or ahead.
pub(crate) const MAX_MISORDER: i16 = 3000;
pub(crate) const MAX_DROPOUT: i16 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(buffer: &mut ReorderBuffer<u16>) -> Vec<Reordered<u16>> {
        std::iter::from_fn(|| buffer.poll()).collect()
    }

    fn packet(sequence: u16) -> Reordered<u16> {
        Reordered::Packet { sequence: SequenceNumber(sequence), item: sequence }
    }

    fn lost(first: u16, count: u16) -> Reordered<u16> {
        Reordered::Lost { first: SequenceNumber(first), count }
    }

    fn buffer(capacity: usize) -> ReorderBuffer<u16> {
        ReorderBuffer::new(ReorderConfig { capacity, hold: Duration::from_millis(10) })
    }

    #[test]
    fn a_full_buffer_gives_up_the_oldest_gap() {
        let now = Instant::now();
        let mut buffer = buffer(4);
        let mut push = |sequence| buffer.push(SequenceNumber(sequence), sequence, now);
        push(65_534).unwrap();
        push(0).unwrap();
        push(2).unwrap();
        assert_eq!(push(0), Err(ReorderError::Duplicate));
        push(3).unwrap();
        push(4).unwrap();
        assert_eq!(push(65_535), Err(ReorderError::Late));
        assert_eq!(drain(&mut buffer), [packet(65_534), lost(65_535, 1), packet(0)]);
        buffer.push(SequenceNumber(1), 1, now).unwrap();
        assert_eq!(drain(&mut buffer), [1, 2, 3, 4].map(packet));
        assert_eq!((buffer.waiting(), buffer.poll_timeout()), (0, None));
    }

    #[test]
    fn a_gap_longer_than_the_buffer_is_one_loss() {
        let now = Instant::now();
        let mut buffer = buffer(4);
        for sequence in [1, 3, 1000] {
            buffer.push(SequenceNumber(sequence), sequence, now).unwrap();
        }
        assert_eq!(drain(&mut buffer), [packet(1), lost(2, 1), packet(3), lost(4, 993)]);
        buffer.handle_timeout(now + Duration::from_millis(10));
        assert_eq!(drain(&mut buffer), [lost(997, 3), packet(1000)]);
    }

    #[test]
    fn waits_no_longer_than_told() {
        let start = Instant::now();
        let mut buffer = buffer(64);
        let at = |ms| start + Duration::from_millis(ms);
        for (sequence, ms) in [(1, 0), (3, 5), (5, 8)] {
            buffer.push(SequenceNumber(sequence), sequence, at(ms)).unwrap();
        }
        assert_eq!(buffer.poll_timeout(), Some(at(15)));
        buffer.handle_timeout(at(14));
        assert_eq!(drain(&mut buffer), [packet(1)]);
        buffer.handle_timeout(at(15));
        assert_eq!(drain(&mut buffer), [lost(2, 1), packet(3)]);
        assert_eq!(buffer.poll_timeout(), Some(at(18)));
    }

    #[test]
    fn believes_a_restart_after_two_packets() {
        let now = Instant::now();
        let mut buffer = buffer(16);
        buffer.push(SequenceNumber(1), 1, now).unwrap();
        assert_eq!(buffer.push(SequenceNumber(30_000), 0, now), Err(ReorderError::Jump));
        buffer.push(SequenceNumber(2), 2, now).unwrap();
        assert_eq!(buffer.push(SequenceNumber(30_000), 0, now), Err(ReorderError::Jump));
        buffer.push(SequenceNumber(30_001), 30_001, now).unwrap();
        let out = drain(&mut buffer);
        assert_eq!(out, [packet(1), packet(2), Reordered::Restarted, packet(30_001)]);
    }

    #[test]
    fn output_is_in_order_and_complete_whatever_comes() {
        use rand_core::{Rng as _, SeedableRng as _};
        for seed in 0..64u8 {
            let mut random = rand_chacha::ChaCha8Rng::from_seed([seed; 32]);
            let start = Instant::now();
            let mut buffer = buffer(32);
            let mut expected = 60_000u16;
            let mut passed = 0;
            let mut check = |buffer: &mut ReorderBuffer<u16>| {
                for item in drain(buffer) {
                    match item {
                        Reordered::Packet { sequence, item } => {
                            assert_eq!((sequence.0, item), (expected, expected), "seed {seed}");
                            expected = expected.wrapping_add(1);
                            passed += 1;
                        }
                        Reordered::Lost { first, count } => {
                            assert_eq!(first.0, expected, "seed {seed}");
                            expected = expected.wrapping_add(count);
                        }
                        Reordered::Restarted => unreachable!("seed {seed}"),
                    }
                }
            };
            buffer.push(SequenceNumber(60_000), 60_000, start).unwrap();
            for step in 0..20_000u32 {
                let now = start + Duration::from_millis(step.into());
                let [a, b, c, ..] = random.next_u32().to_be_bytes();
                if a < 60 {
                    continue;
                }
                let back = u32::from(b % 8) * u32::from(c & 1);
                let [.., s0, s1] = (60_001 + step).saturating_sub(back).to_be_bytes();
                let sequence = u16::from_be_bytes([s0, s1]);
                let _late_or_duplicate = buffer.push(SequenceNumber(sequence), sequence, now);
                buffer.handle_timeout(now);
                check(&mut buffer);
                assert!(buffer.poll_timeout().is_none_or(|due| due > now), "seed {seed}");
            }
            assert!(passed > 10_000, "seed {seed}: {passed}");
        }
    }
}
