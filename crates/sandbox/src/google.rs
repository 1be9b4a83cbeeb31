//! What Google's services share: consent, tokens, scopes and the error envelope.
//!
//! networks.md §4.1, §4.4 and §6.4. A refresh token is issued for `access_type=offline` only, and
//! to an account that consented before only with `prompt=consent`; it stays the same one. An access
//! token lives an hour, and what it may do is what was ticked.

use std::collections::HashSet;

use http::Method;
use serde_json::{Value, json};

use crate::call::{Answer, Call, Refusal};
use crate::oauth::{Bad, Provider, Refresh, Rules, SecretIn};

const OFFLINE: Rules = Rules {
    name: "Google",
    authorize: "o/oauth2/v2/auth",
    token: "token",
    id_param: "client_id",
    secret: SecretIn::Either,
    grant_type: true,
    pkce: false,
    separator: ' ',
    code_ms: 600_000,
    access_ms: Some(3_599_000),
    refresh: Refresh::Kept(None),
};

const ONLINE: Rules = Rules { refresh: Refresh::Never, ..OFFLINE };

/// The consents of one service.
#[derive(Default)]
pub(crate) struct Consents {
    provider: Provider,
    /// Codes that bring a refresh token.
    offline: HashSet<String>,
    /// Accounts that consented before.
    known: HashSet<String>,
}

impl Consents {
    /// The answer, where the call is for the consent page, the token endpoint or a revocation.
    pub(crate) fn answer(&mut self, call: &Call) -> Option<Answer> {
        if call.path == "revoke" && call.method == Method::POST {
            let token = call.text("token").unwrap_or_default();
            self.provider.revoke(&token);
            return Some(Answer::json(200, &json!({})));
        }
        let code = call.text("code").unwrap_or_default();
        let by_code = call.text("grant_type").as_deref() == Some("authorization_code");
        let online = call.path == ONLINE.token && by_code && !self.offline.contains(&code);
        let answer = self.provider.answer(if online { &ONLINE } else { &OFFLINE }, call)?;
        if let Some(code) = granted(&answer) {
            let account = call.text("account").unwrap_or_default();
            let first = self.known.insert(account);
            let asked = |name: &str| call.query.iter().find(|(k, _)| k == name).map(|(_, v)| v);
            let again = asked("prompt").is_some_and(|p| p.split(' ').any(|one| one == "consent"));
            if asked("access_type").is_some_and(|t| t == "offline") && (first || again) {
                self.offline.insert(code);
            }
        }
        Some(answer)
    }

    pub(crate) fn account_of(&self, call: &Call) -> Option<String> {
        self.provider.account_of(call.bearer()?, call.now).ok()
    }

    /// Whose call it is, with at least one of these scopes.
    pub(crate) fn authorized(&self, call: &Call, scopes: &[&str]) -> Result<String, Fail> {
        let Some(token) = call.bearer() else {
            let says = "Request is missing required authentication credential. Expected OAuth 2 \
                        access token, login cookie or other valid authentication credential.";
            return Err(
                Fail::new(401, "UNAUTHENTICATED", "required", says).info("CREDENTIALS_MISSING")
            );
        };
        let account = self.provider.account_of(token, call.now).map_err(|bad| match bad {
            Bad::Expired => unauthorized("ACCESS_TOKEN_EXPIRED"),
            Bad::Unknown => unauthorized("ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        })?;
        let granted = self.provider.scope_of(token);
        let may = granted.is_none_or(|all| all.split(' ').any(|scope| scopes.contains(&scope)));
        if may {
            return Ok(account);
        }
        let says = "Request had insufficient authentication scopes.";
        Err(Fail::new(403, "PERMISSION_DENIED", "insufficientPermissions", says)
            .info("ACCESS_TOKEN_SCOPE_INSUFFICIENT"))
    }
}

/// The code that a consent led to.
fn granted(answer: &Answer) -> Option<String> {
    let (_, to) = answer.headers.iter().find(|(name, _)| name == "location")?;
    let url = url::Url::parse(to.to_str().ok()?).ok()?;
    url.query_pairs().find(|(key, _)| key == "code").map(|(_, code)| code.into_owned())
}

fn unauthorized(info: &'static str) -> Fail {
    let says = "Request had invalid authentication credentials. Expected OAuth 2 access token, \
                login cookie or other valid authentication credential.";
    Fail::new(401, "UNAUTHENTICATED", "authError", says).info(info)
}

/// An error of a service.
#[derive(Debug)]
pub(crate) struct Fail {
    code: u16,
    /// Of `google.rpc`.
    status: &'static str,
    /// Of the list that older services still send; empty: no such list.
    reason: &'static str,
    domain: &'static str,
    message: String,
    details: Vec<Value>,
}

impl Fail {
    pub(crate) fn new(
        code: u16,
        status: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let (domain, details) = ("global", Vec::new());
        Self { code, status, reason, domain, message: message.into(), details }
    }

    pub(crate) fn domain(self, domain: &'static str) -> Self {
        Self { domain, ..self }
    }

    pub(crate) fn detail(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    fn info(self, reason: &str) -> Self {
        self.detail(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": { "method": "sandbox", "service": "sandbox" },
        }))
    }

    pub(crate) fn answer(self) -> Answer {
        let mut error = json!({ "code": self.code, "message": self.message });
        if !self.reason.is_empty() {
            error["errors"] = json!([{
                "message": self.message,
                "domain": self.domain,
                "reason": self.reason,
            }]);
        }
        error["status"] = json!(self.status);
        if !self.details.is_empty() {
            error["details"] = Value::Array(self.details);
        }
        Answer::json(self.code, &json!({ "error": error }))
    }
}

/// What every service says when it refuses whatever is asked. `name` is its host.
pub(crate) fn refuse(refusal: Refusal, name: &str) -> Answer {
    match refusal {
        Refusal::Unreadable => {
            let says = "Invalid JSON payload received. Unexpected end of string.";
            Fail::new(400, "INVALID_ARGUMENT", "parseError", says).answer()
        }
        Refusal::RateLimit(ms) => {
            let says = format!(
                "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of \
                 service '{name}' for consumer 'project_number:1'."
            );
            Fail::new(429, "RESOURCE_EXHAUSTED", "rateLimitExceeded", says)
                .detail(json!({
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "RATE_LIMIT_EXCEEDED",
                    "domain": "googleapis.com",
                    "metadata": {
                        "service": name,
                        "consumer": "projects/1",
                        "quota_limit": "DefaultRequestsPerMinutePerProject",
                        "quota_limit_value": "300",
                    },
                }))
                .detail(json!({
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": format!("{}s", ms.max(0) as f64 / 1_000.0),
                }))
                .answer()
        }
        Refusal::ServerError => {
            Fail::new(503, "UNAVAILABLE", "backendError", "The service is currently unavailable.")
                .answer()
        }
        Refusal::Auth => unauthorized("ACCESS_TOKEN_EXPIRED").answer(),
        Refusal::TooLarge => Answer::html(
            413,
            "<!DOCTYPE html>\n<title>Error 413 (Request Entity Too Large)!!1</title>\n",
        ),
    }
}
