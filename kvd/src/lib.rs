//! The layers of the server, each using only those before it.

pub mod config;
pub mod session;
pub mod commands;
pub mod observe;
pub mod server;
