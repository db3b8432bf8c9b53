//! The command line: `kvd [file] [--name value …]… [-]`, as redis-server takes it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::row::Effect;
use super::settings::OWN;
use super::words;
use crate::tools;

/// What the arguments ask for.
#[derive(Debug, PartialEq)]
pub(super) enum Invocation {
    Version,
    Help,
    Run(Arguments),
}

/// The arguments of a server that is to run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Arguments {
    pub(super) file: Option<PathBuf>,
    pub(super) standard_input: bool,
    pub(super) directives: Vec<Directive>,
}

/// One flag.
#[derive(Debug, PartialEq)]
pub(super) struct Directive {
    /// As it was typed, for messages.
    pub(super) typed: Vec<u8>,
    /// Name and values.
    pub(super) words: Vec<Vec<u8>>,
}

/// Takes the arguments apart; they do not include the program's name.
pub(super) fn parse(arguments: impl Iterator<Item = OsString>) -> Invocation {
    let arguments: Vec<OsString> = arguments.collect();
    match arguments.first().map(|first| first.as_bytes()) {
        Some(b"-v" | b"--version") => return Invocation::Version,
        Some(b"-h" | b"--help") => return Invocation::Help,
        _ => {}
    }
    let mut run = Arguments::default();
    let last = arguments.len().saturating_sub(1);
    // Redis: what follows a flag is its value even if it starts with dashes, so that any password can be given.
    let mut wants_value = false;
    for (at, argument) in arguments.iter().enumerate() {
        let bytes = argument.as_bytes();
        if at == 0 && !bytes.starts_with(b"-") {
            run.file = Some(PathBuf::from(argument));
        } else if bytes == b"-" && (at == 0 || at == last) && !wants_value {
            run.standard_input = true;
        } else if bytes.starts_with(b"--") && !wants_value {
            let words = flag(&bytes[2..], arguments.get(at + 1).map(OsString::as_os_str));
            wants_value = words.len() == 1;
            run.directives.push(Directive { typed: bytes.to_vec(), words });
        } else {
            wants_value = false;
            match run.directives.last_mut() {
                Some(directive) => {
                    directive.typed.extend([b" ", bytes].concat());
                    directive.words.push(bytes.to_vec());
                }
                None => run.directives.push(Directive { typed: bytes.to_vec(), words: vec![bytes.to_vec()] }),
            }
        }
    }
    Invocation::Run(run)
}

/// The words of a flag: `--port`, or `"--port 6380"` in one argument. `--save` may stand without a value.
fn flag(text: &[u8], next: Option<&OsStr>) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> =
        text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect();
    if words.is_empty() {
        words.push(Vec::new());
    }
    let is_bare = next.is_none_or(|next| next.as_bytes().starts_with(b"--"));
    if words.len() == 1 && words[0].eq_ignore_ascii_case(b"save") && is_bare {
        words.push(Vec::new());
    }
    words
}

/// The text of `--help`.
pub(super) fn help() -> String {
    let mut text = String::from(concat!(
        "Usage: kvd [file.conf] [--setting value ...] ... [-]\n",
        "       kvd -                            read the configuration from standard input\n",
        "       kvd --version                    print the version\n",
        "       kvd --help                       print this\n",
    ));
    text.push_str(&tools::usage());
    text.push_str(concat!(
        "\n",
        "A setting comes from its default, the file, the environment (KVD_PORT), the command line; the last counts.\n",
        "Directives of redis.conf without meaning here are accepted and named at start.\n\n",
        "Settings and defaults:\n",
    ));
    for row in OWN.iter().filter(|row| row.effect != Effect::Accepted) {
        let head = format!("--{} {}", row.name, words::quote(row.default));
        // The default of one setting is longer than any column.
        let head = if head.len() > 32 { format!("--{} …", row.name) } else { head };
        text.push_str(&format!("  {head:<32} {}\n", row.doc.trim()));
    }
    text.push_str(concat!(
        "\nExamples:\n  kvd\n  kvd kvd.conf --port 6380\n",
        "  kvd --appendfsync always --unixsocket /tmp/kvd.sock --port 0\n",
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Arguments {
        match parse(arguments.iter().map(OsString::from)) {
            Invocation::Run(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    fn directives(arguments: &[&str]) -> Vec<String> {
        let directives = run(arguments).directives;
        directives.iter().map(|directive| String::from_utf8_lossy(&directive.words.join(&b'|')).into_owned()).collect()
    }

    #[test]
    fn flags_are_redis_s() {
        assert_eq!(directives(&["--port", "0", "--bind", "a", "b"]), ["port|0", "bind|a|b"]);
        assert_eq!(directives(&["--port 0", "--save", "--hz", "1"]), ["port|0", "save|", "hz|1"]);
        assert_eq!(directives(&["--requirepass", "--weird", "--save"]), ["requirepass|--weird", "save|"]);
        assert_eq!(directives(&["a.conf", "b.conf"]), ["b.conf"]);
        assert_eq!(directives(&["--requirepass", "-"]), ["requirepass|-"]);
        assert_eq!(run(&["--port", "0", "x"]).directives[0].typed, b"--port 0 x");
    }

    #[test]
    fn the_first_argument_may_be_a_file_and_the_last_a_dash() {
        let both = run(&["a.conf", "--port", "1", "-"]);
        assert_eq!((both.file, both.standard_input), (Some(PathBuf::from("a.conf")), true));
        assert_eq!(run(&[]), Arguments::default());
        for (argument, expected) in [("-v", Invocation::Version), ("--help", Invocation::Help)] {
            assert_eq!(parse([OsString::from(argument)].into_iter()), expected);
        }
    }
}
