use crate::bits::{BitWriter, escape};
use crate::nal::NalType;
use crate::slice_syntax::SliceSyntax;

/// Writes slices anew, with another header in front of the same slice data.
#[derive(Clone, Debug, Default)]
pub(crate) struct SliceWriter {
    payload: Vec<u8>,
}

/// What changes in a header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes<'a> {
    pub(crate) idr_pic_id: Option<u16>,
    pub(crate) frame_num: Option<u32>,
    /// Commands of list 0, of a P slice.
    pub(crate) modifications: Option<&'a [(u8, u32)]>,
    /// Commands of adaptive marking.
    pub(crate) marking: Option<&'a [(u8, u32, u32)]>,
}

impl SliceWriter {
    /// Appends the slice of `nal` as an AVC slice; `payload` is its payload without emulation
    /// prevention. A slice of type 20 becomes type 1 or 5.
    pub(crate) fn write(
        &mut self,
        nal: &[u8],
        syntax: &SliceSyntax,
        payload: &[u8],
        changes: &Changes<'_>,
        out: &mut Vec<u8>,
    ) {
        let at = &syntax.at;
        let mut w = BitWriter::reuse(core::mem::take(&mut self.payload));
        w.copy(payload, 0, at.frame_num.0);
        match changes.frame_num {
            Some(number) => {
                let bits = at.frame_num.1 - at.frame_num.0;
                w.u(number, u32::try_from(bits).unwrap_or(0));
            }
            None => w.copy(payload, at.frame_num.0, at.frame_num.1),
        }
        let (id, id_end) = at.idr_pic_id;
        match changes.idr_pic_id.filter(|_| id < id_end) {
            Some(number) => {
                w.copy(payload, at.frame_num.1, id);
                w.ue(u32::from(number));
                w.copy(payload, id_end, at.modifications.0);
            }
            None => w.copy(payload, at.frame_num.1, at.modifications.0),
        }
        match changes.modifications {
            Some(commands) => write_modifications(&mut w, commands),
            None => w.copy(payload, at.modifications.0, at.modifications.1),
        }
        w.copy(payload, at.modifications.1, at.marking.0);
        match changes.marking {
            Some(commands) => write_marking(&mut w, commands),
            None => w.copy(payload, at.marking.0, at.marking.1),
        }
        let mut from = at.marking.1;
        for (start, end) in at.scalable.iter().copied().filter(|(start, end)| start < end) {
            w.copy(payload, from, start);
            from = end;
        }
        w.copy(payload, from, at.data);
        copy_data(&mut w, payload, at.data, syntax.cabac);
        self.payload = w.into_bytes();
        out.push(first_octet(nal, syntax));
        escape(&self.payload, out);
    }
}

fn first_octet(nal: &[u8], syntax: &SliceSyntax) -> u8 {
    let octet = nal.first().copied().unwrap_or(0);
    if syntax.header.svc.is_none() {
        return octet;
    }
    let kind = if syntax.header.idr { NalType::IdrSlice } else { NalType::Slice };
    octet & 0xe0 | kind.value()
}

/// The slice data and what follows it.
fn copy_data(w: &mut BitWriter, payload: &[u8], at: usize, cabac: bool) {
    // cabac_zero_words pad a bit rate; they are not needed.
    let mut payload = payload;
    while let [rest @ .., 0] = payload {
        payload = rest;
    }
    let end = payload.len() * 8;
    if cabac {
        // H.264 §7.3.4: cabac_alignment_one_bit, then whole octets.
        while !w.is_aligned() {
            w.flag(true);
        }
        w.copy(payload, at.next_multiple_of(8), end);
        return;
    }
    // rbsp_trailing_bits: the last one is the stop bit, behind it the octet fills up with zeros.
    let zeros = payload.last().map_or(0, |b| b.trailing_zeros() as usize);
    w.copy(payload, at, end.saturating_sub(zeros));
    while !w.is_aligned() {
        w.flag(false);
    }
}

fn write_modifications(w: &mut BitWriter, commands: &[(u8, u32)]) {
    w.flag(!commands.is_empty());
    if commands.is_empty() {
        return;
    }
    for &(idc, operand) in commands {
        w.ue(u32::from(idc));
        w.ue(operand);
    }
    w.ue(3);
}

fn write_marking(w: &mut BitWriter, commands: &[(u8, u32, u32)]) {
    w.flag(true);
    for &(operation, a, b) in commands {
        w.ue(u32::from(operation));
        if matches!(operation, 1..=4 | 6) {
            w.ue(a);
        }
        if operation == 3 {
            w.ue(b);
        }
    }
    w.ue(0);
}
