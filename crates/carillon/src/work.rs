//! Which function each kind of job is: the one place where the queue meets the work.

use anyhow::Result;

use crate::App;
use crate::domain::job::{Claim, Kind};
use crate::queue::Verdict;
use crate::{media, planning, publishing, watch};

pub async fn run(app: &App, claim: &Claim) -> Result<Verdict> {
    match claim.kind {
        Kind::Deliver => {
            publishing::deliver::deliver(app, claim).await?;
            return Ok(Verdict::Settled);
        }
        Kind::Derive => media::derive::derive(app, &claim.subject).await?,
        Kind::Transcode => Box::pin(media::video::renditions::make(app, claim)).await?,
        Kind::Sweep => {
            publishing::sweep::sweep(app, false).await?;
        }
        Kind::Preflight => publishing::preflight::find(app).await?,
        Kind::Tokens => publishing::tokens::find(app).await?,
        Kind::Renew => Box::pin(publishing::tokens::renew_now(app, &claim.subject)).await?,
        Kind::Check => publishing::preflight::check(app, &claim.subject).await?,
        Kind::MediaNet => {
            media::derive::safety_net(app).await?;
            media::uploads::sweep(app).await?;
            media::trash::sweep(app).await?;
            media::finding::index_all(app).await?;
            media::usage::watch(app).await?;
        }
        Kind::Materialise => {
            planning::materialise::run(app, None).await?;
        }
        Kind::Feeds => Box::pin(planning::feeds::poll_due(app)).await?,
        Kind::Prune => {
            publishing::trash::sweep(app).await?;
            watch::prune::prune(app).await?;
        }
    }
    Ok(Verdict::Done)
}

/// A job is about to be dead. Work that somebody waits for says so where they look: `true` when it
/// has done so, and ended or put back its job itself.
pub async fn gave_up(app: &App, claim: &Claim, error: &str) -> bool {
    match claim.kind {
        Kind::Deliver => match publishing::deliver::gave_up(app, claim, error).await {
            Ok(()) => true,
            Err(e) => {
                // The lease runs out, and it is tried again.
                tracing::error!(job_id = %claim.id, error = %format!("{e:#}"), "a delivery could not be given up");
                true
            }
        },
        Kind::Transcode => {
            if let Err(e) = media::video::renditions::gave_up(app, claim, error).await {
                // It stays as it is, and the next sweep gives it another job.
                tracing::error!(job_id = %claim.id, error = %format!("{e:#}"), "a rendition could not be given up");
            }
            false
        }
        _ => false,
    }
}
