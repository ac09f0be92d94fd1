use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Decides when the next RTCP compound packet is due (RFC 3550 §6.3, appendix A.7).
///
/// ```
/// use linkspan_rtp::{RtcpTiming, RtcpTimingConfig};
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let mut timing = RtcpTiming::new(RtcpTimingConfig::default(), [7; 32], start);
/// let due = timing.poll_timeout().unwrap();
/// assert!(due < start + Duration::from_secs(4));
/// assert!(timing.handle_timeout(due)); // now send a report …
/// timing.on_sent(80, due); // … and say how long it was
/// assert!(timing.poll_timeout().unwrap() > due);
/// ```
#[derive(Clone, Debug)]
pub struct RtcpTiming {
    config: RtcpTimingConfig,
    random: ChaCha20Rng,
    /// Average size of compound packets in octets, times 16 (§6.3.3).
    average_size: f64,
    initial: bool,
    we_sent: bool,
    members: u32,
    senders: u32,
    /// Members at the last computation (pmembers).
    members_before: u32,
    last_sent: Instant,
    due: Option<Instant>,
    /// A BYE is waiting for its turn.
    leaving: bool,
}

/// What the interval depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtcpTimingConfig {
    /// Session bandwidth, of which RTCP takes 5 % (§6.2).
    pub session_bps: u32,
    /// The shortest interval, before randomisation: 5 s (§6.2). Half of it before the first
    /// packet.
    pub minimum: Duration,
    /// The longest interval after randomisation. A Lync side ends a call after 30 s without RTCP;
    /// the default of 5 s keeps far away from that.
    pub maximum: Duration,
    /// Octets of UDP and IP header per packet: 28, or 48 with IPv6.
    pub transport_overhead: u16,
}

impl Default for RtcpTimingConfig {
    fn default() -> Self {
        Self {
            session_bps: 1_000_000,
            minimum: Duration::from_secs(5),
            maximum: Duration::from_secs(5),
            transport_overhead: 28,
        }
    }
}

impl RtcpTiming {
    /// One participant, no sender, nothing sent yet.
    #[must_use]
    pub fn new(config: RtcpTimingConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut timing = Self {
            config,
            random: ChaCha20Rng::from_seed(seed),
            // §6.3.2: the probable size of the first packet.
            average_size: f64::from(config.transport_overhead) + 80.0,
            initial: true,
            we_sent: false,
            members: 1,
            senders: 0,
            members_before: 1,
            last_sent: now,
            due: None,
            leaving: false,
        };
        timing.due = Some(now + timing.interval());
        timing
    }

    /// How many take part (at least this participant), how many of them send, and whether this
    /// one does.
    ///
    /// When participants left, the next packet is due sooner (reverse reconsideration, §6.3.4).
    pub fn set_membership(&mut self, members: u32, senders: u32, we_sent: bool, now: Instant) {
        if self.leaving {
            return;
        }
        let members = members.max(1);
        if members < self.members_before
            && let Some(due) = self.due
        {
            let share = f64::from(members) / f64::from(self.members_before);
            let scaled = |duration: Duration| duration.mul_f64(share);
            self.due = Some(now + scaled(due.saturating_duration_since(now)));
            let since = scaled(now.saturating_duration_since(self.last_sent));
            self.last_sent = now.checked_sub(since).unwrap_or(now);
            self.members_before = members;
        }
        (self.members, self.senders, self.we_sent) = (members, senders, we_sent);
    }

    /// A compound packet of `len` octets came.
    pub fn on_received(&mut self, len: usize) {
        // §6.3.7: one who leaves counts BYE packets alone.
        if !self.leaving {
            self.average(len);
        }
    }

    /// The same for a compound packet with a BYE.
    pub fn on_received_bye(&mut self, len: usize) {
        self.average(len);
        if self.leaving {
            self.members = self.members.saturating_add(1);
        }
    }

    /// This participant leaves, and its BYE will have `len` octets. It is due at once in a small
    /// session; among more than 50 members it waits its turn, lest all who leave together flood the
    /// others (§6.3.7). When [`handle_timeout`](Self::handle_timeout) says so, send it and
    /// [`stop`](Self::stop). One who has sent nothing at all leaves without a BYE.
    pub fn leave(&mut self, len: usize, now: Instant) {
        if self.leaving || self.due.is_none() {
            return;
        }
        self.leaving = true;
        if self.members <= SMALL_SESSION {
            // Not to be reconsidered either.
            (self.due, self.members_before) = (Some(now), self.members);
            return;
        }
        (self.members, self.members_before, self.senders) = (1, 1, 0);
        (self.we_sent, self.initial, self.last_sent) = (false, true, now);
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        self.average_size = f64::from(len) + f64::from(self.config.transport_overhead);
        self.due = Some(now + self.interval());
    }

    /// A compound packet of `len` octets was sent: sets when the next is due.
    pub fn on_sent(&mut self, len: usize, now: Instant) {
        self.average(len);
        self.initial = false;
        self.last_sent = now;
        self.members_before = self.members;
        self.due = Some(now + self.interval());
    }

    /// Time has passed: whether a packet is to be sent now. If others joined meanwhile, it may be
    /// put off (timer reconsideration, §6.3.6).
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let Some(due) = self.due.filter(|due| *due <= now) else { return false };
        let interval = self.interval();
        let reconsidered = self.last_sent + interval;
        if self.members > self.members_before && reconsidered > now {
            self.members_before = self.members;
            self.due = Some(reconsidered.max(due));
            return false;
        }
        true
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` after [`stop`](Self::stop).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// No more reports: the participant leaves.
    pub fn stop(&mut self) {
        self.due = None;
    }

    /// The deterministic interval of §6.3.1.
    #[must_use]
    pub fn deterministic_interval(&self) -> Duration {
        let minimum = if self.initial { self.config.minimum / 2 } else { self.config.minimum };
        // 5 % of the session, a quarter of that for senders unless they are more than a quarter.
        let mut bandwidth = f64::from(self.config.session_bps) / 8.0 * 0.05;
        let mut sharing = self.members;
        if self.senders <= self.members / 4 && self.senders > 0 {
            if self.we_sent {
                bandwidth *= 0.25;
                sharing = self.senders;
            } else {
                bandwidth *= 0.75;
                sharing = self.members.saturating_sub(self.senders);
            }
        }
        let seconds = self.average_size * f64::from(sharing.max(1)) / bandwidth.max(1.0);
        let interval = Duration::try_from_secs_f64(seconds).unwrap_or(MAX_INTERVAL);
        interval.max(minimum).min(MAX_INTERVAL)
    }

    fn interval(&mut self) -> Duration {
        // §6.3.1: uniformly between 0.5 and 1.5 times, then divided by e - 3/2.
        let random = f64::from(self.random.next_u32()) / f64::from(u32::MAX);
        let interval = self.deterministic_interval().mul_f64((0.5 + random) / COMPENSATION);
        interval.min(self.config.maximum)
    }

    fn average(&mut self, len: usize) {
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        let size = f64::from(len) + f64::from(self.config.transport_overhead);
        // §6.3.3.
        self.average_size = size / 16.0 + self.average_size * 15.0 / 16.0;
    }
}

/// RFC 3550 §6.3.1: e - 3/2.
const COMPENSATION: f64 = 1.218_28;
/// RFC 3550 §6.3.7: up to so many members, a BYE goes out at once.
const SMALL_SESSION: u32 = 50;
/// Bounds the arithmetic, whatever the configuration.
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> RtcpTimingConfig {
        RtcpTimingConfig { maximum: Duration::from_secs(600), ..RtcpTimingConfig::default() }
    }

    #[test]
    fn intervals_follow_the_rules_of_section_6_3_1() {
        let now = Instant::now();
        // 64 kbit/s: RTCP has 400 octets per second.
        let mut timing =
            RtcpTiming::new(RtcpTimingConfig { session_bps: 64_000, ..config() }, [1; 32], now);
        timing.average_size = 100.0;
        assert_eq!(timing.deterministic_interval(), Duration::from_millis(2500));
        timing.on_sent(72, now);
        assert_eq!(timing.deterministic_interval(), Duration::from_secs(5));
        // 100 members, 10 senders: a sender has 100 octets per second among ten.
        timing.set_membership(100, 10, true, now);
        assert_eq!(timing.deterministic_interval(), Duration::from_secs(10));
        timing.set_membership(100, 10, false, now);
        assert_eq!(timing.deterministic_interval(), Duration::from_secs(30));
        // More than a quarter send: no division.
        timing.set_membership(100, 30, true, now);
        assert_eq!(timing.deterministic_interval(), Duration::from_secs(25));
    }

    #[test]
    fn randomised_intervals_keep_to_their_range_and_mean() {
        let now = Instant::now();
        let mut timing = RtcpTiming::new(config(), [2; 32], now);
        timing.on_sent(80, now);
        let mut sum = 0.0;
        for _ in 0..2000 {
            let seconds = timing.interval().as_secs_f64();
            assert!((2.5 / COMPENSATION..=7.5 / COMPENSATION).contains(&seconds), "{seconds}");
            sum += seconds;
        }
        let mean = sum / 2000.0;
        assert!((4.0..4.2).contains(&mean), "{mean}");
    }

    #[test]
    fn a_crowd_that_joins_puts_the_packet_off_and_leaving_brings_it_near() {
        let now = Instant::now();
        let mut timing =
            RtcpTiming::new(RtcpTimingConfig { session_bps: 8000, ..config() }, [3; 32], now);
        timing.set_membership(1000, 0, false, now);
        let due = timing.poll_timeout().unwrap();
        assert!(!timing.handle_timeout(due));
        let later = timing.poll_timeout().unwrap();
        assert!(later > due + Duration::from_secs(30));
        timing.set_membership(10, 0, false, due);
        let sooner = timing.poll_timeout().unwrap();
        assert!(sooner - due < (later - due).mul_f64(0.011));
        assert!(timing.handle_timeout(sooner));
    }

    #[test]
    fn a_call_never_goes_without_rtcp_for_long() {
        let now = Instant::now();
        let mut timing = RtcpTiming::new(RtcpTimingConfig::default(), [4; 32], now);
        let mut at = now;
        for _ in 0..100 {
            let due = timing.poll_timeout().unwrap();
            assert!(due - at <= Duration::from_secs(5));
            at = due;
            assert!(timing.handle_timeout(at));
            timing.on_sent(1400, at);
        }
        timing.stop();
        assert!(!timing.handle_timeout(at + Duration::from_secs(60)));
    }

    /// `rtcp_interval` of appendix A.7 without its random part, and without the compensation.
    fn appendix_a_7(
        members: f64,
        senders: f64,
        rtcp_bw: f64,
        sent: bool,
        size: f64,
        initial: bool,
    ) -> f64 {
        let minimum = if initial { 2.5 } else { 5.0 };
        let (mut n, mut bandwidth) = (members, rtcp_bw);
        if senders <= members * 0.25 {
            if sent {
                bandwidth *= 0.25;
                n = senders;
            } else {
                bandwidth *= 0.75;
                n -= senders;
            }
        }
        f64::max(size * n / bandwidth, minimum)
    }

    #[test]
    fn intervals_are_those_of_appendix_a_7() {
        let now = Instant::now();
        for (members, senders, sent, kbit, size, first) in [
            (1, 1, true, 64, 100, true),
            (2, 1, false, 64, 100, false),
            (4, 1, true, 8, 400, false),
            (4, 2, true, 8, 400, false),
            (5, 1, false, 8, 400, true),
            (100, 25, true, 64, 200, false),
            (100, 26, false, 64, 200, false),
            (2000, 1, false, 1000, 120, false),
            (2000, 1, true, 1000, 120, true),
        ] {
            let session_bps = 1000 * kbit;
            let config = RtcpTimingConfig { session_bps, ..config() };
            let mut timing = RtcpTiming::new(config, [1; 32], now);
            timing.set_membership(members, senders, sent, now);
            (timing.average_size, timing.initial) = (f64::from(size), first);
            let rtcp_bw = f64::from(session_bps) / 8.0 * 0.05;
            let expected =
                appendix_a_7(members.into(), senders.into(), rtcp_bw, sent, size.into(), first);
            let interval = timing.deterministic_interval().as_secs_f64();
            assert!(
                (interval - expected).abs() < 1e-6,
                "{members} {senders}: {interval} {expected}"
            );
        }
    }

    #[test]
    fn a_bye_waits_its_turn_in_a_crowd_and_no_longer_than_needed() {
        let now = Instant::now();
        let config = RtcpTimingConfig { session_bps: 64_000, ..config() };
        let mut small = RtcpTiming::new(config, [5; 32], now);
        small.set_membership(50, 1, true, now);
        small.leave(40, now);
        assert!(small.handle_timeout(now));

        let mut crowd = RtcpTiming::new(config, [5; 32], now);
        crowd.set_membership(1000, 1, false, now);
        crowd.leave(40, now);
        assert!(!crowd.handle_timeout(now));
        let due = crowd.poll_timeout().unwrap();
        assert!(due <= now + Duration::from_secs(4), "as one who is alone");
        // 500 others leave as well: reconsideration puts it off.
        (0..500).for_each(|_| crowd.on_received_bye(40));
        crowd.on_received(1400);
        assert!(!crowd.handle_timeout(due));
        let later = crowd.poll_timeout().unwrap();
        assert!(later > due + Duration::from_secs(20));
        assert!(crowd.handle_timeout(later));
        crowd.stop();
        assert_eq!(crowd.poll_timeout(), None);
    }
}
