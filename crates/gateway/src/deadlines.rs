use core::hash::Hash;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// When each of many things is due: the earliest in constant time, a change in logarithmic time.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    order: BTreeSet<(Instant, K)>,
    due: HashMap<K, Instant>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), due: HashMap::new() }
    }
}

impl<K: Copy + Eq + Hash + Ord> Deadlines<K> {
    /// Sets or clears the deadline of `key`.
    pub(crate) fn set(&mut self, key: K, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.due.insert(key, at),
            None => self.due.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, key));
        }
        if let Some(at) = at {
            self.order.insert((at, key));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes one thing that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_is_taken_first_and_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut deadlines = Deadlines::default();
        deadlines.set('a', Some(later));
        deadlines.set('b', Some(now));
        deadlines.set('c', Some(now));
        deadlines.set('c', None);
        assert_eq!(deadlines.next(), Some(now));
        assert_eq!(deadlines.take_due(now), Some('b'));
        assert_eq!(deadlines.take_due(now), None);
        deadlines.set('a', Some(now));
        assert_eq!(deadlines.take_due(later), Some('a'));
        assert_eq!(deadlines.next(), None);
    }
}
