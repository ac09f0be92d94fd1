//! Proves the NAL lists and the extraction of every operation point against `vectors/svc`.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::path::PathBuf;

use linkspan_svc::{
    ExtractForm, ExtractOptions, Extractor, NalHeader, NalInfo, NalType, OperationPoint, extract,
    inspect, operation_points,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

struct Case {
    name: String,
    stream: Vec<u8>,
    json: Value,
}

fn cases() -> Vec<Case> {
    let Some(dir) = linkspan_testnet::vectors("svc") else { return Vec::new() };
    let mut found = Vec::new();
    for dir in [dir.clone(), dir.join("openh264-res")] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "264") {
                let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
                found.push(Case {
                    name: path.file_stem().unwrap().to_string_lossy().into_owned(),
                    stream: std::fs::read(&path).unwrap(),
                    json: serde_json::from_str(&json).unwrap(),
                });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(found.len(), 20);
    found
}

fn sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

/// The rows of a stream as the JSON has them.
fn rows(stream: &[u8], simulcast: bool) -> Vec<Vec<Option<u64>>> {
    let row = |n: &NalInfo| {
        let did = if simulcast { n.did.map(|_| n.stream) } else { n.did };
        vec![
            Some(n.access_unit as u64),
            Some(n.offset as u64),
            Some(u64::from(n.start_code_len)),
            Some(n.size as u64),
            Some(u64::from(n.kind.value())),
            Some(u64::from(n.ref_idc)),
            did.map(u64::from),
            n.qid.map(u64::from),
            n.tid.map(u64::from),
            n.prid.map(u64::from),
            n.idr.map(u64::from),
            n.frame_num.map(u64::from),
            n.poc_lsb.map(u64::from),
            n.pps_id.map(u64::from),
        ]
    };
    inspect(stream).iter().map(row).collect()
}

#[test]
fn nal_lists_are_those_of_the_vectors() {
    let mut failed = Vec::new();
    for case in cases() {
        let columns: Vec<&str> = case.json["nal_columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.as_str().unwrap())
            .collect();
        let wanted = case.json["nals"].as_array().unwrap();
        let got = rows(&case.stream, case.json["simulcast"] == true);
        if wanted.len() != got.len() {
            failed.push(format!("{}: {} rows for {}", case.name, got.len(), wanted.len()));
            continue;
        }
        for (index, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
            let begin = wanted[1].as_u64().unwrap() + wanted[2].as_u64().unwrap();
            if got[1].unwrap() + got[2].unwrap() != begin {
                failed.push(format!("{} row {index}: begins elsewhere", case.name));
            }
            for (place, column) in columns.iter().enumerate() {
                let want = wanted[place].as_u64();
                let skip = *column == "sei_payload_type"
                    || (case.name.starts_with('x') && place >= 9)
                    // x1 has stray zeros before three-octet start codes, which H.264 §B.1.1 reads as
                    // four-octet ones: the NAL unit begins at the same place.
                    || (case.name.starts_with('x') && (place == 1 || place == 2));
                if !skip && want != got[place] {
                    failed
                        .push(format!("{} row {index} {column}: {got:?}, not {wanted}", case.name));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} {:#?}", failed.len(), &failed[..failed.len().min(20)]);
}

#[test]
fn every_operation_point_is_extracted() {
    let mut failed = Vec::new();
    let mut checked = 0;
    for case in cases() {
        for target in case.json["targets"].as_array().unwrap() {
            let id = |key: &str| target[key].as_u64().map(|v| u8::try_from(v).unwrap());
            let mut options = ExtractOptions::default();
            if let Some(prid) = id("priority_id_target") {
                options.max_priority = prid;
            } else {
                options.stream = id("stream").unwrap_or(0);
                options.max_dependency = id("did").unwrap_or(0);
                options.max_quality = id("qid").unwrap();
                options.max_temporal = id("tid").unwrap();
            }
            for (form, key) in
                [(ExtractForm::Normative, "kept_sha256"), (ExtractForm::Minimal, "min_sha256")]
            {
                let Some(wanted) = target[key].as_str() else { continue };
                checked += 1;
                let got = extract(&case.stream, &ExtractOptions { form, ..options });
                if sha256(&got) != wanted {
                    failed.push(format!(
                        "{} {options:?} {form:?}: {} octets",
                        case.name,
                        got.len()
                    ));
                }
            }
        }
    }
    assert!(checked == 0 || checked > 150, "{checked}");
    assert!(failed.is_empty(), "{} of {checked} {failed:#?}", failed.len());
}

#[test]
fn unit_by_unit_gives_the_same_as_the_whole() {
    let mut checked = 0;
    for case in cases().iter().filter(|c| !c.name.starts_with('m')) {
        // Layers that nothing tells are inferred from the whole stream alone.
        let told = linkspan_svc::nal_units(&case.stream).any(|n| matches!(n[0] & 0x1f, 14 | 20));
        for target in case.json["targets"].as_array().unwrap() {
            let id = |key: &str, none: u8| {
                target[key].as_u64().map_or(none, |v| u8::try_from(v).unwrap())
            };
            let options = ExtractOptions {
                max_dependency: id("did", 7),
                max_quality: id("qid", 15),
                max_temporal: if told { id("tid", 7) } else { 7 },
                max_priority: id("priority_id_target", 63),
                ..ExtractOptions::default()
            };
            let (mut extractor, mut out) = (Extractor::new(options), Vec::new());
            linkspan_svc::nal_units(&case.stream).for_each(|nal| extractor.push(nal, &mut out));
            extractor.finish(&mut out);
            assert!(out == extract(&case.stream, &options), "{} {options:?}", case.name);
            checked += 1;
        }
    }
    assert!(checked == 0 || checked > 60, "{checked}");
}

#[test]
fn base_extractions_hold_nothing_scalable() {
    for case in cases() {
        let base = extract(&case.stream, &ExtractOptions::avc_base());
        for nal in linkspan_svc::nal_units(&base) {
            let kind = NalHeader::parse(nal).unwrap().kind;
            assert!(
                !matches!(kind, NalType::Prefix | NalType::SubsetSps | NalType::SliceExtension)
                    && !kind.is_rtp_only(),
                "{} {kind:?}",
                case.name
            );
        }
    }
}

#[test]
fn layers_without_prediction_become_the_listed_avc() {
    let mut failed = Vec::new();
    for case in cases() {
        for target in case.json["targets"].as_array().unwrap() {
            let Some(wanted) = target["avc_rewrite_sha256"].as_str() else { continue };
            let id = |key: &str| u8::try_from(target[key].as_u64().unwrap()).unwrap();
            let options = ExtractOptions {
                max_dependency: id("did"),
                max_temporal: id("tid"),
                form: ExtractForm::Avc,
                ..Default::default()
            };
            let got = extract(&case.stream, &options);
            if sha256(&got) != wanted {
                failed.push(format!(
                    "{} {:?}: {} octets for {}",
                    case.name,
                    (options.max_dependency, options.max_temporal),
                    got.len(),
                    target["avc_rewrite_bytes"]
                ));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn operation_points_are_those_of_the_vectors() {
    for case in cases().iter().filter(|c| !c.name.starts_with('x')) {
        let points = operation_points(&inspect(&case.stream));
        let targets = case.json["targets"].as_array().unwrap();
        assert_eq!(points.len(), targets.len(), "{}", case.name);
        for target in targets {
            let number = |key: &str| target[key].as_u64().unwrap_or(0);
            let point = points.iter().find(|p| {
                [p.stream, p.did, p.qid, p.tid].map(u64::from)
                    == ["stream", "did", "qid", "tid"].map(number)
            });
            let point = point.unwrap_or_else(|| panic!("{} {target}", case.name));
            assert_eq!(point.frames as u64, number("access_units"), "{}", case.name);
            assert_eq!(u64::from(point.width), number("width"), "{}", case.name);
            assert_eq!(u64::from(point.height), number("height"), "{}", case.name);
        }
    }
}

#[test]
fn avc_form_takes_the_highest_layer_that_stands_alone() {
    for case in cases() {
        let form = ExtractForm::Avc;
        let highest = extract(&case.stream, &ExtractOptions { form, ..Default::default() });
        let points = operation_points(&inspect(&highest));
        let wanted = operation_points(&inspect(&case.stream));
        // The upper layers of x1 say that they predict from others.
        let alone = |p: &&OperationPoint| p.did == 0 || !case.name.starts_with('x');
        let of = |p: &&OperationPoint| p.stream == 0 && p.qid == 0 && alone(p);
        let wanted = wanted.iter().rfind(of).unwrap();
        let got = points.last().unwrap();
        assert_eq!((got.width, got.height), (wanted.width, wanted.height), "{}", case.name);
    }
}
