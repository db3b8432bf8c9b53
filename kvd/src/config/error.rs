//! What can be wrong with a configuration, in Redis's words.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why the server does not start. It shows itself as redis-server would, on several lines.
#[derive(Debug)]
pub enum ConfigError {
    /// A file cannot be read.
    Read {
        /// The file as it was named.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A directive is wrong.
    Directive {
        /// Where it stands.
        place: Place,
        /// The directive, without its value when that is a secret.
        line: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Where a directive stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The configuration file, at a line counted from 1.
    File(usize),
    /// A file it includes.
    Included(PathBuf, usize),
    /// Standard input.
    StandardInput(usize),
    /// An environment variable.
    Environment,
    /// A flag.
    CommandLine,
}

/// Control characters of a file, or of a file's name, are not sent to somebody's terminal.
fn visible(text: impl fmt::Display) -> String {
    text.to_string().replace(char::is_control, "?")
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(line) => write!(out, "Reading the configuration file, at line {line}"),
            Place::Included(path, line) => {
                write!(out, "Reading the included file '{}', at line {line}", visible(path.display()))
            }
            Place::StandardInput(line) => write!(out, "Reading the configuration from standard input, at line {line}"),
            Place::Environment => out.write_str("Reading the environment"),
            Place::CommandLine => out.write_str("Reading the command line"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Read { path, source } => {
                write!(out, "Fatal error, can't open config file '{}': {source}", visible(path.display()))
            }
            ConfigError::Directive { place, line, problem } => {
                let version = env!("CARGO_PKG_VERSION");
                let (line, problem) = (visible(line), visible(problem));
                write!(out, "*** FATAL CONFIG FILE ERROR (kvd {version}) ***\n{place}\n>>> '{line}'\n{problem}")
            }
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConfigError::Read { source, .. } => Some(source),
            ConfigError::Directive { .. } => None,
        }
    }
}

/// Why CONFIG SET changed nothing. It shows itself as the error reply, from `ERR` on and on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// There is no such setting.
    Unknown {
        /// As the client wrote it.
        name: String,
    },
    /// The setting cannot have this value, or no new one at all.
    Refused {
        /// The setting.
        name: String,
        /// Why.
        problem: String,
    },
}

impl SetError {
    /// The port or the addresses that were asked for, as this setting, are not to be had.
    pub fn cannot_listen(name: &str) -> SetError {
        let problem = match name {
            "port" | "tls-port" => "Unable to listen on this port. Check server logs.",
            _ => "Failed to bind to specified addresses.",
        };
        SetError::Refused { name: name.to_owned(), problem: problem.to_owned() }
    }

    /// What the TLS settings name does not make a configuration.
    pub fn cannot_configure_tls(name: &str) -> SetError {
        let problem = "Unable to update TLS configuration. Check server logs.";
        SetError::Refused { name: name.to_owned(), problem: problem.to_owned() }
    }

    /// More clients than there can be open files; so many would fit.
    pub fn too_many_clients(fitting: usize) -> SetError {
        let problem =
            format!("The operating system is not able to handle the specified number of clients, try with {fitting}");
        SetError::Refused { name: "maxclients".to_owned(), problem }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line break from the client would end the reply.
        let one_line = |text: &str| text.replace(['\r', '\n'], " ");
        match self {
            SetError::Unknown { name } => {
                write!(out, "ERR Unknown option or number of arguments for CONFIG SET - '{}'", one_line(name))
            }
            SetError::Refused { name, problem } => {
                let (name, problem) = (one_line(name), one_line(problem));
                write!(out, "ERR CONFIG SET failed (possibly related to argument '{name}') - {problem}")
            }
        }
    }
}

impl std::error::Error for SetError {}
