//! How a server ends an attacker: with an error, without a word, or not at all.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use crate::clock;

/// Bytes of replies that are looked at; an attacker that is answered more than this is answered.
const LOOKED_AT: usize = 1 << 20;

/// Reads what the server says until it closes or falls silent, and puts it into words: the first error, and what became of the
/// connection.
pub fn of(stream: &mut TcpStream, patience: Duration) -> String {
    let (said, is_closed) = hear(stream, patience);
    let end = if is_closed { "closed" } else { "held" };
    match first_error(&said) {
        Some(error) => format!("{error}; {end}"),
        None if said.is_empty() => end.to_owned(),
        None => format!("answered; {end}"),
    }
}

/// Whether anything is said at all.
pub fn is_answered(mut stream: &TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).is_ok() && stream.read(&mut [0; 64]).is_ok_and(|count| count > 0)
}

/// What the server says, and whether it closes.
pub fn hear(stream: &mut TcpStream, patience: Duration) -> (Vec<u8>, bool) {
    let (mut said, mut part) = (Vec::new(), vec![0; 16 << 10]);
    let end = clock::now() + patience;
    while said.len() < LOOKED_AT {
        let left = end.saturating_duration_since(clock::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return (said, false);
        }
        match stream.read(&mut part) {
            Ok(0) => return (said, true),
            Ok(count) => said.extend_from_slice(&part[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return (said, false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return (said, true),
        }
    }
    (said, false)
}

/// The first line that is an error, shortened.
fn first_error(said: &[u8]) -> Option<String> {
    let lines = said.split(|&byte| byte == b'\n');
    let error = lines.map(String::from_utf8_lossy).find(|line| line.starts_with('-'))?;
    Some(error.trim_end().chars().skip(1).take(70).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    /// How a server that says this and then closes, or not, is put into words.
    fn told(says: &[u8], closes: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut served, _) = listener.accept().unwrap();
        served.write_all(says).unwrap();
        let held = (!closes).then_some(served);
        let told = of(&mut client, Duration::from_millis(100));
        drop(held);
        told
    }

    #[test]
    fn every_end_has_its_words() {
        assert_eq!(told(b"-ERR Protocol error: too big\r\n", true), "ERR Protocol error: too big; closed");
        assert_eq!(told(b"+PONG\r\n-ERR no\r\n", false), "ERR no; held");
        assert_eq!(told(b"+PONG\r\n", false), "answered; held");
        assert_eq!(told(b"", true), "closed");
        assert_eq!(told(b"", false), "held");
    }
}
