//! Glob patterns: the matcher says what a recursive one says, and takes no longer than pattern × text.
//!
//! An input is a byte of options, a byte of length, a pattern of that length, and a text. Options: 1 ignores case; with 255
//! pattern and text are repeated, so that a matcher that tries everything again would take for ever: that is the fuzzer's
//! time limit to find.

use kvd::commands::glob::{Case, matches, prefix};

/// Steps after which the recursive matcher gives up.
const STEPS: u32 = 2000;
/// How often pattern and text are repeated.
const TIMES: usize = 32;

/// Matches a text with a pattern in both ways.
pub fn check(input: &[u8]) {
    let [options, length, rest @ ..] = input else { return };
    let (pattern, text) = rest.split_at(usize::from(*length).min(rest.len()));
    let case = if options & 1 == 0 { Case::Exact } else { Case::Ignored };
    let found = matches(pattern, text, case);
    let elements = parse(pattern);
    // Nothing but the empty pattern matches the empty text, as in Redis.
    let expected = match text.is_empty() {
        true => Some(pattern.is_empty()),
        false => recursive(&elements, text, case, &mut { STEPS }),
    };
    let shown = || format!("{:?} {:?} {case:?}", pattern.escape_ascii().to_string(), text.escape_ascii().to_string());
    assert!(expected.is_none_or(|expected| expected == found), "{found}: {}", shown());
    assert!(!found || case == Case::Ignored || text.starts_with(prefix(pattern)), "another prefix: {}", shown());
    if *options == 255 {
        matches(&pattern.repeat(TIMES), &text.repeat(TIMES), case);
    }
}

/// What a pattern is made of.
enum Element {
    Star,
    Any,
    Byte(u8),
    Class { negated: bool, members: Vec<Member> },
}

/// What stands in a class.
enum Member {
    Byte(u8),
    /// Means the byte itself, in either case.
    Escaped(u8),
    Range(u8, u8),
}

fn parse(mut pattern: &[u8]) -> Vec<Element> {
    let mut elements = Vec::new();
    loop {
        let (element, rest) = match pattern {
            [] => return elements,
            [b'*', rest @ ..] => (Element::Star, rest),
            [b'?', rest @ ..] => (Element::Any, rest),
            [b'[', b'^', rest @ ..] => class(true, rest),
            [b'[', rest @ ..] => class(false, rest),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (Element::Byte(*byte), rest),
        };
        elements.push(element);
        pattern = rest;
    }
}

/// A class that is not closed ends with the pattern.
fn class(negated: bool, mut rest: &[u8]) -> (Element, &[u8]) {
    let mut members = Vec::new();
    loop {
        let (member, behind) = match rest {
            [] => break,
            [b'\\', byte, behind @ ..] => (Member::Escaped(*byte), behind),
            [b']', behind @ ..] => {
                rest = behind;
                break;
            }
            [first, b'-', last, behind @ ..] => (Member::Range(*first, *last), behind),
            [byte, behind @ ..] => (Member::Byte(*byte), behind),
        };
        members.push(member);
        rest = behind;
    }
    (Element::Class { negated, members }, rest)
}

/// Tries everything; nothing when that takes too many steps.
fn recursive(elements: &[Element], text: &[u8], case: Case, steps: &mut u32) -> Option<bool> {
    *steps = steps.checked_sub(1)?;
    let Some((element, rest)) = elements.split_first() else { return Some(text.is_empty()) };
    if let Element::Star = element {
        for skipped in 0..=text.len() {
            if recursive(rest, &text[skipped..], case, steps)? {
                return Some(true);
            }
        }
        return Some(false);
    }
    match text.split_first() {
        Some((byte, left)) if element.is(*byte, case) => recursive(rest, left, case, steps),
        _ => Some(false),
    }
}

impl Element {
    fn is(&self, byte: u8, case: Case) -> bool {
        match self {
            Element::Star | Element::Any => true,
            Element::Byte(expected) => fold(*expected, case) == fold(byte, case),
            Element::Class { negated, members } => members.iter().any(|member| member.is(byte, case)) != *negated,
        }
    }
}

impl Member {
    fn is(&self, byte: u8, case: Case) -> bool {
        match *self {
            Member::Byte(expected) => fold(expected, case) == fold(byte, case),
            Member::Escaped(expected) => expected == byte,
            Member::Range(first, last) => {
                // Redis puts the ends in order as signed bytes, and only then ignores case.
                let (first, last) = if (first as i8) <= last as i8 { (first, last) } else { (last, first) };
                let [first, last, byte] = [first, last, byte].map(|byte| fold(byte, case) as i8);
                first <= byte && byte <= last
            }
        }
    }
}

fn fold(byte: u8, case: Case) -> u8 {
    if case == Case::Ignored { byte.to_ascii_lowercase() } else { byte }
}
