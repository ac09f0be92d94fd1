use core::fmt;

use linkspan_srtp::{KeyParams, Suite};

/// An SRTP master key with its suite, as one `a=crypto` line states them (RFC 4568).
///
/// `Debug` shows the suite only.
///
/// ```
/// use linkspan_gateway::MediaKey;
///
/// let key = MediaKey::generate([7; 32]);
/// let same = MediaKey::parse(key.suite_name(), &key.to_inline())?;
/// assert_eq!(key, same);
/// # Ok::<(), linkspan_gateway::KeyError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct MediaKey {
    pub(super) suite: Suite,
    pub(super) params: KeyParams,
}

impl MediaKey {
    /// A fresh key of AES_CM_128_HMAC_SHA1_80, the one suite that both worlds have.
    #[must_use]
    pub fn generate(seed: [u8; 32]) -> Self {
        let suite = Suite::AesCm128HmacSha1_80;
        Self { suite, params: KeyParams::from_seed(suite, seed) }
    }

    /// Reads suite name and key parameters of an `a=crypto` line.
    ///
    /// # Errors
    ///
    /// [`KeyError`]: a suite that is not known, or parameters that do not fit it.
    pub fn parse(suite: &str, params: &str) -> Result<Self, KeyError> {
        let suite = Suite::from_name(suite).ok_or(KeyError::Suite)?;
        let params = KeyParams::parse(suite, params).map_err(|_| KeyError::Params)?;
        Ok(Self { suite, params })
    }

    /// Name of the suite in `a=crypto`.
    #[must_use]
    pub fn suite_name(&self) -> &'static str {
        self.suite.name()
    }

    /// Key parameters of `a=crypto`: `inline:` and the key in base64.
    #[must_use]
    pub fn to_inline(&self) -> String {
        self.params.to_inline()
    }
}

impl fmt::Debug for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MediaKey").field(&self.suite_name()).finish()
    }
}

/// Why a key was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The suite is not known.
    #[error("unknown SRTP suite")]
    Suite,
    /// The key parameters do not fit the suite.
    #[error("malformed key parameters")]
    Params,
}
