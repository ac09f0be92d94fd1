#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| linkspan_ice::fuzz::agent(octets));
