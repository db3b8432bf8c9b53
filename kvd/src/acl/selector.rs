//! A selector: commands, keys and channels that go together.

use resp::Request;

use super::channels::Channels;
use super::commands::Commands;
use super::error::Wrong;
use super::keys::Keys;
use crate::commands::touch::Permission;
use crate::commands::{Channels as Named, Entry};
use crate::pubsub::Kind;

/// Why a request is not allowed. A later one says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its command.
    Command,
    /// One of its keys.
    Key,
    /// A name and a password were wrong.
    Auth,
    /// One of its channels.
    Channel,
}

/// What of a request is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// The command, a key or a channel.
    pub reason: Reason,
    /// Which of its arguments that is; 0 for the command.
    pub argument: usize,
}

/// Commands that are allowed on keys and channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    commands: Commands,
    keys: Keys,
    channels: Channels,
}

impl Selector {
    /// Which allows nothing, or every channel.
    pub fn new(all_channels: bool) -> Selector {
        let mut selector = Selector::default();
        if all_channels {
            selector.channels.allow_all();
        }
        selector
    }

    /// Changes it by a rule.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), Wrong> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            _ if is("allkeys") || rule == b"~*" => self.keys.allow_all(),
            _ if is("resetkeys") => self.keys.clear(),
            _ if is("allchannels") || rule == b"&*" => self.channels.allow_all(),
            _ if is("resetchannels") => self.channels.clear(),
            _ if is("allcommands") => self.commands.set_all(true),
            _ if is("nocommands") => self.commands.set_all(false),
            [b'~' | b'%', ..] => self.keys.add(rule)?,
            [b'&', pattern @ ..] => self.channels.add(pattern)?,
            [b'+', about @ ..] => self.commands.apply(true, about)?,
            [b'-', about @ ..] => self.commands.apply(false, about)?,
            _ => return Err(Wrong::Syntax),
        }
        Ok(())
    }

    /// Whether it allows everything.
    pub fn is_unrestricted(&self) -> bool {
        self.commands.are_all() && self.keys.are_all() && self.channels.are_all()
    }

    /// Whether it allows a request, or what of it not.
    #[inline]
    pub fn check(&self, entry: &Entry, request: &Request<'_>) -> Result<(), Denial> {
        if !self.commands.allow(entry, request) {
            return Err(Denial { reason: Reason::Command, argument: 0 });
        }
        if !self.keys.are_all() && entry.command.channels.is_none() {
            // Most commands have one key, and this is asked of every request.
            match entry.syntax.keys.only {
                Some(argument) => self.check_key(entry, request, 0, argument)?,
                None => self.check_keys(entry, request)?,
            }
        }
        match entry.command.channels {
            Some(named) if !self.channels.are_all() => self.check_channels(named, request),
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn check_keys(&self, entry: &Entry, request: &Request<'_>) -> Result<(), Denial> {
        let mut positions = entry.syntax.keys.positions(request).enumerate();
        positions.try_for_each(|(index, argument)| self.check_key(entry, request, index, argument))
    }

    #[inline]
    fn check_key(&self, entry: &Entry, request: &Request<'_>, index: usize, argument: usize) -> Result<(), Denial> {
        // One that is not there is a mistake that the handler tells.
        let Some(key) = request.get(argument) else { return Ok(()) };
        let wanted = entry.permissions.of_key(entry, request, index);
        if self.keys.allow(key, wanted) { Ok(()) } else { Err(Denial { reason: Reason::Key, argument }) }
    }

    #[cold]
    fn check_channels(&self, named: Named, request: &Request<'_>) -> Result<(), Denial> {
        let (kind, most) = match named {
            Named::Published => (Kind::Channel, 1),
            Named::Listened => (Kind::Channel, usize::MAX),
            Named::Patterns => (Kind::Pattern, usize::MAX),
            Named::Left => return Ok(()),
        };
        let mut names = request.iter().enumerate().skip(1).take(most);
        match names.find(|(_, name)| !self.channels.allow(kind, name)) {
            Some((argument, _)) => Err(Denial { reason: Reason::Channel, argument }),
            None => Ok(()),
        }
    }

    /// Whether it allows a request, and this with every key besides those that the request names.
    pub fn reaches(&self, entry: &Entry, request: &Request<'_>, wanted: Permission) -> bool {
        self.keys.allow_any(wanted) && self.check(entry, request).is_ok()
    }

    /// Whether one may listen to a name.
    pub fn may_listen(&self, kind: Kind, name: &[u8]) -> bool {
        self.channels.allow(kind, name)
    }

    /// Its rules about keys, about channels and about commands.
    pub fn texts(&self) -> [Vec<u8>; 3] {
        [self.keys.text(), self.channels.text(), self.commands.text()]
    }

    /// As rules that make it again, out of one that allows nothing.
    pub fn text(&self) -> Vec<u8> {
        let [keys, channels, commands] = self.texts();
        let mut text = keys;
        if !text.is_empty() {
            text.push(b' ');
        }
        if !self.channels.are_all() {
            text.extend_from_slice(b"resetchannels ");
        }
        if !channels.is_empty() {
            text.extend_from_slice(&channels);
            text.push(b' ');
        }
        text.extend_from_slice(&commands);
        text
    }
}
