//! Tokens last: renewed before they end, by one at a time, and never lost on the way.
//!
//! Whoever renews takes the connection's lease first, asks the network, and has the new tokens on
//! disk before anybody uses them; who comes meanwhile is told to look again. A network that does
//! not answer disconnects nobody: it is asked again, ever more rarely. What it refuses is told
//! while the old tokens still work. life.rs says when tokens are renewed, ending.rs tells of those
//! that cannot be.

mod ending;
mod life;

use carillon_networks::oauth::{Life, Tokens};
use carillon_networks::{Account, Checkpoints, Class, Context, Error, Forgetful, Secret, Spec};
use serde_json::json;

pub(super) use life::{by_hand, issued};

use super::{account, apps, connecting};
use crate::App;
use crate::db;
use crate::domain::alert::AlertKind;
use crate::domain::job::{Kind, NewJob};
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind as No, Refusal};
use crate::store::connections::{self, Connection};
use crate::store::tokens::{self, TokenLife};
use crate::store::{alerts, events, queue};

/// Tokens that end so soon are renewed before they are used, in ms: a call takes a while.
const MARGIN: i64 = 60_000;
/// Tokens that were refused so soon after they were issued are not renewed again, in ms.
const JUST: i64 = 5 * 60_000;
/// How long somebody who finds another at it waits, in ms.
const MOMENT: i64 = 2_000;
/// The lease beyond the network's answer, in which the new tokens are written, in ms.
const WRITING: i64 = 40_000;
/// How many connections are renewed at once, at most.
const WIDTH: i64 = 16;
/// Nothing shorter is a token.
const SHORTEST: usize = 8;

/// Adds a job for every connection whose tokens are to be renewed, and tells of those that end.
pub async fn find(app: &App) -> Result<(), db::Error> {
    let now = app.clock.now();
    let found = app
        .db
        .write(move |tx| async move {
            let due = tokens::due(&tx, now).await?;
            for (id, _) in &due {
                let job = NewJob {
                    kind: Kind::Renew,
                    lane: "tokens".into(),
                    width: WIDTH,
                    subject: id.clone(),
                    run_at: now,
                    unique_key: Some(format!("renew:{id}:{}", now / 60_000)),
                };
                queue::add(&tx, &job, now).await?;
            }
            Ok::<_, db::Error>(due.len())
        })
        .await?;
    if found > 0 {
        app.ring();
    }
    ending::tell(app).await
}

/// Renews the tokens of a connection, if that is still to be done.
pub async fn renew_now(app: &App, id: &str) -> anyhow::Result<()> {
    let Some(c) = load(app, id).await? else { return Ok(()) };
    if c.tokens.renew_at.is_none_or(|at| at > app.clock.now()) {
        return Ok(());
    }
    match Box::pin(renew(app, id, c.tokens.version)).await? {
        // It may have been the tokens that it was broken by.
        Renewal::Newer if c.broken_at.is_some() => {
            if let Err(e) = Box::pin(connecting::check(app, &c.workspace_id, id)).await {
                tracing::info!(connection_id = id, error = %e, "renewed, and not checked");
            }
        }
        Renewal::Never(_) => ending::tell(app).await?,
        _ => {}
    }
    Ok(())
}

/// What came of wanting newer tokens.
#[derive(Debug)]
pub enum Renewal {
    /// There are newer ones.
    Newer,
    /// Somebody is at it: look again in a moment.
    Busy,
    /// The network did not say; it is asked again at this time.
    Later(i64, Problem),
    /// Certain: there will be none.
    Never(Problem),
    /// There is nothing that they could be renewed with.
    Not,
}

/// Gets newer tokens than those of this version.
pub async fn renew(app: &App, id: &str, version: i64) -> Result<Renewal, db::Error> {
    let now = app.clock.now();
    let until = now + app.config.networks.timeout.as_millis() as i64 + WRITING;
    let wanted = id.to_owned();
    let taken = app
        .db
        .write(move |tx| async move { tokens::take(&tx, &wanted, version, until, now).await });
    let Some(c) = taken.await? else {
        let found = load(app, id).await?;
        return Ok(match found {
            None => Renewal::Not,
            Some(c) if c.tokens.version != version => Renewal::Newer,
            Some(_) => Renewal::Busy,
        });
    };
    let held = c.tokens.clone();
    if let Some(problem) = held.problem.clone() {
        put_off(app, &c, &held).await?;
        return Ok(Renewal::Never(problem));
    }
    // Another may be at it by the time that the answer is here.
    if app.clock.now() + app.config.networks.timeout.as_millis() as i64 > until {
        put_off(app, &c, &held).await?;
        return Ok(Renewal::Busy);
    }
    match Box::pin(ask(app, &c)).await {
        Ok(Asked { used, tokens }) => Box::pin(keep(app, c, &used, tokens)).await,
        Err(Unasked::Nothing) => {
            put_off(app, &c, &TokenLife { renew_at: None, ..held }).await?;
            Ok(Renewal::Not)
        }
        Err(Unasked::Refused(e)) => failed(app, &c, &e).await,
    }
}

async fn load(app: &App, id: &str) -> Result<Option<Connection>, db::Error> {
    let id = id.to_owned();
    let found = app.db.read(move |tx| async move { connections::load(&tx, &id).await }).await?;
    Ok(found.filter(|c| !c.secrets.is_empty()))
}

async fn put_off(app: &App, c: &Connection, life: &TokenLife) -> Result<(), db::Error> {
    let (id, version, life) = (c.id.clone(), c.tokens.version, life.clone());
    let written =
        app.db.write(move |tx| async move { tokens::put_off(&tx, &id, version, &life).await });
    written.await.map(drop)
}

/// The secrets that a network was asked with, and its answer.
struct Asked {
    used: Account,
    tokens: Tokens,
}

/// Why there is no answer.
enum Unasked {
    Nothing,
    Refused(Error),
}

async fn ask(app: &App, c: &Connection) -> Result<Asked, Unasked> {
    let Some(network) = app.network(&c.network) else { return Err(Unasked::Nothing) };
    let spec = network.spec();
    let used = account::open(app, c).map_err(|refusal| {
        Unasked::Refused(Error::new(Class::Config, refusal.sentence).code("secrets_sealed"))
    })?;
    if !renewable(spec, &used) {
        return Err(Unasked::Nothing);
    }
    let base = account::base(app, network, &c.settings);
    let client = apps::of(app, spec, &c.settings).await.map_err(Unasked::Refused)?;
    if client.is_none() && spec.oauth.is_some() && spec.life == Life::Rotating {
        return Err(Unasked::Refused(apps::missing(spec)));
    }
    let mut lent = account::copy(&used);
    apps::lend(&mut lent, client.as_ref());
    let cx = Context::new(
        &app.http,
        &lent,
        &base,
        app.clock.now(),
        app.config.networks.timeout,
        Checkpoints::new(),
        &Forgetful,
    );
    let answer = network.refresh(&cx).await.and_then(worth);
    match answer {
        Ok(tokens) => Ok(Asked { used, tokens }),
        Err(e) => {
            let e = account::hushed(account::in_words(e, network, &base), &lent);
            Err(Unasked::Refused(e))
        }
    }
}

/// Is there something that this account's tokens could be renewed with?
fn renewable(spec: &Spec, account: &Account) -> bool {
    let holds = |key| account.secret(key).is_ok();
    match spec.life {
        Life::Endless | Life::Fixed => false,
        Life::Extending => holds("accessToken"),
        Life::Rotating => holds("refreshToken"),
    }
}

/// The tokens, if they are some: what is empty or cut off never takes the place of what works.
pub(super) fn worth(tokens: Tokens) -> Result<Tokens, Error> {
    let whole = |token: &Secret| {
        let text = token.reveal();
        text.len() >= SHORTEST && !text.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    if !whole(&tokens.access) {
        return Err(Error::garbled("an empty token").harmless());
    }
    Ok(Tokens { refresh: tokens.refresh.filter(whole), ..tokens })
}

/// Makes new tokens durable. Nobody has them but the network and we: the database is tried for as
/// long as the lease lasts.
async fn keep(
    app: &App,
    mut c: Connection,
    used: &Account,
    tokens: Tokens,
) -> Result<Renewal, db::Error> {
    let now = app.clock.now();
    let give_up = app.clock.mono() + WRITING;
    let Some(network) = app.network(&c.network) else { return Ok(Renewal::Not) };
    let spec = network.spec();
    loop {
        let account = match account::open(app, &c) {
            Ok(account) => account,
            Err(refusal) => {
                let fix = refusal.fix;
                return Ok(Renewal::Never(Problem::new(
                    "config",
                    refusal.sentence,
                    "ask_operator",
                    &fix,
                )));
            }
        };
        if !same(&account, used) {
            // Somebody connected it anew meanwhile, or these are kept although nobody said so.
            return Ok(Renewal::Newer);
        }
        let holds_refresh = tokens.refresh.is_some() || account.secret("refreshToken").is_ok();
        let life = issued(spec, &c.id, &tokens, holds_refresh, Some(&c.tokens), now);
        insert(&account, &tokens);
        let sealed = account::seal(app, &account, &c.id);
        let row = c.clone();
        let written = app
            .db
            .write(move |tx| async move {
                let version = row.tokens.version;
                if !tokens::replace(&tx, &row.id, version, &sealed, &life).await? {
                    return Ok(false);
                }
                if !ending::near(&life, now) {
                    alerts::clear(&tx, AlertKind::ConnectionEnds, &row.id, now).await?;
                }
                let data = json!({ "connectionId": row.id, "network": row.network });
                events::add(&tx, &row.workspace_id, "connection.renewed", &row.id, &data, now)
                    .await?;
                Ok(true)
            })
            .await;
        match written {
            Ok(true) => {
                app.news.notify_waiters();
                return Ok(Renewal::Newer);
            }
            Err(db::Error::Unavailable(_) | db::Error::CommitUnknown(_))
                if app.clock.mono() < give_up =>
            {
                app.clock.sleep(std::time::Duration::from_millis(500)).await;
            }
            Ok(false) => {}
            Err(e) => {
                tracing::error!(connection_id = %c.id, error = %e, "new tokens are lost");
                return Err(e);
            }
        }
        match load(app, &c.id).await {
            Ok(Some(row)) => c = row,
            Ok(None) => return Ok(Renewal::Not),
            Err(_) if app.clock.mono() < give_up => {}
            Err(e) => return Err(e),
        }
    }
}

/// Does it still hold the tokens that the network was asked with?
fn same(account: &Account, used: &Account) -> bool {
    let of = |account: &Account, key| account.secret(key).ok();
    ["accessToken", "refreshToken"].iter().all(|key| of(account, key) == of(used, key))
}

/// Puts tokens where a connector looks for them; a refresh token that did not come stays.
pub(super) fn insert(account: &Account, tokens: &Tokens) {
    let mut held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
    held.insert("accessToken".into(), tokens.access.clone());
    if let Some(refresh) = &tokens.refresh {
        held.insert("refreshToken".into(), refresh.clone());
    }
}

/// Writes down what came of a try without new tokens.
async fn failed(app: &App, c: &Connection, e: &Error) -> Result<Renewal, db::Error> {
    let (now, held) = (app.clock.now(), c.tokens.clone());
    let problem = account::problem(e);
    if matches!(e.class, Class::Auth | Class::Config) {
        let life = TokenLife {
            renew_at: None,
            problem: Some(problem.clone()),
            // It works for as long as the token that it has.
            ends_at: held.expires_at,
            ..held
        };
        put_off(app, c, &life).await?;
        tracing::warn!(connection_id = %c.id, problem = %problem.sentence, "tokens cannot be renewed");
        return Ok(Renewal::Never(problem));
    }
    let tries = held.tries + 1;
    let at = now + life::wait(&c.id, tries, e.retry_after);
    let ends_at = if tries >= life::WORRY { life::end(&held) } else { held.ends_at };
    put_off(app, c, &TokenLife { renew_at: Some(at), tries, ends_at, ..held }).await?;
    Ok(Renewal::Later(at, problem))
}

/// Why a connection cannot be used at the moment.
#[derive(Debug)]
pub(super) enum Unusable {
    /// Its token has ended, and another one is not to be had before this time.
    Wait(i64, Problem),
    /// Its token has ended, and there will be no other.
    Broken(Problem),
    Db(db::Error),
}

/// The connection with newer tokens, where those that it holds end about now; `None` where it can
/// be used as it is.
pub(super) async fn fresh(app: &App, c: &Connection) -> Result<Option<Connection>, Unusable> {
    let now = app.clock.now();
    let Some(end) = c.tokens.expires_at.filter(|end| *end <= now + MARGIN) else {
        return Ok(None);
    };
    let over = end <= now;
    let renewed = Box::pin(renew(app, &c.id, c.tokens.version)).await.map_err(Unusable::Db)?;
    match renewed {
        Renewal::Newer => load(app, &c.id).await.map_err(Unusable::Db),
        Renewal::Busy => Err(Unusable::Wait(now + MOMENT, busy(c))),
        Renewal::Later(at, problem) if over => Err(Unusable::Wait(at, problem)),
        Renewal::Never(problem) if over => Err(Unusable::Broken(problem)),
        Renewal::Not if over => Err(Unusable::Broken(over_now(app, c))),
        _ => Ok(None),
    }
}

fn busy(c: &Connection) -> Problem {
    let sentence = format!("The token of {} is just being renewed.", c.name);
    Problem::new("transient", sentence, "wait", "Nothing to do: Carillon tries again by itself.")
}

/// What is said of a connection whose token has ended.
fn over_now(app: &App, c: &Connection) -> Problem {
    let network = app.network(&c.network).map_or(c.network.as_str(), |n| n.spec().name);
    let sentence = format!("The time for which {network} let Carillon in has ended.");
    Problem::new("auth", sentence, "reconnect", "Open Connections and connect it again.")
}

/// What to do after a network refused a connection's token.
pub(super) enum After {
    /// There is a newer one: try again.
    Again,
    /// There may be one at this time.
    Wait(i64),
    /// The refusal stands, perhaps with a better reason.
    Refused(Option<Problem>),
}

/// After the network refused this connection: a token that ended meanwhile is renewed, once.
pub(super) async fn after(app: &App, c: &Connection, e: &Error) -> Result<After, db::Error> {
    let lasting = app
        .network(&c.network)
        .is_none_or(|n| matches!(n.spec().life, Life::Endless | Life::Fixed));
    if e.class != Class::Auth || lasting {
        return Ok(After::Refused(None));
    }
    let Some(row) = load(app, &c.id).await? else { return Ok(After::Refused(None)) };
    if row.tokens.refreshed_at != c.tokens.refreshed_at {
        return Ok(After::Again);
    }
    let now = app.clock.now();
    if row.tokens.refreshed_at.is_some_and(|at| now - at < JUST) {
        return Ok(After::Refused(None));
    }
    Ok(match Box::pin(renew(app, &c.id, row.tokens.version)).await? {
        Renewal::Newer => After::Again,
        Renewal::Busy => After::Wait(now + MOMENT),
        Renewal::Later(at, _) => After::Wait(at),
        Renewal::Never(problem) => After::Refused(Some(problem)),
        Renewal::Not => After::Refused(None),
    })
}

impl From<Unusable> for Refusal {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Wait(_, p) => {
                let fix = "Try again in a moment.";
                Refusal::new(No::Unavailable, "tokens_not_renewed", p.sentence, fix)
            }
            Unusable::Broken(p) => Refusal::conflict("needs_action", p.sentence, p.action_sentence),
            Unusable::Db(e) => e.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(access: &str, refresh: Option<&str>) -> Tokens {
        Tokens {
            access: Secret::new(access),
            refresh: refresh.map(Secret::new),
            expires_in: None,
            refresh_expires_in: None,
            scopes: None,
        }
    }

    #[test]
    fn what_is_empty_or_cut_off_is_no_token() {
        for no in ["", "   ", "abc", "abcd efgh", "abcdefgh\n"] {
            let error = worth(tokens(no, None)).expect_err(no);
            assert_eq!(error.class, Class::Transient, "it says nothing about the connection");
            let kept = worth(tokens("abcdefgh", Some(no))).expect("a token");
            assert_eq!(kept.refresh, None, "the one that is held stays: {no:?}");
        }
        assert!(worth(tokens("abcdefgh", Some("12345678"))).expect("both").refresh.is_some());
    }

    #[test]
    fn a_refresh_token_that_does_not_come_stays() {
        let account = Account::default();
        insert(&account, &tokens("access-1", Some("refresh-1")));
        insert(&account, &tokens("access-2", None));
        assert_eq!(account.secret("accessToken").expect("held").reveal(), "access-2");
        assert_eq!(account.secret("refreshToken").expect("held").reveal(), "refresh-1");
    }
}
