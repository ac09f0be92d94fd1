use crate::crypto::{Kdf, SessionKeys};
use crate::provider::CryptoProvider;
use crate::{HeaderExtensions, KeyError, KeyParams, MasterKey, Mki, Options, Suite};

/// The master keys of one direction, with the session keys derived from them.
pub(crate) struct KeySet {
    entries: Vec<Entry>,
    mki_len: usize,
}

/// One master key.
pub(crate) struct Entry {
    mki: Option<Mki>,
    /// Packets it may still protect or accept, RTP and RTCP each.
    rtp_left: u64,
    rtcp_left: u64,
    rtp: Derived,
    rtcp: Derived,
}

/// Session keys, made again when the key derivation rate says so.
struct Derived {
    provider: &'static dyn CryptoProvider,
    master: Option<MasterKey>,
    /// log2 of the key derivation rate.
    rate: u32,
    header: bool,
    rtcp: bool,
    current: (u64, Box<SessionKeys>),
    /// The keys used before: packets reordered across a derivation need both.
    previous: Option<(u64, Box<SessionKeys>)>,
}

impl KeySet {
    pub(crate) fn new(
        suite: Suite,
        keys: &[KeyParams],
        options: &Options,
        provider: &'static dyn CryptoProvider,
    ) -> Result<Self, KeyError> {
        let first = keys.first().ok_or(KeyError::NoKey)?;
        let mki_len = first.mki.map_or(0, |mki| mki.len());
        for (at, key) in keys.iter().enumerate() {
            if key.master.suite() != suite {
                let expected = suite.key_len() + suite.salt_len();
                return Err(KeyError::Length { expected, found: key.master.as_bytes().len() });
            }
            let others = keys.iter().take(at);
            if others.clone().any(|other| other.mki == key.mki)
                || key.mki.map_or(0, |mki| mki.len()) != mki_len
            {
                return Err(KeyError::Mki);
            }
        }
        let entries = keys.iter().map(|key| Entry::new(key, options, provider));
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Self { entries, mki_len })
    }

    pub(crate) fn mki_len(&self) -> usize {
        self.mki_len
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut Entry> {
        self.entries.get_mut(at)
    }

    /// The key as it protected the last RTP packet.
    pub(crate) fn last_used(&self, at: usize) -> Option<(&SessionKeys, &Option<Mki>)> {
        let entry = self.entries.get(at)?;
        Some((&entry.rtp.current.1, &entry.mki))
    }

    /// The key with this identifier. Which keys exist is no secret: no constant time needed.
    #[inline]
    pub(crate) fn find(&self, mki: &[u8]) -> Option<usize> {
        if mki.is_empty() {
            return (!self.entries.is_empty()).then_some(0);
        }
        let is_it = |entry: &Entry| entry.mki.as_ref().is_some_and(|m| m.as_bytes() == mki);
        self.entries.iter().position(is_it)
    }
}

impl Entry {
    fn new(
        key: &KeyParams,
        options: &Options,
        provider: &'static dyn CryptoProvider,
    ) -> Result<Self, KeyError> {
        let rate = match options.key_derivation_rate {
            0 => None,
            rate if rate.is_power_of_two() && rate <= 1 << 24 => Some(rate.trailing_zeros()),
            _ => return Err(KeyError::KeyDerivationRate),
        };
        let header = matches!(options.header_extensions, HeaderExtensions::Rfc6904(_));
        let lifetime = key.lifetime.filter(|_| options.enforce_lifetime);
        // RFC 3711 §9.2: 2^48 SRTP packets or 2^31 SRTCP packets, whichever comes first.
        let rtp_left = lifetime.unwrap_or(u64::MAX).min(1 << 48);
        let rtcp_left = lifetime.unwrap_or(u64::MAX).min(1 << 31);
        let wrong = KeyError::Length { expected: 0, found: key.master.as_bytes().len() };
        let kdf = Kdf::new(provider, &key.master).ok_or(wrong)?;
        let rtp = Derived::new(&kdf, provider, rate, (false, header)).ok_or(wrong)?;
        let rtcp = Derived::new(&kdf, provider, rate, (true, false)).ok_or(wrong)?;
        Ok(Self { mki: key.mki, rtp_left, rtcp_left, rtp, rtcp })
    }

    pub(crate) fn set_rtp_left(&mut self, left: u64) {
        self.rtp_left = left;
    }

    /// What protects the SRTP packet with this index.
    #[inline(always)]
    pub(crate) fn rtp(&mut self, index: u64) -> Option<InUse<'_>> {
        Some(InUse { keys: self.rtp.at(index)?, mki: &self.mki, left: &mut self.rtp_left })
    }

    /// What protects the SRTCP packet with this index.
    #[inline]
    pub(crate) fn rtcp(&mut self, index: u64) -> Option<InUse<'_>> {
        Some(InUse { keys: self.rtcp.at(index)?, mki: &self.mki, left: &mut self.rtcp_left })
    }
}

/// The parts of a master key that one packet needs.
pub(crate) struct InUse<'k> {
    pub(crate) keys: &'k SessionKeys,
    pub(crate) mki: &'k Option<Mki>,
    /// Packets the key is still good for.
    pub(crate) left: &'k mut u64,
}

impl Derived {
    fn new(
        kdf: &Kdf<'_>,
        provider: &'static dyn CryptoProvider,
        rate: Option<u32>,
        (rtcp, header): (bool, bool),
    ) -> Option<Self> {
        let keys = make(kdf, 0, (rtcp, header))?;
        // The master key is kept only where it is needed again.
        let master = rate.map(|_| kdf.master.clone());
        let rate = rate.unwrap_or(0);
        Some(Self { provider, master, rate, header, rtcp, current: (0, keys), previous: None })
    }

    #[inline(always)]
    fn at(&mut self, index: u64) -> Option<&SessionKeys> {
        if self.master.is_none() {
            return Some(&self.current.1);
        }
        self.derived_at(index >> self.rate)
    }

    #[cold]
    fn derived_at(&mut self, quotient: u64) -> Option<&SessionKeys> {
        if self.current.0 != quotient {
            let other = match self.previous.take() {
                Some(previous) if previous.0 == quotient => previous,
                _ => {
                    let kdf = Kdf::new(self.provider, self.master.as_ref()?)?;
                    (quotient, make(&kdf, quotient, (self.rtcp, self.header))?)
                }
            };
            self.previous = Some(core::mem::replace(&mut self.current, other));
        }
        Some(&self.current.1)
    }
}

fn make(kdf: &Kdf<'_>, quotient: u64, (rtcp, header): (bool, bool)) -> Option<Box<SessionKeys>> {
    if rtcp { SessionKeys::rtcp(kdf, quotient) } else { SessionKeys::rtp(kdf, quotient, header) }
}
