//! The consent page and token endpoint of a network with OAuth 2.0 (RFC 6749, RFC 7636).
//!
//! One app is known: `sandbox-app` with the secret `sandbox-app-secret`. Whoever looks at the
//! consent page names the account that consents and unticks what it does not grant. Codes work once
//! and for a while, only with the redirect address and the verifier that they were made for. A
//! static `sandbox-{account}` stays a token that never ends; what is issued here ends, is rotated
//! and can be revoked as the network's [`Rules`] say.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use maud::{DOCTYPE, html};
use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::world::{account_of_secret, hex, is_account, sha256};

pub const CLIENT_ID: &str = "sandbox-app";
pub const CLIENT_SECRET: &str = "sandbox-app-secret";

/// How a network does OAuth.
pub(crate) struct Rules {
    pub(crate) name: &'static str,
    /// Paths after the network's base.
    pub(crate) authorize: &'static str,
    pub(crate) token: &'static str,
    /// `client_id`, or `client_key`.
    pub(crate) id_param: &'static str,
    pub(crate) secret: SecretIn,
    /// Has a code to be announced as one?
    pub(crate) grant_type: bool,
    /// Is a PKCE challenge required?
    pub(crate) pkce: bool,
    pub(crate) separator: char,
    pub(crate) code_ms: i64,
    /// `None`: access tokens never end.
    pub(crate) access_ms: Option<i64>,
    pub(crate) refresh: Refresh,
}

/// Where the app's secret is taken.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum SecretIn {
    Body,
    /// HTTP Basic, the id as its user.
    Basic,
    Either,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Refresh {
    /// No refresh tokens are issued.
    Never,
    /// The same one all the time; it ends after this many milliseconds, if ever.
    Kept(Option<i64>),
    /// Each works once and brings the next; used twice, the whole grant is over.
    Rotates(Option<i64>),
}

/// What one network issued.
#[derive(Default)]
pub(crate) struct Provider {
    codes: HashMap<String, Code>,
    access: HashMap<String, Token>,
    refresh: HashMap<String, Token>,
    issued: u64,
}

struct Code {
    account: String,
    redirect_uri: String,
    challenge: Option<String>,
    scope: String,
    ends: i64,
    used: bool,
}

#[derive(Clone)]
struct Token {
    account: String,
    scope: String,
    /// All tokens that came from one consent.
    grant: u64,
    ends: Option<i64>,
    over: bool,
}

/// Why a token does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    Expired,
    Unknown,
}

impl Provider {
    /// The answer, where the call is for the consent page or the token endpoint.
    pub(crate) fn answer(&mut self, rules: &Rules, call: &Call) -> Option<Answer> {
        let at = |path: &str| call.path == path.trim_matches('/');
        if at(rules.authorize) {
            return Some(match call.method {
                Method::POST => self.consent(rules, call),
                _ => page(rules, call),
            });
        }
        (at(rules.token) && call.method == Method::POST).then(|| self.trade(rules, call))
    }

    /// Whose token it is: one that was issued here, or the account's static one.
    pub(crate) fn account_of(&self, token: &str, now: i64) -> Result<String, Bad> {
        match self.access.get(token) {
            Some(token) if token.over => Err(Bad::Unknown),
            Some(token) if token.ends.is_some_and(|at| at <= now) => Err(Bad::Expired),
            Some(token) => Ok(token.account.clone()),
            None => account_of_secret(token).map(str::to_owned).ok_or(Bad::Unknown),
        }
    }

    /// What was granted with it; `None` for a static token, which may do everything.
    pub(crate) fn scope_of(&self, token: &str) -> Option<&str> {
        self.access.get(token).map(|token| token.scope.as_str())
    }

    /// Ends a token and everything that came from the same consent.
    pub(crate) fn revoke(&mut self, token: &str) {
        let found = self.access.get(token).or_else(|| self.refresh.get(token));
        if let Some(grant) = found.map(|token| token.grant) {
            self.end(grant);
        }
    }

    /// A new access token of this account, for networks that issue some in ways of their own.
    pub(crate) fn issue(&mut self, account: &str, scope: &str, ends: Option<i64>) -> String {
        let grant = self.number();
        self.put(account, scope, grant, ends, true)
    }

    fn end(&mut self, grant: u64) {
        let all = self.access.values_mut().chain(self.refresh.values_mut());
        all.filter(|token| token.grant == grant).for_each(|token| token.over = true);
    }

    fn number(&mut self) -> u64 {
        self.issued += 1;
        self.issued
    }

    fn put(
        &mut self,
        account: &str,
        scope: &str,
        grant: u64,
        ends: Option<i64>,
        access: bool,
    ) -> String {
        let number = self.number();
        let kind = if access { "access" } else { "refresh" };
        let name = hex(&sha256(format!("{kind} {account} {number}").as_bytes())[..16]);
        let (account, scope) = (account.to_owned(), scope.to_owned());
        let token = Token { account, scope, grant, ends, over: false };
        let book = if access { &mut self.access } else { &mut self.refresh };
        book.insert(name.clone(), token);
        name
    }

    /// Somebody pressed a button of the consent page.
    fn consent(&mut self, rules: &Rules, call: &Call) -> Answer {
        let (Some(back), state) = (call.text("redirect_uri"), call.text("state")) else {
            return Answer::html(400, "redirect_uri is missing");
        };
        let Ok(mut url) = url::Url::parse(&back) else {
            return Answer::html(400, "redirect_uri is no address");
        };
        let account = call.text("account").unwrap_or_default();
        if call.text("allow").is_some() && is_account(&account) {
            let number = self.number();
            let name = hex(&sha256(format!("code {account} {number}").as_bytes())[..12]);
            let granted: Vec<String> = call
                .form
                .iter()
                .filter(|(key, _)| key == "grant")
                .map(|(_, scope)| scope.clone())
                .collect();
            let code = Code {
                account,
                redirect_uri: back,
                challenge: call.text("code_challenge"),
                scope: granted.join(&rules.separator.to_string()),
                ends: call.now + rules.code_ms,
                used: false,
            };
            url.query_pairs_mut().append_pair("code", &name);
            self.codes.insert(name, code);
        } else {
            url.query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair("error_description", "The user denied the request");
        }
        if let Some(state) = state {
            url.query_pairs_mut().append_pair("state", &state);
        }
        Answer::html(303, "").header("location", url.as_str())
    }

    fn trade(&mut self, rules: &Rules, call: &Call) -> Answer {
        if !is_app(rules, call) {
            return error(401, "invalid_client", "Client authentication failed");
        }
        match call.text("grant_type").as_deref() {
            Some("authorization_code") => self.trade_code(rules, call),
            None if !rules.grant_type => self.trade_code(rules, call),
            Some("refresh_token") => self.trade_refresh(rules, call),
            _ => error(400, "unsupported_grant_type", "The grant type is not supported"),
        }
    }

    fn trade_code(&mut self, rules: &Rules, call: &Call) -> Answer {
        let name = call.text("code").unwrap_or_default();
        let Some(code) = self.codes.get_mut(&name) else {
            return error(400, "invalid_grant", "The authorization code is unknown");
        };
        if std::mem::replace(&mut code.used, true) {
            return error(400, "invalid_grant", "The authorization code has been used");
        }
        let verified = match &code.challenge {
            None => !rules.pkce,
            Some(challenge) => call
                .text("code_verifier")
                .is_some_and(|v| URL_SAFE_NO_PAD.encode(sha256(v.as_bytes())) == *challenge),
        };
        if code.ends <= call.now {
            return error(400, "invalid_grant", "The authorization code has expired");
        }
        if call.text("redirect_uri").as_ref() != Some(&code.redirect_uri) {
            return error(400, "invalid_grant", "The redirect address is another one");
        }
        if !verified {
            return error(400, "invalid_grant", "The code verifier does not match");
        }
        let (account, scope) = (code.account.clone(), code.scope.clone());
        let grant = self.number();
        self.pair(rules, &account, &scope, grant, call.now)
    }

    fn trade_refresh(&mut self, rules: &Rules, call: &Call) -> Answer {
        let name = call.text("refresh_token").unwrap_or_default();
        let Some(token) = self.refresh.get(&name).cloned() else {
            return error(400, "invalid_grant", "The refresh token is unknown");
        };
        if token.over || token.ends.is_some_and(|at| at <= call.now) {
            // Used twice: somebody has a copy, so nothing of this consent holds any more.
            self.end(token.grant);
            return error(400, "invalid_grant", "The refresh token is no longer valid");
        }
        if let Refresh::Rotates(_) = rules.refresh
            && let Some(held) = self.refresh.get_mut(&name)
        {
            held.over = true;
        }
        self.pair(rules, &token.account, &token.scope, token.grant, call.now)
    }

    fn pair(&mut self, rules: &Rules, account: &str, scope: &str, grant: u64, now: i64) -> Answer {
        let access = self.put(account, scope, grant, rules.access_ms.map(|ms| now + ms), true);
        let mut body = json!({ "access_token": access, "token_type": "bearer", "scope": scope });
        if let Some(ms) = rules.access_ms {
            body["expires_in"] = json!(ms / 1_000);
        }
        let held = self.refresh.values().any(|token| token.grant == grant && !token.over);
        let life = match rules.refresh {
            Refresh::Never => return Answer::json(200, &body),
            Refresh::Kept(_) if held => return Answer::json(200, &body),
            Refresh::Kept(life) | Refresh::Rotates(life) => life,
        };
        let refresh = self.put(account, scope, grant, life.map(|ms| now + ms), false);
        body["refresh_token"] = json!(refresh);
        if let Some(ms) = life {
            body["refresh_token_expires_in"] = json!(ms / 1_000);
        }
        Answer::json(200, &body)
    }
}

/// Does the call carry the credentials of the app that is known?
pub(crate) fn is_app(rules: &Rules, call: &Call) -> bool {
    let body = || call.text(rules.id_param).zip(call.text("client_secret"));
    let app = match rules.secret {
        SecretIn::Body => body(),
        SecretIn::Basic => call.basic(),
        SecretIn::Either => call.basic().or_else(body),
    };
    app == Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned()))
}

fn error(status: u16, code: &str, description: &str) -> Answer {
    let body: Value = json!({ "error": code, "error_description": description });
    Answer::json(status, &body).header("cache-control", "no-store")
}

/// The consent page: who are you, and what do you grant?
fn page(rules: &Rules, call: &Call) -> Answer {
    let asked = |name: &str| call.text(name).unwrap_or_default();
    let wrong = if asked(rules.id_param) != CLIENT_ID {
        Some(format!("{} does not know the app {:?}.", rules.name, asked(rules.id_param)))
    } else if url::Url::parse(&asked("redirect_uri")).is_err() {
        Some("The redirect address is none.".to_owned())
    } else if asked("response_type") != "code" {
        Some("Only the response type `code` is spoken.".to_owned())
    } else if rules.pkce && asked("code_challenge").is_empty() {
        Some("A PKCE challenge is required.".to_owned())
    // Libraries also write it small, and the networks do not mind.
    } else if rules.pkce && !asked("code_challenge_method").eq_ignore_ascii_case("s256") {
        Some("Only S256 challenges are taken.".to_owned())
    } else {
        None
    };
    let scope = asked("scope");
    let scopes = scope.split([rules.separator, ' ']).filter(|s| !s.is_empty());
    let status = if wrong.is_some() { 400 } else { 200 };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { title { "Sandbox: sign in to " (rules.name) } link rel="stylesheet" href="/_style.css"; }
            body {
                main {
                    h1 { (rules.name) " (sandbox)" }
                    @if let Some(wrong) = wrong {
                        p role="alert" { (wrong) }
                    } @else {
                        p { "Carillon asks for access to an account." }
                        form method="post" {
                            p { label { "Account " input name="account" value="alice" pattern="[a-z0-9_\\-]+" required; } }
                            @for scope in scopes {
                                p { label { input type="checkbox" name="grant" value=(scope) checked; " " (scope) } }
                            }
                            @for name in ["redirect_uri", "state", "code_challenge"] {
                                @if !asked(name).is_empty() {
                                    input type="hidden" name=(name) value=(asked(name));
                                }
                            }
                            p {
                                button name="allow" value="1" { "Allow" } " "
                                button name="deny" value="1" formnovalidate { "Deny" }
                            }
                        }
                    }
                }
            }
        }
    };
    Answer::html(status, page.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        name: "Exemplum",
        authorize: "oauth/authorize",
        token: "oauth/token",
        id_param: "client_id",
        secret: SecretIn::Body,
        grant_type: true,
        pkce: true,
        separator: ' ',
        code_ms: 60_000,
        access_ms: Some(3_600_000),
        refresh: Refresh::Rotates(None),
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    const BACK: &str = "https://c.example/back";

    async fn post(path: &str, form: &[(&str, &str)], later: i64) -> Call {
        let body: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut call = Call::of(Method::POST, path, FORM, &body).await;
        call.now += later;
        call
    }

    async fn code(provider: &mut Provider) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(b"verifier"));
        let form = [
            ("account", "alice"),
            ("allow", "1"),
            ("grant", "read"),
            ("redirect_uri", BACK),
            ("state", "s"),
            ("code_challenge", &challenge),
        ];
        let call = post("/oauth/authorize", &form, 0).await;
        let answer = provider.answer(&RULES, &call).unwrap();
        let (_, to) = answer.headers.iter().find(|(name, _)| name == "location").unwrap();
        let url = url::Url::parse(to.to_str().unwrap()).unwrap();
        url.query_pairs().find(|(k, _)| k == "code").unwrap().1.into_owned()
    }

    async fn trade(provider: &mut Provider, form: &[(&str, &str)], later: i64) -> (u16, Value) {
        let app = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        let call = post("/oauth/token", &[&app, form].concat(), later).await;
        let answer = provider.answer(&RULES, &call).unwrap();
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap())
    }

    fn with<'a>(code: &'a str, verifier: &'a str, back: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", back),
        ]
    }

    #[tokio::test]
    async fn a_code_works_once_and_only_for_whom_it_was_made() {
        let mut provider = Provider::default();
        for (verifier, back, later) in [
            ("another", BACK, 0),
            ("verifier", "https://evil.example/", 0),
            ("verifier", BACK, 60_000),
        ] {
            let code = code(&mut provider).await;
            let (status, body) = trade(&mut provider, &with(&code, verifier, back), later).await;
            assert_eq!((status, body["error"].as_str()), (400, Some("invalid_grant")));
        }
        let code = code(&mut provider).await;
        let (status, body) = trade(&mut provider, &with(&code, "verifier", BACK), 0).await;
        assert_eq!(status, 200, "{body}");
        let access = body["access_token"].as_str().unwrap();
        let now = 1_795_000_000_000;
        assert_eq!(provider.account_of(access, now), Ok("alice".to_owned()));
        assert_eq!(provider.account_of(access, now + 3_600_000), Err(Bad::Expired));
        assert_eq!(provider.scope_of(access), Some("read"));
        assert_eq!(trade(&mut provider, &with(&code, "verifier", BACK), 0).await.0, 400);
    }

    #[tokio::test]
    async fn a_refresh_token_used_twice_ends_the_grant() {
        let mut provider = Provider::default();
        let code = code(&mut provider).await;
        let (_, body) = trade(&mut provider, &with(&code, "verifier", BACK), 0).await;
        let first = body["refresh_token"].as_str().unwrap().to_owned();
        let form = [("grant_type", "refresh_token"), ("refresh_token", first.as_str())];
        let (status, body) = trade(&mut provider, &form, 0).await;
        assert_eq!(status, 200);
        let access = body["access_token"].as_str().unwrap().to_owned();
        assert_eq!(provider.account_of(&access, 0), Ok("alice".to_owned()));
        assert_eq!(trade(&mut provider, &form, 0).await.0, 400);
        assert_eq!(provider.account_of(&access, 0), Err(Bad::Unknown));
    }
}
