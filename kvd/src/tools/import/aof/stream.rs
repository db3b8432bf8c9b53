//! The commands of an append-only file, one after the other, and where each stands.

use std::io::{self, BufRead};

/// Longest line that announces a length, and longest annotation.
const MAX_LINE: u64 = 1024;
/// Arguments of one command.
const MAX_ARGUMENTS: u64 = 1 << 20;

/// A command as it stands in the file.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    /// Where it begins.
    pub(super) offset: u64,
    /// Its name and arguments.
    pub(super) words: Vec<Vec<u8>>,
}

/// Bytes of a key that people are shown.
const SHOWN_BYTES: usize = 64;

impl Command {
    /// Its name and key, for people.
    pub(super) fn shown(&self) -> String {
        let mut words = self.words.iter().map(|word| word[..word.len().min(SHOWN_BYTES)].escape_ascii());
        match (words.next(), words.next()) {
            (Some(name), Some(key)) => format!("{name} \"{key}\""),
            (name, _) => name.map(|name| name.to_string()).unwrap_or_default(),
        }
    }
}

/// What comes next in a file.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Command(Command),
    /// The file ends here, behind a whole command.
    End,
    /// The file ends within the command that begins here.
    Torn(u64),
}

/// Why a file cannot be read on.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    /// This does not belong there.
    Format(u64, String),
}

/// A file being read.
pub(super) struct Stream<R> {
    input: R,
    offset: u64,
    line: Vec<u8>,
}

/// The file has ended within a command.
struct Torn;

impl<R: BufRead> Stream<R> {
    /// Begins at an offset of the file.
    pub(super) fn new(input: R, offset: u64) -> Stream<R> {
        Stream { input, offset, line: Vec::new() }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn next(&mut self) -> Result<Next, Broken> {
        loop {
            let start = self.offset;
            match self.input.fill_buf().map_err(Broken::Io)?.first() {
                None => return Ok(Next::End),
                // An annotation: when the next commands were run.
                Some(b'#') => {
                    if self.line()?.is_err() {
                        return Ok(Next::Torn(start));
                    }
                }
                Some(_) => {
                    return Ok(match self.command()? {
                        Ok(words) => Next::Command(Command { offset: start, words }),
                        Err(Torn) => Next::Torn(start),
                    });
                }
            }
        }
    }

    fn command(&mut self) -> Result<Result<Vec<Vec<u8>>, Torn>, Broken> {
        let Ok(count) = self.length(b'*', MAX_ARGUMENTS)? else { return Ok(Err(Torn)) };
        let mut words = Vec::new();
        for _ in 0..count {
            let Ok(length) = self.length(b'$', engine::MAX_VALUE as u64)? else { return Ok(Err(Torn)) };
            let mut word = Vec::new();
            if !self.take(length, &mut word)? {
                return Ok(Err(Torn));
            }
            let (end, mut newline) = (self.offset, Vec::new());
            let is_whole = self.take(2, &mut newline)?;
            if !b"\r\n".starts_with(&newline) {
                return Err(Broken::Format(end, "no end of line behind an argument".to_owned()));
            }
            if !is_whole {
                return Ok(Err(Torn));
            }
            words.push(word);
        }
        Ok(Ok(words))
    }

    /// A line with a mark and a number of 0 to `most`.
    fn length(&mut self, mark: u8, most: u64) -> Result<Result<u64, Torn>, Broken> {
        let start = self.offset;
        let whole = self.line()?;
        let wrong = |what: &str| {
            let line: Vec<u8> = self.line.iter().copied().take(32).collect();
            Broken::Format(start, format!("{what}, and not \"{}\"", line.escape_ascii()))
        };
        if self.line.first().is_some_and(|first| *first != mark) {
            return Err(wrong(&format!("here should be a line that begins with '{}'", char::from(mark))));
        }
        if whole.is_err() {
            return Ok(Err(Torn));
        }
        let number = self.line.strip_suffix(b"\r\n").and_then(|line| str::from_utf8(&line[1..]).ok());
        let number = number.and_then(|digits| digits.parse().ok()).filter(|number| *number <= most);
        let least = u64::from(mark == b'*');
        number.filter(|number| *number >= least).map(Ok).ok_or_else(|| wrong("here should be a length"))
    }

    /// Reads a line with its end.
    fn line(&mut self) -> Result<Result<(), Torn>, Broken> {
        self.line.clear();
        let start = self.offset;
        let mut limited = io::Read::take(&mut self.input, MAX_LINE);
        let read = limited.read_until(b'\n', &mut self.line).map_err(Broken::Io)?;
        self.offset += read as u64;
        match self.line.ends_with(b"\n") {
            true => Ok(Ok(())),
            false if read as u64 == MAX_LINE => Err(Broken::Format(start, "a line without an end".to_owned())),
            false => Ok(Err(Torn)),
        }
    }

    /// Puts so many bytes behind `out`; whether there were as many.
    fn take(&mut self, count: u64, out: &mut Vec<u8>) -> Result<bool, Broken> {
        let read = io::Read::read_to_end(&mut io::Read::take(&mut self.input, count), out).map_err(Broken::Io)?;
        self.offset += read as u64;
        Ok(read as u64 == count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] =
        b"#TS:1700000000\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n*1\r\n";

    fn words(command: Next) -> Vec<String> {
        match command {
            Next::Command(command) => {
                command.words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_and_where_they_stand() {
        let mut stream = Stream::new(FILE, 0);
        assert_eq!(words(stream.next().unwrap()), ["SELECT", "0"]);
        let Next::Command(set) = stream.next().unwrap() else { panic!("a command follows") };
        assert_eq!((set.offset, &*set.words[2]), (39, &b"\r\n*1"[..]));
        assert_eq!(stream.next().unwrap(), Next::End);
        assert_eq!(stream.offset(), FILE.len() as u64);
    }

    #[test]
    fn a_file_cut_anywhere_is_torn_where_its_last_command_begins() {
        for length in 0..FILE.len() {
            let mut stream = Stream::new(&FILE[..length], 0);
            let last = loop {
                match stream.next().unwrap() {
                    Next::Command(_) => {}
                    last => break last,
                }
            };
            let starts = [0, 16, 39];
            let expected = match starts.contains(&length) {
                true => Next::End,
                false => Next::Torn(*starts.iter().rfind(|start| **start < length).unwrap() as u64),
            };
            assert_eq!(last, expected, "{length}");
        }
    }

    #[test]
    fn what_does_not_belong_there_is_named_with_its_place() {
        let long = [b'#'; 2000];
        for (file, at, why) in [
            (&b"SET a b\r\n"[..], 0, "begins with '*', and not \"SET a b\\r\\n\""),
            (b"*1\r\n:3\r\n", 4, "begins with '$'"),
            (b"*x\r\n", 0, "a length"),
            (b"*0\r\n", 0, "a length"),
            (b"*-1\r\n", 0, "a length"),
            (b"*99999999\r\n", 0, "a length"),
            (b"*1\n", 0, "a length"),
            (b"*1\r\n$99999999999\r\n", 4, "a length"),
            (b"*1\r\n$1\r\nabc\r\n", 9, "end of line"),
            (&long, 0, "without an end"),
        ] {
            let found = Stream::new(file, 0).next();
            let Err(Broken::Format(offset, text)) = found else { panic!("{file:?}: {found:?}") };
            assert!(offset == at && text.contains(why), "{offset} {text}");
        }
    }
}
