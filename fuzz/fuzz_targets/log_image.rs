//! Recovery of hostile log images neither panics nor serves what does not check.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::log_image::recover(input));
