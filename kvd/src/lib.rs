//! The layers of the server, each using only those before it.

pub mod commands;
pub mod config;
pub mod observe;
pub mod server;
pub mod session;
