//! Which channels a selector allows.

use super::error::Wrong;
use super::keys::has_spaces;
use super::pattern::{Name, Pattern};
use crate::pubsub::Kind;

/// Patterns of channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    all: bool,
    patterns: Vec<Pattern>,
}

impl Channels {
    /// `allchannels`
    pub fn allow_all(&mut self) {
        *self = Channels { all: true, patterns: Vec::new() };
    }

    /// `resetchannels`
    pub fn clear(&mut self) {
        *self = Channels::default();
    }

    /// `&pattern`, without the `&`.
    pub fn add(&mut self, text: &[u8]) -> Result<(), Wrong> {
        if self.all {
            return Err(Wrong::AfterAllChannels);
        }
        if has_spaces(text) {
            return Err(Wrong::Syntax);
        }
        if self.patterns.iter().all(|pattern| pattern.text() != text) {
            self.patterns.push(Pattern::new(text));
        }
        Ok(())
    }

    /// Whether every channel is allowed.
    #[inline]
    pub fn are_all(&self) -> bool {
        self.all
    }

    /// Whether one may publish or listen to a name. A pattern may be listened to if it is one of these, word for word.
    pub fn allow(&self, kind: Kind, name: &[u8]) -> bool {
        let fits = |pattern: &Pattern| match kind {
            Kind::Pattern => pattern.text() == name,
            Kind::Channel | Kind::Shard => pattern.matches(Name::new(name)),
        };
        self.all || self.patterns.iter().any(fits)
    }

    /// As rules.
    pub fn text(&self) -> Vec<u8> {
        if self.all {
            return b"&*".to_vec();
        }
        let rules = self.patterns.iter().map(|pattern| [b"&", pattern.text()].concat());
        rules.collect::<Vec<_>>().join(&b' ')
    }
}
