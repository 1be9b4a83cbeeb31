//! Who may ask and answer, and what is told to whom may not.

use std::collections::BTreeMap;

use crate::approval;
use crate::db::Tx;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::review::{ReviewState, Stage};
use crate::ids;
use crate::store::accounts;
use crate::store::posts::Post;
use crate::store::reviews::Review;

/// Most characters of a note or a comment.
const MOST_TEXT: usize = 5_000;

/// Why this one may not say yes to a question, if they may not.
pub(super) async fn barred(
    tx: &Tx,
    review: &Review,
    actor: &str,
) -> Result<Option<Refusal>, Refusal> {
    if is_client(actor) {
        return Ok((review.stage != Stage::Client).then(not_theirs));
    }
    if !approval::may_approve(tx, &review.workspace_id, actor).await? {
        return Ok(Some(not_theirs()));
    }
    if review.stage == Stage::Client || review.requested_by.as_deref() != Some(actor) {
        return Ok(None);
    }
    let policies = accounts::policies(tx, &review.workspace_id).await?;
    let me = actor.strip_prefix("account:");
    let others = accounts::admins(tx, &review.workspace_id).await?;
    let alone = !others.iter().any(|id| Some(id.as_str()) != me);
    let may = policies.approval_self.unwrap_or(alone);
    Ok((!may).then(|| {
        Refusal::new(
            Kind::Forbidden,
            "own_request",
            "You asked for this approval yourself.",
            "Let somebody else look at it; `approvalSelf` in the policies lets people approve their own.",
        )
    }))
}

pub(super) async fn may_withdraw(tx: &Tx, review: &Review, actor: &str) -> Result<bool, Refusal> {
    Ok(review.requested_by.as_deref() == Some(actor)
        || approval::may_approve(tx, &review.workspace_id, actor).await?)
}

/// One who has no account here, but a link.
pub(super) fn is_client(actor: &str) -> bool {
    actor.starts_with("client:")
}

pub(super) fn is_open(review: &Review) -> Result<(), Refusal> {
    match review.state {
        ReviewState::Open => Ok(()),
        _ => Err(answered_meanwhile()),
    }
}

pub(super) fn answered_meanwhile() -> Refusal {
    Refusal::conflict(
        "review_over",
        "This question is over: somebody answered it, or the post was changed.",
        "Load the post again; ask for an approval anew if it needs one.",
    )
}

pub(super) fn asked_already(open: &Review) -> Refusal {
    let whom = match open.stage {
        Stage::Internal => "Somebody of the workspace",
        Stage::Client => "The client",
    };
    Refusal::conflict(
        "review_open",
        format!("{whom} is asked about this post already."),
        "Wait for the answer, or take the question back.",
    )
}

pub(super) fn approved_already() -> Refusal {
    Refusal::conflict(
        "approved_already",
        "This post is approved as it is.",
        "Schedule it; whoever changes it asks again.",
    )
}

pub(super) fn nobody_asks() -> Refusal {
    Refusal::conflict(
        "approvals_off",
        "No post of this workspace needs an approval.",
        "Schedule it, or set `approval` in the workspace's policies.",
    )
}

pub(super) fn not_theirs() -> Refusal {
    Refusal::new(
        Kind::Forbidden,
        "may_not_approve",
        "You may not answer this.",
        "The owner and admins of the workspace may, and keys that were made with `--may-approve`.",
    )
}

/// A text that may be left out.
pub(super) fn words(field: &str, text: Option<String>) -> Result<Option<String>, Refusal> {
    let text = text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    match &text {
        Some(t) if t.chars().count() > MOST_TEXT => {
            let message = format!("`{field}` has more than {MOST_TEXT} characters.");
            Err(Refusal::invalid(vec![Wrong::new(field, "text_too_long", message)]))
        }
        _ => Ok(text),
    }
}

pub(super) fn required(field: &str, text: String) -> Result<String, Refusal> {
    words(field, Some(text))?.ok_or_else(|| {
        let message = format!("Say what it is about: `{field}` is needed.");
        Refusal::invalid(vec![Wrong::new(field, "comment_required", message)])
    })
}

pub(super) fn known(id: &str, what: &str) -> Result<String, Refusal> {
    if ids::valid(id) { Ok(id.to_owned()) } else { Err(Refusal::not_found(what)) }
}

/// Is everything that is here what was approved?
pub(super) fn covers(given: &Review, content: &BTreeMap<String, String>) -> bool {
    content.iter().all(|(id, hash)| given.content.get(id) == Some(hash))
}

/// Is what is there now what was asked about, and what whoever answers saw?
pub(super) async fn unchanged(
    tx: &Tx,
    post: &Post,
    review: &Review,
    seen: Option<&str>,
) -> Result<(), Refusal> {
    let (content, _) = approval::content(tx, post).await?;
    let same = covers(review, &content);
    if same && seen.is_none_or(|seen| seen == approval::name_of(&review.content)) {
        return Ok(());
    }
    Err(Refusal::conflict(
        "changed_meanwhile",
        "The post was changed after you saw it.",
        "Load it again and look at what it says now.",
    ))
}
