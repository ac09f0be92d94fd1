//! So many lines a second, and how many were left out.

use std::time::{Duration, Instant};

/// Lets so many things pass in a second, and counts the rest: a log that nobody can flood.
///
/// ```
/// use linkspan_examples::Limiter;
/// use std::time::{Duration, Instant};
///
/// let now = Instant::now();
/// let mut limiter = Limiter::new(2);
/// assert_eq!([(); 4].map(|()| limiter.pass(now)), [true, true, false, false]);
/// let later = now + Duration::from_secs(1);
/// assert_eq!((limiter.left_out(later), limiter.pass(later)), (2, true));
/// ```
#[derive(Clone, Debug)]
pub struct Limiter {
    most: u32,
    since: Option<Instant>,
    passed: u32,
    left_out: u64,
}

impl Limiter {
    /// So many a second.
    pub fn new(most: u32) -> Self {
        Self { most, since: None, passed: 0, left_out: 0 }
    }

    /// Whether one more passes.
    pub fn pass(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= SECOND) {
            self.since = Some(now);
            self.passed = 0;
        }
        if self.passed < self.most {
            self.passed += 1;
            return true;
        }
        self.left_out += 1;
        false
    }

    /// How many did not pass in the seconds that are over; each is told once.
    pub fn left_out(&mut self, now: Instant) -> u64 {
        if self.since.is_some_and(|since| now.saturating_duration_since(since) < SECOND) {
            return 0;
        }
        core::mem::take(&mut self.left_out)
    }
}

const SECOND: Duration = Duration::from_secs(1);
