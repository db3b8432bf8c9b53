//! The only door to files: one directory of the real disk, or of a simulated one.
//!
//! Everything durable goes through [`Disk`] and [`File`], so a simulation can lose, tear and reorder whatever was
//! not yet synced. Two rules of real disks are part of the contract and the simulation holds to them:
//!
//! * a written byte is durable only after [`File::sync`] returned success;
//! * a new, renamed or removed *name* is durable only after [`Disk::sync_dir`] returned success.
//!
//! A failed sync is never retried by callers: the kernel has then marked the pages clean, and a second sync would
//! report success for bytes that never reached the disk.

mod os;
pub mod ring;
pub mod sim;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

pub use os::OsDisk;

use crate::mutant::planted;

/// One directory. Names are plain file names within it.
pub trait Disk: Send + Sync + 'static {
    /// Creates a new, empty file. Fails with `AlreadyExists` when the name is taken.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file for reading and writing. Fails with `NotFound`.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Gives `from` the name `to`, replacing whatever had it, atomically.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name. Fails with `NotFound`.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// All names of plain files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes every name change up to now durable. Once it has failed it fails for good, for all callers.
    fn sync_dir(&self) -> io::Result<()>;
    /// Takes the exclusive lock `name`, held until the guard is dropped or the process ends. Fails with
    /// `WouldBlock` when another process (or another guard) holds it.
    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>>;
}

/// One open file. All methods take `&self`; callers order their own writes.
#[expect(clippy::len_without_is_empty, reason = "nobody asks a file whether it is empty")]
pub trait File: Send + Sync {
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;
    /// Reads at an offset; fewer bytes than asked, or 0 at the end, as `pread(2)`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// As [`File::read_at`], if that need not wait for the disk; `None` when it must, or when nobody can say.
    fn read_cached_at(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }
    /// What the kernel knows it by, the same as long as it is open; `None` of one that the kernel does not know.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Writes at an offset; may write fewer bytes than asked, as `pwrite(2)`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Reserves disk space so that later writes below `bytes` cannot run out of it; extends the file with zeros.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Makes all written bytes and the length durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of `bytes`, through short writes and interruptions.
pub fn write_all_at(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) if planted("short_write_not_looped") => break,
            Ok(n) => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Fills `buffer` from `offset`; fails with `UnexpectedEof` when the file ends before.
pub fn read_exact_at(file: &dyn File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buffer = &mut std::mem::take(&mut buffer)[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Replaces the whole content of `name`: temporary file, sync, rename, directory sync. After a crash the file holds
/// either the old or the new bytes, never a mixture.
pub fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{name}.tmp");
    match disk.remove(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    write_all_at(&*file, bytes, 0)?;
    if !planted("manifest_not_synced") {
        file.sync()?;
    }
    disk.rename(&temporary, name)?;
    if planted("manifest_dir_not_synced") { Ok(()) } else { disk.sync_dir() }
}

/// The whole content of `name`, at most `limit` bytes: a longer file is `InvalidData`, before memory is taken.
pub fn read_all(disk: &dyn Disk, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let length = file.len()?;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is longer than {limit} bytes")));
    }
    let mut bytes = vec![0; length as usize];
    read_exact_at(&*file, &mut bytes, 0)?;
    Ok(bytes)
}
