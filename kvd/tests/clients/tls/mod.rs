//! TLS as clients find it: handshakes, traffic, and certificates that are exchanged while the server runs.

mod certificates;
mod client;
mod handshakes;
mod reload;
mod traffic;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use self::certificates::{Authority, Identity};
use self::client::TlsClient;
use crate::client::Client;
use crate::files;
use crate::server::Target;

const LOOKS: usize = 2000;
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A server with a port for TLS, and the authority that its certificate is from.
struct TlsServer {
    target: Target,
    tls_port: u16,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl TlsServer {
    /// One that asks no client for a certificate.
    fn start() -> TlsServer {
        TlsServer::with(&["--tls-auth-clients", "no"])
    }

    fn with(arguments: &[&str]) -> TlsServer {
        let folder = tempfile::tempdir().expect("there is room for certificates");
        let authority = Authority::new("first");
        files::put(folder.path().join("ca.pem"), authority.pem());
        let tls_port = free_port();
        let server = TlsServer { target: Target::with(&[]), tls_port, authority, folder };
        server.install(&server.authority.issue("localhost"));
        // The first one only kept the place.
        let path = |name: &str| server.path(name).display().to_string();
        let files = [
            ("--tls-cert-file", path("server.pem")),
            ("--tls-key-file", path("server.key")),
            ("--tls-ca-cert-file", path("ca.pem")),
            ("--logfile", path("log")),
        ];
        let port = tls_port.to_string();
        let mut all = vec!["--tls-port", &port];
        all.extend(files.iter().flat_map(|(name, value)| [*name, value]));
        all.extend(arguments);
        TlsServer { target: Target::with(&all), ..server }
    }

    /// A file beside the certificates.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes this the certificate that is there to be read.
    fn install(&self, identity: &Identity) {
        files::put(self.path("server.pem"), &identity.certificate);
        files::put(self.path("server.key"), &identity.key);
    }

    /// A client that trusts the server's authority and has no certificate.
    fn connect(&self) -> TlsClient {
        TlsClient::connect_tls(self.tls_port, self.authority.trust()).expect("it is let in")
    }

    /// A client without TLS.
    fn plain(&self) -> Client {
        Client::connect(&self.target)
    }

    /// Waits until the log holds this text.
    #[track_caller]
    fn until_logged(&self, text: &str) {
        for _ in 0..LOOKS {
            if self.log().contains(text) {
                return;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        panic!("'{text}' is not in the log: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
