//! Golden wire vectors: one behaviour a file, its first line says which.
//!
//! A file is a transcript. Lines that begin with `limits`, `send` or `decode` are input; the others are what must come
//! of it, in order. Bytes are quoted and escaped as in Rust.

use std::fmt::Write;
use std::path::Path;

use bytes::BytesMut;
use resp::{Limits, ReplyCodec, RequestCodec, Version};
use tokio_util::codec::{Decoder, Encoder};

#[test]
fn requests() {
    check("requests", request_transcript);
}

#[test]
fn replies() {
    check("replies", reply_transcript);
}

fn check(folder: &str, transcript: fn(&str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut differing = Vec::new();
    for path in paths {
        let expected = std::fs::read_to_string(&path).unwrap();
        assert!(expected.starts_with("# "), "{} does not say what it shows", path.display());
        let found = transcript(&expected);
        if found != expected {
            println!("==> {}\n{found}", path.display());
            differing.push(path);
        }
    }
    assert!(differing.is_empty(), "other than expected: {differing:?}; what came is printed above");
}

/// Plays `send` lines to a codec; after each: the requests found, then the error, or what is still wanted.
fn request_transcript(script: &str) -> String {
    let mut codec = RequestCodec::new(Limits::AUTHENTICATED);
    let mut buffer = BytesMut::new();
    let mut out = String::new();
    for line in script.lines() {
        if let Some(name) = line.strip_prefix("limits ") {
            codec.set_limits(limits(name));
        } else if let Some(bytes) = line.strip_prefix("send ") {
            buffer.extend_from_slice(&unquote(bytes));
        } else if !line.starts_with('#') {
            continue;
        }
        writeln!(out, "{line}").unwrap();
        if line.starts_with("send ") {
            decode_requests(&mut codec, &mut buffer, &mut out);
        }
    }
    out
}

fn decode_requests(codec: &mut RequestCodec, buffer: &mut BytesMut, out: &mut String) {
    loop {
        match codec.decode(buffer) {
            Ok(Some(batch)) => {
                writeln!(out, "batch").unwrap();
                for request in batch.iter() {
                    let arguments: Vec<_> = request.iter().map(quote).collect();
                    writeln!(out, "  {}", arguments.join(" ")).unwrap();
                }
                codec.recycle(batch);
            }
            Ok(None) if codec.is_mid_request() => {
                return writeln!(out, "partial, {} more", codec.bytes_wanted()).unwrap();
            }
            Ok(None) => return writeln!(out, "idle").unwrap(),
            Err(error) => return writeln!(out, "error {}", quote(&error.reply_text())).unwrap(),
        }
    }
}

fn limits(name: &str) -> Limits {
    let settings = Limits::AUTHENTICATED;
    match name {
        "authenticated" => settings,
        "unauthenticated" => Limits::UNAUTHENTICATED,
        "max_arguments 2" => Limits { max_arguments: 2, ..settings },
        "max_bulk_bytes 4" => Limits { max_bulk_bytes: 4, ..settings },
        "max_inline_bytes 64" => Limits { max_inline_bytes: 64, ..settings },
        "max_request_bytes 30" => Limits { max_request_bytes: 30, ..settings },
        "max_batch_requests 2" => Limits { max_batch_requests: 2, ..settings },
        other => panic!("no limits called {other}"),
    }
}

/// Plays `decode` lines to a fresh codec each; after each: every frame, how it is written in both versions, the error.
fn reply_transcript(script: &str) -> String {
    let mut out = String::new();
    for line in script.lines() {
        if line.starts_with('#') {
            writeln!(out, "{line}").unwrap();
        }
        let Some(bytes) = line.strip_prefix("decode ") else { continue };
        writeln!(out, "{line}").unwrap();
        let mut codec = ReplyCodec::new(Version::Resp2);
        let mut buffer = BytesMut::from(&unquote(bytes)[..]);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => {
                    writeln!(out, "{frame:?}").unwrap();
                    for (name, version) in [("resp2", Version::Resp2), ("resp3", Version::Resp3)] {
                        let mut wire = BytesMut::new();
                        ReplyCodec::new(version).encode(frame.clone(), &mut wire).unwrap();
                        writeln!(out, "  {name} {}", quote(&wire)).unwrap();
                    }
                }
                Ok(None) if buffer.is_empty() && !codec.is_mid_reply() => break,
                Ok(None) => break writeln!(out, "partial").unwrap(),
                Err(error) => break writeln!(out, "error {error}").unwrap(),
            }
        }
    }
    out
}

/// Quotes bytes as the scripts do; a long run of one byte as that byte and a count.
fn quote(bytes: &[u8]) -> String {
    match bytes {
        [first, .., last] if bytes.len() > 60 && bytes.iter().all(|byte| byte == first) => {
            format!("\"{}\"*{}", last.escape_ascii(), bytes.len())
        }
        _ => format!("\"{}\"", bytes.escape_ascii().to_string().replace("\\'", "'")),
    }
}

/// The bytes of a quoted text; `"…"*1000` repeats it, and texts may stand one behind the other.
fn unquote(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while let Some(quoted) = rest.strip_prefix('"') {
        let (bytes, behind) = unescape(quoted);
        let (count, behind) = match behind.strip_prefix('*') {
            Some(behind) => behind.split_once(' ').unwrap_or((behind, "")),
            None => ("1", behind),
        };
        out.extend(bytes.repeat(count.parse().expect("a count follows *")));
        rest = behind.trim_start();
    }
    assert!(rest.is_empty(), "not a quoted text: {text}");
    out
}

/// The bytes up to the closing quote, and what stands behind it.
fn unescape(text: &str) -> (Vec<u8>, &str) {
    let mut bytes = Vec::new();
    let mut rest = text;
    loop {
        let (first, behind) = rest.split_at(1);
        rest = behind;
        match first {
            "\"" => return (bytes, rest),
            "\\" => {
                let (kind, behind) = rest.split_at(1);
                rest = behind;
                bytes.push(match kind {
                    "r" => b'\r',
                    "n" => b'\n',
                    "t" => b'\t',
                    "x" => {
                        let (digits, behind) = rest.split_at(2);
                        rest = behind;
                        u8::from_str_radix(digits, 16).expect("two hex digits follow \\x")
                    }
                    other => other.as_bytes()[0],
                });
            }
            other => bytes.extend_from_slice(other.as_bytes()),
        }
    }
}
