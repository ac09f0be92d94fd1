use crate::bits::BitReader;
use crate::error::ParseError;
use crate::nal::NalType;

/// Picture parameter set (H.264 §7.3.2.2), as far as slice headers depend on it.
///
/// ```
/// let pps = linkspan_svc::Pps::parse(&[0x68, 0xce, 0x3c, 0x80])?;
/// assert_eq!((pps.id, pps.sps_id, pps.cabac), (0, 0, false));
/// # Ok::<(), linkspan_svc::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pps {
    /// `pic_parameter_set_id`.
    pub id: u8,
    /// `seq_parameter_set_id`: of a sequence parameter set for slices of types 1 and 5, of a subset
    /// sequence parameter set for type 20; the two are numbered apart.
    pub sps_id: u8,
    /// `entropy_coding_mode_flag`.
    pub cabac: bool,
    /// `bottom_field_pic_order_in_frame_present_flag`.
    pub bottom_field_pic_order: bool,
    /// `num_slice_groups_minus1` + 1.
    pub slice_groups: u8,
    /// `slice_group_map_type`, with more than one slice group.
    pub slice_group_map_type: u8,
    /// `slice_group_change_rate_minus1` + 1, for map types 3 to 5.
    pub slice_group_change_rate: u32,
    /// `num_ref_idx_l0_default_active_minus1` + 1.
    pub num_ref_idx_l0: u8,
    /// `num_ref_idx_l1_default_active_minus1` + 1.
    pub num_ref_idx_l1: u8,
    /// `weighted_pred_flag`.
    pub weighted_pred: bool,
    /// `weighted_bipred_idc`.
    pub weighted_bipred_idc: u8,
    /// `deblocking_filter_control_present_flag`.
    pub deblocking_control: bool,
    /// `redundant_pic_cnt_present_flag`.
    pub redundant_pic_cnt: bool,
    /// Bits of the two identifiers in front, for the rewriter.
    pub(crate) ids_end: usize,
}

impl Pps {
    /// Reads a NAL unit of type 8.
    ///
    /// # Errors
    /// [`ParseError`], with the place.
    pub fn parse(nal: &[u8]) -> Result<Self, ParseError> {
        let Some((&first, body)) = nal.split_first() else {
            return Err(ParseError::Truncated { at: 0 });
        };
        if NalType::new(first) != NalType::Pps {
            return Err(ParseError::WrongType);
        }
        let r = &mut BitReader::new(body);
        let id = r.ue_u8("pic_parameter_set_id", 255)?;
        let sps_id = r.ue_u8("seq_parameter_set_id", 31)?;
        let ids_end = r.position();
        let cabac = r.flag()?;
        let bottom_field_pic_order = r.flag()?;
        let slice_groups = 1 + r.ue_u8("num_slice_groups_minus1", 7)?;
        let (mut slice_group_map_type, mut slice_group_change_rate) = (0, 0);
        if slice_groups > 1 {
            slice_group_map_type = r.ue_u8("slice_group_map_type", 6)?;
            slice_group_change_rate = skip_slice_groups(r, slice_groups, slice_group_map_type)?;
        }
        let num_ref_idx_l0 = 1 + r.ue_u8("num_ref_idx_l0_default_active_minus1", 31)?;
        let num_ref_idx_l1 = 1 + r.ue_u8("num_ref_idx_l1_default_active_minus1", 31)?;
        let weighted_pred = r.flag()?;
        let weighted_bipred_idc = r.u8(2)?;
        r.se()?; // pic_init_qp_minus26
        r.se()?; // pic_init_qs_minus26
        r.se()?; // chroma_qp_index_offset
        let deblocking_control = r.flag()?;
        r.flag()?; // constrained_intra_pred_flag
        Ok(Self {
            id,
            sps_id,
            cabac,
            bottom_field_pic_order,
            slice_groups,
            slice_group_map_type,
            slice_group_change_rate,
            num_ref_idx_l0,
            num_ref_idx_l1,
            weighted_pred,
            weighted_bipred_idc,
            deblocking_control,
            redundant_pic_cnt: r.flag()?,
            ids_end,
        })
    }
}

/// H.264 §7.3.2.2; returns `slice_group_change_rate_minus1` + 1.
fn skip_slice_groups(r: &mut BitReader<'_>, groups: u8, map_type: u8) -> Result<u32, ParseError> {
    match map_type {
        0 => {
            for _ in 0..groups {
                r.ue()?;
            }
        }
        2 => {
            for _ in 1..groups {
                r.ue()?;
                r.ue()?;
            }
        }
        3..=5 => {
            r.flag()?;
            return Ok(r.ue_max("slice_group_change_rate_minus1", 139_263)? + 1);
        }
        6 => {
            // Ceil(Log2(num_slice_groups)) bits each.
            let bits = 8 - (groups - 1).leading_zeros();
            for _ in 0..=r.ue_max("pic_size_in_map_units_minus1", 139_263)? {
                r.u(bits)?;
            }
        }
        _ => {}
    }
    Ok(0)
}
