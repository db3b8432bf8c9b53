//! Requests are the same however their bytes are cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::requests::split(input));
