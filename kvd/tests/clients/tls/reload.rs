//! Certificates that are exchanged while the server runs.

use rustix::process::{Pid, Signal, kill_process};

use super::certificates::Authority;
use super::client::TlsClient;
use super::{LOOK_PAUSE, LOOKS, TlsServer};
use crate::files;

const PROTECTED: &str = "can't set protected config\r\n";

impl TlsServer {
    fn hang_up(&self) {
        let id = self.plain().info("process_id");
        let id = Pid::from_raw(id as i32).expect("it is a process");
        kill_process(id, Signal::HUP).expect("it is ours");
    }

    /// Waits until the server shows this certificate.
    #[track_caller]
    fn until_shown(&self, is_right: impl Fn(&[u8]) -> bool) {
        for _ in 0..LOOKS {
            if is_right(&self.connect().certificate()) {
                return;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        panic!("the server shows another certificate: {}", self.log());
    }
}

#[test]
fn sighup_reads_certificate_and_key_again_and_connections_stay() {
    let server = TlsServer::start();
    let mut before = server.connect();
    let first = before.certificate();
    server.install(&server.authority.issue("localhost"));
    assert_eq!(server.connect().certificate(), first, "nobody has asked yet");
    server.hang_up();
    server.until_shown(|shown| shown != first);
    before.expect("PING", "+PONG\r\n");
    assert_eq!(before.certificate(), first);
    server.until_logged("SIGHUP: certificate, key and authorities for TLS were read again");
}

#[test]
fn files_that_are_wrong_leave_what_was_read_before() {
    let server = TlsServer::start();
    let first = server.connect().certificate();
    let certificate = server.path("server.pem");
    // One that does not go with the key that is there.
    files::put(&certificate, server.authority.issue("localhost").certificate);
    server.hang_up();
    server.until_logged("does not go with the key");
    server.until_logged("what was read before stays in force");
    assert_eq!(server.connect().certificate(), first);
    let mut plain = server.plain();
    let set = format!("CONFIG SET tls-cert-file {}", certificate.display());
    let refused = "-ERR CONFIG SET failed (possibly related to argument 'tls-cert-file') - Unable to update TLS \
                   configuration. Check server logs.\r\n";
    plain.expect(&set, refused);
    files::remove(&certificate);
    plain.expect(&set, refused);
    plain.expect("CONFIG SET tls-auth-clients optional", &refused.replace("tls-cert-file", "tls-auth-clients"));
    plain.expect("CONFIG GET tls-auth-clients", "*2\r\n$16\r\ntls-auth-clients\r\n$2\r\nno\r\n");
    assert_eq!(server.connect().certificate(), first);
    server.install(&server.authority.issue("localhost"));
    plain.expect(&set, "+OK\r\n");
    assert_ne!(server.connect().certificate(), first);
}

#[test]
fn config_set_of_the_same_path_reads_again_and_no_other_path_is_taken() {
    let server = TlsServer::start();
    let first = server.connect().certificate();
    let mut plain = server.plain();
    server.install(&server.authority.issue("localhost"));
    for (setting, name) in
        [("tls-cert-file", "server.pem"), ("tls-key-file", "server.key"), ("tls-ca-cert-file", "ca.pem")]
    {
        let refused = format!("-ERR CONFIG SET failed (possibly related to argument '{setting}') - {PROTECTED}");
        for other in ["/etc/passwd", "", "server.pem"] {
            plain.expect(&format!("CONFIG SET {setting} \"{other}\""), &refused);
        }
        assert_eq!(server.connect().certificate() == first, name == "server.pem");
        plain.expect(&format!("CONFIG SET {setting} {}", server.path(name).display()), "+OK\r\n");
        assert_ne!(server.connect().certificate(), first);
    }
    let refused = "-ERR CONFIG SET failed (possibly related to argument 'tls-ca-cert-dir') - ";
    plain.expect("CONFIG SET tls-ca-cert-dir /etc", &format!("{refused}{PROTECTED}"));
}

#[test]
fn other_authorities_count_from_the_next_handshake_on() {
    let server = TlsServer::with(&[]);
    let other = Authority::new("second");
    let known = server.authority.trust_as(&server.authority.issue("client"));
    let unknown = server.authority.trust_as(&other.issue("client"));
    let mut before = TlsClient::connect_tls(server.tls_port, known.clone()).expect("it is let in");
    assert!(TlsClient::connect_tls(server.tls_port, unknown.clone()).is_err());
    files::put(server.path("ca.pem"), other.pem());
    server.plain().expect(&format!("CONFIG SET tls-ca-cert-file {}", server.path("ca.pem").display()), "+OK\r\n");
    TlsClient::connect_tls(server.tls_port, unknown).expect("it is let in");
    // Nor does it resume what the authorities before have let in.
    assert!(TlsClient::connect_tls(server.tls_port, known).is_err());
    before.expect("PING", "+PONG\r\n");
}

#[test]
fn a_directory_of_authorities_is_as_good_as_a_file() {
    let folder = tempfile::tempdir().expect("there is room");
    let other = Authority::new("second");
    files::put(folder.path().join("one.pem"), other.pem());
    files::put(folder.path().join("README"), "no certificate");
    std::os::unix::fs::symlink("one.pem", folder.path().join("0a1b2c3d.0")).expect("it can be");
    let server =
        TlsServer::with(&["--tls-ca-cert-file", "", "--tls-ca-cert-dir", &folder.path().display().to_string()]);
    let config = server.authority.trust_as(&other.issue("client"));
    TlsClient::connect_tls(server.tls_port, config).expect("it is let in").expect("PING", "+PONG\r\n");
    let config = server.authority.trust_as(&server.authority.issue("client"));
    assert!(TlsClient::connect_tls(server.tls_port, config).is_err());
}

#[test]
fn a_server_without_tls_outlives_sighup() {
    let server = TlsServer::start();
    let mut plain = server.plain();
    plain.expect("CONFIG SET tls-port 0", "+OK\r\n");
    server.hang_up();
    server.until_logged("SIGHUP: there is no port for TLS");
    plain.expect("PING", "+PONG\r\n");
}
