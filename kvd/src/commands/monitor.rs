//! MONITOR: shows a connection what others ask.

use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply};

/// The rows of this family.
pub const COMMANDS: &[Command] = &[Command::server("MONITOR", "", monitor)
    .group(Group::Server)
    .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
    .doc("Shows every request that runs from now on, but those of operators and secrets.")];

fn monitor(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> Result<After, CommandError> {
    // Redis does not answer a second one.
    if !context.session.monitors {
        context.session.set_monitor(true, context.server);
        reply.ok();
    }
    Ok(After::Reply)
}
