use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::Cursor;
use crate::{ParseError, stats::timestamp_units};

/// One telephone event (RFC 4733 §3.2, §2.3): 0-9, `*`, `#`, A-D, flash.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TelephoneEvent(pub u8);

impl TelephoneEvent {
    /// Hook flash.
    pub const FLASH: Self = Self(16);

    /// The event of a key: `0`-`9`, `*`, `#`, `A`-`D` (either case), `!` for flash.
    ///
    /// ```
    /// use linkspan_rtp::TelephoneEvent;
    /// assert_eq!(TelephoneEvent::from_char('#'), Some(TelephoneEvent(11)));
    /// assert_eq!(TelephoneEvent(10).to_char(), Some('*'));
    /// ```
    #[must_use]
    pub fn from_char(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        (0u8..).zip(KEYS.chars()).find(|(_, c)| *c == key).map(|(event, _)| Self(event))
    }

    /// The key of the event; `None` for events that are no keys.
    #[must_use]
    pub fn to_char(self) -> Option<char> {
        KEYS.chars().nth(self.0.into())
    }
}

/// The payload of a telephone-event packet (RFC 4733 §2.3).
///
/// ```
/// use linkspan_rtp::{DtmfPayload, TelephoneEvent};
/// let payload = DtmfPayload::parse(&[5, 0x8a, 0x03, 0x20])?;
/// assert_eq!((payload.event, payload.end, payload.volume), (TelephoneEvent(5), true, 10));
/// assert_eq!(payload.duration, 800);
/// assert_eq!(payload.to_bytes(), [5, 0x8a, 0x03, 0x20]);
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DtmfPayload {
    /// The event.
    pub event: TelephoneEvent,
    /// Whether the event is over.
    pub end: bool,
    /// Power level below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// How long the event lasts so far, in timestamp units.
    pub duration: u16,
}

impl DtmfPayload {
    /// Reads the first event of a payload.
    ///
    /// # Errors
    ///
    /// When there are fewer than four octets.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(payload);
        let [event, flags, d0, d1] = cursor.array("telephone event")?;
        Ok(Self {
            event: TelephoneEvent(event),
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    /// The payload as octets.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.event.0, (u8::from(self.end) << 7) | (self.volume & 0x3f), d0, d1]
    }
}

/// How digits are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DtmfConfig {
    /// The event clock; 8000 in Lync even beside G.722 and SILK.
    pub clock_hz: u32,
    /// How long a digit lasts.
    pub duration: Duration,
    /// Silence between digits.
    pub gap: Duration,
    /// Time between packets of one event.
    pub interval: Duration,
    /// Power level below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// How many packets announce the beginning; Lync sends three.
    pub start_packets: u8,
    /// How many packets announce the end, three by RFC 4733 §2.5.1.4.
    pub end_packets: u8,
    /// Digits that may wait.
    pub max_queued: usize,
}

impl Default for DtmfConfig {
    fn default() -> Self {
        Self {
            clock_hz: 8000,
            duration: Duration::from_millis(160),
            gap: Duration::from_millis(80),
            interval: Duration::from_millis(20),
            volume: 10,
            start_packets: 1,
            end_packets: 3,
            max_queued: 64,
        }
    }
}

/// Sends digits as telephone events (RFC 4733 §2.5.1).
///
/// The audio of the same stream pauses while [`DtmfSender::is_sending`].
///
/// ```
/// use linkspan_rtp::{DtmfConfig, DtmfPayload, DtmfSender};
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let mut sender = DtmfSender::new(DtmfConfig::default());
/// sender.send("5", start)?;
/// let mut packets = 0;
/// // The stream's own tick: every 20 ms, with the timestamp that audio would have.
/// for tick in 0..50u32 {
///     let now = start + Duration::from_millis(20) * tick;
///     while let Some(packet) = sender.poll_packet(now, 160 * tick) {
///         assert_eq!(packet.timestamp, 0); // the event's start, in all of its packets
///         packets += 1;
///     }
/// }
/// assert_eq!(packets, 8 + 3);
/// # Ok::<(), linkspan_rtp::DtmfError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DtmfSender {
    config: DtmfConfig,
    queue: VecDeque<TelephoneEvent>,
    current: Option<Sending>,
    /// No digit starts before.
    ready_at: Option<Instant>,
}

/// An event being sent.
#[derive(Clone, Copy, Debug)]
struct Sending {
    event: TelephoneEvent,
    timestamp: u32,
    started: Instant,
    next: Instant,
    sent: u32,
    ends_sent: u8,
}

/// A packet to be sent with the stream's next sequence number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DtmfPacket {
    /// The marker bit: set on the first packet of an event.
    pub marker: bool,
    /// The timestamp: when the event began.
    pub timestamp: u32,
    /// The payload.
    pub payload: [u8; 4],
}

/// Why digits were refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DtmfError {
    /// No key.
    #[error("no telephone key at octet {at}")]
    Key {
        /// Offset from the start of the digits.
        at: usize,
    },
    /// More digits wait than the configuration allows.
    #[error("too many digits waiting")]
    QueueFull,
}

impl DtmfSender {
    /// Nothing to send yet.
    #[must_use]
    pub fn new(config: DtmfConfig) -> Self {
        Self { config, queue: VecDeque::new(), current: None, ready_at: None }
    }

    /// Queues digits. Either all are queued or none.
    ///
    /// # Errors
    ///
    /// When one of them is no key (see [`TelephoneEvent::from_char`]), or too many wait.
    pub fn send(&mut self, digits: &str, now: Instant) -> Result<(), DtmfError> {
        let events = digits
            .char_indices()
            .map(|(at, key)| TelephoneEvent::from_char(key).ok_or(DtmfError::Key { at }))
            .collect::<Result<Vec<_>, _>>()?;
        if self.queue.len().saturating_add(events.len()) > self.config.max_queued {
            return Err(DtmfError::QueueFull);
        }
        self.queue.extend(events);
        self.ready_at.get_or_insert(now);
        Ok(())
    }

    /// The next packet that is due at `now`; `timestamp` is the stream's own at that instant.
    pub fn poll_packet(&mut self, now: Instant, timestamp: u32) -> Option<DtmfPacket> {
        if self.current.is_none() {
            if self.ready_at.is_some_and(|at| at > now) {
                return None;
            }
            let event = self.queue.pop_front()?;
            let (started, next) = (now, now);
            self.current = Some(Sending { event, timestamp, started, next, sent: 0, ends_sent: 0 });
        }
        let sending = self.current.as_mut().filter(|sending| sending.next <= now)?;
        let marker = sending.sent == 0;
        let repeats_start = sending.sent + 1 < u32::from(self.config.start_packets);
        sending.sent = sending.sent.saturating_add(1);
        let lasted = sending.next.saturating_duration_since(sending.started);
        // The first packet already covers one interval (RFC 4733 §2.5.1.2).
        let covered = (lasted + self.config.interval).min(self.config.duration);
        let end = lasted >= self.config.duration;
        let units = timestamp_units(covered, self.config.clock_hz);
        let payload = DtmfPayload {
            event: sending.event,
            end,
            volume: self.config.volume,
            duration: u16::try_from(units).unwrap_or(u16::MAX),
        };
        let packet =
            DtmfPacket { marker, timestamp: sending.timestamp, payload: payload.to_bytes() };
        if end {
            sending.ends_sent = sending.ends_sent.saturating_add(1);
        }
        if end && sending.ends_sent >= self.config.end_packets {
            let over = sending.started + self.config.duration + self.config.gap;
            self.ready_at = Some(over.max(now));
            self.current = None;
        } else if !repeats_start {
            sending.next += self.config.interval.max(Duration::from_millis(1));
        }
        Some(packet)
    }

    /// When the next packet is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.current {
            Some(sending) => Some(sending.next),
            None if self.queue.is_empty() => None,
            None => self.ready_at,
        }
    }

    /// Whether an event is being sent.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.current.is_some()
    }

    /// Digits that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}

/// Receives telephone events: each digit once, whatever was lost, repeated or reordered
/// (RFC 4733 §2.5.2).
///
/// A digit is known by the timestamp that its packets share: one packet of it is enough. Packets
/// of an event older than the last one reported are ignored.
///
/// ```
/// use linkspan_rtp::{DtmfReceiver, TelephoneEvent};
/// let mut receiver = DtmfReceiver::default();
/// // Only the last two packets of the digit arrive.
/// assert_eq!(receiver.on_packet(800, &[9, 0x8a, 5, 0])?, Some(TelephoneEvent(9)));
/// assert_eq!(receiver.on_packet(800, &[9, 0x8a, 5, 0])?, None);
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct DtmfReceiver {
    last: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    event: TelephoneEvent,
    timestamp: u32,
    /// Longest duration told, in timestamp units.
    duration: u16,
    ended: bool,
}

impl DtmfReceiver {
    /// A packet of the telephone-event payload type came. Gives the event when it is a new one.
    ///
    /// # Errors
    ///
    /// When the payload is no telephone event.
    pub fn on_packet(
        &mut self,
        timestamp: u32,
        payload: &[u8],
    ) -> Result<Option<TelephoneEvent>, ParseError> {
        let payload = DtmfPayload::parse(payload)?;
        if let Some(last) = &mut self.last {
            let ahead = timestamp.wrapping_sub(last.timestamp).cast_signed();
            if ahead < 0 {
                return Ok(None);
            }
            if ahead == 0 {
                last.duration = last.duration.max(payload.duration);
                last.ended |= payload.end;
                return Ok(None);
            }
            // RFC 4733 §2.5.1.3: an event longer than the field goes on in a new segment, which
            // starts where the full one ended.
            let continues = last.event == payload.event
                && !last.ended
                && ahead == i32::from(u16::MAX)
                && last.duration >= LONG_SEGMENT;
            if continues {
                *last = Heard::of(payload, timestamp);
                return Ok(None);
            }
        }
        self.last = Some(Heard::of(payload, timestamp));
        Ok(Some(payload.event))
    }

    /// The event that is being held, as far as is known.
    #[must_use]
    pub fn current(&self) -> Option<TelephoneEvent> {
        self.last.filter(|last| !last.ended).map(|last| last.event)
    }

    /// Forgets what was heard: the stream has a new source.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

impl Heard {
    fn of(payload: DtmfPayload, timestamp: u32) -> Self {
        let DtmfPayload { event, end, duration, .. } = payload;
        Self { event, timestamp, duration, ended: end }
    }
}

/// RFC 4733 §3.2 in order of the event codes; `!` stands for flash.
const KEYS: &str = "0123456789*#ABCD!";
/// A segment this long may be followed by another: half of the field, since its last packets may
/// have been lost.
const LONG_SEGMENT: u16 = 0x8000;
