use core::fmt;

use linkspan_rtp::Ssrc;

use crate::crypto::{Job, Piece, Session, SessionKeys};
use crate::header::{Malformed, RTCP_HEADER_LEN, RtpHeader, rtcp_ssrc};
use crate::keys::{InUse, KeySet};
use crate::provider::{BuiltIn, CryptoProvider};
use crate::replay::{Freshness, ReplayWindow, estimate_index};
use crate::sources::Sources;
use crate::{
    HeaderExtensions, KeyError, KeyParams, Mki, Options, ProtectError, Suite, header_extension,
};

/// Protects the RTP and RTCP packets of one direction, in place. Any number of sources share it.
///
/// ```
/// use linkspan_srtp::{KeyParams, Receiver, Sender, Suite};
///
/// let suite = Suite::AesCm128HmacSha1_80;
/// let key = KeyParams::from_seed(suite, [7; 32]);
/// let mut sender = Sender::new(suite, &[key.clone()])?;
/// let mut receiver = Receiver::new(suite, &[key])?;
///
/// let mut buffer = [0u8; 1500];
/// buffer[..17].copy_from_slice(b"\x80\x00\0\x01\0\0\0\xa0\xca\xfe\xba\xbehello");
/// let protected = sender.protect_rtp(&mut buffer, 17).unwrap();
/// assert_eq!(protected, 17 + 10);
/// let plain = receiver.unprotect_rtp(&mut buffer[..protected]).unwrap();
/// assert_eq!(&buffer[12..plain], b"hello");
/// # Ok::<(), linkspan_srtp::KeyError>(())
/// ```
pub struct Sender {
    suite: Suite,
    /// Octets that an RTP packet gains.
    added: usize,
    keys: KeySet,
    selected: usize,
    sources: Sources<Outgoing>,
    options: Options,
}

/// What is remembered of one source.
#[derive(Debug, Default)]
struct Outgoing {
    rtp: Option<ReplayWindow>,
    /// Rollover counter of the next packet, where it was set.
    next_roc: Option<u32>,
    /// Index of the last RTCP packet; the first one gets 1, as libsrtp's does.
    rtcp_index: u32,
}

impl Sender {
    /// With default options. The first key is used until another is selected.
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
    /// As [`Sender::new`], and when an option is out of range.
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
    /// As [`Sender::with_options`], and when the provider has not what the suite takes.
    pub fn with_provider(
        suite: Suite,
        keys: &[KeyParams],
        options: Options,
        provider: &'static dyn CryptoProvider,
    ) -> Result<Self, KeyError> {
        let options = options.for_suite(suite);
        let keys = KeySet::new(suite, keys, &options, provider)?;
        let sources = Sources::new(options.max_sources);
        let added = keys.mki_len() + suite.rtp_tag_len();
        Ok(Self { suite, added, keys, selected: 0, sources, options })
    }

    /// Protects the RTP packet in `buffer[..len]`, and returns its new length. `buffer` needs
    /// [`Sender::overhead`] octets more than the packet.
    ///
    /// # Errors
    ///
    /// See [`ProtectError`]. The state of the sender has not changed then.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let Encrypted { needed, index, .. } = self.encrypt_rtp::<false>(buffer, len)?;
        if self.suite.is_aead() {
            return Ok(needed);
        }
        if let Some(Job { mac, data, trailer }) = self.rtp_job(buffer, len, index) {
            let tag = mac.tag(data, &trailer);
            self.write_rtp_tag(buffer, len, &tag);
        }
        Ok(needed)
    }

    /// Does all of [`Sender::protect_rtp`] but the tag of [`Sender::rtp_job`], where there is one,
    /// and, if `LATER` is set, but the encryption that the outcome names.
    #[inline(always)]
    pub(crate) fn encrypt_rtp<const LATER: bool>(
        &mut self,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<Encrypted, ProtectError> {
        let needed = len.saturating_add(self.added);
        let Some(buffer) = buffer.get_mut(..needed) else {
            return Err(ProtectError::NoRoom { needed });
        };
        let (packet, trailer) = buffer.split_at_mut(len);
        let header = RtpHeader::read(packet).map_err(malformed)?;

        let source = self
            .sources
            .get_or_insert(header.ssrc, Outgoing::default)
            .map_err(|_| ProtectError::TooManySources)?;
        let index = source.next_index(header.sequence, self.options.allow_repeat)?;
        let entry = self.keys.get_mut(self.selected).ok_or(ProtectError::KeyExhausted)?;
        let InUse { keys, mki, left } = entry.rtp(index).ok_or(ProtectError::Cipher)?;
        let still_left = left.checked_sub(1).ok_or(ProtectError::KeyExhausted)?;

        let (mut clear, mut gathered) = (header.len, false);
        if !matches!(self.options.header_extensions, HeaderExtensions::Plain) {
            (clear, gathered) = encrypt_extension(&self.options, keys, header, index, packet);
        }
        let mut later = None;
        match &keys.session {
            Session::Cm { aes, .. } if self.options.encrypt_rtp => {
                let iv = keys.iv(header.ssrc, index);
                if LATER && !gathered {
                    later = Some((iv, clear));
                } else {
                    aes.apply(iv, packet.split_at_mut(clear).1);
                }
            }
            Session::Gcm(gcm) => {
                let nonce = keys.nonce(header.ssrc, index);
                // RFC 7714 §8.2: the tag is the end of the ciphertext, the MKI comes behind it.
                let Some((tag, mki_field)) = trailer.split_first_chunk_mut() else {
                    return Err(ProtectError::NoRoom { needed });
                };
                let clear = if self.options.encrypt_rtp { clear } else { len };
                let (head, body) = packet.split_at_mut(clear);
                gcm.seal(nonce, head, body, tag).ok_or(ProtectError::Cipher)?;
                if !mki_field.is_empty() {
                    write_mki(mki, mki_field);
                }
            }
            Session::Cm { .. } | Session::Null { .. } => {}
        }
        if gathered {
            header_extension::scatter(header, packet);
        }
        // Nothing can fail from here on: a tag is computed, whatever the packet.
        *left = still_left;
        source.accept(index, self.options.replay_window);
        Ok(Encrypted { needed, index, later })
    }

    /// What the tag of a packet that has just been encrypted is computed from (RFC 3711 §4.2): the
    /// packet and the rollover counter, not the MKI. An AEAD suite has its tag already.
    #[inline]
    pub(crate) fn rtp_job<'a>(
        &'a self,
        buffer: &'a [u8],
        len: usize,
        index: u64,
    ) -> Option<Job<'a>> {
        let (keys, _) = self.keys.last_used(self.selected)?;
        let (Session::Cm { mac, .. } | Session::Null { mac }) = &keys.session else { return None };
        Some(Job { mac, data: buffer.get(..len)?, trailer: rollover(index) })
    }

    /// Adds their key streams to the packets that [`Sender::encrypt_rtp`] left for later.
    #[inline]
    pub(crate) fn encrypt_later(&self, pieces: &mut [Piece<'_>]) {
        if let Some((keys, _)) = self.keys.last_used(self.selected)
            && let Session::Cm { aes, .. } = &keys.session
        {
            aes.apply_all(pieces);
        }
    }

    #[inline]
    pub(crate) fn write_rtp_tag(&self, buffer: &mut [u8], len: usize, tag: &[u8; 20]) {
        let Some((_, mki)) = self.keys.last_used(self.selected) else { return };
        let Some(trailer) = buffer.get_mut(len..len + self.added) else { return };
        let (mki_field, tag_field) = trailer.split_at_mut(self.keys.mki_len());
        write_mki(mki, mki_field);
        write_tag(tag, tag_field);
    }

    /// Whether packets protected one after another may be under different session keys.
    pub(crate) fn derives_again(&self) -> bool {
        self.options.key_derivation_rate != 0
    }

    /// Protects the RTCP compound packet in `buffer[..len]`, and returns its new length.
    ///
    /// # Errors
    ///
    /// See [`ProtectError`]. The state of the sender has not changed then.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, ProtectError> {
        let (tag_len, mki_len) = (self.suite.rtcp_tag_len(), self.keys.mki_len());
        let needed = len.saturating_add(E_INDEX_LEN + mki_len + tag_len);
        let Some(buffer) = buffer.get_mut(..needed) else {
            return Err(ProtectError::NoRoom { needed });
        };
        let ssrc = rtcp_ssrc(buffer.get(..len).unwrap_or_default()).map_err(malformed)?;
        let source = self
            .sources
            .get_or_insert(ssrc, Outgoing::default)
            .map_err(|_| ProtectError::TooManySources)?;
        // RFC 3711 §9.2: the 31-bit index must not repeat under one key.
        let index = source.rtcp_index.saturating_add(1);
        if index >> 31 != 0 {
            return Err(ProtectError::KeyExhausted);
        }
        let entry = self.keys.get_mut(self.selected).ok_or(ProtectError::KeyExhausted)?;
        let in_use = entry.rtcp(u64::from(index)).ok_or(ProtectError::Cipher)?;
        let InUse { keys, mki, left } = in_use;
        let still_left = left.checked_sub(1).ok_or(ProtectError::KeyExhausted)?;

        let encrypt = self.options.encrypt_rtcp;
        let word = (index | (u32::from(encrypt) << 31)).to_be_bytes();
        let end = len + E_INDEX_LEN;
        match &keys.session {
            Session::Gcm(gcm) => {
                let nonce = keys.nonce(ssrc, u64::from(index));
                let mut tag = [0; 16];
                let (packet, trailer) = buffer.split_at_mut(len);
                let sealed = if encrypt {
                    // RFC 7714 §9.2: header, then the E flag and index.
                    let (head, body) = packet.split_at_mut(RTCP_HEADER_LEN);
                    let mut aad = [0; RTCP_HEADER_LEN + E_INDEX_LEN];
                    aad.iter_mut().zip(head.iter().chain(&word)).for_each(|(a, h)| *a = *h);
                    gcm.seal(nonce, &aad, body, &mut tag)
                } else {
                    // §9.3: the whole packet, then the word, which stands where the tag will.
                    trailer.iter_mut().zip(&word).for_each(|(to, from)| *to = *from);
                    let covered = buffer.get(..end).unwrap_or_default();
                    gcm.seal(nonce, covered, &mut [], &mut tag)
                };
                sealed.ok_or(ProtectError::Cipher)?;
                let (_, trailer) = buffer.split_at_mut(len);
                let (tag_field, rest) = trailer.split_at_mut(tag_len);
                tag_field.copy_from_slice(&tag);
                let (word_field, mki_field) = rest.split_at_mut(E_INDEX_LEN);
                word_field.copy_from_slice(&word);
                write_mki(mki, mki_field);
            }
            Session::Cm { mac, .. } | Session::Null { mac } => {
                let (packet, trailer) = buffer.split_at_mut(len);
                if let (true, Session::Cm { aes, .. }) = (encrypt, &keys.session) {
                    let (_, body) = packet.split_at_mut(RTCP_HEADER_LEN);
                    aes.apply(keys.iv(ssrc, u64::from(index)), body);
                }
                trailer.split_at_mut(E_INDEX_LEN).0.copy_from_slice(&word);
                let (covered, trailer) = buffer.split_at_mut(end);
                let tag = mac.tag(covered, &[]);
                let (mki_field, tag_field) = trailer.split_at_mut(mki_len);
                write_mki(mki, mki_field);
                write_tag(&tag, tag_field);
            }
        }
        *left = still_left;
        source.rtcp_index = index;
        Ok(needed)
    }

    /// Protects with the key of this identifier from now on. `false` when there is none.
    pub fn select_key(&mut self, mki: &Mki) -> bool {
        let found = self.keys.find(mki.as_bytes());
        self.selected = found.unwrap_or(self.selected);
        found.is_some()
    }

    /// Sets the rollover counter of a source's next packet: to begin where another context
    /// stopped, or to skip more than 2^15 sequence numbers. `false` when the source has gone
    /// beyond that, or there are too many.
    pub fn set_rollover_counter(&mut self, ssrc: Ssrc, counter: u32) -> bool {
        let Ok(source) = self.sources.get_or_insert(ssrc.0, Outgoing::default) else {
            return false;
        };
        let reached = source.rtp.as_ref().map_or(0, |window| window.highest() >> 16);
        let ahead = u64::from(counter) >= reached;
        if ahead {
            source.next_roc = Some(counter);
        }
        ahead
    }

    /// Sets the index of the last SRTCP packet of a source, to continue where another context
    /// stopped. `false` when the source has gone beyond that, or there are too many sources.
    pub fn set_rtcp_index(&mut self, ssrc: Ssrc, index: u32) -> bool {
        match self.sources.get_or_insert(ssrc.0, Outgoing::default) {
            Ok(source) if source.rtcp_index <= index && index < 1 << 31 => {
                source.rtcp_index = index;
                true
            }
            _ => false,
        }
    }

    /// Forgets a source that has left for good. Its sequence numbers must not come again under
    /// this key.
    pub fn remove_source(&mut self, ssrc: Ssrc) {
        self.sources.remove(ssrc.0);
    }

    /// The rollover counter of a source that has sent.
    #[must_use]
    pub fn rollover_counter(&self, ssrc: Ssrc) -> Option<u32> {
        let window = self.sources.get(ssrc.0)?.rtp.as_ref()?;
        u32::try_from(window.highest() >> 16).ok()
    }

    /// The most octets that protection adds to a packet, RTP or RTCP.
    #[must_use]
    pub fn overhead(&self) -> usize {
        self.suite.rtcp_tag_len() + self.keys.mki_len() + E_INDEX_LEN
    }

    /// The suite.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }
}

impl Outgoing {
    #[inline(always)]
    fn next_index(&self, sequence: u16, allow_repeat: bool) -> Result<u64, ProtectError> {
        let low = u64::from(sequence);
        let set = self.next_roc.map(|roc| (u64::from(roc) << 16) | low);
        let Some(window) = &self.rtp else { return Ok(set.unwrap_or(low)) };
        let index = set.unwrap_or_else(|| estimate_index(window.highest(), sequence));
        // RFC 3711 §9.2: the rollover counter must not wrap under one key.
        if index >> 48 != 0 {
            return Err(ProtectError::KeyExhausted);
        }
        match window.check(index) {
            Freshness::Fresh => Ok(index),
            Freshness::Replayed if allow_repeat => Ok(index),
            _ => Err(ProtectError::IndexReused),
        }
    }

    #[inline(always)]
    fn accept(&mut self, index: u64, window: usize) {
        self.next_roc = None;
        match &mut self.rtp {
            Some(window) => window.accept(index),
            none => *none = Some(ReplayWindow::starting_at(index, window)),
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// A packet that lacks nothing but the tag of [`Sender::rtp_job`].
#[derive(Clone, Copy)]
pub(crate) struct Encrypted {
    pub(crate) needed: usize,
    pub(crate) index: u64,
    /// Counter block and offset of what is still in clear.
    pub(crate) later: Option<(u128, usize)>,
}

#[inline]
fn write_mki(mki: &Option<Mki>, field: &mut [u8]) {
    if let Some(mki) = mki {
        field.copy_from_slice(mki.as_bytes());
    }
}

/// Encrypts the header extension where that is asked for. Gives the octets before what is still to
/// be encrypted, and whether the packet lies in the order of RFC 9335.
#[cold]
fn encrypt_extension(
    options: &Options,
    keys: &SessionKeys,
    header: RtpHeader,
    index: u64,
    packet: &mut [u8],
) -> (usize, bool) {
    match &options.header_extensions {
        HeaderExtensions::Rfc6904(ids) => {
            header_extension::mask_elements(keys, ids, header, index, packet);
        }
        HeaderExtensions::Cryptex if options.encrypt_rtp && header.has_extension() => {
            if header_extension::set_profile(header, packet, true) {
                return (header_extension::gather(header, packet), true);
            }
        }
        HeaderExtensions::Plain | HeaderExtensions::Cryptex => {}
    }
    (header.len, false)
}

/// The first 4 or 10 octets of a tag.
#[inline]
fn write_tag(tag: &[u8; 20], field: &mut [u8]) {
    if let (Some(field), Some(tag)) = (field.first_chunk_mut::<10>(), tag.first_chunk()) {
        *field = *tag;
    } else if let (Some(field), Some(tag)) = (field.first_chunk_mut::<4>(), tag.first_chunk()) {
        *field = *tag;
    }
}

/// The rollover counter as the tag covers it.
#[inline]
pub(crate) fn rollover(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

fn malformed((what, at): Malformed) -> ProtectError {
    ProtectError::Malformed { what, at }
}

/// RFC 3711 §3.4: the E flag and the SRTCP index.
pub(crate) const E_INDEX_LEN: usize = 4;
