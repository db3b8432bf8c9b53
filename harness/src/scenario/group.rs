//! A control group that bounds what a server and the kernel's cache of its files take in memory together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Failure, Result};
use crate::files;

/// A group of processes. Dropped, it is removed: its processes have to be gone by then.
pub struct MemoryGroup {
    dir: PathBuf,
    /// Lists the processes of the group that this one belongs to otherwise.
    home: PathBuf,
}

impl MemoryGroup {
    /// Makes one with this many bytes, of either version. That takes rights that not everyone has.
    pub fn make(bytes: u64) -> Result<Self> {
        let groups = files::read(Path::new("/proc/self/cgroup"))?;
        let groups = String::from_utf8_lossy(&groups).into_owned();
        let own = |controller: &str| {
            groups.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|of| of == controller).then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let roots = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", own("memory")),
            ("/sys/fs/cgroup", "memory.max", own("")),
        ];
        let mut reason = Failure::Usage("no control groups for memory".to_owned());
        for (root, limit, own) in roots {
            let Some(own) = own else { continue };
            let home = Path::new(root).join(own);
            let group = Self {
                dir: home.join(format!("kvd-scenarios-{}", std::process::id())),
                home: home.join("cgroup.procs"),
            };
            // One that is made and cannot be limited is removed again.
            match files::make_dir(&group.dir)
                .and_then(|()| files::write(&group.dir.join(limit), bytes.to_string().as_bytes()))
            {
                Ok(()) => return Ok(group),
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }

    /// What starts a program in it.
    pub fn wrapper(&self) -> Vec<String> {
        let enter = r#"echo $$ > "$0" && exec "$@""#;
        let procs = self.procs().display().to_string();
        ["sh", "-c", enter, &procs].map(str::to_owned).to_vec()
    }

    /// Does something with this process in it.
    pub fn with<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let own = std::process::id().to_string();
        files::write(&self.procs(), own.as_bytes())?;
        let done = work();
        files::write(&self.home, own.as_bytes())?;
        Ok(done)
    }

    fn procs(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // A process that has been waited for leaves it a little later.
        for _ in 0..50 {
            match std::fs::remove_dir(&self.dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_that_wants_more_than_its_group_has_is_ended() {
        let group = match MemoryGroup::make(32 << 20) {
            Ok(group) => group,
            Err(reason) => return println!("SKIPPED: {reason}"),
        };
        let wrapper = group.wrapper();
        let run = |script: &str| {
            Command::new(&wrapper[0]).args(&wrapper[1..]).args(["sh", "-c", script]).status().unwrap().success()
        };
        assert!(run("exit 0"));
        assert!(!run("x=aaaaaaaa; while [ ${#x} -lt 200000000 ]; do x=$x$x; done"), "it took 200 MB");
        let inside = group.with(|| files::read(Path::new("/proc/self/cgroup")).unwrap()).unwrap();
        assert!(String::from_utf8_lossy(&inside).contains("kvd-scenarios-"));
        let dir = group.dir.clone();
        drop(group);
        assert!(!dir.exists());
    }
}
