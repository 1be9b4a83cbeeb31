//! The layer table of ARCHITECTURE.md, held against what each module really uses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a module may use of ours, and of the connectors. A module that is not here fails.
const TABLE: &[(&str, &[&str])] = &[
    ("bugs", &[]),
    ("clock", &[]),
    ("ids", &[]),
    // `db` only for the conversion of what is kept into what is refused.
    ("domain", &["db"]),
    ("config", &["db", "domain", "networks"]),
    ("db", &["config"]),
    ("store", &["bugs", "db", "domain", "ids"]),
    ("app", &["clock", "config", "db", "identity", "media", "store", "domain", "networks"]),
    ("identity", &["db", "domain", "ids", "store", "clock", "app"]),
    // What of a post may go out: asked by whoever sends, and by whoever changes what is sent.
    ("approval", &["db", "domain", "identity", "ids", "store"]),
    ("queue", &["app", "clock", "db", "domain", "ids", "store", "work"]),
    ("work", &["app", "domain", "media", "planning", "publishing", "queue", "watch"]),
    (
        "media",
        &[
            "app", "approval", "clock", "config", "db", "domain", "identity", "ids", "store",
            "networks",
        ],
    ),
    (
        "publishing",
        &[
            "app", "approval", "bugs", "clock", "config", "db", "domain", "identity", "ids",
            "media", "store", "networks",
        ],
    ),
    (
        "planning",
        &[
            "app",
            "approval",
            "config",
            "db",
            "domain",
            "identity",
            "ids",
            "media",
            "publishing",
            "store",
        ],
    ),
    (
        "watch",
        &[
            "app",
            "clock",
            "db",
            "domain",
            "ids",
            "queue",
            "store",
            "media",
            "publishing",
            "networks",
        ],
    ),
    (
        "web",
        &[
            "app",
            "approval",
            "clock",
            "config",
            "db",
            "domain",
            "identity",
            "ids",
            "media",
            "planning",
            "publishing",
            "queue",
            "store",
            "watch",
            "networks",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "approval",
            "clock",
            "config",
            "db",
            "domain",
            "identity",
            "ids",
            "media",
            "planning",
            "publishing",
            "queue",
            "store",
            "watch",
            "web",
            "networks",
            "sandbox",
        ],
    ),
];

#[test]
fn every_module_uses_only_what_its_layer_may() {
    let src = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in sources(src) {
        let relative = file.strip_prefix(src).unwrap();
        let module = relative.components().next().unwrap().as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let Some((_, may)) = TABLE.iter().find(|(m, _)| *m == module) else {
            wrong.push(format!("{} is in no layer", relative.display()));
            continue;
        };
        for used in uses(&std::fs::read_to_string(&file).unwrap()) {
            seen.insert(module.clone());
            if used != module && !may.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", relative.display()));
            }
        }
    }
    assert!(seen.len() > 8, "only {seen:?} were seen to use anything: does the search still work?");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sql_stands_in_the_store_only() {
    let src = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut wrong = Vec::new();
    for file in sources(src) {
        let relative = file.strip_prefix(src).unwrap().display().to_string();
        if relative.starts_with("store") || relative.starts_with("db") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for word in ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM "] {
            if text.contains(word) {
                wrong.push(format!("{relative} holds {word}…"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_sandbox_and_the_connectors_do_not_know_each_other() {
    let crates = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for (one, other) in [("sandbox", "carillon_networks"), ("networks", "carillon_sandbox")] {
        for file in sources(&crates.join(one).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            assert!(!product.contains(other), "{} knows {other}", file.display());
        }
    }
}

/// The first segment after `crate::` of everything a source names, and the crates of ours.
fn uses(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    for line in source.lines().map(str::trim).filter(|l| !l.starts_with("//")) {
        if line.contains("carillon_networks") {
            found.insert("networks".to_owned());
        }
        if line.contains("carillon_sandbox") {
            found.insert("sandbox".to_owned());
        }
        for rest in line.split("crate::").skip(1) {
            let names = rest
                .strip_prefix('{')
                .map_or(rest, |inner| inner.split('}').next().unwrap_or(inner));
            let several = rest.starts_with('{');
            for name in names.split(',').take(if several { usize::MAX } else { 1 }) {
                let word: String =
                    name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                // Items of the crate's root: `App`, `params!`, `words!`.
                if word.chars().next().is_some_and(char::is_lowercase)
                    && !["params", "row", "words"].contains(&word.as_str())
                {
                    found.insert(word);
                }
            }
        }
    }
    found
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}
