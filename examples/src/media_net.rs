//! UDP sockets for media, opened and closed as an engine says.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::Tap;

/// The media sockets of one party. Clones are handles on the same sockets.
///
/// What arrives goes to the receiver that [`MediaNet::new`] returns, in buffers with room for
/// what an encryption adds; a buffer handed back by [`MediaNet::recycle`] is used again.
#[derive(Clone, Debug)]
pub struct MediaNet {
    shared: Arc<Shared>,
}

/// One datagram that arrived.
#[derive(Debug)]
pub struct Datagram {
    /// The socket it arrived on.
    pub local: SocketAddr,
    /// Who sent it.
    pub remote: SocketAddr,
    /// Its octets.
    pub payload: BytesMut,
}

#[derive(Debug)]
struct Shared {
    party: String,
    tap: Tap,
    input: mpsc::Sender<Datagram>,
    sockets: Mutex<HashMap<SocketAddr, Socket>>,
    spare: Mutex<Vec<BytesMut>>,
}

#[derive(Debug)]
struct Socket {
    /// A second handle, for sending: the runtime's own would first have to be told by the system
    /// that it can be written to.
    writer: Arc<std::net::UdpSocket>,
    reader: AbortHandle,
}

impl MediaNet {
    /// The sockets of `party`, and where their input comes out.
    pub fn new(party: &str, tap: Tap) -> (Self, mpsc::Receiver<Datagram>) {
        let (input, output) = mpsc::channel(QUEUE);
        let shared = Shared {
            party: party.to_owned(),
            tap,
            input,
            sockets: Mutex::default(),
            spare: Mutex::default(),
        };
        (Self { shared: Arc::new(shared) }, output)
    }

    /// Opens a socket (port 0 for any) and returns its address.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub fn bind(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let writer = Arc::new(socket.try_clone()?);
        let local = socket.local_addr()?;
        let socket = UdpSocket::from_std(socket)?;
        let reader = tokio::spawn(self.clone().receive(socket, local)).abort_handle();
        self.shared.tap.name(local, &self.shared.party);
        let old = self.sockets(|sockets| sockets.insert(local, Socket { writer, reader }));
        if let Some(old) = old {
            old.reader.abort();
        }
        Ok(local)
    }

    /// Opens two sockets on an even port and the next one, for RTP and RTCP.
    ///
    /// # Errors
    /// When no pair is free.
    pub fn bind_pair(&self, address: std::net::IpAddr) -> io::Result<(SocketAddr, SocketAddr)> {
        for _ in 0..ATTEMPTS {
            let rtp = self.bind(SocketAddr::new(address, 0))?;
            if rtp.port() % 2 == 0
                && let Some(port) = rtp.port().checked_add(1)
                && let Ok(rtcp) = self.bind(SocketAddr::new(address, port))
            {
                return Ok((rtp, rtcp));
            }
            self.unbind(rtp);
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no free pair of ports"))
    }

    /// Closes a socket.
    pub fn unbind(&self, local: SocketAddr) {
        if let Some(socket) = self.sockets(|sockets| sockets.remove(&local)) {
            socket.reader.abort();
        }
    }

    /// Sends one datagram from the socket at `local`. What the system does not take is lost, as
    /// in a network.
    pub fn send(&self, local: SocketAddr, remote: SocketAddr, payload: &[u8]) {
        let socket =
            self.sockets(|sockets| sockets.get(&local).map(|socket| Arc::clone(&socket.writer)));
        let Some(socket) = socket else {
            tracing::debug!(%local, "no such media socket");
            return;
        };
        match socket.send_to(payload, remote) {
            Ok(_) => self.shared.tap.datagram_sent(local, remote, payload),
            Err(error) => tracing::debug!(%error, %local, %remote, "media not sent"),
        }
    }

    /// Takes a buffer back.
    pub fn recycle(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut spare = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < QUEUE {
            spare.push(buffer);
        }
    }

    async fn receive(self, socket: UdpSocket, local: SocketAddr) {
        loop {
            let mut payload = self.buffer();
            match socket.recv_buf_from(&mut payload).await {
                Ok((_, remote)) => {
                    self.shared.tap.datagram_received(remote, local, &payload);
                    if self.shared.input.send(Datagram { local, remote, payload }).await.is_err() {
                        return;
                    }
                }
                // ICMP errors of earlier datagrams come out here; ICE and time-outs judge.
                Err(error) => tracing::trace!(%error, %local, "media not received"),
            }
        }
    }

    fn buffer(&self) -> BytesMut {
        let mut spare = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = spare.pop().unwrap_or_default();
        drop(spare);
        // Gives the octets back to the front when nobody else holds a part of them.
        buffer.reserve(DATAGRAM + ROOM);
        buffer
    }

    fn sockets<T>(&self, act: impl FnOnce(&mut HashMap<SocketAddr, Socket>) -> T) -> T {
        act(&mut self.shared.sockets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Datagrams that may wait for the engine, and buffers kept for them.
const QUEUE: usize = 4_096;
/// What media packets do not exceed on a path of Ethernet.
const DATAGRAM: usize = 2_048;
/// For an authentication tag and a key identifier.
const ROOM: usize = 64;
const ATTEMPTS: usize = 200;
