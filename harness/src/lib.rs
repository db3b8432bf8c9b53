//! Kills the real server and judges what is left.
//!
//! ```text
//! workload ─ ops ─► client ─ bytes ─► server (process) ◄─ fault (kill -9, failpoint, slow fsync, failing call, power cut)
//!    │                 │                  │ restart
//!    ▼                 ▼                  ▼
//!  ledger: invoked, answered           snapshot: everything a reader can see
//!    └────────► oracle: what may be there ────► verify: the rules ────► report
//! ```
//!
//! Clients note every command before it is sent and every reply after it was read whole. After a crash all keys are
//! read and compared with what the notes allow. The judge shares no code with the server, not even the parser.
//!
//! `kill -9` leaves the page cache alone and so cannot see a missing fsync; a power cut of a mounted image can. Not done
//! here: torn and reordered sectors are the simulated disk's. Below the process, `inject` has system calls fail or kill, and
//! `damage` spoils files.

pub mod aim;
pub mod attack;
pub mod binary;
pub mod campaign;
pub mod change;
pub mod client;
pub mod clock;
pub mod command_line;
pub mod compare;
pub mod content;
pub mod damage;
pub mod digest;
pub mod error;
pub mod exhaust;
pub mod fault;
pub mod files;
pub mod fuzzing;
pub mod inject;
pub mod ledger;
pub mod linear;
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
pub mod volume;
pub mod wire;
pub mod workload;
pub mod writer;
