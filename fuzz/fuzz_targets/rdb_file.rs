//! Any bytes are the records of an RDB file or an error, in bounded memory, however they arrive.
#![no_main]

use fuzz::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::rdb_files::check(input, Counting::watch()));
