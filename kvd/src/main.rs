//! kvd: the server program.
fn main() {}
