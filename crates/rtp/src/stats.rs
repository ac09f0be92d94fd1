use std::time::{Duration, Instant};

use crate::{NtpTime, ReportBlock, SenderInfo, SequenceNumber, Ssrc};

/// Maps the monotonic clock that drives everything to the wall clock that reports carry.
///
/// ```
/// use linkspan_rtp::{NtpClock, NtpTime};
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let clock = NtpClock::new(start, NtpTime::from_unix(Duration::from_secs(1)));
/// let later = clock.at(start + Duration::from_secs(2));
/// assert_eq!(later, NtpTime::from_unix(Duration::from_secs(3)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    at: Instant,
    ntp: NtpTime,
}

impl NtpClock {
    /// The wall clock shows `ntp` at the instant `at`. Where there is no wall clock, any value
    /// does: RFC 3550 §4 asks only that differences be right.
    #[must_use]
    pub fn new(at: Instant, ntp: NtpTime) -> Self {
        Self { at, ntp }
    }

    /// What the wall clock shows at `now`.
    #[must_use]
    pub fn at(&self, now: Instant) -> NtpTime {
        self.ntp + now.saturating_duration_since(self.at)
    }
}

/// What one stream has sent, for its sender reports (RFC 3550 §6.4.1).
///
/// ```
/// use linkspan_rtp::{NtpTime, SenderStats, Ssrc};
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let mut stats = SenderStats::new(Ssrc(1), 8000);
/// stats.on_sent(160, 160, start);
/// let info = stats.report(NtpTime(0), start + Duration::from_millis(10)).unwrap();
/// assert_eq!((info.packet_count, info.octet_count, info.rtp_timestamp), (1, 160, 240));
/// ```
#[derive(Clone, Debug)]
pub struct SenderStats {
    ssrc: Ssrc,
    clock_hz: u32,
    packets: u64,
    octets: u64,
    last: Option<(u32, Instant)>,
    last_report: Option<(NtpTime, Instant)>,
    round_trip: Option<Duration>,
}

impl SenderStats {
    /// For a stream whose timestamps count at `clock_hz` (8000 for G.722 as well, RFC 3551 §4.5.2).
    #[must_use]
    pub fn new(ssrc: Ssrc, clock_hz: u32) -> Self {
        let (packets, octets) = (0, 0);
        Self { ssrc, clock_hz, packets, octets, last: None, last_report: None, round_trip: None }
    }

    /// A packet was sent. `payload_len` leaves header and padding out.
    pub fn on_sent(&mut self, timestamp: u32, payload_len: usize, now: Instant) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u64);
        // Packets of one picture share a timestamp: the first one's instant is its time.
        if self.last.is_none_or(|(last, _)| last != timestamp) {
            self.last = Some((timestamp, now));
        }
    }

    /// The sender's part of a report sent at `now`, or `None` when nothing was sent yet
    /// (then a receiver report is due).
    pub fn report(&mut self, ntp: NtpTime, now: Instant) -> Option<SenderInfo> {
        let (timestamp, at) = self.last?;
        let elapsed = timestamp_units(now.saturating_duration_since(at), self.clock_hz);
        self.last_report = Some((ntp, now));
        Some(SenderInfo {
            ntp,
            rtp_timestamp: timestamp.wrapping_add(elapsed),
            packet_count: low_32(self.packets),
            octet_count: low_32(self.octets),
        })
    }

    /// A report block about this stream came. Gives the round trip, if the block tells one.
    pub fn on_report(&mut self, block: &ReportBlock, ntp: NtpTime) -> Option<Duration> {
        if block.ssrc != self.ssrc {
            return None;
        }
        self.round_trip = block.round_trip(ntp).or(self.round_trip);
        block.round_trip(ntp)
    }

    /// The stream.
    #[must_use]
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Packets sent.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Payload octets sent.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The last round trip that a report told.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// When the last packet was sent.
    #[must_use]
    pub fn last_sent(&self) -> Option<Instant> {
        self.last.map(|(_, at)| at)
    }
}

/// What has been received of one stream: sequence validation, loss and jitter (RFC 3550
/// appendices A.1, A.3 and A.8).
///
/// ```
/// use linkspan_rtp::{ReceiverStats, SequenceNumber, Ssrc};
/// use std::time::Instant;
/// let now = Instant::now();
/// let mut stats = ReceiverStats::new(Ssrc(7), 8000);
/// for sequence in [1, 2, 4] {
///     stats.on_received(SequenceNumber(sequence), 160 * u32::from(sequence), 160, now);
/// }
/// let block = stats.report(now);
/// assert_eq!((block.cumulative_lost, block.fraction_lost), (1, 64));
/// ```
#[derive(Clone, Debug)]
pub struct ReceiverStats {
    ssrc: Ssrc,
    clock_hz: u32,
    /// `None` before the first packet.
    sequence: Option<Sequence>,
    octets: u64,
    transit: Option<(u32, Instant)>,
    /// Jitter in 1/16 units, as A.8 keeps it.
    jitter: u32,
    last_sr: Option<(NtpTime, Instant)>,
    last_received: Option<Instant>,
}

/// The state of A.1.
#[derive(Clone, Debug)]
struct Sequence {
    max: SequenceNumber,
    cycles: u32,
    base: u32,
    /// The number that would prove a restart of the sender.
    bad: Option<SequenceNumber>,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
}

/// What [`ReceiverStats::on_received`] thought of a packet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Arrival {
    /// The next packet, or one after a gap.
    InOrder {
        /// Packets missing in between.
        missing: u16,
    },
    /// An old packet: late, or seen before.
    Late,
    /// The sequence number jumped too far to believe; not counted.
    Jump,
    /// The sender started anew: counted as the first packet of a new sequence.
    Restart,
}

impl ReceiverStats {
    /// For a stream whose timestamps count at `clock_hz` (8000 for G.722 as well).
    #[must_use]
    pub fn new(ssrc: Ssrc, clock_hz: u32) -> Self {
        Self {
            ssrc,
            clock_hz,
            sequence: None,
            octets: 0,
            transit: None,
            jitter: 0,
            last_sr: None,
            last_received: None,
        }
    }

    /// A packet came.
    pub fn on_received(
        &mut self,
        sequence: SequenceNumber,
        timestamp: u32,
        payload_len: usize,
        now: Instant,
    ) -> Arrival {
        let arrival = match &mut self.sequence {
            None => {
                self.sequence = Some(Sequence::starting_at(sequence));
                Arrival::InOrder { missing: 0 }
            }
            Some(state) => state.update(sequence),
        };
        match arrival {
            Arrival::Jump => return arrival,
            Arrival::Restart => self.transit = None,
            _ => {}
        }
        self.octets = self.octets.wrapping_add(payload_len as u64);
        self.last_received = Some(now);
        if arrival != Arrival::Late {
            self.update_jitter(timestamp, now);
        }
        arrival
    }

    /// A sender report of this stream came.
    pub fn on_sender_report(&mut self, info: &SenderInfo, now: Instant) {
        self.last_sr = Some((info.ntp, now));
    }

    /// The report block for a report sent at `now`; the next block's fraction counts from here.
    pub fn report(&mut self, now: Instant) -> ReportBlock {
        let (last_sr, delay_since_last_sr) = match self.last_sr {
            None => (0, 0),
            Some((ntp, at)) => {
                let delay = now.saturating_duration_since(at);
                (ntp.middle(), NtpTime::middle_of_duration(delay))
            }
        };
        let mut block = ReportBlock {
            ssrc: self.ssrc,
            jitter: self.jitter >> 4,
            last_sr,
            delay_since_last_sr,
            ..ReportBlock::default()
        };
        if let Some(sequence) = &mut self.sequence {
            block.highest_sequence = sequence.extended_max();
            block.cumulative_lost = sequence.lost();
            block.fraction_lost = sequence.fraction_lost();
        }
        block
    }

    /// The stream.
    #[must_use]
    pub fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Packets received, late and duplicate ones included.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.sequence.as_ref().map_or(0, |sequence| sequence.received)
    }

    /// Payload octets received.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Packets that should have come so far.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.sequence.as_ref().map_or(0, Sequence::expected)
    }

    /// Packets lost; negative when there were duplicates. Clamped to 24 bits, as in reports.
    #[must_use]
    pub fn lost(&self) -> i32 {
        self.sequence.as_ref().map_or(0, Sequence::lost)
    }

    /// Cycles and the highest sequence number.
    #[must_use]
    pub fn highest_sequence(&self) -> Option<u32> {
        self.sequence.as_ref().map(Sequence::extended_max)
    }

    /// Interarrival jitter.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        let units = u64::from(self.jitter >> 4).saturating_mul(1_000_000_000);
        Duration::from_nanos(units / u64::from(self.clock_hz.max(1)))
    }

    /// When the last packet came.
    #[must_use]
    pub fn last_received(&self) -> Option<Instant> {
        self.last_received
    }

    /// RFC 3550 A.8, with the difference of two transits instead of the transits themselves.
    fn update_jitter(&mut self, timestamp: u32, now: Instant) {
        if let Some((last_timestamp, last_arrival)) = self.transit {
            let arrival =
                timestamp_units(now.saturating_duration_since(last_arrival), self.clock_hz);
            let sent = timestamp.wrapping_sub(last_timestamp);
            let difference = arrival.wrapping_sub(sent).cast_signed().unsigned_abs();
            let decay = self.jitter.saturating_add(8) >> 4;
            self.jitter = self.jitter.saturating_add(difference).saturating_sub(decay);
        }
        self.transit = Some((timestamp, now));
    }
}

impl Sequence {
    fn starting_at(first: SequenceNumber) -> Self {
        Self {
            max: first,
            cycles: 0,
            base: u32::from(first.0),
            bad: None,
            received: 1,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    /// RFC 3550 A.1 without its probation: authenticated packets need none, and a call's first
    /// packets are worth counting.
    fn update(&mut self, sequence: SequenceNumber) -> Arrival {
        let ahead = sequence.0.wrapping_sub(self.max.0);
        let arrival = if ahead == 0 || ahead > u16::MAX - MAX_MISORDER {
            Arrival::Late
        } else if ahead < MAX_DROPOUT {
            if sequence.0 < self.max.0 {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.max = sequence;
            Arrival::InOrder { missing: ahead - 1 }
        } else if self.bad == Some(sequence) {
            // Two in sequence after a jump: the sender restarted.
            *self = Self::starting_at(sequence);
            return Arrival::Restart;
        } else {
            self.bad = Some(sequence.next());
            return Arrival::Jump;
        };
        self.bad = None;
        self.received = self.received.wrapping_add(1);
        arrival
    }

    fn extended_max(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.max.0))
    }

    fn expected(&self) -> u64 {
        u64::from(self.extended_max().wrapping_sub(self.base)).saturating_add(1)
    }

    fn lost(&self) -> i32 {
        let lost = i128::from(self.expected()) - i128::from(self.received);
        i32::try_from(lost.clamp(-0x80_0000, 0x7f_ffff)).unwrap_or_default()
    }

    /// RFC 3550 A.3: the share lost since the last report, in 1/256.
    fn fraction_lost(&mut self) -> u8 {
        let (expected, received) = (self.expected(), self.received);
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = received.saturating_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (expected, received);
        let lost = expected_interval.saturating_sub(received_interval);
        let fraction = lost.saturating_mul(256).checked_div(expected_interval).unwrap_or(0);
        u8::try_from(fraction).unwrap_or(u8::MAX)
    }
}

/// A duration in units of a clock, modulo 2^32.
pub(crate) fn timestamp_units(duration: Duration, clock_hz: u32) -> u32 {
    let whole = duration.as_secs().wrapping_mul(u64::from(clock_hz));
    let part = u64::from(duration.subsec_nanos()) * u64::from(clock_hz) / 1_000_000_000;
    low_32(whole.wrapping_add(part))
}

fn low_32(value: u64) -> u32 {
    let [_, _, _, _, a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

// RFC 3550 A.1: how far a believable packet lies ahead or behind.
const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;
