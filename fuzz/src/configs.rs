//! Configuration files: any text is settings or an error for people, and settings that are written are read again.
//!
//! An input is up to three files, with a zero byte between them. The first is the configuration file; it and the others may
//! include `b` and `c`.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use kvd::acl::Users;
use kvd::config::{Change, ChannelDefault, ConfigError, Settings, Start, find, load};
use kvd::server::user_file;

/// The files, as `include` names them.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Starts with a configuration, and says it again in every way there is.
pub fn check(input: &[u8]) {
    let files: Vec<&[u8]> = input.splitn(NAMES.len(), |byte| *byte == 0).collect();
    let settings = match read(&files) {
        Ok(settings) => settings,
        Err(error) => {
            let text = error.to_string();
            let is_safe = |byte: char| byte == '\n' || !byte.is_control();
            return assert!(text.chars().all(is_safe), "for a terminal: {text:?}");
        }
    };
    let written = settings.to_file();
    let mut again = read(&[written.as_bytes()]).expect(&written);
    // Users are no settings.
    again.users.clone_from(&settings.users);
    assert_eq!(again, settings, "{written}");
    change_nothing(&settings);
    rewrite(&settings, &files);
}

fn read(files: &[&[u8]]) -> Result<Settings, ConfigError> {
    match load([OsString::from(NAMES[0])].into_iter(), std::iter::empty(), |path| open(files, path))? {
        Start::Run(loaded) => Ok(loaded.settings),
        other => panic!("no file asks for {other:?}"),
    }
}

fn open(files: &[&[u8]], path: &Path) -> io::Result<Vec<u8>> {
    let file = NAMES.iter().zip(files).find(|(name, _)| Path::new(name) == path);
    file.map(|(_, text)| text.to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// CONFIG SET takes what CONFIG GET shows, and nothing is another then.
fn change_nothing(settings: &Settings) {
    let shown = |settings: &Settings| settings.get(&[b"*"], |_, _| true);
    for ((name, value), (_, default)) in shown(settings).into_iter().zip(shown(&Settings::default())) {
        let may_change = find(name.as_bytes()).is_some_and(|row| row.change == Change::Allowed);
        if value != default && may_change {
            let set = settings.set(&[(name.as_bytes(), value.as_bytes())]);
            let (again, changed) = set.unwrap_or_else(|error| panic!("{name} {value}: {error}"));
            assert!(again == *settings && changed.is_empty(), "{name} {value}: {changed:?}");
        }
    }
}

/// The lines of the users that a start makes.
fn declared(settings: &Settings) -> Vec<Vec<u8>> {
    let all_channels = settings.acl_pubsub_default == ChannelDefault::All;
    let users = Users::new(settings.requirepass.expose(), all_channels);
    users.declare(&settings.users).expect("they were read");
    user_file::to_declare(settings, &users)
}

/// CONFIG REWRITE makes a file that a start reads as these settings, whatever stood in the old one.
fn rewrite(settings: &Settings, files: &[&[u8]]) {
    let path = Path::new(NAMES[0]);
    for old in [files[0], b""] {
        let users = declared(settings);
        let rewritten = settings.rewrite(path, old, false, &users, &|path| open(files, path));
        let text = rewritten.expect("it started with that file");
        let mut now = files.to_vec();
        now[0] = &text;
        let mut read = read(&now).unwrap_or_else(|error| panic!("{error}: {}", text.escape_ascii()));
        assert_eq!(declared(&read), users, "{}", text.escape_ascii());
        read.users.clone_from(&settings.users);
        assert!(read == *settings, "{}", text.escape_ascii());
    }
}
