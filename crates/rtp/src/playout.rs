use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::reorder::{MAX_DROPOUT, MAX_MISORDER};
use crate::{ReorderError, Reordered, SequenceNumber};

/// Plays packets in order and evenly, however unevenly they come: a jitter buffer.
///
/// Each packet is due a delay after the moment at which the fastest path would have brought it, so
/// packets leave as far apart as their timestamps say. One that has not come when a later one is due
/// is lost. With [`min_delay`](PlayoutConfig::min_delay) below
/// [`max_delay`](PlayoutConfig::max_delay) the delay adapts: it grows at once to the greatest
/// lateness seen, which is forgotten slowly, and shrinks at the beginning of a talk spurt (the
/// marker bit, RFC 3551 §4.1) or else by one part in a hundred of the time, which nobody hears.
/// Where the clocks of both ends drift apart, the buffer follows.
///
/// After each [`push`](Self::push), and when [`poll_timeout`](Self::poll_timeout) says so, call
/// [`handle_timeout`](Self::handle_timeout) and drain [`poll`](Self::poll).
///
/// ```
/// use linkspan_rtp::{PlayoutBuffer, PlayoutConfig, Reordered, SequenceNumber};
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let at = |ms| start + Duration::from_millis(ms);
/// let config = PlayoutConfig::fixed(8000, Duration::from_millis(40));
/// let mut buffer = PlayoutBuffer::new(config);
/// // 20 ms of sound in each packet. The second takes 15 ms longer, the third is lost.
/// for (number, arrival) in [(0u16, 0), (1, 35), (3, 60)] {
///     buffer.push(SequenceNumber(number), 160 * u32::from(number), number == 0, 'x', at(arrival))?;
/// }
/// let mut played = Vec::new();
/// while let Some(due) = buffer.poll_timeout() {
///     buffer.handle_timeout(due);
///     while let Some(item) = buffer.poll() {
///         if let Reordered::Packet { sequence, .. } = item {
///             played.push((sequence.0, (due - start).as_millis()));
///         }
///     }
/// }
/// assert_eq!(played, [(0, 40), (1, 60), (3, 100)]);
/// # Ok::<(), linkspan_rtp::ReorderError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PlayoutBuffer<T> {
    config: PlayoutConfig,
    /// By sequence number, counted without wrapping.
    waiting: BTreeMap<i64, Waiting<T>>,
    ready: VecDeque<Reordered<T>>,
    /// The next number to be played, counted the same way, and on the wire.
    next: Option<(i64, SequenceNumber)>,
    /// The number that would prove that the sender started anew.
    restart: Option<SequenceNumber>,
    clock: Option<MediaClock>,
    delay: Duration,
    /// The greatest lateness, as far as it is remembered.
    peak: Duration,
}

#[derive(Clone, Debug)]
struct Waiting<T> {
    due: Instant,
    item: T,
}

/// How a [`PlayoutBuffer`] works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlayoutConfig {
    /// Timestamp units in a second. Default 8000.
    pub clock_hz: u32,
    /// The least delay, and the first. Default 40 ms.
    pub min_delay: Duration,
    /// The greatest. Default 400 ms.
    pub max_delay: Duration,
    /// Packets that wait; when there are more, the first is played early. Default 512.
    pub capacity: usize,
}

impl Default for PlayoutConfig {
    fn default() -> Self {
        Self {
            clock_hz: 8000,
            min_delay: Duration::from_millis(40),
            max_delay: Duration::from_millis(400),
            capacity: 512,
        }
    }
}

impl PlayoutConfig {
    /// A delay that does not adapt.
    #[must_use]
    pub fn fixed(clock_hz: u32, delay: Duration) -> Self {
        Self { clock_hz, min_delay: delay, max_delay: delay, ..Self::default() }
    }
}

impl<T> PlayoutBuffer<T> {
    /// An empty buffer.
    #[must_use]
    pub fn new(config: PlayoutConfig) -> Self {
        let max_delay = config.max_delay.clamp(config.min_delay.min(LONGEST), LONGEST);
        let min_delay = config.min_delay.min(max_delay);
        let capacity = config.capacity.clamp(2, 16_384);
        let config = PlayoutConfig { min_delay, max_delay, capacity, ..config };
        Self {
            waiting: BTreeMap::new(),
            ready: VecDeque::new(),
            next: None,
            restart: None,
            clock: None,
            delay: config.min_delay,
            peak: Duration::ZERO,
            config,
        }
    }

    /// A packet came. `marker` says that a talk spurt begins with it.
    ///
    /// # Errors
    ///
    /// When the packet is late, a duplicate, or not to be believed; it is dropped. A late one makes
    /// the delay grow all the same.
    pub fn push(
        &mut self,
        sequence: SequenceNumber,
        timestamp: u32,
        marker: bool,
        item: T,
        now: Instant,
    ) -> Result<(), ReorderError> {
        if self.ready.len() > 2 * self.config.capacity {
            return Err(ReorderError::NotPolled);
        }
        let (next, on_wire) = *self.next.get_or_insert((0, sequence));
        let ahead = sequence.distance_from(on_wire);
        if !(-MAX_MISORDER..MAX_DROPOUT).contains(&ahead) {
            // RFC 3550 A.1: two in sequence prove that the sender started anew.
            if self.restart.replace(sequence.next()) != Some(sequence) {
                return Err(ReorderError::Jump);
            }
            self.start_anew(sequence);
            return self.push(sequence, timestamp, marker, item, now);
        }
        self.restart = None;
        let due = self.schedule(timestamp, marker && ahead >= 0, now);
        let number = next.saturating_add(ahead.into());
        if number < next {
            return Err(ReorderError::Late);
        }
        if self.waiting.contains_key(&number) {
            return Err(ReorderError::Duplicate);
        }
        self.waiting.insert(number, Waiting { due, item });
        if self.waiting.len() > self.config.capacity {
            self.play_first();
        }
        Ok(())
    }

    /// Time has passed: what is due is ready to be polled.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            self.play_first();
        }
    }

    /// The next packet to be played, or loss.
    pub fn poll(&mut self) -> Option<Reordered<T>> {
        self.ready.pop_front()
    }

    /// When the next packet is due; `None` when none waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, waiting)| waiting.due)
    }

    /// The delay in use.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Packets that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn play_first(&mut self) {
        let Some((number, Waiting { item, .. })) = self.waiting.pop_first() else { return };
        let Some((next, first)) = self.next else { return };
        let count = u16::try_from(number.saturating_sub(next)).unwrap_or(u16::MAX);
        if count > 0 {
            self.ready.push_back(Reordered::Lost { first, count });
        }
        let sequence = first.wrapping_add(count);
        self.ready.push_back(Reordered::Packet { sequence, item });
        self.next = Some((number.saturating_add(1), sequence.next()));
    }

    fn start_anew(&mut self, sequence: SequenceNumber) {
        self.waiting.clear();
        (self.next, self.clock) = (Some((0, sequence)), None);
        self.ready.push_back(Reordered::Restarted);
    }

    /// When a packet is due, and what it teaches of the path.
    fn schedule(&mut self, timestamp: u32, begins: bool, now: Instant) -> Instant {
        let max_delay = self.config.max_delay;
        let clock = self.clock.get_or_insert_with(|| MediaClock::starting(timestamp, now));
        let (elapsed, lateness) = clock.lateness(timestamp, self.config.clock_hz, now);
        if lateness > max_delay + IMPLAUSIBLE {
            // No path is that slow: the sender's timestamps start anew.
            self.clock = Some(MediaClock::starting(timestamp, now));
            return now + self.delay;
        }
        self.peak = lateness.max(self.peak.saturating_sub(self.peak / FORGETTING));
        let wanted = self.peak.clamp(self.config.min_delay, max_delay);
        if wanted >= self.delay || begins {
            self.delay = wanted;
        } else {
            self.delay = self.delay.saturating_sub(elapsed / 100).max(wanted);
        }
        now + self.delay.saturating_sub(lateness)
    }
}

/// What the timestamps of a stream mean in time.
#[derive(Clone, Copy, Debug)]
struct MediaClock {
    start: Instant,
    /// The last timestamp in order, and units since the first.
    last: (u32, i64),
    /// How long the fastest packet took, in nanoseconds, against the first.
    fastest: i64,
}

impl MediaClock {
    fn starting(timestamp: u32, now: Instant) -> Self {
        Self { start: now, last: (timestamp, 0), fastest: 0 }
    }

    /// How much media lies between this packet and the last in order, and how much longer than the
    /// fastest it took.
    fn lateness(&mut self, timestamp: u32, clock_hz: u32, now: Instant) -> (Duration, Duration) {
        let (last, units) = self.last;
        let ahead = i64::from(timestamp.wrapping_sub(last).cast_signed());
        let units = units.saturating_add(ahead);
        let hz = i128::from(clock_hz.max(1));
        let to_ns = |units: i64| saturating(i128::from(units) * 1_000_000_000 / hz);
        if ahead > 0 {
            self.last = (timestamp, units);
        }
        let arrival = now.saturating_duration_since(self.start).as_nanos();
        let arrival = i64::try_from(arrival).unwrap_or(i64::MAX);
        let transit = arrival.saturating_sub(to_ns(units));
        // Slow drift of the sender's clock: the fastest path is forgotten little by little.
        let drift = transit.saturating_sub(self.fastest) / DRIFT;
        self.fastest = transit.min(self.fastest.saturating_add(drift));
        let late = u64::try_from(transit.saturating_sub(self.fastest)).unwrap_or(0);
        let elapsed = u64::try_from(to_ns(ahead)).unwrap_or(0);
        (Duration::from_nanos(elapsed), Duration::from_nanos(late))
    }
}

fn saturating(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// The peak of the lateness loses this part of itself with each packet: half of it in 180.
const FORGETTING: u32 = 256;
/// Part of a packet's lateness by which the fastest path is thought to have become slower.
const DRIFT: i64 = 2048;
/// Lateness beyond the greatest delay that is no lateness.
const IMPLAUSIBLE: Duration = Duration::from_secs(2);
/// No delay is longer.
const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
