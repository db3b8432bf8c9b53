//! Reads golden scripts, plays them against a server, and compares.

pub mod play;
pub mod script;
pub mod server;
pub mod show;
