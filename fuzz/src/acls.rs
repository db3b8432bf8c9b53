//! Rules of users: any words are rules or an error for people, a user who is told in a line is the same user again, and
//! what it may do is what its rules say when they are read in the plainest way.
//!
//! An input is a line of words; `_` stands for a space within one.

use kvd::acl::{Declaration, Reason, User};
use kvd::commands::glob::{self, Case};
use kvd::commands::touch::Permission;
use kvd::commands::{self, Entry};
use kvd::pubsub::Kind;
use resp::Queue;

/// Requests that a user is asked about.
const REQUESTS: [&[&str]; 8] = [
    &["GET", "app:1"],
    &["SET", "app:1", "v"],
    &["SET", "b", "v", "GET"],
    &["COPY", "app:1", "b"],
    &["EXISTS", "", "a*b"],
    &["CONFIG", "GET", "x"],
    &["SELECT", "0"],
    &["PUBLISH", "news", "m"],
];

/// Makes a user of rules, and asks it.
pub fn check(input: &[u8]) {
    let words: Vec<Vec<u8>> = input.split(|byte| *byte == b' ').map(spaced).collect();
    let words: Vec<&[u8]> = [&b"someone"[..]].into_iter().chain(words.iter().map(Vec::as_slice)).collect();
    let declared = match Declaration::parse(&words) {
        Ok(declared) => declared,
        Err(problem) => return assert!(!problem.is_empty()),
    };
    let user = declared.user(false).expect("its rules were read");
    let line = user.line();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').skip(1).collect();
    let again = Declaration::parse(&words).unwrap_or_else(|problem| panic!("{problem}: {}", line.escape_ascii()));
    let again = again.user(false).expect("its rules were read");
    assert_eq!(line.escape_ascii().to_string(), again.line().escape_ascii().to_string());
    for request in REQUESTS {
        ask(&user, &again, request);
    }
    for name in [&b"news"[..], b"", b"a*b"] {
        for kind in [Kind::Channel, Kind::Pattern] {
            assert_eq!(user.may_listen(kind, name), again.may_listen(kind, name));
        }
    }
}

fn spaced(word: &[u8]) -> Vec<u8> {
    word.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect()
}

/// Both say the same of a request. One without selectors denies a key exactly when no rule about keys allows it.
fn ask(user: &User, again: &User, words: &[&str]) {
    let mut queue = Queue::default();
    assert!(queue.push(words.iter().map(|word| word.as_bytes())));
    let batch = queue.into_batch();
    let request = batch.request(0);
    let command = commands::lookup(words[0].as_bytes()).expect("it is a command");
    let entry = request.get(1).and_then(|word| command.subcommand(word)).unwrap_or(command);
    let said = user.check(entry, &request);
    assert_eq!(said, again.check(entry, &request), "{words:?}: {}", user.line().escape_ascii());
    let selectors: Vec<[Vec<u8>; 3]> = user.texts().collect();
    let ([[keys, ..]], true) = (&selectors[..], entry.command.channels.is_none()) else { return };
    match said {
        Ok(()) => assert!(first_denied(entry, words, keys).is_none(), "{words:?}: {}", keys.escape_ascii()),
        Err(denial) if denial.reason == Reason::Key => {
            assert_eq!(first_denied(entry, words, keys), Some(denial.argument), "{words:?}: {}", keys.escape_ascii());
        }
        Err(_) => {}
    }
}

/// The first key that no rule allows, found in the text of the rules.
fn first_denied(entry: &Entry, words: &[&str], rules: &[u8]) -> Option<usize> {
    let mut queue = Queue::default();
    assert!(queue.push(words.iter().map(|word| word.as_bytes())));
    let batch = queue.into_batch();
    let request = batch.request(0);
    let mut positions = entry.syntax.keys.positions(&request).enumerate();
    let denied = positions.find(|(index, at)| {
        let wanted = entry.permissions.of_key(entry, &request, *index);
        let key = words[*at].as_bytes();
        !rules.split(|byte| *byte == b' ').any(|rule| allows(rule, key, wanted))
    });
    denied.map(|(_, at)| at)
}

fn allows(rule: &[u8], key: &[u8], wanted: Permission) -> bool {
    let (given, pattern) = match rule {
        b"~*" => return true,
        [b'~', pattern @ ..] => (Permission::ALL, pattern),
        [b'%', b'R', b'~', pattern @ ..] => (Permission::READ, pattern),
        [b'%', b'W', b'~', pattern @ ..] => (Permission::WRITE, pattern),
        _ => return false,
    };
    // Not by what the server compares with.
    let is_given = given == Permission::ALL || wanted == Permission::NONE || wanted == given;
    is_given && glob::matches(pattern, key, Case::Exact)
}
