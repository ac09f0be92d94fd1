#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| linkspan_turn::fuzz::edge(octets));
