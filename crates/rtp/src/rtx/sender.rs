use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::RtxFormat;
use super::history::History;
use crate::{GenericNack, RtpPacket, SequenceNumber, Ssrc};

/// Keeps what one stream sends, and sends again what its receiver reports lost (RFC 4588).
///
/// ```
/// use linkspan_rtp::{
///     GenericNack, PayloadType, Retransmission, RtpHeader, RtpPacket, RtxFormat, RtxSender,
///     RtxSenderConfig, SequenceNumber, Ssrc,
/// };
/// use std::time::{Duration, Instant};
///
/// let format = RtxFormat { original: PayloadType(96), retransmission: PayloadType(97) };
/// let (media, rtx, now) = (Ssrc(1), Ssrc(2), Instant::now());
/// let config = RtxSenderConfig::default();
/// let mut sender = RtxSender::new(config, media, rtx, &[format], [7; 32], now);
/// for sequence in [10, 11, 12].map(SequenceNumber) {
///     let header =
///         RtpHeader { payload_type: PayloadType(96), sequence, ssrc: media, ..Default::default() };
///     let mut packet = Vec::new();
///     header.write_packet(b"picture", &mut packet);
///     sender.on_sent(&RtpPacket::parse(&packet).unwrap(), now);
/// }
///
/// sender.on_nack(&GenericNack::of(Ssrc(9), media, &[SequenceNumber(11)]), now);
/// let mut packet = Vec::new();
/// assert_eq!(sender.poll_packet(now, &mut packet), Some(SequenceNumber(11)));
/// let packet = RtpPacket::parse(&packet).unwrap();
/// assert_eq!((packet.ssrc(), packet.payload_type()), (rtx, PayloadType(97)));
/// let again = Retransmission::parse(packet.payload()).unwrap();
/// assert_eq!((again.original, again.payload), (SequenceNumber(11), &b"picture"[..]));
/// ```
///
/// After each [`on_nack`](Self::on_nack), and when [`poll_timeout`](Self::poll_timeout) says so,
/// drain [`poll_packet`](Self::poll_packet). Give [`on_sent`](Self::on_sent) packets before they
/// are encrypted: retransmissions are protected like any other packet.
#[derive(Clone, Debug)]
pub struct RtxSender {
    config: RtxSenderConfig,
    media: Ssrc,
    rtx: Ssrc,
    formats: Vec<RtxFormat>,
    history: History,
    next: SequenceNumber,
    queue: VecDeque<SequenceNumber>,
    round_trip: Duration,
    /// Octets that may be sent, as of when.
    budget: (u64, Instant),
}

/// Limits of an [`RtxSender`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtxSenderConfig {
    /// Packets kept, made a power of two of 2 to 16,384. Default 1,024.
    pub packets: usize,
    /// A packet larger than this is not kept, so that at most `packets` times this are. Default
    /// 1,500.
    pub max_packet: usize,
    /// How long a packet is kept: `rtx-time` of RFC 4588 §8.1. Default 2 s.
    pub max_age: Duration,
    /// No packet is sent again twice within this or a round trip, whichever is longer: the one sent
    /// before is still on its way then. Default 20 ms.
    pub min_interval: Duration,
    /// What retransmissions may take (RFC 4588 §7 leaves that to congestion control). Default
    /// 1,000,000.
    pub max_bitrate_bps: u64,
    /// Octets that may be sent at once. Default 30,000.
    pub burst: u64,
}

impl Default for RtxSenderConfig {
    fn default() -> Self {
        Self {
            packets: 1024,
            max_packet: 1500,
            max_age: Duration::from_secs(2),
            min_interval: Duration::from_millis(20),
            max_bitrate_bps: 1_000_000,
            burst: 30_000,
        }
    }
}

impl RtxSender {
    /// For the stream `media`, whose packets are sent again as `rtx`: another source of the same
    /// session (SSRC multiplexing, RFC 4588 §5.3), or the same source in a session of its own
    /// (§5.2). The first sequence number is drawn from `seed`.
    #[must_use]
    pub fn new(
        config: RtxSenderConfig,
        media: Ssrc,
        rtx: Ssrc,
        formats: &[RtxFormat],
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let [a, b, ..] = ChaCha8Rng::from_seed(seed).next_u32().to_be_bytes();
        Self {
            media,
            rtx,
            formats: formats.to_vec(),
            history: History::new(config.packets, config.max_packet, config.max_age),
            next: SequenceNumber(u16::from_be_bytes([a, b])),
            queue: VecDeque::new(),
            round_trip: Duration::ZERO,
            budget: (config.burst, now),
            config,
        }
    }

    /// A packet was sent. Those of other streams, and those whose payload type has no format, are
    /// passed over.
    pub fn on_sent(&mut self, packet: &RtpPacket<'_>, now: Instant) {
        if packet.ssrc() == self.media && self.format_of(packet).is_some() {
            self.history.keep(packet.sequence(), packet.as_bytes(), now);
        }
    }

    /// The receiver reports losses. Gives the number of packets that will be sent again: those of
    /// this stream that are still kept, do not wait already and were not sent again just now.
    pub fn on_nack(&mut self, nack: &GenericNack, now: Instant) -> usize {
        if nack.media != self.media {
            return 0;
        }
        let waiting = self.queue.len();
        let interval = self.config.min_interval.max(self.round_trip);
        for sequence in nack.sequences() {
            let Some(kept) = self.history.find(sequence, now) else { continue };
            let too_soon =
                kept.again.is_some_and(|at| now.saturating_duration_since(at) < interval);
            if !kept.queued && !too_soon && self.queue.len() < MAX_QUEUED {
                kept.queued = true;
                self.queue.push_back(sequence);
            }
        }
        self.queue.len().saturating_sub(waiting)
    }

    /// What reports tell of the round trip; see [`RtxSenderConfig::min_interval`].
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Writes the next retransmission to `out`, which is cleared first, and gives the number of the
    /// packet in it. `None` when there is nothing to send, or not yet.
    pub fn poll_packet(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<SequenceNumber> {
        out.clear();
        self.refill(now);
        loop {
            let sequence = *self.queue.front()?;
            // Too old by now, or its place was taken: the next one.
            let Some(kept) = self.history.find(sequence, now).filter(|kept| kept.queued) else {
                self.queue.pop_front();
                continue;
            };
            let cost = kept.octets.len().saturating_add(ORIGINAL_NUMBER) as u64;
            // A packet larger than the burst goes when the budget is full.
            if self.budget.0 < cost.min(self.config.burst) {
                return None;
            }
            self.budget.0 = self.budget.0.saturating_sub(cost);
            self.queue.pop_front();
            (kept.queued, kept.again) = (false, Some(now));
            let packet = RtpPacket::parse(&kept.octets).ok()?;
            let format = self.formats.iter().find(|f| f.original == packet.payload_type())?;
            write(&packet, *format, (self.rtx, self.next), out);
            self.next = self.next.next();
            return Some(sequence);
        }
    }

    /// When the rate allows the next packet; `None` when none waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queue.front()?;
        let (octets, at) = self.budget;
        // Until a packet of any size may go.
        let wanted = (self.config.max_packet as u64).min(self.config.burst);
        let bits = u128::from(wanted.saturating_sub(octets)).saturating_mul(8_000_000_000);
        let wait = bits.div_ceil(u128::from(self.config.max_bitrate_bps.max(1)));
        Some(at + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX).min(MAX_WAIT_NS)))
    }

    /// Packets that wait to be sent again.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    fn format_of(&self, packet: &RtpPacket<'_>) -> Option<RtxFormat> {
        self.formats.iter().find(|format| format.original == packet.payload_type()).copied()
    }

    fn refill(&mut self, now: Instant) {
        let (octets, at) = self.budget;
        let elapsed = now.saturating_duration_since(at);
        let earned = elapsed.as_nanos().saturating_mul(u128::from(self.config.max_bitrate_bps));
        let earned = u64::try_from(earned / 8_000_000_000).unwrap_or(u64::MAX);
        // Less than an octet is kept for the next time.
        if earned > 0 {
            self.budget = (octets.saturating_add(earned).min(self.config.burst), now);
        }
    }
}

/// RFC 4588 §4: the header of the original but for payload type, number, source and padding, then
/// the original number, then the payload.
fn write(
    packet: &RtpPacket<'_>,
    format: RtxFormat,
    (rtx, next): (Ssrc, SequenceNumber),
    out: &mut Vec<u8>,
) {
    let octets = packet.as_bytes();
    let Some((&[first, second, _, _, t0, t1, t2, t3], _)) = octets.split_first_chunk() else {
        return;
    };
    let [q0, q1] = next.0.to_be_bytes();
    let second = second & 0x80 | format.retransmission.0 & 0x7f;
    out.extend_from_slice(&[first & !PADDING, second, q0, q1, t0, t1, t2, t3]);
    out.extend_from_slice(&rtx.0.to_be_bytes());
    // CSRC list and header extension.
    out.extend_from_slice(octets.get(12..packet.header_len()).unwrap_or_default());
    out.extend_from_slice(&packet.sequence().0.to_be_bytes());
    out.extend_from_slice(packet.payload());
}

/// RFC 4588 §4: octets that a packet grows by.
const ORIGINAL_NUMBER: usize = 2;
/// RFC 3550 §5.1: the P bit.
const PADDING: u8 = 0x20;
/// As many as numbers can be told apart.
const MAX_QUEUED: usize = 32_768;
/// An hour: a rate of next to nothing.
const MAX_WAIT_NS: u64 = 3_600_000_000_000;
