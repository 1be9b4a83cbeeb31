//! The end of a connection: its tokens are given back at the network where that takes them, erased
//! here in any case, and what was still to go out through it is cancelled.

use std::collections::BTreeMap;

use carillon_networks::{Account, Class, Context, Forgetful, Network, Secret};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{check, load, no_such};
use crate::db::Tx;
use crate::domain::alert::AlertKind;
use crate::domain::delivery::DeliveryState;
use crate::domain::problem::Problem;
use crate::domain::refusal::Refusal;
use crate::publishing::{account, apps, lineup, outcome};
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::queue::gates;
use crate::store::queue::{self, Removed};
use crate::store::{alerts, audit, events};
use crate::{App, words};

words! {
    /// What became of the tokens at the network.
    pub enum Revocation {
        /// They open nothing there any more.
        Revoked = "revoked",
        /// The network lets programs revoke nothing.
        Unsupported = "unsupported",
        /// Another connection uses the same ones.
        Shared = "shared",
        /// They may work still; the sentence says why.
        Failed = "failed",
    }
}

/// What a disconnection did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disconnected {
    pub connection_id: String,
    #[schema(example = "Bakery")]
    pub name: String,
    pub revocation: Revocation,
    /// The same in words, with what is left to do.
    #[schema(example = "Mastodon has ended the access.")]
    pub sentence: String,
    /// How many deliveries were cancelled with it.
    pub cancelled: usize,
}

/// Revokes its tokens at the network where that can be done, erases them here, and cancels what was
/// still to go out through it. Whether what is in doubt is live can be answered still.
pub async fn disconnect(
    app: &App,
    workspace: &str,
    id: &str,
    actor: &str,
) -> Result<Disconnected, Refusal> {
    let row = load(app, workspace, id).await?;
    // First, while there are tokens to revoke; whatever comes of it, they are erased.
    let (revocation, sentence) = revoke(app, &row).await?;
    let (ws, actor, now) = (workspace.to_owned(), actor.to_owned(), app.clock.now());
    let (id, told) = (row.id.clone(), sentence.clone());
    let (name, cancelled) = app
        .db
        .write(move |tx| async move {
            if !connections::delete(&tx, &ws, &row.id, now).await? {
                return Err(no_such());
            }
            alerts::clear(&tx, AlertKind::ConnectionNeedsAction, &row.id, now).await?;
            alerts::clear(&tx, AlertKind::ConnectionEnds, &row.id, now).await?;
            let reason = Problem::new(
                "cancelled",
                format!("{} was disconnected.", row.name),
                "reconnect",
                "Connect the account again, then schedule the post again.",
            );
            let mut cancelled = 0;
            for delivery in deliveries::open_of_connection(&tx, &row.id).await? {
                cancel(&tx, &delivery, &reason, now).await?;
                cancelled += 1;
            }
            // What may be live already is still looked for, and that needs an open lane.
            gates::pause(&tx, &row.lane(), None).await?;
            let data = json!({
                "connectionId": row.id,
                "network": row.network,
                "state": "deleted",
                "revocation": revocation,
            });
            events::add(&tx, &ws, "connection.deleted", &row.id, &data, now).await?;
            let data = json!({
                "name": row.name,
                "network": row.network,
                "revocation": revocation,
                "sentence": told,
                "cancelled": cancelled,
            });
            let action = "connection.disconnected";
            audit::add(&tx, Some(&ws), &actor, action, &row.id, &data, now).await?;
            Ok((row.name, cancelled))
        })
        .await?;
    app.ring();
    Ok(Disconnected { connection_id: id, name, revocation, sentence, cancelled })
}

/// Gives the tokens back at the network.
async fn revoke(app: &App, row: &Connection) -> Result<(Revocation, String), Refusal> {
    let says = |revocation, sentence: String| Ok((revocation, sentence));
    let Some(network) = app.network(&row.network) else {
        let sentence = format!(
            "This version knows no network `{}`: end the access there by hand.",
            row.network
        );
        return says(Revocation::Failed, sentence);
    };
    let name = network.spec().name;
    let mut account = match account::open(app, row) {
        Ok(account) => account,
        Err(refusal) => {
            let sentence = format!("{} End the access at {name} by hand.", refusal.sentence);
            return says(Revocation::Failed, sentence);
        }
    };
    if let Some(other) = shares(app, row, &account).await? {
        let sentence = format!(
            "{other} lives on the same access, so the credentials were not ended at {name}; they were erased here."
        );
        return says(Revocation::Shared, sentence);
    }
    // Some take their tokens back from their own app only.
    if let Ok(client) = apps::of(app, network.spec(), &row.settings).await {
        apps::lend(&mut account, client.as_ref());
    }
    match ask(app, network, &account).await {
        Ok(()) if network.spec().oauth.is_some() => {
            says(Revocation::Revoked, format!("{name} has ended the access."))
        }
        // What was entered by hand may be worth more than what was made of it.
        Ok(()) => says(
            Revocation::Revoked,
            format!(
                "{name} has ended the session; what was entered to open it can be deleted where it was made."
            ),
        ),
        // It revokes nothing, or only what its own consent page gave.
        Err(e) if e.class == Class::Config => says(
            Revocation::Unsupported,
            format!(
                "{name} does not let Carillon end this access: the credentials were erased here, and can be ended where they were made."
            ),
        ),
        // It takes them no longer, which is what was wanted.
        Err(e) if e.class == Class::Auth => {
            says(Revocation::Revoked, format!("{name} took these credentials no longer."))
        }
        Err(e) => {
            tracing::warn!(connection_id = %row.id, code = ?e.code, "tokens were not revoked: {}", e.sentence);
            says(
                Revocation::Failed,
                format!(
                    "{} The credentials were erased here, but may work at {name} still: end the access there by hand.",
                    e.sentence
                ),
            )
        }
    }
}

async fn ask(
    app: &App,
    network: &dyn Network,
    account: &Account,
) -> Result<(), carillon_networks::Error> {
    check::address(app, network, account)?;
    let base = account::base(app, network, &account.settings);
    let timeout = app.config.networks.timeout.min(check::PATIENCE);
    let now = app.clock.now();
    // What it renews on the way is not worth keeping.
    let cx = Context::new(&app.http, account, &base, now, timeout, BTreeMap::new(), &Forgetful);
    let answer = network.revoke(&cx).await;
    answer.map_err(|e| account::hushed(account::in_words(e, network, &base), account))
}

/// The name of another connection, of whatever workspace, that lives on one of these secrets or on
/// the same account: it would end with them.
async fn shares(app: &App, row: &Connection, account: &Account) -> Result<Option<String>, Refusal> {
    // One consent may have opened several pages, with one refresh token for all of them.
    let secrets = |account: &Account| -> Vec<Secret> {
        let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
        held.values().filter(|s| !s.reveal().is_empty()).cloned().collect()
    };
    let ours = secrets(account);
    let network = row.network.clone();
    let all = app.db.read(move |tx| async move { connections::of_network(&tx, &network).await });
    for other in all.await?.into_iter().filter(|other| other.id != row.id) {
        // What does not open cannot be used, and so does not end either.
        let Ok(theirs) = account::open(app, &other) else { continue };
        // Some networks end all that an account has allowed.
        let same_account = other.remote_id == row.remote_id
            && other.settings.get("server") == row.settings.get("server");
        if same_account || secrets(&theirs).iter().any(|s| ours.contains(s)) {
            let here = other.workspace_id == row.workspace_id;
            let name = if here { other.name } else { "A connection of another workspace".into() };
            return Ok(Some(name));
        }
    }
    Ok(None)
}

async fn cancel(tx: &Tx, d: &Delivery, reason: &Problem, now: i64) -> Result<(), Refusal> {
    if queue::remove(tx, &d.id).await? == Removed::Leased {
        // The intent obeys the wish; what is past its intent is looked for.
        deliveries::wish_cancel(tx, &d.id, now).await?;
        return Ok(());
    }
    let moved = Moved { problem: Some(reason), ..Moved::from(d) };
    if deliveries::go(tx, &d.id, d.state, DeliveryState::Cancelled, &moved, now).await? {
        lineup::note(tx, d, "disconnect", "cancelled", None, now).await?;
        outcome::announce(tx, d, DeliveryState::Cancelled, None, now).await?;
    }
    Ok(())
}
