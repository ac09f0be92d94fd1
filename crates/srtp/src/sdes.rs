use core::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::{MasterKey, SdesError, Suite};

/// One key of an `a=crypto` line: `inline:<key||salt>[|lifetime][|MKI:length]` (RFC 4568 §6.1).
///
/// ```
/// use linkspan_srtp::{KeyParams, Suite};
/// let text = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^31|1:1";
/// let key = KeyParams::parse(Suite::AesCm128HmacSha1_80, text)?;
/// assert_eq!(key.lifetime, Some(1 << 31));
/// assert_eq!(key.mki.as_ref().map(|mki| mki.as_bytes()), Some(&[1][..]));
/// assert_eq!(key.to_inline(), text);
/// # Ok::<(), linkspan_srtp::SdesError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyParams {
    /// Master key and salt.
    pub master: MasterKey,
    /// Packets the key is good for; `None` for the suite's own limit.
    pub lifetime: Option<u64>,
    /// The identifier that each packet carries; `None` for packets without one.
    pub mki: Option<Mki>,
}

impl KeyParams {
    /// A key without lifetime and MKI.
    #[must_use]
    pub fn new(master: MasterKey) -> Self {
        Self { master, lifetime: None, mki: None }
    }

    /// A new key without lifetime and MKI, from a source of random octets fit for keys.
    pub fn generate(suite: Suite, random: &mut impl rand_core::Rng) -> Self {
        Self::new(MasterKey::generate(suite, random))
    }

    /// A new key from a seed that is used for nothing else.
    #[must_use]
    pub fn from_seed(suite: Suite, seed: [u8; 32]) -> Self {
        use rand_core::SeedableRng as _;
        Self::generate(suite, &mut rand_chacha::ChaCha20Rng::from_seed(seed))
    }

    /// The same key with this lifetime, in packets.
    #[must_use]
    pub fn with_lifetime(self, packets: u64) -> Self {
        Self { lifetime: Some(packets), ..self }
    }

    /// The same key with this MKI.
    #[must_use]
    pub fn with_mki(self, mki: Mki) -> Self {
        Self { mki: Some(mki), ..self }
    }

    /// Reads one key.
    ///
    /// # Errors
    ///
    /// When the text is not one `inline:` key of this suite.
    pub fn parse(suite: Suite, text: &str) -> Result<Self, SdesError> {
        Self::parse_at(suite, text, 0)
    }

    /// Reads the keys of a line, which are separated by semicolons (RFC 4568 §9.1). At most 16.
    ///
    /// # Errors
    ///
    /// When a key is malformed, or several keys have not each an MKI of its own of one length
    /// (§6.1).
    pub fn parse_all(suite: Suite, text: &str) -> Result<Vec<Self>, SdesError> {
        let mut keys: Vec<Self> = Vec::new();
        let mut at = 0usize;
        for part in text.split(';') {
            let key = Self::parse_at(suite, part, at)?;
            if keys.len() == MAX_KEYS {
                return Err(SdesError::Syntax { what: "end of keys", at });
            }
            let distinct = |other: &Self| match (&key.mki, &other.mki) {
                (Some(a), Some(b)) => a.len() == b.len() && a != b,
                _ => false,
            };
            if !keys.iter().all(distinct) {
                return Err(SdesError::Mki { at });
            }
            keys.push(key);
            at = at.saturating_add(part.len()).saturating_add(1);
        }
        Ok(keys)
    }

    /// The key as it stands in a line. Secret: write it nowhere else.
    #[must_use]
    pub fn to_inline(&self) -> String {
        let mut text = String::from(METHOD);
        BASE64.encode_string(self.master.as_bytes(), &mut text);
        if let Some(lifetime) = self.lifetime {
            text.push('|');
            if lifetime.is_power_of_two() {
                text.push_str("2^");
                text.push_str(&lifetime.trailing_zeros().to_string());
            } else {
                text.push_str(&lifetime.to_string());
            }
        }
        if let Some(mki) = &self.mki {
            text.push('|');
            text.push_str(&mki.to_string());
        }
        text
    }

    fn parse_at(suite: Suite, text: &str, at: usize) -> Result<Self, SdesError> {
        let Some(info) = text.strip_prefix(METHOD) else {
            return Err(SdesError::Method { at });
        };
        let mut at = at.saturating_add(METHOD.len());
        let mut fields = info.split('|');
        let key = fields.next().unwrap_or_default();
        let master = parse_key(suite, key, at)?;
        at = at.saturating_add(key.len()).saturating_add(1);

        let (mut lifetime, mut mki) = (None, None);
        for field in fields {
            // RFC 4568 §9.1: at most a lifetime and then an MKI; only the MKI has a colon.
            if field.contains(':') && mki.is_none() {
                mki = Some(Mki::parse(field).ok_or(SdesError::Mki { at })?);
            } else if lifetime.is_none() && mki.is_none() {
                lifetime = Some(parse_lifetime(field).ok_or(SdesError::Lifetime { at })?);
            } else {
                return Err(SdesError::Syntax { what: "end of key", at });
            }
            at = at.saturating_add(field.len()).saturating_add(1);
        }
        Ok(Self { master, lifetime, mki })
    }
}

/// Master key identifier: `value:length` in a line, `length` octets in each packet
/// (RFC 4568 §6.1, RFC 3711 §3.1).
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Mki {
    octets: [u8; MAX_MKI_LEN],
    len: u8,
}

impl Mki {
    /// The identifier `value` in `len` octets; `None` when `len` is not 1 to 128 or the value does
    /// not fit.
    ///
    /// ```
    /// use linkspan_srtp::Mki;
    /// assert_eq!(Mki::new(1, 4).unwrap().as_bytes(), [0, 0, 0, 1]);
    /// assert_eq!(Mki::new(256, 1), None);
    /// ```
    #[must_use]
    pub fn new(value: u64, len: u8) -> Option<Self> {
        if !fits(len) {
            return None;
        }
        let mut octets = [0; MAX_MKI_LEN];
        let (used, _) = octets.split_at_mut_checked(usize::from(len))?;
        let mut left = value;
        for octet in used.iter_mut().rev() {
            let [low, ..] = left.to_le_bytes();
            *octet = low;
            left >>= 8;
        }
        (left == 0).then_some(Self { octets, len })
    }

    /// The identifier as it stands in packets; `None` when it has not 1 to 128 octets.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok().filter(|len| fits(*len))?;
        let mut octets = [0; MAX_MKI_LEN];
        octets.split_at_mut_checked(bytes.len())?.0.copy_from_slice(bytes);
        Some(Self { octets, len })
    }

    /// The identifier as it stands in packets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.split_at_checked(self.len()).map_or(&[], |(used, _)| used)
    }

    /// Octets in each packet.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn parse(field: &str) -> Option<Self> {
        let (value, len) = field.split_once(':')?;
        if !is_decimal(value) || !is_decimal(len) || len.len() > 3 {
            return None;
        }
        let len: u8 = len.parse().ok().filter(|len| fits(*len))?;
        // A value of any size by the grammar: long division by hand, most significant first.
        let mut octets = [0u8; MAX_MKI_LEN];
        let (used, _) = octets.split_at_mut_checked(usize::from(len))?;
        if value.len() > MAX_MKI_DIGITS {
            return None;
        }
        for digit in value.bytes() {
            let mut carry = u16::from(digit - b'0');
            for octet in used.iter_mut().rev() {
                let [high, low] = (u16::from(*octet) * 10 + carry).to_be_bytes();
                *octet = low;
                carry = u16::from(high);
            }
            if carry != 0 {
                return None;
            }
        }
        Some(Self { octets, len })
    }
}

impl fmt::Display for Mki {
    /// `value:length`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.octets;
        let (number, _) = number.split_at_mut(self.len().min(MAX_MKI_LEN));
        let mut digits = Vec::new();
        loop {
            let mut remainder = 0u16;
            for octet in number.iter_mut() {
                let value = (remainder << 8) | u16::from(*octet);
                let [_, quotient] = (value / 10).to_be_bytes();
                *octet = quotient;
                remainder = value % 10;
            }
            digits.push(char::from_digit(remainder.into(), 10).unwrap_or('0'));
            if number.iter().all(|octet| *octet == 0) {
                break;
            }
        }
        let value: String = digits.iter().rev().collect();
        write!(f, "{value}:{}", self.len)
    }
}

impl fmt::Debug for Mki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mki({self})")
    }
}

fn parse_key(suite: Suite, text: &str, at: usize) -> Result<MasterKey, SdesError> {
    let mut octets = Zeroizing::new([0u8; 64]);
    let found = match BASE64.decode_slice(text, &mut *octets) {
        Ok(len) => len,
        Err(base64::DecodeSliceError::OutputSliceTooSmall) => text.len() / 4 * 3,
        Err(base64::DecodeSliceError::DecodeError(_)) => return Err(SdesError::Base64 { at }),
    };
    let expected = suite.key_len() + suite.salt_len();
    let wrong = SdesError::KeyLength { at, expected, found };
    let key = octets.get(..found).ok_or(wrong)?;
    MasterKey::from_bytes(suite, key).map_err(|_| wrong)
}

fn parse_lifetime(field: &str) -> Option<u64> {
    let packets = match field.strip_prefix("2^") {
        Some(power) if is_decimal(power) => 1u64.checked_shl(power.parse().ok()?)?,
        Some(_) => return None,
        None if is_decimal(field) => field.parse().ok()?,
        None => return None,
    };
    // RFC 4568 §6.2, RFC 3711 §9.2: every suite ends at 2^48 packets.
    (packets > 0 && packets <= 1 << 48).then_some(packets)
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn fits(len: u8) -> bool {
    (1..=128).contains(&len)
}

/// RFC 4568 §6.1: padding may be left out by senders that count on the length being known.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const METHOD: &str = "inline:";
/// RFC 4568 §9.1: the MKI length is 1 to 128.
const MAX_MKI_LEN: usize = 128;
/// 2^1024 has 309 digits.
const MAX_MKI_DIGITS: usize = 309;
const MAX_KEYS: usize = 16;
