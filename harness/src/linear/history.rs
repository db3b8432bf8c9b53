//! What clients asked and were told, and when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::process::Mode;
use crate::wire::Reply;

/// The words of a command.
pub type Words = Vec<String>;

/// What a client asks at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// One command.
    One(Words),
    /// Several, between MULTI and EXEC.
    Exec(Vec<Words>),
}

/// A request, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who asked.
    pub client: u16,
    /// When, in nanoseconds since the history began: before the first byte was sent.
    pub invoked_ns: u64,
    /// What was asked.
    pub request: Request,
    /// The answer; none came when the server died before.
    pub answer: Option<Answer>,
}

/// A reply that was read whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When, behind its last byte.
    pub returned_ns: u64,
    /// As [`show`] has it.
    pub reply: String,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A string.
    Text(String),
    /// A list, never empty.
    List(Vec<String>),
}

/// All keys.
pub type Contents = BTreeMap<String, Value>;

/// From one moment at which nobody asked to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// What was asked meanwhile, in no order.
    pub operations: Vec<Operation>,
    /// The server was killed among them; else the stretch ended when all had their answers.
    pub was_killed: bool,
    /// How often the next start was killed.
    pub recovery_kills: u64,
    /// What was there when nobody asked any more: of a server that was killed, after its next start.
    pub look: Contents,
}

/// What happened to a store, from an empty one on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// What was asked follows from it.
    pub seed: u64,
    /// When writes were answered.
    pub mode: Mode,
    /// From the first start to the last look.
    pub stretches: Vec<Stretch>,
    /// Why it ended before all was asked, if it did: the server does not start, or no longer answers.
    pub fault: Option<String>,
}

impl History {
    /// All operations.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.stretches.iter().flat_map(|stretch| &stretch.operations)
    }
}

/// A reply in one line. Of an error only its kind: the rest is for people.
pub fn show(reply: &Reply) -> String {
    match reply {
        Reply::Simple(text) => format!("+{text}"),
        Reply::Error(text) => format!("-{}", text.split_whitespace().next().unwrap_or_default()),
        Reply::Int(number) => format!(":{number}"),
        Reply::Bulk(bytes) => format!("${}", String::from_utf8_lossy(bytes)),
        Reply::Nil => "nil".to_owned(),
        Reply::Array(replies) => format!("[{}]", replies.iter().map(show).collect::<Vec<_>>().join(", ")),
    }
}
