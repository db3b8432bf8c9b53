//! One simulated file: what readers see, what the platter holds, and every change between the two.

use super::chance::Chance;
use super::content::Content;

/// Disks write whole sectors: a torn write is torn between them.
pub(super) const SECTOR: u64 = 512;

#[derive(Clone, Default)]
pub(super) struct Inode {
    live: Content,
    durable: Content,
    /// Changes since the last successful sync, in order. Empty: both views are equal.
    changes: Vec<Change>,
    /// Space that `allocate` set aside.
    reserved: u64,
    /// Open handles: a file without a name lives as long as someone has it open.
    pub(super) handles: usize,
}

#[derive(Clone)]
struct Change {
    action: Action,
    fate: Fate,
    length_after: u64,
}

#[derive(Clone)]
enum Action {
    Write { offset: u64, bytes: Box<[u8]> },
    Cut(u64),
    Extend,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Waits for a sync.
    Pending,
    /// Its sync failed: the kernel calls the pages clean, no later sync writes them.
    Lost,
    /// Synced, but kept in the list because a lost change stands before it.
    Durable,
}

/// What a power loss leaves of the changes that were not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// None of them.
    Nothing,
    /// All of them.
    Everything,
    /// Any subset, chosen by this seed.
    Random(u64),
}

impl Inode {
    /// A file whose content is durable.
    pub(super) fn durable(content: Content) -> Self {
        Inode { live: content.clone(), durable: content, ..Inode::default() }
    }

    pub(super) fn live(&self) -> &Content {
        &self.live
    }

    /// Bytes of disk that the file takes.
    pub(super) fn space(&self) -> u64 {
        self.live.length().max(self.reserved)
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        self.live.write(bytes, offset);
        self.note(Action::Write { offset, bytes: bytes.into() });
    }

    pub(super) fn set_length(&mut self, length: u64) {
        let action = if length < self.live.length() { Action::Cut(length) } else { Action::Extend };
        self.live.set_length(length);
        self.reserved = self.reserved.min(length);
        self.note(action);
    }

    pub(super) fn allocate(&mut self, length: u64) {
        self.reserved = self.reserved.max(length);
        if length > self.live.length() {
            self.live.set_length(length);
            self.note(Action::Extend);
        }
    }

    fn note(&mut self, action: Action) {
        self.changes.push(Change { action, fate: Fate::Pending, length_after: self.live.length() });
    }

    pub(super) fn sync(&mut self) {
        if self.changes.iter().any(|change| change.fate == Fate::Lost) {
            for change in self.changes.iter_mut().filter(|change| change.fate == Fate::Pending) {
                change.fate = Fate::Durable;
            }
            return;
        }
        self.durable.adopt(&self.live, 0, 0);
        for change in self.changes.drain(..) {
            match change.action {
                Action::Write { offset, bytes } => self.durable.adopt(&self.live, offset, bytes.len() as u64),
                Action::Cut(length) => self.durable.adopt(&self.live, length, u64::MAX - length),
                Action::Extend => {}
            }
        }
    }

    pub(super) fn fail_sync(&mut self) {
        for change in self.changes.iter_mut().filter(|change| change.fate == Fate::Pending) {
            change.fate = Fate::Lost;
        }
    }

    /// Changes bytes behind the file system's back, in both views.
    pub(super) fn corrupt(&mut self, alter: impl Fn(&mut Content)) {
        alter(&mut self.live);
        alter(&mut self.durable);
    }

    /// The content after a power loss.
    pub(super) fn survivor(&self, survival: Survival) -> Content {
        if self.changes.is_empty() {
            return self.durable.clone();
        }
        match survival {
            Survival::Nothing => self.replay(&Plan::certain(self)),
            Survival::Everything => self.live.clone(),
            Survival::Random(seed) => self.replay(&Plan::random(self, &mut Chance::new(seed))),
        }
    }

    fn replay(&self, plan: &Plan) -> Content {
        let mut content = self.durable.clone();
        for (index, part) in &plan.steps {
            match &self.changes[*index].action {
                Action::Write { offset, bytes } => part.apply(&mut content, bytes, *offset),
                Action::Cut(length) if *index < plan.metadata => content.set_length(*length),
                Action::Cut(_) | Action::Extend => {}
            }
        }
        let length = match plan.metadata {
            0 => self.durable.length(),
            changes => self.changes[changes - 1].length_after,
        };
        content.set_length(length);
        content
    }
}

/// Which changes reach the platter, in which order, and how much of each.
///
/// The length is one value of the file's metadata, so it is the one after *some* change, and all cuts up to that
/// change have happened. Written bytes are independent of it and of each other.
struct Plan {
    steps: Vec<(usize, Part)>,
    /// The length is the one after this many changes.
    metadata: usize,
}

enum Part {
    Whole,
    None,
    /// The first so many sectors.
    First(u64),
    /// Each sector by its own coin.
    Sectors(Chance),
}

impl Plan {
    /// Only what was synced.
    fn certain(inode: &Inode) -> Plan {
        let is_durable = |change: &Change| change.fate == Fate::Durable;
        let steps = inode.changes.iter().enumerate().filter(|(_, change)| is_durable(change));
        Plan {
            steps: steps.map(|(index, _)| (index, Part::Whole)).collect(),
            metadata: inode.changes.iter().rposition(is_durable).map_or(0, |last| last + 1),
        }
    }

    fn random(inode: &Inode, chance: &mut Chance) -> Plan {
        let changes = &inode.changes;
        let certain = Plan::certain(inode).metadata;
        let metadata = certain + chance.below((changes.len() - certain + 1) as u64) as usize;
        // Pure chance over many writes would hardly ever show the simple outcomes, which find most bugs.
        let mood = chance.below(4);
        let kept = chance.below(changes.len() as u64 + 1) as usize;
        let mut steps: Vec<(usize, Part)> = Vec::with_capacity(changes.len());
        for (index, change) in changes.iter().enumerate() {
            let part = match mood {
                _ if change.fate == Fate::Durable => Part::Whole,
                0 if index < kept => Part::Whole,
                0 if index == kept => Part::random(change, chance),
                0 => Part::None,
                _ => Part::random(change, chance),
            };
            steps.push((index, part));
        }
        if mood >= 2 {
            shuffle(&mut steps, changes, chance);
        }
        Plan { steps, metadata }
    }
}

/// Reorders the writes, but none across a cut (which drops the cached pages) or across a sync that happened.
fn shuffle(steps: &mut [(usize, Part)], changes: &[Change], chance: &mut Chance) {
    let is_free = |&(index, _): &(usize, Part)| {
        changes[index].fate != Fate::Durable && matches!(changes[index].action, Action::Write { .. })
    };
    for run in steps.chunk_by_mut(|a, b| is_free(a) && is_free(b)) {
        for last in (1..run.len()).rev() {
            run.swap(last, chance.below(last as u64 + 1) as usize);
        }
    }
}

impl Part {
    fn random(change: &Change, chance: &mut Chance) -> Part {
        let Action::Write { bytes, .. } = &change.action else { return Part::Whole };
        match chance.below(4) {
            0 => Part::Whole,
            1 => Part::None,
            2 => Part::First(chance.below(bytes.len() as u64 / SECTOR + 2)),
            _ => Part::Sectors(Chance::new(chance.next())),
        }
    }

    fn apply(&self, content: &mut Content, bytes: &[u8], offset: u64) {
        match self {
            Part::Whole => content.write(bytes, offset),
            Part::None => {}
            Part::First(sectors) => {
                let end = (offset / SECTOR + sectors) * SECTOR;
                let kept = end.saturating_sub(offset).min(bytes.len() as u64) as usize;
                content.write(&bytes[..kept], offset);
            }
            Part::Sectors(chance) => {
                let mut chance = chance.clone();
                let mut done = 0;
                while done < bytes.len() {
                    let at = offset + done as u64;
                    let part = ((SECTOR - at % SECTOR) as usize).min(bytes.len() - done);
                    if chance.coin() {
                        content.write(&bytes[done..done + part], at);
                    }
                    done += part;
                }
            }
        }
    }
}
