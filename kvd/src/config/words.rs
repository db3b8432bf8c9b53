//! Words and quotes of a configuration line, as Redis reads and writes them.
//!
//! A line is words between blanks. `"…"` takes `\n \r \t \a \b \xHH` and `\` before any other byte; `'…'` takes only
//! `\'`. A closing quote must end its word. This is the dialect of redis.conf, of redis-cli and of inline commands.

/// The words of one line; `None` when a quote is not closed or something follows a closing quote.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.iter().position(|&byte| !is_blank(byte));
        let Some(start) = start else { return Some(words) };
        let (word, after) = take_word(&rest[start..])?;
        words.push(word);
        rest = after;
    }
}

/// `word` as it can stand in a line: bare where that is safe, else in double quotes.
pub(super) fn quote(word: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#');
    if !word.is_empty() && word.bytes().all(safe) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in word.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The first word of `text`, which starts with no blank, and what stands behind it.
fn take_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' | b'\'' => {
                at = take_quoted(text, at + 1, byte, &mut word)?;
                let ends = text.get(at).is_none_or(|&next| is_blank(next));
                return ends.then_some((word, &text[at..]));
            }
            _ if is_blank(byte) => break,
            _ => word.push(byte),
        }
        at += 1;
    }
    Some((word, &text[at..]))
}

/// Reads on from behind the opening quote; the answer is the position behind the closing one.
fn take_quoted(text: &[u8], mut at: usize, quote: u8, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *text.get(at)? {
            byte if byte == quote => return Some(at + 1),
            b'\\' if quote == b'\'' && text.get(at + 1) == Some(&b'\'') => {
                word.push(b'\'');
                at += 2;
            }
            b'\\' if quote == b'"' => at = take_escape(text, at, word)?,
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

/// Reads the escape whose backslash is at `at`; the answer is the position behind it.
fn take_escape(text: &[u8], at: usize, word: &mut Vec<u8>) -> Option<usize> {
    let hex = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let letter = *text.get(at + 1)?;
    if let (b'x', Some(high), Some(low)) = (letter, hex(at + 2), hex(at + 3)) {
        word.push((high * 16 + low) as u8);
        return Some(at + 4);
    }
    word.push(match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    });
    Some(at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn words(line: &str, expected: &[&str]) {
        let found = split(line.as_bytes()).expect("balanced");
        assert_eq!(found, expected.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn splits_as_redis_does() {
        words("", &[]);
        words("  save 900\t1 ", &["save", "900", "1"]);
        words(r#"a "b c" '' "" 'd"e'"#, &["a", "b c", "", "", "d\"e"]);
        words(r#""\x41\n\q\\" 'it\'s' ab"cd""#, &["A\nq\\", "it's", "abcd"]);
        for unbalanced in [r#"a "b"#, "'", r#""a"b"#, r#""a\"#] {
            assert_eq!(split(unbalanced.as_bytes()), None, "{unbalanced}");
        }
    }

    #[test]
    fn a_quoted_word_reads_back() {
        for word in ["", "plain", "two words", "\"", "'", "back\\slash", "# no comment", "é\n\r\t\0\x7f"] {
            assert_eq!(split(quote(word).as_bytes()), Some(vec![word.as_bytes().to_vec()]));
        }
    }
}
