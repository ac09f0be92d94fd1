//! Connections to TURN servers over TCP and TLS: one for each local socket and server, opened by
//! what is sent on it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use linkspan_turn::ms;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::turn_framer::TurnFramer;
use crate::{Tls, fresh_seed};

/// How a TURN server is spoken to over a connection.
#[derive(Clone)]
pub enum RelayPath {
    /// RFC 8656 over TCP.
    Tcp,
    /// RFC 8656 over TLS; the certificate must carry the name.
    Tls(TlsConnector, ServerName<'static>),
    /// [MS-TURN] over TCP, behind its pseudo-TLS handshake.
    Microsoft,
}

impl RelayPath {
    /// RFC 8656 over TLS to `address`; its certificate must carry `name`, or without one the address.
    ///
    /// # Errors
    ///
    /// A name that is none.
    pub fn tls(tls: &Tls, address: SocketAddr, name: Option<&str>) -> io::Result<Self> {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
            None => ServerName::from(address.ip()),
        };
        Ok(Self::Tls(tls.connector().clone(), name))
    }
}

impl core::fmt::Debug for RelayPath {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "Tcp",
            Self::Tls(..) => "Tls",
            Self::Microsoft => "Microsoft",
        })
    }
}

/// What came over a connection between a local socket and a server: a message, or its end.
pub type RelayFrame = (SocketAddr, SocketAddr, Option<Bytes>);

/// Takes what comes, from any thread.
type Deliver = Arc<dyn Fn(RelayFrame) + Send + Sync>;

/// The connections of one party.
pub struct RelayStreams {
    runtime: Option<Handle>,
    paths: Arc<HashMap<SocketAddr, RelayPath>>,
    connections: HashMap<(SocketAddr, SocketAddr), mpsc::Sender<Bytes>>,
    deliver: Deliver,
}

impl core::fmt::Debug for RelayStreams {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RelayStreams")
            .field("open", &self.connections.len())
            .finish_non_exhaustive()
    }
}

impl RelayStreams {
    /// No connections yet; they will run on that runtime, and without one there are none.
    pub fn new(
        runtime: Option<Handle>,
        paths: Arc<HashMap<SocketAddr, RelayPath>>,
        deliver: impl Fn(RelayFrame) + Send + Sync + 'static,
    ) -> Self {
        let deliver = Arc::new(deliver);
        Self { runtime, paths, connections: HashMap::new(), deliver }
    }

    /// Sends a whole message. What a slow connection does not take is lost, as in a network.
    pub fn send(&mut self, local: SocketAddr, remote: SocketAddr, message: Bytes) {
        let closed = |connection: &mpsc::Sender<Bytes>| connection.is_closed();
        if self.connections.get(&(local, remote)).is_none_or(closed) {
            let path = self.paths.get(&remote).cloned();
            let (Some(path), Some(runtime)) = (path, &self.runtime) else {
                return (self.deliver)((local, remote, None));
            };
            let (sender, outgoing) = mpsc::channel(QUEUE);
            let deliver = Arc::clone(&self.deliver);
            runtime.spawn(async move {
                if let Err(error) = run(path, local, remote, outgoing, &deliver).await {
                    tracing::debug!(%error, %local, %remote, "connection to a TURN server");
                }
                deliver((local, remote, None));
            });
            self.connections.insert((local, remote), sender);
        }
        if let Some(connection) = self.connections.get(&(local, remote)) {
            let _ = connection.try_send(message);
        }
    }

    /// Closes the connections of a local socket, once what was sent has left.
    pub fn close(&mut self, local: SocketAddr) {
        self.connections.retain(|(from, _), _| *from != local);
    }
}

async fn run(
    path: RelayPath,
    local: SocketAddr,
    remote: SocketAddr,
    outgoing: mpsc::Receiver<Bytes>,
    deliver: &Deliver,
) -> io::Result<()> {
    let mut stream = timeout(PATIENCE, connect(local, remote)).await??;
    let give = |message| deliver((local, remote, Some(message)));
    match path {
        RelayPath::Tcp => {
            exchange(stream, TurnFramer::Standard(<_>::default()), outgoing, give).await
        }
        RelayPath::Tls(connector, name) => {
            let stream = timeout(PATIENCE, connector.connect(name, stream)).await??;
            exchange(stream, TurnFramer::Standard(<_>::default()), outgoing, give).await
        }
        RelayPath::Microsoft => {
            timeout(PATIENCE, shake_hands(&mut stream)).await??;
            exchange(stream, TurnFramer::Microsoft(<_>::default()), outgoing, give).await
        }
    }
}

async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if local.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(local.ip(), 0))?;
    let stream = socket.connect(remote).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// [MS-TURN] 2.1.1.
async fn shake_hands(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&ms::client_hello(fresh_seed()?)).await?;
    let mut answer = [0; ms::SERVER_HELLO_LEN];
    stream.read_exact(&mut answer).await?;
    ms::is_server_hello(&answer).then_some(()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Runs until either side ends: nobody sends any more, or the server has closed.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite,
    mut framer: TurnFramer,
    mut outgoing: mpsc::Receiver<Bytes>,
    give: impl Fn(Bytes),
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        while let Some(message) = outgoing.recv().await {
            writer.write_all(&message).await?;
            writer.flush().await?;
        }
        writer.shutdown().await
    };
    let reading = async {
        let mut buffer = BytesMut::with_capacity(READ);
        loop {
            buffer.clear();
            if reader.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            framer.push(&buffer)?;
            while let Some(message) = framer.poll_frame()? {
                give(message);
            }
        }
    };
    tokio::select! {
        done = writing => done,
        done = reading => done,
    }
}

/// Messages that may wait for a slow connection.
const QUEUE: usize = 256;
/// For a server to accept, and to shake hands.
const PATIENCE: Duration = Duration::from_secs(8);
const READ: usize = 16 * 1024;
