//! Placeholder: the first lines of this crate.
