//! One m-line of one leg: the way between its RTP packets and the network.

mod error;
mod values;

pub use error::{ConnectError, MediaInputError, SendError};
pub use values::{
    Incoming, MediaTransmit, RemoteIce, RemoteMedia, TransportConfig, TransportEvent,
};

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;

use super::command::LocalIce;
use super::stats::StreamStatistics;

/// An SRTP master key with its suite, as one `a=crypto` line states them (RFC 4568).
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct MediaKey {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl MediaKey {
    pub fn generate(seed: [u8; 32]) -> Self {
        Self {}
    }
    pub fn parse(suite: &str, params: &str) -> Result<Self, KeyError> {
        Ok(Self {})
    }
    pub fn suite_name(&self) -> &'static str {
        "AES_CM_128_HMAC_SHA1_80"
    }
    pub fn to_inline(&self) -> String {
        String::new()
    }
}

/// Why a key was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The suite is not known.
    #[error("unknown SRTP suite")]
    Suite,
    /// The key parameters do not fit the suite.
    #[error("malformed key parameters")]
    Params,
}

/// One m-line of one leg: ICE or symmetric latching, demultiplexing, SRTP both ways, RTCP reports.
#[derive(Debug)]
pub struct MediaTransport {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl MediaTransport {
    /// Local addresses only name sockets; the driver owns them.
    pub fn new(config: TransportConfig, seed: [u8; 32], now: Instant) -> Self {
        Self {}
    }
    /// The peer as its description says; again after a later offer.
    pub fn connect(
        &mut self,
        remote: RemoteMedia,
        send_key: Option<MediaKey>,
        receive_key: Option<MediaKey>,
        now: Instant,
    ) -> Result<(), ConnectError> {
        Ok(())
    }
    /// Decrypts in place; `Incoming::Rtp(len)`: the packet is `packet[..len]`.
    pub fn handle_input(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<Incoming, MediaInputError> {
        Ok(Incoming::Consumed)
    }
    /// A whole RTP packet in clear; its SSRC should be `ssrc()`.
    pub fn send_rtp(&mut self, packet: BytesMut, now: Instant) -> Result<(), SendError> {
        Err(SendError::NotConnected)
    }
    /// `write` appends feedback packets (linkspan_rtp's builders); a report is put before them
    /// unless reduced size was agreed.
    pub fn send_feedback(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>),
        now: Instant,
    ) -> Result<(), SendError> {
        Err(SendError::NotConnected)
    }
    pub fn handle_timeout(&mut self, now: Instant) {}
    pub fn poll_transmit(&mut self) -> Option<MediaTransmit> {
        None
    }
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        None
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// Credentials and candidates for the description.
    pub fn local_ice(&self) -> Option<LocalIce> {
        None
    }
    pub fn is_connected(&self) -> bool {
        false
    }
    pub fn ssrc(&self) -> u32 {
        0
    }
    /// SSRC of the peer's last RTP packet.
    pub fn remote_ssrc(&self) -> Option<u32> {
        None
    }
    pub fn statistics(&self) -> StreamStatistics {
        StreamStatistics::default()
    }
}
