//! A damaged manifest is refused, and one that lies opens no store twice differently.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::manifests::check(input));
