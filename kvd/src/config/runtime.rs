//! CONFIG GET and CONFIG SET, and settings as lines of a file.
//!
//! Settings are a value: CONFIG SET makes a new one out of the old, all pairs or none, and the caller puts it in place.

use std::collections::BTreeMap;

use super::error::SetError;
use super::row::{Change, Row, find, rows};
use super::settings::Settings;
use super::value::Value;
use super::words;

impl Settings {
    /// CONFIG GET: names and values by name. A pattern without `*`, `?` and `[` is a name and is answered as it was
    /// written; a hidden one is only found so. `matches(pattern, text)` is the server's glob matcher; patterns come to it in lower case.
    pub fn get(&self, patterns: &[&[u8]], matches: impl Fn(&[u8], &[u8]) -> bool) -> Vec<(String, String)> {
        let mut found = BTreeMap::new();
        for &pattern in patterns {
            if !pattern.iter().any(|byte| b"[*?".contains(byte)) {
                if let Some(row) = find(pattern) {
                    found.insert(String::from_utf8_lossy(pattern).into_owned(), row.value(self).to_string());
                }
                continue;
            }
            let pattern = pattern.to_ascii_lowercase();
            for row in rows().filter(|row| !row.is_hidden) {
                for name in row.names().filter(|name| matches(&pattern, name.as_bytes())) {
                    found.insert(name.to_owned(), row.value(self).to_string());
                }
            }
        }
        found.into_iter().collect()
    }

    /// CONFIG SET: the settings with all pairs applied, and the names of those that are different now or whose files are to
    /// be read again.
    pub fn set(&self, pairs: &[(&[u8], &[u8])]) -> Result<(Settings, Vec<&'static str>), SetError> {
        let changes = self.changeable(pairs)?;
        let mut settings = self.clone();
        for &(row, text) in &changes {
            let before = row.value(self);
            let before = (!row.kind.adds_up()).then_some(&before);
            let value = row.parse(&[text], before).and_then(|value| allow_now(row, value));
            let value = value.map_err(|problem| SetError::Refused { name: row.name.to_owned(), problem })?;
            row.put(&mut settings, value);
        }
        let rows = changes.into_iter().map(|(row, _)| row);
        let is_other = |row: &&Row| row.change == Change::Reloaded || row.value(self) != row.value(&settings);
        let changed = rows.filter(is_other).map(|row| row.name).collect();
        Ok((settings, changed))
    }

    /// The rows the pairs name, with what they shall be, if each may be changed and none is named twice.
    fn changeable<'a>(&self, pairs: &[(&[u8], &'a [u8])]) -> Result<Vec<(&'static Row, &'a [u8])>, SetError> {
        let mut changes: Vec<(&'static Row, &[u8])> = Vec::with_capacity(pairs.len());
        for &(name, text) in pairs {
            let written = String::from_utf8_lossy(name).into_owned();
            let Some(row) = find(name) else { return Err(SetError::Unknown { name: written }) };
            let is_as_wanted = || row.parse(&[text], None).is_ok_and(|value| value == row.value(self));
            let problem = match row.change {
                // Nothing is to be changed.
                Change::Immutable if is_as_wanted() => continue,
                Change::Immutable => "can't set immutable config",
                Change::Protected => "can't set protected config",
                Change::Reloaded if !is_as_wanted() => "can't set protected config",
                Change::Allowed | Change::Reloaded if changes.iter().any(|(other, _)| other.name == row.name) => {
                    "duplicate parameter"
                }
                Change::Allowed | Change::Reloaded => {
                    changes.push((row, text));
                    continue;
                }
            };
            return Err(SetError::Refused { name: written, problem: problem.to_owned() });
        }
        Ok(changes)
    }

    /// The settings that are not at their default, as a configuration file.
    pub fn to_file(&self) -> String {
        let changed = rows().filter(|row| row.value(self) != row.default_value());
        changed.map(|row| line(row, &row.value(self))).collect()
    }
}

/// What a file may say but a running server cannot do.
fn allow_now(row: &Row, value: Value) -> Result<Value, String> {
    if row.name == "appendonly" && value == Value::Switch(false) {
        return Err("kvd always keeps its log: set appendfsync to 'no' instead".to_owned());
    }
    Ok(value)
}

/// A line of a file that gives a setting a value.
pub(super) fn line(row: &Row, value: &Value) -> String {
    let shown = value.to_string();
    // No word of a list has a blank inside.
    let is_list = row.kind.is_many_words() && !shown.is_empty();
    let words: Vec<&str> = if is_list { shown.split(' ').collect() } else { vec![&shown] };
    let quoted: Vec<String> = words.into_iter().map(words::quote).collect();
    format!("{} {}\n", row.name, quoted.join(" "))
}
