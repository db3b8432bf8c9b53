//! Commands about what there is none of: replicas, modules, a cluster. Each says so.

use super::args::is;
use super::error::{CLUSTER_DISABLED, NO_REPLICATION};
use super::{After, Call, Command, CommandError, Context, Flag, Group, Reply, help};

const FLAGS: &[Flag] = &[Flag::Loading, Flag::Stale, Flag::Fast, Flag::OfConnection];
const REPLICATES: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Stale, Flag::NoAsyncLoading];

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    Command::server("ASKING", "", no_cluster)
        .group(Group::Cluster)
        .flags(&[Flag::Fast, Flag::OfConnection])
        .since("3.0.0")
        .doc("An error: there is no cluster."),
    Command::server("CLUSTER", "subcommand [argument ...]", cluster)
        .group(Group::Cluster)
        .since("3.0.0")
        .cost("Depends on subcommand.")
        .doc("An error: there is no cluster."),
    Command::container("MODULE", MODULE).group(Group::Server).since("4.0.0").doc("Commands about modules."),
    Command::server("READONLY", "", no_cluster)
        .group(Group::Cluster)
        .flags(FLAGS)
        .since("3.0.0")
        .doc("An error: there is no cluster."),
    Command::server("READWRITE", "", no_cluster)
        .group(Group::Cluster)
        .flags(FLAGS)
        .since("3.0.0")
        .doc("An error: there is no cluster."),
    Command::server("REPLICAOF", "{host port:int} | {NO ONE}", replica_of)
        .group(Group::Server)
        .flags(REPLICATES)
        .since("5.0.0")
        .doc("With NO ONE: stays what it is. There is no replication."),
    Command::server("ROLE", "", role)
        .group(Group::Server)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::OfOperators])
        .since("2.8.12")
        .doc("Returns that this is a master without replicas."),
    Command::server("SLAVEOF", "{host port:int} | {NO ONE}", replica_of)
        .group(Group::Server)
        .flags(REPLICATES)
        .doc("REPLICAOF under its older name."),
];

const MODULE: &[Command] = &[
    help::row(Group::Server),
    Command::server("LIST", "", modules)
        .group(Group::Server)
        .flags(&[Flag::Admin, Flag::NoScript])
        .since("4.0.0")
        .cost("O(N) where N is the number of loaded modules.")
        .tips(&["nondeterministic_output_order"])
        .doc("Returns the modules, of which there are none."),
];

/// The subcommands of Redis 7.4's CLUSTER. They are one row here: none of them does anything.
const CLUSTER: &str = "ADDSLOTS ADDSLOTSRANGE BUMPEPOCH COUNT-FAILURE-REPORTS COUNTKEYSINSLOT DELSLOTS DELSLOTSRANGE \
                       FAILOVER FLUSHSLOTS FORGET GETKEYSINSLOT HELP INFO KEYSLOT LINKS MEET MYID MYSHARDID NODES \
                       REPLICAS REPLICATE RESET SAVECONFIG SET-CONFIG-EPOCH SETSLOT SHARDS SLAVES SLOTS";

type ServerDone = Result<After, CommandError>;

fn no_cluster(_: &mut Context<'_, '_>, _: &Call<'_>, _: &mut Reply<'_>) -> ServerDone {
    Err(CLUSTER_DISABLED)
}

fn cluster(_: &mut Context<'_, '_>, call: &Call<'_>, _: &mut Reply<'_>) -> ServerDone {
    let subcommand = call.arg(1);
    match CLUSTER.split_whitespace().any(|name| is(subcommand, name)) {
        true => Err(CLUSTER_DISABLED),
        false => Err(CommandError::unknown_subcommand("CLUSTER", subcommand)),
    }
}

fn modules(_: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    reply.write().array(0);
    Ok(After::Reply)
}

fn replica_of(_: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    if !is(call.arg(1), "NO") || !is(call.arg(2), "ONE") {
        return Err(NO_REPLICATION);
    }
    reply.ok();
    Ok(After::Reply)
}

fn role(_: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    let mut out = reply.write();
    out.array(3);
    out.bulk(b"master");
    out.integer(0);
    out.array(0);
    Ok(After::Reply)
}
