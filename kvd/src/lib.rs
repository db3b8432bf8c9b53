//! The server as a library, for its program and its tests.

pub mod acl;
pub mod commands;
pub mod config;
pub mod hyperloglog;
pub mod observe;
pub mod pubsub;
pub mod server;
pub mod session;
pub mod tls;
pub mod tools;
