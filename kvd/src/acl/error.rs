//! What can be wrong with a rule, in Redis 7.4's words.

use std::fmt;

/// Why a rule means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is no rule.
    #[error("Syntax error")]
    Syntax,
    /// It names a command or category that there is none of.
    #[error("Unknown command or category name in ACL")]
    Unknown,
    /// All keys are allowed already.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try \
         'resetkeys' to start with an empty list of patterns"
    )]
    AfterAllKeys,
    /// All channels are allowed already.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. \
         Try 'resetchannels' to start with an empty list of channels"
    )]
    AfterAllChannels,
    /// `+config|get|x`
    #[error("Allowing first-arg of a subcommand is not supported")]
    WordOfSubcommand,
    /// `<password` that is none.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// `#…`
    #[error("The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")]
    Hash,
    /// A user is declared twice.
    #[error("Duplicate user found. A user can only be defined once in config files")]
    Duplicate,
}

/// A rule and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// One rule.
    Rule(Vec<u8>, Wrong),
    /// `(` without its `)`, from this rule on.
    Unmatched(Vec<u8>),
}

impl fmt::Display for RuleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::Rule(rule, wrong) => {
                write!(out, "Error in ACL SETUSER modifier '{}': {wrong}", String::from_utf8_lossy(rule))
            }
            RuleError::Unmatched(rule) => {
                let rule = String::from_utf8_lossy(rule);
                write!(out, "Unmatched parenthesis in acl selector starting at '{rule}'.")
            }
        }
    }
}
