//! The intent: the fenced promise, on disk, that the visible call comes next.
//!
//! Intents of several deliveries share a unit of work. Each is refused by itself, before anything
//! of it is written: its claim was lost, it is not approved, its budget is spent, a cancel came
//! first.

use std::sync::Arc;

use carillon_networks::spec::Placement;
use carillon_networks::{Rendition, Spec};
use sha2::{Digest, Sha256};

use super::budget;
use super::load::Work;
use super::outcome::{self, Lost};
use crate::App;
use crate::approval;
use crate::db::Tx;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::job::Claim;
use crate::domain::review::Stage;
use crate::store::attempts::{self, Begun};
use crate::store::deliveries::{self, Delivery};
use crate::store::{events, queue};

#[derive(Clone)]
struct Promise {
    /// The journal line that it begins.
    line: String,
    claim: Claim,
    delivery: Delivery,
    spec: &'static Spec,
    placement: &'static Placement,
    /// Where an approval is needed: the stage that gives it, and what is to be sent, as a hash.
    content: Option<(Stage, String)>,
    request_hash: String,
}

/// Commits the intent, which begins this line of the journal: the end of the lease, ms UTC; `None`
/// when a cancel was wished, or approvals are asked for since a moment.
pub(super) async fn commit(
    app: &App,
    claim: &Claim,
    work: &Work,
    out: &Rendition,
    line: &str,
) -> Committed {
    let promise = Promise {
        line: line.to_owned(),
        claim: claim.clone(),
        delivery: work.delivery.clone(),
        spec: work.network.spec(),
        placement: work.placement,
        content: work.policies.last_stage().zip(work.content.as_ref().map(|(c, _)| c.clone())),
        request_hash: request_hash(out),
    };
    let app_ = app.clone();
    let unit = move |tx: Tx, promises: Arc<[Promise]>| {
        let app = app_.clone();
        async move { write(&tx, &app, &promises).await }
    };
    let committed = app.db.write_together(promise, unit).await;
    app.news.notify_waiters();
    committed
}

type Committed = Result<Option<i64>, Lost>;

async fn write(tx: &Tx, app: &App, promises: &[Promise]) -> Result<Vec<Committed>, Lost> {
    let now = app.clock.now();
    let lease = app.config.queue.lease.as_millis() as i64;
    let claims: Vec<&Claim> = promises.iter().map(|p| &p.claim).collect();
    // A claim of this moment has most of its lease before it.
    let held = queue::hold_each(tx, &claims, now + lease * 3 / 4, now + lease).await?;
    let mut answers: Vec<Committed> = Vec::with_capacity(promises.len());
    for (p, held) in promises.iter().zip(held) {
        let config = &app.config.publishing;
        let Some(lease_until) = held else {
            answers.push(Err(Lost::Stale));
            continue;
        };
        if let Some((stage, content)) = &p.content
            && !approval::given(tx, *stage, &p.delivery, content).await?
        {
            answers.push(Err(Lost::NotApproved));
            continue;
        }
        let connection = &p.delivery.connection_id;
        let spent = budget::spend(tx, config, p.spec, p.placement, connection, now).await?;
        answers.push(match spent {
            Some(at) => Err(Lost::Spent(at)),
            None => Ok(Some(lease_until)),
        });
    }
    let mut going: Vec<(&Promise, &mut Committed)> =
        promises.iter().zip(&mut answers).filter(|(_, a)| a.is_ok()).collect();
    let moves: Vec<_> = going
        .iter()
        .map(|(p, _)| (p.delivery.id.as_str(), p.delivery.state, p.content.is_some()))
        .collect();
    let moved = deliveries::intend_each(tx, &moves, now).await?;
    let (mut lines, mut news) = (Vec::new(), Vec::new());
    for ((p, answer), moved) in going.iter_mut().zip(moved) {
        let d = &p.delivery;
        if !moved {
            let config = &app.config.publishing;
            budget::refund(tx, config, p.spec, p.placement, &d.connection_id).await?;
            **answer = Ok(None);
            continue;
        }
        let begun = Begun {
            id: &p.line,
            workspace_id: &d.workspace_id,
            delivery_id: &d.id,
            fence: p.claim.fence,
            step: "publish",
            request_hash: Some(&p.request_hash),
        };
        lines.push((begun, now));
        news.push(outcome::news(d, State::Sending, None));
    }
    attempts::begin_each(tx, &lines).await?;
    events::add_each(tx, &news, now).await?;
    drop(lines);
    Ok(answers)
}

/// What was sent, as a hash: two tries of one delivery can be compared.
fn request_hash(out: &Rendition) -> String {
    let mut hash = Sha256::new();
    for part in [&out.placement, &out.text, out.title.as_ref().unwrap_or(&String::new()), &out.key]
    {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    if let Some(to) = &out.reply_to {
        hash.update(to.parent.id.as_bytes());
    }
    for (key, answer) in &out.extra {
        hash.update(format!("{}={key}={answer}", answer.len()));
    }
    for m in &out.media {
        hash.update(Sha256::digest(&m.data));
    }
    hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
}
