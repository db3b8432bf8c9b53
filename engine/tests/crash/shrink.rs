//! Which steps of a run that failed are needed: the fewest with which it still fails.
//!
//! Every step draws from chance of its own, so that a step that is left out changes nothing about the others.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A step of a run: the life, and the number in it.
pub type Step = (u64, u64);

/// What happens in a life beside the numbered steps, which begin at [`FIRST`]: crashes while it is opened, faults of its disk, and
/// the operation at which its machine stops.
pub const OPENING: u64 = 0;
pub const FAULTS: u64 = 1;
pub const STOP: u64 = 2;
pub const FIRST: u64 = 3;

/// The steps that a run does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Steps {
    #[default]
    All,
    Only(BTreeSet<Step>),
}

impl Steps {
    pub fn has(&self, step: Step) -> bool {
        match self {
            Steps::All => true,
            Steps::Only(steps) => steps.contains(&step),
        }
    }

    /// Whether anything happens in a life.
    pub fn has_life(&self, life: u64) -> bool {
        match self {
            Steps::All => true,
            Steps::Only(steps) => steps.range((life, 0)..(life + 1, 0)).next().is_some(),
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Steps::Only(steps) = self else { return f.write_str("all") };
        let steps: Vec<String> = steps.iter().map(|(life, number)| format!("{life}.{number}")).collect();
        f.write_str(&steps.join(","))
    }
}

impl FromStr for Steps {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Steps, Self::Err> {
        if text == "all" {
            return Ok(Steps::All);
        }
        let step = |part: &str| {
            let (life, number) = part.split_once('.').unwrap_or((part, ""));
            Ok((life.parse()?, number.parse()?))
        };
        text.split(',').map(step).collect::<Result<_, _>>().map(Steps::Only)
    }
}

/// Leaves out one part of a list after the other, ever smaller ones, as long as it still fails (delta debugging, Zeller and
/// Hildebrandt 2002). None of what is left can be left out alone.
pub fn fewest<T: Clone>(mut list: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut part = list.len().div_ceil(2);
    while part > 0 && !list.is_empty() {
        let (mut start, mut shorter) = (0, false);
        while start < list.len() {
            let end = list.len().min(start + part);
            let rest = [&list[..start], &list[end..]].concat();
            if fails(&rest) {
                (list, shorter) = (rest, true);
            } else {
                start = end;
            }
        }
        // With single ones again, until none can go: what came later may have been all that an earlier one was for.
        if part > 1 || !shorter {
            part /= 2;
        }
    }
    list
}

#[test]
fn what_is_not_needed_goes() {
    let needs = |list: &[u32]| [3, 50, 51].iter().all(|number| list.contains(number));
    assert_eq!(fewest((0..100).collect(), needs), [3, 50, 51]);
    // A later one needs an earlier one.
    let in_order = |list: &[u32]| list.contains(&9) && (!list.contains(&20) || list.contains(&1));
    assert_eq!(fewest((0..30).collect(), in_order), [9]);
    assert_eq!(fewest(vec![1, 2], |_| true), [0; 0]);
    assert_eq!(fewest(vec![1, 2], |list| list.len() == 2), [1, 2]);
}

#[test]
fn steps_are_read_as_they_are_written() {
    let steps = Steps::Only([(0, 3), (0, 11), (2, 1)].into());
    assert_eq!(steps.to_string(), "0.3,0.11,2.1");
    assert_eq!(steps.to_string().parse(), Ok(steps.clone()));
    assert!(steps.has_life(2) && !steps.has_life(1) && steps.has((0, 11)) && !steps.has((0, 4)));
    assert_eq!("all".parse(), Ok(Steps::All));
    assert!("0.".parse::<Steps>().is_err());
}
