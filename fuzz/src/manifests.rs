//! Manifests: a damaged one is refused, and one that lies with a checksum that holds opens nothing twice differently.
//!
//! An input is a byte of kind, then:
//!
//! ```text
//!  0  edits of a valid manifest: u8 offset, u8 to exclusive-or          2  what stands behind the checksum; sealed
//!  1  the same, sealed again
//! ```

use engine::format::manifest::{Manifest, Refused, VERSION};

use crate::stores::{NAME, SAMPLE, open};

/// Where the checksum is.
const SUM: std::ops::Range<usize> = 12..16;

/// Opens a store that has such a manifest.
pub fn check(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let mut bytes = SAMPLE.manifest.clone();
    match kind % 3 {
        2 => {
            bytes.truncate(SUM.end);
            bytes.extend_from_slice(rest);
        }
        _ => edit(&mut bytes, rest),
    }
    if kind % 3 != 0 {
        seal(&mut bytes);
    }
    match Manifest::parse(&bytes) {
        Ok(manifest) if bytes == SAMPLE.manifest => assert_eq!(manifest.encode(), bytes),
        Ok(manifest) => {
            assert_ne!(kind % 3, 0, "damage was not noticed");
            let again = Manifest::parse(&manifest.encode());
            assert_eq!(again, Ok(manifest), "what is written is read");
        }
        // One of an older version has the same form.
        Err(Refused::Newer(version)) => assert!(version > VERSION),
        Err(Refused::Foreign | Refused::Checksum) => {}
    }
    let opened = open(&SAMPLE.disk_with(NAME, &bytes));
    if kind % 3 == 0 {
        assert_eq!(opened.is_some(), bytes == SAMPLE.manifest, "damage was not noticed");
    }
}

fn edit(bytes: &mut [u8], edits: &[u8]) {
    for edit in edits.chunks_exact(2) {
        let at = usize::from(edit[0]) % bytes.len();
        bytes[at] ^= edit[1];
    }
}

fn seal(bytes: &mut [u8]) {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[SUM.end..]), &bytes[..SUM.start]);
    bytes[SUM].copy_from_slice(&sum.to_le_bytes());
}
