//! TCP allocations (RFC 6062 §5): connections to peers, and the client's connection that each is
//! joined to.

use linkspan_stun::{
    AttributeType, Class, Dialect, Message, MessageBuilder, Method, TransactionId,
};
use rand_core::Rng;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::allocate::INSUFFICIENT;
use super::auth::{Authenticated, Signer};
use super::requests::{BAD_REQUEST, FORBIDDEN, MISMATCH};
use super::{FiveTuple, Refusal, Request, ServerEvent, TurnServer};
use crate::{ConnectionId, Received, Transport};

/// The connections of all allocations.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_id: HashMap<ConnectionId, Connection>,
    /// Clients' connections that carry data.
    clients: HashMap<FiveTuple, ConnectionId>,
    deadlines: BTreeSet<(Instant, ConnectionId)>,
}

#[derive(Debug)]
struct Connection {
    allocation: u64,
    peer: SocketAddr,
    stage: Stage,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Stage {
    /// The peer is being connected to; the request is answered afterwards.
    Connecting(Box<(Request, Signer)>),
    /// The client has been told of it.
    Waiting,
    /// It is joined to a connection of the client.
    Joined(FiveTuple),
}

/// Which way data go through a joined connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From the client to the peer.
    ToPeer,
    /// From the peer to the client.
    ToClient,
}

impl Connections {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// True when a client's connection carries data of a peer, and no messages.
    pub(super) fn carries_data(&self, tuple: &FiveTuple) -> bool {
        self.clients.contains_key(tuple)
    }

    /// The allocation of the connection that a ConnectionBind request names.
    pub(super) fn owner(&self, message: &Message<'_>) -> Option<u64> {
        if message.method() != Method::ConnectionBind {
            return None;
        }
        let id = message.u32(AttributeType::CONNECTION_ID).map(ConnectionId::new)?;
        self.by_id.get(&id).map(|connection| connection.allocation)
    }

    fn set_deadline(&mut self, id: ConnectionId, deadline: Option<Instant>) {
        let Some(connection) = self.by_id.get_mut(&id) else { return };
        if let Some(old) = std::mem::replace(&mut connection.deadline, deadline) {
            self.deadlines.remove(&(old, id));
        }
        self.deadlines.extend(deadline.map(|at| (at, id)));
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.set_deadline(id, None);
        let connection = self.by_id.remove(&id)?;
        if let Stage::Joined(tuple) = &connection.stage {
            self.clients.remove(tuple);
        }
        Some(connection)
    }
}

impl TurnServer {
    /// A peer has connected to the relay socket of a TCP allocation ([`ServerEvent::Listen`]).
    /// Read nothing from it until [`ServerEvent::Join`]; `None` means that it is to be closed at
    /// once (RFC 6062 §5.3).
    pub fn accepted(
        &mut self,
        relay: SocketAddr,
        peer: SocketAddr,
        now: Instant,
    ) -> Option<ConnectionId> {
        let allocation = *self.relays.get(&relay)?;
        let found = self.allocations.get(&allocation)?;
        let is_welcome = found.is_live()
            && found.protocol() == Transport::Tcp
            && found.permits(peer.ip(), now)
            && self.transmits.len() < self.config.limits.queue;
        let tuple = found.tuple;
        let id =
            if is_welcome { self.connection(allocation, peer, Stage::Waiting, now) } else { None }?;
        let transaction = TransactionId::random(&mut self.random);
        let mut octets = Vec::with_capacity(64);
        let (dialect, class) = (Dialect::Rfc8489, Class::Indication);
        let mut indication = MessageBuilder::new(
            &mut octets,
            dialect,
            class,
            Method::ConnectionAttempt,
            transaction,
        );
        indication.xor_address(AttributeType::XOR_PEER_ADDRESS, peer);
        indication.u32(AttributeType::CONNECTION_ID, id.get());
        let payload = indication.finish().ok().map(|_| octets.into());
        self.transmit_to(tuple, payload);
        Some(id)
    }

    /// Says whether the peer that [`ServerEvent::Connect`] named could be connected to. Read
    /// nothing from it until [`ServerEvent::Join`].
    pub fn connected(&mut self, connection: ConnectionId, is_connected: bool, now: Instant) {
        let Some(found) = self.connections.by_id.get_mut(&connection) else { return };
        if !matches!(found.stage, Stage::Connecting(_)) {
            return;
        }
        if !is_connected {
            return self.connect_failed(connection);
        }
        let Stage::Connecting(waiting) = std::mem::replace(&mut found.stage, Stage::Waiting) else {
            return;
        };
        let (request, signer) = *waiting;
        let allocation = found.allocation;
        self.connections.set_deadline(connection, Some(now + BIND_TIME));
        let Some(tuple) = self.allocations.get(&allocation).map(|one| one.tuple) else { return };
        let class = Class::Success;
        let answer = self.write_answer(tuple.transport, request, class, Some(&signer), |answer| {
            answer.u32(AttributeType::CONNECTION_ID, connection.get());
        });
        self.transmit_to(tuple, answer);
    }

    /// The peer's connection is gone. [`ServerEvent::Close`] follows, so that the client's goes
    /// too.
    pub fn closed(&mut self, connection: ConnectionId) {
        if let Some(found) = self.connections.remove(connection) {
            if let Some(allocation) = self.allocations.get_mut(&found.allocation) {
                allocation.connections.remove(&connection);
            }
            self.events.push_back(ServerEvent::Close { connection });
        }
    }

    /// Counts what a joined connection carried, and says how long to wait before it carries more:
    /// that is how [`ServerLimits::octets_per_second`](crate::ServerLimits::octets_per_second)
    /// holds where nothing can be dropped.
    pub fn carried(
        &mut self,
        connection: ConnectionId,
        octets: usize,
        way: Way,
        now: Instant,
    ) -> Duration {
        let found = self.connections.by_id.get(&connection);
        let allocation = found.and_then(|found| self.allocations.get_mut(&found.allocation));
        allocation.map_or(Duration::ZERO, |one| one.pace(octets, way == Way::ToPeer, now))
    }

    /// RFC 6062 §5.2.
    pub(super) fn handle_connect(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        authenticated: &Authenticated,
        now: Instant,
    ) -> Result<(), Refusal> {
        let id = self.live(received).ok_or(MISMATCH)?;
        let allocation = self.allocations.get(&id).ok_or(MISMATCH)?;
        if allocation.protocol() != Transport::Tcp {
            return Err(MISMATCH);
        }
        let peer = message.peer_address().filter(|peer| peer.port() != 0).ok_or(BAD_REQUEST)?;
        let relay = allocation.relay_for(peer).copied();
        self.check_peer(id, peer)?;
        if self.own.contains(&peer.ip()) && !self.is_relayed(peer, Transport::Tcp) {
            return Err(FORBIDDEN);
        }
        let mut others =
            allocation.connections.iter().filter_map(|one| self.connections.by_id.get(one));
        if others.any(|other| other.peer == peer) {
            return Err(Refusal::new(446, "Connection Already Exists"));
        }
        let waiting = (Request::of(message), authenticated.signer.clone());
        let stage = Stage::Connecting(Box::new(waiting));
        let connection = self.connection(id, peer, stage, now).ok_or(INSUFFICIENT)?;
        let relay = relay.ok_or(MISMATCH)?.bind;
        self.events.push_back(ServerEvent::Connect { connection, relay, peer });
        Ok(())
    }

    /// RFC 6062 §5.4. That the request is the owner's was seen when it was authenticated.
    pub(super) fn handle_connection_bind(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        authenticated: &Authenticated,
    ) -> Result<(), Refusal> {
        let tuple = FiveTuple::of(received);
        let id = message.u32(AttributeType::CONNECTION_ID).map(ConnectionId::new);
        let id = id.ok_or(BAD_REQUEST)?;
        let connection = self.connections.by_id.get_mut(&id).ok_or(BAD_REQUEST)?;
        if received.transport != Transport::Tcp
            || self.clients.contains_key(&tuple)
            || !matches!(connection.stage, Stage::Waiting)
        {
            return Err(BAD_REQUEST);
        }
        connection.stage = Stage::Joined(tuple);
        self.connections.clients.insert(tuple, id);
        self.connections.set_deadline(id, None);
        self.answer(received, message, Class::Success, Some(&authenticated.signer), |_| {});
        let (local, remote) = (tuple.local, tuple.remote);
        self.events.push_back(ServerEvent::Join { connection: id, local, remote });
        Ok(())
    }

    /// A client's connection is gone: the peer's goes with it (RFC 6062 §5.5).
    pub(super) fn data_connection_gone(&mut self, tuple: &FiveTuple) {
        if let Some(id) = self.connections.clients.get(tuple).copied() {
            self.closed(id);
        }
    }

    /// What was not connected, or not bound, in its 30 seconds.
    pub(super) fn expire_connections(&mut self, now: Instant) {
        while let Some((_, id)) = self.connections.deadlines.first().filter(|(at, _)| *at <= now) {
            self.connect_failed(*id);
        }
    }

    /// True for a relayed address in use that speaks that protocol.
    pub(super) fn is_relayed(&self, peer: SocketAddr, protocol: Transport) -> bool {
        let owner = self.public.get(&peer).and_then(|id| self.allocations.get(id));
        owner.is_some_and(|allocation| allocation.protocol() == protocol)
    }

    /// The connection is dropped; a client that still waits for it is told.
    fn connect_failed(&mut self, id: ConnectionId) {
        let waiting = self.connections.by_id.get(&id).and_then(|found| match &found.stage {
            Stage::Connecting(waiting) => {
                let tuple = self.allocations.get(&found.allocation)?.tuple;
                Some((waiting.0, waiting.1.clone(), tuple))
            }
            _ => None,
        });
        if let Some((request, signer, tuple)) = waiting {
            let class = Class::Error;
            let answer =
                self.write_answer(tuple.transport, request, class, Some(&signer), |answer| {
                    answer.error_code(447, "Connection Timeout or Failure");
                });
            self.transmit_to(tuple, answer);
        }
        self.closed(id);
    }

    /// A new entry under a number that nobody has; `None` when the allocation has enough of them.
    fn connection(
        &mut self,
        allocation: u64,
        peer: SocketAddr,
        stage: Stage,
        now: Instant,
    ) -> Option<ConnectionId> {
        let owner = self.allocations.get_mut(&allocation)?;
        if owner.connections.len() >= self.config.limits.connections {
            return None;
        }
        let mut id = ConnectionId::new(self.random.next_u32());
        while self.connections.by_id.contains_key(&id) {
            id = ConnectionId::new(id.get().wrapping_add(1));
        }
        owner.connections.insert(id);
        self.connections.by_id.insert(id, Connection { allocation, peer, stage, deadline: None });
        self.connections.set_deadline(id, Some(now + BIND_TIME));
        Some(id)
    }
}

/// RFC 6062 §5.2, §5.3: time to connect to a peer, and time for the client to bind.
const BIND_TIME: Duration = Duration::from_secs(30);
