//! A user: who it is, how it proves that, and its selectors.

use bytes::Bytes;
use resp::Request;

use super::error::{RuleError, Wrong};
use super::password::Digest;
use super::selector::{Denial, Selector};
use super::text;
use crate::commands::Entry;
use crate::commands::error::CommandError;
use crate::commands::touch::Permission;
use crate::pubsub::Kind;

/// A user and all that it may do.
#[derive(Clone)]
pub struct User {
    name: Bytes,
    /// Of two users of a name, one deleted and one made later, which this is.
    pub(super) serial: u64,
    enabled: bool,
    /// Any password is right.
    no_password: bool,
    passwords: Vec<Digest>,
    /// Payloads of RESTORE are checked in any case: kept to be told.
    sanitizes: bool,
    root: Selector,
    selectors: Vec<Selector>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

impl User {
    /// A user who may do nothing, not even come in.
    pub fn new(name: Bytes, all_channels: bool) -> User {
        User {
            name,
            serial: 0,
            enabled: false,
            no_password: false,
            passwords: Vec::new(),
            sanitizes: true,
            root: Selector::new(all_channels),
            selectors: Vec::new(),
        }
    }

    /// A user who may do everything and needs no password.
    pub fn unrestricted(name: Bytes) -> User {
        let mut user = User::new(name, false);
        for rule in ["on", "nopass", "allkeys", "allchannels", "allcommands"] {
            let applied = user.apply(rule.as_bytes(), false);
            debug_assert!(applied.is_ok(), "a plain word");
        }
        user
    }

    /// The same user, who may do nothing any more.
    pub(super) fn deleted(&self) -> User {
        User { serial: self.serial, ..User::new(self.name.clone(), false) }
    }

    /// Its name.
    pub fn name(&self) -> &Bytes {
        &self.name
    }

    /// Whether it may come in.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether it comes in with any password.
    pub fn needs_no_password(&self) -> bool {
        self.no_password
    }

    /// Changes it by rules, all of them or none.
    pub fn with(&self, rules: &[Vec<u8>], all_channels: bool) -> Result<User, RuleError> {
        let mut user = self.clone();
        for rule in rules {
            user.apply(rule, all_channels).map_err(|wrong| RuleError::Rule(rule.clone(), wrong))?;
        }
        Ok(user)
    }

    fn apply(&mut self, rule: &[u8], all_channels: bool) -> Result<(), Wrong> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            _ if is("on") => self.enabled = true,
            _ if is("off") => self.enabled = false,
            _ if is("nopass") => (self.no_password, self.passwords) = (true, Vec::new()),
            _ if is("resetpass") => (self.no_password, self.passwords) = (false, Vec::new()),
            _ if is("sanitize-payload") => self.sanitizes = true,
            _ if is("skip-sanitize-payload") => self.sanitizes = false,
            _ if is("clearselectors") => self.selectors.clear(),
            _ if is("reset") => {
                *self = User { serial: self.serial, ..User::new(self.name.clone(), all_channels) };
            }
            [b'>', password @ ..] => self.add(Digest::of(password)),
            [b'#', digest @ ..] => self.add(Digest::parse(digest)?),
            [b'<', password @ ..] => self.remove(Digest::of(password))?,
            [b'!', digest @ ..] => self.remove(Digest::parse(digest)?)?,
            [b'(', rules @ .., b')'] => {
                let mut selector = Selector::new(all_channels);
                for rule in text::words(rules) {
                    // In a line this would be taken for the end.
                    if rule.ends_with(b")") {
                        return Err(Wrong::Syntax);
                    }
                    selector.apply(rule)?;
                }
                self.selectors.push(selector);
            }
            rule => self.root.apply(rule)?,
        }
        Ok(())
    }

    fn add(&mut self, digest: Digest) {
        self.no_password = false;
        if !self.passwords.contains(&digest) {
            self.passwords.push(digest);
        }
    }

    fn remove(&mut self, digest: Digest) -> Result<(), Wrong> {
        let at = self.passwords.iter().position(|known| *known == digest).ok_or(Wrong::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// Whether somebody who gives this password is this user.
    pub(super) fn admits(&self, password: &[u8]) -> bool {
        let given = Digest::of(password);
        let known = self.passwords.iter().fold(false, |known, digest| known | digest.is(&given));
        self.enabled && (self.no_password || known)
    }

    /// Whether it may do everything.
    #[inline]
    pub fn is_unrestricted(&self) -> bool {
        self.root.is_unrestricted()
    }

    fn selectors(&self) -> impl Iterator<Item = &Selector> {
        [&self.root].into_iter().chain(&self.selectors)
    }

    /// Whether it may send a request. If no selector allows it, what those deny that come furthest.
    #[inline]
    pub fn check(&self, entry: &Entry, request: &Request<'_>) -> Result<(), Denial> {
        match self.root.check(entry, request) {
            Err(denial) if !self.selectors.is_empty() => self.check_selectors(entry, request, denial),
            checked => checked,
        }
    }

    fn check_selectors(&self, entry: &Entry, request: &Request<'_>, mut furthest: Denial) -> Result<(), Denial> {
        for selector in &self.selectors {
            match selector.check(entry, request) {
                Ok(()) => return Ok(()),
                Err(denial) => furthest = furthest.max(denial),
            }
        }
        Err(furthest)
    }

    /// Why it may not send a request, which [`User::check`] allows, for what it does with keys that it does not name.
    #[inline]
    pub fn check_reach(&self, entry: &Entry, request: &Request<'_>) -> Result<(), CommandError> {
        match entry.command.reaches.and_then(|reaches| reaches(request)) {
            Some((wanted, error)) if !self.reaches(entry, request, wanted) => Err(error),
            _ => Ok(()),
        }
    }

    fn reaches(&self, entry: &Entry, request: &Request<'_>, wanted: Permission) -> bool {
        self.selectors().any(|selector| selector.reaches(entry, request, wanted))
    }

    /// Whether it may listen to a name.
    pub fn may_listen(&self, kind: Kind, name: &[u8]) -> bool {
        self.selectors().any(|selector| selector.may_listen(kind, name))
    }

    /// What ACL GETUSER calls flags.
    pub fn flags(&self) -> Vec<&'static str> {
        let flags = [
            (if self.enabled { "on" } else { "off" }, true),
            ("nopass", self.no_password),
            (if self.sanitizes { "sanitize-payload" } else { "skip-sanitize-payload" }, true),
        ];
        flags.into_iter().filter_map(|(flag, applies)| applies.then_some(flag)).collect()
    }

    /// The digests of its passwords, in hexadecimal digits.
    pub fn passwords(&self) -> impl ExactSizeIterator<Item = String> {
        self.passwords.iter().map(Digest::text)
    }

    /// For its root and its selectors: rules about keys, about channels, about commands.
    pub fn texts(&self) -> impl Iterator<Item = [Vec<u8>; 3]> {
        self.selectors().map(Selector::texts)
    }

    /// The line of a file that makes it: `user name rule …`.
    pub fn line(&self) -> Vec<u8> {
        let mut line = [b"user ", &self.name[..]].concat();
        let flags = self.flags().into_iter().map(|flag| flag.as_bytes().to_vec());
        let passwords = self.passwords().map(|digest| [b"#", digest.as_bytes()].concat());
        let selectors = self.selectors.iter().map(|selector| [b"(", &selector.text()[..], b")"].concat());
        for part in flags.chain(passwords).chain([self.root.text()]).chain(selectors) {
            line.push(b' ');
            line.extend_from_slice(&part);
        }
        line
    }
}
