use crate::access_unit::{AccessUnit, Nal};
use crate::ms::StreamLayout;
use crate::nal::{LayerId, NalType, SvcExtension};
use crate::params::{ParameterSets, ProfileLevel};
use crate::sei::{ScalabilityInfo, SeiPayload, rbsp, sei_messages};
use crate::select::LayerOption;
use crate::slice::{Front, SliceHeader};
use crate::uc_to_avc::LayerTarget;

/// What a source offers: its operation points, each with size, frame rate, bit rate and profile.
///
/// Sizes and profiles come from parameter sets. Rates are measured, over windows of a second; until
/// then they are those of the scalability information, of the usability information, or of the
/// stream layout, whose claims are known to be wrong at times and come last.
///
/// ```
/// use linkspan_svc::{AccessUnit, LayerModel};
/// let mut model = LayerModel::new();
/// for picture in 0..31 {
///     let mut unit = AccessUnit::new(picture * 3_000);
///     let tid = (picture % 2).to_le_bytes()[0];
///     unit.push(&[0x6e, 0x80, 0x80, tid << 5 | 7, 0x20]);
///     unit.push(&[0x61; 500]);
///     model.observe(&unit);
/// }
/// let points = model.points();
/// let rates: Vec<_> = points.iter().map(|p| (p.target.max_temporal, p.frame_rate)).collect();
/// assert_eq!(rates, [(0, 15.0), (1, 30.0)]);
/// assert_eq!(points[1].bitrate_bps, 30 * 505 * 8);
/// ```
#[derive(Clone, Debug, Default)]
pub struct LayerModel {
    /// In the order of stream, dependency, quality and time.
    layers: Vec<Layer>,
    sets: Vec<ParameterSets>,
    scalability: Option<ScalabilityInfo>,
    /// Claims of the stream layout, by `priority_id`.
    layout: Option<StreamLayout>,
    window_start: Option<u32>,
}

/// Layers that are followed; a layout has no more.
const MAX_LAYERS: usize = 64;
/// RTP ticks of one measurement.
const WINDOW_TICKS: u32 = 90_000;

#[derive(Clone, Debug, Default)]
struct Layer {
    stream: u8,
    id: LayerId,
    stands_alone: bool,
    size: Option<(u32, u32)>,
    frame_size_mbs: u32,
    profile_level: Option<ProfileLevel>,
    /// `time_scale` and its unit, of the whole stream.
    declared_rate: Option<f64>,
    octets: u64,
    pictures: u32,
    /// Bit/s and pictures a second of this layer alone.
    measured: Option<(f64, f64)>,
}

impl LayerModel {
    /// A model that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at an access unit as it came in.
    pub fn observe(&mut self, unit: &AccessUnit) {
        self.end_window(unit.timestamp());
        let mut last = None;
        for nal in unit {
            match nal.kind {
                NalType::Sps | NalType::SubsetSps | NalType::Pps => self.set(&nal),
                NalType::Sei => self.sei(nal.bytes),
                _ => {}
            }
            let prefix = nal.kind == NalType::Prefix;
            if !nal.kind.is_vcl() && !prefix {
                continue;
            }
            let id = nal.layer.unwrap_or_default();
            let key = (nal.stream, id.did, id.qid, id.tid);
            let Some(index) = self.index_of(key, id) else { continue };
            if !prefix {
                self.describe(index, &nal);
            }
            if let Some(layer) = self.layers.get_mut(index) {
                layer.octets += nal.bytes.len() as u64;
                layer.pictures += u32::from(!prefix && last != Some(key));
            }
            if !prefix {
                last = Some(key);
            }
        }
    }

    /// Takes the claims of a stream layout: [`crate::Depacketizer::layout`].
    pub fn set_layout(&mut self, layout: &StreamLayout) {
        if layout.is_full() && self.layout.as_ref() != Some(layout) {
            self.layout = Some(layout.clone());
        }
    }

    /// The last scalability information.
    #[must_use]
    pub const fn scalability(&self) -> Option<&ScalabilityInfo> {
        self.scalability.as_ref()
    }

    /// The operation points, lowest first: what a [`crate::LayerSelector`] chooses from.
    #[must_use]
    pub fn points(&self) -> Vec<LayerOption> {
        let mut points: Vec<LayerOption> = self.layers.iter().map(|l| self.point(l)).collect();
        points.sort_by_key(|p| {
            let t = p.target;
            (p.frame_size_mbs, t.stream, t.dependency, p.quality, t.max_temporal)
        });
        points
    }

    fn point(&self, layer: &Layer) -> LayerOption {
        let LayerId { did, qid, tid, .. } = layer.id;
        let below = |l: &&Layer| {
            let lower = if layer.stands_alone {
                (l.id.did, l.id.qid) == (did, qid)
            } else {
                l.id.did < did || l.id.did == did && l.id.qid <= qid
            };
            l.stream == layer.stream && lower && l.id.tid <= tid
        };
        let own = |l: &&Layer| (l.stream, l.id.did, l.id.qid) == (layer.stream, did, qid);
        let told = self.scalability.as_ref().and_then(|s| s.layer(did, qid, tid));
        let claim = self.layout.as_ref().and_then(|l| l.layer(layer.id.prid));
        let highest = self.layers.iter().filter(own).map(|l| l.id.tid).max().unwrap_or(tid);
        let measured = self.layers.iter().filter(below).map(|l| l.measured);
        let bitrate = measured.clone().map(|m| m.map(|m| m.0)).sum::<Option<f64>>();
        let rate = self.layers.iter().filter(below).filter(own).map(|l| l.measured.map(|m| m.1));
        // Layers of time are dyadic where nothing tells otherwise.
        let declared = layer.declared_rate.map(|r| r / f64::from(1u32 << (highest - tid).min(7)));
        let frame_rate = rate
            .sum::<Option<f64>>()
            .or_else(|| told?.frame_rate)
            .or(declared)
            .or_else(|| claim?.frame_rate.fps());
        let bitrate_bps = bitrate
            .map(whole)
            .or_else(|| Some(whole(f64::from(u32::try_from(told?.bitrate?.average_bps).ok()?))))
            .or_else(|| Some(claim?.bitrate_bps));
        LayerOption {
            target: LayerTarget { stream: layer.stream, max_temporal: tid, dependency: did },
            quality: qid,
            prid: layer.id.prid,
            stands_alone: layer.stands_alone,
            size: layer.size.unwrap_or_default(),
            frame_size_mbs: layer.frame_size_mbs,
            frame_rate: frame_rate.unwrap_or(0.0),
            bitrate_bps: bitrate_bps.unwrap_or(0),
            profile_level: layer.profile_level.or_else(|| told?.profile_level),
        }
    }

    fn set(&mut self, nal: &Nal<'_>) {
        let index = usize::from(nal.stream & 7);
        if self.sets.len() <= index {
            self.sets.resize_with(index + 1, ParameterSets::default);
        }
        if let Some(sets) = self.sets.get_mut(index) {
            // An unreadable set leaves the size unknown.
            let _ = sets.update(nal.bytes);
        }
    }

    fn sei(&mut self, nal: &[u8]) {
        if !crate::sei::is_scalable(nal) {
            return;
        }
        for message in sei_messages(&rbsp(nal)) {
            if let Ok(SeiPayload::Scalability(info)) = message.read() {
                self.scalability = Some(info);
            }
        }
    }

    fn index_of(&mut self, key: (u8, u8, u8, u8), id: LayerId) -> Option<usize> {
        let of = |l: &Layer| (l.stream, l.id.did, l.id.qid, l.id.tid);
        let at = self.layers.iter().position(|l| of(l) >= key).unwrap_or(self.layers.len());
        if self.layers.get(at).map(of) != Some(key) {
            if self.layers.len() >= MAX_LAYERS {
                return None;
            }
            let new = Layer { stream: key.0, id, stands_alone: id.is_avc(), ..Layer::default() };
            self.layers.insert(at, new);
        }
        Some(at)
    }

    /// Reads what the parameter sets of a slice say of its layer, at the first slice and at each IDR
    /// picture.
    fn describe(&mut self, index: usize, nal: &Nal<'_>) {
        let extension = SvcExtension::parse(nal.bytes).ok();
        let Some(layer) = self.layers.get_mut(index) else { return };
        if let Some(extension) = extension {
            layer.stands_alone = extension.no_inter_layer_pred && extension.qid == 0;
        }
        layer.id.prid = nal.layer.map_or(layer.id.prid, |l| l.prid);
        let idr = extension.map_or(nal.kind == NalType::IdrSlice, |e| e.idr);
        if layer.size.is_some() && !idr {
            return;
        }
        let Some(sets) = self.sets.get(usize::from(nal.stream & 7)) else { return };
        let Ok(Front { sps, .. }) = SliceHeader::read(nal.bytes, sets) else { return };
        layer.size = Some((sps.width(), sps.height()));
        layer.frame_size_mbs = sps.frame_size_mbs();
        layer.profile_level = Some(sps.profile_level_id().into());
        layer.declared_rate = sps.frame_rate();
    }

    fn end_window(&mut self, now: u32) {
        let start = *self.window_start.get_or_insert(now);
        let elapsed = now.wrapping_sub(start);
        if elapsed < WINDOW_TICKS {
            return;
        }
        self.window_start = Some(now);
        let seconds = f64::from(elapsed) / 90_000.0;
        for layer in &mut self.layers {
            let octets = f64::from(u32::try_from(layer.octets).unwrap_or(u32::MAX));
            let new = (octets * 8.0 / seconds, f64::from(layer.pictures) / seconds);
            // A clock that jumped measures nothing.
            if seconds < 10.0 {
                let smooth = |old: f64, new: f64| (old + new) / 2.0;
                layer.measured = Some(match layer.measured {
                    Some((bps, fps)) => (smooth(bps, new.0), smooth(fps, new.1)),
                    None => new,
                });
            }
            (layer.octets, layer.pictures) = (0, 0);
        }
    }
}

/// A rate as a whole number.
fn whole(value: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and rates are not negative"
    )]
    {
        value.round() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ms::{FrameRate, LayerDescription};

    #[test]
    fn claims_hold_until_traffic_is_measured() {
        let mut model = LayerModel::new();
        let description = LayerDescription {
            prid: 1,
            bitrate_bps: 400_000,
            frame_rate: FrameRate::Fps15,
            ..Default::default()
        };
        model.set_layout(&StreamLayout::full(&[description]));
        let send = |model: &mut LayerModel, picture: u32| {
            let mut unit = AccessUnit::new(picture * 6_000);
            unit.push(&[0x6e, 0x81, 0x80, 0x07, 0x20]);
            unit.push(&[0x61; 995]);
            model.observe(&unit);
        };
        send(&mut model, 0);
        let point = model.points()[0];
        assert_eq!((point.prid, point.bitrate_bps, point.frame_rate), (1, 400_000, 15.0));
        for picture in 1..16 {
            send(&mut model, picture);
        }
        let point = model.points()[0];
        assert_eq!((point.bitrate_bps, point.frame_rate), (120_000, 15.0));
    }

    #[test]
    fn layers_are_bounded() {
        let mut model = LayerModel::new();
        for n in 0..=255u8 {
            let mut unit = AccessUnit::new(0);
            unit.push_in(
                &[0x74, 0x80, 0x90, 7, 1],
                Some(LayerId { did: n & 7, qid: n >> 3 & 15, ..Default::default() }),
                n >> 7,
            );
            model.observe(&unit);
        }
        assert_eq!(model.points().len(), MAX_LAYERS);
    }
}
