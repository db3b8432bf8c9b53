//! Views over what the server has counted.

pub mod info;
pub mod log;
pub mod machine;
pub mod rows;
pub mod stats;

/// The version whose commands, replies and error texts these are.
pub const REDIS_VERSION: &str = "7.4.0";
