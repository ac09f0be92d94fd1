//! Typed header values, read when asked for.

mod getters;
mod lists;
mod via;

pub use lists::{CSeq, NameAddrs, Tokens};
pub use via::{Via, Vias};
