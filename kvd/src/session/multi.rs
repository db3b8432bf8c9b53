//! What a connection has queued between MULTI and EXEC, and what it watches.

use std::sync::Arc;

use resp::{Batch, Queue, Request};

use super::Session;
use crate::commands::Entry;
use crate::commands::error::{CommandError, MULTI_MEMORY, MULTI_TOO_LONG};
use crate::server::Server;
use crate::server::watch::Watch;

/// Requests that EXEC is to run.
#[derive(Default)]
pub struct Multi {
    /// The requests.
    pub queue: Queue,
    /// Their rows.
    pub entries: Vec<&'static Entry>,
    /// One of them was refused: EXEC will run none.
    pub failed: bool,
    /// The requests again, when EXEC has begun and must wait.
    pub batch: Option<Batch>,
}

/// What stands between a connection and the commands it sends: nothing, for most.
#[derive(Default)]
pub struct Pending {
    /// Between MULTI and EXEC.
    pub multi: Option<Box<Multi>>,
    /// What WATCH has named.
    pub watch: Option<Arc<Watch>>,
}

impl Multi {
    /// Bytes of memory, as counted against what all connections may hold.
    fn bytes(&self) -> usize {
        let batch = self.batch.as_ref().map_or(0, Batch::memory_bytes);
        self.queue.memory_bytes() + batch + self.entries.capacity() * size_of::<&Entry>()
    }
}

impl Session {
    /// Keeps a request for EXEC, if there is memory for it.
    pub fn queue(&mut self, entry: &'static Entry, request: &Request<'_>, server: &Server) -> Result<(), CommandError> {
        let Some(multi) = &mut self.pending.multi else { return Ok(()) };
        let before = multi.bytes();
        let more: usize = request.iter().map(<[u8]>::len).sum();
        if !server.makes_client_room(&self.client, more) {
            return Err(MULTI_MEMORY);
        }
        if !multi.queue.push(request.iter()) {
            return Err(MULTI_TOO_LONG);
        }
        multi.entries.push(entry);
        server.client_memory.change(&self.client, before, multi.bytes());
        self.publish_pending();
        Ok(())
    }

    /// What was queued, if MULTI has begun: it is over.
    pub fn take_multi(&mut self, server: &Server) -> Option<Box<Multi>> {
        let multi = self.pending.multi.take()?;
        server.client_memory.change(&self.client, multi.bytes(), 0);
        Some(multi)
    }

    /// EXEC must wait: what was queued stays.
    pub fn put_multi(&mut self, multi: Box<Multi>, server: &Server) {
        server.client_memory.change(&self.client, 0, multi.bytes());
        self.pending.multi = Some(multi);
    }
}
