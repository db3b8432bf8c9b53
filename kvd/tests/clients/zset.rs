//! Clients that wait for members of sorted sets.

use crate::client::Client;
use crate::server::Target;

#[test]
fn members_go_to_who_has_waited_longest() {
    let target = Target::from_environment();
    let mut pusher = Client::connect(&target);
    pusher.expect("DEL zwait zwait2 zstring", ":0\r\n");
    let mut waiters: Vec<Client> = Vec::new();
    for (count, request) in
        ["BZPOPMIN zwait 0", "BZPOPMAX zwait2 zwait 0", "BZMPOP 0 1 zwait MAX COUNT 2"].iter().enumerate()
    {
        let mut waiter = Client::connect(&target);
        waiter.send(format!("{request}\r\n"));
        pusher.until("blocked_clients", |blocked| blocked == count as u64 + 1);
        waiters.push(waiter);
    }
    pusher.expect("ZADD zwait 1 a 2 b 3 c 4 d 5 e", ":5\r\n");
    waiters[0].expect_reply("*3\r\n$5\r\nzwait\r\n$1\r\na\r\n$1\r\n1\r\n");
    waiters[1].expect_reply("*3\r\n$5\r\nzwait\r\n$1\r\ne\r\n$1\r\n5\r\n");
    waiters[2].expect_reply("*2\r\n$5\r\nzwait\r\n*2\r\n*2\r\n$1\r\nd\r\n$1\r\n4\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
    pusher.expect("ZCARD zwait", ":1\r\n");
}

#[test]
fn what_is_stored_wakes_and_what_is_of_another_type_does_not() {
    let target = Target::from_environment();
    let mut pusher = Client::connect(&target);
    pusher.expect("ZADD zsource 1 a 2 b", ":2\r\n");
    let mut waiter = Client::connect(&target);
    waiter.send("BZPOPMIN zother zgoal 0\r\n");
    pusher.until("blocked_clients", |blocked| blocked == 1);
    pusher.expect("SET zother 1", "+OK\r\n");
    pusher.expect("DEL zother", ":1\r\n");
    pusher.expect("SET zgoal 1", "+OK\r\n");
    pusher.expect("ZUNIONSTORE zgoal 1 zsource", ":2\r\n");
    waiter.expect_reply("*3\r\n$5\r\nzgoal\r\n$1\r\na\r\n$1\r\n1\r\n");
    waiter.send("BZPOPMAX zadd 0\r\n");
    pusher.until("blocked_clients", |blocked| blocked == 1);
    pusher.expect("GEOADD zadd 1 1 place", ":1\r\n");
    waiter.expect_reply("*3\r\n$4\r\nzadd\r\n$5\r\nplace\r\n$16\r\n3377822707026402\r\n");
    pusher.expect("DEL zsource zgoal", ":2\r\n");
}
