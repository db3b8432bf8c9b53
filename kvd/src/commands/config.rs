//! CONFIG: settings of the running server.

use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::error::{NO_CONFIG_FILE, NOT_IN_MULTI, SYNTAX};
use super::glob::{self, Case};
use crate::config::find;
use crate::server::{rewrite, user_file};

use super::{After, Call, Command, CommandError, Context, Entry, Errand, Flag, Group, Reply, all, help};

const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];
const EVERYWHERE: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// The rows of this family.
pub const COMMANDS: &[Command] =
    &[Command::container("CONFIG", SUBCOMMANDS).group(Group::Server).since("2.0.0").doc("Commands about settings.")];

const SUBCOMMANDS: &[Command] = &[
    Command::server("GET", "parameter ...", get)
        .group(Group::Server)
        .flags(ADMIN)
        .since("2.0.0")
        .cost("O(N) where N is the number of parameters asked for")
        .doc("Returns the settings whose names match a pattern."),
    Command::server("RESETSTAT", "", reset_stat)
        .group(Group::Server)
        .flags(ADMIN)
        .since("2.0.0")
        .tips(EVERYWHERE)
        .doc("Lets the counters of INFO begin again."),
    Command::server("REWRITE", "", rewrite)
        .group(Group::Server)
        .flags(ADMIN)
        .since("2.8.0")
        .tips(EVERYWHERE)
        .doc("Writes the settings of now to the configuration file, which keeps its comments."),
    Command::server("SET", "{parameter value} ...", set)
        .group(Group::Server)
        .flags(ADMIN)
        .since("2.0.0")
        .cost("O(N) where N is the number of parameters given")
        .tips(EVERYWHERE)
        .secrets(|request, argument| {
            argument > 2
                && argument % 2 == 1
                && request.get(argument - 1).and_then(find).is_some_and(|setting| setting.is_secret())
        })
        .doc("Changes settings, all of those given or none."),
    help::row(Group::Server),
];

fn get(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let patterns: Vec<&[u8]> = call.request.iter().skip(2).collect();
    let settings = context.server.settings();
    let found = settings.get(&patterns, |pattern, name| glob::matches(pattern, name, Case::Exact));
    let mut out = reply.write();
    out.map(found.len());
    for (name, value) in &found {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    Ok(After::Reply)
}

fn set(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    /// Held from reading the settings to putting new ones in place, or of two changes at once one would be lost.
    static CHANGING: Mutex<()> = Mutex::new(());

    if !call.len().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    let pairs: Vec<(&[u8], &[u8])> = (2..call.len()).step_by(2).map(|at| (call.arg(at), call.arg(at + 1))).collect();
    let _changing = CHANGING.lock();
    let set = context.server.settings().set(&pairs);
    let applied = set.and_then(|(settings, changed)| context.server.apply(settings, &changed));
    let after = applied.map_err(|refused| CommandError::text(refused.to_string()))?;
    reply.ok();
    Ok(after)
}

fn rewrite(context: &mut Context<'_, '_>, _: &Call<'_>, _: &mut Reply<'_>) -> Result<After, CommandError> {
    rewrite_file(context, false)
}

/// Writes the settings of now to the configuration file; `all` of them, or those that it must name.
pub(super) fn rewrite_file(context: &Context<'_, '_>, all: bool) -> Result<After, CommandError> {
    let path = context.server.config_file.clone().ok_or(NO_CONFIG_FILE)?;
    if context.held.is_some() {
        // Locks are held, and this waits for the disk.
        return Err(NOT_IN_MULTI);
    }
    let settings = context.server.settings();
    let users = user_file::to_declare(&settings, &context.server.users);
    Ok(After::Elsewhere(Errand(Box::new(move || match rewrite::rewrite(&path, &settings, &users, all) {
        Ok(()) => {
            tracing::info!("CONFIG REWRITE executed with success");
            Ok(())
        }
        Err(error) => {
            tracing::warn!("CONFIG REWRITE failed: {error}");
            let text = error.to_string().replace(['\r', '\n'], " ");
            Err(CommandError::text(format!("ERR Rewriting config file: {text}")))
        }
    }))))
}

fn reset_stat(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    let server = context.server;
    server.stats.reset(server.store.removed_counts());
    server.store.holds().reset();
    all().iter().for_each(forget_calls);
    reply.ok();
    Ok(After::Reply)
}

fn forget_calls(entry: &Entry) {
    entry.calls.iter().chain([&entry.busy_us]).for_each(|count| count.store(0, Ordering::Relaxed));
    entry.latency.clear();
    entry.subcommands.iter().for_each(forget_calls);
}
