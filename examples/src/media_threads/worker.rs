//! One media thread.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use linkspan_gateway::{MediaCommand, MediaEngine, MediaEvent, MediaTransmit, StreamId};
use linkspan_ice::Transport;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use tokio::sync::mpsc::UnboundedSender;

use super::Order;
use super::batch::{self, BATCH, Batch};
use crate::{RelayFrame, RelayStreams, Tap};

/// An engine, the sockets of its streams, and what they have to do with each other.
pub(super) struct Worker {
    poll: Poll,
    engine: MediaEngine,
    sockets: Vec<Option<Socket>>,
    free: Vec<usize>,
    tokens: HashMap<SocketAddr, usize>,
    /// Sockets that have more to read than was read so far.
    unread: Vec<usize>,
    batch: Batch,
    /// Packets to one peer from one socket, on their way out.
    outgoing: Vec<MediaTransmit>,
    inbox: Receiver<Order>,
    events: UnboundedSender<MediaEvent>,
    tap: Option<(Tap, String)>,
    streams: RelayStreams,
}

struct Socket {
    socket: UdpSocket,
    local: SocketAddr,
}

/// Readiness looked at in one turn.
const EVENTS: usize = 256;
/// Batches read from one socket before the others have their turn.
const TURNS: usize = 4;
/// What wakes a thread that has got orders.
pub(super) const WAKE: Token = Token(usize::MAX);
/// Without anything to do, a thread looks again this often.
const IDLE: Duration = Duration::from_secs(60);

impl Worker {
    /// A worker without streams, on the thread that is to run it.
    pub(super) fn new(
        poll: Poll,
        seed: [u8; 32],
        inbox: Receiver<Order>,
        events: UnboundedSender<MediaEvent>,
        tap: Option<(Tap, String)>,
        streams: RelayStreams,
    ) -> Self {
        Self {
            poll,
            engine: MediaEngine::new(seed, Instant::now()),
            sockets: Vec::new(),
            free: Vec::new(),
            tokens: HashMap::new(),
            unread: Vec::new(),
            batch: Batch::new(),
            outgoing: Vec::with_capacity(BATCH),
            inbox,
            events,
            tap,
            streams,
        }
    }

    /// Runs until nobody gives orders any more.
    pub(super) fn run(mut self) {
        let mut ready = Events::with_capacity(EVENTS);
        let mut readable = Vec::with_capacity(EVENTS);
        loop {
            let wait = self.wait();
            if let Err(error) = self.poll.poll(&mut ready, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a media thread ends");
                return;
            }
            // What was left unread goes first: it is the oldest.
            readable.append(&mut self.unread);
            let tokens = ready.iter().map(|event| event.token());
            readable.extend(tokens.filter(|token| *token != WAKE).map(|token| token.0));
            for at in readable.drain(..) {
                self.read(at);
            }
            if !self.take_orders() {
                return;
            }
            let now = Instant::now();
            if self.engine.poll_timeout().is_some_and(|at| at <= now) {
                self.engine.handle_timeout(now);
            }
            self.send();
            while let Some(event) = self.engine.poll_event() {
                let _ = self.events.send(event);
            }
        }
    }

    fn wait(&self) -> Duration {
        if !self.unread.is_empty() {
            return Duration::ZERO;
        }
        let due = self.engine.poll_timeout();
        due.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()).min(IDLE))
    }

    /// Reads what has arrived on a socket, a few batches at most, and sends what comes of it.
    fn read(&mut self, at: usize) {
        for _ in 0..TURNS {
            let Some(Socket { socket, local }) = self.sockets.get(at).and_then(Option::as_ref)
            else {
                return;
            };
            let (engine, local) = (&mut self.engine, *local);
            let (now, tap) = (Instant::now(), self.tap.as_ref());
            let read = self.batch.receive(socket, local, engine, |engine, remote, packet| {
                if let Some((tap, _)) = tap {
                    tap.datagram_received(remote, local, &packet);
                }
                if let Err(error) = engine.handle_datagram(local, remote, packet, now) {
                    tracing::trace!(%error, %local, %remote, "datagram dropped");
                }
            });
            self.send();
            // A batch that is not full was the last one; what comes later is told anew.
            if read < BATCH {
                return;
            }
        }
        self.unread.push(at);
    }

    /// Sends what the engine has, packets of one socket to one peer together.
    fn send(&mut self) {
        loop {
            let next = self.engine.poll_transmit();
            let fits = match (&next, self.outgoing.first()) {
                (Some(next), Some(first)) => {
                    let way = |one: &MediaTransmit| (one.transport, one.local, one.remote);
                    way(next) == way(first) && self.outgoing.len() < BATCH
                }
                _ => true,
            };
            if !fits || next.is_none() {
                self.flush();
            }
            match next {
                Some(transmit) => self.outgoing.push(transmit),
                None => return,
            }
        }
    }

    fn flush(&mut self) {
        let Some(first) = self.outgoing.first() else { return };
        if first.transport == Transport::Tcp {
            for MediaTransmit { local, remote, payload, .. } in self.outgoing.drain(..) {
                self.streams.send(local, remote, payload.freeze());
            }
            return;
        }
        let socket = self.tokens.get(&first.local).and_then(|at| self.sockets.get(*at)?.as_ref());
        if let Some(Socket { socket, local }) = socket {
            // What the system does not take is lost, as in a network.
            if let Err(error) = self.batch.send(socket, &self.outgoing) {
                tracing::debug!(%error, %local, remote = %first.remote, "media not sent");
            } else if let Some((tap, _)) = &self.tap {
                for MediaTransmit { local, remote, payload, .. } in &self.outgoing {
                    tap.datagram_sent(*local, *remote, payload);
                }
            }
        }
        for transmit in self.outgoing.drain(..) {
            self.engine.recycle(transmit.payload);
        }
    }

    /// False when nobody will give any more.
    fn take_orders(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Carry(command)) => self.carry_out(command),
                Ok(Order::Tell(answer)) => {
                    let streams: Vec<StreamId> = self.engine.streams().collect();
                    let figures = streams
                        .into_iter()
                        .filter_map(|id| Some((id, self.engine.statistics(id)?)));
                    // Whoever has asked may have gone.
                    let _ = answer.send(figures.collect());
                }
                Ok(Order::Relayed(frame)) => self.take_frame(frame),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// What a TURN server sends over its connection, or that it is gone.
    fn take_frame(&mut self, (local, remote, frame): RelayFrame) {
        let now = Instant::now();
        let Some(frame) = frame else {
            return self.engine.handle_disconnect(local, remote, now);
        };
        if let Some((tap, _)) = &self.tap {
            tap.datagram_received(remote, local, &frame);
        }
        if let Err(error) = self.engine.handle_frame(local, remote, frame.into(), now) {
            tracing::trace!(%error, %local, %remote, "frame dropped");
        }
    }

    fn carry_out(&mut self, command: MediaCommand) {
        match command {
            MediaCommand::Bind { stream, sockets } => {
                let event = match self.bind(stream, &sockets) {
                    Ok(()) => MediaEvent::Bound { stream },
                    Err(error) => MediaEvent::BindFailed { stream, reason: error.to_string() },
                };
                let _ = self.events.send(event);
            }
            MediaCommand::Unbind { sockets, .. } => sockets.iter().for_each(|at| self.unbind(*at)),
            command => self.engine.handle_command(command, Instant::now()),
        }
    }

    /// All or none.
    fn bind(&mut self, stream: StreamId, sockets: &[SocketAddr]) -> io::Result<()> {
        for (number, address) in sockets.iter().enumerate() {
            if let Err(error) = self.open(*address) {
                sockets.iter().take(number).for_each(|done| self.unbind(*done));
                return Err(error);
            }
            if let Some((tap, party)) = &self.tap {
                tap.name(*address, party);
                tap.assign(*address, stream.call);
            }
        }
        Ok(())
    }

    fn open(&mut self, local: SocketAddr) -> io::Result<()> {
        let mut socket = UdpSocket::bind(local)?;
        batch::make_room(&socket);
        let at = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(None);
            self.sockets.len() - 1
        });
        if let Err(error) =
            self.poll.registry().register(&mut socket, Token(at), Interest::READABLE)
        {
            self.free.push(at);
            return Err(error);
        }
        if let Some(slot) = self.sockets.get_mut(at) {
            *slot = Some(Socket { socket, local });
        }
        self.tokens.insert(local, at);
        Ok(())
    }

    /// Closing takes it out of the poll as well.
    fn unbind(&mut self, local: SocketAddr) {
        self.streams.close(local);
        if let Some(at) = self.tokens.remove(&local)
            && self.sockets.get_mut(at).and_then(Option::take).is_some()
        {
            self.free.push(at);
            if let Some((tap, _)) = &self.tap {
                tap.release(local);
            }
        }
    }
}
