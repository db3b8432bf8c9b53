//! Rules as text: words of a command, lines of a configuration file and of a file of users.

use bytes::Bytes;

use super::error::{RuleError, Wrong};
use super::keys::has_spaces;
use super::password::Digest;
use super::user::User;

/// A user as a file declares it. Its passwords are digests already.
#[derive(Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The user's name.
    pub name: Bytes,
    /// What it may do, in whole rules.
    pub rules: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Declaration {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Declaration").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Declaration {
    /// The words behind `user`, if they mean something.
    pub fn parse(words: &[&[u8]]) -> Result<Declaration, String> {
        let (name, rules) = words.split_first().ok_or("wrong number of arguments")?;
        if !is_name(name) {
            return Err("user names can't contain spaces or null characters".to_owned());
        }
        let name = Bytes::copy_from_slice(name);
        let rules = merge(rules).map_err(|error| error.to_string())?;
        // The words alone say whether they are rules, not what other users there are.
        User::new(name.clone(), false).with(&rules, false).map_err(|error| match error {
            RuleError::Rule(rule, wrong) => {
                format!("Error in user declaration '{}': {wrong}", String::from_utf8_lossy(&redacted(&rule)))
            }
            unmatched @ RuleError::Unmatched(_) => unmatched.to_string(),
        })?;
        Ok(Declaration { name, rules: rules.into_iter().map(hashed).collect() })
    }

    /// The user.
    pub fn user(&self, all_channels: bool) -> Result<User, RuleError> {
        User::new(self.name.clone(), all_channels).with(&self.rules, all_channels)
    }
}

/// Whether a user may be called so.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !has_spaces(name)
}

/// The words of a line.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Puts selectors together that were given in several words, `(~a` `+get)`.
pub fn merge(words: &[&[u8]]) -> Result<Vec<Vec<u8>>, RuleError> {
    let mut rules: Vec<Vec<u8>> = Vec::with_capacity(words.len());
    let mut open = false;
    for word in words {
        match rules.last_mut() {
            Some(selector) if open => {
                selector.push(b' ');
                selector.extend_from_slice(word);
            }
            _ => {
                open = word.starts_with(b"(");
                rules.push(word.to_vec());
            }
        }
        open &= !word.ends_with(b")");
    }
    match rules.pop_if(|_| open) {
        Some(selector) => Err(RuleError::Unmatched(words_from(words, &selector))),
        None => Ok(rules),
    }
}

/// The word with which what was not closed began.
fn words_from(words: &[&[u8]], selector: &[u8]) -> Vec<u8> {
    let begins = |word: &&&[u8]| selector.starts_with(word);
    words.iter().rev().find(begins).map_or_else(Vec::new, |word| word.to_vec())
}

/// A rule that holds no password any more.
fn hashed(rule: Vec<u8>) -> Vec<u8> {
    let digest = |password: &[u8]| Digest::of(password).text();
    match &rule[..] {
        [b'>', password @ ..] => [b"#", digest(password).as_bytes()].concat(),
        [b'<', password @ ..] => [b"!", digest(password).as_bytes()].concat(),
        _ => rule,
    }
}

/// A rule to be shown in an error: passwords and their digests are not.
fn redacted(rule: &[u8]) -> Vec<u8> {
    match rule {
        [sign @ (b'>' | b'<' | b'#' | b'!'), ..] => [&[*sign], "…".as_bytes()].concat(),
        rule => rule.to_vec(),
    }
}

/// The users that the text of a file of users declares; else all that is wrong with it, as Redis says it.
pub fn parse_file(path: &str, text: &[u8]) -> Result<Vec<Declaration>, String> {
    let mut declarations: Vec<Declaration> = Vec::new();
    let mut errors = String::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let mut words = words(line);
        let problem = match words.next() {
            None => continue,
            Some(b"user") => match Declaration::parse(&words.collect::<Vec<_>>()) {
                Ok(declared) if declarations.iter().any(|other| other.name == declared.name) => {
                    format!("Duplicate user '{}' found", String::from_utf8_lossy(&declared.name))
                }
                Ok(declared) => {
                    declarations.push(declared);
                    continue;
                }
                Err(problem) => problem,
            },
            Some(_) => "should start with user keyword".to_owned(),
        };
        errors.push_str(&format!("{path}:{number}: {problem}. "));
    }
    if errors.is_empty() {
        return Ok(declarations);
    }
    Err(errors + "WARNING: ACL errors detected, no change to the previously active ACL rules was performed")
}

/// Whether no two of them have the same name.
pub fn are_different(declarations: &[Declaration]) -> Result<(), Wrong> {
    let mut names: Vec<&Bytes> = declarations.iter().map(|declared| &declared.name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) { Err(Wrong::Duplicate) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let shown = |rules: Vec<Vec<u8>>| rules.iter().map(|rule| String::from_utf8_lossy(rule).into_owned()).collect();
        merge(&words).map(shown).map_err(|error| error.to_string())
    }

    #[test]
    fn selectors_are_put_together() {
        let four = ["(~a +get )", "( ~b +get)", "(~c +get )", "on"];
        let words = ["(~a", "+get", ")", "(", "~b", "+get)", "(~c +get )", "on"];
        assert_eq!(merged(&words), Ok(four.map(str::to_owned).to_vec()));
        assert_eq!(merged(&[" () "]), Ok(vec![" () ".to_owned()]));
        let unmatched = "Unmatched parenthesis in acl selector starting at '('.".to_owned();
        assert_eq!(merged(&["on", "(", "~a"]), Err(unmatched));
    }

    #[test]
    fn a_declaration_keeps_no_password() {
        let declared = Declaration::parse(&[b"alice", b"on", b">secret", b"+@all"]).expect("it is right");
        assert!(declared.rules.iter().all(|rule| !rule.windows(6).any(|part| part == b"secret")));
        assert!(declared.user(false).is_ok_and(|user| user.admits(b"secret") && !user.admits(b"Secret")));
        let wrong = Declaration::parse(&[b"alice", b"#secret"]).expect_err("it is no digest");
        assert!(!wrong.contains("secret"), "{wrong}");
    }

    #[test]
    fn every_line_of_a_file_is_looked_at() {
        let text = b"user a on +get\n\nuser a off\nadmin b\nuser c +nosuch\n";
        assert_eq!(
            parse_file("users.acl", text).expect_err("three lines are wrong"),
            "users.acl:3: Duplicate user 'a' found. users.acl:4: should start with user keyword. users.acl:5: Error in \
             user declaration '+nosuch': Unknown command or category name in ACL. WARNING: ACL errors detected, no \
             change to the previously active ACL rules was performed"
        );
        assert_eq!(parse_file("users.acl", b"user a\r\nuser b on").map(|users| users.len()), Ok(2));
    }
}
