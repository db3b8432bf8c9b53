//! Named places where a test ends the process, delays it, or makes an operation fail.
//!
//! `KVD_FAILPOINTS="log.sync.before=kill@3,log.write.before=delay:20,log.sync.before=error@2"`: at the third hit the
//! process kills itself as `kill -9` would; a delay is in milliseconds at every hit. Without the feature `failpoints`
//! nothing of this is compiled.

use std::io;

/// Every name, so that a loop over all of them can be written outside.
pub const NAMES: &[&str] = &[
    "log.append.before",
    "log.append.after",
    "log.write.before",
    "log.write.mid",
    "log.write.after",
    "log.sync.before",
    "log.sync.after",
    "ack.before",
    "segment.create.before",
    "segment.create.after",
    "segment.recycle.before",
    "segment.recycle.after",
    "segment.seal",
    "dir.sync.before",
    "dir.sync.after",
    "compact.copy",
    "compact.settle",
    "compact.manifest.before",
    "compact.manifest.after",
    "compact.close",
    "compact.unlink",
    "checkpoint.create",
    "checkpoint.write",
    "checkpoint.sync",
    "checkpoint.manifest.before",
    "checkpoint.manifest.after",
    "checkpoint.unlink",
    "spill.leave",
    "spill.image",
    "spill.settle",
    "spill.read",
    "spill.bring",
    "recover.scan",
    "recover.copy.before",
    "recover.copy.after",
    "recover.manifest.before",
    "recover.manifest.after",
    "shutdown.before",
    "shutdown.after",
    "blob.write",
    "blob.sync",
];

/// Passes through a named place.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn hit(_name: &'static str) -> io::Result<()> {
    Ok(())
}

/// Passes through a named place: perhaps not beyond.
#[cfg(feature = "failpoints")]
pub fn hit(name: &'static str) -> io::Result<()> {
    armed::hit(name)
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::io;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    enum Action {
        Kill { at: u64 },
        Error { at: u64 },
        Delay(Duration),
    }

    struct Point {
        name: String,
        action: Action,
        hits: AtomicU64,
    }

    static POINTS: LazyLock<Vec<Point>> = LazyLock::new(|| {
        let text = std::env::var("KVD_FAILPOINTS").unwrap_or_default();
        text.split(',').filter(|part| !part.is_empty()).map(parse).collect()
    });

    fn parse(part: &str) -> Point {
        let bad = || -> ! { panic!("KVD_FAILPOINTS: cannot read {part:?}") };
        let Some((name, action)) = part.split_once('=') else { bad() };
        if !super::NAMES.contains(&name) {
            bad();
        }
        let number = |text: &str| text.parse().unwrap_or_else(|_| bad());
        let action = if let Some(at) = action.strip_prefix("kill@") {
            Action::Kill { at: number(at) }
        } else if let Some(at) = action.strip_prefix("error@") {
            Action::Error { at: number(at) }
        } else if let Some(ms) = action.strip_prefix("delay:") {
            Action::Delay(Duration::from_millis(number(ms)))
        } else {
            bad()
        };
        Point { name: name.to_owned(), action, hits: AtomicU64::new(0) }
    }

    pub(super) fn hit(name: &'static str) -> io::Result<()> {
        for point in POINTS.iter().filter(|point| point.name == name) {
            let hits = point.hits.fetch_add(1, Ordering::Relaxed) + 1;
            match point.action {
                Action::Kill { at } if hits == at => {
                    let me = rustix::process::getpid();
                    let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
                    std::thread::sleep(Duration::from_secs(60));
                }
                Action::Error { at } if hits == at => return Err(io::Error::from_raw_os_error(5)),
                Action::Delay(time) => std::thread::sleep(time),
                _ => {}
            }
        }
        Ok(())
    }
}
