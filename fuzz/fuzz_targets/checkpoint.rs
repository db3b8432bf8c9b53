//! A store with a hostile checkpoint shows what its log shows, and a checkpoint that lies breaks nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::checkpoints::check(input));
