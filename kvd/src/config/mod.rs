//! Settings: one row declares one, everything else follows from it.
//!
//! ```text
//!              settings.rs (THE TABLE)   accepted.rs (redis.conf without effect)
//!                         └───────── row.rs ─────────┘      one Row: name, kind, default, change, effect, doc
//!                                      │                    kind.rs: words → Value; value.rs: Value ⇄ field
//!        ┌───────────┬─────────────────┼────────────────┬──────────────┐
//!   file, include   KVD_…           --flags        CONFIG GET/SET   reference page
//!   └────────── load.rs ─────────────┘              runtime.rs       reference.rs
//!                    └── rewrite.rs: CONFIG REWRITE, a file that a start would read as the settings of now
//!                    └── warnings.rs: what settings mean together, what was given in vain
//! ```
//!
//! Sources outrank each other in this order: defaults, configuration file, environment, command line.
//!
//! A word that Redis does not know is an error, and so is a value that asks for what this version does not do
//! (`cluster-enabled yes`): a server that starts, and a CONFIG SET that answers OK, mean what they say. A directive
//! that changes nothing a client could notice is accepted and named at start.
//!
//! This module reads no file, variable or argument itself: they come as parameters of [`load`].
//! Not done here: resolving host names, opening anything, finding out how much memory the machine has.

mod accepted;
mod error;
mod flags;
mod kind;
mod load;
mod reference;
mod rewrite;
mod row;
mod runtime;
mod settings;
#[cfg(test)]
mod tests;
mod value;
mod warnings;
mod words;

pub use error::{ConfigError, Place, SetError};
pub use kind::{Kind, size as parse_size};
pub use load::{Loaded, Start, load};
pub use reference::reference;
pub use rewrite::RewriteError;
pub use row::{Change, Effect, Row, find, rows};
pub use settings::Settings;
pub use value::{
    BindAddress, ChannelDefault, ClientAuth, LogLevel, MaxMemory, Named, NamespacePolicies, OutputLimit, OutputLimits,
    Percentiles, Permission, Permit, Recover, Secret, SpillReads, Value,
};
pub use warnings::exposed;
