//! Proves PACSI NAL units and SVC headers against `vectors/svc` and `vectors/h264`.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan_svc::ms::{Pacsi, UcMessage};
use linkspan_svc::{NalError, SvcExtension};
use proptest::prelude::*;
use serde_json::Value;

fn hex(text: &str) -> Vec<u8> {
    let pair = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn json(corpus: &str, file: &str) -> Option<Value> {
    let dir = linkspan_testnet::vectors(corpus)?;
    Some(serde_json::from_str(&std::fs::read_to_string(dir.join(file)).unwrap()).unwrap())
}

#[test]
fn composed_examples_are_read_and_written() {
    let Some(json) = json("svc", "pacsi-examples.json") else { return };
    let mut seen = Vec::new();
    for example in json["examples"].as_array().unwrap() {
        let name = example["name"].as_str().unwrap();
        let octets = hex(example["hex"].as_str().unwrap());
        let pacsi = Pacsi::parse(&octets).unwrap();
        assert_eq!(pacsi.to_bytes(), octets, "{name}");
        let header = &example["header"];
        let field = |key: &str| header[key].as_u64().unwrap();
        let l = pacsi.layer;
        assert_eq!(
            [field("nri"), field("idr"), field("prid"), field("n"), field("did"), field("qid")],
            [
                u64::from(pacsi.ref_idc),
                l.idr.into(),
                l.prid.into(),
                l.no_inter_layer_pred.into(),
                l.did.into(),
                l.qid.into()
            ],
            "{name}"
        );
        assert_eq!(field("tid"), u64::from(l.tid), "{name}");
        assert_eq!(example["donc"].as_u64(), pacsi.donc.map(u64::from), "{name}");
        let wanted = example["sei"].as_array().unwrap();
        assert_eq!(wanted.len(), pacsi.messages.len(), "{name}");
        for (wanted, message) in wanted.iter().zip(&pacsi.messages) {
            let number = |key: &str| wanted[key].as_u64().unwrap();
            match message {
                UcMessage::StreamLayout(layout) => {
                    let present: Vec<u64> =
                        (0..64).filter(|p| layout.is_present(*p)).map(u64::from).collect();
                    let listed = wanted["present_prids"].as_array().unwrap();
                    assert!(listed.iter().map(|v| v.as_u64().unwrap()).eq(present), "{name}");
                    let listed = wanted["layers"].as_array().unwrap();
                    let layers = layout.layers.as_deref().unwrap_or_default();
                    assert_eq!(listed.len(), layers.len(), "{name}");
                    for (wanted, layer) in listed.iter().zip(layers) {
                        let number = |key: &str| wanted[key].as_u64().unwrap();
                        assert_eq!(number("coded_width"), u64::from(layer.coded_width));
                        assert_eq!(number("coded_height"), u64::from(layer.coded_height));
                        assert_eq!(number("display_width"), u64::from(layer.display_width));
                        assert_eq!(number("display_height"), u64::from(layer.display_height));
                        assert_eq!(number("bitrate"), u64::from(layer.bitrate_bps));
                        assert_eq!(number("fps_idx"), u64::from(layer.frame_rate.index()));
                        assert_eq!(number("prid"), u64::from(layer.prid));
                        assert_eq!(number("cb"), u64::from(layer.constrained_baseline));
                    }
                    seen.push("layout");
                }
                UcMessage::BitstreamInfo(info) => {
                    assert_eq!(number("ref_frm_cnt"), u64::from(info.ref_frame_count));
                    assert_eq!(number("num_of_nal_unit"), u64::from(info.nal_units));
                    seen.push("info");
                }
                UcMessage::CroppingInfo(info) => {
                    assert!(!info.crops.is_empty());
                    seen.push("cropping");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
    for kind in ["layout", "info", "cropping"] {
        assert!(seen.contains(&kind), "{kind}");
    }
}

#[test]
fn header_extensions_of_the_vectors() {
    let Some(json) = json("h264", "nal_header_svc.json") else { return };
    for case in json["cases"].as_array().unwrap() {
        let octets = hex(case["header"].as_str().unwrap());
        let got = SvcExtension::parse(&octets);
        let expect = case["expect"].as_str().unwrap_or("");
        if expect.starts_with("error") {
            assert!(matches!(got, Err(NalError::Truncated { .. })), "{case}");
        } else if !expect.is_empty() {
            assert_eq!(got, Err(NalError::NotSvc), "{case}");
        } else {
            let (got, fields) = (got.unwrap(), &case["fields"]);
            let field = |key: &str| fields[key].as_u64().unwrap();
            assert_eq!(field("idr_flag"), u64::from(got.idr));
            assert_eq!(field("priority_id"), u64::from(got.prid));
            assert_eq!(field("no_inter_layer_pred_flag"), u64::from(got.no_inter_layer_pred));
            assert_eq!(field("dependency_id"), u64::from(got.did));
            assert_eq!(field("quality_id"), u64::from(got.qid));
            assert_eq!(field("temporal_id"), u64::from(got.tid));
            assert_eq!(field("use_ref_base_pic_flag"), u64::from(got.use_ref_base_pic));
            assert_eq!(field("discardable_flag"), u64::from(got.discardable));
            assert_eq!(field("output_flag"), u64::from(got.output));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_written_alike(mut octets in prop::collection::vec(any::<u8>(), 5..120)) {
        octets[0] = octets[0] & 0xe0 | 30;
        if let Ok(pacsi) = Pacsi::parse(&octets) {
            let written = pacsi.to_bytes();
            prop_assert_eq!(Pacsi::parse(&written).unwrap(), pacsi);
        }
    }
}
