//! Values of settings: one untyped form that rows read and show, and the types the program works with.

use std::fmt;
use std::path::PathBuf;

use engine::{FsyncMode, LONGEST_NAMESPACE, Policy};

use super::kind::choose_or;

/// A checked value of any row, between its text and its typed field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `yes` or `no`.
    Switch(bool),
    /// One name of a fixed list.
    Choice(&'static str),
    /// A number or a size in bytes.
    Number(i128),
    /// File permission bits, written in octal.
    Permission(u32),
    /// A memory limit: bytes, a share of the machine, or `auto`.
    Memory(MaxMemory),
    /// Free text, a file name or a path.
    Text(String),
    /// Text that no log and no error may show.
    Secret(Secret),
    /// Several words.
    Words(Vec<String>),
    /// Output buffer limits of the three classes of clients.
    OutputLimits(OutputLimits),
}

impl fmt::Display for Value {
    /// The text CONFIG GET answers, secrets included.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Switch(yes) => out.write_str(if *yes { "yes" } else { "no" }),
            Value::Choice(name) => out.write_str(name),
            Value::Number(number) => number.fmt(out),
            Value::Permission(bits) => write!(out, "{bits:o}"),
            Value::Memory(limit) => limit.fmt(out),
            Value::Text(text) => out.write_str(text),
            Value::Secret(secret) => out.write_str(secret.expose()),
            Value::Words(words) => out.write_str(&words.join(" ")),
            Value::OutputLimits(limits) => limits.fmt(out),
        }
    }
}

/// A type that a field of [`Settings`](super::Settings) may have.
pub(super) trait Field: Sized {
    /// The typed form; `None` when the row's kind does not fit the field, which a test of the table rules out.
    fn from_value(value: Value) -> Option<Self>;
    fn to_value(&self) -> Value;
}

/// Implements [`Field`] for a type that is the payload of one variant.
macro_rules! field_is_payload {
    ($($type:ty => $variant:ident),+ $(,)?) => { $(
        impl Field for $type {
            fn from_value(value: Value) -> Option<Self> {
                match value { Value::$variant(inner) => Some(inner), _ => None }
            }
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }
        }
    )+ };
}

field_is_payload!(bool => Switch, MaxMemory => Memory, Secret => Secret, String => Text, OutputLimits => OutputLimits);

macro_rules! field_is_number {
    ($($type:ty),+) => { $(
        impl Field for $type {
            fn from_value(value: Value) -> Option<Self> {
                match value { Value::Number(number) => number.try_into().ok(), _ => None }
            }
            fn to_value(&self) -> Value {
                Value::Number(i128::from(*self))
            }
        }
    )+ };
}

field_is_number!(u16, u32, u64, i64);

impl Field for PathBuf {
    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value).map(PathBuf::from)
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string_lossy().into_owned())
    }
}

impl Field for Option<PathBuf> {
    fn from_value(value: Value) -> Option<Self> {
        PathBuf::from_value(value).map(|path| (!path.as_os_str().is_empty()).then_some(path))
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or_else(|| Value::Text(String::new()), Field::to_value)
    }
}

impl Field for Vec<BindAddress> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Words(words) => Some(words.into_iter().map(BindAddress).collect()),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Words(self.iter().map(|address| address.0.clone()).collect())
    }
}

/// Percentages, as they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles(pub Vec<String>);

impl Field for Percentiles {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Words(words) => Some(Percentiles(words)),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Words(self.0.clone())
    }
}

/// A choice, each with the name that files, CONFIG and messages call it by.
pub trait Named: Copy + 'static {
    /// The names, in Redis's order, because its error message lists them.
    const NAMES: &'static [&'static str];

    /// The name of this one.
    fn name(self) -> &'static str;
}

/// Gives each variant of an enum its name, and so makes it a [`Field`].
macro_rules! names {
    ($type:ident { $( $variant:ident => $name:literal, )+ }) => {
        impl Named for $type {
            const NAMES: &'static [&'static str] = &[$($name),+];

            fn name(self) -> &'static str {
                match self { $( $type::$variant => $name, )+ }
            }
        }

        impl Field for $type {
            fn from_value(value: Value) -> Option<Self> {
                let Value::Choice(name) = value else { return None };
                match name { $( $name => Some($type::$variant), )+ _ => None }
            }
            fn to_value(&self) -> Value {
                Value::Choice(self.name())
            }
        }
    };
}

/// An enum with one name per variant.
macro_rules! choice {
    ($(#[$about:meta])* $type:ident { $( $(#[doc = $doc:literal])+ $variant:ident => $name:literal, )+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $( $(#[doc = $doc])+ $variant, )+ }

        names! { $type { $( $variant => $name, )+ } }
    };
}

names! {
    FsyncMode {
        EverySec => "everysec",
        Always => "always",
        No => "no",
    }
}

names! {
    Policy {
        VolatileLru => "volatile-lru",
        VolatileLfu => "volatile-lfu",
        VolatileRandom => "volatile-random",
        VolatileTtl => "volatile-ttl",
        AllKeysLru => "allkeys-lru",
        AllKeysLfu => "allkeys-lfu",
        AllKeysRandom => "allkeys-random",
        NoEviction => "noeviction",
        Mru => "mru",
        Mfu => "mfu",
        ExpireAfterRead => "ear",
    }
}

/// Policies of namespaces, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespacePolicies(pub Vec<(Vec<u8>, Policy)>);

impl NamespacePolicies {
    /// From `name:policy,name:policy`; the policy stands behind the last colon.
    pub(super) fn parse(text: &str) -> Result<NamespacePolicies, String> {
        let mut policies = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, policy) = word.rsplit_once(':').ok_or("argument must be name:policy,name:policy")?;
            if name.is_empty() || name.len() > LONGEST_NAMESPACE {
                return Err(format!("the name of a namespace has 1 to {LONGEST_NAMESPACE} bytes"));
            }
            let chosen = choose_or(policy, Policy::NAMES, POLICY_ALIASES)?;
            let policy = Policy::from_value(Value::Choice(chosen)).ok_or("no such policy")?;
            if policies.iter().any(|(known, _)| known == name.as_bytes()) {
                return Err(format!("the namespace '{name}' is named twice"));
            }
            policies.push((name.as_bytes().to_vec(), policy));
        }
        Ok(NamespacePolicies(policies))
    }
}

impl fmt::Display for NamespacePolicies {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, policy)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{}:{}", String::from_utf8_lossy(name), policy.name())?;
        }
        Ok(())
    }
}

impl Field for NamespacePolicies {
    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value).and_then(|text| NamespacePolicies::parse(&text).ok())
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

/// Other names of policies.
pub(super) const POLICY_ALIASES: &[(&str, &str)] = &[
    ("lru", "allkeys-lru"),
    ("lfu", "allkeys-lfu"),
    ("allkeys-mru", "mru"),
    ("allkeys-mfu", "mfu"),
    ("expire_after_read", "ear"),
    ("expireafterread", "ear"),
];

choice! {
    /// The least important message that is logged.
    LogLevel {
        /// Everything.
        Debug => "debug",
        /// More than an operator needs.
        Verbose => "verbose",
        /// What an operator wants to know.
        Notice => "notice",
        /// Only what needs attention.
        Warning => "warning",
        /// No messages.
        Nothing => "nothing",
    }
}

choice! {
    /// What to do when the log is corrupt below its durable mark.
    Recover {
        /// Do not start; say which file and where.
        Strict => "strict",
        /// Keep everything else and put the bad range aside.
        Salvage => "salvage",
    }
}

choice! {
    /// How values that have left memory are read back.
    SpillReads {
        /// By the thread that needs them, with io_uring, where the system allows that; else by threads.
        Auto => "auto",
        /// By threads that wait for the disk.
        Threads => "threads",
    }
}

choice! {
    /// Who may send a command that can harm the server.
    Permit {
        /// Nobody.
        No => "no",
        /// Everybody.
        Yes => "yes",
        /// Clients on this machine.
        Local => "local",
    }
}

choice! {
    /// Channels of a user for whom no rule names any.
    ChannelDefault {
        /// All.
        All => "allchannels",
        /// None.
        None => "resetchannels",
    }
}

choice! {
    /// Whether clients show certificates.
    ClientAuth {
        /// They are not asked for one.
        No => "no",
        /// Those without a good one are turned away.
        Yes => "yes",
        /// Those with a bad one are turned away.
        Optional => "optional",
    }
}

/// A memory limit as it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxMemory {
    /// [`MaxMemory::AUTO_PERCENT`] of the machine; the same as 0 bytes.
    Auto,
    /// So many bytes; 0 means the same as `auto`.
    Bytes(u64),
    /// A share of the machine's memory or of its control group's, in percent.
    Percent(u8),
}

impl MaxMemory {
    /// The share of the machine that `auto` takes.
    pub const AUTO_PERCENT: u8 = 70;

    /// The limit in bytes on a machine (or control group) with `machine_bytes` of memory.
    pub fn in_bytes(self, machine_bytes: u64) -> u64 {
        let share = |percent: u8| (u128::from(machine_bytes) * u128::from(percent.min(100)) / 100) as u64;
        match self {
            MaxMemory::Auto | MaxMemory::Bytes(0) => share(MaxMemory::AUTO_PERCENT),
            MaxMemory::Bytes(bytes) => bytes,
            MaxMemory::Percent(percent) => share(percent),
        }
    }
}

impl fmt::Display for MaxMemory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxMemory::Auto => out.write_str("auto"),
            MaxMemory::Bytes(bytes) => bytes.fmt(out),
            MaxMemory::Percent(percent) => write!(out, "{percent}%"),
        }
    }
}

/// Text that does not show itself: its `Debug` form is a row of dots.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl Secret {
    /// The text itself, for the one place that compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether no secret was set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.is_empty() { "\"\"" } else { "…" })
    }
}

/// One word of `bind`: an address or host name; a leading `-` means that it may be missing on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress(pub(super) String);

impl BindAddress {
    /// Whether the server starts although this address cannot be bound because it does not exist here.
    pub fn is_optional(&self) -> bool {
        self.0.starts_with('-')
    }

    /// What to hand to the resolver: `*` is every IPv4 address, `::*` every IPv6 address.
    pub fn host(&self) -> &str {
        match self.0.strip_prefix('-').unwrap_or(&self.0) {
            "*" => "0.0.0.0",
            "::*" => "::",
            host => host,
        }
    }

    /// Whether only this machine can reach the address.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host.eq_ignore_ascii_case("localhost")
            || host.parse().is_ok_and(|address: std::net::IpAddr| address.to_canonical().is_loopback())
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Permission bits of the unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission(pub(super) u32);

impl Permission {
    /// The mode to give the socket; 0, Redis's word for "not set", is the safe 0700.
    pub fn mode(self) -> u32 {
        if self.0 == 0 { 0o700 } else { self.0 }
    }
}

impl Field for Permission {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Permission(bits) => Some(Permission(bits)),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        Value::Permission(self.0)
    }
}

/// How much unread output a client may have before it is closed; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Closed at once above this.
    pub hard_bytes: u64,
    /// Closed when above this for `soft_seconds` on end.
    pub soft_bytes: u64,
    /// See `soft_bytes`.
    pub soft_seconds: u64,
}

/// [`OutputLimit`] by class of client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: OutputLimit,
    /// Replicas; there are none yet.
    pub replica: OutputLimit,
    /// Clients with at least one subscription.
    pub pubsub: OutputLimit,
}

impl fmt::Display for OutputLimits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Redis still says "slave" here, and clients compare.
        let classes = [("normal", self.normal), (" slave", self.replica), (" pubsub", self.pubsub)];
        for (class, limit) in classes {
            write!(out, "{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)?;
        }
        Ok(())
    }
}
