//! Every error text that a client reads, in Redis 7.4's words.

use std::borrow::Cow;

use engine::Refusal;

/// An error reply. The write it answers was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError(pub Cow<'static, str>);

impl CommandError {
    /// A fixed text.
    pub const fn fixed(text: &'static str) -> CommandError {
        CommandError(Cow::Borrowed(text))
    }

    /// A made-up text.
    pub fn text(text: String) -> CommandError {
        CommandError(Cow::Owned(text))
    }

    /// A command that does not exist.
    pub fn unknown_command(request: &resp::Request<'_>) -> CommandError {
        let name = clip(request.get(0).unwrap_or_default(), 128);
        let mut arguments = String::new();
        for argument in request.iter().skip(1) {
            if arguments.len() >= 128 {
                break;
            }
            arguments.push_str(&format!("'{}' ", clip(argument, 128 - arguments.len())));
        }
        CommandError(format!("ERR unknown command '{name}', with args beginning with: {arguments}").into())
    }

    /// A subcommand that does not exist.
    pub fn unknown_subcommand(container: &str, name: &[u8]) -> CommandError {
        let upper = container.to_ascii_uppercase();
        CommandError(format!("ERR unknown subcommand '{}'. Try {upper} HELP.", clip(name, 128)).into())
    }

    /// Too few or too many arguments.
    pub fn arity(full_name: &str) -> CommandError {
        CommandError(format!("ERR wrong number of arguments for '{full_name}' command").into())
    }

    /// A deadline that cannot be.
    pub fn invalid_expire(full_name: &str) -> CommandError {
        CommandError(format!("ERR invalid expire time in '{full_name}' command").into())
    }

    /// An option of EXPIRE that does not exist.
    pub fn unsupported_option(option: &[u8]) -> CommandError {
        CommandError(format!("ERR Unsupported option {}", clip(option, 128)).into())
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> CommandError {
        match refusal {
            Refusal::NoSpace => NO_SPACE,
            Refusal::ReadOnly => READ_ONLY,
            Refusal::OutOfMemory => OOM,
            Refusal::Stalled => STALLED,
        }
    }
}

fn clip(bytes: &[u8], limit: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]).into_owned()
}

/// A word where the syntax has none, or two that exclude each other.
pub const SYNTAX: CommandError = CommandError::fixed("ERR syntax error");
/// Not a 64-bit integer.
pub const NOT_INTEGER: CommandError = CommandError::fixed("ERR value is not an integer or out of range");
/// Not a number.
pub const NOT_FLOAT: CommandError = CommandError::fixed("ERR value is not a valid float");
/// The result leaves the range of integers.
pub const OVERFLOW: CommandError = CommandError::fixed("ERR increment or decrement would overflow");
/// DECRBY of the least integer.
pub const DECREMENT_OVERFLOW: CommandError = CommandError::fixed("ERR decrement would overflow");
/// The result is no number.
pub const NAN_OR_INFINITY: CommandError = CommandError::fixed("ERR increment would produce NaN or Infinity");
/// No such key.
pub const NO_SUCH_KEY: CommandError = CommandError::fixed("ERR no such key");
/// A string would grow beyond the limit.
pub const STRING_TOO_LONG: CommandError =
    CommandError::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
/// A negative offset.
pub const OFFSET: CommandError = CommandError::fixed("ERR offset is out of range");
/// A key longer than the log can hold.
pub const KEY_TOO_LONG: CommandError = CommandError::fixed("ERR key exceeds maximum allowed size (524288 bytes)");
/// A SELECT beyond the number of databases.
pub const DATABASE_RANGE: CommandError = CommandError::fixed("ERR DB index is out of range");
/// Not authenticated.
pub const NO_AUTH: CommandError = CommandError::fixed("NOAUTH Authentication required.");
/// Wrong name or password.
pub const WRONG_PASSWORD: CommandError =
    CommandError::fixed("WRONGPASS invalid username-password pair or user is disabled.");
/// AUTH without a password to compare with.
pub const AUTH_WITHOUT_PASSWORD: CommandError = CommandError::fixed(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
);
/// A protocol version other than 2 and 3.
pub const NO_PROTO: CommandError = CommandError::fixed("NOPROTO unsupported protocol version");
/// More memory than allowed.
pub const OOM: CommandError = CommandError::fixed("OOM command not allowed when used memory > 'maxmemory'.");
/// The disk is full.
pub const NO_SPACE: CommandError =
    CommandError::fixed("MISCONF Errors writing to the AOF file: No space left on device");
/// A write or sync failed.
pub const READ_ONLY: CommandError = CommandError::fixed(
    "MISCONF Errors writing to the AOF file: Input/output error. The log is read-only until the server is restarted",
);
/// Only seen where a command cannot wait.
pub const STALLED: CommandError = CommandError::fixed("MISCONF Errors writing to the AOF file: the disk is behind");
/// A bad SCAN cursor.
pub const INVALID_CURSOR: CommandError = CommandError::fixed("ERR invalid cursor");
/// A timeout that is no integer.
pub const TIMEOUT: CommandError = CommandError::fixed("ERR timeout is not an integer or out of range");
/// A timeout below zero.
pub const NEGATIVE_TIMEOUT: CommandError = CommandError::fixed("ERR timeout is negative");
/// EXPIRE with conditions that exclude each other.
pub const EXPIRE_NX: CommandError =
    CommandError::fixed("ERR NX and XX, GT or LT options at the same time are not compatible");
/// EXPIRE with both comparisons.
pub const EXPIRE_GT_LT: CommandError =
    CommandError::fixed("ERR GT and LT options at the same time are not compatible");
/// COMMAND GETKEYS of a command that does not exist.
pub const GETKEYS_COMMAND: CommandError = CommandError::fixed("ERR Invalid command specified");
/// COMMAND GETKEYS of a command without keys.
pub const GETKEYS_NO_KEYS: CommandError = CommandError::fixed("ERR The command has no key arguments");
/// COMMAND GETKEYS with too few or too many arguments.
pub const GETKEYS_ARITY: CommandError =
    CommandError::fixed("ERR Invalid number of arguments specified for command");
