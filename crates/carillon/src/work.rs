//! Which function each kind of job is: the one place where the queue meets the work.

use anyhow::Result;

use crate::App;
use crate::domain::job::{Claim, Kind};
use crate::queue::Verdict;
use crate::{media, publishing, watch};

pub async fn run(app: &App, claim: &Claim) -> Result<Verdict> {
    match claim.kind {
        Kind::Deliver => {
            publishing::deliver::deliver(app, claim).await?;
            return Ok(Verdict::Settled);
        }
        Kind::Derive => media::derive::derive(app, &claim.subject).await?,
        Kind::Sweep => {
            publishing::sweep::sweep(app, false).await?;
        }
        Kind::MediaNet => {
            media::derive::safety_net(app).await?;
        }
        Kind::Prune => watch::prune::prune(app).await?,
    }
    Ok(Verdict::Done)
}
