//! Each rule is shown a history that breaks it and one that does not.

use super::*;
use crate::content;

fn digest(n: u32) -> Digest {
    Digest { length: 50, crc: n }
}

fn version(seq: u64, digest: Option<Digest>) -> Version {
    Version { seq, digest, stamp: seq }
}

fn by(seq: u64) -> Reading {
    Reading::By { client: 1, seq }
}

fn text(digest: Digest, reading: Reading) -> Option<Found> {
    Some(Found { content: Content::Text(digest, None), reading, bytes: None })
}

fn judge(seen: Option<Found>, versions: &[Version]) -> Violation {
    let tip = versions.last().and_then(|version| version.digest);
    let (place, kind, seen, tip_content) = ("c1:s1", Kind::Text, seen.as_ref(), None);
    Unexplained { place, client: 1, kind, seen, tip_content, tip, versions, refused: &[9], tip_number: Some(4) }.judge()
}

fn element(seq: u64) -> Vec<u8> {
    value::element(&value::Writer { run: 1, client: 1, seq }, 0, 0)
}

fn list(seqs: &[u64]) -> Content {
    Content::List(seqs.iter().map(|&seq| element(seq)).collect())
}

fn acks(replies: &[(u16, u64, i64)]) -> Vec<SharedAck> {
    replies.iter().map(|&(client, seq, reply)| SharedAck { client, seq, reply }).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn acked_survives_and_losses_are_counted() {
    let versions = [version(1, Some(digest(1))), version(2, Some(digest(2))), version(3, Some(digest(3)))];
    let older = judge(text(digest(1), by(1)), &versions);
    assert_eq!((older.rule, older.lost), (Rule::AckedSurvives, vec![(1, 2), (1, 3)]));
    let absent = judge(None, &versions);
    assert_eq!((absent.rule, absent.lost.len()), (Rule::AckedSurvives, 3));
}

#[test]
fn a_deleted_value_must_not_return() {
    let versions = [version(1, Some(digest(1))), version(2, None)];
    assert_eq!(judge(text(digest(1), by(1)), &versions).rule, Rule::NoResurrection);
}

#[test]
fn a_value_nobody_wrote_is_a_phantom() {
    assert_eq!(judge(text(digest(7), by(77)), &[version(1, Some(digest(1)))]).rule, Rule::NoPhantom);
}

#[test]
fn half_a_value_is_a_tear() {
    assert_eq!(judge(text(digest(7), Reading::Torn), &[version(1, Some(digest(1)))]).rule, Rule::NoTear);
}

#[test]
fn a_refused_value_must_not_be_there() {
    assert_eq!(judge(text(digest(7), by(9)), &[version(1, Some(digest(1)))]).rule, Rule::ErrorWithoutEffect);
}

#[test]
fn a_counter_past_its_answers_counted_twice() {
    assert_eq!(judge(text(digest(7), Reading::Number(5)), &[version(1, Some(digest(1)))]).rule, Rule::CountedOnce);
}

#[test]
fn no_cut_explains_a_hole() {
    let first_lost = Cuts::all(3).at_most(0);
    let second_there = Cuts::all(3).at_least(2);
    let keys = [("a".to_owned(), first_lost), ("b".to_owned(), second_there)];
    assert_eq!(prefix("c1", &keys, Cuts::all(3)).unwrap_err().rule, Rule::Prefix);
    let fine = [("a".to_owned(), Cuts::all(3).at_least(1)), ("b".to_owned(), Cuts::all(3).at_most(2))];
    assert_eq!(prefix("c1", &fine, Cuts::all(3)).unwrap().first(), Some(1));
}

#[test]
fn half_a_batch_is_seen() {
    let with = ("a".to_owned(), Cuts::all(1).at_least(1));
    let without = ("b".to_owned(), Cuts::all(1).at_most(0));
    assert_eq!(batch_whole("c1", 0, &[with.clone(), without]).unwrap().rule, Rule::BatchWhole);
    assert_eq!(batch_whole("c1", 0, &[with, ("b".to_owned(), Cuts::all(1))]), None);
}

#[test]
fn what_a_reader_saw_must_be_there() {
    let kept = Cuts::all(4).at_most(1);
    assert_eq!(observed_survives("c1", kept, 2).unwrap().rule, Rule::ObservedSurvives);
    assert_eq!(observed_survives("c1", kept, 1), None);
}

#[test]
fn the_shared_counter_counts_once() {
    let three = acks(&[(1, 1, 11), (2, 1, 12), (1, 2, 13)]);
    let rules = |seen| counted_once("n", 10, &three, (0, 2), seen).iter().map(|v| v.rule).collect::<Vec<_>>();
    assert_eq!(rules(13), []);
    assert_eq!(rules(15), []);
    assert_eq!(rules(16), [Rule::CountedOnce]);
    assert_eq!(rules(12), [Rule::AckedSurvives]);
    assert_eq!(counted_once("n", 10, &three, (1, 2), 13)[0].rule, Rule::Prefix);
    let twice = acks(&[(1, 1, 11), (2, 1, 11)]);
    assert_eq!(counted_once("n", 10, &twice, (0, 0), 12)[0].rule, Rule::CountedOnce);
}

#[test]
fn the_shared_row_is_whole() {
    let piece = |client, seq| value::piece(client, seq);
    let length = piece(1, 1).len() as i64;
    let told = acks(&[(1, 1, length), (2, 4, 2 * length)]);
    let pending = BTreeSet::from([(1, 2), (3, 8)]);
    let judge = |pieces: &[Vec<u8>]| {
        let (broken, there) = row_whole("row", &told, &pending, &pieces.concat());
        (broken.iter().map(|v| v.rule).collect::<Vec<_>>(), there.len())
    };
    assert_eq!(judge(&[piece(1, 1), piece(2, 4), piece(1, 2)]), (vec![], 1));
    assert_eq!(judge(&[piece(1, 1)]), (vec![Rule::AckedSurvives], 0));
    assert_eq!(judge(&[piece(1, 1), piece(2, 4), piece(2, 4)]).0, [Rule::CountedOnce, Rule::WrongReply]);
    assert_eq!(judge(&[piece(1, 1), piece(2, 4), piece(9, 9)]).0, [Rule::NoPhantom]);
    assert_eq!(judge(&[piece(1, 1), piece(2, 4), piece(1, 2), b"xx".to_vec()]).0, [Rule::NoTear]);
    assert_eq!(judge(&[piece(2, 4), piece(1, 1)]).0, [Rule::WrongReply, Rule::WrongReply]);
}

#[test]
fn a_row_in_the_wrong_order_breaks_the_prefix() {
    let pending = BTreeSet::from([(1, 2), (1, 3)]);
    let row = [value::piece(1, 3), value::piece(1, 2)].concat();
    assert_eq!(row_whole("row", &[], &pending, &row).0[0].rule, Rule::Prefix);
}

#[test]
fn views_that_differ_are_seen() {
    let (two, three) = (names(&["a", "b"]), names(&["a", "b", "c"]));
    assert_eq!(views_agree("db0", &two, &two, &two, (3, 1)), []);
    assert_eq!(views_agree("db0", &two, &three, &two, (2, 0)).len(), 1);
    assert_eq!(views_agree("db0", &three, &three, &two, (3, 0)).len(), 1);
    assert_eq!(views_agree("db0", &two, &two, &two, (0, 0)).len(), 1);
}

#[test]
fn a_reopened_store_is_the_same() {
    let one = BTreeMap::from([("a".to_owned(), digest(1))]);
    let other = BTreeMap::from([("a".to_owned(), digest(2))]);
    assert_eq!(reopen_same("db0", &one, &one), None);
    assert!(reopen_same("db0", &one, &other).is_some());
    assert!(reopen_same("db0", &one, &BTreeMap::new()).is_some());
    assert!(reopen_same("db0", &BTreeMap::new(), &one).is_some());
}

#[test]
fn a_collection_is_judged_by_its_elements() {
    let tip = list(&[2, 4, 6]);
    let rule = |found: &[u64]| collection::rule(Some(&tip), &list(found), &[9]);
    assert_eq!(rule(&[2, 6]), Rule::AckedSurvives);
    assert_eq!(rule(&[2, 4, 6, 6]), Rule::CountedOnce);
    assert_eq!(rule(&[2, 4, 5, 6]), Rule::NoResurrection);
    assert_eq!(rule(&[2, 4, 6, 8]), Rule::NoPhantom);
    assert_eq!(rule(&[2, 4, 6, 9]), Rule::ErrorWithoutEffect);
    assert_eq!(rule(&[4, 2, 6]), Rule::AckedSurvives, "an answered order is lost");
}

#[test]
fn a_field_past_its_answers_counted_twice() {
    let hash = |number: &str| {
        let field = content::Field { value: number.as_bytes().to_vec(), deadline: None };
        Content::Hash([(b"n".to_vec(), field)].into())
    };
    assert_eq!(collection::rule(Some(&hash("4")), &hash("5"), &[]), Rule::CountedOnce);
    assert_eq!(collection::rule(Some(&hash("4")), &hash("3"), &[]), Rule::AckedSurvives);
}

#[test]
fn half_an_element_is_a_tear() {
    let half = Content::List([element(1)[..8].to_vec()].into());
    assert_eq!(judge(Some(Found::collection(half)), &[]).rule, Rule::NoTear);
}

#[test]
fn the_shared_list_is_whole() {
    let told = acks(&[(1, 1, 1), (1, 4, 2)]);
    let judge = |seqs: &[u64]| {
        let items = seqs.iter().map(|&seq| element(seq)).collect();
        let (broken, there) = list_whole("list", &told, &BTreeSet::from([(1, 5)]), &items);
        (broken.iter().map(|v| v.rule).collect::<Vec<_>>(), there.len())
    };
    assert_eq!(judge(&[1, 4, 5]), (vec![], 1));
    assert_eq!(judge(&[1]), (vec![Rule::AckedSurvives], 0));
    assert_eq!(judge(&[1, 4, 4]).0, [Rule::CountedOnce, Rule::WrongReply]);
    assert_eq!(judge(&[1, 4, 7]).0, [Rule::NoPhantom]);
}
