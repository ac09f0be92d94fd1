#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_srtp::fuzz::batch(data));
