//! The transaction layer: RFC 3261 §17 with the corrections of RFC 6026.

mod client;
mod key;
mod server;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::limits::Limits;
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::path::{Path, Transmit};
use crate::transaction::client::Client;
use crate::transaction::key::{client_key, invite_key, server_key};
use crate::transaction::server::Server;
use crate::ua::Timers;

/// One transaction of a [`Transactions`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransactionId(u64);

/// What happened to a transaction by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TransactionEvent {
    /// No final response, or no ACK for our final response, came in time.
    TimedOut(TransactionId),
    /// Its messages cannot be sent.
    TransportFailed(TransactionId),
    /// It is gone, and its id with it. Always the last event of a transaction.
    Terminated(TransactionId),
}

/// What a request is to the transactions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RequestMatch {
    /// The first of a new transaction, ready for `respond`.
    New(TransactionId),
    /// A retransmission, or an ACK for a failure: done with.
    Absorbed,
    /// An ACK that belongs to a 2xx, and so to the user of the transactions.
    Ack,
    /// No more transactions fit, [`Limits::transactions`].
    Full,
}

/// What a response is to the transactions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ResponseMatch {
    /// The user of the transactions has to see it.
    Deliver(TransactionId),
    /// A retransmission: done with.
    Absorbed,
    /// No transaction asked for it.
    Stray,
}

/// The four transaction machines for any number of transactions.
///
/// A [`UserAgent`](crate::UserAgent) drives one; a proxy or a load generator can drive its own.
/// Requests and responses are given whole: the layer adds nothing to them, save the ACK for a
/// failure and the 100 that an INVITE gets after 200 ms of silence.
#[derive(Debug)]
pub struct Transactions {
    timers: Timers,
    limit: usize,
    next_id: u64,
    clients: HashMap<TransactionId, Box<Client>>,
    servers: HashMap<TransactionId, Box<Server>>,
    by_response: HashMap<Box<str>, TransactionId>,
    by_request: HashMap<Box<str>, TransactionId>,
    schedule: BTreeSet<(Instant, TransactionId)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<TransactionEvent>,
}

/// What a machine wants after a step.
#[derive(Debug, Default)]
struct Step {
    transmit: Option<Bytes>,
    event: Option<fn(TransactionId) -> TransactionEvent>,
    terminated: bool,
}

impl Step {
    fn send(payload: Bytes) -> Self {
        Self { transmit: Some(payload), ..Self::default() }
    }

    fn terminate() -> Self {
        Self { terminated: true, ..Self::default() }
    }

    fn fail(event: fn(TransactionId) -> TransactionEvent) -> Self {
        Self { event: Some(event), terminated: true, ..Self::default() }
    }
}

impl Transactions {
    /// No transactions yet.
    pub fn new(timers: Timers, limits: &Limits) -> Self {
        Self {
            timers,
            limit: limits.transactions,
            next_id: 0,
            clients: HashMap::new(),
            servers: HashMap::new(),
            by_response: HashMap::new(),
            by_request: HashMap::new(),
            schedule: BTreeSet::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Sends a request other than ACK and opens a client transaction for it. Its top Via carries a
    /// branch that no other request has. `None` where [`Limits::transactions`] is reached or the
    /// octets are no such request.
    pub fn request(&mut self, request: Bytes, path: Path, now: Instant) -> Option<TransactionId> {
        if self.len() >= self.limit {
            return None;
        }
        let message = Message::parse(&request).ok()?;
        let method = message.method()?;
        let key = client_key(&message)?;
        let id = self.next_id();
        let client = Client::new(method, request.clone(), path, key.clone(), &self.timers, now);
        self.schedule_at(client.due(), id);
        self.by_response.insert(key, id);
        self.clients.insert(id, Box::new(client));
        self.transmits.push_back(Transmit { path, payload: request });
        Some(id)
    }

    /// Takes a request that arrived.
    pub fn receive_request(
        &mut self,
        message: &Message<'_>,
        path: Path,
        now: Instant,
    ) -> RequestMatch {
        let Some(key) = server_key(message, &path) else { return RequestMatch::Absorbed };
        let is_ack = message.method_str() == Some("ACK");
        if let Some(&id) = self.by_request.get(&key) {
            let Some(server) = self.servers.get_mut(&id) else { return RequestMatch::Absorbed };
            if is_ack && server.passes_ack() {
                return RequestMatch::Ack;
            }
            let step = server.receive(is_ack, &self.timers, now);
            self.apply_server(id, step);
            return RequestMatch::Absorbed;
        }
        if is_ack {
            return RequestMatch::Ack;
        }
        if self.len() >= self.limit {
            return RequestMatch::Full;
        }
        let id = self.next_id();
        let method = message.method().unwrap_or(Method::Options);
        let server = Server::new(method, message, path, key.clone(), &self.timers, now);
        self.schedule_at(server.due(), id);
        self.by_request.insert(key, id);
        self.servers.insert(id, Box::new(server));
        RequestMatch::New(id)
    }

    /// The INVITE transaction that a CANCEL is for (RFC 3261 §9.2).
    pub fn cancelled_by(&self, cancel: &Message<'_>, path: &Path) -> Option<TransactionId> {
        self.by_request.get(&invite_key(cancel, path)?).copied()
    }

    /// Sends a response by a server transaction. Where the transaction is over, or has sent its
    /// final response, nothing happens and the answer is `false`.
    pub fn respond(
        &mut self,
        id: TransactionId,
        status: StatusCode,
        response: Bytes,
        now: Instant,
    ) -> bool {
        let Some(server) = self.servers.get_mut(&id) else { return false };
        let Some(step) = server.respond(status, response, &self.timers, now) else { return false };
        self.apply_server(id, step);
        true
    }

    /// Redirects what a server transaction sends from now on.
    pub fn set_response_path(&mut self, id: TransactionId, path: Path) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.path = path;
        }
    }

    /// Takes a response that arrived.
    pub fn receive_response(&mut self, message: &Message<'_>, now: Instant) -> ResponseMatch {
        let id = client_key(message).and_then(|key| self.by_response.get(&key).copied());
        let (Some(id), Some(status)) = (id, message.status()) else { return ResponseMatch::Stray };
        let Some(client) = self.clients.get_mut(&id) else { return ResponseMatch::Stray };
        let (deliver, step) = client.receive(status, message, &self.timers, now);
        self.apply_client(id, step);
        if deliver { ResponseMatch::Deliver(id) } else { ResponseMatch::Absorbed }
    }

    /// Ends a client transaction before its time, as after a CANCEL that nobody answers.
    pub fn abandon(&mut self, id: TransactionId) {
        self.apply_client(id, Step::terminate());
    }

    /// The request of a client transaction, as sent.
    pub fn sent_request(&self, id: TransactionId) -> Option<&Bytes> {
        self.clients.get(&id).map(|client| &client.request)
    }

    /// The request that a response belongs to, as sent, and its path.
    pub fn sent_for(&self, response: &Message<'_>) -> Option<(&Bytes, Path)> {
        let client = self.clients.get(self.by_response.get(&client_key(response)?)?)?;
        Some((&client.request, client.path))
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.schedule.first()
            && at <= now
        {
            self.schedule.pop_first();
            if let Some(client) = self.clients.get_mut(&id) {
                let step = client.fire(&self.timers, now);
                self.apply_client(id, step);
            } else if let Some(server) = self.servers.get_mut(&id) {
                let step = server.fire(&self.timers, now);
                self.apply_server(id, step);
            }
        }
    }

    /// A path is broken: what waits on it fails now (RFC 3261 §17.1.4, §17.2.4).
    pub fn handle_transport_error(&mut self, path: &Path) {
        let hit = |own: &Path| {
            own.transport == path.transport
                && own.remote == path.remote
                && (own.connection.is_none()
                    || path.connection.is_none()
                    || own.connection == path.connection)
        };
        let mut ids: Vec<TransactionId> = self
            .clients
            .iter()
            .filter(|(_, client)| hit(&client.path) && client.is_waiting())
            .map(|(&id, _)| id)
            .collect();
        ids.sort_unstable();
        for id in ids {
            self.apply_client(id, Step::fail(TransactionEvent::TransportFailed));
        }
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<TransactionEvent> {
        self.events.pop_front()
    }

    /// When [`Transactions::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.schedule.first().map(|&(at, _)| at)
    }

    /// Live transactions.
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether no transaction is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn next_id(&mut self) -> TransactionId {
        self.next_id += 1;
        TransactionId(self.next_id)
    }

    fn schedule_at(&mut self, due: Option<Instant>, id: TransactionId) {
        if let Some(due) = due {
            self.schedule.insert((due, id));
        }
    }

    fn apply_client(&mut self, id: TransactionId, step: Step) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let path = client.path;
        let (was, due) = client.reschedule();
        if step.terminated {
            let key = client.key.clone();
            self.clients.remove(&id);
            self.by_response.remove(&key);
        }
        self.finish(id, was, due, path, step);
    }

    fn apply_server(&mut self, id: TransactionId, step: Step) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let path = server.path;
        let (was, due) = server.reschedule();
        if step.terminated {
            let key = server.key.clone();
            self.servers.remove(&id);
            self.by_request.remove(&key);
        }
        self.finish(id, was, due, path, step);
    }

    fn finish(
        &mut self,
        id: TransactionId,
        was: Option<Instant>,
        due: Option<Instant>,
        path: Path,
        step: Step,
    ) {
        if let Some(was) = was {
            self.schedule.remove(&(was, id));
        }
        if !step.terminated {
            self.schedule_at(due, id);
        }
        if let Some(payload) = step.transmit {
            self.transmits.push_back(Transmit { path, payload });
        }
        if let Some(event) = step.event {
            self.events.push_back(event(id));
        }
        if step.terminated {
            self.events.push_back(TransactionEvent::Terminated(id));
        }
    }
}

/// The two timers of a machine: one retransmits, one ends a state.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    retransmit: Option<Instant>,
    interval: core::time::Duration,
    deadline: Option<Instant>,
    /// What stands in the schedule.
    scheduled: Option<Instant>,
}

impl Clock {
    fn due(&self) -> Option<Instant> {
        match (self.retransmit, self.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn reschedule(&mut self) -> (Option<Instant>, Option<Instant>) {
        let was = self.scheduled;
        self.scheduled = self.due();
        (was, self.scheduled)
    }

    fn start_retransmit(&mut self, interval: core::time::Duration, now: Instant) {
        self.interval = interval;
        self.retransmit = now.checked_add(interval);
    }

    /// Doubles up to a bound.
    fn back_off(&mut self, bound: Option<core::time::Duration>, now: Instant) {
        let doubled = self.interval.saturating_mul(2);
        self.start_retransmit(bound.map_or(doubled, |bound| doubled.min(bound)), now);
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn is_retransmit_due(&self, now: Instant) -> bool {
        self.retransmit.is_some_and(|at| at <= now)
    }
}
