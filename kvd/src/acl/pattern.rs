//! A glob pattern of a rule, made ready to be matched often.

use crate::commands::glob::{self, Case};

/// A pattern with what is known of it beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<[u8]>,
    shape: Shape,
    /// What every name that matches begins with; most others are told by it.
    first: Option<u8>,
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
        let first = text.first().copied().filter(|_| fixed > 0);
        Pattern { text: text.into(), shape, first }
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
    pub fn matches(&self, name: &[u8]) -> bool {
        if self.first.is_some() && self.first != name.first().copied() {
            return false;
        }
        match self.shape {
            Shape::Anything => !name.is_empty(),
            Shape::Prefix => name.starts_with(&self.text[..self.text.len() - 1]),
            Shape::Exact => *self.text == *name,
            Shape::Glob => glob::matches(&self.text, name, Case::Exact),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_matches_what_the_glob_does() {
        let patterns = ["", "*", "a", "app:*", "a*b", "a?", "[ab]*", "a\\*", "**", "a**", "*a"];
        let names = ["", "a", "app:", "app:1", "ab", "axb", "b", "a*", "*"];
        for pattern in patterns {
            for name in names {
                let matched = Pattern::new(pattern.as_bytes()).matches(name.as_bytes());
                let globbed = glob::matches(pattern.as_bytes(), name.as_bytes(), Case::Exact);
                assert_eq!(matched, globbed, "{pattern} {name}");
            }
        }
    }
}
