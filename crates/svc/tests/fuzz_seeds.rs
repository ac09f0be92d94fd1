//! Runs the bodies of the fuzz targets over their seeds, and over damaged copies of them.
#![cfg(feature = "__fuzz")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use linkspan_svc::fuzz;

fn run(target: &str, body: fn(&[u8])) {
    let dir =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut ran = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        body(&seed);
        let mut state = 1u64;
        for _ in 0..40 {
            let mut damaged = seed.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(state >> 33).unwrap() % damaged.len();
                damaged[at] ^= 1 << (state >> 30 & 7);
            }
            body(&damaged);
        }
        ran += 1;
    }
    assert!(ran > 3, "{target}");
}

#[test]
fn streams() {
    run("svc_stream", fuzz::stream);
}

#[test]
fn packets() {
    run("svc_packets", fuzz::packets);
}

#[test]
fn headers() {
    run("svc_headers", fuzz::headers);
}

#[test]
fn pacsi() {
    run("svc_pacsi", fuzz::pacsi);
}
