//! Rules of users: any words are a user or an error, and a user told is the same user again.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::acls::check(input));
