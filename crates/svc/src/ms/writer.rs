use crate::access_unit::{AccessUnit, Nal};
use crate::ms::messages::{BitstreamInfo, FrameRate, LayerDescription, LayerType, StreamLayout};
use crate::ms::pacsi::{FLAG_S, Pacsi, write_sized};
use crate::nal::{LayerId, NalHeader, NalType, SvcExtension};
use crate::params::{ParameterSets, Sps};
use crate::slice::SliceHeader;

/// Writes the PACSI NAL units of one source, of all its layers (\[MS-H264PF\] 2.2.5, 3.1.5).
#[derive(Clone, Debug)]
pub(crate) struct PacsiWriter {
    sets: ParameterSets,
    /// One per `priority_id` seen, in ascending order.
    layers: Vec<LayerDescription>,
    /// Frame rate that the source claims for all its layers.
    frame_rate: FrameRate,
    bitrate_bps: u32,
    /// A full layout is due with the next PACSI.
    layout_due: bool,
    /// The access unit in progress is an IDR access unit.
    idr: bool,
    donc: u16,
    /// `ref_frm_cnt` of each simulcast stream.
    ref_frames: [u8; 8],
}

impl Default for PacsiWriter {
    fn default() -> Self {
        Self::new(FrameRate::Fps30, 0)
    }
}

impl PacsiWriter {
    pub(crate) fn new(frame_rate: FrameRate, bitrate_bps: u32) -> Self {
        Self {
            sets: ParameterSets::new(),
            layers: Vec::new(),
            frame_rate,
            bitrate_bps,
            layout_due: true,
            idr: false,
            donc: 1,
            ref_frames: [0; 8],
        }
    }

    /// What the source claims in its layouts.
    pub(crate) const fn set_claims(&mut self, frame_rate: FrameRate, bitrate_bps: u32) {
        self.frame_rate = frame_rate;
        self.bitrate_bps = bitrate_bps;
        self.layout_due = true;
    }

    /// Looks at an access unit before its PACSI NAL units are written.
    pub(crate) fn begin(&mut self, unit: &AccessUnit) {
        self.idr = unit.is_idr();
        for nal in unit {
            // An unreadable set is the decoder's to refuse; the layout then has no size.
            let _ = self.sets.update(nal.bytes);
        }
        for nal in unit.iter().filter(|n| n.kind.is_vcl()) {
            self.describe(&nal);
        }
    }

    /// Takes note of a slice's layer; a new or changed description makes a full layout due.
    fn describe(&mut self, nal: &Nal<'_>) {
        let layer = nal.layer.unwrap_or_default();
        let known = self.layers.iter().position(|l| l.prid >= layer.prid);
        let exists =
            known.is_some_and(|i| self.layers.get(i).is_some_and(|l| l.prid == layer.prid));
        if exists && !self.idr {
            return;
        }
        let sps = SliceHeader::read(nal.bytes, &self.sets).ok().map(|front| front.sps);
        let new = self.description(layer, sps);
        match known.and_then(|i| self.layers.get_mut(i)) {
            Some(old) if exists => {
                self.layout_due |= *old != new;
                *old = new;
            }
            _ => {
                self.layers.insert(known.unwrap_or(self.layers.len()), new);
                self.layout_due = true;
            }
        }
    }

    fn description(&self, layer: LayerId, sps: Option<&Sps>) -> LayerDescription {
        let size = |v: Option<u32>| v.and_then(|v| u16::try_from(v).ok()).unwrap_or(0);
        let layer_type = match (layer.is_avc(), layer.tid) {
            (true, 0) => LayerType::Base,
            (true, _) => LayerType::Temporal,
            // The numbers of the other kinds are not public.
            (false, _) => LayerType::Other(2),
        };
        LayerDescription {
            coded_width: size(sps.map(Sps::coded_width)),
            coded_height: size(sps.map(Sps::coded_height)),
            display_width: size(sps.map(Sps::width)),
            display_height: size(sps.map(Sps::height)),
            bitrate_bps: self.bitrate_bps,
            frame_rate: self.frame_rate,
            layer_type,
            prid: layer.prid,
            constrained_baseline: sps.is_some_and(Sps::is_constrained_baseline),
        }
    }

    /// Appends the PACSI of `nals`, one layer's units of the access unit given to [`Self::begin`].
    pub(crate) fn write<'a>(
        &mut self,
        layer: LayerId,
        stream: u8,
        nals: impl Iterator<Item = Nal<'a>>,
        out: &mut Vec<u8>,
    ) {
        let summary = Summary::of(layer, nals);
        let front = Pacsi {
            ref_idc: summary.ref_idc,
            layer: summary.extension,
            flags: FLAG_S,
            picture_index: None,
            // RFC 6190 §4.9: T; [MS-H264PF] sources use mode NI-TC, so it is always there.
            donc: Some(self.donc),
            messages: Vec::new(),
        };
        front.write_front(out);
        let base = layer.is_avc() && layer.tid == 0;
        // [MS-H264PF] 3.1.5: before anything else, with each base layer of an IDR access unit, and
        // where a description changed.
        if self.layout_due || self.idr && base {
            write_sized(out, |out| StreamLayout::write_full(&self.layers, out));
            self.layout_due = false;
        }
        let counter = self.ref_frames.get_mut(usize::from(stream & 7));
        let ref_frame_count = counter.map_or(0, |count| {
            // Counts reference pictures; a picture's own layers above the base do not count.
            if summary.has_slices && summary.ref_idc != 0 && layer.is_avc() {
                *count = count.wrapping_add(1);
            }
            *count
        });
        let nal_units = u8::try_from(summary.count).unwrap_or(u8::MAX);
        let info = BitstreamInfo { ref_frame_count, nal_units };
        write_sized(out, |out| info.write(out));
        // RFC 6190 §4.9, §6.2: each NAL unit has a number, the PACSI has none.
        self.donc = self.donc.wrapping_add(summary.count);
    }
}

/// What RFC 6190 §4.9 wants to know about the NAL units that a PACSI describes.
#[derive(Debug)]
struct Summary {
    ref_idc: u8,
    count: u16,
    has_slices: bool,
    extension: SvcExtension,
}

impl Summary {
    fn of<'a>(layer: LayerId, nals: impl Iterator<Item = Nal<'a>>) -> Self {
        let mut s = Self {
            ref_idc: 0,
            count: 0,
            has_slices: false,
            extension: SvcExtension {
                idr: false,
                no_inter_layer_pred: true,
                use_ref_base_pic: false,
                discardable: true,
                output: false,
                ..SvcExtension::base(layer, false, false)
            },
        };
        for nal in nals {
            let header = NalHeader::from_octet(nal.bytes.first().copied().unwrap_or(0));
            s.ref_idc = s.ref_idc.max(header.ref_idc);
            s.count = s.count.saturating_add(1);
            s.has_slices |= nal.kind.is_vcl();
            if let Ok(e) = SvcExtension::parse(nal.bytes) {
                s.extension.idr |= e.idr;
                s.extension.no_inter_layer_pred &= e.no_inter_layer_pred;
                s.extension.use_ref_base_pic |= e.use_ref_base_pic;
                s.extension.output |= e.output;
            } else if nal.kind.is_vcl() {
                s.extension.idr |= nal.kind == NalType::IdrSlice;
                s.extension.output = true;
            }
            // D: nothing above depends on it, which is sure of pictures that nothing refers to.
            s.extension.discardable &= !nal.kind.is_vcl() || header.ref_idc == 0;
        }
        s.extension.discardable &= s.has_slices;
        s
    }
}
