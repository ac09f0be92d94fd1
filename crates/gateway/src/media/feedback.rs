//! When to ask for a keyframe or for video at all, and when a request is a repetition.

use core::time::Duration;
use std::time::Instant;

/// Wants a keyframe from the sender of a stream until one comes.
///
/// A request is repeated with the same number until the keyframe arrives (MS-RTP: identical
/// numbers are one request), after half a second and then every second: where every third packet is
/// lost, so are requests and what answers them. A new wish gets a new number, as does the one for
/// another keyframe when one has come damaged, and requests never follow each other closer than
/// [`KeyframeWish::GAP`].
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyframeWish {
    number: u16,
    wanted: Option<Wanted>,
    last_sent: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    due: Instant,
    repeat: Duration,
}

impl KeyframeWish {
    /// Requests on the wire keep this distance.
    pub(crate) const GAP: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(1);

    /// A keyframe is wanted. While an earlier wish is open this is the same wish.
    pub(crate) fn want(&mut self, now: Instant) {
        if self.wanted.is_none() {
            self.want_another(Self::GAP, now);
        }
    }

    /// A keyframe has arrived.
    pub(crate) fn arrived(&mut self) {
        self.wanted = None;
    }

    /// A keyframe has arrived, and parts of it are missing: the sender answers, so the next one is
    /// worth another request, but not every picture is to be a keyframe.
    pub(crate) fn arrived_damaged(&mut self, now: Instant) {
        self.want_another(Self::LONGEST, now);
    }

    fn want_another(&mut self, gap: Duration, now: Instant) {
        self.number = self.number.wrapping_add(1);
        let due = self.last_sent.map_or(now, |sent| now.max(sent + gap));
        self.wanted = Some(Wanted { due, repeat: Self::GAP });
    }

    /// The number of the request to send now, if one is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<u16> {
        let wanted = self.wanted.as_mut().filter(|w| w.due <= now)?;
        wanted.due = now + wanted.repeat;
        wanted.repeat = (wanted.repeat * 2).min(Self::LONGEST);
        self.last_sent = Some(now);
        Some(self.number)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.wanted.map(|w| w.due)
    }
}

/// Sends the video source request that a Lync sender waits for.
///
/// [MS-RTP] §2.2.12.2: the same number in repetitions. Repeated every half second, backing off to
/// five, until video arrives; then refreshed at the slow rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceRequest {
    number: u16,
    state: Option<Requesting>,
}

#[derive(Clone, Copy, Debug)]
struct Requesting {
    due: Instant,
    repeat: Duration,
    keyframe: bool,
}

impl SourceRequest {
    const FIRST: Duration = Duration::from_millis(500);
    const SLOWEST: Duration = Duration::from_secs(5);

    /// Video is wanted from now on.
    pub(crate) fn start(&mut self, now: Instant) {
        self.next_number();
        self.state = Some(Requesting { due: now, repeat: Self::FIRST, keyframe: true });
    }

    /// Video is not wanted any more.
    pub(crate) fn stop(&mut self) {
        self.state = None;
    }

    /// A number for a different request.
    pub(crate) fn next_number(&mut self) -> u16 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    /// Video has arrived.
    pub(crate) fn arrived(&mut self, now: Instant) {
        if let Some(state) = &mut self.state
            && state.repeat < Self::SLOWEST
        {
            *state =
                Requesting { due: now + Self::SLOWEST, repeat: Self::SLOWEST, keyframe: false };
        }
    }

    /// Number of the request to send now, and whether it asks for a keyframe.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<(u16, bool)> {
        let state = self.state.as_mut().filter(|s| s.due <= now)?;
        state.due = now + state.repeat;
        // Strictly below the slowest rate until video has arrived.
        let doubled = state.repeat * 2;
        state.repeat = if state.keyframe {
            doubled.min(Self::SLOWEST - Duration::from_millis(1))
        } else {
            Self::SLOWEST
        };
        Some((self.number, state.keyframe))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.state.map(|s| s.due)
    }
}

/// How much of the agreed bit rate a Lync sender is asked for: less while many of its packets are
/// lost, because a picture of fewer packets comes whole more often, and because losses may come from
/// too much being sent.
#[derive(Clone, Debug)]
pub(crate) struct RateWish {
    percent: u32,
    packets: u64,
    lost: u64,
}

impl Default for RateWish {
    fn default() -> Self {
        Self { percent: 100, packets: 0, lost: 0 }
    }
}

impl RateWish {
    const LEAST: u32 = 10;
    /// Fewer packets than this tell nothing.
    const SAMPLE: u64 = 50;

    /// Looks at the packets that have come, and those that have not, since it was asked last. True
    /// where the sender is to be told another rate.
    pub(crate) fn judge(&mut self, packets: u64, lost: u64) -> bool {
        let came = packets.saturating_sub(core::mem::replace(&mut self.packets, packets));
        let missing = lost.saturating_sub(core::mem::replace(&mut self.lost, lost));
        if came + missing < Self::SAMPLE {
            return false;
        }
        let before = self.percent;
        match missing * 100 / (came + missing) {
            10.. => self.percent = (self.percent * 7 / 10).max(Self::LEAST),
            0 | 1 => self.percent = (self.percent * 5 / 4).min(100),
            _ => {}
        }
        self.percent != before
    }

    /// What is asked for of `kbps`.
    pub(crate) const fn of(&self, kbps: u32) -> u32 {
        kbps.saturating_mul(self.percent) / 100
    }
}

/// Lets through one keyframe request of each number, and no more than one in half a second.
///
/// What is held back is not lost: a receiver that still has no picture asks again.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestGate {
    last_number: Option<u32>,
    last_passed: Option<Instant>,
    /// Requests held back.
    pub(crate) suppressed: u64,
}

impl RequestGate {
    /// Whether a request goes on to the sender. `number` is `None` for forms without one.
    pub(crate) fn pass(&mut self, number: Option<u32>, now: Instant) -> bool {
        let repeated = number.is_some() && number == self.last_number;
        let early = self.last_passed.is_some_and(|at| now < at + KeyframeWish::GAP);
        if repeated || early {
            self.suppressed += 1;
            return false;
        }
        if number.is_some() {
            self.last_number = number;
        }
        self.last_passed = Some(now);
        true
    }
}

/// A receiver of video that reports its losses and asks for no keyframe, as clients do that know
/// no feedback message: it is asked for on its behalf, once a second while the losses go on.
#[derive(Debug, Default)]
pub(crate) struct LossWatch {
    /// It does ask by itself.
    asks: bool,
    next: Option<Instant>,
    until: Option<Instant>,
}

impl LossWatch {
    const GAP: Duration = Duration::from_secs(1);
    /// Reports come at most 5 s apart, give or take half of it (RFC 3550 §6.3.1).
    const LASTS: Duration = Duration::from_secs(8);

    /// A keyframe request of the receiver's own has come: it needs no help.
    pub(crate) fn asked(&mut self) {
        *self = Self { asks: true, ..Self::default() };
    }

    /// A reception report has come, with the share that was lost since the one before.
    pub(crate) fn reported(&mut self, fraction_lost: u8, now: Instant) {
        if self.asks {
            return;
        }
        if fraction_lost == 0 {
            *self = Self::default();
        } else {
            self.next = self.next.or(Some(now));
            self.until = Some(now + Self::LASTS);
        }
    }

    /// Whether a keyframe is to be asked for now.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        let next = now + Self::GAP;
        self.next = self.until.is_some_and(|until| next < until).then_some(next);
        true
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_wish_is_repeated_with_its_number_until_the_keyframe_comes() {
        let t = Instant::now();
        let mut wish = KeyframeWish::default();
        assert_eq!(wish.poll(t), None);
        wish.want(t);
        assert_eq!(wish.poll(t), Some(1));
        wish.want(t + ms(1));
        assert_eq!(wish.poll(t + ms(499)), None);
        assert_eq!(wish.poll(t + ms(500)), Some(1));
        assert_eq!(wish.poll_timeout(), Some(t + ms(1500)));
        wish.arrived();
        assert_eq!(wish.poll_timeout(), None);
        // A new wish has a new number and keeps its distance from the last request.
        wish.want(t + ms(600));
        assert_eq!(wish.poll(t + ms(600)), None);
        assert_eq!(wish.poll(t + ms(1000)), Some(2));
    }

    #[test]
    fn a_damaged_keyframe_is_asked_for_anew_with_another_number() {
        let t = Instant::now();
        let mut wish = KeyframeWish::default();
        wish.want(t);
        assert_eq!(wish.poll(t), Some(1));
        wish.arrived_damaged(t + ms(40));
        assert_eq!(wish.poll(t + ms(999)), None);
        assert_eq!(wish.poll(t + ms(1_000)), Some(2));
        // That one got lost: it is repeated as it was.
        assert_eq!(wish.poll(t + ms(1_500)), Some(2));
        // A damaged keyframe that nobody has asked for.
        wish.arrived();
        wish.arrived_damaged(t + ms(9_000));
        assert_eq!(wish.poll(t + ms(9_000)), Some(3));
    }

    #[test]
    fn wishes_are_bounded_under_constant_loss() {
        let t = Instant::now();
        let mut wish = KeyframeWish::default();
        let sent = (0..60_000_u64)
            .step_by(10)
            .filter(|n| {
                wish.want(t + ms(*n));
                wish.poll(t + ms(*n)).is_some()
            })
            .count();
        assert!((55..=61).contains(&sent), "{sent} in a minute");
    }

    #[test]
    fn video_is_asked_for_until_it_arrives_and_then_refreshed() {
        let t = Instant::now();
        let mut request = SourceRequest::default();
        request.start(t);
        assert_eq!(request.poll(t), Some((1, true)));
        assert_eq!(request.poll(t + ms(400)), None);
        assert_eq!(request.poll(t + ms(500)), Some((1, true)));
        request.arrived(t + ms(700));
        assert_eq!(request.poll(t + ms(5_000)), None);
        assert_eq!(request.poll(t + ms(5_700)), Some((1, false)));
        request.stop();
        assert_eq!(request.poll(t + ms(60_000)), None);
        request.start(t + ms(60_000));
        assert_eq!(request.poll(t + ms(60_000)), Some((2, true)));
    }

    #[test]
    fn less_is_asked_for_while_packets_are_lost_and_more_when_they_are_not() {
        let mut wish = RateWish::default();
        let (mut packets, mut lost) = (0, 0);
        let mut after = |came: u64, missing: u64| {
            (packets, lost) = (packets + came, lost + missing);
            (wish.judge(packets, lost), wish.of(2_000))
        };
        assert_eq!(after(100, 0), (false, 2_000));
        assert_eq!(after(90, 10), (true, 1_400));
        assert_eq!(after(95, 5), (false, 1_400));
        assert_eq!(after(20, 20), (false, 1_400));
        for _ in 0..10 {
            after(70, 30);
        }
        assert_eq!(after(70, 30), (false, 200));
        assert_eq!(after(99, 1), (true, 240));
        for _ in 0..12 {
            after(100, 0);
        }
        assert_eq!(after(100, 0), (false, 2_000));
    }

    #[test]
    fn a_receiver_that_only_reports_losses_gets_a_keyframe_a_second() {
        let t = Instant::now();
        let mut watch = LossWatch::default();
        let count = |watch: &mut LossWatch, from: u64, to: u64| {
            (from..to).filter(|n| watch.poll(t + ms(n * 100))).count()
        };
        watch.reported(0, t);
        assert_eq!(count(&mut watch, 0, 50), 0);
        watch.reported(25, t + ms(5_000));
        assert_eq!(count(&mut watch, 50, 100), 5);
        // The losses have ended, or so the next report says.
        watch.reported(0, t + ms(10_000));
        assert_eq!(count(&mut watch, 100, 200), 0);
        // No further report: it ends by itself.
        watch.reported(1, t + ms(20_000));
        assert_eq!(count(&mut watch, 200, 600), 8);
        assert_eq!(watch.poll_timeout(), None);
        // Who asks by himself is left alone.
        watch.asked();
        watch.reported(80, t + ms(60_000));
        assert_eq!(count(&mut watch, 600, 700), 0);
    }

    #[test]
    fn repeated_and_early_requests_are_held_back() {
        let t = Instant::now();
        let mut gate = RequestGate::default();
        assert!(gate.pass(Some(7), t));
        assert!(!gate.pass(Some(7), t + ms(5_000)));
        assert!(gate.pass(Some(8), t + ms(5_000)));
        assert!(!gate.pass(None, t + ms(5_100)));
        assert!(gate.pass(None, t + ms(5_600)));
        assert!(!gate.pass(Some(8), t + ms(9_000)));
        assert_eq!(gate.suppressed, 3);
    }
}
