//! The user agent: transactions and dialogs in one engine.

mod answers;
mod authenticate;
mod build;
mod config;
mod event;
mod expiry;
mod inbound;
mod notifier;
mod outbound;
mod overload;
mod refuse;
mod replaces;
mod responses;
mod retry;
mod session;
mod subscriber;
mod subscription;
mod timers;
mod verbs;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod usage_tests;

pub use config::{Dialect, SessionTimer, Timers, UaConfig};
pub use event::{EndCause, InputError, RefusedError, RequestId, SessionId, UaEvent, VerbError};
pub use outbound::OutgoingInvite;
pub use subscription::{OutgoingSubscribe, SubscriptionEnd, SubscriptionId, SubscriptionState};

use core::net::SocketAddr;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::dialog::Dialog;
use crate::message::Message;
use crate::path::{Path, Received, Transmit, Transport};
use crate::request::Request;
use crate::transaction::{TransactionId, Transactions};
use crate::ua::session::Session;
use crate::ua::subscription::{Home, Subscription};

/// A SIP user agent, both roles, for any number of calls: transactions, dialogs and the INVITE
/// usage in one engine that does no I/O.
///
/// After any call that takes `&mut self` drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), then wait until [`poll_timeout`](Self::poll_timeout) or input.
/// See the crate page for a call from end to end.
#[derive(Debug)]
pub struct UserAgent {
    config: UaConfig,
    random: ChaCha20Rng,
    transactions: Transactions,
    next_id: u64,
    sessions: HashMap<SessionId, Box<Session>>,
    /// By Call-ID and our tag.
    by_local: HashMap<String, SessionId>,
    /// By Call-ID and the peer's tag.
    by_remote: HashMap<String, SessionId>,
    client_uses: HashMap<TransactionId, ClientUse>,
    server_uses: HashMap<TransactionId, RequestId>,
    /// Requests that the application has to answer.
    asked: HashMap<RequestId, Asked>,
    schedule: BTreeSet<(Instant, SessionId)>,
    subscriptions: HashMap<SubscriptionId, Subscription>,
    /// By Call-ID and our tag; several may share a dialog.
    usages: HashMap<String, Vec<SubscriptionId>>,
    watch: BTreeSet<(Instant, SubscriptionId)>,
    /// Peers that asked for rest, and until when.
    resting: HashMap<(Transport, SocketAddr), Instant>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<UaEvent>,
}

/// Whose client transaction it is.
#[derive(Clone, Copy, Debug)]
enum ClientUse {
    Invite(SessionId),
    Reinvite(SessionId),
    Request {
        session: Option<SessionId>,
        id: RequestId,
    },
    /// An UPDATE of the engine that refreshes the session.
    Refresh(SessionId),
    /// A SUBSCRIBE, first or later, or a REFER.
    Subscribe(SubscriptionId),
    Notify(SubscriptionId),
    /// CANCEL, PRACK and BYE of the engine.
    Own(SessionId),
}

/// A request that waits for `respond`.
#[derive(Debug)]
struct Asked {
    transaction: TransactionId,
    session: Option<SessionId>,
    request: Request,
    to_tag: String,
    path: Path,
}

impl UserAgent {
    /// A user agent without calls. Tags, branches and Call-IDs come from `seed`.
    pub fn new(config: UaConfig, seed: [u8; 32], _now: Instant) -> Self {
        let transactions = Transactions::new(config.timers, &config.limits);
        Self {
            config,
            random: ChaCha20Rng::from_seed(seed),
            transactions,
            next_id: 0,
            sessions: HashMap::new(),
            by_local: HashMap::new(),
            by_remote: HashMap::new(),
            client_uses: HashMap::new(),
            server_uses: HashMap::new(),
            asked: HashMap::new(),
            schedule: BTreeSet::new(),
            subscriptions: HashMap::new(),
            usages: HashMap::new(),
            watch: BTreeSet::new(),
            resting: HashMap::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes one datagram, or one frame of a stream.
    ///
    /// Whatever is wrong with it is answered as the protocol says and told as
    /// [`UaEvent::Refused`]; it never touches a call that it does not belong to.
    ///
    /// # Errors
    ///
    /// [`InputError::QueueFull`] where nobody drains the queues; the input was not taken.
    pub fn handle_input(&mut self, input: Received<'_>, now: Instant) -> Result<(), InputError> {
        let waiting = self.transmits.len().max(self.events.len());
        if waiting >= self.config.limits.queue {
            return Err(InputError::QueueFull);
        }
        // RFC 5626 §4.4.1: a keep-alive of a datagram transport is a double CRLF.
        if input.payload.iter().all(|octet| matches!(octet, b'\r' | b'\n')) {
            return Ok(());
        }
        match Message::parse_within(input.payload, &self.config.limits) {
            Ok(message) if message.is_request() => self.receive_request(&message, input, now),
            Ok(message) => self.receive_response(&message, input.path, now),
            Err(error) => self.refuse_malformed(input, error),
        }
        self.settle(now);
        Ok(())
    }

    /// Time has passed. Early, late and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.transactions.handle_timeout(now);
        self.fire_sessions(now);
        self.fire_subscriptions(now);
        self.settle(now);
    }

    /// A connection was refused or is closed, or a datagram came back unreachable. Requests that
    /// wait on it end with a 503 of [`Origin::TransportFailure`](crate::Origin::TransportFailure);
    /// calls stay, and their next request asks for a new connection.
    pub fn handle_transport_error(&mut self, path: Path, now: Instant) {
        self.transactions.handle_transport_error(&path);
        if path.connection.is_some() {
            let calls = self.sessions.values_mut().filter_map(|session| session.dialog.as_mut());
            let others =
                self.subscriptions.values_mut().filter_map(|usage| match &mut usage.home {
                    Home::Own(dialog) => Some(&mut **dialog),
                    _ => None,
                });
            for dialog in calls.chain(others).filter(|dialog| dialog.path() == path) {
                dialog.reconnect();
            }
        }
        self.settle(now);
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<UaEvent> {
        self.events.pop_front()
    }

    /// When [`UserAgent::handle_timeout`] is due; `None` where there is nothing to wait for.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.schedule.first().map(|&(at, _)| at);
        let subscriptions = self.watch.first().map(|&(at, _)| at);
        [sessions, subscriptions, self.transactions.poll_timeout()].into_iter().flatten().min()
    }

    /// The dialog of a call that is answered, or was made to us.
    pub fn dialog(&self, session: SessionId) -> Option<&Dialog> {
        self.sessions.get(&session)?.dialog.as_ref()
    }

    /// Live sessions.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Live subscriptions, both roles.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// Live transactions.
    pub fn transaction_count(&self) -> usize {
        self.transactions.len()
    }

    fn draw_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A hexadecimal token of 64 bits.
    fn draw_token(&mut self) -> String {
        format!("{:016x}", self.random.next_u64())
    }

    fn draw_below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    fn emit(&mut self, event: UaEvent) {
        self.events.push_back(event);
    }

    /// Moves what the transactions want into our queues, in order.
    fn flush(&mut self) {
        while let Some(transmit) = self.transactions.poll_transmit() {
            self.transmits.push_back(transmit);
        }
    }

    /// Brings a session's place in the schedule up to date.
    fn reschedule(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let due = session.due();
        if due == session.scheduled {
            return;
        }
        if let Some(was) = session.scheduled {
            self.schedule.remove(&(was, id));
        }
        if let Some(due) = due {
            self.schedule.insert((due, id));
        }
        session.scheduled = due;
    }

    fn remove_session(&mut self, id: SessionId) -> Option<Box<Session>> {
        let session = self.sessions.remove(&id)?;
        if let Some(was) = session.scheduled {
            self.schedule.remove(&(was, id));
        }
        let key = index(&session.call_id, &session.local_tag);
        self.by_local.remove(&key);
        if self.usages.contains_key(&key) {
            self.inherit_dialog(id, &key, session.dialog.as_ref());
        }
        if let Some(dialog) = &session.dialog {
            let key = index(&session.call_id, dialog.remote_tag());
            if self.by_remote.get(&key) == Some(&id) {
                self.by_remote.remove(&key);
            }
        }
        Some(session)
    }
}

fn index(call_id: &str, tag: &str) -> String {
    format!("{call_id}\n{tag}")
}
