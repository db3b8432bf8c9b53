//! MONITOR: what is shown, in which form, and what is not.

use crate::client::Client;
use crate::server::Target;

#[test]
fn what_others_ask_is_shown_but_secrets_and_operators() {
    let target = Target::from_environment();
    let (mut watcher, mut client) = (Client::connect(&target), Client::connect(&target));
    watcher.expect("MONITOR", "+OK\r\n");
    client.send("SET a \"b\\\"\\x01\\n\"\r\nCONFIG GET port\r\nCLIENT LIST\r\nAUTH mallory guess\r\nGET\r\nSELECT 1\r\nPING\r\n");
    client.send("HELLO 3 AUTH default guess SETNAME a\r\nNOSUCHCOMMAND\r\nSELECT 0\r\nget A\r\n");
    let address = client.0.local_addr().expect("it is connected");
    for (database, request) in [
        (0, r#""SET" "a" "b\"\x01\n""#),
        (0, r#""AUTH" "(redacted)" "(redacted)""#),
        (1, r#""SELECT" "1""#),
        (1, r#""PING""#),
        (1, r#""HELLO" "3" "AUTH" "(redacted)" "(redacted)" "SETNAME" "a""#),
        (0, r#""SELECT" "0""#),
        (0, r#""get" "A""#),
    ] {
        let line = watcher.line();
        let (time, shown) = line.split_once(' ').expect("a time and a request");
        assert_eq!(shown, format!("[{database} {address}] {request}"));
        let (seconds, microseconds) = time.strip_prefix('+').and_then(|time| time.split_once('.')).expect("a time");
        assert!(seconds.len() >= 10 && microseconds.len() == 6, "{time}");
    }
}

#[test]
fn one_who_monitors_sees_himself_behind_his_replies() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    client.send("MONITOR\r\nECHO own\r\nMONITOR\r\nPING\r\nRESET\r\nPING\r\n");
    client.expect_reply("+OK\r\n$3\r\nown\r\n");
    // Others are shown as well.
    let own = |line: &str, request: &str| line.ends_with(request);
    while !own(&client.line(), r#""ECHO" "own""#) {}
    let mut lines = vec![client.line()];
    while lines.last().is_some_and(|line| line != "+RESET") {
        lines.push(client.line());
    }
    assert!(lines.contains(&"+PONG".to_owned()), "{lines:?}");
    client.expect_reply("+PONG\r\n");
}

#[test]
fn client_list_tells_who_monitors() {
    let target = Target::from_environment();
    let (mut watcher, mut client) = (Client::connect(&target), Client::connect(&target));
    watcher.send("CLIENT ID\r\n");
    let id = watcher.line().replace(':', "");
    watcher.expect("MONITOR", "+OK\r\n");
    client.send(format!("CLIENT LIST ID {id}\r\n"));
    client.line();
    let line = client.line();
    assert!(line.contains(" flags=O ") && line.contains(" cmd=monitor "), "{line}");
}
