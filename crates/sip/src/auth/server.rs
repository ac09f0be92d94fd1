//! Asking for Digest credentials, and checking them.

use core::time::Duration;
use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::auth::client::Password;
use crate::auth::digest::{DigestAlgorithm, Parts, hex};
use crate::auth::value::AuthValue;
use crate::lex;

/// The server side of Digest. Nonces are times under a keyed hash: they are checked without being
/// stored, and a restarted server with the same seed and start knows its old ones.
///
/// A nonce may be used again within its lifetime, as the counting of RFC 7616 needs storage: add
/// [`NonceCounts`](crate::NonceCounts) where connections are not private.
///
/// ```
/// use linkspan_sip::{AuthValue, Credentials, DigestError, DigestServer, Password, answer_challenge};
/// use std::time::Instant;
///
/// let now = Instant::now();
/// let server = DigestServer::new("example.com", [7; 32], now);
/// let challenge = server.challenges(now, false).remove(0);
/// let challenge = AuthValue::parse(&challenge).unwrap();
/// let alice = Credentials::new("alice", "secret");
/// let answer = answer_challenge(&challenge, &alice, "REGISTER", "sip:example.com", b"", "c", 1).unwrap();
/// let answer = AuthValue::parse(&answer).unwrap();
/// assert_eq!(server.username(&answer).unwrap(), "alice");
/// let check = |password| server.verify(&answer, "REGISTER", b"", &Password::new(password), now);
/// assert_eq!(check("secret"), Ok(()));
/// assert_eq!(check("guess"), Err(DigestError::Wrong));
/// ```
pub struct DigestServer {
    realm: String,
    key: Zeroizing<[u8; 32]>,
    start: Instant,
    /// How long a nonce is good (five minutes).
    pub lifetime: Duration,
    /// What is offered, first wish first (SHA-256, then MD5).
    pub algorithms: Vec<DigestAlgorithm>,
    /// Whether the protection of bodies is offered as well, `auth-int` (no).
    pub integrity: bool,
}

impl core::fmt::Debug for DigestServer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DigestServer").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Why credentials were not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// Not Digest, of another realm, or a parameter is missing: challenge again.
    #[error("no credentials for this realm")]
    NotOurs,
    /// The nonce is too old: challenge again with `stale=true`.
    #[error("stale nonce")]
    Stale,
    /// The response does not fit.
    #[error("wrong credentials")]
    Wrong,
}

impl DigestServer {
    /// A server for a realm, whose nonces are keyed by `seed`.
    pub fn new(realm: &str, seed: [u8; 32], now: Instant) -> Self {
        Self {
            realm: realm.to_owned(),
            key: Zeroizing::new(seed),
            start: now,
            lifetime: Duration::from_secs(300),
            algorithms: vec![DigestAlgorithm::Sha256, DigestAlgorithm::Md5],
            integrity: false,
        }
    }

    /// The values of WWW-Authenticate or Proxy-Authenticate, one for each algorithm.
    pub fn challenges(&self, now: Instant, stale: bool) -> Vec<String> {
        let nonce = self.nonce(now.saturating_duration_since(self.start).as_secs());
        let realm = lex::quote(&self.realm);
        let stale = if stale { ", stale=true" } else { "" };
        let qop = if self.integrity { "auth,auth-int" } else { "auth" };
        let challenge = |algorithm: &DigestAlgorithm| {
            let algorithm = algorithm.as_str();
            format!(
                "Digest realm={realm}, nonce=\"{nonce}\", algorithm={algorithm}, qop=\"{qop}\"{stale}"
            )
        };
        self.algorithms.iter().map(challenge).collect()
    }

    /// Who the credentials say they are, where they are for this realm.
    pub fn username(&self, credentials: &AuthValue<'_>) -> Option<String> {
        let ours = credentials.is("Digest") && credentials.param("realm")? == self.realm.as_str();
        ours.then(|| credentials.param("username").map(Into::into)).flatten()
    }

    /// Checks credentials against the password of their user.
    ///
    /// # Errors
    ///
    /// [`DigestError`].
    pub fn verify(
        &self,
        credentials: &AuthValue<'_>,
        method: &str,
        body: &[u8],
        password: &Password,
        now: Instant,
    ) -> Result<(), DigestError> {
        let username = self.username(credentials).ok_or(DigestError::NotOurs)?;
        let param = |name: &str| credentials.param(name).ok_or(DigestError::NotOurs);
        let algorithm = match credentials.param("algorithm") {
            Some(token) => DigestAlgorithm::from_token(&token).ok_or(DigestError::NotOurs)?,
            None => DigestAlgorithm::Md5,
        };
        if !self.algorithms.contains(&algorithm) {
            return Err(DigestError::NotOurs);
        }
        let (nonce, uri, response) = (param("nonce")?, param("uri")?, param("response")?);
        let cnonce = credentials.param("cnonce").unwrap_or_default();
        let nc = credentials.param("nc").unwrap_or_default();
        let qop = credentials.param("qop").unwrap_or_default();
        // What was offered; without it the nonce count would not be covered.
        let protects = self.integrity && qop.eq_ignore_ascii_case("auth-int");
        if !protects && !qop.eq_ignore_ascii_case("auth") {
            return Err(DigestError::NotOurs);
        }
        self.check_nonce(&nonce, now)?;
        let parts = Parts {
            algorithm,
            nonce: &nonce,
            cnonce: &cnonce,
            nc: &nc,
            qop: &qop,
            method,
            uri: &uri,
            body,
        };
        let realm = self.realm.as_bytes();
        let user = algorithm.hash(&[username.as_bytes(), realm, password.as_bytes()]);
        let expected = parts.response(&user);
        let given = response.to_ascii_lowercase();
        let same: bool = expected.as_bytes().ct_eq(given.as_bytes()).into();
        if same { Ok(()) } else { Err(DigestError::Wrong) }
    }

    fn check_nonce(&self, nonce: &str, now: Instant) -> Result<(), DigestError> {
        let time = nonce.get(..16).and_then(|time| u64::from_str_radix(time, 16).ok());
        let time = time.ok_or(DigestError::Stale)?;
        let same: bool = self.nonce(time).as_bytes().ct_eq(nonce.as_bytes()).into();
        // One that is not ours is as old as can be: the client has to ask again.
        if !same {
            return Err(DigestError::Stale);
        }
        let age = now.saturating_duration_since(self.start).as_secs().saturating_sub(time);
        if age > self.lifetime.as_secs() { Err(DigestError::Stale) } else { Ok(()) }
    }

    fn nonce(&self, time: u64) -> String {
        let time = format!("{time:016x}");
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.as_slice()) else { return time };
        mac.update(time.as_bytes());
        mac.update(self.realm.as_bytes());
        let mac = mac.finalize().into_bytes();
        format!("{time}{}", hex(mac.get(..16).unwrap_or(&mac)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Credentials, answer_challenge};

    #[test]
    fn a_protected_body_cannot_be_changed() {
        let now = Instant::now();
        let mut server = DigestServer::new("r", [1; 32], now);
        server.integrity = true;
        let challenge = server.challenges(now, false).remove(0);
        assert!(challenge.contains("qop=\"auth,auth-int\""));
        // A client takes the simpler one where both are offered; this one has no choice.
        let challenge = challenge.replace("auth,auth-int", "auth-int");
        let challenge = AuthValue::parse(&challenge).unwrap();
        let who = Credentials::new("a", "p");
        let answer = answer_challenge(&challenge, &who, "MESSAGE", "sip:x", b"hi", "c", 1).unwrap();
        let answer = AuthValue::parse(&answer).unwrap();
        let check = |body| server.verify(&answer, "MESSAGE", body, &Password::new("p"), now);
        assert_eq!(check(b"hi"), Ok(()));
        assert_eq!(check(b"ho"), Err(DigestError::Wrong));
    }

    #[test]
    fn every_algorithm_agrees_with_itself_and_old_nonces_are_stale() {
        let now = Instant::now();
        let mut server = DigestServer::new("r", [1; 32], now);
        server.algorithms = DigestAlgorithm::ALL.to_vec();
        for challenge in server.challenges(now, false) {
            let challenge = AuthValue::parse(&challenge).unwrap();
            let who = Credentials::new("a\"b", "p");
            let answer =
                answer_challenge(&challenge, &who, "INVITE", "sip:x", b"v=0", "c", 2).unwrap();
            let answer = AuthValue::parse(&answer).unwrap();
            let check = |method: &str, now| {
                server.verify(&answer, method, b"v=0", &Password::new("p"), now)
            };
            assert_eq!(check("INVITE", now), Ok(()), "{answer:?}");
            assert_eq!(check("BYE", now), Err(DigestError::Wrong));
            let late = now + Duration::from_secs(301);
            assert_eq!(check("INVITE", late), Err(DigestError::Stale));
        }
    }
}
