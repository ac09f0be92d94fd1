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
///     frame_size_mbs, frame_rate, bitrate_bps,
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
}

impl LayerSelector {
    /// A selector that has chosen nothing.
    #[must_use]
    pub const fn new(config: SelectorConfig) -> Self {
        Self { config, current: None, pending: None, better_since: None }
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
        let safe = fits(1.0).or_else(|| options.first())?.target;
        let Some(current) = self.current else {
            self.current = Some(safe);
            return Some(safe);
        };
        let now = place(current);
        // Whatever is waited for must still fit.
        if self.pending.is_some_and(|p| place(p) > place(safe)) {
            self.pending = None;
        }
        if now.is_none() || place(safe) < now {
            self.better_since = None;
            return self.change(safe, true);
        }
        let better = fits(self.config.headroom).map(|o| o.target).filter(|t| place(*t) > now);
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

/// One choice of a [`LayerSelector`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerOption {
    /// The layers.
    pub target: LayerTarget,
    /// Macroblocks of a picture: [`crate::Sps::frame_size_mbs`].
    pub frame_size_mbs: u32,
    /// Pictures per second.
    pub frame_rate: f64,
    /// Bit rate of the target and everything below it, measured or from a stream layout.
    pub bitrate_bps: u32,
}

/// What a receiver and its path take; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Constraints {
    /// `max-fs` of the receiver, or of its level (RFC 6184 §8.1).
    pub max_frame_size_mbs: Option<u32>,
    /// `max-mbps`, macroblocks per second.
    pub max_mbps: Option<u32>,
    /// Bandwidth: `b=`, TMMBR, REMB or Lync's `MaxVideoRateAllowed`, the smallest of them.
    pub max_bitrate_bps: Option<u32>,
    /// Share of packets that the receiver reported lost, 0 to 1.
    pub loss: f64,
}

impl Constraints {
    /// Constraints of a level (H.264 Table A-1), by `level_idc`; unknown levels are those below.
    #[must_use]
    pub fn of_level(level_idc: u8) -> Self {
        let (_, mbps, size) =
            LEVELS.into_iter().rfind(|l| l.0 <= level_idc).unwrap_or((10, 1_485, 99));
        Self { max_frame_size_mbs: Some(size), max_mbps: Some(mbps), ..Self::default() }
    }

    /// Whether an option fits, with `room` times its bit rate.
    fn allow(&self, option: &LayerOption, room: f64) -> bool {
        let within = |limit: Option<u32>, value: f64| limit.is_none_or(|l| value <= f64::from(l));
        // What is lost must be sent again or does harm: the rate that arrives is what counts.
        let loss = 1.0 - self.loss.clamp(0.0, 0.9);
        let bitrate = self.max_bitrate_bps.map(|b| f64::from(b) * loss);
        within(self.max_frame_size_mbs, f64::from(option.frame_size_mbs))
            && within(self.max_mbps, f64::from(option.frame_size_mbs) * option.frame_rate)
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
}

impl Default for SelectorConfig {
    fn default() -> Self {
        Self { patience_ticks: 450_000, headroom: 1.2 }
    }
}

/// `level_idc`, `MaxMBPS`, `MaxFS` (H.264 Table A-1).
const LEVELS: [(u8, u32, u32); 16] = [
    (10, 1_485, 99),
    (11, 3_000, 396),
    (12, 6_000, 396),
    (13, 11_880, 396),
    (20, 11_880, 396),
    (21, 19_800, 792),
    (22, 20_250, 1_620),
    (30, 40_500, 1_620),
    (31, 108_000, 3_600),
    (32, 216_000, 5_120),
    (40, 245_760, 8_192),
    (41, 245_760, 8_192),
    (42, 522_240, 8_704),
    (50, 589_824, 22_080),
    (51, 983_040, 36_864),
    (52, 2_073_600, 36_864),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> [LayerOption; 3] {
        let option = |stream, max_temporal, frame_size_mbs, frame_rate, bitrate_bps| LayerOption {
            target: LayerTarget { stream, max_temporal, dependency: 0 },
            frame_size_mbs,
            frame_rate,
            bitrate_bps,
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
