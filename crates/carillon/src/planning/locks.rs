//! Who is editing a post: told to others, never in anybody's way. Of two who save one is told of the
//! other's version, and what was saved before is kept (`publishing/versions.rs`).

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::App;
use crate::db::Tx;
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::publishing::view::known_id;
use crate::store::{audit, events, locks, posts};

/// How long one holds that is not renewed, in ms; pages renew it every 30 s.
const HOLDS: i64 = 90_000;

/// Who else has a post open.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Editors {
    pub others: Vec<Editor>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Editor {
    pub name: String,
    pub since: String,
    /// Unless they renew it by then, they have gone.
    pub until: String,
}

/// Says that somebody has a post open, for 90 seconds or until it is said again; who else has.
pub async fn take(app: &App, workspace: &str, id: &str, actor: &str) -> Result<Editors, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "post")?, app.clock.now());
    let actor = actor.to_owned();
    let (editors, fresh) = app
        .db
        .write(move |tx| async move {
            known(&tx, &ws, &id).await?;
            let fresh = locks::take(&tx, &id, &actor, now + HOLDS, now).await?;
            if fresh {
                tell(&tx, &ws, &id, "lock.taken", now).await?;
            }
            Ok::<_, Refusal>((others(&tx, &ws, &id, &actor, now).await?, fresh))
        })
        .await?;
    if fresh {
        app.ring();
    }
    Ok(editors)
}

/// Who else has it open.
pub async fn show(app: &App, workspace: &str, id: &str, actor: &str) -> Result<Editors, Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "post")?, app.clock.now());
    let actor = actor.to_owned();
    app.db
        .read(move |tx| async move {
            known(&tx, &ws, &id).await?;
            others(&tx, &ws, &id, &actor, now).await
        })
        .await
}

/// They closed it.
pub async fn release(app: &App, workspace: &str, id: &str, actor: &str) -> Result<(), Refusal> {
    let (ws, id, now) = (workspace.to_owned(), known_id(id, "post")?, app.clock.now());
    let actor = actor.to_owned();
    app.db
        .write(move |tx| async move {
            known(&tx, &ws, &id).await?;
            if locks::release(&tx, &id, &actor, now).await? {
                tell(&tx, &ws, &id, "lock.released", now).await?;
            }
            Ok::<_, Refusal>(())
        })
        .await?;
    app.ring();
    Ok(())
}

async fn others(
    tx: &Tx,
    workspace: &str,
    id: &str,
    actor: &str,
    now: i64,
) -> Result<Editors, Refusal> {
    let names = audit::names(tx, workspace).await?;
    let all = locks::of(tx, id, now).await?;
    let others = all.into_iter().filter(|lock| lock.holder != actor);
    let others = others.map(|lock| Editor {
        name: names.get(&lock.holder).cloned().unwrap_or_else(|| "Somebody".to_owned()),
        since: when::iso(lock.since),
        until: when::iso(lock.until),
    });
    Ok(Editors { others: others.collect() })
}

async fn known(tx: &Tx, workspace: &str, id: &str) -> Result<(), Refusal> {
    posts::find(tx, workspace, id).await?.map(drop).ok_or_else(|| Refusal::not_found("post"))
}

async fn tell(tx: &Tx, workspace: &str, id: &str, what: &str, now: i64) -> Result<(), Refusal> {
    Ok(events::add(tx, workspace, what, id, &json!({ "postId": id }), now).await?)
}
