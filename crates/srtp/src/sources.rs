use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// State of each source, found in constant time.
///
/// Packets come in runs of one source: the last one found is tried first.
#[derive(Debug)]
pub(crate) struct Sources<T> {
    entries: Vec<(u32, T)>,
    places: HashMap<u32, usize, BuildHasherDefault<SsrcHasher>>,
    last: usize,
    max: usize,
}

/// There are as many sources as allowed.
#[derive(Debug)]
pub(crate) struct Full;

impl<T> Sources<T> {
    pub(crate) fn new(max: usize) -> Self {
        Self { entries: Vec::new(), places: HashMap::default(), last: 0, max }
    }

    /// The state of a source.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, ssrc: u32) -> Option<&mut T> {
        let place = self.place(ssrc)?;
        self.last = place;
        self.entries.get_mut(place).map(|(_, state)| state)
    }

    pub(crate) fn get(&self, ssrc: u32) -> Option<&T> {
        self.entries.get(self.place(ssrc)?).map(|(_, state)| state)
    }

    /// The state of a source, made where there is none.
    #[inline(always)]
    pub(crate) fn get_or_insert(
        &mut self,
        ssrc: u32,
        new: impl FnOnce() -> T,
    ) -> Result<&mut T, Full> {
        if self.entries.get(self.last).is_none_or(|(last, _)| *last != ssrc) {
            self.last = self.find_or_insert(ssrc, new)?;
        }
        self.entries.get_mut(self.last).map(|(_, state)| state).ok_or(Full)
    }

    #[cold]
    fn find_or_insert(&mut self, ssrc: u32, new: impl FnOnce() -> T) -> Result<usize, Full> {
        if let Some(place) = self.places.get(&ssrc) {
            return Ok(*place);
        }
        if self.entries.len() >= self.max {
            return Err(Full);
        }
        self.entries.push((ssrc, new()));
        self.places.insert(ssrc, self.entries.len() - 1);
        Ok(self.entries.len() - 1)
    }

    pub(crate) fn remove(&mut self, ssrc: u32) -> Option<T> {
        let place = self.places.remove(&ssrc)?;
        let (_, state) = self.entries.swap_remove(place);
        if let Some((moved, _)) = self.entries.get(place) {
            self.places.insert(*moved, place);
        }
        Some(state)
    }

    pub(crate) fn ssrcs(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().map(|(ssrc, _)| *ssrc)
    }

    #[inline(always)]
    fn place(&self, ssrc: u32) -> Option<usize> {
        match self.entries.get(self.last) {
            Some((last, _)) if *last == ssrc => Some(self.last),
            _ => self.places.get(&ssrc).copied(),
        }
    }
}

/// One multiplication. Only an authenticated peer can add sources, and their number is limited,
/// so crafted collisions gain nothing.
#[derive(Debug, Default)]
pub(crate) struct SsrcHasher(u64);

impl Hasher for SsrcHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        // The golden ratio spreads the low bits upward, the rotation brings them down again.
        self.0 = (self.0 ^ u64::from(value)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}
