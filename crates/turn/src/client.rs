mod config;
mod data;
mod event;
mod messages;
mod responses;

use bytes::Bytes;
use linkspan_stun::{
    Class, Dialect, Due, IntegrityKey, Message, Method, PasswordAlgorithm, Retransmission,
    TransactionId,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

pub use config::{ClientConfig, ClientDialect, Family};
pub use event::{AllocateError, Allocation, ClientEvent, RequestError};

use crate::{
    ChannelNumber, ConnectionId, InputError, Received, Transmit, Transport, VerbError, ms,
};

/// One allocation on a TURN server, seen from the client (RFC 8656; MS-TURN by
/// [`ClientConfig::dialect`]).
///
/// After any `&mut self` call drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), then wait until [`poll_timeout`](Self::poll_timeout) or input.
/// The allocation, permissions and channels are refreshed by the engine for as long as they are
/// not released.
///
/// Over TCP and TLS the driver opens the connection before it calls
/// [`allocate`](Self::allocate), cuts the stream with [`StreamFramer`](crate::StreamFramer) (with
/// [`ms::StreamFramer`] in MS-TURN), and writes payloads as they are.
///
/// ```
/// use linkspan_turn::{ClientConfig, ClientEvent, Credentials, TurnClient};
/// use std::time::Instant;
///
/// let mut now = Instant::now();
/// let (local, server) = ("192.0.2.1:5000".parse()?, "198.51.100.1:3478".parse()?);
/// let config = ClientConfig::new(local, server, Credentials::new("user", "secret"));
/// let mut client = TurnClient::new(config, [7; 32], now);
/// client.allocate(now)?;
/// let event = loop {
///     while let Some(_datagram) = client.poll_transmit() { /* send it */ }
///     if let Some(event) = client.poll_event() { break event; }
///     now = client.poll_timeout().expect("unfinished");
///     client.handle_timeout(now); // or handle_input(datagram, now)
/// };
/// assert!(matches!(event, ClientEvent::AllocateFailed { .. })); // nobody answered
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TurnClient {
    config: ClientConfig,
    random: ChaCha20Rng,
    state: State,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: Option<IntegrityKey>,
    offer: Offer,
    transactions: Vec<Transaction>,
    /// Permissions by address, with when they are to be refreshed.
    permissions: BTreeMap<IpAddr, Permission>,
    channels: Vec<Channel>,
    next_channel: u16,
    /// MS-TURN: connection id and the last sequence number used.
    sequence: Option<([u8; 20], u32)>,
    /// RFC 8016: what the server knows the allocation by when it comes from elsewhere.
    ticket: Option<Vec<u8>>,
    /// What was under way when the address changed.
    postponed: Vec<Purpose>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<ClientEvent>,
}

/// What the server's challenge offered beyond RFC 5389 (RFC 8489 §9.2.5).
#[derive(Clone, Debug, Default)]
struct Offer {
    /// Its PASSWORD-ALGORITHMS, which goes back as it came, and the choice from it.
    algorithm: Option<(Vec<u8>, PasswordAlgorithm)>,
    /// It wants USERHASH in the place of USERNAME.
    hides_username: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Idle,
    Allocating,
    Allocated { refresh_at: Instant, expires_at: Instant, relayed: Vec<SocketAddr> },
    Releasing,
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Permission {
    peer: SocketAddr,
    is_granted: bool,
    refresh_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: ChannelNumber,
    peer: SocketAddr,
    is_bound: bool,
    refresh_at: Instant,
}

/// A request under way.
#[derive(Clone, Debug)]
struct Transaction {
    id: TransactionId,
    purpose: Purpose,
    retransmission: Retransmission,
    message: Bytes,
    /// How often it was sent again with other credentials.
    attempts: u8,
    is_signed: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    Allocate,
    Refresh,
    /// A refresh from another address.
    Move,
    Release,
    Permission(SocketAddr),
    Channel(ChannelNumber, SocketAddr),
    Connect(SocketAddr),
    /// From that end of another connection to the server.
    Bind(ConnectionId, SocketAddr),
}

impl TurnClient {
    /// A client that does nothing yet. `seed` feeds every random choice.
    #[must_use]
    pub fn new(config: ClientConfig, seed: [u8; 32], _now: Instant) -> Self {
        Self {
            config,
            random: ChaCha20Rng::from_seed(seed),
            state: State::Idle,
            realm: Vec::new(),
            nonce: Vec::new(),
            key: None,
            offer: Offer::default(),
            transactions: Vec::new(),
            permissions: BTreeMap::new(),
            channels: Vec::new(),
            next_channel: ChannelNumber::MIN.get(),
            sequence: None,
            ticket: None,
            postponed: Vec::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Asks for a relayed address. [`ClientEvent::Allocated`] or
    /// [`ClientEvent::AllocateFailed`] follows.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] when it was called before, [`VerbError::Transport`] for a TCP allocation
    /// without TCP to the server.
    pub fn allocate(&mut self, now: Instant) -> Result<(), VerbError> {
        if self.state != State::Idle {
            return Err(VerbError::State);
        }
        let is_over_tcp = self.config.transport == Transport::Tcp && !self.is_ms();
        if self.config.relayed_transport == Transport::Tcp && !is_over_tcp {
            return Err(VerbError::Transport);
        }
        self.state = State::Allocating;
        self.request(Purpose::Allocate, 0, now);
        Ok(())
    }

    /// Lets packets of the peer's address pass (RFC 8656 §9).
    /// [`ClientEvent::PermissionCreated`] or [`ClientEvent::PermissionFailed`] follows; the
    /// permission is refreshed until the allocation ends. In MS-TURN the first packet to the peer
    /// does the same, and the event comes at once.
    ///
    /// # Errors
    ///
    /// [`VerbError`] without an allocation, for a peer of another family, or past the limit.
    pub fn create_permission(&mut self, peer: SocketAddr, now: Instant) -> Result<(), VerbError> {
        self.check_peer(peer)?;
        if self.permissions.contains_key(&peer.ip()) {
            return Ok(());
        }
        if self.permissions.len() >= self.config.max_peers {
            return Err(VerbError::Limit);
        }
        let is_granted = self.is_ms();
        let permission = Permission { peer, is_granted, refresh_at: now + PERMISSION_REFRESH };
        self.permissions.insert(peer.ip(), permission);
        if is_granted {
            self.events.push_back(ClientEvent::PermissionCreated { peer: peer.ip() });
        } else {
            self.request(Purpose::Permission(peer), 0, now);
        }
        Ok(())
    }

    /// Binds a channel to a peer (RFC 8656 §12), which shortens the header of each packet to four
    /// octets. In MS-TURN makes the peer the active destination, whose packets have none; there is
    /// one at a time. [`ClientEvent::ChannelBound`] or [`ClientEvent::ChannelFailed`] follows.
    ///
    /// # Errors
    ///
    /// [`VerbError`] without an allocation, for a peer of another family, or past the limit.
    pub fn bind_channel(&mut self, peer: SocketAddr, now: Instant) -> Result<(), VerbError> {
        self.check_relayed(Transport::Udp)?;
        self.check_peer(peer)?;
        let known = self.channels.iter().find(|channel| channel.peer == peer).copied();
        if let Some(Channel { number, is_bound, .. }) = known {
            let purpose = Purpose::Channel(number, peer);
            if !is_bound && self.is_idle(purpose) {
                self.request(purpose, 0, now);
            }
            return Ok(());
        }
        if self.channels.len() >= self.config.max_peers {
            return Err(VerbError::Limit);
        }
        let number = ChannelNumber::new(self.next_channel)
            .filter(|number| *number <= ChannelNumber::MAX)
            .ok_or(VerbError::Limit)?;
        if self.is_ms() {
            self.channels.clear();
        } else {
            // RFC 8656 §12: a number is not used for another peer soon; the range is long enough.
            self.next_channel += 1;
        }
        let channel = Channel { number, peer, is_bound: false, refresh_at: now + CHANNEL_REFRESH };
        self.channels.push(channel);
        self.request(Purpose::Channel(number, peer), 0, now);
        Ok(())
    }

    /// Has the server connect to a peer (RFC 6062 §4.3). [`ClientEvent::Connected`] or
    /// [`ClientEvent::ConnectFailed`] follows. There is one connection to a peer at a time.
    ///
    /// # Errors
    ///
    /// [`VerbError`] without a TCP allocation, for a peer of another family, or past the limit.
    pub fn connect(&mut self, peer: SocketAddr, now: Instant) -> Result<(), VerbError> {
        self.check_relayed(Transport::Tcp)?;
        self.check_peer(peer)?;
        // RFC 6062 §4.3: not again while it is under way
        if self.is_idle(Purpose::Connect(peer)) {
            self.check_room()?;
            self.request(Purpose::Connect(peer), 0, now);
        }
        Ok(())
    }

    /// Makes another connection to the server, which the driver has opened from `local`, carry
    /// what a peer's connection does (RFC 6062 §4.3). What comes there goes through a
    /// [`StreamFramer`](crate::StreamFramer) of its own to [`handle_input`](Self::handle_input) until
    /// [`ClientEvent::ConnectionBound`]; then
    /// [`StreamFramer::into_rest`](crate::StreamFramer::into_rest) has the first of the peer's octets.
    ///
    /// # Errors
    ///
    /// [`VerbError`] without a TCP allocation, for an address in use here, or past the limit.
    pub fn bind_connection(
        &mut self,
        connection: ConnectionId,
        local: SocketAddr,
        now: Instant,
    ) -> Result<(), VerbError> {
        self.check_relayed(Transport::Tcp)?;
        if local == self.config.local || self.is_bound_from(local) {
            return Err(VerbError::State);
        }
        self.check_room()?;
        self.request(Purpose::Bind(connection, local), 0, now);
        Ok(())
    }

    /// Goes on from another address of this host: another network, another NAT, over TCP another
    /// connection, which the driver has opened (RFC 8016 §3.2). [`ClientEvent::Moved`] follows, or
    /// [`ClientEvent::Lost`]. Relayed addresses, permissions and channels stay.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] without an allocation, or when the server gave no ticket
    /// ([`ClientConfig::mobility`]).
    pub fn move_to(&mut self, local: SocketAddr, now: Instant) -> Result<(), VerbError> {
        if !matches!(self.state, State::Allocated { .. }) || self.ticket.is_none() {
            return Err(VerbError::State);
        }
        self.config.local = local;
        for transaction in std::mem::take(&mut self.transactions) {
            match transaction.purpose {
                Purpose::Permission(_) | Purpose::Channel(..) => {
                    self.postponed.push(transaction.purpose);
                }
                Purpose::Connect(_) | Purpose::Bind(..) => {
                    self.fail(transaction.purpose, RequestError::TimedOut, now);
                }
                _ => {}
            }
        }
        self.request(Purpose::Move, 0, now);
        Ok(())
    }

    /// Gives the allocation back. [`ClientEvent::Released`] follows, whether the server answers or
    /// not.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] without an allocation.
    pub fn release(&mut self, now: Instant) -> Result<(), VerbError> {
        if !matches!(self.state, State::Allocated { .. }) {
            return Err(VerbError::State);
        }
        self.state = State::Releasing;
        self.transactions.clear();
        self.permissions.clear();
        self.channels.clear();
        self.request(Purpose::Release, 0, now);
        Ok(())
    }

    /// Takes what came from the server: answers, and relayed data, which become
    /// [`ClientEvent::Data`].
    ///
    /// # Errors
    ///
    /// [`InputError`]; nothing has changed then.
    pub fn handle_input(&mut self, received: Received<'_>, now: Instant) -> Result<(), InputError> {
        if let Some((peer, data)) = self.unwrap(received) {
            if self.events.len() >= self.config.max_queue {
                return Err(InputError::QueueFull);
            }
            let data = Bytes::copy_from_slice(data);
            self.events.push_back(ClientEvent::Data { peer, data });
            return Ok(());
        }
        let is_data_connection = received.remote == self.config.server
            && received.transport == self.config.transport
            && self.is_bound_from(received.local);
        if !self.is_from_server(&received) && !is_data_connection {
            return Err(InputError::NotMine);
        }
        let payload = match (self.config.dialect, received.transport) {
            (ClientDialect::MsTurn, Transport::Tcp) => {
                ms::split_frame(received.payload).ok_or(InputError::Unexpected)?.1
            }
            _ => received.payload,
        };
        let message = Message::parse(payload, self.stun_dialect())?;
        if message.method() == Method::ConnectionAttempt && !is_data_connection {
            return self.handle_attempt(&message);
        }
        if message.method() == Method::Data && message.class() == Class::Indication {
            return self.handle_icmp(&message);
        }
        if !message.class().is_response() {
            return Err(InputError::NotMine);
        }
        self.handle_response(&message, now)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(transaction) = self.transactions.get_mut(index) {
            match transaction.retransmission.handle_timeout(now) {
                Due::Nothing => index += 1,
                Due::Transmit => {
                    let (purpose, message) = (transaction.purpose, transaction.message.clone());
                    self.transmit_from(self.local_of(purpose), message);
                    index += 1;
                }
                Due::GiveUp => {
                    let purpose = self.transactions.remove(index).purpose;
                    self.fail(purpose, RequestError::TimedOut, now);
                    index = 0;
                }
            }
        }
        self.refresh(now);
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let requests = self.transactions.iter().map(|one| one.retransmission.deadline());
        let State::Allocated { refresh_at, expires_at, .. } = self.state else {
            return requests.min();
        };
        if !self.is_idle(Purpose::Move) {
            return requests.chain(Some(expires_at)).min();
        }
        let refresh = self.is_idle(Purpose::Refresh).then_some(refresh_at);
        let permissions = self.permissions.values().filter(|one| {
            one.is_granted && !self.is_ms() && self.is_idle(Purpose::Permission(one.peer))
        });
        let channels = self.channels.iter().filter(|one| {
            one.is_bound && !self.is_ms() && self.is_idle(Purpose::Channel(one.number, one.peer))
        });
        requests
            .chain(refresh)
            .chain(Some(expires_at))
            .chain(permissions.map(|one| one.refresh_at))
            .chain(channels.map(|one| one.refresh_at))
            .min()
    }

    /// The relayed addresses: one, or one of each family.
    #[must_use]
    pub fn relayed(&self) -> &[SocketAddr] {
        match &self.state {
            State::Allocated { relayed, .. } => relayed,
            _ => &[],
        }
    }

    /// True when nothing will happen any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The server, after a redirection the one it led to.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.config.server
    }

    fn is_from_server(&self, received: &Received<'_>) -> bool {
        received.transport == self.config.transport
            && received.remote == self.config.server
            && received.local == self.config.local
    }

    fn is_ms(&self) -> bool {
        self.config.dialect == ClientDialect::MsTurn
    }

    fn stun_dialect(&self) -> Dialect {
        match self.config.dialect {
            ClientDialect::Rfc8656 => Dialect::Rfc8489,
            ClientDialect::MsTurn => Dialect::MsTurn,
        }
    }

    /// A peer that a permission was asked for.
    fn is_known(&self, peer: IpAddr) -> bool {
        self.permissions.contains_key(&peer)
            || self.channels.iter().any(|one| one.peer.ip() == peer)
    }

    fn has_permission(&self, peer: IpAddr) -> bool {
        let channel = self.channels.iter().any(|one| one.is_bound && one.peer.ip() == peer);
        channel || self.permissions.get(&peer).is_some_and(|permission| permission.is_granted)
    }

    fn check_peer(&self, peer: SocketAddr) -> Result<(), VerbError> {
        let State::Allocated { relayed, .. } = &self.state else { return Err(VerbError::State) };
        if relayed.iter().any(|relayed| relayed.is_ipv4() == peer.is_ipv4()) {
            return Ok(());
        }
        Err(VerbError::Family)
    }

    fn is_idle(&self, purpose: Purpose) -> bool {
        !self.transactions.iter().any(|transaction| transaction.purpose == purpose)
    }

    /// Refreshes what is due.
    fn refresh(&mut self, now: Instant) {
        let State::Allocated { refresh_at, expires_at, .. } = self.state else { return };
        if expires_at <= now {
            self.end(ClientEvent::Lost { error: RequestError::TimedOut });
            return;
        }
        if !self.is_idle(Purpose::Move) {
            return; // nothing else is heard from there yet
        }
        if refresh_at <= now && self.is_idle(Purpose::Refresh) {
            self.request(Purpose::Refresh, 0, now);
        }
        if self.is_ms() {
            return;
        }
        let permissions = self.permissions.values().filter(|one| one.is_granted);
        let permissions = permissions.map(|one| (one.refresh_at, Purpose::Permission(one.peer)));
        let channels = self.channels.iter().filter(|one| one.is_bound);
        let channels = channels.map(|one| (one.refresh_at, Purpose::Channel(one.number, one.peer)));
        let due: Vec<Purpose> = permissions
            .chain(channels)
            .filter(|(at, purpose)| *at <= now && self.is_idle(*purpose))
            .map(|(_, purpose)| purpose)
            .collect();
        for purpose in due {
            self.request(purpose, 0, now);
        }
    }

    /// The end of the connection that a request leaves from.
    fn local_of(&self, purpose: Purpose) -> SocketAddr {
        match purpose {
            Purpose::Bind(_, local) => local,
            _ => self.config.local,
        }
    }

    fn is_bound_from(&self, local: SocketAddr) -> bool {
        let mut purposes = self.transactions.iter().map(|transaction| transaction.purpose);
        purposes.any(|purpose| matches!(purpose, Purpose::Bind(_, from) if from == local))
    }

    fn check_relayed(&self, transport: Transport) -> Result<(), VerbError> {
        match self.state {
            State::Allocated { .. } if self.config.relayed_transport == transport => Ok(()),
            State::Allocated { .. } => Err(VerbError::Transport),
            _ => Err(VerbError::State),
        }
    }

    fn check_room(&self) -> Result<(), VerbError> {
        let is_full = self.transactions.len() >= self.config.max_peers;
        if is_full { Err(VerbError::Limit) } else { Ok(()) }
    }

    fn transmit(&mut self, payload: Bytes) {
        self.transmit_from(self.config.local, payload);
    }

    fn transmit_from(&mut self, local: SocketAddr, payload: Bytes) {
        self.transmits.push_back(Transmit {
            transport: self.config.transport,
            local,
            remote: self.config.server,
            payload,
        });
    }

    fn end(&mut self, event: ClientEvent) {
        self.state = State::Ended;
        self.transactions.clear();
        self.permissions.clear();
        self.channels.clear();
        self.events.push_back(event);
    }
}

/// RFC 8656 §3.2: a permission lasts 300 s.
const PERMISSION_REFRESH: Duration = Duration::from_secs(240);
/// RFC 8656 §12: a channel lasts 600 s, the permission that came with it 300 s.
const CHANNEL_REFRESH: Duration = Duration::from_secs(240);
