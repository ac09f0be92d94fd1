//! Who asks: long-term credentials with nonces that need no memory (RFC 8489 §9.2).

use hmac::{Hmac, KeyInit, Mac};
use linkspan_stun::{
    AttributeType, Dialect, IntegrityError, IntegrityKey, Message, MessageBuilder, NonceFeatures,
    PasswordAlgorithm, ms, userhash,
};
use sha1::Sha1;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

use super::{FiveTuple, Refusal, TurnServer};
use crate::Received;

/// Whoever signed a request.
pub(super) struct Authenticated {
    pub(super) username: Vec<u8>,
    pub(super) signer: Signer,
}

/// A key, and which attribute answers are signed with.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    key: IntegrityKey,
    is_sha256: bool,
}

impl Signer {
    /// RFC 8489 §9.2.4: the stronger one where a request has both.
    pub(super) fn verify(&self, message: &Message<'_>) -> Result<(), IntegrityError> {
        if message.has_integrity_sha256() && message.dialect() == Dialect::Rfc8489 {
            message.verify_integrity_sha256(&self.key)
        } else {
            message.verify_integrity(&self.key)
        }
    }

    pub(super) fn sign(&self, builder: &mut MessageBuilder<'_>) {
        if self.is_sha256 {
            builder.sign_sha256(&self.key);
        } else {
            builder.sign(&self.key);
        }
    }
}

/// User names by their hash with the realm.
pub(super) type UserHashes = HashMap<[u8; 32], Vec<u8>>;

impl TurnServer {
    pub(super) fn authenticate(
        &mut self,
        received: &Received<'_>,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<Authenticated, Refusal> {
        let has_sha256 = message.has_integrity_sha256() && message.dialect() == Dialect::Rfc8489;
        if !(message.has_integrity() || has_sha256) {
            return Err(UNAUTHENTICATED);
        }
        let (Some(realm), Some(nonce)) = (message.realm(), message.nonce()) else {
            return Err(BAD_REQUEST);
        };
        let features = self.features(message.dialect());
        if !self.nonces.is_good(nonce, received, features, now) {
            return Err(Refusal::challenge(438, "Stale Nonce"));
        }
        if realm != self.config.realm.as_bytes() {
            return Err(UNAUTHENTICATED);
        }
        let algorithm = self.algorithm(message)?;
        let username = self.username(message, features)?;
        // A data connection goes by the allocation that it belongs to (RFC 6062 §5.4).
        let known = self.clients.get(&FiveTuple::of(received)).copied();
        let known = known.or_else(|| self.connections.owner(message));
        let known = known.or_else(|| self.tickets.owner(message));
        let known = known.and_then(|id| self.allocations.get(&id));
        if let Some(allocation) = known {
            if allocation.username != username || allocation.dialect != message.dialect() {
                // RFC 8656 §5: as the one who made the allocation, or not at all; but the
                // signature first, so that nobody learns who that is
                self.verify(message, username, algorithm, now)?;
                return Err(Refusal::new(441, "Wrong Credentials"));
            }
            if allocation.signer.verify(message).is_ok() {
                let signer = Signer { is_sha256: algorithm.is_some(), ..allocation.signer.clone() };
                return Ok(Authenticated { username, signer });
            }
        }
        self.verify(message, username, algorithm, now)
    }

    /// The key that a message is signed with, found among those that its user may have.
    fn verify(
        &self,
        message: &Message<'_>,
        username: Vec<u8>,
        algorithm: Option<PasswordAlgorithm>,
        now: Instant,
    ) -> Result<Authenticated, Refusal> {
        let is_ms = message.dialect() == Dialect::MsTurn;
        let elapsed = now.saturating_duration_since(self.started).as_secs();
        let realm = self.config.realm.as_bytes();
        let passwords = self.config.users.passwords(&username, self.config.unix_secs + elapsed);
        for password in &passwords {
            let key = if is_ms {
                Some(ms::long_term_key(&username, realm, password))
            } else {
                let algorithm = algorithm.unwrap_or(PasswordAlgorithm::Md5);
                algorithm.key(&username, realm, password)
            };
            // RFC 8489 §9.2.4: a client that says nothing of algorithms is answered in the old way.
            let signer = key.map(|key| Signer { key, is_sha256: algorithm.is_some() });
            if let Some(signer) = signer.filter(|signer| signer.verify(message).is_ok()) {
                return Ok(Authenticated { username, signer });
            }
        }
        Err(match (is_ms, passwords.is_empty()) {
            (false, _) => UNAUTHENTICATED,
            (true, true) => Refusal::challenge(436, "Unknown User"),
            (true, false) => Refusal::challenge(431, "Integrity Check Failure"),
        })
    }

    /// The algorithm that a client has chosen, if it knows of algorithms. What it was offered has
    /// to come back as it was, so that nobody on the way can take the better one out (RFC 8489
    /// §9.2.4).
    fn algorithm(&self, message: &Message<'_>) -> Result<Option<PasswordAlgorithm>, Refusal> {
        let ours = &self.config.password_algorithms;
        if message.dialect() != Dialect::Rfc8489 || ours.is_empty() {
            return Ok(None);
        }
        let offered = message.attribute(AttributeType::PASSWORD_ALGORITHMS);
        let chosen = message.attribute(AttributeType::PASSWORD_ALGORITHM);
        match (offered, chosen) {
            (None, None) if ours.contains(&PasswordAlgorithm::Md5) => Ok(None),
            (None, None) => Err(UNAUTHENTICATED),
            (Some(offered), Some(chosen)) if offered == self.algorithms() => {
                let algorithm = ours.iter().find(|one| one.to_octets() == chosen);
                algorithm.map(|one| Some(*one)).ok_or(BAD_REQUEST)
            }
            _ => Err(BAD_REQUEST),
        }
    }

    /// Whose request it says it is.
    fn username(
        &mut self,
        message: &Message<'_>,
        features: Option<NonceFeatures>,
    ) -> Result<Vec<u8>, Refusal> {
        if let Some(username) = message.username() {
            return Ok(username.to_vec());
        }
        if !features.is_some_and(|features| features.username_anonymity) {
            return Err(BAD_REQUEST);
        }
        let hash = message.attribute(AttributeType::USERHASH).ok_or(BAD_REQUEST)?;
        let (users, realm) = (&self.config.users, self.config.realm.as_bytes());
        let hashes = self.user_hashes.get_or_insert_with(|| {
            users.names().map(|name| (userhash(name, realm), name.to_vec())).collect()
        });
        hashes.get(hash).cloned().ok_or(UNAUTHENTICATED)
    }

    /// What nonces say about this server; nothing in MS-TURN, or when there is nothing to say.
    pub(super) fn features(&self, dialect: Dialect) -> Option<NonceFeatures> {
        let features = NonceFeatures {
            password_algorithms: !self.config.password_algorithms.is_empty(),
            username_anonymity: self.config.username_anonymity && !self.config.users.has_secrets(),
        };
        let is_said = dialect == Dialect::Rfc8489 && features != NonceFeatures::default();
        is_said.then_some(features)
    }

    /// PASSWORD-ALGORITHMS (RFC 8489 §14.11).
    pub(super) fn algorithms(&self) -> Vec<u8> {
        self.config.password_algorithms.iter().flat_map(|one| one.to_octets()).collect()
    }
}

/// Nonces that say themselves until when and for whom they are good: what the server can do,
/// sixteen hexadecimal digits of time, sixteen of an HMAC over it and the client's address.
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

    pub(super) fn issue(
        &self,
        received: &Received<'_>,
        features: Option<NonceFeatures>,
        now: Instant,
    ) -> Vec<u8> {
        let age = now.saturating_duration_since(self.started);
        let ends = age.saturating_add(self.lifetime).as_millis();
        self.write(u64::try_from(ends).unwrap_or(u64::MAX), received, features)
    }

    pub(super) fn is_good(
        &self,
        nonce: &[u8],
        received: &Received<'_>,
        features: Option<NonceFeatures>,
        now: Instant,
    ) -> bool {
        // Without what it says of the server a nonce is another one: it is compared whole.
        let ends = nonce.len().checked_sub(32).and_then(|from| nonce.get(from..from + 16));
        let ends = ends.and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(ends) = ends.and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            return false;
        };
        let age = now.saturating_duration_since(self.started).as_millis();
        let ours = self.write(ends, received, features);
        bool::from(ours.as_slice().ct_eq(nonce)) && age < u128::from(ends)
    }

    fn write(
        &self,
        ends: u64,
        received: &Received<'_>,
        features: Option<NonceFeatures>,
    ) -> Vec<u8> {
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
        let unique = format!("{ends:016x}{tag:016x}");
        match features {
            Some(features) => features.nonce(&unique).into_bytes(),
            None => unique.into_bytes(),
        }
    }
}

const UNAUTHENTICATED: Refusal = Refusal::challenge(401, "Unauthenticated");
const BAD_REQUEST: Refusal = Refusal::new(400, "Bad Request");
