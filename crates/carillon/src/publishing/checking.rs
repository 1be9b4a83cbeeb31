//! Every connection of an installation at once: can it post, and is what is known about it complete?
//!
//! The networks are asked about several connections at a time, and each answer is judged as that of
//! a single check: an outage or a lost answer says nothing about a connection and changes nothing.

use std::collections::BTreeMap;
use std::future::Future;

use futures_util::StreamExt;
use serde::Serialize;

use super::connecting::{self, CLOCK, ConnectionState, Filling};
use crate::domain::refusal::Refusal;
use crate::store::accounts;
use crate::store::connections::{self, Connection};
use crate::{App, words};

/// Which connections are meant: all without a workspace and a network.
#[derive(Debug, Clone, Default)]
pub struct Which {
    pub workspace: Option<String>,
    pub network: Option<String>,
}

words! {
    /// What a check of a connection proved.
    pub enum Proof {
        /// A post could be published now.
        Works = "works",
        /// None could: its owner or the operator has to act.
        Broken = "broken",
        /// The network did not say.
        Unknown = "unknown",
    }
}

/// A connection and what was found about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    #[serde(flatten)]
    pub about: About,
    pub proof: Proof,
    /// Which step of the check did not pass: `credentials`, `address`, `reach`, `clock`, `rights`.
    pub step: Option<String>,
    /// What was found, in one sentence.
    pub sentence: String,
    /// What to do, as a word: `reconnect`, …
    pub action: Option<String>,
}

/// Which connection a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    pub connection_id: String,
    pub workspace_id: String,
    /// The name of the workspace.
    pub workspace: String,
    pub network: String,
    pub name: String,
}

/// What [`check`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AllChecked {
    pub works: usize,
    pub broken: usize,
    pub unknown: usize,
    pub items: Vec<Checked>,
}

/// Asks the networks whether each connection can post, `at_once` of them at a time.
pub async fn check(
    app: &App,
    which: &Which,
    at_once: usize,
    tell: impl Fn(usize, usize),
) -> Result<AllChecked, Refusal> {
    let items =
        each(
            app,
            which,
            at_once,
            tell,
            |row, about| async move { check_one(app, &row, about).await },
        );
    let items = Box::pin(items).await?;
    let count = |proof| items.iter().filter(|c: &&Checked| c.proof == proof).count();
    let (works, broken) = (count(Proof::Works), count(Proof::Broken));
    Ok(AllChecked { works, broken, unknown: count(Proof::Unknown), items })
}

async fn check_one(app: &App, row: &Connection, about: About) -> Option<Checked> {
    let found = match Box::pin(connecting::check(app, &row.workspace_id, &row.id)).await {
        Ok(found) => found,
        // Disconnected while the others were asked.
        Err(refusal) if refusal.code == "not_found" => return None,
        Err(refusal) => {
            let proof = match refusal.code.as_str() {
                // Nothing was found out, and it is not the connection's fault.
                "database_unavailable" | "internal" => Proof::Unknown,
                _ => Proof::Broken,
            };
            let sentence = format!("{} {}", refusal.sentence, refusal.fix);
            let action = Some("ask_operator".to_owned());
            return Some(Checked { about, proof, step: None, sentence, action });
        }
    };
    let failed = || found.checks.iter().filter(|item| !item.ok);
    let stopped = failed().find(|item| item.name != CLOCK);
    let proof = match stopped {
        None => Proof::Works,
        // The only step that says nothing about the connection itself.
        Some(item) if item.name == "reach" => Proof::Unknown,
        // Refused, and not condemned: its token has ended, and a new one is not to be had yet.
        Some(_) if found.connection.state != ConnectionState::NeedsAction => Proof::Unknown,
        Some(_) => Proof::Broken,
    };
    let failed = stopped.or(failed().next());
    let said = failed.or(found.checks.last());
    Some(Checked {
        about,
        proof,
        step: failed.map(|item| item.name.clone()),
        sentence: said.map_or_else(String::new, |item| item.detail.clone()),
        action: failed.and_then(|item| item.action.clone()),
    })
}

/// A connection of which something was learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filled {
    #[serde(flatten)]
    pub about: About,
    /// What was learnt, by its name; an empty value means that the old one no longer holds.
    pub learnt: BTreeMap<String, String>,
}

/// A connection that was left as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    #[serde(flatten)]
    pub about: About,
    /// A stable word: `network_unavailable`, `refused`, `incomplete`, …
    pub reason: String,
    pub sentence: String,
}

/// What [`backfill`] did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backfilled {
    /// Nothing was changed.
    pub dry_run: bool,
    pub filled: Vec<Filled>,
    pub skipped: Vec<Skipped>,
    /// Connections of which everything was known already.
    pub complete: usize,
}

/// Asks the networks for what is not known of each connection (ids, names) and keeps it. What a
/// network refuses or does not answer is skipped and stays as it is.
pub async fn backfill(
    app: &App,
    which: &Which,
    dry_run: bool,
    at_once: usize,
    tell: impl Fn(usize, usize),
) -> Result<Backfilled, Refusal> {
    let found = each(app, which, at_once, tell, |row, about| async move {
        Some((about, Box::pin(connecting::fill_in(app, &row, dry_run)).await))
    });
    let mut done = Backfilled { dry_run, filled: Vec::new(), skipped: Vec::new(), complete: 0 };
    for (about, filling) in Box::pin(found).await? {
        match filling {
            Ok(Filling::Learnt(learnt)) if learnt.is_empty() => done.complete += 1,
            Ok(Filling::Learnt(learnt)) => done.filled.push(Filled { about, learnt }),
            Ok(Filling::Skipped { reason, sentence }) => {
                done.skipped.push(Skipped { about, reason, sentence });
            }
            Err(refusal) => {
                let (reason, sentence) = (refusal.code, refusal.sentence);
                done.skipped.push(Skipped { about, reason, sentence });
            }
        }
    }
    Ok(done)
}

/// Does something with each connection that is meant, so many at once; the answers in the order of
/// the connections.
async fn each<T, F>(
    app: &App,
    which: &Which,
    at_once: usize,
    tell: impl Fn(usize, usize),
    act: impl Fn(Connection, About) -> F,
) -> Result<Vec<T>, Refusal>
where
    F: Future<Output = Option<T>>,
{
    let all = app
        .db
        .read(|tx| async move {
            let workspaces = accounts::workspaces(&tx).await?;
            let names: BTreeMap<String, String> =
                workspaces.into_iter().map(|w| (w.id, w.name)).collect();
            Ok::<_, Refusal>((connections::all(&tx).await?, names))
        })
        .await?;
    let (mut rows, names) = all;
    let means = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
    rows.retain(|c| means(&which.workspace, &c.workspace_id) && means(&which.network, &c.network));
    let total = rows.len();
    tell(0, total);
    let asked = rows.into_iter().map(|row| {
        let about = About {
            connection_id: row.id.clone(),
            workspace_id: row.workspace_id.clone(),
            workspace: names.get(&row.workspace_id).cloned().unwrap_or_default(),
            network: row.network.clone(),
            name: row.name.clone(),
        };
        Box::pin(act(row, about))
    });
    let mut answers = futures_util::stream::iter(asked).buffered(at_once.max(1));
    let (mut found, mut done) = (Vec::new(), 0);
    while let Some(answer) = answers.next().await {
        done += 1;
        tell(done, total);
        found.extend(answer);
    }
    Ok(found)
}
