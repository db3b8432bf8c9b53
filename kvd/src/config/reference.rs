//! The manual page of all settings, made from the table.

use super::row::{Effect, Row, rows};

const INTRODUCTION: &str = "\
# Settings

Every setting can stand in a configuration file (`appendfsync always`), in the environment (`KVD_APPENDFSYNC=always`)
and on the command line (`--appendfsync always`). The command line counts more than the environment, that more than
the file, and that more than the default. Names are not case-sensitive; in a variable `-` is `_`.

Sizes take `k`, `m`, `g` (powers of 1000) and `kb`, `mb`, `gb` (powers of 1024). A line of a file is words between
blanks; words with blanks stand in quotes; `#` starts a line of comment; `include path` reads another file.

*now*: CONFIG SET changes it and it counts at once. *start*: read once, when the server starts. *none*: nothing acts
on it yet.

This page is generated from the table in `kvd/src/config/settings.rs`.
";

const ACCEPTED: &str = "
# Directives of redis.conf without effect

The redis.conf that comes with Redis 7.4 starts kvd. These directives mean nothing here: they are checked, kept and
shown by CONFIG GET, and those that are not at their default are named when the server starts. Where only the default
is accepted, another value would promise what kvd does not do, and is an error.

`rename-command`, `loadmodule` and `user` are errors, and so is any word that Redis does not know.
`list-max-ziplist-entries`, `list-max-ziplist-value` and `lua-replicate-commands` are accepted as in Redis.
";

/// The page in Markdown.
pub fn reference() -> String {
    let is_kept = |row: &&Row| row.effect == Effect::Accepted && row.is_kept();
    let mut page = String::from(INTRODUCTION);
    let mut topic = "";
    for row in rows().filter(|row| !is_kept(row)) {
        if topic != row.topic {
            topic = row.topic;
            page.push_str(&format!(
                "\n## {topic}\n\n| setting | default | values | counts | meaning |\n|---|---|---|---|---|\n"
            ));
        }
        let counts = match row.effect {
            Effect::Live => "now",
            Effect::AtStart => "start",
            Effect::Accepted => "none",
        };
        let only = row.in_force.map_or(String::new(), |limit| format!(" For now: {}.", limit.why));
        let (name, default, values) = (row.name, code(row.default), row.kind.describe());
        page.push_str(&format!("| `{name}` | {default} | {values} | {counts} | {}{only} |\n", row.doc.trim()));
    }
    page.push_str(ACCEPTED);
    for row in rows().filter(is_kept) {
        if topic != row.topic {
            topic = row.topic;
            page.push_str(&format!(
                "\n## {topic}\n\n| directive | default | accepted | meaning in Redis |\n|---|---|---|---|\n"
            ));
        }
        let values = match row.in_force {
            Some(limit) => format!("only the default: {}", limit.why),
            None => row.kind.describe(),
        };
        let names = row.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        page.push_str(&format!("| {names} | {} | {values} | {} |\n", code(row.default), row.doc));
    }
    page
}

fn code(text: &str) -> String {
    if text.is_empty() { "`\"\"`".to_owned() } else { format!("`{text}`") }
}
