//! A server's files as the kernel has them: the space they take, what of them is cached, and bare reads of them.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{Advice, Mode, OFlags};
use rustix::io::ReadWriteFlags;

use crate::clock;
use crate::error::{Failure, Result};
use crate::files;
use crate::random::Random;

/// Time between two rounds that drop cached pages.
const DROP: Duration = Duration::from_millis(20);
/// Bytes of a record that is read.
const RECORD: usize = 1024;
/// What direct reads begin and end at.
const BLOCK: usize = 4096;

/// Bytes of the disk that the files below a directory take.
pub fn space(dir: &Path) -> u64 {
    files::below(dir).iter().filter_map(|path| std::fs::metadata(path).ok()).map(|of| of.blocks() * 512).sum()
}

/// Some files, open for reading, as if they were one.
struct Opened(Vec<(File, u64)>);

impl Opened {
    /// Those below a directory with at least so many bytes.
    fn below(dir: &Path, least: usize, flags: OFlags) -> Result<Self> {
        let mut opened = Vec::new();
        for path in files::below(dir) {
            let file = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty());
            let file = File::from(file.map_err(std::io::Error::from)?);
            let length = file.metadata()?.len();
            if length >= least as u64 {
                opened.push((file, length));
            }
        }
        Ok(Self(opened))
    }

    /// A random byte.
    fn place(&self, random: &mut Random) -> Option<(&File, u64)> {
        let total: u64 = self.0.iter().map(|(_, length)| length).sum();
        let mut at = random.next().checked_rem(total)?;
        for (file, length) in &self.0 {
            if at < *length {
                return Some((file, at));
            }
            at -= length;
        }
        None
    }

    /// Has the kernel forget what it keeps of them in memory and what is on the disk.
    fn drop_cached(&self) -> Result<()> {
        for (file, _) in &self.0 {
            rustix::fs::fadvise(file, 0, None, Advice::DontNeed).map_err(std::io::Error::from)?;
        }
        Ok(())
    }
}

/// Has the kernel forget what it keeps of these files in memory, after they were synced. Nothing else of the machine is touched.
pub fn drop_cached(dir: &Path) -> Result<()> {
    let opened = Opened::below(dir, 0, OFlags::empty())?;
    for (file, _) in &opened.0 {
        file.sync_all()?;
    }
    opened.drop_cached()?;
    // Pages that a processor had just at hand are left out; after a while it has not.
    std::thread::sleep(DROP);
    opened.drop_cached()
}

/// Does so again and again until it is told to stop, without syncing: for files that nobody writes.
pub fn keep_dropping(dir: &Path, stop: &AtomicBool) -> Result<()> {
    let opened = Opened::below(dir, 0, OFlags::empty())?;
    while !stop.load(Ordering::Relaxed) {
        opened.drop_cached()?;
        std::thread::sleep(DROP);
    }
    Ok(())
}

/// How much of these files the kernel has in memory, in percent, by a sample of their pages.
pub fn cached_percent(dir: &Path) -> Result<f64> {
    const SAMPLE: u32 = 2000;
    let opened = Opened::below(dir, 0, OFlags::empty())?;
    let (mut random, mut byte, mut cached) = (Random::new(clock::fresh_seed()), [0; 1], 0);
    for _ in 0..SAMPLE {
        let Some((file, at)) = opened.place(&mut random) else { break };
        // What is not in memory would have to be waited for, which is an error here.
        let read = rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT);
        cached += u32::from(read.is_ok());
    }
    Ok(100.0 * f64::from(cached) / f64::from(SAMPLE))
}

/// How raw reads are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// Through the kernel's cache, as the server reads.
    Cache,
    /// Past it (`O_DIRECT`): the blocks around each record.
    Nothing,
}

/// Random records of 1 KiB read from the files below a directory by so many threads: how many in a second. What reads as
/// zeros was never written and does not count.
pub fn bare_reads(dir: &Path, threads: u64, time: Duration, through: Through) -> Result<f64> {
    let flags = if through == Through::Nothing { OFlags::DIRECT } else { OFlags::empty() };
    // Small files are not where the values are.
    let opened = &Opened::below(dir, 64 * RECORD, flags)?;
    if opened.0.is_empty() {
        return Err(Failure::Usage("no file to read from".to_owned()));
    }
    let end = clock::now() + time;
    let reader = |seed: u64| -> Result<u64> {
        let (mut random, mut buffer, mut done) = (Random::new(seed), vec![0; 3 * BLOCK], 0);
        while clock::now() < end {
            let Some((file, at)) = opened.place(&mut random) else { break };
            done += u64::from(read_record(file, at, &mut buffer, through)?);
        }
        Ok(done)
    };
    let counts: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..threads).map(|seed| scope.spawn(move || reader(clock::fresh_seed() ^ (seed << 32)))).collect();
        readers.into_iter().map(|reader| reader.join().expect("a reader does not panic")).collect()
    });
    Ok(counts.into_iter().sum::<Result<u64>>()? as f64 / time.as_secs_f64())
}

/// Reads one record. Whether it is all there and something was written to it.
fn read_record(file: &File, at: u64, buffer: &mut [u8], through: Through) -> Result<bool> {
    let inside = match through {
        Through::Cache => 0,
        Through::Nothing => (at % BLOCK as u64) as usize,
    };
    let (wanted, aligned) = match through {
        Through::Cache => (RECORD, 0),
        // Memory has to begin at a block too.
        Through::Nothing => ((inside + RECORD).next_multiple_of(BLOCK), buffer.as_ptr().align_offset(BLOCK)),
    };
    let got = file.read_at(&mut buffer[aligned..aligned + wanted], at - inside as u64)?;
    let record = buffer[aligned..aligned + got].get(inside..inside + RECORD);
    Ok(record.is_some_and(|record| record.iter().any(|&byte| byte != 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_reads_count_what_was_written_only() {
        let dir = tempfile::tempdir().unwrap();
        let read = |through| bare_reads(dir.path(), 2, Duration::from_millis(20), through);
        assert!(read(Through::Cache).is_err(), "there is nothing");
        files::write(&dir.path().join("zeros"), &vec![0; 2 << 20]).unwrap();
        assert_eq!(read(Through::Cache).unwrap(), 0.0);
        files::write(&dir.path().join("ones"), &vec![1; (2 << 20) + 100]).unwrap();
        assert!(read(Through::Cache).unwrap() > 0.0);
        assert!(cached_percent(dir.path()).unwrap() > 99.0);
        drop_cached(dir.path()).unwrap();
        assert!(space(dir.path()) >= 2 << 20);
    }
}
