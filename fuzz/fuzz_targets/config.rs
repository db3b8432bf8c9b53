//! A configuration is settings or an error, and settings that are written are read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::configs::check(input));
