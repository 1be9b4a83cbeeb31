//! The networks' own client libraries, written by others against the real services, speak to the
//! sandbox: what they can read, it says as the network does.

use std::collections::BTreeSet;
use std::process::Command;

use carillon_sandbox::{Options, Sandbox};
use serde_json::Value;

const JUDGED: &[&str] = &[
    "facebook",
    "instagram",
    "linkedin",
    "x",
    "bluesky",
    "mastodon",
    "pinterest",
    "reddit",
    "tumblr",
    "tiktok",
    "youtube",
    "gbp",
    "telegram",
    "discord",
    "slack",
    "matrix",
    "lemmy",
    "nostr",
    "wordpress",
    "ghost",
    "devto",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the libraries: `make test` installs them and runs this"]
async fn the_networks_own_libraries_take_the_sandbox_for_the_network() {
    let address = "127.0.0.1:0".parse().unwrap();
    let sandbox = Sandbox::start(address, Options::default()).await.unwrap();
    let url = sandbox.url();
    let fields = JUDGED.iter().map(|n| {
        let own = sandbox.fields(n, "judge");
        ((*n).to_owned(), own.into_iter().map(|(k, v)| (k.to_owned(), Value::String(v))).collect())
    });
    let fields = Value::Object(fields.collect()).to_string();
    let run = concat!(env!("CARGO_MANIFEST_DIR"), "/judges/run.mjs");
    let ran = tokio::task::spawn_blocking(move || {
        Command::new("node").args([run, &url, &fields]).output()
    });
    let ran = ran.await.unwrap().expect("node starts");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{said}\n{}\nIf a library is missing: scripts/install judges",
        String::from_utf8_lossy(&ran.stderr)
    );
    let judges: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let heard: BTreeSet<_> = judges.iter().filter_map(|judge| judge["network"].as_str()).collect();
    assert_eq!(heard, JUDGED.iter().copied().collect(), "{said}");
    for judge in judges {
        println!(
            "{} {} took the sandbox for {}: {}",
            judge["client"], judge["version"], judge["network"], judge["did"]
        );
    }
}
