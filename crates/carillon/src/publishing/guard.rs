//! The guard against what nobody means to do: the same content twice to one connection, or two
//! posts of it close together. Both are refused unless they are allowed, with the next free time.
//!
//! Deliveries of one post never stand in each other's way (feed and story of one account), and an
//! edit is asked only about what it changes. slots.rs finds the free times.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::plan::Plan;
use super::slots::{HORIZON, first_free};
use crate::config::Publishing;
use crate::db::{Error, Tx};
use crate::domain::delivery::DeliveryState as State;
use crate::domain::policy::Policies;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::store::accounts;
use crate::store::connections::{self, Connection};
use crate::store::deliveries::Delivery;
use crate::store::guards::{self, Other};

/// Something that speaks against a time or a content, and can be allowed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// `deliveries[0].scheduledAt`
    pub field: String,
    /// `collision`, `duplicate`; `needs_action`, `paused` cannot be allowed but pass by themselves.
    pub code: String,
    pub message: String,
    pub connection_id: String,
    /// The other post.
    pub post_id: Option<String>,
    /// The next time that is free, ISO 8601 UTC.
    pub suggested_at: Option<String>,
}

/// What is close together, in ms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub duplicate: i64,
    pub collision: i64,
}

/// One delivery at the time asked for.
pub(super) struct Asked {
    pub position: usize,
    pub connection: Connection,
    pub at: i64,
    pub hash: Option<String>,
    /// Is there something to ask about its time, its content?
    pub time: bool,
    pub content: bool,
}

/// The content of a delivery, so that the same one is known again: letters count alike whatever
/// their case, and so does every white space.
pub(super) fn content_hash(text: &str, media: &[String]) -> String {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    let mut hash = Sha256::new();
    hash.update(words.join(" "));
    for id in media {
        hash.update([0]);
        hash.update(id);
    }
    hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect()
}

/// What counts as close in this workspace.
pub(super) async fn windows(
    tx: &Tx,
    config: &Publishing,
    workspace: &str,
) -> Result<Windows, Error> {
    Ok(Windows::of(&accounts::policies(tx, workspace).await?, config))
}

impl Windows {
    fn of(policies: &Policies, config: &Publishing) -> Self {
        let ms = |d: Duration| d.as_millis() as i64;
        Self {
            duplicate: ms(policies.duplicate(config.duplicate)),
            collision: ms(policies.collision(config.collision)),
        }
    }

    /// Without what the caller allows.
    pub(super) fn allowing(self, duplicate: bool, collision: bool) -> Self {
        Self {
            duplicate: if duplicate { 0 } else { self.duplicate },
            collision: if collision { 0 } else { self.collision },
        }
    }
}

/// What a plan asks about; `olds` are the deliveries of the post being edited.
pub(super) fn asked(plan: &Plan, olds: &[Delivery]) -> Vec<Asked> {
    let asks = plan.deliveries.iter().filter_map(|p| {
        let at = p.at?;
        let old = olds.iter().find(|d| {
            d.connection_id == p.connection.id
                && d.placement == p.placement.id
                && d.state != State::Removed
        });
        // What is live or under way stays as it is, whatever the edit says.
        if old.is_some_and(|d| !d.open()) {
            return None;
        }
        let kept = old.filter(|d| d.state == State::Queued);
        let time = kept.is_none_or(|d| d.scheduled_at != Some(at));
        let content = kept.is_none_or(|d| d.content_hash.as_deref() != Some(&p.content_hash));
        Some(Asked {
            position: p.position,
            connection: p.connection.clone(),
            at,
            hash: Some(p.content_hash.clone()),
            time,
            content: content || time,
        })
    });
    asks.collect()
}

/// What a move asks about: deliveries at the times that they would have.
pub(super) async fn moved(tx: &Tx, open: &[Delivery]) -> Result<Vec<Asked>, Error> {
    let mut asked = Vec::new();
    for d in open {
        let Some(connection) = connections::load(tx, &d.connection_id).await? else { continue };
        let Some(at) = d.scheduled_at else { continue };
        let (position, hash) = (d.position as usize, d.content_hash.clone());
        asked.push(Asked { position, connection, at, hash, time: true, content: true });
    }
    Ok(asked)
}

/// Connections of a plan that send nothing now.
pub(super) async fn standing(tx: &Tx, plan: &Plan) -> Result<Vec<Warning>, Error> {
    let mut warnings = Vec::new();
    for p in &plan.deliveries {
        let c = &p.connection;
        let (code, message) = if let Some(problem) = &c.problem {
            let message = format!("{} needs its owner first: {}", c.name, problem.sentence);
            ("needs_action", message)
        } else if guards::gate(tx, &c.lane()).await?.is_some_and(|g| g.paused) {
            ("paused", format!("{} is paused: the post waits until it is resumed.", c.name))
        } else {
            continue;
        };
        warnings.push(Warning {
            field: format!("{}connectionId", field(p.position)),
            code: code.to_owned(),
            message,
            connection_id: c.id.clone(),
            post_id: None,
            suggested_at: None,
        });
    }
    Ok(warnings)
}

/// Refuses what stands too close to other posts than `but`.
pub(super) async fn refuse(
    tx: &Tx,
    windows: Windows,
    asked: &[Asked],
    but: &str,
    zone: &str,
    now: i64,
) -> Result<(), Refusal> {
    let concerned = |a: &&Asked| {
        a.time && windows.collision > 0 || a.content && a.hash.is_some() && windows.duplicate > 0
    };
    let connections = asked.iter().filter(concerned).map(|a| a.connection.id.as_str());
    guards::take_turns(tx, &connections.collect()).await?;
    let found = warnings(tx, windows, asked, but, zone, now).await?;
    let Some(first) = found.first() else { return Ok(()) };
    let allow: Vec<&str> = [
        ("duplicate", "`allowDuplicate` (`--allow-duplicate`)"),
        ("collision", "`allowCollision` (`--allow-collision`)"),
    ]
    .into_iter()
    .filter(|(code, _)| found.iter().any(|w| w.code == *code))
    .map(|(_, flag)| flag)
    .collect();
    let shift = shift(tx, windows, asked, but).await?;
    let base = asked.iter().find(|a| a.position == 0).or(asked.first());
    let suggested = base.zip(shift).map(|(base, shift)| base.at + shift);
    let allow = allow.join(" and ");
    let fix = match suggested {
        Some(at) => format!(
            "Choose {} ({zone}), the next free time, or allow it with {allow}.",
            when::local(at, zone)
        ),
        None => format!("Choose another time, or allow it with {allow}."),
    };
    let problems = found
        .iter()
        .map(|w| Wrong::new(&w.field, &w.code, &w.message).at(&w.connection_id))
        .collect();
    Err(Refusal {
        problems,
        suggested_at: suggested,
        ..Refusal::conflict(&first.code, &first.message, fix)
    })
}

/// Everything that stands too close, duplicates first.
pub(super) async fn warnings(
    tx: &Tx,
    windows: Windows,
    asked: &[Asked],
    but: &str,
    zone: &str,
    now: i64,
) -> Result<Vec<Warning>, Error> {
    let (mut same, mut near) = (Vec::new(), Vec::new());
    for a in asked {
        let id = &a.connection.id;
        if let Some(hash) = a.hash.as_deref().filter(|_| a.content && windows.duplicate > 0) {
            let (from, to) = (a.at - windows.duplicate, a.at + windows.duplicate);
            let found = guards::same(tx, id, hash, from, to, but).await?;
            same.extend(closest(found, a.at).map(|other| duplicate(a, &other, zone, now)));
        }
        if a.time && windows.collision > 0 {
            let (from, to) = (a.at - windows.collision, a.at + windows.collision);
            let found = guards::near(tx, id, from, to, but).await?;
            near.extend(closest(found, a.at).map(|other| collision(a, &other, zone)));
        }
    }
    same.append(&mut near);
    if !same.is_empty() {
        let shift = shift(tx, windows, asked, but).await?;
        for w in &mut same {
            let of = asked.iter().find(|a| w.field.starts_with(&field(a.position)));
            w.suggested_at = of.zip(shift).map(|(a, shift)| when::iso(a.at + shift));
        }
    }
    Ok(same)
}

fn closest(found: Vec<Other>, at: i64) -> Option<Other> {
    found.into_iter().min_by_key(|o| (o.scheduled_at - at).abs())
}

fn field(position: usize) -> String {
    format!("deliveries[{position}].")
}

fn duplicate(a: &Asked, other: &Other, zone: &str, now: i64) -> Warning {
    let went = if other.scheduled_at <= now { "went" } else { "goes" };
    let at = when::local(other.scheduled_at, zone);
    let name = &a.connection.name;
    let message = format!("The same content {went} to {name} at {at}: “{}”.", excerpt(&other.text));
    warning(a, "text", "duplicate", message, other)
}

fn collision(a: &Asked, other: &Other, zone: &str) -> Warning {
    let minutes = (other.scheduled_at - a.at) / 60_000;
    let apart = match minutes {
        0 => "at the same time".to_owned(),
        m if m < 0 => format!("{} min earlier", -m),
        m => format!("{m} min later"),
    };
    let at = when::local(other.scheduled_at, zone);
    let name = &a.connection.name;
    let message =
        format!("Another post to {name} is due {apart}, at {at}: “{}”.", excerpt(&other.text));
    warning(a, "scheduledAt", "collision", message, other)
}

fn warning(a: &Asked, part: &str, code: &str, message: String, other: &Other) -> Warning {
    Warning {
        field: format!("{}{part}", field(a.position)),
        code: code.to_owned(),
        message,
        connection_id: a.connection.id.clone(),
        post_id: Some(other.post_id.clone()),
        suggested_at: None,
    }
}

/// The first words of a text.
pub(super) fn excerpt(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    if line.chars().count() <= 60 {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(59).collect::<String>().trim_end())
}

/// By how much everything asked for has to move on, as a whole, to stand in nobody's way.
async fn shift(
    tx: &Tx,
    windows: Windows,
    asked: &[Asked],
    but: &str,
) -> Result<Option<i64>, Error> {
    let mut all = Vec::new();
    for a in asked {
        let id = &a.connection.id;
        let mut spans = Vec::new();
        if windows.collision > 0 {
            let (from, to) = (a.at - windows.collision, a.at + HORIZON);
            let taken = guards::taken(tx, id, from, to, but).await?;
            spans.extend(taken.into_iter().map(|t| (t, windows.collision)));
        }
        if let Some(hash) = a.hash.as_deref().filter(|_| windows.duplicate > 0) {
            let (from, to) = (a.at - windows.duplicate, a.at + HORIZON);
            let found = guards::same(tx, id, hash, from, to, but).await?;
            spans.extend(found.into_iter().map(|o| (o.scheduled_at, windows.duplicate)));
        }
        all.push((a.at, spans));
    }
    Ok(first_free(&all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_known_again() {
        let hash = |t: &str| content_hash(t, &[]);
        assert_eq!(hash("Doors open\nat  seven. "), hash("doors open at Seven."));
        assert_ne!(hash("Doors open at seven."), hash("Doors open at eight."));
        let with = content_hash("Doors", &["a".into(), "b".into()]);
        assert_ne!(with, content_hash("Doors", &["b".into(), "a".into()]), "the order is content");
        assert_ne!(with, content_hash("Doors", &[]));
    }

    #[test]
    fn a_long_text_is_told_by_its_first_words() {
        assert_eq!(excerpt("\n Quiz night \nat eight"), "Quiz night");
        assert!(excerpt(&"word ".repeat(30)).ends_with('…'));
    }
}
