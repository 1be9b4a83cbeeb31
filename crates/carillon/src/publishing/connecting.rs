//! Connections: an account at a network is asked about before it is kept, and whenever somebody
//! wants to know.
//!
//! Secrets are sealed to their connection and leave here only towards the network. A connection
//! that the network refuses keeps its deliveries waiting behind a paused lane; a good check lets
//! them go. `form.rs` reads what people enter, `consent.rs` what consent pages bring, `check.rs`
//! what networks answer, `fill.rs` completes what is known, `disconnect.rs` ends it, `account.rs`
//! opens what is stored.

mod check;
pub mod consent;
mod disconnect;
mod fill;
mod form;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use carillon_networks::{Account, Class, Error, Forgetful, Identity, Network, Spec, UNGRANTED};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use check::Verdict;
pub use check::{CLOCK, CheckItem};
pub use disconnect::{Disconnected, Revocation, disconnect};
pub use fill::{Filling, fill_in};
use form::Form;
pub(super) use form::{missing, server};

use super::account::Renewals;
use super::budget::{self, BudgetView};
use super::{account, apps, circuits, tokens};
use crate::db::{self, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::job::Pool;
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::when;
use crate::store::alerts;
use crate::store::budgets;
use crate::store::connections::{self, Connection, Standing};
use crate::store::deliveries;
use crate::store::events;
use crate::store::queue::gates::{self, Lane};
use crate::store::tokens::{self as lives, TokenLife};
use crate::{App, ids, words};

/// Why a lane is paused: its owner wanted it so …
const PAUSED: &str = "paused";
/// … or the network refused the connection.
const NEEDS_ACTION: &str = "needs_action";

words! {
    pub enum ConnectionState {
        Active = "active",
        /// The network refuses it, or something is missing: its deliveries wait.
        NeedsAction = "needs_action",
        /// Its owner paused it.
        Paused = "paused",
    }
}

/// A connection as API, CLI and web show it. Never with a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionView {
    pub id: String,
    #[schema(example = "mastodon")]
    pub network: String,
    #[schema(example = "@bakery@mastodon.social")]
    pub name: String,
    /// The network's own id of the account.
    pub remote_id: String,
    pub state: ConnectionState,
    /// Why it needs action.
    pub problem: Option<Problem>,
    pub settings: BTreeMap<String, String>,
    /// After a lost answer that nobody can look up, it is sent again instead of asked about.
    pub send_twice: bool,
    /// How many deliveries are still to go out through it.
    pub waiting: i64,
    pub token: TokenView,
    /// What is left of its posting budgets, as its network publishes them or CARILLON_BUDGETS says.
    pub budgets: Vec<BudgetView>,
    /// The network said that it takes no post before then.
    pub refused_until: Option<String>,
    pub last_published_at: Option<String>,
    pub checked_at: Option<String>,
    pub created_at: String,
}

/// How long a connection's token lasts, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// When the token ends; `null` where it does not, or nobody knows.
    pub expires_at: Option<String>,
    /// When Carillon renews it by itself.
    pub renews_at: Option<String>,
    pub renewed_at: Option<String>,
    /// When the connection stops working unless a person connects it again; `null` where that is
    /// not foreseen.
    pub ends_at: Option<String>,
    /// Why it cannot be renewed.
    pub problem: Option<Problem>,
    /// The rights (OAuth scopes) that the network granted; `null` where it does not say.
    #[schema(example = json!(["read:accounts", "write:statuses"]))]
    pub scopes: Option<Vec<String>>,
}

impl TokenView {
    pub(super) fn of(life: &TokenLife) -> Self {
        Self {
            expires_at: life.expires_at.map(when::iso),
            renews_at: life.renew_at.map(when::iso),
            renewed_at: life.refreshed_at.map(when::iso),
            ends_at: life.ends_at.map(when::iso),
            problem: life.problem.clone(),
            scopes: life.scopes.clone(),
        }
    }
}

/// An account to be connected.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewConnection)]
pub struct New {
    /// An id from `GET /networks`.
    #[schema(example = "mastodon")]
    pub network: String,
    /// Without one, what the network calls the account.
    #[serde(default)]
    pub name: Option<String>,
    /// The network's fields that are not secret.
    #[serde(default)]
    #[schema(example = json!({ "server": "https://mastodon.social" }))]
    pub settings: BTreeMap<String, String>,
    /// The network's secret fields: sealed, and never shown again.
    #[serde(default)]
    #[schema(example = json!({ "accessToken": "…" }))]
    pub credentials: BTreeMap<String, String>,
}

/// A change of a connection: what is absent stays. An empty setting is erased, an empty credential
/// stays as it is.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ConnectionChange)]
pub struct Change {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    #[serde(default)]
    pub credentials: BTreeMap<String, String>,
    /// Where nothing can be read back: send again after a lost answer, while tries are left, instead
    /// of asking whether the post is live. Rather twice than never.
    #[serde(default)]
    pub send_twice: Option<bool>,
}

/// What a check found.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckView {
    /// Can a post be published now?
    pub ok: bool,
    pub checks: Vec<CheckItem>,
    pub connection: ConnectionView,
}

/// Connects an account, if its network agrees. One that is connected already gets the new
/// credentials instead of a twin.
pub async fn add(app: &App, workspace: &str, new: New) -> Result<ConnectionView, Refusal> {
    let network = app.network(&new.network).ok_or_else(|| unknown(&new.network))?;
    let spec = network.spec();
    let mut form = Form::empty(spec);
    form.enter("settings", &new.settings, &BTreeMap::new());
    form.enter("credentials", &new.credentials, &BTreeMap::new());
    let name = name_of(new.name.as_deref().filter(|n| !n.trim().is_empty()), &mut form);
    let mut account = form.finish()?;
    let identity = Box::pin(identify(app, network, &mut account)).await?;

    let (app_, ws, now) = (app.clone(), workspace.to_owned(), app.clock.now());
    let life = tokens::by_hand(spec, account.secret("refreshToken").is_ok(), now);
    let view = app
        .db
        .write(move |tx| async move {
            let row = twin(&tx, &ws, spec, &identity, &account).await?;
            put(&tx, &app_, &ws, Put { spec, row, name, account, identity, life }, now).await
        })
        .await?;
    app.ring();
    Ok(view)
}

/// An account that its network has agreed to, on its way into a row.
struct Put {
    spec: &'static Spec,
    /// The connection that is there already.
    row: Option<Connection>,
    name: Option<String>,
    account: Account,
    identity: Identity,
    life: TokenLife,
}

/// Makes a connection of an account, or fills the one that is there; what waited for it goes on.
async fn put(
    tx: &Tx,
    app: &App,
    workspace: &str,
    put: Put,
    now: i64,
) -> Result<ConnectionView, Refusal> {
    let Put { spec, row, name, account, identity, life } = put;
    let known = row.is_some();
    let mut row = row.unwrap_or_else(|| blank(workspace, spec, &identity, now));
    row.name = name.unwrap_or(row.name);
    fill(app, &mut row, account, identity, now);
    if known {
        connections::save(tx, &row).await?;
    } else {
        connections::add(tx, &row).await?;
    }
    install(tx, &mut row, Some(life), now).await?;
    open_lanes(tx, spec, &row).await?;
    release(tx, &row, now).await?;
    let what = if known { "connection.updated" } else { "connection.created" };
    tell(tx, app, what, &row, now).await
}

/// Puts the secrets of a row in the place of those that it had when it was read; `life` says how
/// long they last, where they are others.
async fn install(
    tx: &Tx,
    row: &mut Connection,
    life: Option<TokenLife>,
    now: i64,
) -> Result<(), Refusal> {
    let version = row.tokens.version;
    let installed = match &life {
        Some(life) => lives::replace(tx, &row.id, version, &row.secrets, life).await?,
        None => connections::renew(tx, &row.id, version, &row.secrets).await?,
    };
    if !installed {
        let sentence = format!("The tokens of {} were renewed in this moment.", row.name);
        let fix = "Send it again; nothing was saved.";
        return Err(Refusal::conflict("changed_meanwhile", sentence, fix));
    }
    if let Some(life) = life {
        alerts::clear(tx, AlertKind::ConnectionEnds, &row.id, now).await?;
        row.tokens = TokenLife { version, ..life };
    }
    row.tokens.version += 1;
    Ok(())
}

pub(super) fn unknown(network: &str) -> Refusal {
    let known: Vec<&str> = carillon_networks::ALL.iter().map(|n| n.spec().id).collect();
    let message = format!("There is no network `{network}`; there are {}.", known.join(", "));
    Refusal::invalid(vec![Wrong::new("network", "unknown_network", message)])
}

fn name_of(name: Option<&str>, form: &mut Form) -> Option<String> {
    match name.map(form::clean_name)? {
        Ok(name) => Some(name),
        Err(wrong) => {
            form.blame(wrong);
            None
        }
    }
}

/// Who an account belongs to that was entered just now. Sessions it opens stay in it.
async fn identify(
    app: &App,
    network: &dyn Network,
    account: &mut Account,
) -> Result<Identity, Refusal> {
    let refused = |e: Error| check::refusal(network.spec(), &e);
    check::address(app, network, account).map_err(refused)?;
    let client = apps::of(app, network.spec(), &account.settings).await.map_err(refused)?;
    apps::lend(account, client.as_ref());
    let identity = check::ask(app, network, account, &Forgetful).await;
    apps::take_back(account);
    identity.map_err(refused)
}

/// The connection of this workspace that is for the same account already.
async fn twin(
    tx: &Tx,
    workspace: &str,
    spec: &Spec,
    identity: &Identity,
    account: &Account,
) -> Result<Option<Connection>, Refusal> {
    let found = connections::by_remote(tx, workspace, spec.id, &identity.remote_id).await?;
    // Where the network is one, its ids are too; else they say something on their server only.
    let server = |settings: &BTreeMap<String, String>| match spec.base_url {
        "" => settings.get("server").cloned(),
        _ => None,
    };
    let here = server(&account.settings);
    Ok(found.into_iter().find(|c| server(&c.settings) == here))
}

fn blank(workspace: &str, spec: &Spec, identity: &Identity, now: i64) -> Connection {
    Connection {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        network: spec.id.to_owned(),
        name: identity.name.clone(),
        remote_id: String::new(),
        settings: BTreeMap::new(),
        secrets: String::new(),
        broken_at: None,
        problem: None,
        checked_at: None,
        published_at: None,
        created_at: now,
        twice_at: None,
        quota_until: None,
        quota_of: None,
        tokens: TokenLife::default(),
    }
}

/// The lanes of its deliveries: one to send, one for large uploads.
async fn open_lanes(tx: &Tx, spec: &Spec, row: &Connection) -> Result<(), Refusal> {
    let circuit = circuits::name(spec, &row.settings);
    let (lane, upload_lane) = (row.lane(), connections::upload_lane(&row.id));
    for (lane, pool) in [(&lane, Pool::Send), (&upload_lane, Pool::Upload)] {
        let (workspace_id, network) = (&row.workspace_id, spec.id);
        gates::open(tx, &Lane { lane, pool, width: 1, workspace_id, network, circuit: &circuit })
            .await?;
    }
    Ok(())
}

/// Puts an account that its network has agreed to into a row.
fn fill(app: &App, row: &mut Connection, account: Account, identity: Identity, now: i64) {
    row.secrets = account::seal(app, &account, &row.id);
    row.settings = account.settings;
    row.remote_id = identity.remote_id;
    learn(row, identity.settings);
    (row.broken_at, row.problem, row.checked_at) = (None, None, Some(now));
}

/// Takes over what a check found out; an empty value means that the old one no longer holds.
fn learn(row: &mut Connection, settings: BTreeMap<String, String>) {
    row.settings.extend(settings);
    row.settings.retain(|_, value| !value.is_empty());
}

/// Lets the lane of a connection that works again go on, unless its owner paused it. What was
/// found to speak against its deliveries is looked at anew.
async fn release(tx: &Tx, row: &Connection, now: i64) -> Result<(), Refusal> {
    alerts::clear(tx, AlertKind::ConnectionNeedsAction, &row.id, now).await?;
    deliveries::uncheck(tx, &row.id).await?;
    if gates::paused_why(tx, &row.lane()).await?.as_deref() == Some(NEEDS_ACTION) {
        gates::pause(tx, &row.lane(), None).await?;
    }
    Ok(())
}

/// Changes name, settings, credentials. New settings and credentials are tried first.
pub async fn edit(
    app: &App,
    workspace: &str,
    id: &str,
    change: Change,
) -> Result<ConnectionView, Refusal> {
    let old = load(app, workspace, id).await?;
    let network = network_of(app, &old)?;
    // Secrets that do not open are entered anew here, so it is no reason to refuse.
    let held = account::open(app, &old)
        .unwrap_or_else(|_| Account { settings: old.settings.clone(), secrets: Mutex::default() });
    let mut form = Form::of(network.spec(), &held);
    form.enter("settings", &change.settings, &old.settings);
    form.enter("credentials", &change.credentials, &BTreeMap::new());
    let name = name_of(change.name.as_deref(), &mut form);
    let (new_settings, new_secrets) = (form.new_settings, form.new_secrets);
    let tried = if new_settings || new_secrets {
        let mut account = form.finish()?;
        let identity = Box::pin(identify(app, network, &mut account)).await?;
        if !new_settings && identity.remote_id != old.remote_id {
            return Err(other_account(&old, &identity));
        }
        Some((account, identity))
    } else {
        // What it lacks is no reason against a new name.
        form.judge()?;
        None
    };

    let (app_, ws, id, now) = (app.clone(), workspace.to_owned(), id.to_owned(), app.clock.now());
    let view = app
        .db
        .write(move |tx| async move {
            let mut row = connections::find(&tx, &ws, &id).await?.ok_or_else(no_such)?;
            row.name = name.unwrap_or(row.name);
            if let Some((account, identity)) = tried {
                let twin = twin(&tx, &ws, network.spec(), &identity, &account).await?;
                if let Some(twin) = twin.filter(|twin| twin.id != row.id) {
                    return Err(connected_already(&twin));
                }
                let life = new_secrets.then(|| {
                    let renewable = account.secret("refreshToken").is_ok();
                    tokens::by_hand(network.spec(), renewable, now)
                });
                if row.tokens.version != old.tokens.version {
                    overlay(&app_, &row, &account, network.spec(), &change.credentials);
                }
                fill(&app_, &mut row, account, identity, now);
                install(&tx, &mut row, life, now).await?;
                open_lanes(&tx, network.spec(), &row).await?;
                release(&tx, &row, now).await?;
            }
            connections::save(&tx, &row).await?;
            if let Some(twice) = change.send_twice {
                row.twice_at = twice.then_some(now);
                connections::set_twice(&tx, &row.id, row.twice_at).await?;
            }
            tell(&tx, &app_, "connection.updated", &row, now).await
        })
        .await?;
    app.ring();
    Ok(view)
}

/// Tokens may have been renewed while the network was asked about an edit: what nobody entered is
/// taken from the row as it is now.
fn overlay(
    app: &App,
    row: &Connection,
    account: &Account,
    spec: &Spec,
    entered: &BTreeMap<String, String>,
) {
    let Ok(newer) = account::open(app, row) else { return };
    let newer = newer.secrets.into_inner().unwrap_or_else(|e| e.into_inner());
    let stays = |key: &String| {
        let typed = entered.get(key).is_some_and(|v| !v.trim().is_empty());
        !typed && spec.fields.iter().any(|f| f.secret && f.key == key)
    };
    let mut held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
    held.extend(newer.into_iter().filter(|(key, _)| stays(key)));
}

fn other_account(old: &Connection, found: &Identity) -> Refusal {
    let sentence = format!("These credentials belong to {}, not to {}.", found.name, old.name);
    let fix = "Connect the other account as a connection of its own; nothing was saved.";
    Refusal::conflict("other_account", sentence, fix)
}

fn connected_already(twin: &Connection) -> Refusal {
    let sentence = format!("This account is connected already, as {}.", twin.name);
    let fix = "Use that connection, or disconnect it first; nothing was saved.";
    Refusal::conflict("already_connected", sentence, fix)
}

/// Finds out whether a post can be published with it now. A refusal of the network pauses it, a
/// good answer lets it go on, and no answer changes nothing.
pub async fn check(app: &App, workspace: &str, id: &str) -> Result<CheckView, Refusal> {
    let mut old = load(app, workspace, id).await?;
    let network = network_of(app, &old)?;
    match Box::pin(tokens::fresh(app, &old)).await {
        Ok(Some(newer)) => old = newer,
        Ok(None) => {}
        // What the network says of a token that has ended is told in its own words.
        Err(tokens::Unusable::Wait(..) | tokens::Unusable::Broken(_)) => {}
        Err(tokens::Unusable::Db(e)) => return Err(e.into()),
    }
    let (mut checks, mut verdict) = Box::pin(examine(app, network, &old)).await?;
    if let Verdict::Broken(error) = &verdict {
        let error = error.clone();
        match Box::pin(tokens::after(app, &old, &error)).await? {
            tokens::After::Again => {
                old = load(app, workspace, id).await?;
                (checks, verdict) = Box::pin(examine(app, network, &old)).await?;
            }
            // It may be that only its token has ended, and a new one is not to be had yet.
            tokens::After::Wait(_) => verdict = Verdict::Away(error),
            tokens::After::Refused(_) => {}
        }
    }
    let (app_, now) = (app.clone(), app.clock.now());
    let connection = app
        .db
        .write(move |tx| async move {
            let mut row =
                connections::find(&tx, &old.workspace_id, &old.id).await?.ok_or_else(no_such)?;
            // Who was edited or checked meanwhile is not judged by what was asked before.
            let stale = row.checked_at != old.checked_at;
            match verdict {
                Verdict::Away(_) => return seen(&tx, &app_, &row).await,
                Verdict::Broken(_) if stale => return seen(&tx, &app_, &row).await,
                Verdict::Fine(identity) => {
                    learn(&mut row, identity.settings);
                    (row.broken_at, row.problem, row.checked_at) = (None, None, Some(now));
                    connections::save(&tx, &row).await?;
                    release(&tx, &row, now).await?;
                    tell(&tx, &app_, "connection.updated", &row, now).await
                }
                Verdict::Broken(error) => {
                    let problem = account::problem(&error);
                    row.broken_at = row.broken_at.or(Some(now));
                    (row.problem, row.checked_at) = (Some(problem), Some(now));
                    connections::save(&tx, &row).await?;
                    hold(&tx, &row, now).await?;
                    tell(&tx, &app_, "connection.broken", &row, now).await
                }
            }
        })
        .await?;
    app.ring();
    Ok(CheckView { ok: checks.iter().all(|c| c.ok), checks, connection })
}

async fn examine(
    app: &App,
    network: &dyn Network,
    c: &Connection,
) -> Result<(Vec<CheckItem>, Verdict), Refusal> {
    let mut account = account::open(app, c)?;
    // Few networks need an app to tell whose a token is; without one they say so.
    if let Ok(client) = apps::of(app, network.spec(), &c.settings).await {
        apps::lend(&mut account, client.as_ref());
    }
    let keeper = Renewals { app, connection: &c.id };
    Ok(check::examine(app, network, &account, &c.remote_id, &keeper).await)
}

/// It needs its owner, and what goes through it waits.
pub(super) async fn broken(
    tx: &Tx,
    c: &Connection,
    problem: &Problem,
    now: i64,
) -> Result<(), db::Error> {
    connections::break_(tx, &c.id, problem, now).await?;
    alerts::clear(tx, AlertKind::ConnectionEnds, &c.id, now).await?;
    if gates::paused_why(tx, &c.lane()).await?.is_none() {
        gates::pause(tx, &c.lane(), Some((now, NEEDS_ACTION))).await?;
    }
    let data = json!({ "connectionId": c.id, "network": c.network, "problem": problem });
    events::add(tx, &c.workspace_id, "connection.broken", &c.id, &data, now).await
}

/// A network let nobody in with this connection's token while something else was asked of it than
/// to publish: what is to be published would be refused as well. A right that was never given is
/// not the token's end.
pub(super) async fn refused(app: &App, c: &Connection, e: &Error) -> Result<(), db::Error> {
    if e.class != Class::Auth || e.code.as_deref() == Some(UNGRANTED) {
        return Ok(());
    }
    let (asked, problem, now) = (c.clone(), account::problem(e), app.clock.now());
    app.db
        .write(move |tx| async move {
            let row = connections::load(&tx, &asked.id).await?;
            // It may have been connected again meanwhile.
            let row = row.filter(|c| c.tokens.version == asked.tokens.version);
            match row.filter(|c| c.broken_at.is_none()) {
                Some(row) => broken(&tx, &row, &problem, now).await,
                None => Ok(()),
            }
        })
        .await?;
    app.ring();
    Ok(())
}

/// Keeps the lane shut until the connection works; an owner's own pause stays one.
async fn hold(tx: &Tx, row: &Connection, now: i64) -> Result<(), Refusal> {
    if let Some(problem) = &row.problem {
        connections::alarm(tx, row, problem, now).await?;
    }
    if gates::paused_why(tx, &row.lane()).await?.is_none() {
        gates::pause(tx, &row.lane(), Some((now, NEEDS_ACTION))).await?;
    }
    Ok(())
}

/// Keeps its deliveries waiting until [`resume`].
pub async fn pause(app: &App, workspace: &str, id: &str) -> Result<ConnectionView, Refusal> {
    set_pause(app, workspace, id, true).await
}

/// Lets its deliveries go on; those of a connection that needs action wait for that still.
pub async fn resume(app: &App, workspace: &str, id: &str) -> Result<ConnectionView, Refusal> {
    set_pause(app, workspace, id, false).await
}

async fn set_pause(
    app: &App,
    workspace: &str,
    id: &str,
    pause: bool,
) -> Result<ConnectionView, Refusal> {
    let (app_, ws, id, now) = (app.clone(), workspace.to_owned(), id.to_owned(), app.clock.now());
    let view = app
        .db
        .write(move |tx| async move {
            let row = connections::find(&tx, &ws, &id).await?.ok_or_else(no_such)?;
            let why = match (pause, row.broken_at) {
                (true, _) => Some((now, PAUSED)),
                (false, Some(_)) => Some((now, NEEDS_ACTION)),
                (false, None) => None,
            };
            gates::pause(&tx, &row.lane(), why).await?;
            tell(&tx, &app_, "connection.updated", &row, now).await
        })
        .await?;
    app.ring();
    Ok(view)
}

pub async fn list(app: &App, workspace: &str) -> Result<Vec<ConnectionView>, Refusal> {
    let (app_, ws) = (app.clone(), workspace.to_owned());
    app.db
        .read(move |tx| async move {
            let rows = connections::list(&tx, &ws).await?;
            let standings = connections::standings(&tx, &ws).await?;
            shown(&tx, &app_, &rows, standings).await
        })
        .await
}

pub async fn find(app: &App, workspace: &str, id: &str) -> Result<ConnectionView, Refusal> {
    let (app_, ws, id) = (app.clone(), workspace.to_owned(), id.to_owned());
    app.db
        .read(move |tx| async move {
            let row = connections::find(&tx, &ws, &id).await?.ok_or_else(no_such)?;
            seen(&tx, &app_, &row).await
        })
        .await
}

/// A row as it is shown.
async fn seen(tx: &Tx, app: &App, row: &Connection) -> Result<ConnectionView, Refusal> {
    let waiting = deliveries::waiting_for(tx, &row.id).await?;
    let paused_why = gates::paused_why(tx, &row.lane()).await?;
    let standing = BTreeMap::from([(row.id.clone(), Standing { waiting, paused_why })]);
    let mut views = shown(tx, app, std::slice::from_ref(row), standing).await?;
    views.pop().ok_or_else(no_such)
}

/// Rows as they are shown, with what is left of their budgets now.
async fn shown(
    tx: &Tx,
    app: &App,
    rows: &[Connection],
    mut standings: BTreeMap<String, Standing>,
) -> Result<Vec<ConnectionView>, Refusal> {
    let spec = |row: &Connection| app.network(&row.network).map(|n| n.spec());
    let names = rows.iter().filter_map(|row| Some(budget::names(spec(row)?, &row.id)));
    let names: BTreeSet<String> = names.flatten().collect();
    let spent = budgets::spent(tx, names.into_iter().collect()).await?;
    let now = app.clock.now();
    let each = rows.iter().map(|row| {
        let standing = standings.remove(&row.id).unwrap_or_default();
        let left = spec(row).map(|s| budget::left(&app.config.publishing, s, &row.id, &spent, now));
        ConnectionView {
            budgets: left.unwrap_or_default(),
            refused_until: row.quota_until.filter(|at| *at > now).map(when::iso),
            ..view(row, standing)
        }
    });
    Ok(each.collect())
}

fn view(row: &Connection, standing: Standing) -> ConnectionView {
    let state = match (row.broken_at, standing.paused_why) {
        (Some(_), _) => ConnectionState::NeedsAction,
        (None, Some(_)) => ConnectionState::Paused,
        (None, None) => ConnectionState::Active,
    };
    ConnectionView {
        id: row.id.clone(),
        network: row.network.clone(),
        name: row.name.clone(),
        remote_id: row.remote_id.clone(),
        state,
        problem: row.problem.clone(),
        settings: row.settings.clone(),
        send_twice: row.twice_at.is_some(),
        waiting: standing.waiting,
        token: TokenView::of(&row.tokens),
        budgets: Vec::new(),
        refused_until: None,
        last_published_at: row.published_at.map(when::iso),
        checked_at: row.checked_at.map(when::iso),
        created_at: when::iso(row.created_at),
    }
}

/// Writes the event of a change and shows the row as it is now.
async fn tell(
    tx: &Tx,
    app: &App,
    what: &str,
    row: &Connection,
    now: i64,
) -> Result<ConnectionView, Refusal> {
    let view = seen(tx, app, row).await?;
    let data = json!({
        "connectionId": row.id,
        "network": row.network,
        "state": view.state,
        "problem": row.problem,
    });
    events::add(tx, &row.workspace_id, what, &row.id, &data, now).await?;
    Ok(view)
}

async fn load(app: &App, workspace: &str, id: &str) -> Result<Connection, Refusal> {
    let (ws, id) = (workspace.to_owned(), id.to_owned());
    let found = app.db.read(move |tx| async move { connections::find(&tx, &ws, &id).await });
    found.await?.ok_or_else(no_such)
}

fn no_such() -> Refusal {
    Refusal::not_found("connection")
}

/// The connector of a stored connection.
fn network_of(app: &App, row: &Connection) -> Result<&'static dyn Network, Refusal> {
    app.network(&row.network).ok_or_else(|| {
        let sentence = format!("This version knows no network `{}`.", row.network);
        let fix = "Ask whoever runs this installation for its version.";
        Refusal::new(Kind::Internal, "unknown_network", sentence, fix)
    })
}
