//! SIP over real sockets: datagrams, and connections of TCP and TLS.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use linkspan_sip::{ConnectionId, Frame, Limits, Path, StreamFramer, Transmit, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::{Tap, Tls};

/// The SIP sockets of one party. Clones are handles on the same sockets.
///
/// What arrives goes to the receiver that [`SipNet::new`] returns; what an engine wants sent goes
/// to [`SipNet::send`], which never waits.
#[derive(Clone, Debug)]
pub struct SipNet {
    shared: Arc<Shared>,
}

/// What the sockets report.
#[derive(Debug)]
pub enum SipInput {
    /// One framed message.
    Message {
        /// The way it came.
        path: Path,
        /// Its octets.
        payload: Bytes,
    },
    /// A connection could not be opened, or ended.
    Failed {
        /// The way that is gone, as it was given to [`SipNet::send`].
        path: Path,
    },
}

#[derive(Debug)]
struct Shared {
    party: String,
    tls: Option<Tls>,
    tap: Tap,
    input: mpsc::Sender<SipInput>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Second handles of the datagram sockets, for sending: the runtime's own would first have to
    /// be told by the system that they can be written to.
    datagram: HashMap<SocketAddr, Arc<std::net::UdpSocket>>,
    /// What waits to be written on each connection.
    connections: HashMap<ConnectionId, mpsc::Sender<Bytes>>,
    opened: HashMap<(Transport, SocketAddr), ConnectionId>,
    names: HashMap<SocketAddr, String>,
    /// What those who come to a listener are called in the call ladder.
    visitors: HashMap<SocketAddr, String>,
    next: u64,
}

impl SipNet {
    /// The sockets of `party`, and where their input comes out.
    pub fn new(party: &str, tls: Option<Tls>, tap: Tap) -> (Self, mpsc::Receiver<SipInput>) {
        let (input, output) = mpsc::channel(QUEUE);
        let shared = Shared {
            party: party.to_owned(),
            tls,
            tap,
            input,
            state: Mutex::new(State::default()),
        };
        (Self { shared: Arc::new(shared) }, output)
    }

    /// Receives on `address` (port 0 for any) and returns the address it got.
    ///
    /// # Errors
    /// When the address is taken, or TLS is asked for without a certificate.
    pub async fn listen(
        &self,
        transport: Transport,
        address: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let local = if transport.is_reliable() {
            if transport == Transport::Tls && self.acceptor().is_none() {
                return Err(io::Error::other("a TLS listener needs a certificate"));
            }
            let listener = TcpListener::bind(address).await?;
            let local = listener.local_addr()?;
            self.shared.tap.listener(local);
            tokio::spawn(self.clone().accept(transport, listener, local));
            local
        } else {
            let socket = std::net::UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            let local = socket.local_addr()?;
            let writer = Arc::new(socket.try_clone()?);
            self.state(|state| state.datagram.insert(local, writer));
            tokio::spawn(self.clone().receive(UdpSocket::from_std(socket)?, local));
            local
        };
        self.shared.tap.name(local, &self.shared.party);
        Ok(local)
    }

    /// The name that the certificate of the peer at `remote` must carry; its address otherwise.
    pub fn expect_name(&self, remote: SocketAddr, name: &str) {
        self.state(|state| state.names.insert(remote, name.to_owned()));
    }

    /// What those who come to the listener at `local` are called in the call ladder.
    pub fn name_visitors(&self, local: SocketAddr, party: &str) {
        self.state(|state| state.visitors.insert(local, party.to_owned()));
    }

    /// Sends, opening a connection where that is needed. What cannot be sent is reported as
    /// [`SipInput::Failed`].
    pub fn send(&self, transmit: Transmit) {
        let Transmit { path, payload } = transmit;
        if path.transport.is_reliable() {
            self.send_on_connection(path, payload);
        } else {
            self.send_datagram(path, &payload);
        }
    }

    fn send_datagram(&self, path: Path, payload: &Bytes) {
        let socket = self.state(|state| state.datagram.get(&path.local).cloned());
        let sent = socket.map(|socket| socket.send_to(payload, path.remote));
        match sent {
            Some(Ok(_)) => {
                self.shared.tap.sip_sent(path.transport, path.local, path.remote, payload);
            }
            // A full buffer loses a datagram, as a network would.
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Some(Err(error)) => {
                tracing::debug!(%error, remote = %path.remote, "datagram not sent");
                self.failed(path);
            }
            None => self.failed(path),
        }
    }

    fn send_on_connection(&self, path: Path, payload: Bytes) {
        let found = self.state(|state| {
            let id = path
                .connection
                .or_else(|| state.opened.get(&(path.transport, path.remote)).copied())?;
            state.connections.get(&id).cloned()
        });
        let queue = match (found, path.connection) {
            (Some(queue), _) => queue,
            (None, Some(_)) => return self.failed(path),
            (None, None) => self.open(path),
        };
        // A peer that stops reading must not hold us up: its queue is bounded, and full is failed.
        if queue.try_send(payload).is_err() {
            self.failed(path);
        }
    }

    /// Begins to open a connection; what is queued meanwhile goes out when it is there.
    fn open(&self, path: Path) -> mpsc::Sender<Bytes> {
        let (queue, queued) = mpsc::channel(QUEUE);
        let (id, name) = self.state(|state| {
            let id = state.next_id();
            state.connections.insert(id, queue.clone());
            state.opened.insert((path.transport, path.remote), id);
            (id, state.names.get(&path.remote).cloned())
        });
        tokio::spawn(self.clone().connect(path.with_connection(id), name, queued));
        queue
    }

    async fn connect(self, path: Path, name: Option<String>, queued: mpsc::Receiver<Bytes>) {
        match timeout(SETUP_TIME, TcpStream::connect(path.remote)).await {
            Ok(Ok(stream)) => {
                let seen = stream.local_addr().unwrap_or(path.local);
                let _ = stream.set_nodelay(true);
                if path.transport == Transport::Tls {
                    match timeout(SETUP_TIME, self.connect_tls(stream, path.remote, name)).await {
                        Ok(Ok(stream)) => self.serve(path, seen, stream, queued).await,
                        Ok(Err(error)) => {
                            tracing::warn!(%error, remote = %path.remote, "TLS refused");
                        }
                        Err(_) => tracing::warn!(remote = %path.remote, "TLS handshake timed out"),
                    }
                } else {
                    self.serve(path, seen, stream, queued).await;
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, remote = %path.remote, "not connected"),
            Err(_) => tracing::debug!(remote = %path.remote, "connecting timed out"),
        }
        self.forget(path);
        self.failed(path);
        // Whoever sent without naming a connection is told by the name it used.
        self.failed(Path { connection: None, ..path });
    }

    async fn connect_tls(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        name: Option<String>,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let tls = self.shared.tls.as_ref().ok_or_else(|| io::Error::other("no TLS settings"))?;
        let name = match name {
            Some(name) => ServerName::try_from(name).map_err(io::Error::other)?,
            None => ServerName::IpAddress(remote.ip().into()),
        };
        tls.connector().connect(name, stream).await
    }

    async fn accept(self, transport: Transport, listener: TcpListener, local: SocketAddr) {
        loop {
            let (stream, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: wait for some to come back.
                    tracing::warn!(%error, "not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let full = self.state(|state| state.connections.len() >= CONNECTIONS);
            if full {
                tracing::warn!(%remote, "too many connections");
                continue;
            }
            let _ = stream.set_nodelay(true);
            tokio::spawn(self.clone().serve_accepted(transport, stream, local, remote));
        }
    }

    async fn serve_accepted(
        self,
        transport: Transport,
        stream: TcpStream,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let (queue, queued) = mpsc::channel(QUEUE);
        let path = self.state(|state| {
            let id = state.next_id();
            state.connections.insert(id, queue);
            Path::new(transport, local, remote).with_connection(id)
        });
        if let Some(party) = self.state(|state| state.visitors.get(&local).cloned()) {
            self.shared.tap.name_visitor(remote, &party);
        }
        match self.acceptor().filter(|_| transport == Transport::Tls) {
            Some(acceptor) => match timeout(SETUP_TIME, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.serve(path, local, stream, queued).await,
                Ok(Err(error)) => tracing::warn!(%error, %remote, "TLS refused"),
                Err(_) => tracing::warn!(%remote, "TLS handshake timed out"),
            },
            None => self.serve(path, local, stream, queued).await,
        }
        self.shared.tap.forget_visitor(remote);
        self.forget(path);
        self.failed(path);
    }

    /// Carries messages both ways until the connection ends. `seen` is our address on the wire.
    async fn serve<S>(&self, path: Path, seen: SocketAddr, stream: S, queued: mpsc::Receiver<Bytes>)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        self.shared.tap.name(seen, &self.shared.party);
        let (reader, writer) = tokio::io::split(stream);
        let ended = tokio::select! {
            ended = self.read(path, seen, reader) => ended,
            ended = self.write(path, seen, writer, queued) => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, remote = %path.remote, "connection ended");
        }
    }

    async fn read<S: AsyncRead>(
        &self,
        path: Path,
        seen: SocketAddr,
        mut reader: ReadHalf<S>,
    ) -> io::Result<()> {
        let mut framer = StreamFramer::new(Limits::default());
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = reader.read(&mut buffer).await?;
            let Some(octets) = buffer.get(..read).filter(|octets| !octets.is_empty()) else {
                return Ok(());
            };
            framer.push(octets).map_err(io::Error::other)?;
            while let Some(frame) = framer.poll_frame().map_err(io::Error::other)? {
                match frame {
                    Frame::Message(payload) => {
                        self.shared.tap.sip_received(path.transport, path.remote, seen, &payload);
                        self.input(SipInput::Message { path, payload }).await;
                    }
                    // RFC 5626 §4.4.1: the answer to a ping is a single CRLF.
                    Frame::KeepAlive => self.keep_alive(path),
                    _ => {}
                }
            }
        }
    }

    fn keep_alive(&self, path: Path) {
        let queue = self.state(|state| state.connections.get(&path.connection?).cloned());
        if let Some(queue) = queue {
            let _ = queue.try_send(Bytes::from_static(b"\r\n"));
        }
    }

    async fn write<S: AsyncWrite>(
        &self,
        path: Path,
        seen: SocketAddr,
        mut writer: WriteHalf<S>,
        mut queued: mpsc::Receiver<Bytes>,
    ) -> io::Result<()> {
        while let Some(payload) = queued.recv().await {
            if payload.len() > 4 {
                self.shared.tap.sip_sent(path.transport, seen, path.remote, &payload);
            }
            writer.write_all(&payload).await?;
            writer.flush().await?;
        }
        Ok(())
    }

    async fn receive(self, socket: UdpSocket, local: SocketAddr) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((read, remote)) => {
                    let payload = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
                    // RFC 5626 §3.5.1 and older keep-alives: CRLF or less is no message.
                    if payload.len() <= 4 {
                        continue;
                    }
                    self.shared.tap.sip_received(Transport::Udp, remote, local, &payload);
                    let path = Path::new(Transport::Udp, local, remote);
                    self.input(SipInput::Message { path, payload }).await;
                }
                // An ICMP error of an earlier datagram; the transaction's timers deal with it.
                Err(error) => tracing::debug!(%error, "datagram not received"),
            }
        }
    }

    async fn input(&self, input: SipInput) {
        let _ = self.shared.input.send(input).await;
    }

    fn failed(&self, path: Path) {
        let input = self.shared.input.clone();
        tokio::spawn(async move {
            let _ = input.send(SipInput::Failed { path }).await;
        });
    }

    fn forget(&self, path: Path) {
        self.state(|state| {
            let Some(id) = path.connection else { return };
            state.connections.remove(&id);
            if state.opened.get(&(path.transport, path.remote)) == Some(&id) {
                state.opened.remove(&(path.transport, path.remote));
            }
        });
    }

    fn acceptor(&self) -> Option<tokio_rustls::TlsAcceptor> {
        self.shared.tls.as_ref().and_then(Tls::acceptor)
    }

    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn next_id(&mut self) -> ConnectionId {
        self.next += 1;
        ConnectionId(self.next)
    }
}

/// Messages that may wait for a connection or for the program.
const QUEUE: usize = 1_024;
/// Connections at a time.
const CONNECTIONS: usize = 4_096;
/// For connecting, and again for the TLS handshake.
const SETUP_TIME: Duration = Duration::from_secs(10);
