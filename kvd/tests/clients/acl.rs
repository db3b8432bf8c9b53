//! Users against a running server: who may do what, and what becomes of connections when that changes.

use std::path::Path;

use crate::client::{Client, own};
use crate::server::Target;

const NO_KEY: &str = "-NOPERM No permissions to access a key\r\n";
const NO_CHANNEL: &str = "-NOPERM No permissions to access a channel\r\n";

/// A connection of a user who needs no password, made by these rules.
fn user(target: &Target, admin: &mut Client, name: &str, rules: &str) -> Client {
    admin.expect(&format!("ACL SETUSER {name} on nopass {rules}"), "+OK\r\n");
    let mut client = Client::connect(target);
    client.expect(&format!("AUTH {name} x"), "+OK\r\n");
    client
}

#[test]
fn a_user_does_what_the_rules_say_and_no_more() {
    let Some(target) = own() else { return };
    let mut admin = Client::connect(&target);
    let mut alice = user(&target, &mut admin, "alice", "~app:* %R~ro:* +@read +set +multi +exec (+del ~tmp:*)");
    admin.expect("MSET ro:1 a other b", "+OK\r\n");
    alice.expect("SET app:1 x", "+OK\r\n");
    alice.expect("GET ro:1", "$1\r\na\r\n");
    alice.expect("SET ro:1 x", NO_KEY);
    alice.expect("MGET app:1 ro:1 other", NO_KEY);
    alice.expect("DEL app:1", NO_KEY);
    alice.expect("DEL tmp:1", ":0\r\n");
    alice.expect("CONFIG GET *", "-NOPERM User alice has no permissions to run the 'config|get' command\r\n");
    alice.expect("ECHO hi", "-NOPERM User alice has no permissions to run the 'echo' command\r\n");
    // What is sent in one write is looked at request by request.
    admin.send("ACL SETUSER alice +echo\r\nSET seen 1\r\n");
    admin.expect_reply("+OK\r\n+OK\r\n");
    alice.expect("ECHO hi", "$2\r\nhi\r\n");
    alice.expect("RESET", "+RESET\r\n");
    alice.expect("GET other", "$1\r\nb\r\n");
}

#[test]
fn keys_that_a_request_does_not_name_are_for_those_who_may_touch_every_key() {
    let Some(target) = own() else { return };
    let mut admin = Client::connect(&target);
    admin.expect("SET secret 1", "+OK\r\n");
    admin.expect("RPUSH app:list secret", ":1\r\n");
    let mut some = user(&target, &mut admin, "some", "~app:* +@all");
    some.expect("SORT app:list BY *", "-ERR BY option of SORT denied due to insufficient ACL permissions.\r\n");
    some.expect("SORT app:list ALPHA GET *", "-ERR GET option of SORT denied due to insufficient ACL permissions.\r\n");
    some.expect("SORT app:list ALPHA BY nosort", "*1\r\n$6\r\nsecret\r\n");
    some.expect("KEYS secret WITHVALUES", NO_KEY);
    some.expect("PDEL secret", NO_KEY);
    let mut reader = user(&target, &mut admin, "reader", "%R~* ~app:* +@all");
    reader.expect("SORT app:list ALPHA GET *", "*1\r\n$1\r\n1\r\n");
    reader.expect("KEYS secret WITHVALUES", "*2\r\n$6\r\nsecret\r\n$1\r\n1\r\n");
    reader.expect("PDEL secret", NO_KEY);
    admin.expect("EXISTS secret", ":1\r\n");
    // DRYRUN says what would be answered.
    admin.expect("ACL DRYRUN some PDEL secret", "$30\r\nNo permissions to access a key\r\n");
    admin.expect("ACL DRYRUN reader KEYS secret WITHVALUES", "+OK\r\n");
}

#[test]
fn what_was_queued_is_looked_at_again_when_it_runs() {
    let Some(target) = own() else { return };
    let mut admin = Client::connect(&target);
    let mut bob = user(&target, &mut admin, "bob", "~* +@all");
    bob.expect("MULTI", "+OK\r\n");
    bob.expect("SET a 1", "+QUEUED\r\n");
    bob.expect("SET b 1", "+QUEUED\r\n");
    bob.expect("ACL SETUSER bob -set", "+QUEUED\r\n");
    bob.expect("SET c 1", "+QUEUED\r\n");
    admin.expect("ACL SETUSER bob resetkeys ~b ~c", "+OK\r\n");
    bob.expect(
        "EXEC",
        "*4\r\n-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This \
         command is no longer allowed for the following reason: no permission to touch the specified keys\r\n+OK\r\n\
         +OK\r\n-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This \
         command is no longer allowed for the following reason: no permission to execute the command or subcommand\r\n",
    );
    admin.expect("MGET a b c", "*3\r\n$-1\r\n$1\r\n1\r\n$-1\r\n");
    bob.expect("MULTI", "+OK\r\n");
    bob.expect("GET a", NO_KEY);
    bob.expect("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

#[test]
fn who_waits_is_looked_at_again_when_it_is_served() {
    let Some(target) = own() else { return };
    let mut admin = Client::connect(&target);
    let mut waiting = user(&target, &mut admin, "waiting", "~* +@all");
    let mut next = Client::connect(&target);
    waiting.send("BLPOP list 0\r\n");
    admin.until("blocked_clients", |clients| clients == 1);
    next.send("BLPOP list 0\r\n");
    admin.until("blocked_clients", |clients| clients == 2);
    admin.expect("ACL SETUSER waiting resetkeys", "+OK\r\n");
    admin.expect("RPUSH list x", ":1\r\n");
    waiting.expect_reply(NO_KEY);
    next.expect_reply("*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
    waiting.expect("PING", "+PONG\r\n");
}

#[test]
fn connections_end_with_their_user_or_with_the_right_to_listen() {
    let Some(target) = own() else { return };
    let mut admin = Client::connect(&target);
    let mut gone = user(&target, &mut admin, "gone", "~* +@all");
    let mut listener = user(&target, &mut admin, "listener", "&news:* +subscribe +psubscribe");
    let mut other = user(&target, &mut admin, "other", "&* +subscribe");
    listener.expect("SUBSCRIBE news:1", "*3\r\n$9\r\nsubscribe\r\n$6\r\nnews:1\r\n:1\r\n");
    other.expect("SUBSCRIBE news:1", "*3\r\n$9\r\nsubscribe\r\n$6\r\nnews:1\r\n:1\r\n");
    admin.expect("ACL SETUSER listener &more", "+OK\r\n");
    admin.expect("PUBLISH news:1 x", ":2\r\n");
    listener.expect_reply("*3\r\n$7\r\nmessage\r\n$6\r\nnews:1\r\n$1\r\nx\r\n");
    admin.expect("ACL SETUSER listener resetchannels &more", "+OK\r\n");
    assert!(listener.rest().is_empty());
    admin.expect("ACL DELUSER gone", ":1\r\n");
    assert!(gone.rest().is_empty());
    // A user made anew is another one, also for who has not noticed yet.
    let mut again = user(&target, &mut admin, "gone", "~* +get");
    again.expect("GET a", "$-1\r\n");
    again.expect("ACL WHOAMI", "-NOPERM User gone has no permissions to run the 'acl|whoami' command\r\n");
    let mut denied = user(&target, &mut admin, "denied", "+subscribe");
    denied.expect("SUBSCRIBE news:1", NO_CHANNEL);
    admin.expect("PUBLISH news:1 x", ":1\r\n");
}

#[test]
fn requirepass_is_the_password_of_the_default_user() {
    let Some(target) = own() else { return };
    let mut admin = Client::connect(&target);
    admin.expect("CONFIG SET requirepass secret", "+OK\r\n");
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let line = format!("user default on sanitize-payload #{digest} ~* &* +@all");
    admin.expect("ACL LIST", &format!("*1\r\n${}\r\n{line}\r\n", line.len()));
    let mut stranger = Client::connect(&target);
    stranger.expect("GET a", "-NOAUTH Authentication required.\r\n");
    stranger.expect("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    stranger.expect("AUTH default secret", "+OK\r\n");
    admin.expect("ACL SETUSER default >more", "+OK\r\n");
    Client::connect(&target).expect("AUTH more", "+OK\r\n");
    Client::connect(&target).expect("AUTH secret", "+OK\r\n");
    admin.expect("CONFIG SET requirepass \"\"", "+OK\r\n");
    Client::connect(&target).expect("GET a", "$-1\r\n");
    admin.expect("ACL SETUSER default off", "+OK\r\n");
    Client::connect(&target).expect("GET a", "-NOAUTH Authentication required.\r\n");
    assert_eq!(admin.info("acl_access_denied_auth"), 1);
}

#[test]
fn users_are_kept_in_their_file() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("users.acl");
    write(&file, "user default on nopass ~* &* +@all\nuser alice on >pass ~app:* &* +@all\n");
    let target = Target::with(&["--aclfile", &file.display().to_string()]);
    let mut admin = Client::connect(&target);
    let mut alice = Client::connect(&target);
    alice.expect("AUTH alice pass", "+OK\r\n");
    alice.expect("SET other x", NO_KEY);
    let mut extra = user(&target, &mut admin, "extra", "~* +@all");
    extra.expect("ACL LOAD", "+OK\r\n");
    assert!(extra.rest().is_empty(), "the file does not know it");
    alice.expect("SET app:1 x", "+OK\r\n");
    write(&file, "user alice on\nuser alice off\n");
    admin.send("ACL LOAD\r\n");
    assert!(admin.line().contains("Duplicate user 'alice' found"));
    alice.expect("SET app:1 x", "+OK\r\n");
    admin
        .expect("ACL SETUSER bob on #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b +get", "+OK\r\n");
    admin.expect("ACL SAVE", "+OK\r\n");
    let saved = std::fs::read_to_string(&file).expect("it is there");
    assert!(saved.contains("user bob on ") && !saved.contains("pass ~app"), "{saved}");
    admin.expect("ACL LOAD", "+OK\r\n");
    Client::connect(&target).expect("AUTH bob secret", "+OK\r\n");
    alice.expect("ACL WHOAMI", "$5\r\nalice\r\n");
}

#[test]
fn a_rewritten_configuration_has_the_users_of_now() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("kvd.conf");
    write(&file, "# mine\nuser alice on >pass ~a +get\nuser gone on\n");
    let path = file.display().to_string();
    let target = Target::with(&[&path]);
    let mut admin = Client::connect(&target);
    admin.expect("ACL DELUSER gone", ":1\r\n");
    admin.expect("ACL SETUSER bob on >word ~b \"(%R~\\\"c +set)\"", "+OK\r\n");
    admin.expect("CONFIG REWRITE", "+OK\r\n");
    let list = lines(&mut admin);
    let again = Target::with(&[&path]);
    assert_eq!(lines(&mut Client::connect(&again)), list);
    let text = std::fs::read_to_string(&file).expect("it is there");
    assert!(text.starts_with("# mine\nuser alice on >pass ~a +get\n# Generated"), "{text}");
    assert!(!text.contains("gone") && !text.contains("word"), "{text}");
}

fn lines(client: &mut Client) -> Vec<String> {
    client.send("ACL LIST\r\n");
    let count: usize = client.line().trim_start_matches('*').parse().expect("an array");
    (0..2 * count).map(|_| client.line()).collect()
}

#[expect(clippy::disallowed_methods, reason = "a file of settings is no file of the store")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("there is room");
}

#[test]
fn monitors_see_no_password_and_the_log_tells_what_was_denied() {
    let Some(target) = own() else { return };
    let mut admin = Client::connect(&target);
    let mut monitor = Client::connect(&target);
    monitor.expect("MONITOR", "+OK\r\n");
    admin.expect("ACL SETUSER alice on >secret +get", "+OK\r\n");
    let mut alice = Client::connect(&target);
    alice.expect("AUTH alice secret", "+OK\r\n");
    // Commands for operators are not shown at all.
    let line = monitor.line();
    assert!(line.contains("(redacted)") && !line.contains("secret"), "{line}");
    for _ in 0..3 {
        alice.expect("GET hidden", NO_KEY);
    }
    admin.send("ACL LOG\r\n");
    let words: Vec<String> = (0..38).map(|_| admin.line()).collect();
    for word in [":3", "key", "toplevel", "hidden", "alice"] {
        assert!(words.iter().any(|known| known == word), "{word} is not in {words:?}");
    }
    admin.expect("ACL LOG RESET", "+OK\r\n");
    admin.expect("ACL LOG", "*0\r\n");
    assert_eq!(admin.info("acl_access_denied_key"), 3);
}
