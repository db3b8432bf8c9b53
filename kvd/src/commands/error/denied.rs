//! What users may not do, and what is wrong with what is said of them.

use resp::Request;

use super::CommandError;
use crate::acl::{Denial, Reason};
use crate::commands::Entry;

impl CommandError {
    /// What its user may not do, without a word about what is there.
    pub fn denied(user: &[u8], entry: &Entry, reason: Reason) -> CommandError {
        match reason {
            Reason::Key => NO_KEY_PERMISSION,
            Reason::Channel => NO_CHANNEL_PERMISSION,
            Reason::Command | Reason::Auth => CommandError(format!("NOPERM {}", may_not_run(user, entry)).into()),
        }
    }

    /// The same with all that is known of it, for who asks what another may do.
    pub fn denied_in_detail(user: &[u8], entry: &Entry, request: &Request<'_>, denial: Denial) -> String {
        let kind = match denial.reason {
            Reason::Key => "key",
            Reason::Channel => "channel",
            Reason::Command | Reason::Auth => return may_not_run(user, entry),
        };
        let name = String::from_utf8_lossy(request.get(denial.argument).unwrap_or_default());
        format!("User {} has no permissions to access the '{name}' {kind}", String::from_utf8_lossy(user))
    }

    /// A request of a transaction that was allowed when it was queued.
    pub fn rules_changed(denied: &CommandError) -> CommandError {
        let reason = match denied {
            denied if *denied == NO_KEY_PERMISSION => "no permission to touch the specified keys",
            denied if *denied == NO_CHANNEL_PERMISSION => {
                "no permission to access one of the channels used as arguments to the command"
            }
            _ => "no permission to execute the command or subcommand",
        };
        CommandError(
            format!(
                "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This \
                 command is no longer allowed for the following reason: {reason}"
            )
            .into(),
        )
    }
}

fn may_not_run(user: &[u8], entry: &Entry) -> String {
    let user = String::from_utf8_lossy(user);
    format!("User {user} has no permissions to run the '{}' command", entry.full_name)
}

/// A key that its user may not touch, or not like this.
pub const NO_KEY_PERMISSION: CommandError = CommandError::fixed("NOPERM No permissions to access a key");
/// A channel that its user may not use.
pub const NO_CHANNEL_PERMISSION: CommandError = CommandError::fixed("NOPERM No permissions to access a channel");
/// SORT looks at other keys.
pub const SORT_BY_DENIED: CommandError =
    CommandError::fixed("ERR BY option of SORT denied due to insufficient ACL permissions.");
/// The same.
pub const SORT_GET_DENIED: CommandError =
    CommandError::fixed("ERR GET option of SORT denied due to insufficient ACL permissions.");
/// A user's name that would be two words.
pub const USER_NAME: CommandError = CommandError::fixed("ERR Usernames can't contain spaces or null characters");
/// DELUSER of the one who is always there.
pub const DEFAULT_USER_STAYS: CommandError = CommandError::fixed("ERR The 'default' user cannot be removed");
/// A password that is too long or none.
pub const GENPASS_BITS: CommandError = CommandError::fixed(
    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
);
/// ACL LOAD or SAVE where users are not in a file of their own.
pub const NO_ACL_FILE: CommandError = CommandError::fixed(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.",
);
/// The disk did not take the file of users.
pub const ACL_SAVE: CommandError = CommandError::fixed(
    "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
);
