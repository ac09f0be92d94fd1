use crate::error::ParseError;
use crate::nal::NalType;
use crate::params::{Pps, Sps};

/// The parameter sets of a stream, as they stand at one point of it.
///
/// Sequence parameter sets and subset sequence parameter sets with the same number are different
/// objects that live side by side (H.264 §G.7.4.1.2.1); which of the two a picture parameter set
/// names depends on the slice that uses it.
///
/// Holds at most 32 sets of each sequence kind and 256 picture parameter sets, of 16 KiB each.
#[derive(Clone, Debug, Default)]
pub struct ParameterSets {
    sps: Table<Sps>,
    subset_sps: Table<Sps>,
    pps: Table<Pps>,
}

impl ParameterSets {
    /// An empty collection.
    #[must_use]
    pub const fn new() -> Self {
        Self { sps: Table::new(), subset_sps: Table::new(), pps: Table::new() }
    }

    /// Reads `nal` when it is a parameter set; returns whether it was one.
    ///
    /// A set replaces the one with its number; a repetition costs a comparison.
    ///
    /// # Errors
    /// [`ParseError`] when the set cannot be read; the one with its number, if any, stays.
    pub fn update(&mut self, nal: &[u8]) -> Result<bool, ParseError> {
        let Some(&first) = nal.first() else { return Ok(false) };
        match NalType::new(first) {
            NalType::Sps => self.sps.update(nal, Sps::parse, |s| s.id)?,
            NalType::SubsetSps => self.subset_sps.update(nal, Sps::parse, |s| s.id)?,
            NalType::Pps => self.pps.update(nal, Pps::parse, |p| p.id)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The sequence parameter set (type 7) with this number.
    #[must_use]
    pub fn sps(&self, id: u8) -> Option<&Sps> {
        self.sps.get(id).map(|e| &e.set)
    }

    /// The subset sequence parameter set (type 15) with this number.
    #[must_use]
    pub fn subset_sps(&self, id: u8) -> Option<&Sps> {
        self.subset_sps.get(id).map(|e| &e.set)
    }

    /// The picture parameter set with this number.
    #[must_use]
    pub fn pps(&self, id: u8) -> Option<&Pps> {
        self.pps.get(id).map(|e| &e.set)
    }

    /// The NAL unit that [`Self::sps`] was read from.
    #[must_use]
    pub fn sps_nal(&self, id: u8) -> Option<&[u8]> {
        self.sps.get(id).map(|e| &e.nal[..])
    }

    /// The NAL unit that [`Self::subset_sps`] was read from.
    #[must_use]
    pub fn subset_sps_nal(&self, id: u8) -> Option<&[u8]> {
        self.subset_sps.get(id).map(|e| &e.nal[..])
    }

    /// The NAL unit that [`Self::pps`] was read from.
    #[must_use]
    pub fn pps_nal(&self, id: u8) -> Option<&[u8]> {
        self.pps.get(id).map(|e| &e.nal[..])
    }

    /// The sequence parameter sets (type 7), in the order of their numbers.
    pub fn iter_sps(&self) -> impl Iterator<Item = &Sps> {
        self.sps.iter()
    }

    /// The subset sequence parameter sets (type 15), in the order of their numbers.
    pub fn iter_subset_sps(&self) -> impl Iterator<Item = &Sps> {
        self.subset_sps.iter()
    }

    /// The picture parameter sets, in the order of their numbers.
    pub fn iter_pps(&self) -> impl Iterator<Item = &Pps> {
        self.pps.iter()
    }

    /// The sets that a slice with `pps_id` uses; `extension` is true for slices of type 20.
    ///
    /// # Errors
    /// [`ParseError::UnknownParameterSet`].
    pub fn activate(&self, pps_id: u8, extension: bool) -> Result<(&Pps, &Sps), ParseError> {
        let unknown = |kind, id| ParseError::UnknownParameterSet { kind, id };
        let pps = self.pps(pps_id).ok_or_else(|| unknown("pps", pps_id))?;
        let sps = if extension { self.subset_sps(pps.sps_id) } else { self.sps(pps.sps_id) };
        let kind = if extension { "subset sps" } else { "sps" };
        Ok((pps, sps.ok_or_else(|| unknown(kind, pps.sps_id))?))
    }
}

/// Octets of a set that is kept. With every list written out a sequence parameter set has about one
/// thousand; only a picture parameter set with a map of slice groups has more.
const MAX_SET_OCTETS: usize = 16 << 10;

/// Sets by number, and the NAL units they came from.
#[derive(Clone, Debug)]
struct Table<T> {
    entries: Vec<Option<Entry<T>>>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    set: T,
    nal: Vec<u8>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Table<T> {
    const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    fn update(
        &mut self,
        nal: &[u8],
        parse: impl Fn(&[u8]) -> Result<T, ParseError>,
        id: impl Fn(&T) -> u8,
    ) -> Result<(), ParseError> {
        if self.entries.iter().flatten().any(|e| e.nal == nal) {
            return Ok(());
        }
        if nal.len() > MAX_SET_OCTETS {
            return Err(ParseError::TooLong { len: nal.len() });
        }
        let set = parse(nal)?;
        let index = usize::from(id(&set));
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.entries.get_mut(index) {
            *slot = Some(Entry { set, nal: nal.to_vec() });
        }
        Ok(())
    }

    fn get(&self, id: u8) -> Option<&Entry<T>> {
        self.entries.get(usize::from(id))?.as_ref()
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten().map(|e| &e.set)
    }
}
