//! The judge's own RESP2: commands out, replies in. Deliberately not the server's parser.

use std::io::{self, BufRead, Read};

/// A reply, read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Simple(String),
    /// `-ERR …`
    Error(String),
    /// `:1`
    Int(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `$-1`, `*-1`
    Nil,
    /// `*2`
    Array(Vec<Reply>),
}

/// Appends one command.
pub fn encode(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads one reply. An end of the stream inside it is an error: the reply does not count.
pub fn read(from: &mut impl BufRead) -> io::Result<Reply> {
    let line = read_line(from)?;
    let (kind, rest) = line.split_at(1);
    match kind {
        "+" => Ok(Reply::Simple(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => Ok(Reply::Int(number(rest)?)),
        "$" => match number(rest)? {
            -1 => Ok(Reply::Nil),
            length => read_bulk(from, length),
        },
        "*" => match number(rest)? {
            -1 => Ok(Reply::Nil),
            count => (0..count).map(|_| read(from)).collect::<io::Result<_>>().map(Reply::Array),
        },
        _ => Err(garbage(&line)),
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(64 * 1024).read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\r\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.len() - 2);
    let line = String::from_utf8_lossy(&line).into_owned();
    if line.is_empty() || !line.is_char_boundary(1) { Err(garbage(&line)) } else { Ok(line) }
}

fn read_bulk(from: &mut impl BufRead, length: i64) -> io::Result<Reply> {
    let length = usize::try_from(length).map_err(|_| garbage("negative length"))?;
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    let mut end = [0; 2];
    from.read_exact(&mut end)?;
    if &end == b"\r\n" { Ok(Reply::Bulk(bytes)) } else { Err(garbage("a bulk without its end")) }
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| garbage(text))
}

fn garbage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {what:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read() {
        let mut bytes: &[u8] = b"+OK\r\n-ERR no\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n:1\r\n*0\r\n";
        let replies: Vec<_> = (0..6).map(|_| read(&mut bytes).unwrap()).collect();
        assert_eq!(replies[0], Reply::Simple("OK".into()));
        assert_eq!(replies[1], Reply::Error("ERR no".into()));
        assert_eq!(replies[2], Reply::Int(-7));
        assert_eq!(replies[3], Reply::Bulk(b"a\r\n".to_vec()));
        assert_eq!(replies[4], Reply::Nil);
        assert_eq!(replies[5], Reply::Array(vec![Reply::Int(1), Reply::Array(vec![])]));
    }

    #[test]
    fn half_a_reply_is_none() {
        for whole in [&b"+OK\r\n"[..], b"$3\r\nabc\r\n", b"*2\r\n:1\r\n:2\r\n"] {
            for cut in 0..whole.len() {
                assert!(read(&mut &whole[..cut]).is_err(), "{cut} bytes of {whole:?}");
            }
        }
    }
}
