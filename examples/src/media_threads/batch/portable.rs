use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use linkspan_gateway::{MediaEngine, MediaTransmit};
use mio::net::UdpSocket;

use super::{BATCH, DATAGRAM};

/// What the system gives is enough.
pub(in super::super) const fn make_room(_: &UdpSocket) {}

/// Nothing to keep.
#[derive(Debug)]
pub(in super::super) struct Batch;

impl Batch {
    pub(in super::super) const fn new() -> Self {
        Self
    }

    /// Hands what has arrived to `each`, a batch at most; says how much that was.
    pub(in super::super) fn receive(
        &mut self,
        socket: &UdpSocket,
        _local: SocketAddr,
        engine: &mut MediaEngine,
        mut each: impl FnMut(&mut MediaEngine, SocketAddr, BytesMut),
    ) -> usize {
        for taken in 0..BATCH {
            let mut packet = engine.buffer();
            packet.resize(DATAGRAM, 0);
            match socket.recv_from(&mut packet) {
                Ok((octets, remote)) => {
                    packet.truncate(octets);
                    each(engine, remote, packet);
                }
                Err(error) => {
                    engine.recycle(packet);
                    if error.kind() != io::ErrorKind::WouldBlock {
                        tracing::trace!(%error, "media not received");
                    }
                    return taken;
                }
            }
        }
        BATCH
    }

    /// Sends packets that go from this socket to one peer.
    pub(in super::super) fn send(
        &mut self,
        socket: &UdpSocket,
        packets: &[MediaTransmit],
    ) -> io::Result<()> {
        packets.iter().try_for_each(|one| socket.send_to(&one.payload, one.remote).map(|_| ()))
    }
}
