use bytes::Bytes;
use std::net::SocketAddr;

/// What carries a packet.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Transport {
    /// One packet is one datagram.
    #[default]
    Udp,
    /// A stream: one packet is one frame, framed as RFC 4571 or RFC 8489 §6.2.2 say.
    /// TLS counts as TCP here.
    Tcp,
}

/// A packet to send.
///
/// `local` is an address that the application gave to the engine before; for [`Transport::Tcp`]
/// the driver finds the connection between the two addresses, or opens it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transmit {
    /// What carries the packet.
    pub transport: Transport,
    /// Address to send from.
    pub local: SocketAddr,
    /// Address to send to.
    pub remote: SocketAddr,
    /// One datagram, or one message without the framing of the stream.
    pub payload: Bytes,
}

/// A packet that has arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received<'a> {
    /// What carried the packet.
    pub transport: Transport,
    /// Address it arrived at; never the unspecified address.
    pub local: SocketAddr,
    /// Address it came from.
    pub remote: SocketAddr,
    /// One datagram, or one message without the framing of the stream.
    pub payload: &'a [u8],
}
