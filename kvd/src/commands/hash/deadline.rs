//! Deadlines of fields: when a field goes, as options and arguments give it.

use super::super::args::{TimeUnit, integer};
use super::super::error::NEGATIVE_EXPIRE;
use super::super::{Call, CommandError};

/// The last moment that a field may have for a deadline, in milliseconds since the epoch: Redis has 46 bits.
const LAST_MS: u64 = (1 << 46) - 1;

/// An argument as a deadline in milliseconds since the epoch. It may be in the past.
pub(super) fn parse(call: &Call<'_>, argument: &[u8], unit: TimeUnit) -> Result<u64, CommandError> {
    let count = u64::try_from(integer(argument)?).map_err(|_| NEGATIVE_EXPIRE)?;
    let base = if unit.relative { call.now_ms } else { 0 };
    let deadline = count.checked_mul(unit.ms as u64).and_then(|ms| ms.checked_add(base));
    deadline.filter(|&ms| ms <= LAST_MS).ok_or_else(|| CommandError::invalid_expire(&call.entry.full_name))
}

/// Whether a field with this deadline is gone already. So is one with 0, which would mean none in an operation.
pub(super) fn is_past(deadline: u64, now_ms: u64) -> bool {
    deadline <= now_ms
}
