#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod base64;
mod config;
mod deadlines;
mod dialling;
mod event;
#[cfg(any(test, feature = "__fuzz"))]
pub mod fuzz;
mod gateway;
mod id;
mod limits;
mod media;
mod policy;
mod ports;
mod routing;
mod signalling;

pub use config::{
    AddressRange, AudioCodec, ConferenceAlias, Config, ConfigError, DamagedVideo, DialRule,
    DomainPattern, Encryption, H264, IceKind, Listener, NextHop, NextHopError, NumberPattern,
    NumberPatternError, PacketizationModes, PatternError, Problem, Route, SideConfig,
    SignallingTransport, TurnServer, TurnTransport, User,
};
pub use event::{CallState, CallSummary, GatewayCounters, GatewayEvent, LadderLine};
pub use gateway::Gateway;
pub use id::{CallId, Side, StreamId, StreamKind};
pub use limits::{Limits, Timers};
pub use media::{
    AgreedStream, ConnectError, Counters, DropReason, Feedback, Incoming, KeyError, LocalIce,
    MediaCommand, MediaEngine, MediaEvent, MediaInputError, MediaKey, MediaTransmit,
    MediaTransport, RemoteIce, RemoteMedia, SendError, StreamCodec, StreamFormat, StreamStatistics,
    TransportConfig, TransportEvent,
};
pub use policy::{Diagnostic, Rejection, better_rejection, map_rejection, tries_next_hop};
pub use routing::{Decision, RefusalReason, RouteQuery, decide};
