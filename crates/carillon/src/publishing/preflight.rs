//! A second look, a quarter of an hour before something is due, while there is time to act: does
//! the network still take the credentials, the text, the media?
//!
//! A connection is asked once for all its deliveries. What is certain is told: as a warning of the
//! delivery and as an alert with its next action. A network that does not answer says nothing; it
//! is asked again a minute later.

use serde_json::json;

use super::budget;
use super::connecting::{self, ConnectionState};
use super::measure::{self, Rules};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::job::{Kind, NewJob};
use crate::domain::policy::Policies;
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind as No, Refusal};
use crate::domain::when;
use crate::media::{Unfit, derive};
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery};
use crate::store::guards::{self, Gate};
use crate::store::media::{self, Media};
use crate::store::posts::{self, Post};
use crate::store::{accounts, alerts, events, queue};

/// How long before its time a delivery is looked at, in ms.
const AHEAD: i64 = 15 * 60_000;
/// A connection that answered this lately is not asked again, in ms.
const FRESH: i64 = 5 * 60_000;
/// A picture or video that is not ready this long before its time is told of, in ms.
const UNREADY: i64 = 5 * 60_000;
/// How many connections are asked about at once, at most.
const WIDTH: i64 = 32;

/// Adds a job for every connection with deliveries to look at.
pub async fn find(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let found = app
        .db
        .write(move |tx| async move {
            let found = guards::unchecked(&tx, now, now + AHEAD).await?;
            for connection in &found {
                // The last look may still be under way.
                if queue::awaits(&tx, connection).await? {
                    continue;
                }
                let job = NewJob {
                    kind: Kind::Check,
                    lane: "preflight".into(),
                    width: WIDTH,
                    subject: connection.clone(),
                    run_at: now,
                    unique_key: Some(format!("check:{connection}:{}", now / 60_000)),
                };
                queue::add(&tx, &job, now).await?;
            }
            Ok::<_, Error>(found.len())
        })
        .await?;
    if found > 0 {
        app.ring();
    }
    Ok(())
}

/// Everything that is looked at for one connection.
struct Due {
    connection: Connection,
    gate: Option<Gate>,
    zone: String,
    policies: Policies,
    deliveries: Vec<(Delivery, Post, Vec<Media>)>,
}

/// What was found about one delivery.
enum Found {
    Well,
    Warning {
        problem: Problem,
        alert: bool,
    },
    /// Nothing is known yet.
    Open,
}

/// Looks at what is due soon on one connection.
pub async fn check(app: &App, connection: &str) -> anyhow::Result<()> {
    let Some(due) = load(app, connection).await? else { return Ok(()) };
    let standing = ask(app, &due.connection).await?;
    // The network's answer may have changed the connection.
    let Some(due) = load(app, connection).await? else { return Ok(()) };
    for (d, post, media) in &due.deliveries {
        let found = judge(app, &due, &standing, d, post, media).await;
        note(app, &due, d, post, found).await?;
    }
    app.news.notify_waiters();
    Ok(())
}

async fn load(app: &App, connection: &str) -> Result<Option<Due>, Error> {
    let (id, now) = (connection.to_owned(), app.clock.now());
    app.db
        .read(move |tx| async move {
            let Some(connection) = connections::load(&tx, &id).await? else { return Ok(None) };
            let workspace = accounts::workspace(&tx, &connection.workspace_id).await?;
            let policies = accounts::policies(&tx, &connection.workspace_id).await?;
            let mut all = Vec::new();
            for d in guards::unchecked_of(&tx, &id, now, now + AHEAD).await? {
                let Some(post) = posts::load(&tx, &d.post_id).await? else { continue };
                let media = match &d.parent_id {
                    None => media::of_post(&tx, &post.id).await?,
                    Some(_) => Vec::new(),
                };
                all.push((d, post, media));
            }
            let gate = guards::gate(&tx, &connection.lane()).await?;
            let zone = workspace.map_or("UTC".into(), |w| w.timezone);
            Ok((!all.is_empty()).then_some(Due {
                connection,
                gate,
                zone,
                policies,
                deliveries: all,
            }))
        })
        .await
}

/// What the network says of a connection.
enum Standing {
    Fine,
    Broken(Problem),
    /// It did not say.
    Away,
}

async fn ask(app: &App, c: &Connection) -> Result<Standing, Error> {
    let lately = c.checked_at.max(c.published_at).is_some_and(|at| app.clock.now() - at < FRESH);
    if c.broken_at.is_none() && lately {
        return Ok(Standing::Fine);
    }
    match connecting::check(app, &c.workspace_id, &c.id).await {
        Ok(seen) if seen.ok => Ok(Standing::Fine),
        Ok(seen) => Ok(match (seen.connection.state, seen.connection.problem) {
            (ConnectionState::NeedsAction, Some(problem)) => Standing::Broken(problem),
            _ => Standing::Away,
        }),
        Err(Refusal { kind: No::Unavailable, code, .. }) if code == "database_unavailable" => {
            Ok(Standing::Away)
        }
        // Sealed credentials that no longer open, a network that this version does not know.
        Err(e) => Ok(Standing::Broken(Problem::new("config", e.sentence, "ask_operator", &e.fix))),
    }
}

async fn judge(
    app: &App,
    due: &Due,
    standing: &Standing,
    d: &Delivery,
    post: &Post,
    media: &[Media],
) -> Found {
    let warn = |problem: Problem| Found::Warning { problem, alert: true };
    if let Standing::Broken(problem) = standing {
        return warn(problem.clone());
    }
    let wrong = measure::remeasured(d, post, &due.connection, media, Rules::of(app));
    if let Some(w) = wrong.into_iter().next() {
        let (action, next) = match w.code.as_str() {
            "public_url_required" => {
                ("ask_operator", "Ask whoever runs this installation to set `CARILLON_PUBLIC_URL`.")
            }
            _ => ("edit_post", "Edit the post before its time."),
        };
        return warn(Problem::new("content", w.message, action, next));
    }
    let at = d.scheduled_at.unwrap_or_default();
    let mut ready = true;
    for m in media {
        match unfit(app, d, m).await {
            Some(Unfit::Never(problem)) => return warn(problem),
            Some(Unfit::NotYet) if at - app.clock.now() <= UNREADY => {
                let sentence = format!("The {} {} is still being prepared.", m.noun(), m.name);
                let next = "Look at it in Media; process it again if it does not go on.";
                return warn(Problem::new("media", sentence, "look", next));
            }
            Some(Unfit::NotYet | Unfit::Away(_)) => ready = false,
            None => {}
        }
    }
    if let Some(network) = crate::app::find(app.networks, &d.network)
        && let Some(placement) = network.spec().placement(&d.placement)
        && let Some(until) = budget::refused_until(network.spec(), placement, &due.connection)
        && until > at
    {
        let config = &app.config.publishing;
        let limit = if d.placement == "story" {
            due.policies.story_late_after(config.story_late_after)
        } else {
            due.policies.late_after(config.late_after)
        };
        let late = until - at > limit.as_millis() as i64;
        return warn(budget::spent(network.spec(), until, late));
    }
    match due.gate {
        Some(g) if g.open_at > at => {
            let sentence = format!(
                "The network takes no posts of {} before {}.",
                due.connection.name,
                when::local(g.open_at, &due.zone)
            );
            let next =
                "Move it to a later time, or let it wait: it goes out when the network allows.";
            warn(Problem::new("rate_limit", sentence, "wait", next))
        }
        Some(g) if g.paused => {
            let sentence = format!("{} is paused: the post will wait.", due.connection.name);
            let next = "Resume it before the post is due, or move the post.";
            let problem = Problem::new("paused", sentence, "resume", next);
            // Somebody wanted it so.
            Found::Warning { problem, alert: false }
        }
        _ if !ready || matches!(standing, Standing::Away) => Found::Open,
        _ => Found::Well,
    }
}

/// Why a picture or video cannot go out, if it cannot.
async fn unfit(app: &App, d: &Delivery, m: &Media) -> Option<Unfit> {
    let placement = crate::app::find(app.networks, &d.network)?.spec().placement(&d.placement)?;
    derive::rendition(app, m, placement).await.err()
}

async fn note(app: &App, due: &Due, d: &Delivery, post: &Post, found: Found) -> Result<(), Error> {
    let (problem, alert) = match found {
        Found::Open => return Ok(()),
        Found::Well => (None, None),
        Found::Warning { problem, alert } => {
            let told = alert.then(|| foretold(due, d, post, &problem));
            (Some(problem), told)
        }
    };
    let (d, now) = (d.clone(), app.clock.now());
    app.db
        .write(move |tx| async move {
            let at = d.scheduled_at.unwrap_or_default();
            if !deliveries::checked(&tx, &d.id, at, problem.as_ref(), now).await? {
                return Ok(());
            }
            let kind = AlertKind::PreflightFailed;
            match &alert {
                Some(told) => {
                    alerts::raise(&tx, Some(&d.workspace_id), kind, &d.id, told, now).await?;
                }
                None => {
                    alerts::clear(&tx, kind, &d.id, now).await?;
                }
            }
            tell(&tx, &d, problem.as_ref(), now).await
        })
        .await
}

/// The warning as an alert, which stands without its post.
fn foretold(due: &Due, d: &Delivery, post: &Post, problem: &Problem) -> Problem {
    let text = d.text.as_ref().unwrap_or(&post.text);
    let at = when::local(d.scheduled_at.unwrap_or_default(), &due.zone);
    let sentence = format!(
        "“{}” to {} will not go out at {at}: {}",
        super::guard::excerpt(text),
        due.connection.name,
        problem.sentence
    );
    Problem { sentence, ..problem.clone() }
}

async fn tell(tx: &Tx, d: &Delivery, warning: Option<&Problem>, now: i64) -> Result<(), Error> {
    let data = json!({
        "postId": d.post_id,
        "deliveryId": d.id,
        "connectionId": d.connection_id,
        "network": d.network,
        "state": d.state,
        "warning": warning,
    });
    events::add(tx, &d.workspace_id, "delivery.checked", &d.id, &data, now).await
}
