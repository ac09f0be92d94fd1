//! Runs the programs: the demonstration to its end, whose picture another decoder then decodes,
//! and the checks of configurations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// An example that `cargo test` has built beside this test.
fn program(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(Path::parent).unwrap().join("examples");
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: cargo build --example {name}", path.display());
    Command::new(path)
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn the_demonstration_carries_everything_and_its_picture_decodes() {
    let out = folder("demo");
    let output = program("gateway").args(["--json", "--out"]).arg(&out).output().unwrap();
    let lines = lines(&output);
    let failed: Vec<_> = lines.iter().filter(|line| line["ok"] == false).collect();
    assert!(output.status.success(), "{failed:#?}\n{}", String::from_utf8_lossy(&output.stderr));
    let end = lines.last().unwrap();
    assert_eq!((&end["event"], &end["calls"]), (&"end".into(), &2.into()), "{end}");
    assert!(end["seconds"].as_f64().unwrap() < 15.0, "{end}");
    let streams = lines.iter().filter(|line| line["event"] == "stream");
    assert_eq!(streams.filter(|stream| stream["encrypted"] == true).count(), 8);

    // Every picture of the clip, and the keyframe that was asked for after it.
    for name in ["received.h264", "received-lync.h264"] {
        let stream = std::fs::read(out.join(name)).unwrap();
        let mut decoder = openh264::decoder::Decoder::new().unwrap();
        let mut pictures = 0;
        let mut unit = Vec::new();
        for nal in linkspan_svc::nal_units(&stream) {
            unit.clear();
            unit.extend_from_slice(&[0, 0, 0, 1]);
            unit.extend_from_slice(nal);
            pictures += usize::from(decoder.decode(&unit).unwrap().is_some());
        }
        pictures += decoder.flush_remaining().unwrap().len();
        assert_eq!(pictures, 97, "{name}");
    }
    let capture = std::fs::metadata(out.join("demo.pcap")).unwrap();
    assert!(capture.len() > 1_000_000);
    let keys = std::fs::read_to_string(out.join("demo.keys.txt")).unwrap();
    assert!(keys.contains("AES_CM_128_HMAC_SHA1_80 inline:"));
}

#[test]
fn configurations_are_checked() {
    let folder = folder("check");
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway/gateway.toml");
    let good = std::fs::read_to_string(good).unwrap();
    let without_tls: String = good
        .replace("tls\", address = \"192.0.2.80:5061", "tcp\", address = \"192.0.2.80:5061")
        .replace("[tls]", "[unused]");
    // Each with the field, and the beginning of the line, that the mistake is in.
    for (text, ok, problem, at) in [
        // Its certificates are not there; all else is sound.
        (good.clone(), false, "tls", "[tls]"),
        (without_tls, false, "", "[unused]"),
        (
            good.replace("first-port = 50000", "first-port = 54999"),
            false,
            "standard.first-port",
            "first-port = 54999",
        ),
        (
            good.replace("encryption = \"required\"", "encryption = \"maybe\""),
            false,
            "",
            "encryption = \"maybe\"",
        ),
        ("name = ".to_owned(), false, "", "name"),
        (
            "[lync]\nlisteners = [{ transport = \"tcp\", address = \"127.0.0.1:5070\" }]\n\
             [standard]\nlisteners = [{ transport = \"udp\", address = \"127.0.0.1:5080\" }]\n\
             [[routes]]\ndomain = \"example.test\"\nto = \"lync\"\n\
             next-hops = [\"tcp:127.0.0.1:5090\"]\n"
                .to_owned(),
            true,
            "",
            "",
        ),
    ] {
        let path = folder.join("gateway.toml");
        std::fs::write(&path, &text).unwrap();
        let output =
            program("gateway").args(["check", "--json", "--config"]).arg(&path).output().unwrap();
        let lines = lines(&output);
        assert_eq!(output.status.code(), Some(i32::from(!ok)), "{lines:#?}\n{text}");
        let found = lines.iter().any(|line| {
            let number = line["line"].as_u64().and_then(|n| usize::try_from(n).ok());
            let there = number.and_then(|n| text.lines().nth(n - 1));
            line["field"] == problem && there.is_some_and(|there| there.starts_with(at))
        });
        assert!(ok || found, "{lines:#?} without {problem} at {at}\n{text}");
    }
}

#[test]
fn command_lines_that_are_not_understood_end_with_2() {
    for (name, arguments) in [
        ("gateway", &["serve"][..]),
        ("gateway", &["--standard-ice", "maybe"]),
        ("lync-client", &[]),
        ("lync-client", &["--call", "sip:a@b"]),
    ] {
        let output = program(name).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
    }
}
