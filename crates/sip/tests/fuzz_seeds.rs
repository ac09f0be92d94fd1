//! The fuzz bodies hold for their seeds, and for the corpora.
#![cfg(feature = "__fuzz")]
#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::path::Path;

use linkspan_sip::fuzz;

fn seeds(target: &str, body: fn(&[u8])) {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");
    let torture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/torture");
    let mut count = 0;
    for dir in [Path::new(seeds).join(target), torture.into()] {
        // A packaged crate has no seeds beside it.
        let Ok(entries) = std::fs::read_dir(dir) else { continue };
        for entry in entries {
            body(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
    }
    assert!(count > 0, "{target}");
}

#[test]
fn seeds_hold() {
    seeds("sip_message", fuzz::message);
    seeds("sip_headers", fuzz::headers);
    seeds("sip_uri", fuzz::uri);
    seeds("sip_framing", fuzz::framing);
    seeds("sip_transactions", fuzz::transactions);
    seeds("sip_useragent", fuzz::useragent);
}
