//! The first byte of a dump: a value's type and how it is encoded. The numbers are Redis's, `RDB_TYPE_*` in `rdb.h`.

pub(crate) const STRING: u8 = 0;
pub(crate) const LIST: u8 = 1;
pub(crate) const SET: u8 = 2;
/// Scores as text.
pub(crate) const ZSET: u8 = 3;
pub(crate) const HASH: u8 = 4;
/// Scores in binary.
pub(crate) const ZSET_2: u8 = 5;
pub(crate) const MODULE_PRE_RELEASE: u8 = 6;
pub(crate) const MODULE: u8 = 7;
pub(crate) const HASH_ZIPMAP: u8 = 9;
pub(crate) const LIST_ZIPLIST: u8 = 10;
pub(crate) const SET_INTSET: u8 = 11;
pub(crate) const ZSET_ZIPLIST: u8 = 12;
pub(crate) const HASH_ZIPLIST: u8 = 13;
/// Nodes that are ziplists.
pub(crate) const LIST_QUICKLIST: u8 = 14;
pub(crate) const STREAM: u8 = 15;
pub(crate) const HASH_LISTPACK: u8 = 16;
pub(crate) const ZSET_LISTPACK: u8 = 17;
/// Nodes that are listpacks or single elements.
pub(crate) const LIST_QUICKLIST_2: u8 = 18;
pub(crate) const STREAM_2: u8 = 19;
pub(crate) const SET_LISTPACK: u8 = 20;
pub(crate) const STREAM_3: u8 = 21;
/// Fields with deadlines, as the candidates of Redis 7.4 wrote them: absolute, and no earliest one in front.
pub(crate) const HASH_METADATA_PRE_RELEASE: u8 = 22;
pub(crate) const HASH_LISTPACK_EX_PRE_RELEASE: u8 = 23;
/// Fields with deadlines relative to the earliest, which stands in front.
pub(crate) const HASH_METADATA: u8 = 24;
pub(crate) const HASH_LISTPACK_EX: u8 = 25;
