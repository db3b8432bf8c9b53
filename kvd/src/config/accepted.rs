//! Directives of a Redis 7.4 redis.conf that do nothing here.
//!
//! They are checked as Redis checks them, kept, shown by CONFIG GET, and named in one warning at start. A value that
//! would change what a client or an operator may rely on is refused instead: `only_default("why")`. Ranges and defaults
//! are Redis's. A directive that gets a meaning moves to the table in `settings.rs`.

use super::kind::{INT_MAX, INT_MIN, Kind, LONG_MAX, UINT_MAX};
use super::row::Row;
use Kind::{Choice, Choices, Integer, Integers, Path, Primary, SavePoints, Secret, Size, Switch, Text};

const ULONG_MAX: i128 = u64::MAX as i128;

const NO_CLUSTER: &str = "cluster mode is not supported";
const NO_REPLICATION: &str = "replication is not supported";
const NO_CALLS: &str = "kvd makes no outgoing connections";

const YES_NO_CLIENTS: &[&str] = &["no", "yes", "clients"];
const YES_NO_LOCAL: &[&str] = &["no", "yes", "local"];
const ON_SIGNAL: &[&str] = &["default", "save", "nosave", "now", "force"];
const SUPERVISORS: &[&str] = &["upstart", "systemd", "auto", "no"];
const FACILITIES: &[&str] = &["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"];

/// Words that Redis takes in a file although they are no settings any more.
pub(super) const RETIRED: &[&str] = &["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"];

/// Words of a file that are no settings, with what to say about them.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("rename-command", "renaming and disabling commands is not supported"),
    ("loadmodule", "modules are not supported"),
    ("sentinel", "sentinel directive while not in sentinel mode"),
];

const fn row(topic: &'static str, name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Row {
    Row::accepted(name, topic, kind, default, doc)
}

const fn network(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Row {
    row("Network and process", name, kind, default, doc)
}

const fn persistence(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Row {
    row("Snapshots and append-only file", name, kind, default, doc)
}

const fn memory(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Row {
    row("Memory and encodings", name, kind, default, doc)
}

const fn replication(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Row {
    row("Replication", name, kind, default, doc)
}

const fn cluster(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Row {
    row("Cluster", name, kind, default, doc)
}

const fn tls(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Row {
    row("TLS of others", name, kind, default, doc)
}

/// The rows, by topic.
pub(super) static ROWS: &[Row] = &[
    network("daemonize", Switch, "no", "Go to the background.").fixed().note("kvd stays in the foreground"),
    network("supervised", Choice(SUPERVISORS), "no", "Service manager to report to.")
        .fixed()
        .note("kvd tells no service manager when it is ready"),
    network("always-show-logo", Switch, "no", "Print a logo at start.").fixed(),
    network("set-proc-title", Switch, "yes", "Change the process title.").fixed(),
    network("proc-title-template", Text, "{title} {listen-addr} {server-mode}", "Form of the process title."),
    network("syslog-enabled", Switch, "no", "Log to syslog.").fixed().note("kvd does not log to syslog"),
    network("syslog-ident", Text, "redis", "Name in syslog.").fixed(),
    network("syslog-facility", Choice(FACILITIES), "local0", "Facility in syslog.").fixed(),
    network("crash-log-enabled", Switch, "yes", "Print a report after a crash."),
    network("crash-memcheck-enabled", Switch, "yes", "Test memory after a crash."),
    network(
        "hide-user-data-from-log",
        Switch,
        "no",
        "Keep user data out of crash reports; kvd logs no keys or values.",
    ),
    network("ignore-warnings", Text, "", "Start checks to skip."),
    network(
        "oom-score-adj",
        Choice(&["no", "yes", "relative", "absolute"]),
        "no",
        "Tell the system whom to kill first.",
    ),
    network("oom-score-adj-values", Integers(3, -2_000, 2_000), "0 200 800", "Scores for `oom-score-adj`."),
    network("server-cpulist", Text, "", "Processors for the server's threads.").alias("server_cpulist").fixed(),
    network("bio-cpulist", Text, "", "Processors for background threads.").alias("bio_cpulist").fixed(),
    network("io-threads", Integer(1, 128), "1", "Threads for reading and writing sockets.")
        .fixed()
        .note("the number of threads is set by 'threads'"),
    network("io-threads-do-reads", Switch, "no", "Whether those threads also read.").fixed(),
    network("hz", Integer(0, INT_MAX), "10", "Background steps a second."),
    network("dynamic-hz", Switch, "yes", "More background steps with more clients."),
    network("max-new-connections-per-cycle", Integer(1, 1_000), "10", "Clients accepted at a time."),
    network("max-new-tls-connections-per-cycle", Integer(1, 1_000), "1", "TLS clients accepted at a time."),
    network("bind-source-addr", Text, "", "Local address for outgoing connections; kvd makes none."),
    network("socket-mark-id", Integer(0, UINT_MAX), "0", "Mark for the packets of sockets.")
        .fixed()
        .only_default("marking sockets is not supported"),
    network("key-load-delay", Integer(INT_MIN, INT_MAX), "0", "Microseconds to wait for each key at start, for tests.")
        .hidden(),
    network(
        "rdb-key-save-delay",
        Integer(INT_MIN, INT_MAX),
        "0",
        "Microseconds to wait for each key saved, for tests.",
    )
    .hidden(),
    network(
        "loading-process-events-interval-bytes",
        Size(1024, INT_MAX),
        "2097152",
        "Bytes read at start before clients are heard, for tests.",
    )
    .hidden(),
    network("enable-protected-configs", Choice(YES_NO_LOCAL), "no", "Who may set paths; in kvd nobody.")
        .fixed()
        .note("no path can be set at run time"),
    network("enable-module-command", Choice(YES_NO_LOCAL), "no", "Who may use MODULE; in kvd nobody.")
        .fixed()
        .note("modules are not supported"),
    network("tracking-table-max-keys", Integer(0, LONG_MAX), "1000000", "Keys that client-side caching remembers."),
    network("busy-reply-threshold", Integer(0, LONG_MAX), "5000", "Milliseconds until a script counts as busy.")
        .alias("lua-time-limit"),
    network("locale-collate", Text, "", "Order of SORT ALPHA.").only_default("a locale for SORT is not supported"),
    network(
        "shutdown-on-sigint",
        Choices(ON_SIGNAL),
        "default",
        "How SIGINT ends the server; kvd always makes all durable.",
    ),
    network("shutdown-on-sigterm", Choices(ON_SIGNAL), "default", "How SIGTERM ends the server; as above."),
    persistence("save", SavePoints, "3600 1 300 100 60 10000", "When to write a snapshot; the log promises more."),
    persistence("stop-writes-on-bgsave-error", Switch, "yes", "Refuse writes after a failed snapshot."),
    persistence("rdbcompression", Switch, "yes", "Compress snapshots."),
    persistence("rdbchecksum", Switch, "yes", "Checksum of a snapshot; kvd checks every record.").fixed(),
    persistence("rdb-del-sync-files", Switch, "no", "Remove snapshots made for replicas."),
    persistence("rdb-save-incremental-fsync", Switch, "yes", "Sync a snapshot while it is written."),
    persistence("sanitize-dump-payload", Choice(YES_NO_CLIENTS), "no", "Check what RESTORE is given."),
    persistence("appendfilename", Text, "appendonly.aof", "Name of the append-only file.").fixed(),
    persistence("appenddirname", Text, "appendonlydir", "Directory of the append-only file.").fixed(),
    persistence("no-appendfsync-on-rewrite", Switch, "no", "No sync while the file is rewritten; kvd keeps syncing."),
    persistence("auto-aof-rewrite-percentage", Integer(0, INT_MAX), "100", "Growth after which the file is rewritten."),
    persistence("auto-aof-rewrite-min-size", Size(0, LONG_MAX), "64mb", "Size below which it is not rewritten."),
    persistence("aof-load-truncated", Switch, "yes", "Start with a torn tail.")
        .only_default("kvd always starts with a torn tail: nothing durable is in it"),
    persistence("aof-use-rdb-preamble", Switch, "yes", "Start the file with a snapshot."),
    persistence("aof-timestamp-enabled", Switch, "no", "Note times in the file."),
    persistence("aof-rewrite-incremental-fsync", Switch, "yes", "Sync a rewrite while it is written."),
    persistence("aof-rewrite-cpulist", Text, "", "Processors for a rewrite.").alias("aof_rewrite_cpulist").fixed(),
    persistence("bgsave-cpulist", Text, "", "Processors for a snapshot.").alias("bgsave_cpulist").fixed(),
    memory("maxmemory-eviction-tenacity", Integer(0, 100), "10", "Effort of eviction."),
    memory("active-expire-effort", Integer(1, 10), "1", "Effort of removing expired keys; kvd removes them in time."),
    memory("lazyfree-lazy-eviction", Switch, "no", "Free evicted values in the background."),
    memory("lazyfree-lazy-expire", Switch, "no", "Free expired values in the background."),
    memory("lazyfree-lazy-server-del", Switch, "no", "Free overwritten values in the background."),
    memory("lazyfree-lazy-user-del", Switch, "no", "DEL frees in the background."),
    memory("lazyfree-lazy-user-flush", Switch, "no", "FLUSHALL and FLUSHDB free in the background."),
    memory("activerehashing", Switch, "yes", "Rehash in the background."),
    memory("jemalloc-bg-thread", Switch, "yes", "A thread that returns memory to the system."),
    memory("activedefrag", Switch, "no", "Move values to close gaps in memory.")
        .only_default("active defragmentation is not supported"),
    memory("active-defrag-ignore-bytes", Size(1, LONG_MAX), "100mb", "Waste below which nothing is moved."),
    memory("active-defrag-threshold-lower", Integer(0, 1_000), "10", "Percent of waste from which values are moved."),
    memory("active-defrag-threshold-upper", Integer(0, 1_000), "100", "Percent of waste for the greatest effort."),
    memory("active-defrag-cycle-min", Integer(1, 99), "1", "Least effort in percent of a processor."),
    memory("active-defrag-cycle-max", Integer(1, 99), "25", "Greatest effort in percent of a processor."),
    memory("active-defrag-max-scan-fields", Integer(1, LONG_MAX), "1000", "Members moved at a time."),
    memory("stream-node-max-bytes", Size(0, LONG_MAX), "4096", "Bytes of a node of a stream."),
    memory("stream-node-max-entries", Integer(0, LONG_MAX), "100", "Entries of a node of a stream."),
    replication("replicaof", Primary, "", "Primary to copy from.")
        .alias("slaveof")
        .fixed()
        .only_default(NO_REPLICATION),
    replication("masterauth", Secret, "", "Password for the primary."),
    replication("masteruser", Secret, "", "User for the primary."),
    replication("min-replicas-to-write", Integer(0, INT_MAX), "0", "Replicas without which writes are refused.")
        .alias("min-slaves-to-write")
        .only_default(NO_REPLICATION),
    replication(
        "min-replicas-max-lag",
        Integer(0, INT_MAX),
        "10",
        "Seconds after which such a replica does not count.",
    )
    .alias("min-slaves-max-lag"),
    replication("replica-serve-stale-data", Switch, "yes", "Answer without the primary.")
        .alias("slave-serve-stale-data"),
    replication("replica-read-only", Switch, "yes", "Refuse writes on a replica.").alias("slave-read-only"),
    replication("replica-priority", Integer(0, INT_MAX), "100", "Rank of this replica.").alias("slave-priority"),
    replication("replica-announced", Switch, "yes", "Whether sentinels name this replica."),
    replication("replica-announce-ip", Text, "", "Address to announce.").alias("slave-announce-ip"),
    replication("replica-announce-port", Integer(0, 65_535), "0", "Port to announce.").alias("slave-announce-port"),
    replication("replica-lazy-flush", Switch, "no", "Free in the background before a copy.").alias("slave-lazy-flush"),
    replication("replica-ignore-maxmemory", Switch, "yes", "Replicas evict nothing.").alias("slave-ignore-maxmemory"),
    replication("replica-ignore-disk-write-errors", Switch, "no", "Replicas go on after a disk error."),
    replication("repl-diskless-sync", Switch, "yes", "Copy without a file."),
    replication("repl-diskless-sync-delay", Integer(0, INT_MAX), "5", "Seconds to wait for more replicas."),
    replication("repl-diskless-sync-max-replicas", Integer(0, INT_MAX), "0", "Replicas not to wait longer for."),
    replication(
        "repl-diskless-load",
        Choice(&["disabled", "on-empty-db", "swapdb"]),
        "disabled",
        "Load without a file.",
    ),
    replication("repl-disable-tcp-nodelay", Switch, "no", "Fewer and bigger packets to replicas."),
    replication("repl-backlog-size", Size(1, LONG_MAX), "1mb", "Bytes kept for replicas that come back."),
    replication("repl-backlog-ttl", Integer(0, LONG_MAX), "3600", "Seconds they are kept."),
    replication("repl-ping-replica-period", Integer(1, INT_MAX), "10", "Seconds between pings.")
        .alias("repl-ping-slave-period"),
    replication("repl-timeout", Integer(1, INT_MAX), "60", "Seconds without a sign until a link counts as lost."),
    replication(
        "propagation-error-behavior",
        Choice(&["ignore", "panic", "panic-on-replicas"]),
        "ignore",
        "What to do when a copied command fails.",
    ),
    cluster("cluster-enabled", Switch, "no", "Be a node of a cluster.").fixed().only_default(NO_CLUSTER),
    cluster("cluster-config-file", Text, "nodes.conf", "File of the node's state.").fixed(),
    cluster("cluster-port", Integer(0, 65_535), "0", "Port of the cluster's bus.").fixed(),
    cluster("cluster-node-timeout", Integer(0, LONG_MAX), "15000", "Milliseconds until a node counts as lost."),
    cluster("cluster-migration-barrier", Integer(0, INT_MAX), "1", "Replicas that a primary keeps."),
    cluster("cluster-allow-replica-migration", Switch, "yes", "Replicas move to primaries without one."),
    cluster("cluster-require-full-coverage", Switch, "yes", "Refuse commands when a slot has no node."),
    cluster("cluster-allow-reads-when-down", Switch, "no", "Answer reads all the same."),
    cluster("cluster-allow-pubsubshard-when-down", Switch, "yes", "Serve sharded pub/sub all the same."),
    cluster("cluster-replica-no-failover", Switch, "no", "Never take over.").alias("cluster-slave-no-failover"),
    cluster("cluster-replica-validity-factor", Integer(0, INT_MAX), "10", "Age of data above which none takes over.")
        .alias("cluster-slave-validity-factor"),
    cluster("cluster-link-sendbuf-limit", Size(0, ULONG_MAX), "0", "Bytes of a link's buffer."),
    cluster("cluster-announce-ip", Text, "", "Address to announce."),
    cluster("cluster-announce-port", Integer(0, 65_535), "0", "Port to announce."),
    cluster("cluster-announce-tls-port", Integer(0, 65_535), "0", "TLS port to announce."),
    cluster("cluster-announce-bus-port", Integer(0, 65_535), "0", "Bus port to announce."),
    cluster("cluster-announce-hostname", Text, "", "Host name to announce."),
    cluster("cluster-announce-human-nodename", Text, "", "Name in logs."),
    cluster(
        "cluster-preferred-endpoint-type",
        Choice(&["ip", "hostname", "unknown-endpoint"]),
        "ip",
        "What clients are told.",
    ),
    tls("tls-client-cert-file", Path, "", "Certificate for outgoing connections.").no_path_at_run_time().note(NO_CALLS),
    tls("tls-client-key-file", Path, "", "Its key.").no_path_at_run_time().note(NO_CALLS),
    tls("tls-client-key-file-pass", Secret, "", "Its password."),
    tls("tls-dh-params-file", Path, "", "Parameters of a key exchange.")
        .no_path_at_run_time()
        .note("keys are exchanged over elliptic curves only"),
    tls("tls-replication", Switch, "no", "TLS to the primary.").note("there are no connections of replicas"),
    tls("tls-cluster", Switch, "no", "TLS on the cluster's bus.").note("there is no cluster's bus"),
];
