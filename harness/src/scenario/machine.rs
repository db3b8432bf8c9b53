//! What the system says of a server's process and files: processor time, memory over time, bytes read, space, cached pages.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Advice, Mode, OFlags};

use crate::clock;
use crate::error::{Failure, Result};
use crate::files;
use crate::random::Random;

/// Time between two looks at a process.
const LOOK: Duration = Duration::from_millis(50);
/// Time between two rounds that drop cached pages.
const DROP: Duration = Duration::from_millis(20);

fn text(path: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&files::read(Path::new(path)).ok()?).into_owned())
}

/// Seconds of processor time of a process and the children it has waited for.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = text(&format!("/proc/{pid}/stat"));
    // The name, in brackets, may hold blanks.
    let ticks = stat.and_then(|stat| {
        let words: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        words.get(11..15)?.iter().map(|word| word.parse::<u64>().ok()).sum::<Option<u64>>()
    });
    let ticks = ticks.ok_or_else(|| Failure::Usage(format!("no processor time of {pid} in /proc")))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Bytes that a process has read by `read` and its like. Sockets are received from, which does not count.
pub fn bytes_read(pid: u32) -> Result<u64> {
    let io = text(&format!("/proc/{pid}/io")).unwrap_or_default();
    let found = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
    found.ok_or_else(|| Failure::Usage(format!("no rchar of {pid} in /proc")))
}

fn resident_bytes(pid: u32) -> u64 {
    let status = text(&format!("/proc/{pid}/status")).unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

/// All files below a directory. Those that vanish meanwhile are left out.
pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files::list(dir).unwrap_or_default() {
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Bytes of the disk that they take.
pub fn disk_bytes(dir: &Path) -> u64 {
    files_below(dir).iter().filter_map(|path| std::fs::metadata(path).ok()).map(|of| of.blocks() * 512).sum()
}

/// The most that was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Most {
    /// Bytes of memory that the process held.
    pub resident: u64,
    /// Bytes of the disk that its directory took.
    pub disk: u64,
}

/// Looks at a process and its directory again and again.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Most>,
}

impl Watch {
    /// Begins.
    pub fn start(pid: u32, dir: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, dir) = (stop.clone(), dir.to_path_buf());
        let thread = std::thread::spawn(move || {
            let mut most = Most::default();
            while !stopped.load(Ordering::Relaxed) {
                most.resident = most.resident.max(resident_bytes(pid));
                most.disk = most.disk.max(disk_bytes(&dir));
                std::thread::sleep(LOOK);
            }
            most
        });
        Self { stop, thread }
    }

    /// Ends.
    pub fn finish(self) -> Most {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a watch does not panic")
    }
}

fn open(path: &Path, flags: OFlags) -> std::io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty())?)
}

/// Has the kernel forget what it keeps of these files in memory: they are synced, and then not needed. Nothing else of the
/// machine is touched.
pub fn drop_cached(dir: &Path) -> Result<()> {
    for path in files_below(dir) {
        let file = open(&path, OFlags::empty())?;
        rustix::fs::fsync(&file).map_err(std::io::Error::from)?;
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).map_err(std::io::Error::from)?;
    }
    Ok(())
}

/// Does so again and again until it is told to stop, without syncing: for files that nobody writes.
pub fn keep_dropping(dir: &Path, stop: &AtomicBool) -> Result<()> {
    let open_all = |path: &PathBuf| open(path, OFlags::empty());
    let open_files = files_below(dir).iter().map(open_all).collect::<std::io::Result<Vec<_>>>()?;
    while !stop.load(Ordering::Relaxed) {
        for file in &open_files {
            rustix::fs::fadvise(file, 0, None, Advice::DontNeed).map_err(std::io::Error::from)?;
        }
        std::thread::sleep(DROP);
    }
    Ok(())
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
pub fn raw_reads(dir: &Path, threads: u64, time: Duration, through: Through) -> Result<f64> {
    const RECORD: u64 = 1024;
    let flags = if through == Through::Nothing { OFlags::DIRECT } else { OFlags::empty() };
    let mut opened = Vec::new();
    for path in files_below(dir) {
        let length = std::fs::metadata(&path).map(|of| of.len()).unwrap_or(0);
        if length > 1 << 20 {
            opened.push((std::fs::File::from(open(&path, flags)?), length));
        }
    }
    let total: u64 = opened.iter().map(|(_, length)| length).sum();
    if total == 0 {
        return Err(Failure::Usage("no file to read from".to_owned()));
    }
    let (end, opened) = (clock::now() + time, &opened);
    let reader = |seed: u64| -> Result<u64> {
        let mut random = Random::new(seed);
        let mut buffer = vec![0; 3 * BLOCK];
        let mut done = 0;
        while clock::now() < end {
            let mut at = random.next() % total;
            let mut files = opened.iter();
            let (file, length) = loop {
                let (file, length) = files.next().expect("it is below the sum");
                if at < *length {
                    break (file, *length);
                }
                at -= length;
            };
            done += u64::from(read_record(file, at.min(length - RECORD), RECORD as usize, &mut buffer, through)?);
        }
        Ok(done)
    };
    let counts: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..threads).map(|seed| scope.spawn(move || reader(clock::fresh_seed() ^ seed))).collect();
        readers.into_iter().map(|reader| reader.join().expect("a reader does not panic")).collect()
    });
    Ok(counts.into_iter().sum::<Result<u64>>()? as f64 / time.as_secs_f64())
}

/// What direct reads begin and end at.
const BLOCK: usize = 4096;

/// Reads one record. Whether something was written there.
fn read_record(file: &std::fs::File, at: u64, length: usize, buffer: &mut [u8], through: Through) -> Result<bool> {
    let read = match through {
        Through::Cache => {
            file.read_exact_at(&mut buffer[..length], at)?;
            &buffer[..length]
        }
        Through::Nothing => {
            let from = at - at % BLOCK as u64;
            let inside = (at - from) as usize;
            let wanted = (inside + length).next_multiple_of(BLOCK);
            // Memory has to begin at a block too.
            let aligned = buffer.as_ptr().align_offset(BLOCK);
            // The last block of a file may be a part of one.
            let got = file.read_at(&mut buffer[aligned..aligned + wanted], from)?;
            &buffer[aligned + inside.min(got)..aligned + got.min(inside + length)]
        }
    };
    Ok(read.iter().any(|&byte| byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_reads_count_what_was_written_only() {
        let dir = tempfile::tempdir().unwrap();
        let read = |through| raw_reads(dir.path(), 2, Duration::from_millis(20), through);
        assert!(read(Through::Cache).is_err(), "there is nothing");
        files::write(&dir.path().join("zeros"), &vec![0; 2 << 20]).unwrap();
        assert_eq!(read(Through::Cache).unwrap(), 0.0);
        files::write(&dir.path().join("ones"), &vec![1; (2 << 20) + 100]).unwrap();
        assert!(read(Through::Cache).unwrap() > 0.0);
        drop_cached(dir.path()).unwrap();
        assert!(disk_bytes(dir.path()) >= 2 << 20);
    }

    #[test]
    fn this_process_has_figures() {
        let pid = std::process::id();
        let before = bytes_read(pid).unwrap();
        assert!(cpu_seconds(pid).unwrap() >= 0.0 && resident_bytes(pid) > 1 << 20);
        assert!(bytes_read(pid).unwrap() > before, "reading /proc counts");
    }
}
