use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A key for MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256.
///
/// The HMAC is keyed once, when this value is made; each message then costs only its own octets.
/// The state is wiped when it is dropped, and `Debug` shows nothing of it.
///
/// ```
/// use linkspan_stun::IntegrityKey;
///
/// let check = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
/// let relay = IntegrityKey::long_term_md5("user", "example.org", "secret");
/// assert_eq!(format!("{check:?} {relay:?}"), "IntegrityKey(..) IntegrityKey(..)");
/// ```
#[derive(Clone)]
pub struct IntegrityKey {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

impl IntegrityKey {
    /// The octets of a key as they are.
    #[must_use]
    pub fn from_octets(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; 64]);
        let mut block256 = Zeroizing::new([0; 64]);
        // RFC 2104 §2: a key longer than the block is hashed, a shorter one gets zeros behind it.
        if key.len() > block.len() {
            fill(block.as_mut(), &Sha1::digest(key));
            fill(block256.as_mut(), &Sha256::digest(key));
        } else {
            fill(block.as_mut(), key);
            fill(block256.as_mut(), key);
        }
        Self { sha1: Hmac::new((&*block).into()), sha256: Hmac::new((&*block256).into()) }
    }

    /// RFC 8489 §9.1.1: the password, already prepared as an OpaqueString where it is not ASCII.
    #[must_use]
    pub fn short_term(password: impl AsRef<[u8]>) -> Self {
        Self::from_octets(password.as_ref())
    }

    /// RFC 8489 §9.2.2 with the algorithm MD5, as in RFC 5389.
    #[must_use]
    pub fn long_term_md5(
        username: impl AsRef<[u8]>,
        realm: impl AsRef<[u8]>,
        password: impl AsRef<[u8]>,
    ) -> Self {
        Self::from_octets(&long_term::<Md5>(username.as_ref(), realm.as_ref(), password.as_ref()))
    }

    /// RFC 8489 §9.2.2 with the algorithm SHA-256.
    #[must_use]
    pub fn long_term_sha256(
        username: impl AsRef<[u8]>,
        realm: impl AsRef<[u8]>,
        password: impl AsRef<[u8]>,
    ) -> Self {
        Self::from_octets(&long_term::<Sha256>(
            username.as_ref(),
            realm.as_ref(),
            password.as_ref(),
        ))
    }

    /// The HMAC of a message up to its integrity, with `len` in the header.
    pub(crate) fn sha1(&self, message: &[u8], len: u16, rule: Rule) -> [u8; 20] {
        let mut mac = self.sha1.clone();
        update(&mut mac, message, len);
        if rule == Rule::Padded {
            let padding = message.len().next_multiple_of(64) - message.len();
            mac.update(ZEROS.get(..padding).unwrap_or_default());
        }
        mac.finalize().into_bytes().into()
    }

    /// The HMAC of a message up to its integrity, with `len` in the header.
    pub(crate) fn sha256(&self, message: &[u8], len: u16) -> [u8; 32] {
        let mut mac = self.sha256.clone();
        update(&mut mac, message, len);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrityKey(..)")
    }
}

/// Why a message is not authentic.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The attribute is not there.
    #[error("the attribute is missing")]
    Missing,
    /// The value is another one.
    #[error("the value does not match")]
    Mismatch,
    /// The length of the value belongs to a form that is not public: 32 octets in the
    /// MESSAGE-INTEGRITY of MS-TURN version 3 and later.
    #[error("no rule for a value of this length is known")]
    Unsupported,
}

/// What is put behind the input of the HMAC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// Nothing (RFC 5389 and later).
    Exact,
    /// Zeros to a multiple of 64 octets (RFC 3489 §11.2.8).
    Padded,
}

/// Compares in constant time: all octets, and one decision at the end.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> Result<(), IntegrityError> {
    let difference = a.iter().zip(b).fold(0_u8, |all, (a, b)| all | (a ^ b));
    if a.len() == b.len() && bool::from(difference.ct_eq(&0)) {
        Ok(())
    } else {
        Err(IntegrityError::Mismatch)
    }
}

/// RFC 8489 §9.2: hides a username, SHA-256 of `username ":" realm`.
///
/// ```
/// let hash = linkspan_stun::userhash("user", "example.org");
/// assert_eq!(hash.len(), 32);
/// ```
#[must_use]
pub fn userhash(username: impl AsRef<[u8]>, realm: impl AsRef<[u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(username.as_ref());
    hash.update(b":");
    hash.update(realm.as_ref());
    hash.finalize().into()
}

fn long_term<D: Digest>(username: &[u8], realm: &[u8], password: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut hash = D::new();
    hash.update(username);
    hash.update(b":");
    hash.update(realm);
    hash.update(b":");
    hash.update(password);
    Zeroizing::new(hash.finalize().to_vec())
}

fn update(mac: &mut impl Mac, message: &[u8], len: u16) {
    let [l0, l1] = len.to_be_bytes();
    // Whole blocks: the hash takes them without copying them once more.
    if let Some((block, rest)) = message.split_first_chunk::<64>() {
        let mut block = *block;
        let [_, _, b2, b3, ..] = &mut block;
        (*b2, *b3) = (l0, l1);
        mac.update(&block);
        mac.update(rest);
    } else if let Some((&[t0, t1, _, _], rest)) = message.split_first_chunk() {
        mac.update(&[t0, t1, l0, l1]);
        mac.update(rest);
    }
}

fn fill(block: &mut [u8], key: &[u8]) {
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
}

static ZEROS: [u8; 64] = [0; 64];
