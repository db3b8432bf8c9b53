//! File descriptors: every client needs one, and a process may have only so many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for the store's files and the listeners, and for the event loop of each worker.
const RESERVED: u64 = 64;
const RESERVED_A_WORKER: u64 = 4;

/// Asks for as many as so many clients need; how many clients fit.
pub fn raise_limit(clients: usize) -> usize {
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let reserved = RESERVED + RESERVED_A_WORKER * workers;
    let wanted = clients as u64 + reserved;
    let have = getrlimit(Resource::Nofile);
    let current = have.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return clients;
    }
    let allowed = have.maximum.unwrap_or(u64::MAX).min(wanted);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum: have.maximum });
    let limit = if raised.is_ok() { allowed } else { current };
    limit.saturating_sub(reserved).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_clients_fit_and_more_than_the_system_allows_do_not() {
        assert_eq!(raise_limit(1), 1);
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        if most < u64::MAX / 2 {
            assert!(raise_limit(most as usize) < (most - RESERVED) as usize);
        }
    }
}
