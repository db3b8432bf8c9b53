//! What follows from several settings together, and what the operator should hear about at start.

use engine::FsyncMode;

use super::load::{Given, Source};
use super::row::{Effect, Row, rows};
use super::settings::Settings;
use super::value::Named;

/// Brings `settings` into agreement with each other and says what was given in vain.
pub(super) fn settle(settings: &mut Settings, given: Given) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(settle_appendonly(settings, &given));
    warnings.extend(say_without_effect(settings, &given));
    warnings.extend(say_exposed(settings));
    warnings.extend(say_unused_password(settings));
    warnings.extend(given.warnings);
    warnings
}

/// The log cannot be turned off; whoever wants that does not want to wait for the disk.
fn settle_appendonly(settings: &mut Settings, given: &Given) -> Option<String> {
    if settings.appendonly {
        return None;
    }
    settings.appendonly = true;
    let source = |name: &str| given.sources.get(name).copied().unwrap_or(Source::File);
    if source("appendfsync") > source("appendonly") {
        let mode = settings.appendfsync.name();
        return Some(format!(
            "appendonly no: kvd always keeps its log; 'appendfsync {mode}' stands above it and counts"
        ));
    }
    settings.appendfsync = FsyncMode::No;
    Some("appendonly no: kvd always keeps its log, now with 'appendfsync no'".to_owned())
}

/// Directives at their default ask for nothing, so only the others are named.
fn say_without_effect(settings: &Settings, given: &Given) -> Vec<String> {
    let accepted = rows().filter(|row| row.effect == Effect::Accepted);
    let (noted, silent): (Vec<&Row>, Vec<&Row>) =
        accepted.filter(|row| row.value(settings) != row.default_value()).partition(|row| row.note.is_some());
    let mut names: Vec<&str> = silent.iter().map(|row| row.name).chain(given.retired.iter().copied()).collect();
    names.dedup();
    let mut warnings: Vec<String> = noted
        .iter()
        .filter_map(|row| row.note.map(|note| format!("{} {}: {note}", row.name, row.value(settings))))
        .collect();
    if !names.is_empty() {
        warnings.push(format!("accepted, but without effect in kvd: {}", names.join(", ")));
    }
    warnings
}

/// A server that others can reach and that has no password. What declared users make of it is seen when they are made.
fn say_exposed(settings: &Settings) -> Option<String> {
    let has_users = settings.aclfile.is_some() || !settings.users.is_empty();
    if has_users || !settings.requirepass.is_empty() { None } else { exposed(settings).map(str::to_owned) }
}

/// What it means that the default user needs no password: nothing where nobody else can reach the server.
pub fn exposed(settings: &Settings) -> Option<&'static str> {
    let listens = settings.port != 0 || settings.tls_port != 0;
    let listens_outside = listens && settings.bind.iter().any(|address| !address.is_loopback());
    listens_outside.then_some(if settings.protected_mode {
        "no requirepass: clients from other machines are refused (protected-mode)"
    } else {
        "no requirepass and protected-mode no: whoever reaches this port can read and change everything"
    })
}

/// A password that nobody is asked for.
fn say_unused_password(settings: &Settings) -> Option<String> {
    let is_unused = settings.aclfile.is_some() && !settings.requirepass.is_empty();
    is_unused.then(|| "requirepass has no effect: all users, the default one too, are those of the aclfile".to_owned())
}
