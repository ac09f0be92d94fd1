use core::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use bytes::BytesMut;
use linkspan_gateway::{MediaEngine, MediaTransmit};
use mio::net::UdpSocket;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage,
    recvmmsg, sendmmsg, setsockopt,
};

use super::{BATCH, DATAGRAM};

/// What the system calls need, made once.
pub(in super::super) struct Batch {
    /// A set for each family: the system writes the length of the addresses into them.
    v4: MultiHeaders<SockaddrIn>,
    v6: MultiHeaders<SockaddrIn6>,
    outgoing: MultiHeaders<SockaddrStorage>,
    /// Buffers that the next datagrams go into, each as long as a datagram may be.
    buffers: [BytesMut; BATCH],
    arrived: [Option<(usize, SocketAddr)>; BATCH],
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}

impl Batch {
    pub(in super::super) fn new() -> Self {
        Self {
            v4: MultiHeaders::preallocate(BATCH, None),
            v6: MultiHeaders::preallocate(BATCH, None),
            outgoing: MultiHeaders::preallocate(BATCH, None),
            buffers: Default::default(),
            arrived: [None; BATCH],
        }
    }

    /// Hands what has arrived to `each`, a batch at most; says how much that was.
    pub(in super::super) fn receive(
        &mut self,
        socket: &UdpSocket,
        local: SocketAddr,
        engine: &mut MediaEngine,
        mut each: impl FnMut(&mut MediaEngine, SocketAddr, BytesMut),
    ) -> usize {
        for buffer in self.buffers.iter_mut().filter(|buffer| buffer.is_empty()) {
            *buffer = engine.buffer();
            buffer.resize(DATAGRAM, 0);
        }
        let Self { v4, v6, buffers, arrived, .. } = self;
        let taken = if local.is_ipv6() {
            take(socket, v6, buffers, arrived, |at: SockaddrIn6| SocketAddrV6::from(at).into())
        } else {
            take(socket, v4, buffers, arrived, |at: SockaddrIn| SocketAddrV4::from(at).into())
        };
        for (buffer, arrived) in buffers.iter_mut().zip(&mut *arrived).take(taken) {
            // Left in its place, the buffer of one that was cut short takes the next.
            let Some((octets, remote)) = arrived.take() else { continue };
            let mut packet = core::mem::take(buffer);
            packet.truncate(octets);
            each(engine, remote, packet);
        }
        taken
    }

    /// Sends packets that go from this socket to one peer.
    pub(in super::super) fn send(
        &mut self,
        socket: &UdpSocket,
        packets: &[MediaTransmit],
    ) -> io::Result<()> {
        match packets {
            [] => Ok(()),
            [one] => socket.send_to(&one.payload, one.remote).map(|_| ()),
            [first, ..] => {
                let address = [Some(SockaddrStorage::from(first.remote)); BATCH];
                let mut slices = [[IoSlice::new(&[])]; BATCH];
                for (slice, packet) in slices.iter_mut().zip(packets) {
                    *slice = [IoSlice::new(&packet.payload)];
                }
                let slices = slices.iter().take(packets.len());
                let none: [ControlMessage<'_>; 0] = [];
                // All go to one peer: what stops one stops those behind it too, so that how many
                // were taken makes no difference.
                let descriptor = socket.as_raw_fd();
                let flags = MsgFlags::MSG_DONTWAIT;
                sendmmsg(descriptor, &mut self.outgoing, slices, address, none, flags)?;
                Ok(())
            }
        }
    }
}

/// Room for what arrives while the thread is not run: more than the system's bound for everybody
/// where we may, that bound otherwise.
pub(in super::super) fn make_room(socket: &UdpSocket) {
    let made =
        setsockopt(socket, RcvBufForce, &ROOM).or_else(|_| setsockopt(socket, RcvBuf, &ROOM));
    if let Err(error) = made {
        tracing::debug!(%error, "the receive buffer stays as it was");
    }
}

fn take<S: Copy + SockaddrLike>(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<S>,
    buffers: &mut [BytesMut; BATCH],
    arrived: &mut [Option<(usize, SocketAddr)>; BATCH],
    address: impl Fn(S) -> SocketAddr,
) -> usize {
    let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = match recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), flags, None) {
        Ok(received) => received,
        Err(Errno::EAGAIN) => return 0,
        // Interrupted, or an ICMP error of an earlier datagram, on which ICE and time-outs judge:
        // as if a batch had been read, so that it is tried again.
        Err(error) => {
            tracing::trace!(%error, "media not received");
            return BATCH;
        }
    };
    let mut taken = 0;
    for (message, arrived) in received.zip(arrived) {
        let whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
        *arrived = message.address.filter(|_| whole).map(|from| (message.bytes, address(from)));
        taken += 1;
    }
    taken
}

/// Octets, with what the system adds to each datagram: about a second of video.
const ROOM: usize = 1 << 20;
