//! A connection's own state, as commands see and change it.

pub mod gate;
pub mod output;
pub mod registry;

use std::sync::Arc;

use engine::random::Random;
use resp::Version;

use registry::Client;

/// What a connection is: who, which database, which protocol.
pub struct Session {
    /// What other connections may see of it.
    pub client: Arc<Client>,
    /// Logical database.
    pub database: u8,
    /// Reply format.
    pub version: Version,
    /// Whether AUTH was given or is not needed.
    pub authenticated: bool,
    /// For commands that ask for chance.
    pub random: Random,
}

impl Session {
    /// The state of a new connection.
    pub fn new(client: Arc<Client>, authenticated: bool) -> Session {
        let random = Random::new(client.id.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Session { client, database: 0, version: Version::Resp2, authenticated, random }
    }

    /// RESET: as it was when the client connected.
    pub fn reset(&mut self, authenticated: bool) {
        self.database = 0;
        self.version = Version::Resp2;
        self.authenticated = authenticated;
        self.client.set_name(b"");
        self.publish();
    }

    /// Lets CLIENT LIST see what changed.
    pub fn publish(&self) {
        self.client.publish(self.database, self.version);
    }
}
