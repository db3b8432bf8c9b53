//! The requests that took longest, as SLOWLOG shows them.

use std::collections::VecDeque;

use parking_lot::Mutex;
use resp::Request;

use crate::commands::Entry;
use crate::pubsub::monitor::REDACTED;
use crate::session::registry::Client;

/// Arguments kept of a request; the last one tells how many more there were.
const MAX_ARGUMENTS: usize = 32;
/// Bytes kept of an argument.
const MAX_BYTES: usize = 128;

/// One slow request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowRequest {
    /// Never given twice by one process.
    pub id: u64,
    /// Seconds since the epoch when it had run.
    pub at_s: u64,
    /// Microseconds it took.
    pub took_us: u64,
    /// Its arguments, trimmed.
    pub arguments: Vec<Vec<u8>>,
    /// Address of its client.
    pub address: String,
    /// Name of its client.
    pub name: String,
}

/// The last slow requests, the latest first.
#[derive(Default)]
pub struct SlowLog(Mutex<Log>);

#[derive(Default)]
struct Log {
    requests: VecDeque<SlowRequest>,
    next_id: u64,
}

impl SlowLog {
    /// Keeps a request, and of those before as many as may be.
    pub fn add(&self, entry: &Entry, request: &Request<'_>, client: &Client, took_us: u64, at_s: u64, most: u64) {
        let arguments = trimmed(entry, request);
        let (address, name) = (client.address.clone(), client.texts().name);
        let mut log = self.0.lock();
        let id = log.next_id;
        log.next_id += 1;
        log.requests.push_front(SlowRequest { id, at_s, took_us, arguments, address, name });
        log.requests.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    }

    /// The latest ones.
    pub fn latest(&self, most: usize) -> Vec<SlowRequest> {
        self.0.lock().requests.iter().take(most).cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.lock().requests.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.lock().requests.clear();
    }
}

fn trimmed(entry: &Entry, request: &Request<'_>) -> Vec<Vec<u8>> {
    let too_many = request.len() > MAX_ARGUMENTS;
    let kept = if too_many { MAX_ARGUMENTS - 1 } else { request.len() };
    let mut arguments: Vec<Vec<u8>> = Vec::with_capacity(kept + 1);
    for (index, argument) in request.iter().take(kept).enumerate() {
        arguments.push(match argument {
            _ if entry.is_secret(request, index) => REDACTED.into(),
            argument if argument.len() > MAX_BYTES => {
                let more = format!("... ({} more bytes)", argument.len() - MAX_BYTES);
                [&argument[..MAX_BYTES], more.as_bytes()].concat()
            }
            argument => argument.to_vec(),
        });
    }
    if too_many {
        arguments.push(format!("... ({} more arguments)", request.len() - kept).into());
    }
    arguments
}
