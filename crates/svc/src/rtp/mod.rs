//! RTP payload formats: RFC 6184, RFC 6190 and \[MS-H264PF\].

mod decoding_order;
mod depacketizer;
mod filter;
mod merger;
mod packetizer;
mod payload;
mod reorder;
mod source;

pub use depacketizer::{
    Depacketizer, DepacketizerConfig, PayloadFormat, PayloadMeta, SessionMode, TruncatedSlices,
};
pub use filter::PacketFilter;
pub use packetizer::{
    PacketizationMode, Packetizer, PacketizerConfig, PacketizerFormat, Payload, Payloads,
};
