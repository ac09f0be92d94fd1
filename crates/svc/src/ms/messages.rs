use crate::error::PacsiError;

/// One SEI NAL unit of a PACSI (\[MS-H264PF\] 2.2.5 to 2.2.7).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UcMessage {
    /// Which layers the source sends.
    StreamLayout(StreamLayout),
    /// Regions that a receiver may show.
    CroppingInfo(CroppingInfo),
    /// Counters.
    BitstreamInfo(BitstreamInfo),
    /// Any other SEI NAL unit, whole.
    Other(Vec<u8>),
}

impl UcMessage {
    /// Reads one SEI NAL unit as it stands in a PACSI: there it carries no emulation prevention and
    /// no trailing bits, so that its length is its payload size plus three.
    ///
    /// # Errors
    /// [`PacsiError`] where a known message is too short; unknown ones are [`UcMessage::Other`].
    pub fn parse(nal: &[u8]) -> Result<Self, PacsiError> {
        let Some((uuid, body, at)) = user_data(nal) else {
            return Ok(Self::Other(nal.to_vec()));
        };
        Ok(match *uuid {
            STREAM_LAYOUT => Self::StreamLayout(StreamLayout::read(body, at)?),
            CROPPING_INFO => Self::CroppingInfo(CroppingInfo::read(body, at)?),
            BITSTREAM_INFO => Self::BitstreamInfo(BitstreamInfo::read(body, at)?),
            _ => Self::Other(nal.to_vec()),
        })
    }

    /// Appends the SEI NAL unit.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::StreamLayout(m) => m.write(out),
            Self::CroppingInfo(m) => m.write(out),
            Self::BitstreamInfo(m) => m.write(out),
            Self::Other(nal) => out.extend_from_slice(nal),
        }
    }
}

/// Whether `nal` is a SEI NAL unit with one of the Microsoft messages.
pub(crate) fn is_uc_sei(nal: &[u8]) -> bool {
    user_data(nal)
        .is_some_and(|(uuid, ..)| [STREAM_LAYOUT, CROPPING_INFO, BITSTREAM_INFO].contains(uuid))
}

/// The identifier, the body and the body's offset of a `user_data_unregistered` message.
pub(crate) fn user_data(nal: &[u8]) -> Option<(&[u8; 16], &[u8], usize)> {
    let [first, 5, rest @ ..] = nal else { return None };
    if first & 0x1f != 6 {
        return None;
    }
    // H.264 §7.3.2.3.1: sizes of 255 and more are written as a run of ff octets.
    let long = rest.iter().take_while(|&&b| b == 0xff).count();
    let (&last, body) = rest.get(long..)?.split_first()?;
    let size = long.checked_mul(255)?.checked_add(usize::from(last))?;
    // Octets behind the payload (trailing bits, where a sender writes them) are not the message's.
    let body = body.get(..size).unwrap_or(body);
    let (uuid, body) = body.split_first_chunk::<16>()?;
    Some((uuid, body, 3 + long + 16))
}

fn begin_message(uuid: &[u8; 16], body_len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&[6, 5]);
    let mut size = 16 + body_len;
    while size >= 255 {
        out.push(255);
        size -= 255;
    }
    out.push(size.to_le_bytes()[0]);
    out.extend_from_slice(uuid);
}

/// Which layers a source sends, of all its simulcast streams together (\[MS-H264PF\] 2.2.5).
///
/// ```
/// use linkspan_svc::ms::{LayerDescription, StreamLayout};
/// let layout = StreamLayout::full(&[LayerDescription { prid: 0, ..Default::default() }]);
/// assert!(layout.is_full() && layout.is_present(0) && !layout.is_present(1));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StreamLayout {
    /// Bit n: the layer with `priority_id` n is sent.
    pub present: u64,
    /// One description per layer in a full layout, in the order of the wire; `None` in an update
    /// layout, which only changes who is present.
    pub layers: Option<Vec<LayerDescription>>,
}

impl StreamLayout {
    /// A full layout of these layers.
    #[must_use]
    pub fn full(layers: &[LayerDescription]) -> Self {
        let present = layers.iter().fold(0, |bits, l| bits | 1 << (l.prid & 63));
        Self { present, layers: Some(layers.to_vec()) }
    }

    /// Whether the descriptions are there.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.layers.is_some()
    }

    /// Whether the layer with this `priority_id` is sent.
    #[must_use]
    pub const fn is_present(&self, prid: u8) -> bool {
        prid < 64 && self.present >> prid & 1 != 0
    }

    /// The description of a layer.
    #[must_use]
    pub fn layer(&self, prid: u8) -> Option<&LayerDescription> {
        self.layers.as_ref()?.iter().find(|l| l.prid == prid)
    }

    /// Bits of the layers that begin a simulcast stream.
    #[must_use]
    pub fn base_prids(&self) -> u64 {
        let bases = self.layers.iter().flatten().filter(|l| l.layer_type == LayerType::Base);
        bases.fold(0, |bits, l| bits | 1 << (l.prid & 63))
    }

    fn read(body: &[u8], at: usize) -> Result<Self, PacsiError> {
        let Some((lpb, rest)) = body.split_first_chunk::<8>() else {
            return Err(PacsiError::Truncated { at });
        };
        let present = u64::from_le_bytes(*lpb);
        let Some((&flags, rest)) = rest.split_first() else {
            return Err(PacsiError::Truncated { at: at + 8 });
        };
        if flags & 1 == 0 {
            return Ok(Self { present, layers: None });
        }
        let Some((&size, rest)) = rest.split_first() else {
            return Err(PacsiError::Truncated { at: at + 9 });
        };
        if size < 16 {
            return Err(PacsiError::OutOfRange { field: "LDSize", at: at + 9 });
        }
        // LDSize is the length of one description, whatever their number; the number is what fits,
        // and no more than there are layers.
        let layers = rest
            .chunks_exact(usize::from(size))
            .take(64)
            .filter_map(|c| c.first_chunk())
            .map(LayerDescription::read)
            .collect();
        Ok(Self { present, layers: Some(layers) })
    }

    /// Appends the SEI NAL unit.
    pub fn write(&self, out: &mut Vec<u8>) {
        Self::write_parts(self.present, self.layers.as_deref(), out);
    }

    /// Appends the full layout of `layers`.
    pub(crate) fn write_full(layers: &[LayerDescription], out: &mut Vec<u8>) {
        let present = layers.iter().fold(0, |bits, l| bits | 1 << (l.prid & 63));
        Self::write_parts(present, Some(layers), out);
    }

    fn write_parts(present: u64, layers: Option<&[LayerDescription]>, out: &mut Vec<u8>) {
        let body = 9 + layers.map_or(0, |l| 1 + 16 * l.len());
        begin_message(&STREAM_LAYOUT, body, out);
        out.extend_from_slice(&present.to_le_bytes());
        out.push(u8::from(layers.is_some()));
        if let Some(layers) = layers {
            out.push(16);
            for layer in layers {
                out.extend_from_slice(&layer.to_octets());
            }
        }
    }
}

/// One layer of a [`StreamLayout`].
///
/// Size and rate are the sender's claim and may be wrong (a known client announces constants); the
/// sequence parameter set decides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LayerDescription {
    /// Width of the coded picture, a multiple of 16.
    pub coded_width: u16,
    /// Height of the coded picture, a multiple of 16.
    pub coded_height: u16,
    /// Width of the picture to show.
    pub display_width: u16,
    /// Height of the picture to show.
    pub display_height: u16,
    /// Bit rate.
    pub bitrate_bps: u32,
    /// Frame rate, of the layer with those below it.
    pub frame_rate: FrameRate,
    /// What the layer adds.
    pub layer_type: LayerType,
    /// `priority_id`, 0 to 63.
    pub prid: u8,
    /// Whether the layer is Constrained Baseline.
    pub constrained_baseline: bool,
}

impl LayerDescription {
    fn read(octets: &[u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, rate, flags, ..] = *octets;
        Self {
            coded_width: u16::from_be_bytes([a, b]),
            coded_height: u16::from_be_bytes([c, d]),
            display_width: u16::from_be_bytes([e, f]),
            display_height: u16::from_be_bytes([g, h]),
            bitrate_bps: u32::from_be_bytes([i, j, k, l]),
            frame_rate: FrameRate::from_index(rate >> 3),
            layer_type: LayerType::from_value(rate & 7),
            prid: flags >> 2,
            constrained_baseline: flags & 2 != 0,
        }
    }

    fn to_octets(self) -> [u8; 16] {
        let [a, b] = self.coded_width.to_be_bytes();
        let [c, d] = self.coded_height.to_be_bytes();
        let [e, f] = self.display_width.to_be_bytes();
        let [g, h] = self.display_height.to_be_bytes();
        let [i, j, k, l] = self.bitrate_bps.to_be_bytes();
        let rate = (self.frame_rate.index() & 31) << 3 | self.layer_type.value() & 7;
        let flags = (self.prid & 63) << 2 | u8::from(self.constrained_baseline) << 1;
        [a, b, c, d, e, f, g, h, i, j, k, l, rate, flags, 0, 0]
    }
}

/// `FPSIdx` of a layer description.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum FrameRate {
    /// 7.5 frames a second.
    #[default]
    Fps7_5,
    /// 12.5 frames a second.
    Fps12_5,
    /// 15 frames a second.
    Fps15,
    /// 25 frames a second.
    Fps25,
    /// 30 frames a second.
    Fps30,
    /// 50 frames a second.
    Fps50,
    /// 60 frames a second.
    Fps60,
    /// An index without a meaning yet, 7 to 31.
    Other(u8),
}

impl FrameRate {
    /// The slowest rate that is not below `fps` (with a tolerance of 2 percent).
    #[must_use]
    pub fn at_least(fps: f64) -> Self {
        let all = [Self::Fps7_5, Self::Fps12_5, Self::Fps15, Self::Fps25, Self::Fps30, Self::Fps50];
        all.into_iter().find(|r| r.fps().is_some_and(|v| v * 1.02 >= fps)).unwrap_or(Self::Fps60)
    }

    /// Frames per second; `None` for an unknown index.
    #[must_use]
    pub const fn fps(self) -> Option<f64> {
        Some(match self {
            Self::Fps7_5 => 7.5,
            Self::Fps12_5 => 12.5,
            Self::Fps15 => 15.0,
            Self::Fps25 => 25.0,
            Self::Fps30 => 30.0,
            Self::Fps50 => 50.0,
            Self::Fps60 => 60.0,
            Self::Other(_) => return None,
        })
    }

    /// The rate of an index.
    #[must_use]
    pub const fn from_index(index: u8) -> Self {
        match index {
            0 => Self::Fps7_5,
            1 => Self::Fps12_5,
            2 => Self::Fps15,
            3 => Self::Fps25,
            4 => Self::Fps30,
            5 => Self::Fps50,
            6 => Self::Fps60,
            other => Self::Other(other),
        }
    }

    /// The index of the rate, 0 to 31.
    #[must_use]
    pub const fn index(self) -> u8 {
        match self {
            Self::Fps7_5 => 0,
            Self::Fps12_5 => 1,
            Self::Fps15 => 2,
            Self::Fps25 => 3,
            Self::Fps30 => 4,
            Self::Fps50 => 5,
            Self::Fps60 => 6,
            Self::Other(index) => index,
        }
    }
}

/// `LT` of a layer description.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum LayerType {
    /// Base layer of a simulcast stream.
    #[default]
    Base,
    /// Adds frames.
    Temporal,
    /// A kind whose meaning is not documented, 2 to 7.
    Other(u8),
}

impl LayerType {
    const fn from_value(value: u8) -> Self {
        match value {
            0 => Self::Base,
            1 => Self::Temporal,
            other => Self::Other(other),
        }
    }

    const fn value(self) -> u8 {
        match self {
            Self::Base => 0,
            Self::Temporal => 1,
            Self::Other(value) => value,
        }
    }
}

/// Counters that stand in every PACSI (\[MS-H264PF\] 2.2.7).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BitstreamInfo {
    /// `ref_frm_cnt`: goes up with each reference picture, modulo 256; a known client never counts.
    pub ref_frame_count: u8,
    /// `num_of_nal_unit`: NAL units of this layer and access unit behind the PACSI.
    pub nal_units: u8,
}

impl BitstreamInfo {
    fn read(body: &[u8], at: usize) -> Result<Self, PacsiError> {
        let [ref_frame_count, nal_units, ..] = *body else {
            return Err(PacsiError::Truncated { at });
        };
        Ok(Self { ref_frame_count, nal_units })
    }

    /// Appends the SEI NAL unit.
    pub fn write(&self, out: &mut Vec<u8>) {
        begin_message(&BITSTREAM_INFO, 2, out);
        out.extend_from_slice(&[self.ref_frame_count, self.nal_units]);
    }
}

/// Regions of interest (\[MS-H264PF\] 2.2.6): a hint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CroppingInfo {
    /// `crop_info_type`.
    pub kind: u8,
    /// The regions.
    pub crops: Vec<Crop>,
}

/// One region of a [`CroppingInfo`]: samples to cut off at each side.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Crop {
    /// How sure the sender is.
    pub confidence: u8,
    /// Samples at the left.
    pub left: u16,
    /// Samples at the right.
    pub right: u16,
    /// Samples at the top.
    pub top: u16,
    /// Samples at the bottom.
    pub bottom: u16,
}

impl CroppingInfo {
    fn read(body: &[u8], at: usize) -> Result<Self, PacsiError> {
        let [count, kind, rest @ ..] = body else { return Err(PacsiError::Truncated { at }) };
        let (chunks, _) = rest.as_chunks::<9>();
        let Some(chunks) = chunks.get(..usize::from(*count)) else {
            return Err(PacsiError::Truncated { at: at + 2 + chunks.len() * 9 });
        };
        let crops = chunks.iter().map(|&[confidence, a, b, c, d, e, f, g, h]| Crop {
            confidence,
            left: u16::from_be_bytes([a, b]),
            right: u16::from_be_bytes([c, d]),
            top: u16::from_be_bytes([e, f]),
            bottom: u16::from_be_bytes([g, h]),
        });
        Ok(Self { kind: *kind, crops: crops.collect() })
    }

    /// Appends the SEI NAL unit, with 255 regions at most.
    pub fn write(&self, out: &mut Vec<u8>) {
        let crops = self.crops.get(..255).unwrap_or(&self.crops);
        begin_message(&CROPPING_INFO, 2 + 9 * crops.len(), out);
        out.extend_from_slice(&[crops.len().to_le_bytes()[0], self.kind]);
        for crop in crops {
            out.push(crop.confidence);
            for side in [crop.left, crop.right, crop.top, crop.bottom] {
                out.extend_from_slice(&side.to_be_bytes());
            }
        }
    }
}

/// [MS-H264PF] 2.2.5: 139FB1A9-446A-4DEC-8CBF-65B1E12D2CFD, in printed order.
pub(crate) const STREAM_LAYOUT: [u8; 16] =
    0x139F_B1A9_446A_4DEC_8CBF_65B1_E12D_2CFD_u128.to_be_bytes();
/// [MS-H264PF] 2.2.6: BB7FC1A0-6986-4052-90F0-0929217539CF.
pub(crate) const CROPPING_INFO: [u8; 16] =
    0xBB7F_C1A0_6986_4052_90F0_0929_2175_39CF_u128.to_be_bytes();
/// [MS-H264PF] 2.2.7: 05FBC6B9-5A80-40E5-A22A-AB4020267E26.
pub(crate) const BITSTREAM_INFO: [u8; 16] =
    0x05FB_C6B9_5A80_40E5_A22A_AB40_2026_7E26_u128.to_be_bytes();
