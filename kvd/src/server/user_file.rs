//! The file of users that `aclfile` names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::rewrite;
use crate::acl::{Declaration, User, Users, text};
use crate::config::{self, ChannelDefault, Settings};

/// The users that the settings of a start make: those of the file, or the default one and those that are declared.
pub fn users(settings: &Settings) -> Result<Users, String> {
    let all_channels = settings.acl_pubsub_default == ChannelDefault::All;
    let users = Users::new(settings.requirepass.expose(), all_channels);
    let made = match path(settings) {
        Some(_) if !settings.users.is_empty() => return Err(BOTH.to_owned()),
        Some(path) => users.load(&read(&path)?),
        None => users.declare(&settings.users),
    };
    made.map_err(|error| error.to_string())?;
    let is_declared = settings.aclfile.is_some() || !settings.users.is_empty();
    if is_declared
        && users.is_open()
        && let Some(warning) = config::exposed(settings)
    {
        tracing::warn!("the default user needs no password: {warning}");
    }
    Ok(users)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn users_are_declared_in_one_place() {
        let mut settings = Settings::default();
        settings.aclfile = Some("users.acl".into());
        let alice = Declaration::parse(&[b"alice", b"on"]).expect("it is right");
        settings.users.push(alice);
        assert_eq!(users(&settings).err().as_deref(), Some(BOTH));
        settings.users.clear();
        assert!(users(&settings).is_err_and(|error| error.contains("users.acl")), "there is no such file");
    }

    #[test]
    fn the_default_user_is_declared_only_if_requirepass_does_not_say_it_all() {
        let mut settings = Settings::default();
        settings.requirepass = Secret::from("secret");
        let users = users(&settings).expect("nothing is declared");
        assert!(to_declare(&settings, &users).is_empty());
        users.set(b"default", &[b"-flushall".to_vec()]).expect("it is a rule");
        users.set(b"alice", &[]).expect("it has no rules");
        let lines = to_declare(&settings, &users);
        assert!(lines.len() == 2 && lines[1].starts_with(b"user default on sanitize-payload #"), "{lines:?}");
    }
}
