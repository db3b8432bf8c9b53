//! System calls that fail, or never return, in a real server: its N-th write, sync, rename … for N = 1, 2, 3 … until there
//! is none.
//!
//! ```text
//! case (what is written) × fault (which call, what happens) ─► series: life with the N-th call hurt ─► ending: how may it go on?
//!                                                                 │ restart, unhurt                       trace: what it asked for
//!                                                                 └──► store.judge: every rule of the ledger
//! ```
//!
//! strace does it, and counts the calls of each thread for itself. An error comes to pass in every thread that reaches its
//! N-th call; a kill in the first.

pub mod attached;
pub mod case;
pub mod ending;
pub mod fault;
pub mod series;
pub mod short;
pub mod slow;
pub mod trace;
