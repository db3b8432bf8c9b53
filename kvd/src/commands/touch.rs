//! What a request does to each of its keys: the words of COMMAND INFO, and the permission that follows from them.

use engine::mutant::planted;
use resp::Request;

use super::args::is;
use super::{Command, Entry, Group};

/// What somebody does with a key, or may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// Learns something of what is stored there.
    pub read: bool,
    /// Changes it.
    pub write: bool,
}

impl Permission {
    /// Both.
    pub const ALL: Permission = Permission { read: true, write: true };
    /// To look.
    pub const READ: Permission = Permission { read: true, write: false };
    /// To change.
    pub const WRITE: Permission = Permission { read: false, write: true };

    /// Whether it includes another.
    #[inline]
    pub fn covers(self, other: Permission) -> bool {
        let reads = self.read || !other.read || (self.write && planted("acl_read_is_write"));
        reads && (self.write || !other.write)
    }

    /// What words such as `RW access update` take: `access` reads, and what changes a value writes. A command that tells
    /// no more than whether a key is there needs one of the two, no matter which.
    fn to_do(words: &[&str]) -> Permission {
        let any = |known: &[&str]| words.iter().any(|word| known.contains(word));
        Permission { read: any(&["access"]), write: any(&["insert", "delete", "update"]) }
    }
}

/// A permission for each group of keys of a row, as far as it does not depend on a request.
#[derive(Clone, Debug)]
pub struct Permissions {
    groups: Vec<Permission>,
    is_variable: bool,
}

impl Permissions {
    /// Those of a row.
    pub fn of(command: &Command) -> Permissions {
        let groups = command.key_flags.len().max(1);
        let words: Vec<Vec<&str>> = (0..groups).map(|index| key_flags(command, index)).collect();
        Permissions {
            groups: words.iter().map(|words| Permission::to_do(words)).collect(),
            is_variable: words.iter().any(|words| words.contains(&"variable_flags")),
        }
    }

    /// What a request does with its key of an index.
    #[inline]
    pub fn of_key(&self, entry: &Entry, request: &Request<'_>, index: usize) -> Permission {
        if self.is_variable {
            return Permission::to_do(&key_flags_in(entry.command, request, index));
        }
        self.groups.get(index).or(self.groups.last()).copied().unwrap_or(Permission::ALL)
    }
}

/// What a command does to its key groups, or to the group that this key is of.
pub fn key_flags(command: &Command, index: usize) -> Vec<&'static str> {
    let default = if command.is_write() { "RW access update" } else { "RO access" };
    let flags = command.key_flags;
    flags.get(index).or(flags.last()).unwrap_or(&default).split(' ').collect()
}

/// What a request does to a key: SET reads it only with the option GET, and BITFIELD writes unless all its operations are
/// GET, which `variable_flags` says of the command as such.
pub fn key_flags_in(command: &Command, request: &Request<'_>, index: usize) -> Vec<&'static str> {
    let flags = key_flags(command, index);
    if !flags.contains(&"variable_flags") {
        return flags;
    }
    let (reads, writes) = match command.group {
        Group::Bitmap => (true, !only_gets(request)),
        _ => (request.iter().skip(3).any(|argument| is(argument, "GET")), true),
    };
    match (reads, writes) {
        (true, true) => vec!["RW", "access", "update"],
        (true, false) => vec!["RO", "access"],
        (false, _) => vec!["OW", "update"],
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
