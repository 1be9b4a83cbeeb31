//! The key ring held against everything that is sealed: what opens, with which key, and all of it
//! sealed anew with the newest key while servers run.
//!
//! A text is replaced only where the one that was read still stands, in small units of work, so
//! that nothing written meanwhile is lost and nobody waits. Killed at any moment it leaves texts of
//! the old key and texts of the new one; the next run goes on with what is left.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::keys::{KeyError, Keys};
use crate::App;
use crate::db::{Db, Error};
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::sealed::Place;
use crate::domain::when::iso;
use crate::store::audit;
use crate::store::nodes::{self, Node};
use crate::store::sealed::{self, Resealed};

/// Texts that are read, and replaced, in one unit of work.
const BATCH: i64 = 100;
/// A process that was not seen for so long is gone.
const GONE_MS: i64 = 60_000;
/// How often what was written with an older key meanwhile is gone after.
const ROUNDS: usize = 3;
/// Rows that a sentence names one by one.
const NAMED: usize = 10;

/// A sealed text that does not open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unopened {
    /// `connection.secrets`
    pub place: Place,
    /// The id of its row.
    pub row: String,
    /// The id of the key that it names.
    pub key: Option<String>,
    /// What is the matter with it.
    pub reason: String,
    #[serde(skip)]
    pub error: KeyError,
}

/// What one key seals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyUse {
    pub id: String,
    /// Is it the one that seals?
    pub newest: bool,
    /// How many texts it opens.
    pub rows: u64,
    /// The same by place.
    pub places: BTreeMap<String, u64>,
    /// Is it the key that had this name when it was first seen here? `None`: it was not seen yet.
    #[serde(skip)]
    pub proven: Option<bool>,
}

/// Every key of the ring and what it seals, and every text that does not open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Survey {
    /// In the order of the ring.
    pub keys: Vec<KeyUse>,
    /// Sealed with a key that is not in the ring.
    pub missing: Vec<Unopened>,
    /// Sealed with a key of the ring, or with none, and not to be opened with it.
    pub damaged: Vec<Unopened>,
}

impl Survey {
    /// How many texts of older keys there are.
    pub fn older(&self) -> u64 {
        self.keys.iter().filter(|key| !key.newest).map(|key| key.rows).sum()
    }

    /// Is the ring the one of this database? Damaged texts are another matter: they concern their
    /// own rows. A key that opens not one of its texts, nor its own proof, is another of that name.
    pub fn fits(&self) -> Result<(), Refusal> {
        if let Some(first) = self.missing.first() {
            let ids: std::collections::BTreeSet<&str> =
                self.missing.iter().filter_map(|m| m.key.as_deref()).collect();
            let ids: Vec<String> = ids.into_iter().map(|id| format!("`{id}`")).collect();
            let sentence = match self.missing.len() {
                1 => format!("{} is {}.", named(first), first.reason),
                n => format!(
                    "{n} sealed texts need the key {}, which is not in CARILLON_KEYS: {}.",
                    ids.join(" or "),
                    some(&self.missing)
                ),
            };
            let fix = "Put that key back, at the end of CARILLON_KEYS (or of the `keys` file in the data folder); \
                       `carillon keys rotate` then seals anew what needs it, and after that it can go.";
            return Err(Refusal::new(Kind::Invalid, "key_missing", sentence, fix));
        }
        for key in &self.keys {
            let wrong: Vec<Unopened> = self.of_key(&key.id);
            if key.rows == 0 && key.proven != Some(true) && !wrong.is_empty() {
                let sentence = match wrong.as_slice() {
                    [one] => format!("{} {}.", named(one), one.reason),
                    all => format!(
                        "None of the {} texts sealed with key `{}` opens with it, so it is another key of that name: {}.",
                        all.len(),
                        key.id,
                        some(all)
                    ),
                };
                let fix = "Set CARILLON_KEYS (or the `keys` file in the data folder) to the ring that sealed this data. \
                           If that is lost, `carillon connection disconnect` erases what nothing opens any more.";
                return Err(Refusal::new(Kind::Invalid, "key_wrong", sentence, fix));
            }
        }
        Ok(())
    }

    fn of_key(&self, id: &str) -> Vec<Unopened> {
        self.damaged.iter().filter(|d| d.key.as_deref() == Some(id)).cloned().collect()
    }
}

fn named(text: &Unopened) -> String {
    format!("{} of row {}", text.place, text.row)
}

/// The first of them by name, and how many more there are.
pub fn some(all: &[Unopened]) -> String {
    let first: Vec<String> = all.iter().take(NAMED).map(named).collect();
    match all.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Opens everything that is sealed.
pub async fn survey(db: &Db, keys: &Keys) -> Result<Survey, Error> {
    keys.refresh();
    let newest = keys.newest();
    let proofs = db.read(|tx| async move { sealed::proofs(&tx).await }).await?;
    let mut uses: Vec<KeyUse> = keys
        .ids()
        .into_iter()
        .map(|id| KeyUse {
            newest: id == newest,
            proven: proofs.get(&id).map(|proof| keys.proves(&id, proof)),
            id,
            ..KeyUse::default()
        })
        .collect();
    let (mut missing, mut damaged) = (Vec::new(), Vec::new());
    for place in Place::ALL.iter().copied() {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let page =
                db.read(move |tx| async move { sealed::page(&tx, place, &from, BATCH).await });
            let page = page.await?;
            let full = page.len() as i64 == BATCH;
            after = page.last().map(|last| last.row.clone()).unwrap_or_default();
            for text in page {
                let error = match keys.open_with(&text.text, place, &text.row) {
                    Ok((_, id)) => {
                        if let Some(key) = uses.iter_mut().find(|key| key.id == id) {
                            key.rows += 1;
                            *key.places.entry(place.to_string()).or_default() += 1;
                        }
                        continue;
                    }
                    Err(error) => error,
                };
                let found = unopened(place, text.row, &text.text, error);
                match found.error {
                    KeyError::Missing(_) => missing.push(found),
                    _ => damaged.push(found),
                }
            }
            if !full {
                break;
            }
        }
    }
    Ok(Survey { keys: uses, missing, damaged })
}

fn unopened(place: Place, row: String, text: &str, error: KeyError) -> Unopened {
    let key = Keys::id_of(text).map(str::to_owned);
    Unopened { place, row, key, reason: error.to_string(), error }
}

/// Keeps a proof of every key that was not seen here before. Refuses one that a living process has
/// another one of under the same name: it could not open what is sealed with this one.
pub async fn prove(app: &App, found: &Survey) -> Result<(), Refusal> {
    let servers = servers(app).await?;
    let mut made = Vec::new();
    for key in found.keys.iter().filter(|key| key.proven != Some(true)) {
        let of_others = servers.iter().find(|s| s.keys.iter().flatten().any(|id| *id == key.id));
        match (key.rows, key.proven, of_others) {
            // Nothing of this name opens, so it is not known whose proof it would be.
            (0, ..) if !found.of_key(&key.id).is_empty() => {}
            (0, Some(false), Some(server)) => return Err(another(&key.id, server)),
            _ => made.extend(app.keys.proof(&key.id).map(|proof| (key.id.clone(), proof))),
        }
    }
    if made.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    app.db
        .write(move |tx| async move {
            for (key, proof) in &made {
                sealed::prove(&tx, key, proof, now).await?;
            }
            Ok(())
        })
        .await
}

fn another(id: &str, server: &Server) -> Refusal {
    let sentence = format!(
        "The key `{id}` here is another one than the server {} (seen {}) has under this name.",
        server.id, server.seen_at
    );
    let fix = "Set the same CARILLON_KEYS everywhere: each key with its own id and the same text. A server that was killed \
               counts for a minute.";
    Refusal::new(Kind::Invalid, "key_wrong", sentence, fix)
}

/// A process that works on this database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    pub id: String,
    pub seen_at: String,
    /// The ids of its keys, the one that seals first; `null` where its version does not say.
    pub keys: Option<Vec<String>>,
}

impl From<Node> for Server {
    fn from(node: Node) -> Self {
        Self { id: node.id, seen_at: iso(node.seen_at), keys: node.keys }
    }
}

/// The processes that work now, and the keys that each holds.
pub async fn servers(app: &App) -> Result<Vec<Server>, Error> {
    let after = app.clock.now() - GONE_MS;
    let alive = app.db.read(move |tx| async move { nodes::alive(&tx, after).await });
    Ok(alive.await?.into_iter().map(Server::from).collect())
}

/// What [`rotate`] did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    /// Nothing was changed.
    pub dry_run: bool,
    /// The key that everything is sealed with now.
    pub to: String,
    /// Texts sealed anew, or that would be.
    pub resealed: u64,
    /// Texts that were sealed with it already.
    pub already: u64,
    /// Texts of older keys that were written again and again meanwhile.
    pub left: u64,
    /// Texts that do not open; they stay as they are.
    pub damaged: Vec<Unopened>,
    /// Texts of keys that are not in the ring; they stay as they are.
    pub missing: Vec<Unopened>,
    /// Keys that nothing needs any more.
    pub free: Vec<String>,
    /// Keys that something still needs, each with the reason.
    pub needed: Vec<Needed>,
}

impl Rotated {
    /// Is everything sealed with the newest key?
    pub fn whole(&self) -> bool {
        self.left == 0 && self.damaged.is_empty() && self.missing.is_empty()
    }
}

/// An older key that has to stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Needed {
    pub key: String,
    pub reason: String,
}

/// Seals everything anew with the newest key; `tell` hears how many of how many are done.
pub async fn rotate(
    app: &App,
    dry_run: bool,
    actor: &str,
    tell: impl Fn(u64, u64) + Send + Sync,
) -> Result<Rotated, Refusal> {
    app.keys.refresh();
    let to = app.keys.newest();
    let before = survey(&app.db, &app.keys).await?;
    let already = before.keys.iter().find(|key| key.newest).map_or(0, |key| key.rows);
    let total = before.older();
    let mut resealed = 0;
    let mut after = before;
    if dry_run {
        resealed = total;
    } else {
        prove(app, &after).await?;
        tell(0, total);
        for _ in 0..ROUNDS {
            if after.older() == 0 {
                break;
            }
            resealed += round(app, &to, &|done| tell(resealed + done, total)).await?;
            after = survey(&app.db, &app.keys).await?;
        }
        if resealed > 0 {
            written_down(app, actor, &to, resealed).await?;
        }
    }
    let left = if dry_run { 0 } else { after.older() };
    let (free, needed) = older_keys(&after, &servers(app).await?, dry_run);
    let Survey { missing, damaged, .. } = after;
    Ok(Rotated { dry_run, to, resealed, already, left, damaged, missing, free, needed })
}

/// Goes through everything once; how many texts were sealed anew.
async fn round(app: &App, to: &str, tell: &(dyn Fn(u64) + Send + Sync)) -> Result<u64, Refusal> {
    let mut done = 0;
    for place in Place::ALL.iter().copied() {
        let mut after = String::new();
        loop {
            let (from, gone) = (after.clone(), app.clock.now() - GONE_MS);
            let (page, alive) = app
                .db
                .read(move |tx| async move {
                    let page = sealed::page(&tx, place, &from, BATCH).await?;
                    Ok::<_, Error>((page, nodes::alive(&tx, gone).await?))
                })
                .await?;
            let Some(last) = page.last() else { break };
            after = last.row.clone();
            // Whoever came meanwhile must be able to open what is sealed now.
            all_hold(&alive, to)?;
            let mut anew = Vec::new();
            for text in page.into_iter().filter(|t| Keys::id_of(&t.text) != Some(to)) {
                // What does not open stays as it is: another key, or a backup, may open it.
                if let Ok(open) = app.keys.open(&text.text, place, &text.row) {
                    let new = app.keys.seal(&open, place, &text.row);
                    anew.push(Resealed { row: text.row, old: text.text, new });
                }
            }
            if !anew.is_empty() {
                done += app
                    .db
                    .write(move |tx| async move { sealed::replace_each(&tx, place, &anew).await })
                    .await?;
                tell(done);
            }
        }
    }
    Ok(done)
}

/// Does every living process have this key? Else it could not open what is sealed with it.
fn all_hold(alive: &[Node], to: &str) -> Result<(), Refusal> {
    let behind =
        |node: &&Node| !node.keys.as_ref().is_some_and(|ids| ids.iter().any(|id| id == to));
    let Some(node) = alive.iter().find(behind) else { return Ok(()) };
    let what = match &node.keys {
        Some(ids) => format!("has only {}", ids.join(", ")),
        None => "is of a version that does not say which keys it has".to_owned(),
    };
    let sentence = format!(
        "The server {} (seen {}) {what}: it could not open what is sealed with `{to}`.",
        node.id,
        iso(node.seen_at)
    );
    let fix = "Start every server with the same CARILLON_KEYS first, then run this again; what is sealed anew stays so. \
               A server that was killed counts for a minute.";
    Err(Refusal::conflict("server_behind", sentence, fix))
}

/// Refuses while a living process lacks the newest key. A ring in a data folder is read again by
/// every heartbeat, so that is waited for.
pub async fn ready(app: &App) -> Result<(), Refusal> {
    app.keys.refresh();
    let to = app.keys.newest();
    let most = match app.keys.file() {
        Some(_) => app.config.queue.heartbeat.as_millis() as i64 * 2,
        None => 0,
    };
    let until = app.clock.mono() + most;
    loop {
        let after = app.clock.now() - GONE_MS;
        let alive = app.db.read(move |tx| async move { nodes::alive(&tx, after).await }).await?;
        match all_hold(&alive, &to) {
            Err(_) if app.clock.mono() < until => {
                app.clock.sleep(std::time::Duration::from_millis(250)).await;
            }
            verdict => return verdict,
        }
    }
}

async fn written_down(app: &App, actor: &str, to: &str, resealed: u64) -> Result<(), Error> {
    let (actor, to, now) = (actor.to_owned(), to.to_owned(), app.clock.now());
    let data = json!({ "resealed": resealed });
    app.db
        .write(move |tx| async move {
            audit::add(&tx, None, &actor, "keys.rotated", &to, &data, now).await
        })
        .await
}

/// Which of the older keys can go, and why the others cannot.
fn older_keys(after: &Survey, servers: &[Server], dry_run: bool) -> (Vec<String>, Vec<Needed>) {
    let (mut free, mut needed) = (Vec::new(), Vec::new());
    for key in after.keys.iter().filter(|key| !key.newest) {
        let sealing = servers
            .iter()
            .find(|s| s.keys.as_ref().is_some_and(|ids| ids.first() == Some(&key.id)));
        let damaged = after.of_key(&key.id).len();
        let reason = match (key.rows, damaged, sealing) {
            (0, 0, None) => None,
            (0, 0, Some(server)) => Some(format!("the server {} still seals with it", server.id)),
            (0, n, _) => Some(format!("{n} texts that do not open name it")),
            (n, ..) if dry_run => {
                Some(format!("{n} texts are sealed with it, until they are sealed anew"))
            }
            (n, ..) => Some(format!("{n} texts are sealed with it")),
        };
        match reason {
            None => free.push(key.id.clone()),
            Some(reason) => needed.push(Needed { key: key.id.clone(), reason }),
        }
    }
    (free, needed)
}

/// Takes a key out of the ring of the data folder, if nothing needs it.
pub async fn remove(app: &App, id: &str, actor: &str) -> Result<(), Refusal> {
    let found = survey(&app.db, &app.keys).await?;
    let Some(key) = found.keys.iter().find(|key| key.id == id) else {
        let sentence = format!("There is no key `{id}` in the ring.");
        return Err(Refusal::new(
            Kind::NotFound,
            "not_found",
            sentence,
            "`carillon keys list` shows them.",
        ));
    };
    if key.newest {
        let sentence = format!("`{id}` is the key that seals.");
        let fix = "Put a newer one in front first: `carillon keys generate --add`.";
        return Err(Refusal::conflict("key_in_use", sentence, fix));
    }
    let (_, needed) = older_keys(&found, &servers(app).await?, false);
    if let Some(needed) = needed.into_iter().find(|n| n.key == id) {
        let sentence = format!("`{id}` is still needed: {}.", needed.reason);
        return Err(Refusal::conflict("key_in_use", sentence, "Run `carillon keys rotate` first."));
    }
    let Some(dir) = app.keys.file().and_then(std::path::Path::parent) else {
        let sentence = "The key ring comes from CARILLON_KEYS, which is not Carillon's to change.";
        let fix = format!(
            "Nothing needs `{id}` any more: take it out there and start the servers again."
        );
        return Err(Refusal::conflict("ring_of_environment", sentence, fix));
    };
    Keys::remove_in_folder(dir, id).map_err(|e| {
        let fix = "See that the data folder can be written.";
        Refusal::new(Kind::Unavailable, "ring_not_written", format!("{e:#}."), fix)
    })?;
    let (actor, id, now) = (actor.to_owned(), id.to_owned(), app.clock.now());
    app.db
        .write(move |tx| async move {
            sealed::forget(&tx, &id).await?;
            audit::add(&tx, None, &actor, "keys.removed", &id, &json!({}), now).await
        })
        .await?;
    Ok(())
}
