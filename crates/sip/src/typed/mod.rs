//! Typed header values, read when asked for.

mod getters;
mod lists;
mod more;
mod values;
mod via;

pub use lists::{CSeq, NameAddrs, Tokens};
pub use values::{Date, Parametrized, ParametrizedList, RAck, Warning};
pub(crate) use via::MAGIC_COOKIE;
pub use via::{Via, Vias};
