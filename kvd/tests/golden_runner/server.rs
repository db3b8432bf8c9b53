//! The server that scripts are played against: the real `kvd`, started for the test, or any other by address.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A server that answers.
pub struct Target {
    /// Host and port.
    pub address: String,
    own: Option<(Child, tempfile::TempDir)>,
}

static STARTING: Mutex<()> = Mutex::new(());
const START_TRIES: usize = 1000;
const START_PAUSE: Duration = Duration::from_millis(10);

impl Target {
    /// The server that `GOLDEN_SERVER` names, else a `kvd` of our own.
    pub fn from_environment() -> Target {
        match std::env::var("GOLDEN_SERVER") {
            Ok(address) => Target { address, own: None },
            Err(_) => Target::with(&["--enable-debug-command", "yes"]),
        }
    }

    /// Whether it is not our own.
    pub fn is_foreign(&self) -> bool {
        self.own.is_none()
    }

    /// A `kvd` of our own that is started with more arguments.
    pub fn with(arguments: &[&str]) -> Target {
        // Two that start at once could choose the same port.
        let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("there is room for a store");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("there is a free port").port();
        let child = Command::new(env!("CARGO_BIN_EXE_kvd"))
            .args(arguments)
            .args(["--port", &port.to_string(), "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program is built");
        let target = Target { address: format!("127.0.0.1:{port}"), own: Some((child, folder)) };
        for _ in 0..START_TRIES {
            if target.is_ready() {
                return target;
            }
            std::thread::sleep(START_PAUSE);
        }
        panic!("kvd does not answer at {}", target.address);
    }

    /// Whether it answers, and has its store open.
    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.write_all(b"PING\r\n")?;
            let mut reply = [0; 8];
            let read = stream.read(&mut reply)?;
            Ok(read > 0 && &reply != b"-LOADING")
        };
        ask().unwrap_or(false)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
