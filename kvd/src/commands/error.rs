//! Every error text that a client reads, in Redis 7.4's words.

use std::borrow::Cow;

use engine::Refusal;
use engine::format::frame::MAX_KEY;

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

    /// A word that is none of those that could stand there.
    pub fn option(text: &str, word: &[u8]) -> CommandError {
        CommandError(format!("ERR {text} '{}'", clip(word, 128)).into())
    }

    /// Too few or too many arguments.
    pub fn arity(full_name: &str) -> CommandError {
        CommandError(format!("ERR wrong number of arguments for '{full_name}' command").into())
    }

    /// The disk did not take a large value.
    pub fn not_written(error: &std::io::Error) -> CommandError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => NO_SPACE,
            _ => CommandError(format!("MISCONF Errors writing to the AOF file: {error}").into()),
        }
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
// The text names the limit.
const _: () = assert!(MAX_KEY == 524_288);
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
pub const EXPIRE_GT_LT: CommandError = CommandError::fixed("ERR GT and LT options at the same time are not compatible");
/// COMMAND GETKEYS of a command that does not exist.
pub const GETKEYS_COMMAND: CommandError = CommandError::fixed("ERR Invalid command specified");
/// COMMAND GETKEYS of a command without keys.
pub const GETKEYS_NO_KEYS: CommandError = CommandError::fixed("ERR The command has no key arguments");
/// COMMAND GETKEYS with too few or too many arguments.
pub const GETKEYS_ARITY: CommandError = CommandError::fixed("ERR Invalid number of arguments specified for command");
/// HELLO before AUTH.
pub const HELLO_NO_AUTH: CommandError = CommandError::fixed(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
);
/// A protocol version that is no integer.
pub const PROTOCOL_VERSION: CommandError =
    CommandError::fixed("ERR Protocol version is not an integer or out of range");
/// An integer that is no 32-bit one.
pub const NOT_INT: CommandError =
    CommandError::fixed("ERR value is out of range, value must between -2147483648 and 2147483647");
/// A name that CLIENT LIST could not show in one word.
pub const CLIENT_NAME: CommandError =
    CommandError::fixed("ERR Client names cannot contain spaces, newlines or special characters.");
/// A name, or a library's, that is longer than any sensible one.
pub const CLIENT_NAME_TOO_LONG: CommandError = CommandError::fixed("ERR Client names cannot be longer than 4096 bytes");
/// CLIENT LIST ID of something else.
pub const CLIENT_ID: CommandError = CommandError::fixed("ERR Invalid client ID");
/// CLIENT KILL ID of something else.
pub const KILL_ID: CommandError = CommandError::fixed("ERR client-id should be greater than 0");
/// CLIENT KILL MAXAGE of something else.
pub const KILL_AGE: CommandError = CommandError::fixed("ERR maxage is not an integer or out of range");
/// CLIENT KILL MAXAGE that everyone is older than.
pub const KILL_AGE_RANGE: CommandError = CommandError::fixed("ERR maxage should be greater than 0");
/// CLIENT KILL of nobody.
pub const NO_SUCH_CLIENT: CommandError = CommandError::fixed("ERR No such client");
/// A timeout that ends after the end of time.
pub const TIMEOUT_RANGE: CommandError = CommandError::fixed("ERR timeout is out of range");
/// WAITAOF with a count of this server's logs that is neither 0 nor 1.
pub const LOCAL_LOGS: CommandError = CommandError::fixed("ERR value is out of range, value must between 0 and 1");
/// A number that may not be below zero.
pub const NOT_POSITIVE: CommandError = CommandError::fixed("ERR value is out of range, must be positive");
/// SHUTDOWN ABORT.
pub const NO_SHUTDOWN: CommandError = CommandError::fixed("ERR No shutdown in progress.");
/// SHUTDOWN, but what was acknowledged cannot be made durable.
pub const SHUTDOWN_FAILED: CommandError = CommandError::fixed("ERR Errors trying to SHUTDOWN. Check logs.");
