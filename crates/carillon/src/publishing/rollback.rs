//! Taking a published post down again, network by network, with an honest answer for each.

use carillon_networks::{Class, Error, Network};
use serde::Serialize;
use utoipa::ToSchema;

use super::line::{self, Line, Next};
use super::tokens::After;
use super::view::{self, PostView};
use super::{connecting, lineup, outcome, segments};
use crate::App;
use crate::approval;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::Refusal;
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery, Moved};
use crate::store::posts::{self, Post};

/// What became of a post at each network.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    pub results: Vec<Taken>,
    /// Back to draft when nothing of it is live any more.
    pub post: PostView,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    pub delivery_id: String,
    pub network: String,
    /// `deleted`, `cannot_be_deleted`, `failed`, `not_published`, `cancelled`
    pub result: String,
    pub sentence: String,
    /// Where to delete it by hand.
    pub url: Option<String>,
}

/// Deletes every published delivery where the network can, cancels those still waiting, and puts
/// the post back to draft when nothing of it is live.
pub async fn post(app: &App, workspace: &str, id: &str) -> Result<RolledBack, Refusal> {
    let (ws, id) = (workspace.to_owned(), view::known_id(id, "post")?);
    let post_id = id.clone();
    let found = app
        .db
        .read(move |tx| async move {
            let post =
                posts::find(&tx, &ws, &post_id).await?.ok_or_else(|| Refusal::not_found("post"))?;
            let mut all = Vec::new();
            for d in deliveries::of_post(&tx, &post_id).await? {
                let connection = connections::load(&tx, &d.connection_id).await?;
                all.push((d, connection));
            }
            Ok::<_, Refusal>((post, all))
        })
        .await?;
    let (post, all) = found;
    if let Some((d, _)) = all.iter().find(|(d, _)| d.under_way()) {
        return Err(Refusal::conflict(
            "already_sending",
            format!(
                "The delivery to {} is under way: {}.",
                d.network,
                d.uncancellable().unwrap_or("wait")
            ),
            "Wait for its outcome, then roll back.",
        ));
    }
    let mut results = Vec::new();
    // What follows goes before what it follows, the newest first.
    let (mut following, heads): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(d, _)| d.parent_id.is_some());
    following.reverse();
    for (d, connection) in following.into_iter().chain(heads) {
        results.push(take_down(app, d, connection).await?);
    }
    to_draft(app, &post).await?;
    let post = view::post(app, workspace, &id).await?;
    Ok(RolledBack { results, post })
}

async fn take_down(
    app: &App,
    d: Delivery,
    connection: Option<Connection>,
) -> Result<Taken, Refusal> {
    let says = |result: &str, sentence: String, url: Option<String>| Taken {
        delivery_id: d.id.clone(),
        network: d.network.clone(),
        result: result.to_owned(),
        sentence,
        url,
    };
    if d.state != State::Published {
        let mut result = says("not_published", "It was not live.".into(), None);
        if d.uncancellable().is_none() && d.state != State::Cancelled {
            let (d, now) = (d.clone(), app.clock.now());
            app.db.write(move |tx| async move { lineup::cancel_one(&tx, &d, now).await }).await?;
            result = Taken {
                result: "cancelled".into(),
                sentence: "It was not live yet and is cancelled.".into(),
                ..result
            };
        }
        return Ok(result);
    }
    let network = app.network(&d.network);
    let name = network.map_or(d.network.as_str(), |n| n.spec().name);
    let (Some(network), Some(connection), Some(remote_id)) =
        (network, connection, d.remote_id.clone())
    else {
        let sentence = format!("Carillon does not know its id at {name}; delete it there by hand.");
        return Ok(says("cannot_be_deleted", sentence, d.remote_url.clone()));
    };
    if !network.spec().abilities.delete {
        let sentence =
            format!("{name} does not let programs delete posts; delete it there by hand.");
        return Ok(says("cannot_be_deleted", sentence, d.remote_url.clone()));
    }
    match delete(app, &d, network, connection, &remote_id).await? {
        Ok(()) => {
            let (gone, now) = (d.clone(), app.clock.now());
            app.db
                .write(move |tx| async move {
                    let moved = Moved { problem: None, ..Moved::from(&gone) };
                    deliveries::go(&tx, &gone.id, State::Published, State::Removed, &moved, now)
                        .await?;
                    lineup::note(&tx, &gone, "delete", "deleted", gone.remote_id.as_deref(), now)
                        .await?;
                    outcome::announce(&tx, &gone, State::Removed, None, now).await?;
                    segments::end(&tx, &gone, now).await?;
                    Ok::<_, Refusal>(())
                })
                .await?;
            app.ring();
            Ok(says("deleted", format!("It is gone from {name}."), None))
        }
        Err(e) => {
            let result = if e.class == Class::Config { "cannot_be_deleted" } else { "failed" };
            Ok(says(result, format!("{} It may still be live.", e.sentence), d.remote_url.clone()))
        }
    }
}

/// Asks the network; once more with a new token where the old one ended on the way.
async fn delete(
    app: &App,
    d: &Delivery,
    network: &'static dyn Network,
    connection: Connection,
    remote_id: &str,
) -> Result<Result<(), Error>, Refusal> {
    let mut connection = line::fresh(app, &connection).await?;
    let mut first = true;
    loop {
        let line = Line::open(app, network, &connection)?;
        let answer = line.told(network.delete(&line.context(d), remote_id).await);
        let Err(e) = answer else { return Ok(Ok(())) };
        match line::after(app, &connection, &e).await? {
            Next::Again(newer) if first => connection = *newer,
            Next::Not(After::Wait(_)) => return Ok(Err(Error { class: Class::Transient, ..e })),
            _ => {
                connecting::refused(app, &connection, &e).await?;
                return Ok(Err(e));
            }
        }
        first = false;
    }
}

async fn to_draft(app: &App, post: &Post) -> Result<(), Refusal> {
    let (post, now) = (post.clone(), app.clock.now());
    app.db
        .write(move |tx| async move {
            let all = deliveries::of_post(&tx, &post.id).await?;
            let over = all
                .iter()
                .all(|d| matches!(d.state, State::Removed | State::Cancelled | State::Draft));
            if over {
                // Published again it is another post at its network, and approved anew.
                approval::forget(&tx, &post.id, "rolled_back", now).await?;
                posts::save(&tx, &Post { committed_at: None, ..post }, now).await?;
            }
            Ok::<_, Refusal>(())
        })
        .await?;
    app.ring();
    Ok(())
}
