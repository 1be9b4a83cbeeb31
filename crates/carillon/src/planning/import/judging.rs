//! From a row to the draft that a person would have sent: names found, dates read, free slots given.

use std::collections::HashMap;

use super::dates;
use super::row::{Note, Row, Wanted};
use super::{Fetched, MadeAs, Options};
use crate::app::{self, Networks};
use crate::db::{Error, Tx};
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::when;
use crate::ids;
use crate::publishing::schedule::{Draft, DraftDelivery, Part, Parts, Terms};
use crate::publishing::slots::{self, Given};
use crate::store::connections::{self, Connection};
use crate::store::imports::Import;
use crate::store::{accounts, media};

/// What rows are held against, and what those before have taken.
pub(super) struct Judge {
    pub workspace: String,
    /// Who imports: whoever has to be asked about a post is asked by them.
    pub actor: String,
    /// The workspace's zone.
    zone: String,
    networks: Networks,
    connections: Vec<Connection>,
    fetched: Fetched,
    /// Addresses are not fetched in a dry run.
    dry: bool,
    slots: Given,
    /// Where the search for a slot goes on, by its connections.
    from: HashMap<Vec<String>, i64>,
}

/// A row as a draft, with what was found on the way.
#[derive(Default)]
pub(super) struct Judged {
    pub draft: Draft,
    pub notes: Vec<Note>,
    /// Descriptions for media without one.
    pub alts: Vec<(String, String)>,
    /// Media that a dry run does not fetch.
    pub unseen: bool,
}

/// Posts that went out elsewhere are not made again.
pub(super) fn left_out(row: &Row) -> Option<Note> {
    let state = row.state.to_lowercase();
    ["published", "partly_published", "publishing", "sent"].contains(&state.as_str()).then(|| {
        let message =
            format!("The post is `{state}` already: clear its `state` to have it made once more.");
        Note::warning("state", "published_already", message)
    })
}

impl Judge {
    pub(super) async fn new(
        tx: &Tx,
        networks: Networks,
        import: &Import,
        fetched: Fetched,
        options: &Options,
    ) -> Result<Self, Refusal> {
        let known = accounts::workspace(tx, &import.workspace_id).await?;
        Ok(Self {
            workspace: import.workspace_id.clone(),
            actor: import.actor.clone(),
            zone: known.map_or_else(|| "UTC".to_owned(), |w| w.timezone),
            networks,
            connections: connections::list(tx, &import.workspace_id).await?,
            fetched,
            dry: options.dry_run,
            slots: Given::new(),
            from: HashMap::new(),
        })
    }

    pub(super) async fn judge(
        &mut self,
        tx: &Tx,
        terms: &Terms,
        row: &Row,
        options: &Options,
        now: i64,
    ) -> Result<Judged, Refusal> {
        let part = |text: &String| Part { text: text.clone(), media: Vec::new() };
        let draft = Draft {
            text: linked(row),
            title: Some(row.title.clone()).filter(|t| !t.trim().is_empty()),
            thread: row.thread.iter().map(part).collect(),
            allow_collision: options.allow_collision,
            allow_duplicate: options.allow_duplicate,
            by: Some(self.actor.clone()),
            ..Draft::default()
        };
        let mut j = Judged { draft, ..Judged::default() };
        if j.draft.text.trim().is_empty() && row.media.is_empty() {
            let message = "The row has neither a text nor media: write one, or take the row out.";
            j.notes.push(Note::wrong("text", "empty", message));
        }
        j.draft.draft = self.drafted(row, options, &mut j.notes);
        self.place(row, &mut j);
        self.attach(tx, row, &mut j).await?;
        self.time(tx, terms, row, &mut j, now).await?;
        Ok(j)
    }

    /// A slot or a time is taken from now on.
    pub(super) fn given(&mut self, j: &Judged, at: Option<i64>) {
        for d in &j.draft.deliveries {
            if let Some(at) = at {
                self.slots.entry(d.connection_id.clone()).or_default().insert(at);
            }
        }
    }

    fn drafted(&self, row: &Row, options: &Options, notes: &mut Vec<Note>) -> bool {
        match row.state.to_lowercase().as_str() {
            "" | "scheduled" | "queued" | "queue" => options.made_as == MadeAs::Draft,
            "draft" => true,
            state @ ("failed" | "held" | "cancelled") => {
                let message = format!("The post was `{state}`: it becomes a draft.");
                notes.push(Note::warning("state", "made_a_draft", message));
                true
            }
            _ => {
                let message = format!(
                    "`{}` is no state: write `draft` or `scheduled`, or leave it empty.",
                    row.state
                );
                notes.push(Note::wrong("state", "unknown_state", message));
                true
            }
        }
    }

    /// Where it goes.
    fn place(&self, row: &Row, j: &mut Judged) {
        if let Some(deliveries) = &row.deliveries {
            j.draft.deliveries = deliveries.clone();
            return;
        }
        let mut comments = false;
        for wanted in &row.connections {
            let connection = match self.find(wanted) {
                Ok(connection) => connection,
                Err(note) => {
                    j.notes.push(note);
                    continue;
                }
            };
            if j.draft.deliveries.iter().any(|d| d.connection_id == connection.id) {
                continue;
            }
            let spec = app::find(self.networks, &connection.network).map(|n| n.spec());
            let first = spec.and_then(|s| Some((s, s.placements.first()?.id)));
            let takes = first.is_some_and(|(s, place)| s.comment(place).is_some());
            let threads = first.is_some_and(|(s, place)| s.reply(place).is_some());
            comments |= takes;
            let comment = Some(row.first_comment.clone()).filter(|c| !c.trim().is_empty());
            if comment.is_some() && !takes {
                let message =
                    format!("{} takes no first comment: it goes there without.", connection.name);
                j.notes.push(Note::warning("firstComment", "comment_unsupported", message));
            }
            if !row.thread.is_empty() && !threads {
                let message =
                    format!("{} has no threads: the first part goes there alone.", connection.name);
                j.notes.push(Note::warning("thread", "thread_unsupported", message));
            }
            j.draft.deliveries.push(DraftDelivery {
                connection_id: connection.id.clone(),
                text: wanted.text.clone(),
                first_comment: comment.filter(|_| takes),
                thread: (!row.thread.is_empty() && !threads).then_some(Parts::FIRST),
                ..DraftDelivery::default()
            });
        }
        if !row.first_comment.trim().is_empty() && !comments && !j.draft.deliveries.is_empty() {
            let message =
                "None of these connections takes a first comment: clear it, or add one that does.";
            j.notes.retain(|n| n.column != "firstComment");
            j.notes.push(Note::wrong("firstComment", "comment_unused", message));
        }
    }

    /// The one connection that is meant.
    fn find(&self, wanted: &Wanted) -> Result<&Connection, Note> {
        if let Some(network) = wanted.network {
            return self.counterpart(wanted, network);
        }
        let name = &wanted.name;
        match meant(&self.connections, name)[..] {
            [one] => Ok(one),
            [] => {
                let known: Vec<&str> =
                    self.connections.iter().take(20).map(|c| c.name.as_str()).collect();
                let message = match known.as_slice() {
                    [] => format!("There is no connection `{name}`: connect an account first."),
                    known => format!(
                        "There is no connection `{name}`: write one of {}.",
                        known.join("; ")
                    ),
                };
                Err(Note::wrong("connections", "unknown_connection", message))
            }
            ref several => Err(ambiguous(name, several)),
        }
    }

    /// What an account of another tool is here: the connection of its name at its network, or the
    /// only one there.
    fn counterpart(&self, wanted: &Wanted, network: &str) -> Result<&Connection, Note> {
        let there: Vec<&Connection> =
            self.connections.iter().filter(|c| c.network == network).collect();
        let named: Vec<&Connection> =
            there.iter().copied().filter(|c| answers_to(c, &wanted.name)).collect();
        match (&named[..], &there[..]) {
            ([one], _) | ([], [one]) => Ok(*one),
            (_, []) => {
                let name = app::find(self.networks, network).map_or(network, |n| n.spec().name);
                let message = format!(
                    "No account at {name} is connected, which `{}` was: connect one first.",
                    wanted.name
                );
                Err(Note::wrong("connections", "unknown_connection", message))
            }
            ([], several) | (several, _) => Err(ambiguous(&wanted.name, several)),
        }
    }

    /// Its media, with their descriptions.
    async fn attach(&self, tx: &Tx, row: &Row, j: &mut Judged) -> Result<(), Refusal> {
        let alts = row.alt.iter().filter(|a| !a.is_empty()).count();
        if alts > row.media.len() {
            let message = format!(
                "There are {alts} descriptions for {} media: write one for each, in their order, on lines of their own.",
                row.media.len()
            );
            j.notes.push(Note::wrong("alt", "too_many_alts", message));
        }
        for (i, named) in row.media.iter().enumerate() {
            let found = match self.fetched.get(named) {
                Some(Ok(id)) => id.clone(),
                Some(Err(e)) => {
                    j.notes.push(Note::wrong(
                        "media",
                        &e.code,
                        format!("{} {}", e.sentence, e.fix),
                    ));
                    continue;
                }
                None if named.contains("://") && self.dry => {
                    j.unseen = true;
                    let message = format!("`{named}` is fetched when the file is imported.");
                    j.notes.push(Note::warning("media", "not_fetched", message));
                    continue;
                }
                None => match self.medium(tx, named).await? {
                    Ok(id) => id,
                    Err(note) => {
                        j.notes.push(note);
                        continue;
                    }
                },
            };
            if let Some(alt) = row.alt.get(i).filter(|a| !a.is_empty()) {
                j.alts.push((found.clone(), alt.clone()));
            }
            j.draft.media.push(found);
        }
        Ok(())
    }

    /// A medium of the library, by its id or its name.
    async fn medium(&self, tx: &Tx, named: &str) -> Result<Result<String, Note>, Error> {
        if ids::valid(named) {
            let id = named.to_lowercase();
            if media::find(tx, &self.workspace, &id).await?.is_some() {
                return Ok(Ok(id));
            }
        }
        let found = media::named(tx, &self.workspace, named).await?;
        Ok(match &found[..] {
            [one] => Ok(one.id.clone()),
            [] => {
                let message = format!(
                    "There is no picture or video `{named}` in the library: upload it, or write its id or address."
                );
                Err(Note::wrong("media", "unknown_media", message))
            }
            several => {
                let ids: Vec<&str> = several.iter().map(|m| m.id.as_str()).collect();
                let message = format!(
                    "Several files are called `{named}`: write the id of one, {}.",
                    ids.join(" or ")
                );
                Err(Note::wrong("media", "ambiguous_media", message))
            }
        })
    }

    /// When it goes out.
    async fn time(
        &mut self,
        tx: &Tx,
        terms: &Terms,
        row: &Row,
        j: &mut Judged,
        now: i64,
    ) -> Result<(), Refusal> {
        let name = if row.timezone.is_empty() { self.zone.clone() } else { row.timezone.clone() };
        let zone = match when::zone(&name) {
            Ok(zone) => zone,
            Err(e) => {
                j.notes.push(Note::wrong("timezone", "unknown_zone", format!("{e}.")));
                return Ok(());
            }
        };
        j.draft.timezone = Some(name.clone());
        if !row.scheduled_at.is_empty() {
            match dates::read(&row.scheduled_at, &zone, now) {
                Err(message) => {
                    j.notes.push(Note::wrong("scheduledAt", "invalid_time", format!("{message}.")));
                }
                Ok(meant) if j.draft.draft && when::not_past(meant.at, now, &name).is_err() => {
                    let message = format!(
                        "{} has passed: the draft has no time.",
                        when::local(meant.at, &name)
                    );
                    j.notes.push(Note::warning("scheduledAt", "has_passed", message));
                }
                Ok(meant) => {
                    if let Some(note) = meant.note {
                        let note = Note::warning("scheduledAt", "clock_change", format!("{note}."));
                        j.notes.push(note);
                    }
                    j.draft.scheduled_at = Some(when::iso(meant.at));
                }
            }
            return Ok(());
        }
        // A draft without a time is what its row says it is.
        if row.state.eq_ignore_ascii_case("draft") || j.notes.iter().any(|n| !n.warning) {
            return Ok(());
        }
        let mut to: Vec<String> =
            j.draft.deliveries.iter().map(|d| d.connection_id.clone()).collect();
        to.sort();
        to.dedup();
        let from = self.from.get(&to).copied().unwrap_or(now);
        let slot = match to.is_empty() {
            true => None,
            false => slots::next_in(tx, terms, &self.workspace, &to, from, &self.slots).await?,
        };
        match slot {
            Some(at) => {
                self.from.insert(to, at);
                j.draft.scheduled_at = Some(when::iso(at));
            }
            None => {
                j.draft.draft = true;
                let message = match to.is_empty() {
                    true => {
                        "It says neither when nor where it goes: it becomes a draft without a time."
                    }
                    false => "No slot is free within 60 days: it becomes a draft without a time.",
                };
                j.notes.push(Note::warning("scheduledAt", "no_slot", message));
            }
        }
        Ok(())
    }
}

/// Every connection that a name can mean; an id means one.
pub(in crate::planning) fn meant<'a>(all: &'a [Connection], name: &str) -> Vec<&'a Connection> {
    if let Some(one) = all.iter().find(|c| c.id.eq_ignore_ascii_case(name)) {
        return vec![one];
    }
    all.iter().filter(|c| c.network.eq_ignore_ascii_case(name) || answers_to(c, name)).collect()
}

/// By its name or its handle, with or without an `@`.
fn answers_to(c: &Connection, name: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches('@').to_lowercase();
    let name = bare(name);
    let own = [&c.name, &c.remote_id].into_iter().chain(c.settings.values());
    !name.is_empty() && own.into_iter().any(|known| bare(known) == name)
}

fn ambiguous(name: &str, several: &[&Connection]) -> Note {
    let all: Vec<String> =
        several.iter().take(10).map(|c| format!("{} ({}, {})", c.name, c.network, c.id)).collect();
    let message = format!("`{name}` can be {}: write the name or the id of one.", all.join(" or "));
    Note::wrong("connections", "ambiguous_connection", message)
}

/// The text with the row's link, unless it has it.
fn linked(row: &Row) -> String {
    match (row.text.as_str(), row.link.as_str()) {
        (text, "") => text.to_owned(),
        ("", link) => link.to_owned(),
        (text, link) if text.contains(link) => text.to_owned(),
        (text, link) => format!("{text}\n\n{link}"),
    }
}

/// What a refusal says of the row's columns. What media are missing for is not known before they
/// are fetched.
pub(super) fn notes_of(e: &Refusal, unseen: bool) -> Vec<Note> {
    if e.problems.is_empty() {
        return vec![Note::wrong("", &e.code, format!("{} {}", e.sentence, e.fix))];
    }
    let conflict = e.suggested_at.is_some();
    let notes = e.problems.iter().map(|w| {
        let column = column_of(w);
        let message = match conflict {
            true => format!("{} {}", w.message, e.fix),
            false => w.message.clone(),
        };
        Note::wrong(column, &w.code, message)
    });
    let mut kept: Vec<Note> = notes.filter(|n| !(unseen && n.column == "media")).collect();
    kept.dedup();
    kept
}

/// A draft is saved with its faults; they are said.
pub(super) fn as_warnings(faults: Result<Vec<Wrong>, Refusal>, unseen: bool) -> Vec<Note> {
    let Ok(faults) = faults else { return Vec::new() };
    let hidden = |w: &&Wrong| w.code != "no_deliveries" && !(unseen && column_of(w) == "media");
    let warn = |w: &Wrong| Note::warning(column_of(w), &w.code, &w.message);
    let mut notes: Vec<Note> = faults.iter().filter(hidden).map(warn).collect();
    notes.dedup();
    notes
}

/// `deliveries[0].text` is the column `text`.
fn column_of(w: &Wrong) -> &'static str {
    let rest = match w.field.strip_prefix("deliveries") {
        Some(rest) => rest.split_once("].").map_or("connections", |(_, rest)| rest),
        None => w.field.as_str(),
    };
    let named = |c: &&&str| rest.starts_with(**c);
    super::COLUMNS.iter().find(named).copied().unwrap_or("connections")
}
