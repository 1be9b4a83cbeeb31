//! Asks a network about an account, and reads the answer as a checklist, a refusal or a verdict.
//!
//! Only what is certain condemns a connection: an outage of the network, a limit or an answer that
//! got lost says nothing about the credentials. Nothing secret passes through here: whatever words
//! a network sends back are searched for the account's own secrets first.

use std::time::Duration;

use carillon_networks::{
    Account, Action, Checkpoints, Class, Context, Error, Identity, Keeper, Network, Spec,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::form;
use crate::App;
use crate::domain::refusal::{Kind, Refusal, Wrong};
use crate::publishing::account;

/// A person waits for the answer, and a check takes up to three calls.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);

/// The line that tells of the clocks. It condemns no connection: what a network takes, it takes.
pub const CLOCK: &str = "clock";
/// As far as clocks may be apart, in ms: networks that look at the time of a signed request or of a
/// token allow a minute at least.
const APART: i64 = 60_000;

/// One line of the checklist, in the order in which things are tried. What comes after a failure is
/// not tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckItem {
    /// `credentials`, `address`, `reach`, `clock`, `rights`
    #[schema(example = "rights")]
    pub name: String,
    pub ok: bool,
    /// What was found, in one sentence.
    pub detail: String,
    /// What to do, as a word: `reconnect`, `complete_connection`, …
    pub action: Option<String>,
}

/// What a check says about a connection.
pub(super) enum Verdict {
    Fine(Identity),
    /// Certain: nothing can be published with it.
    Broken(Error),
    /// Nothing is known, because of this.
    Away(Error),
}

/// Goes through the checklist.
pub(super) async fn examine(
    app: &App,
    network: &dyn Network,
    account: &Account,
    remote_id: &str,
    keeper: &dyn Keeper,
) -> (Vec<CheckItem>, Verdict) {
    let spec = network.spec();
    let mut list = Vec::new();
    if let Some(error) = incomplete(spec, account) {
        list.push(bad("credentials", &error));
        return (list, Verdict::Broken(error));
    }
    list.push(good("credentials", "Everything that is required is filled in."));
    if let Err(error) = address(app, network, account) {
        list.push(bad("address", &error));
        return (list, Verdict::Broken(error));
    }
    list.push(good("address", "The address may be spoken to."));
    let mark = app.http.mark();
    let answer = ask(app, network, account, keeper).await;
    let answer = answer.and_then(|identity| same_account(spec, remote_id, identity));
    let base = account::base(app, network, &account.settings);
    let clock = app.http.time_at(&base, mark).map(|theirs| clock(spec, theirs - app.clock.now()));
    match answer {
        Ok(identity) => {
            list.push(good("reach", &format!("{} answers.", spec.name)));
            list.extend(clock);
            list.push(good("rights", &format!("It may publish as {}.", identity.name)));
            (list, Verdict::Fine(identity))
        }
        Err(error) if says_nothing(&error) => {
            list.push(bad("reach", &error));
            (list, Verdict::Away(error))
        }
        Err(error) => {
            list.push(good("reach", &format!("{} answers.", spec.name)));
            list.extend(clock);
            list.push(bad("rights", &error));
            (list, Verdict::Broken(error))
        }
    }
}

fn good(name: &str, detail: &str) -> CheckItem {
    CheckItem { name: name.into(), ok: true, detail: detail.into(), action: None }
}

fn bad(name: &str, error: &Error) -> CheckItem {
    let detail = error.sentence.clone();
    CheckItem { name: name.into(), ok: false, detail, action: Some(account::problem(error).action) }
}

/// `ahead`: of the network's clock before ours, in ms.
fn clock(spec: &Spec, ahead: i64) -> CheckItem {
    if ahead.abs() <= APART {
        return good(CLOCK, &format!("The clock of {} and ours agree.", spec.name));
    }
    let way = if ahead > 0 { "behind" } else { "ahead of" };
    let error = Error::new(
        Class::Config,
        format!(
            "This machine's clock is {} {way} that of {}: posts go out at the wrong time, and signed requests may be refused.",
            apart(ahead.abs()),
            spec.name
        ),
    );
    bad(CLOCK, &error.action(Action::AskOperator))
}

/// `3 min 12 s`, for a sentence.
fn apart(ms: i64) -> String {
    let s = ms / 1_000;
    match (s / 3_600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s} s"),
        (h, min, _) => format!("{h} h {min} min"),
    }
}

fn incomplete(spec: &Spec, account: &Account) -> Option<Error> {
    let held = account.secrets.lock().unwrap_or_else(|e| e.into_inner());
    let missing = form::missing(spec, &account.settings, &held);
    let labels: Vec<String> = missing.iter().map(|f| format!("“{}”", f.label)).collect();
    (!missing.is_empty()).then(|| {
        Error::new(Class::Config, format!("The connection has no {}.", labels.join(" and no ")))
            .code("missing_field")
    })
}

/// May the place where this account's API is be spoken to?
pub(super) fn address(app: &App, network: &dyn Network, account: &Account) -> Result<(), Error> {
    let base = account::base(app, network, &account.settings);
    // A way to speak without a host, as for mail and relays: connectors check each server they open.
    if base == network.spec().base_url && !base.contains("//") {
        return Ok(());
    }
    let url = base.parse::<url::Url>().map_err(|_| {
        Error::new(Class::Config, format!("`{base}` is no web address.")).code("address_refused")
    })?;
    app.http.check(&url).map_err(|e| e.action(Action::CompleteConnection))
}

/// Asks the network who these credentials belong to and what they allow.
pub(super) async fn ask(
    app: &App,
    network: &dyn Network,
    held: &Account,
    keeper: &dyn Keeper,
) -> Result<Identity, Error> {
    let base = account::base(app, network, &held.settings);
    let timeout = app.config.networks.timeout.min(PATIENCE);
    let cx =
        Context::new(&app.http, held, &base, app.clock.now(), timeout, Checkpoints::new(), keeper);
    match network.check(&cx).await {
        Ok(identity) => Ok(identity),
        // Nothing was sent that could be wrong about a post: it is the connection that is.
        Err(e) if matches!(e.class, Class::Content | Class::Duplicate) => {
            let sentence = e.sentence.clone();
            Err(account::hushed(e.becomes(Class::Config, sentence), held))
        }
        Err(e) => Err(account::hushed(e, held)),
    }
}

/// Credentials of another account would publish in its name. Of whom they are may not be known yet.
fn same_account(spec: &Spec, remote_id: &str, found: Identity) -> Result<Identity, Error> {
    if remote_id.is_empty() || found.remote_id == remote_id {
        return Ok(found);
    }
    let says = format!(
        "The credentials belong to another {} account, {}, than this connection.",
        spec.name, found.name
    );
    Err(Error::new(Class::Auth, says).code("other_account"))
}

/// Does this failure tell nothing about the credentials?
pub(super) fn says_nothing(error: &Error) -> bool {
    matches!(error.class, Class::Transient | Class::RateLimit | Class::Quota | Class::Unknown)
}

/// The refusal of an account that was entered just now; nothing of it is saved.
pub(super) fn refusal(spec: &Spec, error: &Error) -> Refusal {
    let garbled = error.code.as_deref() == Some("garbled");
    if says_nothing(error) && !garbled {
        let fix = "Nothing was saved. Try again in a moment.";
        let sentence = error.sentence.clone();
        return Refusal::new(Kind::Unavailable, "network_unavailable", sentence, fix);
    }
    let fix = match error.action {
        _ if garbled => "Check the address; nothing was saved.",
        Action::Reconnect => "Check the credentials and enter them again; nothing was saved.",
        Action::CompleteConnection => "Correct what is named and try again; nothing was saved.",
        other => other.sentence(),
    };
    let mut refusal =
        Refusal::new(Kind::Invalid, "connection_refused", error.sentence.clone(), fix);
    let code = error.code.as_deref().unwrap_or("refused");
    refusal.problems = blamed(spec, error)
        .map(|field| Wrong::new(field, code, error.sentence.clone()))
        .into_iter()
        .collect();
    refusal
}

/// The field that is most likely wrong.
fn blamed(spec: &Spec, error: &Error) -> Option<String> {
    let server = spec.fields.iter().find(|f| f.key == "server").map(form::path);
    match (error.class, error.action, error.code.as_deref()) {
        (_, _, Some("garbled")) | (Class::Config, Action::CompleteConnection, _) => server,
        (Class::Auth, Action::Reconnect, _) => {
            spec.fields.iter().find(|f| f.secret).map(form::path)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_points_at_the_field() {
        let spec = carillon_networks::find("mastodon").expect("mastodon").spec();
        let field = |e: Error| refusal(spec, &e).problems.first().map(|w| w.field.clone());
        let token = Error::new(Class::Auth, "The token is not valid.").status(401);
        assert_eq!(field(token.clone()).as_deref(), Some("credentials.accessToken"));
        assert_eq!(field(token.action(Action::ActAtNetwork)), None);
        assert_eq!(field(Error::garbled("HTML")).as_deref(), Some("settings.server"));
        let nobody = Error::new(Class::Config, "There is no Mastodon server at this address.");
        assert_eq!(field(nobody).as_deref(), Some("settings.server"));
        let away = refusal(spec, &Error::new(Class::Transient, "No connection."));
        assert_eq!((away.kind, away.code.as_str()), (Kind::Unavailable, "network_unavailable"));
    }
}
