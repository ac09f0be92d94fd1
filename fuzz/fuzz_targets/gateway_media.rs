#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| linkspan_gateway::fuzz::gateway_media(octets));
