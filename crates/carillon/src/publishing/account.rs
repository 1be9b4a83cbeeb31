//! A stored connection as the connectors see it: address, settings, opened secrets.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use carillon_networks::{Account, Class, Error, Keeper, Network, Secret};

use crate::App;
use crate::db;
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::sealed::Place;
use crate::store::connections::{self, Connection};

/// Where the network's API is for a connection: its own `server`, the sandbox that stands in for
/// every network, or the network itself.
pub fn base(app: &App, network: &dyn Network, settings: &BTreeMap<String, String>) -> String {
    let spec = network.spec();
    let sandbox = &app.config.networks.sandbox;
    match settings.get("server").map(|s| s.trim()).filter(|s| !s.is_empty()) {
        Some(server) => server.trim_end_matches('/').to_owned(),
        None if !sandbox.is_empty() => format!("{sandbox}/{}", spec.id),
        None => spec.base_url.to_owned(),
    }
}

/// Opens the sealed secrets.
pub fn open(app: &App, c: &Connection) -> Result<Account, Refusal> {
    let shut = |why: String| {
        tracing::error!(connection_id = %c.id, "the secrets of a connection {why}");
        Refusal::new(
            Kind::Unavailable,
            "secrets_sealed",
            format!("The credentials of {} cannot be opened: the sealed text {why}.", c.name),
            "Ask whoever runs this installation to look at CARILLON_KEYS, or reconnect.",
        )
    };
    let secrets: BTreeMap<String, String> = if c.secrets.is_empty() {
        BTreeMap::new()
    } else {
        let text = app
            .keys
            .open(&c.secrets, Place::ConnectionSecrets, &c.id)
            .map_err(|e| shut(e.to_string()))?;
        serde_json::from_str(&text).map_err(|_| shut("does not hold what it should".into()))?
    };
    let secrets = secrets.into_iter().map(|(k, v)| (k, Secret::new(v))).collect();
    Ok(Account { settings: c.settings.clone(), secrets: Mutex::new(secrets) })
}

/// The secrets of an account, sealed for a connection.
pub fn seal(app: &App, account: &Account, connection_id: &str) -> String {
    let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
    let open: BTreeMap<&str, &str> = held.iter().map(|(k, v)| (k.as_str(), v.reveal())).collect();
    app.keys.seal(&crate::store::json(&open), Place::ConnectionSecrets, connection_id)
}

/// Why renewed secrets were not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKept {
    #[error("{0}")]
    Sealed(Refusal),
    #[error("a session could not be kept: {0}")]
    Db(#[from] db::Error),
}

/// Keeps secrets that the network renewed, durably, among those that the connection holds by now:
/// tokens may have been renewed or a password entered meanwhile.
pub(super) async fn keep(
    app: &App,
    connection: &str,
    renewed: &BTreeMap<String, Secret>,
) -> Result<(), NotKept> {
    loop {
        let id = connection.to_owned();
        let found = app.db.read(move |tx| async move { connections::load(&tx, &id).await }).await?;
        // Disconnected: there is nothing to keep them for.
        let Some(row) = found.filter(|row| !row.secrets.is_empty()) else { return Ok(()) };
        let account = open(app, &row).map_err(NotKept::Sealed)?;
        account.secrets.lock().unwrap_or_else(|e| e.into_inner()).extend(renewed.clone());
        let (sealed, version) = (seal(app, &account, &row.id), row.tokens.version);
        let kept = app.db.write(move |tx| async move {
            connections::renew(&tx, &row.id, version, &sealed).await
        });
        if kept.await? {
            return Ok(());
        }
    }
}

/// Keeps what a call renews that is no step of a delivery: it has no handles.
pub(super) struct Renewals<'a> {
    pub(super) app: &'a App,
    pub(super) connection: &'a str,
}

#[async_trait]
impl Keeper for Renewals<'_> {
    async fn checkpoint(&self, _: &str, _: &serde_json::Value) -> Result<(), Error> {
        Ok(())
    }

    async fn renew(&self, secrets: &BTreeMap<String, Secret>) -> Result<(), Error> {
        keep(self.app, self.connection, secrets).await.map_err(|e| not_kept(&e))
    }
}

/// What stops a call before anything visible.
pub(super) fn not_kept(e: &NotKept) -> Error {
    match e {
        NotKept::Sealed(refusal) => {
            Error::new(Class::Config, refusal.sentence.clone()).code("secrets_sealed")
        }
        NotKept::Db(_) => Error::new(Class::Transient, format!("{e}.")).code("not_kept"),
    }
}

/// The error without the account's own secrets, should the network have quoted them.
pub(super) fn hushed(mut error: Error, account: &Account) -> Error {
    let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
    // Shorter ones are no secrets, and would blot out words.
    for secret in held.values().map(Secret::reveal).filter(|s| s.len() >= 6) {
        error.sentence = error.sentence.replace(secret, "•••");
        error.code = error.code.map(|code| code.replace(secret, "•••"));
    }
    error
}

/// The same account once more, for a call that is lent more than is kept.
pub(super) fn copy(account: &Account) -> Account {
    let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
    Account { settings: account.settings.clone(), secrets: Mutex::new(held.clone()) }
}

/// An error about an address, told with the network's name instead: people know that one.
pub fn in_words(mut e: Error, network: &dyn Network, base: &str) -> Error {
    if let Ok(url) = base.parse::<url::Url>() {
        let origin = url.origin().ascii_serialization();
        e.sentence = e.sentence.replace(&origin, network.spec().name);
    }
    e
}

/// A connector's error as it is kept and shown.
pub fn problem(e: &Error) -> Problem {
    let word = |v: serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    Problem {
        class: word(serde_json::to_value(e.class).unwrap_or_default()),
        sentence: e.sentence.clone(),
        action: word(serde_json::to_value(e.action).unwrap_or_default()),
        action_sentence: e.action.sentence().to_owned(),
        status: e.status,
        code: e.code.clone(),
        request_id: e.request_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(secret: &str) -> Account {
        let account = Account::default();
        account.secrets.lock().unwrap().insert("accessToken".into(), Secret::new(secret));
        account
    }

    #[test]
    fn a_quoted_secret_is_blotted_out() {
        let error = Error::new(Class::Auth, "Malformed access token EAAB1234.").code("EAAB1234/1");
        let hushed = hushed(error, &account("EAAB1234"));
        assert_eq!(hushed.sentence, "Malformed access token •••.");
        assert_eq!(hushed.code.as_deref(), Some("•••/1"));
    }
}
