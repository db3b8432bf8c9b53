//! Any command with any words gets one whole reply and leaves a sound store.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::words::check(input));
