//! Kills the real server and judges what is left.
//!
//! ```text
//! workload ─ ops ─► client ─ bytes ─► server (process) ◄─ fault (kill -9, failpoint, slow fsync)
//!    │                 │                  │ restart
//!    ▼                 ▼                  ▼
//!  ledger: invoked, answered           snapshot: everything a reader can see
//!    └────────► oracle: what may be there ────► verify: the rules ────► report
//! ```
//!
//! Clients note every command before it is sent and every reply after it was read whole. After a crash all keys are
//! read and compared with what the notes allow. The judge shares no code with the server, not even the parser.
//!
//! Not done here: faults below the process (power loss, bit rot) are the simulated disk's; `kill -9` leaves the page
//! cache alone and so cannot see a missing fsync.

pub mod aim;
pub mod binary;
pub mod campaign;
pub mod change;
pub mod client;
pub mod clock;
pub mod content;
pub mod digest;
pub mod error;
pub mod exhaust;
pub mod fault;
pub mod files;
pub mod fuzzing;
pub mod ledger;
pub mod mix;
pub mod op;
pub mod oracle;
pub mod planted;
pub mod process;
pub mod random;
pub mod reliability;
pub mod report;
pub mod rules;
pub mod scenario;
pub mod snapshot;
pub mod store;
pub mod value;
pub mod verify;
pub mod wire;
pub mod workload;
