//! The media half: transports, the bridge between two legs, and the engine that runs them.

mod bridge;
mod command;
mod description;
mod engine;
mod feedback;
mod reports;
mod stats;
mod stream;
mod transport;
mod video;

pub use command::{
    AgreedStream, DropReason, Feedback, LocalIce, MediaCommand, MediaEvent, StreamCodec,
    StreamFormat,
};
pub use engine::MediaEngine;
pub use stats::{Counters, StreamStatistics};
pub use transport::{
    ConnectError, Incoming, KeyError, MediaInputError, MediaKey, MediaTransmit, MediaTransport,
    RemoteIce, RemoteMedia, SendError, TransportConfig, TransportEvent,
};
