//! Which failpoint a server is to die at next, and at which of its hits.

use std::collections::BTreeMap;

use crate::error::{Failure, Result};
use crate::fault;
use crate::random::Random;

/// Arguments of a server that comes to all of them again and again: segments that change, logs that are compacted, checkpoints, and
/// values that leave memory.
pub const ARGUMENTS: [&str; 6] = ["--segment-size", "64kb", "--checkpoint-after", "64kb", "--maxmemory", "3mb"];

/// The farthest hit that is aimed at.
const FARTHEST: u64 = 4096;

/// Failpoints, each with how far it is known to be reached.
#[derive(Clone, Debug)]
pub struct Aim {
    reached: BTreeMap<&'static str, u64>,
}

/// One life's failpoint.
#[derive(Clone, Copy, Debug)]
pub struct Shot {
    /// Which.
    pub name: &'static str,
    /// At its so-many-th hit.
    pub hit: u64,
}

impl Aim {
    /// The failpoints whose names begin with one of these words.
    pub fn at(words: &[&str]) -> Result<Aim> {
        let mut reached = BTreeMap::new();
        for word in words {
            let of_word = fault::NAMES.iter().copied().filter(|name| name.starts_with(word));
            let before = reached.len();
            reached.extend(of_word.map(|name| (name, 4)));
            if reached.len() == before {
                return Err(Failure::Usage(format!("no failpoint's name begins with {word:?}")));
            }
        }
        Ok(Aim { reached })
    }

    /// All of them.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.reached.keys().copied()
    }

    /// Any of them, at a hit that is low as often as high.
    pub fn choose(&self, random: &mut Random) -> Shot {
        let at = random.between(0, self.reached.len() as u64 - 1) as usize;
        let (&name, &reached) = self.reached.iter().nth(at).unwrap_or_else(|| unreachable!("there is at least one"));
        let farthest: u64 = 1 << random.between(0, u64::from(reached.ilog2()));
        Shot { name, hit: random.between(farthest.div_ceil(2), farthest) }
    }

    /// Learns how far a failpoint is reached in a life.
    pub fn learn(&mut self, shot: Shot, died: bool) {
        if let Some(reached) = self.reached.get_mut(shot.name) {
            *reached = match died {
                true if shot.hit > *reached / 2 => (*reached * 2).min(FARTHEST),
                true => *reached,
                false => (*reached).min(shot.hit).div_ceil(2),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_failpoints_and_one_that_chooses_none_is_refused() {
        let aim = Aim::at(&["compact", "checkpoint"]).unwrap();
        assert!(aim.names().all(|name| name.starts_with("compact.") || name.starts_with("checkpoint.")));
        assert!(aim.names().count() > 8);
        assert!(Aim::at(&["compact", "nothing"]).is_err());
        assert!(Aim::at(&["checkpoint", "checkpoint.write"]).is_err(), "a word that adds nothing is a mistake");
    }

    #[test]
    fn what_is_reached_is_aimed_at_farther_and_what_is_not_nearer() {
        let mut aim = Aim::at(&["compact.copy"]).unwrap();
        let mut random = Random::new(1);
        for _ in 0..300 {
            let shot = aim.choose(&mut random);
            assert!(shot.hit >= 1);
            aim.learn(shot, true);
        }
        let farthest = (0..300).map(|_| aim.choose(&mut random).hit).max();
        assert!(farthest.is_some_and(|hit| hit > FARTHEST / 4 && hit <= FARTHEST), "{farthest:?}");
        for _ in 0..300 {
            let shot = aim.choose(&mut random);
            aim.learn(shot, shot.hit <= 2);
        }
        let hits: Vec<u64> = (0..50).map(|_| aim.choose(&mut random).hit).collect();
        assert!(hits.iter().all(|hit| (1..=4).contains(hit)), "{hits:?}");
    }
}
