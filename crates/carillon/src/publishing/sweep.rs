//! Frees work whose worker died, and says at once what is in doubt.

use super::settle;
use crate::db::Error;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::Kind;
use crate::store::deliveries::Moved;
use crate::store::{attempts, deliveries, queue};
use crate::{App, bugs};

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swept {
    /// Jobs whose lease had ended.
    pub freed: usize,
    /// Deliveries among them that may have been sent: they are looked up now.
    pub unknown: usize,
    /// Lanes whose next time was wrong.
    pub repaired: u64,
}

/// Frees expired leases; with `everybody` all of them, for a process that knows it is alone (the
/// start of a server on SQLite).
pub async fn sweep(app: &App, everybody: bool) -> Result<Swept, Error> {
    let now = app.clock.now();
    let mut swept = Swept::default();
    loop {
        let config = app.config.publishing.clone();
        let (freed, unknown, repaired) = app
            .db
            .write(move |tx| async move {
                let freed = queue::free(&tx, now, everybody).await?;
                let mut unknown = 0;
                for claim in freed.iter().filter(|c| c.kind == Kind::Deliver) {
                    let Some(d) = deliveries::load(&tx, &claim.subject).await? else { continue };
                    if d.state != State::Sending || bugs::on("sending sent again") {
                        continue;
                    }
                    // Not before the network had the time to finish what it was sent.
                    let at = settle::look_at(&config, d.intent_at.unwrap_or(now), 0).unwrap_or(now);
                    queue::move_to(&tx, &d.id, &claim.lane, at.max(now)).await?;
                    attempts::close_open(&tx, &d.id, "unknown", now).await?;
                    let problem = super::account::problem(&settle::died());
                    let moved = Moved {
                        problem: Some(&problem),
                        looks: 0,
                        next_attempt_at: Some(at.max(now)),
                        ..Moved::from(&d)
                    };
                    deliveries::go(&tx, &d.id, State::Sending, State::Unknown, &moved, now).await?;
                    super::outcome::announce(&tx, &d, State::Unknown, None, now).await?;
                    unknown += 1;
                }
                let repaired = queue::repair(&tx).await?;
                Ok::<_, Error>((freed.len(), unknown, repaired))
            })
            .await?;
        swept.freed += freed;
        swept.unknown += unknown;
        swept.repaired += repaired;
        if freed < 1000 {
            break;
        }
    }
    if swept != Swept::default() {
        tracing::info!(
            freed = swept.freed,
            unknown = swept.unknown,
            repaired = swept.repaired,
            "swept"
        );
        app.ring();
    }
    Ok(swept)
}
