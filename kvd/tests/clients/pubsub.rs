//! Messages as their receivers see them: order, counts, and who is no receiver any more.

use std::io::Read;

use crate::client::{Client, own};
use crate::server::Target;

fn message(channel: &str, payload: &str) -> String {
    format!("*3\r\n$7\r\nmessage\r\n{}{}", text(channel), text(payload))
}

fn text(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn subscribed(word: &str, channel: &str, count: usize) -> String {
    format!("*3\r\n{}{}:{count}\r\n", text(word), text(channel))
}

/// A client that speaks RESP3.
fn modern(target: &Target) -> Client {
    let mut client = Client::connect(target);
    client.send("HELLO 3\r\n");
    while client.line() != "*0" {}
    client
}

#[test]
fn every_subscriber_gets_every_message_in_order() {
    let target = Target::from_environment();
    let mut subscribers: Vec<Client> = (0..8).map(|_| Client::connect(&target)).collect();
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        subscriber.expect("SUBSCRIBE order:a", &subscribed("subscribe", "order:a", 1));
        if number % 2 == 0 {
            subscriber.expect("PSUBSCRIBE order:?", &subscribed("psubscribe", "order:?", 2));
        }
    }
    let mut publisher = Client::connect(&target);
    let requests: String = (0..1000).map(|number| format!("PUBLISH order:a {number}\r\n")).collect();
    publisher.send(requests);
    publisher.expect_reply(&":12\r\n".repeat(1000));
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        for payload in 0..1000 {
            let payload = payload.to_string();
            subscriber.expect_reply(&message("order:a", &payload));
            if number % 2 == 0 {
                let through = format!("*4\r\n{}{}", text("pmessage"), text("order:?"));
                subscriber.expect_reply(&format!("{through}{}{}", text("order:a"), text(&payload)));
            }
        }
    }
}

#[test]
fn a_message_to_oneself_follows_the_reply() {
    let target = Target::from_environment();
    let mut client = modern(&target);
    client.send("SUBSCRIBE self\r\nPUBLISH self 1\r\nPING\r\nPUBLISH self 2\r\nUNSUBSCRIBE self\r\nPUBLISH self 3\r\n");
    let push = |text: String| text.replacen('*', ">", 1);
    client.expect_reply(&push(subscribed("subscribe", "self", 1)));
    client.expect_reply(&format!(":1\r\n{}+PONG\r\n", push(message("self", "1"))));
    client.expect_reply(&format!(":1\r\n{}", push(message("self", "2"))));
    client.expect_reply(&format!("{}:0\r\n", push(subscribed("unsubscribe", "self", 0))));
}

#[test]
fn who_subscribes_later_or_left_before_gets_nothing() {
    let target = Target::from_environment();
    let (mut listener, mut publisher) = (modern(&target), Client::connect(&target));
    for round in 0..200 {
        publisher.expect("PUBLISH late early", ":0\r\n");
        listener.send("SUBSCRIBE late\r\n");
        listener.expect_reply(&subscribed("subscribe", "late", 1).replacen('*', ">", 1));
        publisher.expect(&format!("PUBLISH late {round}"), ":1\r\n");
        // It was published before, so it stands before.
        listener.send("UNSUBSCRIBE late\r\n");
        listener.expect_reply(&message("late", &round.to_string()).replacen('*', ">", 1));
        listener.expect_reply(&subscribed("unsubscribe", "late", 0).replacen('*', ">", 1));
    }
}

#[test]
fn shard_channels_are_channels_of_their_own() {
    let target = Target::from_environment();
    let (mut listener, mut publisher) = (Client::connect(&target), Client::connect(&target));
    listener.expect("SSUBSCRIBE shard", &subscribed("ssubscribe", "shard", 1));
    listener.expect("PSUBSCRIBE shar*", &subscribed("psubscribe", "shar*", 1));
    publisher.expect("SPUBLISH shard x", ":1\r\n");
    listener.expect_reply(&message("shard", "x").replacen("$7\r\nmessage", "$8\r\nsmessage", 1));
    publisher.expect("PUBLISH shard y", ":1\r\n");
    let expected = format!("*4\r\n{}{}{}{}", text("pmessage"), text("shar*"), text("shard"), text("y"));
    listener.expect_reply(&expected);
}

#[test]
fn who_is_gone_is_no_subscriber() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    for end in ["", "QUIT\r\n", "RESET\r\n"] {
        let mut listener = Client::connect(&target);
        listener.expect("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
        listener.expect("PSUBSCRIBE a", &subscribed("psubscribe", "a", 2));
        listener.expect("SSUBSCRIBE a", &subscribed("ssubscribe", "a", 1));
        for row in ["pubsub_clients", "pubsub_channels", "pubsub_patterns", "pubsubshard_channels"] {
            assert_eq!(owner.info(row), 1, "{row}");
        }
        listener.send(end);
        if end.is_empty() {
            drop(listener);
        } else {
            listener.line();
        }
        for row in ["pubsub_clients", "pubsub_channels", "pubsub_patterns", "pubsubshard_channels"] {
            owner.until(row, |count| count == 0);
        }
        owner.expect("PUBLISH a x", ":0\r\n");
    }
}

#[test]
fn client_list_tells_subscribers() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    let mut listener = Client::connect(&target);
    listener.expect("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    listener.expect("SUBSCRIBE b", &subscribed("subscribe", "b", 2));
    listener.expect("PSUBSCRIBE c", &subscribed("psubscribe", "c", 3));
    owner.send("CLIENT LIST TYPE pubsub\r\n");
    owner.line();
    let line = owner.line();
    assert!(line.contains(" flags=P ") && line.contains(" sub=2 psub=1 ssub=0 "), "{line}");
    owner.line();
    owner.expect("CLIENT KILL TYPE normal", ":0\r\n");
    owner.expect("CLIENT KILL TYPE pubsub", ":1\r\n");
    assert!(listener.rest().is_empty());
}

#[test]
fn a_subscriber_that_does_not_read_is_closed() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET client-output-buffer-limit \"pubsub 1mb 0 0\"", "+OK\r\n");
    let mut deaf = Client::connect(&target);
    deaf.expect("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    let request = format!("PUBLISH a {}\r\n", "x".repeat(50_000));
    while owner.info("client_output_buffer_limit_disconnections") == 0 {
        owner.send(&request);
        owner.line();
    }
    owner.until("pubsub_clients", |count| count == 0);
    let mut bytes = Vec::new();
    // What the kernel held, or a reset.
    let _ = deaf.0.read_to_end(&mut bytes);
}

#[test]
fn large_messages_arrive_whole() {
    let target = Target::from_environment();
    let mut publisher = Client::connect(&target);
    let mut listeners: Vec<Client> = (0..3).map(|_| Client::connect(&target)).collect();
    for listener in &mut listeners {
        listener.expect("SUBSCRIBE large", &subscribed("subscribe", "large", 1));
    }
    for size in [1, 16 << 10, 100 << 10, 1 << 20] {
        let payload = "v".repeat(size);
        publisher.send(format!("*3\r\n{}{}{}", text("PUBLISH"), text("large"), text(&payload)));
        publisher.expect_reply(":3\r\n");
        for listener in &mut listeners {
            listener.expect_reply(&message("large", &payload));
        }
    }
}
