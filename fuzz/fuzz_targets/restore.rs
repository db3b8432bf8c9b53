//! A dump is a value or an error within the memory allowed, and a value survives being written and read again.
#![no_main]

use fuzz::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::restored::check(input, Counting::watch()));
