//! A row of the settings table: one setting and everything that is to be known about it.

use super::accepted;
use super::kind::{Kind, NOT_UTF_8};
use super::settings::{OWN, Settings};
use super::value::Value;

/// When a new value does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At once, also through CONFIG SET.
    Live,
    /// When the server starts.
    AtStart,
    /// Never: a directive of redis.conf without meaning here. It is checked, kept and shown, and said at start.
    Accepted,
}

/// What CONFIG SET may do with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Change it.
    Allowed,
    /// Nothing: it is read once, at start.
    Immutable,
    /// Nothing: it names a place on disk, and no client may redirect the server's files.
    Protected,
    /// Nothing, for the same reason; but who sets what it is has the file read again.
    Reloaded,
}

/// Where the value lives in [`Settings`].
#[derive(Clone, Copy)]
pub(super) enum Slot {
    /// A typed field.
    Field { get: fn(&Settings) -> Value, put: fn(&mut Settings, Value) },
    /// Among the values that are only kept.
    Kept,
}

/// The values that are in force, when not all that can be written are.
#[derive(Clone, Copy)]
pub(super) struct InForce {
    /// As CONFIG GET shows them; none stands for the default alone.
    pub(super) values: &'static [&'static str],
    /// What to say about any other.
    pub(super) why: &'static str,
}

/// One setting.
#[derive(Clone, Copy)]
pub struct Row {
    /// The name in files, flags and CONFIG.
    pub name: &'static str,
    /// Redis's older name, where there is one.
    pub alias: Option<&'static str>,
    /// The part of the manual it belongs to.
    pub topic: &'static str,
    /// What a value may be.
    pub kind: Kind,
    /// The default, as it could stand in a file.
    pub default: &'static str,
    /// What CONFIG SET may do.
    pub change: Change,
    /// When a value does something.
    pub effect: Effect,
    /// One sentence for the manual.
    pub doc: &'static str,
    pub(super) in_force: Option<InForce>,
    /// No pattern finds it.
    pub(super) is_hidden: bool,
    pub(super) note: Option<&'static str>,
    pub(super) slot: Slot,
}

/// The whole table: what works here, then what is only accepted.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    OWN.iter().chain(accepted::ROWS)
}

/// The row with this name or alias, in any case.
pub fn find(name: &[u8]) -> Option<&'static Row> {
    rows().find(|row| row.names().any(|known| known.as_bytes().eq_ignore_ascii_case(name)))
}

impl Row {
    /// A row of what works here, before its rules.
    pub(super) const fn new(
        name: &'static str,
        topic: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
        slot: Slot,
    ) -> Row {
        let (change, effect) = (Change::Allowed, Effect::Live);
        let (in_force, is_hidden, note) = (None, false, None);
        Row { name, alias: None, topic, kind, default, change, effect, doc, in_force, is_hidden, note, slot }
    }

    /// A row that is only accepted.
    pub(super) const fn accepted(
        name: &'static str,
        topic: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Row {
        Row { effect: Effect::Accepted, ..Row::new(name, topic, kind, default, doc, Slot::Kept) }
    }

    /// CONFIG SET changes it, at once.
    pub(super) const fn live(self) -> Row {
        Row { effect: Effect::Live, ..self }
    }

    /// Read once, at start.
    pub(super) const fn at_start(self) -> Row {
        Row { effect: Effect::AtStart, change: Change::Immutable, ..self }
    }

    /// Read once, at start, and Redis calls it protected.
    pub(super) const fn protected(self) -> Row {
        Row { effect: Effect::AtStart, change: Change::Protected, ..self }
    }

    /// Names a file that is read at start, and again at SIGHUP or when CONFIG SET repeats the name.
    pub(super) const fn reloaded(self) -> Row {
        Row { effect: Effect::AtStart, change: Change::Reloaded, ..self }
    }

    /// CONFIG SET refuses it: it names a place on disk.
    pub(super) const fn no_path_at_run_time(self) -> Row {
        Row { change: Change::Protected, ..self }
    }

    /// Nothing acts on it yet.
    pub(super) const fn no_effect(self) -> Row {
        Row { effect: Effect::Accepted, ..self }
    }

    /// CONFIG SET refuses it, as in Redis.
    pub(super) const fn fixed(self) -> Row {
        Row { change: Change::Immutable, ..self }
    }

    /// Redis's older name.
    pub(super) const fn alias(self, alias: &'static str) -> Row {
        Row { alias: Some(alias), ..self }
    }

    /// Any value but these is an error that says why.
    pub(super) const fn only(self, values: &'static [&'static str], why: &'static str) -> Row {
        Row { in_force: Some(InForce { values, why }), ..self }
    }

    /// Any value but the default is an error that says why.
    pub(super) const fn only_default(self, why: &'static str) -> Row {
        self.only(&[], why)
    }

    /// CONFIG GET shows it to who knows its name.
    pub(super) const fn hidden(self) -> Row {
        Row { is_hidden: true, ..self }
    }

    /// What to say at start when the value is not the default.
    pub(super) const fn note(self, note: &'static str) -> Row {
        Row { note: Some(note), ..self }
    }

    /// Name and alias.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.alias)
    }

    /// Whether logs and messages must not show the value.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Whether the value has no field and is only kept.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.slot, Slot::Kept)
    }

    /// The value in `settings`.
    pub fn value(&self, settings: &Settings) -> Value {
        match self.slot {
            Slot::Field { get, .. } => get(settings),
            Slot::Kept => settings.kept.get(self.name).cloned().unwrap_or_else(|| self.default_value()),
        }
    }

    /// The default as a value.
    pub(super) fn default_value(&self) -> Value {
        self.kind.read_default(self.default)
    }

    /// Stores a value that [`Row::parse`] made.
    pub(super) fn put(&self, settings: &mut Settings, value: Value) {
        match self.slot {
            Slot::Field { put, .. } => put(settings, value),
            // Only what differs from the default is kept, so that equal settings compare equal.
            Slot::Kept if value == self.default_value() => drop(settings.kept.remove(self.name)),
            Slot::Kept => drop(settings.kept.insert(self.name, value)),
        }
    }

    /// Checks the words of a file, a flag or CONFIG SET. `before` is the value so far; the error is the text for the
    /// user.
    pub(super) fn parse(&self, argument: &[&[u8]], before: Option<&Value>) -> Result<Value, String> {
        let text = argument.iter().map(|word| std::str::from_utf8(word)).collect::<Result<Vec<_>, _>>();
        let value = match *text.map_err(|_| NOT_UTF_8)? {
            [one] => self.kind.read_text(one, before)?,
            ref words => self.kind.read(words, before)?,
        };
        self.check_in_force(&value)?;
        Ok(value)
    }

    fn check_in_force(&self, value: &Value) -> Result<(), String> {
        let Some(InForce { values, why }) = self.in_force else { return Ok(()) };
        let allowed = if values.is_empty() {
            *value == self.default_value()
        } else {
            values.contains(&value.to_string().as_str())
        };
        if allowed { Ok(()) } else { Err(why.to_owned()) }
    }
}

/// The environment variable of a name.
pub(super) fn variable(name: &str) -> String {
    format!("KVD_{}", name.replace('-', "_").to_ascii_uppercase())
}
