//! A server with data that must stay, whatever others do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::row::Life;
use crate::client::{Address, Client};
use crate::error::{Failure, Result};
use crate::files;
use crate::process::{Launch, Mode, Program, Server};
use crate::wire::Reply;

/// Keys that must stay, with their values.
const KEPT: usize = 1000;
/// Longest wait for a server to answer after an attack.
const ANSWER: Duration = Duration::from_secs(30);

/// Which server is attacked.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its name in the table.
    pub name: String,
    /// How it is started.
    pub program: Program,
    /// It stores what it is given.
    pub is_store: bool,
    /// Its environment.
    pub env: Vec<(String, String)>,
}

impl Kind {
    /// A program's, or a command line's with `{port}`.
    pub fn of(server: &str) -> Self {
        let program = if server.contains("{port}") {
            Program::Template(server.to_owned())
        } else {
            Program::Redis(server.into())
        };
        let name = Path::new(program.name()).file_name().map_or("server".into(), |name| name.to_string_lossy());
        Self { name: name.into_owned(), program: program.clone(), is_store: true, env: Vec::new() }
    }

    /// This project's.
    pub fn kvd(path: PathBuf) -> Self {
        Self { name: "kvd".to_owned(), program: Program::Kvd(path), is_store: true, env: Vec::new() }
    }

    /// A server that answers PING and stores nothing.
    pub fn null(path: &Path) -> Self {
        let program = Program::Template(format!("{} {{port}} lossy", path.display()));
        Self { name: "null server".to_owned(), program, is_store: false, env: Vec::new() }
    }
}

/// One of them, running. Dropped, it is killed.
pub struct Victim {
    /// Which.
    pub kind: Kind,
    server: Server,
    _room: TempDir,
}

impl Victim {
    /// Starts it and gives it its data.
    pub fn start(kind: &Kind, args: &[String]) -> Result<Self> {
        let room = TempDir::with_prefix("harness-attack-")?;
        let dir = room.path().join("data");
        files::make_dir(&dir)?;
        let launch = Launch {
            program: kind.program.clone(),
            log: room.path().join("output"),
            dir,
            mode: Mode::EverySec,
            args: if kind.is_store { args.to_vec() } else { Vec::new() },
            env: kind.env.clone(),
            wrapper: Vec::new(),
        };
        let victim = Self { kind: kind.clone(), server: launch.start()?, _room: room };
        if kind.is_store {
            let mut client = victim.server.connect()?;
            for index in 0..KEPT {
                client.queue(&[b"SET", &key(index), &value(index)]);
            }
            client.flush()?;
            for _ in 0..KEPT {
                client.reply()?;
            }
        }
        Ok(victim)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        match self.server.address {
            Address::Tcp(address) => Ok(address),
            Address::Unix(_) => Err(Failure::Usage("attacks go to TCP ports".to_owned())),
        }
    }

    /// A connection for what puts things right afterwards: one that has its password.
    pub fn connect(&self) -> Result<Client> {
        self.server.connect()
    }

    /// What is left of it. `old` is a connection from before.
    pub fn life(&mut self, old: &mut Client) -> Life {
        if let Ok(Some(status)) = self.server.ended() {
            return Life::Dead(status.to_string());
        }
        match self.answers(old) {
            Ok(life) => life,
            Err(error) => match self.server.ended() {
                Ok(Some(status)) => Life::Dead(status.to_string()),
                _ => Life::Silent(error.to_string()),
            },
        }
    }

    /// Its last words.
    pub fn output(&self) -> String {
        self.server.output()
    }

    fn answers(&self, old: &mut Client) -> Result<Life> {
        // Whoever wants a password now answers too.
        let fresh = Client::connect(&self.server.address, ANSWER)?.call(&[b"PING"])?;
        let is_answer = match &fresh {
            Reply::Simple(text) => text == "PONG",
            Reply::Error(text) => text.starts_with("NOAUTH"),
            _ => false,
        };
        if !is_answer {
            return Ok(Life::Changed(format!("PING: {fresh:?}")));
        }
        if !self.kind.is_store {
            return Ok(Life::Alive);
        }
        let keys: Vec<Vec<u8>> = (0..KEPT).map(key).collect();
        let words: Vec<&[u8]> = std::iter::once(&b"MGET"[..]).chain(keys.iter().map(Vec::as_slice)).collect();
        let Reply::Array(values) = old.call(&words)? else {
            return Ok(Life::Changed("MGET is no array".to_owned()));
        };
        let missing = values.iter().enumerate().filter(|(index, found)| **found != Reply::Bulk(value(*index))).count();
        Ok(if missing == 0 { Life::Alive } else { Life::Changed(format!("{missing} of {KEPT} values are not there")) })
    }
}

fn key(index: usize) -> Vec<u8> {
    format!("kept:{index}").into_bytes()
}

fn value(index: usize) -> Vec<u8> {
    format!("value {index} ").repeat(1 + index % 50).into_bytes()
}
