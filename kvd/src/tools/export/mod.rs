//! `kvd export` and `kvd --parse-snapshot`: what a store or an RDB file holds, as the commands that make it again.

mod commands;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use engine::clock::{Clock, SystemClock};
use engine::disk::{Disk, OsDisk};
use engine::{Contents, DATABASES, Item, value};
use rdb::file::{MAGIC, Record};

use self::commands::Commands;
use super::Failure;
use super::import::marker;
use crate::config::Settings;

/// Prints a store.
pub(super) fn store(settings: &Settings) -> Result<ExitCode, Failure> {
    let dir = settings.dir.display();
    let disk = OsDisk::read_only(&settings.dir).map_err(|error| format!("cannot read the directory {dir}: {error}"))?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    marker::refuse(&*disk, &settings.dbfilename)?;
    let contents = Contents::open(&disk, &SystemClock::new(), &super::reading(settings))
        .map_err(|error| format!("cannot read the store in {dir}: {error}"))?;
    let dropped = contents.found().dropped_bytes;
    if dropped > 0 {
        eprintln!("kvd export: {dropped} bytes of a torn tail are left out, as a start would");
    }
    let mut commands = Commands::new(io::stdout().lock());
    for database in 0..DATABASES as u8 {
        contents.visit(database, |key, item| print(&mut commands, database, key, item))?;
    }
    finish(commands)
}

/// Prints what a file holds: the main file of a store, or an RDB file.
pub(super) fn snapshot(path: &Path, mut settings: Settings, skips: bool) -> Result<ExitCode, Failure> {
    let shown = path.display();
    #[expect(
        clippy::disallowed_methods,
        reason = "it is looked at to tell what it is; a store's files have their door"
    )]
    let file = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut file = BufReader::new(file);
    if !io::BufRead::fill_buf(&mut file)?.starts_with(MAGIC) {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| format!("{shown} is no file"))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        parent.clone_into(&mut settings.dir);
        name.clone_into(&mut settings.dbfilename);
        return store(&settings);
    }
    rdb(file, skips).map_err(|error| format!("{shown}: {error}").into())
}

fn rdb(input: impl Read, skips: bool) -> Result<ExitCode, Failure> {
    let now_ms = SystemClock::new().wall_ms();
    let mut reader = rdb::file::Reader::new(input)?;
    let mut commands = Commands::new(io::stdout().lock());
    while let Some(record) = reader.next_record()? {
        match record {
            Record::Entry(entry) if entry.deadline_ms.is_some_and(|deadline| deadline <= now_ms) => {}
            Record::Entry(entry) => {
                commands.begin(entry.place.database)?;
                let key = &entry.place.key;
                match &entry.value {
                    rdb::Value::String(bytes) => commands.string(key, bytes)?,
                    rdb::Value::List(elements) => commands.list(key, elements.iter())?,
                    rdb::Value::Set(members) => commands.set(key, members.iter())?,
                    rdb::Value::Hash(fields) => {
                        let live = fields.iter().filter(|(_, _, at)| at.is_none_or(|at| at > now_ms));
                        commands.hash(key, live.map(|(name, value, at)| (name, value, *at)))?;
                    }
                    rdb::Value::Zset(members) => {
                        commands.zset(key, members.iter().map(|(name, score)| (name, *score)))?
                    }
                }
                commands.end(key, entry.deadline_ms)?;
            }
            Record::Unsupported(place, what) if skips => eprintln!("skipped: {place} is a {what}"),
            Record::Unsupported(place, what) => {
                return Err(
                    format!("{place} is a {what}, which is not supported; --skip-unsupported passes over it").into()
                );
            }
            Record::Functions => eprintln!("skipped: a library of functions"),
            Record::ModuleData => eprintln!("skipped: data of a module"),
            Record::Empty(place) => eprintln!("skipped: {place} has no elements"),
        }
    }
    finish(commands)
}

fn print<W: Write>(commands: &mut Commands<W>, database: u8, key: &[u8], item: Item<'_>) -> Result<(), Failure> {
    commands.begin(u64::from(database))?;
    let other = |_| format!("key \"{}\" is of another type than it says", key.escape_ascii());
    match item.value_type() {
        value::LIST => commands.list(key, item.list().map_err(other)?.iter_from(0))?,
        value::SET => {
            commands.set(key, item.set().map_err(other)?.iter().map(|member| member.with(<[u8]>::to_vec)))?;
        }
        value::HASH => {
            let hash = item.hash().map_err(other)?;
            commands.hash(key, hash.iter().map(|(name, field)| (name, field.value, field.deadline)))?;
        }
        value::ZSET => commands.zset(key, item.zset().map_err(other)?.from_rank(0))?,
        _ => commands.string(key, item.string().map_err(other)?)?,
    }
    Ok(commands.end(key, item.deadline())?)
}

fn finish(commands: Commands<impl Write>) -> Result<ExitCode, Failure> {
    let keys = commands.finish()?;
    eprintln!("exported {keys} keys");
    Ok(ExitCode::SUCCESS)
}
