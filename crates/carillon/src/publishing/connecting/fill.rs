//! Completes what is known of a connection by asking its network: ids, names, and where a page,
//! location or board was never chosen, that as well, if there is no doubt which.

use std::collections::BTreeMap;

use carillon_networks::{Account, Checkpoints, Context, Error, Network, Target};

use super::check::{self, Verdict};
use super::{form, learn, network_of, no_such, release, tell, twin};
use crate::App;
use crate::domain::refusal::Refusal;
use crate::publishing::account::{self, Renewals};
use crate::publishing::{apps, tokens};
use crate::store::connections::{self, Connection};

/// What came of [`fill_in`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filling {
    /// What was learnt, by its name; nothing where everything was known.
    Learnt(BTreeMap<String, String>),
    /// It is left as it is.
    Skipped { reason: String, sentence: String },
}

/// Asks the network for what is not known of a connection, and keeps it unless `dry_run`. What the
/// network refuses or does not answer changes nothing, and neither does what was known already.
pub async fn fill_in(app: &App, old: &Connection, dry_run: bool) -> Result<Filling, Refusal> {
    let network = network_of(app, old)?;
    let newer = match Box::pin(tokens::fresh(app, old)).await {
        Ok(newer) => newer,
        Err(tokens::Unusable::Db(e)) => return Err(e.into()),
        // What the network says of a token that has ended is told in its own words.
        Err(_) => None,
    };
    let old = newer.as_ref().unwrap_or(old);
    let mut account = account::open(app, old)?;
    // Few networks need an app to tell whose a token is; without one they say so.
    if let Ok(client) = apps::of(app, network.spec(), &old.settings).await {
        apps::lend(&mut account, client.as_ref());
    }
    let mut new_secrets = false;
    match target(app, network, &account, old).await {
        Ok(None) => {}
        Ok(Some(target)) => {
            account.settings.extend(target.settings);
            new_secrets = !target.secrets.is_empty();
            let held = account.secrets.get_mut().unwrap_or_else(|e| e.into_inner());
            held.extend(target.secrets);
        }
        Err(skipped) => return Ok(skipped),
    }
    let keeper = Renewals { app, connection: &old.id };
    let (_, verdict) =
        Box::pin(check::examine(app, network, &account, &old.remote_id, &keeper)).await;
    apps::take_back(&mut account);
    let identity = match verdict {
        Verdict::Fine(identity) => identity,
        Verdict::Away(error) => return Ok(skipped("network_unavailable", error.sentence)),
        Verdict::Broken(error) => return refused_at(app, old, error).await,
    };
    let mut row = Connection { settings: account.settings.clone(), ..old.clone() };
    if row.remote_id.is_empty() {
        if let Some(twin) = twin_of(app, network, old, &identity, &account).await? {
            let sentence = format!("This account is connected already, as {}.", twin.name);
            return Ok(skipped("already_connected", sentence));
        }
        row.remote_id = identity.remote_id;
    }
    if row.name.trim().is_empty() {
        row.name = identity.name;
    }
    learn(&mut row, identity.settings);
    let learnt = differences(old, &row);
    if dry_run || (learnt.is_empty() && old.broken_at.is_none()) {
        return Ok(Filling::Learnt(learnt));
    }
    let secrets = new_secrets.then(|| account::seal(app, &account, &old.id));
    let (old, app_, now) = (old.clone(), app.clone(), app.clock.now());
    let kept = app
        .db
        .write(move |tx| async move {
            if let Some(secrets) = &secrets
                && !connections::renew(&tx, &old.id, old.tokens.version, secrets).await?
            {
                return Ok(false);
            }
            if !connections::fill(&tx, &old, &row, now).await? {
                return Err(changed());
            }
            let row = connections::load(&tx, &old.id).await?.ok_or_else(no_such)?;
            release(&tx, &row, now).await?;
            tell(&tx, &app_, "connection.updated", &row, now).await?;
            Ok::<_, Refusal>(true)
        })
        .await?;
    app.ring();
    if kept { Ok(Filling::Learnt(learnt)) } else { Err(changed()) }
}

fn changed() -> Refusal {
    let sentence = "It was changed meanwhile: run it again.";
    Refusal::conflict("changed", sentence, "Run it again.")
}

/// The network refused it; but it may be that only its token has ended.
async fn refused_at(app: &App, old: &Connection, error: Error) -> Result<Filling, Refusal> {
    match Box::pin(tokens::after(app, old, &error)).await? {
        tokens::After::Again => Err(changed()),
        tokens::After::Wait(_) => Ok(skipped("network_unavailable", error.sentence)),
        tokens::After::Refused(_) => Ok(refused(error)),
    }
}

fn skipped(reason: &str, sentence: String) -> Filling {
    Filling::Skipped { reason: reason.to_owned(), sentence }
}

fn refused(error: Error) -> Filling {
    skipped(error.code.as_deref().unwrap_or("refused"), error.sentence)
}

/// What it posts to, where that is what is missing and the network can say it. In doubt a person
/// chooses.
async fn target(
    app: &App,
    network: &dyn Network,
    account: &Account,
    old: &Connection,
) -> Result<Option<Target>, Filling> {
    {
        let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
        let missing = form::missing(network.spec(), &account.settings, &held);
        if missing.is_empty() || missing.iter().any(|field| field.secret) {
            return Ok(None);
        }
    }
    let away = |e: Error| match check::says_nothing(&e) {
        true => skipped("network_unavailable", e.sentence),
        false => refused(e),
    };
    check::address(app, network, account).map_err(away)?;
    let base = account::base(app, network, &account.settings);
    let timeout = app.config.networks.timeout.min(check::PATIENCE);
    let (now, keeper) = (app.clock.now(), Renewals { app, connection: &old.id });
    let cx = Context::new(&app.http, account, &base, now, timeout, Checkpoints::new(), &keeper);
    let found = network.targets(&cx).await.map_err(|e| away(account::hushed(e, account)))?;
    if found.is_empty() {
        // The check says which field it is that nobody can fill in but a person.
        return Ok(None);
    }
    if let Some(known) = found.iter().find(|t| !old.remote_id.is_empty() && t.id == old.remote_id) {
        return match &known.problem {
            None => Ok(Some(known.clone())),
            Some(problem) => Err(skipped("no_target", problem.clone())),
        };
    }
    let name = network.spec().name;
    let (good, bad): (Vec<Target>, Vec<Target>) =
        found.into_iter().partition(|t| t.problem.is_none());
    match good.as_slice() {
        [one] if old.remote_id.is_empty() => Ok(Some(one.clone())),
        [] => {
            let why: Vec<String> = bad
                .into_iter()
                .filter_map(|t| Some(format!("{}: {}", t.name, t.problem?)))
                .collect();
            Err(skipped("no_target", why.join(" ")))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|t| t.name.as_str()).collect();
            let sentence = format!(
                "{name} offers {}: choose one by connecting the account again.",
                names.join(", ")
            );
            Err(skipped("which_target", sentence))
        }
    }
}

async fn twin_of(
    app: &App,
    network: &dyn Network,
    old: &Connection,
    identity: &carillon_networks::Identity,
    account: &Account,
) -> Result<Option<Connection>, Refusal> {
    let (ws, spec, identity) = (old.workspace_id.clone(), network.spec(), identity.clone());
    let account = Account { settings: account.settings.clone(), ..Account::default() };
    app.db.read(move |tx| async move { twin(&tx, &ws, spec, &identity, &account).await }).await
}

/// What is otherwise in the new row, by its name; empty where it is gone.
fn differences(old: &Connection, new: &Connection) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, from, to) in
        [("remoteId", &old.remote_id, &new.remote_id), ("name", &old.name, &new.name)]
    {
        if from != to {
            all.insert(name.to_owned(), to.clone());
        }
    }
    let keys = old.settings.keys().chain(new.settings.keys());
    for key in keys.filter(|key| old.settings.get(*key) != new.settings.get(*key)) {
        all.insert(key.clone(), new.settings.get(key).cloned().unwrap_or_default());
    }
    all
}
