//! Proves that renumbered streams have no gaps; that they show the same pictures, in two decoders,
//! is proved where decoders are at hand (`examples/tests/decoders.rs`).
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan_svc::{AccessUnitReader, ExtractOptions, FrameNumbering, SliceHeader, extract};

#[test]
fn renumbered_streams_have_no_gaps() {
    let Some(dir) = linkspan_testnet::vectors("svc") else { return };
    for name in
        ["a4-avc-t4-640x360-idr", "a6-avc-high-cabac-t3-640x360", "a9-avc-t3-gapflag0-320x180"]
    {
        let stream = std::fs::read(dir.join(format!("{name}.264"))).unwrap();
        for max_temporal in 0..3 {
            let options = ExtractOptions {
                max_temporal,
                numbering: FrameNumbering::Always,
                ..ExtractOptions::avc_base()
            };
            let out = extract(&stream, &options);
            let mut expected = 0;
            let mut reader = AccessUnitReader::new(&out);
            let mut previous_reference = 0;
            loop {
                let unit = reader.read_nals().to_vec();
                let Some(slice) = unit.iter().find(|n| n.kind.is_vcl()) else { break };
                let h = SliceHeader::parse(slice.located.bytes, reader.parameter_sets()).unwrap();
                expected = if h.idr { 0 } else { previous_reference + 1 };
                assert_eq!(h.frame_num, expected, "{name} {max_temporal}");
                if h.ref_idc != 0 {
                    previous_reference = h.frame_num;
                }
            }
            assert!(previous_reference > 2 && expected > 0);
        }
    }
}
