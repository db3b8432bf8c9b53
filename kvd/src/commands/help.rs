//! HELP of every container command, made out of the rows of its subcommands.

use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply, lookup};

/// The row of HELP in a container of this family.
pub const fn row(group: Group) -> Command {
    Command::server("HELP", "", help)
        .group(group)
        .flags(&[Flag::Loading, Flag::Stale])
        .since("5.0.0")
        .doc("Lists the subcommands.")
}

fn help(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let Some(container) = lookup(call.arg(0)) else { return Err(CommandError::unknown_command(&call.request)) };
    let name = container.command.name;
    let mut lines = vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    for Command { name, usage, doc, .. } in container.command.subcommands {
        lines.push(format!("{name} {}", without_types(usage)).trim_end().to_owned());
        lines.push(format!("    {doc}"));
    }
    reply.write().array(lines.len());
    lines.iter().for_each(|line| reply.write().simple(line));
    Ok(After::Reply)
}

/// A usage line for people: `id:int` is `id`, `@key` is `key`.
fn without_types(usage: &str) -> String {
    let mut shown = String::with_capacity(usage.len());
    let mut in_type = false;
    for c in usage.chars() {
        in_type = c == ':' || (in_type && (c.is_ascii_lowercase() || c == '-'));
        if !in_type && c != '@' {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_for_programs() {
        assert_eq!(without_types("{ID id:int | AT t:unix-time} ..."), "{ID id | AT t} ...");
        assert_eq!(without_types("@key [value:int]"), "key [value]");
    }
}
