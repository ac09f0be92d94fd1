//! TCP allocations (RFC 6062): sockets that peers connect to, connections to peers, and the copying
//! between those and the clients' connections.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use linkspan_turn::{ConnectionId, Way};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};

use crate::core::Core;

/// A peer's connection.
pub(crate) enum Peer {
    Connecting(AbortHandle),
    /// Nothing is read before the client binds: the window of TCP is the buffer.
    Waiting(TcpStream),
    /// Copied to that connection of a client.
    Joined {
        to_client: AbortHandle,
        local: SocketAddr,
        remote: SocketAddr,
    },
}

/// What a client's connection turns into when it is joined.
pub(crate) struct Joined {
    pub(crate) connection: ConnectionId,
    pub(crate) peer: OwnedWriteHalf,
}

impl Core {
    /// A relay socket that peers connect to.
    pub(crate) fn listen_for_peers(&self, relay: SocketAddr) {
        let listener = shared_socket(relay).and_then(|socket| socket.listen(BACKLOG));
        let is_bound = listener.is_ok();
        if let Ok(listener) = listener {
            let core = self.clone();
            let task = spawn_local(async move { core.accept_peers(relay, &listener).await });
            self.state().readers.insert(relay, task.abort_handle());
        }
        self.state().engine.bound(relay, is_bound, Instant::now());
    }

    async fn accept_peers(&self, relay: SocketAddr, listener: &TcpListener) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let mut state = self.state();
            if let Some(connection) = state.engine.accepted(relay, peer, Instant::now()) {
                state.peers.insert(connection, Peer::Waiting(stream));
            }
            drop(state);
            self.drain();
        }
    }

    pub(crate) fn connect_peer(&self, id: ConnectionId, relay: SocketAddr, peer: SocketAddr) {
        let core = self.clone();
        let task = spawn_local(async move {
            let stream = match shared_socket(relay) {
                Ok(socket) => socket.connect(peer).await,
                Err(error) => Err(error),
            };
            let is_connected = stream.is_ok();
            {
                let mut state = core.state();
                match stream {
                    Ok(stream) => state.peers.insert(id, Peer::Waiting(stream)),
                    Err(_) => state.peers.remove(&id),
                };
                state.engine.connected(id, is_connected, Instant::now());
            }
            core.drain();
        });
        self.state().peers.insert(id, Peer::Connecting(task.abort_handle()));
    }

    /// The answer to the client's request is in its queue before anything of the peer.
    pub(crate) fn join(&self, connection: ConnectionId, local: SocketAddr, remote: SocketAddr) {
        let mut state = self.state();
        let Some(client) = state.connections.get(&(local, remote)).cloned() else { return };
        let Some(Peer::Waiting(stream)) = state.peers.remove(&connection) else { return };
        let _ = stream.set_nodelay(true);
        let (reader, peer) = stream.into_split();
        let core = self.clone();
        let task = spawn_local(async move {
            core.copy_to_client(connection, reader, &client).await;
            core.state().engine.closed(connection);
            core.drain();
        });
        let to_client = task.abort_handle();
        state.peers.insert(connection, Peer::Joined { to_client, local, remote });
        state.joined.insert((local, remote), Joined { connection, peer });
    }

    async fn copy_to_client(
        &self,
        connection: ConnectionId,
        mut peer: OwnedReadHalf,
        client: &mpsc::Sender<Bytes>,
    ) {
        let mut buffer = vec![0; PIECE];
        while let Ok(len @ 1..) = peer.read(&mut buffer).await {
            let Some(octets) = buffer.get(..len) else { return };
            if client.send(Bytes::copy_from_slice(octets)).await.is_err() {
                return;
            }
            self.pace(connection, len, Way::ToClient).await;
        }
    }

    /// The other way: what a client writes, beginning with what came behind its request.
    pub(crate) async fn copy_to_peer(
        &self,
        mut joined: Joined,
        first: &[u8],
        reader: &mut (impl AsyncRead + Unpin),
    ) {
        let mut buffer = vec![0; PIECE];
        let mut octets = first;
        loop {
            if joined.peer.write_all(octets).await.is_err() {
                return;
            }
            self.pace(joined.connection, octets.len(), Way::ToPeer).await;
            let Ok(len @ 1..) = reader.read(&mut buffer).await else { return };
            octets = buffer.get(..len).unwrap_or_default();
        }
    }

    /// Closes what belongs to a connection; the client's end after what waits for it.
    pub(crate) fn close_peer(&self, connection: ConnectionId) {
        let mut state = self.state();
        match state.peers.remove(&connection) {
            Some(Peer::Connecting(task)) => task.abort(),
            Some(Peer::Joined { to_client, local, remote }) => {
                to_client.abort();
                state.joined.remove(&(local, remote));
                if let Some(client) = state.connections.remove(&(local, remote)) {
                    spawn_local(async move { client.send(Bytes::new()).await });
                }
            }
            Some(Peer::Waiting(_)) | None => {}
        }
    }

    async fn pace(&self, connection: ConnectionId, octets: usize, way: Way) {
        let wait = self.state().engine.carried(connection, octets, way, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// A socket at an address that others are bound to as well (RFC 6062 §5.1).
fn shared_socket(relay: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if relay.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.bind(relay)?;
    Ok(socket)
}

/// Peers that connect at the same time.
const BACKLOG: u32 = 16;
/// Octets that are copied at a time.
const PIECE: usize = 16 * 1024;
