//! The workspace's policies, and what follows when it begins or ceases to ask for approvals.
//!
//! Both happen in the transaction of the setting: what was scheduled is taken back and asked about,
//! what waited for an approval becomes a draft. Nothing is sent by a setting.

use serde_json::json;

use crate::App;
use crate::approval::{self, Gate};
use crate::db::Tx;
use crate::domain::alert::AlertKind;
use crate::domain::policy::{Approval, Policies};
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::review::Stage;
use crate::publishing;
use crate::store::deliveries;
use crate::store::media;
use crate::store::posts::{self, Post};
use crate::store::{accounts, alerts, audit, events, reviews};

/// Posts that are looked at in one question.
const BATCH: i64 = 500;

/// Changes policies. Where scheduled posts would have to wait for an approval that they do not have
/// it is refused, with their number, unless `take_back` says that they shall.
pub async fn set(
    app: &App,
    workspace: &str,
    change: impl FnOnce(Policies) -> Policies + Send + 'static,
    take_back: bool,
    actor: &str,
) -> Result<Policies, Refusal> {
    let (ws, actor, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let changed = app
        .db
        .write(move |tx| async move {
            let old = accounts::policies(&tx, &ws).await?;
            let new = change(old);
            let wrong = new.wrong();
            if !wrong.is_empty() {
                return Err(Refusal::invalid(wrong));
            }
            if new == old {
                return Ok(new);
            }
            let asks = |p: &Policies| (p.approval, p.approval_self);
            if asks(&new) != asks(&old) && !approval::may_approve(&tx, &ws, &actor).await? {
                return Err(not_theirs());
            }
            accounts::set_policies(&tx, &ws, &new).await?;
            if new.last_stage() > old.last_stage() {
                let concerned = unapproved(&tx, &ws, &new).await?;
                if !concerned.is_empty() && !take_back {
                    return Err(scheduled(concerned.len()));
                }
                for post in concerned {
                    wait(&tx, &post, &new, &actor, now).await?;
                }
            }
            if new.last_stage().is_none() && old.last_stage().is_some() {
                release(&tx, &ws, now).await?;
            }
            let data = json!({ "from": old, "to": new });
            audit::add(&tx, Some(&ws), &actor, "workspace.policies", &ws, &data, now).await?;
            events::add(&tx, &ws, "workspace.policies", &ws, &json!({ "policies": new }), now)
                .await?;
            Ok(new)
        })
        .await?;
    app.ring();
    Ok(changed)
}

/// Whoever could switch it off could approve everything.
fn not_theirs() -> Refusal {
    Refusal::new(
        Kind::Forbidden,
        "may_not_approve",
        "You may not change whose approval posts need.",
        "The owner and admins of the workspace may, and keys that were made with `--may-approve`.",
    )
}

fn scheduled(count: usize) -> Refusal {
    let sentence = match count {
        1 => "1 post is scheduled without such an approval: it is taken back and waits for one."
            .into(),
        n => format!(
            "{n} posts are scheduled without such an approval: they are taken back and wait for one."
        ),
    };
    Refusal::conflict(
        "posts_scheduled",
        sentence,
        "Send it again with `takeBack: true` (`--take-back`) if that is meant.",
    )
}

/// Posts with something in the queue that is not approved under these policies.
async fn unapproved(tx: &Tx, ws: &str, policies: &Policies) -> Result<Vec<Post>, Refusal> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let ids = reviews::queued(tx, ws, &after, BATCH).await?;
        let Some(last) = ids.last() else { return Ok(found) };
        after.clone_from(last);
        for id in &ids {
            let Some(post) = posts::load(tx, id).await? else { continue };
            if !is_approved(tx, &post, policies).await? {
                found.push(post);
            }
        }
    }
}

async fn is_approved(tx: &Tx, post: &Post, policies: &Policies) -> Result<bool, Refusal> {
    let gate = approval::gate_by(tx, policies, &post.id).await?;
    if gate == Gate::Closed {
        return Ok(false);
    }
    let media = media::of_post(tx, &post.id).await?;
    for d in deliveries::of_post(tx, &post.id).await? {
        let media = if d.parent_id.is_none() { media.as_slice() } else { &[] };
        if d.state.active() && !gate.lets(tx, post, media, &d).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes a scheduled post back and asks for what it lacks.
async fn wait(
    tx: &Tx,
    post: &Post,
    policies: &Policies,
    actor: &str,
    now: i64,
) -> Result<(), Refusal> {
    approval::take_back(tx, post, now).await?;
    if reviews::open_of(tx, &post.id).await?.is_some() {
        return Ok(());
    }
    let internal = Policies { approval: Some(Approval::Internal), ..*policies };
    let stage = match is_approved(tx, post, &internal).await? {
        true => Stage::Client,
        false => Stage::Internal,
    };
    approval::ask(tx, post, stage, Some(actor), None, now).await?;
    Ok(())
}

/// Nothing is asked for any more: what waited is a draft again.
async fn release(tx: &Tx, ws: &str, now: i64) -> Result<(), Refusal> {
    loop {
        let ids = reviews::standing(tx, ws, BATCH).await?;
        for id in &ids {
            approval::forget(tx, id, "turned_off", now).await?;
        }
        if (ids.len() as i64) < BATCH {
            break;
        }
    }
    // Nobody has to ask any more, either.
    for kind in [AlertKind::ApprovalLost, AlertKind::ChangesRequested] {
        for alert in alerts::open(tx, kind).await? {
            if alert.workspace_id.as_deref() == Some(ws) {
                alerts::clear(tx, kind, &alert.subject, now).await?;
            }
        }
    }
    let mut after = String::new();
    loop {
        let ids = reviews::held_back(tx, ws, &after, BATCH).await?;
        let Some(last) = ids.last() else { return Ok(()) };
        after.clone_from(last);
        for id in &ids {
            let Some(post) = posts::load(tx, id).await? else { continue };
            publishing::to_draft(tx, &post, now).await?;
            let data = json!({ "postId": id });
            events::add(tx, ws, "post.changed", id, &data, now).await?;
        }
    }
}
