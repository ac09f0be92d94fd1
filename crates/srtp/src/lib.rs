#![doc = include_str!("../README.md")]

mod batch;
mod crypto;
mod error;
#[cfg(any(test, feature = "__fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod header;
mod header_extension;
mod key;
mod keys;
mod line;
pub mod ms;
mod options;
mod provider;
mod receiver;
mod replay;
mod sdes;
mod sender;
mod sources;
mod suite;

pub use batch::BatchPacket;
pub use error::{KeyError, ProtectError, SdesError, UnprotectError};
pub use key::MasterKey;
pub use line::{AcceptancePolicy, CryptoLine, FecKey, FecOrder, SessionParams};
pub use options::{HeaderExtensions, Options};
pub use provider::{Aead, CounterMode, CryptoProvider, Mac};
pub use receiver::Receiver;
pub use sdes::{KeyParams, Mki};
pub use sender::Sender;
pub use suite::Suite;
