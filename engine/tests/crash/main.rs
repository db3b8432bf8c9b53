//! The whole engine on a simulated disk and clock, stepped by a seed, crashed, reopened and judged.
//!
//! ```text
//!  session    clients: operations on the store and on the model, replies that wait for their position
//!  life       one opening: session + flusher + maintenance + faults, until it crashes or closes
//!  shrink     the fewest steps with which a run fails
//!  content    what keys hold, in plain vectors and maps
//!  bench      one store whose machines a test steps by hand: modes, room
//!  recycling  files of emptied segments that are used again
//!  exchanges  databases that change places
//!  evictions  what the store says it has evicted
//!  ring       reads that the kernel does by itself; the simulated disk has none
//!  model      what was committed in which order, and what of it must survive
//! ```
//!
//! No threads and no sleeps. A failure prints its seed and the one command that repeats it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]

/// The server's: a life is many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bench;
mod checkpoints;
mod content;
mod crash_everywhere;
mod damage;
mod disks;
mod evictions;
mod exchanges;
mod images;
mod lanes;
mod life;
mod log_image;
mod model;
mod modes;
#[cfg(feature = "mutants")]
mod mutants;
mod recycling;
mod renames;
mod ring;
mod room;
mod salvage;
mod session;
mod shrink;
mod simulation;
mod sync_age;
mod through;
