/// Which packet indices of one source have been seen: a window behind the highest.
///
/// A ring of words, so that moving forward costs what it skips and never a shift of the whole.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow {
    words: Box<[u64]>,
    /// Highest index accepted.
    highest: u64,
    /// Indices from the highest back that are remembered.
    size: u64,
}

/// What a window says of an index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Freshness {
    Fresh,
    Replayed,
    TooOld,
}

impl ReplayWindow {
    /// A window of `size` indices (made a multiple of 64) whose first index is `first`, which
    /// counts as seen.
    pub(crate) fn starting_at(first: u64, size: usize) -> Self {
        let words = size.clamp(64, 32_768).div_ceil(64);
        let size = 64 * words as u64;
        // One word more than the window is long: the words at both ends are used in part.
        let ring = (words + 1).next_power_of_two();
        let mut window = Self { words: vec![0; ring].into_boxed_slice(), highest: first, size };
        window.mark(first);
        window
    }

    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    #[inline(always)]
    pub(crate) fn check(&self, index: u64) -> Freshness {
        if index > self.highest {
            return Freshness::Fresh;
        }
        if self.highest - index >= self.size {
            return Freshness::TooOld;
        }
        let word = self.words.get(self.slot(index)).copied().unwrap_or(u64::MAX);
        if word & (1 << (index & 63)) == 0 { Freshness::Fresh } else { Freshness::Replayed }
    }

    /// Marks an index that [`check`](Self::check) found fresh.
    #[inline(always)]
    pub(crate) fn accept(&mut self, index: u64) {
        if index > self.highest {
            if index >> 6 != self.highest >> 6 {
                self.forget_between(self.highest >> 6, index >> 6);
            }
            self.highest = index;
        }
        self.mark(index);
    }

    /// Clears the words from one behind `from` up to `to`: they held indices a ring ago.
    #[cold]
    fn forget_between(&mut self, from: u64, to: u64) {
        for word in 0..(to - from).min(self.words.len() as u64) {
            let slot = self.slot((to - word) << 6);
            if let Some(word) = self.words.get_mut(slot) {
                *word = 0;
            }
        }
    }

    #[inline(always)]
    fn mark(&mut self, index: u64) {
        let slot = self.slot(index);
        if let Some(word) = self.words.get_mut(slot) {
            *word |= 1 << (index & 63);
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked to the ring's length")]
    fn slot(&self, index: u64) -> usize {
        (index >> 6) as usize & (self.words.len() - 1)
    }
}

/// The index of the packet with sequence number `sequence` that lies closest to `highest`
/// (RFC 3711 §3.3.1, appendix A).
#[inline(always)]
pub(crate) fn estimate_index(highest: u64, sequence: u16) -> u64 {
    let [.., h0, h1] = highest.to_be_bytes();
    let last = u16::from_be_bytes([h0, h1]);
    let ahead = sequence.wrapping_sub(last);
    if ahead < 0x8000 { highest + u64::from(ahead) } else { estimate_behind(highest, sequence) }
}

#[cold]
fn estimate_behind(highest: u64, sequence: u16) -> u64 {
    let same_rollover = (highest & !0xffff) | u64::from(sequence);
    match same_rollover.wrapping_sub(highest) & 0xffff {
        // Half way round: appendix A keeps the rollover counter.
        0x8000 => same_rollover,
        // Before the first rollover there is nothing behind: a long gap, then.
        ahead => highest.checked_sub(0x1_0000 - ahead).unwrap_or(same_rollover),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_as_appendix_a_does() {
        // The pseudo-code of RFC 3711 appendix A, as a table over the interesting values.
        let reference = |roc: u64, last: u16, sequence: u16| {
            let (s, l) = (i64::from(sequence), i64::from(last));
            let v = if l < 32_768 {
                if s - l > 32_768 { roc.wrapping_sub(1) & 0xffff_ffff } else { roc }
            } else if l - 32_768 > s {
                roc + 1
            } else {
                roc
            };
            (v << 16) | u64::from(sequence)
        };
        let values = [0u16, 1, 2, 100, 32_766, 32_767, 32_768, 32_769, 40_000, 65_534, 65_535];
        for roc in [1u64, 2, 77] {
            for last in values {
                for sequence in values {
                    let highest = (roc << 16) | u64::from(last);
                    let expected = reference(roc, last, sequence);
                    assert_eq!(estimate_index(highest, sequence), expected, "{last} {sequence}");
                }
            }
        }
        assert_eq!(estimate_index(5, 65_530), 65_530);
    }

    #[test]
    fn forgets_exactly_what_is_older_than_its_size() {
        let mut window = ReplayWindow::starting_at(1000, 64);
        assert_eq!(window.check(1000), Freshness::Replayed);
        assert_eq!(window.check(999), Freshness::Fresh);
        window.accept(1063);
        assert_eq!(window.check(1000), Freshness::Replayed);
        window.accept(1064);
        assert_eq!(window.check(1000), Freshness::TooOld);
        assert_eq!(window.check(1001), Freshness::Fresh);
        window.accept(1_000_000);
        assert_eq!(window.check(999_999), Freshness::Fresh);
        assert_eq!(window.check(1_000_000), Freshness::Replayed);
        assert_eq!(window.check(999_937), Freshness::Fresh);
        assert_eq!(window.check(999_936), Freshness::TooOld);
    }

    /// `webrtc-util`'s sliding window says the same of every index, whatever the order.
    #[test]
    fn agrees_with_another_replay_detector() {
        use rand_core::{Rng as _, SeedableRng as _};
        use webrtc_util::replay_detector::{ReplayDetector as _, SlidingWindowDetector};
        for (seed, size) in (0u8..40).zip([64usize, 128, 512, 1024].into_iter().cycle()) {
            let mut random = rand_chacha::ChaCha8Rng::from_seed([seed; 32]);
            let mut below = |limit: u64| random.next_u64() % limit;
            let first = below(1 << 40);
            let mut oracle = SlidingWindowDetector::new(size, (1 << 48) - 1);
            assert!(oracle.check(first));
            oracle.accept();
            let mut window = ReplayWindow::starting_at(first, size);
            let (mut fresh, mut refused) = (0, 0);
            for _ in 0..5000 {
                let highest = window.highest();
                let index = match below(20) {
                    0 => highest + below(3 * size as u64),
                    1 => highest.saturating_sub(below(3 * size as u64)),
                    2..8 => highest + 1,
                    _ => (highest + 4).saturating_sub(below(size as u64 + 8)),
                };
                let is_fresh = window.check(index) == Freshness::Fresh;
                assert_eq!(oracle.check(index), is_fresh, "seed {seed}: {index} after {highest}");
                // One in ten is forged: looked at, and not accepted.
                if is_fresh && below(10) > 0 {
                    oracle.accept();
                    window.accept(index);
                    fresh += 1;
                } else {
                    refused += 1;
                }
            }
            assert!(fresh > 1000 && refused > 300, "seed {seed}: {fresh} {refused}");
        }
    }
}
