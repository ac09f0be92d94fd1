use std::time::{Duration, Instant};

use super::RtxFormat;
use super::requests::Requests;
use crate::{GenericNack, Retransmission, RtpPacket, SequenceNumber, Ssrc};

/// Asks for the lost packets of one participant's streams, and makes originals of what is sent
/// again (RFC 4588).
///
/// ```
/// use linkspan_rtp::{
///     PayloadType, Retransmission, RtpHeader, RtpPacket, RtxFormat, RtxReceiver,
///     RtxReceiverConfig, SequenceNumber, Ssrc,
/// };
/// use std::time::{Duration, Instant};
///
/// let format = RtxFormat { original: PayloadType(96), retransmission: PayloadType(97) };
/// let (ours, media, rtx) = (Ssrc(9), Ssrc(1), Ssrc(2));
/// let mut receiver = RtxReceiver::new(RtxReceiverConfig::default(), &[format]);
/// let start = Instant::now();
/// receiver.on_received(media, SequenceNumber(10), start)?;
/// receiver.on_received(media, SequenceNumber(12), start)?;
/// let now = receiver.poll_timeout().unwrap();
/// let nack = receiver.poll_nack(ours, now).unwrap();
/// assert_eq!(nack.sequences().collect::<Vec<_>>(), [SequenceNumber(11)]);
/// assert_eq!(receiver.poll_nack(ours, now), None);
///
/// // The answer, from a source that nobody has announced.
/// let mut payload = Vec::new();
/// Retransmission { original: SequenceNumber(11), payload: b"picture" }.write(&mut payload);
/// let header = RtpHeader { payload_type: PayloadType(97), ssrc: rtx, ..Default::default() };
/// let mut packet = Vec::new();
/// header.write_packet(&payload, &mut packet);
/// let mut original = Vec::new();
/// let packet = RtpPacket::parse(&packet).unwrap();
/// receiver.recover(&packet, &mut original, now + Duration::from_millis(30))?;
/// let original = RtpPacket::parse(&original).unwrap();
/// assert_eq!((original.ssrc(), original.sequence()), (media, SequenceNumber(11)));
/// assert_eq!((original.payload_type(), original.payload()), (PayloadType(96), &b"picture"[..]));
/// # Ok::<(), linkspan_rtp::RtxError>(())
/// ```
///
/// What [`recover`](Self::recover) gives goes where the originals go, as a rule a
/// [`ReorderBuffer`](crate::ReorderBuffer) whose `hold` is as long as
/// [`RtxReceiverConfig::give_up`].
///
/// One value serves the streams of one participant (one CNAME): RFC 4588 §5.3 looks among those for
/// the original stream of an unknown source.
#[derive(Clone, Debug)]
pub struct RtxReceiver {
    config: RtxReceiverConfig,
    formats: Vec<RtxFormat>,
    streams: Vec<Stream>,
    round_trip: RoundTrip,
}

/// An original stream.
#[derive(Clone, Debug)]
struct Stream {
    media: Ssrc,
    /// The source of its retransmissions, once that is known.
    rtx: Option<Ssrc>,
    requests: Requests,
}

/// Limits of an [`RtxReceiver`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtxReceiverConfig {
    /// How long a missing packet is waited for before it is asked for: as much as packets overtake
    /// each other. Default 5 ms.
    pub patience: Duration,
    /// How often a packet is asked for. Default 4.
    pub max_requests: u8,
    /// How long after it was missed a packet is of use. Default 400 ms.
    pub give_up: Duration,
    /// The round trip until one has been measured. Default 100 ms.
    pub round_trip: Duration,
    /// Packets of a stream that are missing at a time, 1 to 4,096: the oldest are given up. A gap
    /// longer than this is taken for a new beginning. Default 256.
    pub max_missing: usize,
    /// Streams, retransmissions not counted. Default 16.
    pub max_streams: usize,
}

impl Default for RtxReceiverConfig {
    fn default() -> Self {
        Self {
            patience: Duration::from_millis(5),
            max_requests: 4,
            give_up: Duration::from_millis(400),
            round_trip: Duration::from_millis(100),
            max_missing: 256,
            max_streams: 16,
        }
    }
}

/// Why a packet is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RtxError {
    /// Its payload type is none of retransmissions.
    #[error("payload type is not of retransmissions")]
    NotMine,
    /// It carries no original packet. Some senders probe the path with such packets.
    #[error("retransmission without an original")]
    Empty,
    /// It is not known yet to which stream its source belongs (RFC 4588 §5.3).
    #[error("retransmission of an unknown stream")]
    Unassociated,
    /// The original has come before, or was given up.
    #[error("retransmitted packet was not missing")]
    NotMissing,
    /// More streams than [`RtxReceiverConfig::max_streams`].
    #[error("too many streams")]
    TooManyStreams,
}

impl RtxReceiver {
    /// For retransmissions in these formats.
    #[must_use]
    pub fn new(config: RtxReceiverConfig, formats: &[RtxFormat]) -> Self {
        let round_trip = RoundTrip::new(config.round_trip);
        Self { config, formats: formats.to_vec(), streams: Vec::new(), round_trip }
    }

    /// An original packet came.
    ///
    /// # Errors
    ///
    /// When the stream is one too many.
    pub fn on_received(
        &mut self,
        media: Ssrc,
        sequence: SequenceNumber,
        now: Instant,
    ) -> Result<(), RtxError> {
        let patience = self.config.patience;
        // Late or twice: nothing to be asked for either way.
        let _known = self.stream_mut(media)?.requests.on_arrived(sequence, patience, now);
        Ok(())
    }

    /// Says which source sends the retransmissions of a stream, where signalling tells it:
    /// `a=ssrc-group:FID` (RFC 5576 §4.2), or the same source in another session (RFC 4588 §5.2).
    ///
    /// # Errors
    ///
    /// When the stream is one too many.
    pub fn associate(&mut self, media: Ssrc, rtx: Ssrc) -> Result<(), RtxError> {
        self.stream_mut(media)?.rtx = Some(rtx);
        Ok(())
    }

    /// A source left (BYE), or was given up: a stream, or that of the retransmissions of one.
    pub fn forget(&mut self, source: Ssrc) {
        self.streams.retain(|stream| stream.media != source);
        self.streams.iter_mut().for_each(|stream| stream.rtx = stream.rtx.filter(|r| *r != source));
    }

    /// Makes the original of a retransmission in `out`, which is cleared first.
    ///
    /// # Errors
    ///
    /// When the packet is of no use; see [`RtxError`]. Any input is safe.
    pub fn recover(
        &mut self,
        packet: &RtpPacket<'_>,
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Result<(), RtxError> {
        out.clear();
        let mut formats = self.formats.iter();
        let format = formats.find(|format| format.retransmission == packet.payload_type());
        let format = *format.ok_or(RtxError::NotMine)?;
        let again = Retransmission::parse(packet.payload()).map_err(|_| RtxError::Empty)?;
        let patience = self.config.patience;
        let stream = self.stream_of(packet.ssrc(), again.original)?;
        let missed = stream.requests.on_arrived(again.original, patience, now);
        let missed = missed.map_err(|()| RtxError::NotMissing)?;
        let media = stream.media;
        // Karn: asked for twice, nobody knows which request was answered.
        if let Some(asked_at) = missed.filter(|m| m.asked == 1).and_then(|m| m.asked_at) {
            self.round_trip.update(now.saturating_duration_since(asked_at));
        }
        write(packet, format, (media, again), out);
        Ok(())
    }

    /// The next request that is due, from `sender`, our own source. Drain it when
    /// [`poll_timeout`](Self::poll_timeout) says so; a lost request is repeated after a round trip
    /// has passed and no sooner.
    pub fn poll_nack(&mut self, sender: Ssrc, now: Instant) -> Option<GenericNack> {
        let RtxReceiverConfig { max_requests, give_up, .. } = self.config;
        let again = now + self.round_trip.timeout();
        for at in 0..self.streams.len() {
            let (earlier, rest) = self.streams.split_at_mut(at);
            let (stream, later) = rest.split_first_mut()?;
            stream.requests.give_up(|missing| {
                let is_useless = now.saturating_duration_since(missing.noticed) >= give_up;
                is_useless || missing.asked >= max_requests && missing.due <= now
            });
            // RFC 4588 §5.3: until a stream's retransmissions are known, no number may be asked for
            // in two streams at a time.
            let is_known = stream.rtx.is_some();
            let is_ambiguous = |sequence| {
                let mut others = earlier.iter().chain(later.iter()).filter(|o| o.rtx.is_none());
                others.any(|other| other.requests.is_outstanding(sequence))
            };
            let mut lost = Vec::new();
            for missing in stream.requests.missing_mut().filter(|missing| missing.due <= now) {
                missing.due = again;
                if is_known || !is_ambiguous(missing.sequence) {
                    missing.asked = missing.asked.saturating_add(1);
                    missing.asked_at = Some(now);
                    lost.push(missing.sequence);
                }
            }
            if !lost.is_empty() {
                return Some(GenericNack::of(sender, stream.media, &lost));
            }
        }
        None
    }

    /// When [`poll_nack`](Self::poll_nack) is due; `None` when nothing is missing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let missing = self.streams.iter().flat_map(|stream| stream.requests.missing());
        missing.map(|missing| missing.due).min()
    }

    /// What reports tell of the round trip. Answered requests tell it as well.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip.update(round_trip);
    }

    /// Packets that are missing and still of use.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.streams.iter().map(|stream| stream.requests.missing().count()).sum()
    }

    /// The source of a stream's retransmissions, where it is known.
    #[must_use]
    pub fn associated(&self, media: Ssrc) -> Option<Ssrc> {
        self.streams.iter().find(|stream| stream.media == media)?.rtx
    }

    fn stream_mut(&mut self, media: Ssrc) -> Result<&mut Stream, RtxError> {
        let at = self.streams.iter().position(|stream| stream.media == media);
        let at = match at {
            Some(at) => at,
            None if self.streams.len() >= self.config.max_streams => {
                return Err(RtxError::TooManyStreams);
            }
            None => {
                let requests = Requests::new(self.config.max_missing);
                self.streams.push(Stream { media, rtx: None, requests });
                self.streams.len().saturating_sub(1)
            }
        };
        self.streams.get_mut(at).ok_or(RtxError::TooManyStreams)
    }

    /// The stream that `rtx` sends again. RFC 4588 §5.3: of an unknown source, the one whose
    /// request its packet answers, if there is but one.
    fn stream_of(&mut self, rtx: Ssrc, original: SequenceNumber) -> Result<&mut Stream, RtxError> {
        let known = self.streams.iter().position(|stream| stream.rtx == Some(rtx));
        let at = known.or_else(|| {
            let mut answered = self.streams.iter().enumerate().filter(|(_, stream)| {
                stream.rtx.is_none() && stream.requests.is_outstanding(original)
            });
            let (at, _) = answered.next()?;
            answered.next().is_none().then_some(at)
        });
        let at = at.ok_or(RtxError::Unassociated)?;
        let stream = self.streams.get_mut(at).ok_or(RtxError::Unassociated)?;
        stream.rtx = Some(rtx);
        Ok(stream)
    }
}

/// How long an answer takes, smoothed as RFC 6298 §2 does.
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    mean: Duration,
    deviation: Duration,
    is_measured: bool,
}

impl RoundTrip {
    fn new(assumed: Duration) -> Self {
        Self { mean: assumed, deviation: assumed / 4, is_measured: false }
    }

    fn update(&mut self, sample: Duration) {
        if self.is_measured {
            self.deviation = (self.deviation * 3 + self.mean.abs_diff(sample)) / 4;
            self.mean = (self.mean * 7 + sample) / 8;
        } else {
            *self = Self { mean: sample, deviation: sample / 2, is_measured: true };
        }
    }

    /// When an answer that has not come is lost.
    fn timeout(&self) -> Duration {
        self.mean + (self.deviation * 4).max(GRANULARITY)
    }
}

/// RFC 4588 §4, backwards.
fn write(
    packet: &RtpPacket<'_>,
    format: RtxFormat,
    (media, again): (Ssrc, Retransmission<'_>),
    out: &mut Vec<u8>,
) {
    let octets = packet.as_bytes();
    let Some((&[first, second, _, _, t0, t1, t2, t3], _)) = octets.split_first_chunk() else {
        return;
    };
    let [q0, q1] = again.original.0.to_be_bytes();
    let second = second & 0x80 | format.original.0 & 0x7f;
    // The retransmission's own padding is not the original's.
    out.extend_from_slice(&[first & !0x20, second, q0, q1, t0, t1, t2, t3]);
    out.extend_from_slice(&media.0.to_be_bytes());
    out.extend_from_slice(octets.get(12..packet.header_len()).unwrap_or_default());
    out.extend_from_slice(again.payload);
}

/// The least that is waited beyond the mean: timers and pacing are that coarse.
const GRANULARITY: Duration = Duration::from_millis(10);
