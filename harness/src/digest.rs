//! The state hash of a whole store, DEBUG DIGEST, over a restart.

use crate::client::Client;
use crate::error::{Failure, Result};
use crate::process::Server;
use crate::rules::{Rule, Violation};
use crate::snapshot;
use crate::wire::Reply;

/// What goes by itself within this time would change the hash.
const SOON_MS: i64 = 600_000;

/// Databases of a server.
const DATABASES: u32 = 16;

/// The hash of all databases; nothing where the server has no such command.
pub fn of(server: &Server) -> Result<Option<String>> {
    match server.connect()?.call(&[b"DEBUG", b"DIGEST"])? {
        Reply::Simple(digest) => Ok(Some(digest)),
        _ => Ok(None),
    }
}

/// Removes what would go by itself before the next look. Far deadlines stay.
pub fn still(server: &Server) -> Result<()> {
    let mut client = server.connect()?;
    for database in 0..DATABASES {
        client.call(&[b"SELECT", database.to_string().as_bytes()])?;
        for name in snapshot::names(client.call(&[b"KEYS", b"*:t*"])?)? {
            if goes_soon(&mut client, &name)? {
                client.call(&[b"DEL", name.as_bytes()])?;
            }
        }
    }
    Ok(())
}

fn goes_soon(client: &mut Client, name: &str) -> Result<bool> {
    if client.call(&[b"TYPE", name.as_bytes()])? == Reply::Simple("hash".to_owned()) {
        return Ok(true);
    }
    match client.call(&[b"PTTL", name.as_bytes()])? {
        Reply::Int(left) => Ok((0..SOON_MS).contains(&left)),
        other => Err(Failure::Reply(format!("PTTL: {other:?}"))),
    }
}

/// Two hashes with nothing but a restart between them.
pub fn same(before: &Option<String>, after: &Option<String>) -> Option<Violation> {
    let detail = || format!("DEBUG DIGEST was {before:?}, is {after:?}");
    (before != after).then(|| Violation::new(Rule::ReopenSame, "server", detail()))
}
