//! The server's sockets around the engine: one thread, no queue between a packet and its way on.

use std::cell::{RefCell, RefMut};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use linkspan_examples::Report;
use linkspan_turn::{
    ConnectionId, InputError, Received, ServerConfig, ServerEvent, Transport, TurnServer, Wrapped,
};
use serde_json::json;
use tokio::io::Interest;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, spawn_local};
use tokio_rustls::TlsAcceptor;

use crate::streams::{Joined, Peer};
use crate::{connection, fragments};

/// The engine and everything that it sends through.
#[derive(Clone)]
pub(crate) struct Core(Rc<Shared>);

struct Shared {
    state: RefCell<State>,
    /// Wakes the clock when a deadline may have moved.
    moved: Notify,
    report: Report,
    has_ms: bool,
}

pub(crate) struct State {
    pub(crate) engine: TurnServer,
    sockets: HashMap<SocketAddr, Rc<UdpSocket>>,
    pub(crate) readers: HashMap<SocketAddr, AbortHandle>,
    /// Clients' connections; an empty message ends one.
    pub(crate) connections: HashMap<(SocketAddr, SocketAddr), mpsc::Sender<Bytes>>,
    pub(crate) peers: HashMap<ConnectionId, Peer>,
    /// What those connections of clients carry from now on, until their readers take it.
    pub(crate) joined: HashMap<(SocketAddr, SocketAddr), Joined>,
}

impl Core {
    pub(crate) fn new(config: ServerConfig, seed: [u8; 32], now: Instant, report: Report) -> Self {
        let has_ms = config.ms_turn;
        let state = State {
            engine: TurnServer::new(config, seed, now),
            sockets: HashMap::new(),
            readers: HashMap::new(),
            connections: HashMap::new(),
            peers: HashMap::new(),
            joined: HashMap::new(),
        };
        Self(Rc::new(Shared { state: RefCell::new(state), moved: Notify::new(), report, has_ms }))
    }

    /// Not held across anything that waits.
    pub(crate) fn state(&self) -> RefMut<'_, State> {
        self.0.state.borrow_mut()
    }

    /// Serves an address by UDP and by TCP.
    pub(crate) async fn listen(&self, address: SocketAddr) -> io::Result<()> {
        let streams = TcpListener::bind(address).await?;
        let socket = UdpSocket::bind(address).await?;
        let local = socket.local_addr()?;
        self.read_from(local, socket);
        spawn_local(self.clone().accept(streams, local, None));
        let report = &self.0.report;
        report.text(format!("serving {local} (udp, tcp)"));
        report.json(&json!({"event": "listening", "address": local.to_string()}));
        Ok(())
    }

    /// Serves an address by TLS (RFC 8656 §3.1).
    pub(crate) async fn listen_tls(&self, address: SocketAddr, tls: TlsAcceptor) -> io::Result<()> {
        let streams = TcpListener::bind(address).await?;
        let local = streams.local_addr()?;
        spawn_local(self.clone().accept(streams, local, Some(tls)));
        self.0.report.text(format!("serving {local} (tls)"));
        self.0.report.json(&json!({"event": "listening-tls", "address": local.to_string()}));
        Ok(())
    }

    async fn accept(self, streams: TcpListener, local: SocketAddr, tls: Option<TlsAcceptor>) {
        loop {
            let Ok((stream, remote)) = streams.accept().await else {
                // Out of descriptors, as a rule: wait for some to come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let core = self.clone();
            let Some(tls) = tls.clone() else {
                spawn_local(connection::serve(core, stream, local, remote));
                continue;
            };
            spawn_local(async move {
                let handshake = tokio::time::timeout(Duration::from_secs(10), tls.accept(stream));
                if let Ok(Ok(stream)) = handshake.await {
                    connection::serve(core, stream, local, remote).await;
                }
            });
        }
    }

    pub(crate) fn ready(&self) {
        self.0.report.text("ready");
        self.0.report.json(&json!({"event": "ready"}));
    }

    pub(crate) fn has_ms(&self) -> bool {
        self.0.has_ms
    }

    /// Calls the engine when its time has come. Never ends.
    pub(crate) async fn keep_time(&self) {
        loop {
            let next = self.0.state.borrow().engine.poll_timeout();
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                () = self.0.moved.notified() => {}
                () = tokio::time::sleep_until(next.unwrap_or(far).into()) => {
                    self.0.state.borrow_mut().engine.handle_timeout(Instant::now());
                    self.drain();
                }
            }
        }
    }

    pub(crate) fn connect(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        sender: mpsc::Sender<Bytes>,
    ) {
        self.0.state.borrow_mut().connections.insert((local, remote), sender);
    }

    pub(crate) fn disconnect(&self, local: SocketAddr, remote: SocketAddr) {
        {
            let mut state = self.0.state.borrow_mut();
            state.connections.remove(&(local, remote));
            state.engine.handle_disconnect(local, remote);
        }
        self.drain();
    }

    /// A frame of a connection; says what the connection carries from now on, if that is no frames.
    pub(crate) fn frame(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        payload: &[u8],
    ) -> Option<Joined> {
        let received = Received { transport: Transport::Tcp, local, remote, payload };
        self.take(received);
        self.state().joined.remove(&(local, remote))
    }

    fn read_from(&self, local: SocketAddr, socket: UdpSocket) {
        let socket = Rc::new(socket);
        let (core, reader) = (self.clone(), Rc::clone(&socket));
        let task = spawn_local(async move { core.read(local, &reader).await });
        let mut state = self.0.state.borrow_mut();
        state.sockets.insert(local, socket);
        state.readers.insert(local, task.abort_handle());
    }

    async fn read(&self, local: SocketAddr, socket: &UdpSocket) {
        // Room before the packet: what the relay puts there goes out with it in one piece.
        let mut buffer = vec![0; Wrapped::MAX_HEAD + 65_536 + 4];
        loop {
            let Ok(ready) = socket.ready(Interest::READABLE | Interest::ERROR).await else {
                return;
            };
            if ready.is_error() {
                self.take_errors(local, socket);
                // Taken: wait for the next.
                let nothing_left = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                let _ = socket.try_io(Interest::ERROR, nothing_left);
            }
            for _ in 0..BATCH {
                let Some(place) = buffer.get_mut(Wrapped::MAX_HEAD..Wrapped::MAX_HEAD + 65_536)
                else {
                    return;
                };
                match socket.try_recv_from(place) {
                    Ok((len, remote)) => self.datagram(local, remote, &mut buffer, len),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Of earlier packets; the socket itself is fine.
                    Err(_) => self.take_errors(local, socket),
                }
            }
        }
    }

    fn datagram(&self, local: SocketAddr, remote: SocketAddr, buffer: &mut [u8], len: usize) {
        let (from, to) = (Wrapped::MAX_HEAD, Wrapped::MAX_HEAD + len);
        let Some(payload) = buffer.get(from..to) else { return };
        let received = Received { transport: Transport::Udp, local, remote, payload };
        let mut state = self.0.state.borrow_mut();
        let forward = match state.engine.forward(received, Instant::now()) {
            Ok(forward) => forward,
            Err(InputError::NotMine) => {
                drop(state);
                self.take(received);
                return;
            }
            Err(_) => return,
        };
        let (transport, local, remote) = (forward.transport, forward.local, forward.remote);
        let [head, data, tail] = forward.packet.slices();
        if transport == Transport::Tcp {
            state.to_connection(local, remote, forward.packet.to_bytes());
            return;
        }
        let Some(socket) = state.sockets.get(&local) else { return };
        if forward.packet.dont_fragment() {
            if fragments::send_whole(socket, local, data, remote).is_err() {
                let socket = Rc::clone(socket);
                drop(state);
                self.take_errors(local, &socket);
            }
            return;
        }
        // A full socket buffer loses a datagram, as a network would.
        if head.is_empty() && tail.is_empty() {
            let _ = socket.try_send_to(data, remote); // toward a peer: the data alone
            return;
        }
        // Toward a client all that came is data: the header goes into the room before it.
        let mut before = [0; Wrapped::MAX_HEAD];
        let (start, end) = (from - head.len(), to + tail.len());
        before.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
        let Some(packet) = buffer.get_mut(start..end) else { return };
        packet.iter_mut().zip(before).take(from - start).for_each(|(to, from)| *to = from);
        packet.iter_mut().rev().take(end - to).for_each(|octet| *octet = 0);
        let _ = socket.try_send_to(packet, remote);
    }

    /// The client hears of its relay when the runtime lets packets out of it: the first would be
    /// lost otherwise.
    fn use_relay(&self, relay: SocketAddr, socket: UdpSocket) {
        self.read_from(relay, socket);
        let Some(socket) = self.state().sockets.get(&relay).cloned() else { return };
        let core = self.clone();
        spawn_local(async move {
            let is_bound = socket.writable().await.is_ok();
            core.state().engine.bound(relay, is_bound, Instant::now());
            core.drain();
        });
    }

    /// What the network says of packets that did not arrive.
    fn take_errors(&self, local: SocketAddr, socket: &UdpSocket) {
        for (peer, error) in fragments::errors(socket) {
            let _ = self.state().engine.handle_icmp(local, peer, error, Instant::now());
        }
        self.drain();
    }

    /// The way of everything that is not relayed at once.
    fn take(&self, received: Received<'_>) {
        let outcome = self.0.state.borrow_mut().engine.handle_input(received, Instant::now());
        if outcome.is_ok() {
            self.drain();
        }
    }

    pub(crate) fn drain(&self) {
        loop {
            let event = self.0.state.borrow_mut().engine.poll_event();
            let Some(event) = event else { break };
            self.handle_event(event);
        }
        let mut state = self.0.state.borrow_mut();
        while let Some(transmit) = state.engine.poll_transmit() {
            match transmit.transport {
                Transport::Udp => {
                    if let Some(socket) = state.sockets.get(&transmit.local) {
                        let _ = socket.try_send_to(&transmit.payload, transmit.remote);
                    }
                }
                Transport::Tcp => {
                    state.to_connection(transmit.local, transmit.remote, transmit.payload);
                }
            }
        }
        drop(state);
        self.0.moved.notify_one();
    }

    fn handle_event(&self, event: ServerEvent) {
        let report = &self.0.report;
        match event {
            ServerEvent::Bind { relay } => {
                let socket = std::net::UdpSocket::bind(relay).and_then(|socket| {
                    socket.set_nonblocking(true)?;
                    let socket = UdpSocket::from_std(socket)?;
                    fragments::prepare(&socket)?;
                    Ok(socket)
                });
                match socket {
                    Ok(socket) => self.use_relay(relay, socket),
                    Err(_) => self.state().engine.bound(relay, false, Instant::now()),
                }
            }
            ServerEvent::Listen { relay } => self.listen_for_peers(relay),
            ServerEvent::Connect { connection, relay, peer } => {
                self.connect_peer(connection, relay, peer);
            }
            ServerEvent::Join { connection, local, remote } => self.join(connection, local, remote),
            ServerEvent::Close { connection } => self.close_peer(connection),
            ServerEvent::Unbind { relay } => {
                let mut state = self.0.state.borrow_mut();
                state.sockets.remove(&relay);
                if let Some(reader) = state.readers.remove(&relay) {
                    reader.abort();
                }
            }
            ServerEvent::Allocated { client, username, relayed } => {
                let user = username.escape_ascii().to_string();
                let relayed: Vec<String> = relayed.iter().map(ToString::to_string).collect();
                report.text(format!("{client} allocated {} for {user}", relayed.join(", ")));
                report.json(&json!({
                    "event": "allocated", "client": client.to_string(), "user": user,
                    "relayed": relayed,
                }));
            }
            ServerEvent::Moved { from, to } => {
                report.text(format!("{from} moved to {to}"));
                let (from, to) = (from.to_string(), to.to_string());
                report.json(&json!({ "event": "moved", "from": from, "client": to }));
            }
            ServerEvent::Ended { client, username, usage } => {
                let user = username.escape_ascii().to_string();
                report.text(format!(
                    "{client} ended: {} packets sent, {} received",
                    usage.packets_sent, usage.packets_received
                ));
                report.json(&json!({
                    "event": "ended", "client": client.to_string(), "user": user,
                    "packets_sent": usage.packets_sent, "octets_sent": usage.octets_sent,
                    "packets_received": usage.packets_received,
                    "octets_received": usage.octets_received,
                    "packets_over_limit": usage.packets_over_limit,
                }));
            }
            _ => {}
        }
    }
}

impl State {
    fn to_connection(&self, local: SocketAddr, remote: SocketAddr, payload: Bytes) {
        if let Some(connection) = self.connections.get(&(local, remote)) {
            // A client that does not read loses data, not the server's memory.
            let _ = connection.try_send(payload);
        }
    }
}

/// Packets of one socket before the others have their turn.
const BATCH: usize = 64;
