//! Typed header values, read when asked for.

mod getters;
mod lists;
mod via;

pub use lists::{CSeq, NameAddrs, Tokens};
pub(crate) use via::MAGIC_COOKIE;
pub use via::{Via, Vias};
