//! What Google's services share: the consent page, calls with its tokens, the error envelope.
//!
//! Source: OAuth 2.0 for web servers and the error model of `google.rpc`, checked 2026-11-22. An
//! access token lives an hour. A refresh token comes with `access_type=offline` only, and a second
//! time only with `prompt=consent`; later answers have none, and the one that is held stays. It
//! lives seven days while the app's consent screen is in testing.
//!
//! Nothing is revoked: with one token Google ends all that a person granted to the app, and with it
//! their other connections.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Action, Class, Error, quote};
use crate::http::{Reply, Request};
use crate::oauth::{OAuth, SecretIn};
use crate::spec::Field;
use crate::text::html_to_text;
use crate::{Context, Network, Rendition};

pub(crate) const ACCESS: Field = Field {
    key: "accessToken",
    label: "Access token",
    help: "What Google's consent page gives. It lives an hour.",
    secret: true,
    required: true,
};

pub(crate) const REFRESH: Field = Field {
    key: "refreshToken",
    label: "Refresh token",
    help: "What renews the access token; without it the connection ends within the hour.",
    secret: true,
    required: false,
};

/// Google's consent page with these scopes. Scopes that were granted before are not drawn in
/// (`include_granted_scopes`): a connection holds what it needs and nothing of another's.
pub(crate) const fn oauth(
    scopes: &'static [&'static str],
    guide: &'static [&'static str],
) -> OAuth {
    OAuth {
        authorize: "https://accounts.google.com/o/oauth2/v2/auth",
        token: "https://oauth2.googleapis.com/token",
        scopes,
        reading: &[],
        separator: ' ',
        pkce: true,
        id_param: "client_id",
        secret_in: SecretIn::Body,
        params: &[("access_type", "offline"), ("prompt", "consent")],
        guide,
    }
}

/// Sends with the connection's token.
pub(crate) async fn send(cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
    let token = cx.account.secret("accessToken")?;
    cx.http.send(request.bearer_auth(token.reveal()), cx.timeout).await
}

/// Sends with the connection's token and reads the answer.
pub(crate) async fn call<T: DeserializeOwned>(
    cx: &Context<'_>,
    network: &dyn Network,
    request: Request,
) -> Result<T, Error> {
    let reply = send(cx, request).await?;
    if reply.ok() { reply.json() } else { Err(network.parse_error(&reply)) }
}

/// What an error says.
#[derive(Default)]
pub(crate) struct Said {
    /// The code of `google.rpc`, `PERMISSION_DENIED`.
    pub(crate) status: String,
    /// The first of `errors`, `quotaExceeded`; empty at services without that list.
    pub(crate) reason: String,
    /// Of an `ErrorInfo`, `SERVICE_DISABLED`.
    info: String,
    /// The words that tell most, fit to be quoted.
    pub(crate) words: String,
    /// The limit that was reached is zero: the project was never let in.
    no_quota: bool,
    wait: Option<Duration>,
}

impl Said {
    pub(crate) fn of(reply: &Reply) -> Self {
        let body = reply.value();
        let error = &body["error"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut said = Self {
            status: text(&error["status"]),
            reason: text(&error["errors"][0]["reason"]),
            words: text(&error["message"]),
            ..Self::default()
        };
        if error.is_string() {
            (said.reason, said.words) = (text(error), text(&body["error_description"]));
        }
        let mut fields = Vec::new();
        for detail in error["details"].as_array().into_iter().flatten() {
            if let Some(reason) = detail["reason"].as_str() {
                reason.clone_into(&mut said.info);
                said.no_quota = detail["metadata"]["quota_limit_value"] == "0";
            }
            said.wait = said.wait.or_else(|| delay(detail["retryDelay"].as_str()?));
            for (list, words) in [("errorDetails", "message"), ("fieldViolations", "description")] {
                let all = detail[list].as_array().into_iter().flatten();
                fields.extend(all.map(|one| text(&one[words])).filter(|words| !words.is_empty()));
            }
        }
        if !fields.is_empty() {
            said.words = fields.join("; ");
        }
        said.words = quote(&html_to_text(&said.words));
        said
    }

    /// The most exact of its codes.
    fn code(&self, status: u16) -> String {
        let all = [&self.info, &self.reason, &self.status];
        let found = all.into_iter().find(|code| !code.is_empty());
        found.map_or_else(|| format!("http_{status}"), Clone::clone)
    }

    /// The error by its status, and whether that is all there is to say: where the token, the app
    /// or the number of calls is the matter, whatever was asked for.
    pub(crate) fn error(&self, reply: &Reply, name: &str) -> (Error, bool) {
        let status = reply.status.as_u16();
        let error = reply.error(name).code(self.code(status));
        let operator =
            |says: &str| error.clone().becomes(Class::Config, says).action(Action::AskOperator);
        let settled = match (status, self.info.as_str()) {
            (_, "ACCESS_TOKEN_SCOPE_INSUFFICIENT") => {
                let why = format!("The consent for {name} lacks a right that publishing needs.");
                error.becomes(Class::Auth, why)
            }
            (401, _) => {
                let why = format!("{name} no longer accepts the access token.");
                error.becomes(Class::Auth, why)
            }
            (403, "SERVICE_DISABLED") => {
                operator("The app's project at Google has not switched this API on.")
            }
            (403, "CONSUMER_INVALID" | "CONSUMER_SUSPENDED" | "BILLING_DISABLED") => {
                operator("The app's project at Google is closed or suspended.")
            }
            (429, _) if self.no_quota => {
                operator("Google has not yet let the app's project use this API: its quota is 0.")
            }
            // Limits are a minute's where nothing else is said.
            (429, _) => {
                let wait = self.wait.or(error.retry_after).unwrap_or(Duration::from_secs(60));
                error
                    .becomes(Class::RateLimit, format!("{name} asks for fewer calls."))
                    .retry_after(Some(wait))
            }
            _ => return (error, false),
        };
        (settled, true)
    }
}

/// `3.5s`; at most a day.
fn delay(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    (0.0..=86_400.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// The title, or the first line in its place, and the text without it. A first line that is too
/// long is shortened, and the text keeps it whole.
pub(crate) fn title_and_text(out: &Rendition, max: usize) -> (String, String) {
    let text = out.text.trim();
    if let Some(title) = out.title.as_deref().map(str::trim).filter(|title| !title.is_empty()) {
        return (title.to_owned(), text.to_owned());
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.trim();
    if line.chars().count() <= max {
        return (line.to_owned(), rest.trim().to_owned());
    }
    let cut = line.char_indices().nth(max.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let words = line[..cut].rsplit_once(' ').map_or(&line[..cut], |(words, _)| words);
    (format!("{}…", words.trim_end()), text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply;

    #[test]
    fn the_words_of_the_details_tell_most() {
        let body = r#"{"error":{"code":400,"message":"Request contains an invalid argument.",
            "errors":[{"message":"m","domain":"global","reason":"badRequest"}],
            "status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.mybusiness.v4.ValidationError","errorDetails":[
            {"code":2,"field":"topic_type","message":"Topic type is required."},{"code":3}]}]}}"#;
        let said = Said::of(&reply(400, &[], body));
        assert_eq!(said.words, "Topic type is required");
        assert_eq!(
            (said.status.as_str(), said.reason.as_str()),
            ("INVALID_ARGUMENT", "badRequest")
        );
        let said = Said::of(&reply(400, &[], r#"{"error":"x","error_description":"Why."}"#));
        assert_eq!((said.reason.as_str(), said.words.as_str()), ("x", "Why"));
        assert_eq!(Said::of(&reply(502, &[], "<html>")).words, "");
    }

    #[test]
    fn a_limit_of_zero_is_no_limit_of_ours() {
        let limit = |value: &str| {
            let body = format!(
                r#"{{"error":{{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED",
                "details":[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo",
                "reason":"RATE_LIMIT_EXCEEDED","metadata":{{"quota_limit_value":"{value}"}}}},
                {{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7.5s"}}]}}}}"#
            );
            let reply = reply(429, &[], &body);
            Said::of(&reply).error(&reply, "Exemplum").0
        };
        assert_eq!(limit("0").class, Class::Config);
        assert_eq!(limit("300").class, Class::RateLimit);
        assert_eq!(limit("300").retry_after, Some(Duration::from_millis(7_500)));
        for none in ["", "s", "-1s", "NaNs", "1e99s", "5"] {
            assert_eq!(delay(none), None, "{none}");
        }
    }

    #[test]
    fn a_title_is_given_or_the_first_line_or_cut_from_it() {
        let split = |title: Option<&str>, text: &str| {
            let title = title.map(str::to_owned);
            title_and_text(&Rendition { title, text: text.to_owned(), ..<_>::default() }, 20)
        };
        assert_eq!(split(Some("T"), "a\nb"), ("T".to_owned(), "a\nb".to_owned()));
        assert_eq!(split(None, "Head\n\nBody"), ("Head".to_owned(), "Body".to_owned()));
        assert_eq!(split(Some(" "), ""), (String::new(), String::new()));
        let (title, text) = split(None, "Fünf kleine Bäcker backen\nBody");
        assert_eq!((title.as_str(), text.lines().count()), ("Fünf kleine Bäcker…", 2));
        assert_eq!(split(None, &"x".repeat(21)).0.chars().count(), 20);
    }
}
