//! ACL categories: which there are, and which a row belongs to.

use super::{Command, Flag, Group, Handler};

/// The names, in the order in which ACL CAT and COMMAND INFO tell them. Those of commands that there are none of (streams,
/// scripts) may be named in rules all the same.
pub const NAMES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The categories of a command, one bit for each of [`NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Categories(u32);

impl Categories {
    /// The category of a name, whatever its case.
    pub fn named(name: &[u8]) -> Option<Categories> {
        let index = NAMES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(Categories(1 << index))
    }

    /// Those of a row.
    pub fn of(command: &Command) -> Categories {
        let access = access(command);
        let fast = command.has(Flag::Fast);
        let of_operators = command.has(Flag::Admin) || command.has(Flag::OfOperators);
        let of_collections = command.has(Flag::OfCollections);
        let of_keyspace = matches!(command.group, Group::Generic | Group::Server)
            && access != Access::None
            && !command.has(Flag::NotOfKeyspace)
            && !of_collections;
        let of_connection = command.group == Group::Connection && command.subcommands.is_empty();
        let group = |group: Group| command.group == group;
        [
            ("keyspace", of_keyspace),
            ("read", access == Access::Read),
            ("write", access == Access::Write),
            ("set", group(Group::Set) || of_collections),
            ("sortedset", group(Group::SortedSet) || of_collections),
            ("list", group(Group::List) || of_collections),
            ("hash", group(Group::Hash)),
            ("string", group(Group::String)),
            ("bitmap", group(Group::Bitmap)),
            ("hyperloglog", group(Group::Hyperloglog)),
            ("geo", group(Group::Geo)),
            ("pubsub", command.has(Flag::PubSub)),
            ("admin", of_operators),
            ("fast", fast),
            ("slow", !fast),
            ("blocking", command.has(Flag::Blocking)),
            ("dangerous", of_operators || command.has(Flag::Dangerous)),
            ("connection", of_connection || command.has(Flag::OfConnection)),
            ("transaction", group(Group::Transactions)),
        ]
        .into_iter()
        .filter_map(|(name, applies)| applies.then(|| Categories::named(name.as_bytes())).flatten())
        .fold(Categories::default(), |all, one| Categories(all.0 | one.0))
    }

    /// Whether one of them is among these.
    pub fn meet(self, others: Categories) -> bool {
        self.0 & others.0 != 0
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(index, _)| self.0 >> index & 1 == 1).map(|(_, name)| name)
    }
}

/// How a command treats the keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Not at all.
    None,
    /// It looks at it.
    Read,
    /// It changes it.
    Write,
}

/// How a row treats the keyspace.
pub fn access(command: &Command) -> Access {
    match command.handler {
        Handler::Read(_) => Access::Read,
        Handler::Write(_) | Handler::Blocking(_) => Access::Write,
        Handler::Server(_) if command.has(Flag::Reads) => Access::Read,
        Handler::Server(_) if command.has(Flag::Writes) => Access::Write,
        Handler::Server(_) | Handler::Container => Access::None,
    }
}
