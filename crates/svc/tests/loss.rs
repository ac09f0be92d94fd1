//! Proves that the gate passes exactly what decodes: `vectors/svc/loss-cases.json`.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan_svc::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig,
    GateConfig, Layering, LossGate, NalType, Packetizer, PacketizerConfig, PayloadFormat,
    PayloadMeta, ReferenceRule,
};
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

/// What comes through: access units sent and clean ones, of all and of temporal layer 0.
#[derive(Debug, Default)]
struct Outcome {
    sent: [usize; 2],
    clean: [usize; 2],
    requests: usize,
}

/// Sends a stream as UC-SVC over a path that drops packets, behind a receiver with a gate.
fn over_a_lossy_path(stream: &[u8], percent: u64, protect_base: bool, seed: u64) -> Outcome {
    let layering = Layering::Temporal { layers: 3 };
    let mut rewriter = AvcToUc::new(AvcToUcConfig { layering, ..Default::default() });
    let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(1_200));
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    let config = GateConfig { references: ReferenceRule::First, ..Default::default() };
    let mut gate = LossGate::new(config);
    let mut outcome = Outcome::default();
    let (mut sequences, mut state) = ([0u16; 64], seed);
    let mut receive = |depacketizer: &mut Depacketizer, outcome: &mut Outcome| {
        while let Some(unit) = depacketizer.poll_access_unit() {
            if gate.accept(&unit) && unit.has_slices() {
                outcome.clean[0] += 1;
                outcome.clean[1] += usize::from(unit.temporal_id() == Some(0));
            }
            outcome.requests += usize::from(gate.poll_keyframe_request().is_some());
            depacketizer.recycle(unit);
        }
    };
    for unit in AccessUnitReader::new(stream) {
        let Some(unit) = rewriter.process(&unit) else { continue };
        let base = unit.temporal_id() == Some(0);
        outcome.sent[0] += 1;
        outcome.sent[1] += usize::from(base);
        for payload in packetizer.packetize(unit).iter() {
            let prid = payload.prid();
            let sequence = &mut sequences[usize::from(prid)];
            let meta = PayloadMeta {
                ssrc: u32::from(prid),
                sequence: *sequence,
                timestamp: unit.timestamp(),
                marker: payload.marker,
            };
            *sequence = sequence.wrapping_add(1);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let lost = state >> 33 & 0xffff;
            if lost * 100 >= percent * 65_536 || (base && protect_base) {
                depacketizer.push(meta, &payload.to_vec()).unwrap();
            }
            receive(&mut depacketizer, &mut outcome);
        }
    }
    depacketizer.flush();
    receive(&mut depacketizer, &mut outcome);
    outcome
}

#[test]
fn half_of_the_enhancement_lost_costs_no_base_picture() {
    let Some(dir) = linkspan_testnet::vectors("svc") else { return };
    let stream = std::fs::read(dir.join("a5-avc-t3-1280x720.264")).unwrap();
    for seed in 1..=20 {
        let outcome = over_a_lossy_path(&stream, 50, true, seed);
        assert_eq!(outcome.clean[1], outcome.sent[1], "seed {seed} {outcome:?}");
        assert_eq!(outcome.requests, 0, "seed {seed}");
        assert!(outcome.clean[0] < outcome.sent[0], "seed {seed}: nothing was lost");
    }
}
