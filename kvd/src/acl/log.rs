//! What was denied, as ACL LOG shows it.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

use super::selector::Reason;

/// Entries that tell the same within this time are one.
const SAME_WITHIN_MS: u64 = 60_000;
/// Bytes that are kept of a name.
const MAX_BYTES: usize = 1024;

/// Something that was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why.
    pub reason: Reason,
    /// `toplevel` or `multi`.
    pub context: &'static str,
    /// The command, key or channel.
    pub object: Bytes,
    /// Who asked for it.
    pub user: Bytes,
    /// Its client, as a line of CLIENT LIST.
    pub client: String,
}

/// How often something was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Never given twice by one process.
    pub id: u64,
    /// What, and the last client who asked for it.
    pub denied: Denied,
    /// How often.
    pub count: u64,
    /// Milliseconds since the epoch of the first time.
    pub created_ms: u64,
    /// And of the last.
    pub updated_ms: u64,
}

/// The last of them, the latest first.
#[derive(Default)]
pub struct Log(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    entries: VecDeque<LogEntry>,
    next_id: u64,
}

impl Log {
    /// Keeps what was denied, and of those before as many as may be.
    pub fn add(&self, mut denied: Denied, now_ms: u64, most: u64) {
        (denied.object, denied.user) = (clipped(denied.object), clipped(denied.user));
        let mut log = self.0.lock();
        let is_same = |entry: &LogEntry| {
            let known = &entry.denied;
            known.reason == denied.reason
                && known.context == denied.context
                && known.user == denied.user
                && known.object == denied.object
                && now_ms.abs_diff(entry.updated_ms) <= SAME_WITHIN_MS
        };
        let entry = match log.entries.iter().position(is_same).and_then(|at| log.entries.remove(at)) {
            Some(entry) => LogEntry { denied, count: entry.count + 1, updated_ms: now_ms, ..entry },
            None => {
                let id = log.next_id;
                log.next_id += 1;
                LogEntry { id, denied, count: 1, created_ms: now_ms, updated_ms: now_ms }
            }
        };
        log.entries.push_front(entry);
        log.entries.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    }

    /// The latest ones.
    pub fn latest(&self, most: usize) -> Vec<LogEntry> {
        self.0.lock().entries.iter().take(most).cloned().collect()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.lock().entries.clear();
    }
}

/// A long name would be kept for a stranger.
fn clipped(name: Bytes) -> Bytes {
    if name.len() <= MAX_BYTES {
        return name;
    }
    let more = format!("... ({} more bytes)", name.len() - MAX_BYTES);
    Bytes::from([&name[..MAX_BYTES], more.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(object: &'static str) -> Denied {
        let (context, client) = ("toplevel", String::new());
        Denied { reason: Reason::Key, context, object: object.into(), user: "alice".into(), client }
    }

    #[test]
    fn the_same_within_a_minute_is_one_entry_and_the_latest_is_first() {
        let log = Log::default();
        log.add(denied("a"), 1_000, 10);
        log.add(denied("b"), 2_000, 10);
        log.add(denied("a"), 60_000, 10);
        let shown = |entry: &LogEntry| (entry.id, entry.denied.object.clone(), entry.count, entry.created_ms);
        let both: Vec<_> = log.latest(10).iter().map(shown).collect();
        assert_eq!(both, [(0, Bytes::from("a"), 2, 1_000), (1, Bytes::from("b"), 1, 2_000)]);
        let long = Bytes::from(vec![b'x'; 5000]);
        log.add(Denied { user: long.clone(), ..denied("c") }, 60_000, 10);
        let user = log.latest(1).remove(0).denied.user;
        assert!(user.starts_with(&long[..MAX_BYTES]) && user.ends_with(b"... (3976 more bytes)"), "{user:?}");
        log.add(denied("b"), 70_000, 1);
        assert_eq!(log.latest(10).iter().map(shown).collect::<Vec<_>>(), [(3, Bytes::from("b"), 1, 70_000)]);
    }
}
