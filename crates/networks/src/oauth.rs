//! OAuth 2.0 as the networks speak it: the consent page, the code for tokens, new tokens for old
//! ones (RFC 6749, RFC 7636). A network that differs overrides [`crate::Network::exchange`] or
//! [`crate::Network::refresh`] and uses the pieces here.
//!
//! The app's own credentials stand in the account: setting `clientId`, secret `clientSecret`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::http::{Reply, Request};
use crate::{Action, Class, Context, Error, Secret, Spec};

/// How a network lets a person consent, and what its tokens are like.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuth {
    /// The consent page. Where the network's address is overridden (the sandbox, a server of the
    /// connection's own), the path of this one on that address.
    pub authorize: &'static str,
    /// Where codes and refresh tokens are traded; overridden as `authorize`.
    pub token: &'static str,
    pub scopes: &'static [&'static str],
    /// Further ones, with which numbers can be read: publishing does without.
    pub reading: &'static [&'static str],
    /// What stands between scopes: a space by the standard, a comma at Meta, TikTok, Pinterest.
    pub separator: char,
    /// Does it take a PKCE challenge (S256)?
    pub pkce: bool,
    /// The parameter that carries the app's id: `client_id`, `client_key` at TikTok.
    pub id_param: &'static str,
    pub secret_in: SecretIn,
    /// Further parameters of the consent page.
    pub params: &'static [(&'static str, &'static str)],
    /// Where the operator makes an app, and what to tick there: the guide page's steps.
    pub guide: &'static [&'static str],
}

/// Where the app's secret goes at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretIn {
    Body,
    /// HTTP Basic, the id as its user.
    Basic,
}

/// How long a connection's token lives, and how it is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Life {
    /// It ends only when it is revoked.
    Endless,
    /// It ends on a date, and a person has to connect again.
    Fixed,
    /// The same token is issued anew while it is valid (Threads, Instagram).
    Extending,
    /// A refresh token brings new access tokens; it may be replaced each time.
    Rotating,
}

/// What the consent page gave, to be traded for tokens.
#[derive(Debug, Clone)]
pub struct Grant {
    pub code: Secret,
    /// Exactly as it was sent to the consent page.
    pub redirect_uri: String,
    /// The PKCE verifier.
    pub verifier: Secret,
}

/// Tokens as a network issued them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub access: Secret,
    /// `None`: the one that is held stays.
    pub refresh: Option<Secret>,
    /// How long the access token lives, where the network says so.
    pub expires_in: Option<Duration>,
    /// How long the refresh token lives, where the network says so.
    pub refresh_expires_in: Option<Duration>,
    /// What was granted, where the network says so: people can untick.
    pub scopes: Option<Vec<String>>,
}

/// An app of ours at a network, as one was just made there.
#[derive(Debug, Clone)]
pub struct Client {
    pub id: String,
    pub secret: Secret,
}

/// A page, location, board or channel that a consent opened: what a connection posts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The network's id of it.
    pub id: String,
    pub name: String,
    /// Why nothing can be posted to it, as one sentence.
    pub problem: Option<String>,
    /// What the connection keeps, by the keys of the SPEC's fields.
    pub settings: std::collections::BTreeMap<String, String>,
    pub secrets: std::collections::BTreeMap<String, Secret>,
}

impl OAuth {
    /// An address of this network, or its place at `base` where the network is not at `usual`.
    pub fn at(address: &str, base: &str, usual: &str) -> String {
        if base.is_empty() || base == usual {
            return address.to_owned();
        }
        let path = match address.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
            None => address,
        };
        format!("{}{path}", base.trim_end_matches('/'))
    }

    /// The address of the consent page.
    pub fn consent_url(
        &self,
        base: &str,
        usual: &str,
        client_id: &str,
        redirect_uri: &str,
        state: &str,
        verifier: &str,
    ) -> Result<url::Url, Error> {
        let at = Self::at(self.authorize, base, usual);
        let mut url = at.parse::<url::Url>().map_err(|_| {
            Error::new(Class::Config, "The address of the consent page cannot be read.")
                .action(Action::AskOperator)
        })?;
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("response_type", "code")
                .append_pair(self.id_param, client_id)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("scope", &self.scope())
                .append_pair("state", state);
            if self.pkce {
                query
                    .append_pair("code_challenge", &challenge(verifier))
                    .append_pair("code_challenge_method", "S256");
            }
            for (key, value) in self.params {
                query.append_pair(key, value);
            }
        }
        Ok(url)
    }

    /// All that is asked for.
    pub fn asked(&self) -> impl Iterator<Item = &'static str> {
        self.scopes.iter().chain(self.reading).copied()
    }

    /// All that is asked for as one parameter.
    pub fn scope(&self) -> String {
        self.asked().collect::<Vec<_>>().join(&self.separator.to_string())
    }

    /// The scopes that publishing needs and that were not granted.
    pub fn missing(&self, granted: &[String]) -> Vec<&'static str> {
        self.scopes.iter().copied().filter(|s| !granted.iter().any(|g| g == s)).collect()
    }
}

/// The S256 challenge of a verifier.
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The standard answer of a token endpoint.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default, alias = "refresh_token_expires_in", alias = "refresh_expires_in")]
    refresh_token_life: Option<u64>,
    #[serde(default)]
    scope: Option<String>,
}

/// Reads a token endpoint's answer. What is no token, or an empty one, is an error.
pub fn tokens(reply: &Reply, separator: char) -> Result<Tokens, Error> {
    let answer: Answer = reply.json().map_err(Error::harmless)?;
    if answer.access_token.trim().is_empty() {
        return Err(Error::garbled("an empty token").harmless());
    }
    let apart = |scopes: String| {
        let parts = scopes.split([separator, ' ', ',']).map(str::trim);
        parts.filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    Ok(Tokens {
        access: Secret::new(answer.access_token),
        refresh: answer.refresh_token.filter(|t| !t.trim().is_empty()).map(Secret::new),
        expires_in: answer.expires_in.map(Duration::from_secs),
        refresh_expires_in: answer.refresh_token_life.map(Duration::from_secs),
        scopes: answer.scope.map(apart),
    })
}

/// Who reads what the standard has no words for: a network's `parse_error`.
pub type Reader<'a> = &'a (dyn Fn(&Reply) -> Error + Sync);

/// The code of a consent for tokens, by the standard.
pub async fn exchange(
    spec: &Spec,
    errors: Reader<'_>,
    cx: &Context<'_>,
    grant: &Grant,
) -> Result<Tokens, Error> {
    let mut form = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", grant.code.reveal().to_owned()),
        ("redirect_uri", grant.redirect_uri.clone()),
    ];
    if declared(spec)?.pkce {
        form.push(("code_verifier", grant.verifier.reveal().to_owned()));
    }
    trade(spec, errors, cx, form).await
}

/// New tokens for the refresh token that the account holds, by the standard.
pub async fn refresh(spec: &Spec, errors: Reader<'_>, cx: &Context<'_>) -> Result<Tokens, Error> {
    let held = cx.account.secret("refreshToken")?;
    let form = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("refresh_token", held.reveal().to_owned()),
    ];
    trade(spec, errors, cx, form).await
}

/// Posts a form with the app's credentials to the token endpoint.
pub async fn trade(
    spec: &Spec,
    errors: Reader<'_>,
    cx: &Context<'_>,
    form: Vec<(&'static str, String)>,
) -> Result<Tokens, Error> {
    let oauth = declared(spec)?;
    let at = OAuth::at(oauth.token, cx.base, spec.base_url);
    let request = with_app(oauth, cx, cx.http.post(&at), form)?;
    let reply = cx.http.send(request, cx.timeout).await.map_err(Error::harmless)?;
    if reply.ok() && reply.value()["error"].is_null() {
        tokens(&reply, oauth.separator)
    } else {
        Err(refused(spec.name, errors, &reply))
    }
}

fn with_app(
    oauth: &OAuth,
    cx: &Context<'_>,
    request: Request,
    mut form: Vec<(&'static str, String)>,
) -> Result<Request, Error> {
    let id = cx.account.setting("clientId")?;
    let secret = cx.account.secret("clientSecret")?;
    let request = match oauth.secret_in {
        SecretIn::Basic => request.basic_auth(id, Some(secret.reveal())),
        SecretIn::Body => {
            form.push(("client_secret", secret.reveal().to_owned()));
            request
        }
    };
    form.push((oauth.id_param, id.to_owned()));
    Ok(request.form(&form))
}

/// What a token endpoint says by the standard's own words; anything else by the network's.
fn refused(name: &str, errors: Reader<'_>, reply: &Reply) -> Error {
    let body = reply.value();
    let becomes = |class, says: String| {
        let code = body["error"].as_str().unwrap_or_default();
        reply.error(name).harmless().becomes(class, says).code(code)
    };
    match body["error"].as_str() {
        Some("invalid_grant") => {
            becomes(Class::Auth, format!("{name} no longer accepts this consent: connect again."))
        }
        Some("invalid_client" | "unauthorized_client") => becomes(
            Class::Config,
            format!("{name} does not know this app, or its secret is wrong."),
        )
        .action(Action::AskOperator),
        Some(
            "invalid_request"
            | "invalid_scope"
            | "unsupported_grant_type"
            | "redirect_uri_mismatch",
        ) => becomes(Class::Config, format!("{name} refuses how its app is set up here."))
            .action(Action::AskOperator),
        Some("temporarily_unavailable" | "server_error") => {
            becomes(Class::Transient, format!("{name} is out of order for the moment."))
        }
        _ => errors(reply).harmless(),
    }
}

fn declared(spec: &Spec) -> Result<&OAuth, Error> {
    spec.oauth.as_ref().ok_or_else(|| Error::unsupported("consent page"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply;

    const PLAIN: OAuth = OAuth {
        authorize: "https://example.com/oauth/authorize",
        token: "https://api.example.com/oauth/token",
        scopes: &["read", "write"],
        reading: &[],
        separator: ' ',
        pkce: true,
        id_param: "client_id",
        secret_in: SecretIn::Body,
        params: &[("prompt", "consent")],
        guide: &[],
    };

    #[test]
    fn the_challenge_is_the_standards_own() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn addresses_follow_the_base() {
        let usual = "https://api.example.com";
        assert_eq!(OAuth::at(PLAIN.token, usual, usual), PLAIN.token);
        let sandbox = "http://127.0.0.1:4000/example";
        assert_eq!(OAuth::at(PLAIN.token, sandbox, usual), format!("{sandbox}/oauth/token"));
        assert_eq!(
            OAuth::at("/oauth/token", "https://a.social", ""),
            "https://a.social/oauth/token"
        );
    }

    #[test]
    fn the_consent_page_is_asked_for_everything() {
        let url = PLAIN.consent_url("", "", "app 1", "https://c.example/back", "s&t", "v").unwrap();
        let asked: Vec<_> = url.query_pairs().into_owned().collect();
        let of = |key: &str| asked.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        assert_eq!(of("client_id"), Some("app 1"));
        assert_eq!(of("state"), Some("s&t"));
        assert_eq!(of("scope"), Some("read write"));
        assert_eq!(of("prompt"), Some("consent"));
        assert_eq!(of("code_challenge"), Some(challenge("v").as_str()));
    }

    #[test]
    fn an_empty_token_is_no_token() {
        for body in [r#"{"access_token":""}"#, r#"{"access_token":" "}"#, "{}", "<html>"] {
            let error = tokens(&reply(200, &[], body), ' ').unwrap_err();
            assert_eq!(error.applied, crate::Applied::No, "{body}");
        }
        let body =
            r#"{"access_token":"a","refresh_token":"","expires_in":3600,"scope":"read,write"}"#;
        let got = tokens(&reply(200, &[], body), ',').unwrap();
        assert_eq!(got.refresh, None, "an empty one never replaces the one that is held");
        assert_eq!(got.expires_in, Some(Duration::from_secs(3600)));
        assert_eq!(got.scopes, Some(vec!["read".into(), "write".into()]));
        assert_eq!(PLAIN.missing(&["read".into()]), ["write"]);
    }
}
