use std::collections::VecDeque;
use std::time::Instant;

use crate::stats::timestamp_units;
use crate::{RtpHeader, RtpPacketMut, SequenceNumber, Ssrc};

/// Makes one continuous stream of packets from changing sources: one SSRC, no gap in the sequence
/// numbers, timestamps that go on with the time that passed.
///
/// Losses within a source stay visible as gaps, so that the receiver can report and repair them.
/// Lync throttles a stream whose SSRC or sequence numbers jump (\[MS-RTP\] 3.1.5): a bridge that
/// switches sources sends through this.
///
/// ```
/// use linkspan_rtp::{RtpHeader, Rewriter, SequenceNumber, Ssrc};
/// use std::time::{Duration, Instant};
/// let now = Instant::now();
/// let mut rewriter = Rewriter::new(Ssrc(1), SequenceNumber(100), 5000, 8000);
/// let a = RtpHeader { ssrc: Ssrc(0xa), sequence: SequenceNumber(7), timestamp: 70, ..RtpHeader::default() };
/// let b = RtpHeader { ssrc: Ssrc(0xb), sequence: SequenceNumber(9000), timestamp: 4, ..a };
/// let first = rewriter.rewrite(a, now).unwrap();
/// assert_eq!((first.ssrc, first.sequence, first.timestamp), (Ssrc(1), SequenceNumber(100), 5000));
/// // Another source, 20 ms later: the next number, 160 units on.
/// let second = rewriter.rewrite(b, now + Duration::from_millis(20)).unwrap();
/// assert_eq!((second.sequence, second.timestamp), (SequenceNumber(101), 5160));
/// ```
#[derive(Clone, Debug)]
pub struct Rewriter {
    ssrc: Ssrc,
    clock_hz: u32,
    next: SequenceNumber,
    next_timestamp: u32,
    /// What was sent last: its timestamp and when.
    last: Option<(u32, Instant)>,
    source: Option<Source>,
}

/// How the current source's numbers map.
#[derive(Clone, Debug)]
struct Source {
    ssrc: Ssrc,
    /// Nothing older is mapped: it belongs to before the switch, or is past remembering.
    oldest: SequenceNumber,
    highest: SequenceNumber,
    /// For the newest packets.
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Where the offset changed, oldest first.
    moves: VecDeque<Move>,
}

/// A change of the offset: packets up to `at` have the one before.
#[derive(Clone, Copy, Debug)]
struct Move {
    at: SequenceNumber,
    kind: MoveKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum MoveKind {
    /// The packet `at` was left out.
    Dropped,
    /// A packet was put in behind `at`.
    Inserted,
}

impl Rewriter {
    /// A stream that begins with these numbers; draw them at random (RFC 3550 §5.1).
    #[must_use]
    pub fn new(ssrc: Ssrc, first: SequenceNumber, first_timestamp: u32, clock_hz: u32) -> Self {
        Self {
            ssrc,
            clock_hz,
            next: first,
            next_timestamp: first_timestamp,
            last: None,
            source: None,
        }
    }

    /// The header that the packet with this header goes out with. `None` when it must not go out:
    /// it is older than the switch to its source, or was left out by [`Rewriter::skip`].
    ///
    /// A header of another SSRC switches to that source. Payload type and marker stay.
    pub fn rewrite(&mut self, header: RtpHeader, now: Instant) -> Option<RtpHeader> {
        if self.source.as_ref().is_none_or(|source| source.ssrc != header.ssrc) {
            self.switch_to(header, now);
        }
        let source = self.source.as_mut()?;
        let sequence = source.map(header.sequence)?;
        let timestamp = header.timestamp.wrapping_add(source.timestamp_offset);
        if sequence.distance_from(self.next) >= 0 {
            self.next = sequence.next();
            self.last = Some((timestamp, now));
            self.next_timestamp = timestamp;
        }
        Some(RtpHeader { ssrc: self.ssrc, sequence, timestamp, ..header })
    }

    /// Rewrites a packet in place; `false` when it must not go out, and then it is unchanged.
    pub fn rewrite_packet(&mut self, packet: &mut RtpPacketMut<'_>, now: Instant) -> bool {
        let Some(header) = self.rewrite(packet.header(), now) else { return false };
        packet.set_header(header);
        true
    }

    /// Leaves a packet of the current source out without a gap: those that follow move up. Only
    /// the newest packet can be left out like this; `false` otherwise, and its number stays a gap.
    pub fn skip(&mut self, header: RtpHeader, now: Instant) -> bool {
        if self.source.as_ref().is_none_or(|source| source.ssrc != header.ssrc) {
            self.switch_to(header, now);
        }
        let Some(source) = &mut self.source else { return false };
        source.drop_newest(header.sequence)
    }

    /// The next packet belongs to a new source even if its SSRC is the same, as after a restart.
    pub fn reset_source(&mut self) {
        self.source = None;
    }

    /// The SSRC that everything goes out with.
    #[must_use]
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// The sequence number that follows the newest packet, taken for a packet of one's own: the
    /// source's numbers move on by one. With it, the timestamp of this instant.
    pub fn insert(&mut self, now: Instant) -> (SequenceNumber, u32) {
        let sequence = self.next;
        self.next = sequence.next();
        if let Some(source) = &mut self.source {
            source.push(Move { at: source.highest, kind: MoveKind::Inserted });
        }
        (sequence, self.timestamp_at(now))
    }

    /// The timestamp that a packet of this instant would have.
    #[must_use]
    pub fn timestamp_at(&self, now: Instant) -> u32 {
        let Some((timestamp, at)) = self.last else { return self.next_timestamp };
        timestamp.wrapping_add(timestamp_units(now.saturating_duration_since(at), self.clock_hz))
    }

    fn switch_to(&mut self, header: RtpHeader, now: Instant) {
        let mut timestamp = self.timestamp_at(now);
        // Two sources within one unit of the clock still differ: receivers join packets of one
        // timestamp into one frame.
        if self.last.is_some_and(|(last, _)| last == timestamp) {
            timestamp = timestamp.wrapping_add(1);
        }
        self.source = Some(Source {
            ssrc: header.ssrc,
            oldest: header.sequence,
            highest: header.sequence,
            sequence_offset: self.next.0.wrapping_sub(header.sequence.0),
            timestamp_offset: timestamp.wrapping_sub(header.timestamp),
            moves: VecDeque::with_capacity(MAX_MOVES),
        });
    }
}

impl Source {
    fn map(&mut self, sequence: SequenceNumber) -> Option<SequenceNumber> {
        self.advance(sequence);
        if sequence.distance_from(self.oldest) < 0 {
            return None;
        }
        let mut offset = self.sequence_offset;
        for change in self.moves.iter().rev() {
            let distance = sequence.distance_from(change.at);
            match change.kind {
                MoveKind::Dropped if distance == 0 => return None,
                MoveKind::Dropped if distance < 0 => offset = offset.wrapping_add(1),
                MoveKind::Inserted if distance <= 0 => offset = offset.wrapping_sub(1),
                // Moves are in order: the older ones lie behind as well.
                _ => break,
            }
        }
        Some(SequenceNumber(sequence.0.wrapping_add(offset)))
    }

    fn drop_newest(&mut self, sequence: SequenceNumber) -> bool {
        let dropped = |m: &Move| m.kind == MoveKind::Dropped && m.at == sequence;
        let newest = sequence.distance_from(self.highest) >= 0;
        if !newest || self.moves.iter().any(dropped) {
            return false;
        }
        self.advance(sequence);
        self.push(Move { at: sequence, kind: MoveKind::Dropped });
        true
    }

    fn push(&mut self, change: Move) {
        if self.moves.len() == MAX_MOVES {
            self.forget_oldest();
        }
        self.sequence_offset = match change.kind {
            MoveKind::Dropped => self.sequence_offset.wrapping_sub(1),
            MoveKind::Inserted => self.sequence_offset.wrapping_add(1),
        };
        self.moves.push_back(change);
    }

    /// Moves forward, and forgets what lies so far back that numbers would be ambiguous.
    fn advance(&mut self, sequence: SequenceNumber) {
        if !sequence.is_after(self.highest) {
            return;
        }
        self.highest = sequence;
        let horizon = sequence.wrapping_add(MAX_LATE.wrapping_neg());
        while self.moves.front().is_some_and(|m| !m.at.is_after(horizon)) {
            self.forget_oldest();
        }
        if horizon.is_after(self.oldest) {
            self.oldest = horizon;
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(forgotten) = self.moves.pop_front() {
            let behind = forgotten.at.next();
            if behind.is_after(self.oldest) {
                self.oldest = behind;
            }
        }
    }
}

/// Changes of the offset that late packets are checked against.
const MAX_MOVES: usize = 64;
/// How late a packet may be.
const MAX_LATE: u16 = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> RtpHeader {
        let (ssrc, sequence) = (Ssrc(ssrc), SequenceNumber(sequence));
        RtpHeader { ssrc, sequence, timestamp, ..RtpHeader::default() }
    }

    fn rewriter() -> Rewriter {
        Rewriter::new(Ssrc(1), SequenceNumber(65_530), 0xffff_ff00, 8000)
    }

    #[test]
    fn keeps_losses_and_reordering_of_a_source() {
        let now = Instant::now();
        let mut rewriter = rewriter();
        let mut out =
            |sequence| rewriter.rewrite(header(2, sequence, 0), now).map(|h| h.sequence.0);
        assert_eq!(out(10), Some(65_530));
        assert_eq!(out(13), Some(65_533));
        assert_eq!(out(11), Some(65_531));
        assert_eq!(out(9), None, "older than the switch");
        assert_eq!(out(20), Some(4));
    }

    #[test]
    fn late_packets_around_moves_keep_their_places() {
        let now = Instant::now();
        let mut rewriter = Rewriter::new(Ssrc(1), SequenceNumber(0), 0, 8000);
        let mut seen = std::collections::BTreeMap::new();
        let order = [0u16, 1, 3, 4, 2, 7, 5, 6, 9, 8];
        for sequence in order {
            if sequence == 4 {
                assert!(rewriter.skip(header(2, sequence, 0), now));
                continue;
            }
            if sequence == 9 {
                seen.insert(rewriter.insert(now).0.0, 1000);
            }
            let mapped = rewriter.rewrite(header(2, sequence, 0), now).unwrap().sequence.0;
            assert_eq!(seen.insert(mapped, sequence), None, "{mapped} twice");
        }
        assert!(rewriter.rewrite(header(2, 4, 0), now).is_none());
        // 8 came behind the insertion: its number was taken by the packet put in.
        let sent: Vec<_> = seen.into_iter().collect();
        assert_eq!(
            sent,
            [(0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (5, 6), (6, 7), (7, 1000), (8, 8), (9, 9)]
        );
    }

    #[test]
    fn never_sends_a_number_twice_for_two_packets_over_rollovers() {
        let now = Instant::now();
        let mut rewriter = rewriter();
        let mut sent = std::collections::HashMap::new();
        for step in 0u32..200_000 {
            let [_, _, a, b] = step.to_be_bytes();
            let head = header(2, u16::from_be_bytes([a, b]), step);
            if step % 7 == 3 {
                assert!(rewriter.skip(head, now));
                continue;
            }
            let mapped = rewriter.rewrite(head, now).unwrap();
            if let Some(before) = sent.insert(mapped.sequence, step) {
                assert!(step - before > 60_000, "{before} and {step}");
            }
        }
    }

    #[test]
    fn timestamps_go_on_with_the_time_between_sources() {
        let start = Instant::now();
        let mut rewriter = rewriter();
        let first = rewriter.rewrite(header(2, 1, 500), start).unwrap();
        let later = start + Duration::from_secs(1);
        let second = rewriter.rewrite(header(3, 77, 9), later).unwrap();
        assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 8000);
        let third = rewriter.rewrite(header(4, 1, 0), later).unwrap();
        assert_eq!(third.timestamp.wrapping_sub(second.timestamp), 1);
        assert_eq!(third.sequence.distance_from(first.sequence), 2);
    }
}
