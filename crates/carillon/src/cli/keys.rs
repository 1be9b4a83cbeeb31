//! `carillon keys`: the keys that seal tokens.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use super::{Here, Out, open, open_unchecked, table};
use crate::App;
use crate::domain::refusal::Refusal;
use crate::identity::door;
use crate::identity::keys::Keys as Ring;
use crate::identity::sealing::{self, Rotated, Server, Survey, Unopened};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:
  carillon keys generate --add      a new key, in front of the ring of the data folder
  carillon keys rotate --dry-run    what would be sealed anew
  carillon keys rotate              seal everything with the newest key, while servers run
  carillon keys list                every key, and how much it still seals
  carillon keys api 'Our website'   a key for the REST API, shown once

Where CARILLON_KEYS holds the ring: put the new key in front of the others there, start every server
again, then rotate; after that the old key can go. The ring of the data folder needs no restart.";

const ROTATE_EXAMPLES: &str = "Examples:
  carillon keys rotate --dry-run
  carillon keys rotate
  carillon keys rotate --json

Servers go on publishing meanwhile. It can be stopped, or killed, at any moment and run again. Exit
code 1 when something does not open and stays as it was. Backups from before need the old key: keep
it with them.";

const GENERATE_EXAMPLES: &str = "Examples:
  carillon keys generate            print a key for CARILLON_KEYS
  carillon keys generate --add      put it into the ring of the data folder";

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key, in the form that CARILLON_KEYS takes
    #[command(visible_alias = "new", after_help = GENERATE_EXAMPLES)]
    Generate {
        /// Put it in front of the ring of the data folder instead of printing it
        #[arg(long)]
        add: bool,
    },
    /// List the keys of the ring, how much each seals, and what does not open; exit code 1 for that
    List,
    /// Seal everything anew with the newest key, while servers run
    #[command(after_help = ROTATE_EXAMPLES)]
    Rotate(Rotate),
    /// Make a key for the REST API; it is shown once
    Api {
        /// What it is for
        name: String,
        /// It may answer approvals, too
        #[arg(long)]
        may_approve: bool,
    },
    /// Take a key that nothing needs any more out of the ring of the data folder
    Remove {
        /// As `keys list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// Only say what would be sealed anew
    #[arg(long)]
    dry_run: bool,
}

impl Keys {
    pub(super) async fn run(
        &self,
        given: &BTreeMap<String, String>,
        workspace: Option<&str>,
        out: &Out,
    ) -> anyhow::Result<ExitCode> {
        match self {
            Keys::Api { name, may_approve } => {
                let here = Here::of(open(given).await?, workspace).await?;
                let (ws, name, may) = (here.workspace, name.clone(), *may_approve);
                let key = door::new_key(&here.app, &ws, &name, may, OPERATOR).await?;
                out.show(&json!({ "key": key, "mayApprove": may }), |_| key.clone());
            }
            Keys::Generate { add: false } => {
                let key = Ring::fresh();
                out.show(&json!({ "key": key }), |_| {
                    format!("{key}\n\nPut it first in CARILLON_KEYS, before the keys that sealed older data.")
                });
            }
            Keys::Generate { add: true } => add(given, out)?,
            Keys::List => return list(&open_unchecked(given).await?, out).await,
            Keys::Rotate(rotate) => return rotate.run(&open_unchecked(given).await?, out).await,
            Keys::Remove { id } => {
                let app = open_unchecked(given).await?;
                sealing::remove(&app, id, OPERATOR).await?;
                out.show(&json!({ "removed": id }), |_| {
                    format!("{id} is no longer in the ring; backups from before need it still")
                });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn add(given: &BTreeMap<String, String>, out: &Out) -> anyhow::Result<()> {
    let config = super::settings(given)?;
    if !config.secrets.keys.is_empty() {
        let sentence = "The key ring comes from CARILLON_KEYS, which is not Carillon's to change.";
        let fix = "Run `carillon keys generate` and put its key in front of the others there.";
        return Err(Refusal::conflict("ring_of_environment", sentence, fix).into());
    }
    let id = Ring::add_in_folder(&config.data.dir)?;
    let file = config.data.dir.join("keys");
    out.show(&json!({ "id": id, "file": file }), |_| {
        format!(
            "{id} is in front of the ring in {}; running servers take it at their next sign of life.\n\
             Seal what is there with it: carillon keys rotate",
            file.display()
        )
    });
    Ok(())
}

#[derive(Serialize)]
struct Listed {
    /// Where the ring stands.
    ring: String,
    #[serde(flatten)]
    found: Survey,
    servers: Vec<Server>,
}

async fn list(app: &App, out: &Out) -> anyhow::Result<ExitCode> {
    let ring = match app.keys.file() {
        Some(file) => file.display().to_string(),
        None => "CARILLON_KEYS".to_owned(),
    };
    let found = sealing::survey(&app.db, &app.keys).await?;
    let listed = Listed { ring, found, servers: sealing::servers(app).await? };
    out.show(&listed, |l| {
        let mut rows = vec![vec!["key".to_owned(), "seals".into(), "texts".into(), String::new()]];
        rows.extend(l.found.keys.iter().map(|key| {
            let places: Vec<String> =
                key.places.iter().map(|(place, n)| format!("{place}: {n}")).collect();
            let seals = if key.newest { "yes" } else { "no" };
            vec![key.id.clone(), seals.to_owned(), key.rows.to_string(), places.join(", ")]
        }));
        let mut text = format!("{}ring: {}\n", table(&rows), l.ring);
        for server in &l.servers {
            let keys = server.keys.as_ref().map_or("unknown".to_owned(), |ids| ids.join(", "));
            text.push_str(&format!("server {}: {keys}\n", server.id));
        }
        text.push_str(&unopened(&l.found.missing, &l.found.damaged));
        if l.found.older() > 0 {
            text.push_str("seal everything with the newest key: carillon keys rotate\n");
        }
        text
    });
    Ok(code(listed.found.missing.is_empty() && listed.found.damaged.is_empty()))
}

impl Rotate {
    async fn run(&self, app: &App, out: &Out) -> anyhow::Result<ExitCode> {
        let bar = ProgressBar::new_spinner();
        bar.set_message("looking whether every server has the newest key");
        bar.tick();
        let done = match sealing::ready(app).await {
            Ok(()) => {
                let style = ProgressStyle::with_template("{bar:40} {pos}/{len} sealed anew");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                let tell = |done, total| {
                    bar.set_length(total);
                    bar.set_position(done);
                };
                sealing::rotate(app, self.dry_run, OPERATOR, tell).await
            }
            Err(refusal) => Err(refusal),
        };
        bar.finish_and_clear();
        let done = done?;
        out.show(&done, |done| rotated(app, done));
        Ok(code(done.whole()))
    }
}

fn rotated(app: &App, done: &Rotated) -> String {
    let mut text = match (done.resealed, done.dry_run) {
        (0, _) => {
            format!("nothing to seal anew: {} texts are sealed with {}\n", done.already, done.to)
        }
        (n, true) => format!("would be sealed anew with {}: {n}\n", done.to),
        (n, false) => format!("sealed anew with {}: {n}\n", done.to),
    };
    if done.left > 0 {
        text.push_str(&format!(
            "{} texts were written with an older key meanwhile: run it again\n",
            done.left
        ));
    }
    text.push_str(&unopened(&done.missing, &done.damaged));
    for id in &done.free {
        let how = match app.keys.file() {
            Some(_) => format!("carillon keys remove {id}"),
            None => "take it out of CARILLON_KEYS".to_owned(),
        };
        text.push_str(&format!("{id} is needed by nothing any more: {how}\n"));
    }
    for needed in &done.needed {
        text.push_str(&format!("{} has to stay: {}\n", needed.key, needed.reason));
    }
    if !done.free.is_empty() {
        text.push_str("backups from before need it still: keep it with them\n");
    }
    if done.dry_run {
        text.push_str("nothing was changed");
    }
    text
}

/// A line for each text that does not open.
fn unopened(missing: &[Unopened], damaged: &[Unopened]) -> String {
    let line = |t: &Unopened| format!("FAIL {} of row {}: {}\n", t.place, t.row, t.reason);
    missing.iter().chain(damaged).map(line).collect()
}

fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
