//! Many members in operations of a bounded length.

use engine::Collection;
use engine::value::op::{self, Op};
use engine::value::{Limits, MAX_PACKED, Member, SET};

/// Members of one operation.
const AT_ONCE: usize = 1000;

/// Operations with one code.
pub(super) struct Operations {
    code: u8,
    members: usize,
    whole: Vec<Op>,
}

impl Operations {
    /// None yet.
    pub(super) fn new(code: u8) -> Operations {
        Operations { code, members: 0, whole: Vec::new() }
    }

    /// One more member.
    pub(super) fn push(&mut self, member: Member<'_>) {
        if self.members.is_multiple_of(AT_ONCE) {
            self.whole.push(Op::new(self.code));
        }
        self.members += 1;
        if let Some(op) = self.whole.last_mut() {
            member.with(|bytes| {
                op.element(bytes);
            });
        }
    }

    /// In the order in which they are to be carried out.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Op> {
        self.whole.iter()
    }
}

/// A set of these members.
pub(super) fn collect<'m>(members: impl Iterator<Item = Member<'m>>, limits: &Limits) -> Collection {
    let mut additions = Operations::new(op::SET_ADD);
    members.for_each(|member| additions.push(member));
    let mut collection = Collection::new(SET);
    for op in additions.iter() {
        collection.apply(op, limits);
    }
    collection
}

/// So long may the image of a set be in another form, when it is so long in its own: integers that are packed are shorter
/// than spelled.
pub(super) fn spelled(image_bytes: u64) -> u64 {
    if image_bytes > MAX_PACKED as u64 { image_bytes } else { SPELLED * image_bytes }
}

/// Two bytes are up to six characters and a length.
const SPELLED: u64 = 4;
