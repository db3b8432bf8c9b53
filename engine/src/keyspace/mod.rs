//! Where the values are: shards of hash tables of entries.

mod bucket;
mod class;
pub mod entry;
pub mod figures;
mod prefetch;
pub mod shard;
pub mod table;
