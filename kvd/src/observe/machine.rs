//! What the system says about this process and this machine. Zero where it says nothing, but for limits.

/// Clock ticks in a second as `/proc` counts them, the same on every Linux.
const TICKS: f64 = 100.0;

/// Memory and processor time of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Resident memory.
    pub resident_bytes: u64,
    /// The most there ever was.
    pub resident_peak_bytes: u64,
    /// Seconds in the kernel.
    pub system_seconds: f64,
    /// Seconds outside of it.
    pub user_seconds: f64,
}

impl Process {
    /// Asks the system.
    pub fn read() -> Process {
        let mut process = Process::default();
        if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
            process.resident_bytes = kibibytes(&status, "VmRSS:");
            process.resident_peak_bytes = kibibytes(&status, "VmHWM:");
        }
        if let Ok(stat) = std::fs::read_to_string("/proc/self/stat") {
            (process.user_seconds, process.system_seconds) = processor_seconds(&stat);
        }
        process
    }
}

/// Bytes of memory that the process holds now.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Bytes of memory of the machine.
pub fn total_memory_bytes() -> u64 {
    std::fs::read_to_string("/proc/meminfo").map_or(0, |text| kibibytes(&text, "MemTotal:"))
}

/// Bytes of memory that this process may have: the machine's, or its control group's when that is less. Without an
/// answer there is no limit.
pub fn memory_limit_bytes() -> u64 {
    let machine = Some(total_memory_bytes()).filter(|bytes| *bytes != 0);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|path| std::fs::read_to_string(path).ok());
    // A group without a limit says `max`, or a number beyond any machine.
    machine.into_iter().chain(limits.filter_map(|text| text.trim().parse().ok())).min().unwrap_or(u64::MAX)
}

/// Where limits of the control groups of a process may be found, by its `/proc/self/cgroup`: of both versions, and seen from
/// within a container too, where the group's own folder is the root.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files =
        vec!["/sys/fs/cgroup/memory.max".to_owned(), "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned()];
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        match (fields.next(), fields.next()) {
            (Some(""), Some(path)) => files.push(format!("/sys/fs/cgroup{path}/memory.max")),
            (Some(controllers), Some(path)) if controllers.split(',').any(|name| name == "memory") => {
                files.push(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"));
            }
            _ => {}
        }
    }
    files
}

/// System, release and processor, as `uname` writes them.
pub fn system_name() -> String {
    let part = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        text.map_or_else(|_| "unknown".to_owned(), |text| text.trim_end().to_owned())
    };
    format!("{} {} {}", part("ostype"), part("osrelease"), std::env::consts::ARCH)
}

/// The number of a line such as `VmRSS:     1234 kB`, in bytes.
fn kibibytes(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

/// User and system seconds of a `stat` line. The second field is the program's name, which may hold anything.
fn processor_seconds(stat: &str) -> (f64, f64) {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut ticks = behind_name.split_whitespace().skip(11).map(|field| field.parse::<f64>().unwrap_or(0.0) / TICKS);
    (ticks.next().unwrap_or(0.0), ticks.next().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_of_both_versions_are_found() {
        let files = limit_files("12:memory:/jobs/a\n4:cpu,cpuacct:/\n0::/user/b:c\n");
        assert_eq!(
            files[2..],
            ["/sys/fs/cgroup/memory/jobs/a/memory.limit_in_bytes", "/sys/fs/cgroup/user/b:c/memory.max"]
        );
    }

    #[test]
    fn lines_of_proc_are_understood() {
        assert_eq!(kibibytes("VmPeak:\t 9 kB\nVmRSS:\t    1234 kB\n", "VmRSS:"), 1234 * 1024);
        assert_eq!(kibibytes("", "VmRSS:"), 0);
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(processor_seconds(stat), (2.5, 0.5));
        assert_eq!(processor_seconds(""), (0.0, 0.0));
    }
}
