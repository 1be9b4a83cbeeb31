//! An import taken back: what is still as it was imported goes, the rest stays and is told.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::seen::{ImportView, show};
use crate::App;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState;
use crate::domain::refusal::Refusal;
use crate::publishing::schedule;
use crate::publishing::view::known_id;
use crate::store::{audit, deliveries, events, imports, posts};

/// Posts deleted in one transaction.
const BATCH: usize = 50;

/// What undoing an import did.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    pub import: ImportView,
    /// Posts that were deleted.
    pub deleted: usize,
    /// Posts that were deleted before.
    pub gone: usize,
    pub kept: Vec<Kept>,
}

/// A post that stays.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ImportKept)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub line: i64,
    pub post_id: String,
    /// Why.
    pub sentence: String,
}

enum Fate {
    Deleted,
    Gone,
    Kept(&'static str),
}

/// Deletes what an import made, as far as nobody has touched it and nothing of it went out.
pub async fn undo(app: &App, workspace: &str, id: &str, actor: &str) -> Result<Undone, Refusal> {
    let (ws, of, now) = (workspace.to_owned(), known_id(id, "import")?, app.clock.now());
    let rows = app
        .db
        .write(move |tx| async move {
            let Some(i) = imports::find(&tx, &ws, &of).await? else {
                return Err(Refusal::not_found("import"));
            };
            if !imports::undone(&tx, &i.id, now).await? {
                let fix = "There is nothing more to take back.";
                return Err(Refusal::conflict("undone", "The import was undone before.", fix));
            }
            Ok(imports::rows(&tx, &i.id).await?)
        })
        .await?;
    let made: Vec<(i64, String)> =
        rows.into_iter().filter_map(|r| Some((r.line, r.post_id?))).collect();
    let (mut deleted, mut gone, mut kept) = (0, 0, Vec::new());
    for batch in made.chunks(BATCH) {
        let (ws, batch, by) = (workspace.to_owned(), batch.to_vec(), actor.to_owned());
        let fates = app
            .db
            .write(move |tx| async move {
                let mut fates = Vec::with_capacity(batch.len());
                for (line, post) in batch {
                    let fate = take_back(&tx, &ws, &post, &by, now).await?;
                    fates.push((line, post, fate));
                }
                Ok::<_, Refusal>(fates)
            })
            .await?;
        for (line, post_id, fate) in fates {
            match fate {
                Fate::Deleted => deleted += 1,
                Fate::Gone => gone += 1,
                Fate::Kept(why) => kept.push(Kept { line, post_id, sentence: why.to_owned() }),
            }
        }
    }
    let (ws, of, by) = (workspace.to_owned(), id.to_owned(), actor.to_owned());
    let data = json!({ "deleted": deleted, "gone": gone, "kept": kept.len() });
    app.db
        .write(move |tx| async move {
            audit::add(&tx, Some(&ws), &by, "import.undone", &of, &data, now).await?;
            events::add(&tx, &ws, "import.undone", &of, &data, now).await
        })
        .await?;
    app.ring();
    Ok(Undone { import: show(app, workspace, id).await?, deleted, gone, kept })
}

async fn take_back(
    tx: &Tx,
    workspace: &str,
    id: &str,
    by: &str,
    now: i64,
) -> Result<Fate, Refusal> {
    let Some(post) = posts::find(tx, workspace, id).await? else { return Ok(Fate::Gone) };
    let all = deliveries::of_post(tx, id).await?;
    use DeliveryState::{Cancelled, Draft, Queued};
    if all.iter().any(|d| d.intent_at.is_some() || !matches!(d.state, Draft | Queued | Cancelled)) {
        return Ok(Fate::Kept("It went out, or was about to."));
    }
    if post.version != 1 {
        return Ok(Fate::Kept("Somebody changed it after the import."));
    }
    schedule::delete_in(tx, &post, Some(by), now).await?;
    Ok(Fate::Deleted)
}
