//! What a server that does one request after the other answers.
//!
//! WATCH is part of the state: whoever watches is told by EXEC whether a key was touched meanwhile, no more and no less.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::{Contents, Request, Value, Words, show};
use crate::wire::Reply;

/// Everything that replies depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    values: BTreeMap<String, Arc<Value>>,
    watches: BTreeMap<u16, Watch>,
}

/// What a client watches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Watch {
    keys: Vec<String>,
    is_dirty: bool,
}

/// A command's reply; an error changes nothing.
type Outcome = Result<Reply, &'static str>;

const WRONG_TYPE: &str = "WRONGTYPE";
const GENERAL: &str = "ERR";

impl State {
    /// A fresh start with these keys: nobody watches.
    pub fn of(contents: &Contents) -> Self {
        let values = contents.iter().map(|(key, value)| (key.clone(), Arc::new(value.clone()))).collect();
        Self { values, watches: BTreeMap::new() }
    }

    /// Whether it holds these keys and no others.
    pub fn holds(&self, contents: &Contents) -> bool {
        self.values.len() == contents.len()
            && self.values.iter().all(|(key, value)| contents.get(key) == Some(&**value))
    }

    /// Does a client's request. The reply, as [`show`] has it.
    pub fn run(&mut self, client: u16, request: &Request) -> String {
        match request {
            Request::One(words) if words[0] == "WATCH" => {
                self.watches.entry(client).or_default().keys.extend_from_slice(&words[1..]);
                show(&Reply::Simple("OK".to_owned()))
            }
            Request::One(words) => show(&self.reply(words)),
            Request::Exec(commands) => match self.watches.remove(&client) {
                Some(watch) if watch.is_dirty => show(&Reply::Nil),
                _ => show(&Reply::Array(commands.iter().map(|words| self.reply(words)).collect())),
            },
        }
    }

    fn reply(&mut self, words: &Words) -> Reply {
        self.command(words).unwrap_or_else(|kind| Reply::Error(kind.to_owned()))
    }

    fn command(&mut self, words: &Words) -> Outcome {
        let (name, rest) = words.split_first().ok_or(GENERAL)?;
        let key = rest.first().ok_or(GENERAL)?;
        let ok = || Reply::Simple("OK".to_owned());
        let count = |count: usize| Reply::Int(count as i64);
        Ok(match name.as_str() {
            "GET" => bulk(self.text(key)?),
            "SET" => {
                self.put(key, text(&rest[1]));
                ok()
            }
            "SETNX" => {
                let is_new = !self.values.contains_key(key);
                if is_new {
                    self.put(key, text(&rest[1]));
                }
                count(usize::from(is_new))
            }
            "GETSET" => {
                let old = bulk(self.text(key)?);
                self.put(key, text(&rest[1]));
                old
            }
            "GETDEL" => {
                let old = bulk(self.text(key)?);
                self.remove(key);
                old
            }
            "DEL" => count(rest.iter().filter(|key| self.remove(key)).count()),
            "EXISTS" => count(rest.iter().filter(|key| self.values.contains_key(*key)).count()),
            "INCRBY" => {
                let old: i64 = self.text(key)?.map_or(Ok(0), str::parse).map_err(|_| GENERAL)?;
                let new = old.checked_add(rest[1].parse().map_err(|_| GENERAL)?).ok_or(GENERAL)?;
                self.put(key, text(&new.to_string()));
                Reply::Int(new)
            }
            "APPEND" => {
                let whole = self.text(key)?.unwrap_or_default().to_owned() + &rest[1];
                self.put(key, text(&whole));
                count(whole.len())
            }
            "MGET" => Reply::Array(rest.iter().map(|key| bulk(self.text(key).unwrap_or_default())).collect()),
            "MSET" => {
                self.put_all(rest);
                ok()
            }
            "MSETNX" => {
                let is_new = !rest.iter().step_by(2).any(|key| self.values.contains_key(key));
                if is_new {
                    self.put_all(rest);
                }
                count(usize::from(is_new))
            }
            "RPUSH" | "LPUSH" => {
                let mut list = self.list(key)?.to_vec();
                for element in &rest[1..] {
                    let at = if name == "RPUSH" { list.len() } else { 0 };
                    list.insert(at, element.clone());
                }
                self.put_list(key, list.clone());
                count(list.len())
            }
            "LPOP" => bulk(self.pop(key, true)?.as_deref()),
            "RPOP" => bulk(self.pop(key, false)?.as_deref()),
            "LLEN" => count(self.list(key)?.len()),
            "LRANGE" => Reply::Array(self.list(key)?.iter().map(|element| bulk(Some(element))).collect()),
            "LMOVE" => self.move_element(key, &rest[1])?,
            "RENAME" => {
                let value = self.values.get(key).cloned().ok_or(GENERAL)?;
                self.remove(key);
                self.touch(&rest[1]);
                self.values.insert(rest[1].clone(), value);
                ok()
            }
            _ => return Err(GENERAL),
        })
    }

    /// `LMOVE from to LEFT RIGHT`.
    fn move_element(&mut self, from: &str, to: &str) -> Outcome {
        if self.list(from)?.is_empty() {
            return Ok(Reply::Nil);
        }
        let mut list = self.list(to)?.to_vec();
        let element = self.pop(from, true)?.unwrap_or_default();
        list.push(element.clone());
        self.put_list(to, list);
        Ok(bulk(Some(&element)))
    }

    fn text(&self, key: &str) -> Result<Option<&str>, &'static str> {
        match self.values.get(key).map(|value| &**value) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::List(_)) => Err(WRONG_TYPE),
        }
    }

    fn list(&self, key: &str) -> Result<&[String], &'static str> {
        match self.values.get(key).map(|value| &**value) {
            None => Ok(&[]),
            Some(Value::List(list)) => Ok(list),
            Some(Value::Text(_)) => Err(WRONG_TYPE),
        }
    }

    fn pop(&mut self, key: &str, is_front: bool) -> Result<Option<String>, &'static str> {
        let mut list = self.list(key)?.to_vec();
        if list.is_empty() {
            return Ok(None);
        }
        let element = list.remove(if is_front { 0 } else { list.len() - 1 });
        self.put_list(key, list);
        Ok(Some(element))
    }

    fn put_list(&mut self, key: &str, list: Vec<String>) {
        if list.is_empty() {
            self.remove(key);
        } else {
            self.put(key, Value::List(list));
        }
    }

    fn put_all(&mut self, pairs: &[String]) {
        for pair in pairs.chunks_exact(2) {
            self.put(&pair[0], text(&pair[1]));
        }
    }

    fn put(&mut self, key: &str, value: Value) {
        self.touch(key);
        self.values.insert(key.to_owned(), Arc::new(value));
    }

    /// Whether it was there.
    fn remove(&mut self, key: &str) -> bool {
        let was_there = self.values.remove(key).is_some();
        if was_there {
            self.touch(key);
        }
        was_there
    }

    fn touch(&mut self, key: &str) {
        for watch in self.watches.values_mut() {
            watch.is_dirty |= watch.keys.iter().any(|watched| watched == key);
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn bulk(text: Option<&str>) -> Reply {
    text.map_or(Reply::Nil, |text| Reply::Bulk(text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: &mut State, line: &str) -> String {
        state.run(0, &Request::One(line.split(' ').map(str::to_owned).collect()))
    }

    #[test]
    fn commands_answer_as_the_server_does() {
        let mut state = State::default();
        let conversation = [
            ("GET a", "nil"),
            ("SET a 7", "+OK"),
            ("INCRBY a 3", ":10"),
            ("APPEND a x", ":3"),
            ("INCRBY a 1", "-ERR"),
            ("SETNX a y", ":0"),
            ("GETSET a y", "$10x"),
            ("RPUSH a 1", "-WRONGTYPE"),
            ("RPUSH l 1 2", ":2"),
            ("LPUSH l 0", ":3"),
            ("GET l", "-WRONGTYPE"),
            ("MGET a l b", "[$y, nil, nil]"),
            ("LMOVE l m LEFT RIGHT", "$0"),
            ("LMOVE l a LEFT RIGHT", "-WRONGTYPE"),
            ("LRANGE l 0 -1", "[$1, $2]"),
            ("RENAME l a", "+OK"),
            ("RENAME l a", "-ERR"),
            ("RPOP a", "$2"),
            ("LPOP a", "$1"),
            ("EXISTS a m a", ":1"),
            ("MSETNX a 1 m 2", ":0"),
            ("MSETNX a 1 b 2", ":1"),
            ("MSET a 3 m 4", "+OK"),
            ("DEL a b c", ":2"),
            ("GETDEL m", "$4"),
            ("LLEN m", ":0"),
        ];
        for (line, reply) in conversation {
            assert_eq!(run(&mut state, line), reply, "{line}");
        }
        assert!(state.holds(&Contents::new()));
    }

    #[test]
    fn exec_is_told_of_touched_keys_and_of_no_others() {
        let exec = Request::Exec(vec![vec!["GET".to_owned(), "a".to_owned()]]);
        for (line, reply) in [("SET a 1", "nil"), ("SET b 1", "[nil]"), ("DEL a", "[nil]"), ("GETDEL a", "[nil]")] {
            let mut state = State::default();
            run(&mut state, "WATCH a");
            run(&mut state, line);
            assert_eq!(state.run(0, &exec), reply, "{line}");
            assert_ne!(state.run(0, &exec), "nil", "{line}: a watch ends with its EXEC");
        }
    }
}
