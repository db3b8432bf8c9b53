//! The store of kvd: keys and values in memory, every change in a log, recovery after any crash.
//!
//! Usable on its own, without sockets or an async runtime:
//!
//! ```
//! use std::sync::Arc;
//! use engine::clock::SystemClock;
//! use engine::disk::sim::SimDisk;
//! use engine::{Background, Options, Store, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let disk = Arc::new(SimDisk::new(1)); // engine::disk::OsDisk::open(path)? for a real one
//! let store = Store::open(disk, Arc::new(SystemClock::new()), Options::default())?;
//! let background = Background::start(&store)?;
//!
//! let key = store.key(b"greeting");
//! let mut transaction = store.begin(0, &[key], store.now_ms());
//! transaction.set(&key, Value::Copy(b"hello"), None);
//! let position = transaction.commit();
//! store.log().write_out();
//! assert!(store.log().written() >= position, "kill -9 cannot take it now");
//!
//! let mut transaction = store.begin(0, &[key], store.now_ms());
//! assert_eq!(transaction.get(&key).map(|item| item.string().unwrap_or_default().to_vec()), Some(b"hello".to_vec()));
//! drop(transaction);
//! background.stop();
//! store.close();
//! # Ok(())
//! # }
//! ```
//!
//! Layers, each using only those before it: `error format` → `disk` → `class value` → `keyspace` → `log` → `txn store walk` →
//! `recover settle cold heal compact checkpoint sweep evict order prefix audit digest` → `background`.

mod audit;
mod background;
mod blobs;
mod checkpoint;
mod class;
pub mod clock;
pub mod cold;
mod compact;
mod digest;
pub mod disk;
mod error;
mod evict;
pub mod failpoint;
pub mod format;
mod garbage;
mod heal;
mod keyspace;
pub mod listener;
pub mod log;
pub mod mutant;
mod options;
mod order;
mod prefetch;
mod prefix;
pub mod random;
mod recover;
mod settle;
mod store;
mod sweep;
mod sync;
mod txn;
pub mod value;
mod walk;

pub use background::{Background, Maintenance};
pub use digest::Digest;
pub use error::{Error, Refusal};
pub use evict::{EvictionSettings, Evictor, NamespaceFigures, Room};
pub use format::blob::Reference;
pub use heal::Damaged;
pub use keyspace::access::{Scale, Use};
pub use keyspace::hold::Holds;
pub use keyspace::namespace::LONGEST_NAME as LONGEST_NAMESPACE;
pub use keyspace::policy::Policy;
pub use keyspace::rules::{EvictionRules, Usage};
pub use keyspace::shard::{DATABASES, Key};
pub use log::flusher::{Decision, DueSync, Flusher, Next};
pub use log::{FsyncMode, Log, Lsn, Need};
pub use options::{Lanes, Options};
pub use order::KeyRange;
pub use recover::{Check, Contents, Damage, Lost, PassedOver, Progress, Recovery, Salvage, check, salvage};
pub use store::{MAX_VALUE, Store, owned};
pub use txn::{Applied, Collection, Item, Transaction, Value, WrongType};
