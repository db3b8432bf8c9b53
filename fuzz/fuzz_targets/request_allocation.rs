//! No request makes the parser allocate more than a constant times what was sent.
#![no_main]

use fuzz::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::requests::allocation(input, Counting::watch()));
