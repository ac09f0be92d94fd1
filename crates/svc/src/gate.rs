use crate::access_unit::AccessUnit;
use crate::dpb::Dpb;
use crate::nal::{LayerId, NalType};
use crate::params::ParameterSets;
use crate::slice_syntax::{Marking, SliceReader};

/// Decides which access units a decoder can still decode exactly, and when it needs a key frame.
///
/// It follows the reference pictures of the base layer as a decoder would (H.264 §8.2.4, §8.2.5):
/// an access unit is clean when nothing of it is missing and every picture that it may refer to is
/// clean. A lost enhancement picture so costs its own sub-tree; a lost base picture costs everything
/// up to the next IDR picture, and asks for one, at most once per interval.
///
/// One gate serves one simulcast stream. It reads slice headers, which costs a fraction of a
/// microsecond per slice.
///
/// ```
/// use linkspan_svc::{AccessUnit, GateConfig, LossGate};
/// let mut gate = LossGate::new(GateConfig::default());
/// let mut unit = AccessUnit::new(0);
/// unit.push(&[0x61, 0xe0]); // no IDR picture has been seen yet
/// assert!(!gate.accept(&unit));
/// assert!(gate.poll_keyframe_request().is_some());
/// assert!(gate.poll_keyframe_request().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct LossGate {
    config: GateConfig,
    sets: ParameterSets,
    dpb: Dpb<bool>,
    started: bool,
    request: Option<KeyframeRequest>,
    last_request: Option<u32>,
}

impl LossGate {
    /// A gate in front of a decoder that has seen nothing.
    #[must_use]
    pub fn new(config: GateConfig) -> Self {
        Self {
            config,
            sets: ParameterSets::new(),
            dpb: Dpb::default(),
            started: false,
            request: None,
            last_request: None,
        }
    }

    /// Whether to pass the access unit on.
    ///
    /// Access units come in decoding order, as a [`crate::Depacketizer`] gives them or what
    /// [`crate::UcToAvc`] makes of them.
    pub fn accept(&mut self, unit: &AccessUnit) -> bool {
        for nal in unit {
            // A set that cannot be read shows as a slice that cannot.
            let _ = self.sets.update(nal.bytes);
        }
        let picture = self.judge(unit);
        if picture.needs_keyframe {
            self.ask(unit, picture.layer);
        } else if picture.clean && picture.idr {
            self.request = None;
            self.last_request = None;
        }
        match self.config.policy {
            LossPolicy::Freeze => picture.clean,
            // Parameter sets and damaged pictures go as they are, once there is something to show.
            LossPolicy::Continue => self.started,
        }
    }

    /// The key frame that the sender should be asked for, once.
    pub fn poll_keyframe_request(&mut self) -> Option<KeyframeRequest> {
        self.request.take()
    }

    fn ask(&mut self, unit: &AccessUnit, layer: LayerId) {
        let now = unit.timestamp();
        let since = |last: u32| now.wrapping_sub(last);
        if self.last_request.is_none_or(|last| since(last) >= self.config.request_interval_ticks) {
            self.last_request = Some(now);
            self.request = Some(KeyframeRequest { ssrc: unit.ssrc(), prid: layer.prid });
        }
    }

    fn judge(&mut self, unit: &AccessUnit) -> Picture {
        let mut picture = Picture { clean: !unit.is_damaged(), ..Picture::default() };
        let mut reference = false;
        let mut first: Option<(u32, bool, Marking)> = None;
        for nal in unit {
            if !matches!(nal.kind, NalType::Slice | NalType::IdrSlice) {
                continue;
            }
            let Ok(slice) = SliceReader::read_header(nal.bytes, &self.sets) else {
                picture.clean = false;
                continue;
            };
            let header = &slice.header;
            picture.layer = nal.layer.unwrap_or_default();
            picture.idr = header.idr;
            reference |= header.ref_idc != 0;
            if first.is_none()
                && let Ok((_, sps)) = self.sets.activate(header.pps_id, false)
            {
                self.dpb.begin(header.frame_num, header.idr, sps);
            }
            let references = self.dpb.references(&slice);
            let counted = match self.config.references {
                ReferenceRule::All => &references[..],
                ReferenceRule::First => references.get(..1).unwrap_or_default(),
            };
            picture.clean &= counted.iter().all(|r| *r == Some(true));
            first.get_or_insert((header.frame_num, header.idr, slice.marking));
        }
        let Some((frame_num, idr, marking)) = first else {
            // Nothing to decode, or nothing that can be read without parameter sets. A base picture
            // that was lost with all its slices shows in the next one that refers to it.
            let has_slices = unit.has_slices();
            picture.needs_keyframe = has_slices;
            picture.clean &= !has_slices;
            return picture;
        };
        self.started |= idr;
        picture.clean &= self.started;
        self.dpb.end(frame_num, idr, &marking, reference, Some(picture.clean));
        // A picture that nothing refers to, and a layer that the base does not need, heal by
        // themselves.
        picture.needs_keyframe =
            !picture.clean && (!self.started || reference && picture.layer.tid == 0);
        picture
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Picture {
    clean: bool,
    idr: bool,
    needs_keyframe: bool,
    layer: LayerId,
}

/// How a [`LossGate`] acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GateConfig {
    /// What happens to pictures that are not clean.
    pub policy: LossPolicy,
    /// Which entries of a reference list count.
    pub references: ReferenceRule,
    /// RTP timestamp ticks between two requests for a key frame. Default 90000, one second.
    pub request_interval_ticks: u32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            policy: LossPolicy::Freeze,
            references: ReferenceRule::All,
            request_interval_ticks: 90_000,
        }
    }
}

/// What happens to pictures that would not decode exactly.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LossPolicy {
    /// They are left out: the picture freezes, or goes on at a lower frame rate.
    #[default]
    Freeze,
    /// They go on to a decoder that conceals.
    Continue,
}

/// Which pictures a slice is taken to predict from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReferenceRule {
    /// Every active entry of its reference list: right for any encoder.
    #[default]
    All,
    /// The first entry: right for senders of hierarchical P pictures, which list more than they
    /// use (OpenH264 does), and keeps more pictures of theirs.
    First,
}

/// Whom to ask for a key frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyframeRequest {
    /// Synchronisation source of the base layer.
    pub ssrc: u32,
    /// `priority_id` of the base layer, for Microsoft's picture loss indication.
    pub prid: u8,
}
