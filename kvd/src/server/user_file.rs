//! The file of users that `aclfile` names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::rewrite;
use crate::acl::{Declaration, User, Users, text};
use crate::config::{ChannelDefault, Settings};

/// The users that the settings of a start make: those of the file, or the default one and those that are declared.
pub fn users(settings: &Settings) -> Result<Users, String> {
    let all_channels = settings.acl_pubsub_default == ChannelDefault::All;
    let users = Users::new(settings.requirepass.expose(), all_channels);
    let made = match path(settings) {
        Some(_) if !settings.users.is_empty() => return Err(BOTH.to_owned()),
        Some(path) => users.load(&read(&path)?),
        None => users.declare(&settings.users),
    };
    made.map(|()| users).map_err(|error| error.to_string())
}

const BOTH: &str = "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is \
                    invalid. This setup is very likely to lead to configuration errors and security holes, please \
                    define either an ACL file or declare users directly in your redis.conf, but not both.";

/// Where it is; one that is not absolute is in the directory of the store, as in Redis.
pub fn path(settings: &Settings) -> Option<PathBuf> {
    settings.aclfile.as_ref().map(|file| settings.dir.join(file))
}

/// The lines by which a configuration file declares users, so that the next start has those of now: none when they are in a
/// file of their own, and without the default user if nothing but `requirepass` has changed it.
pub fn to_declare(settings: &Settings, users: &Users) -> Vec<Vec<u8>> {
    if settings.aclfile.is_some() {
        return Vec::new();
    }
    let all_channels = settings.acl_pubsub_default == ChannelDefault::All;
    let default = Users::new(settings.requirepass.expose(), all_channels).default_user().line();
    users.all().iter().map(|user| user.line()).filter(|line| *line != default).collect()
}

/// The users that it declares, or what is wrong.
pub fn read(path: &Path) -> Result<Vec<Declaration>, String> {
    let shown = path.display().to_string();
    let text = std::fs::read(path).map_err(|error| format!("Error loading ACLs, opening file '{shown}': {error}"))?;
    text::parse_file(&shown, &text)
}

/// Writes users to it. After a crash it is the old file or the new one, whole. Blocks on the disk.
pub fn write(path: &Path, users: &[Arc<User>]) -> io::Result<()> {
    /// Two that write at once do so one after the other.
    static WRITING: Mutex<()> = Mutex::new(());

    let _writing = WRITING.lock();
    let lines: Vec<u8> = users.iter().flat_map(|user| user.line().into_iter().chain([b'\n'])).collect();
    rewrite::replace(path, &lines)
}
