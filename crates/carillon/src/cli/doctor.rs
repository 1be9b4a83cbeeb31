//! `carillon doctor`: what is wrong with this installation, and what to do.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::{Out, hint, open_unchecked};
use crate::App;
use crate::config::Place;
use crate::domain::job::Pool;
use crate::identity::sealing;
use crate::media::{links, video};
use crate::store::{nodes, queue};

#[derive(Serialize)]
struct Found {
    name: &'static str,
    ok: bool,
    detail: String,
    /// What to do, where something is wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

fn good(name: &'static str, detail: impl Into<String>) -> Found {
    Found { name, ok: true, detail: detail.into(), hint: String::new() }
}

fn bad(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Found {
    Found { name, ok: false, detail: detail.into(), hint: hint.into() }
}

/// Looks at everything; exit code 1 when something is wrong.
pub(super) async fn run(given: &BTreeMap<String, String>, out: &Out) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    match super::settings(given) {
        Ok(_) => found.push(good("settings", "all can be read")),
        Err(e) => found.push(bad("settings", format!("{e:#}"), hint(&e))),
    }
    if found.iter().all(|f| f.ok) {
        match open_unchecked(given).await {
            Ok(app) => {
                found.push(good("database", database(&app)));
                found.push(keys(&app).await);
                found.extend(storage(&app).await);
                found.push(media_links(&app).await);
                found.push(videos(&app).await);
                found.push(clock(&app).await);
                found.push(worker(&app).await);
                found.push(address(&app));
            }
            Err(e) => found.push(bad("database and keys", format!("{e:#}"), hint(&e))),
        }
    }
    let well = found.iter().all(|f| f.ok);
    out.show(&found, |found| {
        let mut text = String::new();
        for f in found {
            text.push_str(&format!(
                "{} {}: {}\n",
                if f.ok { "ok  " } else { "FAIL" },
                f.name,
                f.detail
            ));
            if !f.hint.is_empty() {
                text.push_str(&format!("     hint: {}\n", f.hint));
            }
        }
        text
    });
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn database(app: &App) -> String {
    match app.db.file() {
        Some(file) => format!("SQLite, {}", file.display()),
        None => "PostgreSQL".to_owned(),
    }
}

/// Does everything open that is sealed?
async fn keys(app: &App) -> Found {
    let found = match sealing::survey(&app.db, &app.keys).await {
        Ok(found) => found,
        Err(e) => return bad("keys", e.to_string(), "see that the database runs"),
    };
    if let Err(refusal) = found.fits() {
        return bad("keys", refusal.sentence, refusal.fix);
    }
    match (found.damaged.first(), found.older()) {
        (Some(first), _) => bad(
            "keys",
            format!(
                "{} of what is sealed does not open: {}; the first {}",
                found.damaged.len(),
                sealing::some(&found.damaged),
                first.reason
            ),
            "enter those credentials anew, or restore them from a backup; everything else works",
        ),
        (None, 0) => good("keys", "every sealed secret opens"),
        (None, n) => good(
            "keys",
            format!("every sealed secret opens; {n} with an older key: `carillon keys rotate`"),
        ),
    }
}

/// Where new media go, and where older ones may be.
async fn storage(app: &App) -> Vec<Found> {
    let home = app.config.store.home;
    let both = Place::ALL.iter().copied();
    let set_up = both.filter(|p| *p == home || *p == Place::Disk || app.config.store.s3.is_some());
    let mut found = Vec::new();
    for place in set_up {
        let name = if place == home { "media store" } else { "other media store" };
        let hint = match place {
            Place::Disk => "see that the data folder can be written and has room",
            Place::S3 => {
                "see that the CARILLON_S3_ settings are right and their key may list, read, write and delete"
            }
        };
        found.push(match app.blobs.try_out(place).await {
            Ok(true) => good(name, format!("{place}: writes, reads and deletes")),
            Ok(false) => {
                bad(name, format!("{place}: gave back something else than was written"), hint)
            }
            Err(e) => bad(name, format!("{place}: {e}"), hint),
        });
    }
    found
}

/// Can the links be fetched that networks are given? From this machine; from theirs nobody knows.
async fn media_links(app: &App) -> Found {
    let name = "media links";
    if links::from_store(app) {
        let hint = "see that CARILLON_S3_ENDPOINT is an address that networks reach, and this machine's clock is right";
        return match app.blobs.try_link().await {
            Ok(true) => good(name, "the store's, and one was fetched"),
            Ok(false) => bad(name, "the store answered with something else than was written", hint),
            Err(e) => bad(name, e.to_string(), hint),
        };
    }
    let url = app.config.server.public_url.as_str();
    let after = app.clock.now() - 60_000;
    let alive = app.db.read(move |tx| async move { nodes::alive(&tx, after).await }).await;
    if url.is_empty() || alive.is_ok_and(|nodes| nodes.is_empty()) {
        return good(
            name,
            "this server's; not fetched, for there is no CARILLON_PUBLIC_URL or no server runs",
        );
    }
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build();
    let answered = match client {
        Ok(client) => client.get(format!("{url}/healthz")).send().await,
        Err(e) => Err(e),
    };
    let hint = "see that CARILLON_PUBLIC_URL is this server's address and that a proxy before it passes everything on";
    match answered.and_then(reqwest::Response::error_for_status) {
        Ok(_) => good(name, format!("this server's, which answers at {url}")),
        Err(e) => {
            bad(name, format!("this server's, and {url} did not answer: {}", e.without_url()), hint)
        }
    }
}

async fn videos(app: &App) -> Found {
    match video::programs(app).await {
        Ok(detail) => good("videos", detail),
        Err(why) => bad(
            "videos",
            format!("none can be prepared: {why}"),
            "install ffmpeg (Debian: `apt-get install ffmpeg`), or name it with CARILLON_FFMPEG and CARILLON_FFPROBE",
        ),
    }
}

/// Leases and due times are counted by the database's clock; people and networks by ours.
async fn clock(app: &App) -> Found {
    // `App::open` follows the database's clock already: what is left is drift since.
    match app.db.clock_offset(app.clock.now()).await {
        Ok(ahead) if ahead.abs() < 2_000 => {
            good("clock", format!("within {} ms of the database's", ahead.abs()))
        }
        Ok(ahead) => bad(
            "clock",
            format!("{ahead} ms away from the database's"),
            "let both machines follow NTP",
        ),
        Err(e) => bad("clock", e.to_string(), "see that the database runs"),
    }
}

async fn worker(app: &App) -> Found {
    let now = app.clock.now();
    let read = app
        .db
        .read(move |tx| async move {
            Ok::<_, crate::db::Error>((
                nodes::last_worker(&tx).await?,
                queue::oldest_due(&tx, Pool::Send, now).await?,
            ))
        })
        .await;
    match read {
        Err(e) => bad("worker", e.to_string(), "see that the database runs"),
        Ok((seen, due)) => {
            let alive = seen.is_some_and(|at| now - at < 60_000);
            let late = due.map_or(0, |at| (now - at).max(0) / 1000);
            match (alive, late) {
                (true, late) if late < 120 => good("worker", "works"),
                (false, 0) => good("worker", "none runs at the moment, and nothing is due"),
                (true, late) => bad(
                    "worker",
                    format!("the oldest due job waits for {late} s"),
                    "look at the log of the worker",
                ),
                (false, late) => bad(
                    "worker",
                    format!("none runs; the oldest due job waits for {late} s"),
                    "start `carillon serve` or `carillon worker`",
                ),
            }
        }
    }
}

fn address(app: &App) -> Found {
    match app.config.server.public_url.as_str() {
        "" => good(
            "public address",
            "not set: networks that fetch media (Instagram) cannot reach this server from outside",
        ),
        url if url.starts_with("https://") || app.config.networks.sandbox.starts_with("http") => {
            good("public address", url)
        }
        url => bad(
            "public address",
            format!("{url} is not https"),
            "set CARILLON_PUBLIC_URL to an https address: Meta fetches pictures from nothing else",
        ),
    }
}
