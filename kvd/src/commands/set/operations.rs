//! Members on their way into a set that is stored.

use engine::Collection;
use engine::value::op;
use engine::value::{Limits, MAX_PACKED, Member};

/// A set of these members.
pub(super) fn collect<'m>(members: impl Iterator<Item = Member<'m>>, limits: &Limits) -> Collection {
    Collection::of(op::SET_ADD, limits, members, |op, member| {
        member.with(|bytes| {
            op.element(bytes);
        });
    })
}

/// So long may the image of a set be in another form, when it is so long in its own: integers that are packed are shorter
/// than spelled.
pub(super) fn spelled(image_bytes: u64) -> u64 {
    if image_bytes > MAX_PACKED as u64 { image_bytes } else { SPELLED * image_bytes }
}

/// Two bytes are up to six characters and a length.
const SPELLED: u64 = 4;
