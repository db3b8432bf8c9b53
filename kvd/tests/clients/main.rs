//! The real `kvd` as its clients find it, where a golden script cannot show it.

mod client;
mod large;
mod limits;
mod port;
#[path = "../golden_runner/server.rs"]
mod server;
