//! Where the values are: shards of hash tables of entries.

pub mod access;
mod bucket;
pub mod deadlines;
pub mod entry;
pub mod figures;
pub mod hold;
pub mod namespace;
pub mod order;
pub mod policy;
pub mod position;
pub mod rules;
pub mod shard;
pub mod table;
