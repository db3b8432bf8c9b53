//! What clients do: they send what a mix chooses, in pipelines, and note it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::{Address, Client};
use crate::ledger::{Ledger, Stamps};
use crate::mix::{self, Mix, Taste};
use crate::op::Op;
use crate::random::Random;
use crate::verify::SHARED_DATABASE;
use crate::wire::Reply;

/// Longest pipeline. A set of cuts holds one more.
pub const MAX_PIPELINE: u64 = 16;

/// Where a client lives: two alone, of the others one in four in database 1, the rest in 0.
pub fn database_of(client: u16) -> u32 {
    match client {
        0 => 9,
        8 => 10,
        client if client % 4 == 3 => 1,
        _ => SHARED_DATABASE,
    }
}

/// Where a client moves keys to.
pub fn away_of(client: u16) -> u32 {
    database_of(client) + 4
}

/// Whether both of its databases are the client's alone: it may flush and exchange them.
pub fn lives_alone(client: u16) -> bool {
    matches!(client, 0 | 8)
}

/// What all clients of one round have in common.
pub struct Load<'a> {
    /// The server.
    pub address: Address,
    /// Names values.
    pub run: u32,
    /// Names the shared row.
    pub round: u32,
    /// How many clients there are.
    pub clients: u16,
    /// Orders the notes.
    pub stamps: &'a Stamps,
    /// Set when clients shall come to an end.
    pub stop: &'a AtomicBool,
    /// Commands per client; without it until `stop` or the end of the connection.
    pub limit: Option<u64>,
    /// Longest wait for a reply.
    pub patience: Duration,
    /// How heavy the values are.
    pub weight: Weight,
    /// What is written.
    pub mix: Mix,
}

/// How heavy the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// 10 B to 64 KiB, now and then 1 to 2 MiB.
    Full,
    /// At most 4 KiB, but the first client begins with 1 MiB and changes it: for many short runs.
    Light,
}

/// How a client's round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All commands done, or told to stop.
    Done,
    /// The connection ended: by a kill, as it should, or by the server.
    Closed(String),
}

/// Drives one client until it is stopped or its connection ends. All it knows is in the ledger.
pub fn drive(ledger: &mut Ledger, load: &Load<'_>, mut random: Random) -> End {
    match try_drive(ledger, load, &mut random) {
        Ok(()) => End::Done,
        Err(error) => End::Closed(error.to_string()),
    }
}

fn try_drive(ledger: &mut Ledger, load: &Load<'_>, random: &mut Random) -> std::io::Result<()> {
    let mut client = Client::connect(&load.address, load.patience)?;
    if let Reply::Error(text) = client.call(&[b"SELECT", ledger.database.to_string().as_bytes()])? {
        return Err(std::io::Error::other(text));
    }
    let taste = Taste { mix: load.mix, weight: load.weight, clients: load.clients };
    let begins = load.weight == Weight::Light && ledger.client == 0;
    let mut sent = 0;
    while !load.stop.load(Ordering::Relaxed) && load.limit.is_none_or(|limit| sent < limit) {
        let depth = if random.one_in(2) { random.between(1, MAX_PIPELINE) } else { random.between(1, 4) };
        let mut replies = Vec::new();
        for _ in 0..depth {
            let op = match sent + replies.len() as u64 {
                0 if begins => Op::Set(mix::BIG, mix::BIG_BYTES),
                1 if begins => Op::Append(mix::BIG),
                _ => mix::choose(ledger, &taste, random),
            };
            let commands = op.commands(&ledger.sender(ledger.next_seq, load.round));
            for command in &commands {
                client.queue(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            replies.push(commands.len());
            ledger.invoke(op, load.stamps);
        }
        client.flush()?;
        for count in replies {
            let reply = last_reply(&mut client, count)?;
            ledger.answer(&reply, load.stamps);
        }
        sent += depth;
    }
    Ok(())
}

/// The last of so many replies: a transaction's. A command that was not queued makes EXEC an error; a MULTI that was
/// refused would leave the others to be run one by one.
fn last_reply(client: &mut Client, count: usize) -> std::io::Result<Reply> {
    for place in 1..count {
        match client.reply()? {
            Reply::Error(text) if place == 1 => return Err(std::io::Error::other(format!("MULTI: {text}"))),
            _ => {}
        }
    }
    client.reply()
}
