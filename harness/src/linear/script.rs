//! What one client asks, in an order that its seed decides: few keys, so that all of them meet.

use std::collections::VecDeque;

use super::history::{Request, Words};
use crate::random::Random;

const TEXTS: [&str; 3] = ["t0", "t1", "t2"];
const NUMBERS: [&str; 2] = ["n0", "n1"];
const LISTS: [&str; 2] = ["l0", "l1"];

/// Every key that is ever named.
pub fn keys() -> impl Iterator<Item = &'static str> {
    TEXTS.into_iter().chain(NUMBERS).chain(LISTS)
}

/// The requests of one client, without an end.
pub struct Script {
    client: u16,
    random: Random,
    written: u64,
    next: VecDeque<Request>,
}

impl Script {
    /// The script of one of a history's clients.
    pub fn new(client: u16, random: Random) -> Self {
        Self { client, random, written: 0, next: VecDeque::new() }
    }

    /// What the client asks next, whatever it was told before.
    pub fn next_request(&mut self) -> Request {
        if self.next.is_empty() {
            self.plan();
        }
        self.next.pop_front().unwrap_or_else(|| Request::One(self.command()))
    }

    fn plan(&mut self) {
        match self.random.weighted(&[84, 8, 8]) {
            0 => {}
            1 => {
                let exec = self.transaction();
                self.next.push_back(exec);
            }
            _ => {
                let key = self.any_key();
                let read = if LISTS.contains(&key) { words(["LRANGE", key, "0", "-1"]) } else { words(["GET", key]) };
                let exec = self.transaction();
                self.next.extend([Request::One(words(["WATCH", key])), Request::One(read), exec]);
            }
        }
    }

    fn transaction(&mut self) -> Request {
        let count = self.random.between(2, 4);
        Request::Exec((0..count).map(|_| self.command()).collect())
    }

    fn command(&mut self) -> Words {
        const SHARES: [u32; 21] = [18, 9, 4, 5, 3, 6, 2, 10, 4, 7, 6, 2, 4, 3, 5, 4, 2, 3, 3, 2, 1];
        match self.random.weighted(&SHARES) {
            0 => words(["GET", self.text_or_number()]),
            1 => self.set(),
            2 => words(["SETNX", self.text(), &self.fresh()]),
            3 => words(["GETSET", self.text(), &self.fresh()]),
            4 => words(["GETDEL", self.text_or_number()]),
            5 => words(["DEL", self.any_key(), self.any_key()]),
            6 => words(["EXISTS", self.any_key(), self.any_key()]),
            7 => words(["INCRBY", self.number(), &self.random.between(1, 9).to_string()]),
            8 => words(["APPEND", self.text(), &self.fresh()]),
            9 => words(["MGET", TEXTS[0], TEXTS[1], self.number()]),
            10 => words(["MSET", TEXTS[0], &self.fresh(), TEXTS[1], &self.fresh()]),
            11 => words(["MSETNX", self.text(), &self.fresh(), NUMBERS[0], "1"]),
            12 => words(["RPUSH", self.list(), &self.fresh(), &self.fresh()]),
            13 => words(["LPUSH", self.list(), &self.fresh()]),
            14 => words(["LPOP", self.list()]),
            15 => words(["RPOP", self.list()]),
            16 => words(["LLEN", self.list()]),
            17 => words(["LRANGE", self.list(), "0", "-1"]),
            18 => words(["LMOVE", LISTS[0], LISTS[1], "LEFT", "RIGHT"]),
            19 => words(["RENAME", self.text(), NUMBERS[1]]),
            _ => words(["RENAME", self.text(), self.list()]),
        }
    }

    fn set(&mut self) -> Words {
        if self.random.one_in(4) {
            return words(["SET", self.number(), &self.random.between(0, 99).to_string()]);
        }
        words(["SET", self.text(), &self.fresh()])
    }

    /// A value that nobody else writes.
    fn fresh(&mut self) -> String {
        self.written += 1;
        format!("c{}.{};", self.client, self.written)
    }

    fn one_of(&mut self, keys: &[&'static str]) -> &'static str {
        keys[self.random.between(0, keys.len() as u64 - 1) as usize]
    }

    fn text(&mut self) -> &'static str {
        self.one_of(&TEXTS)
    }

    fn number(&mut self) -> &'static str {
        self.one_of(&NUMBERS)
    }

    fn list(&mut self) -> &'static str {
        self.one_of(&LISTS)
    }

    fn text_or_number(&mut self) -> &'static str {
        if self.random.one_in(3) { self.number() } else { self.text() }
    }

    fn any_key(&mut self) -> &'static str {
        if self.random.one_in(3) { self.list() } else { self.text_or_number() }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Words {
    words.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_all_that_a_client_asks() {
        let script = |seed| {
            let mut script = Script::new(3, Random::new(seed));
            (0..200).map(|_| script.next_request()).collect::<Vec<_>>()
        };
        assert_eq!(script(1), script(1));
        assert_ne!(script(1), script(2));
    }
}
