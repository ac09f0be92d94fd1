use crate::access_unit::AccessUnit;
use crate::gate::KeyframeRequest;
use crate::rtp::PayloadMeta;

/// Gives one receiver one of several simulcast streams, and changes between them at IDR pictures
/// without a break in sequence numbers and timestamps.
///
/// A change waits for an IDR picture of the wanted stream, which is asked for at most once per
/// interval; meanwhile the old stream goes on. `frame_num` and the picture order count begin anew
/// with the IDR picture; parameter sets and an `idr_pic_id` that differs are [`crate::UcToAvc`]'s
/// part, which must be told of the change.
///
/// ```
/// use linkspan_svc::{AccessUnit, SimulcastConfig, SimulcastSwitch};
/// let unit = |stream, timestamp, slice| {
///     let mut unit = AccessUnit::new(timestamp);
///     unit.push_in(&[slice, 0xb8], None, stream);
///     unit
/// };
/// let mut switch = SimulcastSwitch::new(SimulcastConfig { ssrc: 7, ..Default::default() });
/// assert!(switch.accept(&unit(0, 0, 0x65)));
/// let first = switch.next_header(true);
/// switch.select(1);
/// assert!(!switch.accept(&unit(1, 3_000, 0x61))); // no IDR picture yet
/// assert!(switch.poll_keyframe_request().is_some());
/// assert!(switch.accept(&unit(0, 3_000, 0x61)));
/// switch.next_header(true);
/// // The other stream's clock is its own.
/// assert!(switch.accept(&unit(1, 777_000, 0x65)) && switch.has_switched());
/// let last = switch.next_header(true);
/// assert_eq!(last.sequence, first.sequence.wrapping_add(2));
/// assert_eq!(last.timestamp, first.timestamp.wrapping_add(6_000));
/// ```
#[derive(Clone, Debug)]
pub struct SimulcastSwitch {
    config: SimulcastConfig,
    current: Option<u8>,
    wanted: u8,
    switched: bool,
    sequence: u16,
    /// What is added to timestamps of the current stream.
    shift: u32,
    /// Timestamp of the last access unit, as it went out.
    last: Option<u32>,
    /// Ticks between the last two.
    step: u32,
    request: Option<KeyframeRequest>,
    /// When the last request was made, on the clock of what goes out.
    last_request: Option<u32>,
    /// Source and layer of the wanted stream, once it has been heard.
    heard: Option<KeyframeRequest>,
}

impl SimulcastSwitch {
    /// A switch that has passed nothing; it begins with stream 0.
    #[must_use]
    pub const fn new(config: SimulcastConfig) -> Self {
        Self {
            config,
            current: None,
            wanted: 0,
            switched: false,
            sequence: config.first_sequence,
            shift: 0,
            last: None,
            step: 3_000,
            request: None,
            last_request: None,
            heard: None,
        }
    }

    /// Wants another stream from its next IDR picture on.
    pub const fn select(&mut self, stream: u8) {
        if stream != self.wanted {
            self.wanted = stream;
            self.heard = None;
            self.last_request = None;
            self.request = None;
        }
    }

    /// Whether an access unit is for the receiver; [`Self::next_header`] then numbers its packets.
    pub fn accept(&mut self, unit: &AccessUnit) -> bool {
        let stream = unit.iter().find(|n| n.kind.is_vcl()).map_or(0, |n| n.stream);
        self.switched = false;
        if stream == self.wanted && self.current != Some(stream) {
            if !unit.is_idr() || unit.is_damaged() {
                self.ask(unit);
                return false;
            }
            self.begin(unit);
            self.current = Some(stream);
            self.switched = true;
            (self.request, self.last_request) = (None, None);
        }
        if self.current != Some(stream) {
            return false;
        }
        let mut timestamp = unit.timestamp().wrapping_add(self.shift);
        if let Some(last) = self.last {
            let ahead = timestamp.wrapping_sub(last);
            if ahead == 0 || ahead >= 1 << 31 {
                // The picture of the same instant has gone out already, from the other stream.
                timestamp = last.wrapping_add(1);
            } else if ahead > 1 && ahead < 90_000 {
                self.step = ahead;
            }
        }
        self.last = Some(timestamp);
        true
    }

    /// The RTP header fields of the next packet of the access unit that was accepted last.
    pub const fn next_header(&mut self, marker: bool) -> PayloadMeta {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let timestamp = match self.last {
            Some(timestamp) => timestamp,
            None => self.config.first_timestamp,
        };
        PayloadMeta { ssrc: self.config.ssrc, sequence, timestamp, marker }
    }

    /// Whether the access unit that was accepted last began another stream: the target of the
    /// [`crate::UcToAvc`] behind must change before it is processed.
    #[must_use]
    pub const fn has_switched(&self) -> bool {
        self.switched
    }

    /// The stream that is passed.
    #[must_use]
    pub const fn current(&self) -> Option<u8> {
        self.current
    }

    /// The IDR picture that the sender should be asked for, once per interval.
    pub const fn poll_keyframe_request(&mut self) -> Option<KeyframeRequest> {
        self.request.take()
    }

    /// Carries the clock over to the stream that `unit` begins.
    fn begin(&mut self, unit: &AccessUnit) {
        let Some(last) = self.last else {
            self.shift = self.config.first_timestamp.wrapping_sub(unit.timestamp());
            return;
        };
        // Streams of one source may share a clock: then nothing changes.
        let ahead = unit.timestamp().wrapping_add(self.shift).wrapping_sub(last);
        if ahead > 90_000 && ahead != 0 {
            self.shift = last.wrapping_add(self.step).wrapping_sub(unit.timestamp());
        }
    }

    fn ask(&mut self, unit: &AccessUnit) {
        let prid = unit.iter().find_map(|n| n.layer).map_or(0, |l| l.prid);
        let now = unit.timestamp();
        let waited = self.last_request.map(|last| now.wrapping_sub(last));
        if waited.is_none_or(|w| w >= self.config.request_interval_ticks) {
            self.last_request = Some(now);
            self.request = Some(KeyframeRequest { ssrc: unit.ssrc(), prid });
        }
    }
}

/// How a [`SimulcastSwitch`] numbers what it passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SimulcastConfig {
    /// Synchronisation source of what goes out.
    pub ssrc: u32,
    /// First sequence number; random, says RFC 3550 §5.1.
    pub first_sequence: u16,
    /// First timestamp; random as well.
    pub first_timestamp: u32,
    /// RTP timestamp ticks between two requests for a key frame. Default 90000, one second.
    pub request_interval_ticks: u32,
}

impl Default for SimulcastConfig {
    fn default() -> Self {
        Self { ssrc: 0, first_sequence: 0, first_timestamp: 0, request_interval_ticks: 90_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(stream: u8, timestamp: u32, slice: u8) -> AccessUnit {
        let mut unit = AccessUnit::new(timestamp);
        unit.push_in(&[slice, 0xb8], None, stream);
        unit
    }

    #[test]
    fn streams_of_one_clock_keep_their_distance() {
        let mut s = SimulcastSwitch::new(SimulcastConfig::default());
        assert!(s.accept(&unit(0, 5_000, 0x65)));
        assert!(s.accept(&unit(0, 8_000, 0x61)));
        s.select(1);
        // The same instant, then the next picture.
        assert!(s.accept(&unit(1, 8_000, 0x65)) && s.has_switched());
        assert_eq!(s.next_header(false).timestamp, 3_001);
        assert!(!s.accept(&unit(0, 11_000, 0x61)));
        assert!(s.accept(&unit(1, 11_000, 0x61)) && !s.has_switched());
        assert_eq!(s.next_header(false).timestamp, 6_000);
    }

    #[test]
    fn requests_are_limited_and_end_with_the_switch() {
        let mut s = SimulcastSwitch::new(SimulcastConfig::default());
        s.select(1);
        let mut requests = 0;
        for n in 0..60 {
            assert!(!s.accept(&unit(1, n * 3_000, 0x61)));
            requests += u32::from(s.poll_keyframe_request().is_some());
        }
        assert_eq!(requests, 2);
        // A damaged IDR picture is no beginning.
        let mut damaged = unit(1, 180_000, 0x65);
        damaged.set_damaged(true);
        assert!(!s.accept(&damaged) && s.poll_keyframe_request().is_some());
        assert!(s.accept(&unit(1, 183_000, 0x65)) && s.poll_keyframe_request().is_none());
    }

    #[test]
    fn nothing_ever_goes_back() {
        let mut s = SimulcastSwitch::new(SimulcastConfig::default());
        let mut last = None;
        for n in 0..200u32 {
            let stream = (n / 20 % 2).to_le_bytes()[0];
            s.select(stream);
            let clock = if stream == 0 { 0 } else { 0x8000_0000 };
            let slice = if n % 20 == 3 { 0x65 } else { 0x61 };
            if s.accept(&unit(stream, (n * 3_000).wrapping_add(clock), slice)) {
                let header = s.next_header(true);
                if let Some((sequence, timestamp)) = last {
                    assert_eq!(header.sequence, u16::wrapping_add(sequence, 1));
                    assert!(header.timestamp.wrapping_sub(timestamp) < 90_000, "{n}");
                    assert_ne!(header.timestamp, timestamp);
                }
                last = Some((header.sequence, header.timestamp));
            }
        }
        assert!(last.unwrap().0 > 150);
    }
}
