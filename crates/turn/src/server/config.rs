use linkspan_stun::PasswordAlgorithm;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{PeerPolicy, Users};

/// What a [`TurnServer`](crate::TurnServer) needs to know.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The realm of its users.
    pub realm: String,
    /// Who may use it. Default nobody.
    pub users: Users,
    /// Unix time in seconds at the instant given to `new`: what time-limited credentials are
    /// held against. Default 0, which has them never expire.
    pub unix_secs: u64,
    /// Addresses that clients send to.
    pub listeners: Vec<SocketAddr>,
    /// Addresses that relay sockets are bound to: one of each family at most is used for one
    /// allocation. Default none, which refuses every allocation.
    pub relays: Vec<RelayAddress>,
    /// Ports of relay sockets. Default 49,152 to 65,535 (RFC 8656 §7.2).
    pub relay_ports: RangeInclusive<u16>,
    /// Which peers it relays to.
    pub policy: PeerPolicy,
    /// Whether a client may reach the relayed address of another one of this server: both sides
    /// of a call often come through the same relay. Default true.
    pub hairpin: bool,
    /// SOFTWARE of answers.
    pub software: Option<String>,
    /// How keys are made from passwords, the best first (RFC 8489 §9.2.4). Default SHA-256, then
    /// MD5. Without MD5 clients that know only RFC 5389 stay out; an empty list says nothing of
    /// algorithms, as a server of RFC 5389 does.
    pub password_algorithms: Vec<PasswordAlgorithm>,
    /// Whether clients may hide their names in USERHASH (RFC 8489 §14.4). Default true; without
    /// effect where a secret is shared, whose users' names are not known beforehand.
    pub username_anonymity: bool,
    /// Where new allocations are sent instead, with 300 (RFC 8489 §10): for servers that are about
    /// to end, see [`TurnServer::redirect`](crate::TurnServer::redirect). Default none. Clients of
    /// another family than the address stay.
    pub alternate_server: Option<SocketAddr>,
    /// How long a nonce is good for. Default 1 hour.
    pub nonce_lifetime: Duration,
    /// Whether clients may have TCP allocations (RFC 6062): the driver then answers
    /// [`ServerEvent::Listen`](crate::ServerEvent::Listen) and
    /// [`ServerEvent::Connect`](crate::ServerEvent::Connect). Default false, which refuses them with 442.
    pub tcp_relay: bool,
    /// Whether the driver heeds [`Wrapped::dont_fragment`](crate::Wrapped::dont_fragment), and sends
    /// everything else so that it may be fragmented (RFC 8656 §14). Default false, which refuses
    /// DONT-FRAGMENT with 420.
    pub dont_fragment: bool,
    /// Whether clients may keep their allocations when their addresses change (RFC 8016). Default
    /// true.
    pub mobility: bool,
    /// Whether MS-TURN is spoken too. Default false.
    pub ms_turn: bool,
    /// What may be used up.
    pub limits: ServerLimits,
}

impl ServerConfig {
    /// A configuration that lets nobody in and has no relay address yet.
    #[must_use]
    pub fn new(realm: &str) -> Self {
        Self {
            realm: realm.into(),
            users: Users::default(),
            unix_secs: 0,
            listeners: Vec::new(),
            relays: Vec::new(),
            relay_ports: 49_152..=65_535,
            policy: PeerPolicy::default(),
            hairpin: true,
            software: None,
            password_algorithms: vec![PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5],
            username_anonymity: true,
            alternate_server: None,
            nonce_lifetime: Duration::from_secs(3600),
            tcp_relay: false,
            dont_fragment: false,
            mobility: true,
            ms_turn: false,
            limits: ServerLimits::default(),
        }
    }
}

/// An address for relay sockets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RelayAddress {
    /// Address that the sockets are bound to.
    pub bind: IpAddr,
    /// Address that peers see: another one behind a one-to-one NAT.
    pub public: IpAddr,
}

impl RelayAddress {
    /// An address without NAT.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self { bind: address, public: address }
    }
}

/// What clients may use up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerLimits {
    /// Allocations in all; one more is refused with 508. Default 10,000.
    pub allocations: usize,
    /// Allocations of one user; one more is refused with 486. Default 16.
    pub allocations_per_user: usize,
    /// Permissions of one allocation; one more is refused with 508. Default 128.
    pub permissions: usize,
    /// Channels of one allocation; one more is refused with 508. Default 128.
    pub channels: usize,
    /// Connections to peers of one TCP allocation; one more is refused with 508, or closed where a
    /// peer made it. Default 32.
    pub connections: usize,
    /// Ports kept for later allocations. Default 256.
    pub reservations: usize,
    /// The longest lifetime of an allocation. Default 1 hour (RFC 8656 §7.2).
    pub max_lifetime: Duration,
    /// Octets of data per second and allocation, both directions together; more are dropped, or
    /// wait where the peer is reached over TCP.
    /// Default none.
    pub octets_per_second: Option<u64>,
    /// Packets and events waiting to be taken. Default 4,096.
    pub queue: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            allocations: 10_000,
            allocations_per_user: 16,
            permissions: 128,
            channels: 128,
            connections: 32,
            reservations: 256,
            max_lifetime: Duration::from_secs(3600),
            octets_per_second: None,
            queue: 4_096,
        }
    }
}
