#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod agent;
mod candidate;
mod config;
mod error;
mod event;
#[cfg(feature = "__fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod limits;
mod pair;
mod priority;
mod random;
mod stream;

pub use agent::{Agent, StreamId};
pub use candidate::{Candidate, CandidateKind, CandidateTransport, Credentials, SelectedPair};
pub use config::{AgentConfig, Consent, Dialect, Nomination, Role};
pub use error::{AgentError, InputError};
pub use event::IceEvent;
pub use limits::Limits;
pub use linkspan_stun::{Received, Transmit, Transport};
