//! Every command of the table: each category, and each place where a key or a channel may stand.

use std::collections::BTreeSet;

use bytes::Bytes;
use resp::Queue;

use super::{Reason, User};
use crate::commands::category::{Categories, NAMES};
use crate::commands::syntax::Argument;
use crate::commands::touch::Permission;
use crate::commands::{self, Channels, Entry};

fn entries() -> impl Iterator<Item = &'static Entry> {
    commands::all().iter().flat_map(|entry| [entry].into_iter().chain(&entry.subcommands))
}

fn user(rules: &[&str]) -> User {
    let rules: Vec<Vec<u8>> = rules.iter().map(|rule| rule.as_bytes().to_vec()).collect();
    User::new(Bytes::from_static(b"someone"), false).with(&rules, false).expect("the rules are right")
}

/// Words of a request, and which of them are keys.
#[derive(Default)]
struct Words {
    /// Which it takes where one of several may stand; the last where there are fewer.
    choice: usize,
    words: Vec<String>,
    keys: Vec<usize>,
}

/// More than there are to choose from anywhere.
const CHOICES: usize = 12;

impl Words {
    /// Requests for a command with all that its usage line allows, and two of what may be repeated: one for each choice.
    fn of(entry: &Entry) -> impl Iterator<Item = Words> {
        (0..CHOICES).map(|choice| {
            let mut words = Words { choice, ..Words::default() };
            words.words.extend(entry.full_name.split('|').map(str::to_owned));
            words.add_all(&entry.syntax.arguments);
            words
        })
    }

    fn add_all(&mut self, arguments: &[Argument]) {
        arguments.iter().for_each(|argument| self.add(argument));
    }

    fn add(&mut self, argument: &Argument) {
        match argument {
            Argument::Token(token) => self.words.push(token.clone()),
            Argument::Value { key: true, .. } => {
                self.keys.push(self.words.len());
                self.words.push(format!("key{}", self.keys.len()));
            }
            Argument::Value { name, .. } if name == "numkeys" => self.words.push("2".to_owned()),
            Argument::Value { .. } => self.words.push("7".to_owned()),
            Argument::Sequence(parts) => self.add_all(parts),
            Argument::OneOf(parts) => {
                assert!(parts.len() <= CHOICES, "{parts:?}");
                self.add(&parts[self.choice.min(parts.len() - 1)]);
            }
            Argument::Optional(part) => self.add(part),
            Argument::Repeated(part) => (0..2).for_each(|_| self.add(part)),
        }
    }

    /// What somebody says to them who may touch some of the keys only.
    fn check(&self, entry: &Entry, rules: &[String]) -> Result<(), (Reason, usize)> {
        let rules: Vec<&str> = ["+@all"].into_iter().chain(rules.iter().map(String::as_str)).collect();
        let mut queue = Queue::default();
        assert!(queue.push(self.words.iter().map(String::as_bytes)));
        let batch = queue.into_batch();
        user(&rules).check(entry, &batch.request(0)).map_err(|denial| (denial.reason, denial.argument))
    }
}

/// Requests of all commands but those about channels.
fn requests() -> impl Iterator<Item = (&'static Entry, Words)> {
    let of_keys = entries().filter(|entry| entry.command.channels.is_none());
    of_keys.flat_map(|entry| Words::of(entry).map(move |words| (entry, words)))
}

#[test]
fn a_category_allows_its_commands_and_no_others() {
    for name in NAMES {
        let category = Categories::named(name.as_bytes()).expect("it is one");
        let added = user(&[&format!("+@{name}")]);
        let taken = user(&["+@all", &format!("-@{name}")]);
        let mut batch = Queue::default();
        assert!(batch.push([&b"x"[..]].into_iter()));
        let batch = batch.into_batch();
        let request = batch.request(0);
        let allows = |user: &User, entry: &Entry| match user.check(entry, &request) {
            Ok(()) => true,
            Err(denial) => denial.reason != Reason::Command,
        };
        for entry in commands::all() {
            let is_in = entry.categories.meet(category);
            assert_eq!(allows(&added, entry), is_in || entry.gate.no_auth, "+@{name} {}", entry.full_name);
            assert_eq!(allows(&taken, entry), !is_in || entry.gate.no_auth, "-@{name} {}", entry.full_name);
            for sub in &entry.subcommands {
                // A rule about a container is about its subcommands too.
                let is_in = is_in || sub.categories.meet(category);
                assert_eq!(allows(&added, sub), is_in, "+@{name} {}", sub.full_name);
                assert_eq!(allows(&taken, sub), !is_in, "-@{name} {}", sub.full_name);
            }
        }
    }
}

#[test]
fn every_place_of_a_key_is_guarded() {
    let mut guarded = BTreeSet::new();
    for (entry, words) in requests() {
        let all: Vec<String> = words.keys.iter().map(|at| format!("~{}", words.words[*at])).collect();
        assert_eq!(words.check(entry, &all), Ok(()), "{}", words.words.join(" "));
        for (index, at) in words.keys.iter().enumerate() {
            let others: Vec<String> = all.iter().filter(|rule| **rule != all[index]).cloned().collect();
            let denied = words.check(entry, &others);
            assert_eq!(denied, Err((Reason::Key, *at)), "{}", words.words.join(" "));
            guarded.insert((entry.full_name.as_str(), words.words[at - 1].clone()));
        }
    }
    for name in ["get", "mset", "sort", "zunionstore", "blmpop", "object|encoding", "memory|usage", "bitop"] {
        assert!(guarded.iter().any(|(command, _)| *command == name), "{name} has keys");
    }
    for word in ["STORE", "STOREDIST"] {
        assert!(guarded.contains(&("georadius", word.to_owned())), "{word} names a key");
    }
}

#[test]
fn a_key_is_for_those_who_may_do_with_it_what_is_done() {
    for (entry, words) in requests() {
        let all: Vec<String> = words.keys.iter().map(|at| format!("~{}", words.words[*at])).collect();
        for (index, at) in words.keys.iter().enumerate() {
            let mut queue = Queue::default();
            assert!(queue.push(words.words.iter().map(String::as_bytes)));
            let batch = queue.into_batch();
            let wanted = entry.permissions.of_key(entry, &batch.request(0), index);
            for (sign, given) in [("%R", Permission::READ), ("%W", Permission::WRITE)] {
                let mut rules = all.clone();
                rules[index] = format!("{sign}{}", all[index]);
                let expected = if given.covers(wanted) { Ok(()) } else { Err((Reason::Key, *at)) };
                assert_eq!(words.check(entry, &rules), expected, "{sign} {}", words.words.join(" "));
            }
            // A command that changes keys writes one of them at least.
            assert!(wanted != Permission::NONE || !entry.command.is_write(), "{} {index}", entry.full_name);
        }
    }
}

#[test]
fn every_place_of_a_channel_is_guarded() {
    for entry in entries() {
        let Some(channels) = entry.command.channels else { continue };
        let words =
            Words { words: [&entry.full_name, "one", "two"].map(|word| word.to_owned()).to_vec(), ..Words::default() };
        let check = |rules: &[&str]| {
            let rules: Vec<String> = rules.iter().map(|rule| rule.to_string()).collect();
            words.check(entry, &rules)
        };
        let (first, second) = (Err((Reason::Channel, 1)), Err((Reason::Channel, 2)));
        let expected = match channels {
            Channels::Published => [first, Ok(()), Ok(()), Ok(())],
            Channels::Listened => [first, second, Ok(()), Ok(())],
            // A pattern is allowed by the same pattern, not by one that matches it.
            Channels::Patterns => [first, second, Ok(()), first],
            Channels::Left => [Ok(()); 4],
        };
        let found = [check(&[]), check(&["&one"]), check(&["&one", "&two"]), check(&["&o*", "&t*"])];
        assert_eq!(found, expected, "{}", entry.full_name);
    }
}
