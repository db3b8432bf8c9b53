//! Replies are the same however their bytes are cut, and when they are written and read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::replies::round_trip(input));
