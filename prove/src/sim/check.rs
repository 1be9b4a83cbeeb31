//! What must hold in the end: nothing lost, nothing doubled, nothing forgotten.

use std::time::Duration;

use anyhow::Result;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::params;
use carillon::publishing::schedule::{self, Answer};
use carillon::store::deliveries::{self, Delivery};

use super::stage::Run;
use super::world;

/// How a delivery may end besides being published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct May {
    /// A person is asked whether it is live.
    pub ask: bool,
    pub fail: bool,
    /// Somebody cancelled it, and was told that it is cancelled.
    pub cancelled: bool,
    /// Somebody may have cancelled it.
    pub cancel: bool,
    /// Held or missed because its moment passed.
    pub late: bool,
}

/// What is wrong, by its weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    Lost(String),
    Doubled(String),
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wrong::Lost(why) => write!(f, "lost: {why}"),
            Wrong::Doubled(why) => write!(f, "doubled: {why}"),
        }
    }
}

/// Answers every question truthfully; how many there were.
pub async fn answer_all(run: &Run<'_>, of: &[String]) -> Result<u64> {
    let mut asked = 0;
    for d in load(run, of).await? {
        if d.state != State::Held || d.intent_at.is_none() {
            continue;
        }
        asked += 1;
        let seen = world::with(|w| w.visible(&d.send_key));
        let answer = Answer { live: !seen.is_empty(), url: None };
        let answered = schedule::answer(&run.people, &run.stage.workspace, &d.id, answer).await;
        answered.map_err(|e| anyhow::anyhow!("no answer taken: {}", e.sentence))?;
    }
    Ok(asked)
}

/// Lets everything that is under way arrive.
pub fn arrive(run: &Run<'_>) {
    if world::with(|w| w.pending()) {
        run.clock.advance(Duration::from_secs(300));
        world::with(|w| w.settle());
    }
}

/// Holds every delivery against what followers see; `asked` were answered by a person.
pub async fn check(run: &Run<'_>, of: &[(String, May)], answered: bool) -> Result<Option<Wrong>> {
    let all: Vec<String> = of.iter().map(|(id, _)| id.clone()).collect();
    for (d, (_, may)) in load(run, &all).await?.iter().zip(of) {
        if let Some(wrong) = one(d, *may, answered) {
            return Ok(Some(wrong));
        }
    }
    let left = run.people.db.read(|tx| async move {
        tx.row(
            "SELECT count(*) AS n FROM job WHERE state IN ('ready', 'leased') AND kind = 'deliver'",
            params![],
        )
        .await
    });
    let left: Option<carillon::db::Row> = left.await.map_err(|e: Error| e)?;
    if left.map_or(Ok(0), |r| r.int("n"))? > 0 {
        return Ok(Some(Wrong::Lost("a job was left".into())));
    }
    Ok(None)
}

fn one(d: &Delivery, may: May, answered: bool) -> Option<Wrong> {
    let seen = world::with(|w| w.visible(&d.send_key));
    let what =
        || format!("{} at {} is {} and shows {seen:?}; {:?}", d.id, d.network, d.state, d.problem);
    if seen.len() > 1 {
        return Some(Wrong::Doubled(what()));
    }
    if may.cancelled && !seen.is_empty() {
        return Some(Wrong::Doubled(format!("cancelled and sent: {}", what())));
    }
    let lost = || Some(Wrong::Lost(what()));
    let question = d.state == State::Held && d.intent_at.is_some();
    match d.state {
        State::Published => match (seen.first(), &d.remote_id) {
            (Some(post), Some(id)) if post.id == *id => None,
            // A person's word comes without an id.
            (Some(_), None) if answered => None,
            _ => lost(),
        },
        State::Failed if may.fail && seen.is_empty() => None,
        State::Cancelled if (may.cancel || may.cancelled) && seen.is_empty() => None,
        State::Held if question && may.ask && !answered => None,
        State::Held if !question && may.late && seen.is_empty() => None,
        State::Missed if may.late && seen.is_empty() => None,
        _ => lost(),
    }
}

pub async fn load(run: &Run<'_>, of: &[String]) -> Result<Vec<Delivery>> {
    let of = of.to_vec();
    let found = run.people.db.read(move |tx| async move {
        let mut found = Vec::new();
        for id in &of {
            found.extend(deliveries::load(&tx, id).await?);
        }
        Ok::<_, Error>(found)
    });
    Ok(found.await?)
}
