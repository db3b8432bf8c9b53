//! The table as a whole, and configurations as people write them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use engine::FsyncMode;
use proptest::prelude::*;

use super::*;

/// Loads a configuration from texts; `files` are (path, text), the first one is the configuration file.
fn try_load(files: &[(&str, &str)], variables: &[(&str, &str)], flags: &[&str]) -> Result<Loaded, String> {
    let first = files.first().map(|(path, _)| OsString::from(path)).filter(|path| path != "-");
    let arguments = first.into_iter().chain(flags.iter().map(OsString::from));
    let environment = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let read = |path: &Path| {
        let file = files.iter().find(|(known, _)| Path::new(known) == path);
        file.map(|(_, text)| text.as_bytes().to_vec()).ok_or(io::Error::from(io::ErrorKind::NotFound))
    };
    match load(arguments, environment, read) {
        Ok(Start::Run(loaded)) => Ok(*loaded),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[track_caller]
fn loaded(files: &[(&str, &str)], variables: &[(&str, &str)], flags: &[&str]) -> Loaded {
    try_load(files, variables, flags).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn shown(settings: &Settings, name: &str) -> String {
    let found = settings.get(&[name.as_bytes()], |_, _| false);
    found.first().unwrap_or_else(|| panic!("{name}")).1.clone()
}

#[track_caller]
fn set(settings: &Settings, pairs: &[(&str, &str)]) -> Result<(Settings, Vec<&'static str>), String> {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    settings.set(&pairs).map_err(|error| error.to_string())
}

// The table.

#[test]
fn every_name_is_unique_and_looks_like_one() {
    let mut seen = BTreeSet::new();
    for row in rows() {
        for name in row.names() {
            assert!(seen.insert(name), "{name} twice");
            let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_';
            assert!(name.bytes().all(is_name), "{name}");
            assert_eq!(find(name.to_uppercase().as_bytes()).map(|row| row.name), Some(row.name));
        }
        let doc = row.doc.trim();
        assert!(doc.ends_with('.') && !doc.contains("  ") && doc.len() > 4, "{}: {doc:?}", row.name);
        assert!(!row.topic.is_empty());
    }
    assert!(seen.len() > 200, "all of Redis 7.4");
}

#[test]
fn every_default_is_accepted_and_comes_back() {
    let settings = Settings::default();
    for row in rows() {
        let value =
            row.parse(&[row.default.as_bytes()], None).unwrap_or_else(|problem| panic!("{}: {problem}", row.name));
        assert_eq!(value, row.value(&settings), "{}", row.name);
        let again = row.parse(&[value.to_string().as_bytes()], None).expect(row.name);
        assert_eq!(again, value, "{}", row.name);
        let mut written = settings.clone();
        row.put(&mut written, value.clone());
        assert_eq!(row.value(&written), value, "{}", row.name);
    }
}

#[test]
fn the_ends_of_every_range_fit_the_field() {
    for row in rows() {
        let texts: Vec<String> = match row.kind {
            Kind::Integer(least, most) | Kind::Size(least, most) => vec![least.to_string(), most.to_string()],
            Kind::Choice(names) | Kind::Choices(names) | Kind::ChoiceOr(names, _) => {
                names.iter().map(|&name| name.to_owned()).collect()
            }
            Kind::Switch => vec!["yes".into(), "no".into()],
            Kind::Octal(most) => vec!["0".into(), format!("{most:o}")],
            Kind::Memory => vec!["auto".into(), "1%".into(), "7gb".into()],
            Kind::Text | Kind::Secret | Kind::Path => vec!["x y".into(), String::new()],
            Kind::Directory | Kind::FileName => vec!["x y".into()],
            _ => Vec::new(),
        };
        for text in texts {
            let value =
                row.kind.read_text(&text, None).unwrap_or_else(|problem| panic!("{} {text}: {problem}", row.name));
            let mut settings = Settings::default();
            row.put(&mut settings, value.clone());
            assert_eq!(row.value(&settings), value, "{} {text}", row.name);
        }
    }
}

#[test]
fn changed_settings_survive_a_rewritten_file() {
    let text = "port 7000\nbind * -::*\nrequirepass \"a b\\\"c\\n\"\nsave 900 1\nsave 60 2\nsave \"\"\nmaxmemory 70%\n\
                client-output-buffer-limit pubsub 1mb 0 5\nunixsocket '/tmp/with space'\n\
                latency-tracking-info-percentiles \"\"\n";
    let first = loaded(&[("a.conf", text)], &[], &[]).settings;
    let again = loaded(&[("b.conf", &first.to_file())], &[], &[]).settings;
    assert_eq!(again, first);
    assert_eq!(Settings::default().to_file(), "");
}

#[test]
fn the_manual_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        #[expect(clippy::disallowed_methods, reason = "writes a page of the manual, not data of a store")]
        std::fs::write(&path, reference()).expect("docs/reference is writable");
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == reference(), "docs/reference/settings.md is stale: UPDATE_DOCS=1 cargo test -p kvd config");
}

// Sources.

#[test]
fn later_sources_win() {
    let file = ("kvd.conf", "port 1\nhz 20\ntimeout 5\ndatabases 3");
    let variables = [("KVD_PORT", "2"), ("KVD_TIMEOUT", "6"), ("PATH", "x"), ("KVD_LUA_TIME_LIMIT", "9")];
    let Loaded { settings, file, warnings } = loaded(&[file], &variables, &["--port", "3"]);
    assert_eq!((settings.port, settings.timeout, settings.databases), (3, 6, 3));
    assert_eq!(shown(&settings, "busy-reply-threshold"), "9");
    assert_eq!(file, Some(PathBuf::from("kvd.conf")));
    assert_eq!(warnings, ["accepted, but without effect in kvd: hz, busy-reply-threshold"]);
}

#[test]
fn nothing_given_means_the_defaults() {
    let Loaded { settings, warnings, file } = loaded(&[], &[], &[]);
    assert_eq!((settings, warnings, file), (Settings::default(), Vec::new(), None));
    let settings = Settings::default();
    assert_eq!((settings.port, settings.appendfsync), (6379, FsyncMode::EverySec));
    assert_eq!(settings.bind.iter().map(BindAddress::host).collect::<Vec<_>>(), ["127.0.0.1"]);
    assert_eq!((settings.unixsocket, settings.unixsocketperm.mode()), (None, 0o700));
}

#[test]
fn files_include_files_and_standard_input_comes_last() {
    let files =
        [("a.conf", "port 1\ninclude b.conf\ntimeout 1"), ("b.conf", "port 2\ntimeout 2"), ("-", "save \"60 1\"")];
    let settings = loaded(&files, &[], &["-"]).settings;
    assert_eq!((settings.port, settings.timeout), (2, 1));
    assert_eq!(shown(&settings, "save"), "60 1");
    let end = "the included file 'a.conf', at line 1\n>>> 'include a.conf'\ntoo many files include each other";
    let circle = try_load(&[("a.conf", "include a.conf")], &[], &[]).expect_err("circle");
    assert!(circle.ends_with(end), "{circle}");
    let missing = try_load(&[("a.conf", "include b.conf")], &[], &[]).expect_err("missing");
    assert!(missing.starts_with("Fatal error, can't open config file 'b.conf': "), "{missing}");
}

#[test]
fn save_lines_of_one_source_add_up_and_another_source_starts_over() {
    let file = ("a.conf", "save 900 1\nsave 60 1000\n");
    assert_eq!(shown(&loaded(&[file], &[], &[]).settings, "save"), "900 1 60 1000");
    assert_eq!(shown(&loaded(&[file], &[], &["--save", "5", "1"]).settings, "save"), "5 1");
    assert_eq!(shown(&loaded(&[file], &[], &["--save", ""]).settings, "save"), "");
    assert_eq!(shown(&loaded(&[file], &[], &["--save"]).settings, "save"), "");
}

#[test]
fn a_log_that_is_turned_off_is_only_synced_less() {
    let file = [("a.conf", "appendonly no\nappendfsync always")];
    let Loaded { settings, warnings, .. } = loaded(&file, &[], &[]);
    assert_eq!((settings.appendonly, settings.appendfsync), (true, FsyncMode::No));
    assert_eq!(warnings, ["appendonly no: kvd always keeps its log, now with 'appendfsync no'"]);
    let Loaded { settings, warnings, .. } = loaded(&file, &[("KVD_APPENDFSYNC", "always")], &[]);
    assert_eq!((settings.appendonly, settings.appendfsync), (true, FsyncMode::Always));
    assert!(warnings[0].contains("'appendfsync always' stands above it and counts"), "{warnings:?}");
}

#[test]
fn a_port_that_others_reach_without_password_is_said() {
    let warnings = |flags: &[&str]| loaded(&[], &[], flags).warnings;
    assert!(warnings(&["--bind", "127.0.0.1", "-::1", "localhost"]).is_empty());
    assert!(warnings(&["--bind", "*", "--requirepass", "x"]).is_empty());
    assert_eq!(warnings(&["--aclfile", "a", "--requirepass", "x"]).len(), 1, "it has no effect");
    assert!(warnings(&["--bind", "*", "--port", "0"]).is_empty());
    assert!(warnings(&["--bind", "* -::*"])[0].contains("are refused"));
    assert!(warnings(&["--bind", "10.0.0.1", "--protected-mode", "no"])[0].contains("whoever reaches"));
}

// A stock redis.conf: what Debian's says, one directive each, and the directives that Redis 7.4 adds to it.
const STOCK: &str = r#"
# comment
bind 127.0.0.1 -::1
protected-mode yes
port 6379
tcp-backlog 511
timeout 0
tcp-keepalive 300
daemonize yes
supervised auto
pidfile /run/redis/redis-server.pid
loglevel notice
logfile /var/log/redis/redis-server.log
databases 16
always-show-logo no
set-proc-title yes
proc-title-template "{title} {listen-addr} {server-mode}"
locale-collate ""
stop-writes-on-bgsave-error yes
rdbcompression yes
rdbchecksum yes
dbfilename dump.rdb
rdb-del-sync-files no
dir /var/lib/redis
replica-serve-stale-data yes
replica-read-only yes
repl-diskless-sync yes
repl-diskless-sync-delay 5
repl-diskless-sync-max-replicas 0
repl-diskless-load disabled
repl-disable-tcp-nodelay no
replica-priority 100
acllog-max-len 128
lazyfree-lazy-eviction no
lazyfree-lazy-expire no
lazyfree-lazy-server-del no
replica-lazy-flush no
lazyfree-lazy-user-del no
lazyfree-lazy-user-flush no
oom-score-adj no
oom-score-adj-values 0 200 800
disable-thp yes
appendonly no
appendfilename "appendonly.aof"
appenddirname "appendonlydir"
appendfsync everysec
no-appendfsync-on-rewrite no
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
aof-load-truncated yes
aof-use-rdb-preamble yes
aof-timestamp-enabled no
slowlog-log-slower-than 10000
slowlog-max-len 128
latency-monitor-threshold 0
notify-keyspace-events ""
hash-max-listpack-entries 512
hash-max-listpack-value 64
list-max-listpack-size -2
list-compress-depth 0
set-max-intset-entries 512
set-max-listpack-entries 128
set-max-listpack-value 64
zset-max-listpack-entries 128
zset-max-listpack-value 64
hll-sparse-max-bytes 3000
stream-node-max-bytes 4096
stream-node-max-entries 100
activerehashing yes
client-output-buffer-limit normal 0 0 0
client-output-buffer-limit replica 256mb 64mb 60
client-output-buffer-limit pubsub 32mb 8mb 60
hz 10
dynamic-hz yes
aof-rewrite-incremental-fsync yes
rdb-save-incremental-fsync yes
jemalloc-bg-thread yes
"#;

#[test]
fn a_stock_redis_conf_starts() {
    let Loaded { settings, warnings, .. } = loaded(&[("/etc/redis/redis.conf", STOCK)], &[], &[]);
    assert_eq!(settings.dir, Path::new("/var/lib/redis"));
    assert_eq!(settings.logfile.as_deref(), Some(Path::new("/var/log/redis/redis-server.log")));
    assert_eq!(
        warnings,
        [
            "appendonly no: kvd always keeps its log, now with 'appendfsync no'",
            "daemonize yes: kvd stays in the foreground",
            "supervised auto: kvd tells no service manager when it is ready",
        ]
    );
}

#[test]
fn what_would_be_a_lie_is_an_error() {
    let problem = |line: &str| {
        let error = try_load(&[("a.conf", line)], &[], &[]).expect_err(line);
        error.lines().last().unwrap_or_default().to_owned()
    };
    for (line, expected) in [
        ("cluster-enabled yes", "cluster mode is not supported"),
        ("replicaof 10.0.0.1 6379", "replication is not supported"),
        ("slaveof 10.0.0.1 6379", "replication is not supported"),
        ("min-replicas-to-write 1", "replication is not supported"),
        ("tls-protocols \"TLSv1.1 TLSv1.2\"", "TLSv1.1 is not safe: only TLSv1.2 and TLSv1.3 are spoken"),
        ("user alice on +nosuch", "Error in user declaration '+nosuch': Unknown command or category name in ACL"),
        ("user alice on (+get", "Unmatched parenthesis in acl selector starting at '(+get'."),
        ("user", "wrong number of arguments"),
        ("loadmodule a.so", "modules are not supported"),
        ("rename-command CONFIG \"\"", "renaming and disabling commands is not supported"),
        ("notify-keyspace-events Kq", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        ("dbfilename a/b", "dbfilename can't be a path, just a filename"),
        ("module.setting 1", "Bad directive or wrong number of arguments"),
        ("include conf.d/*.conf", "include with a pattern is not supported: name each file"),
    ] {
        assert_eq!(problem(line), expected, "{line}");
    }
    loaded(&[("a.conf", "tls-port 0\ncluster-enabled no\nreplicaof no one\nmaxmemory-policy noeviction")], &[], &[]);
}

#[test]
fn errors_at_start_are_redis_s() {
    let file = |text: &str| try_load(&[("a.conf", text)], &[], &[]).expect_err(text);
    let expected = "*** FATAL CONFIG FILE ERROR (kvd 0.1.0) ***\nReading the configuration file, at line 3\n\
                    >>> 'nosuch \"1\"'\nBad directive or wrong number of arguments";
    assert_eq!(file("port 0\n\n  nosuch \"1\"\n"), expected.replace("0.1.0", env!("CARGO_PKG_VERSION")));
    let ends = |error: String, end: &str| assert!(error.ends_with(end), "{error}");
    ends(file("maxmemory \"5mb"), "at line 1\n>>> 'maxmemory \"5mb'\nUnbalanced quotes in configuration line");
    ends(file("port 0 0"), ">>> 'port 0 0'\nwrong number of arguments");
    ends(file("port"), ">>> 'port'\nwrong number of arguments");
    let expected = "\nargument(s) must be one of the following: everysec, always, no";
    ends(file("appendfsync sometimes"), expected);
    ends(
        try_load(&[], &[], &["--port", "abc"]).expect_err("flag"),
        "Reading the command line\n>>> '--port abc'\nargument couldn't be parsed into an integer",
    );
    ends(
        try_load(&[], &[("KVD_APENDFSYNC", "always")], &[]).expect_err("variable"),
        "Reading the environment\n>>> 'KVD_APENDFSYNC=…'\nno setting has this variable",
    );
}

#[test]
fn no_message_shows_a_password() {
    let tries = [
        try_load(&[("a.conf", "requirepass \"hunter2")], &[], &[]),
        try_load(&[("a.conf", "RequirePass hunter2 hunter2")], &[], &[]),
        try_load(&[("a.conf", "user alice on >hunter2 +nosuch")], &[], &[]),
        try_load(&[], &[("KVD_TLS_KEY_FILE_PASSWORD", "hunter2")], &[]),
        try_load(&[], &[], &["--requirepass", "hunter2", "hunter2"]),
    ];
    for error in tries.map(|tried| tried.expect_err("wrong")) {
        assert!(error.contains('…') && !error.contains("hunter2"), "{error}");
    }
    let loaded = loaded(&[("a.conf", "requirepass hunter2\nmasterauth hunter2")], &[], &[]);
    assert_eq!(loaded.settings.requirepass.expose(), "hunter2");
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn variables_of_kubernetes_are_no_settings() {
    let variables = [
        ("KVD_PORT", "tcp://10.0.0.1:6379"),
        ("KVD_PORT_6379_TCP", "tcp://10.0.0.1:6379"),
        ("KVD_SERVICE_HOST", "10.0.0.1"),
    ];
    let Loaded { settings, warnings, .. } = loaded(&[], &variables, &[]);
    assert_eq!(settings, Settings::default());
    assert_eq!(warnings.len(), 1);
}

#[test]
fn version_and_help_are_not_a_start() {
    let start = |flag: &str| load([OsString::from(flag)].into_iter(), std::iter::empty(), |_| Ok(Vec::new()));
    assert!(matches!(start("-v"), Ok(Start::Version)));
    let Ok(Start::Help(help)) = start("--help") else { panic!("help") };
    assert!(help.contains("--appendfsync everysec"), "{help}");
}

// CONFIG GET and SET.

#[test]
fn config_get_takes_names_and_patterns() {
    let settings = Settings::default();
    // The server's matcher is elsewhere; a prefix with a star is enough here.
    let matcher = |pattern: &[u8], text: &[u8]| text.starts_with(pattern.strip_suffix(b"*").unwrap_or(pattern));
    let get = |patterns: &[&str]| {
        let patterns: Vec<_> = patterns.iter().map(|pattern| pattern.as_bytes()).collect();
        settings.get(&patterns, matcher).into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(
        get(&["MAXMEM*", "maxmemory", "nosuch"]),
        [
            "maxmemory=0",
            "maxmemory-clients=0",
            "maxmemory-eviction-tenacity=10",
            "maxmemory-policy=noeviction",
            "maxmemory-samples=5",
        ]
    );
    for (alias, name) in [
        ("lru", "allkeys-lru"),
        ("LFU", "allkeys-lfu"),
        ("allkeys-mru", "mru"),
        ("allkeys-mfu", "mfu"),
        ("expire_after_read", "ear"),
        ("ExpireAfterRead", "ear"),
    ] {
        let (changed, _) = set(&settings, &[("maxmemory-policy", alias)]).expect("another name");
        assert_eq!(changed.maxmemory_policy.name(), name);
    }
    assert_eq!(get(&["SLAVE-priority", "replica-priority"]), ["SLAVE-priority=100", "replica-priority=100"]);
    assert_eq!(get(&["slave-prio*"]), ["slave-priority=100"]);
    let limits = "client-output-buffer-limit=normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
    assert_eq!(get(&["client-output-buffer-limit"]), [limits]);
    assert_eq!(get(&["save", "segment-size"]), ["save=3600 1 300 100 60 10000", "segment-size=67108864"]);
    let shown = rows().filter(|row| !row.is_hidden);
    assert_eq!(get(&["*"]).len(), shown.map(|row| row.names().count()).sum::<usize>());
}

#[test]
fn config_set_changes_all_or_nothing() {
    let old = Settings::default();
    let (new, changed) = set(&old, &[("MaxClients", "55"), ("timeout", "0"), ("save", "")]).expect("fine");
    assert_eq!((new.maxclients, changed), (55, vec!["maxclients", "save"]));
    assert_eq!(shown(&new, "save"), "");
    let (newer, changed) =
        set(&new, &[("client-output-buffer-limit", "pubsub 1kb 0 0"), ("save", "9 1")]).expect("fine");
    assert_eq!(changed, ["client-output-buffer-limit", "save"]);
    assert_eq!(newer.client_output_buffer_limit.pubsub.hard_bytes, 1024);
    assert_eq!(newer.client_output_buffer_limit.replica, old.client_output_buffer_limit.replica);
    let error = set(&old, &[("maxclients", "55"), ("timeout", "x")]).expect_err("second is wrong");
    assert_eq!(
        error,
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer"
    );
}

#[test]
fn errors_of_config_set_are_redis_s() {
    for (pairs, expected) in [
        (&[("tcp-backlog", "1")][..], "'tcp-backlog') - can't set immutable config"),
        (&[("DIR", "/tmp")], "'DIR') - can't set protected config"),
        (&[("dbfilename", "x")], "'dbfilename') - can't set protected config"),
        (&[("logfile", "x")], "'logfile') - can't set immutable config"),
        (&[("unixsocket", "x")], "'unixsocket') - can't set immutable config"),
        (&[("pidfile", "x")], "'pidfile') - can't set immutable config"),
        (&[("timeout", "1"), ("Timeout", "2")], "'Timeout') - duplicate parameter"),
        (&[("slave-priority", "1"), ("replica-priority", "2")], "'replica-priority') - duplicate parameter"),
        (&[("maxclients", "0")], "'maxclients') - argument must be between 1 and 4294967295 inclusive"),
        (&[("maxmemory", "10xx")], "'maxmemory') - argument must be a memory or percent value"),
        (&[("appendonly", "no")], "'appendonly') - kvd always keeps its log: set appendfsync to 'no' instead"),
        (&[("appendonly", "maybe")], "'appendonly') - argument must be 'yes' or 'no'"),
        (&[("save", "900 1 60")], "'save') - Invalid save parameters"),
        (
            &[("maxmemory-policy", "fifo")],
            "'maxmemory-policy') - argument(s) must be one of the following: volatile-lru, volatile-lfu, \
             volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction, mru, mfu, ear",
        ),
        (&[("eviction-threshold", "0")], "'eviction-threshold') - argument must be between 1 and 100 inclusive"),
        (&[("tls-cert-file", "/etc/passwd")], "'tls-cert-file') - can't set protected config"),
        (&[("tls-dh-params-file", "x")], "'tls-dh-params-file') - can't set protected config"),
    ] {
        let expected = format!("ERR CONFIG SET failed (possibly related to argument {expected}");
        assert_eq!(set(&Settings::default(), pairs).map(|(_, changed)| changed), Err(expected));
    }
    let unknown =
        set(&Settings::default(), &[("timeout", "1"), ("no\r\nsuch", "1"), ("port", "1")]).expect_err("unknown");
    assert_eq!(unknown, "ERR Unknown option or number of arguments for CONFIG SET - 'no  such'");
}

#[test]
fn no_path_can_be_set_at_run_time() {
    // Also those that a later version might give a meaning, whatever their kind is now.
    let named_so = |row: &Row| ["file", "dir", "path", "socket"].iter().any(|part| row.name.contains(part));
    let not_paths = ["tls-key-file-pass", "tls-client-key-file-pass", "unixsocketperm", "rdb-del-sync-files"];
    let of_kind = |row: &Row| matches!(row.kind, Kind::Path | Kind::Directory | Kind::FileName);
    let mut seen = 0;
    for row in rows().filter(|row| of_kind(row) || (named_so(row) && !not_paths.contains(&row.name))) {
        let error = set(&Settings::default(), &[(row.name, "/elsewhere")]).expect_err(row.name);
        let fixed = ["can't set protected config", "can't set immutable config"];
        assert!(fixed.iter().any(|text| error.ends_with(text)), "{}: {error}", row.name);
        assert_ne!(row.change, Change::Allowed, "{}", row.name);
        seen += 1;
    }
    assert!(seen >= 16, "{seen}");
}

#[test]
fn a_file_that_is_read_again_keeps_its_name() {
    let flags = ["--tls-cert-file", "/a/cert.pem", "--tls-key-file", "/a/key.pem"];
    let settings = loaded(&[], &[], &flags).settings;
    let (same, changed) = set(&settings, &[("tls-cert-file", "/a/cert.pem"), ("timeout", "0")]).expect("it is this");
    assert_eq!((same == settings, changed), (true, vec!["tls-cert-file"]));
    for other in ["/a/key.pem", "cert.pem", "", "/a/../a/cert.pem"] {
        let error = set(&settings, &[("tls-cert-file", other)]).expect_err(other);
        assert!(error.ends_with("'tls-cert-file') - can't set protected config"), "{error}");
    }
}

#[test]
fn a_redis_conf_with_tls_starts() {
    let text = "port 0\ntls-port 6379\ntls-cert-file redis.crt\ntls-key-file redis.key\ntls-ca-cert-file ca.crt\n\
                tls-auth-clients optional\ntls-replication yes\ntls-protocols \"TLSv1.2 TLSv1.3\"\n\
                tls-ciphers DEFAULT:!MEDIUM\ntls-ciphersuites TLS_CHACHA20_POLY1305_SHA256\n\
                tls-prefer-server-ciphers yes\ntls-session-caching no\ntls-session-cache-size 5000\n\
                tls-session-cache-timeout 60\ntls-dh-params-file redis.dh\n";
    let Loaded { settings, warnings, .. } = loaded(&[("a.conf", text)], &[], &[]);
    assert_eq!((settings.port, settings.tls_port, settings.tls_auth_clients), (0, 6379, ClientAuth::Optional));
    assert_eq!(
        warnings,
        [
            "tls-dh-params-file redis.dh: keys are exchanged over elliptic curves only",
            "tls-replication yes: there are no connections of replicas",
        ]
    );
}

// Anything at all.

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let name = proptest::sample::select(rows().map(|row| row.name).collect::<Vec<_>>());
    let value = proptest::collection::vec(any::<u8>(), 0..12);
    (name, value).prop_map(|(name, value)| [name.as_bytes(), b" ", &value].concat())
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        let read = |_: &Path| Ok(text.clone());
        drop(load([OsString::from("a.conf")].into_iter(), std::iter::empty(), read));
    }

    #[test]
    fn no_value_makes_the_reader_panic(lines in proptest::collection::vec(any_line(), 1..4)) {
        let text = lines.join(&b'\n');
        let read = |_: &Path| Ok(text.clone());
        drop(load([OsString::from("a.conf")].into_iter(), std::iter::empty(), read));
    }

    #[test]
    fn what_config_set_takes_config_get_gives_back(value in "[0-9a-zA-Z%\"' .-]{0,12}", row in 0_usize..400) {
        let Some(row) = rows().nth(row) else { return Ok(()) };
        if let Ok((settings, _)) = set(&Settings::default(), &[(row.name, &value)]) {
            let first = shown(&settings, row.name);
            let (again, changed) = set(&settings, &[(row.name, &first)]).expect("what was shown is accepted");
            prop_assert_eq!(&again, &settings);
            let is_other = |name: &str| find(name.as_bytes()).is_none_or(|row| row.change != Change::Reloaded);
            prop_assert!(!changed.into_iter().any(is_other));
        }
    }
}
