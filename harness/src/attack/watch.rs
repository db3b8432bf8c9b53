//! Watches the memory of a server while it is attacked, and ends an attack that goes too far.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::{Failure, Result};
use crate::files;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Whether an attack is to end: it has had its time, or the server has grown too far.
#[derive(Debug)]
pub struct Halt {
    halted: AtomicBool,
    deadline: Instant,
}

impl Halt {
    /// At the end of so much time.
    pub fn after(time: Duration) -> Self {
        Self { halted: AtomicBool::new(false), deadline: clock::now() + time }
    }

    /// Whether to end.
    pub fn is_over(&self) -> bool {
        self.halted.load(Ordering::Relaxed) || clock::now() >= self.deadline
    }

    fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }
}

/// Bytes of memory of a process: what it has, and the most that it has had since [`forget_peak`].
pub fn memory(pid: u32) -> Result<(u64, u64)> {
    let status = files::read(Path::new(&format!("/proc/{pid}/status")))?;
    let text = String::from_utf8_lossy(&status);
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    match (field("VmRSS:"), field("VmHWM:")) {
        (Some(now), Some(peak)) => Ok((now, peak.max(now))),
        _ => Err(Failure::Usage(format!("no VmRSS of {pid} in /proc"))),
    }
}

/// Has the kernel note the peak of a process from here on.
pub fn forget_peak(pid: u32) -> Result<()> {
    files::write(Path::new(&format!("/proc/{pid}/clear_refs")), b"5")
}

/// A thread that looks at a process.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Watch {
    /// Begins; `halt` is pulled when the process has more than `most` bytes.
    pub fn start(pid: u32, most: u64, halt: Arc<Halt>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            // The last look is behind the end of the attack. A process that is gone has had its peak.
            loop {
                let ends = stopped.load(Ordering::Relaxed);
                if let Ok((_, highest)) = memory(pid) {
                    peak = peak.max(highest);
                }
                if peak > most {
                    halt.halt();
                }
                if ends {
                    return peak;
                }
                std::thread::sleep(LOOK);
            }
        });
        Self { stop, thread }
    }

    /// Ends; the most that was seen.
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a watch does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_too_far_is_halted_and_its_peak_is_known() {
        let pid = std::process::id();
        let (now, _) = memory(pid).unwrap();
        let halt = Arc::new(Halt::after(Duration::from_secs(60)));
        let watch = Watch::start(pid, now + (32 << 20), halt.clone());
        assert!(!halt.is_over());
        let grown = std::hint::black_box(vec![1u8; 128 << 20]);
        assert!(clock::wait_until(Duration::from_secs(20), || halt.is_over()));
        drop(grown);
        assert!(watch.finish() > now + (32 << 20));
        assert!(Halt::after(Duration::ZERO).is_over());
    }
}
