use bytes::Bytes;
use linkspan_stun::{Dialect, TransactionId};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::auth::Signer;
use super::mobility::Held;
use super::{FiveTuple, Request, ServerEvent, Usage};
use crate::{ConnectionId, Transport};

/// One client's relay.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) tuple: FiveTuple,
    pub(super) dialect: Dialect,
    pub(super) username: Vec<u8>,
    pub(super) signer: Signer,
    pub(super) relays: Vec<Relay>,
    pub(super) expires_at: Instant,
    pub(super) lifetime: Duration,
    pub(super) stage: Stage,
    /// Permissions by address, with their ends.
    pub(super) permissions: HashMap<IpAddr, Instant>,
    pub(super) channels: HashMap<u16, Channel>,
    pub(super) numbers: HashMap<SocketAddr, u16>,
    pub(super) usage: Usage,
    pub(super) bucket: Option<Bucket>,
    pub(super) ms: Option<MsState>,
    /// Of a client that may move.
    pub(super) tickets: Option<Held>,
    /// Of a TCP allocation.
    pub(super) connections: BTreeSet<ConnectionId>,
}

#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Sockets are being bound.
    Binding { request: Request, extras: Extras, tries_left: u8 },
    /// In use. The answer is sent again when the request is.
    Live { request: TransactionId, answer: Bytes },
}

/// What the answer to an Allocate request says besides the address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    /// The other family was asked for and is not there.
    pub(super) has_no_additional: bool,
    /// The port above is kept under this token.
    pub(super) token: Option<[u8; 8]>,
    pub(super) is_even: bool,
    pub(super) wants_ticket: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Relay {
    pub(super) bind: SocketAddr,
    pub(super) public: SocketAddr,
    /// What peers speak to it.
    pub(super) protocol: Transport,
    pub(super) is_bound: bool,
}

impl Relay {
    /// What the driver has to do for it.
    pub(super) fn wanted(&self) -> ServerEvent {
        match self.protocol {
            Transport::Udp => ServerEvent::Bind { relay: self.bind },
            Transport::Tcp => ServerEvent::Listen { relay: self.bind },
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) peer: SocketAddr,
    pub(super) expires_at: Instant,
}

/// A port kept for the second of two allocations (RFC 8656 §7.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    pub(super) token: [u8; 8],
    pub(super) relay: Relay,
    pub(super) expires_at: Instant,
}

/// What only MS-TURN has.
#[derive(Clone, Debug)]
pub(super) struct MsState {
    pub(super) connection: [u8; 20],
    pub(super) active: Option<SocketAddr>,
    /// The highest sequence number, and the ones before it that were seen.
    highest: u32,
    seen: u64,
}

impl MsState {
    pub(super) const fn new(connection: [u8; 20]) -> Self {
        Self { connection, active: None, highest: 0, seen: 1 }
    }

    /// True when the number is new: a window of 64 against replayed Send requests.
    pub(super) fn accept(&mut self, number: u32) -> bool {
        let ahead = number.wrapping_sub(self.highest);
        if ahead != 0 && ahead < 1 << 31 {
            self.seen = if ahead >= 64 { 0 } else { self.seen << ahead };
            self.seen |= 1;
            self.highest = number;
            return true;
        }
        let behind = self.highest.wrapping_sub(number);
        if behind >= 64 || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

/// Octets that may pass: filled at the limit's pace, holding one second's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: u64,
    level: u64,
    at: Instant,
}

impl Bucket {
    pub(super) const fn new(rate: u64, now: Instant) -> Self {
        Self { rate, level: rate, at: now }
    }

    pub(super) fn take(&mut self, octets: u64, now: Instant) -> bool {
        let micros = u64::try_from(now.saturating_duration_since(self.at).as_micros());
        let gained = micros.unwrap_or(u64::MAX).saturating_mul(self.rate) / 1_000_000;
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(self.rate);
            self.at = now;
        }
        let Some(left) = self.level.checked_sub(octets) else { return false };
        self.level = left;
        true
    }

    /// Takes what has passed already, and says how long it is in advance.
    fn borrow(&mut self, octets: u64, now: Instant) -> Duration {
        if self.take(octets, now) {
            return Duration::ZERO;
        }
        let missing = (octets - self.level).saturating_mul(1_000_000);
        self.level = 0;
        // Nothing is gained until then.
        self.at = self.at.max(now) + Duration::from_micros(missing.div_ceil(self.rate.max(1)));
        self.at.saturating_duration_since(now)
    }
}

impl Allocation {
    pub(super) fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live { .. })
    }

    /// What its peers speak.
    pub(super) fn protocol(&self) -> Transport {
        self.relays.first().map_or(Transport::Udp, |relay| relay.protocol)
    }

    /// The relay of a peer's family.
    pub(super) fn relay_for(&self, peer: SocketAddr) -> Option<&Relay> {
        self.relays.iter().find(|relay| relay.public.is_ipv4() == peer.is_ipv4())
    }

    /// The active destination of MS-TURN needs no permission that would have to be refreshed.
    pub(super) fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        let active = self.ms.as_ref().and_then(|state| state.active);
        self.permissions.get(&peer).is_some_and(|end| now < *end)
            || active.is_some_and(|active| active.ip() == peer)
    }

    pub(super) fn permit(&mut self, peer: IpAddr, now: Instant) {
        self.permissions.insert(peer, now + PERMISSION_LIFETIME);
    }

    /// Drops what has expired, to make room.
    pub(super) fn purge(&mut self, now: Instant) {
        self.permissions.retain(|_, end| now < *end);
        self.channels.retain(|_, channel| now < channel.expires_at);
        self.numbers.retain(|_, number| self.channels.contains_key(number));
    }

    /// Counts a packet; false when the limit drops it.
    pub(super) fn count(&mut self, octets: usize, is_sent: bool, now: Instant) -> bool {
        let octets = octets as u64;
        if let Some(bucket) = &mut self.bucket
            && !bucket.take(octets, now)
        {
            self.usage.packets_over_limit += 1;
            return false;
        }
        self.note(octets, is_sent);
        true
    }

    /// Counts a part of a stream; says how long to wait before the next.
    pub(super) fn pace(&mut self, octets: usize, is_sent: bool, now: Instant) -> Duration {
        self.note(octets as u64, is_sent);
        self.bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.borrow(octets as u64, now))
    }

    fn note(&mut self, octets: u64, is_sent: bool) {
        let (packets, total) = if is_sent {
            (&mut self.usage.packets_sent, &mut self.usage.octets_sent)
        } else {
            (&mut self.usage.packets_received, &mut self.usage.octets_received)
        };
        *packets += 1;
        *total += octets;
    }
}

/// RFC 8656 §9.
pub(super) const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 §12.
pub(super) const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 §7.1.
pub(super) const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_count_once() {
        let mut state = MsState::new([0; 20]);
        assert!(!state.accept(0), "the number the server named is used up");
        assert!(state.accept(1) && !state.accept(1));
        assert!(state.accept(5) && state.accept(3) && !state.accept(3) && !state.accept(5));
        assert!(state.accept(100) && !state.accept(36) && state.accept(37));
        assert!(state.accept(u32::MAX / 3) && !state.accept(100));
    }

    #[test]
    fn the_bucket_holds_a_second() {
        let now = Instant::now();
        let mut bucket = Bucket::new(1000, now);
        assert!(bucket.take(600, now) && !bucket.take(600, now));
        assert!(bucket.take(600, now + Duration::from_millis(200)));
        assert!(!bucket.take(1001, now + Duration::from_secs(60)));
        assert!(bucket.take(1000, now + Duration::from_secs(60)));
        // What cannot be dropped waits: 3,000 octets are three seconds at this rate.
        let later = now + Duration::from_secs(61);
        assert_eq!(bucket.borrow(3000, later), Duration::from_secs(2));
        assert_eq!(bucket.borrow(500, later), Duration::from_millis(2500));
        assert!(bucket.take(500, later + Duration::from_secs(3)));
    }
}
