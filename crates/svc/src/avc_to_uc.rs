use crate::access_unit::{AccessUnit, Nal};
use crate::active_sets::ActiveSets;
use crate::ms::{FrameRate, PacsiWriter};
use crate::nal::{LayerId, NalHeader, NalType, SvcExtension};
use crate::sei;

/// Makes UC-SVC of plain AVC, access unit by access unit.
///
/// Every slice gets a prefix NAL unit, every layer of every access unit a PACSI with bitstream
/// information in front, and the base layer of every IDR access unit a full stream layout.
/// Parameter sets are repeated in front of IDR pictures that come without. The slices themselves
/// stay as they are.
///
/// ```
/// use linkspan_svc::{AccessUnit, AvcToUc, AvcToUcConfig, NalType};
/// let mut rewriter = AvcToUc::new(AvcToUcConfig::default());
/// let mut unit = AccessUnit::new(0);
/// unit.push(&[0x65, 0xb8, 0x04]);
/// let uc = rewriter.process(&unit).unwrap();
/// let kinds: Vec<NalType> = uc.iter().map(|n| n.kind).collect();
/// assert_eq!(kinds, [NalType::Pacsi, NalType::Prefix, NalType::IdrSlice]);
/// ```
#[derive(Clone, Debug)]
pub struct AvcToUc {
    config: AvcToUcConfig,
    sets: ActiveSets,
    pacsi: PacsiWriter,
    /// Without PACSI NAL units, in sending order.
    plain: AccessUnit,
    out: AccessUnit,
    scratch: Vec<u8>,
}

impl AvcToUc {
    /// A rewriter that has seen nothing.
    #[must_use]
    pub fn new(config: AvcToUcConfig) -> Self {
        Self {
            config,
            sets: ActiveSets::default(),
            pacsi: PacsiWriter::new(config.frame_rate, config.bitrate_bps),
            plain: AccessUnit::default(),
            out: AccessUnit::default(),
            scratch: Vec::new(),
        }
    }

    /// Changes what the stream layouts claim; the next access unit carries a full layout.
    pub const fn set_claims(&mut self, frame_rate: FrameRate, bitrate_bps: u32) {
        self.config.frame_rate = frame_rate;
        self.config.bitrate_bps = bitrate_bps;
        self.pacsi.set_claims(frame_rate, bitrate_bps);
    }

    /// The UC-SVC of one access unit; `None` when it holds no slice.
    ///
    /// Simulcast streams in the access unit ([`Nal::stream`]) become layers of their own, one behind
    /// the other. The result holds PACSI NAL units and is meant for a [`crate::Packetizer`] with
    /// [`crate::PacketizerFormat::UcSvc`].
    pub fn process(&mut self, unit: &AccessUnit) -> Option<&AccessUnit> {
        for nal in unit {
            self.sets.update(nal.bytes, nal.stream);
        }
        if !unit.iter().any(|n| n.kind.is_vcl() && keeps(&n)) {
            return None;
        }
        self.plain.reset(unit.timestamp());
        let streams = unit.iter().map(|n| n.stream).max().unwrap_or(0);
        for stream in 0..=streams {
            self.list_stream(unit, stream);
        }
        self.add_pacsi(unit);
        Some(&self.out)
    }

    /// Appends the units of one simulcast stream to `plain`, prefix NAL units included.
    fn list_stream(&mut self, unit: &AccessUnit, stream: u8) {
        let keep = |nal: &Nal<'_>| nal.stream == stream && keeps(nal);
        let slices = || unit.iter().filter(|n| n.kind.is_vcl() && keep(n));
        let Some(first) = slices().next() else { return };
        let layer = self.config.layer(stream, temporal_id(&first));
        let start = self.plain.len();
        let write = |nal: &[u8], out: &mut AccessUnit, stream| out.push_in(nal, None, stream);
        self.sets.prepare(unit, keep, &mut self.plain, write);
        for nal in unit.iter().filter(keep) {
            match nal.kind {
                NalType::Sps | NalType::Pps if !self.sets.pass(nal.bytes) => continue,
                NalType::Slice | NalType::IdrSlice | NalType::Partition(2) => {
                    let (prefix, len) = prefix(nal.bytes, layer);
                    let prefix = prefix.get(..len).unwrap_or_default();
                    self.plain.push_in(prefix, Some(layer), stream);
                }
                _ => {}
            }
            self.plain.push_in(nal.bytes, Some(layer), stream);
        }
        for index in start..self.plain.len() {
            self.plain.set_layer(index, Some(layer), stream);
        }
    }

    fn add_pacsi(&mut self, unit: &AccessUnit) {
        self.out.reset(unit.timestamp());
        self.out.set_ssrc(unit.ssrc());
        self.out.set_damaged(unit.is_damaged());
        self.pacsi.begin(&self.plain);
        let mut last = None;
        for nal in &self.plain {
            if last != Some(nal.stream) {
                last = Some(nal.stream);
                let layer = nal.layer.unwrap_or_default();
                let of_stream = self.plain.iter().filter(|n| n.stream == nal.stream);
                self.scratch.clear();
                self.pacsi.write(layer, nal.stream, of_stream, &mut self.scratch);
                self.out.push_in(&self.scratch, Some(layer), nal.stream);
            }
            self.out.push_in(nal.bytes, nal.layer, nal.stream);
        }
    }
}

/// The temporal layer of a picture: what a prefix NAL unit told, otherwise 1 where nothing refers to
/// the picture (`nal_ref_idc` 0), which no other picture can miss then.
fn temporal_id(slice: &Nal<'_>) -> u8 {
    let header = NalHeader::from_octet(slice.bytes.first().copied().unwrap_or(0));
    slice.layer.map_or_else(|| u8::from(header.ref_idc == 0), |l| l.tid)
}

/// What a Lync client is to see of an AVC stream.
fn keeps(nal: &Nal<'_>) -> bool {
    match nal.kind {
        NalType::Slice | NalType::IdrSlice | NalType::Partition(_) => true,
        NalType::Sei => sei::is_for_avc(nal.bytes),
        NalType::Sps | NalType::Pps | NalType::SpsExtension => true,
        NalType::EndOfSequence | NalType::EndOfStream => true,
        _ => false,
    }
}

/// The prefix NAL unit of a slice (H.264 §7.3.2.12.1), and its length.
fn prefix(slice: &[u8], layer: LayerId) -> ([u8; 5], usize) {
    let header = NalHeader::from_octet(slice.first().copied().unwrap_or(0));
    let first = NalHeader { kind: NalType::Prefix, ..header }.to_octet();
    let idr = header.kind == NalType::IdrSlice;
    let [a, b, c] = SvcExtension::base(layer, idr, header.ref_idc == 0).to_octets();
    // store_ref_base_pic_flag 0, no extension, stop bit; nothing at all where nothing refers to
    // the picture.
    let len = if header.ref_idc == 0 { 4 } else { 5 };
    ([first, a, b, c, 0x20], len)
}

/// What an [`AvcToUc`] makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvcToUcConfig {
    /// How temporal layers show.
    pub layering: Layering,
    /// Frame rate that layouts claim. Default 30.
    pub frame_rate: FrameRate,
    /// Bit rate that layouts claim. Default 500 kbit/s.
    pub bitrate_bps: u32,
}

impl Default for AvcToUcConfig {
    fn default() -> Self {
        Self { layering: Layering::Single, frame_rate: FrameRate::Fps30, bitrate_bps: 500_000 }
    }
}

impl AvcToUcConfig {
    fn layer(&self, stream: u8, tid: u8) -> LayerId {
        let (tid, prid) = match self.layering {
            Layering::Single => (0, stream),
            Layering::Temporal { layers } => {
                let layers = layers.clamp(1, 8);
                (tid, stream.saturating_mul(layers).saturating_add(tid.min(layers - 1)))
            }
        };
        LayerId { did: 0, qid: 0, tid, prid: prid.min(63) }
    }
}

/// How the temporal layers of an AVC stream show in UC-SVC.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Layering {
    /// UCConfig mode 0: one layer per simulcast stream, `priority_id` = the stream's number.
    #[default]
    Single,
    /// UCConfig mode 1: the `temporal_id` of the input's prefix NAL units is kept, pictures without
    /// one that nothing refers to are layer 1, and each temporal layer has a `priority_id` of its
    /// own.
    Temporal {
        /// Layers per stream; temporal ids above share the last one. A Lync 2013 client takes 2.
        layers: u8,
    },
}
