//! How a user agent behaves.

use core::time::Duration;

use crate::auth::Credentials;
use crate::limits::Limits;
use crate::method::Method;

/// The configuration of a [`UserAgent`](crate::UserAgent).
///
/// ```
/// use linkspan_sip::{Dialect, UaConfig};
///
/// let config = UaConfig { product: "gateway".into(), dialect: Dialect::Lync, ..UaConfig::default() };
/// assert_eq!(config.timers.t1.as_millis(), 500);
/// ```
#[derive(Clone, Debug)]
pub struct UaConfig {
    /// User-Agent in requests, Server in responses; empty leaves both out.
    pub product: String,
    /// What a peer may make the engine hold.
    pub limits: Limits,
    /// The timers of RFC 3261.
    pub timers: Timers,
    /// The methods that Allow lists, and beyond which requests are answered 405.
    pub allow: Vec<Method>,
    /// The option tags that Supported lists, and beyond which Require is answered 420.
    pub supported: Vec<String>,
    /// The peers' dialect.
    pub dialect: Dialect,
    /// The host of our Via where it is not the local address.
    pub sent_by: Option<String>,
    /// How often a re-INVITE that met the peer's own (491) is tried again.
    pub glare_retries: u8,
    /// What Digest challenges are answered with, each request once.
    pub credentials: Vec<Credentials>,
    /// What to do with session timers (RFC 4028).
    pub session_timer: SessionTimer,
}

impl Default for UaConfig {
    fn default() -> Self {
        Self {
            product: "linkspan".to_owned(),
            limits: Limits::default(),
            timers: Timers::default(),
            allow: vec![
                Method::Invite,
                Method::Ack,
                Method::Bye,
                Method::Cancel,
                Method::Options,
                Method::Info,
                Method::Update,
                Method::Prack,
                Method::Message,
                Method::Refer,
                Method::Notify,
                Method::Subscribe,
                Method::Benotify,
            ],
            supported: ["100rel", "timer", "replaces"].map(str::to_owned).to_vec(),
            dialect: Dialect::default(),
            sent_by: None,
            glare_retries: 3,
            credentials: Vec::new(),
            session_timer: SessionTimer::default(),
        }
    }
}

/// Whose SIP the peers speak.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// RFC 3261 and its extensions.
    #[default]
    Standard,
    /// Lync and Skype for Business: `[MS-SIP]`, `[MS-SIPRE]`, `[MS-CONMGMT]`. A BYE without To tag
    /// finds its dialog, NEGOTIATE is declined, a BENOTIFY is never answered.
    Lync,
}

/// The timer values of RFC 3261 §17, table 4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timers {
    /// Round-trip estimate (500 ms).
    pub t1: Duration,
    /// Longest interval between retransmissions of requests and of INVITE responses (4 s).
    pub t2: Duration,
    /// How long a message stays in the network (5 s).
    pub t4: Duration,
    /// How long a client waits for a final response behind a provisional one, timer C (3 min).
    pub c: Duration,
    /// How long an INVITE server transaction waits before it sends 100 by itself (200 ms).
    pub trying: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            c: Duration::from_secs(180),
            trying: Duration::from_millis(200),
        }
    }
}

impl Timers {
    /// 64*T1: timers B, D, F, H, L and M.
    pub fn timeout(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

/// Session timers, RFC 4028.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionTimer {
    /// The interval that is asked for (1,800 s); zero asks for none, and honours a peer's wish all
    /// the same. A peer that knows no timers is sent refreshes nevertheless, so that its death is
    /// noticed.
    pub interval: Duration,
    /// The shortest interval that is taken (90 s).
    pub min: Duration,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self { interval: Duration::ZERO, min: Duration::from_secs(90) }
    }
}
