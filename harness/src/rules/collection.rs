//! A collection that no cut explains: which rule that breaks, element by element.

use std::collections::BTreeMap;

use super::Rule;
use crate::content::Content;
use crate::value::{self, Reading};

/// What was `tip` after the last answered command is `found` now.
pub fn rule(tip: Option<&Content>, found: &Content, refused: &[u64]) -> Rule {
    let (before, after) = (counts(tip), counts(Some(found)));
    let doubled =
        |(element, count): (&&Vec<u8>, &u64)| *count > 1 && before.get(*element).is_none_or(|&old| old < *count);
    // A list has an element twice only if a command was done twice; numbers of hashes do not name their writers.
    if after.iter().filter(|(element, _)| by(element).is_some()).any(doubled) || counted_twice(tip, found) {
        return Rule::CountedOnce;
    }
    let strangers: Vec<u64> =
        after.keys().filter(|element| !before.contains_key(*element)).filter_map(|e| by(e)).collect();
    if strangers.iter().any(|seq| refused.contains(seq)) {
        return Rule::ErrorWithoutEffect;
    }
    if before.keys().any(|element| !after.contains_key(element)) {
        return Rule::AckedSurvives;
    }
    // What was written before the newest answered element and is not at the tip had been removed.
    let newest = before.keys().filter_map(|element| by(element)).max().unwrap_or(0);
    match strangers.iter().max() {
        Some(&seq) if seq <= newest => Rule::NoResurrection,
        Some(_) => Rule::NoPhantom,
        None => Rule::AckedSurvives,
    }
}

/// How often each element is there.
fn counts(content: Option<&Content>) -> BTreeMap<&Vec<u8>, u64> {
    let mut counts = BTreeMap::new();
    for element in content.into_iter().flat_map(Content::elements) {
        *counts.entry(element).or_default() += 1;
    }
    counts
}

fn by(element: &[u8]) -> Option<u64> {
    match value::read(element) {
        Reading::By { seq, .. } => Some(seq),
        _ => None,
    }
}

/// A field that was counted up further than it was asked to.
fn counted_twice(tip: Option<&Content>, found: &Content) -> bool {
    let (Some(Content::Hash(before)), Content::Hash(after)) = (tip, found) else { return false };
    let number = |value: &[u8]| match value::read(value) {
        Reading::Number(number) => Some(number),
        _ => None,
    };
    after.iter().any(|(name, field)| {
        let old = before.get(name).and_then(|field| number(&field.value));
        old.zip(number(&field.value)).is_some_and(|(old, new)| new > old)
    })
}
