//! From defaults, file, environment and command line to one [`Settings`]; each source outranks those before it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Place};
use super::flags::{self, Invocation};
use super::kind::UNBALANCED;
use super::row::{Row, find, rows, variable};
use super::settings::Settings;
use super::{accepted, warnings};
use crate::acl::{Declaration, Wrong};

/// A chain of included files that is longer is a circle.
const MAX_INCLUDE_DEPTH: usize = 16;

/// Variables that belong to other parts of the program.
const OTHER_VARIABLES: &[&str] = &["KVD_FAILPOINTS", "KVD_MUTANT", "KVD_LOG"];

/// What Kubernetes sets in every container beside a service that is called `kvd`.
const SERVICE_VARIABLES: &[&str] = &["KVD_SERVICE_", "KVD_PORT_"];

const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";

/// What the program is to do.
#[derive(Debug)]
pub enum Start {
    /// Serve.
    Run(Box<Loaded>),
    /// Print the version.
    Version,
    /// Print this text.
    Help(String),
}

/// A configuration that was read.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What the operator should know, one message each.
    pub warnings: Vec<String>,
    /// The configuration file, as it was named.
    pub file: Option<PathBuf>,
}

/// Where a value was given; later ones outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    File,
    Environment,
    CommandLine,
}

/// What was given, besides the settings that came of it.
#[derive(Default)]
pub(super) struct Given {
    /// The last source of each setting that was given.
    pub(super) sources: BTreeMap<&'static str, Source>,
    /// Words that are no settings any more.
    pub(super) retired: Vec<&'static str>,
    pub(super) warnings: Vec<String>,
}

/// Reads everything. `arguments` are without the program's name; `read_file` is asked for `-` when standard input is
/// meant.
pub fn load(
    arguments: impl Iterator<Item = OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
    read_file: impl Fn(&Path) -> io::Result<Vec<u8>>,
) -> Result<Start, ConfigError> {
    let arguments = match flags::parse(arguments) {
        Invocation::Version => return Ok(Start::Version),
        Invocation::Help => return Ok(Start::Help(flags::help())),
        Invocation::Run(arguments) => arguments,
    };
    let mut loader = Loader { settings: Settings::default(), given: Given::default(), read_file: &read_file };
    if let Some(path) = &arguments.file {
        loader.file(path, Source::File, 0, &Place::File)?;
    }
    if arguments.standard_input {
        loader.file(Path::new("-"), Source::File, 0, &Place::StandardInput)?;
    }
    loader.environment(environment)?;
    for directive in &arguments.directives {
        let wrong = |problem| wrong(Place::CommandLine, &directive.typed, problem);
        loader.directive(&directive.words, Source::CommandLine, 0).map_err(|fault| fault.or(wrong))?;
    }
    let Loader { mut settings, given, .. } = loader;
    let warnings = warnings::settle(&mut settings, given);
    Ok(Start::Run(Box::new(Loaded { settings, warnings, file: arguments.file })))
}

/// What is wrong with a directive: its own text, or an error inside the file it includes.
enum Fault {
    Problem(String),
    Inside(ConfigError),
}

impl Fault {
    fn or(self, wrong: impl FnOnce(String) -> ConfigError) -> ConfigError {
        match self {
            Fault::Problem(problem) => wrong(problem),
            Fault::Inside(error) => error,
        }
    }
}

impl<T: Into<String>> From<T> for Fault {
    fn from(problem: T) -> Fault {
        Fault::Problem(problem.into())
    }
}

struct Loader<'a, R> {
    settings: Settings,
    given: Given,
    read_file: &'a R,
}

impl<R: Fn(&Path) -> io::Result<Vec<u8>>> Loader<'_, R> {
    fn file(
        &mut self,
        path: &Path,
        source: Source,
        depth: usize,
        place: &dyn Fn(usize) -> Place,
    ) -> Result<(), ConfigError> {
        let text = (self.read_file)(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let directive = resp::split_words(line).map_err(|_| Fault::from(UNBALANCED));
            let done = directive.and_then(|directive| self.directive(&directive, source, depth));
            done.map_err(|fault| fault.or(|problem| wrong(place(number), line, problem)))?;
        }
        Ok(())
    }

    fn environment(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) -> Result<(), ConfigError> {
        // In order, so that of two wrong ones always the same is named.
        let ours = variables.filter(|(name, _)| name.as_bytes().starts_with(b"KVD_"));
        for (name, value) in ours.collect::<BTreeMap<_, _>>() {
            let name = name.to_string_lossy();
            if OTHER_VARIABLES.contains(&&*name) || SERVICE_VARIABLES.iter().any(|start| name.starts_with(start)) {
                continue;
            }
            if name == "KVD_PORT" && value.as_bytes().starts_with(b"tcp://") {
                let warning = "KVD_PORT is ignored: its value is that of a Kubernetes service called kvd, not a port";
                self.given.warnings.push(warning.to_owned());
                continue;
            }
            let row = rows().find(|row| row.names().any(|known| variable(known) == name));
            let done = match row {
                Some(row) => self.setting(row, &[value.as_bytes()], Source::Environment),
                None => Err("no setting has this variable".into()),
            };
            done.map_err(|problem| {
                // The value of an unknown variable may be a password as well.
                let is_secret = row.is_none_or(Row::is_secret);
                let value = if is_secret { "…".into() } else { value.to_string_lossy() };
                wrong(Place::Environment, format!("{name}={value}").as_bytes(), problem)
            })?;
        }
        Ok(())
    }

    fn directive(&mut self, directive: &[Vec<u8>], source: Source, depth: usize) -> Result<(), Fault> {
        let (name, values) = directive.split_first().ok_or(BAD_DIRECTIVE)?;
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        if let Some(row) = find(name) {
            return Ok(self.setting(row, &values, source)?);
        }
        if let (true, &[path]) = (is("include"), &*values) {
            return self.include(Path::new(std::ffi::OsStr::from_bytes(path)), source, depth + 1);
        }
        if is("user") {
            return Ok(self.user(&values)?);
        }
        if let (Some(word), [_]) = (accepted::RETIRED.iter().find(|word| is(word)), &*values) {
            self.given.retired.push(word);
            return Ok(());
        }
        let refused = accepted::REFUSED.iter().find(|(word, _)| is(word));
        Err(refused.map_or(BAD_DIRECTIVE, |&(_, why)| why).into())
    }

    fn setting(&mut self, row: &'static Row, values: &[&[u8]], source: Source) -> Result<(), String> {
        let before = row.value(&self.settings);
        let starts_over = row.kind.adds_up() && self.given.sources.get(row.name) != Some(&source);
        let value = row.parse(values, (!starts_over).then_some(&before))?;
        row.put(&mut self.settings, value);
        self.given.sources.insert(row.name, source);
        Ok(())
    }

    fn user(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let declared = Declaration::parse(words)?;
        if self.settings.users.iter().any(|other| other.name == declared.name) {
            let name = String::from_utf8_lossy(&declared.name);
            return Err(format!("Error in user declaration '{name}': {}", Wrong::Duplicate));
        }
        self.settings.users.push(declared);
        Ok(())
    }

    fn include(&mut self, path: &Path, source: Source, depth: usize) -> Result<(), Fault> {
        if depth > MAX_INCLUDE_DEPTH {
            return Err("too many files include each other".into());
        }
        if path.as_os_str().as_bytes().iter().any(|byte| b"*?[".contains(byte)) {
            return Err("include with a pattern is not supported: name each file".into());
        }
        let place = |line| Place::Included(path.to_owned(), line);
        self.file(path, source, depth, &place).map_err(Fault::Inside)
    }
}

/// The error for a directive, shown without what nobody may read in a log.
fn wrong(place: Place, line: &[u8], problem: String) -> ConfigError {
    let name = line.split(|byte| byte.is_ascii_whitespace() || *byte == b'=').next().unwrap_or_default();
    let bare = name.strip_prefix(b"--").unwrap_or(name).to_ascii_lowercase();
    let is_secret = bare == b"user" || find(&bare).is_some_and(Row::is_secret);
    let shown = if is_secret { [name, " …".as_bytes()].concat() } else { line.to_vec() };
    ConfigError::Directive { place, line: String::from_utf8_lossy(&shown).into_owned(), problem }
}
