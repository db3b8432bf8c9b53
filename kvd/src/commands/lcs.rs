//! LCS: the longest common subsequence of two strings.
//!
//! A row of the table of lengths goes up by one or not at all from each column to the next, so that a row is a row of
//! bits, and the next row follows from it by 64 columns at a time (Hyyrö, "Bit-parallel LCS-length computation
//! revisited", 2004): a bit is zero where the length goes up.

use bytes::Bytes;

use super::args::{integer, is};
use super::error::{LCS_LENGTH_AND_INDEXES, LCS_MEMORY, LCS_NO_MEMORY, SYNTAX};
use super::string::string_shared;
use super::{Call, Command, CommandError, Done, Group, Reply, View};

/// The rows of this family.
pub const COMMANDS: &[Command] =
    &[Command::read("LCS", "@key1 @key2 [LEN] [IDX] [MINMATCHLEN min-match-len:int] [WITHMATCHLEN]", lcs)
        .group(Group::String)
        .since("7.0.0")
        .cost("O(N*M), N and M being the lengths of the strings")
        .doc("Finds the longest common subsequence of the strings at two keys.")];

#[derive(Default)]
struct Options {
    length: bool,
    indexes: bool,
    least_match: u64,
    with_match_length: bool,
}

impl Options {
    fn parse(call: &Call<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut at = 3;
        while at < call.len() {
            let word = call.arg(at);
            if is(word, "IDX") {
                options.indexes = true;
            } else if is(word, "LEN") {
                options.length = true;
            } else if is(word, "WITHMATCHLEN") {
                options.with_match_length = true;
            } else if is(word, "MINMATCHLEN") && at + 1 < call.len() {
                at += 1;
                options.least_match = integer(call.arg(at))?.max(0) as u64;
            } else {
                return Err(SYNTAX);
            }
            at += 1;
        }
        if options.length && options.indexes {
            return Err(LCS_LENGTH_AND_INDEXES);
        }
        Ok(options)
    }
}

fn lcs(view: &mut View<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Done {
    let left = string_shared(view.get(&call.keys[0]))?;
    let right = string_shared(view.get(&call.keys[1]))?;
    let options = Options::parse(call)?;
    check_size(&left, &right, call.max_value_bytes)?;
    let keep = if options.length { Keep::Last } else { Keep::All };
    let table = Table::of(&left, &right, keep).ok_or(LCS_NO_MEMORY)?;
    if options.length {
        reply.integer(table.length() as i64);
    } else if options.indexes {
        let mut matches = table.matches(&left, &right);
        matches.retain(|found| found.length as u64 >= options.least_match);
        write_matches(reply, &matches, table.length(), options.with_match_length);
    } else {
        let mut common: Vec<u8> = Vec::with_capacity(table.length());
        for found in table.matches(&left, &right).into_iter().rev() {
            common.extend_from_slice(&left[found.left..found.left + found.length]);
        }
        reply.bulk(&common);
    }
    Ok(())
}

/// Redis's table has an integer of four bytes for each pair of bytes and may be as long as a value. This one is smaller.
fn check_size(left: &Bytes, right: &Bytes, max_value_bytes: usize) -> Done {
    let bytes = (left.len() as u64 + 1) * (right.len() as u64 + 1) * 4;
    if bytes > max_value_bytes as u64 { Err(LCS_MEMORY) } else { Ok(()) }
}

fn write_matches(reply: &mut Reply<'_>, matches: &[Match], length: usize, with_match_length: bool) {
    let mut out = reply.write();
    out.map(2);
    out.bulk(b"matches");
    out.array(matches.len());
    for found in matches {
        out.array(2 + usize::from(with_match_length));
        for start in [found.left, found.right] {
            out.array(2);
            out.integer(start as i64);
            out.integer((start + found.length - 1) as i64);
        }
        if with_match_length {
            out.integer(found.length as i64);
        }
    }
    out.bulk(b"len");
    out.integer(length as i64);
}

/// A part of the common subsequence that is in one piece in both strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match {
    left: usize,
    right: usize,
    length: usize,
}

/// Which rows are needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// To walk back through them.
    All,
    /// For the length.
    Last,
}

/// One row for each byte of the left string, one bit in it for each byte of the right string.
struct Table {
    rows: Vec<u64>,
    /// Words in a row.
    words: usize,
    columns: usize,
}

impl Table {
    /// Nothing when there is no memory for it.
    fn of(left: &[u8], right: &[u8], keep: Keep) -> Option<Table> {
        let words = right.len().div_ceil(64);
        let masks = Masks::of(left, right)?;
        let mut row = vec![u64::MAX; words];
        let mut rows = Vec::new();
        if keep == Keep::All {
            rows.try_reserve_exact(left.len() * words).ok()?;
        }
        for &byte in left {
            next_row(&mut row, masks.get(byte));
            if keep == Keep::All {
                rows.extend_from_slice(&row);
            }
        }
        if keep == Keep::Last {
            rows = row;
        }
        Some(Table { rows, words, columns: right.len() })
    }

    /// The length of the longest common subsequence.
    fn length(&self) -> usize {
        let last = &self.rows[self.rows.len().saturating_sub(self.words)..];
        // Bits beyond the last column never change from one.
        last.iter().map(|word| word.count_zeros() as usize).sum()
    }

    /// Whether the length goes up from the column before, in the row of this byte of the left string.
    fn goes_up(&self, left: usize, right: usize) -> bool {
        debug_assert!(right < self.columns);
        self.rows[left * self.words + right / 64] >> (right % 64) & 1 == 0
    }

    /// The pieces, from the last to the first, by Redis's way back through its table: where two bytes are not the same,
    /// to the left string's byte before when that loses nothing and the other would.
    fn matches(&self, left: &[u8], right: &[u8]) -> Vec<Match> {
        let mut matches = Vec::new();
        let (mut at, mut other_at) = (left.len(), right.len());
        let mut length = 0;
        while at > 0 && other_at > 0 {
            if left[at - 1] == right[other_at - 1] {
                length += 1;
                at -= 1;
                other_at -= 1;
                continue;
            }
            if length > 0 {
                matches.push(Match { left: at, right: other_at, length });
                length = 0;
            }
            if self.goes_up(at - 1, other_at - 1) { at -= 1 } else { other_at -= 1 }
        }
        if length > 0 {
            matches.push(Match { left: at, right: other_at, length });
        }
        matches
    }
}

/// From a row to the next, whose byte of the left string is in the columns of the mask.
fn next_row(row: &mut [u64], mask: &[u64]) {
    let mut carry = false;
    for (word, mask) in row.iter_mut().zip(mask) {
        let (sum, over) = word.overflowing_add(*word & mask);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry));
        carry = over || over_again;
        *word = sum | (*word & !mask);
    }
}

/// For each byte of the left string the columns of the right string that hold it.
struct Masks {
    words: Vec<u64>,
    /// Words of one mask.
    each: usize,
    /// Where whose mask begins.
    starts: [Option<usize>; 256],
}

impl Masks {
    fn of(left: &[u8], right: &[u8]) -> Option<Masks> {
        let each = right.len().div_ceil(64);
        let mut present = [false; 256];
        left.iter().for_each(|byte| present[usize::from(*byte)] = true);
        let mut starts = [None; 256];
        let mut length = 0;
        for (start, _) in starts.iter_mut().zip(present).filter(|(_, present)| *present) {
            *start = Some(length);
            length += each;
        }
        let mut words = Vec::new();
        words.try_reserve_exact(length).ok()?;
        words.resize(length, 0);
        for (column, byte) in right.iter().enumerate() {
            if let Some(start) = starts[usize::from(*byte)] {
                words[start + column / 64] |= 1 << (column % 64);
            }
        }
        Some(Masks { words, each, starts })
    }

    fn get(&self, byte: u8) -> &[u64] {
        let start = self.starts[usize::from(byte)].expect("it is a byte of the left string");
        &self.words[start..start + self.each]
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The table of lengths, and the way back, as in the textbook.
    fn textbook(left: &[u8], right: &[u8]) -> (usize, Vec<Match>) {
        let mut lengths = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
        for (i, a) in left.iter().enumerate() {
            for (j, b) in right.iter().enumerate() {
                lengths[i + 1][j + 1] =
                    if a == b { lengths[i][j] + 1 } else { lengths[i][j + 1].max(lengths[i + 1][j]) };
            }
        }
        let (mut i, mut j, mut matches) = (left.len(), right.len(), Vec::<Match>::new());
        while i > 0 && j > 0 {
            if left[i - 1] == right[j - 1] {
                (i, j) = (i - 1, j - 1);
                match matches.last_mut().filter(|last| (last.left, last.right) == (i + 1, j + 1)) {
                    Some(last) => *last = Match { left: i, right: j, length: last.length + 1 },
                    None => matches.push(Match { left: i, right: j, length: 1 }),
                }
            } else if lengths[i - 1][j] > lengths[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        (lengths[left.len()][right.len()], matches)
    }

    proptest! {
        #[test]
        fn rows_of_bits_are_rows_of_lengths(left in vec(b'a'..b'e', 0..150), right in vec(b'a'..b'f', 0..150)) {
            let (length, matches) = textbook(&left, &right);
            let table = Table::of(&left, &right, Keep::All).expect("it is small");
            prop_assert_eq!(table.length(), length);
            prop_assert_eq!(table.matches(&left, &right), matches);
            prop_assert_eq!(Table::of(&left, &right, Keep::Last).expect("it is small").length(), length);
        }
    }

    #[test]
    fn every_byte_has_a_mask_of_its_own() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(Table::of(&all, &all, Keep::Last).expect("it is small").length(), 256);
    }
}
