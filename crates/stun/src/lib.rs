#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod attribute;
mod auth;
mod builder;
mod demultiplex;
mod dialect;
mod error;
mod fingerprint;
mod framing;
#[cfg(any(test, feature = "__fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod getters;
#[cfg(test)]
mod hex;
mod integrity;
mod kind;
mod message;
pub mod ms;
mod retransmission;
mod transaction;
mod transport;

pub use attribute::{AttributeType, RawAttribute};
pub use auth::{NonceFeatures, PasswordAlgorithm};
pub use builder::{BuildError, MessageBuilder};
pub use demultiplex::{PacketKind, demultiplex};
pub use dialect::Dialect;
pub use error::ParseError;
pub use fingerprint::Fingerprint;
pub use framing::{FramerFull, Rfc4571Framer, frame};
pub use getters::ErrorCode;
pub use integrity::{IntegrityError, IntegrityKey, userhash};
pub use kind::{Class, Method};
pub use message::{Attributes, Message};
pub use retransmission::{Due, Retransmission, RetransmissionConfig};
pub use transaction::TransactionId;
pub use transport::{Received, Transmit, Transport};
