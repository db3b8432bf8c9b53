//! Which commands a selector allows: a bit for each, and the rules that led to it, to be told again.

use resp::Request;

use super::error::Wrong;
use super::keys::has_spaces;
use crate::commands::category::Categories;
use crate::commands::{self, Entry};

/// The commands that a selector allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    /// `+@all`, and nothing was taken away since.
    all: bool,
    /// Those of a later version would be allowed: the last rule about all of them was `+@all`.
    unknown: bool,
    /// By [`Entry::id`].
    allowed: Box<[u64]>,
    /// Commands that are allowed with some first arguments only, with these: `+select|0`.
    first_words: Vec<(usize, Box<[u8]>)>,
    /// The rules since the last about all commands, none of them undone by a later one.
    rules: Vec<Rule>,
}

/// One rule, in lower case: `get`, `config|set`, `@read`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    allows: bool,
    about: Box<[u8]>,
}

impl Default for Commands {
    fn default() -> Commands {
        Commands {
            all: false,
            unknown: false,
            allowed: vec![0; commands::count().div_ceil(64)].into(),
            first_words: Vec::new(),
            rules: Vec::new(),
        }
    }
}

impl Commands {
    /// `+@all` or `-@all`
    pub fn set_all(&mut self, allows: bool) {
        self.all = allows;
        self.unknown = allows;
        self.allowed.fill(if allows { u64::MAX } else { 0 });
        self.first_words.clear();
        self.rules.clear();
    }

    /// `+about` or `-about`
    pub fn apply(&mut self, allows: bool, about: &[u8]) -> Result<(), Wrong> {
        match about {
            [b'@', name @ ..] => self.set_category(allows, name)?,
            _ if allows && about.contains(&b'|') => self.allow_part(about)?,
            _ => {
                let entry = commands::find(about).ok_or(Wrong::Unknown)?;
                self.set(allows, entry);
            }
        }
        self.note(allows, about);
        Ok(())
    }

    fn set_category(&mut self, allows: bool, name: &[u8]) -> Result<(), Wrong> {
        if name.eq_ignore_ascii_case(b"all") {
            self.set_all(allows);
            return Ok(());
        }
        let category = Categories::named(name).ok_or(Wrong::Unknown)?;
        for entry in commands::all().iter().flat_map(|entry| [entry].into_iter().chain(&entry.subcommands)) {
            if entry.categories.meet(category) {
                self.set(allows, entry);
            }
        }
        Ok(())
    }

    /// `command|subcommand`, or `command|word` where the command has no subcommands.
    fn allow_part(&mut self, about: &[u8]) -> Result<(), Wrong> {
        let bar = about.iter().rposition(|byte| *byte == b'|').ok_or(Wrong::Unknown)?;
        let (container, word) = (&about[..bar], &about[bar + 1..]);
        let entry = commands::find(container).ok_or(Wrong::Unknown)?;
        if container.contains(&b'|') {
            return Err(Wrong::WordOfSubcommand);
        }
        // A line of rules could not tell a word with a space.
        if word.is_empty() || has_spaces(word) {
            return Err(Wrong::Syntax);
        }
        if !entry.subcommands.is_empty() {
            self.set(true, entry.subcommand(word).ok_or(Wrong::Unknown)?);
            return Ok(());
        }
        let is_known = |(id, known): &(usize, Box<[u8]>)| *id == entry.id && known.eq_ignore_ascii_case(word);
        if !self.first_words.iter().any(is_known) {
            self.first_words.push((entry.id, word.into()));
        }
        Ok(())
    }

    /// A command with its subcommands.
    fn set(&mut self, allows: bool, entry: &Entry) {
        for entry in [entry].into_iter().chain(&entry.subcommands) {
            let (word, bit) = (&mut self.allowed[entry.id / 64], 1 << (entry.id % 64));
            *word = if allows { *word | bit } else { *word & !bit };
            self.first_words.retain(|(id, _)| *id != entry.id);
        }
        self.all &= allows;
    }

    /// Keeps a rule to be told. One about the same, or about a part of it, means nothing any more.
    fn note(&mut self, allows: bool, about: &[u8]) {
        if about.eq_ignore_ascii_case(b"@all") {
            return;
        }
        let about = about.to_ascii_lowercase();
        self.rules.retain(|rule| {
            let rest = rule.about.strip_prefix(&*about);
            rest.is_none_or(|rest| !rest.is_empty() && rest[0] != b'|')
        });
        self.rules.push(Rule { allows, about: about.into() });
    }

    /// Whether every command is allowed.
    #[inline]
    pub fn are_all(&self) -> bool {
        self.all
    }

    /// Whether a request for a command is allowed. Those that make somebody known always are.
    #[inline]
    pub fn allow(&self, entry: &Entry, request: &Request<'_>) -> bool {
        self.all
            || self.allowed[entry.id / 64] >> (entry.id % 64) & 1 == 1
            || entry.gate.no_auth
            || self.allows_word(entry, request)
    }

    #[cold]
    fn allows_word(&self, entry: &Entry, request: &Request<'_>) -> bool {
        let Some(word) = request.get(1) else { return false };
        self.first_words.iter().any(|(id, known)| *id == entry.id && known.eq_ignore_ascii_case(word))
    }

    /// As rules.
    pub fn text(&self) -> Vec<u8> {
        let mut text = if self.unknown { b"+@all".to_vec() } else { b"-@all".to_vec() };
        for rule in &self.rules {
            text.extend_from_slice(if rule.allows { b" +" } else { b" -" });
            text.extend_from_slice(&rule.about);
        }
        text
    }
}
