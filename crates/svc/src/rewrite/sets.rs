use crate::bits::{BitWriter, escape, unescape};
use crate::params::Sps;

/// Makes a sequence parameter set of a subset sequence parameter set, for layers without
/// inter-layer prediction; `None` where no AVC profile has the tools.
///
/// Scalable Baseline (83) becomes Constrained Baseline, Scalable High (86) becomes High.
pub(crate) fn subset_to_sps(nal: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let sps = Sps::parse(nal).ok()?;
    let plain = sps.chroma_format_idc == 1 && sps.bit_depth_luma == 8 && sps.bit_depth_chroma == 8;
    let (profile, flags, high) = match sps.profile_idc {
        // H.264 §G.10.1.1: the constraints of 83 are those of 66 with set1 in the layers that
        // do not predict from others; no FMO, no redundant slices.
        83 if plain => (66, 0xc0, false),
        83 | 86 => (100, sps.constraint_flags & 0x3c, true),
        _ => return None,
    };
    let mut payload = Vec::with_capacity(nal.len());
    unescape(nal.get(1..)?, &mut payload);
    let mut w = BitWriter::default();
    w.u(profile, 8);
    w.u(u32::from(flags), 8);
    w.copy(&payload, 16, sps.high_block.0);
    if high {
        w.copy(&payload, sps.high_block.0, sps.high_block.1);
    }
    w.copy(&payload, sps.high_block.1, sps.data_end);
    w.trailing();
    out.push(nal.first()? & 0x60 | 7);
    escape(&w.into_bytes(), out);
    Some(())
}
