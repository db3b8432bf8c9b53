//! Writing words so that [`resp::split_words`], which reads the lines of a configuration, finds them again.

use engine::mutant::planted;

/// `word` as it can stand in a line: bare where that is safe, else in double quotes.
pub(super) fn quote(word: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#');
    if !word.is_empty() && word.bytes().all(safe) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in word.chars() {
        match character {
            '\\' if planted("config_backslash_bare") => quoted.push(character),
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

/// The same for bytes that may be no text.
pub(super) fn quote_bytes(word: &[u8]) -> String {
    match std::str::from_utf8(word) {
        Ok(text) => quote(text),
        Err(_) => format!("\"{}\"", word.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resp::split_words;

    #[test]
    fn quoted_bytes_read_back() {
        for word in [&b"plain"[..], b"\xff\"\\ \x00", "\u{e9}".as_bytes()] {
            assert_eq!(split_words(quote_bytes(word).as_bytes()), Ok(vec![word.to_vec()]));
        }
    }

    #[test]
    fn a_quoted_word_reads_back() {
        for word in ["", "plain", "two words", "\"", "'", "back\\slash", "# no comment", "é\n\r\t\0\x7f"] {
            assert_eq!(split_words(quote(word).as_bytes()), Ok(vec![word.as_bytes().to_vec()]));
        }
    }
}
