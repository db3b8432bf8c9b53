//! Which keys a selector allows, and what to do with them.

use super::error::Wrong;
use super::pattern::{Name, Pattern};
use crate::commands::touch::Permission;

/// Patterns of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    all: bool,
    patterns: Vec<(Permission, Pattern)>,
}

impl Keys {
    /// `allkeys`
    pub fn allow_all(&mut self) {
        *self = Keys { all: true, patterns: Vec::new() };
    }

    /// `resetkeys`
    pub fn clear(&mut self) {
        *self = Keys::default();
    }

    /// `~pattern` or `%RW~pattern`, with its first letter.
    pub fn add(&mut self, rule: &[u8]) -> Result<(), Wrong> {
        if self.all {
            return Err(Wrong::AfterAllKeys);
        }
        let (permission, text) = match rule {
            [b'~', text @ ..] => (Permission::ALL, text),
            [b'%', rest @ ..] => permission(rest)?,
            _ => return Err(Wrong::Syntax),
        };
        if has_spaces(text) {
            return Err(Wrong::Syntax);
        }
        match self.patterns.iter_mut().find(|(_, pattern)| pattern.text() == text) {
            Some((before, _)) => *before = before.and(permission),
            None => self.patterns.push((permission, Pattern::new(text))),
        }
        if self.allow_any(Permission::ALL) {
            // It is told as `~*`, behind which no other pattern may stand.
            self.allow_all();
        }
        Ok(())
    }

    /// Whether every key is allowed for everything.
    #[inline]
    pub fn are_all(&self) -> bool {
        self.all
    }

    /// Whether this may be done with a key.
    #[inline]
    pub fn allow(&self, key: &[u8], wanted: Permission) -> bool {
        let name = Name::new(key);
        self.all || self.patterns.iter().any(|(permission, pattern)| permission.covers(wanted) && pattern.matches(name))
    }

    /// Whether this may be done with any key.
    pub fn allow_any(&self, wanted: Permission) -> bool {
        let covers = |(permission, pattern): &(Permission, Pattern)| permission.covers(wanted) && pattern.is_anything();
        self.all || self.patterns.iter().any(covers)
    }

    /// As rules.
    pub fn text(&self) -> Vec<u8> {
        if self.all {
            return b"~*".to_vec();
        }
        let rules = self.patterns.iter().map(|(permission, pattern)| {
            let letters: &[u8] = match *permission {
                Permission::READ => b"%R~",
                Permission::WRITE => b"%W~",
                _ => b"~",
            };
            [letters, pattern.text()].concat()
        });
        rules.collect::<Vec<_>>().join(&b' ')
    }
}

/// `R~…`, `W~…`, `RW~…`; without `~` it is about the empty pattern, as in Redis.
fn permission(rest: &[u8]) -> Result<(Permission, &[u8]), Wrong> {
    let mut permission = Permission::NONE;
    for (at, letter) in rest.iter().enumerate() {
        match letter.to_ascii_uppercase() {
            b'R' if !permission.covers(Permission::READ) => permission = permission.and(Permission::READ),
            b'W' if !permission.covers(Permission::WRITE) => permission = permission.and(Permission::WRITE),
            b'~' if permission != Permission::NONE => return Ok((permission, &rest[at + 1..])),
            _ => return Err(Wrong::Syntax),
        }
    }
    if permission == Permission::NONE { Err(Wrong::Syntax) } else { Ok((permission, b"")) }
}

/// Whether a name or a pattern holds what would end it in a line of rules.
pub fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b))
}
