//! A person's way over a network's consent page, in the sandbox.

use std::sync::Mutex;
use std::time::Duration;

use carillon_networks::http::Reply;
use carillon_networks::{Account, Context, Error, Grant, Network, Secret, Tokens};
use carillon_sandbox::{CLIENT_ID, CLIENT_SECRET};

use crate::support::Desk;

const BACK: &str = "https://c.example/connect/back";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";

/// The account of the desk, as an operator's app sees it: with the app's own credentials.
pub(crate) fn app(desk: &Desk, secrets: &[(&str, &str)]) -> Account {
    let mut settings = desk.account.settings.clone();
    settings.insert("clientId".to_owned(), CLIENT_ID.to_owned());
    let app = [("clientSecret", CLIENT_SECRET)];
    let all = app.iter().chain(secrets).map(|(k, v)| ((*k).to_owned(), Secret::new(*v)));
    Account { settings, secrets: Mutex::new(all.collect()) }
}

/// A context of another account at the same sandbox.
pub(crate) fn cx<'d>(desk: &'d Desk, account: &'d Account) -> Context<'d> {
    let (http, base, keeper) = desk.parts();
    let second = Duration::from_secs(5);
    Context::new(http, account, base, desk.now(), second, Default::default(), keeper)
}

async fn send(desk: &Desk, request: reqwest::RequestBuilder) -> Reply {
    desk.parts().0.send(request, Duration::from_secs(5)).await.unwrap()
}

/// `account` opens the consent page and grants all that is asked for but `refused`; the code that
/// comes back.
pub(crate) async fn code(
    desk: &Desk,
    network: &dyn Network,
    account: &str,
    refused: &[&str],
) -> Secret {
    let (http, base, _) = desk.parts();
    let spec = network.spec();
    let oauth = spec.oauth.as_ref().unwrap();
    let url = oauth.consent_url(base, spec.base_url, CLIENT_ID, BACK, "st-1", VERIFIER).unwrap();
    let page = send(desk, http.get(url.as_str())).await;
    assert!(page.ok(), "{}: {}", spec.id, String::from_utf8_lossy(&page.body));
    let asked =
        |name: &str| url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
    let mut form = vec![("account", account.to_owned()), ("allow", "1".to_owned())];
    let granted = oauth.asked().filter(|scope| !refused.contains(scope));
    form.extend(granted.map(|scope| ("grant", scope.to_owned())));
    for name in ["redirect_uri", "state", "code_challenge"] {
        form.extend(asked(name).map(|value| (name, value)));
    }
    let back = send(desk, http.post(url.as_str()).form(&form)).await;
    let to: url::Url = back.header("location").unwrap().parse().unwrap();
    assert!(to.as_str().starts_with(BACK), "{to}");
    let of = |name: &str| to.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
    assert_eq!(of("state").as_deref(), Some("st-1"));
    Secret::new(of("code").unwrap())
}

pub(crate) async fn exchange(
    desk: &Desk,
    network: &dyn Network,
    code: Secret,
) -> Result<Tokens, Error> {
    let grant = Grant { code, redirect_uri: BACK.to_owned(), verifier: Secret::new(VERIFIER) };
    network.exchange(&cx(desk, &app(desk, &[])), &grant).await
}

/// Consent, tokens, an end, new tokens, the old ones refused: what every network with rotating
/// tokens does. The access token at the end works.
pub(crate) async fn round_trip(desk: &Desk, network: &dyn Network, life: Duration) -> Tokens {
    let first = exchange(desk, network, code(desk, network, "alice", &[]).await).await.unwrap();
    assert_eq!(first.expires_in, Some(life));
    let missing = network.spec().oauth.as_ref().unwrap().missing(first.scopes.as_ref().unwrap());
    assert!(missing.is_empty(), "{missing:?}");
    let refresh = first.refresh.clone().unwrap();
    let with = |tokens: &Tokens| {
        app(desk, &[("accessToken", tokens.access.reveal()), ("refreshToken", refresh.reveal())])
    };
    network.check(&cx(desk, &with(&first))).await.unwrap();
    desk.pass(life);
    let over = network.check(&cx(desk, &with(&first))).await.unwrap_err();
    assert_eq!(over.class, carillon_networks::Class::Auth, "{over:?}");
    let second = network.refresh(&cx(desk, &with(&first))).await.unwrap();
    assert_ne!(second.access, first.access);
    network.check(&cx(desk, &with(&second))).await.unwrap();
    second
}
