//! Reads that the kernel does by itself, of a real file: what it reads in part only is read on.

use engine::disk::ring::{Read, Ring};
use engine::disk::{Disk, OsDisk, write_all_at};

const BYTES: usize = 10_000;
/// What the kernel reads at once.
const PIECE: usize = 64;

/// Reads a file in pieces. Where the kernel offers no such reads there is nothing to see.
fn in_pieces() -> Option<Result<(), String>> {
    let mut ring = Ring::new(8, PIECE).ok()?;
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..BYTES).map(|index| 1 + (index / 7 % 251) as u8).collect();
    let file = OsDisk::open(folder.path()).unwrap().create("a").unwrap();
    write_all_at(&*file, &content, 0).unwrap();
    ring.push(Read::new(file, vec![0; BYTES], 0).unwrap(), ());
    let mut read = None;
    while !ring.is_idle() {
        ring.turn(|ended| read = Some(ended.read)).unwrap();
    }
    Some(match read.unwrap() {
        Ok(read) if read == content => Ok(()),
        Ok(read) => Err(format!(
            "{} bytes are not those of the file",
            read.iter().zip(content).filter(|(a, b)| **a != *b).count()
        )),
        Err(error) => Err(error.to_string()),
    })
}

#[test]
fn what_is_read_in_pieces_is_whole() {
    match in_pieces() {
        Some(read) => read.unwrap(),
        None => eprintln!("skipped: no io_uring here"),
    }
}

/// The same for a planted bug, which nobody could find without such reads.
#[cfg(feature = "mutants")]
pub fn pieces() -> Result<(), String> {
    in_pieces().unwrap_or_else(|| Err("not looked for: no io_uring here".to_owned()))
}
