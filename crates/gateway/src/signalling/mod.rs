//! The signalling half: calls, legs, and what is said on them.

mod answer;
mod body;
mod call;
pub(crate) mod conference;
mod convert;
mod core;
mod delayed;
mod early;
mod headers;
mod hops;
mod ladder;
mod later;
mod local;
mod news;
mod refusals;
mod requests;
mod setup;
mod streams;

pub(crate) use self::call::Call;
pub(crate) use self::core::Core;
pub(crate) use self::ladder::{call_of, show};
pub(crate) use self::requests::stray;
pub(crate) use self::setup::NewCall;
