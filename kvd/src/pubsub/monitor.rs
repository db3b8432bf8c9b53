//! MONITOR: requests as lines for those who watch.

use std::fmt::Write;

use bytes::Bytes;
use resp::Request;

use super::Hub;
use crate::commands::{Entry, Flag};
use crate::session::registry::Client;

/// What is shown in place of a secret.
pub const REDACTED: &str = "(redacted)";

/// Shows a request that has run, unless it is one for operators.
#[cold]
pub fn show(hub: &Hub, entry: &Entry, request: &Request<'_>, client: &Client, database: u8, now_us: u64) {
    if !entry.command.has(Flag::Admin) && !entry.command.has(Flag::SkipMonitor) {
        hub.show(Bytes::from(line(entry, request, client, database, now_us)));
    }
}

/// `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`
fn line(entry: &Entry, request: &Request<'_>, client: &Client, database: u8, now_us: u64) -> String {
    let (seconds, microseconds) = (now_us / 1_000_000, now_us % 1_000_000);
    let path = client.address.strip_suffix(":0").unwrap_or(&client.address);
    let address = if client.unix { format!("unix:{path}") } else { client.address.clone() };
    let mut line = format!("+{seconds}.{microseconds:06} [{database} {address}]");
    for (index, argument) in request.iter().enumerate() {
        line.push(' ');
        quote(&mut line, if entry.is_secret(request, index) { REDACTED.as_bytes() } else { argument });
    }
    line.push_str("\r\n");
    line
}

/// In quotes, with Redis's escapes.
fn quote(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend(['\\', char::from(byte)]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_escaped_as_redis_escapes_them() {
        let mut out = String::new();
        quote(&mut out, b"a\"\\\n\r\t\x07\x08\x00\xff~");
        assert_eq!(out, r#""a\"\\\n\r\t\a\b\x00\xff~""#);
    }
}
