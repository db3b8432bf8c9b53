//! A file system of its own whose power can be cut: ext4 in an image file, mounted by way of a loop device.
//!
//! ```text
//! server ─ files ─► ext4: pages and journal in memory ─► loop device ─► image
//!                    ▲         │ cut: they are lost, and every call is an error from now on
//!                    └ restart: unmounted, mounted, the journal replayed; what the image has is there
//! ```
//!
//! A cut is the ioctl FS_IOC_SHUTDOWN. xfs_io (package xfsprogs) sends it to ext4 as well; to send it oneself takes unsafe
//! code. Needs root, loop devices, mkfs.ext4 and xfs_io.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::clock::{self, Interval};
use crate::error::{Failure, Result};
use crate::files;
use crate::random::Random;

/// Room for the logs of all servers in the mixes that are used; the image is sparse.
pub const BYTES: u64 = 1 << 30;

/// Longest wait for the kernel to let go of the files of a process that has ended.
const UNMOUNT_LIMIT: Duration = Duration::from_secs(10);

/// Longest wait for a cut, and time between two looks whether it is there.
const CUT_LIMIT: Duration = Duration::from_secs(10);
const CUT_STEP: Duration = Duration::from_micros(100);

/// What a cut does to the journal's last transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// It is lost, as everything in memory.
    Lost,
    /// It reaches the disk; bytes of files do not.
    Flushed,
}

/// A mounted file system. Dropped, it is unmounted; the image stays.
#[derive(Debug)]
pub struct Volume {
    image: PathBuf,
    place: PathBuf,
}

impl Volume {
    /// Makes an image of so many bytes and mounts it at `place`, which must be an empty directory.
    pub fn new(image: PathBuf, place: PathBuf, bytes: u64) -> Result<Self> {
        files::create(&image)?.set_len(bytes)?;
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), &image])?;
        let volume = Self { image, place };
        volume.mount()?;
        // Servers look at what lies in their directory.
        let found = volume.place.join("lost+found");
        std::fs::remove_dir(&found).map_err(|source| Failure::File { path: found, source })?;
        Ok(volume)
    }

    /// Why there can be none here, if there cannot.
    pub fn missing() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("not root".to_owned());
        }
        let tried = || -> Result<()> {
            let room = tempfile::TempDir::with_prefix("harness-volume-")?;
            let place = room.path().join("mounted");
            files::make_dir(&place)?;
            let volume = Self::new(room.path().join("image"), place, 16 << 20)?;
            volume.arm(Journal::Lost)?.pull()?;
            volume.restart()
        };
        tried().err().map(|failure| failure.to_string())
    }

    /// Makes everything ready for a cut: to start a program takes longer than to cut.
    pub fn arm(&self, journal: Journal) -> Result<Trigger> {
        let mut command = Command::new("xfs_io");
        command.arg("-x").arg(&self.place).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let program =
            command.spawn().map_err(|source| Failure::Run { program: "xfs_io (xfsprogs)".to_owned(), source })?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let probe = rustix::fs::open(&self.place, flags, Mode::RUSR).map_err(std::io::Error::from)?;
        Ok(Trigger { journal, program, probe: probe.into() })
    }

    /// The power is back: what was only in memory is gone.
    pub fn restart(&self) -> Result<()> {
        self.unmount()?;
        self.mount()
    }

    /// Writes back some of the files, as the kernel may do at any time and in any order.
    pub fn write_back_some(&self, random: &mut Random) {
        for path in files::below(&self.place) {
            if random.one_in(2)
                && let Ok(file) = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            {
                // What has gone meanwhile need not be written back.
                let _ = rustix::fs::fsync(file);
            }
        }
    }

    fn mount(&self) -> Result<()> {
        // Without a thread that writes to the disk on its own.
        run("mount", &["-o".as_ref(), "loop,noinit_itable".as_ref(), &self.image, &self.place])
    }

    fn unmount(&self) -> Result<()> {
        let mut last = Ok(());
        clock::wait_until(UNMOUNT_LIMIT, || {
            last = run("umount", &[&self.place]);
            last.is_ok()
        });
        last
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.unmount().is_err() {
            let _ = run("umount", &["-l".as_ref(), &self.place]);
        }
    }
}

/// A cut that waits for its moment. Dropped, it lets go of the volume.
pub struct Trigger {
    journal: Journal,
    program: Child,
    /// A file without a name and bytes. To read it is an error from the cut on.
    probe: File,
}

impl Trigger {
    /// Cuts; says when. Nothing reaches the disk afterwards.
    pub fn pull(&mut self) -> Result<Interval> {
        let word: &[u8] = match self.journal {
            Journal::Lost => b"shutdown\n",
            Journal::Flushed => b"shutdown -f\n",
        };
        let from = clock::now();
        if let Some(mut input) = self.program.stdin.take() {
            input.write_all(word)?;
        }
        // Not when the program ends: the kernel still notes in the journal that it was given up.
        while self.probe.read_at(&mut [0], 0).is_ok() {
            if clock::now() - from > CUT_LIMIT {
                return Err(Failure::Usage("xfs_io cuts nothing".to_owned()));
            }
            std::thread::sleep(CUT_STEP);
        }
        Ok(Interval { from, to: clock::now() })
    }
}

impl Drop for Trigger {
    fn drop(&mut self) {
        // Without input it ends; nobody else would wait for it.
        drop(self.program.stdin.take());
        let _ = self.program.wait();
    }
}

fn run(program: &str, arguments: &[&Path]) -> Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| Failure::Run { program: program.to_owned(), source })?;
    let told = || format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(Failure::Usage(told())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault;

    #[test]
    fn a_cut_loses_what_was_not_synced_and_keeps_what_was() {
        if let Some(reason) = Volume::missing() {
            return fault::skipped("L3", &reason);
        }
        let room = tempfile::tempdir().unwrap();
        let place = room.path().join("mounted");
        files::make_dir(&place).unwrap();
        let volume = Volume::new(room.path().join("image"), place.clone(), 16 << 20).unwrap();
        for journal in [Journal::Lost, Journal::Flushed] {
            let mut trigger = volume.arm(journal).unwrap();
            for (name, synced) in [("synced", true), ("not", false)] {
                files::write(&place.join(name), &[b'x'; 5000]).unwrap();
                if synced {
                    let file = rustix::fs::open(place.join(name), OFlags::RDONLY, Mode::empty()).unwrap();
                    rustix::fs::fsync(file).unwrap();
                }
            }
            trigger.pull().unwrap();
            drop(trigger);
            assert!(files::write(&place.join("late"), b"x").is_err());
            volume.restart().unwrap();
            assert_eq!(files::read(&place.join("synced")).unwrap().len(), 5000);
            assert!(
                files::read(&place.join("not")).is_ok_and(|bytes| bytes.is_empty()) == (journal == Journal::Flushed)
            );
            assert!(!place.join("late").exists());
            files::list(&place).unwrap().iter().for_each(|path| rustix::fs::unlink(path).unwrap());
        }
        drop(volume);
        assert!(files::list(&place).unwrap().is_empty(), "it is still mounted");
    }
}
