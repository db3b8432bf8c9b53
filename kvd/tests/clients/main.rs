//! The real `kvd` as its clients find it, where a golden script cannot show it.

mod blocking;
mod client;
mod cold;
mod cves;
mod debug;
mod eviction;
mod exec;
mod hashes;
mod large;
mod limits;
mod monitor;
mod ordered;
mod port;
mod pubsub;
#[path = "../golden_runner/server.rs"]
mod server;
mod slow;
mod state;
mod zset;
