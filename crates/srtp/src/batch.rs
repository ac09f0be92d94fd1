use crate::crypto::{Job, LANES, Piece, tags};
use crate::receiver::Later;
use crate::sender::Encrypted;
use crate::{ProtectError, Receiver, Sender, UnprotectError};

/// One packet of a batch, see [`Sender::protect_rtp_batch`].
#[derive(Debug)]
pub struct BatchPacket<'b, E> {
    /// The packet, and behind it room for what protection adds.
    pub buffer: &'b mut [u8],
    /// Octets of the packet; when the batch has been worked on, octets of what came of it, or why
    /// nothing did. A packet that has an error before is passed over.
    pub len: Result<usize, E>,
}

impl<'b, E> BatchPacket<'b, E> {
    /// The packet in `buffer[..len]`.
    pub fn new(buffer: &'b mut [u8], len: usize) -> Self {
        Self { buffer, len: Ok(len) }
    }
}

impl Sender {
    /// Does with each packet what [`Sender::protect_rtp`] does, in order and with the same
    /// outcome, but faster where there are several: the tags of AES-CM suites are computed four at
    /// a time, and the key streams of sixteen packets together. A burst of packets of about one size, as a picture makes, gains most.
    ///
    /// ```
    /// use linkspan_srtp::{BatchPacket, KeyParams, Sender, Suite};
    /// let suite = Suite::AesCm128HmacSha1_80;
    /// let mut sender = Sender::new(suite, &[KeyParams::from_seed(suite, [7; 32])])?;
    /// let mut buffers = [[0x80; 64]; 8];
    /// for (sequence, buffer) in (0..).zip(&mut buffers) {
    ///     buffer[2..4].copy_from_slice(&u16::to_be_bytes(sequence));
    /// }
    /// let mut batch = buffers.each_mut().map(|buffer| BatchPacket::new(buffer, 50));
    /// sender.protect_rtp_batch(&mut batch);
    /// assert!(batch.iter().all(|packet| packet.len == Ok(60)));
    /// # Ok::<(), linkspan_srtp::KeyError>(())
    /// ```
    pub fn protect_rtp_batch(&mut self, batch: &mut [BatchPacket<'_, ProtectError>]) {
        if self.suite().is_aead() || self.derives_again() {
            for BatchPacket { buffer, len } in batch {
                *len = len.and_then(|len| self.protect_rtp(buffer, len));
            }
            return;
        }
        for group in batch.chunks_mut(GROUP) {
            let mut encrypted = [None; GROUP];
            for (BatchPacket { buffer, len }, encrypted) in group.iter_mut().zip(&mut encrypted) {
                let Ok(plain) = *len else { continue };
                let outcome = self.encrypt_rtp::<true>(buffer, plain);
                *len = outcome.map(|outcome| outcome.needed);
                *encrypted = outcome.ok().map(|outcome| (plain, outcome));
            }
            let mut pieces: [Piece<'_>; GROUP] = Default::default();
            for ((packet, encrypted), piece) in group.iter_mut().zip(encrypted).zip(&mut pieces) {
                if let Some((len, Encrypted { later: Some((iv, from)), .. })) = encrypted {
                    *piece = (iv, packet.buffer.get_mut(from..len).unwrap_or_default());
                }
            }
            self.encrypt_later(&mut pieces);
            for (group, encrypted) in group.chunks_mut(LANES).zip(encrypted.as_chunks().0) {
                self.write_rtp_tags(group, encrypted);
            }
        }
    }

    fn write_rtp_tags(
        &self,
        group: &mut [BatchPacket<'_, ProtectError>],
        encrypted: &[Option<(usize, Encrypted)>; LANES],
    ) {
        let mut jobs = [None; LANES];
        for ((packet, encrypted), job) in group.iter().zip(encrypted).zip(&mut jobs) {
            *job = encrypted.and_then(|(len, e)| self.rtp_job(packet.buffer, len, e.index));
        }
        let tags = tags(&jobs);
        for ((packet, encrypted), tag) in group.iter_mut().zip(encrypted).zip(&tags) {
            if let Some((len, _)) = encrypted {
                self.write_rtp_tag(packet.buffer, *len, tag);
            }
        }
    }
}

impl Receiver {
    /// Does with each packet what [`Receiver::unprotect_rtp`] does with `buffer[..len]`, in order
    /// and with the same outcome, but faster where there are several; see
    /// [`Sender::protect_rtp_batch`].
    ///
    /// ```
    /// use linkspan_srtp::{BatchPacket, KeyParams, Receiver, Sender, Suite, UnprotectError};
    /// let suite = Suite::AesCm128HmacSha1_80;
    /// let key = [KeyParams::from_seed(suite, [7; 32])];
    /// let mut packet = [0x80; 60];
    /// Sender::new(suite, &key)?.protect_rtp(&mut packet, 50).unwrap();
    /// let mut again = packet;
    /// let mut batch = [BatchPacket::new(&mut packet, 60), BatchPacket::new(&mut again, 60)];
    /// Receiver::new(suite, &key)?.unprotect_rtp_batch(&mut batch);
    /// assert_eq!(batch[0].len, Ok(50));
    /// assert_eq!(batch[1].len, Err(UnprotectError::Replayed));
    /// # Ok::<(), linkspan_srtp::KeyError>(())
    /// ```
    pub fn unprotect_rtp_batch(&mut self, batch: &mut [BatchPacket<'_, UnprotectError>]) {
        let in_step = !self.suite().is_aead() && !self.derives_again();
        for group in batch.chunks_mut(GROUP) {
            let mut later: [Option<Later>; GROUP] = [None; GROUP];
            for (group, later) in group.chunks_mut(LANES).zip(later.as_chunks_mut().0) {
                self.accept_rtp_group(group, in_step, later);
            }
            while let Some(key) = later.iter().flatten().map(|later| later.key).next() {
                let mut pieces: [Piece<'_>; GROUP] = Default::default();
                for ((packet, later), piece) in group.iter_mut().zip(&mut later).zip(&mut pieces) {
                    if let Some(Later { iv, from, len, .. }) = later.take_if(|l| l.key == key) {
                        *piece = (iv, packet.buffer.get_mut(from..len).unwrap_or_default());
                    }
                }
                self.decrypt_later(key, &mut pieces);
            }
        }
    }

    /// Checks packets, their tags computed at once where they are to be expected.
    fn accept_rtp_group(
        &mut self,
        group: &mut [BatchPacket<'_, UnprotectError>],
        in_step: bool,
        later: &mut [Option<Later>; LANES],
    ) {
        let mut guesses = [None; LANES];
        let mut tags_of_group = [[0; 20]; LANES];
        if in_step && group.len() > 1 {
            let mut jobs: [Option<Job<'_>>; LANES] = [None; LANES];
            for (packet, (guess, job)) in group.iter().zip(guesses.iter_mut().zip(&mut jobs)) {
                let octets = packet.len.ok().and_then(|len| packet.buffer.get(..len));
                (*guess, *job) = octets.and_then(|octets| self.guess_rtp(octets)).unzip();
            }
            tags_of_group = tags(&jobs);
        }
        for (((BatchPacket { buffer, len }, guess), tag), later) in
            group.iter_mut().zip(guesses).zip(&tags_of_group).zip(later)
        {
            let Ok(sealed) = *len else { continue };
            let Some(packet) = buffer.get_mut(..sealed) else {
                *len = Err(UnprotectError::Malformed { what: "length", at: buffer.len() });
                continue;
            };
            match guess.and_then(|guess| self.unprotect_guessed(guess, tag, packet)) {
                Some((plain, rest)) => (*len, *later) = (Ok(plain), rest),
                None => *len = self.unprotect_rtp(packet),
            }
        }
    }
}

/// Packets whose encryption is done together: a multiple of [`LANES`].
const GROUP: usize = 16;
