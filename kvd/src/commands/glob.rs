//! Redis's glob patterns, as KEYS, SCAN and COMMAND LIST take them.
//!
//! ```text
//!  *       any bytes           [abc]  one of them        [^abc]  none of them
//!  ?       one byte            [a-z]  a range            \x      x itself
//! ```
//!
//! The odd cases are Redis's (`stringmatchlen`): `[!a]` is no negation; a class that is not closed ends with the
//! pattern; the ends of a range may stand in either order and are compared as signed bytes; nothing but the empty
//! pattern matches the empty text; a pattern with more than a thousand stars matches nothing.
//!
//! There is no recursion. When the pattern behind a `*` fails, only the last `*` need try again one byte further on:
//! whatever an earlier one could still do, the last one has tried. So the work is at most pattern × text.

use engine::mutant::planted;

/// Whether letters of either case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They differ.
    Exact,
    /// They are the same, for ASCII letters.
    Ignored,
}

impl Case {
    fn fold(self, byte: u8) -> u8 {
        match self {
            Case::Exact => byte,
            Case::Ignored => byte.to_ascii_lowercase(),
        }
    }
}

/// Whether a pattern is the one that KEYS and SCAN take to mean everything, the empty key too.
pub fn matches_all(pattern: &[u8]) -> bool {
    pattern == b"*"
}

/// What every text that matches a pattern begins with.
pub fn prefix(pattern: &[u8]) -> &[u8] {
    let end = pattern.iter().position(|byte| b"*?[\\".contains(byte));
    &pattern[..end.unwrap_or(pattern.len())]
}

/// Groups of stars, one at the end apart, that a pattern may have; with more of them it matches nothing, as in Redis.
const MAX_STARS: usize = 1000;

/// Whether a text matches a pattern.
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let mut enough = u64::MAX;
    matches_within(pattern, text, case, &mut enough).unwrap_or(false)
}

/// The same with so many bytes of the text at most that are compared again, which are counted down; `None`: that was not
/// enough to tell.
pub fn matches_within(pattern: &[u8], text: &[u8], case: Case, again: &mut u64) -> Option<bool> {
    if text.is_empty() {
        return Some(pattern.is_empty());
    }
    let (mut at, mut read) = (0, 0);
    // Behind the last star, and how much of the text it leaves to what follows.
    let mut star: Option<(usize, usize)> = None;
    let mut stars = 0;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at = behind_stars(pattern, at);
            if at == pattern.len() {
                return Some(true);
            }
            stars += 1;
            if stars > MAX_STARS {
                return Some(false);
            }
            star = Some((at, read));
        } else if let Some(next) = one(pattern, at, text[read], case) {
            at = next;
            read += 1;
        } else if let Some((behind, from)) = &mut star {
            *again = again.checked_sub((read - *from) as u64 + 1)?;
            *from += 1;
            (at, read) = (*behind, *from);
        } else {
            return Some(false);
        }
    }
    Some(behind_stars(pattern, at) == pattern.len())
}

fn behind_stars(pattern: &[u8], at: usize) -> usize {
    at + pattern[at..].iter().take_while(|&&byte| byte == b'*').count()
}

/// The end of the pattern's element at `at`, if there is one and it matches the byte.
#[inline]
fn one(pattern: &[u8], at: usize, byte: u8, case: Case) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => class(pattern, at + 1, byte, case),
        b'\\' if at + 1 < pattern.len() => literal(pattern[at + 1], byte, case).then_some(at + 2),
        expected => literal(expected, byte, case).then_some(at + 1),
    }
}

fn literal(expected: u8, byte: u8, case: Case) -> bool {
    case.fold(expected) == case.fold(byte)
}

/// The end of the class whose first byte behind the bracket is at `at`, if it matches the byte.
fn class(pattern: &[u8], mut at: usize, byte: u8, case: Case) -> Option<usize> {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match pattern[at.min(pattern.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                // Exact in either case, as in Redis.
                found |= escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [first, b'-', last, ..] => {
                found |= in_range(first, last, byte, case);
                at += 3;
            }
            [single, ..] => {
                found |= literal(single, byte, case);
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

/// The ends are put in order before their case is folded, and compared as C's `char` on x86.
fn in_range(first: u8, last: u8, byte: u8, case: Case) -> bool {
    if planted("glob_range_unsigned") {
        return (first.min(last)..=first.max(last)).contains(&byte);
    }
    let (first, last) = if first as i8 > last as i8 { (last, first) } else { (first, last) };
    let fold = |byte| case.fold(byte) as i8;
    (fold(first)..=fold(last)).contains(&fold(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Redis's function, as it is written there.
    fn naive(mut pattern: &[u8], mut text: &[u8], case: Case) -> bool {
        while !pattern.is_empty() && !text.is_empty() {
            match pattern[0] {
                b'*' => {
                    while pattern.get(1) == Some(&b'*') {
                        pattern = &pattern[1..];
                    }
                    return pattern.len() == 1 || (0..text.len()).any(|skip| naive(&pattern[1..], &text[skip..], case));
                }
                _ => match one(pattern, 0, text[0], case) {
                    Some(next) => pattern = &pattern[next..],
                    None => return false,
                },
            }
            text = &text[1..];
            if text.is_empty() {
                while pattern.first() == Some(&b'*') {
                    pattern = &pattern[1..];
                }
            }
        }
        pattern.is_empty() && text.is_empty()
    }

    /// What `KEYS` answers in Redis.
    const CASES: &[(&str, &str, bool)] = &[
        ("", "", true),
        ("*", "", true),
        ("**", "", false),
        ("?", "", false),
        ("a", "a", true),
        ("a", "b", false),
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("abcd", "abc", false),
        ("*", "anything", true),
        ("a*", "a", true),
        ("a*", "abc", true),
        ("a*c", "abc", true),
        ("a*c", "abcbc", true),
        ("a*c", "abcb", false),
        ("*a*", "bab", true),
        ("*a*", "bbb", false),
        ("**a**", "xax", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("???", "ab", false),
        ("?*?", "ab", true),
        ("?*?", "a", false),
        ("h[ae]llo", "hello", true),
        ("h[ae]llo", "hillo", false),
        ("h[^e]llo", "hallo", true),
        ("h[^e]llo", "hello", false),
        ("h[!e]llo", "hallo", false),
        ("h[!e]llo", "h!llo", true),
        ("h[!e]llo", "hello", true),
        ("h[a-b]llo", "hbllo", true),
        ("h[b-a]llo", "hallo", true),
        ("h[a-b]llo", "hcllo", false),
        ("[a-]", "-", false),
        ("[a-]", "a", true),
        ("[a-]", "b", false),
        ("[-a]", "-", true),
        ("[]", "x", false),
        ("[]a]", "]", false),
        ("[]a]", "a", false),
        ("[^]", "x", true),
        ("[^]a", "xa", true),
        ("[", "[", false),
        ("[", "x", false),
        ("[^", "x", true),
        ("[a", "a", true),
        ("[a", "b", false),
        ("[abc", "c", true),
        ("x[a", "xa", true),
        ("[a-", "-", true),
        ("[a-", "a", true),
        ("[a-c", "b", true),
        ("[\\]]", "]", true),
        ("[\\]]", "\\", false),
        ("[\\", "\\", true),
        ("[\\a", "a", true),
        ("[a\\-c]", "b", false),
        ("[a\\-c]", "-", true),
        ("[\\a-c]", "b", false),
        ("[\\a-c]", "-", true),
        ("[^\\]]", "a", true),
        ("[^\\]]", "]", false),
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("\\?", "?", true),
        ("\\", "\\", true),
        ("a\\", "a\\", true),
        ("a\\", "a", false),
        ("\\a", "a", true),
        ("\\\\", "\\", true),
        ("*\\", "x\\", true),
        ("*[a]", "ba", true),
        ("*[^a]", "ba", false),
        ("*[^a]", "bab", true),
        ("A", "a", false),
        ("[A-Z]", "a", false),
        ("*a*b*c*", "xxaxxbxxcxx", true),
        ("*a*b*c*", "xxaxxcxxbxx", false),
        ("a**", "a", true),
        ("a**b", "ab", true),
        ("*?", "x", true),
        ("*??", "x", false),
        ("[a]*", "ab", true),
        ("[*]", "*", true),
        ("[*]", "a", false),
        ("[?]", "?", true),
        ("[[]", "[", true),
        ("[[]]", "[]", true),
        ("[a]]", "a]", true),
        ("[--a]", ".", true),
        ("[a-a]", "a", true),
        ("[a-b-c]", "-", true),
        ("[a-b-c]", "c", true),
        ("[a-]]", "a]", false),
        ("[a-]]", "]", true),
        ("[a-]]", "_", true),
        ("[^-]", "-", false),
        ("[^-]", "a", true),
        ("[^a-c]", "b", false),
        ("[^a-c]", "d", true),
        ("[^^]", "^", false),
        ("[^^]", "a", true),
        ("[a^]", "^", true),
        ("café", "café", true),
        ("caf?", "café", false),
        ("caf??", "café", true),
    ];

    #[test]
    fn cases_taken_from_redis() {
        for &(pattern, text, expected) in CASES {
            let found = matches_all(pattern.as_bytes()) || matches(pattern.as_bytes(), text.as_bytes(), Case::Exact);
            assert_eq!(found, expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn bytes_of_ranges_are_signed() {
        assert!(matches(b"[a-\xff]", b"A", Case::Exact));
        assert!(matches(b"[a-\xff]", b"\xff", Case::Exact));
        assert!(!matches(b"[a-\xff]", b"z", Case::Exact));
        assert!(matches(b"[\x80-\xff]", b"\xc3", Case::Exact));
    }

    #[test]
    fn case_is_ignored_but_for_escapes_and_disordered_ranges() {
        for (pattern, text, expected) in [
            ("aBc", "AbC", true),
            ("[A-Z]", "q", true),
            ("[q]", "Q", true),
            ("[\\q]", "Q", false),
            ("\\q", "Q", true),
            ("[Z-a]", "b", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), Case::Ignored), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_more_than_pattern_times_text() {
        let text = b"a".repeat(10_000);
        let many_stars = [b"a*".repeat(1000), b"b".to_vec()].concat();
        let late_failure = [b"*".to_vec(), b"a".repeat(1000), b"b".to_vec()].concat();
        assert!(!matches(&many_stars, &text, Case::Exact));
        assert!(!matches(&late_failure, &text, Case::Exact));
    }

    #[test]
    fn more_than_a_thousand_stars_match_nothing() {
        let text = b"a".repeat(2000);
        assert!(matches(&b"*?".repeat(1000), &text, Case::Exact));
        assert!(matches(&[b"*?".repeat(1000), b"**".to_vec()].concat(), &text, Case::Exact));
        assert!(!matches(&b"*?".repeat(1001), &text, Case::Exact));
    }

    fn fragments() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop::sample::select(b"**?[]^-\\aabcBz\x80\xff".to_vec());
        prop::collection::vec(byte, 0..12)
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_recursive_matcher(
            pattern in fragments(),
            text in prop::collection::vec(prop::sample::select(b"aabcBz]-^\\\x80\xff".to_vec()), 0..10),
        ) {
            for case in [Case::Exact, Case::Ignored] {
                prop_assert_eq!(matches(&pattern, &text, case), naive(&pattern, &text, case));
            }
        }
    }
}
