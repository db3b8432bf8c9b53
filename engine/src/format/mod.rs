//! What lies in the files, byte for byte: mirrors `docs/design/format.md`. All integers are little-endian.

pub mod blob;
pub mod checkpoint;
pub mod frame;
pub mod lost;
pub mod manifest;
pub mod segment;

/// Reads a little-endian `u32` at an offset the caller has checked.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

/// Reads a little-endian `u64` at an offset the caller has checked.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}

/// Who wrote a store's files: random, chosen when the store is made. No client ever sees it, or a stored value could
/// be made to look like a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

impl std::fmt::Debug for StoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreId(secret)")
    }
}
