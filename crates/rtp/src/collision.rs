use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use crate::Ssrc;

/// Resolves SSRC collisions and notices loops (RFC 3550 §8.2).
///
/// `A` is the transport address that a packet came from. A peer whose path changes for good, as
/// after an ICE restart, is told of by [`SsrcGuard::forget`].
///
/// ```
/// use linkspan_rtp::{SourceVerdict, Ssrc, SsrcGuard};
/// use std::time::{Duration, Instant};
/// let now = Instant::now();
/// let mut guard = SsrcGuard::new(Ssrc(7), Duration::from_secs(50), [1; 32]);
/// assert_eq!(guard.on_packet(Ssrc(8), "10.0.0.1:5000", now), SourceVerdict::Accept);
/// // Somebody else uses our SSRC: say BYE with it, and go on with another.
/// let verdict = guard.on_packet(Ssrc(7), "10.0.0.2:5000", now);
/// assert_eq!(verdict, SourceVerdict::Collision { old: Ssrc(7), new: guard.ssrc() });
/// assert_ne!(guard.ssrc(), Ssrc(7));
/// ```
#[derive(Clone, Debug)]
pub struct SsrcGuard<A> {
    own: Ssrc,
    random: ChaCha20Rng,
    /// Where each source's packets come from.
    sources: HashMap<Ssrc, A>,
    /// Addresses that used our SSRC, and when they last did.
    conflicts: Vec<(A, Instant)>,
    memory: Duration,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SourceVerdict {
    /// Process it.
    Accept,
    /// Process it; our SSRC was taken. A BYE for the old one is due, and the new one is used from
    /// now on.
    Collision {
        /// The SSRC given up.
        old: Ssrc,
        /// The SSRC to use.
        new: Ssrc,
    },
    /// Drop it: our own packet came back, or an address that collided before goes on.
    Loop,
    /// Drop it: two others share an SSRC, or a packet of theirs comes by two ways.
    ThirdParty,
    /// Drop it: there are more sources than are remembered.
    TooMany,
}

impl<A: Clone + Eq + Hash> SsrcGuard<A> {
    /// Guards the SSRC `own`. Addresses in conflict are remembered for `memory`: ten report
    /// intervals by RFC 3550 §8.2.
    #[must_use]
    pub fn new(own: Ssrc, memory: Duration, seed: [u8; 32]) -> Self {
        let random = ChaCha20Rng::from_seed(seed);
        Self { own, random, sources: HashMap::new(), conflicts: Vec::new(), memory }
    }

    /// A packet with this SSRC came from `from`.
    pub fn on_packet(&mut self, ssrc: Ssrc, from: A, now: Instant) -> SourceVerdict {
        if ssrc == self.own {
            return self.on_own(from, now);
        }
        match self.sources.get(&ssrc) {
            Some(known) if *known == from => SourceVerdict::Accept,
            // §8.2: the source known first is kept.
            Some(_) => SourceVerdict::ThirdParty,
            None if self.sources.len() >= MAX_SOURCES => SourceVerdict::TooMany,
            None => {
                self.sources.insert(ssrc, from);
                SourceVerdict::Accept
            }
        }
    }

    /// Forgets where a source sends from: it said BYE, timed out, or moved.
    pub fn forget(&mut self, ssrc: Ssrc) {
        self.sources.remove(&ssrc);
    }

    /// The SSRC to send with.
    #[must_use]
    pub fn ssrc(&self) -> Ssrc {
        self.own
    }

    fn on_own(&mut self, from: A, now: Instant) -> SourceVerdict {
        let memory = self.memory;
        self.conflicts.retain(|(_, at)| now.saturating_duration_since(*at) < memory);
        if let Some((_, at)) = self.conflicts.iter_mut().find(|(known, _)| *known == from) {
            *at = now;
            return SourceVerdict::Loop;
        }
        if self.conflicts.len() >= MAX_CONFLICTS {
            return SourceVerdict::Loop;
        }
        self.conflicts.push((from.clone(), now));
        let old = self.own;
        while self.own == old || self.sources.contains_key(&self.own) {
            self.own = Ssrc(self.random.next_u32());
        }
        // The other participant keeps the SSRC.
        if self.sources.len() < MAX_SOURCES {
            self.sources.insert(old, from);
        }
        SourceVerdict::Collision { old, new: self.own }
    }
}

/// Sources remembered: far fewer than the numbers there are, so that a free one is found at once.
const MAX_SOURCES: usize = 4096;
/// Addresses in conflict: a network that loops by more ways has other troubles.
const MAX_CONFLICTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_our_own_packets_changes_the_ssrc_once() {
        let now = Instant::now();
        let memory = Duration::from_secs(50);
        let mut guard = SsrcGuard::new(Ssrc(1), memory, [3; 32]);
        let first = guard.on_packet(Ssrc(1), 9, now);
        let new = guard.ssrc();
        assert_eq!(first, SourceVerdict::Collision { old: Ssrc(1), new });
        // Our packets with the new one come back as well: a loop, not a second collision.
        for second in 1..200 {
            let now = now + Duration::from_secs(second);
            assert_eq!(guard.on_packet(new, 9, now), SourceVerdict::Loop);
        }
        assert_eq!(guard.ssrc(), new);
        // Long after, it is a collision again.
        let later = now + Duration::from_secs(200) + memory;
        assert!(matches!(guard.on_packet(new, 9, later), SourceVerdict::Collision { .. }));
    }

    #[test]
    fn of_two_others_the_first_is_kept() {
        let now = Instant::now();
        let mut guard = SsrcGuard::new(Ssrc(1), Duration::from_secs(50), [3; 32]);
        assert_eq!(guard.on_packet(Ssrc(2), 'a', now), SourceVerdict::Accept);
        assert_eq!(guard.on_packet(Ssrc(2), 'b', now), SourceVerdict::ThirdParty);
        assert_eq!(guard.on_packet(Ssrc(2), 'a', now), SourceVerdict::Accept);
        guard.forget(Ssrc(2));
        assert_eq!(guard.on_packet(Ssrc(2), 'b', now), SourceVerdict::Accept);
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut guard = SsrcGuard::new(Ssrc(0), Duration::from_secs(50), [3; 32]);
        let verdicts = (1..10_000).map(|ssrc| guard.on_packet(Ssrc(ssrc), ssrc, now));
        assert_eq!(verdicts.filter(|v| *v == SourceVerdict::TooMany).count(), 9_999 - MAX_SOURCES);
        for address in 0..100 {
            let own = guard.ssrc();
            guard.on_packet(own, address, now);
        }
        assert_eq!(guard.conflicts.len(), MAX_CONFLICTS);
    }
}
