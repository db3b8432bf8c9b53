//! Lists of commands are answered as a model says, also after kills.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::commands::check(input));
