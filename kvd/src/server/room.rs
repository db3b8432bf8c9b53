//! Room for what one transaction logs: asked for before it begins, and again when it turns out to need more.
//!
//! Whoever takes more than was asked has changed nothing yet: it can be refused, or come again when there is room.

use std::cell::Cell;

use engine::{Need, Refusal};

use super::Server;
use crate::commands::Entry;

/// Room for the requests of a transaction.
pub struct Room<'s> {
    server: &'s Server,
    /// The key that is written to, for whom others make room.
    key: &'s [u8],
    /// Bytes that were asked for.
    asked: Cell<u64>,
    /// Bytes that the requests so far may have logged.
    taken: Cell<u64>,
    /// Bytes of these that stand for what the present one makes of the values it finds.
    growth: Cell<u64>,
    /// Whoever needs more can come again when there is room. Within EXEC nobody can: where there will be room it goes on as if
    /// there were, and is refused only when there will be none.
    waits: bool,
    /// There was no room at this moment.
    stalled: Cell<bool>,
}

impl<'s> Room<'s> {
    /// Of which nothing is taken.
    pub fn new(server: &'s Server, key: &'s [u8], asked: u64, waits: bool) -> Room<'s> {
        let [taken, growth] = [Cell::new(0), Cell::new(0)];
        Room { server, key, asked: Cell::new(asked), taken, growth, waits, stalled: Cell::new(false) }
    }

    /// Takes room for a request that logs so much, of which so much is what it adds to what it brings.
    pub fn begin(&self, entry: &Entry, bytes: u64, growth: u64) -> Result<(), Refusal> {
        self.growth.set(growth);
        self.take(entry, bytes)
    }

    /// Takes room for what the present request adds, now that it is known.
    pub fn extend(&self, entry: &Entry, growth: u64) -> Result<(), Refusal> {
        self.take(entry, growth.saturating_sub(self.growth.get()))?;
        self.growth.set(growth.max(self.growth.get()));
        Ok(())
    }

    /// Whether a request was refused that finds room later.
    pub fn is_stalled(&self) -> bool {
        self.stalled.get()
    }

    fn take(&self, entry: &Entry, bytes: u64) -> Result<(), Refusal> {
        let taken = self.taken.get() + bytes;
        if taken > self.asked.get() {
            let memory = match entry.gate.deny_oom {
                true => self.server.store.await_room(taken, self.key),
                false => engine::Room::Enough,
            };
            let need = if entry.gate.shrinks { Need::Shrink } else { Need::Grow };
            let admitted = match memory {
                engine::Room::Later if self.waits => Err(Refusal::Stalled),
                engine::Room::Enough | engine::Room::Later => self.server.store.admit(need, taken),
                engine::Room::Full => Err(Refusal::OutOfMemory),
            };
            match admitted {
                Err(Refusal::Stalled) if !self.waits => {}
                admitted => {
                    self.stalled.set(admitted == Err(Refusal::Stalled));
                    admitted?;
                }
            }
            self.asked.set(taken);
        }
        self.taken.set(taken);
        Ok(())
    }
}
