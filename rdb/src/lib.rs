//! RDB, the serialised form of Redis's values: what DUMP answers, what RESTORE takes, what RDB files are made of.
//!
//! ```text
//! dump      type (1 byte) │ value │ version (2) │ CRC-64 (8)      integers of the footer are little-endian
//! value     lengths and strings (`length`, `string`), and inside strings the packed forms (`packed`)
//! ```
//!
//! * [`dump`] writes the forms that Redis 7.2 and later load, from iterators: the one copy made is the dump.
//! * [`restore`] reads every form of a string, list, set, hash and sorted set since Redis 2.6.
//! * [`file::Reader`] reads whole files of versions 5 to 12, value by value.
//! * A length that was read is checked against the bytes that are there before memory is taken for it; what a dump
//!   unfolds to is bounded by [`Limits`].
//! * Broken bytes are an [`Error`], never a panic.
//!
//! This crate knows no command and no store. It does not write compressed strings, and reads neither streams nor the
//! values of modules.
//!
//! Redis 7.4 (`rdb.c`, `listpack.c`, `ziplist.c`) is the judge. What it takes and this crate does not, as nobody writes
//! it: bytes left over behind the value, scores that are not a number from their first byte to their last, and an
//! encoding's mark where a length belongs.

pub mod dump;
mod error;
pub mod file;
mod footer;
mod integer;
mod kind;
mod length;
mod limits;
mod lzf;
mod packed;
mod reader;
mod restore;
mod score;
mod string;
mod value;

pub use error::Error;
pub use limits::{Checksum, Limits, memory_for};
pub use restore::restore;
pub use value::Value;
