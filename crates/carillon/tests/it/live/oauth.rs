//! The generic OAuth client and a server that others wrote (npm's oidc-provider): a consent with
//! PKCE, the code for tokens, rotation, and what is refused.

use std::collections::BTreeMap;

use carillon_networks::http::{Guard, Http, Reply};
use carillon_networks::oauth::{self, OAuth, SecretIn};
use carillon_networks::{Account, Action, Applied, Class, Error, Grant, Secret, Spec, Tokens};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use url::Url;

use super::{account, cx, start};

const BACK: &str = "https://carillon.example/back";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A network that does OAuth by the standard and nothing else.
fn spec(secret_in: SecretIn, pkce: bool) -> Spec {
    let oauth = OAuth {
        authorize: "/auth",
        token: "/token",
        scopes: &["openid", "offline_access"],
        reading: &[],
        separator: ' ',
        pkce,
        id_param: "client_id",
        secret_in,
        params: &[("prompt", "consent")],
        guide: &[],
    };
    Spec { name: "The server", oauth: Some(oauth), ..Spec::bare("standard", &[]) }
}

/// A browser without pages: follows where it is sent until that is ours.
async fn follow(mut at: Url) -> BTreeMap<String, String> {
    let none = reqwest::redirect::Policy::none();
    let browser = reqwest::Client::builder().redirect(none).build().unwrap();
    let mut jar: BTreeMap<String, String> = BTreeMap::new();
    while !at.as_str().starts_with(BACK) {
        let cookies: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let asked = browser.get(at.clone()).header(COOKIE, cookies.join("; "));
        let answer = asked.send().await.unwrap();
        for set in answer.headers().get_all(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap();
            match value {
                "" => jar.remove(name),
                value => jar.insert(name.to_owned(), value.to_owned()),
            };
        }
        let status = answer.status();
        let to = answer.headers().get(LOCATION).unwrap_or_else(|| panic!("{status} at {at}"));
        at = at.join(to.to_str().unwrap()).unwrap();
    }
    at.query_pairs().into_owned().collect()
}

/// An app of ours at the server.
struct Client {
    http: Http,
    url: String,
    spec: Spec,
    id: &'static str,
    secret: String,
}

impl Client {
    fn account(&self, more: &[(&str, &str)]) -> Account {
        let secrets = [&[("clientSecret", self.secret.as_str())], more].concat();
        account(&[("clientId", self.id)], &secrets)
    }

    async fn consent(&self) -> BTreeMap<String, String> {
        let oauth = self.spec.oauth.as_ref().unwrap();
        let page = oauth.consent_url(&self.url, "", self.id, BACK, "a state", VERIFIER).unwrap();
        let back = follow(page).await;
        assert_eq!(back["state"], "a state");
        back
    }

    async fn exchange(&self, code: &str, verifier: &str) -> Result<Tokens, Error> {
        let grant = Grant {
            code: Secret::new(code),
            redirect_uri: BACK.to_owned(),
            verifier: Secret::new(verifier),
        };
        let account = self.account(&[]);
        oauth::exchange(&self.spec, &by_the_standard, &cx(&self.http, &account, &self.url), &grant)
            .await
    }

    async fn refresh(&self, tokens: &Tokens) -> Result<Tokens, Error> {
        let held = tokens.refresh.as_ref().expect("a refresh token");
        let account = self.account(&[("refreshToken", held.reveal())]);
        oauth::refresh(&self.spec, &by_the_standard, &cx(&self.http, &account, &self.url)).await
    }

    /// Whose token the server says it is.
    async fn whose(&self, tokens: &Tokens) -> Option<String> {
        let asked = self.http.get(&format!("{}/me", self.url)).bearer_auth(tokens.access.reveal());
        let reply = self.http.send(asked, std::time::Duration::from_secs(10)).await.unwrap();
        reply.value()["sub"].as_str().map(str::to_owned)
    }
}

/// The server has no words of its own.
fn by_the_standard(reply: &Reply) -> Error {
    panic!("{} {}", reply.status, reply.value())
}

fn is_over(got: Result<Tokens, Error>) {
    let error = got.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    assert_eq!(error.code.as_deref(), Some("invalid_grant"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs oidc-provider: `make test` installs it and runs this"]
async fn a_real_oauth_server_signs_us_in_and_renews() {
    let live = start("servers/oidc.mjs").await;
    let said = |key: &str| live.info[key].as_str().expect("it says so").to_owned();
    let (url, secret) = (said("url"), said("clientSecret"));
    let host = url.trim_start_matches("http://").to_owned();
    let client = |id, secret_in, pkce, secret: &str| Client {
        http: Http::new(Guard::allowing([host.clone()])),
        url: url.clone(),
        spec: spec(secret_in, pkce),
        id,
        secret: secret.to_owned(),
    };
    for (id, secret_in) in [("in-body", SecretIn::Body), ("in-basic", SecretIn::Basic)] {
        let ours = client(id, secret_in, true, &secret);
        let code = ours.consent().await["code"].clone();
        let first = ours.exchange(&code, VERIFIER).await.unwrap();
        assert_eq!(first.scopes.as_deref(), Some(&["openid".into(), "offline_access".into()][..]));
        assert!(first.expires_in.is_some_and(|life| !life.is_zero()), "{first:?}");
        assert_eq!(ours.whose(&first).await.as_deref(), Some("alice"));

        // A refresh token works once; used twice, nothing of the consent holds any more.
        let second = ours.refresh(&first).await.unwrap();
        assert!(second.access != first.access && second.refresh != first.refresh);
        assert_eq!(ours.whose(&second).await.as_deref(), Some("alice"));
        is_over(ours.refresh(&first).await);
        is_over(ours.refresh(&second).await);

        // A code works once, and for whoever knows the verifier.
        let code = ours.consent().await["code"].clone();
        let tokens = ours.exchange(&code, VERIFIER).await.unwrap();
        is_over(ours.exchange(&code, VERIFIER).await);
        is_over(ours.refresh(&tokens).await);
        assert_eq!(ours.whose(&tokens).await, None);
        let code = ours.consent().await["code"].clone();
        is_over(ours.exchange(&code, &VERIFIER.replace('j', "k")).await);

        let code = ours.consent().await["code"].clone();
        let error =
            client(id, secret_in, true, "nonsense").exchange(&code, VERIFIER).await.unwrap_err();
        assert_eq!((error.class, error.action), (Class::Config, Action::AskOperator), "{error:?}");
        let back = client(id, secret_in, false, &secret).consent().await;
        assert_eq!(back["error"], "invalid_request", "it demands PKCE");
    }
}
