//! A workspace's posts as a calendar that other programs subscribe to (RFC 5545), under a secret
//! address: whoever has it reads, so it can be renewed and switched off.

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::App;
use crate::db::{Error, Tx};
use crate::domain::post::PostState;
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::identity::door;
use crate::publishing::view::{self, PostView, Query};
use crate::store::calendar_links::{self, CalendarLink};
use crate::store::{accounts, audit, events};

const DAY: i64 = 86_400_000;
/// What is shown: so long back and so far ahead, in ms.
const BACK: i64 = 90 * DAY;
const AHEAD: i64 = 365 * DAY;
/// A post's place in a calendar, in minutes: it has no length of its own.
const MINUTES: i64 = 15;
/// Octets of a line before it is folded.
const LINE: usize = 75;

/// Whether a calendar can be subscribed to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalendarLinkView {
    pub on: bool,
    /// The address; told once, when it is made.
    #[schema(example = "https://carillon.example/cal/cal_….ics")]
    pub url: Option<String>,
    /// Does it show drafts that have a time?
    pub drafts: bool,
    pub created_at: Option<String>,
    /// When somebody last read it, to the hour.
    pub read_at: Option<String>,
}

/// A calendar as it is sent.
#[derive(Debug, Clone)]
pub struct Calendar {
    pub text: String,
    /// Changes with what it says.
    pub etag: String,
}

pub async fn show(app: &App, workspace: &str) -> Result<CalendarLinkView, Refusal> {
    let ws = workspace.to_owned();
    let link = app.db.read(move |tx| async move { calendar_links::of(&tx, &ws).await }).await?;
    Ok(seen(link, None))
}

/// A new address; the one before opens nothing any more.
pub async fn renew(
    app: &App,
    workspace: &str,
    drafts: bool,
    actor: &str,
) -> Result<CalendarLinkView, Refusal> {
    let token = door::token("cal");
    let (ws, by, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let hash = door::hash(&token);
    let link = app
        .db
        .write(move |tx| async move {
            calendar_links::set(&tx, &ws, &hash, drafts, now).await?;
            say(&tx, &ws, &by, "calendar_link.made", now).await?;
            calendar_links::of(&tx, &ws).await
        })
        .await?;
    app.ring();
    Ok(seen(link, Some(format!("{}/cal/{token}.ics", app.public_url()))))
}

pub async fn switch_off(app: &App, workspace: &str, actor: &str) -> Result<(), Refusal> {
    let (ws, by, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    app.db
        .write(move |tx| async move {
            if calendar_links::remove(&tx, &ws).await? {
                say(&tx, &ws, &by, "calendar_link.removed", now).await?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    app.ring();
    Ok(())
}

async fn say(tx: &Tx, ws: &str, by: &str, what: &str, now: i64) -> Result<(), Error> {
    audit::add(tx, Some(ws), by, what, ws, &json!({}), now).await?;
    events::add(tx, ws, what, ws, &json!({}), now).await
}

fn seen(link: Option<CalendarLink>, url: Option<String>) -> CalendarLinkView {
    CalendarLinkView {
        on: link.is_some(),
        url,
        drafts: link.as_ref().is_some_and(|l| l.drafts),
        created_at: link.as_ref().map(|l| when::iso(l.created_at)),
        read_at: link.and_then(|l| l.read_at).map(when::iso),
    }
}

/// What an address leads to; `None` when it opens nothing.
pub async fn open(app: &App, token: &str) -> Result<Option<Calendar>, Refusal> {
    let (hash, now) = (door::hash(token), app.clock.now());
    let link = app.db.read(move |tx| async move { calendar_links::opened(&tx, &hash).await });
    let Some(link) = link.await? else { return Ok(None) };
    let calendar = of(app, &link.workspace_id, link.drafts).await?;
    let ws = link.workspace_id;
    app.db.write(move |tx| async move { calendar_links::was_read(&tx, &ws, now).await }).await?;
    Ok(Some(calendar))
}

/// The calendar of a workspace.
pub async fn of(app: &App, workspace: &str, drafts: bool) -> Result<Calendar, Refusal> {
    let (ws, now) = (workspace.to_owned(), app.clock.now());
    let known = app.db.read(move |tx| async move { accounts::workspace(&tx, &ws).await }).await?;
    let name = known.map_or_else(|| "Carillon".to_owned(), |w| w.name);
    let base = app.public_url();
    let mut text = String::new();
    for (name, value) in [
        ("BEGIN", "VCALENDAR".to_owned()),
        ("VERSION", "2.0".to_owned()),
        ("PRODID", "-//Carillon//Posts//EN".to_owned()),
        ("CALSCALE", "GREGORIAN".to_owned()),
        ("METHOD", "PUBLISH".to_owned()),
        ("X-WR-CALNAME", escaped(&name)),
        ("REFRESH-INTERVAL;VALUE=DURATION", "PT15M".to_owned()),
        ("X-PUBLISHED-TTL", "PT15M".to_owned()),
    ] {
        fold(&mut text, name, &value);
    }
    let mut cursor = None;
    loop {
        let (from, to) = (Some(now - BACK), Some(now + AHEAD));
        let query = Query { from, to, cursor, limit: 500, ..Query::default() };
        let page = view::list(app, workspace, query).await?;
        for post in &page.items {
            let hidden = post.state == PostState::Cancelled;
            if !hidden && (drafts || post.state != PostState::Draft) {
                event(&mut text, post, &base);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    fold(&mut text, "END", "VCALENDAR");
    let etag =
        Sha256::digest(text.as_bytes()).iter().take(16).map(|b| format!("{b:02x}")).collect();
    Ok(Calendar { text, etag })
}

fn event(text: &mut String, post: &PostView, base: &str) {
    let Some(at) = post.scheduled_at.as_deref().and_then(|t| when::parse(t, "UTC").ok()) else {
        return;
    };
    let changed = when::parse(&post.updated_at, "UTC").unwrap_or(at);
    let created = when::parse(&post.created_at, "UTC").unwrap_or(changed);
    let mut to: Vec<&str> = post
        .deliveries
        .iter()
        .filter(|d| d.parent_id.is_none())
        .map(|d| d.connection_name.as_str())
        .collect();
    to.dedup();
    let first = post.text.lines().map(str::trim).find(|l| !l.is_empty());
    let title = post.title.as_deref().filter(|t| !t.trim().is_empty());
    let subject = title.or(first).unwrap_or("(no text)");
    let short: String = subject.chars().take(100).collect();
    let mark = match post.state {
        PostState::Published | PostState::Scheduled => String::new(),
        state => format!("[{}] ", state.as_str().replace('_', " ")),
    };
    let status = if post.state == PostState::Draft { "TENTATIVE" } else { "CONFIRMED" };
    let about = format!("{}\n\n{}\n{base}/posts/{}", post.text, to.join(", "), post.id);
    for (name, value) in [
        ("BEGIN", "VEVENT".to_owned()),
        ("UID", format!("{}@carillon", post.id)),
        ("DTSTAMP", stamp(changed)),
        ("CREATED", stamp(created)),
        ("LAST-MODIFIED", stamp(changed)),
        ("SEQUENCE", (post.version - 1).max(0).to_string()),
        ("DTSTART", stamp(at)),
        ("DTEND", stamp(at + MINUTES * 60_000)),
        ("SUMMARY", escaped(&format!("{mark}{short}"))),
        ("DESCRIPTION", escaped(&about)),
        ("URL", format!("{base}/posts/{}", post.id)),
        ("CATEGORIES", to.iter().map(|name| escaped(name)).collect::<Vec<_>>().join(",")),
        ("STATUS", status.to_owned()),
        ("TRANSP", "TRANSPARENT".to_owned()),
        ("END", "VEVENT".to_owned()),
    ] {
        if !value.is_empty() {
            fold(text, name, &value);
        }
    }
}

/// `20261224T070000Z`
fn stamp(at: i64) -> String {
    let whole = when::iso(at - at.rem_euclid(1_000));
    whole.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// TEXT of RFC 5545, 3.3.11: what it does not allow is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' | '\r' => out.push_str("\\n"),
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A content line, folded after 75 octets and never within a character.
fn fold(text: &mut String, name: &str, value: &str) {
    let mut room = LINE;
    for c in format!("{name}:{value}").chars() {
        if c.len_utf8() > room {
            text.push_str("\r\n ");
            room = LINE - 1;
        }
        text.push(c);
        room -= c.len_utf8();
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_between_characters() {
        let mut text = String::new();
        fold(&mut text, "SUMMARY", &"Fünf Köche 👩‍🍳 ".repeat(20));
        for line in text.split("\r\n") {
            assert!(line.len() <= LINE, "{} octets: {line}", line.len());
        }
        assert_eq!(
            text.replace("\r\n ", "").trim_end(),
            format!("SUMMARY:{}", "Fünf Köche 👩‍🍳 ".repeat(20)).trim_end()
        );
    }

    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(escaped("a,b;c\\d\r\ne\u{7}"), "a\\,b\\;c\\\\d\\ne");
        assert_eq!(stamp(1_795_420_800_123), "20261123T080000Z");
    }
}
