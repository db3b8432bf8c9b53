//! A directory of the real disk. The only file that calls the operating system for files.

#![expect(clippy::disallowed_methods, reason = "this module is the door that the bans point to")]

use std::fs::{self, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::{Disk, File, write_all_at};

/// Data may hold secrets of many clients: files and directory belong to the user who runs the server, as in other
/// databases.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// One directory of the real disk.
pub struct OsDisk {
    path: PathBuf,
    /// Open for as long as the disk is, so that [`Disk::sync_dir`] cannot fail for want of a descriptor.
    directory: fs::File,
    /// Nothing is written, not even a lock file.
    read_only: bool,
    /// A sync of the directory has failed. Held while one is under way: the kernel tells an error to one caller only.
    sync_failed: Mutex<bool>,
}

impl OsDisk {
    /// Opens the directory, and creates it when it is missing (its parent must exist). The new name is durable when
    /// this returns.
    pub fn open(path: &Path) -> io::Result<OsDisk> {
        let created = match fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
            Err(e) => return Err(e),
        };
        // A directory that was found may have been created by a process that died before this sync. It is worth the
        // attempt; but we may lack the right to read the parent of a directory that was made for us.
        match sync_parent(path) {
            Err(e) if created => return Err(e),
            _ => {}
        }
        OsDisk::existing(path, false)
    }

    /// Opens a directory that exists, and nothing in it for writing.
    pub fn read_only(path: &Path) -> io::Result<OsDisk> {
        OsDisk::existing(path, true)
    }

    fn existing(path: &Path, read_only: bool) -> io::Result<OsDisk> {
        let directory = fs::File::open(path)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(OsDisk { path: path.to_path_buf(), directory, read_only, sync_failed: Mutex::new(false) })
    }

    /// The path of a file that is to be made or given another name.
    fn path_to_change(&self, name: &str) -> io::Result<PathBuf> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { self.path_of(name) }
    }

    fn path_of(&self, name: &str) -> io::Result<PathBuf> {
        plain(name)?;
        Ok(self.path.join(name))
    }
}

impl Disk for OsDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(self.path_to_change(name)?)?;
        Ok(Arc::new(OsFile { file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(!self.read_only).open(self.path_of(name)?)?;
        Ok(Arc::new(OsFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path_to_change(from)?, self.path_to_change(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path_to_change(name)?)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string()
                && entry.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut failed = self.sync_failed.lock();
        if *failed {
            return Err(io::Error::other("a sync of the directory has failed before"));
        }
        self.directory.sync_all().inspect_err(|_| *failed = true)
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>> {
        let path = self.path_of(name)?;
        let mut how = OpenOptions::new();
        if !self.read_only {
            how.write(true).create(true).truncate(false).mode(FILE_MODE);
        }
        let file = match how.read(true).open(path) {
            // Whoever writes has made it: nobody does.
            Err(e) if self.read_only && e.kind() == io::ErrorKind::NotFound => return Ok(Box::new(())),
            file => file?,
        };
        file.try_lock()?;
        // The kernel frees the lock with the last descriptor: when the guard is dropped, or the process ends.
        Ok(Box::new(file))
    }
}

struct OsFile {
    file: fs::File,
}

impl File for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        match preadv2(&self.file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(Some(read)),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR | Errno::INVAL) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        loop {
            match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return self.extend_with_zeros(bytes),
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl OsFile {
    /// For file systems that cannot reserve: writes the zeros. Holes below the present length stay holes, which is
    /// enough for callers that allocate before they write.
    fn extend_with_zeros(&self, bytes: u64) -> io::Result<()> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut offset = self.len()?;
        while offset < bytes {
            let part = (bytes - offset).min(ZEROS.len() as u64) as usize;
            write_all_at(self, &ZEROS[..part], offset)?;
            offset += part as u64;
        }
        Ok(())
    }
}

/// Refuses everything that is not the plain name of a file in the directory.
pub(super) fn plain(name: &str) -> io::Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file name"));
    }
    Ok(())
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        // The parent of "data" is the working directory; the root has no parent, and syncs itself.
        Some(_) => Path::new("."),
        None => path,
    };
    fs::File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{read_all, replace};

    fn disk() -> (tempfile::TempDir, OsDisk) {
        let parent = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(&parent.path().join("data")).unwrap();
        (parent, disk)
    }

    #[test]
    fn opens_what_exists_and_creates_one_level() {
        let (parent, disk) = disk();
        disk.create("a").unwrap();
        let again = OsDisk::open(&parent.path().join("data")).unwrap();
        assert_eq!(again.list().unwrap(), ["a"]);
        assert!(OsDisk::open(&parent.path().join("no/such")).is_err());
        assert!(OsDisk::open(&parent.path().join("data/a")).is_err());
    }

    #[test]
    fn second_lock_is_refused_until_the_first_is_dropped() {
        let (parent, disk) = disk();
        let guard = disk.lock("lock").unwrap();
        let other = OsDisk::open(&parent.path().join("data")).unwrap();
        assert_eq!(other.lock("lock").err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(guard);
        other.lock("lock").unwrap();
    }

    #[test]
    fn allocated_space_reads_as_zeros_and_keeps_what_was_written() {
        let (_parent, disk) = disk();
        let file = disk.create("a").unwrap();
        write_all_at(&*file, b"abc", 0).unwrap();
        file.allocate(4096).unwrap();
        file.allocate(16).unwrap();
        let mut expected = vec![0; 4096];
        expected[..3].copy_from_slice(b"abc");
        assert_eq!(read_all(&disk, "a", 4096).unwrap(), expected);
    }

    #[test]
    fn what_the_kernel_has_in_memory_is_read_as_it_is() {
        let (_parent, disk) = disk();
        let file = disk.create("a").unwrap();
        write_all_at(&*file, b"0123456789", 0).unwrap();
        let mut buffer = [0; 4];
        // A file system that cannot tell says nothing; of ours most can.
        if let Some(read) = file.read_cached_at(&mut buffer, 3).unwrap() {
            assert_eq!(&buffer[..read], &b"3456"[..read]);
            assert_eq!(file.read_cached_at(&mut buffer, 8).unwrap(), Some(2), "the file ends there");
        }
    }

    #[test]
    fn zeros_are_written_where_space_cannot_be_reserved() {
        let (_parent, disk) = disk();
        let file = OsFile { file: OpenOptions::new().write(true).create_new(true).open(disk.path.join("a")).unwrap() };
        file.write_at(b"abc", 0).unwrap();
        file.extend_with_zeros(200_000).unwrap();
        let bytes = read_all(&disk, "a", 1 << 20).unwrap();
        assert_eq!(bytes.len(), 200_000);
        assert_eq!(&bytes[..4], b"abc\0");
    }

    #[test]
    fn replace_swaps_the_whole_content() {
        let (_parent, disk) = disk();
        replace(&disk, "a", b"first and longer").unwrap();
        replace(&disk, "a", b"second").unwrap();
        assert_eq!(read_all(&disk, "a", 100).unwrap(), b"second");
        assert_eq!(disk.list().unwrap(), ["a"]);
    }

    #[test]
    fn a_disk_to_read_from_changes_nothing() {
        let (parent, disk) = disk();
        replace(&disk, "a", b"content").unwrap();
        let path = parent.path().join("data");
        let reader = OsDisk::read_only(&path).unwrap();
        let _unused = reader.lock("lock").unwrap();
        assert_eq!(read_all(&reader, "a", 100).unwrap(), b"content");
        assert!(reader.open("a").unwrap().write_at(b"x", 0).is_err());
        assert!(reader.create("b").is_err() && reader.rename("a", "b").is_err() && reader.remove("a").is_err());
        assert_eq!(disk.list().unwrap(), ["a"]);
        let guard = disk.lock("lock").unwrap();
        assert_eq!(reader.lock("lock").err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(guard);
        assert!(OsDisk::read_only(&path.join("none")).is_err());
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let (_parent, disk) = disk();
        for name in ["", ".", "..", "../x", "a/b", "a\0"] {
            assert_eq!(disk.create(name).err().unwrap().kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
