//! The layers of kvd.
