use crate::bits::BitReader;
use crate::error::ParseError;
use crate::nal::{NalHeader, NalType, SvcExtension};
use crate::params::{ParameterSets, Pps, Sps, SvcSpsExtension};
use crate::slice_syntax::SliceReader;

/// The front of a slice header (H.264 §7.3.3, §G.7.3.3.4): what tells which picture a slice
/// belongs to.
///
/// ```
/// use linkspan_svc::{ParameterSets, SliceHeader, nal_units};
/// # let stream = [
/// #     0, 0, 1, 0x67, 0x42, 0xc0, 0x0b, 0x8c, 0x8d, 0x41, 0x46, 0x90, 0x0f, 0x08, 0x84, 0x6a,
/// #     0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 1, 0x65, 0xb8, 0, 4, 0, 0, 0x13, 0xe2, 0x11, 0x11,
/// # ];
/// let mut sets = ParameterSets::new();
/// for nal in nal_units(&stream) {
///     if !sets.update(nal)? {
///         let slice = SliceHeader::parse(nal, &sets)?;
///         assert!(slice.idr && slice.is_first_of_picture());
///     }
/// }
/// # Ok::<(), linkspan_svc::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SliceHeader {
    /// `first_mb_in_slice`.
    pub first_mb: u32,
    /// The kind of macroblocks.
    pub slice_type: SliceType,
    /// `pic_parameter_set_id`.
    pub pps_id: u8,
    /// `seq_parameter_set_id` of that picture parameter set.
    pub sps_id: u8,
    /// `frame_num`.
    pub frame_num: u32,
    /// `nal_ref_idc`.
    pub ref_idc: u8,
    /// Whether the slice is of an IDR picture; for type 20, of an IDR picture of its layer.
    pub idr: bool,
    /// `idr_pic_id`, with [`Self::idr`].
    pub idr_pic_id: u16,
    /// `field_pic_flag`.
    pub field_pic: bool,
    /// `bottom_field_flag`.
    pub bottom_field: bool,
    /// `pic_order_cnt_lsb`, with picture order count type 0.
    pub poc_lsb: u32,
    /// `delta_pic_order_cnt_bottom`.
    pub delta_poc_bottom: i32,
    /// `delta_pic_order_cnt[0]` and `[1]`, with picture order count type 1.
    pub delta_poc: [i32; 2],
    /// `redundant_pic_cnt`.
    pub redundant_pic_cnt: u8,
    /// The scalable extension; `Some` for type 20 only.
    pub svc: Option<SvcExtension>,
}

/// How a slice in scalable extension uses the layer below (H.264 §G.7.3.3.4, §G.7.4.3.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InterLayer {
    /// `ref_layer_dq_id`: dependency id times 16 and quality id of the layer that the slice predicts
    /// from. `None` where it does not, and with a quality id above 0, where it is the quality
    /// layer below.
    pub ref_layer_dq_id: Option<u8>,
    /// `num_mbs_in_slice_minus1` + 1 of a slice that adds nothing (`slice_skip_flag`).
    pub skipped_mbs: Option<u32>,
    /// `scan_idx_start` and `scan_idx_end`: which transform coefficients there are.
    pub scan: (u8, u8),
}

impl Default for InterLayer {
    /// What a slice without the scalable part has.
    fn default() -> Self {
        Self { ref_layer_dq_id: None, skipped_mbs: None, scan: (0, 15) }
    }
}

impl InterLayer {
    /// From `ref_layer_dq_id` to the end of the header.
    pub(crate) fn read(
        r: &mut BitReader<'_>,
        header: &SliceHeader,
        sps: &Sps,
        extension: SvcSpsExtension,
    ) -> Result<Self, ParseError> {
        let mut layer = Self::default();
        let predicted = header.svc.is_some_and(|e| !e.no_inter_layer_pred);
        if predicted && header.svc.is_some_and(|e| e.qid == 0) {
            layer.ref_layer_dq_id = Some(r.ue_u8("ref_layer_dq_id", 127)?);
            skip_resampling(r, sps, extension)?;
        }
        if predicted {
            if r.flag()? {
                layer.skipped_mbs = Some(r.ue_max("num_mbs_in_slice_minus1", 139_263)? + 1);
            } else {
                skip_prediction_modes(r)?;
            }
            if extension.adaptive_tcoeff_level_prediction {
                r.flag()?; // tcoeff_level_prediction_flag
            }
        }
        if !extension.slice_header_restriction && layer.skipped_mbs.is_none() {
            layer.scan = (r.u8(4)?, r.u8(4)?);
        }
        Ok(layer)
    }
}

/// Deblocking across layers, and how the lower picture is scaled.
fn skip_resampling(
    r: &mut BitReader<'_>,
    sps: &Sps,
    extension: SvcSpsExtension,
) -> Result<(), ParseError> {
    if extension.inter_layer_deblocking_control
        && r.ue_max("disable_inter_layer_deblocking_filter_idc", 6)? != 1
    {
        r.se()?;
        r.se()?;
    }
    r.flag()?; // constrained_intra_resampling_flag
    if extension.extended_spatial_scalability_idc == 2 {
        if sps.chroma_array_type() > 0 {
            r.u(3)?;
        }
        for _ in 0..4 {
            r.se()?; // scaled_ref_layer_*_offset
        }
    }
    Ok(())
}

/// Base mode, motion prediction and residual prediction: adaptive, or one default for all.
fn skip_prediction_modes(r: &mut BitReader<'_>) -> Result<(), ParseError> {
    let base_mode = !r.flag()? && r.flag()?;
    if !base_mode && !r.flag()? {
        r.flag()?; // default_motion_prediction_flag
    }
    if !r.flag()? {
        r.flag()?; // default_residual_prediction_flag
    }
    Ok(())
}

/// `slice_type` (H.264 Table 7-6), without the promise that all slices of the picture agree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SliceType {
    /// P, or EP in a scalable extension.
    P,
    /// B, or EB.
    B,
    /// I, or EI.
    I,
    /// SP.
    Sp,
    /// SI.
    Si,
}

/// What [`SliceHeader::read`] finds.
#[derive(Debug)]
pub(crate) struct Front<'a, 's> {
    pub(crate) header: SliceHeader,
    /// Behind what `header` holds.
    pub(crate) rest: BitReader<'a>,
    pub(crate) pps: &'s Pps,
    pub(crate) sps: &'s Sps,
    /// Bit positions, without emulation prevention.
    pub(crate) frame_num: (usize, usize),
    pub(crate) idr_pic_id: (usize, usize),
}

impl SliceHeader {
    /// In the place of one that is to be read.
    pub(crate) const NONE: Self = Self {
        first_mb: 0,
        slice_type: SliceType::I,
        pps_id: 0,
        sps_id: 0,
        frame_num: 0,
        ref_idc: 0,
        idr: false,
        idr_pic_id: 0,
        field_pic: false,
        bottom_field: false,
        poc_lsb: 0,
        delta_poc_bottom: 0,
        delta_poc: [0; 2],
        redundant_pic_cnt: 0,
        svc: None,
    };

    /// Reads the header of a NAL unit of type 1, 2, 5 or 20 with the sets that it names.
    ///
    /// # Errors
    /// [`ParseError`]; [`ParseError::UnknownParameterSet`] when a set is missing.
    pub fn parse(nal: &[u8], sets: &ParameterSets) -> Result<Self, ParseError> {
        Self::read(nal, sets).map(|front| front.header)
    }

    /// Reads the header to its end and tells how the slice uses lower layers.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn inter_layer(nal: &[u8], sets: &ParameterSets) -> Result<InterLayer, ParseError> {
        let mut reader = SliceReader::default();
        reader.read_header(nal, sets).map(|(syntax, _)| syntax.inter_layer)
    }

    /// The header and the sets it uses.
    pub(crate) fn read<'a, 's>(
        nal: &'a [u8],
        sets: &'s ParameterSets,
    ) -> Result<Front<'a, 's>, ParseError> {
        let (svc, body) = Self::split(nal)?;
        Self::read_from(nal, svc, BitReader::new(body), sets)
    }

    /// The scalable extension of a slice and the octets behind its headers.
    pub(crate) fn split(nal: &[u8]) -> Result<(Option<SvcExtension>, &[u8]), ParseError> {
        let Some((&first, body)) = nal.split_first() else {
            return Err(ParseError::Truncated { at: 0 });
        };
        match NalType::new(first) {
            NalType::Slice | NalType::IdrSlice | NalType::Partition(2) => Ok((None, body)),
            NalType::SliceExtension => {
                let svc = SvcExtension::parse(nal).map_err(|_| ParseError::WrongType)?;
                Ok((Some(svc), body.get(3..).unwrap_or_default()))
            }
            _ => Err(ParseError::WrongType),
        }
    }

    pub(crate) fn read_from<'a, 's>(
        nal: &[u8],
        svc: Option<SvcExtension>,
        mut reader: BitReader<'a>,
        sets: &'s ParameterSets,
    ) -> Result<Front<'a, 's>, ParseError> {
        let octet = NalHeader::from_octet(nal.first().copied().unwrap_or(0));
        let r = &mut reader;
        let first_mb = r.ue_max("first_mb_in_slice", 139_263)?;
        let slice_type = match r.ue_max("slice_type", 9)? % 5 {
            0 => SliceType::P,
            1 => SliceType::B,
            2 => SliceType::I,
            3 => SliceType::Sp,
            _ => SliceType::Si,
        };
        let pps_id = r.ue_u8("pic_parameter_set_id", 255)?;
        let (pps, sps) = sets.activate(pps_id, svc.is_some())?;
        let mut h = Self {
            first_mb,
            slice_type,
            pps_id,
            sps_id: sps.id,
            ref_idc: octet.ref_idc,
            idr: svc.map_or(octet.kind == NalType::IdrSlice, |s| s.idr),
            svc,
            ..Self::NONE
        };
        if sps.separate_colour_plane {
            r.u(2)?;
        }
        let at = r.position();
        h.frame_num = r.u(u32::from(sps.log2_max_frame_num))?;
        let frame_num = (at, r.position());
        if !sps.frame_mbs_only {
            h.field_pic = r.flag()?;
            h.bottom_field = h.field_pic && r.flag()?;
        }
        let at = r.position();
        if h.idr {
            h.idr_pic_id = u16::try_from(r.ue_max("idr_pic_id", 65_535)?).unwrap_or(0);
        }
        let idr_pic_id = (at, r.position());
        h.read_picture_order(r, pps, sps)?;
        if pps.redundant_pic_cnt {
            h.redundant_pic_cnt = r.ue_u8("redundant_pic_cnt", 127)?;
        }
        Ok(Front { header: h, rest: reader, pps, sps, frame_num, idr_pic_id })
    }

    fn read_picture_order(
        &mut self,
        r: &mut BitReader<'_>,
        pps: &Pps,
        sps: &Sps,
    ) -> Result<(), ParseError> {
        if sps.poc_type == 0 {
            self.poc_lsb = r.u(u32::from(sps.log2_max_poc_lsb))?;
            if pps.bottom_field_pic_order && !self.field_pic {
                self.delta_poc_bottom = r.se()?;
            }
        }
        if sps.poc_type == 1 && !sps.delta_pic_order_always_zero {
            self.delta_poc[0] = r.se()?;
            if pps.bottom_field_pic_order && !self.field_pic {
                self.delta_poc[1] = r.se()?;
            }
        }
        Ok(())
    }

    /// Whether the slice begins its picture, in streams without arbitrary slice order.
    #[must_use]
    pub const fn is_first_of_picture(&self) -> bool {
        self.first_mb == 0 && self.redundant_pic_cnt == 0
    }

    /// Whether `self` belongs to another primary coded picture than `previous`, of the same layer
    /// (H.264 §7.4.1.2.4).
    #[must_use]
    pub fn starts_new_picture(&self, previous: &Self) -> bool {
        self.frame_num != previous.frame_num
            || self.pps_id != previous.pps_id && self.sps_id != previous.sps_id
            || self.field_pic != previous.field_pic
            || self.bottom_field != previous.bottom_field
            || (self.ref_idc == 0) != (previous.ref_idc == 0)
            || self.poc_lsb != previous.poc_lsb
            || self.delta_poc_bottom != previous.delta_poc_bottom
            || self.delta_poc != previous.delta_poc
            || self.idr != previous.idr
            || self.idr && self.idr_pic_id != previous.idr_pic_id
    }
}
