//! What followers did to a live post: asked of its network when somebody wants to know.
//!
//! The latest is kept, with its time. It is a read: one that works is nothing for the journal, and
//! one that fails says nothing about the delivery or its connection and leaves what was known. A
//! network that is left alone, because it failed again and again, is not asked.

use std::collections::BTreeMap;

use carillon_networks::{Class, Error, Metric, Numbers, UNGRANTED};
use serde::Serialize;
use utoipa::ToSchema;

use super::circuits;
use super::line::{self, Line, Next};
use super::load::{self, Work};
use super::view::{self, DeliveryView};
use crate::App;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::when::iso;
use crate::store::circuits as store_circuits;
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery};
use crate::store::numbers::{self, Told};

/// What followers did to a live delivery, as its network last told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NumbersView {
    /// When it was told. ISO 8601 UTC
    pub at: String,
    /// By metric: `views`, `reach`, `likes`, `comments`, `shares`, `saves`, `clicks`. What the network
    /// does not tell is not there.
    #[schema(example = json!({ "likes": 12, "comments": 3 }))]
    pub values: BTreeMap<String, i64>,
}

/// What was told of the post that is live now: of an earlier one nobody wants to know.
pub(super) fn shown(d: &Delivery, told: Option<&Told>) -> Option<NumbersView> {
    let now = d.remote_id.as_deref().filter(|_| d.state == State::Published)?;
    let told = told.filter(|told| told.remote_id == now)?;
    Some(NumbersView { at: iso(told.at), values: told.values.clone() })
}

/// What its network tells of a delivery that is live.
pub(super) fn measured(d: &Delivery) -> &'static [Metric] {
    let spec = carillon_networks::find(&d.network).map(|n| n.spec());
    match spec.and_then(|spec| spec.placement(&d.placement)) {
        Some(place) if d.state == State::Published && d.remote_id.is_some() => place.measures,
        _ => &[],
    }
}

/// Asks the network of a live delivery what followers did, and keeps it.
pub async fn measure(app: &App, workspace: &str, id: &str) -> Result<DeliveryView, Refusal> {
    let (ws, id) = (workspace.to_owned(), view::known_id(id, "delivery")?);
    let d = app
        .db
        .read(move |tx| async move {
            let found = deliveries::find(&tx, &ws, &id).await?;
            let d = found.ok_or_else(|| Refusal::not_found("delivery"))?;
            if d.state != State::Published {
                return Err(not_live());
            }
            match connections::find(&tx, &ws, &d.connection_id).await? {
                Some(_) => Ok(d),
                None => Err(disconnected(&d)),
            }
        })
        .await?;
    let work = load::load(app, &d.id).await?.ok_or_else(|| Refusal::not_found("delivery"))?;
    let remote_id = known(&work)?;
    left_alone(app, &work).await?;
    match ask(app, &work, &remote_id).await? {
        Ok(numbers) => keep(app, &work.delivery, remote_id, numbers).await,
        Err(e) => Err(told(&e, app.clock.now())),
    }
}

fn not_live() -> Refusal {
    Refusal::conflict(
        "not_live",
        "This delivery is not live, so nobody has seen it.",
        "Read its numbers once it is published.",
    )
}

fn disconnected(d: &Delivery) -> Refusal {
    let name = carillon_networks::find(&d.network).map_or(d.network.as_str(), |n| n.spec().name);
    Refusal::conflict(
        "disconnected",
        format!("The account at {name} was disconnected."),
        "Look there by hand, or connect the account again.",
    )
}

/// The id of what can be asked for.
fn known(work: &Work) -> Result<String, Refusal> {
    let (spec, place) = (work.network.spec(), work.placement);
    let no = |code: &str, sentence: String| {
        Err(Refusal::conflict(code, sentence, "Look there by hand."))
    };
    match &work.delivery.remote_id {
        _ if place.measures.is_empty() => no(
            "not_measurable",
            format!("{} ({}) tells no program what followers did.", spec.name, place.name),
        ),
        None => no("unknown_id", format!("Carillon does not know its id at {}.", spec.name)),
        Some(id) => Ok(id.clone()),
    }
}

/// A network whose circuit is open is not asked.
async fn left_alone(app: &App, work: &Work) -> Result<(), Refusal> {
    let (spec, now) = (work.network.spec(), app.clock.now());
    let name = circuits::name(spec, &work.connection.settings);
    let until =
        app.db.read(move |tx| async move { store_circuits::open_until(&tx, &name).await }).await?;
    let Some(until) = until.filter(|until| *until > now) else { return Ok(()) };
    let sentence =
        format!("{} failed again and again, so it is left alone for a while.", spec.name);
    let fix = "Read the numbers when the wait is over.";
    let refusal = Refusal::new(Kind::Unavailable, "left_alone", sentence, fix);
    Err(Refusal { suggested_at: Some(until), ..refusal })
}

/// Asks the network; once more with a new token where the old one ended on the way.
async fn ask(app: &App, work: &Work, remote_id: &str) -> Result<Result<Numbers, Error>, Refusal> {
    let connection = line::fresh(app, &work.connection).await?;
    let answer = call(app, work, &connection, remote_id).await?;
    match &answer {
        // A right that was never given does not come with a newer token.
        Err(e) if e.code.as_deref() != Some(UNGRANTED) => {
            match line::after(app, &connection, e).await? {
                Next::Again(newer) => call(app, work, &newer, remote_id).await,
                Next::Not(_) => Ok(answer),
            }
        }
        _ => Ok(answer),
    }
}

async fn call(
    app: &App,
    work: &Work,
    connection: &Connection,
    remote_id: &str,
) -> Result<Result<Numbers, Error>, Refusal> {
    let line = Line::open(app, work.network, connection)?;
    let cx = line.context(&work.delivery);
    Ok(line.told(work.network.measure(&cx, work.placement, remote_id).await))
}

async fn keep(
    app: &App,
    d: &Delivery,
    remote_id: String,
    numbers: Numbers,
) -> Result<DeliveryView, Refusal> {
    let (d, at) = (d.clone(), app.clock.now());
    let value = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let values = numbers.into_iter().map(|(metric, n)| (metric.id().to_owned(), value(n)));
    let told = Told { remote_id, at, values: values.collect() };
    app.db
        .write(move |tx| async move {
            numbers::replace(&tx, &d.id, &told).await?;
            view::delivery_in(&tx, &d.workspace_id, &d.id).await
        })
        .await
}

/// Why nothing was read, and what to do.
fn told(e: &Error, now: i64) -> Refusal {
    let (kind, fix) = match e.class {
        _ if e.code.as_deref() == Some(UNGRANTED) => {
            let fix = "Open Connections and connect it again; until then it publishes as before.";
            return Refusal::conflict(UNGRANTED, e.sentence.clone(), fix);
        }
        Class::Auth | Class::Config => (Kind::Conflict, e.action.sentence()),
        Class::RateLimit | Class::Quota | Class::Transient | Class::Unknown => {
            (Kind::Unavailable, "Try again in a moment; what was read before stays.")
        }
        Class::Content | Class::Duplicate | Class::Policy => {
            (Kind::Conflict, "Open it at the network to see whether it is still there.")
        }
    };
    let suggested_at = e.retry_after.map(|wait| now + wait.as_millis() as i64);
    Refusal { suggested_at, ..Refusal::new(kind, "not_measured", e.sentence.clone(), fix) }
}
