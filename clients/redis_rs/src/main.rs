//! Runs steps.json with redis-rs: `redis_rs PORT STEPS_FILE`. Speaks RESP3 and reports as steps.py does.

#![expect(clippy::disallowed_methods, reason = "a client outside: it waits by the clock of the machine")]

use redis::{Client, Connection, RedisResult, Value as Reply};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

const POLL: Duration = Duration::from_millis(20);

fn main() {
    let mut arguments = env::args().skip(1);
    let port = arguments.next().expect("a port");
    let path = arguments.next().expect("the file of steps");
    let text = fs::read_to_string(path).expect("the file of steps can be read");
    let steps: Vec<Json> = serde_json::from_str(&text).expect("the steps are a JSON list");
    let client = Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp3")).expect("a valid address");
    let mut connection = client.get_connection().expect("the server answers");

    for step in &steps {
        let restarted =
            if step["restart"] == true { reconnect(&client, &mut connection, within(step)) } else { Ok(()) };
        match restarted.and_then(|()| run(step, &mut connection)) {
            Ok(()) => println!("ok {}", step["name"].as_str().unwrap_or_default()),
            Err(problem) => println!("FAILED {}: {problem}", step["name"].as_str().unwrap_or_default()),
        }
    }
}

/// A broken connection stays broken in redis-rs: the client is asked for a new one.
fn reconnect(client: &Client, connection: &mut Connection, limit: Duration) -> Result<(), String> {
    println!("RESTART");
    io::stdin().read_line(&mut String::new()).map_err(|error| error.to_string())?;
    if Reply::SimpleString("PONG".into()) == redis::cmd("PING").query(connection).unwrap_or(Reply::Nil) {
        return Err("the old connection still answers".into());
    }
    let start = Instant::now();
    loop {
        match client.get_connection() {
            Ok(opened) => {
                *connection = opened;
                return Ok(());
            }
            Err(error) if start.elapsed() > limit => return Err(error.to_string()),
            Err(_) => thread::sleep(POLL),
        }
    }
}

fn run(step: &Json, connection: &mut Connection) -> Result<(), String> {
    if let Some(pattern) = step["scan"].as_str() {
        scan(step, pattern, connection)
    } else if let Some(parts) = step["pipeline"].as_array() {
        pipeline(step, parts, connection)
    } else {
        call(step, connection)
    }
}

fn call(step: &Json, connection: &mut Connection) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let reply = command(list(&step["call"]), 0).query::<Reply>(connection);
        if same(&step["reply"], &reply, 0) {
            return Ok(());
        }
        if start.elapsed() >= within(step) {
            return Err(shown(&reply));
        }
        thread::sleep(POLL);
    }
}

fn pipeline(step: &Json, parts: &[Json], connection: &mut Connection) -> Result<(), String> {
    let times = times(step);
    let mut pipe = redis::pipe();
    for i in 1..=times {
        pipe.add_command(command(parts, i));
    }
    let replies: Vec<Reply> = pipe.query(connection).map_err(|error| error.to_string())?;
    if replies.len() != times {
        return Err(format!("{} replies", replies.len()));
    }
    for (i, reply) in (1..).zip(replies) {
        let reply = Ok(reply);
        if !same(&step["reply"], &reply, i) {
            return Err(format!("reply {i} is {}", shown(&reply)));
        }
    }
    Ok(())
}

fn scan(step: &Json, pattern: &str, connection: &mut Connection) -> Result<(), String> {
    let wanted: HashSet<Vec<u8>> = (1..=times(step)).map(|i| bytes(&step["keys"], i)).collect();
    let mut scan = redis::cmd("SCAN");
    scan.cursor_arg(0).arg("MATCH").arg(pattern).arg("COUNT").arg(100);
    let keys = scan.iter::<Vec<u8>>(connection).map_err(|error| error.to_string())?;
    let found = keys.collect::<RedisResult<HashSet<_>>>().map_err(|error| error.to_string())?;
    if found == wanted {
        return Ok(());
    }
    Err(format!("{} keys absent, {} too many", wanted.difference(&found).count(), found.difference(&wanted).count()))
}

fn command(parts: &[Json], i: usize) -> redis::Cmd {
    let mut command = redis::Cmd::new();
    for part in parts {
        command.arg(bytes(part, i));
    }
    command
}

/// The bytes that an argument or an expected string stands for.
fn bytes(node: &Json, i: usize) -> Vec<u8> {
    if let Some(text) = node.as_str() {
        return text.replace("{i}", &i.to_string()).into_bytes();
    }
    if let Some(digits) = node["hex"].as_str() {
        let pairs = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
        return pairs.collect::<Result<_, _>>().expect("pairs of hexadecimal digits");
    }
    node["repeat"].as_str().expect("text, hex or repeat").repeat(times(node)).into_bytes()
}

fn same(expected: &Json, reply: &RedisResult<Reply>, i: usize) -> bool {
    if let Some(prefix) = expected["error"].as_str() {
        return matches!(reply, Err(error) if error_text(error).starts_with(prefix));
    }
    matches!(reply, Ok(reply) if holds(expected, reply, i))
}

fn holds(expected: &Json, reply: &Reply, i: usize) -> bool {
    match reply {
        Reply::Nil => expected.is_null(),
        Reply::Int(number) => match (&expected["range"][0], &expected["range"][1]) {
            (Json::Number(low), Json::Number(high)) => low.as_i64() <= Some(*number) && Some(*number) <= high.as_i64(),
            _ if expected["integer"].is_string() => bytes(&expected["integer"], i) == number.to_string().as_bytes(),
            _ => expected.as_i64() == Some(*number),
        },
        Reply::Array(items) => expected.as_array().is_some_and(|expected| {
            expected.len() == items.len() && expected.iter().zip(items).all(|(expected, item)| holds(expected, item, i))
        }),
        Reply::Map(pairs) => expected["map"].as_object().is_some_and(|expected| {
            expected.iter().all(|(name, expected)| {
                pairs.iter().any(|(key, item)| text(key) == Some(name.as_bytes()) && holds(expected, item, i))
            })
        }),
        _ => text(reply).is_some_and(|reply| match expected["contains"].as_str() {
            Some(part) => String::from_utf8_lossy(reply).contains(part),
            None => (expected.is_string() || expected.is_object()) && bytes(expected, i) == reply,
        }),
    }
}

fn text(reply: &Reply) -> Option<&[u8]> {
    match reply {
        Reply::Okay => Some(b"OK"),
        Reply::BulkString(bytes) => Some(bytes),
        Reply::SimpleString(text) | Reply::VerbatimString { text, .. } => Some(text.as_bytes()),
        _ => None,
    }
}

/// The error as the server sent it: redis-rs splits off the first word.
fn error_text(error: &redis::RedisError) -> String {
    format!("{} {}", error.code().unwrap_or_default(), error.detail().unwrap_or_default())
}

fn shown(reply: &RedisResult<Reply>) -> String {
    format!("{reply:?}").chars().take(200).collect()
}

fn times(node: &Json) -> usize {
    node["times"].as_u64().expect("how many times") as usize
}

fn within(step: &Json) -> Duration {
    Duration::from_millis(step["within_ms"].as_u64().unwrap_or_default())
}

fn list(node: &Json) -> &[Json] {
    node.as_array().expect("a list")
}
