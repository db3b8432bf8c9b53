//! A glob pattern of a rule, made ready to be matched often.

use crate::commands::glob::{self, Case};

/// So many bytes are compared as one number.
const HEAD: usize = size_of::<u64>();

/// A pattern with what is known of it beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<[u8]>,
    shape: Shape,
    /// How many bytes every name that matches begins with, as the text does.
    fixed: usize,
    /// The first of them, and which bits of a name's head they are: most names that do not match are told by it.
    head: u64,
    mask: u64,
}

/// What is matched with patterns.
#[derive(Clone, Copy)]
pub struct Name<'a> {
    bytes: &'a [u8],
    head: u64,
}

impl<'a> Name<'a> {
    /// Made ready.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Name<'a> {
        Name { bytes, head: head(bytes) }
    }
}

/// The first bytes as one number, with zeros behind the last.
#[inline]
fn head(bytes: &[u8]) -> u64 {
    let short = || {
        let mut head = [0; HEAD];
        head[..bytes.len()].copy_from_slice(bytes);
        head
    };
    u64::from_le_bytes(bytes.first_chunk().copied().unwrap_or_else(short))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `*`: all but the empty text, as the matcher has it.
    Anything,
    /// `app:*`
    Prefix,
    /// `app`
    Exact,
    /// Anything else.
    Glob,
}

impl Pattern {
    /// The pattern of a text.
    pub fn new(text: &[u8]) -> Pattern {
        let fixed = glob::prefix(text).len();
        let shape = match &text[fixed..] {
            b"" => Shape::Exact,
            b"*" if fixed == 0 => Shape::Anything,
            b"*" => Shape::Prefix,
            _ => Shape::Glob,
        };
        let in_head = fixed.min(HEAD);
        let (head, mask) = (head(&text[..in_head]), head(&[0xff; HEAD][..in_head]));
        Pattern { text: text.into(), shape, fixed, head, mask }
    }

    /// As it was written.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether it is `*`.
    pub fn is_anything(&self) -> bool {
        self.shape == Shape::Anything
    }

    /// Whether a name matches.
    #[inline]
    pub fn matches(&self, name: Name<'_>) -> bool {
        if name.head & self.mask != self.head || name.bytes.len() < self.fixed {
            return false;
        }
        match self.shape {
            Shape::Anything => !name.bytes.is_empty(),
            // It has been compared.
            Shape::Prefix if self.fixed <= HEAD => true,
            Shape::Prefix => name.bytes.starts_with(&self.text[..self.fixed]),
            Shape::Exact => *self.text == *name.bytes,
            Shape::Glob => glob::matches(&self.text, name.bytes, Case::Exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_matches_what_the_glob_does() {
        let long = ["a\0*", "applicat*", "application*", "application:*", "application", "application*x"];
        let patterns = ["", "*", "a", "app:*", "a*b", "a?", "[ab]*", "a\\*", "**", "a**", "*a"].into_iter().chain(long);
        let names = ["", "a", "app:", "app:1", "ab", "axb", "b", "a*", "*", "a\0", "a\0b", "applica", "applicat"];
        let names =
            || names.into_iter().chain(["applicati", "application", "application:1", "applicatiox", "application1x"]);
        for pattern in patterns {
            for name in names() {
                let matched = Pattern::new(pattern.as_bytes()).matches(Name::new(name.as_bytes()));
                let globbed = glob::matches(pattern.as_bytes(), name.as_bytes(), Case::Exact);
                assert_eq!(matched, globbed, "{pattern} {name}");
            }
        }
    }
}
