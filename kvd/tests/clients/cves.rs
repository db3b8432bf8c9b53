//! What published weaknesses of Redis were about, asked of kvd: each test is named after what it repeats.
//!
//! Left out, because kvd has nothing of the kind: those of Lua, functions and modules (CVE-2015-4335, 2015-8080, 2018-11218,
//! 2018-11219, 2020-14147, 2021-32626, 2022-0543, 2022-24735, 2022-24736, 2022-24834, 2024-31449, 2024-46981, 2025-46817,
//! 2025-46818, 2025-46819, 2025-49844), of streams (2018-12453, 2022-31144, 2022-33105, 2022-35951, 2025-62507), of ACL selectors
//! and SORT_RO under ACL (2023-41053, 2024-31227, 2024-51741), of redis-cli, redis-sentinel, hiredis and redis-check-aof (2013-7458,
//! 2018-12326, 2021-32762, 2025-27151), of the cluster bus (2017-15047), of allocators (2021-3470) and of Windows (2022-3734).

use std::net::{Shutdown, TcpStream};

use crate::client::{Client, own};
use crate::server::Target;

const OUT_OF_RANGE: &str = "-ERR value is not an integer or out of range\r\n";
const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";

/// One request; the first line of its reply.
fn line(client: &mut Client, request: &str) -> String {
    use std::io::Read;
    client.send(format!("{request}\r\n"));
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        client.0.read_exact(&mut byte).expect("the server answers");
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

/// A request as an array.
fn array(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes().chain(word.iter().copied()).chain(*b"\r\n"));
    }
    bytes
}

/// It answers, on this connection and a new one.
fn lives(target: &Target, client: &mut Client) {
    client.expect("PING", "+PONG\r\n");
    Client::connect(target).expect("PING", "+PONG\r\n");
}

/// An error buffer of a setting for a class of clients that has no such buffer was written out of bounds.
#[test]
fn cve_2016_8339_output_limits_of_a_class_that_has_none() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    for class in ["master", "unknown", "", "3"] {
        let reply = line(
            &mut client,
            &format!("CONFIG SET client-output-buffer-limit \"{class} 3735928559 3405691582 373529054\""),
        );
        assert!(reply.starts_with("-ERR CONFIG SET failed"), "{class}: {reply}");
    }
    lives(&target, &mut client);
}

/// A browser that is made to POST to the port had its body run as commands.
#[test]
fn cve_2016_10517_commands_in_a_http_post() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    client.expect("DEL crossed", ":0\r\n");
    for head in ["POST / HTTP/1.1", "Host: localhost:6379"] {
        let mut browser = Client::connect(&target);
        browser.send(format!("{head}\r\nContent-Length: 20\r\n\r\nSET crossed 1\r\n"));
        assert!(!String::from_utf8_lossy(&browser.rest()).contains("+OK"), "{head}");
    }
    client.expect("EXISTS crossed", ":0\r\n");
}

/// HyperLogLogs whose bytes were set by hand led out of their buffers, in the sparse form and in the change to the dense one.
#[test]
fn cve_2019_10192_and_10193_hyperloglogs_set_by_hand() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    let header = |encoding: u8| [&b"HYLL"[..], &[encoding, 0, 0, 0], &[0x80; 8]].concat();
    // A run beyond the last register, one that ends before it, nothing, and half an operation.
    for body in [&[0x7f, 0xff, 0x7f, 0xff][..], &[0x80], &[], &[0x40], &[0xff; 64]] {
        for encoding in [0, 1, 2, 255] {
            let value = [&header(encoding)[..], body].concat();
            client.send(array(&[b"SET", b"hll", &value]));
            client.expect_reply("+OK\r\n");
            for command in ["PFCOUNT hll", "PFADD hll a b c", "PFMERGE merged hll", "PFCOUNT hll hll"] {
                let reply = line(&mut client, command);
                assert!(reply.starts_with(['-', ':', '+']), "{command}: {reply}");
            }
        }
    }
    lives(&target, &mut client);
}

/// Lengths of which a setting allowed so many that their sums overflowed 32 bits.
#[test]
fn cve_2021_21309_and_32627_and_32628_and_32687_and_41099_settings_beyond_32_bits() {
    let Some(target) = own() else { return };
    let mut client = Client::connect(&target);
    for size in ["5gb", "4294967296", "9223372036854775807"] {
        let reply = line(&mut client, &format!("CONFIG SET proto-max-bulk-len {size}"));
        assert!(reply.starts_with("-ERR CONFIG SET failed"), "{size}: {reply}");
    }
    for setting in [
        "hash-max-listpack-value",
        "hash-max-listpack-entries",
        "zset-max-listpack-value",
        "zset-max-listpack-entries",
        "set-max-intset-entries",
        "set-max-listpack-entries",
        "set-max-listpack-value",
    ] {
        client.expect(&format!("CONFIG SET {setting} 4294967296"), "+OK\r\n");
    }
    // What is packed has a bound of its own, whatever the settings say.
    for index in 0..20 {
        let part: String = "v".repeat(1 << 20);
        client.send(array(&[b"HSET", b"hash", format!("f{index}").as_bytes(), part.as_bytes()]));
        client.expect_reply(":1\r\n");
        client.send(array(&[b"ZADD", b"zset", b"1", format!("{index}{part}").as_bytes()]));
        client.expect_reply(":1\r\n");
    }
    for index in 0..3000 {
        client.expect(&format!("SADD ints {index}"), ":1\r\n");
    }
    client.expect("HLEN hash", ":20\r\n");
    client.expect("ZCARD zset", ":20\r\n");
    client.expect("SCARD ints", ":3000\r\n");
    client.expect("HSTRLEN hash f19", ":1048576\r\n");
    lives(&target, &mut client);
}

/// LCS asked for a table as large as the product of two lengths, in 32 bits.
#[test]
fn cve_2021_29477_and_32625_lcs_of_long_strings() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    client.expect("DEL one two", ":0\r\n");
    client.expect("SETRANGE one 16777215 a", ":16777216\r\n");
    client.expect("SETRANGE two 16777215 a", ":16777216\r\n");
    let reply = line(&mut client, "LCS one two LEN");
    assert!(reply.starts_with("-ERR"), "{reply}");
    lives(&target, &mut client);
}

/// Who had not authenticated could announce 2^20 arguments of 512 MiB each.
#[test]
fn cve_2021_32675_lengths_before_authentication() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET requirepass secret", "+OK\r\n");
    for (request, error) in [
        ("*11\r\n", "unauthenticated multibulk length"),
        ("*1048576\r\n", "unauthenticated multibulk length"),
        ("*2\r\n$16385\r\n", "unauthenticated bulk length"),
        ("*2\r\n$536870912\r\n", "unauthenticated bulk length"),
    ] {
        let mut stranger = Client::connect(&target);
        stranger.send(request);
        assert_eq!(String::from_utf8_lossy(&stranger.rest()), format!("-ERR Protocol error: {error}\r\n"));
    }
    let mut guest = Client::connect(&target);
    guest.expect("AUTH secret", "+OK\r\n");
    guest.send("*1048576\r\n$536870912\r\n");
    guest.0.shutdown(Shutdown::Write).expect("it is open");
    assert!(guest.rest().is_empty());
}

/// BITFIELD with offsets whose bytes did not fit into 32 bits.
#[test]
fn cve_2021_32761_offsets_of_bits() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    let refused = "-ERR bit offset is not an integer or out of range\r\n";
    for offset in ["4294967296", "#4294967296", "9223372036854775807", "#9223372036854775807", "-1", "#-1"] {
        for command in ["GET u8", "SET u8", "INCRBY i64"] {
            let value = if command.starts_with("GET") { "" } else { " 1" };
            client.expect(&format!("BITFIELD bits {command} {offset}{value}"), refused);
        }
        client.expect(&format!("SETBIT bits {offset} 1"), refused);
    }
    client.expect("EXISTS bits", ":0\r\n");
}

/// Offset and length of SETRANGE, and the numbers of SORT's LIMIT, were added without a look.
#[test]
fn cve_2022_35977_setrange_and_sort_beyond_63_bits() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    for offset in ["536870912", "4294967295", "9223372036854775807", "9223372036854775806"] {
        client.expect(&format!("SETRANGE range {offset} xx"), TOO_LONG);
    }
    client.expect("SETRANGE range -1 x", "-ERR offset is out of range\r\n");
    client.expect("SETRANGE range 9223372036854775808 x", OUT_OF_RANGE);
    client.expect("DEL list", ":0\r\n");
    client.expect("RPUSH list 3 1 2", ":3\r\n");
    let max = i64::MAX;
    for command in ["SORT", "SORT_RO"] {
        client.expect(&format!("{command} list LIMIT 2 {max}"), "*1\r\n$1\r\n3\r\n");
        client.expect(&format!("{command} list LIMIT {max} {max}"), "*0\r\n");
        client.expect(&format!("{command} list LIMIT -{max} {max}"), "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    }
}

/// A pattern of many stars, or of many levels, against a long name: time without end, or a stack that is too short.
#[test]
fn cve_2022_36021_and_2024_31228_patterns() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    let name = "a".repeat(30_000);
    client.send(array(&[b"SET", name.as_bytes(), b"1"]));
    client.expect_reply("+OK\r\n");
    let patterns = [
        format!("{}b", "a*".repeat(10_000)),
        format!("{}b", "*?".repeat(10_000)),
        "[a".repeat(10_000),
        "\\".repeat(20_001),
    ];
    for pattern in patterns.iter().map(String::as_bytes) {
        client.send(array(&[b"KEYS", pattern]));
        client.expect_reply("*0\r\n");
        client.send(array(&[b"PUBSUB", b"CHANNELS", pattern]));
        client.expect_reply("*0\r\n");
        client.send(array(&[b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", pattern]));
        client.expect_reply("*0\r\n");
        client.send(array(&[b"CONFIG", b"GET", pattern]));
        client.expect_reply("*0\r\n");
    }
    client.send(array(&[b"DEL", name.as_bytes()]));
    client.expect_reply(":1\r\n");
}

/// Random elements, more of them than there are numbers, once and with repetition.
#[test]
fn cve_2023_22458_and_2023_25155_random_elements() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    client.expect("DEL hash set zset", ":0\r\n");
    client.expect("HSET hash a 1", ":1\r\n");
    client.expect("SADD set a", ":1\r\n");
    client.expect("ZADD zset 1 a", ":1\r\n");
    for count in
        ["-9223372036854775808", "-9223372036854775807", "-4611686018427387905", "-4611686018427387904", "-1000000000"]
    {
        for command in ["HRANDFIELD hash", "SRANDMEMBER set", "ZRANDMEMBER zset"] {
            let with = match command.as_bytes()[0] {
                b'H' => " WITHVALUES",
                b'Z' => " WITHSCORES",
                _ => "",
            };
            for with in ["", with] {
                let reply = line(&mut client, &format!("{command} {count}{with}"));
                assert!(reply.starts_with("-ERR value is"), "{command} {count}{with}: {reply}");
            }
        }
    }
    client.expect("SRANDMEMBER set 9223372036854775807", "*1\r\n$1\r\na\r\n");
    client.expect("HRANDFIELD hash 9223372036854775807", "*1\r\n$1\r\na\r\n");
    client.expect("ZRANDMEMBER zset 9223372036854775807", "*1\r\n$1\r\na\r\n");
}

/// One key twice in MSETNX.
#[test]
fn cve_2023_28425_msetnx_with_a_key_twice() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    client.expect("DEL twice", ":0\r\n");
    client.expect("MSETNX twice 1 twice 2 twice 3", ":1\r\n");
    client.expect("GET twice", "$1\r\n3\r\n");
    client.expect("MSETNX twice 4 twice 5", ":0\r\n");
    client.expect("DEL twice", ":1\r\n");
}

/// HINCRBYFLOAT made a field of what is no number, for the next reader to die of.
#[test]
fn cve_2023_28856_hincrbyfloat_of_no_number() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    client.expect("DEL hash", ":0\r\n");
    client.expect("HSET hash f 1", ":1\r\n");
    for increment in ["+inf", "-inf", "inf", "nan", "1e5000"] {
        for field in ["f", "new"] {
            let reply = line(&mut client, &format!("HINCRBYFLOAT hash {field} {increment}"));
            assert!(reply.starts_with("-ERR"), "{increment}: {reply}");
        }
    }
    client.expect("HGETALL hash", "*2\r\n$1\r\nf\r\n$1\r\n1\r\n");
}

/// COMMAND GETKEYS of requests whose number of keys is not that of their words.
#[test]
fn cve_2023_36824_getkeys_of_requests_that_lie() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    for keys in ["-1", "0", "3", "2147483647", "4294967297", "9223372036854775807", "-9223372036854775808"] {
        for request in ["ZUNIONSTORE d # a", "SINTERCARD # a", "LMPOP # a LEFT", "BLMPOP 0 # a LEFT", "ZINTER # a"] {
            for command in ["GETKEYS", "GETKEYSANDFLAGS"] {
                let reply = line(&mut client, &format!("COMMAND {command} {}", request.replace('#', keys)));
                assert!(reply.starts_with("-ERR"), "{request} with {keys}: {reply}");
            }
        }
    }
    lives(&target, &mut client);
}

/// A query buffer that was given room for one request while another lay in it.
#[test]
fn cve_2023_41056_buffers_that_grow_and_shrink() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    for size in [1, 16 << 10, (32 << 10) - 1, 32 << 10, (32 << 10) + 1, 64 << 10, 200_000, 1] {
        let value = vec![b'v'; size];
        let bytes = [array(&[b"PING"]), array(&[b"SET", b"sized", &value]), array(&[b"STRLEN", b"sized"])].concat();
        for part in bytes.chunks(size / 3 + 1) {
            client.send(part);
        }
        client.expect_reply(&format!("+PONG\r\n+OK\r\n:{size}\r\n"));
    }
    client.expect("DEL sized", ":1\r\n");
}

/// Who had not authenticated and did not read could make the server keep any number of its errors.
#[test]
fn cve_2025_21605_replies_before_authentication() {
    let Some(target) = own() else { return };
    let mut owner = Client::connect(&target);
    owner.expect("CONFIG SET requirepass secret", "+OK\r\n");
    let mut stranger = Client::connect(&target);
    use std::io::Write;
    // It is closed while it writes.
    let _ = stranger.0.write_all(&b"GET a\r\n".repeat(100_000));
    assert!(stranger.rest().len() < 32 << 10);
    owner.expect("PING", "+PONG\r\n");
}

/// A sparse HyperLogLog whose runs add up to more than a number of 32 bits.
#[test]
fn cve_2025_32023_hyperloglogs_whose_runs_overflow() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    // Each XZERO is 16,384 registers: 2^17 and more of them lead around.
    let runs = [0x7f, 0xff].repeat((1 << 17) + 1);
    let value = [&b"HYLL"[..], &[1, 0, 0, 0], &[0x80; 8], &runs].concat();
    client.send(array(&[b"SET", b"hll", &value]));
    client.expect_reply("+OK\r\n");
    for command in ["PFCOUNT hll", "PFADD hll a", "PFMERGE other hll", "PFCOUNT hll other"] {
        let reply = line(&mut client, command);
        assert!(reply.starts_with("-INVALIDOBJ") || reply.starts_with("-WRONGTYPE"), "{command}: {reply}");
    }
    client.expect("DEL hll", ":1\r\n");
}

/// A connection that was reset before it was accepted kept the others of that round from being accepted.
#[test]
fn cve_2025_48367_connections_that_fail_while_they_are_accepted() {
    let target = Target::from_environment();
    for _ in 0..50 {
        for _ in 0..10 {
            let stream = TcpStream::connect(&target.address).expect("the server listens");
            socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).expect("it can be");
        }
        Client::connect(&target).expect("PING", "+PONG\r\n");
    }
}

/// Ends of lines in what an error repeats made two replies of one.
#[test]
fn an_error_is_one_line_whatever_it_repeats() {
    let target = Target::from_environment();
    let mut client = Client::connect(&target);
    let words: [&[&[u8]]; 4] = [
        &[b"FOO\r\n+OK", b"a\r\n:1"],
        &[b"CLIENT", b"x\r\n+OK"],
        &[b"CONFIG", b"SET", b"a\r\n+OK", b"b"],
        &[b"CLIENT", b"KILL", b"TYPE", b"x\r\n+OK"],
    ];
    for words in words {
        client.send(array(words));
        let reply = line(&mut client, "PING");
        assert!(reply.starts_with('-'), "{reply}");
        client.expect_reply("+PONG\r\n");
    }
}
