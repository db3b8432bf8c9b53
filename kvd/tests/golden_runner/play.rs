//! Plays a script and compares.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use resp::{Frame, ReplyCodec, Version, encode_request};
use tokio_util::codec::Decoder;

use super::script::{Ask, Manner, Script, Step};
use super::show::{show, sort};

/// A reply that is not the one written.
pub struct Difference {
    /// Line number, from 1.
    pub line: usize,
    /// The request.
    pub request: String,
    /// The reply as written.
    pub expected: String,
    /// The reply as it came.
    pub found: String,
}

const PATIENCE: Duration = Duration::from_secs(20);
const UNTIL_TRIES: usize = 500;
const UNTIL_PAUSE: Duration = Duration::from_millis(10);

/// Plays a script on a connection of its own, against an empty server. Its steps then hold the replies that came, but
/// for those that were right.
pub fn play(script: &mut Script, address: &str) -> Vec<Difference> {
    let mut connection = Connection::open(address);
    connection.ask(&[b"FLUSHALL".to_vec()]);
    let mut differences = Vec::new();
    for step in &mut script.steps {
        match step {
            Step::Protocol(version) => {
                connection.ask(&[b"HELLO".to_vec(), version.as_bytes().to_vec()]);
            }
            Step::Ask(ask) => {
                let found = answer(&mut connection, ask);
                if !agree(&ask.expected, &found) {
                    differences.push(Difference {
                        line: ask.line + 1,
                        request: ask.request.clone(),
                        expected: ask.expected.join("\n"),
                        found: found.join("\n"),
                    });
                    ask.expected = merged(&ask.expected, found);
                }
            }
        }
    }
    differences
}

fn answer(connection: &mut Connection, ask: &Ask) -> Vec<String> {
    let arguments = ask.arguments();
    let mut tries = if ask.manner == Manner::Until { UNTIL_TRIES } else { 1 };
    loop {
        let mut reply = connection.ask(&arguments);
        if ask.manner == Manner::Sorted {
            sort(&mut reply);
        }
        let found = show(&reply);
        tries -= 1;
        if tries == 0 || agree(&ask.expected, &found) {
            return found;
        }
        std::thread::sleep(UNTIL_PAUSE);
    }
}

fn agree(expected: &[String], found: &[String]) -> bool {
    expected.len() == found.len() && expected.iter().zip(found).all(|(expected, found)| line_agrees(expected, found))
}

/// The reply that came, but for the lines that are as written: what they leave open stays open.
fn merged(expected: &[String], found: Vec<String>) -> Vec<String> {
    let aligned = expected.len() == found.len();
    let line = |(index, line): (usize, String)| match expected.get(index) {
        Some(written) if aligned && line_agrees(written, &line) => written.clone(),
        _ => line,
    };
    found.into_iter().enumerate().map(line).collect()
}

fn line_agrees(expected: &str, found: &str) -> bool {
    let (indent, bare) = expected.split_at(expected.len() - expected.trim_start().len());
    if bare.trim_end_matches(',') == "(any)" {
        return found.starts_with(indent);
    }
    let range = || {
        let (least, most) = bare.strip_prefix("(integer) ")?.trim_end_matches(',').split_once("..")?;
        let value: i64 = found.trim().strip_prefix("(integer) ")?.trim_end_matches(',').parse().ok()?;
        Some((least.parse().ok()?..=most.parse().ok()?).contains(&value))
    };
    expected == found || range().unwrap_or(false)
}

struct Connection {
    stream: TcpStream,
    codec: ReplyCodec,
    received: BytesMut,
}

impl Connection {
    fn open(address: &str) -> Connection {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Connection { stream, codec: ReplyCodec::new(Version::Resp2), received: BytesMut::new() }
    }

    fn ask(&mut self, arguments: &[Vec<u8>]) -> Frame {
        let mut request = BytesMut::new();
        encode_request(&mut request, arguments);
        self.stream.write_all(&request).expect("the server reads");
        loop {
            if let Some(reply) = self.codec.decode(&mut self.received).expect("the reply is well formed") {
                return reply;
            }
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Frame::Error("the connection was closed".into()),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) => return Frame::Error(error.to_string().into()),
            }
        }
    }
}
