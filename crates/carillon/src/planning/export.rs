//! Exports: posts as rows that an import makes the same posts of again.
//!
//! A column is only used where it says everything; where a post's deliveries differ in more than
//! their connections, they stand in `deliveries` as JSON. Page by page, so that any number fits.

use futures_util::{Stream, StreamExt, stream};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;

use super::import::{COLUMNS, meant};
use crate::App;
use crate::app::{self, Networks};
use crate::approval;
use crate::db::Tx;
use crate::domain::post::PostState;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::publishing::draft;
use crate::publishing::schedule::{Draft, DraftDelivery, Parts};
use crate::store::connections::{self, Connection};
use crate::store::posts::{self, Post};
use crate::store::{audit, deliveries, media};
use crate::{store, words};

words! {
    pub enum ExportFormat {
        Csv = "csv",
        Json = "json",
    }
}

/// Posts of one page.
const PAGE: i64 = 200;

/// Which posts; without times all of them, those without a time last.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// ms UTC
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub state: Option<PostState>,
    /// An id, a name, a network or a handle.
    pub connection: Option<String>,
}

/// A row with the columns of an import.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    text: String,
    scheduled_at: String,
    timezone: String,
    connections: Vec<String>,
    media: Vec<String>,
    alt: Vec<String>,
    first_comment: String,
    title: String,
    /// In the text already.
    link: String,
    state: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    thread: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<DraftDelivery>>,
}

/// How far an export has come: posts with a time first, then those without.
#[derive(Debug, Clone)]
enum At {
    Dated(i64, String),
    Undated(String),
    End,
}

/// The pieces of a file. The first page is read before anything is answered, so that what is wrong
/// is refused as everywhere else.
pub async fn export(
    app: &App,
    workspace: &str,
    query: Query,
    format: ExportFormat,
    actor: &str,
) -> Result<impl Stream<Item = Result<Vec<u8>, Refusal>> + Send + use<>, Refusal> {
    let (ws, by, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let only = app
        .db
        .write(move |tx| async move {
            let all = connections::list(&tx, &ws).await?;
            let only = query.connection.as_deref().map(|name| one(&all, name)).transpose()?;
            let data = json!({ "format": format, "from": query.from.map(when::iso),
                "to": query.to.map(when::iso), "state": query.state, "connection": only });
            audit::add(&tx, Some(&ws), &by, "posts.exported", &ws, &data, now).await?;
            Ok::<_, Refusal>((query, only))
        })
        .await?;
    let (query, only) = only;
    let work = Work { app: app.clone(), workspace: workspace.to_owned(), query, only, format };
    let (first, at) = work.page(At::Dated(-1, String::new())).await?;
    let head = match format {
        // So that spreadsheets read it as UTF-8.
        ExportFormat::Csv => [b"\xef\xbb\xbf".to_vec(), line(COLUMNS)].concat(),
        ExportFormat::Json => b"[".to_vec(),
    };
    let tail = if format == ExportFormat::Json { b"\n]\n".to_vec() } else { Vec::new() };
    let any = !first.is_empty();
    let rest = stream::unfold((work, at, any), |(work, at, any)| async move {
        if matches!(at, At::End) {
            return None;
        }
        match work.page(at).await {
            Ok((rows, next)) => {
                let bytes = work.written(&rows, any);
                Some((Ok(bytes), (work, next, any || !rows.is_empty())))
            }
            Err(e) => Some((Err(e), (work, At::End, any))),
        }
    });
    let begun = match format {
        ExportFormat::Csv => written_csv(&first),
        ExportFormat::Json => written_json(&first, false),
    };
    let head = stream::iter([Ok([head, begun].concat())]);
    Ok(head.chain(rest).chain(stream::iter([Ok(tail)])))
}

/// The one connection that is asked for.
fn one(all: &[Connection], name: &str) -> Result<String, Refusal> {
    let wrong = |message: String| {
        Refusal::invalid(vec![Wrong::new("connection", "unknown_connection", message)])
    };
    match meant(all, name)[..] {
        [one] => Ok(one.id.clone()),
        [] => Err(wrong(format!("There is no connection `{name}` in this workspace."))),
        _ => Err(wrong(format!("Several connections are meant by `{name}`: write the id of one."))),
    }
}

struct Work {
    app: App,
    workspace: String,
    query: Query,
    only: Option<String>,
    format: ExportFormat,
}

impl Work {
    async fn page(&self, at: At) -> Result<(Vec<Row>, At), Refusal> {
        let (ws, query, only) = (self.workspace.clone(), self.query.clone(), self.only.clone());
        let networks = self.app.networks;
        self.app
            .db
            .read(move |tx| async move {
                let (found, next) = some(&tx, &ws, &query, at).await?;
                let all = connections::list(&tx, &ws).await?;
                let mut rows = Vec::with_capacity(found.len());
                for post in &found {
                    rows.extend(row(&tx, networks, &all, post, &query, only.as_deref()).await?);
                }
                Ok((rows, next))
            })
            .await
    }

    fn written(&self, rows: &[Row], any: bool) -> Vec<u8> {
        match self.format {
            ExportFormat::Csv => written_csv(rows),
            ExportFormat::Json => written_json(rows, any),
        }
    }
}

/// The next posts, and where to go on.
async fn some(tx: &Tx, workspace: &str, query: &Query, at: At) -> Result<(Vec<Post>, At), Refusal> {
    let full = |found: &[Post]| found.len() as i64 == PAGE;
    match at {
        At::Dated(time, id) => {
            let (from, to) = (query.from.unwrap_or(0), query.to.unwrap_or(i64::MAX));
            let found = posts::between(tx, workspace, from, to, (time, &id), PAGE).await?;
            let next = match found.last() {
                Some(last) if full(&found) => {
                    At::Dated(last.scheduled_at.unwrap_or(0), last.id.clone())
                }
                _ if query.from.is_some() || query.to.is_some() => At::End,
                _ => At::Undated("g".to_owned()),
            };
            Ok((found, next))
        }
        At::Undated(before) => {
            let found = posts::undated(tx, workspace, &before, PAGE).await?;
            let next = found.last().filter(|_| full(&found)).map(|p| At::Undated(p.id.clone()));
            Ok((found, next.unwrap_or(At::End)))
        }
        At::End => Ok((Vec::new(), At::End)),
    }
}

/// A post as a row; `None` when it is none of those asked for.
async fn row(
    tx: &Tx,
    networks: Networks,
    all: &[Connection],
    post: &Post,
    query: &Query,
    only: Option<&str>,
) -> Result<Option<Row>, Refusal> {
    let olds = deliveries::of_post(tx, &post.id).await?;
    let heads = || olds.iter().filter(|d| d.parent_id.is_none());
    let states: Vec<_> = heads().map(|d| d.state).collect();
    let standing = approval::standing_of(tx, post).await?;
    let state = PostState::of(post.committed_at.is_some(), standing, &states);
    let wanted = only.is_none_or(|id| heads().any(|d| d.connection_id == id));
    if !wanted || query.state.is_some_and(|s| s != state) {
        return Ok(None);
    }
    let media = media::of_post(tx, &post.id).await?;
    let again = draft::again(post, &olds, media.iter().map(|m| m.id.clone()).collect());
    let plain = plain(networks, all, &again);
    let alts = media.iter().map(|m| m.alt.split_whitespace().collect::<Vec<_>>().join(" "));
    let alts: Vec<String> = alts.collect();
    Ok(Some(Row {
        text: again.text.clone(),
        scheduled_at: post.scheduled_at.map(|at| wall(at, &post.timezone)).unwrap_or_default(),
        timezone: post.timezone.clone(),
        connections: again.deliveries.iter().map(|d| name(all, &d.connection_id)).collect(),
        media: again.media.clone(),
        alt: if alts.iter().all(String::is_empty) { Vec::new() } else { alts },
        first_comment: plain.clone().flatten().unwrap_or_default(),
        title: again.title.clone().unwrap_or_default(),
        link: String::new(),
        state: state.to_string(),
        thread: again.thread.iter().map(|part| part.text.clone()).collect(),
        deliveries: match plain {
            Some(_) => None,
            None => Some(again.deliveries),
        },
    }))
}

/// The first comment of deliveries that an import makes of their connections alone; `None` where
/// it would make others.
fn plain(networks: Networks, all: &[Connection], draft: &Draft) -> Option<Option<String>> {
    let mut comment: Option<Option<String>> = None;
    for d in &draft.deliveries {
        let connection = all.iter().find(|c| c.id == d.connection_id)?;
        let spec = app::find(networks, &connection.network)?.spec();
        let first = spec.placements.first()?.id;
        let shared = match &d.thread {
            None => true,
            Some(parts) => {
                *parts == Parts::FIRST && !draft.thread.is_empty() && spec.reply(first).is_none()
            }
        };
        let same = d.placement.as_deref() == Some(first)
            && d.text.is_none()
            && d.scheduled_at.is_none()
            && d.options.as_ref().is_none_or(|o| o.is_empty())
            && shared;
        if !same {
            return None;
        }
        if spec.comment(first).is_none() {
            continue;
        }
        match &comment {
            None => comment = Some(d.first_comment.clone()),
            Some(before) if *before == d.first_comment => {}
            Some(_) => return None,
        }
    }
    Some(comment.flatten())
}

/// A connection by its name where that means it alone, otherwise by its id.
fn name(all: &[Connection], id: &str) -> String {
    let known = all.iter().find(|c| c.id == id);
    let plain = |c: &&Connection| {
        !c.name.contains([';', '\n']) && c.name.trim() == c.name && meant(all, &c.name).len() == 1
    };
    known.filter(plain).map_or_else(|| id.to_owned(), |c| c.name.clone())
}

/// The wall-clock time in a post's zone, or the moment itself where that is not enough.
fn wall(at: i64, zone: &str) -> String {
    let zone = when::zone(zone).unwrap_or(TimeZone::UTC);
    let wall = when::wall(at, &zone);
    let twice = zone.to_ambiguous_zoned(wall).is_ambiguous();
    if twice || when::moment(wall, &zone) != at {
        return when::iso(at);
    }
    wall.to_string()
}

/// A cell that no spreadsheet takes for a formula; an import takes the mark off again.
pub(super) fn guarded(cell: &str) -> String {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

fn line<S: AsRef<[u8]>>(cells: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Into memory nothing fails.
    let written = writer.write_record(cells).map_err(|e| e.to_string());
    debug_assert_eq!(written, Ok(()));
    writer.into_inner().unwrap_or_default()
}

fn written_csv(rows: &[Row]) -> Vec<u8> {
    let cells = |r: &Row| {
        let list = |all: &[String]| all.join("; ");
        let json = |some: Option<String>| some.unwrap_or_default();
        let parts = (!r.thread.is_empty()).then(|| store::json(&r.thread));
        line([
            guarded(&r.text),
            r.scheduled_at.clone(),
            r.timezone.clone(),
            guarded(&list(&r.connections)),
            list(&r.media),
            guarded(&r.alt.join("\n")),
            guarded(&r.first_comment),
            guarded(&r.title),
            r.link.clone(),
            r.state.clone(),
            json(parts),
            json(r.deliveries.as_ref().map(store::json)),
        ])
    };
    rows.iter().flat_map(cells).collect()
}

fn written_json(rows: &[Row], any: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        bytes.extend_from_slice(if any || i > 0 { b",\n" } else { b"\n" });
        bytes.extend_from_slice(store::json(row).as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_look_like_formulas_are_guarded() {
        for cell in ["=1+1", "+44 20", "-5", "@anchor", "'quoted'", "\t=1"] {
            assert_eq!(guarded(cell), format!("'{cell}"));
        }
        assert_eq!(guarded(" =1"), " =1");
    }

    #[test]
    fn an_hour_that_comes_twice_is_written_as_a_moment() {
        let at = |t: &str| when::parse(t, "UTC").unwrap();
        assert_eq!(wall(at("2027-10-31T00:30:00Z"), "Europe/London"), "2027-10-31T00:30:00Z");
        assert_eq!(wall(at("2027-06-01T08:00:00Z"), "Europe/London"), "2027-06-01T09:00:00");
    }
}
