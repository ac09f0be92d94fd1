//! Proves with two decoders that we did not write that what the SVC crate extracts and rewrites
//! shows exactly the pictures that it should: OpenH264, and ffmpeg where it is installed (CI has it).
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

mod decoding;

use std::path::PathBuf;

use linkspan_svc::{
    AccessUnit, AccessUnitReader, ExtractForm, ExtractOptions, FrameNumbering, LayerTarget,
    SimulcastConfig, SimulcastSwitch, UcToAvc, extract,
};
use serde_json::Value;

use crate::decoding::{by_ffmpeg, by_openh264};

struct Target {
    name: String,
    stream: Vec<u8>,
    json: Value,
}

/// Every target of every stream that has pictures listed.
fn targets() -> Vec<Target> {
    let Some(dir) = linkspan_testnet::vectors("svc") else { return Vec::new() };
    let folders = [dir.clone(), dir.join("openh264-res")].map(|d| std::fs::read_dir(d).unwrap());
    let mut paths: Vec<PathBuf> = folders
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "264"))
        .collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        let stream = std::fs::read(&path).unwrap();
        for target in json["targets"].as_array().unwrap() {
            if target["frame_md5"].as_array().is_some_and(|frames| !frames.is_empty()) {
                found.push(Target {
                    name: name.clone(),
                    stream: stream.clone(),
                    json: target.clone(),
                });
            }
        }
    }
    found
}

impl Target {
    fn id(&self, key: &str) -> u8 {
        self.json[key].as_u64().map_or(0, |v| u8::try_from(v).unwrap())
    }

    fn wanted(&self) -> Vec<&str> {
        self.json["frame_md5"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
    }

    /// What a plain AVC decoder is given: the base layer, or an upper layer that stands alone.
    fn avc(&self, numbering: FrameNumbering) -> Vec<u8> {
        let simulcast = self.name.starts_with('m');
        let options = ExtractOptions {
            stream: if simulcast { self.id("stream") } else { 0 },
            max_dependency: if simulcast { 0 } else { self.id("did") },
            max_temporal: self.id("tid"),
            form: ExtractForm::Avc,
            numbering,
            ..ExtractOptions::default()
        };
        extract(&self.stream, &options)
    }
}

fn check(decode: impl Fn(&[u8]) -> Option<Vec<String>>) {
    let targets = targets();
    let (mut checked, mut failed) = (0, Vec::new());
    for target in &targets {
        // Where a gap in frame_num is allowed it may stay; where not, pictures are numbered anew.
        let mut forms = vec![FrameNumbering::WhereForbidden];
        if target.json["frame_num_gaps"].as_u64().unwrap_or(0) > 0 && target.id("did") == 0 {
            forms.push(FrameNumbering::Always);
        }
        for numbering in forms {
            let Some(got) = decode(&target.avc(numbering)) else { return };
            checked += 1;
            let wanted = target.wanted();
            if got != wanted {
                let same = got.iter().zip(&wanted).filter(|(a, b)| a == b).count();
                let ids = ["stream", "did", "tid"].map(|key| target.id(key));
                let count = wanted.len();
                failed.push(format!(
                    "{} {ids:?} {numbering:?}: {same} of {count}, {} came, {:?}",
                    target.name,
                    got.len(),
                    got.iter().find(|f| f.len() != 32)
                ));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {checked}: {failed:#?}", failed.len());
    assert!(targets.is_empty() || checked > 60, "{checked}");
}

#[test]
fn openh264_shows_the_listed_pictures_of_every_target() {
    check(|stream| Some(by_openh264(stream)));
}

#[test]
fn ffmpeg_shows_the_listed_pictures_of_every_target() {
    check(by_ffmpeg);
}

/// The access units of one stream of a file, with a clock of their own.
fn units(stream: &[u8], number: u8, clock: u32) -> Vec<AccessUnit> {
    AccessUnitReader::new(stream)
        .map(|unit| {
            let mut alone = AccessUnit::new(unit.timestamp().wrapping_add(clock));
            unit.iter().for_each(|n| alone.push_in(n.bytes, n.layer, number));
            alone
        })
        .collect()
}

#[test]
fn a_receiver_that_is_switched_between_streams_sees_each_exactly() {
    let Some(dir) = linkspan_testnet::vectors("svc") else { return };
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    // Both use parameter sets with number 0, and each begins with an IDR picture of number 0.
    let (small, large) = (read("a2-avc-t2-320x180.264"), read("a4-avc-t4-640x360-idr.264"));
    let (first, second) = (units(&small, 0, 0), units(&large, 1, 0x7654_3210));
    let mut switch = SimulcastSwitch::new(SimulcastConfig { ssrc: 5, ..Default::default() });
    let mut rewriter = UcToAvc::new(LayerTarget::default());
    let (mut received, mut wanted, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let mut requests = 0;
    for (n, pair) in first.iter().zip(&second).enumerate() {
        // The other stream's IDR pictures are 0 and 48.
        if n == 20 {
            switch.select(1);
        }
        for (of, unit) in [(&small, pair.0), (&large, pair.1)] {
            if !switch.accept(unit) {
                requests += usize::from(switch.poll_keyframe_request().is_some());
                continue;
            }
            if switch.has_switched() {
                let stream = switch.current().unwrap();
                rewriter.set_target(LayerTarget { stream, ..rewriter.target() });
            }
            let avc = rewriter.process(unit).unwrap();
            received.extend_from_slice(avc.annex_b());
            let header = switch.next_header(true);
            numbers.push((header.sequence, header.timestamp));
            wanted.push((std::ptr::eq(of, &small), n));
        }
    }
    assert_eq!(requests, 1, "asked for once in less than a second");
    assert!(numbers.windows(2).all(|w| w[1].0 == w[0].0 + 1 && w[1].1 > w[0].1));
    let shown = [by_openh264(&small), by_openh264(&large)];
    let wanted: Vec<_> =
        wanted.iter().map(|&(is_small, n)| shown[usize::from(!is_small)][n].clone()).collect();
    assert_eq!(by_openh264(&received), wanted);
    assert!(by_ffmpeg(&received).is_none_or(|got| got == wanted));
}
