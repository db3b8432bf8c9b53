//! Users, and what each of them may do.
//!
//! ```text
//!  rules, as words ─► User: passwords, and selectors ─► Selector: commands, key patterns, channel patterns
//!                       │
//!  SETUSER, LOAD ─► Users, which counts its changes ─► a session looks again when the count is another
//!                                                        └─► the gate asks its user about every request
//! ```
//!
//! A [`User`] is never changed: a change makes a new one and puts it in the place of the old. A request is allowed when one
//! selector allows all of it: the command, every key and every channel that it names.

mod channels;
mod commands;
mod error;
mod keys;
pub mod log;
mod password;
mod pattern;
mod selector;
#[cfg(test)]
mod tests;
pub mod text;
mod user;
mod users;

pub use error::{RuleError, Wrong};
pub use selector::{Denial, Reason};
pub use text::Declaration;
pub use user::User;
pub use users::{DEFAULT_USER, Users};
