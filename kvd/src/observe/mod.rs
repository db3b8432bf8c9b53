//! Views over what the server has counted.

pub mod histogram;
pub mod info;
pub mod latency;
pub mod log;
pub mod machine;
pub mod recent;
pub mod rows;
pub mod slow_log;
pub mod stats;
mod values;

/// The version whose commands, replies and error texts these are.
pub const REDIS_VERSION: &str = "7.4.0";
