//! What goes through an encrypted connection: all that goes through a plain one, in whatever pieces.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use rustls::version::{TLS12, TLS13};

use super::TlsServer;
use super::client::{TlsClient, tcp};
use crate::client::{bulk, set};

const MIB: usize = 1 << 20;

/// A socket that sends one byte at a time.
struct Dripping(TcpStream);

impl Read for Dripping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Dripping {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(&buffer[..buffer.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn requests_come_through_in_both_versions() {
    let server = TlsServer::start();
    for version in [&TLS12, &TLS13] {
        let config = server.authority.trust_in(version);
        let mut client = TlsClient::connect_tls(server.tls_port, config).expect("it is let in");
        client.expect("PING", "+PONG\r\n");
        client.expect("SET key value", "+OK\r\n");
        client.expect("GET key", "$5\r\nvalue\r\n");
        client.expect("QUIT", "+OK\r\n");
        assert!(client.rest().is_empty());
    }
}

#[test]
fn a_byte_at_a_time_is_enough() {
    let server = TlsServer::start();
    for version in [&TLS12, &TLS13] {
        let config = server.authority.trust_in(version);
        let mut client = TlsClient::over(Dripping(tcp(server.tls_port)), config).expect("it is let in");
        client.expect("SET key value", "+OK\r\n");
        // One record, of which the server sees the end only after 16,000 looks at the socket.
        client.send(format!("SET key {}\r\n", "v".repeat(16_000)));
        client.expect_reply("+OK\r\n");
        client.expect("STRLEN key", ":16000\r\n");
    }
}

#[test]
fn a_large_value_goes_both_ways() {
    let server = TlsServer::start();
    let mut client = server.connect();
    let pattern: Vec<u8> = (0..10 * MIB).map(|at| (at % 251) as u8).collect();
    client.send(format!("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${}\r\n", pattern.len()));
    client.send(&pattern);
    client.send("\r\n");
    client.expect_reply("+OK\r\n");
    for _ in 0..3 {
        client.send("GET large\r\n");
        client.expect_reply(&format!("${}\r\n", pattern.len()));
        let mut value = vec![0; pattern.len()];
        client.0.read_exact(&mut value).expect("the server answers");
        assert!(value == pattern);
        client.expect_reply("\r\n");
    }
    let mut plain = server.plain();
    plain.expect("STRLEN large", &format!(":{}\r\n", pattern.len()));
}

#[test]
fn ten_thousand_requests_at_once() {
    let server = TlsServer::start();
    let mut client = server.connect();
    let requests: String = (0..10_000).map(|number| format!("SET key:{number} {number}\r\n")).collect();
    client.send(requests);
    client.expect_reply(&"+OK\r\n".repeat(10_000));
    let requests: String = (0..10_000).map(|number| format!("GET key:{number}\r\n")).collect();
    client.send(requests);
    for number in 0..10_000 {
        let value = number.to_string();
        client.expect_reply(&format!("${}\r\n{value}\r\n", value.len()));
    }
}

#[test]
fn keys_are_exchanged_as_the_client_likes() {
    let server = TlsServer::start();
    let mut client = server.connect();
    for number in 1..=100 {
        client.0.conn.refresh_traffic_keys().expect("it is TLS 1.3");
        client.expect("INCR counter", &format!(":{number}\r\n"));
    }
    // Without anything else it is a waste of the server's time.
    for _ in 0..100 {
        client.0.conn.refresh_traffic_keys().expect("it is TLS 1.3");
    }
    let _ = client.0.flush();
    assert!(client.0.read(&mut [0; 8]).is_err());
    server.connect().expect("GET counter", "$3\r\n100\r\n");
}

#[test]
fn a_spoilt_record_closes_its_connection_and_no_other() {
    let server = TlsServer::start();
    let mut other = server.connect();
    // An announced length with other bytes behind it, one too long for any record, and a record of another type.
    for (header, bytes) in
        [(b"\x17\x03\x03\x40\x00", 16384), (b"\x17\x03\x03\xff\xff", 100), (b"\x16\x03\x03\x00\x20", 32)]
    {
        for pieces in [1, 16384] {
            let mut client = server.connect();
            let spoilt = [&header[..], &vec![7; bytes]].concat();
            for piece in spoilt.chunks(pieces) {
                // It may be closed before the last one.
                let _ = client.0.sock.write_all(piece);
            }
            let mut got = Vec::new();
            assert!(client.0.read_to_end(&mut got).is_err() && got.is_empty(), "{header:?}");
            other.expect("PING", "+PONG\r\n");
        }
    }
    server.plain().until("connected_clients", |clients| clients == 2);
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_loses_nothing() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    plain.send(set("large", 4 * MIB));
    plain.expect_reply("+OK\r\n");
    let mut slow = server.connect();
    slow.send("GET large\r\nINCR counter\r\n".repeat(8));
    // Nothing more is run while so much waits.
    plain.until("client_recent_max_output_buffer", |bytes| bytes >= MIB as u64);
    for _ in 0..100 {
        plain.expect("PING", "+PONG\r\n");
    }
    plain.send("GET counter\r\n");
    assert_ne!(plain.line(), "$1\r\n8");
    let mut value = vec![0; bulk(4 * MIB)];
    for number in 1..=8 {
        slow.0.read_exact(&mut value).expect("the server answers");
        assert!(value.starts_with(b"$4194304\r\nvvv") && value.ends_with(b"vvv\r\n"));
        slow.expect_reply(&format!(":{number}\r\n"));
    }
    slow.expect("PING", "+PONG\r\n");
}

#[test]
fn limits_on_output_close_the_connection() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    plain.send(set("large", MIB));
    plain.expect_reply("+OK\r\n");
    plain.expect("CONFIG SET client-output-buffer-limit \"normal 2mb 0 0\"", "+OK\r\n");
    let mut greedy = server.connect();
    greedy.send(format!("PING\r\nMGET{}\r\n", " large".repeat(100)));
    let mut got = Vec::new();
    // It is cut off, with or without a word.
    let _ = greedy.0.read_to_end(&mut got);
    assert!(got.len() < 2 * MIB);
    assert_eq!(plain.info("client_output_buffer_limit_disconnections"), 1);
    plain.until("connected_clients", |clients| clients == 1);
    plain.expect("CONFIG SET client-output-buffer-limit \"pubsub 1mb 0 0\"", "+OK\r\n");
    let mut deaf = server.connect();
    deaf.expect("SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    let message = format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$100000\r\n{}\r\n", "m".repeat(100_000));
    while plain.info("client_output_buffer_limit_disconnections") == 1 {
        plain.send(&message);
        plain.line();
    }
    plain.until("connected_clients", |clients| clients == 1);
}

#[test]
fn what_others_cause_is_sent_too() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    let mut listener = server.connect();
    listener.expect("SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    plain.expect("PUBLISH a x", ":1\r\n");
    listener.expect_reply("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
    let mut blocked = server.connect();
    blocked.send("BLPOP list 0\r\n");
    plain.until("blocked_clients", |clients| clients == 1);
    plain.expect("RPUSH list element", ":1\r\n");
    blocked.expect_reply("*2\r\n$4\r\nlist\r\n$7\r\nelement\r\n");
    let mut monitor = server.connect();
    monitor.expect("MONITOR", "+OK\r\n");
    plain.expect("SET seen yes", "+OK\r\n");
    assert!(monitor.line().ends_with("\"SET\" \"seen\" \"yes\""));
    // One that waits and goes is noticed, also behind what it has sent.
    blocked.send("BLPOP list 0\r\n");
    plain.until("blocked_clients", |clients| clients == 1);
    blocked.send("PING\r\n");
    drop(blocked);
    plain.until("blocked_clients", |clients| clients == 0);
}

#[test]
fn clients_are_listed_and_killed() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    let mut client = server.connect();
    client.expect("CLIENT SETNAME encrypted", "+OK\r\n");
    client.send("CLIENT ID\r\n");
    let id = client.line().trim_start_matches(':').to_owned();
    let list = plain.text("CLIENT LIST");
    let line = list.lines().find(|line| line.contains("name=encrypted")).expect("it is listed");
    assert!(line.starts_with(&format!("id={id} addr=127.0.0.1:")), "{line}");
    assert!(line.contains(&format!("laddr=127.0.0.1:{} ", server.tls_port)), "{line}");
    plain.expect(&format!("CLIENT KILL ID {id}"), ":1\r\n");
    assert!(client.rest().is_empty());
    // One whose handshake has not begun, too.
    let mut silent = tcp(server.tls_port);
    plain.until("connected_clients", |clients| clients == 2);
    plain.expect(&format!("CLIENT KILL LADDR 127.0.0.1:{}", server.tls_port), ":1\r\n");
    assert_eq!(silent.read(&mut [0; 8]).ok(), Some(0));
}

#[test]
fn idle_clients_are_closed_in_time() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    let mut idle = server.connect();
    plain.expect("CONFIG SET timeout 1", "+OK\r\n");
    // The plain client asks all the time.
    plain.until("connected_clients", |clients| clients == 1);
    assert!(idle.rest().is_empty());
}

#[test]
fn a_client_that_has_said_all_gets_its_replies() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    plain.send(set("large", 4 * MIB));
    plain.expect_reply("+OK\r\n");
    for request in ["MGET large large\r\n", "SET a b\r\nWAITAOF 1 0 0\r\nGET large\r\n"] {
        let mut client = server.connect();
        client.send(request);
        client.0.conn.send_close_notify();
        client.0.conn.write_tls(&mut client.0.sock).expect("the server reads");
        client.0.sock.shutdown(Shutdown::Write).expect("it is open");
        let got = client.rest();
        assert!(got.len() >= bulk(4 * MIB) && got.ends_with(b"vvv\r\n"), "{} bytes", got.len());
    }
}

#[test]
fn a_server_that_ends_sends_what_it_has_acknowledged() {
    let server = TlsServer::with(&["--tls-auth-clients", "no", "--appendfsync", "always"]);
    let mut plain = server.plain();
    let mut client = server.connect();
    client.send("INCR counter\r\n".repeat(5000));
    client.expect_reply(":1\r\n");
    plain.send("SHUTDOWN\r\n");
    // Each reply that is there is whole and in order; the connection ends behind one.
    let mut got = Vec::new();
    let _ = client.0.read_to_end(&mut got);
    let text = String::from_utf8(got).expect("it is text");
    let expected: String = (2..=5000).map(|number| format!(":{number}\r\n")).collect();
    assert!(expected.starts_with(&text) && (text.is_empty() || text.ends_with("\r\n")), "{} bytes", text.len());
}
