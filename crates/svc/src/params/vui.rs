use crate::bits::BitReader;
use crate::error::ParseError;

/// Video usability information (H.264 §E.1.1), as far as a gateway uses it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Vui {
    /// `num_units_in_tick` and `time_scale`: `time_scale / (2 * num_units_in_tick)` is the frame
    /// rate of a stream with `fixed_frame_rate_flag`.
    pub timing: Option<(u32, u32)>,
    /// `fixed_frame_rate_flag`.
    pub fixed_frame_rate: bool,
    /// The bitstream restriction part.
    pub restriction: Option<BitstreamRestriction>,
}

/// `bitstream_restriction` of the video usability information (H.264 §E.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BitstreamRestriction {
    /// `max_num_reorder_frames`: 0 means that decoding order is output order.
    pub max_num_reorder_frames: u32,
    /// `max_dec_frame_buffering`.
    pub max_dec_frame_buffering: u32,
}

impl Vui {
    /// H.264 §E.1.1.
    pub(crate) fn read(r: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let mut vui = Self::default();
        if r.flag()? && r.u(8)? == 255 {
            r.u(32)?; // sar_width, sar_height
        }
        if r.flag()? {
            r.flag()?; // overscan_appropriate_flag
        }
        if r.flag()? {
            r.u(4)?; // video_format, video_full_range_flag
            if r.flag()? {
                r.u(24)?; // colour_primaries, transfer_characteristics, matrix_coefficients
            }
        }
        if r.flag()? {
            r.ue_max("chroma_sample_loc_type_top_field", 5)?;
            r.ue_max("chroma_sample_loc_type_bottom_field", 5)?;
        }
        if r.flag()? {
            vui.timing = Some((r.u(32)?, r.u(32)?));
            vui.fixed_frame_rate = r.flag()?;
        }
        let nal_hrd = r.flag()?;
        if nal_hrd {
            skip_hrd(r)?;
        }
        let vcl_hrd = r.flag()?;
        if vcl_hrd {
            skip_hrd(r)?;
        }
        if nal_hrd || vcl_hrd {
            r.flag()?; // low_delay_hrd_flag
        }
        r.flag()?; // pic_struct_present_flag
        if r.flag()? {
            r.flag()?; // motion_vectors_over_pic_boundaries_flag
            for element in [
                "max_bytes_per_pic_denom",
                "max_bits_per_mb_denom",
                "log2_max_mv_length_horizontal",
                "log2_max_mv_length_vertical",
            ] {
                r.ue_max(element, 16)?;
            }
            vui.restriction = Some(BitstreamRestriction {
                max_num_reorder_frames: r.ue_max("max_num_reorder_frames", 16)?,
                max_dec_frame_buffering: r.ue_max("max_dec_frame_buffering", 16)?,
            });
        }
        Ok(vui)
    }
}

/// H.264 §E.1.2.
fn skip_hrd(r: &mut BitReader<'_>) -> Result<(), ParseError> {
    let count = r.ue_max("cpb_cnt_minus1", 31)?;
    r.u(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..=count {
        r.ue()?;
        r.ue()?;
        r.flag()?;
    }
    r.u(20)?;
    Ok(())
}
