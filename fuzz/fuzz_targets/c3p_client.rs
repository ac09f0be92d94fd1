#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| linkspan_c3p::fuzz::client(octets));
