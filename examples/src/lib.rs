//! What the example programs share: sockets, TLS, captures, reports and sound.
//!
//! The protocol crates do no I/O; everything that touches a socket, a clock or a file is here or
//! in the programs themselves.

mod audio;
mod driver;
mod endpoint;
mod events;
mod focus_host;
mod limiter;
mod logging;
mod media_net;
mod media_threads;
mod pcap;
mod relay_streams;
mod report;
mod seed;
mod sip_net;
mod tap;
mod tls;
mod turn_framer;

pub use audio::{
    PACKET_OCTETS, SAMPLE_RATE_HZ, linear_from_ulaw, read_wav, synthesise, ulaw_from_linear,
    write_wav,
};
pub use driver::{GatewayDriver, GatewayHandle, MediaTotals, Snapshot, resolve, transport_of};
pub use endpoint::{
    CallError, CallPlan, CallReport, Endpoint, EndpointConfig, StreamReport, VideoClip,
};
pub use events::{describe_event, roster_change};
pub use focus_host::FocusHost;
pub use limiter::Limiter;
pub use logging::log_to_stderr;
pub use media_net::{Datagram, MediaNet};
pub use media_threads::MediaThreads;
pub use pcap::PcapWriter;
pub use relay_streams::{RelayFrame, RelayPath, RelayStreams};
pub use report::{Report, Style, Table};
pub use seed::{fresh_seed, random_octets};
pub use sip_net::{SipInput, SipNet};
pub use tap::{Seen, Tap};
pub use tls::{Authority, Identity, Tls, read_roots};
pub use turn_framer::TurnFramer;
