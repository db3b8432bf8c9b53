//! The fuzz targets' corpora, replayed without a fuzzer.

use crate::corpus::replay;
use crate::{replies, requests};

#[test]
fn request_split() {
    replay("request_split", requests::split);
}

#[test]
fn request_allocation() {
    replay("request_allocation", |input| requests::allocation(input, || 0));
}

#[test]
fn reply_round_trip() {
    replay("reply_round_trip", replies::round_trip);
}
