//! A connection between a TURN client and its server, cut into messages.

use std::io;

use bytes::Bytes;
use linkspan_turn::{StreamFramer, ms};

/// Cuts a connection into messages, in either dialect.
#[derive(Clone, Debug)]
pub enum TurnFramer {
    /// RFC 8656.
    Standard(StreamFramer),
    /// [MS-TURN].
    Microsoft(ms::StreamFramer),
}

impl TurnFramer {
    /// Adds what came.
    ///
    /// # Errors
    ///
    /// Too much waits.
    pub fn push(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Standard(framer) => framer.push(octets),
            Self::Microsoft(framer) => framer.push(octets),
        }
        .map_err(io::Error::other)
    }

    /// The next message; `None` when it is not complete.
    ///
    /// # Errors
    ///
    /// The connection carries something else.
    pub fn poll_frame(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Standard(framer) => framer.poll_frame(),
            Self::Microsoft(framer) => framer.poll_frame(),
        }
        .map_err(io::Error::other)
    }
}
