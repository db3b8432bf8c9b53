//! What took long, as SLOWLOG and LATENCY tell it.

use crate::client::{Client, own};

#[test]
fn requests_of_a_pipeline_are_measured_one_by_one_when_the_limit_is_low() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET slowlog-log-slower-than 0", "+OK\r\n");
    owner.expect("SLOWLOG RESET", "+OK\r\n");
    owner.send("PING\r\nGET a\r\nKEYS *\r\nNOSUCHCOMMAND\r\nGET\r\nINCR a\r\n".repeat(10));
    owner.send("SLOWLOG LEN\r\n");
    // RESET itself, and four of each six: what was refused has not run.
    while owner.line() != ":41" {}
    owner.expect("CONFIG SET slowlog-log-slower-than -1", "+OK\r\n");
    owner.expect("SLOWLOG LEN", ":42\r\n");
}

#[test]
fn what_takes_long_is_an_event() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET latency-monitor-threshold 1", "+OK\r\n");
    owner.expect("SETRANGE long 200000000 x", ":200000001\r\n");
    owner.send("LATENCY LATEST\r\n");
    let lines: Vec<String> = (0..4).map(|_| owner.line()).collect();
    assert_eq!((&*lines[1], &*lines[3]), ("*4", "command"), "{lines:?}");
    for _ in 0..3 {
        owner.line();
    }
    if lines[0] == "*1" {
        owner.expect("LATENCY RESET", ":1\r\n");
    }
}
