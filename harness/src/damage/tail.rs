//! Ends of a log as a crash may leave them: torn, zeros, garbage. Servers have to start on all of them without a tool.

use std::fmt;

use super::Tally;
use super::victim::Victim;
use crate::error::Result;
use crate::random::Random;

/// What lies where the last record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tail {
    /// The file ends within the last record.
    Torn,
    /// From some byte of the last record on there are zeros, to the end of the file or some pages farther.
    Zeros,
    /// From some byte of the last record on there is garbage.
    Garbage,
}

impl Tail {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Torn, Self::Zeros, Self::Garbage];

    /// The file with such an end, and what was done.
    fn spoil(self, victim: &Victim, random: &mut Random) -> (Vec<u8>, String) {
        let mut bytes = victim.bytes.clone();
        let (first, end) = (victim.record.start, victim.record.end);
        let at = random.between(first as u64, end as u64 - 1) as usize;
        match self {
            Self::Torn => bytes.truncate(at),
            Self::Zeros => {
                bytes[at..].fill(0);
                let pages = random.between(0, 2) as usize;
                bytes.resize(bytes.len() + pages * 4096, 0);
            }
            Self::Garbage => {
                let length = random.between(1, 600) as usize;
                bytes.resize(bytes.len().max(at + length), 0);
                for byte in &mut bytes[at..at + length] {
                    *byte = random.next() as u8;
                }
            }
        }
        (bytes, format!("{self} from byte {at} of {first}..{end}"))
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torn => "torn",
            Self::Zeros => "zeros",
            Self::Garbage => "garbage",
        })
    }
}

/// Starts on so many ends of one kind.
pub fn run(victim: &Victim, tail: Tail, count: u64, random: &mut Random) -> Result<Tally> {
    let mut tally = Tally::default();
    for _ in 0..count {
        let (bytes, what) = tail.spoil(victim, random);
        tally.add(victim.judge(&victim.file, &bytes, 2)?, &what);
    }
    Ok(tally)
}
