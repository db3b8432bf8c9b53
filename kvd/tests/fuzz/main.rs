//! The corpora of the fuzz targets that need kvd, replayed without a fuzzer.

#[path = "../../../fuzz/src/acls.rs"]
mod acls;
#[path = "../../../fuzz/src/commands.rs"]
mod commands;
#[path = "../../../fuzz/src/configs.rs"]
mod configs;
#[path = "../../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/src/globs.rs"]
mod globs;
#[path = "../../../fuzz/src/in_process.rs"]
mod in_process;
#[path = "../../../fuzz/src/tail.rs"]
mod tail;
#[path = "../../../fuzz/src/words.rs"]
mod words;

use corpus::replay;

#[test]
fn glob() {
    replay("glob", globs::check);
}

#[test]
fn acl() {
    replay("acl", acls::check);
}

#[test]
fn config() {
    replay("config", configs::check);
}

#[test]
fn command_list() {
    replay("command_list", commands::check);
}

#[test]
fn command_words() {
    replay("command_words", words::check);
}
