use core::fmt;

use linkspan_rtp::Ssrc;
use subtle::ConstantTimeEq as _;

use crate::crypto::{Job, Piece, Session, SessionKeys};
use crate::header::{Malformed, RTCP_HEADER_LEN, RtpHeader, rtcp_ssrc};
use crate::header_extension::{self, is_cryptex};
use crate::keys::{InUse, KeySet};
use crate::provider::{BuiltIn, CryptoProvider};
use crate::replay::{Freshness, ReplayWindow, estimate_index};
use crate::sender::{E_INDEX_LEN, rollover};
use crate::sources::Sources;
use crate::{HeaderExtensions, KeyError, KeyParams, Options, Suite, UnprotectError};

/// Checks and decrypts the SRTP and SRTCP packets of one direction, in place. Any number of
/// sources share it; a source is known from its first authentic packet on.
///
/// See [`Sender`](crate::Sender) for an example.
pub struct Receiver {
    suite: Suite,
    rtp_tag_len: usize,
    keys: KeySet,
    sources: Sources<Incoming>,
    options: Options,
    /// Where a packet is kept while its ciphertext may be spoilt.
    spare: Vec<u8>,
}

/// What is remembered of one source.
#[derive(Debug, Default)]
struct Incoming {
    rtp: Option<ReplayWindow>,
    rtcp: Option<ReplayWindow>,
    /// Rollover counter of the next packet, where it was set.
    next_roc: Option<u32>,
    /// Whether the last packet failed: the rollover counter may be wrong.
    in_doubt: bool,
}

impl Receiver {
    /// With default options.
    ///
    /// # Errors
    ///
    /// When there is no key, a key is for another suite, or several keys cannot be told apart.
    pub fn new(suite: Suite, keys: &[KeyParams]) -> Result<Self, KeyError> {
        Self::with_options(suite, keys, Options::default())
    }

    /// With these options.
    ///
    /// # Errors
    ///
    /// As [`Receiver::new`], and when an option is out of range.
    pub fn with_options(
        suite: Suite,
        keys: &[KeyParams],
        options: Options,
    ) -> Result<Self, KeyError> {
        Self::with_provider(suite, keys, options, &BuiltIn)
    }

    /// With these options and somebody else's cryptography.
    ///
    /// # Errors
    ///
    /// As [`Receiver::with_options`], and when the provider has not what the suite takes.
    pub fn with_provider(
        suite: Suite,
        keys: &[KeyParams],
        options: Options,
        provider: &'static dyn CryptoProvider,
    ) -> Result<Self, KeyError> {
        let options = options.for_suite(suite);
        let keys = KeySet::new(suite, keys, &options, provider)?;
        let sources = Sources::new(options.max_sources);
        let rtp_tag_len = suite.rtp_tag_len();
        Ok(Self { suite, rtp_tag_len, keys, sources, options, spare: Vec::new() })
    }

    /// Checks and decrypts one SRTP packet; the RTP packet is `packet[..n]` for the `n` returned.
    ///
    /// # Errors
    ///
    /// See [`UnprotectError`]. The state of the receiver has not changed then, and the packet has
    /// to be dropped. Any input is safe.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let (tag_len, mki_len) = (self.rtp_tag_len, self.keys.mki_len());
        let header = RtpHeader::read(packet).map_err(malformed)?;
        let too_short = UnprotectError::Malformed { what: "tag", at: packet.len() };
        let len = packet.len().checked_sub(mki_len + tag_len).ok_or(too_short)?;
        if len < header.len {
            return Err(too_short);
        }
        let key = self.find_key(packet, len, tag_len)?;
        let mut place = Place { header, index: 0, len, mki_len, tag_len };

        // A known source that nothing speaks against: its packets need no search.
        let mut tried = false;
        if let Some(Incoming { rtp: Some(window), next_roc: None, in_doubt, .. }) =
            self.sources.get_mut(header.ssrc)
            && !*in_doubt
        {
            place.index = estimate_index(window.highest(), header.sequence);
            if window.check(place.index) == Freshness::Fresh
                && place.index >> 48 == 0
                && let Some(entry) = self.keys.get_mut(key)
                && let Some(InUse { keys, left, .. }) = entry.rtp(place.index)
            {
                let still_left = left.checked_sub(1).ok_or(UnprotectError::KeyExhausted)?;
                if open_rtp(keys, &self.options, place, packet) {
                    window.accept(place.index);
                    *left = still_left;
                    return Ok(len);
                }
                *in_doubt = true;
                // A failed attempt of AEAD spoils the ciphertext. The copy that a second one needs
                // is made only where there is doubt.
                if self.suite.is_aead() {
                    return Err(UnprotectError::Authentication);
                }
                tried = true;
            }
        }
        self.search_rtp(place, key, tried, packet)
    }

    /// Tries the estimated rollover counter, unless that was `tried`, and those that follow it.
    #[cold]
    fn search_rtp(
        &mut self,
        place: Place,
        key: usize,
        tried: bool,
        packet: &mut [u8],
    ) -> Result<usize, UnprotectError> {
        let header = place.header;
        let source = self.sources.get_mut(header.ssrc).map(|source| &*source);
        let Estimate { index: estimate, mut outcome } = estimate(source, header);
        let entry = self.keys.get_mut(key).ok_or(UnprotectError::UnknownMki)?;
        let tries = u64::from(self.options.rollover_search) + 1;
        let mut accepted = None;
        for attempt in u64::from(tried || outcome.is_err())..tries {
            let index = estimate + (attempt << 16);
            if index >> 48 != 0 {
                break;
            }
            let Some(InUse { keys, left, .. }) = entry.rtp(index) else { break };
            let still_left = left.checked_sub(1).ok_or(UnprotectError::KeyExhausted)?;
            let place = Place { index, ..place };
            let keep = self.suite.is_aead() && attempt + 1 < tries;
            if keep {
                self.spare.clear();
                self.spare.extend_from_slice(packet);
            }
            if open_rtp(keys, &self.options, place, packet) {
                accepted = Some((index, still_left));
                break;
            }
            if keep {
                packet.copy_from_slice(&self.spare);
            }
            outcome = outcome.and(Err(UnprotectError::Authentication));
        }
        let Some((index, still_left)) = accepted else {
            if let Some(source) = self.sources.get_mut(header.ssrc) {
                source.in_doubt = true;
            }
            return outcome.and(Err(UnprotectError::Authentication));
        };
        accept_rtp(&mut self.sources, &self.options, header.ssrc, index)?;
        entry.set_rtp_left(still_left);
        Ok(place.len)
    }

    /// Checks and decrypts one SRTCP packet; the RTCP compound packet is `packet[..n]` for the `n`
    /// returned.
    ///
    /// # Errors
    ///
    /// See [`UnprotectError`]. The state of the receiver has not changed then, and the packet has
    /// to be dropped. Any input is safe.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let (tag_len, mki_len) = (self.suite.rtcp_tag_len(), self.keys.mki_len());
        let ssrc = rtcp_ssrc(packet).map_err(malformed)?;
        let too_short = UnprotectError::Malformed { what: "tag", at: packet.len() };
        let len = packet.len().checked_sub(E_INDEX_LEN + mki_len + tag_len).ok_or(too_short)?;
        if len < RTCP_HEADER_LEN {
            return Err(too_short);
        }
        // AES-CM: E and index, MKI, tag (RFC 3711 §3.4). AEAD: tag, E and index, MKI
        // (RFC 7714 §9.2).
        let word_at = if self.suite.is_aead() { len + tag_len } else { len };
        let mki_at = word_at + E_INDEX_LEN;
        let word = packet.get(word_at..mki_at).and_then(|word| word.first_chunk::<4>());
        let word = *word.ok_or(too_short)?;
        let mki = packet.get(mki_at..mki_at + mki_len).unwrap_or_default();
        let key = self.keys.find(mki).ok_or(UnprotectError::UnknownMki)?;
        let index = u32::from_be_bytes(word) & 0x7fff_ffff;
        let encrypted = u32::from_be_bytes(word) >> 31 != 0;
        if let Some(Incoming { rtcp: Some(window), .. }) = self.sources.get_mut(ssrc) {
            match window.check(index.into()) {
                Freshness::Fresh => {}
                Freshness::Replayed => return Err(UnprotectError::Replayed),
                Freshness::TooOld => return Err(UnprotectError::TooOld),
            }
        }
        let entry = self.keys.get_mut(key).ok_or(UnprotectError::UnknownMki)?;
        let in_use = entry.rtcp(index.into()).ok_or(UnprotectError::Authentication)?;
        let InUse { keys, left, .. } = in_use;
        let still_left = left.checked_sub(1).ok_or(UnprotectError::KeyExhausted)?;
        open_rtcp(keys, ssrc, word, packet, (len, mki_len, tag_len))?;
        // The flag is authentic now. What was not promised is refused all the same.
        if encrypted != self.options.encrypt_rtcp {
            return Err(UnprotectError::EncryptionFlag);
        }
        let size = self.options.rtcp_replay_window;
        let source = self
            .sources
            .get_or_insert(ssrc, Incoming::default)
            .map_err(|_| UnprotectError::TooManySources)?;
        match &mut source.rtcp {
            Some(window) => window.accept(index.into()),
            none => *none = Some(ReplayWindow::starting_at(index.into(), size)),
        }
        *left = still_left;
        Ok(len)
    }

    /// The likely place and key of a packet, and what its tag is computed from. Nothing has been
    /// believed yet; `None` where [`Receiver::unprotect_rtp`] has more to say.
    pub(crate) fn guess_rtp<'a>(&'a self, packet: &'a [u8]) -> Option<(Guess, Job<'a>)> {
        let (tag_len, mki_len) = (self.rtp_tag_len, self.keys.mki_len());
        let header = RtpHeader::read(packet).ok()?;
        let len = packet.len().checked_sub(mki_len + tag_len).filter(|len| *len >= header.len)?;
        let key = self.find_key(packet, len, tag_len).ok()?;
        let source = self.sources.get(header.ssrc);
        let Estimate { index, outcome: Ok(()) } = estimate(source, header) else { return None };
        let (keys, _) = self.keys.last_used(key)?;
        let (Session::Cm { mac, .. } | Session::Null { mac }) = &keys.session else { return None };
        let guess = Guess { place: Place { header, index, len, mki_len, tag_len }, key };
        Some((guess, Job { mac, data: packet.get(..len)?, trailer: rollover(index) }))
    }

    /// Takes a packet whose guess turns out to be right. `None`, with nothing changed, when it does
    /// not: other packets have come since, or the tag is another. The packet may still have to be
    /// decrypted, by [`Receiver::decrypt_later`].
    pub(crate) fn unprotect_guessed(
        &mut self,
        Guess { place, key }: Guess,
        tag: &[u8; 20],
        packet: &mut [u8],
    ) -> Option<(usize, Option<Later>)> {
        let Place { header, index, len, mki_len, .. } = place;
        let now = estimate(self.sources.get_mut(header.ssrc).map(|source| &*source), header);
        let (_, received) = packet.split_at_checked(len + mki_len)?;
        if now.outcome.is_err() || now.index != index || index >> 48 != 0 || !is_tag(tag, received)
        {
            return None;
        }
        let InUse { keys, left, .. } = self.keys.get_mut(key)?.rtp(index)?;
        let still_left = left.checked_sub(1)?;
        accept_rtp(&mut self.sources, &self.options, header.ssrc, index).ok()?;
        *left = still_left;
        let cryptex = uses_cryptex(&self.options, header, packet);
        let mut later = None;
        if cryptex {
            decrypt_cm(keys, &self.options, place, cryptex, packet);
        } else if self.options.encrypt_rtp {
            later = Some(Later { key, iv: keys.iv(header.ssrc, index), from: header.len, len });
        }
        finish_extension(keys, &self.options, place, cryptex, packet);
        Some((len, later))
    }

    /// Adds their key streams to packets under one key that [`Receiver::unprotect_guessed`] left
    /// for later.
    pub(crate) fn decrypt_later(&self, key: usize, pieces: &mut [Piece<'_>]) {
        if let Some((keys, _)) = self.keys.last_used(key)
            && let Session::Cm { aes, .. } = &keys.session
        {
            aes.apply_all(pieces);
        }
    }

    /// Whether packets that come one after another may be under different session keys.
    pub(crate) fn derives_again(&self) -> bool {
        self.options.key_derivation_rate != 0
    }

    /// Sets the rollover counter of a source's next packet: of one joined late, or after a gap of
    /// more than 2^15 packets. `false` when the source has gone beyond that, or there are too
    /// many.
    pub fn set_rollover_counter(&mut self, ssrc: Ssrc, counter: u32) -> bool {
        let Ok(source) = self.sources.get_or_insert(ssrc.0, Incoming::default) else {
            return false;
        };
        let reached = source.rtp.as_ref().map_or(0, |window| window.highest() >> 16);
        let ahead = u64::from(counter) >= reached;
        if ahead {
            source.next_roc = Some(counter);
        }
        ahead
    }

    /// Forgets a source that has left for good. Its old packets can be replayed then.
    pub fn remove_source(&mut self, ssrc: Ssrc) {
        self.sources.remove(ssrc.0);
    }

    /// The rollover counter of a source that has been received.
    #[must_use]
    pub fn rollover_counter(&self, ssrc: Ssrc) -> Option<u32> {
        let window = self.sources.get(ssrc.0)?.rtp.as_ref()?;
        u32::try_from(window.highest() >> 16).ok()
    }

    /// The sources known, in the order of their first authentic packet unless some were removed.
    pub fn sources(&self) -> impl Iterator<Item = Ssrc> + '_ {
        self.sources.ssrcs().map(Ssrc)
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    #[inline(always)]
    fn find_key(&self, packet: &[u8], len: usize, tag_len: usize) -> Result<usize, UnprotectError> {
        let mki_len = self.keys.mki_len();
        if mki_len == 0 {
            return Ok(0);
        }
        // RFC 3711 §3.1: MKI, then tag. RFC 7714 §8.2: the tag belongs to the ciphertext.
        let at = if self.suite.is_aead() { len + tag_len } else { len };
        let mki = packet.get(at..at + mki_len).unwrap_or_default();
        self.keys.find(mki).ok_or(UnprotectError::UnknownMki)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// The likely index of a packet.
struct Estimate {
    index: u64,
    /// Whether that is fresh.
    outcome: Result<(), UnprotectError>,
}

#[inline]
fn estimate(source: Option<&Incoming>, header: RtpHeader) -> Estimate {
    let sequence = u64::from(header.sequence);
    let unknown = |index| Estimate { index, outcome: Ok(()) };
    let Some(source) = source else { return unknown(sequence) };
    let set = source.next_roc.map(|roc| (u64::from(roc) << 16) | sequence);
    let Some(window) = &source.rtp else { return unknown(set.unwrap_or(sequence)) };
    let index = set.unwrap_or_else(|| estimate_index(window.highest(), header.sequence));
    let outcome = match window.check(index) {
        Freshness::Fresh => Ok(()),
        Freshness::Replayed => Err(UnprotectError::Replayed),
        Freshness::TooOld => Err(UnprotectError::TooOld),
    };
    Estimate { index, outcome }
}

/// What is thought of a packet before its tag is known.
#[derive(Clone, Copy)]
pub(crate) struct Guess {
    place: Place,
    key: usize,
}

/// An authentic packet that is still encrypted.
#[derive(Clone, Copy)]
pub(crate) struct Later {
    pub(crate) key: usize,
    pub(crate) iv: u128,
    /// Where the encrypted part begins, and ends.
    pub(crate) from: usize,
    pub(crate) len: usize,
}

/// Where things are in an SRTP packet.
#[derive(Clone, Copy)]
struct Place {
    header: RtpHeader,
    index: u64,
    len: usize,
    mki_len: usize,
    tag_len: usize,
}

/// Checks the tag, and decrypts when it is right.
#[inline(always)]
fn open_rtp(keys: &SessionKeys, options: &Options, place: Place, packet: &mut [u8]) -> bool {
    let Place { header, index, len, mki_len, tag_len } = place;
    let cryptex = uses_cryptex(options, header, packet);
    match &keys.session {
        Session::Gcm(gcm) => {
            let nonce = keys.nonce(header.ssrc, index);
            let Some(sealed) = packet.get_mut(..len + tag_len) else { return false };
            let clear = match (options.encrypt_rtp, cryptex) {
                (false, _) => len,
                (true, false) => header.len,
                (true, true) => header_extension::gather(header, sealed),
            };
            let (head, body) = sealed.split_at_mut(clear);
            if gcm.open(nonce, head, body).is_none() {
                return false;
            }
            if cryptex {
                header_extension::scatter(header, sealed);
            }
        }
        Session::Cm { mac, .. } | Session::Null { mac } => {
            let (covered, trailer) = packet.split_at(len);
            let tag = mac.tag(covered, &rollover(index));
            let (_, received) = trailer.split_at(mki_len);
            if !is_tag(&tag, received) {
                return false;
            }
            decrypt_cm(keys, options, place, cryptex, packet);
        }
    }
    finish_extension(keys, options, place, cryptex, packet);
    true
}

/// Decrypts a packet whose tag is right.
#[inline]
fn decrypt_cm(
    keys: &SessionKeys,
    options: &Options,
    Place { header, index, len, .. }: Place,
    cryptex: bool,
    packet: &mut [u8],
) {
    let (true, Session::Cm { aes, .. }) = (options.encrypt_rtp, &keys.session) else { return };
    let (covered, _) = packet.split_at_mut(len);
    let clear = if cryptex { header_extension::gather(header, covered) } else { header.len };
    let (_, body) = covered.split_at_mut(clear);
    aes.apply(keys.iv(header.ssrc, index), body);
    if cryptex {
        header_extension::scatter(header, covered);
    }
}

#[inline(always)]
fn finish_extension(
    keys: &SessionKeys,
    options: &Options,
    Place { header, index, .. }: Place,
    cryptex: bool,
    packet: &mut [u8],
) {
    if cryptex {
        header_extension::set_profile(header, packet, false);
    } else if let HeaderExtensions::Rfc6904(ids) = &options.header_extensions {
        header_extension::mask_elements(keys, ids, header, index, packet);
    }
}

/// Whether the CSRC list and the extension of this packet are encrypted.
#[inline(always)]
fn uses_cryptex(options: &Options, header: RtpHeader, packet: &[u8]) -> bool {
    matches!(options.header_extensions, HeaderExtensions::Cryptex)
        && options.encrypt_rtp
        && header.has_extension()
        && is_cryptex(header, packet)
}

/// Notes the index of a packet that was authentic.
#[inline]
fn accept_rtp(
    sources: &mut Sources<Incoming>,
    options: &Options,
    ssrc: u32,
    index: u64,
) -> Result<(), UnprotectError> {
    let source = sources
        .get_or_insert(ssrc, Incoming::default)
        .map_err(|_| UnprotectError::TooManySources)?;
    (source.next_roc, source.in_doubt) = (None, false);
    match &mut source.rtp {
        Some(window) => window.accept(index),
        none => *none = Some(ReplayWindow::starting_at(index, options.replay_window)),
    }
    Ok(())
}

fn open_rtcp(
    keys: &SessionKeys,
    ssrc: u32,
    word: [u8; 4],
    packet: &mut [u8],
    (len, mki_len, tag_len): (usize, usize, usize),
) -> Result<(), UnprotectError> {
    let index = u64::from(u32::from_be_bytes(word) & 0x7fff_ffff);
    let encrypted = u32::from_be_bytes(word) >> 31 != 0;
    let failed = UnprotectError::Authentication;
    match &keys.session {
        Session::Gcm(gcm) => {
            let nonce = keys.nonce(ssrc, index);
            let sealed = packet.get_mut(..len + tag_len).ok_or(failed)?;
            if encrypted {
                let (head, body) = sealed.split_at_mut(RTCP_HEADER_LEN);
                let mut aad = [0; RTCP_HEADER_LEN + E_INDEX_LEN];
                aad.iter_mut().zip(head.iter().chain(&word)).for_each(|(a, h)| *a = *h);
                gcm.open(nonce, &aad, body).ok_or(failed)
            } else {
                // RFC 7714 §9.3: the word follows the packet in what is authenticated; it takes
                // the tag's place for that.
                let (_, tag_field) = sealed.split_at_mut(len);
                let mut tag = [0u8; 16];
                tag.iter_mut().zip(tag_field.iter()).for_each(|(to, from)| *to = *from);
                tag_field.iter_mut().zip(&word).for_each(|(to, from)| *to = *from);
                let covered = sealed.get(..len + E_INDEX_LEN).ok_or(failed)?;
                gcm.open(nonce, covered, &mut tag).ok_or(failed)
            }
        }
        Session::Cm { mac, .. } | Session::Null { mac } => {
            let (covered, trailer) = packet.split_at_mut(len + E_INDEX_LEN);
            let (_, received) = trailer.split_at(mki_len);
            if !is_tag(&mac.tag(covered, &[]), received) {
                return Err(failed);
            }
            if let (true, Session::Cm { aes, .. }) = (encrypted, &keys.session) {
                let body = covered.get_mut(RTCP_HEADER_LEN..len).ok_or(failed)?;
                aes.apply(keys.iv(ssrc, index), body);
            }
            Ok(())
        }
    }
}

/// Compares a tag of 4 or 10 octets in constant time.
#[inline]
fn is_tag(computed: &[u8; 20], received: &[u8]) -> bool {
    let [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, ..] = *computed;
    // As one number: every octet is looked at, whatever the others say.
    let differing = match *received {
        [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] => {
            let computed = u64::from_ne_bytes([c0, c1, c2, c3, c4, c5, c6, c7]);
            let received = u64::from_ne_bytes([r0, r1, r2, r3, r4, r5, r6, r7]);
            (computed ^ received) | u64::from((c8 ^ r8) | (c9 ^ r9))
        }
        [r0, r1, r2, r3] => {
            let computed = u32::from_ne_bytes([c0, c1, c2, c3]);
            u64::from(computed ^ u32::from_ne_bytes([r0, r1, r2, r3]))
        }
        _ => return false,
    };
    differing.ct_eq(&0).into()
}

fn malformed((what, at): Malformed) -> UnprotectError {
    UnprotectError::Malformed { what, at }
}
