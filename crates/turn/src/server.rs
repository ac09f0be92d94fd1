mod allocate;
mod allocation;
mod auth;
mod config;
mod connections;
mod event;
mod forward;
mod mobility;
mod ms;
mod requests;

use bytes::Bytes;
use linkspan_stun::{
    AttributeType, Class, Dialect, Message, MessageBuilder, Method, TransactionId,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

pub use config::{RelayAddress, ServerConfig, ServerLimits};
pub use connections::Way;
pub use event::{ServerEvent, Usage};
pub use forward::Forward;

use crate::{InputError, Received, Transmit, Transport, ms as framing};
use allocation::{Allocation, Reservation};
use auth::{Nonces, Signer, UserHashes};
use connections::Connections;
use mobility::Tickets;

/// A TURN server (RFC 8656), which speaks MS-TURN on the same addresses when
/// [`ServerConfig::ms_turn`] is set.
///
/// The driver owns the sockets. For each packet it calls [`forward`](Self::forward), which passes
/// relayed data on without copying, and hands everything else to
/// [`handle_input`](Self::handle_input). [`ServerEvent::Bind`] asks for a relay socket, and
/// [`bound`](Self::bound) says whether there is one; what arrives at it comes back with that
/// socket's address as `local`.
///
/// After any `&mut self` call drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), then wait until [`poll_timeout`](Self::poll_timeout) or input.
///
/// ```
/// use linkspan_turn::{Credentials, RelayAddress, ServerConfig, TurnServer};
/// use std::time::Instant;
///
/// let mut config = ServerConfig::new("example.org");
/// config.users.add(Credentials::new("user", "secret"));
/// config.relays.push(RelayAddress::new("198.51.100.1".parse()?));
/// config.listeners.push("198.51.100.1:3478".parse()?);
/// let mut server = TurnServer::new(config, [7; 32], Instant::now());
/// assert!(server.poll_timeout().is_none());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct TurnServer {
    config: ServerConfig,
    random: ChaCha20Rng,
    nonces: Nonces,
    /// The names behind USERHASH, made when they are first asked for.
    user_hashes: Option<UserHashes>,
    /// Time that Unix time is counted from.
    started: Instant,
    /// Addresses of this server: not relayed to, but for relayed addresses in use.
    own: Vec<IpAddr>,
    allocations: HashMap<u64, Allocation>,
    next_id: u64,
    clients: HashMap<FiveTuple, u64>,
    /// Relay sockets by the address they are bound to.
    relays: HashMap<SocketAddr, u64>,
    /// The same by the address that peers see.
    public: HashMap<SocketAddr, u64>,
    users: HashMap<Vec<u8>, usize>,
    reservations: Vec<Reservation>,
    connections: Connections,
    tickets: Tickets,
    deadlines: BTreeSet<(Instant, u64)>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<ServerEvent>,
}

/// What tells clients apart (RFC 8656 §2.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct FiveTuple {
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
}

impl FiveTuple {
    const fn of(received: &Received<'_>) -> Self {
        Self { transport: received.transport, local: received.local, remote: received.remote }
    }
}

/// What an answer repeats of its request.
#[derive(Clone, Copy, Debug)]
struct Request {
    dialect: Dialect,
    method: Method,
    id: TransactionId,
}

impl Request {
    fn of(message: &Message<'_>) -> Self {
        Self { dialect: message.dialect(), method: message.method(), id: message.transaction_id() }
    }
}

/// A request that is refused.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    code: u16,
    reason: &'static str,
    /// Whether realm and nonce go with it.
    is_challenge: bool,
}

impl Refusal {
    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason, is_challenge: false }
    }

    const fn challenge(code: u16, reason: &'static str) -> Self {
        Self { code, reason, is_challenge: true }
    }
}

impl TurnServer {
    /// A server without allocations. `seed` feeds ports, nonces and reservation tokens: it has to
    /// come from a cryptographic source.
    #[must_use]
    pub fn new(config: ServerConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut random = ChaCha20Rng::from_seed(seed);
        let mut key = [0; 32];
        random.fill_bytes(&mut key);
        let mut own: Vec<IpAddr> = config.listeners.iter().map(SocketAddr::ip).collect();
        own.extend(config.relays.iter().flat_map(|relay| [relay.bind, relay.public]));
        own.sort_unstable();
        own.dedup();
        own.retain(|address| !config.policy.names(*address));
        Self {
            nonces: Nonces::new(&key, now, config.nonce_lifetime),
            config,
            random,
            user_hashes: None,
            started: now,
            own,
            allocations: HashMap::new(),
            next_id: 0,
            clients: HashMap::new(),
            relays: HashMap::new(),
            public: HashMap::new(),
            users: HashMap::new(),
            reservations: Vec::new(),
            connections: Connections::default(),
            tickets: Tickets::default(),
            deadlines: BTreeSet::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes a packet: from a client (`local` is a listener) or from a peer (`local` is a relay
    /// socket). Relayed data are copied once on this way; see [`forward`](Self::forward).
    ///
    /// # Errors
    ///
    /// [`InputError`] when the packet was dropped. Requests that are refused have been answered
    /// and are no error.
    pub fn handle_input(&mut self, received: Received<'_>, now: Instant) -> Result<(), InputError> {
        if self.transmits.len() >= self.config.limits.queue
            || self.events.len() >= self.config.limits.queue
        {
            return Err(InputError::QueueFull);
        }
        if self.connections.carries_data(&FiveTuple::of(&received)) {
            return Err(InputError::NotMine);
        }
        match self.forward(received, now) {
            Ok(forward) if forward.packet.dont_fragment() => return Err(InputError::DontFragment),
            Ok(forward) => {
                let transmit = forward.to_transmit();
                self.transmits.push_back(transmit);
                return Ok(());
            }
            Err(InputError::NotMine) if !self.relays.contains_key(&received.local) => {}
            Err(error) => return Err(error),
        }
        let (payload, is_ms) = self.control(&received)?;
        if is_ms {
            let message = Message::parse(payload, Dialect::MsTurn)?;
            return self.handle_ms(&received, &message, now);
        }
        let message = Message::parse(payload, Dialect::Rfc8489)?;
        if message.class() != Class::Request {
            return Err(InputError::NotMine);
        }
        if message.has_fingerprint() {
            message.verify_fingerprint()?;
        }
        self.handle_request(&received, &message, now);
        Ok(())
    }

    /// Says whether the relay socket that [`ServerEvent::Bind`] asked for is there. Without it the
    /// server tries another port.
    pub fn bound(&mut self, relay: SocketAddr, is_bound: bool, now: Instant) {
        self.relay_bound(relay, is_bound, now);
    }

    /// A client's TCP connection is gone, and its allocation, or the peer's connection that it was
    /// joined to, with it.
    pub fn handle_disconnect(&mut self, local: SocketAddr, remote: SocketAddr) {
        let tuple = FiveTuple { transport: Transport::Tcp, local, remote };
        if let Some(id) = self.clients.get(&tuple).copied() {
            // RFC 8016: one who holds a ticket may come back until the allocation expires.
            if self.allocations.get(&id).is_some_and(|one| one.tickets.is_some()) {
                self.forget_client(tuple, id);
            } else {
                self.delete(id);
            }
        }
        self.data_connection_gone(&tuple);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.delete(id);
            // Deleting removes the deadline; never turn in a circle.
            self.deadlines.remove(&(at, id));
        }
        self.expire_reservations(now);
        self.expire_connections(now);
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to do or to know.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let reservations = self.reservations.iter().map(|reservation| reservation.expires_at);
        let allocations = self.deadlines.first().map(|(at, _)| *at);
        allocations.into_iter().chain(reservations).chain(self.connections.next_deadline()).min()
    }

    /// Number of allocations, those included whose sockets are being bound.
    #[must_use]
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// Who may use the server, to change it while it runs.
    pub fn users_mut(&mut self) -> &mut crate::Users {
        self.user_hashes = None;
        &mut self.config.users
    }

    /// Sends new allocations elsewhere from now on, or no longer
    /// ([`ServerConfig::alternate_server`]); those that exist stay.
    pub const fn redirect(&mut self, server: Option<SocketAddr>) {
        self.config.alternate_server = server;
    }

    /// The message in a packet from a client, and whether it is one of MS-TURN.
    fn control<'d>(&self, received: &Received<'d>) -> Result<(&'d [u8], bool), InputError> {
        let payload = received.payload;
        let has_cookie = |octets: &[u8]| octets.get(20..28) == Some(&framing::COOKIE_ATTRIBUTE);
        if !self.config.ms_turn {
            return Ok((payload, false));
        }
        match received.transport {
            // [CAP 96-99]: MS-TURN ids may begin with the cookie of RFC 8489; look there first
            Transport::Udp => Ok((payload, has_cookie(payload))),
            Transport::Tcp => match payload.first() {
                Some(2) => {
                    let (_, message) =
                        framing::split_frame(payload).ok_or(InputError::Unexpected)?;
                    has_cookie(message).then_some((message, true)).ok_or(InputError::Unexpected)
                }
                _ => Ok((payload, false)),
            },
        }
    }

    fn handle_request(&mut self, received: &Received<'_>, message: &Message<'_>, now: Instant) {
        if message.method() == Method::Binding {
            self.answer_binding(received, message);
            return;
        }
        let authenticated = match self.authenticate(received, message, now) {
            Ok(authenticated) => authenticated,
            Err(refusal) => {
                self.refuse(received, message, refusal, None, now);
                return;
            }
        };
        let is_known = |kind| self.is_known(kind);
        let unknown: Vec<AttributeType> = message.unknown_required(is_known).take(16).collect();
        if !unknown.is_empty() {
            self.refuse_unknown(received, message, &unknown, Some(&authenticated.signer));
            return;
        }
        let outcome = match message.method() {
            Method::Allocate => self.handle_allocate(received, message, &authenticated, now),
            Method::Refresh => self.handle_refresh(received, message, &authenticated, now),
            Method::CreatePermission => {
                self.handle_create_permission(received, message, &authenticated, now)
            }
            Method::ChannelBind => self.handle_channel_bind(received, message, &authenticated, now),
            Method::Connect => self.handle_connect(received, message, &authenticated, now),
            Method::ConnectionBind => {
                self.handle_connection_bind(received, message, &authenticated)
            }
            _ => Err(Refusal::new(400, "Bad Request")),
        };
        if let Err(refusal) = outcome {
            self.refuse(received, message, refusal, Some(&authenticated.signer), now);
        }
    }

    fn answer_binding(&mut self, received: &Received<'_>, message: &Message<'_>) {
        let is_known = |kind| self.is_known(kind);
        let unknown: Vec<AttributeType> = message.unknown_required(is_known).take(16).collect();
        if !unknown.is_empty() {
            self.refuse_unknown(received, message, &unknown, None);
            return;
        }
        self.answer(received, message, Class::Success, None, |answer| {
            answer.xor_mapped_address(received.remote);
        });
    }

    fn refuse(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        refusal: Refusal,
        signer: Option<&Signer>,
        now: Instant,
    ) {
        let features = self.features(message.dialect());
        let nonce = refusal.is_challenge.then(|| self.nonces.issue(received, features, now));
        let algorithms = features.is_some_and(|features| features.password_algorithms);
        let algorithms = algorithms.then(|| self.algorithms());
        let realm = self.config.realm.clone();
        self.answer(received, message, Class::Error, signer, |answer| {
            answer.error_code(refusal.code, refusal.reason);
            if let Some(nonce) = &nonce {
                answer.realm(realm.as_bytes()).nonce(nonce);
                if let Some(algorithms) = &algorithms {
                    answer.attribute(AttributeType::PASSWORD_ALGORITHMS, algorithms);
                }
            }
        });
    }

    fn refuse_unknown(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        unknown: &[AttributeType],
        signer: Option<&Signer>,
    ) {
        self.answer(received, message, Class::Error, signer, |answer| {
            answer.error_code(420, "Unknown Attribute").unknown_attributes(unknown);
        });
    }

    /// Writes, signs and sends an answer; gives its octets, so that they can be sent again.
    fn answer(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        class: Class,
        signer: Option<&Signer>,
        fill: impl FnOnce(&mut MessageBuilder<'_>),
    ) -> Option<Bytes> {
        let request = Request::of(message);
        let payload = self.write_answer(received.transport, request, class, signer, fill)?;
        self.transmit(received, payload.clone());
        Some(payload)
    }

    fn write_answer(
        &self,
        transport: Transport,
        request: Request,
        class: Class,
        signer: Option<&Signer>,
        fill: impl FnOnce(&mut MessageBuilder<'_>),
    ) -> Option<Bytes> {
        let Request { dialect, method, id } = request;
        let mut octets = Vec::with_capacity(256);
        let is_framed = dialect == Dialect::MsTurn && transport == Transport::Tcp;
        if is_framed {
            octets.extend_from_slice(&[0; 4]);
        }
        let mut builder = MessageBuilder::new(&mut octets, dialect, class, method, id);
        fill(&mut builder);
        if let Some(software) = &self.config.software
            && dialect != Dialect::MsTurn
        {
            builder.software(software);
        }
        if let Some(signer) = signer {
            signer.sign(&mut builder);
        }
        let len = builder.finish().ok()?;
        if is_framed {
            octets.first_chunk_mut().zip(framing::frame_header(true, len)).map(|(to, from)| {
                *to = from;
            })?;
        }
        Some(octets.into())
    }

    fn is_known(&self, kind: AttributeType) -> bool {
        is_known(kind) || (kind == AttributeType::DONT_FRAGMENT && self.config.dont_fragment)
    }

    fn transmit(&mut self, received: &Received<'_>, payload: Bytes) {
        self.transmits.push_back(Transmit {
            transport: received.transport,
            local: received.local,
            remote: received.remote,
            payload,
        });
    }
}

/// Attributes that requests may carry and this server understands (RFC 8656 §18, RFC 8489 §14).
fn is_known(kind: AttributeType) -> bool {
    matches!(
        kind,
        AttributeType::USERNAME
            | AttributeType::MESSAGE_INTEGRITY
            | AttributeType::MESSAGE_INTEGRITY_SHA256
            | AttributeType::PASSWORD_ALGORITHM
            | AttributeType::USERHASH
            | AttributeType::REALM
            | AttributeType::NONCE
            | AttributeType::CHANNEL_NUMBER
            | AttributeType::LIFETIME
            | AttributeType::XOR_PEER_ADDRESS
            | AttributeType::DATA
            | AttributeType::REQUESTED_ADDRESS_FAMILY
            | AttributeType::EVEN_PORT
            | AttributeType::REQUESTED_TRANSPORT
            | AttributeType::RESERVATION_TOKEN
            | AttributeType::CONNECTION_ID
            | AttributeType::PRIORITY
            | AttributeType::USE_CANDIDATE
    )
}
