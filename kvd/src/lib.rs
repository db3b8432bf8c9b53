//! The server as a library, for its program and its tests.

pub mod commands;
pub mod config;
pub mod observe;
pub mod server;
pub mod session;
