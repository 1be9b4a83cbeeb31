//! What cannot be renewed is told 14 days, 7 days and one day before its end, with the posts that
//! it would cost; at the end the connection needs its owner, and its posts wait.

use carillon_networks::oauth::Life;

use super::over_now;
use crate::App;
use crate::db::{self, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::problem::Problem;
use crate::domain::when;
use crate::publishing::{connecting, guard};
use crate::store::connections::Connection;
use crate::store::tokens::{self, TokenLife};
use crate::store::{accounts, alerts};

const DAY: i64 = 86_400_000;
/// How many posts are named.
const NAMED: i64 = 3;

/// Is the end so near that its owner is told?
pub(super) fn near(life: &TokenLife, now: i64) -> bool {
    life.ends_at.is_some_and(|end| end - now <= 14 * DAY)
}

/// Tells owners what they have not been told yet, and stops what is over.
pub(super) async fn tell(app: &App) -> Result<(), db::Error> {
    let (app_, now) = (app.clone(), app.clock.now());
    let changed = app
        .db
        .write(move |tx| async move {
            let found = tokens::ending(&tx, now).await?;
            for c in &found {
                let Some(end) = c.tokens.ends_at else { continue };
                if end <= now {
                    stop(&tx, &app_, c, now).await?;
                } else {
                    warn(&tx, &app_, c, end, now).await?;
                }
            }
            Ok::<_, db::Error>(!found.is_empty())
        })
        .await?;
    if changed {
        app.ring();
    }
    Ok(())
}

/// The token is over. Where the network only did not answer yet, it is asked on.
async fn stop(tx: &Tx, app: &App, c: &Connection, now: i64) -> Result<(), db::Error> {
    let refresh_over = c.tokens.refresh_expires_at.is_some_and(|end| end <= now);
    if c.tokens.renew_at.is_some() && c.tokens.problem.is_none() && !refresh_over {
        return Ok(());
    }
    let problem = c.tokens.problem.clone().unwrap_or_else(|| over_now(app, c));
    connecting::broken(tx, c, &problem, now).await
}

async fn warn(tx: &Tx, app: &App, c: &Connection, end: i64, now: i64) -> Result<(), db::Error> {
    let days = match end - now {
        left if left <= DAY => 1,
        left if left <= 7 * DAY => 7,
        _ => 14,
    };
    let problem = warning(tx, app, c, end).await?;
    // Told anew each time: an open alert is told once.
    let kind = AlertKind::ConnectionEnds;
    alerts::clear(tx, kind, &c.id, now).await?;
    alerts::raise(tx, Some(&c.workspace_id), kind, &c.id, &problem, now).await?;
    tokens::told(tx, &c.id, days).await
}

async fn warning(tx: &Tx, app: &App, c: &Connection, end: i64) -> Result<Problem, db::Error> {
    let zone = accounts::workspace(tx, &c.workspace_id).await?.map_or("UTC".into(), |w| w.timezone);
    let (first, count) = tokens::at_risk(tx, &c.id, end, NAMED).await?;
    let spec = app.network(&c.network).map(|n| n.spec());
    let why = match &c.tokens.problem {
        Some(problem) => format!("it cannot be renewed: {}", problem.sentence),
        None if c.tokens.tries > 0 => "renewing it has failed so far.".to_owned(),
        None if spec.is_some_and(|s| s.life == Life::Fixed) => {
            format!("{} wants to be asked again then.", spec.map_or("the network", |s| s.name))
        }
        None => "it cannot be renewed without you.".to_owned(),
    };
    let mut sentence = format!("{} works until {}; {why}", c.name, when::local(end, &zone));
    if count > 0 {
        let named: Vec<String> = first
            .iter()
            .map(|post| {
                let at = when::local(post.scheduled_at, &zone);
                format!("“{}” ({at})", guard::excerpt(&post.text))
            })
            .collect();
        let more = match count - named.len() as i64 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        sentence = format!("{sentence} After that these would wait: {}{more}.", named.join(", "));
    }
    let class = c.tokens.problem.as_ref().map_or("auth", |p| p.class.as_str());
    let next = "Open Connections and connect it again before then; nothing has to wait.";
    Ok(Problem::new(class, sentence, "reconnect", next))
}
