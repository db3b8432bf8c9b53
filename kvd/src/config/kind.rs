//! Kinds of values: how words become a checked [`Value`], with Redis's wording for what is wrong.

use crate::pubsub::notify::Events;

use super::value::{MaxMemory, NamespacePolicies, OutputLimit, OutputLimits, Secret, Value};

/// 2³¹ − 1, the upper end of most of Redis's integer settings.
pub(super) const INT_MAX: i128 = i32::MAX as i128;
/// −2³¹.
pub(super) const INT_MIN: i128 = i32::MIN as i128;
/// 2³² − 1.
pub(super) const UINT_MAX: i128 = u32::MAX as i128;
/// 2⁶³ − 1.
pub(super) const LONG_MAX: i128 = i64::MAX as i128;
/// One kibibyte.
pub(super) const KIB: i128 = 1024;
/// One mebibyte.
pub(super) const MIB: i128 = 1024 * KIB;

/// Redis has room for so many addresses to bind.
const MAX_BIND_ADDRESSES: usize = 16;

/// Values are text: what CONFIG GET shows must be what was set.
pub(super) const NOT_UTF_8: &str = "argument must be valid UTF-8";

/// A quote that is not closed, or that something follows.
pub(super) const UNBALANCED: &str = "Unbalanced quotes in configuration line";

const WRONG_COUNT: &str = "wrong number of arguments";

/// What a row's value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Switch,
    /// One of these names.
    Choice(&'static [&'static str]),
    /// The same, with other names for some.
    ChoiceOr(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// One or more of these names; the first stands for none of the others.
    Choices(&'static [&'static str]),
    /// An integer from … to ….
    Integer(i128, i128),
    /// So many integers from … to ….
    Integers(usize, i128, i128),
    /// Bytes from … to …, with Redis's suffixes.
    Size(i128, i128),
    /// Bytes, a percentage, or `auto`.
    Memory,
    /// Octal digits up to ….
    Octal(u32),
    /// Names of namespaces with their policies.
    NamespacePolicies,
    /// Any text.
    Text,
    /// Text that this finds nothing wrong with, and what it may be, for the manual.
    Checked(fn(&str) -> Result<(), String>, &'static str),
    /// Any text, never shown in logs or messages.
    Secret,
    /// A path; empty means none.
    Path,
    /// A directory.
    Directory,
    /// The name of a file, without a directory.
    FileName,
    /// Addresses to listen on.
    Addresses,
    /// Pairs of seconds and changes.
    SavePoints,
    /// Percentages.
    Percentiles,
    /// Host and port of a primary, or `no one`.
    Primary,
    /// Class, hard limit, soft limit, seconds; repeated.
    OutputLimits,
    /// Letters for classes of keyspace events.
    Events,
}

impl Kind {
    /// Whether a value is several words, so that one quoted argument is taken apart.
    pub(super) fn is_many_words(self) -> bool {
        use Kind::{Addresses, Choices, Integers, OutputLimits, Percentiles, Primary, SavePoints};
        matches!(self, Choices(_) | Integers(..) | Addresses | SavePoints | Percentiles | Primary | OutputLimits)
    }

    /// Whether the lines of one source add up (`save 900 1`, `save 60 1000`), while a new source starts over.
    pub(super) fn adds_up(self) -> bool {
        matches!(self, Kind::SavePoints)
    }

    /// Checks a value given as one argument: `bind "127.0.0.1 ::1"` is `bind 127.0.0.1 ::1`.
    pub(super) fn read_text(self, text: &str, before: Option<&Value>) -> Result<Value, String> {
        if !self.is_many_words() {
            return self.read(&[text], before);
        }
        let words = resp::split_words(text.as_bytes()).map_err(|_| UNBALANCED)?;
        let words: Result<Vec<_>, _> = words.iter().map(|word| std::str::from_utf8(word)).collect();
        self.read(&words.map_err(|_| NOT_UTF_8)?, before)
    }

    /// The value of a default, which a test proves to be right for every row.
    pub(super) fn read_default(self, text: &str) -> Value {
        self.read_text(text, None).expect("a test reads the default of every row")
    }

    /// Checks a value given as words. `before` is the value so far: some kinds change only a part of it.
    pub(super) fn read(self, words: &[&str], before: Option<&Value>) -> Result<Value, String> {
        if self.is_many_words() {
            // One empty word is how to write "none".
            let words = if words == [""] { &[] } else { words };
            return self.read_many(words, before);
        }
        let &[word] = words else { return Err(WRONG_COUNT.into()) };
        self.read_one(word)
    }

    fn read_one(self, word: &str) -> Result<Value, String> {
        match self {
            Kind::Switch if word.eq_ignore_ascii_case("yes") => Ok(Value::Switch(true)),
            Kind::Switch if word.eq_ignore_ascii_case("no") => Ok(Value::Switch(false)),
            Kind::Switch => Err("argument must be 'yes' or 'no'".into()),
            Kind::Choice(names) => choose(word, names).map(Value::Choice),
            Kind::ChoiceOr(names, aliases) => choose_or(word, names, aliases).map(Value::Choice),
            Kind::Integer(least, most) => integer(word).and_then(|number| within(number, least, most)),
            Kind::Size(least, most) => {
                let bytes = size(word).ok_or("argument must be a memory value")?;
                within(i128::from(bytes), least, most)
            }
            Kind::Memory => memory(word).map(Value::Memory),
            Kind::NamespacePolicies => NamespacePolicies::parse(word).map(|set| Value::Text(set.to_string())),
            Kind::Octal(most) => octal(word, most).map(Value::Permission),
            Kind::Checked(check, _) => check(word).map(|()| Value::Text(word.to_owned())),
            Kind::Secret => Ok(Value::Secret(Secret(word.to_owned()))),
            Kind::Events => match Events::parse(word) {
                Some(events) => Ok(Value::Text(events.letters())),
                None => Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into()),
            },
            Kind::FileName if !is_file_name(word) => Err("dbfilename can't be a path, just a filename".into()),
            Kind::Path | Kind::Directory if word.contains('\0') => Err("a path can't contain a zero byte".into()),
            Kind::Directory if word.is_empty() => Err("No such file or directory".into()),
            _ => Ok(Value::Text(word.to_owned())),
        }
    }

    fn read_many(self, words: &[&str], before: Option<&Value>) -> Result<Value, String> {
        let owned = || words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        match self {
            Kind::Choices(names) => {
                if words.is_empty() {
                    choose("", names)?;
                }
                let chosen = words.iter().map(|word| choose(word, names)).collect::<Result<Vec<_>, _>>()?;
                // Bits to Redis, the first of them none: shown in its order, each once.
                let shown = names.iter().skip(1).filter(|name| chosen.contains(name)).map(|&name| name.to_owned());
                let shown: Vec<String> = shown.collect();
                Ok(Value::Words(if shown.is_empty() { vec![names[0].to_owned()] } else { shown }))
            }
            Kind::Integers(count, least, most) => {
                if words.len() != count {
                    return Err(WRONG_COUNT.into());
                }
                words.iter().try_for_each(|word| within(integer(word)?, least, most).map(drop))?;
                Ok(Value::Words(owned()))
            }
            Kind::Addresses if words.len() > MAX_BIND_ADDRESSES => Err("Too many bind addresses specified.".into()),
            Kind::Addresses if !words.iter().all(|word| is_address(word)) => Err("Invalid bind address".into()),
            Kind::SavePoints => save_points(words, before),
            Kind::Percentiles => percentiles(words).map(Value::Words),
            Kind::Primary => match words {
                [] => Ok(Value::Words(Vec::new())),
                [no, one] if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") => {
                    Ok(Value::Words(Vec::new()))
                }
                [_, port] if port.parse::<u16>().is_ok() => Ok(Value::Words(owned())),
                [_, _] => Err("Invalid master port".into()),
                _ => Err(WRONG_COUNT.into()),
            },
            Kind::OutputLimits => output_limits(words, before),
            _ => Ok(Value::Words(owned())),
        }
    }

    /// The values in words, for the manual.
    pub(super) fn describe(self) -> String {
        let names = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self {
            Kind::Switch => "`yes`, `no`".into(),
            Kind::Choice(all) | Kind::ChoiceOr(all, _) => names(all),
            Kind::Choices(all) => format!("some of {}", names(all)),
            Kind::Integer(least, most) => range("", least, most, i128::to_string),
            Kind::Integers(count, least, most) => range(&format!("{count} times "), least, most, i128::to_string),
            Kind::Size(least, most) => range("bytes, ", least, most, shown_size),
            Kind::Memory => "bytes, `1%` to `100%`, `auto`".into(),
            Kind::Octal(most) => format!("octal, 0 to {most:o}"),
            Kind::NamespacePolicies => "`name:policy`, separated by commas".into(),
            Kind::Text => "text".into(),
            Kind::Checked(_, description) => description.into(),
            Kind::Events => "some of `KEg$lshzxetdnmA`".into(),
            Kind::Secret => "text, kept out of logs".into(),
            Kind::Path => "path, may be empty".into(),
            Kind::Directory => "directory".into(),
            Kind::FileName => "file name".into(),
            Kind::Addresses => format!("up to {MAX_BIND_ADDRESSES} addresses"),
            Kind::SavePoints => "pairs of seconds and changes".into(),
            Kind::Percentiles => "percentages".into(),
            Kind::Primary => "host and port, `no one`".into(),
            Kind::OutputLimits => "class, hard bytes, soft bytes, seconds; repeated".into(),
        }
    }
}

/// "0 to 65535", without the ends that only say how wide Redis's integers are.
fn range(unit: &str, least: i128, most: i128, shown: fn(&i128) -> String) -> String {
    let open_below = least <= i128::from(i32::MIN);
    let open_above = [INT_MAX, UINT_MAX, LONG_MAX, i128::from(u64::MAX)].contains(&most);
    match (open_below, open_above) {
        (true, true) => format!("{unit}any integer"),
        (_, true) => format!("{unit}{} and up", shown(&least)),
        (_, false) => format!("{unit}{} to {}", shown(&least), shown(&most)),
    }
}

fn shown_size(bytes: &i128) -> String {
    match *bytes {
        0 => "0".to_owned(),
        bytes if bytes % MIB == 0 => format!("{}mb", bytes / MIB),
        bytes if bytes % KIB == 0 => format!("{}kb", bytes / KIB),
        bytes => bytes.to_string(),
    }
}

fn choose(word: &str, names: &'static [&'static str]) -> Result<&'static str, String> {
    let found = names.iter().find(|name| name.eq_ignore_ascii_case(word));
    found.copied().ok_or_else(|| format!("argument(s) must be one of the following: {}", names.join(", ")))
}

/// A name of the list, also by another name of it.
pub(super) fn choose_or(
    word: &str,
    names: &'static [&'static str],
    aliases: &[(&str, &'static str)],
) -> Result<&'static str, String> {
    let known = aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(word));
    known.map_or_else(|| choose(word, names), |(_, name)| Ok(name))
}

fn integer(word: &str) -> Result<i128, String> {
    resp::exact_integer(word.as_bytes())
        .map(i128::from)
        .ok_or_else(|| "argument couldn't be parsed into an integer".into())
}

fn within(number: i128, least: i128, most: i128) -> Result<Value, String> {
    if (least..=most).contains(&number) {
        return Ok(Value::Number(number));
    }
    Err(format!("argument must be between {least} and {most} inclusive"))
}

/// Bytes with Redis's suffixes: `k m g` are powers of 1000, `kb mb gb` of 1024.
/// A size in bytes with one of Redis's suffixes, such as `64mb`.
pub fn size(word: &str) -> Option<u64> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn memory(word: &str) -> Result<MaxMemory, String> {
    if word.eq_ignore_ascii_case("auto") {
        return Ok(MaxMemory::Auto);
    }
    if let Some(percent) = word.strip_suffix('%').and_then(|digits| integer(digits).ok()).filter(|&p| p >= 0) {
        return match u8::try_from(percent) {
            Ok(percent @ 1..=100) => Ok(MaxMemory::Percent(percent)),
            Ok(0) => Err("percentage argument must be at least 1".into()),
            _ => Err("percentage argument must be less or equal to 100".into()),
        };
    }
    size(word).map(MaxMemory::Bytes).ok_or_else(|| "argument must be a memory or percent value".into())
}

fn octal(word: &str, most: u32) -> Result<u32, String> {
    let bits = if word.starts_with('+') { None } else { u32::from_str_radix(word, 8).ok() };
    let bits = bits.ok_or("argument couldn't be parsed as an octal number")?;
    if bits > most {
        return Err(format!("argument must be between 0 and {most:o} inclusive"));
    }
    Ok(bits)
}

/// Whether the resolver can be asked for it; whether the address exists turns out when it is bound.
fn is_address(word: &str) -> bool {
    !matches!(word, "" | "-") && !word.contains(|character: char| character.is_whitespace() || character.is_control())
}

fn is_file_name(word: &str) -> bool {
    !matches!(word, "" | "." | "..") && !word.contains(['/', '\\', '\0'])
}

fn save_points(words: &[&str], before: Option<&Value>) -> Result<Value, String> {
    let is_pair = |pair: &[&str]| match pair {
        [seconds, changes] => {
            integer(seconds).is_ok_and(|seconds| seconds >= 1) && integer(changes).is_ok_and(|changes| changes >= 0)
        }
        _ => false,
    };
    if !words.chunks(2).all(is_pair) {
        return Err("Invalid save parameters".into());
    }
    // In a file every `save` line adds a point, and an empty one removes those before it.
    let mut points = match before {
        Some(Value::Words(points)) if !words.is_empty() => points.clone(),
        _ => Vec::new(),
    };
    points.extend(words.iter().map(|&word| word.to_owned()));
    Ok(Value::Words(points))
}

/// Percentages in their shortest form, as Redis shows them: `50` for `50.0`.
fn percentiles(words: &[&str]) -> Result<Vec<String>, String> {
    let shown = words.iter().map(|word| match word.parse::<f64>() {
        Ok(percentile) if (0.0..=100.0).contains(&percentile) => Ok(percentile.abs().to_string()),
        Ok(percentile) if percentile.is_finite() => {
            Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into())
        }
        _ => Err("Invalid latency-tracking-info-percentiles parameters".into()),
    });
    shown.collect()
}

fn output_limits(words: &[&str], before: Option<&Value>) -> Result<Value, String> {
    let mut limits = match before {
        Some(Value::OutputLimits(limits)) => *limits,
        _ => OutputLimits::default(),
    };
    for part in words.chunks(4) {
        let &[class, hard, soft, seconds] = part else {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        };
        let limit = match class.to_ascii_lowercase().as_str() {
            "normal" => &mut limits.normal,
            "slave" | "replica" => &mut limits.replica,
            "pubsub" => &mut limits.pubsub,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let (Some(hard_bytes), Some(soft_bytes), Ok(soft_seconds)) = (size(hard), size(soft), seconds.parse()) else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".into());
        };
        *limit = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
    }
    Ok(Value::OutputLimits(limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shows(kind: Kind, word: &str, expected: &str) {
        assert_eq!(kind.read(&[word], None).map(|value| value.to_string()), Ok(expected.to_owned()));
    }

    #[track_caller]
    fn refuses(kind: Kind, words: &[&str], expected: &str) {
        assert_eq!(kind.read(words, None), Err(expected.to_owned()), "{words:?}");
    }

    #[test]
    fn numbers_and_sizes_are_redis_s() {
        shows(Kind::Integer(-1, LONG_MAX), "-1", "-1");
        for word in ["", "+1", "007", "1.0", " 1", "abc", "9223372036854775808"] {
            refuses(Kind::Integer(0, LONG_MAX), &[word], "argument couldn't be parsed into an integer");
        }
        refuses(Kind::Integer(0, 65_535), &["65536"], "argument must be between 0 and 65535 inclusive");
        refuses(Kind::Integer(0, 9), &["1", "2"], "wrong number of arguments");
        let sizes = [("1k", "1000"), ("1KB", "1024"), ("2m", "2000000"), ("1mb", "1048576"), ("3Gb", "3221225472")];
        for (word, bytes) in sizes {
            shows(Kind::Size(0, LONG_MAX), word, bytes);
        }
        for word in ["-1", "mb", "1tb", "1 mb", "99999999999999999999", "99999999999gb"] {
            refuses(Kind::Size(0, LONG_MAX), &[word], "argument must be a memory value");
        }
    }

    #[test]
    fn a_memory_limit_is_bytes_a_share_or_auto() {
        for (word, shown) in [("0", "0"), ("512mb", "536870912"), ("70%", "70%"), ("AUTO", "auto")] {
            shows(Kind::Memory, word, shown);
        }
        refuses(Kind::Memory, &["101%"], "percentage argument must be less or equal to 100");
        refuses(Kind::Memory, &["x%"], "argument must be a memory or percent value");
        assert_eq!(MaxMemory::Auto.in_bytes(1_000), 700);
        assert_eq!(MaxMemory::Bytes(0).in_bytes(1_000), 700);
        assert_eq!(MaxMemory::Bytes(5).in_bytes(1_000), 5);
        assert_eq!(MaxMemory::Percent(100).in_bytes(u64::MAX), u64::MAX);
    }

    #[test]
    fn lists_keep_what_a_line_does_not_name() {
        let both = |first: &[&str], second: &[&str], kind: Kind| {
            let first = kind.read(first, None).expect("first");
            kind.read(second, Some(&first)).map(|value| value.to_string())
        };
        assert_eq!(both(&["900", "1"], &["60", "2"], Kind::SavePoints), Ok("900 1 60 2".into()));
        assert_eq!(both(&["900", "1"], &[""], Kind::SavePoints), Ok(String::new()));
        let limits = both(&["normal", "1mb", "2", "3"], &["replica", "4", "5", "6"], Kind::OutputLimits);
        assert_eq!(limits, Ok("normal 1048576 2 3 slave 4 5 6 pubsub 0 0 0".into()));
    }
}
