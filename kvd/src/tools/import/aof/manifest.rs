//! The manifest of a multi-part append-only file: which files it is made of, and in which order.
//!
//! ```text
//! file appendonly.aof.1.base.rdb seq 1 type b      what there was when the file was last rewritten
//! file appendonly.aof.1.incr.aof seq 1 type i      what has changed since, oldest first
//! file appendonly.aof.0.incr.aof seq 0 type h      history, which is not read
//! ```

use std::path::{Component, Path};

/// The name of a manifest ends so.
pub(in crate::tools::import) const SUFFIX: &str = ".manifest";

/// The files to read, in order.
pub(super) fn parse(text: &[u8]) -> Result<Vec<String>, String> {
    let (mut base, mut changes): (Option<String>, Vec<(u64, String)>) = (None, Vec::new());
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let wrong = |why: &str| format!("line {number}: {why}");
        let words = resp::split_words(line).map_err(|_| wrong("unbalanced quotes"))?;
        let word = |name: &str| {
            let mut pairs = words.chunks_exact(2);
            let found = pairs.find(|pair| pair[0].eq_ignore_ascii_case(name.as_bytes()));
            found.map(|pair| String::from_utf8_lossy(&pair[1]).into_owned()).ok_or_else(|| wrong(&format!("no {name}")))
        };
        let (file, kind) = (word("file")?, word("type")?);
        let sequence: u64 = word("seq")?.parse().map_err(|_| wrong("seq is no number"))?;
        let mut components = Path::new(&file).components();
        if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
            return Err(wrong("the file is not one of this folder"));
        }
        match &*kind {
            "b" if base.is_some() => return Err(wrong("a second base")),
            "b" => base = Some(file),
            "i" if changes.last().is_some_and(|(before, _)| *before >= sequence) => {
                return Err(wrong("the sequence does not rise"));
            }
            "i" => changes.push((sequence, file)),
            "h" => {}
            _ => return Err(wrong("unknown type")),
        }
    }
    let files: Vec<String> = base.into_iter().chain(changes.into_iter().map(|(_, file)| file)).collect();
    if files.is_empty() { Err("it names no file".to_owned()) } else { Ok(files) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_comes_first_and_history_not_at_all() {
        let text = b"file a.1.incr.aof seq 1 type i\nfile a.0.incr.aof seq 0 type h\n\
            file \"a 1.base.rdb\" seq 1 type b startoffset 0\nfile a.2.incr.aof seq 2 type i\n";
        assert_eq!(parse(text).unwrap(), ["a 1.base.rdb", "a.1.incr.aof", "a.2.incr.aof"]);
    }

    #[test]
    fn what_makes_no_sense_is_named_by_its_line() {
        for (text, why) in [
            ("", "names no file"),
            ("file a seq 1 type h", "names no file"),
            ("file a seq 1", "line 1: no type"),
            ("file a seq x type i", "no number"),
            ("file a seq 1 type z", "unknown type"),
            ("file ../a seq 1 type i", "not one of this folder"),
            ("file /a seq 1 type i", "not one of this folder"),
            ("file a seq 1 type b\nfile b seq 1 type b", "line 2: a second base"),
            ("file a seq 2 type i\nfile b seq 1 type i", "does not rise"),
            ("file \"a seq 2 type i", "unbalanced"),
        ] {
            let found = parse(text.as_bytes()).unwrap_err();
            assert!(found.contains(why), "{text}: {found}");
        }
    }
}
