//! What the system says of a server's process: processor time, bytes read, memory and space over time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::disk;
use crate::error::{Failure, Result};
use crate::files;

/// Time between two looks at a process.
const LOOK: Duration = Duration::from_millis(50);

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

/// Bytes that a process has read since its start which came from a disk and not from the kernel's cache: whole pages.
pub fn bytes_from_disk(pid: u32) -> Result<u64> {
    let io = text(&format!("/proc/{pid}/io")).unwrap_or_default();
    let found = io.lines().find_map(|line| line.strip_prefix("read_bytes: ")?.parse().ok());
    found.ok_or_else(|| Failure::Usage(format!("no read_bytes of {pid} in /proc")))
}

fn resident_bytes(pid: u32) -> u64 {
    let status = text(&format!("/proc/{pid}/status")).unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
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
                most.disk = most.disk.max(disk::space(&dir));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_figures() {
        let pid = std::process::id();
        assert!(cpu_seconds(pid).unwrap() >= 0.0 && resident_bytes(pid) > 1 << 20);
        bytes_from_disk(pid).unwrap();
    }
}
