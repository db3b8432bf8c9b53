//! THE TABLE of settings that mean something to kvd: one row is the field, its type, default, range, rules and doc.
//!
//! From a row follow the field of [`Settings`], the flag, the environment variable, the line of a configuration file,
//! CONFIG GET, CONFIG SET, the line of a rewritten file and the entry of the manual. A row reads:
//!
//! ```text
//! /// One sentence or two for the manual and for rustdoc.
//! field: Type = "default", Kind, rules;
//! ```
//!
//! The setting's name is the field's, with `-` for `_`. Rules: `live` (CONFIG SET works at once), `at_start`,
//! `protected` (at start, and it names a place on disk), `reloaded` (the same, but the file can be read again), `no_effect` (nothing acts on it yet), and what else
//! [`Row`] offers, such as `only([values], "why no other")` for values that later versions will give a meaning.
//! A new row needs nothing else, but a place that reads the field.

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::value::Limits;
use engine::{EvictionRules, EvictionSettings, FsyncMode, Policy, Scale};

use super::kind::{INT_MAX, INT_MIN, KIB, Kind, LONG_MAX, MIB, UINT_MAX};
use super::row::{Row, Slot};
use super::value::{
    BindAddress, ChannelDefault, ClientAuth, Field, LogLevel, MaxMemory, Named, NamespacePolicies, OutputLimits,
    POLICY_ALIASES, Percentiles, Permission, Permit, Recover, Secret, SpillReads, Value,
};
use crate::acl::Declaration;
use crate::tls::suites;

const MAX_SEGMENT: i128 = 256 * MIB;
const MAX_BULK: i128 = 512 * MIB;

/// Bytes that a key takes at least, with its place in a table.
const LEAST_ENTRY: u64 = 64;

const FITS: &str = "a test writes the default and the ends of the range to every field";

/// Makes [`Settings`] and its rows out of the table below.
macro_rules! settings {
    ($( $topic:literal { $(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty = $default:literal, $kind:expr, $( $rule:ident $(( $($argument:expr),+ ))? ),+;
    )+ } )+) => {
        /// Every setting, checked.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $($( $(#[doc = $doc])+ pub $field: $type, )+)+
            /// The lines of `user`.
            pub users: Vec<Declaration>,
            /// Accepted directives that were set, by name.
            pub(super) kept: BTreeMap<&'static str, Value>,
        }

        impl Default for Settings {
            fn default() -> Self {
                Settings {
                    $($( $field: Field::from_value(Kind::read_default($kind, $default)).expect(FITS), )+)+
                    users: Vec::new(),
                    kept: BTreeMap::new(),
                }
            }
        }

        /// The rows of what works here, by topic.
        pub(super) static OWN: &[Row] = &[ $($(
            Row::new(
                {
                    const NAME: &[u8] = &dashed::<{ stringify!($field).len() }>(stringify!($field));
                    match std::str::from_utf8(NAME) { Ok(name) => name, Err(_) => panic!("a field is ASCII") }
                },
                $topic, $kind, $default, concat!($($doc),+),
                Slot::Field {
                    get: |settings| settings.$field.to_value(),
                    put: |settings, value| settings.$field = Field::from_value(value).expect(FITS),
                },
            ) $( .$rule($($($argument),+)?) )+,
        )+)+ ];
    };
}

settings! {
    "Network" {
        /// TCP port to listen on without TLS; 0 turns it off.
        port: u16 = "6379", Kind::Integer(0, 65_535), live;
        /// Addresses to listen on; `*` is every IPv4 and `::*` every IPv6 address.
        /// One with a leading `-` may be missing on the machine.
        bind: Vec<BindAddress> = "127.0.0.1", Kind::Addresses, live;
        /// Clients that the system may queue before they are accepted.
        tcp_backlog: u32 = "511", Kind::Integer(0, INT_MAX), at_start;
        /// Path of a unix socket to listen on as well.
        unixsocket: Option<PathBuf> = "", Kind::Path, at_start;
        /// Permission bits of the unix socket; 0 stands for 700.
        unixsocketperm: Permission = "700", Kind::Octal(0o777), at_start;
        /// Seconds after which an idle client is closed; 0 means never.
        timeout: u64 = "0", Kind::Integer(0, INT_MAX), live;
        /// Seconds that a client may take for a request that it has begun, and one more for each KiB of it; 0 means any time.
        request_timeout: u64 = "60", Kind::Integer(0, INT_MAX), live;
        /// Seconds between probes on a silent TCP connection; 0 turns them off.
        tcp_keepalive: u64 = "300", Kind::Integer(0, INT_MAX), live;
        /// Threads that serve clients; 0 means one for each processor.
        threads: u32 = "0", Kind::Integer(0, 1_024), at_start;
    }

    "Security" {
        /// Refuses clients from other machines while there is no password.
        protected_mode: bool = "yes", Kind::Switch, live;
        /// Password of the default user; empty means none.
        requirepass: Secret = "", Kind::Secret, live;
        /// File of users, in the directory of the store unless it is absolute; none when users are declared by `user` lines.
        aclfile: Option<PathBuf> = "", Kind::Path, at_start;
        /// Entries that ACL LOG keeps.
        acllog_max_len: u64 = "128", Kind::Integer(0, LONG_MAX), live;
        /// Channels of a new user.
        acl_pubsub_default: ChannelDefault = "resetchannels", Kind::Choice(ChannelDefault::NAMES), live;
        /// Who may use DEBUG: nobody, everybody, or clients on this machine.
        enable_debug_command: Permit = "no", Kind::Choice(Permit::NAMES), at_start;
    }

    "TLS" {
        /// TCP port for TLS, beside `port`, which 0 turns off; 0 turns TLS off.
        tls_port: u16 = "0", Kind::Integer(0, 65_535), live;
        /// PEM file with the server's certificate, and behind it those that lead to its authority. This and the files
        /// below are read again at SIGHUP, or when CONFIG SET repeats what is set.
        tls_cert_file: Option<PathBuf> = "", Kind::Path, reloaded;
        /// PEM file with the certificate's private key: PKCS#8, PKCS#1 or SEC1.
        tls_key_file: Option<PathBuf> = "", Kind::Path, reloaded;
        /// Password of the private key, if that is an encrypted PKCS#8 one.
        tls_key_file_pass: Secret = "", Kind::Secret, live;
        /// PEM file with the authorities that clients' certificates must come from.
        tls_ca_cert_file: Option<PathBuf> = "", Kind::Path, reloaded;
        /// Directory with such files; what is no certificate is passed over.
        tls_ca_cert_dir: Option<PathBuf> = "", Kind::Path, reloaded;
        /// Whether clients must show a certificate, may, or are not asked for one.
        tls_auth_clients: ClientAuth = "yes", Kind::Choice(ClientAuth::NAMES), live;
        /// Versions that are spoken, of `TLSv1.2` and `TLSv1.3`; empty: both.
        tls_protocols: String = "", Kind::Checked(suites::check_versions, "`TLSv1.2`, `TLSv1.3`, both"), live;
        /// Suites of TLS 1.2 by OpenSSL's names, in the order of preference; empty: all of rustls, which are those with
        /// ECDHE and AES-GCM or ChaCha20-Poly1305.
        tls_ciphers: String = "", Kind::Checked(suites::check_older, "names between colons"), live;
        /// Suites of TLS 1.3, in the order of preference; empty: all.
        tls_ciphersuites: String = "", Kind::Checked(suites::check_newer, "names between colons"), live;
        /// Whether the server's order of suites counts, not the client's.
        tls_prefer_server_ciphers: bool = "no", Kind::Switch, live;
        /// Whether clients may resume sessions, which saves most of a handshake.
        tls_session_caching: bool = "yes", Kind::Switch, live;
        /// Sessions that are remembered; 0: none.
        tls_session_cache_size: u32 = "20480", Kind::Integer(0, INT_MAX), live;
        /// Seconds for which they are.
        tls_session_cache_timeout: u64 = "300", Kind::Integer(0, INT_MAX), live;
    }

    "Persistence" {
        /// Directory of the store; only log file, socket and pid file may be elsewhere.
        dir: PathBuf = ".", Kind::Directory, protected;
        /// Name of the store's main file.
        dbfilename: String = "dump.kv", Kind::FileName, protected;
        /// There always is a log: `no` in a file, flag or variable means `appendfsync no`.
        appendonly: bool = "yes", Kind::Switch, live;
        /// When the log is synced: `always` before a reply, `everysec` once a second, `no` when the system likes.
        appendfsync: FsyncMode = "everysec", Kind::Choice(FsyncMode::NAMES), live;
        /// Size of a full segment of the log; at most a sixteenth of maxmemory.
        segment_size: u64 = "64mb", Kind::Size(64 * KIB, MAX_SEGMENT), at_start;
        /// Bytes of log that compaction reads in a second; more when the log has become much more than half as long again as
        /// what lives in it. 0: as many as it can.
        compaction_rate: u64 = "64mb", Kind::Size(0, LONG_MAX), live;
        /// Bytes by which the log grows before a checkpoint is taken, from which a restart goes on; at least twice the last
        /// checkpoint.
        checkpoint_after: u64 = "512mb", Kind::Size(4 * KIB, LONG_MAX), at_start;
        /// What to do when the log is corrupt: do not start, or put the bad range aside and keep everything else.
        recover: Recover = "strict", Kind::Choice(Recover::NAMES), at_start;
        /// Keep the keys in the order of their bytes as well: KEYS, PDEL and SCAN go straight to the keys that begin as their
        /// pattern does, and KEYS with options takes as long as its reply. It costs about 60 bytes a key.
        key_order: bool = "no", Kind::Switch, at_start;
        /// Databases that SELECT can choose from.
        databases: u32 = "16", Kind::Integer(1, 16), at_start;
        /// Keys to expect, if that is known: tables have their size from the start, and the first segments of the log are
        /// larger. A hint; no more are expected than fit into `maxmemory`.
        cardinality: u64 = "0", Kind::Integer(0, LONG_MAX), at_start;
        /// Bytes of a typical value; a hint of use together with `cardinality`.
        value_bytes: u64 = "0", Kind::Size(0, LONG_MAX), at_start;
    }

    "Memory" {
        /// Limit of all memory that the process holds; 0 and `auto` mean 70 % of the machine or its control group.
        maxmemory: MaxMemory = "0", Kind::Memory, live;
        /// Turns transparent huge pages off for the process: it holds less, and takes more time in a large store. Redis does so
        /// because it forks; kvd never does.
        disable_thp: bool = "no", Kind::Switch, at_start;
        /// Whether values that were not used for long leave memory when it is full, and are read back from the log when
        /// they are needed; `no` lets commands that need more fail.
        spill: bool = "yes", Kind::Switch, live;
        /// How values that have left memory are read back: `auto` by io_uring where the system allows it, else by threads that
        /// wait for the disk; `threads` always by these. INFO `spill_reads` tells which.
        spill_reads: SpillReads = "auto", Kind::Choice(SpillReads::NAMES), at_start;
        /// What is removed when memory runs out. `lru`, `lfu`, `allkeys-mru` and `allkeys-mfu` are other names of
        /// `allkeys-lru`, `allkeys-lfu`, `mru` and `mfu`; with `ear`, also called `expire_after_read` and
        /// `expireafterread`, a key that was read goes within a second, whether memory is full or not.
        maxmemory_policy: Policy = "noeviction", Kind::ChoiceOr(Policy::NAMES, POLICY_ALIASES), live;
        /// Percent of `maxmemory` at which eviction begins; writes are refused at 100 all the same.
        eviction_threshold: u64 = "100", Kind::Integer(1, 100), live;
        /// What ends the name of a namespace in a key: the part before the first one is its namespace. Empty: there are
        /// none.
        namespace_separator: String = "/", Kind::Text, live;
        /// Namespaces that are counted by themselves, from their first key on; the keys of all others count under
        /// `default`. Those that `namespace-policy` names come first.
        max_namespaces: u64 = "1024", Kind::Integer(0, 65_536), live;
        /// Policies of namespaces, as in `sessions:lru,cache:mru`; the others follow `maxmemory-policy`.
        namespace_policy: NamespacePolicies = "", Kind::NamespacePolicies, live;
        /// Keys looked at for one eviction.
        maxmemory_samples: u64 = "5", Kind::Integer(1, 64), live;
        /// How slowly a key's counter of hits grows, under a policy that counts them.
        lfu_log_factor: u32 = "10", Kind::Integer(0, INT_MAX), live;
        /// Minutes after which that counter shrinks by one; 0 for never.
        lfu_decay_time: u32 = "1", Kind::Integer(0, INT_MAX), live;
        /// Longest HyperLogLog that is kept in its sparse form.
        hll_sparse_max_bytes: u64 = "3000", Kind::Size(0, LONG_MAX), live;
        /// Memory for requests whose end has not come, replies that wait, and what is queued, watched and subscribed to, of all
        /// clients together; beyond it the clients with most of it are closed, but those with CLIENT NO-EVICT or 64 KiB at most. A share is
        /// one of `maxmemory`; 0 and `auto` mean 25 % of the machine or its control group.
        maxmemory_clients: MaxMemory = "0", Kind::Memory, live;
    }

    "Compact values" {
        /// Fields that a hash in compact form may have.
        hash_max_listpack_entries: u64 = "512", Kind::Integer(0, LONG_MAX), live, alias("hash-max-ziplist-entries");
        /// Bytes that a field or a value of a hash in compact form may have.
        hash_max_listpack_value: u64 = "64", Kind::Size(0, LONG_MAX), live, alias("hash-max-ziplist-value");
        /// Elements of a node of a list; -1 to -5 stand for 4, 8, 16, 32 and 64 KiB.
        list_max_listpack_size: i64 = "-2", Kind::Integer(INT_MIN, INT_MAX), live, alias("list-max-ziplist-size");
        /// Nodes at both ends of a list that are not compressed; kvd compresses none.
        list_compress_depth: u64 = "0", Kind::Integer(0, INT_MAX), no_effect;
        /// Members that a set of integers may have in compact form.
        set_max_intset_entries: u64 = "512", Kind::Integer(0, LONG_MAX), live;
        /// Members that a set in compact form may have.
        set_max_listpack_entries: u64 = "128", Kind::Integer(0, LONG_MAX), live;
        /// Bytes that a member of a set in compact form may have.
        set_max_listpack_value: u64 = "64", Kind::Integer(0, LONG_MAX), live;
        /// Members that a sorted set in compact form may have.
        zset_max_listpack_entries: u64 = "128", Kind::Integer(0, LONG_MAX), live, alias("zset-max-ziplist-entries");
        /// Bytes that a member of a sorted set in compact form may have.
        zset_max_listpack_value: u64 = "64", Kind::Size(0, LONG_MAX), live, alias("zset-max-ziplist-value");
    }

    "Limits" {
        /// Clients at the same time.
        maxclients: u32 = "10000", Kind::Integer(1, UINT_MAX), live;
        /// Longest value a request may carry.
        proto_max_bulk_len: u64 = "512mb", Kind::Size(MIB, MAX_BULK), live;
        /// Arguments a request may have.
        max_arguments: u64 = "1048576", Kind::Integer(16, INT_MAX), live;
        /// Longest request a client may build up.
        client_query_buffer_limit: u64 = "1gb", Kind::Size(MIB, LONG_MAX), live;
        /// By class: a hard limit, a soft limit, and the seconds a client may be above the soft one; 0 is no limit.
        /// A client above it is closed. There are no clients of `replica`. From one of `normal` nothing more
        /// is run while 1 MiB waits for it; for none may wait more than `maxmemory-clients` leaves.
        client_output_buffer_limit: OutputLimits = "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60",
            Kind::OutputLimits, live;
    }

    "Process and logs" {
        /// Least important message that is logged.
        loglevel: LogLevel = "notice", Kind::Choice(LogLevel::NAMES), live;
        /// File for log messages; empty means standard output.
        logfile: Option<PathBuf> = "", Kind::Path, at_start;
        /// File to write the process id to.
        pidfile: Option<PathBuf> = "", Kind::Path, at_start;
        /// Seconds that a shutdown waits for clients to take their replies.
        shutdown_timeout: u64 = "10", Kind::Integer(0, INT_MAX), live;
        /// Microseconds from which SLOWLOG keeps a command; -1 means never.
        slowlog_log_slower_than: i64 = "10000", Kind::Integer(-1, LONG_MAX), live;
        /// Commands that SLOWLOG keeps.
        slowlog_max_len: u64 = "128", Kind::Integer(0, LONG_MAX), live;
        /// Milliseconds from which LATENCY keeps an event; 0 turns it off.
        latency_monitor_threshold: u64 = "0", Kind::Integer(0, LONG_MAX), live;
        /// Whether LATENCY HISTOGRAM and INFO latencystats know how long the calls of each command took.
        latency_tracking: bool = "yes", Kind::Switch, live;
        /// Percentiles that INFO latencystats shows.
        latency_tracking_info_percentiles: Percentiles = "50 99 99.9", Kind::Percentiles, live;
        /// Keyspace notifications to publish: `K` by key and `E` by event, of the classes `g$lshzxetd` or `A` for all of
        /// these, `n` and `m`.
        notify_keyspace_events: String = "", Kind::Events, live;
    }
}

impl Settings {
    /// Keys to expect where `maxmemory` is so many bytes: no more than there is place for.
    pub fn expected_keys(&self, limit_bytes: u64) -> u64 {
        self.cardinality.min(limit_bytes / self.value_bytes.saturating_add(LEAST_ENTRY))
    }

    /// What is evicted, and when, where `maxmemory` is so many bytes.
    pub fn eviction(&self) -> EvictionSettings {
        let scale = Scale { log_factor: self.lfu_log_factor, decay_minutes: self.lfu_decay_time };
        EvictionSettings {
            rules: EvictionRules {
                policy: self.maxmemory_policy,
                scale,
                separator: self.namespace_separator.clone().into_bytes(),
                max_namespaces: usize::try_from(self.max_namespaces).expect(FITS),
                policies: self.namespace_policy.0.clone(),
            },
            threshold_percent: self.eviction_threshold,
            samples: usize::try_from(self.maxmemory_samples).expect(FITS),
        }
    }

    /// Up to where collections are kept in compact form.
    pub fn value_limits(&self) -> Limits {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Limits {
            list_max_listpack_size: i32::try_from(self.list_max_listpack_size).expect(FITS),
            hash_max_listpack_entries: count(self.hash_max_listpack_entries),
            hash_max_listpack_value: count(self.hash_max_listpack_value),
            set_max_intset_entries: count(self.set_max_intset_entries),
            set_max_listpack_entries: count(self.set_max_listpack_entries),
            set_max_listpack_value: count(self.set_max_listpack_value),
            zset_max_listpack_entries: count(self.zset_max_listpack_entries),
            zset_max_listpack_value: count(self.zset_max_listpack_value),
        }
    }
}

/// `tcp_backlog` → `tcp-backlog`, while compiling.
const fn dashed<const LENGTH: usize>(field: &str) -> [u8; LENGTH] {
    let mut name = [0; LENGTH];
    let mut at = 0;
    while at < LENGTH {
        let byte = field.as_bytes()[at];
        name[at] = if byte == b'_' { b'-' } else { byte };
        at += 1;
    }
    name
}
