use core::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::{KeyError, Suite};

/// Master key and master salt of one direction (RFC 3711 §3.2.1).
///
/// Not shown by `Debug`, wiped on drop, compared in constant time.
///
/// ```
/// use linkspan_srtp::{MasterKey, Suite};
/// let key = MasterKey::from_bytes(Suite::AesCm128HmacSha1_80, &[7; 30])?;
/// assert_eq!(format!("{key:?}"), "MasterKey(AES_CM_128_HMAC_SHA1_80, ..)");
/// # Ok::<(), linkspan_srtp::KeyError>(())
/// ```
#[derive(Clone)]
pub struct MasterKey {
    suite: Suite,
    octets: [u8; MAX_LEN],
}

impl MasterKey {
    /// From key and salt.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] when they have not the suite's lengths.
    pub fn new(suite: Suite, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        let expected = suite.key_len() + suite.salt_len();
        let found = key.len().saturating_add(salt.len());
        if key.len() != suite.key_len() || salt.len() != suite.salt_len() {
            return Err(KeyError::Length { expected, found });
        }
        let mut octets = [0; MAX_LEN];
        for (to, from) in octets.iter_mut().zip(key.iter().chain(salt)) {
            *to = *from;
        }
        Ok(Self { suite, octets })
    }

    /// From the key followed by the salt, as SDES carries them.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] when the suite takes another number of octets.
    pub fn from_bytes(suite: Suite, key_and_salt: &[u8]) -> Result<Self, KeyError> {
        let expected = suite.key_len() + suite.salt_len();
        let found = key_and_salt.len();
        match key_and_salt.split_at_checked(suite.key_len()) {
            Some((key, salt)) if salt.len() == suite.salt_len() => Self::new(suite, key, salt),
            _ => Err(KeyError::Length { expected, found }),
        }
    }

    /// A new key from a source of random octets, which has to be fit for keys.
    pub fn generate(suite: Suite, random: &mut impl rand_core::Rng) -> Self {
        let mut octets = [0; MAX_LEN];
        let (used, _) = octets.split_at_mut(suite.key_len() + suite.salt_len());
        random.fill_bytes(used);
        Self { suite, octets }
    }

    /// The suite the key was made for.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt, as SDES carries them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.split_at(self.suite.key_len() + self.suite.salt_len()).0
    }

    /// The master key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.octets.split_at(self.suite.key_len()).0
    }

    /// The master salt.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        self.as_bytes().split_at(self.suite.key_len()).1
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite && bool::from(self.octets.ct_eq(&other.octets))
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, ..)", self.suite)
    }
}

/// AES-256 with a salt of 14 octets.
const MAX_LEN: usize = 46;
