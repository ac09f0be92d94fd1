use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;

use super::command::{MediaCommand, MediaEvent};
use super::stats::StreamStatistics;
use super::transport::{MediaInputError, MediaTransmit};
use crate::id::StreamId;

/// The media half of a gateway.
#[derive(Debug)]
pub struct MediaEngine {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl MediaEngine {
    pub fn new(seed: [u8; 32], now: Instant) -> Self {
        Self {}
    }
    /// Everything but `Bind` and `Unbind`, which are the driver's.
    pub fn handle_command(&mut self, command: MediaCommand, now: Instant) {}
    /// One datagram; `packet` holds exactly its octets.
    pub fn handle_datagram(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        packet: BytesMut,
        now: Instant,
    ) -> Result<(), MediaInputError> {
        Err(MediaInputError::NotMine)
    }
    /// An empty buffer with room for a datagram (2,048 octets): receive into it.
    pub fn buffer(&mut self) -> BytesMut {
        BytesMut::with_capacity(2048)
    }
    /// Takes back the payload of a transmit that has been sent.
    pub fn recycle(&mut self, buffer: BytesMut) {}
    pub fn handle_timeout(&mut self, now: Instant) {}
    pub fn poll_transmit(&mut self) -> Option<MediaTransmit> {
        None
    }
    /// Goes to `Gateway::handle_media_event`.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        None
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub fn statistics(&self, stream: StreamId) -> Option<StreamStatistics> {
        None
    }
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        core::iter::empty()
    }
}
