//! What the fuzz targets check, as plain functions, so that `cargo test` can replay the corpora without a fuzzer.
//!
//! A seed of the wire is text as far as possible: one byte of options, four bytes of piece sizes, then what is sent. A
//! seed of `restore` is a dump without its footer. A file of a target's corpus is an input that once was, or easily could be, treated wrongly.
//!
//! ```text
//! cargo +nightly fuzz run request_split -- -max_total_time=60
//! ```

pub mod acls;
pub mod checkpoints;
pub mod commands;
pub mod configs;
pub mod counting;
pub mod globs;
pub mod in_process;
pub mod log_image;
pub mod manifests;
pub mod rdb_files;
pub mod replies;
pub mod requests;
pub mod restored;
pub mod stores;
pub mod tail;
pub mod words;
