//! Commands that count a deadline from now. A server writes the moment itself to its append-only file, for now is another
//! time when that is read; and here time stands still. So these are an error, not keys that are gone at once.

/// By name, with nothing else to look at.
const ALWAYS: [&str; 6] = ["EXPIRE", "PEXPIRE", "SETEX", "PSETEX", "HEXPIRE", "HPEXPIRE"];
/// By an option, and the first place where one may stand.
const BY_OPTION: [(&str, usize); 4] = [("SET", 3), ("GETEX", 2), ("HSETEX", 2), ("HGETEX", 2)];

/// Whether a command counts a deadline from now.
pub(super) fn is_relative(words: &[Vec<u8>]) -> bool {
    let is = |word: &[u8], other: &str| word.eq_ignore_ascii_case(other.as_bytes());
    let Some(name) = words.first() else { return false };
    if let Some((_, first)) = BY_OPTION.iter().find(|(known, _)| is(name, known)) {
        // Fields and values may be called anything; options stand before them.
        let options = words.iter().skip(*first).take_while(|word| !is(word, "FIELDS"));
        return options.into_iter().any(|word| is(word, "EX") || is(word, "PX"));
    }
    if is(name, "RESTORE") {
        let has_ttl = words.get(2).is_some_and(|ttl| ttl != b"0");
        return has_ttl && !words.iter().skip(4).any(|word| is(word, "ABSTTL"));
    }
    ALWAYS.iter().any(|known| is(name, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_counts_from_now_is_relative() {
        for (line, expected) in [
            ("expire k 10", true),
            ("PSETEX k 10 v", true),
            ("SET k v ex 10", true),
            ("SET k EX", false),
            ("SET ex px PXAT 10", false),
            ("GETEX k PX 10", true),
            ("GETEX k PERSIST", false),
            ("HSETEX k EX 10 FIELDS 1 f v", true),
            ("HSETEX k PXAT 10 FIELDS 1 EX PX", false),
            ("RESTORE k 0 dump", false),
            ("RESTORE k 10 dump", true),
            ("RESTORE k 10 dump ABSTTL", false),
            ("PEXPIREAT k 10", false),
            ("HPEXPIREAT k 10 FIELDS 1 f", false),
        ] {
            let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(is_relative(&words), expected, "{line}");
        }
        assert!(!is_relative(&[]));
    }
}
