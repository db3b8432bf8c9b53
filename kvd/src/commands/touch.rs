//! What a request does to each of its keys: the words of COMMAND INFO, and the permission that follows from them.

use engine::mutant::planted;
use resp::Request;

use super::args::is;
use super::{Command, Entry, Group};

/// What somebody does with a key, or may do: learns something of what is stored there, changes it, both or neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permission(u8);

impl Permission {
    /// Neither.
    pub const NONE: Permission = Permission(0);
    /// To look.
    pub const READ: Permission = Permission(1);
    /// To change.
    pub const WRITE: Permission = Permission(2);
    /// Both.
    pub const ALL: Permission = Permission(3);

    /// Whether it includes another.
    #[inline]
    pub fn covers(self, other: Permission) -> bool {
        let spared = if planted("acl_read_is_write") && self.0 & 2 != 0 { 1 } else { 0 };
        other.0 & !self.0 & !spared == 0
    }

    /// It and another.
    #[must_use]
    pub fn and(self, other: Permission) -> Permission {
        Permission(self.0 | other.0)
    }

    /// What words such as `RW access update` take: `access` reads, and what changes a value writes. A command that tells
    /// no more than whether a key is there needs one of the two, no matter which.
    fn to_do(words: &[&str]) -> Permission {
        let any = |known: &[&str]| words.iter().any(|word| known.contains(word));
        let reads = if any(&["access"]) { Permission::READ } else { Permission::NONE };
        let writes = if any(&["insert", "delete", "update"]) { Permission::WRITE } else { Permission::NONE };
        reads.and(writes)
    }
}

/// A permission for each group of keys of a row, as far as it does not depend on a request.
#[derive(Clone, Debug)]
pub struct Permissions {
    first: Permission,
    others: Vec<Permission>,
    is_variable: bool,
}

impl Permissions {
    /// Those of a row.
    pub fn of(command: &Command) -> Permissions {
        let groups = command.key_flags.len().max(1);
        let words: Vec<Vec<&str>> = (0..groups).map(|index| key_flags(command, index)).collect();
        Permissions {
            first: Permission::to_do(&words[0]),
            others: words[1..].iter().map(|words| Permission::to_do(words)).collect(),
            is_variable: words.iter().any(|words| words.contains(&VARIABLE)),
        }
    }

    /// What a request does with its key of an index.
    #[inline]
    pub fn of_key(&self, entry: &Entry, request: &Request<'_>, index: usize) -> Permission {
        if self.is_variable {
            return variable(entry.command, request);
        }
        match index.checked_sub(1) {
            None => self.first,
            Some(index) => self.others.get(index).or(self.others.last()).copied().unwrap_or(self.first),
        }
    }
}

/// That what is done depends on the request.
const VARIABLE: &str = "variable_flags";

/// What a command does to its key groups, or to the group that this key is of, in words.
pub fn key_flags(command: &Command, index: usize) -> Vec<&'static str> {
    let default = if command.is_write() { "RW access update" } else { "RO access" };
    let flags = command.key_flags;
    flags.get(index).or(flags.last()).unwrap_or(&default).split(' ').collect()
}

/// What a request does to a key, in words.
pub fn key_flags_in(command: &Command, request: &Request<'_>, index: usize) -> Vec<&'static str> {
    let flags = key_flags(command, index);
    if !flags.contains(&VARIABLE) {
        return flags;
    }
    match variable(command, request) {
        Permission::ALL => vec!["RW", "access", "update"],
        Permission::READ => vec!["RO", "access"],
        _ => vec!["OW", "update"],
    }
}

/// SET reads its key only with the option GET, and BITFIELD writes unless all its operations are GET, which [`VARIABLE`] says
/// of the command as such.
fn variable(command: &Command, request: &Request<'_>) -> Permission {
    match command.group {
        Group::Bitmap if only_gets(request) => Permission::READ,
        Group::Bitmap => Permission::ALL,
        _ if request.len() > 3 && request.iter().skip(3).any(|argument| is(argument, "GET")) => Permission::ALL,
        _ => Permission::WRITE,
    }
}

/// Whether a BITFIELD does nothing but `GET type offset`, whatever OVERFLOW stands between. What means nothing writes.
fn only_gets(request: &Request<'_>) -> bool {
    let mut at = 2;
    while let Some(word) = request.get(at) {
        let left = request.len() - at - 1;
        at += match word {
            word if is(word, "GET") && left >= 2 => 3,
            word if is(word, "OVERFLOW") && left >= 1 => 2,
            _ => return false,
        };
    }
    true
}
