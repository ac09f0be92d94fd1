use core::ops::RangeInclusive;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// Hands out the media ports of one side in pairs: an even port for RTP, the next for RTCP.
///
/// Ports go round, so that a port is used again as late as possible, and rest for a while after
/// their call: packets of the old call that are still on their way do not reach the new one.
#[derive(Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    next: u16,
    used: BTreeSet<u16>,
    resting: VecDeque<(Instant, u16)>,
    rest: Duration,
}

impl Ports {
    /// Ports of `range`, of which an odd first one and an even last one stay unused.
    pub(crate) fn new(range: RangeInclusive<u16>, rest: Duration) -> Self {
        let first = range.start().saturating_add(range.start() % 2);
        Self {
            next: first,
            range: first..=*range.end(),
            used: BTreeSet::new(),
            resting: VecDeque::new(),
            rest,
        }
    }

    /// An even port that nobody has, or `None` when all are taken.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u16> {
        while self.resting.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, port)) = self.resting.pop_front() {
                self.used.remove(&port);
            }
        }
        for _ in 0..self.pairs() {
            let port = self.next;
            self.advance();
            if self.used.insert(port) {
                return Some(port);
            }
        }
        None
    }

    /// Gives a port back; it rests first.
    pub(crate) fn give_back(&mut self, port: u16, now: Instant) {
        if self.used.contains(&port) && !self.resting.iter().any(|(_, p)| *p == port) {
            self.resting.push_back((now + self.rest, port));
        }
    }

    /// How many pairs the range holds.
    pub(crate) fn pairs(&self) -> usize {
        if self.range.is_empty() {
            return 0;
        }
        (usize::from(*self.range.end()) - usize::from(*self.range.start())).div_ceil(2)
    }

    /// How many pairs are taken, resting ones included.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.used.len()
    }

    fn advance(&mut self) {
        let last_even = self.range.end().saturating_sub(1);
        self.next = match self.next.checked_add(2) {
            Some(next) if next <= last_even => next,
            _ => *self.range.start(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_unique_and_inside_the_range() {
        let now = Instant::now();
        let mut ports = Ports::new(40_001..=40_010, Duration::ZERO);
        let taken: Vec<_> = std::iter::from_fn(|| ports.take(now)).collect();
        assert_eq!(taken, [40_002, 40_004, 40_006, 40_008]);
        assert_eq!(ports.pairs(), 4);
    }

    #[test]
    fn a_port_rests_before_it_is_used_again() {
        let now = Instant::now();
        let rest = Duration::from_secs(2);
        let mut ports = Ports::new(50_000..=50_001, rest);
        let port = ports.take(now).unwrap();
        ports.give_back(port, now);
        ports.give_back(port, now);
        assert_eq!(ports.take(now + Duration::from_secs(1)), None);
        assert_eq!(ports.take(now + rest), Some(port));
        assert_eq!(ports.taken(), 1);
        assert_eq!(ports.take(now + rest), None);
    }

    #[test]
    fn ports_go_round() {
        let now = Instant::now();
        let mut ports = Ports::new(50_000..=50_005, Duration::ZERO);
        assert_eq!(ports.take(now), Some(50_000));
        ports.give_back(50_000, now);
        assert_eq!(ports.take(now), Some(50_002));
        assert_eq!(ports.take(now), Some(50_004));
        assert_eq!(ports.take(now), Some(50_000));
    }

    #[test]
    fn the_end_of_the_port_space_does_not_wrap() {
        let now = Instant::now();
        let mut ports = Ports::new(65_534..=65_535, Duration::ZERO);
        assert_eq!(ports.take(now), Some(65_534));
        assert_eq!(ports.take(now), None);
        assert_eq!(Ports::new(65_535..=65_535, Duration::ZERO).pairs(), 0);
    }
}
