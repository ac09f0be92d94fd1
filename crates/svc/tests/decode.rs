//! Proves with an independent decoder that rewritten streams show the pictures that they should;
//! says so and passes where there is no decoder.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::Write;
use std::process::{Command, Stdio};

use linkspan_svc::{ExtractForm, ExtractOptions, FrameNumbering, extract};
use md5::{Digest, Md5};
use serde_json::Value;

fn decode(stream: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("ffmpeg")
        .args("-v error -threads 1 -f h264 -i - -vsync passthrough".split(' '))
        .args("-pix_fmt yuv420p -f rawvideo -".split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let stream = stream.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&stream));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some(output.stdout)
}

fn frames(raw: &[u8], target: &Value) -> Vec<String> {
    let side = |key: &str| usize::try_from(target[key].as_u64().unwrap()).unwrap();
    let size = side("width") * side("height") * 3 / 2;
    raw.chunks(size).map(|f| Md5::digest(f).iter().map(|b| format!("{b:02x}")).collect()).collect()
}

/// Compares the pictures of each target that `options` gives something to extract for.
fn check(options: impl Fn(&str, &Value) -> Option<ExtractOptions>) -> usize {
    let Some(dir) = linkspan_testnet::vectors("svc") else { return 0 };
    let mut failed = Vec::new();
    let mut checked = 0;
    let mut names: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "264"))
        .collect();
    names.sort();
    for path in names {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        let stream = std::fs::read(&path).unwrap();
        for target in json["targets"].as_array().unwrap() {
            let Some(options) = options(&name, target) else { continue };
            let got = extract(&stream, &options);
            let Some(raw) = decode(&got) else {
                println!("skipped: there is no ffmpeg");
                return 0;
            };
            checked += 1;
            let wanted: Vec<&str> = target["frame_md5"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_str().unwrap())
                .collect();
            let got = frames(&raw, target);
            if got != wanted {
                let same = got.iter().zip(&wanted).filter(|(a, b)| a == b).count();
                failed.push(format!("{name} {options:?}: {same} of {} pictures", wanted.len()));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {checked}: {failed:#?}", failed.len());
    checked
}

fn id(target: &Value, key: &str) -> u8 {
    target[key].as_u64().map_or(0, |v| u8::try_from(v).unwrap())
}

#[test]
fn layers_without_prediction_become_avc() {
    // `tests/vectors.rs` compares the octets of all of them.
    let checked = check(|name, target| {
        let chosen = name.starts_with("s5") || name.starts_with("s3");
        (chosen && id(target, "did") > 0).then(|| ExtractOptions {
            max_dependency: id(target, "did"),
            max_temporal: id(target, "tid"),
            numbering: FrameNumbering::Keep,
            form: ExtractForm::Avc,
            ..Default::default()
        })
    });
    assert!(checked == 0 || checked > 2, "{checked}");
}

#[test]
fn renumbered_streams_show_the_same_pictures() {
    let streams = ["a6", "a7", "a8", "a9"];
    let checked = check(|name, target| {
        let chosen = streams.iter().any(|s| name.starts_with(s))
            && id(target, "did") == 0
            && target["frame_num_gaps"].as_u64().unwrap_or(0) > 0;
        chosen.then(|| ExtractOptions {
            max_temporal: id(target, "tid"),
            numbering: FrameNumbering::Always,
            ..ExtractOptions::avc_base()
        })
    });
    assert!(checked == 0 || checked > 3, "{checked}");
}

#[test]
fn renumbered_streams_have_no_gaps() {
    use linkspan_svc::{AccessUnitReader, SliceHeader};
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
