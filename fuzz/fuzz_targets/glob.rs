//! The glob matcher says what a recursive one says, in bounded time.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::globs::check(input));
