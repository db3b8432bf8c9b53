//! Publishing and subscribing.

use bytes::Bytes;

use super::{After, Call, Channels, Command, CommandError, Context, Flag, Group, Reply, ServerHandler, help};
use crate::pubsub::Kind;
use crate::session::Session;

const LISTENS: &[Flag] = &[Flag::PubSub, Flag::NoScript, Flag::Loading, Flag::Stale, Flag::InSubscription];
const PUBLISHES: &[Flag] = &[Flag::PubSub, Flag::Loading, Flag::Stale, Flag::Fast, Flag::MayReplicate];
const ASKS: &[Flag] = &[Flag::PubSub, Flag::Loading, Flag::Stale];
/// What stands where keys do and is none.
const NO_KEY: &[&str] = &["not_key"];

const OF_CHANNELS: &str = "O(N) where N is the number of channels";
const OF_PATTERNS: &str = "O(N) where N is the number of patterns";

/// The rows of this family.
pub const COMMANDS: &[Command] = &[
    listens("PSUBSCRIBE", "pattern:pattern ...", |context, call, reply| subscribe(context, call, reply, Kind::Pattern))
        .channels(Channels::Patterns)
        .cost(OF_PATTERNS)
        .doc("Listens to the channels whose names match a pattern."),
    Command::server("PUBLISH", "channel message", |context, call, reply| publish(context, call, reply, Kind::Channel))
        .group(Group::PubSub)
        .flags(PUBLISHES)
        .channels(Channels::Published)
        .since("2.0.0")
        .cost("O(N+M) where N is the number of subscribers of the channel and M the number of patterns")
        .doc("Sends a message to all who listen to a channel; returns to how many."),
    Command::container("PUBSUB", SUBCOMMANDS)
        .group(Group::PubSub)
        .since("2.8.0")
        .doc("Commands about what is listened to."),
    listens("PUNSUBSCRIBE", "[pattern:pattern ...]", |context, call, reply| {
        unsubscribe(context, call, reply, Kind::Pattern)
    })
    .cost(OF_PATTERNS)
    .doc("Listens no more to what matches a pattern, or any pattern."),
    Command::server("SPUBLISH", "@shardchannel message", |context, call, reply| {
        publish(context, call, reply, Kind::Shard)
    })
    .group(Group::PubSub)
    .flags(PUBLISHES)
    .channels(Channels::Published)
    .key_flags(NO_KEY)
    .since("7.0.0")
    .cost("O(N) where N is the number of subscribers of the shard channel")
    .doc("Sends a message to all who listen to a shard channel; returns to how many."),
    listens("SSUBSCRIBE", "@shardchannel ...", |context, call, reply| subscribe(context, call, reply, Kind::Shard))
        .channels(Channels::Listened)
        .key_flags(NO_KEY)
        .since("7.0.0")
        .cost(OF_CHANNELS)
        .doc("Listens to shard channels."),
    listens("SUBSCRIBE", "channel ...", |context, call, reply| subscribe(context, call, reply, Kind::Channel))
        .channels(Channels::Listened)
        .cost(OF_CHANNELS)
        .doc("Listens to channels."),
    listens("SUNSUBSCRIBE", "[@shardchannel ...]", |context, call, reply| {
        unsubscribe(context, call, reply, Kind::Shard)
    })
    .channels(Channels::Left)
    .key_flags(NO_KEY)
    .since("7.0.0")
    .cost(OF_CHANNELS)
    .doc("Listens no more to shard channels, or to any."),
    listens("UNSUBSCRIBE", "[channel ...]", |context, call, reply| unsubscribe(context, call, reply, Kind::Channel))
        .cost(OF_CHANNELS)
        .doc("Listens no more to channels, or to any."),
];

const SUBCOMMANDS: &[Command] = &[
    asks("CHANNELS", "[pattern:pattern]", |context, call, reply| channels(context, call, reply, Kind::Channel))
        .cost("O(N) where N is the number of channels")
        .doc("Returns the channels that are listened to, those that match a pattern if one is given."),
    asks("NUMPAT", "", number_of_patterns).doc("Returns how many different patterns are listened to."),
    asks("NUMSUB", "[channel ...]", |context, call, reply| numbers(context, call, reply, Kind::Channel))
        .cost(OF_CHANNELS)
        .doc("Returns how many listen to each of these channels, without patterns."),
    asks("SHARDCHANNELS", "[pattern:pattern]", |context, call, reply| channels(context, call, reply, Kind::Shard))
        .since("7.0.0")
        .cost("O(N) where N is the number of shard channels")
        .doc("Returns the shard channels that are listened to, those that match a pattern if one is given."),
    asks("SHARDNUMSUB", "[shardchannel ...]", |context, call, reply| numbers(context, call, reply, Kind::Shard))
        .since("7.0.0")
        .cost(OF_CHANNELS)
        .doc("Returns how many listen to each of these shard channels."),
    help::row(Group::PubSub).since("6.2.0"),
];

const fn listens(name: &'static str, usage: &'static str, handler: ServerHandler) -> Command {
    Command::server(name, usage, handler).group(Group::PubSub).flags(LISTENS).since("2.0.0")
}

const fn asks(name: &'static str, usage: &'static str, handler: ServerHandler) -> Command {
    Command::server(name, usage, handler).group(Group::PubSub).flags(ASKS).since("2.8.0")
}

/// More names than this are not held against a pattern while others wait.
const MANY: usize = 5_000;

type ServerDone = Result<After, CommandError>;

fn publish(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, kind: Kind) -> ServerDone {
    // EXEC does not come again: what it queued is done.
    if context.held.is_none() && context.server.pubsub.is_congested() {
        return Ok(After::Again);
    }
    let hub = &context.server.pubsub;
    // A channel nobody listens to costs no copy.
    let receivers = if hub.is_silent() {
        0
    } else {
        let (channel, payload) = (Bytes::copy_from_slice(call.arg(1)), payload(call, 2));
        match context.may_go_apart() {
            true => match hub.publish_at_once(kind, &channel, &payload, 0) {
                Some(receivers) => receivers,
                None => return Ok(After::Apart),
            },
            false => hub.publish(kind, channel, payload, 0),
        }
    };
    reply.integer(receivers as i64);
    Ok(After::Reply)
}

/// A message: shared if it is most of the buffer that it was read into, else copied out of it.
fn payload(call: &Call<'_>, index: usize) -> Bytes {
    let bytes = call.arg(index);
    if 2 * bytes.len() < call.request.pinned_bytes() {
        Bytes::copy_from_slice(bytes)
    } else {
        call.request.shared(index)
    }
}

fn subscribe(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, kind: Kind) -> ServerDone {
    let word = match kind {
        Kind::Channel => "subscribe",
        Kind::Pattern => "psubscribe",
        Kind::Shard => "ssubscribe",
    };
    for name in call.request.iter().skip(1) {
        if !context.session.subscribe(kind, name, context.server) {
            tracing::info!(client = context.session.client.id, "Evicting client: no memory for its subscriptions");
            context.server.stats.count_eviction();
            return Ok(After::Close);
        }
        confirm(reply, word, Some(name), context.session, kind);
    }
    // Who took the permission away meanwhile has perhaps looked before this was there.
    context.session.renew_user(&context.server.users);
    let user = &context.session.user;
    let is_allowed = call.request.iter().skip(1).all(|name| user.may_listen(kind, name));
    Ok(if is_allowed { After::Reply } else { After::Close })
}

fn unsubscribe(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, kind: Kind) -> ServerDone {
    let word = match kind {
        Kind::Channel => "unsubscribe",
        Kind::Pattern => "punsubscribe",
        Kind::Shard => "sunsubscribe",
    };
    if call.len() == 1 && context.session.has_many_subscriptions() && context.may_go_apart() {
        return Ok(After::Apart);
    }
    let (session, server) = (&mut *context.session, context.server);
    for name in call.request.iter().skip(1) {
        session.unsubscribe(kind, name, server);
        confirm(reply, word, Some(name), session, kind);
    }
    if call.len() == 1 {
        if session.first_subscription(kind).is_none() {
            confirm(reply, word, None, session, kind);
        }
        while let Some(name) = session.first_subscription(kind) {
            session.unsubscribe(kind, &name, server);
            confirm(reply, word, Some(&name), session, kind);
        }
    }
    Ok(After::Reply)
}

/// What was done to which subscription, and how many there are now.
fn confirm(reply: &mut Reply<'_>, word: &str, name: Option<&[u8]>, session: &Session, kind: Kind) {
    let mut out = reply.write();
    out.push(3);
    out.bulk(word.as_bytes());
    match name {
        Some(name) => out.bulk(name),
        None => out.null(),
    }
    out.integer(session.subscription_count(kind) as i64);
}

fn channels(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, kind: Kind) -> ServerDone {
    if call.len() > 3 {
        return Err(CommandError::subcommand_arity("PUBSUB", call.arg(1)));
    }
    if context.server.pubsub.count(kind) > MANY && context.may_go_apart() {
        return Ok(After::Apart);
    }
    let names = context.server.pubsub.names(kind, call.request.get(2));
    let mut out = reply.write();
    out.array(names.len());
    names.iter().for_each(|name| out.bulk(name));
    Ok(After::Reply)
}

fn numbers(context: &mut Context<'_, '_>, call: &Call<'_>, reply: &mut Reply<'_>, kind: Kind) -> ServerDone {
    let mut out = reply.write();
    out.array(2 * (call.len() - 2));
    for name in call.request.iter().skip(2) {
        out.bulk(name);
        out.integer(context.server.pubsub.subscribers(kind, name) as i64);
    }
    Ok(After::Reply)
}

fn number_of_patterns(context: &mut Context<'_, '_>, _: &Call<'_>, reply: &mut Reply<'_>) -> ServerDone {
    reply.integer(context.server.pubsub.count(Kind::Pattern) as i64);
    Ok(After::Reply)
}
