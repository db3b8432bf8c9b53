//! TLS: what connections on `tls-port` are encrypted with.
//!
//! ```text
//!  settings ─► config (files, authorities) ─┐
//!              key (also encrypted ones)    ├─► one rustls configuration, replaced as a whole ─► new handshakes
//!              suites (OpenSSL's names)     │
//!              sessions (resumption)        ┘
//!
//!  socket ─ ciphertext ─► channel ─ plaintext ─► the worker's read buffer        one channel for each connection
//!  socket ◄─ ciphertext ─ channel ◄─ plaintext ─ the connection's output
//! ```
//!
//! A connection keeps the configuration that it began its handshake with. Not done here: sockets that are listened on
//! (`server/listen`), and the time that a handshake may take (`server/task`).

mod channel;
mod config;
mod key;
mod sessions;
pub mod suites;

use std::io;
use std::sync::Arc;

use engine::clock::Clock;
use parking_lot::{Mutex, MutexGuard, RwLock};
use rustls::ServerConfig;

pub use self::channel::Channel;
pub use self::config::TlsError;
use crate::config::Settings;

/// What new handshakes use.
pub struct Tls {
    clock: Arc<dyn Clock>,
    /// None while there is no port for TLS.
    in_force: RwLock<Option<Arc<ServerConfig>>>,
    /// Held from reading the settings to putting into force what was made of them.
    changing: Mutex<()>,
}

impl Tls {
    /// What the settings ask for: nothing while `tls-port` is 0.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> io::Result<Tls> {
        let tls = Tls { clock, in_force: RwLock::default(), changing: Mutex::default() };
        tls.replace(tls.prepare(settings).map_err(io::Error::other)?);
        Ok(tls)
    }

    /// The configuration for a connection that has come.
    pub fn in_force(&self) -> Option<Arc<ServerConfig>> {
        self.in_force.read().clone()
    }

    /// Reads all files anew and makes a configuration of them, which is not yet in force.
    pub fn prepare(&self, settings: &Settings) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        let wanted = (settings.tls_port != 0).then(|| config::build(settings, &self.clock));
        wanted.transpose()
    }

    /// Puts a configuration in force for handshakes to come; the one before.
    pub fn replace(&self, config: Option<Arc<ServerConfig>>) -> Option<Arc<ServerConfig>> {
        std::mem::replace(&mut *self.in_force.write(), config)
    }

    /// Who changes it holds this until settings and configuration agree again.
    pub fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }
}
