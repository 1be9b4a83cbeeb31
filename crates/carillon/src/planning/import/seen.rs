//! Imports as every surface shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::row::{Note, Row};
use super::{MadeAs, RowOutcome};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::refusal::Refusal;
use crate::domain::when::iso;
use crate::publishing::view::{Page, known_id};
use crate::store::imports::{self, Import};
use crate::words;

words! {
    pub enum ImportState {
        Running = "running",
        /// Its process ended in the middle: the same file goes on where it stopped.
        BrokenOff = "broken_off",
        Done = "done",
        Undone = "undone",
    }
}

/// One that says nothing for so long is no longer at work, in ms.
const GONE: i64 = 30 * 60_000;

/// A file that was imported, or tried.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportView {
    /// `null` of a dry run.
    pub id: Option<String>,
    pub dry_run: bool,
    pub name: String,
    /// `csv`, `json`, `postiz`, `mixpost`, `buffer`
    pub format: String,
    #[serde(rename = "as")]
    pub made_as: MadeAs,
    pub state: ImportState,
    /// `account:<id>`, `key:<id>` or `operator`
    pub actor: String,
    pub created_at: String,
    pub undone_at: Option<String>,
    /// Rows of the file.
    pub total: i64,
    pub made: i64,
    /// Rows that were imported before and whose posts stand.
    pub known: i64,
    /// Rows of posts that went out elsewhere.
    pub left_out: i64,
    pub refused: i64,
    /// About the whole file.
    pub notes: Vec<Note>,
    /// Empty in a list.
    pub rows: Vec<RowView>,
}

/// What became of a row.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportRow)]
#[serde(rename_all = "camelCase")]
pub struct RowView {
    /// As a text editor counts lines; of JSON the item, from 1.
    pub line: i64,
    pub outcome: RowOutcome,
    /// Its first words.
    pub text: String,
    /// ISO 8601 UTC.
    pub scheduled_at: Option<String>,
    /// The post that it became, or is known as.
    pub post_id: Option<String>,
    /// Everything that is wrong with it, or to be known of it.
    pub notes: Vec<Note>,
}

impl RowView {
    pub(super) fn of(row: &Row) -> Self {
        Self {
            line: row.line,
            outcome: RowOutcome::Refused,
            text: row.text.chars().take(120).collect(),
            scheduled_at: None,
            post_id: None,
            notes: row.notes.clone(),
        }
    }

    pub(super) fn refused(&self) -> bool {
        self.notes.iter().any(|n| !n.warning)
    }
}

/// How many rows ended in each way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub made: i64,
    pub known: i64,
    pub left_out: i64,
    pub refused: i64,
}

impl Tally {
    pub(super) fn of(all: impl Iterator<Item = RowOutcome>) -> Self {
        let mut tally = Self::default();
        for outcome in all {
            *tally.place(outcome) += 1;
        }
        tally
    }

    fn place(&mut self, outcome: RowOutcome) -> &mut i64 {
        match outcome {
            RowOutcome::Made => &mut self.made,
            RowOutcome::Known => &mut self.known,
            RowOutcome::LeftOut => &mut self.left_out,
            RowOutcome::Refused => &mut self.refused,
        }
    }
}

pub(super) fn view(i: &Import, tally: &Tally, now: i64) -> ImportView {
    let state = match (i.undone_at, i.finished_at) {
        (Some(_), _) => ImportState::Undone,
        (None, Some(_)) => ImportState::Done,
        (None, None) if now - i.created_at > GONE => ImportState::BrokenOff,
        (None, None) => ImportState::Running,
    };
    ImportView {
        id: Some(i.id.clone()),
        dry_run: false,
        name: i.name.clone(),
        format: i.format.clone(),
        made_as: i.made_as,
        state,
        actor: i.actor.clone(),
        created_at: iso(i.created_at),
        undone_at: i.undone_at.map(iso),
        total: i.total,
        made: tally.made,
        known: tally.known,
        left_out: tally.left_out,
        refused: tally.refused,
        notes: Vec::new(),
        rows: Vec::new(),
    }
}

/// The imports of a workspace, newest first.
pub async fn list(
    app: &App,
    workspace: &str,
    cursor: Option<String>,
    limit: usize,
) -> Result<Page<ImportView>, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    let before = cursor.unwrap_or_else(|| "g".to_owned());
    app.db
        .read(move |tx| async move {
            let mut found = imports::list(&tx, &ws, &before, limit as i64 + 1).await?;
            let more = found.len() > limit;
            found.truncate(limit);
            let next = found.last().filter(|_| more).map(|i| i.id.clone());
            let mut items = Vec::with_capacity(found.len());
            for i in &found {
                items.push(view(i, &counted(&tx, &i.id).await?, now));
            }
            Ok(Page { items, next })
        })
        .await
}

/// One with its rows.
pub async fn show(app: &App, workspace: &str, id: &str) -> Result<ImportView, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "import")?, app.clock.now());
    app.db
        .read(move |tx| async move {
            let i = imports::find(&tx, &ws, &id).await?;
            let i = i.ok_or_else(|| Refusal::not_found("import"))?;
            let mut seen = view(&i, &counted(&tx, &id).await?, now);
            for r in imports::rows(&tx, &id).await? {
                let word = |key: &str| r.notes.get(key)?.as_str().map(str::to_owned);
                let notes = r.notes.get("notes").cloned().unwrap_or_default();
                seen.rows.push(RowView {
                    line: r.line,
                    outcome: r.outcome,
                    text: word("text").unwrap_or_default(),
                    scheduled_at: word("scheduledAt"),
                    post_id: r.post_id,
                    notes: serde_json::from_value(notes).unwrap_or_default(),
                });
            }
            Ok(seen)
        })
        .await
}

async fn counted(tx: &Tx, id: &str) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    for (outcome, n) in imports::counts(tx, id).await? {
        *tally.place(outcome) = n;
    }
    Ok(tally)
}
