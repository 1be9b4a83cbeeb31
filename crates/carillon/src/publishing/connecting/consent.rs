//! Connecting through a network's own consent page.
//!
//! [`begin`] makes the address of the page, [`back`] takes what it led back with, and [`choose`]
//! is asked where one consent opened several pages, boards or locations. The `state` is 256 random
//! bits of which a hash is kept; it works once, for ten minutes, for the person who began. The PKCE
//! verifier and, until a target is chosen, the tokens are sealed to the consent's own row.

use std::collections::BTreeMap;
use std::sync::Mutex;

use carillon_networks::oauth::{Grant, OAuth, Target, Tokens};
use carillon_networks::{Account, Checkpoints, Class, Context, Error, Forgetful, Secret, Spec};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::form::{self, Form};
use super::{ConnectionView, Put, check};
use crate::domain::problem::Problem;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::domain::sealed::Place;
use crate::domain::when;
use crate::identity::door;
use crate::publishing::{account, apps, tokens};
use crate::store::connections::{self, Connection};
use crate::store::consents::{self, Consent};
use crate::store::tokens::TokenLife;
use crate::{App, ids, words};

/// How long the page may take, in ms.
const LASTS: i64 = 10 * 60_000;
/// How long a choice waits, in ms: tokens of an hour are to be worth something after it.
const CHOICE: i64 = 30 * 60_000;

/// A consent to be asked for.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewConsent)]
pub struct Begin {
    /// An id from `GET /apps`.
    #[schema(example = "mastodon")]
    pub network: String,
    /// The connection that is to work again.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub reconnect: Option<String>,
    /// Where the network is many servers, the account's own.
    #[serde(default)]
    #[schema(example = "https://mastodon.social")]
    pub server: Option<String>,
}

/// Where to send the browser.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Begun {
    pub id: String,
    /// The network's consent page. It leads back here within ten minutes.
    pub url: String,
}

words! {
    pub enum ConsentState {
        /// The page has not led back yet.
        Waiting = "waiting",
        /// Something is to be chosen or filled in.
        Choice = "choice",
        Connected = "connected",
        Failed = "failed",
    }
}

/// What came of a consent.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentView {
    pub id: String,
    pub network: String,
    pub state: ConsentState,
    /// Why it failed.
    pub problem: Option<Problem>,
    /// What can be posted to. Empty where that is the account itself.
    pub targets: Vec<TargetView>,
    /// The one that is connected already, or the first that can be posted to.
    pub preselected: Option<String>,
    /// The network's fields that the consent did not fill.
    pub missing: Vec<String>,
    /// The connection that it was for, or became.
    pub connection_id: Option<String>,
    /// Until when something can be chosen.
    pub expires_at: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TargetView {
    pub id: String,
    pub name: String,
    /// Why nothing can be posted to it.
    pub problem: Option<String>,
}

/// What a person chose.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ConsentChoice)]
pub struct Choice {
    /// The id of a target; may be left out where there is none to choose from.
    #[serde(default)]
    pub target: Option<String>,
    /// What is missing.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// Who asks: nobody else may go on with what they began.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    pub workspace: &'a str,
    pub account: &'a str,
}

/// Begins a consent.
pub async fn begin(app: &App, person: Person<'_>, begin: Begin) -> Result<Begun, Refusal> {
    let network = app.network(&begin.network).ok_or_else(|| super::unknown(&begin.network))?;
    let spec = network.spec();
    let oauth = spec.oauth.as_ref().ok_or_else(|| apps::no_page(spec))?;
    let again = match &begin.reconnect {
        Some(id) => Some(super::load(app, person.workspace, id).await?),
        None => None,
    };
    if let Some(c) = again.as_ref().filter(|c| c.network != spec.id) {
        let says = format!("{} is no {} connection.", c.name, spec.name);
        return Err(Refusal::invalid(vec![Wrong::new("reconnect", "other_network", says)]));
    }
    let settings = place(app, spec, again.as_ref(), begin.server.as_deref())?;
    let said = |e: Error| refused(spec, &e);
    check::address(app, network, &account_of(settings.clone())).map_err(said)?;
    let client = Box::pin(apps::for_consent(app, network, &settings)).await.map_err(said)?;

    let (now, state, verifier) = (app.clock.now(), door::token("st"), door::token("pk"));
    let base = account::base(app, network, &settings);
    let to = apps::redirect_uri(app);
    let url = oauth
        .consent_url(&base, spec.base_url, &client.id, &to, &state, &verifier)
        .map_err(said)?;
    let id = ids::new(now);
    let row = Consent {
        sealed: app.keys.seal(&verifier, Place::ConsentSealed, &id),
        id: id.clone(),
        workspace_id: person.workspace.to_owned(),
        account_id: person.account.to_owned(),
        network: spec.id.to_owned(),
        server: apps::server_of(spec, &settings),
        connection_id: again.map(|c| c.id),
        redirect_uri: to,
        problem: None,
        created_at: now,
        expires_at: now + LASTS,
        returned_at: None,
        ended_at: None,
    };
    let hash = door::hash(&state);
    app.db.write(move |tx| async move { consents::add(&tx, &row, &hash).await }).await?;
    Ok(Begun { id, url: url.into() })
}

/// The server whose page is asked, as the settings of an account.
fn place(
    app: &App,
    spec: &'static Spec,
    again: Option<&Connection>,
    given: Option<&str>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let stored = again.and_then(|c| c.settings.get("server").cloned());
    let given = given.map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned);
    let server = match given.or(stored) {
        Some(server) => Some(server),
        None if !spec.base_url.is_empty() => return Ok(BTreeMap::new()),
        None if !app.config.networks.sandbox.is_empty() => Some(apps::sandbox_server(app, spec)),
        None => None,
    };
    let Some(server) = server else {
        let says = format!("{} is many servers: name the account's own.", spec.name);
        return Err(Refusal::invalid(vec![Wrong::new("server", "missing_field", says)]));
    };
    if !spec.base_url.is_empty() {
        let says = format!("{} is one network and asks for no server.", spec.name);
        return Err(Refusal::invalid(vec![Wrong::new("server", "unknown_field", says)]));
    }
    match form::server(&server) {
        Ok(server) => Ok(BTreeMap::from([("server".to_owned(), server)])),
        Err(why) => {
            let says = format!("“Server” {why}.");
            Err(Refusal::invalid(vec![Wrong::new("server", "invalid_address", says)]))
        }
    }
}

fn account_of(settings: BTreeMap<String, String>) -> Account {
    Account { settings, secrets: Mutex::default() }
}

/// Why a page cannot be asked for.
fn refused(spec: &Spec, e: &Error) -> Refusal {
    if e.code.as_deref() == Some("no_app") {
        let fix = "Set the app up under Settings, or enter the credentials by hand.";
        return Refusal::conflict("no_app", e.sentence.clone(), fix);
    }
    check::refusal(spec, e)
}

/// What a consent page led back with.
#[derive(Clone, Default)]
pub struct Returned {
    pub state: String,
    pub code: Option<String>,
    pub error: Option<String>,
}

/// Takes what a page led back with; the id of its consent, whatever came of it.
pub async fn back(app: &App, person: Person<'_>, returned: Returned) -> Result<String, Refusal> {
    let (hash, now) = (door::hash(&returned.state), app.clock.now());
    let found = app.db.write(move |tx| async move { consents::back(&tx, &hash, now).await });
    let Some(consent) = found.await? else {
        let sentence = "This way back has been used already, or was never opened.";
        return Err(Refusal::new(Kind::Invalid, "state_unknown", sentence, ANEW));
    };
    if (consent.workspace_id.as_str(), consent.account_id.as_str())
        != (person.workspace, person.account)
    {
        end(app, &consent, &strange()).await?;
        let sentence = "Somebody else began to connect this account.";
        return Err(Refusal::new(Kind::Forbidden, "state_of_another", sentence, ANEW));
    }
    if consent.expires_at <= now {
        end(app, &consent, &too_late()).await?;
        let sentence = "It took longer than ten minutes.";
        return Err(Refusal::new(Kind::Invalid, "state_expired", sentence, ANEW));
    }
    let taken = match Box::pin(take(app, &consent, returned)).await {
        Ok(Taken::Connected) => return Ok(consent.id),
        Ok(Taken::Choice(held)) => Ok(*held),
        Err(problem) => Err(problem),
    };
    match taken {
        Ok(held) => wait(app, &consent, &held).await?,
        Err(problem) => end(app, &consent, &problem).await?,
    }
    Ok(consent.id)
}

/// What to do after a way back that leads nowhere.
const ANEW: &str = "Go to Connections and connect the account again; nothing was changed.";

fn strange() -> Problem {
    problem("auth", "state_of_another", "Somebody else came back from the network's page.")
}

fn too_late() -> Problem {
    problem("auth", "expired", "It took too long: the network's page has to lead back in time.")
}

fn problem(class: &str, code: &str, sentence: impl Into<String>) -> Problem {
    let code = Some(code.to_owned());
    Problem { code, ..Problem::new(class, sentence, "reconnect", ANEW) }
}

fn problem_of(e: &Error) -> Problem {
    let told = account::problem(e);
    // A code works once: what went wrong with it is begun anew, not waited for.
    match e.class {
        Class::Config => told,
        _ => Problem { action: "reconnect".into(), action_sentence: ANEW.into(), ..told },
    }
}

async fn end(app: &App, c: &Consent, problem: &Problem) -> Result<(), Refusal> {
    let (id, problem, now) = (c.id.clone(), problem.clone(), app.clock.now());
    let ended =
        app.db.write(move |tx| async move { consents::failed(&tx, &id, &problem, now).await });
    Ok(ended.await?)
}

async fn wait(app: &App, c: &Consent, held: &Held) -> Result<(), Refusal> {
    let (id, until) = (c.id.clone(), app.clock.now() + CHOICE);
    let sealed = app.keys.seal(&crate::store::json(held), Place::ConsentSealed, &id);
    let waits =
        app.db.write(move |tx| async move { consents::wait(&tx, &id, &sealed, until).await });
    Ok(waits.await?)
}

/// What a consent brought, until it is given to a connection.
#[derive(Serialize, Deserialize)]
struct Held {
    life: TokenLife,
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    targets: Vec<Open>,
    preselected: Option<String>,
}

/// A target that may be chosen.
#[derive(Clone, Serialize, Deserialize)]
struct Open {
    id: String,
    name: String,
    problem: Option<String>,
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
}

enum Taken {
    Connected,
    Choice(Box<Held>),
}

/// From a code to a connection, or to what a person has to choose from.
async fn take(app: &App, consent: &Consent, returned: Returned) -> Result<Taken, Problem> {
    let network = app.network(&consent.network).ok_or_else(lost)?;
    let spec = network.spec();
    let oauth = spec.oauth.as_ref().ok_or_else(lost)?;
    let code = code(spec, returned).map_err(|problem| *problem)?;
    let verifier =
        app.keys.open(&consent.sealed, Place::ConsentSealed, &consent.id).map_err(|_| lost())?;
    let mut account = beginning(app, consent).await?;
    let base = account::base(app, network, &account.settings);
    let told = |e: Error, account: &Account| {
        problem_of(&account::hushed(account::in_words(e, network, &base), account))
    };

    let client = apps::of(app, spec, &account.settings).await.map_err(|e| problem_of(&e))?;
    apps::lend(&mut account, client.as_ref());
    let grant = Grant {
        code: Secret::new(code),
        redirect_uri: consent.redirect_uri.clone(),
        verifier: Secret::new(verifier),
    };
    let tokens = {
        let cx = context(app, &account, &base);
        let answer = network.exchange(&cx, &grant).await.and_then(tokens::worth);
        answer.map_err(|e| told(e, &account))?
    };
    if let Some(problem) = ungranted(spec, oauth, &tokens) {
        return Err(problem);
    }
    // Of an earlier consent: a token that did not come this time renews nothing of these.
    account.secrets.get_mut().unwrap_or_else(|e| e.into_inner()).remove("refreshToken");
    tokens::insert(&account, &tokens);
    let now = app.clock.now();
    let life = tokens::issued(spec, &consent.id, &tokens, tokens.refresh.is_some(), None, now);
    let targets = {
        let cx = context(app, &account, &base);
        network.targets(&cx).await.map_err(|e| told(e, &account))?
    };
    apps::take_back(&mut account);
    let targets: Vec<Open> = targets.into_iter().map(opened).collect();
    if let Some(problem) = nothing_eligible(spec, &targets) {
        return Err(problem);
    }
    let again = again(app, consent).await?;
    let stored = again.as_ref().and_then(|c| targets.iter().find(|t| is_stored(c, t)));
    let eligible = |t: &&Open| t.problem.is_none();
    let chosen = stored.filter(eligible).or_else(|| targets.iter().find(eligible)).cloned();
    // The person's own choice is needed where there are several, or where the one that this
    // connection was for is not among them.
    let clear = match (&again, targets.len()) {
        (_, 0) => true,
        (Some(_), _) => stored.is_some_and(|t| t.problem.is_none()),
        (None, several) => several == 1,
    };
    let held = Held {
        life,
        settings: account.settings.clone(),
        secrets: revealed(&account),
        preselected: chosen.as_ref().map(|t| t.id.clone()),
        targets,
    };
    let account = assembled(&held, chosen.as_ref());
    if !clear || !missing(spec, &account).is_empty() {
        return Ok(Taken::Choice(Box::new(held)));
    }
    let same = held.targets.is_empty();
    let made = Box::pin(finish(app, consent, account, held.life, same)).await;
    made.map(|_| Taken::Connected).map_err(|refusal| Problem {
        code: Some(refusal.code.clone()),
        ..Problem::new("config", refusal.sentence, "reconnect", &refusal.fix)
    })
}

fn lost() -> Problem {
    problem("config", "lost", "What was begun here can no longer be read.")
}

/// The code, or why there is none.
fn code(spec: &Spec, returned: Returned) -> Result<String, Box<Problem>> {
    let name = spec.name;
    match (returned.code, returned.error.as_deref()) {
        // Meta appends the fragment of its own page; where it was encoded it stands here.
        (Some(code), None) if !code.is_empty() => {
            Ok(code.trim_end_matches("#_=_").trim_end_matches("#_").to_owned())
        }
        (_, Some(error)) if error.contains("denied") || error.contains("cancelled") => {
            let says =
                format!("{name} was not allowed to let Carillon in: somebody said no there.");
            Err(Box::new(problem("auth", "access_denied", says)))
        }
        (_, Some(error @ ("temporarily_unavailable" | "server_error"))) => {
            let says = format!("{name} is out of order for the moment.");
            Err(Box::new(problem("transient", error, says)))
        }
        (_, Some(error)) => {
            let error = carillon_networks::error::quote(error);
            let says = format!("{name} refuses how its app is set up here: {error}.");
            let next = "Compare the app's redirect address and rights with those under Settings.";
            let told = Problem::new("config", says, "ask_operator", next);
            Err(Box::new(Problem { code: Some(error), ..told }))
        }
        (_, None) => {
            let says = format!("{name} led back without a code.");
            Err(Box::new(problem("auth", "no_code", says)))
        }
    }
}

/// The account as it is before the consent: of a connection that is there already, with what was
/// entered by hand.
async fn beginning(app: &App, consent: &Consent) -> Result<Account, Problem> {
    let network = app.network(&consent.network).ok_or_else(lost)?;
    let mut account = match again(app, consent).await? {
        Some(c) => {
            let held = account::open(app, &c)
                .unwrap_or_else(|_| Account { settings: c.settings.clone(), ..Account::default() });
            Form::of(network.spec(), &held).unjudged()
        }
        None => Account::default(),
    };
    if !consent.server.is_empty() {
        account.settings.insert("server".into(), consent.server.clone());
    }
    Ok(account)
}

/// The connection that is to work again.
async fn again(app: &App, consent: &Consent) -> Result<Option<Connection>, Problem> {
    let Some(id) = &consent.connection_id else { return Ok(None) };
    match super::load(app, &consent.workspace_id, id).await {
        Ok(c) => Ok(Some(c)),
        Err(refusal) => Err(problem("config", &refusal.code, "The connection is no longer there.")),
    }
}

fn context<'a>(app: &'a App, account: &'a Account, base: &'a str) -> Context<'a> {
    let timeout = app.config.networks.timeout.min(check::PATIENCE);
    let now = app.clock.now();
    Context::new(&app.http, account, base, now, timeout, Checkpoints::new(), &Forgetful)
}

/// People can untick what they are asked for.
fn ungranted(spec: &Spec, oauth: &OAuth, tokens: &Tokens) -> Option<Problem> {
    let granted = tokens.scopes.as_ref()?;
    let missing: Vec<String> =
        oauth.missing(granted).iter().map(|scope| format!("`{scope}`")).collect();
    if missing.is_empty() {
        return None;
    }
    let says = format!(
        "{} did not grant {}, without which nothing can be posted.",
        spec.name,
        missing.join(" and ")
    );
    let next = "Connect it again and leave everything ticked; nothing was changed.";
    let told = Problem::new("auth", says, "reconnect", next);
    Some(Problem { code: Some("missing_scope".into()), ..told })
}

fn opened(target: Target) -> Open {
    let secrets = target.secrets.into_iter().map(|(k, v)| (k, v.reveal().to_owned())).collect();
    let Target { id, name, problem, settings, .. } = target;
    Open { id, name, problem, settings, secrets }
}

/// Why there is nothing that could be posted to, each with its own reason.
fn nothing_eligible(spec: &Spec, targets: &[Open]) -> Option<Problem> {
    if targets.is_empty() || targets.iter().any(|t| t.problem.is_none()) {
        return None;
    }
    let why: Vec<String> = targets
        .iter()
        .take(5)
        .map(|t| format!("{}: {}", t.name, t.problem.as_deref().unwrap_or_default()))
        .collect();
    let says = format!("Nothing of yours at {} can be posted to. {}", spec.name, why.join(" "));
    let next = "Settle that at the network, then connect it again; nothing was changed.";
    let told = Problem::new("config", says, "act_at_network", next);
    Some(Problem { code: Some("nothing_eligible".into()), ..told })
}

/// Is this what the connection posts to?
fn is_stored(c: &Connection, target: &Open) -> bool {
    let settings = &target.settings;
    target.id == c.remote_id
        || (!settings.is_empty() && settings.iter().all(|(k, v)| c.settings.get(k) == Some(v)))
}

fn revealed(account: &Account) -> BTreeMap<String, String> {
    let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
    held.iter().map(|(k, v)| (k.clone(), v.reveal().to_owned())).collect()
}

/// The account with what a target adds.
fn assembled(held: &Held, target: Option<&Open>) -> Account {
    let mut settings = held.settings.clone();
    let mut secrets = held.secrets.clone();
    if let Some(target) = target {
        settings.extend(target.settings.clone());
        secrets.extend(target.secrets.clone());
    }
    let secrets = secrets.into_iter().map(|(k, v)| (k, Secret::new(v))).collect();
    Account { settings, secrets: Mutex::new(secrets) }
}

fn missing(spec: &Spec, account: &Account) -> Vec<String> {
    let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
    let missing = form::missing(spec, &account.settings, &held);
    missing.into_iter().map(|field| field.key.to_owned()).collect()
}

/// Has the network say who it is, and keeps it. With `same` a reconnection has to be for the same
/// account; else a person chose what it is for.
async fn finish(
    app: &App,
    consent: &Consent,
    mut account: Account,
    life: TokenLife,
    same: bool,
) -> Result<ConnectionView, Refusal> {
    let network = app.network(&consent.network).ok_or_else(|| super::unknown(&consent.network))?;
    let spec = network.spec();
    let identity = Box::pin(super::identify(app, network, &mut account)).await?;
    let (app_, consent, now) = (app.clone(), consent.clone(), app.clock.now());
    let view = app.db.write(move |tx| async move {
        let ws = consent.workspace_id.clone();
        let twin = super::twin(&tx, &ws, spec, &identity, &account).await?;
        let row = match &consent.connection_id {
            None => twin,
            Some(id) => {
                let row = connections::find(&tx, &ws, id).await?.ok_or_else(super::no_such)?;
                if same && !row.remote_id.is_empty() && row.remote_id != identity.remote_id {
                    return Err(super::other_account(&row, &identity));
                }
                if let Some(twin) = twin.filter(|twin| twin.id != row.id) {
                    return Err(super::connected_already(&twin));
                }
                Some(row)
            }
        };
        let put = Put { spec, row, name: None, account, identity, life };
        let view = Box::pin(super::put(&tx, &app_, &ws, put, now)).await?;
        if !consents::connected(&tx, &consent.id, &view.id, now).await? {
            return Err(over());
        }
        Ok(view)
    });
    let view = view.await?;
    app.ring();
    Ok(view)
}

fn over() -> Refusal {
    let sentence = "This was decided already, or took too long.";
    Refusal::conflict("consent_over", sentence, ANEW)
}

/// A consent as the person who began it sees it.
pub async fn show(app: &App, person: Person<'_>, id: &str) -> Result<ConsentView, Refusal> {
    let c = load(app, person, id).await?;
    let expired = c.ended_at.is_none() && c.expires_at <= app.clock.now();
    let held = if expired { None } else { held(app, &c)? };
    let state = match (&held, c.ended_at, &c.problem) {
        (_, _, Some(_)) => ConsentState::Failed,
        (_, Some(_), None) => ConsentState::Connected,
        (Some(_), ..) => ConsentState::Choice,
        _ if expired => ConsentState::Failed,
        _ => ConsentState::Waiting,
    };
    let spec = app.network(&c.network).map(|n| n.spec());
    let missing = spec.zip(held.as_ref()).map(|(spec, held)| {
        let chosen = held.targets.iter().find(|t| Some(&t.id) == held.preselected.as_ref());
        missing(spec, &assembled(held, chosen))
    });
    let (targets, preselected) = held.map(|h| (h.targets, h.preselected)).unwrap_or_default();
    Ok(ConsentView {
        id: c.id,
        network: c.network,
        state,
        problem: c.problem.or_else(|| expired.then(too_late)),
        targets: targets
            .into_iter()
            .map(|t| TargetView { id: t.id, name: t.name, problem: t.problem })
            .collect(),
        preselected,
        missing: missing.unwrap_or_default(),
        connection_id: c.connection_id,
        expires_at: when::iso(c.expires_at),
    })
}

async fn load(app: &App, person: Person<'_>, id: &str) -> Result<Consent, Refusal> {
    let (ws, account, id) = (person.workspace.to_owned(), person.account.to_owned(), id.to_owned());
    let found = app.db.read(move |tx| async move { consents::find(&tx, &ws, &account, &id).await });
    found.await?.ok_or_else(|| Refusal::not_found("consent"))
}

/// What waits for a choice, if something does.
fn held(app: &App, c: &Consent) -> Result<Option<Held>, Refusal> {
    if c.returned_at.is_none() || c.ended_at.is_some() {
        return Ok(None);
    }
    let open = app.keys.open(&c.sealed, Place::ConsentSealed, &c.id).ok();
    // Until the page's answer is read the verifier stands there.
    Ok(open.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Connects what a person chose.
pub async fn choose(
    app: &App,
    person: Person<'_>,
    id: &str,
    choice: Choice,
) -> Result<ConnectionView, Refusal> {
    let consent = load(app, person, id).await?;
    if consent.expires_at <= app.clock.now() {
        return Err(over());
    }
    let held = held(app, &consent)?.ok_or_else(over)?;
    let network = app.network(&consent.network).ok_or_else(|| super::unknown(&consent.network))?;
    let spec = network.spec();
    let target = match (&choice.target, held.targets.is_empty()) {
        (None, true) => None,
        (None, false) => {
            let says = "Say what is to be posted to: one of the targets.";
            return Err(Refusal::invalid(vec![Wrong::new("target", "missing_field", says)]));
        }
        (Some(id), _) => Some(target(&held, id)?),
    };
    let open = assembled(&held, target);
    let mut form = Form::of(spec, &open);
    form.enter("settings", &choice.settings, &BTreeMap::new());
    let account = form.finish()?;
    // What a target brought beside the fields stays.
    let mut kept = assembled(&held, target);
    kept.settings.extend(account.settings);
    let entered = account.secrets.into_inner().unwrap_or_else(|e| e.into_inner());
    kept.secrets.get_mut().unwrap_or_else(|e| e.into_inner()).extend(entered);
    let same = held.targets.is_empty();
    Box::pin(finish(app, &consent, kept, held.life, same)).await
}

fn target<'a>(held: &'a Held, id: &str) -> Result<&'a Open, Refusal> {
    let wrong = |code, says| Refusal::invalid(vec![Wrong::new("target", code, says)]);
    match held.targets.iter().find(|t| t.id == id) {
        Some(Open { problem: Some(why), .. }) => Err(wrong("not_eligible", why.clone())),
        Some(target) => Ok(target),
        None => Err(wrong("unknown_target", format!("There is no target `{id}` here."))),
    }
}
