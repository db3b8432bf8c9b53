//! The fuzz targets' corpora, replayed without a fuzzer.

use crate::corpus::replay;
use crate::{rdb_files, restored};

#[test]
fn restore() {
    replay("restore", |input| restored::check(input, || 0));
}

#[test]
fn rdb_file() {
    replay("rdb_file", |input| rdb_files::check(input, || 0));
}
