//! What the media of a workspace take, and how much they may: `CARILLON_MEDIA_QUOTA`.

use serde::Serialize;
use utoipa::ToSchema;

use super::intake::size;
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind as No, Refusal};
use crate::store::{accounts, alerts, stock};

/// What media take, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    /// How many there are.
    pub media: i64,
    pub pictures: i64,
    pub videos: i64,
    /// What was made of them for networks and to be shown.
    pub renditions: i64,
    /// Files that another took the place of.
    pub versions: i64,
    /// All of what can be restored still.
    pub trash: i64,
    pub total: i64,
    /// How many there may be; `null`: as many as there is room for.
    pub quota: Option<u64>,
}

pub async fn usage(app: &App, workspace: &str) -> Result<UsageView, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    let stock = app.db.read(move |tx| async move { stock::stock(&tx, &ws, now).await }).await?;
    Ok(UsageView {
        media: stock.media,
        pictures: stock.pictures,
        videos: stock.videos,
        renditions: stock.renditions,
        versions: stock.versions,
        trash: stock.trash,
        total: stock.bytes(),
        quota: quota(app),
    })
}

fn quota(app: &App) -> Option<u64> {
    Some(app.config.media.quota_bytes).filter(|quota| *quota > 0)
}

/// What may still come: bytes beyond what is there and what is announced; `None`: anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room(Option<u64>);

pub(super) async fn room(app: &App, workspace: &str) -> Result<Room, Refusal> {
    let Some(quota) = quota(app) else { return Ok(Room(None)) };
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    let stock = app.db.read(move |tx| async move { stock::stock(&tx, &ws, now).await }).await?;
    let taken = (stock.bytes() + stock.uploads).unsigned_abs();
    Ok(Room(Some(quota.saturating_sub(taken))))
}

impl Room {
    /// Refuses a file of so many bytes that there is no room for.
    pub(super) fn holds(self, app: &App, bytes: u64) -> Result<(), Refusal> {
        match self.0 {
            Some(left) if bytes > left => {
                let quota = size(app.config.media.quota_bytes);
                let sentence = format!(
                    "The media of this workspace may take {quota}, and {} of it are left.",
                    size(left)
                );
                let fix = "Delete what is not needed any more and empty the trash, or have whoever \
                           runs this installation raise the setting `CARILLON_MEDIA_QUOTA`.";
                Err(Refusal::new(No::TooLarge, "media_quota", sentence, fix))
            }
            _ => Ok(()),
        }
    }
}

/// Percent of the quota from which on people are told.
const NEAR: u128 = 80;

/// Tells, once each, when a workspace comes near its quota and when it is used up, and when that is
/// over.
pub async fn watch(app: &App) -> Result<(), Error> {
    let (quota, now) = (quota(app), app.clock.now());
    app.db
        .write(move |tx| async move {
            for workspace in accounts::workspaces(&tx).await? {
                judge(&tx, &workspace.id, quota, now).await?;
            }
            Ok(())
        })
        .await
}

/// The same of one where something has come or gone. What fails is made good by the next sweep.
pub(super) async fn watch_one(app: &App, workspace: &str) {
    let Some(quota) = quota(app) else { return };
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    let judged = app.db.write(move |tx| async move { judge(&tx, &ws, Some(quota), now).await });
    if let Err(e) = judged.await {
        tracing::warn!(error = %e, "nobody was told how much of the quota is used");
    }
}

async fn judge(tx: &Tx, workspace: &str, quota: Option<u64>, now: i64) -> Result<(), Error> {
    let taken = match quota {
        Some(_) => stock::stock(tx, workspace, now).await?.bytes().unsigned_abs(),
        None => 0,
    };
    let reached = |percent| quota.filter(|quota| used(taken, *quota) >= percent);
    for (kind, percent) in [(AlertKind::MediaQuotaNear, NEAR), (AlertKind::MediaQuotaFull, 100)] {
        if let Some(quota) = reached(percent) {
            let problem = near(taken, quota);
            alerts::raise(tx, Some(workspace), kind, workspace, &problem, now).await?;
        } else {
            alerts::clear(tx, kind, workspace, now).await?;
        }
    }
    Ok(())
}

/// Percent of the quota.
fn used(taken: u64, quota: u64) -> u128 {
    u128::from(taken) * 100 / u128::from(quota)
}

fn near(taken: u64, quota: u64) -> Problem {
    let (taken_of, percent) = (size(taken), used(taken, quota));
    let says =
        format!("The media take {taken_of} of the {} that they may: {percent} %.", size(quota));
    let next = "Clean the library up, or have whoever runs this installation raise \
                CARILLON_MEDIA_QUOTA: uploads beyond it are refused.";
    Problem::new("media", says, "clean_media", next)
}
