//! The rest of a slice header (H.264 §7.3.3, §G.7.3.3.4): references, marking, and where each part
//! stands.

use crate::bits::{BitReader, unescape};
use crate::bounded::Bounded;
use crate::error::ParseError;
use crate::nal::{NalType, SvcExtension};
use crate::params::{ParameterSets, Pps, Sps};
use crate::slice::{Front, InterLayer, SliceHeader, SliceType};

/// A slice header with everything in it that a rewriter needs.
#[derive(Clone, Debug)]
pub(crate) struct SliceSyntax {
    pub(crate) header: SliceHeader,
    /// Entries of list 0 (and 1) that macroblocks may name.
    pub(crate) active: [u8; 2],
    /// Modification commands of list 0 and list 1.
    pub(crate) modifications: [Modifications; 2],
    pub(crate) marking: Marking,
    pub(crate) cabac: bool,
    pub(crate) inter_layer: InterLayer,
    pub(crate) at: Positions,
}

/// Bit positions in the payload without emulation prevention.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Positions {
    pub(crate) frame_num: (usize, usize),
    /// Empty where the picture is no IDR picture.
    pub(crate) idr_pic_id: (usize, usize),
    pub(crate) modifications: (usize, usize),
    pub(crate) marking: (usize, usize),
    /// Bits that only a scalable extension has, to be left out in AVC.
    pub(crate) scalable: [(usize, usize); 2],
    /// Where the slice data begins (before `cabac_alignment_one_bit`).
    pub(crate) data: usize,
}

/// `ref_pic_list_modification` commands of one list (H.264 §7.3.3.1):
/// `modification_of_pic_nums_idc` and its operand, one for each entry at most (§7.4.3.1).
pub(crate) type Modifications = Bounded<(u8, u32), 32>;

/// `memory_management_control_operation` and its operands. Each names a frame or a field of at most
/// 16 frames.
pub(crate) type Commands = Bounded<(u8, u32, u32), 66>;

/// `dec_ref_pic_marking` (H.264 §7.3.3.3).
#[derive(Clone, Debug, Default)]
pub(crate) struct Marking {
    pub(crate) long_term_reference: bool,
    /// `adaptive_ref_pic_marking_mode_flag`: the commands say what is marked, not the sliding
    /// window.
    pub(crate) adaptive: bool,
    /// Without the closing 0.
    pub(crate) commands: Commands,
}

/// What a slice needs to be read, kept between slices: a header is large, and most of it is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct SliceReader {
    /// The payload behind the NAL unit header, without emulation prevention.
    pub(crate) payload: Vec<u8>,
    /// The slice that was read last.
    pub(crate) syntax: SliceSyntax,
}

impl SliceReader {
    /// Reads a slice header to its end, and no further; `payload` stays as it is. Gives the sequence
    /// parameter set that it names.
    pub(crate) fn read_header<'s>(
        &mut self,
        nal: &[u8],
        sets: &'s ParameterSets,
    ) -> Result<(&SliceSyntax, &'s Sps), ParseError> {
        let (svc, body) = SliceHeader::split(nal)?;
        let (mut rest, pps, sps) = self.syntax.read_front(nal, svc, BitReader::new(body), sets)?;
        self.syntax.read_end(&mut rest, pps, sps)?;
        Ok((&self.syntax, sps))
    }

    /// Reads a slice header up to the marking, which is all that a list of references needs.
    pub(crate) fn read_front<'s>(
        &mut self,
        nal: &[u8],
        sets: &'s ParameterSets,
    ) -> Result<(&SliceSyntax, &'s Sps), ParseError> {
        let (svc, body) = SliceHeader::split(nal)?;
        let (_, _, sps) = self.syntax.read_front(nal, svc, BitReader::new(body), sets)?;
        Ok((&self.syntax, sps))
    }

    /// Reads a slice header to its end; `payload` then holds the slice.
    pub(crate) fn read(&mut self, nal: &[u8], sets: &ParameterSets) -> Result<(), ParseError> {
        let (svc, body) = SliceHeader::split(nal)?;
        self.payload.clear();
        unescape(body, &mut self.payload);
        let bits = BitReader::raw(&self.payload);
        let (mut rest, pps, sps) = self.syntax.read_front(nal, svc, bits, sets)?;
        self.syntax.read_end(&mut rest, pps, sps)
    }
}

impl Marking {
    pub(crate) fn clear(&mut self) {
        self.long_term_reference = false;
        self.adaptive = false;
        self.commands.clear();
    }

    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.long_term_reference = other.long_term_reference;
        self.adaptive = other.adaptive;
        self.commands.copy_from(&other.commands);
    }
}

/// From `cabac_init_idc` to `slice_group_change_cycle`.
fn skip_quantisation(
    r: &mut BitReader<'_>,
    slice_type: SliceType,
    pps: &Pps,
    sps: &Sps,
) -> Result<(), ParseError> {
    if pps.cabac && !matches!(slice_type, SliceType::I | SliceType::Si) {
        r.ue_max("cabac_init_idc", 2)?;
    }
    r.se()?; // slice_qp_delta
    if matches!(slice_type, SliceType::Sp | SliceType::Si) {
        if slice_type == SliceType::Sp {
            r.flag()?;
        }
        r.se()?;
    }
    if pps.deblocking_control && r.ue_max("disable_deblocking_filter_idc", 6)? != 1 {
        r.se()?;
        r.se()?;
    }
    if pps.slice_groups > 1 && (3..=5).contains(&pps.slice_group_map_type) {
        skip_slice_group(r, pps, sps)?;
    }
    Ok(())
}

impl Default for SliceSyntax {
    fn default() -> Self {
        Self {
            header: SliceHeader::NONE,
            active: [0; 2],
            modifications: Default::default(),
            marking: Marking::default(),
            cabac: false,
            inter_layer: InterLayer::default(),
            at: Positions::default(),
        }
    }
}

impl SliceSyntax {
    /// Whether the slice data is that of an AVC slice: no prediction from a lower layer, all
    /// transform coefficients.
    pub(crate) fn is_plain(&self) -> bool {
        self.header.svc.is_none_or(|e| e.qid == 0 && e.no_inter_layer_pred)
            && self.inter_layer.scan == (0, 15)
    }

    /// Reads a header in the place of the last one, up to the marking.
    fn read_front<'a, 's>(
        &mut self,
        nal: &[u8],
        svc: Option<SvcExtension>,
        bits: BitReader<'a>,
        sets: &'s ParameterSets,
    ) -> Result<(BitReader<'a>, &'s Pps, &'s Sps), ParseError> {
        let front = SliceHeader::read_from(nal, svc, bits, sets)?;
        let Front { header, rest: mut r, pps, sps, frame_num, idr_pic_id } = front;
        self.header = header;
        self.active = [pps.num_ref_idx_l0, pps.num_ref_idx_l1];
        self.modifications.iter_mut().for_each(Bounded::clear);
        self.marking.clear();
        self.cabac = pps.cabac;
        self.inter_layer = InterLayer::default();
        self.at = Positions { frame_num, idr_pic_id, ..Positions::default() };
        if svc.is_none_or(|e| e.qid == 0) {
            self.read_references(&mut r)?;
            let predicted = svc.is_some_and(|e| !e.no_inter_layer_pred);
            self.read_weights(&mut r, pps, sps, predicted)?;
            let from = r.position();
            if header.ref_idc != 0 {
                self.read_marking(&mut r)?;
            }
            self.at.marking = (from, r.position());
        }
        Ok((r, pps, sps))
    }

    /// Reads what stands behind the marking.
    fn read_end(&mut self, r: &mut BitReader<'_>, pps: &Pps, sps: &Sps) -> Result<(), ParseError> {
        let header = self.header;
        let extension = sps.svc.filter(|_| header.svc.is_some());
        if header.ref_idc != 0
            && header.svc.is_some_and(|e| e.qid == 0)
            && extension.is_some_and(|e| !e.slice_header_restriction)
        {
            self.skip_base_marking(r)?;
        }
        skip_quantisation(r, header.slice_type, pps, sps)?;
        if let Some(extension) = extension {
            let from = r.position();
            self.inter_layer = InterLayer::read(r, &header, sps, extension)?;
            self.at.scalable[1] = (from, r.position());
        }
        self.at.data = r.position();
        Ok(())
    }

    fn read_references(&mut self, r: &mut BitReader<'_>) -> Result<(), ParseError> {
        let (p, b) = match self.header.slice_type {
            SliceType::P | SliceType::Sp => (true, false),
            SliceType::B => (true, true),
            _ => (false, false),
        };
        if b {
            r.flag()?; // direct_spatial_mv_pred_flag
        }
        if p && r.flag()? {
            self.active[0] = 1 + r.ue_u8("num_ref_idx_l0_active_minus1", 31)?;
            if b {
                self.active[1] = 1 + r.ue_u8("num_ref_idx_l1_active_minus1", 31)?;
            }
        }
        if !p {
            self.active = [0, 0];
        } else if !b {
            self.active[1] = 0;
        }
        let from = r.position();
        if p {
            read_modifications(r, &mut self.modifications[0])?;
        }
        if b {
            read_modifications(r, &mut self.modifications[1])?;
        }
        self.at.modifications = (from, r.position());
        Ok(())
    }

    fn read_weights(
        &mut self,
        r: &mut BitReader<'_>,
        pps: &Pps,
        sps: &Sps,
        predicted: bool,
    ) -> Result<(), ParseError> {
        let weighted = match self.header.slice_type {
            SliceType::P | SliceType::Sp => pps.weighted_pred,
            SliceType::B => pps.weighted_bipred_idc == 1,
            _ => false,
        };
        if !weighted {
            return Ok(());
        }
        if predicted && r.flag()? {
            return Ok(());
        }
        // H.264 §7.3.3.2.
        let chroma = sps.chroma_array_type() != 0;
        r.ue_max("luma_log2_weight_denom", 7)?;
        if chroma {
            r.ue_max("chroma_log2_weight_denom", 7)?;
        }
        for entries in self.active {
            for _ in 0..entries {
                for values in if chroma { &[2u8, 4][..] } else { &[2] } {
                    if r.flag()? {
                        for _ in 0..*values {
                            r.se()?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn read_marking(&mut self, r: &mut BitReader<'_>) -> Result<(), ParseError> {
        if self.header.idr {
            r.flag()?; // no_output_of_prior_pics_flag
            self.marking.long_term_reference = r.flag()?;
            return Ok(());
        }
        self.marking.adaptive = r.flag()?;
        while self.marking.adaptive {
            let operation = r.ue_u8("memory_management_control_operation", 6)?;
            let (a, b) = match operation {
                0 => break,
                1 | 2 | 4 | 6 => (r.ue()?, 0),
                3 => (r.ue()?, r.ue()?),
                _ => (0, 0),
            };
            if !self.marking.commands.push((operation, a, b)) {
                return Err(ParseError::OutOfRange {
                    element: "memory_management_control_operation",
                    at: r.position(),
                });
            }
        }
        Ok(())
    }

    /// H.264 §G.7.3.3.5 `dec_ref_base_pic_marking`, with the flag in front.
    fn skip_base_marking(&mut self, r: &mut BitReader<'_>) -> Result<(), ParseError> {
        let from = r.position();
        let store = r.flag()?;
        let used = self.header.svc.is_some_and(|e| e.use_ref_base_pic);
        if (used || store) && !self.header.idr && r.flag()? {
            for _ in 0..66 {
                match r.ue_max("memory_management_base_control_operation", 2)? {
                    0 => break,
                    _ => r.ue()?,
                };
            }
        }
        self.at.scalable[0] = (from, r.position());
        Ok(())
    }
}

fn read_modifications(
    r: &mut BitReader<'_>,
    commands: &mut Modifications,
) -> Result<(), ParseError> {
    if !r.flag()? {
        return Ok(());
    }
    loop {
        let idc = r.ue_u8("modification_of_pic_nums_idc", 5)?;
        if idc == 3 {
            return Ok(());
        }
        let at = r.position();
        if !commands.push((idc, r.ue()?)) {
            return Err(ParseError::OutOfRange { element: "modification_of_pic_nums_idc", at });
        }
    }
}

/// `slice_group_change_cycle` (H.264 §7.4.3): Ceil(Log2(PicSizeInMapUnits / rate + 1)) bits.
fn skip_slice_group(r: &mut BitReader<'_>, pps: &Pps, sps: &Sps) -> Result<(), ParseError> {
    let units = u32::from(sps.width_mbs) * u32::from(sps.height_map_units);
    let cycles = units.div_ceil(pps.slice_group_change_rate.max(1));
    r.u(32 - cycles.leading_zeros())?;
    Ok(())
}

/// Whether a NAL unit is a slice whose header can be read to the end.
pub(crate) const fn is_slice(kind: NalType) -> bool {
    matches!(kind, NalType::Slice | NalType::IdrSlice | NalType::SliceExtension)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::{BitWriter, escape};

    /// Sets of a scalable stream: an SPS and a PPS for the base, a subset SPS and a PPS above.
    fn sets(restriction: bool, deblocking: bool, tcoeff: bool, spatial: u32) -> ParameterSets {
        let mut w = BitWriter::default();
        w.u(0x53_001e, 24); // Scalable Baseline
        w.ue(0);
        w.ue(1);
        w.ue(0);
        w.ue(0);
        w.u(0, 2);
        w.ue(0); // log2_max_frame_num 4
        w.ue(2); // pic_order_cnt_type
        w.ue(1);
        w.flag(false);
        w.ue(39);
        w.ue(22);
        w.u(0b1100, 4); // frame_mbs_only, direct_8x8; no cropping, no vui
        w.flag(deblocking);
        w.u(spatial, 2);
        w.u(0b101, 3); // chroma phase
        w.flag(tcoeff);
        if tcoeff {
            w.flag(true);
        }
        w.flag(restriction);
        w.u(0, 2);
        w.trailing();
        let mut subset = vec![0x6f];
        escape(&w.into_bytes(), &mut subset);
        let mut sets = ParameterSets::new();
        sets.update(&subset).unwrap();
        // pps 0, CAVLC, weighted prediction off, deblocking control off.
        sets.update(&[0x68, 0xce, 0x38, 0x80]).unwrap();
        let sps = sets.iter_subset_sps().next().unwrap().svc.unwrap();
        assert_eq!(sps.slice_header_restriction, restriction);
        assert_eq!(u32::from(sps.extended_spatial_scalability_idc), spatial);
        sets
    }

    /// The front of a P slice with `nal_ref_idc` 0, up to `slice_qp_delta`.
    fn front(w: &mut BitWriter, qid: u8) {
        w.ue(0);
        w.ue(0);
        w.ue(0);
        w.u(3, 4); // frame_num
        if qid == 0 {
            w.u(0, 2); // no override, no modification
        }
        w.ue(0);
    }

    fn nal(svc: [u8; 3], w: BitWriter) -> Vec<u8> {
        let mut nal = vec![0x14, svc[0], svc[1], svc[2]];
        let mut w = w;
        w.trailing();
        escape(&w.into_bytes(), &mut nal);
        nal
    }

    #[test]
    fn slices_that_predict_from_lower_layers_are_read_to_the_end() {
        let mut reader = SliceReader::default();
        for bits in 0..64u32 {
            let on = |n: u32| bits >> n & 1 != 0;
            let (restriction, deblocking, tcoeff) = (on(0), on(1), on(2));
            let (skip, adaptive, quality) = (on(3), on(4), on(5));
            let spatial = if on(4) { 2 } else { 0 };
            let sets = sets(restriction, deblocking, tcoeff, spatial);
            let mut w = BitWriter::default();
            front(&mut w, u8::from(quality));
            if !quality {
                w.ue(16); // ref_layer_dq_id: did 1
                if deblocking {
                    w.ue(0);
                    w.ue(1);
                    w.ue(2);
                }
                w.flag(true);
                if spatial == 2 {
                    w.u(0b101, 3);
                    (0..4).for_each(|v| w.ue(v));
                }
            }
            w.flag(skip);
            if skip {
                w.ue(919);
            } else if adaptive {
                w.u(0b111, 3);
            } else {
                // Defaults, base mode off: each is written out.
                w.u(0b00_01_00, 6);
            }
            if tcoeff {
                w.flag(true);
            }
            if !restriction && !skip {
                w.u(0x2b, 8);
            }
            let data = w.written();
            let did_qid = if quality { 0x21 } else { 0x20 };
            let nal = nal([0x80, did_qid, 0x07], w);
            let (syntax, _) = reader.read_header(&nal, &sets).unwrap();
            assert_eq!(syntax.at.data, data, "{bits:06b}");
            let dq = (!quality).then_some(16);
            assert_eq!(syntax.inter_layer.ref_layer_dq_id, dq);
            assert_eq!(syntax.inter_layer.skipped_mbs, skip.then_some(920));
            let scan = if restriction || skip { (0, 15) } else { (2, 11) };
            assert_eq!(syntax.inter_layer.scan, scan);
            assert!(!syntax.is_plain());
        }
    }

    #[test]
    fn coefficients_in_part_are_not_avc() {
        let sets = sets(false, false, false, 0);
        for (scan, plain) in [(0x0f, true), (0x07, false)] {
            let mut w = BitWriter::default();
            front(&mut w, 0);
            w.u(scan, 8);
            let mut reader = SliceReader::default();
            let nal = nal([0x80, 0xa0, 0x07], w);
            let (syntax, _) = reader.read_header(&nal, &sets).unwrap();
            assert_eq!(syntax.is_plain(), plain);
        }
    }
}
