//! Imports: the rows of a file become posts, each by the path that a person's post takes.
//!
//! Every row is a transaction of its own, with a line that says what became of it: one that is
//! refused hinders no other, and an import that broke off is gone on with by sending the file again,
//! since rows whose posts stand are known. A dry run is the same in one transaction, taken back.

mod dates;
mod judging;
mod others;
mod reading;
mod row;
mod seen;
mod undoing;

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

pub(super) use self::judging::meant;
pub(super) use self::reading::COLUMNS;
pub use self::reading::{MOST_BYTES, MOST_ROWS, too_large};
pub use self::row::Note;
pub use self::seen::{ImportState, ImportView, RowView, list, show};
pub use self::undoing::{Kept, Undone, undo};

use self::judging::Judge;
use self::row::Row;
use self::seen::{Tally, view};
use super::rehearse::{Stop, rehearse};
use super::series::ours;
use crate::app::App;
use crate::db::{self, Tx};
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::when;
use crate::ids;
use crate::media::{fetching, library};
use crate::publishing::plan;
use crate::publishing::schedule::{self, Terms};
use crate::store::imports::{self, Import, ImportRow};
pub use crate::store::imports::{MadeAs, RowOutcome};
use crate::store::posts::Belongs;
use crate::store::{audit, events};
use crate::words;

words! {
    /// Who wrote a file.
    pub enum ImportFormat {
        Csv = "csv",
        Json = "json",
        Postiz = "postiz",
        Mixpost = "mixpost",
        Buffer = "buffer",
    }
}

/// Files fetched at once, and most of them of one import.
const FETCHES: usize = 4;
const MOST_FETCHES: usize = 500;
/// Progress is told after so many rows.
const STEP: usize = 25;

/// What is to be done with a file.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Options {
    /// Of the file; it is what the import is called.
    #[serde(default)]
    pub name: String,
    /// Recognised by itself when not given.
    #[serde(default)]
    pub format: Option<ImportFormat>,
    /// What rows become: drafts, or what their dates say.
    #[serde(default = "draft", rename = "as")]
    pub made_as: MadeAs,
    /// Say what would be done; save nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Also rows that were imported before.
    #[serde(default)]
    pub again: bool,
    /// Also close to another post of the same connection.
    #[serde(default)]
    pub allow_collision: bool,
    /// Also with content that went to the same connection lately.
    #[serde(default)]
    pub allow_duplicate: bool,
}

fn draft() -> MadeAs {
    MadeAs::Draft
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: String::new(),
            format: None,
            made_as: MadeAs::Draft,
            dry_run: false,
            again: false,
            allow_collision: false,
            allow_duplicate: false,
        }
    }
}

/// Imports a file, or says what would come of it.
pub async fn import(
    app: &App,
    workspace: &str,
    bytes: &[u8],
    options: Options,
    actor: &str,
) -> Result<ImportView, Refusal> {
    let file = reading::read(bytes, options.format)?;
    let now = app.clock.now();
    let name: String = options.name.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    let import = Import {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        name: if name.is_empty() {
            format!("{}.{}", &when::iso(now)[..10], file.format)
        } else {
            name
        },
        format: file.format.to_string(),
        made_as: options.made_as,
        actor: actor.to_owned(),
        total: file.rows.len() as i64,
        created_at: now,
        finished_at: None,
        undone_at: None,
    };
    let rows = hashed(file.rows);
    let (rows, mut seen) = match options.dry_run {
        true => (try_all(app, &import, rows, &options).await?, import.clone()),
        false => make_all(app, &import, rows, &options).await?,
    };
    if options.dry_run {
        seen.finished_at = Some(now);
    }
    let tally = Tally::of(rows.iter().map(|r| r.outcome));
    let mut view = view(&seen, &tally, now);
    view.id = view.id.filter(|_| !options.dry_run);
    view.dry_run = options.dry_run;
    view.notes = file.notes;
    view.rows = rows;
    Ok(view)
}

/// A row with the name by which it is known again.
#[derive(Debug, Clone)]
struct Named {
    row: Row,
    hash: String,
}

/// Rows of one file that are alike are told apart by their order.
fn hashed(rows: Vec<Row>) -> Vec<Named> {
    let mut times: HashMap<String, usize> = HashMap::new();
    let name = |row: Row| {
        let nth = times.entry(row.hash(0)).or_default();
        let hash = row.hash(*nth);
        *nth += 1;
        Named { row, hash }
    };
    rows.into_iter().map(name).collect()
}

/// Everything in one transaction that is taken back. Addresses are looked at, not fetched.
async fn try_all(
    app: &App,
    import: &Import,
    rows: Vec<Named>,
    options: &Options,
) -> Result<Vec<RowView>, Refusal> {
    let addresses: BTreeSet<&String> = rows.iter().flat_map(|n| urls(&n.row)).collect();
    let refused = addresses.into_iter().filter_map(|url| {
        let e = fetching::address(app, url).err()?;
        Some((url.clone(), Err(e)))
    });
    let refused: Fetched = refused.collect();
    let (terms, import, options, now) =
        (Terms::of(app), import.clone(), options.clone(), app.clock.now());
    let networks = app.networks;
    rehearse(&app.db, move |tx| async move {
        let mut judge = Judge::new(&tx, networks, &import, refused, &options).await?;
        let mut seen = Vec::with_capacity(rows.len());
        for named in &rows {
            seen.push(attempt(&tx, &terms, &mut judge, named, &options, now).await?);
        }
        Ok(seen)
    })
    .await
}

/// What became of the addresses in a file.
type Fetched = HashMap<String, Result<String, Refusal>>;

fn urls(row: &Row) -> impl Iterator<Item = &String> {
    row.media.iter().filter(|m| m.contains("://"))
}

async fn make_all(
    app: &App,
    import: &Import,
    rows: Vec<Named>,
    options: &Options,
) -> Result<(Vec<RowView>, Import), Refusal> {
    let begun = import.clone();
    app.db.write(move |tx| async move { imports::add(&tx, &begun).await }).await?;
    let fetched = fetch_all(app, import, &rows, options).await?;
    let (id, begun) = (import.id.clone(), import.clone());
    let (networks, asked) = (app.networks, options.clone());
    let mut judge = app
        .db
        .read(move |tx| async move { Judge::new(&tx, networks, &begun, fetched, &asked).await })
        .await?;
    let mut seen = Vec::with_capacity(rows.len());
    let total = rows.len();
    for named in rows {
        let (view, next) = make_one(app, import, judge, named, options).await?;
        judge = next;
        seen.push(view);
        if seen.len() % STEP == 0 && seen.len() < total {
            tell(app, import, "import.progress", seen.len()).await?;
        }
    }
    let (now, by, tally) =
        (app.clock.now(), import.clone(), Tally::of(seen.iter().map(|r| r.outcome)));
    app.db
        .write(move |tx| async move {
            imports::finish(&tx, &id, now).await?;
            let data = json!({ "name": by.name, "format": by.format, "as": by.made_as, "made": tally.made,
                "known": tally.known, "leftOut": tally.left_out, "refused": tally.refused });
            let ws = by.workspace_id.as_str();
            audit::add(&tx, Some(ws), &by.actor, "import.made", &by.id, &data, now).await?;
            events::add(&tx, ws, "import.finished", &by.id, &data, now).await
        })
        .await?;
    app.ring();
    Ok((seen, Import { finished_at: Some(now), ..import.clone() }))
}

async fn tell(app: &App, import: &Import, what: &'static str, done: usize) -> Result<(), Refusal> {
    let (i, now) = (import.clone(), app.clock.now());
    let data = json!({ "done": done, "total": i.total });
    app.db
        .write(move |tx| async move { events::add(&tx, &i.workspace_id, what, &i.id, &data, now).await })
        .await?;
    app.ring();
    Ok(())
}

/// Fetches the files of rows that are not known yet, a few at a time.
async fn fetch_all(
    app: &App,
    import: &Import,
    rows: &[Named],
    options: &Options,
) -> Result<Fetched, Refusal> {
    let hashes: Vec<String> = rows.iter().map(|n| n.hash.clone()).collect();
    let (ws, again) = (import.workspace_id.clone(), options.again);
    let known: BTreeSet<String> = app
        .db
        .read(move |tx| async move {
            let mut known = BTreeSet::new();
            for hash in hashes {
                if !again && imports::known(&tx, &ws, &hash).await?.is_some() {
                    known.insert(hash);
                }
            }
            Ok::<_, db::Error>(known)
        })
        .await?;
    let fresh = rows.iter().filter(|n| !known.contains(&n.hash));
    let wanted: BTreeSet<&String> = fresh.flat_map(|n| urls(&n.row)).collect();
    let over: Vec<&String> = wanted.iter().copied().skip(MOST_FETCHES).collect();
    let mut fetched: Fetched = over
        .into_iter()
        .map(|url| {
            let sentence =
                format!("An import fetches at most {MOST_FETCHES} files, and `{url}` is one more.");
            let fix = "Import the rest of the rows from a file of their own.";
            (url.clone(), Err(Refusal::new(Kind::Invalid, "too_many_files", sentence, fix)))
        })
        .collect();
    let wanted: Vec<String> = wanted.into_iter().take(MOST_FETCHES).cloned().collect();
    let fetches = wanted.into_iter().map(|url| {
        let (app, ws) = (app.clone(), import.workspace_id.clone());
        async move {
            let got = fetching::fetch(&app, &ws, &url).await;
            (url, got.map(|m| m.id))
        }
    });
    let mut fetches = stream::iter(fetches).buffer_unordered(FETCHES);
    while let Some((url, got)) = fetches.next().await {
        match got {
            Err(e) if ours(&e) => return Err(e),
            got => fetched.insert(url, got),
        };
    }
    Ok(fetched)
}

/// A row in a transaction of its own. What it wrote before it was refused is taken back.
async fn make_one(
    app: &App,
    import: &Import,
    judge: Judge,
    named: Named,
    options: &Options,
) -> Result<(RowView, Judge), Refusal> {
    let (terms, id, options, now) =
        (Terms::of(app), import.id.clone(), options.clone(), app.clock.now());
    let hash = named.hash.clone();
    let made = app
        .db
        .write(move |tx| async move {
            let mut judge = judge;
            let view = attempt(&tx, &terms, &mut judge, &named, &options, now).await?;
            if view.outcome == RowOutcome::Refused {
                return Err(Stop::With(Box::new((view, judge))));
            }
            imports::add_row(&tx, &id, &kept(&view, named.hash)).await?;
            Ok((view, judge))
        })
        .await;
    match made {
        Ok(made) => Ok(made),
        Err(Stop::No(e)) => Err(e),
        Err(Stop::With(refused)) => {
            let (row, id) = (kept(&refused.0, hash), import.id.clone());
            app.db.write(move |tx| async move { imports::add_row(&tx, &id, &row).await }).await?;
            Ok(*refused)
        }
    }
}

fn kept(view: &RowView, hash: String) -> ImportRow {
    let notes = json!({ "text": view.text, "scheduledAt": view.scheduled_at, "notes": view.notes });
    ImportRow {
        line: view.line,
        hash,
        outcome: view.outcome,
        post_id: view.post_id.clone().filter(|_| view.outcome == RowOutcome::Made),
        notes,
    }
}

/// One row in the caller's transaction.
async fn attempt(
    tx: &Tx,
    terms: &Terms,
    judge: &mut Judge,
    named: &Named,
    options: &Options,
    now: i64,
) -> Result<RowView, Refusal> {
    let (row, ws) = (&named.row, judge.workspace.clone());
    let mut view = RowView::of(row);
    if !options.again
        && let Some(post) = imports::known(tx, &ws, &named.hash).await?
    {
        let message = "This row was imported before, and its post is still here.";
        view.notes = vec![Note::warning("", "imported_before", message)];
        (view.outcome, view.post_id) = (RowOutcome::Known, Some(post));
        return Ok(view);
    }
    if let Some(note) = judging::left_out(row) {
        view.notes.push(note);
        view.outcome = RowOutcome::LeftOut;
        return Ok(view);
    }
    let mut judged = judge.judge(tx, terms, row, options, now).await?;
    view.notes.append(&mut judged.notes);
    view.scheduled_at = judged.draft.scheduled_at.clone();
    if view.refused() {
        return Ok(view);
    }
    for (medium, alt) in &judged.alts {
        match library::describe_in(tx, &ws, medium, alt, now).await {
            Ok(true) => {}
            Ok(false) => {
                let message = "The picture has another description in the library, and keeps it.";
                view.notes.push(Note::warning("alt", "alt_kept", message));
            }
            Err(e) if ours(&e) => return Err(e),
            Err(e) => view.notes.push(Note::wrong("alt", &e.code, &e.sentence)),
        }
    }
    if view.refused() {
        return Ok(view);
    }
    if judged.draft.draft {
        let faults = plan::faults(tx, terms, &ws, &judged.draft, now).await;
        view.notes.extend(judging::as_warnings(faults, judged.unseen));
    }
    match schedule::create_in(tx, terms, &ws, &judged.draft, Belongs::default(), now).await {
        Ok(post) => {
            judge.given(&judged, post.scheduled_at);
            (view.outcome, view.post_id) = (RowOutcome::Made, Some(post.id));
            // In a dry run it is gone again.
            view.post_id = view.post_id.filter(|_| !options.dry_run);
        }
        Err(e) if ours(&e) => return Err(e),
        Err(e) => {
            view.notes.retain(|n| n.warning);
            view.notes.extend(judging::notes_of(&e, judged.unseen));
            if !view.refused() {
                // What it lacks is only not fetched yet.
                view.outcome = RowOutcome::Made;
            }
        }
    }
    Ok(view)
}
