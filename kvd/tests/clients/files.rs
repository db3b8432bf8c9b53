//! Files beside the server's: certificates, and what stands in its way.

use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "not a file of a store")]
pub fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    std::fs::write(path, text).expect("there is room");
}

#[expect(clippy::disallowed_methods, reason = "not a file of a store")]
pub fn remove(path: impl AsRef<Path>) {
    std::fs::remove_file(path).expect("it is there");
}
