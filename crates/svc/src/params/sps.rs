use crate::bits::BitReader;
use crate::error::ParseError;
use crate::nal::NalType;
use crate::params::Vui;

/// Sequence parameter set or subset sequence parameter set (H.264 §7.3.2.1).
///
/// ```
/// use linkspan_svc::Sps;
/// let nal = [0x67, 0x42, 0xc0, 0x0b, 0x8c, 0x8d, 0x41, 0x46, 0x90, 0x0f, 0x08, 0x84, 0x6a];
/// let sps = Sps::parse(&nal)?;
/// assert_eq!((sps.profile_idc, sps.level_idc), (66, 11));
/// assert_eq!(sps.profile_level_id(), [0x42, 0xc0, 0x0b]);
/// assert_eq!((sps.width(), sps.height()), (160, 96));
/// # Ok::<(), linkspan_svc::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sps {
    /// `profile_idc`.
    pub profile_idc: u8,
    /// The octet of constraint flags; `constraint_set0_flag` is its top bit.
    pub constraint_flags: u8,
    /// `level_idc`.
    pub level_idc: u8,
    /// `seq_parameter_set_id`, 0 to 31.
    pub id: u8,
    /// `chroma_format_idc`: 1 is 4:2:0.
    pub chroma_format_idc: u8,
    /// `separate_colour_plane_flag`.
    pub separate_colour_plane: bool,
    /// `bit_depth_luma_minus8` + 8.
    pub bit_depth_luma: u8,
    /// `bit_depth_chroma_minus8` + 8.
    pub bit_depth_chroma: u8,
    /// `log2_max_frame_num_minus4` + 4.
    pub log2_max_frame_num: u8,
    /// `pic_order_cnt_type`.
    pub poc_type: u8,
    /// `log2_max_pic_order_cnt_lsb_minus4` + 4 (type 0), otherwise 0.
    pub log2_max_poc_lsb: u8,
    /// `delta_pic_order_always_zero_flag` (type 1).
    pub delta_pic_order_always_zero: bool,
    /// `max_num_ref_frames`.
    pub max_num_ref_frames: u8,
    /// `gaps_in_frame_num_value_allowed_flag`: whole reference pictures may be missing.
    pub gaps_in_frame_num_allowed: bool,
    /// `pic_width_in_mbs_minus1` + 1.
    pub width_mbs: u16,
    /// `pic_height_in_map_units_minus1` + 1.
    pub height_map_units: u16,
    /// `frame_mbs_only_flag`: no interlaced coding.
    pub frame_mbs_only: bool,
    /// The cropping rectangle, in the units of the syntax.
    pub cropping: Cropping,
    /// The video usability information.
    pub vui: Option<Vui>,
    /// The scalable part; `Some` in subset sequence parameter sets of profiles 83 and 86 only.
    pub svc: Option<SvcSpsExtension>,
    /// Bit position behind `seq_parameter_set_data()`, for the rewriter.
    pub(crate) data_end: usize,
    /// Bit range of `chroma_format_idc ... scaling lists`, empty where absent.
    pub(crate) high_block: (usize, usize),
}

impl Sps {
    /// Reads a NAL unit of type 7 or 15.
    ///
    /// # Errors
    /// [`ParseError`], with the place.
    pub fn parse(nal: &[u8]) -> Result<Self, ParseError> {
        let Some((&first, body)) = nal.split_first() else {
            return Err(ParseError::Truncated { at: 0 });
        };
        let subset = match NalType::new(first) {
            NalType::Sps => false,
            NalType::SubsetSps => true,
            _ => return Err(ParseError::WrongType),
        };
        let r = &mut BitReader::new(body);
        let mut sps = Self::read_data(r)?;
        if subset && matches!(sps.profile_idc, 83 | 86) {
            sps.svc = Some(SvcSpsExtension::read(r, &sps)?);
        }
        Ok(sps)
    }

    /// H.264 §7.3.2.1.1 `seq_parameter_set_data`.
    fn read_data(r: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let mut sps = Self::empty();
        sps.profile_idc = r.u8(8)?;
        sps.constraint_flags = r.u8(8)?;
        sps.level_idc = r.u8(8)?;
        sps.id = r.ue_u8("seq_parameter_set_id", 31)?;
        sps.high_block = (r.position(), r.position());
        if HIGH_PROFILES.contains(&sps.profile_idc) {
            sps.read_high(r)?;
            sps.high_block.1 = r.position();
        }
        sps.log2_max_frame_num = 4 + r.ue_u8("log2_max_frame_num_minus4", 12)?;
        sps.poc_type = r.ue_u8("pic_order_cnt_type", 2)?;
        match sps.poc_type {
            0 => sps.log2_max_poc_lsb = 4 + r.ue_u8("log2_max_pic_order_cnt_lsb_minus4", 12)?,
            1 => {
                sps.delta_pic_order_always_zero = r.flag()?;
                r.se()?;
                r.se()?;
                for _ in 0..r.ue_max("num_ref_frames_in_pic_order_cnt_cycle", 255)? {
                    r.se()?;
                }
            }
            _ => {}
        }
        sps.max_num_ref_frames = r.ue_u8("max_num_ref_frames", 16)?;
        sps.gaps_in_frame_num_allowed = r.flag()?;
        sps.width_mbs = read_size(r, "pic_width_in_mbs_minus1")?;
        sps.height_map_units = read_size(r, "pic_height_in_map_units_minus1")?;
        sps.frame_mbs_only = r.flag()?;
        if !sps.frame_mbs_only {
            r.flag()?; // mb_adaptive_frame_field_flag
        }
        r.flag()?; // direct_8x8_inference_flag
        if r.flag()? {
            sps.cropping =
                Cropping { left: r.ue()?, right: r.ue()?, top: r.ue()?, bottom: r.ue()? };
        }
        if r.flag()? {
            sps.vui = Some(Vui::read(r)?);
        }
        sps.data_end = r.position();
        Ok(sps)
    }

    fn read_high(&mut self, r: &mut BitReader<'_>) -> Result<(), ParseError> {
        self.chroma_format_idc = r.ue_u8("chroma_format_idc", 3)?;
        if self.chroma_format_idc == 3 {
            self.separate_colour_plane = r.flag()?;
        }
        self.bit_depth_luma = 8 + r.ue_u8("bit_depth_luma_minus8", 6)?;
        self.bit_depth_chroma = 8 + r.ue_u8("bit_depth_chroma_minus8", 6)?;
        r.flag()?; // qpprime_y_zero_transform_bypass_flag
        if r.flag()? {
            let lists = if self.chroma_format_idc == 3 { 12 } else { 8 };
            for list in 0..lists {
                if r.flag()? {
                    skip_scaling_list(r, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(())
    }

    const fn empty() -> Self {
        Self {
            profile_idc: 0,
            constraint_flags: 0,
            level_idc: 0,
            id: 0,
            chroma_format_idc: 1,
            separate_colour_plane: false,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            log2_max_frame_num: 4,
            poc_type: 0,
            log2_max_poc_lsb: 0,
            delta_pic_order_always_zero: false,
            max_num_ref_frames: 0,
            gaps_in_frame_num_allowed: false,
            width_mbs: 1,
            height_map_units: 1,
            frame_mbs_only: true,
            cropping: Cropping { left: 0, right: 0, top: 0, bottom: 0 },
            vui: None,
            svc: None,
            data_end: 0,
            high_block: (0, 0),
        }
    }

    /// The three octets of `profile-level-id` (RFC 6184 §8.1).
    #[must_use]
    pub const fn profile_level_id(&self) -> [u8; 3] {
        [self.profile_idc, self.constraint_flags, self.level_idc]
    }

    /// Whether every decoder of Constrained Baseline takes the stream.
    #[must_use]
    pub const fn is_constrained_baseline(&self) -> bool {
        // H.264 §A.2.1.1: profile 66 with constraint_set1_flag.
        self.profile_idc == 66 && self.constraint_flags & 0x40 != 0
    }

    /// Width of the coded picture in luma samples, a multiple of 16.
    #[must_use]
    pub fn coded_width(&self) -> u32 {
        u32::from(self.width_mbs) * 16
    }

    /// Height of the coded picture in luma samples, a multiple of 16.
    #[must_use]
    pub fn coded_height(&self) -> u32 {
        u32::from(self.height_map_units) * 16 * if self.frame_mbs_only { 1 } else { 2 }
    }

    /// Width of the picture behind cropping, in luma samples.
    #[must_use]
    pub fn width(&self) -> u32 {
        // H.264 §7.4.2.1.1, Table 6-1: SubWidthC is 2 for 4:2:0 and 4:2:2.
        let unit = if matches!(self.chroma_array_type(), 1 | 2) { 2 } else { 1 };
        let crop = self.cropping.left.saturating_add(self.cropping.right).saturating_mul(unit);
        self.coded_width().saturating_sub(crop)
    }

    /// Height of the picture behind cropping, in luma samples.
    #[must_use]
    pub fn height(&self) -> u32 {
        let unit = if self.chroma_array_type() == 1 { 2 } else { 1 };
        let unit = if self.frame_mbs_only { unit } else { unit * 2 };
        let crop = self.cropping.top.saturating_add(self.cropping.bottom).saturating_mul(unit);
        self.coded_height().saturating_sub(crop)
    }

    /// Macroblocks of a frame: what `max-fs` counts.
    #[must_use]
    pub fn frame_size_mbs(&self) -> u32 {
        self.coded_width() / 16 * (self.coded_height() / 16)
    }

    /// Frames per second, where the usability information promises a fixed rate.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        let (units, scale) = self.vui?.timing?;
        (units != 0 && scale != 0).then(|| f64::from(scale) / (2.0 * f64::from(units)))
    }

    pub(crate) const fn chroma_array_type(&self) -> u8 {
        if self.separate_colour_plane { 0 } else { self.chroma_format_idc }
    }
}

/// `frame_crop_*_offset` (H.264 §7.4.2.1.1), in the units of the syntax.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cropping {
    /// `frame_crop_left_offset`.
    pub left: u32,
    /// `frame_crop_right_offset`.
    pub right: u32,
    /// `frame_crop_top_offset`.
    pub top: u32,
    /// `frame_crop_bottom_offset`.
    pub bottom: u32,
}

/// `seq_parameter_set_svc_extension` (H.264 §G.7.3.2.1.4), as far as slice headers depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SvcSpsExtension {
    /// `inter_layer_deblocking_filter_control_present_flag`.
    pub inter_layer_deblocking_control: bool,
    /// `extended_spatial_scalability_idc`.
    pub extended_spatial_scalability_idc: u8,
    /// `chroma_phase_x_plus1_flag`.
    pub chroma_phase_x_plus1: u8,
    /// `chroma_phase_y_plus1`.
    pub chroma_phase_y_plus1: u8,
    /// `seq_tcoeff_level_prediction_flag`.
    pub tcoeff_level_prediction: bool,
    /// `adaptive_tcoeff_level_prediction_flag`.
    pub adaptive_tcoeff_level_prediction: bool,
    /// `slice_header_restriction_flag`.
    pub slice_header_restriction: bool,
}

impl SvcSpsExtension {
    fn read(r: &mut BitReader<'_>, sps: &Sps) -> Result<Self, ParseError> {
        let chroma = sps.chroma_array_type();
        let inter_layer_deblocking_control = r.flag()?;
        let extended_spatial_scalability_idc = r.u8(2)?;
        let chroma_phase_x_plus1 = if matches!(chroma, 1 | 2) { r.u8(1)? } else { 1 };
        let chroma_phase_y_plus1 = if chroma == 1 { r.u8(2)? } else { 1 };
        if extended_spatial_scalability_idc == 1 {
            if chroma > 0 {
                r.u(3)?;
            }
            for _ in 0..4 {
                r.se()?;
            }
        }
        let tcoeff_level_prediction = r.flag()?;
        let adaptive_tcoeff_level_prediction = tcoeff_level_prediction && r.flag()?;
        Ok(Self {
            inter_layer_deblocking_control,
            extended_spatial_scalability_idc,
            chroma_phase_x_plus1,
            chroma_phase_y_plus1,
            tcoeff_level_prediction,
            adaptive_tcoeff_level_prediction,
            slice_header_restriction: r.flag()?,
        })
    }
}

fn read_size(r: &mut BitReader<'_>, element: &'static str) -> Result<u16, ParseError> {
    // Level 6.2 allows 139264 macroblocks, 1055 in one direction (sqrt(8 * MaxFS)).
    Ok(u16::try_from(r.ue_max(element, 2_047)?).unwrap_or(0) + 1)
}

/// H.264 §7.3.2.1.1.1.
pub(super) fn skip_scaling_list(r: &mut BitReader<'_>, size: usize) -> Result<(), ParseError> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = (last.wrapping_add(r.se()?)) & 0xff;
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

/// Profiles with `chroma_format_idc` in the set (H.264 §7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
