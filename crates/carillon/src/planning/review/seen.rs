//! Reviews as people see them, each with its post and with what changed since the one before.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::rules::{barred, is_client, known, may_withdraw};
use super::{find, find_post};
use crate::App;
use crate::approval;
use crate::db::Tx;
use crate::domain::refusal::Refusal;
use crate::domain::review::{ReviewState, Shown, Stage};
use crate::domain::when::iso;
use crate::publishing::view::{Page, PostView, post_in};
use crate::store::reviews::{self, Comment, Review};
use crate::store::{audit, review_links};

/// A question for an approval, and what came of it. Times are ISO 8601 UTC.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewView {
    pub id: String,
    pub post_id: String,
    pub stage: Stage,
    pub state: ReviewState,
    /// What whoever asked said to it.
    pub note: Option<String>,
    /// A person's name; `null` where a series or an import asked.
    pub requested_by: Option<String>,
    pub requested_at: String,
    pub decided_by: Option<String>,
    pub decided_at: Option<String>,
    /// Why it is void: `edited`, `media_changed`, `withdrawn`, `cancelled`, `asked_again`,
    /// `turned_off`.
    pub why: Option<String>,
    pub comments: Vec<CommentView>,
    /// Names the content that it is about; an answer that names it is refused when it is about
    /// something else by then.
    pub content: String,
    /// What the post said at the review before this one; `null` for the first.
    pub before: Option<Shown>,
    /// What the caller may do: `approve`, `request_changes`, `comment`, `swap`, `withdraw`.
    pub can: Vec<String>,
    /// Why the caller may not approve, where they may not.
    pub barred: Option<String>,
    pub post: PostView,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CommentView {
    pub id: String,
    pub at: String,
    pub by: String,
    pub text: String,
}

/// Reviews that wait for an answer, the oldest first.
pub async fn list(
    app: &App,
    workspace: &str,
    stage: Option<Stage>,
    cursor: Option<&str>,
    limit: usize,
    actor: &str,
) -> Result<Page<ReviewView>, Refusal> {
    let (ws, actor, after) =
        (workspace.to_owned(), actor.to_owned(), cursor.unwrap_or_default().to_owned());
    app.db
        .read(move |tx| async move {
            let mut found = reviews::waiting(&tx, &ws, stage, &after, limit as i64 + 1).await?;
            let next = (found.len() > limit).then(|| {
                found.truncate(limit);
                found.last().map(|r| r.id.clone())
            });
            let items = views(&tx, &ws, &found, &actor).await?;
            Ok(Page { items, next: next.flatten() })
        })
        .await
}

/// Every review of a post, the latest first.
pub async fn of_post(
    app: &App,
    workspace: &str,
    post: &str,
    actor: &str,
) -> Result<Vec<ReviewView>, Refusal> {
    let (ws, post, actor) = (workspace.to_owned(), known(post, "post")?, actor.to_owned());
    app.db
        .read(move |tx| async move {
            find_post(&tx, &ws, &post).await?;
            let all = reviews::of_post(&tx, &post).await?;
            views(&tx, &ws, &all, &actor).await
        })
        .await
}

pub async fn show(
    app: &App,
    workspace: &str,
    id: &str,
    actor: &str,
) -> Result<ReviewView, Refusal> {
    let (ws, id, actor) = (workspace.to_owned(), known(id, "review")?, actor.to_owned());
    app.db
        .read(move |tx| async move {
            let review = find(&tx, &ws, &id).await?;
            view(&tx, &review, &actor).await
        })
        .await
}

pub(super) async fn view(tx: &Tx, review: &Review, actor: &str) -> Result<ReviewView, Refusal> {
    let mut one = views(tx, &review.workspace_id, std::slice::from_ref(review), actor).await?;
    one.pop().ok_or_else(|| Refusal::not_found("review"))
}

async fn views(
    tx: &Tx,
    workspace: &str,
    all: &[Review],
    actor: &str,
) -> Result<Vec<ReviewView>, Refusal> {
    let mut names = audit::names(tx, workspace).await?;
    names.insert(audit::OPERATOR.to_owned(), "The operator".to_owned());
    for link in review_links::list(tx, workspace, 1000).await? {
        names.insert(format!("client:{}", link.id), link.name);
    }
    let mut shown = Vec::with_capacity(all.len());
    for (review, said) in all.iter().zip(reviews::comments_each(tx, all).await?) {
        shown.push(shown_to(tx, review, said, actor, &names).await?);
    }
    Ok(shown)
}

async fn shown_to(
    tx: &Tx,
    r: &Review,
    comments: Vec<Comment>,
    actor: &str,
    names: &BTreeMap<String, String>,
) -> Result<ReviewView, Refusal> {
    let name = |by: &str| names.get(by).cloned().unwrap_or_else(|| "Somebody".to_owned());
    let said =
        |c: Comment| CommentView { by: name(&c.author), id: c.id, at: iso(c.at), text: c.text };
    let why = barred(tx, r, actor).await?;
    let mut can = vec!["comment"];
    if r.state == ReviewState::Open {
        let theirs = is_client(actor) || approval::may_approve(tx, &r.workspace_id, actor).await?;
        can.extend(["approve", "swap"].into_iter().filter(|_| why.is_none()));
        can.extend(["request_changes"].into_iter().filter(|_| theirs));
        if may_withdraw(tx, r, actor).await? {
            can.push("withdraw");
        }
    }
    let earlier = reviews::of_post(tx, &r.post_id).await?;
    // The client's question is about what the workspace said yes to: the one before that is another.
    let before = earlier.into_iter().find(|e| e.id < r.id && e.content != r.content);
    Ok(ReviewView {
        id: r.id.clone(),
        post_id: r.post_id.clone(),
        stage: r.stage,
        state: r.state,
        note: r.note.clone(),
        requested_by: r.requested_by.as_deref().map(name),
        requested_at: iso(r.requested_at),
        decided_by: r.decided_by.as_deref().map(name),
        decided_at: r.decided_at.map(iso),
        why: r.why.clone(),
        comments: comments.into_iter().map(said).collect(),
        content: approval::name_of(&r.content),
        before: before.map(|e| e.shown),
        can: can.into_iter().map(str::to_owned).collect(),
        barred: why.filter(|_| r.state == ReviewState::Open).map(|r| r.sentence),
        post: post_in(tx, &r.workspace_id, &r.post_id).await?,
    })
}
