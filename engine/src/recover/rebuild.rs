//! A manifest that is damaged or missing, made again from what the segments say of themselves: whose they are, in which
//! order they stand, and where each begins. Each ends where the next begins.
//!
//! What it cannot know: which segments a recovery has left that did not come to its end, and what was known to be durable.

use super::load_manifest;
use super::survey::Damage;
use crate::disk::Disk;
use crate::error::Error;
use crate::format::manifest::{Cut, Manifest};
use crate::format::segment::{self, Header};
use crate::log::scan;
use crate::random;

/// The manifest, or one that takes its place with what is wrong with the one that is there.
pub(super) fn manifest(disk: &dyn Disk, name: &str, names: &[String]) -> Result<(Manifest, Option<Damage>), Error> {
    let (bytes, what) = match load_manifest(disk, name, names) {
        Ok(found) => return found.map(|found| (found, None)).ok_or(Error::Missing(name.to_owned())),
        Err(Error::ManifestMissing(_)) => (0, "the manifest is missing, and is made again from the segments"),
        Err(Error::Corrupt { .. }) => {
            (disk.open(name)?.len()?, "the manifest is damaged, and is made again from the segments")
        }
        Err(error) => return Err(error),
    };
    let mut headers = Vec::new();
    for number in names.iter().filter_map(|other| segment::parse_name(name, other)) {
        headers.extend(scan::header_of(disk, name, number)?);
    }
    headers.sort_by_key(|header| header.number);
    let damage = Damage { file: name.to_owned(), offset: 0, bytes, what };
    let [first, ..] = &*headers else {
        return Err(Error::Corrupt { file: damage.file, offset: 0, what: "nothing is left to make the manifest of" });
    };
    if headers.iter().any(|header| header.id != first.id) {
        return Err(Error::Corrupt { file: damage.file, offset: 0, what: "there are segments of several stores" });
    }
    let follows = |pair: &[Header]| Cut { segment: pair[0].number, end: pair[1].base, next: pair[1].number };
    let manifest = Manifest {
        id: first.id,
        hash_seed: random::secret()?,
        epoch: headers.iter().map(|header| header.epoch).max().unwrap_or(1),
        first: first.number,
        base: first.base,
        durable: first.base,
        cuts: headers.windows(2).map(follows).collect(),
        checkpoints: Vec::new(),
    };
    Ok((manifest, Some(damage)))
}
