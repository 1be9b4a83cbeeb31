//! What must hold in the end: nothing lost, nothing doubled, nothing forgotten.

use std::time::Duration;

use anyhow::Result;
use carillon::db::{Error, Row};
use carillon::domain::delivery::DeliveryState as State;
use carillon::params;
use carillon::publishing::desk::{self, Answer};
use carillon::store::attempts;
use carillon::store::audit::OPERATOR;
use carillon::store::deliveries::{self, Delivery};

use super::stage::{Run, START};
use super::world::{self, Post};

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
    for id in of {
        let all = load(run, of).await?;
        let Some(d) = all.iter().find(|d| d.id == *id) else { continue };
        if d.state != State::Held || d.intent_at.is_none() {
            continue;
        }
        asked += 1;
        // Of those that look alike one is as good as the other, but for those that are taken.
        let alike = alike(d);
        let taken = |id: &String| all.iter().any(|d| d.remote_id.as_ref() == Some(id));
        let told = all.iter().filter(|o| o.state == State::Published && o.remote_id.is_none());
        let told = told.filter(|o| o.network == d.network && twins(o, d)).count();
        let live = alike.iter().filter(|p| !taken(&p.id)).count() > told;
        let answer = Answer { live, url: None };
        let answered =
            desk::answer(&run.people, &run.stage.workspace, &d.id, answer, OPERATOR).await;
        answered.map_err(|e| anyhow::anyhow!("no answer taken: {}", e.sentence))?;
    }
    Ok(asked)
}

/// What followers see that could be this delivery: its own, and those that look like it.
fn alike(d: &Delivery) -> Vec<Post> {
    world::with(|w| {
        let own = w.visible(&d.send_key);
        let text = own.first().map(|p| p.text.clone());
        let text = text.or_else(|| w.texts.get(&d.id).cloned());
        let network = d.network.clone();
        let like = |p: &&Post| {
            p.network == network && (p.key == d.send_key || Some(&p.text) == text.as_ref())
        };
        w.posts.iter().filter(like).cloned().collect()
    })
}

/// Were these scheduled with the same text?
fn twins(a: &Delivery, b: &Delivery) -> bool {
    a.id == b.id
        || world::with(|w| w.texts.contains_key(&a.id) && w.texts.get(&a.id) == w.texts.get(&b.id))
}

/// Lets everything that is under way arrive.
pub fn arrive(run: &Run<'_>) {
    if world::with(|w| w.pending()) {
        run.clock.advance(Duration::from_secs(300));
        world::with(|w| w.settle());
    }
}

/// Holds every delivery against what followers see; `answered`: people answered questions.
pub async fn check(run: &Run<'_>, of: &[(String, May)], answered: bool) -> Result<Option<Wrong>> {
    let all: Vec<String> = of.iter().map(|(id, _)| id.clone()).collect();
    let all = load(run, &all).await?;
    for (id, may) in of {
        let Some(d) = all.iter().find(|d| d.id == *id) else {
            // An edit takes away what was cancelled and never tried.
            if may.cancel {
                continue;
            }
            return Ok(Some(Wrong::Lost(format!("{id} is gone"))));
        };
        let twins: Vec<&Delivery> =
            all.iter().filter(|o| o.network == d.network && twins(o, d)).collect();
        let wrong = match parent(d, &all) {
            Some(before) => after(d, before, &all, *may, answered),
            None if twins.len() > 1 => among(&twins, *may, answered),
            None => one(d, *may, answered),
        };
        if wrong.is_some() {
            return Ok(wrong);
        }
    }
    let stray =
        world::with(|w| w.posts.iter().find(|p| all.iter().all(|d| d.send_key != p.key)).cloned());
    if let Some(post) = stray {
        return Ok(Some(Wrong::Doubled(format!("sent under another key: {post:?}"))));
    }
    let left = run.people.db.read(|tx| async move {
        tx.row(
            "SELECT count(*) AS n FROM job WHERE state IN ('ready', 'leased') AND kind = 'deliver'",
            params![],
        )
        .await
    });
    let left: Option<Row> = left.await.map_err(|e: Error| e)?;
    if left.map_or(Ok(0), |r| r.int("n"))? > 0 {
        return Ok(Some(Wrong::Lost("a job was left".into())));
    }
    Ok(None)
}

/// Deliveries that look alike: as many posts as there are of them, each taken by one.
fn among(twins: &[&Delivery], may: May, answered: bool) -> Option<Wrong> {
    let seen = alike(twins[0]);
    let what = || {
        format!(
            "{:?} show {seen:?}",
            twins.iter().map(|d| (&d.id, d.state, &d.remote_id)).collect::<Vec<_>>()
        )
    };
    if seen.len() > twins.len() {
        return Some(Wrong::Doubled(what()));
    }
    for d in twins {
        let bound = d.remote_id.as_ref().is_some_and(|id| seen.iter().any(|p| p.id == *id));
        let fine = match d.state {
            State::Published => bound || (answered && d.remote_id.is_none()),
            State::Held => may.ask && !answered && d.intent_at.is_some(),
            _ => false,
        };
        if !fine {
            return Some(Wrong::Lost(what()));
        }
    }
    let published = twins.iter().filter(|d| d.state == State::Published).count();
    (published > seen.len()).then(|| Wrong::Lost(what()))
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

fn parent<'a>(d: &Delivery, all: &'a [Delivery]) -> Option<&'a Delivery> {
    d.parent_id.as_ref().and_then(|id| all.iter().find(|o| o.id == *id))
}

/// A part of a thread or a comment: never before what it follows, and under nothing else.
fn after(
    d: &Delivery,
    before: &Delivery,
    all: &[Delivery],
    may: May,
    answered: bool,
) -> Option<Wrong> {
    let seen = world::with(|w| w.visible(&d.send_key));
    let what = || {
        format!(
            "{} ({}) at {} is {} and shows {seen:?}, after one that is {} as {:?}; {:?}",
            d.id, d.placement, d.network, d.state, before.state, before.remote_id, d.problem
        )
    };
    match (&before.remote_id, before.state) {
        (Some(id), State::Published) => {
            let mut head = before;
            while let Some(next) = parent(head, all) {
                head = next;
            }
            let follows = head.remote_id.clone().map(|root| (root, id.clone()));
            let shown = world::with(|w| w.visible(&before.send_key).first().map(|p| p.at));
            if seen.iter().any(|p| p.follows != follows || shown.is_none_or(|at| p.at < at)) {
                return Some(Wrong::Doubled(format!("out of order: {}", what())));
            }
            one(d, may, answered)
        }
        // A person said that it is there, and not where: nothing can follow it.
        (None, State::Published) => {
            let waits = d.state == State::Failed && seen.is_empty();
            (!waits).then(|| Wrong::Doubled(what()))
        }
        _ => {
            let waits = d.waits_for_parent() && seen.is_empty();
            (!waits).then(|| Wrong::Doubled(format!("it did not wait: {}", what())))
        }
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

/// The journal of a delivery, a line each: for a person who looks into a failure.
pub async fn journal(run: &Run<'_>, id: &str) -> Result<String> {
    let of = id.to_owned();
    let workspace = run.stage.workspace.clone();
    let lines =
        run.people.db.read(move |tx| async move { attempts::of(&tx, &workspace, &of).await });
    let lines: Vec<attempts::Attempt> = lines.await.map_err(|e: Error| e)?;
    let say = |a: &attempts::Attempt| {
        let why = a.error.as_ref().map_or("", |p| &p.sentence);
        let (at, end) = (a.started_at - START, a.finished_at.map_or(-1, |f| f - START));
        format!("  {at:>9}..{end:<9} fence {} {} {:?} {why}", a.fence, a.step, a.outcome)
    };
    Ok(lines.iter().map(say).collect::<Vec<_>>().join("\n"))
}
