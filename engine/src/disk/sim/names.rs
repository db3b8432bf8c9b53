//! The names of a simulated directory: what readers see, what the platter holds, and the changes between the two.

use std::collections::{BTreeMap, BTreeSet};

use super::chance::Chance;
use super::inode::Survival;

pub(super) type InodeId = u64;
pub(super) type Directory = BTreeMap<String, InodeId>;

#[derive(Clone, Default)]
pub(super) struct Names {
    pub(super) live: Directory,
    durable: Directory,
    /// In order; applied to `durable` they give `live`.
    pending: Vec<NameChange>,
}

/// One change of the directory. A rename is one change, so it happens whole or not at all.
#[derive(Clone)]
pub(super) enum NameChange {
    Create { name: String, inode: InodeId },
    Rename { from: String, to: String },
    Remove { name: String },
}

impl Names {
    /// Names that are all durable.
    pub(super) fn durable(names: Directory) -> Self {
        Names { live: names.clone(), durable: names, pending: Vec::new() }
    }

    pub(super) fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.pending.clear();
        self.durable.clone_from(&self.live);
    }

    /// Every file that has a name now or may have one after a power loss.
    pub(super) fn inodes(&self) -> BTreeSet<InodeId> {
        let created = self.pending.iter().filter_map(|change| match change {
            NameChange::Create { inode, .. } => Some(*inode),
            _ => None,
        });
        self.live.values().chain(self.durable.values()).copied().chain(created).collect()
    }

    /// The directory after a power loss. A change that is lost takes with it all later changes of the same names.
    pub(super) fn survivor(&self, survival: Survival) -> Directory {
        let mut chance = match survival {
            Survival::Nothing => return self.durable.clone(),
            Survival::Everything => return self.live.clone(),
            Survival::Random(seed) => Chance::new(seed),
        };
        // How often a change is lost: sometimes hardly ever, or chains of changes would never be seen whole.
        let odds = [2, 2, 8, u64::MAX][chance.below(4) as usize];
        let mut directory = self.durable.clone();
        let mut lost: BTreeSet<&str> = BTreeSet::new();
        for change in &self.pending {
            let names = change.names();
            if names.iter().any(|name| lost.contains(name)) || chance.below(odds) == 0 {
                lost.extend(names);
            } else {
                change.apply(&mut directory);
            }
        }
        directory
    }
}

impl NameChange {
    fn names(&self) -> Vec<&str> {
        match self {
            NameChange::Create { name, .. } | NameChange::Remove { name } => vec![name],
            NameChange::Rename { from, to } => vec![from, to],
        }
    }

    fn apply(&self, directory: &mut Directory) {
        match self {
            NameChange::Create { name, inode } => {
                directory.insert(name.clone(), *inode);
            }
            NameChange::Rename { from, to } => {
                if let Some(inode) = directory.remove(from) {
                    directory.insert(to.clone(), inode);
                }
            }
            NameChange::Remove { name } => {
                directory.remove(name);
            }
        }
    }
}
