//! When an entry was last used, in two bytes: seconds of wall time, of which the upper bits are left out.
//!
//! They come round after eighteen hours: who was idle for longer seems to have been idle for the rest of that.

/// Up to here ages are told apart from times to come: the wall clock may be set back by the rest.
const LONGEST_IDLE_SECONDS: u16 = u16::MAX - 3600;

/// A time as it is kept.
#[inline]
pub fn at(now_ms: u64) -> u16 {
    (now_ms / 1000) as u16
}

/// The time so many seconds ago, as far as it can be told.
pub fn before(now_ms: u64, seconds: u64) -> u16 {
    at(now_ms).wrapping_sub(u16::try_from(seconds).unwrap_or(u16::MAX).min(LONGEST_IDLE_SECONDS))
}

/// Seconds from a kept time until now.
pub fn idle_seconds(access: u16, now_ms: u64) -> u64 {
    match at(now_ms).wrapping_sub(access) {
        idle @ ..=LONGEST_IDLE_SECONDS => u64::from(idle),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_up_to_seventeen_hours() {
        let now_ms = 1_700_000_000_000;
        for seconds in [0, 1, 1000, 60_000, u64::from(LONGEST_IDLE_SECONDS)] {
            assert_eq!(idle_seconds(before(now_ms, seconds), now_ms), seconds);
            assert_eq!(idle_seconds(at(now_ms), now_ms + seconds * 1000), seconds);
        }
        assert_eq!(idle_seconds(before(now_ms, u64::MAX), now_ms), u64::from(LONGEST_IDLE_SECONDS));
        assert_eq!(idle_seconds(at(now_ms), now_ms - 3_000_000), 0, "the clock was set back");
    }
}
