//! Moving posts to other times, one or many: all of them in one transaction, or none.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::draft::Move;
use super::guard;
use super::holding;
use super::lineup::{already_sending, reopen};
use super::plan::wrong_time;
use super::schedule::{Terms, find, say, version_conflict};
use super::view::{self, PostView};
use crate::App;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::store::deliveries::{self, Delivery};
use crate::store::guards;
use crate::store::posts::{self, Post};

/// More than anybody moves by hand; each is checked against all others.
pub const MOST: usize = 500;

/// New times for many posts.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moves {
    /// 1 to 500, each once.
    pub posts: Vec<MoveOf>,
    /// IANA name; without it each post's own.
    pub timezone: Option<String>,
    #[serde(default)]
    pub allow_collision: bool,
    #[serde(default)]
    pub allow_duplicate: bool,
}

/// Where one of them goes.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MoveOf {
    pub id: String,
    /// Wall time in `timezone`, or with an offset or `Z`.
    #[schema(example = "2026-11-24T09:00")]
    pub scheduled_at: String,
    /// Refused when the post is no longer at this version.
    pub version: Option<i64>,
}

/// The posts as they are now, in the order in which they were named.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MovedPosts {
    pub items: Vec<PostView>,
}

/// Moves a post, and by the same difference every delivery of it that is still open.
pub async fn one(app: &App, workspace: &str, id: &str, to: Move) -> Result<PostView, Refusal> {
    let (workspace, id, now) = (workspace.to_owned(), view::known_id(id, "post")?, app.clock.now());
    let terms = Terms::of(app);
    let moved = app
        .db
        .write(move |tx| async move {
            one_in(&tx, &terms, &workspace, &id, to, now).await?;
            posts::detach(&tx, &id, now).await?;
            view::post_in(&tx, &workspace, &id).await
        })
        .await?;
    app.ring();
    Ok(moved)
}

/// The same in the caller's transaction, which a refusal has to end.
pub(crate) async fn one_in(
    tx: &Tx,
    terms: &Terms,
    workspace: &str,
    id: &str,
    to: Move,
    now: i64,
) -> Result<(), Refusal> {
    let moving = look(tx, workspace, id, &to, now).await?;
    if moving.post.committed_at.is_some() {
        let windows = guard::windows(tx, &terms.config, workspace).await?;
        let windows = windows.allowing(to.allow_duplicate, to.allow_collision);
        let asked = guard::moved(tx, &moving.open).await?;
        guard::refuse(tx, windows, &asked, id, &moving.post.timezone, now).await?;
    }
    write(tx, moving, now).await
}

/// Moves many, as if at once: what moves with a post is not in its way.
pub async fn many(app: &App, workspace: &str, moves: Moves) -> Result<MovedPosts, Refusal> {
    check(&moves)?;
    let (workspace, now) = (workspace.to_owned(), app.clock.now());
    let config = app.config.publishing.clone();
    let items = app
        .db
        .write(move |tx| async move {
            let mut wrong = Vec::new();
            let mut all = Vec::new();
            for (n, of) in moves.posts.iter().enumerate() {
                match look(&tx, &workspace, &of.id, &moves.to(of), now).await {
                    Ok(moving) => all.push((n, moving)),
                    Err(e) => wrong.push(named(n, e)),
                }
            }
            refuse(wrong, moves.posts.len())?;
            // The turns before any row, and rows in one order everywhere, so that two who move
            // posts of the same connections never wait for each other.
            let open = || all.iter().flat_map(|(_, m)| &m.open);
            let connections: BTreeSet<&str> = open().map(|d| d.connection_id.as_str()).collect();
            guards::take_turns(&tx, &connections).await?;
            all.sort_by(|(_, a), (_, b)| a.lane().cmp(b.lane()));
            for (_, moving) in &all {
                write(&tx, moving.clone(), now).await?;
                posts::detach(&tx, &moving.post.id, now).await?;
            }
            let windows = guard::windows(&tx, &config, &workspace).await?;
            let windows = windows.allowing(moves.allow_duplicate, moves.allow_collision);
            let mut wrong = Vec::new();
            for (n, m) in all.iter().filter(|(_, m)| m.post.committed_at.is_some()) {
                let asked = guard::moved(&tx, &m.open).await?;
                let zone = &m.post.timezone;
                if let Err(e) = guard::refuse(&tx, windows, &asked, &m.post.id, zone, now).await {
                    wrong.push(named(*n, e));
                }
            }
            refuse(wrong, moves.posts.len())?;
            let mut items = Vec::new();
            for of in &moves.posts {
                items.push(view::post_in(&tx, &workspace, &of.id).await?);
            }
            Ok::<_, Refusal>(items)
        })
        .await?;
    app.ring();
    Ok(MovedPosts { items })
}

/// New times so many days on by the clock of each post's own zone. Posts without a time are refused.
pub async fn by_days(
    app: &App,
    workspace: &str,
    ids: &[String],
    days: i32,
) -> Result<Moves, Refusal> {
    let (mut posts, mut wrong) = (Vec::new(), Vec::new());
    for (n, id) in ids.iter().enumerate() {
        let post = view::post(app, workspace, id).await?;
        let at = post.scheduled_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
        let zone = TimeZone::get(&post.timezone).unwrap_or(TimeZone::UTC);
        let to = at.and_then(|at| at.to_zoned(zone).checked_add(days.days()).ok());
        match to {
            Some(to) => posts.push(MoveOf {
                id: id.clone(),
                scheduled_at: to.timestamp().to_string(),
                version: Some(post.version),
            }),
            None => {
                let message = format!("The post {id} has no time to be moved from.");
                wrong.push(Wrong::new(format!("posts[{n}]"), "no_time", message));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Refusal::invalid(wrong));
    }
    Ok(Moves { posts, ..Moves::default() })
}

/// A post that can move: as it will be, with its deliveries at their new times.
#[derive(Clone)]
struct Moving {
    post: Post,
    open: Vec<Delivery>,
}

impl Moving {
    fn lane(&self) -> &str {
        self.open.iter().map(|d| d.connection_id.as_str()).min().unwrap_or_default()
    }
}

impl Moves {
    fn to(&self, of: &MoveOf) -> Move {
        Move {
            scheduled_at: of.scheduled_at.clone(),
            timezone: self.timezone.clone(),
            version: of.version,
            allow_collision: self.allow_collision,
            allow_duplicate: self.allow_duplicate,
        }
    }
}

async fn look(tx: &Tx, workspace: &str, id: &str, to: &Move, now: i64) -> Result<Moving, Refusal> {
    let post = find(tx, workspace, id).await?;
    if to.version.is_some_and(|v| v != post.version) {
        return Err(version_conflict(&post));
    }
    let zone = to.timezone.clone().unwrap_or_else(|| post.timezone.clone());
    let at = when::parse(&to.scheduled_at, &zone)
        .and_then(|at| when::not_past(at, now, &zone).map(|()| at))
        .map_err(|e| Refusal::invalid(vec![wrong_time("scheduledAt", &e)]))?;
    let mut open = deliveries::of_post(tx, id).await?;
    if let Some(d) = open.iter().find(|d| !d.open()) {
        return Err(already_sending(d));
    }
    // What follows a delivery has no time of its own.
    open.retain(|d| d.state != State::Cancelled && d.parent_id.is_none());
    let by = at - post.scheduled_at.unwrap_or(at);
    for d in &mut open {
        d.scheduled_at = Some(d.scheduled_at.map_or(at, |t| (t + by).max(now)));
    }
    Ok(Moving { post: Post { scheduled_at: Some(at), timezone: zone, ..post }, open })
}

async fn write(tx: &Tx, moving: Moving, now: i64) -> Result<(), Refusal> {
    let Moving { post, open } = moving;
    if !posts::save(tx, &post, now).await? {
        return Err(version_conflict(&post));
    }
    for d in open {
        reopen(tx, &post, d, now).await?;
    }
    holding::keep(tx, &post, now).await?;
    say(tx, &post, "post.changed", now).await
}

fn check(moves: &Moves) -> Result<(), Refusal> {
    let n = moves.posts.len();
    let mut wrong = Vec::new();
    if n == 0 || n > MOST {
        let message = format!("`posts` names {n} posts; it can name 1 to {MOST}.");
        wrong.push(Wrong::new("posts", "wrong_number", message));
    }
    let mut seen = BTreeSet::new();
    for (n, of) in moves.posts.iter().enumerate() {
        if !seen.insert(&of.id) {
            let message = format!("The post {} is named twice.", of.id);
            wrong.push(Wrong::new(format!("posts[{n}].id"), "named_twice", message));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Refusal::invalid(wrong)) }
}

/// A refusal as a problem of the n-th post.
fn named(n: usize, e: Refusal) -> Wrong {
    Wrong::new(format!("posts[{n}]"), &e.code, e.sentence)
}

/// All of them, where there are any.
fn refuse(wrong: Vec<Wrong>, of: usize) -> Result<(), Refusal> {
    let Some(first) = wrong.first() else { return Ok(()) };
    let sentence = if of == 1 {
        first.message.clone()
    } else {
        format!("{} of {of} posts cannot move, so none did. {}", wrong.len(), first.message)
    };
    let fix = "Leave out the posts named in `problems`, or choose other times; what stands too close \
        can be allowed with `allowCollision` and `allowDuplicate`.";
    let refusal = Refusal::conflict(&first.code, sentence, fix);
    Err(Refusal { problems: wrong, ..refusal })
}
