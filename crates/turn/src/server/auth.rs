//! Who asks: long-term credentials with nonces that need no memory (RFC 8489 §9.2).

use hmac::{Hmac, KeyInit, Mac};
use linkspan_stun::{Dialect, IntegrityKey, Message, ms};
use sha1::Sha1;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

use super::{FiveTuple, Refusal, TurnServer};
use crate::Received;

/// Whoever signed a request.
pub(super) struct Authenticated {
    pub(super) username: Vec<u8>,
    pub(super) key: IntegrityKey,
}

impl TurnServer {
    pub(super) fn authenticate(
        &self,
        received: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<Authenticated, Refusal> {
        if !message.has_integrity() {
            return Err(UNAUTHENTICATED);
        }
        let (Some(username), Some(realm), Some(nonce)) =
            (message.username(), message.realm(), message.nonce())
        else {
            return Err(Refusal::new(400, "Bad Request"));
        };
        if !self.nonces.is_good(nonce, received, now) {
            return Err(Refusal::challenge(438, "Stale Nonce"));
        }
        if realm != self.config.realm.as_bytes() {
            return Err(UNAUTHENTICATED);
        }
        let known = self.clients.get(&FiveTuple::of(received));
        let known = known.and_then(|id| self.allocations.get(id));
        if let Some(allocation) = known {
            if allocation.username != username || allocation.dialect != message.dialect() {
                // RFC 8656 §5: as the one who made the allocation, or not at all; but the
                // signature first, so that nobody learns who that is
                self.verify(message, username, now)?;
                return Err(Refusal::new(441, "Wrong Credentials"));
            }
            if message.verify_integrity(&allocation.key).is_ok() {
                let key = allocation.key.clone();
                return Ok(Authenticated { username: username.to_vec(), key });
            }
        }
        self.verify(message, username, now)
    }

    /// The key that a message is signed with, found among those that its user may have.
    pub(super) fn verify(
        &self,
        message: &Message<'_>,
        username: &[u8],
        now: Instant,
    ) -> Result<Authenticated, Refusal> {
        let is_ms = message.dialect() == Dialect::MsTurn;
        let elapsed = now.saturating_duration_since(self.started).as_secs();
        let realm = self.config.realm.as_bytes();
        let passwords = self.config.users.passwords(username, self.config.unix_secs + elapsed);
        for password in &passwords {
            let key = if is_ms {
                ms::long_term_key(username, realm, password)
            } else {
                IntegrityKey::long_term_md5(username, realm, password)
            };
            if message.verify_integrity(&key).is_ok() {
                return Ok(Authenticated { username: username.to_vec(), key });
            }
        }
        Err(match (is_ms, passwords.is_empty()) {
            (false, _) => UNAUTHENTICATED,
            (true, true) => Refusal::challenge(436, "Unknown User"),
            (true, false) => Refusal::challenge(431, "Integrity Check Failure"),
        })
    }
}

/// Nonces that say themselves until when and for whom they are good: sixteen hexadecimal digits of
/// time, sixteen of an HMAC over it and the client's address.
#[derive(Debug)]
pub(super) struct Nonces {
    mac: Option<Hmac<Sha1>>,
    started: Instant,
    lifetime: Duration,
}

impl Nonces {
    pub(super) fn new(key: &[u8], started: Instant, lifetime: Duration) -> Self {
        Self { mac: Hmac::new_from_slice(key).ok(), started, lifetime }
    }

    pub(super) fn issue(&self, received: &Received<'_>, now: Instant) -> Vec<u8> {
        let age = now.saturating_duration_since(self.started);
        let ends = age.saturating_add(self.lifetime).as_millis();
        self.write(u64::try_from(ends).unwrap_or(u64::MAX), received)
    }

    pub(super) fn is_good(&self, nonce: &[u8], received: &Received<'_>, now: Instant) -> bool {
        let ends = nonce.get(..16).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(ends) = ends.and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            return false;
        };
        let age = now.saturating_duration_since(self.started).as_millis();
        bool::from(self.write(ends, received).as_slice().ct_eq(nonce)) && age < u128::from(ends)
    }

    fn write(&self, ends: u64, received: &Received<'_>) -> Vec<u8> {
        let Some(mut mac) = self.mac.clone() else { return Vec::new() };
        mac.update(&ends.to_be_bytes());
        match received.remote.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac.update(&received.remote.port().to_be_bytes());
        let tag: [u8; 20] = mac.finalize().into_bytes().into();
        let [a, b, c, d, e, f, g, h, ..] = tag;
        let tag = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        format!("{ends:016x}{tag:016x}").into_bytes()
    }
}

const UNAUTHENTICATED: Refusal = Refusal::challenge(401, "Unauthorized");
