//! Who is let in and who is not, and what becomes of those who never come to an end.

use std::io::{Read, Write};

use engine::clock::{Clock, SystemClock};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, HandshakeKind};

use super::certificates::Authority;
use super::client::{TlsClient, tcp};
use super::{TlsServer, free_port};
use crate::client::{Client, own};
use crate::files;

/// A record that begins a handshake and announces more than comes.
const HELLO_BEGUN: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
/// The same of an alert.
const FATAL_ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02";

#[test]
fn a_client_without_a_certificate_is_let_in_as_the_setting_says() {
    let server = TlsServer::with(&[]);
    let stranger = Authority::new("stranger");
    let known = server.authority.trust_as(&server.authority.issue("client"));
    let mut plain = server.plain();
    let mut refused = 0;
    for (setting, without, with_foreign) in
        [("yes", false, false), ("optional", true, false), ("no", true, true), ("yes", false, false)]
    {
        plain.expect(&format!("CONFIG SET tls-auth-clients {setting}"), "+OK\r\n");
        let tries = [
            (known.clone(), true),
            (server.authority.trust(), without),
            (server.authority.trust_as(&stranger.issue("client")), with_foreign),
        ];
        for (number, (config, is_let_in)) in tries.into_iter().enumerate() {
            let connected = TlsClient::connect_tls(server.tls_port, config);
            assert_eq!(connected.is_ok(), is_let_in, "{setting}, {number}: {:?}", connected.err());
            refused += u64::from(!is_let_in);
        }
        plain.until("failed_tls_handshakes", |failed| failed == refused);
        plain.until("connected_clients", |clients| clients == 1);
    }
    plain.expect("CONFIG RESETSTAT", "+OK\r\n");
    assert_eq!(plain.info("failed_tls_handshakes"), 0);
}

#[test]
fn a_server_of_another_authority_is_not_trusted() {
    let server = TlsServer::start();
    let other = Authority::new("other");
    let error = TlsClient::connect_tls(server.tls_port, other.trust()).err().expect("it is not trusted");
    assert!(error.to_string().contains("certificate"), "{error}");
    server.plain().until("failed_tls_handshakes", |failed| failed == 1);
    server.connect().expect("PING", "+PONG\r\n");
}

#[test]
fn only_the_versions_and_suites_of_the_settings_are_spoken() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    let connect = |version| TlsClient::connect_tls(server.tls_port, server.authority.trust_in(version));
    for (setting, older, newer) in [("TLSv1.2", true, false), ("TLSv1.3", false, true), ("TLSv1.2 TLSv1.3", true, true)]
    {
        plain.expect(&format!("CONFIG SET tls-protocols \"{setting}\""), "+OK\r\n");
        assert_eq!((connect(&TLS12).is_ok(), connect(&TLS13).is_ok()), (older, newer), "{setting}");
    }
    plain.expect("CONFIG SET tls-ciphersuites TLS_CHACHA20_POLY1305_SHA256", "+OK\r\n");
    plain.expect("CONFIG SET tls-ciphers ECDHE-ECDSA-AES128-GCM-SHA256", "+OK\r\n");
    for (version, suite) in [
        (&TLS13, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ] {
        let client = connect(version).expect("both know it");
        assert_eq!(client.0.conn.negotiated_cipher_suite().map(|chosen| chosen.suite()), Some(suite));
    }
    for (setting, value) in [("tls-protocols", "TLSv1.1"), ("tls-ciphers", "RC4"), ("tls-ciphersuites", "AES128-SHA")] {
        plain.send(format!("CONFIG SET {setting} {value}\r\n"));
        let refused = format!("-ERR CONFIG SET failed (possibly related to argument '{setting}') - ");
        assert!(plain.line().starts_with(&refused));
    }
    // The certificate's key is on a curve: no client can use this suite with it.
    plain.expect("CONFIG SET tls-protocols TLSv1.2 tls-ciphers ECDHE-RSA-AES128-GCM-SHA256", "+OK\r\n");
    assert!(connect(&TLS12).is_err());
}

#[test]
fn a_session_is_resumed_where_that_is_turned_on() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    for (setting, again) in [("yes", HandshakeKind::Resumed), ("no", HandshakeKind::Full)] {
        plain.expect(&format!("CONFIG SET tls-session-caching {setting}"), "+OK\r\n");
        for version in [&TLS12, &TLS13] {
            let config = server.authority.trust_in(version);
            for kind in [HandshakeKind::Full, again] {
                let mut client = TlsClient::connect_tls(server.tls_port, config.clone()).expect("it is let in");
                client.expect("PING", "+PONG\r\n");
                assert_eq!(client.0.conn.handshake_kind(), Some(kind), "{setting} {:?}", version.version);
            }
        }
    }
}

#[test]
fn a_handshake_that_does_not_end_ends_in_time_and_counts_as_a_client() {
    let server = TlsServer::with(&["--tls-auth-clients", "no", "--maxclients", "3"]);
    let mut plain = server.plain();
    let clock = SystemClock::new();
    let mut silent = tcp(server.tls_port);
    let mut half = tcp(server.tls_port);
    half.write_all(HELLO_BEGUN).expect("the server reads");
    plain.until("connected_clients", |clients| clients == 3);
    let mut one_too_many = tcp(server.tls_port);
    assert_eq!(one_too_many.read(&mut [0; 64]).ok(), Some(0));
    assert_eq!(plain.info("rejected_connections"), 1);
    for stream in [&mut silent, &mut half] {
        assert_eq!(stream.read(&mut [0; 64]).ok(), Some(0), "it is closed, and nothing is said");
    }
    let took_ms = clock.monotonic_ms();
    assert!(took_ms >= 4000, "{took_ms} ms");
    plain.until("connected_clients", |clients| clients == 1);
    assert_eq!(plain.info("failed_tls_handshakes"), 2);
    server.connect().expect("PING", "+PONG\r\n");
}

#[test]
fn what_is_no_tls_is_told_so_and_closed() {
    let server = TlsServer::with(&["--tls-auth-clients", "no", "--loglevel", "debug"]);
    let mut plain = server.plain();
    let mut begun = HELLO_BEGUN.to_vec();
    begun.resize(600, b'x');
    for (number, garbage) in
        [b"PING\r\n", &b"*1\r\n$4\r\nPING\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 100], &begun].iter().enumerate()
    {
        let mut stream = tcp(server.tls_port);
        stream.write_all(garbage).expect("the server reads");
        let mut said = Vec::new();
        // What it has not read makes the system forget what it has said.
        let _ = stream.read_to_end(&mut said);
        assert!(said.is_empty() || said.starts_with(FATAL_ALERT), "{number}: {said:?}");
        plain.until("failed_tls_handshakes", |failed| failed == number as u64 + 1);
    }
    assert!(!server.log().contains("PING") && !server.log().contains("xxxx"), "{}", server.log());
    server.until_logged("Error accepting a client connection: ");
    plain.expect("PING", "+PONG\r\n");
}

#[test]
fn a_tls_client_at_the_plain_port_is_told_so_and_closed() {
    let server = TlsServer::start();
    let port: u16 = server.target.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let error = TlsClient::connect_tls(port, server.authority.trust()).err().expect("it is no TLS");
    assert!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
    let mut stream = tcp(port);
    stream.write_all(HELLO_BEGUN).expect("the server reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it is closed");
    assert_eq!(said, "-ERR Protocol error: TLS handshake at a port without TLS\r\n");
}

#[test]
fn a_client_with_bytes_behind_its_handshake_loses_none() {
    let server = TlsServer::start();
    // The first request leaves with the client's last message of the handshake.
    for version in [&TLS12, &TLS13] {
        for _ in 0..20 {
            let config = server.authority.trust_in(version);
            let mut client = TlsClient::connect_tls(server.tls_port, config).expect("it is let in");
            client.send("PING\r\n".repeat(1000));
            client.expect_reply(&"+PONG\r\n".repeat(1000));
        }
    }
}

#[test]
fn strangers_are_told_of_protected_mode_within_tls() {
    let Some(address) = address_of_this_machine() else {
        println!("this machine has no address but those of the loopback");
        return;
    };
    let server = TlsServer::with(&["--tls-auth-clients", "no", "--bind", "127.0.0.1", &address]);
    let stream = std::net::TcpStream::connect((address.as_str(), server.tls_port)).expect("the server listens");
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("it is a name");
    let config = std::sync::Arc::new(server.authority.trust());
    let connection = rustls::ClientConnection::new(config, name).expect("it is a configuration");
    let mut client = Client(rustls::StreamOwned::new(connection, stream));
    let said = String::from_utf8(client.rest()).expect("it is text");
    assert!(said.starts_with("-DENIED ") && said.ends_with("\r\n"), "{said}");
    server.plain().until("rejected_connections", |rejected| rejected == 1);
}

/// An address of this machine that others reach it by. Nothing is sent.
fn address_of_this_machine() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

#[test]
fn the_port_for_tls_can_be_opened_and_closed_and_shows_itself() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    let text = plain.text("INFO server");
    let listeners: Vec<&str> = text.lines().filter(|line| line.starts_with("listener")).collect();
    let port = server.target.address.rsplit(':').next().expect("a port");
    let shown = [
        format!("listener0:name=tcp,bind=127.0.0.1,port={port}"),
        format!("listener2:name=tls,bind=127.0.0.1,port={}", server.tls_port),
    ];
    assert_eq!(listeners, shown);
    let other = free_port();
    plain.expect(&format!("CONFIG SET tls-port {other}"), "+OK\r\n");
    assert!(std::net::TcpStream::connect(("127.0.0.1", server.tls_port)).is_err());
    let mut client = TlsClient::connect_tls(other, server.authority.trust()).expect("it is let in");
    plain.expect("CONFIG SET tls-port 0", "+OK\r\n");
    assert!(std::net::TcpStream::connect(("127.0.0.1", other)).is_err());
    client.expect("CONFIG SET port 0 tls-port 0", "+OK\r\n");
    client.expect(&format!("CONFIG SET tls-port {other}"), "+OK\r\n");
    client
        .expect("CONFIG GET tls-port", &format!("*2\r\n$8\r\ntls-port\r\n${}\r\n{other}\r\n", other.to_string().len()));
    client.send("INFO server\r\n");
    while client.line() != format!("tcp_port:{other}") {}
    let mut again = TlsClient::connect_tls(other, server.authority.trust()).expect("it is let in");
    // The two ports change places.
    again.expect(&format!("CONFIG SET port {other} tls-port {}", server.tls_port), "+OK\r\n");
    server.connect().expect("PING", "+PONG\r\n");
    let mut bare = Client(tcp(other));
    bare.expect(&format!("CONFIG SET port {} tls-port {other}", server.tls_port), "+OK\r\n");
    TlsClient::connect_tls(other, server.authority.trust()).expect("it is let in").expect("PING", "+PONG\r\n");
}

#[test]
fn a_port_for_tls_without_a_certificate_is_an_error() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    let refused = "-ERR CONFIG SET failed (possibly related to argument 'tls-port') - Unable to update TLS \
                   configuration. Check server logs.\r\n";
    client.expect(&format!("CONFIG SET tls-port {}", free_port()), refused);
    client.expect("CONFIG GET tls-port", "*2\r\n$8\r\ntls-port\r\n$1\r\n0\r\n");
    drop(target);
    let folder = tempfile::tempdir().expect("there is room");
    let authority = Authority::new("one");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        files::put(&path, text);
        path.display().to_string()
    };
    let (one, other) = (authority.issue("localhost"), authority.issue("localhost"));
    let certificate = write("server.pem", &one.certificate);
    let (key, foreign_key) = (write("server.key", &one.key), write("other.key", &other.key));
    let empty = write("empty.pem", "nothing\n");
    let missing = folder.path().join("missing").display().to_string();
    for (certificate, key, authority, said) in [
        ("", &*key, &*certificate, "tls-cert-file is not set"),
        (&missing, &key, &certificate, "tls-cert-file"),
        (&empty, &key, &certificate, "no certificate (PEM) is in it"),
        (&certificate, "", &certificate, "tls-key-file is not set"),
        (&certificate, &empty, &certificate, "tls-key-file"),
        (&certificate, &foreign_key, &certificate, "does not go with the key"),
        (&certificate, &key, "", "must name authorities, unless tls-auth-clients is 'no'"),
        (&certificate, &key, &empty, "no certificate (PEM) is in it"),
    ] {
        let dir = folder.path().join("store");
        let started = std::process::Command::new(env!("CARGO_BIN_EXE_kvd"))
            .args(["--port", "0", "--tls-port", &free_port().to_string(), "--dir"])
            .arg(&dir)
            .args(["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority])
            .output();
        let started = started.expect("the program is built");
        let text = String::from_utf8_lossy(&started.stderr);
        assert!(!started.status.success() && text.contains("Failed to configure TLS: "), "{text}");
        assert!(text.contains(said), "{said}: {text}");
    }
}
