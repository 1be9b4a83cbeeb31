//! A stored connection as the connectors see it: address, settings, opened secrets.

use std::collections::BTreeMap;
use std::sync::Mutex;

use carillon_networks::{Account, Network, Secret};

use crate::App;
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::sealed::Place;
use crate::store::connections::Connection;

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

/// An error about an address, told with the network's name instead: people know that one.
pub fn in_words(
    mut e: carillon_networks::Error,
    network: &dyn Network,
    base: &str,
) -> carillon_networks::Error {
    if let Ok(url) = base.parse::<url::Url>() {
        let origin = url.origin().ascii_serialization();
        e.sentence = e.sentence.replace(&origin, network.spec().name);
    }
    e
}

/// A connector's error as it is kept and shown.
pub fn problem(e: &carillon_networks::Error) -> Problem {
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
