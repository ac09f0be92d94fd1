#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod transport;

pub use error::ParseError;
pub use transport::{Received, Transmit, Transport};
