//! The real `kvd` as its clients find it, where a golden script cannot show it.

mod acl;
mod apart;
mod blocking;
mod client;
mod cold;
mod cves;
mod debug;
mod eviction;
mod exec;
mod files;
mod hashes;
mod large;
mod limits;
mod monitor;
mod ordered;
mod port;
mod pubsub;
mod secrets;
#[path = "../golden_runner/server.rs"]
mod server;
mod slow;
mod state;
mod tls;
mod unix;
mod zset;
