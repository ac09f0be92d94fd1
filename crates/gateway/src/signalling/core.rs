//! What all calls share: the two user agents, the ports, the queues.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use linkspan_sip as sip;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::conference::Conferences;
use super::hops::FailedHops;
use super::refusals::Refusals;
use crate::base64;
use crate::config::{Config, SideConfig};
use crate::event::{GatewayCounters, GatewayEvent};
use crate::id::{CallId, Side};
use crate::media::MediaCommand;
use crate::ports::Ports;

/// One value per side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Both<T> {
    pub(crate) lync: T,
    pub(crate) standard: T,
}

impl<T> Both<T> {
    pub(crate) fn new(mut make: impl FnMut(Side) -> T) -> Self {
        Self { lync: make(Side::Lync), standard: make(Side::Standard) }
    }

    pub(crate) const fn of(&self, side: Side) -> &T {
        match side {
            Side::Lync => &self.lync,
            Side::Standard => &self.standard,
        }
    }

    pub(crate) const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Lync => &mut self.lync,
            Side::Standard => &mut self.standard,
        }
    }
}

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Arc<Config>,
    pub(crate) agents: Both<sip::UserAgent>,
    pub(crate) ports: Both<Ports>,
    pub(crate) sessions: HashMap<(Side, sip::SessionId), CallId>,
    pub(crate) requests: HashMap<(Side, sip::RequestId), CallId>,
    pub(crate) call_ids: HashMap<(Side, Box<str>), CallId>,
    pub(crate) commands: VecDeque<MediaCommand>,
    pub(crate) counters: GatewayCounters,
    /// The mark in requests that this gateway has sent.
    pub(crate) mark: String,
    pub(crate) failed_hops: FailedHops,
    pub(crate) refusals: Refusals,
    pub(crate) conferences: Conferences,
    events: VecDeque<GatewayEvent>,
    rng: ChaCha20Rng,
}

impl Core {
    pub(crate) fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let agents = Both::new(|side| {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            sip::UserAgent::new(ua_config(&config, side), seed, now)
        });
        let ports = Both::new(|side| {
            let SideConfig { first_port, last_port, .. } = *config.side(side);
            Ports::new(first_port..=last_port, config.timers.port_rest())
        });
        let mark = hex(&mut rng, 8);
        Self {
            config: Arc::new(config),
            agents,
            ports,
            sessions: HashMap::new(),
            requests: HashMap::new(),
            call_ids: HashMap::new(),
            commands: VecDeque::new(),
            counters: GatewayCounters::default(),
            mark,
            failed_hops: FailedHops::default(),
            refusals: Refusals::default(),
            conferences: Conferences::default(),
            events: VecDeque::new(),
            rng,
        }
    }

    /// The user agent of a side.
    pub(crate) const fn agent(&mut self, side: Side) -> &mut sip::UserAgent {
        self.agents.of_mut(side)
    }

    /// Queues an event; beyond the limit it is only counted.
    pub(crate) fn tell(&mut self, event: GatewayEvent) {
        if self.events.len() < self.config.limits.queued_events {
            self.events.push_back(event);
        } else {
            self.counters.events_lost += 1;
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<GatewayEvent> {
        self.events.pop_front()
    }

    /// A decision, for the log.
    pub(crate) fn explain(&mut self, call: CallId, explanation: impl Into<String>) {
        self.tell(GatewayEvent::Decided { call: Some(call), explanation: explanation.into() });
    }

    /// A fresh seed.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    /// A random number.
    pub(crate) fn random(&mut self) -> u32 {
        self.rng.next_u32()
    }

    /// So many random octets in hex.
    pub(crate) fn hex(&mut self, octets: usize) -> String {
        hex(&mut self.rng, octets)
    }

    /// `Ms-Conversation-ID`: 20 octets in base64.
    pub(crate) fn conversation_id(&mut self) -> String {
        let mut octets = [0; 20];
        self.rng.fill_bytes(&mut octets);
        base64::encode(&octets)
    }
}

fn ua_config(config: &Config, side: Side) -> sip::UaConfig {
    let limits = sip::Limits::default();
    let own = config.side(side);
    let sent_by = own.contact.clone().or_else(|| {
        let unspecified = own.listeners.iter().any(|l| l.address.ip().is_unspecified());
        unspecified.then(|| own.advertised().to_string())
    });
    let interval = config.timers.session();
    let min = sip::SessionTimer::default().min;
    let session_timer = match interval.is_zero() {
        true => sip::SessionTimer::default(),
        // What is asked for is taken as well.
        false => sip::SessionTimer { interval, min: min.min(interval) },
    };
    sip::UaConfig {
        session_timer,
        product: config.product.clone(),
        limits,
        allow: ALLOW.to_vec(),
        supported: ["100rel", "timer", "replaces"].map(str::to_owned).to_vec(),
        dialect: match side {
            Side::Lync => sip::Dialect::Lync,
            Side::Standard => sip::Dialect::Standard,
        },
        sent_by,
        ..sip::UaConfig::default()
    }
}

fn hex(rng: &mut ChaCha20Rng, octets: usize) -> String {
    let mut text = String::with_capacity(octets * 2);
    for _ in 0..octets {
        let [octet, ..] = rng.next_u32().to_be_bytes();
        text.push(char::from_digit(u32::from(octet >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(octet & 15), 16).unwrap_or('0'));
    }
    text
}

/// The methods that the gateway answers.
const ALLOW: [sip::Method; 12] = [
    sip::Method::Invite,
    sip::Method::Ack,
    sip::Method::Bye,
    sip::Method::Cancel,
    sip::Method::Options,
    sip::Method::Info,
    sip::Method::Update,
    sip::Method::Prack,
    sip::Method::Notify,
    sip::Method::Benotify,
    // RFC 4579: rosters and additions, in calls that are in a conference.
    sip::Method::Subscribe,
    sip::Method::Refer,
];
