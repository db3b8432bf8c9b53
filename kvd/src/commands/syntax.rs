//! The notation of a command's arguments, from which arity and key positions follow.
//!
//! ```text
//!  @key                 a key                       name          an argument
//!  name:int name:text   with a type                 TOKEN         a literal word
//!  [ … ]                may be left out             { … }         exactly this group
//!  a | b                one or the other            x ...         x once or more often
//!  ...                  and nothing else: any words, which mean nothing and are not documented
//! ```

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Argument number of the first key, 0 when there is none.
    pub first: usize,
    /// Argument number of the last, negative when counted from the end.
    pub last: i64,
    /// From one key to the next.
    pub step: usize,
}

impl Keys {
    /// The argument numbers of the keys of a request with `length` arguments, the name included.
    #[inline]
    pub fn positions(self, length: usize) -> impl Iterator<Item = usize> + Clone {
        let last =
            if self.last < 0 { length.saturating_sub(self.last.unsigned_abs() as usize) } else { self.last as usize };
        let end = if self.first == 0 { 0 } else { (last + 1).min(length) };
        (self.first.min(end)..end).step_by(self.step.max(1))
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

/// Keys as first, last, step: plain keys one after the other, or one repeated group.
fn key_positions(arguments: &[Argument], words: usize) -> Keys {
    let mut keys = Keys::default();
    let mut position = words;
    for argument in arguments {
        match argument {
            Argument::Value { key: true, .. } => {
                if keys.first == 0 {
                    keys = Keys { first: position, last: position as i64, step: 1 };
                } else {
                    keys.last = position as i64;
                }
            }
            Argument::Repeated(inner) if has_key(inner) => {
                let step = least_words(inner);
                let first = if keys.first == 0 { position } else { keys.first };
                return Keys { first, last: -1, step };
            }
            _ => {}
        }
        position += least_words(argument);
    }
    keys
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
    use super::*;

    fn keys_of(usage: &str, length: usize) -> Vec<usize> {
        Syntax::parse(usage, 1).keys.positions(length).collect()
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
        assert_eq!(keys_of("@key value [NX]", 4), [1]);
        assert_eq!(keys_of("{@key value} ...", 7), [1, 3, 5]);
        assert_eq!(keys_of("@key ...", 4), [1, 2, 3]);
        assert_eq!(keys_of("@source @destination", 3), [1, 2]);
        assert_eq!(keys_of("pattern", 2), [0usize; 0]);
    }

    #[test]
    fn fewer_words_than_declared_name_no_keys_beyond_the_end() {
        assert_eq!(keys_of("@source @destination", 2), [1]);
        assert_eq!(keys_of("{@key value} ...", 1), [0usize; 0]);
        assert_eq!(keys_of("{@key value} ...", 4), [1, 3]);
    }
}
