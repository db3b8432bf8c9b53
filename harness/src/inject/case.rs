//! Small loads of every kind, each of which makes other system calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Result;
use crate::files;
use crate::mix::Mix;
use crate::process::{Mode, Program, Server};
use crate::store::Plan;
use crate::workload::Weight;

/// A load, and the server's settings under it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in reports and on the command line.
    pub name: &'static str,
    /// When it answers.
    pub mode: Mode,
    /// What is written.
    pub mix: Mix,
    /// How many clients write.
    pub clients: u16,
    /// Commands of each.
    pub commands: u64,
    /// Settings of the server.
    pub args: &'static [&'static str],
    /// What it is asked for behind them.
    pub asked: &'static [&'static [&'static str]],
    /// How long it is left alone behind that.
    pub settle: Duration,
}

const SEGMENTS: [&str; 2] = ["--segment-size", "64kb"];

const SMALL: Case = Case {
    name: "strings",
    mode: Mode::EverySec,
    mix: Mix::Strings,
    clients: 4,
    commands: 24,
    args: &SEGMENTS,
    asked: &[],
    // In this time a sync is due.
    settle: Duration::from_millis(250),
};

const COMPACT: &[&[&str]] = &[&["BGREWRITEAOF"]];
const OFTEN: &[&str] = &["--segment-size", "64kb", "--checkpoint-after", "8kb"];
const LITTLE: &[&str] = &["--segment-size", "64kb", "--maxmemory", "1200kb"];
const REWRITE: &[&[&str]] = &[
    &["CONFIG", "SET", "timeout", "77"],
    &["CONFIG", "REWRITE"],
    &["CONFIG", "SET", "timeout", "78"],
    &["CONFIG", "REWRITE"],
];

/// All of them. The first client of each writes a value of a megabyte first, into a file of its own, and changes it.
pub const ALL: [Case; 12] = [
    SMALL,
    Case { name: "strings-no", mode: Mode::No, ..SMALL },
    Case { name: "types", mix: Mix::All, ..SMALL },
    Case { name: "types-always", mix: Mix::All, mode: Mode::Always, ..SMALL },
    Case { name: "transactions", mix: Mix::Transactions, ..SMALL },
    Case { name: "transactions-always", mix: Mix::Transactions, mode: Mode::Always, ..SMALL },
    Case { name: "large", mix: Mix::All, clients: 2, commands: 8, asked: COMPACT, ..SMALL },
    Case { name: "compaction", mix: Mix::All, clients: 6, commands: 80, asked: COMPACT, ..SMALL },
    Case { name: "compaction-always", mode: Mode::Always, ..COMPACTION },
    Case { name: "checkpoints", mix: Mix::All, clients: 6, commands: 150, args: OFTEN, ..SMALL },
    Case { name: "spill", mix: Mix::All, clients: 6, commands: 150, args: LITTLE, ..SMALL },
    Case { name: "config", commands: 4, asked: REWRITE, ..SMALL },
];

const COMPACTION: Case = Case { mix: Mix::All, clients: 6, commands: 80, asked: COMPACT, ..SMALL };

impl Case {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Case> {
        ALL.into_iter().find(|case| case.name == name)
    }

    /// Whether the server has a file of settings that it is asked to write anew.
    pub fn has_config(&self) -> bool {
        self.asked == REWRITE
    }

    /// As the store knows it. A file of settings comes to lie in `room`.
    pub fn plan(&self, program: Program, room: &Path) -> Result<Plan> {
        let program = if self.has_config() { with_config_file(program) } else { program };
        let mut plan = Plan::new(program, self.mode);
        plan.clients = self.clients;
        plan.weight = Weight::Light;
        plan.mix = self.mix;
        plan.patience = Duration::from_secs(10);
        plan.args = self.args.iter().map(|&arg| arg.to_owned()).collect();
        if self.has_config() {
            files::write(&config_file(room), b"# ours\ntimeout 76\n")?;
        }
        Ok(plan)
    }

    /// Asks for what the case asks for. Whether the server still serves does not matter here.
    pub fn ask(&self, server: &Server) {
        let Ok(mut client) = server.connect() else { return };
        for words in self.asked {
            let _ = client.call(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        }
        std::thread::sleep(self.settle);
    }
}

/// The same program with a file of settings beside its data.
fn with_config_file(program: Program) -> Program {
    match program {
        Program::Kvd(path) => Program::Template(format!(
            "{} {{dir}}/../{CONFIG} --port {{port}} --dir {{dir}} --appendfsync {{mode}} --enable-debug-command yes",
            path.display()
        )),
        other => other,
    }
}

const CONFIG: &str = "kvd.conf";

/// Where the settings are, beside the data.
pub fn config_file(room: &Path) -> PathBuf {
    room.join(CONFIG)
}
