//! The operator's apps: what the consent pages of networks know this installation by.
//!
//! One a network, for every workspace. Where a network is many servers there is one a server, and
//! it is registered there by itself at the first consent. With a sandbox in place of the networks
//! its app is there without being set. An app's secret is sealed and never shown again; a
//! connector is lent it for the calls that need one.

use std::collections::BTreeMap;

use carillon_networks::oauth::Client;
use carillon_networks::{
    Account, Action, Checkpoints, Class, Context, Error, Forgetful, Network, Secret, Spec,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::account;
use super::connecting;
use crate::App;
use crate::domain::refusal::{Refusal, Wrong};
use crate::domain::sealed::Place;
use crate::domain::when;
use crate::store::apps::{self, NetworkApp};
use crate::store::{audit, tokens};
use crate::words;

/// The one app that a sandbox knows.
const SANDBOX: (&str, &str) = ("sandbox-app", "sandbox-app-secret");
/// Where consent pages lead back to, on our own address.
pub const CALLBACK: &str = "/oauth/callback";
/// Most characters of an id or a secret.
const LONGEST: usize = 2_000;

words! {
    /// How an app came here.
    pub enum Origin {
        /// An operator entered it.
        Entered = "entered",
        /// It registered itself.
        Registered = "registered",
        /// It is the sandbox's.
        Sandbox = "sandbox",
    }
}

/// A network with a consent page, and what is set up for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    #[schema(example = "mastodon")]
    pub network: String,
    #[schema(example = "Mastodon")]
    pub name: String,
    /// Can an account be connected through the network's consent page?
    pub ready: bool,
    /// Does it register itself at each server?
    pub registers: bool,
    /// Exactly what the network's app has to have as its redirect address.
    #[schema(example = "https://posts.example.com/oauth/callback")]
    pub redirect_uri: String,
    /// Why networks may not take that address.
    pub redirect_problem: Option<String>,
    pub scopes: Vec<String>,
    /// What to do at the network, step by step.
    pub guide: Vec<String>,
    pub apps: Vec<OneApp>,
}

/// An app that is set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OneApp {
    /// The server that knows it; empty where the network is one.
    pub server: String,
    pub client_id: String,
    pub origin: Origin,
    pub since: Option<String>,
}

/// An app as an operator enters it.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApp {
    #[schema(example = "linkedin")]
    pub network: String,
    pub client_id: String,
    /// Sealed, and never shown again.
    pub client_secret: String,
    /// Where the network is many servers, the one that knows the app.
    #[serde(default)]
    pub server: Option<String>,
}

/// Every network with a consent page, in display order.
pub async fn list(app: &App) -> Result<Vec<AppView>, Refusal> {
    let stored = app.db.read(|tx| async move { apps::list(&tx).await }).await?;
    let with_page = app.networks.iter().map(|n| n.spec()).filter(|s| s.oauth.is_some());
    Ok(with_page.map(|spec| view(app, spec, &stored)).collect())
}

fn view(app: &App, spec: &Spec, stored: &[NetworkApp]) -> AppView {
    let mut set: Vec<OneApp> = stored
        .iter()
        .filter(|a| a.network == spec.id)
        .map(|a| OneApp {
            server: a.server.clone(),
            client_id: a.client_id.clone(),
            origin: if a.redirect_uri.is_some() { Origin::Registered } else { Origin::Entered },
            since: Some(when::iso(a.created_at)),
        })
        .collect();
    let everywhere = !spec.base_url.is_empty();
    if !app.config.networks.sandbox.is_empty() && (!everywhere || set.is_empty()) {
        let (client_id, origin) = (SANDBOX.0.to_owned(), Origin::Sandbox);
        let server = if everywhere { String::new() } else { sandbox_server(app, spec) };
        set.push(OneApp { server, client_id, origin, since: None });
    }
    let words = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect();
    let asked = spec.oauth.iter().flat_map(|o| o.asked()).map(str::to_owned);
    AppView {
        network: spec.id.to_owned(),
        name: spec.name.to_owned(),
        ready: !everywhere || !set.is_empty(),
        registers: !everywhere,
        redirect_uri: redirect_uri(app),
        redirect_problem: redirect_problem(app),
        scopes: asked.collect(),
        guide: words(spec.oauth.as_ref().map_or(&[][..], |o| o.guide)),
        apps: set,
    }
}

/// Where this network's only server is while a sandbox stands in for all.
pub(super) fn sandbox_server(app: &App, spec: &Spec) -> String {
    format!("{}/{}", app.config.networks.sandbox, spec.id)
}

/// Where every consent page leads back to.
pub fn redirect_uri(app: &App) -> String {
    format!("{}{CALLBACK}", app.public_url())
}

fn redirect_problem(app: &App) -> Option<String> {
    let url = app.public_url();
    if url.starts_with("https://") || !app.config.networks.sandbox.is_empty() {
        return None;
    }
    let says = match url.as_str() {
        "" => {
            "It begins with the address under which people open Carillon: set `CARILLON_PUBLIC_URL`."
        }
        _ => "Most networks lead back to https addresses only: set `CARILLON_PUBLIC_URL` to one.",
    };
    Some(says.to_owned())
}

/// Sets the app of a network, in the place of one that is there. Tokens that could not be renewed
/// are tried with it.
pub async fn set(app: &App, new: NewApp, actor: &str) -> Result<AppView, Refusal> {
    let network = app.network(&new.network).ok_or_else(|| connecting::unknown(&new.network))?;
    let spec = network.spec();
    let mut wrong = Vec::new();
    if spec.oauth.is_none() {
        return Err(no_page(spec));
    }
    let server = match (spec.base_url.is_empty(), new.server.as_deref().unwrap_or("").trim()) {
        (true, "") => {
            let says = format!("{} is many servers: name the one that knows the app.", spec.name);
            wrong.push(Wrong::new("server", "missing_field", says));
            String::new()
        }
        (true, server) => connecting::server(server).unwrap_or_else(|why| {
            wrong.push(Wrong::new("server", "invalid_address", format!("“Server” {why}.")));
            String::new()
        }),
        (false, "") => String::new(),
        (false, _) => {
            let says = format!("{} is one network: its app belongs to no server.", spec.name);
            wrong.push(Wrong::new("server", "unknown_field", says));
            String::new()
        }
    };
    for (field, value) in [("clientId", &new.client_id), ("clientSecret", &new.client_secret)] {
        if let Err(why) = clean(value) {
            wrong.push(Wrong::new(field, "invalid_field", format!("`{field}` {why}.")));
        }
    }
    if !wrong.is_empty() {
        return Err(Refusal::invalid(wrong));
    }
    let (now, id) = (app.clock.now(), new.client_id.trim().to_owned());
    let mut row = NetworkApp {
        network: spec.id.to_owned(),
        server,
        client_id: id,
        secret: String::new(),
        redirect_uri: None,
        created_at: now,
    };
    row.secret = app.keys.seal(new.client_secret.trim(), Place::AppSecret, &row.row());
    let actor = actor.to_owned();
    app.db
        .write(move |tx| async move {
            apps::set(&tx, &row).await?;
            tokens::rearm(&tx, &row.network, now).await?;
            let data = json!({ "clientId": row.client_id, "server": row.server });
            audit::add(&tx, None, &actor, "app.set", &row.network, &data, now).await
        })
        .await?;
    one(app, spec).await
}

fn clean(value: &str) -> Result<(), &'static str> {
    match value.trim() {
        "" => Err("is empty"),
        v if v.len() > LONGEST => Err("is too long"),
        v if v.chars().any(|c| c.is_control() || c.is_whitespace()) => Err("holds a blank"),
        _ => Ok(()),
    }
}

async fn one(app: &App, spec: &Spec) -> Result<AppView, Refusal> {
    let stored = app.db.read(|tx| async move { apps::list(&tx).await }).await?;
    Ok(view(app, spec, &stored))
}

/// Forgets the app of a network. Connections go on with the tokens that they have.
pub async fn remove(
    app: &App,
    network: &str,
    server: Option<&str>,
    actor: &str,
) -> Result<AppView, Refusal> {
    let found = app.network(network).ok_or_else(|| connecting::unknown(network))?;
    let spec = found.spec();
    let server = match server.map(str::trim).filter(|s| !s.is_empty()) {
        Some(server) => connecting::server(server).unwrap_or_else(|_| server.to_owned()),
        None => String::new(),
    };
    let (now, actor, network) = (app.clock.now(), actor.to_owned(), spec.id.to_owned());
    let removed = app.db.write(move |tx| async move {
        let removed = apps::remove(&tx, &network, &server).await?;
        if removed {
            let data = json!({ "server": server });
            audit::add(&tx, None, &actor, "app.removed", &network, &data, now).await?;
        }
        Ok::<_, Refusal>(removed)
    });
    if !removed.await? {
        let sentence = format!("No app is set for {} here.", spec.name);
        let fix = "`GET /apps` shows those that are, with their servers.";
        return Err(Refusal { fix: fix.into(), sentence, ..Refusal::not_found("app") });
    }
    one(app, spec).await
}

/// Why there is nothing to list of a network.
pub fn without_page(app: &App, network: &str) -> Refusal {
    app.network(network).map_or_else(|| connecting::unknown(network), |n| no_page(n.spec()))
}

pub(super) fn no_page(spec: &Spec) -> Refusal {
    let sentence = format!("{} has no consent page.", spec.name);
    let fix = "Enter the credentials by hand, under Connections.";
    Refusal {
        fix: fix.into(),
        ..Refusal::invalid(vec![Wrong::new("network", "no_consent_page", sentence)])
    }
}

/// No app is there to ask with.
pub(super) fn missing(spec: &Spec) -> Error {
    let says = format!("No {} app is set up in this installation.", spec.name);
    Error::new(Class::Config, says).code("no_app").action(Action::AskOperator)
}

/// The app that speaks for accounts with these settings, if one is set up.
pub(super) async fn of(
    app: &App,
    spec: &Spec,
    settings: &BTreeMap<String, String>,
) -> Result<Option<Client>, Error> {
    if spec.oauth.is_none() {
        return Ok(None);
    }
    let server = server_of(spec, settings);
    let (network, at) = (spec.id.to_owned(), server.clone());
    let found = app.db.read(move |tx| async move { apps::find(&tx, &network, &at).await });
    let found = found.await.map_err(|e| away(&e))?;
    // One that was registered for another address of ours is refused there.
    let found = found.filter(|a| a.redirect_uri.as_ref().is_none_or(|to| *to == redirect_uri(app)));
    match found {
        Some(row) => open(app, &row).map(Some),
        None => Ok(sandboxed(app, spec, &server).then(sandbox_app)),
    }
}

fn away(e: &crate::db::Error) -> Error {
    Error::new(Class::Transient, format!("The app could not be looked up: {e}.")).code("not_kept")
}

fn open(app: &App, row: &NetworkApp) -> Result<Client, Error> {
    let secret = app.keys.open(&row.secret, Place::AppSecret, &row.row()).map_err(|e| {
        tracing::error!(network = row.network, error = %e, "the secret of an app cannot be opened");
        let says = format!("The secret of the {} app cannot be opened.", row.network);
        Error::new(Class::Config, says).code("secrets_sealed").action(Action::AskOperator)
    })?;
    Ok(Client { id: row.client_id.clone(), secret: Secret::new(secret) })
}

/// Does the sandbox stand in for this server?
fn sandboxed(app: &App, spec: &Spec, server: &str) -> bool {
    let sandbox = &app.config.networks.sandbox;
    !sandbox.is_empty() && (!spec.base_url.is_empty() || server == sandbox_server(app, spec))
}

fn sandbox_app() -> Client {
    Client { id: SANDBOX.0.to_owned(), secret: Secret::new(SANDBOX.1) }
}

/// The server whose app it is; empty where the network is one.
pub(super) fn server_of(spec: &Spec, settings: &BTreeMap<String, String>) -> String {
    let own = settings.get("server").filter(|_| spec.base_url.is_empty());
    own.map(|s| s.trim().trim_end_matches('/').to_owned()).unwrap_or_default()
}

/// The app to ask for consent with; where a network is many servers one registers itself.
pub(super) async fn for_consent(
    app: &App,
    network: &dyn Network,
    settings: &BTreeMap<String, String>,
) -> Result<Client, Error> {
    let spec = network.spec();
    if let Some(client) = of(app, spec, settings).await? {
        return Ok(client);
    }
    if !spec.base_url.is_empty() {
        return Err(missing(spec));
    }
    let account = Account { settings: settings.clone(), ..Account::default() };
    let (base, to) = (account::base(app, network, settings), redirect_uri(app));
    let cx = Context::new(
        &app.http,
        &account,
        &base,
        app.clock.now(),
        app.config.networks.timeout,
        Checkpoints::new(),
        &Forgetful,
    );
    let made = network.register(&cx, &to).await;
    let client = made.map_err(|e| account::in_words(e, network, &base))?;
    let mut row = NetworkApp {
        network: spec.id.to_owned(),
        server: server_of(spec, settings),
        client_id: client.id.clone(),
        secret: String::new(),
        redirect_uri: Some(to),
        created_at: app.clock.now(),
    };
    row.secret = app.keys.seal(client.secret.reveal(), Place::AppSecret, &row.row());
    let kept = app.db.write(move |tx| async move { apps::set(&tx, &row).await });
    kept.await.map_err(|e| away(&e))?;
    Ok(client)
}

/// Puts an app where connectors look for it, for the length of a call.
pub(super) fn lend(account: &mut Account, client: Option<&Client>) {
    let Some(client) = client else { return };
    account.settings.insert("clientId".into(), client.id.clone());
    let held = account.secrets.get_mut().unwrap_or_else(|e| e.into_inner());
    held.insert("clientSecret".into(), client.secret.clone());
}

/// Takes it away again, so that it is not kept with the connection.
pub(super) fn take_back(account: &mut Account) {
    account.settings.remove("clientId");
    account.secrets.get_mut().unwrap_or_else(|e| e.into_inner()).remove("clientSecret");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_knows_its_app() {
        let theirs = (carillon_sandbox::CLIENT_ID, carillon_sandbox::CLIENT_SECRET);
        assert_eq!(SANDBOX, theirs);
    }
}
