//! Circuit breakers: a network that fails again and again is left alone for a while, by all nodes.
//!
//! So many failures within a window open a circuit; when its wait is over one probe goes, and what
//! comes of it closes the circuit or opens it anew. A failure is no answer or an answer of the
//! network's own trouble: refusals of content, tokens or rate do not count. Networks of many
//! servers have one circuit a server. It is advice, not truth: noted after the outcome's
//! transaction, so that an outcome never waits for it.

use std::collections::BTreeMap;

use carillon_networks::{Applied, Class, Error, Network, Spec};
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::db::{self, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::job::Claim;
use crate::domain::problem::Problem;
use crate::domain::refusal::Refusal;
use crate::domain::when::iso;
use crate::store::circuits::{self, Circuit};
use crate::store::queue::gates;
use crate::store::{alerts, audit};
use crate::words;

/// Where a network of many servers is told which one it is.
const PLACES: [&str; 4] = ["server", "url", "host", "relays"];

/// The circuit that a connection with these settings is behind. A server that is down is no trouble
/// of those that are elsewhere.
pub fn name(spec: &Spec, settings: &BTreeMap<String, String>) -> String {
    let places = PLACES.iter().filter_map(|key| settings.get(*key));
    let place = places.map(|place| place.trim()).find(|place| !place.is_empty());
    let mut hosts: Vec<String> =
        place.into_iter().flat_map(|all| all.split(',')).filter_map(host).collect();
    hosts.sort();
    hosts.dedup();
    match hosts.is_empty() {
        true => spec.id.to_owned(),
        false => format!("{}:{}", spec.id, hosts.join("+")),
    }
}

/// The host of an address, or of one that is written without its scheme.
fn host(address: &str) -> Option<String> {
    let address = address.trim();
    let url = address.parse::<url::Url>().ok();
    let bare = || address.split([':', '/']).next().map(str::to_ascii_lowercase);
    let host = url.as_ref().and_then(|url| url.host_str()).map(str::to_owned).or_else(bare);
    host.filter(|host| !host.is_empty())
}

/// What a call to a network says about the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answered, if only to refuse.
    Up,
    /// No answer, or one of its own trouble.
    Down(String),
}

pub(super) fn sign<T>(answer: &Result<T, Error>) -> Sign {
    match answer {
        Err(e) if fails(e) => Sign::Down(e.sentence.clone()),
        _ => Sign::Up,
    }
}

fn fails(e: &Error) -> bool {
    // A handle that our own database did not take is not the network's failure.
    let ours = e.code.as_deref() == Some("not_kept");
    !ours
        && (e.class == Class::Transient || (e.class == Class::Unknown && e.applied != Applied::No))
}

/// Takes note of what a step saw; `None` when it called nobody.
pub(super) async fn note(
    app: &App,
    claim: &Claim,
    network: &dyn Network,
    settings: &BTreeMap<String, String>,
    sign: Option<Sign>,
) -> Result<(), db::Error> {
    if !claim.probe && !matches!(sign, Some(Sign::Down(_))) {
        return Ok(());
    }
    let (name, title) = (name(network.spec(), settings), network.spec().name);
    let (app_, claim) = (app.clone(), claim.clone());
    let changed = app
        .db
        .write(move |tx| async move {
            let mut c = circuits::lock(&tx, &name).await?;
            let before = c.open_until;
            let now = app_.clock.now();
            judge(&app_, &mut c, claim.probe, sign, now);
            circuits::save(&tx, &c).await?;
            if c.open_until != before || claim.probe {
                gates::hold_circuit(&tx, &name, c.open_until.unwrap_or(0)).await?;
                tell(&tx, &c, title, now).await?;
            }
            Ok::<_, db::Error>(c.open_until != before)
        })
        .await?;
    if changed {
        app.ring();
    }
    Ok(())
}

fn judge(app: &App, c: &mut Circuit, probe: bool, sign: Option<Sign>, now: i64) {
    let config = &app.config.publishing;
    let open_for = config.breaker_open.as_millis() as i64;
    match sign {
        Some(Sign::Down(why)) => {
            c.failures.retain(|at| *at > now - config.breaker_window.as_millis() as i64);
            c.failures.push(now);
            let enough = c.failures.len() >= config.breaker_failures.max(1);
            // What was under way when it opened tells nothing new.
            if probe || (enough && c.open_until.is_none()) {
                c.opened_at = Some(now);
                c.open_until = Some(now + open_for);
                c.reason = Some(why);
                c.failures.clear();
            }
        }
        Some(Sign::Up) => close(c),
        None => {}
    }
    if probe {
        c.probe_until = None;
    }
}

fn close(c: &mut Circuit) {
    (c.opened_at, c.open_until, c.probe_until, c.reason) = (None, None, None, None);
    c.failures.clear();
}

async fn tell(tx: &Tx, c: &Circuit, title: &str, now: i64) -> Result<(), db::Error> {
    match c.open_until {
        Some(_) => {
            let why = c.reason.as_deref().unwrap_or("It does not answer.");
            let sentence =
                format!("{title} failed again and again, so it is left alone for a while. {why}");
            let next = "Nothing is lost: it is tried again by itself. Reset the circuit when you know that it works.";
            let problem = Problem::new("transient", sentence, "wait", next);
            alerts::raise(tx, None, AlertKind::CircuitOpen, &c.name, &problem, now).await?;
        }
        None => {
            alerts::clear(tx, AlertKind::CircuitOpen, &c.name, now).await?;
        }
    }
    Ok(())
}

words! {
    pub enum CircuitState {
        /// Calls go through.
        Closed = "closed",
        /// Nothing is sent.
        Open = "open",
        /// The wait is over: one call finds out.
        Probing = "probing",
    }
}

/// A circuit as every surface shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CircuitView {
    /// A network's id; for a network of many servers with the servers' names behind a colon.
    #[schema(example = "bluesky")]
    pub name: String,
    pub network: String,
    pub state: CircuitState,
    /// Failures that still count.
    pub failures: i64,
    /// ISO 8601
    pub opened_at: Option<String>,
    /// When the next try may go. ISO 8601
    pub open_until: Option<String>,
    /// The failure that opened it, in one sentence.
    pub reason: Option<String>,
}

pub(crate) fn view(app: &App, c: &Circuit, now: i64) -> CircuitView {
    let window = app.config.publishing.breaker_window.as_millis() as i64;
    CircuitView {
        name: c.name.clone(),
        network: c.name.split(':').next().unwrap_or_default().to_owned(),
        state: match c.open_until {
            None => CircuitState::Closed,
            Some(until) if until > now => CircuitState::Open,
            Some(_) => CircuitState::Probing,
        },
        failures: c.failures.iter().filter(|at| **at > now - window).count() as i64,
        opened_at: c.opened_at.map(iso),
        open_until: c.open_until.map(iso),
        reason: c.reason.clone(),
    }
}

/// The circuits that had failures; with a workspace only those its connections are behind, and
/// those also when they are clean.
pub async fn list(app: &App, workspace: Option<&str>) -> Result<Vec<CircuitView>, Refusal> {
    let ws = workspace.map(str::to_owned);
    let (known, mut wanted) = app
        .db
        .read(move |tx| async move {
            let wanted = match &ws {
                Some(ws) => circuits::of_workspace(&tx, ws).await?,
                None => Vec::new(),
            };
            Ok::<_, Refusal>((circuits::all(&tx).await?, wanted))
        })
        .await?;
    if workspace.is_none() {
        wanted = known.iter().map(|c| c.name.clone()).collect();
    }
    let now = app.clock.now();
    let clean = |name: &String| Circuit {
        name: name.clone(),
        failures: Vec::new(),
        opened_at: None,
        open_until: None,
        probe_until: None,
        reason: None,
    };
    let found = |name: &String| known.iter().find(|c| c.name == *name).cloned();
    Ok(wanted.iter().map(|n| view(app, &found(n).unwrap_or_else(|| clean(n)), now)).collect())
}

/// Closes a circuit by hand; what waited behind it goes at once.
pub async fn reset(
    app: &App,
    workspace: Option<&str>,
    name: &str,
    actor: &str,
) -> Result<CircuitView, Refusal> {
    let (ws, name, actor) = (workspace.map(str::to_owned), name.to_owned(), actor.to_owned());
    let now = app.clock.now();
    let c = app
        .db
        .write(move |tx| async move {
            let theirs = match &ws {
                Some(ws) => circuits::of_workspace(&tx, ws).await?.contains(&name),
                None => circuits::all(&tx).await?.iter().any(|c| c.name == name),
            };
            if !theirs {
                return Err(Refusal::not_found("circuit"));
            }
            let mut c = circuits::lock(&tx, &name).await?;
            close(&mut c);
            circuits::save(&tx, &c).await?;
            gates::hold_circuit(&tx, &name, 0).await?;
            alerts::clear(&tx, AlertKind::CircuitOpen, &name, now).await?;
            let data = serde_json::json!({});
            audit::add(&tx, ws.as_deref(), &actor, "circuit.reset", &name, &data, now).await?;
            Ok(c)
        })
        .await?;
    app.ring();
    Ok(view(app, &c, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_a_circuit_of_its_own() {
        let of = |network: &str, key: &str, value: &str| {
            let spec = carillon_networks::find(network).unwrap().spec();
            name(spec, &BTreeMap::from([(key.to_owned(), value.to_owned())]))
        };
        for (network, key, value, circuit) in [
            ("mastodon", "server", "https://Mastodon.social/", "mastodon:mastodon.social"),
            ("devto", "server", "https://forem.example", "devto:forem.example"),
            ("devto", "server", " ", "devto"),
            ("webhook", "url", "https://shop.example/posts", "webhook:shop.example"),
            ("email", "host", "SMTP.example.com", "email:smtp.example.com"),
            ("email", "host", "localhost:2525", "email:localhost"),
            ("nostr", "relays", "wss://b.example, wss://a.example/x", "nostr:a.example+b.example"),
            ("x", "username", "alice", "x"),
        ] {
            assert_eq!(of(network, key, value), circuit);
        }
    }
}
