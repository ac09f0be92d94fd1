//! Lists of a few items, in place: what is read of each slice is not to be allocated.

use core::ops::Deref;

/// At most `N` items.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<T, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy + Default, const N: usize> Bounded<T, N> {
    /// Takes everything out.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes it hold what `other` holds, as far as there is room.
    pub(crate) fn copy_from(&mut self, other: &[T]) {
        self.len = other.len().min(N);
        if let (Some(to), Some(from)) = (self.items.get_mut(..self.len), other.get(..self.len)) {
            to.copy_from_slice(from);
        }
    }

    /// Adds an item; false, and nothing is added, when there is no room.
    pub(crate) fn push(&mut self, item: T) -> bool {
        let Some(place) = self.items.get_mut(self.len) else { return false };
        *place = item;
        self.len += 1;
        true
    }

    /// Puts an item in the place of another, which moves on with those behind it; the last one is
    /// lost when there is no room. Beyond the end nothing happens.
    pub(crate) fn insert(&mut self, place: usize, item: T) {
        if place > self.len || place >= N {
            return;
        }
        let end = self.len.min(N - 1);
        self.items.copy_within(place..end, place + 1);
        if let Some(at) = self.items.get_mut(place) {
            *at = item;
        }
        self.len = end + 1;
    }

    /// Takes an item out; those behind it move up.
    pub(crate) fn remove(&mut self, place: usize) {
        if place < self.len {
            self.items.copy_within(place + 1..self.len, place);
            self.len -= 1;
        }
    }

    /// Makes it so long, of items that are there and then of `item`; not longer than it may be.
    pub(crate) fn resize(&mut self, len: usize, item: T) {
        self.len = self.len.min(len);
        while self.len < len && self.push(item) {}
    }
}

impl<T, const N: usize> Bounded<T, N> {
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        self.items.get_mut(..self.len).unwrap_or_default()
    }
}

impl<T: Copy + Default, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self { items: [T::default(); N], len: 0 }
    }
}

impl<T, const N: usize> Deref for Bounded<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_what_a_vector_does_as_long_as_there_is_room() {
        let mut list: Bounded<u8, 4> = Bounded::default();
        assert!(list.push(1) && list.push(2) && list.push(3));
        list.insert(1, 9);
        assert_eq!(list[..], [1, 9, 2, 3]);
        assert!(!list.push(5));
        list.insert(0, 7);
        assert_eq!(list[..], [7, 1, 9, 2]);
        list.remove(1);
        list.remove(8);
        assert_eq!(list[..], [7, 9, 2]);
        list.insert(3, 6);
        list.insert(9, 6);
        assert_eq!(list[..], [7, 9, 2, 6]);
        list.resize(2, 0);
        assert_eq!(list[..], [7, 9]);
        list.resize(9, 5);
        assert_eq!(list[..], [7, 9, 5, 5]);
    }
}
