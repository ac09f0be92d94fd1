#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_rtp::fuzz::playout(data));
