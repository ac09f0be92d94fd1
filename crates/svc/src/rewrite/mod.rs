//! Slices and parameter sets written anew, without decoding.

mod numbers;
mod sets;
mod slice;

pub(crate) use numbers::Renumberer;
pub(crate) use sets::subset_to_sps;
pub(crate) use slice::{Changes, SliceWriter};
