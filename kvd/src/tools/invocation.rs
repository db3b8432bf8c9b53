//! The command line of a tool: its name comes first, then what it works on, then switches and settings in any order.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What can be done besides serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Look a store over.
    Check,
    /// Write a store as commands.
    Export,
    /// Write a snapshot as commands.
    ParseSnapshot,
    /// Read another server's files.
    Import,
}

/// How a tool is called.
struct Row {
    tool: Tool,
    /// The first argument.
    word: &'static str,
    /// What it works on.
    operand: &'static str,
    /// Switches and what they do.
    switches: &'static [(&'static str, &'static str)],
    /// What it does, in a line.
    doc: &'static str,
    /// What else is to be known.
    more: &'static str,
}

const SKIP_UNSUPPORTED: (&str, &str) =
    ("--skip-unsupported", "pass over streams, values of modules and unknown commands, and name each");

static ROWS: &[Row] = &[
    Row {
        tool: Tool::Check,
        word: "check",
        operand: "DIR",
        switches: &[("--repair", "put aside what is damaged, and keep everything else")],
        doc: "read all of a store and say what is damaged",
        more: "Without --repair nothing is changed. No server may use the store meanwhile. Ends with 1 when something is damaged.",
    },
    Row {
        tool: Tool::Export,
        word: "export",
        operand: "DIR",
        switches: &[],
        doc: "print a store as commands, for redis-cli --pipe",
        more: "Opens nothing for writing. No server may use the store meanwhile. Fields with deadlines need a server that knows\n\
            HPEXPIREAT: Redis 7.4 or kvd. Commands add to what is there: the server that takes them should be empty.",
    },
    Row {
        tool: Tool::ParseSnapshot,
        word: "--parse-snapshot",
        operand: "FILE",
        switches: &[SKIP_UNSUPPORTED],
        doc: "print a snapshot as commands: a store's main file, or an RDB file",
        more: "As kvd export does for a whole store.",
    },
    Row {
        tool: Tool::Import,
        word: "import",
        operand: "FILE",
        switches: &[
            ("--merge", "import into a store that is not empty; what has the same key is replaced"),
            SKIP_UNSUPPORTED,
        ],
        doc: "read an RDB file, or an append-only file by its manifest, folder or name",
        more: "The store is the one that --dir and --dbfilename name. It must be empty, and no server may use it meanwhile.",
    },
];

/// A tool and what it was given.
#[derive(Debug)]
pub struct Invocation {
    /// Which.
    pub tool: Tool,
    /// What it works on.
    pub operand: PathBuf,
    /// Its switches that were given.
    pub switches: Vec<&'static str>,
    /// Everything else.
    pub settings: Vec<OsString>,
    /// Only its usage was asked for.
    pub wants_help: bool,
}

impl Tool {
    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.tool == self).expect("every tool has a row")
    }

    /// What it is called.
    pub fn name(self) -> String {
        format!("kvd {}", self.row().word)
    }

    /// How it is called.
    pub fn usage(self) -> String {
        let row = self.row();
        let mut text = format!("Usage: kvd {} {} [switch or --setting value ...]\n\n", row.word, row.operand);
        text.push_str(&format!("{}: {}.\n", row.word, row.doc));
        for (switch, doc) in row.switches {
            text.push_str(&format!("  {switch:<20} {doc}\n"));
        }
        text.push_str(row.more);
        text
    }
}

/// The lines of `kvd --help` about the tools.
pub fn usage() -> String {
    ROWS.iter().map(|row| format!("       kvd {:<28} {}\n", format!("{} {}", row.word, row.operand), row.doc)).collect()
}

impl Invocation {
    /// Takes the arguments apart. `None` when the first names no tool; an error is the tool's usage and what is missing.
    pub fn parse(arguments: &[OsString]) -> Option<Result<Invocation, String>> {
        let (first, rest) = arguments.split_first()?;
        let row = ROWS.iter().find(|row| first.as_bytes() == row.word.as_bytes())?;
        let mut invocation = Invocation {
            tool: row.tool,
            operand: PathBuf::new(),
            switches: Vec::new(),
            settings: Vec::new(),
            wants_help: false,
        };
        for argument in rest {
            let bytes = argument.as_bytes();
            let switch = row.switches.iter().find(|(switch, _)| switch.as_bytes() == bytes);
            if let Some((switch, _)) = switch {
                invocation.switches.push(switch);
            } else if matches!(bytes, b"-h" | b"--help") {
                invocation.wants_help = true;
            } else if invocation.operand.as_os_str().is_empty()
                && invocation.settings.is_empty()
                && !bytes.starts_with(b"--")
            {
                invocation.operand = PathBuf::from(argument);
            } else {
                invocation.settings.push(argument.clone());
            }
        }
        if invocation.operand.as_os_str().is_empty() && !invocation.wants_help {
            return Some(Err(format!("kvd {}: {} is missing\n\n{}", row.word, row.operand, row.tool.usage())));
        }
        Some(Ok(invocation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<Result<Invocation, String>> {
        Invocation::parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_word_names_a_tool_or_there_is_none() {
        assert!(parse(&[]).is_none());
        assert!(parse(&["kvd.conf", "import"]).is_none());
        assert!(parse(&["--port", "1"]).is_none());
        assert!(parse(&["import"]).unwrap().unwrap_err().contains("FILE is missing"));
        assert!(parse(&["export", "--help"]).unwrap().unwrap().wants_help);
    }

    #[test]
    fn switches_and_settings_follow_in_any_order() {
        let import = parse(&["import", "--merge", "a.rdb", "--dir", "x", "--skip-unsupported"]).unwrap().unwrap();
        assert_eq!((import.tool, import.operand), (Tool::Import, PathBuf::from("a.rdb")));
        assert_eq!(import.switches, ["--merge", "--skip-unsupported"]);
        assert_eq!(import.settings, ["--dir", "x"]);
        // Not one of this tool's: the settings will say what is wrong.
        assert_eq!(parse(&["export", "d", "--merge"]).unwrap().unwrap().settings, ["--merge"]);
    }
}
