//! Every error text that a client reads, in Redis 7.4's words.

mod denied;

use std::borrow::Cow;

use engine::Refusal;
use engine::format::frame::MAX_KEY;

pub use denied::*;

/// An error reply. The write it answers was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError(pub Cow<'static, str>);

impl From<engine::WrongType> for CommandError {
    fn from(_: engine::WrongType) -> CommandError {
        WRONG_TYPE
    }
}

impl CommandError {
    /// EXEC, which the gate refused.
    pub fn exec_aborted(because: &CommandError) -> CommandError {
        CommandError(format!("EXECABORT Transaction discarded because of: {}", because.0).into())
    }

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

    /// A subcommand with too few or too many arguments, where Redis says it like this.
    pub fn subcommand_arity(container: &str, name: &[u8]) -> CommandError {
        let name = clip(name, 128);
        CommandError(
            format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.").into(),
        )
    }

    /// A command that a RESP2 client with subscriptions may not send.
    pub fn subscribed(full_name: &str) -> CommandError {
        CommandError(
            format!(
                "ERR Can't execute '{full_name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                 allowed in this context"
            )
            .into(),
        )
    }

    /// The disk did not take a large value.
    pub fn not_written(error: &std::io::Error) -> CommandError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => NO_SPACE,
            _ => CommandError(format!("MISCONF Errors writing to the AOF file: {error}").into()),
        }
    }

    /// A value that lies in the log only cannot be read; whoever runs the server is told too.
    pub fn unreadable(error: &engine::Error) -> CommandError {
        tracing::error!(%error, "a value cannot be read back from the log");
        CommandError(format!("CORRUPT the value cannot be read back: {error}").into())
    }

    /// A deadline that cannot be.
    pub fn invalid_expire(full_name: &str) -> CommandError {
        CommandError(format!("ERR invalid expire time in '{full_name}' command").into())
    }

    /// A word among the options of HSETEX that is none.
    pub fn unknown_argument(word: &[u8]) -> CommandError {
        CommandError(format!("ERR unknown argument: {}", clip(word, 128)).into())
    }

    /// No key where some are needed.
    pub fn no_input_key(full_name: &str) -> CommandError {
        CommandError(format!("ERR at least 1 input key is needed for '{full_name}' command").into())
    }

    /// A place outside of the map.
    pub fn coordinates(longitude: f64, latitude: f64) -> CommandError {
        CommandError(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}").into())
    }

    /// A search that lacks one of its parts; Redis names the command as the client did.
    pub fn search_lacks(parts: &str, name: &[u8]) -> CommandError {
        CommandError(format!("ERR exactly one of {parts} can be specified for {}", clip(name, 128)).into())
    }

    /// Something of this name that there is none of.
    pub fn not_found(kind: &str, name: &[u8]) -> CommandError {
        CommandError(format!("ERR {kind} '{}' not found", clip(name, 128)).into())
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
/// A field that is no number is counted up.
pub const HASH_NOT_INTEGER: CommandError = CommandError::fixed("ERR hash value is not an integer");
/// A field that is no number is counted up.
pub const HASH_NOT_FLOAT: CommandError = CommandError::fixed("ERR hash value is not a float");
/// HINCRBYFLOAT by more than any number.
pub const INFINITE_INCREMENT: CommandError = CommandError::fixed("ERR value is NaN or Infinity");
/// A deadline of a field before the epoch, or a time to live below zero.
pub const NEGATIVE_EXPIRE: CommandError = CommandError::fixed("ERR invalid expire time, must be >= 0");
/// Fields of a hash without the word before their number.
pub const NO_FIELDS_WORD: CommandError =
    CommandError::fixed("ERR Mandatory argument FIELDS is missing or not at the right position");
/// HEXPIRE of no fields.
pub const FIELDS_TOO_FEW: CommandError = CommandError::fixed("ERR Parameter `numFields` should be greater than 0");
/// HTTL and others of no fields.
pub const FIELD_COUNT: CommandError = CommandError::fixed("ERR Number of fields must be a positive integer");
/// HSETEX of no fields.
pub const SET_FIELD_COUNT: CommandError = CommandError::fixed("ERR invalid number of fields");
/// Not as many fields as there are said to be.
pub const NUMFIELDS_MISMATCH: CommandError =
    CommandError::fixed("ERR The `numfields` parameter must match the number of arguments");
/// HSETEX with two conditions.
pub const ONE_FIELD_CONDITION: CommandError =
    CommandError::fixed("ERR Only one of FXX or FNX arguments can be specified");
/// HSETEX with two deadlines.
pub const ONE_FIELD_TIME: CommandError =
    CommandError::fixed("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
/// A number that is too large or too small.
pub const OUT_OF_RANGE: CommandError = CommandError::fixed("ERR value is out of range");
/// HRANDFIELD of the least integer.
pub const RANDOM_COUNT: CommandError =
    CommandError::fixed("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
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
/// How often keys are used decides nothing.
pub const NO_FREQUENCIES: CommandError = CommandError::fixed(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between \
     policies at runtime LRU and LFU data will take some time to adjust.",
);
/// When keys were last used decides nothing.
pub const NO_IDLE_TIMES: CommandError = CommandError::fixed(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at \
     runtime LRU and LFU data will take some time to adjust.",
);
/// Only whether a key was read decides anything.
pub const ONLY_READS: CommandError =
    CommandError::fixed("ERR The maxmemory policy ear is selected, idle time not tracked.");
/// No such key.
pub const NO_SUCH_KEY: CommandError = CommandError::fixed("ERR no such key");
/// A string would grow beyond the limit.
pub const STRING_TOO_LONG: CommandError =
    CommandError::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
/// The number of a bit that no string has.
pub const BIT_OFFSET: CommandError = CommandError::fixed("ERR bit offset is not an integer or out of range");
/// SETBIT of neither 0 nor 1.
pub const BIT: CommandError = CommandError::fixed("ERR bit is not an integer or out of range");
/// BITPOS of neither 0 nor 1.
pub const BITPOS_BIT: CommandError = CommandError::fixed("ERR The bit argument must be 1 or 0.");
/// BITOP NOT of several keys.
pub const BITOP_NOT: CommandError = CommandError::fixed("ERR BITOP NOT must be called with a single source key.");
/// BITFIELD with an encoding that is none.
pub const BITFIELD_TYPE: CommandError = CommandError::fixed(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);
/// BITFIELD with an OVERFLOW that is none.
pub const OVERFLOW_TYPE: CommandError = CommandError::fixed("ERR Invalid OVERFLOW type specified");
/// BITFIELD_RO of a write.
pub const BITFIELD_READ_ONLY: CommandError = CommandError::fixed("ERR BITFIELD_RO only supports the GET subcommand");
/// A string that is no HyperLogLog.
pub const HLL_FOREIGN: CommandError = CommandError::fixed("WRONGTYPE Key is not a valid HyperLogLog string value.");
/// A HyperLogLog whose runs are not as many registers as it has.
pub const HLL_CORRUPTED: CommandError = CommandError::fixed("INVALIDOBJ Corrupted HLL object detected");
/// PFDEBUG of nothing.
pub const HLL_NO_KEY: CommandError = CommandError::fixed("ERR The specified key does not exist");
/// PFDEBUG DECODE of a dense HyperLogLog.
pub const HLL_NOT_SPARSE: CommandError = CommandError::fixed("ERR HLL encoding is not sparse");
/// LCS with LEN and IDX.
pub const LCS_LENGTH_AND_INDEXES: CommandError =
    CommandError::fixed("ERR If you want both the length and indexes, please just use IDX.");
/// LCS of strings that are too long.
pub const LCS_MEMORY: CommandError =
    CommandError::fixed("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
/// LCS when the system has no memory.
pub const LCS_NO_MEMORY: CommandError =
    CommandError::fixed("ERR Insufficient memory, failed allocating transient memory for LCS");
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
/// The store is being opened.
pub const LOADING: CommandError = CommandError::fixed("LOADING Redis is loading the dataset in memory");
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
/// A value that lies in the log only cannot be read, where the reason is known to the log for people only.
pub const UNREADABLE: CommandError =
    CommandError::fixed("CORRUPT the value cannot be read back: it is damaged on disk");
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
/// NOVALUES where there are none.
pub const NO_VALUES_TO_LEAVE: CommandError = CommandError::fixed("ERR NOVALUES option can only be used in HSCAN");
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
/// COMMAND GETKEYS where the arguments do not say which keys.
pub const GETKEYS_INVALID: CommandError = CommandError::fixed("ERR Invalid arguments specified for command");
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
/// SRANDMEMBER with a count that has no opposite.
pub const RANDOM_COUNT_RANGE: CommandError =
    CommandError::fixed("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
/// SINTERCARD of no sets.
pub const NUMBER_OF_KEYS: CommandError = CommandError::fixed("ERR numkeys should be greater than 0");
/// SINTERCARD of more sets than are named.
pub const TOO_MANY_KEYS: CommandError = CommandError::fixed("ERR Number of keys can't be greater than number of args");
/// SINTERCARD with a limit below zero.
pub const NEGATIVE_LIMIT: CommandError = CommandError::fixed("ERR LIMIT can't be negative");
/// SWAPDB.
pub const FIRST_DATABASE: CommandError = CommandError::fixed("ERR invalid first DB index");
/// SWAPDB.
pub const SECOND_DATABASE: CommandError = CommandError::fixed("ERR invalid second DB index");
/// COPY and MOVE to where the key is.
pub const SAME_KEY: CommandError = CommandError::fixed("ERR source and destination objects are the same");
/// RESTORE of a key that is there.
pub const BUSY_KEY: CommandError = CommandError::fixed("BUSYKEY Target key name already exists.");
/// RESTORE with a time before now.
pub const RESTORE_TTL: CommandError = CommandError::fixed("ERR Invalid TTL value, must be >= 0");
/// RESTORE IDLETIME.
pub const RESTORE_IDLETIME: CommandError = CommandError::fixed("ERR Invalid IDLETIME value, must be >= 0");
/// RESTORE FREQ.
pub const RESTORE_FREQ: CommandError = CommandError::fixed("ERR Invalid FREQ value, must be >= 0 and <= 255");
/// RESTORE of bytes that were changed, or that a later Redis wrote.
pub const DUMP_CHECKSUM: CommandError = CommandError::fixed("ERR DUMP payload version or checksum are wrong");
/// RESTORE of bytes that make no sense.
pub const DUMP_FORMAT: CommandError = CommandError::fixed("ERR Bad data format");
/// SORT by what is no number.
pub const SORT_NUMBER: CommandError = CommandError::fixed("ERR One or more scores can't be converted into double");
/// CONFIG REWRITE without a file.
pub const NO_CONFIG_FILE: CommandError = CommandError::fixed("ERR The server is running without a config file");
/// What should not have happened; the log says more.
pub const FAILED: CommandError = CommandError::fixed("ERR internal error. Check server logs.");
/// DEBUG where it is not allowed.
pub const DEBUG_FORBIDDEN: CommandError = CommandError::fixed(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
     local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);
/// DEBUG PROTOCOL of a type that is none.
pub const PROTOCOL_TYPE: CommandError = CommandError::fixed(
    "ERR Wrong protocol type name. Please use one of the following: \
     string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
);
/// What only RESP3 can say.
pub const NOT_IN_RESP2: CommandError = CommandError::fixed("ERR RESP2 is not supported by this command");
/// DEBUG QUICKLIST-PACKED-THRESHOLD of something else.
pub const PACKED_THRESHOLD: CommandError =
    CommandError::fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb");
/// DEBUG LISTPACK of another encoding.
pub const NO_LISTPACK: CommandError = CommandError::fixed("ERR Not a listpack encoded object.");
/// DEBUG RELOAD with another option.
pub const RELOAD_OPTION: CommandError =
    CommandError::fixed("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
/// DEBUG RELOAD of a dump.
pub const RELOAD_NO_DUMP: CommandError =
    CommandError::fixed("ERR DEBUG RELOAD NOSAVE is not supported: there is no dump to be loaded, only the log");
/// DEBUG RELOAD found what it could not make again.
pub const RELOAD_FAILED: CommandError = CommandError::fixed("ERR Error trying to load a value from its image");
/// MULTI after MULTI.
pub const NESTED_MULTI: CommandError = CommandError::fixed("ERR MULTI calls can not be nested");
/// EXEC without MULTI.
pub const EXEC_WITHOUT_MULTI: CommandError = CommandError::fixed("ERR EXEC without MULTI");
/// DISCARD without MULTI.
pub const DISCARD_WITHOUT_MULTI: CommandError = CommandError::fixed("ERR DISCARD without MULTI");
/// WATCH after MULTI.
pub const WATCH_IN_MULTI: CommandError = CommandError::fixed("ERR WATCH inside MULTI is not allowed");
/// EXEC when a command could not be queued.
pub const EXEC_ABORTED: CommandError =
    CommandError::fixed("EXECABORT Transaction discarded because of previous errors.");
/// A command that cannot be queued.
pub const NOT_IN_MULTI: CommandError = CommandError::fixed("ERR Command not allowed inside a transaction");
/// More than a transaction may hold.
pub const MULTI_TOO_LONG: CommandError = CommandError::fixed("ERR the transaction is longer than 1 GiB");
/// More queued requests than all clients together may hold.
pub const MULTI_MEMORY: CommandError =
    CommandError::fixed("ERR the transaction needs more memory than clients may hold (maxmemory-clients)");
/// The keys to watch do not fit.
pub const WATCH_MEMORY: CommandError =
    CommandError::fixed("ERR the keys to watch need more memory than clients may hold (maxmemory-clients)");
/// CLIENT UNBLOCK for another reason.
pub const UNBLOCK_REASON: CommandError = CommandError::fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
/// CLIENT UNBLOCK ERROR, to the client that waited.
pub const UNBLOCKED: CommandError = CommandError::fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK");
/// A value of another type than the command is for.
pub const WRONG_TYPE: CommandError =
    CommandError::fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
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
/// A command about keys from a client that monitors.
pub const MONITORS: CommandError = CommandError::fixed("ERR Replica can't interact with the keyspace");
/// CLIENT PAUSE of something else.
pub const PAUSE_MODE: CommandError = CommandError::fixed("ERR CLIENT PAUSE mode must be WRITE or ALL");
/// SLOWLOG GET of something else.
pub const SLOWLOG_COUNT: CommandError = CommandError::fixed("ERR count should be greater than or equal to -1");
/// Everything about a cluster.
pub const CLUSTER_DISABLED: CommandError = CommandError::fixed("ERR This instance has cluster support disabled");
/// REPLICAOF of another server.
pub const NO_REPLICATION: CommandError = CommandError::fixed("ERR replication is not supported: only NO ONE is");
/// SHUTDOWN ABORT.
pub const NO_SHUTDOWN: CommandError = CommandError::fixed("ERR No shutdown in progress.");
/// SHUTDOWN, but what was acknowledged cannot be made durable.
pub const SHUTDOWN_FAILED: CommandError = CommandError::fixed("ERR Errors trying to SHUTDOWN. Check logs.");
/// A timeout in seconds that is no number.
pub const FLOAT_TIMEOUT: CommandError = CommandError::fixed("ERR timeout is not a float or out of range");
/// An index where a list has no element.
pub const INDEX_RANGE: CommandError = CommandError::fixed("ERR index out of range");
/// The one integer that has no opposite.
pub const NOT_SYMMETRIC: CommandError =
    CommandError::fixed("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
/// COUNT of nothing.
pub const COUNT_RANGE: CommandError = CommandError::fixed("ERR count should be greater than 0");
/// LPOS RANK 0.
pub const LPOS_RANK: CommandError = CommandError::fixed(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
);
/// LPOS COUNT below zero.
pub const LPOS_COUNT: CommandError = CommandError::fixed("ERR COUNT can't be negative");
/// LPOS MAXLEN below zero.
pub const LPOS_MAXLEN: CommandError = CommandError::fixed("ERR MAXLEN can't be negative");
/// ZADD with conditions that exclude each other.
pub const ZADD_NX_XX: CommandError = CommandError::fixed("ERR XX and NX options at the same time are not compatible");
/// ZADD with comparisons that exclude each other.
pub const ZADD_GT_LT_NX: CommandError =
    CommandError::fixed("ERR GT, LT, and/or NX options at the same time are not compatible");
/// ZADD INCR of several members.
pub const ZADD_INCR: CommandError = CommandError::fixed("ERR INCR option supports a single increment-element pair");
/// Infinity and its opposite.
pub const SCORE_NAN: CommandError = CommandError::fixed("ERR resulting score is not a number (NaN)");
/// The bounds of a range of scores.
pub const SCORE_RANGE: CommandError = CommandError::fixed("ERR min or max is not a float");
/// The bounds of a range of members.
pub const LEX_RANGE: CommandError = CommandError::fixed("ERR min or max not valid string range item");
/// LIMIT of ranks.
pub const LIMIT_OF_RANKS: CommandError =
    CommandError::fixed("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
/// Scores of a range of members.
pub const SCORES_BY_LEX: CommandError =
    CommandError::fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
/// A weight that is no number.
pub const WEIGHT: CommandError = CommandError::fixed("ERR weight value is not a float");
/// ZINTERCARD up to less than nothing.
pub const LIMIT_NEGATIVE: CommandError = CommandError::fixed("ERR LIMIT can't be negative");
/// So many random members that twice the number is none.
pub const COUNT_TOO_LARGE: CommandError = CommandError::fixed("ERR value is out of range");
/// A unit of length that does not exist.
pub const UNIT: CommandError = CommandError::fixed("ERR unsupported unit provided. please use M, KM, FT, MI");
/// A radius that is no number.
pub const RADIUS: CommandError = CommandError::fixed("ERR need numeric radius");
/// A radius below zero.
pub const RADIUS_NEGATIVE: CommandError = CommandError::fixed("ERR radius cannot be negative");
/// A width that is no number.
pub const WIDTH: CommandError = CommandError::fixed("ERR need numeric width");
/// A height that is no number.
pub const HEIGHT: CommandError = CommandError::fixed("ERR need numeric height");
/// A box of less than nothing.
pub const BOX_NEGATIVE: CommandError = CommandError::fixed("ERR height or width cannot be negative");
/// The member to search around is not there.
pub const NO_CENTER: CommandError = CommandError::fixed("ERR could not decode requested zset member");
/// COUNT of nothing, in a search of places.
pub const GEO_COUNT: CommandError = CommandError::fixed("ERR COUNT must be > 0");
/// ANY without COUNT.
pub const ANY_WITHOUT_COUNT: CommandError = CommandError::fixed("ERR the ANY argument requires COUNT argument");
/// What is stored has no distances, hashes or coordinates beside it.
pub const GEORADIUS_STORE: CommandError = CommandError::fixed(
    "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
);
/// What is stored has no distances, hashes or coordinates beside it.
pub const GEOSEARCHSTORE_WITH: CommandError =
    CommandError::fixed("ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
