//! The notation of a command's arguments, from which arity and key positions follow.
//!
//! ```text
//!  @key                 a key                       name          an argument
//!  name:int name:text   with a type                 TOKEN         a literal word
//!  [ … ]                may be left out             { … }         exactly this group
//!  a | b                one or the other            x ...         x once or more often
//!  ...                  and nothing else: any words, which mean nothing and are not documented
//!  numkeys:int @key ...   as many keys as the number says
//!  [WORD @key]          a key behind a word, wherever that stands
//! ```

use std::ops::Range;

use resp::{Request, exact_integer};

use super::args::is;

/// Arguments as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A literal word.
    Token(String),
    /// A value with a name, a type, and whether it is a key.
    Value {
        /// Name in the documentation.
        name: String,
        /// `string`, `int`, `double`, `pattern`, `unix-time`.
        kind: String,
        /// A key.
        key: bool,
    },
    /// One after the other.
    Sequence(Vec<Argument>),
    /// One of them.
    OneOf(Vec<Argument>),
    /// May be absent.
    Optional(Box<Argument>),
    /// Once or more often.
    Repeated(Box<Argument>),
}

/// Where the keys of a command are, as COMMAND INFO tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Argument number of the first key, 0 when there is none at a fixed place.
    pub first: usize,
    /// Argument number of the last, negative when counted from the end.
    pub last: i64,
    /// From one key to the next.
    pub step: usize,
    /// The argument that says how many keys follow it; 0 when there is none.
    pub counted: usize,
    /// Words behind which another key stands, as behind STORE.
    pub words: Vec<String>,
    /// Other words, and how many arguments follow each, which are none of these words whatever they say: `GET STORE`.
    pub skipped: Vec<(String, usize)>,
    /// Keys that stand alone, before a group that is repeated: each is treated in a way of its own.
    pub single: usize,
    /// The argument number of the only key, where there is exactly one and always in the same place.
    pub only: Option<usize>,
}

impl Keys {
    /// The argument numbers of the keys of a request.
    #[inline]
    pub fn positions<'a>(&self, request: &Request<'a>) -> impl Iterator<Item = usize> + Clone + use<'a> {
        let length = request.len();
        let last =
            if self.last < 0 { length.saturating_sub(self.last.unsigned_abs() as usize) } else { self.last as usize };
        let end = if self.first == 0 { 0 } else { (last + 1).min(length) };
        let fixed = (self.first.min(end)..end).step_by(self.step.max(1));
        let (counted, named) = if self.is_movable() { self.moved(request) } else { (0..0, None) };
        fixed.chain(counted).chain(named)
    }

    /// Whether where keys are depends on what a request says.
    #[inline]
    pub fn is_movable(&self) -> bool {
        self.counted != 0 || !self.words.is_empty()
    }

    /// Whether the command has keys at all.
    pub fn exist(&self) -> bool {
        self.first != 0 || self.is_movable()
    }

    #[cold]
    fn moved(&self, request: &Request<'_>) -> (Range<usize>, Option<usize>) {
        let count = match self.counted {
            0 => None,
            at => request.get(at).and_then(exact_integer).and_then(|count| usize::try_from(count).ok()),
        };
        let start = (self.counted + 1).min(request.len());
        // More than there are arguments is a mistake that the handler tells.
        let end = count.and_then(|count| start.checked_add(count)).filter(|end| *end <= request.len());
        (start..end.unwrap_or(start), self.named(request))
    }

    /// The argument behind one of the words. Given twice, the last counts.
    fn named(&self, request: &Request<'_>) -> Option<usize> {
        if self.words.is_empty() {
            return None;
        }
        let (mut at, mut named) = (self.first + 1, None);
        while let (Some(argument), true) = (request.get(at), at + 1 < request.len()) {
            if self.words.iter().any(|word| is(argument, word)) {
                named = Some(at + 1);
                at += 1;
            } else if let Some((_, values)) = self.skipped.iter().find(|(word, _)| is(argument, word)) {
                at += values;
            }
            at += 1;
        }
        named
    }
}

/// A parsed usage line.
#[derive(Clone, Debug)]
pub struct Syntax {
    /// The arguments.
    pub arguments: Vec<Argument>,
    /// As in COMMAND INFO: exactly so many words, or at least so many when negative.
    pub arity: i64,
    /// Where keys are.
    pub keys: Keys,
}

impl Syntax {
    /// Parses a usage line. `words` is how many words the name has. A line that cannot be read is a mistake in the
    /// table, which a test finds.
    pub fn parse(usage: &str, words: usize) -> Syntax {
        let (usage, takes_any) = if usage == "..." { ("", true) } else { (usage, false) };
        let text =
            usage.replace('[', " [ ").replace(']', " ] ").replace('{', " { ").replace('}', " } ").replace('|', " | ");
        let tokens: Vec<&str> = text.split_whitespace().collect();
        let mut at = 0;
        let arguments = sequence(&tokens, &mut at, None);
        assert!(at == tokens.len(), "unbalanced brackets in {usage:?}");
        let least: usize = arguments.iter().map(least_words).sum();
        let fixed = !takes_any && arguments.iter().all(is_fixed);
        let arity = (words + least) as i64;
        let keys = key_positions(&arguments, words);
        Syntax { arguments, arity: if fixed { arity } else { -arity }, keys }
    }

    /// Whether a request of this many words may be right.
    #[inline]
    pub fn fits(&self, words: usize) -> bool {
        if self.arity >= 0 { words as i64 == self.arity } else { words as i64 >= -self.arity }
    }
}

fn sequence(tokens: &[&str], at: &mut usize, close: Option<&str>) -> Vec<Argument> {
    let mut choices: Vec<Vec<Argument>> = vec![Vec::new()];
    while let Some(&token) = tokens.get(*at) {
        if Some(token) == close {
            break;
        }
        *at += 1;
        let current = choices.last_mut().expect("there is always one choice");
        match token {
            "|" => choices.push(Vec::new()),
            "[" => {
                let inner = group(tokens, at, "]");
                current.push(Argument::Optional(Box::new(inner)));
            }
            "{" => {
                let inner = group(tokens, at, "}");
                current.push(inner);
            }
            "..." => {
                let repeated = current.pop().expect("something stands before ...");
                current.push(Argument::Repeated(Box::new(repeated)));
            }
            word => current.push(word_argument(word)),
        }
    }
    if choices.len() == 1 {
        return choices.remove(0);
    }
    vec![Argument::OneOf(choices.into_iter().map(one).collect())]
}

fn group(tokens: &[&str], at: &mut usize, close: &str) -> Argument {
    let inner = sequence(tokens, at, Some(close));
    assert_eq!(tokens.get(*at), Some(&close), "a bracket is closed");
    *at += 1;
    one(inner)
}

fn one(mut arguments: Vec<Argument>) -> Argument {
    if arguments.len() == 1 { arguments.remove(0) } else { Argument::Sequence(arguments) }
}

fn word_argument(word: &str) -> Argument {
    let (name, kind) = word.split_once(':').unwrap_or((word, "string"));
    if let Some(name) = name.strip_prefix('@') {
        return Argument::Value { name: name.to_owned(), kind: "key".to_owned(), key: true };
    }
    if name.chars().all(|c| !c.is_ascii_lowercase()) {
        return Argument::Token(name.to_owned());
    }
    Argument::Value { name: name.to_owned(), kind: kind.to_owned(), key: false }
}

fn least_words(argument: &Argument) -> usize {
    match argument {
        Argument::Token(_) | Argument::Value { .. } => 1,
        Argument::Sequence(parts) => parts.iter().map(least_words).sum(),
        Argument::OneOf(parts) => parts.iter().map(least_words).min().unwrap_or(0),
        Argument::Optional(_) => 0,
        Argument::Repeated(part) => least_words(part),
    }
}

fn is_fixed(argument: &Argument) -> bool {
    match argument {
        Argument::Token(_) | Argument::Value { .. } => true,
        Argument::Sequence(parts) => parts.iter().all(is_fixed),
        Argument::OneOf(parts) => {
            let lengths: Vec<usize> = parts.iter().map(least_words).collect();
            parts.iter().all(is_fixed) && lengths.windows(2).all(|pair| pair[0] == pair[1])
        }
        Argument::Optional(_) | Argument::Repeated(_) => false,
    }
}

/// Plain keys one after the other, or one repeated group, or as many as a number says, and those behind a word.
fn key_positions(arguments: &[Argument], words: usize) -> Keys {
    let mut keys = Keys::default();
    let mut position = words;
    for (index, argument) in arguments.iter().enumerate() {
        // As many as there are, be it none.
        let argument = match argument {
            Argument::Optional(inner) if matches!(**inner, Argument::Repeated(_)) => inner,
            argument => argument,
        };
        match argument {
            Argument::Value { key: true, .. } => {
                if keys.first == 0 {
                    (keys.first, keys.step) = (position, 1);
                    keys.single = 1;
                } else {
                    keys.single += 1;
                }
                keys.last = position as i64;
            }
            Argument::Repeated(inner) if has_key(inner) => {
                let counts = |before: &Argument| matches!(before, Argument::Value { name, .. } if name == "numkeys");
                if index > 0 && counts(&arguments[index - 1]) {
                    keys.counted = position - 1;
                } else {
                    let behind: usize = arguments[index + 1..].iter().map(least_words).sum();
                    keys.first = if keys.first == 0 { position } else { keys.first };
                    (keys.last, keys.step) = (-1 - behind as i64, least_words(inner));
                }
            }
            Argument::Optional(inner) => key_words(inner, &mut keys),
            _ => {}
        }
        position += least_words(argument);
    }
    let is_one = keys.first != 0 && keys.last == keys.first as i64 && !keys.is_movable();
    keys.only = is_one.then_some(keys.first);
    keys
}

/// The words of an option behind which a key stands, and those behind which something else does.
fn key_words(argument: &Argument, keys: &mut Keys) {
    match argument {
        Argument::Sequence(parts) => match &parts[..] {
            [Argument::Token(word), Argument::Value { key: true, .. }] => keys.words.push(word.clone()),
            [Argument::Token(word), values @ ..] => {
                let count = values.iter().take_while(|part| matches!(part, Argument::Value { .. })).count();
                keys.skipped.push((word.clone(), count));
            }
            _ => {}
        },
        Argument::OneOf(parts) => parts.iter().for_each(|part| key_words(part, keys)),
        _ => {}
    }
}

fn has_key(argument: &Argument) -> bool {
    match argument {
        Argument::Value { key, .. } => *key,
        Argument::Token(_) => false,
        Argument::Sequence(parts) | Argument::OneOf(parts) => parts.iter().any(has_key),
        Argument::Optional(part) | Argument::Repeated(part) => has_key(part),
    }
}

#[cfg(test)]
mod tests {
    use resp::Queue;

    use super::*;

    fn keys_of(usage: &str, request: &str) -> Vec<usize> {
        let mut queue = Queue::default();
        assert!(queue.push(request.split(' ').map(str::as_bytes)));
        let batch = queue.into_batch();
        Syntax::parse(usage, 1).keys.positions(&batch.request(0)).collect()
    }

    #[test]
    fn one_key_in_one_place_is_known_beforehand() {
        for (usage, only) in [
            ("@key", Some(1)),
            ("a b @key [c]", Some(3)),
            ("@key ...", None),
            ("@key @other", None),
            ("@key [STORE @destination]", None),
            ("numkeys:int @key ...", None),
            ("a", None),
        ] {
            assert_eq!(Syntax::parse(usage, 1).keys.only, only, "{usage}");
        }
    }

    #[test]
    fn arity_follows_from_the_usage() {
        for (usage, arity) in [
            ("@key", 2),
            ("", 1),
            ("@key value [NX | XX] [GET] [EX seconds:int | KEEPTTL]", -3),
            ("{@key value} ...", -3),
            ("@key ...", -2),
            ("[message]", -1),
            ("NO | ONE", 2),
            ("...", -1),
        ] {
            assert_eq!(Syntax::parse(usage, 1).arity, arity, "{usage}");
        }
    }

    #[test]
    fn keys_follow_from_the_usage() {
        for (usage, request, keys) in [
            ("@key value [NX]", "SET k v NX", &[1][..]),
            ("{@key value} ...", "MSET a 1 b 2 c 3", &[1, 3, 5]),
            ("@key ...", "DEL a b c", &[1, 2, 3]),
            ("@source @destination", "RENAME a b", &[1, 2]),
            ("pattern", "KEYS *", &[]),
            ("@key ... timeout:double", "BLPOP a b 0", &[1, 2]),
            ("numkeys:int @key ... [LIMIT limit:int]", "SINTERCARD 2 a b LIMIT 3", &[2, 3]),
            ("timeout:double numkeys:int @key ... {LEFT | RIGHT}", "BLMPOP 0 1 a LEFT", &[3]),
            ("@destination numkeys:int @key ...", "ZUNIONSTORE d 2 a b", &[1, 3, 4]),
            ("@key [BY pattern] [STORE @destination]", "SORT a BY b store c", &[1, 5]),
            ("@key [BY pattern] [STORE @destination]", "SORT a STORE c BY STORE", &[1, 3]),
            ("@key [LIMIT offset count] [STORE @destination]", "SORT a STORE c LIMIT STORE STORE", &[1, 3]),
            ("@key [STORE @destination]", "SORT a STORE c STORE STORE", &[1, 5]),
            ("[@key ...]", "SUNSUBSCRIBE a b", &[1, 2]),
            ("[@key ...]", "SUNSUBSCRIBE", &[]),
            ("AND | OR", "OR x", &[]),
            ("{AND | OR} @destination @key ...", "BITOP AND a b c", &[2, 3, 4]),
            ("@destination [@source ...]", "PFMERGE a b", &[1, 2]),
            ("@destination [@source ...]", "PFMERGE a", &[1]),
        ] {
            assert_eq!(keys_of(usage, request), keys, "{usage}");
        }
    }

    #[test]
    fn fewer_words_than_declared_name_no_keys_beyond_the_end() {
        for (usage, request, keys) in [
            ("@source @destination", "RENAME a", &[1][..]),
            ("{@key value} ...", "MSET", &[]),
            ("{@key value} ...", "MSET a 1 b", &[1, 3]),
            ("@destination numkeys:int @key ...", "ZUNIONSTORE d 3 a b", &[1]),
            ("@destination numkeys:int @key ...", "ZUNIONSTORE d 18446744073709551615 a b", &[1]),
            ("@destination numkeys:int @key ...", "ZUNIONSTORE d", &[1]),
            ("@key [STORE @destination]", "SORT a STORE", &[1]),
        ] {
            assert_eq!(keys_of(usage, request), keys, "{usage}");
        }
    }
}
