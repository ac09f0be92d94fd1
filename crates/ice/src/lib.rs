#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod agent;
mod candidate;
mod config;
mod error;
mod event;
#[cfg(any(test, feature = "__fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod limits;
mod pair;
mod priority;
mod random;
mod relay_server;
mod stream;

pub use agent::{Agent, StreamId};
pub use candidate::{Candidate, CandidateKind, CandidateTransport, Credentials, SelectedPair};
pub use config::{AgentConfig, Consent, Dialect, Nomination, Role};
pub use error::{AgentError, InputError};
pub use event::IceEvent;
pub use limits::Limits;
pub use linkspan_stun::{Received, Transmit, Transport};
pub use linkspan_turn::{
    AllocateError as RelayError, ClientDialect as RelayDialect, Credentials as RelayCredentials,
    Family as RelayFamily, Forward, VerbError, Wrapped,
};
pub use relay_server::RelayServer;
