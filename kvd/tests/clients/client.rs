//! A client whose requests and replies a test spells out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::server::Target;

/// How long a test waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(20);
const LOOKS: usize = 2000;
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A server of our own: these tests change what holds for all its clients.
pub fn own() -> Option<Target> {
    let target = Target::from_environment();
    if target.is_foreign() {
        println!("the limits of a server that others may use stay as they are");
        return None;
    }
    Some(target)
}

/// A connection of a client.
pub struct Client<S: Read + Write = TcpStream>(pub S);

impl Client {
    pub fn connect(target: &Target) -> Client {
        let stream = TcpStream::connect(&target.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Client(stream)
    }

    /// Everything until the server closes the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the connection is still open after {} bytes: {error}", bytes.len()),
        }
    }
}

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).and_then(|()| self.0.flush()).expect("the server reads");
    }

    /// Sends a line and checks the reply, which is known.
    #[track_caller]
    pub fn expect(&mut self, request: &str, reply: &str) {
        self.send(format!("{request}\r\n"));
        self.expect_reply(reply);
    }

    #[track_caller]
    pub fn expect_reply(&mut self, reply: &str) {
        let mut bytes = vec![0; reply.len()];
        self.0.read_exact(&mut bytes).expect("the server answers");
        assert_eq!(String::from_utf8_lossy(&bytes), reply);
    }

    /// Waits until a number in INFO is as it is to become.
    #[track_caller]
    pub fn until(&mut self, name: &str, is_so: impl Fn(u64) -> bool) {
        for _ in 0..LOOKS {
            if is_so(self.info(name)) {
                return;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        panic!("{name} stays {}", self.info(name));
    }

    /// The next line of a reply.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        while !line.ends_with('\n') {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("the server answers");
            line.push(char::from(byte[0]));
        }
        line.trim_end().to_owned()
    }

    /// A reply that is a text.
    pub fn text(&mut self, request: &str) -> String {
        self.send(format!("{request}\r\n"));
        let length: usize = self.line().trim_start_matches('$').parse().expect("a bulk string");
        let mut text = vec![0; length + 2];
        self.0.read_exact(&mut text).expect("the server answers");
        String::from_utf8(text).expect("it is text")
    }

    /// A number in INFO.
    pub fn info(&mut self, name: &str) -> u64 {
        let text = self.text("INFO everything");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is not in {text}"))
    }
}

pub fn set(key: &str, bytes: usize) -> Vec<u8> {
    let mut request = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${bytes}\r\n", key.len()).into_bytes();
    request.resize(request.len() + bytes, b'v');
    request.extend_from_slice(b"\r\n");
    request
}

/// The bytes of the reply to `GET` for a value of that many.
pub fn bulk(bytes: usize) -> usize {
    format!("${bytes}\r\n").len() + bytes + 2
}
