//! Large values: they lie in files of their own, also after they have changed, and the log stays short.

use crate::client::{Client, own, set};

const MIB: usize = 1 << 20;

#[test]
fn a_large_value_that_has_changed_is_renamed_without_being_logged_whole() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    for (from, to) in [("RENAME old new", "+OK\r\n"), ("RENAMENX old new", ":1\r\n")] {
        client.send(set("old", 20 * MIB));
        client.expect_reply("+OK\r\n");
        client.expect("APPEND old tail", &format!(":{}\r\n", 20 * MIB + 4));
        client.expect(from, to);
        client.expect("STRLEN new", &format!(":{}\r\n", 20 * MIB + 4));
        client.expect("GETRANGE new -5 -1", "$5\r\nvtail\r\n");
        client.expect("EXISTS old", ":0\r\n");
        client.expect("DEL new", ":1\r\n");
    }
    assert!(client.info("log_bytes") < MIB as u64);
}

#[test]
fn a_large_value_needs_no_room_in_the_log() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    client.send(set("key", 100 * MIB));
    client.expect_reply("+OK\r\n");
    client.send("CONFIG GET dir\r\n");
    let reply = [(); 5].map(|()| client.line());
    let files = std::fs::read_dir(&reply[4]).expect("the store's folder is there");
    let bytes: u64 = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum();
    assert!(bytes < 110 * MIB as u64, "{bytes} bytes");
}
