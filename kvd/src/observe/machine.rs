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

/// Bytes of memory of the machine.
pub fn total_memory_bytes() -> u64 {
    std::fs::read_to_string("/proc/meminfo").map_or(0, |text| kibibytes(&text, "MemTotal:"))
}

/// Bytes of memory that this process may have: the machine's, or its control group's when that is less. Without an
/// answer there is no limit.
pub fn memory_limit_bytes() -> u64 {
    let machine = Some(total_memory_bytes()).filter(|bytes| *bytes != 0);
    // A group without a limit says `max`.
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min().unwrap_or(u64::MAX)
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
    fn lines_of_proc_are_understood() {
        assert_eq!(kibibytes("VmPeak:\t 9 kB\nVmRSS:\t    1234 kB\n", "VmRSS:"), 1234 * 1024);
        assert_eq!(kibibytes("", "VmRSS:"), 0);
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(processor_seconds(stat), (2.5, 0.5));
        assert_eq!(processor_seconds(""), (0.0, 0.0));
    }
}
