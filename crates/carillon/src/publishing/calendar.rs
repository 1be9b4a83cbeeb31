//! Posts as a calendar shows them: little of each, so that thousands are read, sent and drawn at
//! once. view.rs has all of one.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::guard::{self, Windows};
use super::view::Page;
use crate::App;
use crate::domain::delivery::DeliveryState;
use crate::domain::post::PostState;
use crate::domain::refusal::Refusal;
use crate::domain::review::{Stage, Standing};
use crate::domain::when::iso;
use crate::store::accounts;
use crate::store::calendar::{self, Brief, Short};

/// A post with what a calendar shows of it. Times are ISO 8601 UTC.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BriefView {
    pub id: String,
    /// Its first line, at most 140 characters.
    pub text: String,
    pub title: Option<String>,
    pub state: PostState,
    pub scheduled_at: String,
    pub updated_at: String,
    pub version: i64,
    /// Without the later parts of threads and first comments.
    pub deliveries: Vec<BriefDelivery>,
    /// What stands close to it among the posts of this answer; absent when nothing does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clashes: Vec<Clash>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BriefDelivery {
    pub id: String,
    pub connection_id: String,
    pub network: String,
    pub state: DeliveryState,
    /// `is_it_live` when a person has to look and answer; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<&'static str>,
}

/// Another post of the same connection that goes out too close to it, or says the same too soon.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Clash {
    /// `collision`, `duplicate`
    pub code: &'static str,
    pub connection_id: String,
    /// The other post.
    pub post_id: String,
}

/// What to show: posts due in `[from, to)` (ms UTC), of which text or title hold these words.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub from: i64,
    pub to: i64,
    pub search: String,
    pub cursor: Option<(i64, String)>,
    pub limit: usize,
}

pub async fn list(app: &App, workspace: &str, query: Query) -> Result<Page<BriefView>, Refusal> {
    let (workspace, config) = (workspace.to_owned(), app.config.publishing.clone());
    let limit = query.limit;
    let (mut found, windows, last) = app
        .db
        .read(move |tx| async move {
            let after = query.cursor.as_ref().map_or((-1, ""), |(at, id)| (*at, id.as_str()));
            let like = calendar::pattern(&query.search);
            let more = limit as i64 + 1;
            let span = (query.from, query.to);
            let last = accounts::policies(&tx, &workspace).await?.last_stage();
            let gated = last.is_some();
            let found = calendar::between(&tx, &workspace, span, after, &like, gated, more).await?;
            Ok::<_, Refusal>((found, guard::windows(&tx, &config, &workspace).await?, last))
        })
        .await?;
    let next = (found.len() > limit).then(|| {
        found.truncate(limit);
        found.last().map(|p| format!("{}~{}", p.scheduled_at, p.id))
    });
    let mut clashes = clashes(&found, windows);
    let items = found.into_iter().map(|p| {
        let clashes = clashes.remove(&p.id).unwrap_or_default();
        view(p, clashes, last)
    });
    Ok(Page { items: items.collect(), next: next.flatten() })
}

fn view(post: Brief, clashes: Vec<Clash>, last: Option<Stage>) -> BriefView {
    let all = &post.deliveries;
    let telling = all.iter().filter(|d| !waits(d) || turn_comes(d, all));
    let states: Vec<DeliveryState> = telling.map(|d| d.state).collect();
    let standing = last.map_or(Standing::None, |last| Standing::of(post.review, last));
    BriefView {
        text: first_line(&post.text),
        state: PostState::of(post.committed_at.is_some(), standing, &states),
        scheduled_at: iso(post.scheduled_at),
        updated_at: iso(post.updated_at),
        version: post.version,
        id: post.id,
        title: post.title,
        deliveries: post
            .deliveries
            .into_iter()
            .filter(|d| d.parent_id.is_none() || in_doubt(d))
            .map(|d| BriefDelivery {
                question: in_doubt(&d).then_some("is_it_live"),
                id: d.id,
                connection_id: d.connection_id,
                network: d.network,
                state: d.state,
            })
            .collect(),
        clashes,
    }
}

/// A segment whose turn has not come.
fn waits(d: &Short) -> bool {
    d.parent_id.is_some() && d.state == DeliveryState::Queued && d.scheduled_at.is_none()
}

/// Will a waiting segment go out by itself?
fn turn_comes(d: &Short, all: &[Short]) -> bool {
    let parent = all.iter().find(|p| d.parent_id.as_ref() == Some(&p.id));
    parent.is_some_and(|p| p.state.active() && (!waits(p) || turn_comes(p, all)))
}

fn in_doubt(d: &Short) -> bool {
    d.state == DeliveryState::Held && d.intent
}

fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    let end = line.char_indices().nth(140).map_or(line.len(), |(at, _)| at);
    line[..end].to_owned()
}

/// Of each post that is still to go out: the other posts that the guard would have asked about.
fn clashes(posts: &[Brief], windows: Windows) -> HashMap<String, Vec<Clash>> {
    let mut of_connection: HashMap<&str, Vec<(i64, &Brief, &Short)>> = HashMap::new();
    for post in posts.iter().filter(|p| p.committed_at.is_some()) {
        // What waits for an approval keeps its place.
        let stands = |s: DeliveryState| {
            s.active() || matches!(s, DeliveryState::Published | DeliveryState::Draft)
        };
        let counts = |d: &&Short| d.parent_id.is_none() && stands(d.state);
        for d in post.deliveries.iter().filter(counts) {
            let at = d.scheduled_at.unwrap_or(post.scheduled_at);
            of_connection.entry(&d.connection_id).or_default().push((at, post, d));
        }
    }
    let mut found: HashMap<String, Vec<Clash>> = HashMap::new();
    let mut tell = |post: &Brief, d: &Short, code: &'static str, other: &Brief| {
        let known = found.entry(post.id.clone()).or_default();
        let open = matches!(d.state, DeliveryState::Queued | DeliveryState::Draft);
        if open && !known.iter().any(|c| c.code == code && c.post_id == other.id) {
            let (connection_id, post_id) = (d.connection_id.clone(), other.id.clone());
            known.push(Clash { code, connection_id, post_id });
        }
    };
    for line in of_connection.values_mut() {
        line.sort_by_key(|(at, ..)| *at);
        for pair in line.windows(2) {
            let [(at, post, d), (later, other, o)] = pair else { continue };
            if post.id != other.id && later - at < windows.collision {
                tell(post, d, "collision", other);
                tell(other, o, "collision", post);
            }
        }
        let mut said: HashMap<&str, (i64, &Brief, &Short)> = HashMap::new();
        for &(at, post, d) in line.iter() {
            let Some(hash) = d.content_hash.as_deref() else { continue };
            if let Some((before, other, o)) = said.insert(hash, (at, post, d))
                && post.id != other.id
                && at - before < windows.duplicate
            {
                tell(post, d, "duplicate", other);
                tell(other, o, "duplicate", post);
            }
        }
    }
    found
}
