#![no_main]

#[path = "../../examples/srtp-decrypt/capture.rs"]
mod capture;

libfuzzer_sys::fuzz_target!(|data: &[u8]| capture::survives_writing(data));
