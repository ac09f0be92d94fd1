use crate::ms::MaxVideoRate;
use crate::params::{Level, ProfileLevel};
use crate::uc_to_avc::LayerTarget;

/// Chooses the layers that a receiver gets, from what it can take and what the path carries.
///
/// Going down is immediate: a receiver that is sent too much loses more than it gains. Going up waits
/// until the better choice has fitted, with some room to spare, for [`SelectorConfig::patience_ticks`],
/// so that a path at the edge does not flap. A higher temporal layer starts at any access unit of a
/// lower one; another stream or size starts at its next IDR picture, which
/// [`Self::wants_keyframe`] asks for, and until then the old one goes on.
///
/// ```
/// use linkspan_svc::{Constraints, LayerOption, LayerSelector, LayerTarget, SelectorConfig};
/// let option = |stream, max_temporal, frame_size_mbs, frame_rate, bitrate_bps| LayerOption {
///     target: LayerTarget { stream, max_temporal, dependency: 0 },
///     stands_alone: true, frame_size_mbs, frame_rate, bitrate_bps, ..LayerOption::default()
/// };
/// let options = [
///     option(0, 0, 240, 15.0, 80_000),
///     option(0, 1, 240, 30.0, 150_000),
///     option(1, 1, 920, 30.0, 450_000),
/// ];
/// let mut selector = LayerSelector::new(SelectorConfig::default());
/// let narrow = Constraints { max_bitrate_bps: Some(200_000), ..Constraints::default() };
/// assert_eq!(selector.update(&options, &narrow, 0), Some(options[1].target));
/// let wide = Constraints { max_bitrate_bps: Some(2_000_000), ..Constraints::default() };
/// assert_eq!(selector.update(&options, &wide, 3_000), None); // not yet
/// assert_eq!(selector.update(&options, &wide, 600_000), None); // from the next IDR on
/// assert!(selector.wants_keyframe());
/// assert_eq!(selector.on_idr(1), Some(options[2].target));
/// ```
#[derive(Clone, Debug)]
pub struct LayerSelector {
    config: SelectorConfig,
    current: Option<LayerTarget>,
    /// Waits for an IDR picture of its stream.
    pending: Option<LayerTarget>,
    /// Since when something better fits.
    better_since: Option<(LayerTarget, u32)>,
    /// When loss last lowered the choice.
    lowered: Option<u32>,
}

impl LayerSelector {
    /// A selector that has chosen nothing.
    #[must_use]
    pub const fn new(config: SelectorConfig) -> Self {
        Self { config, current: None, pending: None, better_since: None, lowered: None }
    }

    /// Looks at what there is, best last, and at what fits, at an RTP timestamp; gives the target to
    /// change to now, if any.
    ///
    /// Where nothing fits, the first option is taken: less cannot be had.
    pub fn update(
        &mut self,
        options: &[LayerOption],
        constraints: &Constraints,
        timestamp: u32,
    ) -> Option<LayerTarget> {
        let fits = |room: f64| options.iter().rfind(|o| constraints.allow(o, room));
        let place = |t: LayerTarget| options.iter().position(|o| o.target == t);
        let mut safe = fits(1.0).or_else(|| options.first())?.target;
        let Some(current) = self.current else {
            self.current = Some(safe);
            return Some(safe);
        };
        let now = place(current);
        if constraints.loss >= self.config.loss_down && self.may_lower(timestamp) {
            let less = options.get(..now.unwrap_or(0)).unwrap_or_default();
            let less = less.iter().rfind(|o| constraints.allow(o, 1.0)).or_else(|| less.first());
            if let Some(less) = less.filter(|l| place(l.target) < place(safe)) {
                safe = less.target;
                self.lowered = Some(timestamp);
            }
        }
        // Whatever is waited for must still fit.
        if self.pending.is_some_and(|p| place(p) > place(safe)) {
            self.pending = None;
        }
        if now.is_none() || place(safe) < now {
            self.better_since = None;
            return self.change(safe, true);
        }
        let calm = constraints.loss <= self.config.loss_up;
        let better = fits(self.config.headroom).filter(|_| calm);
        let better = better.map(|o| o.target).filter(|t| place(*t) > now);
        let Some(better) = better else {
            self.better_since = None;
            return None;
        };
        let since = match self.better_since {
            Some((target, since)) if place(better) >= place(target) => since,
            _ => timestamp,
        };
        self.better_since = Some((better, since));
        if timestamp.wrapping_sub(since) < self.config.patience_ticks {
            return None;
        }
        self.better_since = None;
        self.change(better, false)
    }

    /// A choice made because of loss has some time to prove itself.
    fn may_lower(&self, timestamp: u32) -> bool {
        self.lowered.is_none_or(|l| timestamp.wrapping_sub(l) >= self.config.loss_ticks)
    }

    /// Changes now where that is legal, otherwise at the next IDR picture.
    fn change(&mut self, target: LayerTarget, down: bool) -> Option<LayerTarget> {
        let current = self.current?;
        let same_pictures =
            (current.stream, current.dependency) == (target.stream, target.dependency);
        if same_pictures {
            self.pending = None;
            self.current = Some(target);
            return Some(target);
        }
        self.pending = Some(target);
        if down {
            // Meanwhile the current stream goes on at its lowest frame rate.
            let least = LayerTarget { max_temporal: 0, ..current };
            if least != current {
                self.current = Some(least);
                return Some(least);
            }
        }
        None
    }

    /// An IDR access unit of `stream` is about to be processed; gives the target to change to before
    /// that.
    pub fn on_idr(&mut self, stream: u8) -> Option<LayerTarget> {
        let target = self.pending.filter(|p| p.stream == stream)?;
        self.pending = None;
        self.current = Some(target);
        Some(target)
    }

    /// Whether a change waits for an IDR picture; ask the sender for one, of the stream in
    /// [`Self::pending`].
    #[must_use]
    pub const fn wants_keyframe(&self) -> bool {
        self.pending.is_some()
    }

    /// The target that waits for an IDR picture.
    #[must_use]
    pub const fn pending(&self) -> Option<LayerTarget> {
        self.pending
    }

    /// The target in use.
    #[must_use]
    pub const fn current(&self) -> Option<LayerTarget> {
        self.current
    }
}

/// One choice of a [`LayerSelector`], as a [`crate::LayerModel`] gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerOption {
    /// The layers.
    pub target: LayerTarget,
    /// Target `quality_id`.
    pub quality: u8,
    /// `priority_id` of the highest layer.
    pub prid: u8,
    /// Whether the layer does without those below it, so that it can be had as AVC.
    pub stands_alone: bool,
    /// Width and height of the picture to show, 0 where no parameter set tells.
    pub size: (u32, u32),
    /// Macroblocks of a picture: [`crate::Sps::frame_size_mbs`].
    pub frame_size_mbs: u32,
    /// Pictures per second.
    pub frame_rate: f64,
    /// Bit rate of the target and everything below it that it needs.
    pub bitrate_bps: u32,
    /// What the parameter set claims.
    pub profile_level: Option<ProfileLevel>,
}

/// What a receiver and its path take; `None` is no limit.
///
/// ```
/// use linkspan_svc::{Constraints, ms::MaxVideoRate};
/// // a=fmtp:97 profile-level-id=42e01e;max-mbps=108000, TMMBR 800 kbit/s, and a policy
/// let mut constraints = Constraints::of_receiver("42e01e".parse().unwrap());
/// constraints.max_mbps = constraints.max_mbps.max(Some(108_000));
/// constraints.limit_bitrate(800_000);
/// constraints.limit_policy(MaxVideoRate::Vga600K);
/// assert_eq!(constraints.max_bitrate_bps, Some(600_000));
/// assert_eq!(constraints.max_frame_rate, Some(25.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Constraints {
    /// Whose coding tools the receiver has: the profile of `profile-level-id`.
    pub profile: Option<ProfileLevel>,
    /// Whether it decodes layers that predict from others (H.264 Annex G).
    pub scalable: bool,
    /// `max-fs` of the receiver, or of its level (RFC 6184 §8.1).
    pub max_frame_size_mbs: Option<u32>,
    /// `max-mbps`, macroblocks per second.
    pub max_mbps: Option<u32>,
    /// Pictures per second.
    pub max_frame_rate: Option<f64>,
    /// Bandwidth: `b=`, `max-br`, TMMBR, REMB or Lync's `MaxVideoRateAllowed`, the smallest of them.
    pub max_bitrate_bps: Option<u32>,
    /// Share of packets that the receiver reported lost, 0 to 1.
    pub loss: f64,
}

impl Constraints {
    /// Constraints of a level (H.264 Table A-1), by `level_idc`; unknown levels are those below.
    #[must_use]
    pub fn of_level(level_idc: u8) -> Self {
        let level = Level::of(level_idc);
        Self {
            max_frame_size_mbs: Some(level.max_frame_size_mbs),
            max_mbps: Some(level.max_mbps),
            ..Self::default()
        }
    }

    /// Constraints of a `profile-level-id`: profile, size, macroblock rate and bit rate. `max-fs`,
    /// `max-mbps` and `max-br` beside it replace those of the level.
    #[must_use]
    pub fn of_receiver(profile_level: ProfileLevel) -> Self {
        let level = profile_level.level();
        Self {
            profile: Some(profile_level),
            max_frame_size_mbs: Some(level.max_frame_size_mbs),
            max_mbps: Some(level.max_mbps),
            max_bitrate_bps: Some(level.max_bitrate_bps),
            ..Self::default()
        }
    }

    /// Takes one more limit of bandwidth; the smallest holds.
    pub fn limit_bitrate(&mut self, bps: u32) {
        self.max_bitrate_bps = Some(self.max_bitrate_bps.map_or(bps, |old| old.min(bps)));
    }

    /// Takes Lync's policy as one more limit.
    pub fn limit_policy(&mut self, policy: MaxVideoRate) {
        self.limit_bitrate(policy.bitrate_bps());
        let size = policy.frame_size_mbs();
        self.max_frame_size_mbs = Some(self.max_frame_size_mbs.map_or(size, |old| old.min(size)));
        if let Some(rate) = policy.frame_rate() {
            self.max_frame_rate = Some(self.max_frame_rate.map_or(rate, |old| old.min(rate)));
        }
    }

    /// Whether an option fits, with `room` times its bit rate.
    fn allow(&self, option: &LayerOption, room: f64) -> bool {
        let within = |limit: Option<u32>, value: f64| limit.is_none_or(|l| value <= f64::from(l));
        // What is lost must be sent again or does harm: the rate that arrives is what counts.
        let loss = 1.0 - self.loss.clamp(0.0, 0.9);
        let bitrate = self.max_bitrate_bps.map(|b| f64::from(b) * loss);
        // A rate that is a little over its name (30.02 for 30) is not over the limit.
        let rate = option.frame_rate * 0.98;
        let tools = self.profile.zip(option.profile_level).is_none_or(|(r, s)| r.has_tools_of(s));
        tools
            && (self.scalable || option.stands_alone && option.quality == 0)
            && within(self.max_frame_size_mbs, f64::from(option.frame_size_mbs))
            && within(self.max_mbps, f64::from(option.frame_size_mbs) * rate)
            && self.max_frame_rate.is_none_or(|limit| rate <= limit)
            && bitrate.is_none_or(|b| f64::from(option.bitrate_bps) * room <= b)
    }
}

/// How a [`LayerSelector`] decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectorConfig {
    /// RTP timestamp ticks that a better choice must have fitted. Default 450000, five seconds.
    pub patience_ticks: u32,
    /// A better choice must fit with this many times its bit rate. Default 1.2.
    pub headroom: f64,
    /// Share of lost packets from which on one choice less is taken, once per
    /// [`Self::loss_ticks`]. Default 0.1.
    pub loss_down: f64,
    /// Share of lost packets above which nothing better is taken. Default 0.02: between the two
    /// shares nothing moves.
    pub loss_up: f64,
    /// RTP timestamp ticks that a choice has to prove itself before loss lowers it again. Default
    /// 180000, two seconds.
    pub loss_ticks: u32,
}

impl Default for SelectorConfig {
    fn default() -> Self {
        Self {
            patience_ticks: 450_000,
            headroom: 1.2,
            loss_down: 0.1,
            loss_up: 0.02,
            loss_ticks: 180_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> [LayerOption; 3] {
        let option = |stream, max_temporal, frame_size_mbs, frame_rate, bitrate_bps| LayerOption {
            target: LayerTarget { stream, max_temporal, dependency: 0 },
            stands_alone: true,
            frame_size_mbs,
            frame_rate,
            bitrate_bps,
            ..LayerOption::default()
        };
        [
            option(0, 0, 240, 15.0, 80_000),
            option(0, 1, 240, 30.0, 150_000),
            option(1, 1, 920, 30.0, 450_000),
        ]
    }

    fn bitrate(bps: u32) -> Constraints {
        Constraints { max_bitrate_bps: Some(bps), ..Constraints::default() }
    }

    #[test]
    fn goes_down_at_once_and_up_with_patience() {
        let options = options();
        let mut s = LayerSelector::new(SelectorConfig::default());
        assert_eq!(s.update(&options, &bitrate(160_000), 0), Some(options[1].target));
        assert_eq!(s.update(&options, &bitrate(100_000), 1), Some(options[0].target));
        assert_eq!(s.update(&options, &bitrate(160_000), 2), None);
        // Fits, but without room to spare.
        assert_eq!(s.update(&options, &bitrate(160_000), 900_000), None);
        assert_eq!(s.update(&options, &bitrate(200_000), 900_001), None);
        assert_eq!(s.update(&options, &bitrate(200_000), 1_350_001), Some(options[1].target));
    }

    #[test]
    fn an_edge_does_not_flap() {
        let options = options();
        let mut s = LayerSelector::new(SelectorConfig::default());
        let mut changes = 0;
        for at in 0..600u32 {
            let bps = if at % 10 < 5 { 148_000 } else { 190_000 };
            changes += u32::from(s.update(&options, &bitrate(bps), at * 9_000).is_some());
        }
        assert_eq!(changes, 1);
    }

    #[test]
    fn loss_lowers_step_by_step_and_holds_between_its_bounds() {
        let options = options();
        let mut s = LayerSelector::new(SelectorConfig::default());
        let lossy = |loss| Constraints { loss, ..Constraints::default() };
        assert_eq!(s.update(&options, &lossy(0.0), 0), Some(options[2].target));
        // Another size: its lowest rate until the IDR picture comes.
        assert!(s.update(&options, &lossy(0.2), 1).is_some());
        assert_eq!(s.on_idr(0), Some(options[1].target));
        assert_eq!(s.update(&options, &lossy(0.2), 90_000), None);
        assert_eq!(s.update(&options, &lossy(0.2), 190_000), Some(options[0].target));
        // Between the bounds nothing moves, however long.
        for at in 3..40 {
            assert_eq!(s.update(&options, &lossy(0.05), at * 90_000), None);
        }
        assert_eq!(s.update(&options, &lossy(0.01), 3_600_000), None);
        assert_eq!(s.update(&options, &lossy(0.01), 4_100_000), None);
        assert!(s.wants_keyframe());
    }

    #[test]
    fn receivers_get_what_their_profile_has() {
        let mut options = options();
        options[2].profile_level = Some([100, 0, 31].into());
        options[1].profile_level = Some([66, 0xc0, 31].into());
        let mut receiver = Constraints::of_receiver([66, 0xe0, 31].into());
        let mut s = LayerSelector::new(SelectorConfig::default());
        assert_eq!(s.update(&options, &receiver, 0), Some(options[1].target));
        receiver.limit_policy(MaxVideoRate::Cif250K);
        assert_eq!(s.update(&options, &receiver, 1), Some(options[0].target));
        // A layer that needs those below it is for scalable decoders.
        let upper = LayerOption { stands_alone: false, ..options[0] };
        assert!(!Constraints::default().allow(&upper, 1.0));
        assert!(Constraints { scalable: true, ..Constraints::default() }.allow(&upper, 1.0));
    }

    #[test]
    fn levels_limit_size_and_rate() {
        let options = options();
        let mut s = LayerSelector::new(SelectorConfig::default());
        let level = Constraints::of_level(12);
        assert_eq!(s.update(&options, &level, 0), Some(options[0].target));
        // 424x240 is over the frame size of everything below level 2.1.
        let wide = LayerOption { frame_size_mbs: 405, ..options[0] };
        assert!(!Constraints::of_level(20).allow(&wide, 1.0));
        assert!(Constraints::of_level(21).allow(&wide, 1.0));
    }

    #[test]
    fn a_smaller_stream_is_waited_for_at_the_lowest_rate() {
        let options = options();
        let mut s = LayerSelector::new(SelectorConfig::default());
        assert_eq!(s.update(&options, &bitrate(1_000_000), 0), Some(options[2].target));
        let least = LayerTarget { max_temporal: 0, ..options[2].target };
        assert_eq!(s.update(&options, &bitrate(160_000), 1), Some(least));
        assert!(s.wants_keyframe());
        assert_eq!(s.on_idr(1), None);
        assert_eq!(s.on_idr(0), Some(options[1].target));
        assert!(!s.wants_keyframe());
    }
}
