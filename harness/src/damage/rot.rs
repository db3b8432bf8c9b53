//! One bit of a stored file turned: it must be told, or not matter. A value that nobody wrote must never be shown.

use super::Tally;
use super::victim::Victim;
use crate::error::{Failure, Result};
use crate::random::Random;

/// Turns so many bits, one at a time, of the files of a store that was stopped in order.
///
/// A bit of a file that ends in zeros is one up to the last byte that is none: space that was reserved says nothing.
pub fn run(victim: &Victim, count: u64, random: &mut Random) -> Result<Tally> {
    let mut logs = Vec::new();
    for file in victim.all_files()? {
        let bytes = victim.read(&file)?;
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        logs.push((file, bytes, used));
    }
    let all: usize = logs.iter().map(|(_, _, used)| used).sum();
    if all == 0 {
        return Err(Failure::Usage("the store has no bytes".to_owned()));
    }
    let mut tally = Tally::default();
    for _ in 0..count {
        let mut at = random.between(0, all as u64 - 1) as usize;
        let chosen = logs.iter().find(|(_, _, used)| {
            if at < *used {
                true
            } else {
                at -= used;
                false
            }
        });
        let (file, bytes, _) = chosen.ok_or_else(|| Failure::Usage("no byte".to_owned()))?;
        let bit = random.between(0, 7);
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1 << bit;
        tally.add(victim.judge(file, &spoilt, 1)?, &format!("bit {bit} of byte {at} of {}", file.display()));
    }
    Ok(tally)
}
