//! Proves that the gate passes exactly what decodes: `vectors/svc/loss-cases.json`.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan_svc::{AccessUnit, AccessUnitReader, GateConfig, LossGate, NalType, ReferenceRule};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn ranges(value: &Value) -> Vec<u64> {
    let pair = |r: &Value| r[0].as_u64().unwrap()..=r[1].as_u64().unwrap();
    value.as_array().unwrap().iter().flat_map(pair).collect()
}

#[test]
fn passes_what_decodes_and_nothing_else() {
    let Some(dir) = linkspan_testnet::vectors("svc") else { return };
    let json = std::fs::read_to_string(dir.join("loss-cases.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let mut failed = Vec::new();
    for case in json["cases"].as_array().unwrap() {
        let name = case["stream"].as_str().unwrap();
        let stream = std::fs::read(dir.join(format!("{name}.264"))).unwrap();
        let lost: Vec<u64> =
            case["lost_vcl_nals"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        let config = GateConfig { references: ReferenceRule::First, ..Default::default() };
        let mut gate = LossGate::new(config);
        let mut careful = LossGate::new(GateConfig::default());
        let mut reader = AccessUnitReader::new(&stream);
        let (mut number, mut clean, mut gated) = (0u64, Vec::new(), Vec::new());
        for index in 0u64.. {
            let nals = reader.read_nals();
            if nals.is_empty() {
                break;
            }
            let mut unit = AccessUnit::new(u32::try_from(index * 3_000).unwrap());
            for nal in nals {
                let base = matches!(
                    nal.kind,
                    NalType::Slice | NalType::IdrSlice | NalType::Sps | NalType::Pps
                );
                if lost.contains(&number) {
                    unit.set_damaged(true);
                } else if base {
                    unit.push_in(nal.located.bytes, nal.layer, 0);
                }
                number += 1;
            }
            let passed = !unit.is_empty() && gate.accept(&unit);
            assert!(unit.is_empty() || !careful.accept(&unit) || passed, "{name} {index}");
            if passed && unit.has_slices() {
                clean.push(index);
            }
            for nal in &unit {
                if passed || !nal.kind.is_vcl() {
                    gated.extend_from_slice(&[0, 0, 0, 1]);
                    gated.extend_from_slice(nal.bytes);
                }
            }
        }
        let sha: String = Sha256::digest(&gated).iter().map(|b| format!("{b:02x}")).collect();
        if clean != ranges(&case["clean_aus"]) || sha != case["gated_sha256"].as_str().unwrap() {
            let wanted = ranges(&case["clean_aus"]);
            let missed: Vec<_> = wanted.iter().filter(|w| !clean.contains(w)).collect();
            let wrong: Vec<_> = clean.iter().filter(|c| !wanted.contains(c)).collect();
            failed.push(format!("{name}: missed {missed:?}, wrong {wrong:?}"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
