#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod channel;
mod client;
mod connection;
mod credentials;
mod error;
mod framing;
#[cfg(any(test, feature = "__fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod icmp;
pub mod ms;
mod policy;
mod server;
mod wrapped;

pub use channel::{ChannelData, ChannelNumber};
pub use client::{
    AllocateError, Allocation, ClientConfig, ClientDialect, ClientEvent, Family, RequestError,
    TurnClient,
};
pub use connection::ConnectionId;
pub use credentials::{Credentials, Users};
pub use error::{InputError, ParseError, VerbError};
pub use framing::{FrameError, LimitError, StreamFramer};
pub use icmp::IcmpError;
pub use linkspan_stun::{Received, Transmit, Transport};
pub use policy::{Network, PeerPolicy};
pub use server::{
    Forward, RelayAddress, ServerConfig, ServerEvent, ServerLimits, TurnServer, Usage, Way,
};
pub use wrapped::Wrapped;
