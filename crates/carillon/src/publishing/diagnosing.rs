//! What is stored of connections, for an admin who looks for what is wrong: every token masked,
//! when it ends as far as it says so itself, what is known about the account, which key seals it.
//!
//! Off unless the installation says otherwise, and whoever looks is written down. No whole token
//! leaves here.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carillon_networks::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::account;
use super::connecting::{self, ConnectionState, TokenView};
use crate::App;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::when::iso;
use crate::identity::keys::Keys;
use crate::store::audit;
use crate::store::connections::{self, Connection};

/// Of a shorter one nothing is shown: what eight characters leave could be guessed.
const SHORT: usize = 20;
/// So many characters of either end of a longer one.
const ENDS: usize = 4;

/// What is stored of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    pub connection_id: String,
    #[schema(example = "mastodon")]
    pub network: String,
    #[schema(example = "@bakery@mastodon.social")]
    pub name: String,
    /// The network's own id of the account.
    pub remote_id: String,
    pub state: ConnectionState,
    pub tokens: Vec<MaskedToken>,
    /// How long its access lasts, as far as that is known.
    pub token: TokenView,
    /// The key that its credentials are sealed with.
    #[schema(example = "k1f09ab3e")]
    pub key: Option<String>,
    /// Is that the key that seals now?
    pub newest_key: bool,
    /// Why its credentials do not open, where they do not.
    pub unopened: Option<String>,
    /// What was entered and what checks found out: what the network is asked with.
    pub settings: BTreeMap<String, String>,
    /// Required fields that are empty.
    pub missing: Vec<String>,
    /// When the network was last asked about it.
    pub checked_at: Option<String>,
    pub last_published_at: Option<String>,
    pub created_at: String,
}

/// A secret, masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaskedToken {
    #[schema(example = "accessToken")]
    pub key: String,
    /// Its first and last four characters; nothing of a short one.
    #[schema(example = "EAAB…x7Qz")]
    pub masked: String,
    /// When it ends, where it says so itself.
    pub expires_at: Option<String>,
}

/// Is anybody shown this here?
pub fn enabled(app: &App) -> bool {
    app.config.server.connection_diagnostics
}

/// Every connection of a workspace, or one of them, as it is stored. The caller is an admin.
pub async fn diagnose(
    app: &App,
    workspace: &str,
    only: Option<&str>,
    actor: &str,
) -> Result<Vec<Diagnosis>, Refusal> {
    if !enabled(app) {
        return Err(Refusal::new(
            Kind::Forbidden,
            "diagnostics_off",
            "Connection diagnostics are off in this installation.",
            "Set ENABLE_CONNECTION_DIAGNOSTICS=true for as long as they are needed.",
        ));
    }
    let states: BTreeMap<String, ConnectionState> = connecting::list(app, workspace)
        .await?
        .into_iter()
        .map(|view| (view.id, view.state))
        .collect();
    let (ws, only, actor) = (workspace.to_owned(), only.map(str::to_owned), actor.to_owned());
    let now = app.clock.now();
    let rows = app
        .db
        .write(move |tx| async move {
            let mut rows = connections::list(&tx, &ws).await?;
            if let Some(id) = &only {
                rows.retain(|row| row.id == *id);
                if rows.is_empty() {
                    return Err(Refusal::not_found("connection"));
                }
            }
            let subject = only.as_deref().unwrap_or("all");
            let (data, action) = (json!({ "connections": rows.len() }), "connections.diagnosed");
            audit::add(&tx, Some(&ws), &actor, action, subject, &data, now).await?;
            Ok(rows)
        })
        .await?;
    let newest = app.keys.newest();
    let state = |row: &Connection| states.get(&row.id).copied();
    Ok(rows
        .iter()
        // One that came or went between the two questions is seen the next time.
        .filter_map(|row| Some(diagnosis(app, row, state(row)?, &newest)))
        .collect())
}

fn diagnosis(app: &App, row: &Connection, state: ConnectionState, newest: &str) -> Diagnosis {
    let key = Keys::id_of(&row.secrets).map(str::to_owned);
    let (secrets, unopened) = match account::open(app, row) {
        Ok(account) => (account.secrets.into_inner().unwrap_or_else(|e| e.into_inner()), None),
        Err(refusal) => (BTreeMap::new(), Some(refusal.sentence)),
    };
    let missing = app.network(&row.network).map(|n| n.spec()).map_or_else(Vec::new, |spec| {
        let missing = connecting::missing(spec, &row.settings, &secrets);
        missing.into_iter().map(|field| field.label.to_owned()).collect()
    });
    Diagnosis {
        connection_id: row.id.clone(),
        network: row.network.clone(),
        name: row.name.clone(),
        remote_id: row.remote_id.clone(),
        state,
        tokens: secrets.iter().map(|(key, secret)| masked(key, secret)).collect(),
        token: TokenView::of(&row.tokens),
        newest_key: key.as_deref() == Some(newest),
        key,
        unopened,
        settings: row.settings.clone(),
        missing,
        checked_at: row.checked_at.map(iso),
        last_published_at: row.published_at.map(iso),
        created_at: iso(row.created_at),
    }
}

fn masked(key: &str, secret: &Secret) -> MaskedToken {
    let value = secret.reveal();
    MaskedToken { key: key.to_owned(), masked: mask(value), expires_at: ends(value).map(iso) }
}

/// Enough to tell two tokens apart.
fn mask(value: &str) -> String {
    let all: Vec<char> = value.chars().collect();
    if all.is_empty() {
        return String::new();
    }
    if all.len() < SHORT {
        return "•••".into();
    }
    let end = |part: &[char]| part.iter().collect::<String>();
    format!("{}…{}", end(&all[..ENDS]), end(&all[all.len() - ENDS..]))
}

/// The end that a JSON Web Token names, ms UTC. It is shown, not believed: only the network knows.
fn ends(value: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let mut parts = value.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    claims.exp.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_short_token_nothing_is_shown_and_of_a_long_one_its_ends() {
        assert_eq!(mask(""), "");
        assert_eq!(mask("short"), "•••");
        assert_eq!(mask(&"x".repeat(SHORT - 1)), "•••");
        assert_eq!(mask("EAAB-0123456789-x7Qz"), "EAAB…x7Qz");
        assert_eq!(mask("äöüß0123456789012345éèêë"), "äöüß…éèêë", "whole characters");
    }

    #[test]
    fn a_token_that_says_when_it_ends_is_believed_to_say_so() {
        let of = |claims: &str| {
            let payload = URL_SAFE_NO_PAD.encode(claims);
            ends(&format!("eyJhbGciOiJFUzI1NksifQ.{payload}.c2lnbmF0dXJl"))
        };
        assert_eq!(of(r#"{"exp":1795424400,"sub":"did:plc:1"}"#), Some(1_795_424_400_000));
        assert_eq!(of(r#"{"exp":9223372036854775807}"#), None);
        assert_eq!(of(r#"{"sub":"did:plc:1"}"#), None);
        for other in ["", "EAAB", "123456:abc", "a.b.c", "a.b"] {
            assert_eq!(ends(other), None, "{other}");
        }
    }
}
