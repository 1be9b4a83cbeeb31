//! The last requests to each network, with their secrets masked.
//!
//! For contract tests and for a person who asks what a connector really sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use serde::Serialize;
use serde_json::Value;

use crate::call::Call;
use crate::faults::{Calls, Trouble};
use crate::world::{Network, iso, lock};

/// How many requests are kept a network.
const KEPT: usize = 2_000;
/// How many characters of a body are kept.
const BODY: usize = 4_000;
const MASK: &str = "***";

/// One request and the status of its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recorded {
    /// ISO 8601, UTC.
    pub at: String,
    pub method: String,
    /// With the network's base path; a bot token in it is masked.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    /// JSON and forms as text, anything else as its type and size.
    pub body: String,
    pub call: Calls,
    pub account: Option<String>,
    pub fault: Option<Trouble>,
    /// `None` when the connection was cut instead.
    pub status: Option<u16>,
}

impl Recorded {
    pub(crate) fn of(network: Network, call: &Call, kind: Calls, account: Option<String>) -> Self {
        let header = |name: &http::HeaderName, value: &http::HeaderValue| {
            let shown = match value.to_str() {
                Ok(text) if is_secret(name.as_str()) => {
                    text.split_once(' ').map_or(MASK.to_owned(), |(s, _)| format!("{s} {MASK}"))
                }
                Ok(text) => text.to_owned(),
                Err(_) => "(bytes)".to_owned(),
            };
            (name.to_string(), shown)
        };
        Self {
            at: iso(call.now),
            method: call.method.to_string(),
            path: masked_path(network, &call.path),
            query: masked(&call.query),
            headers: call.headers.iter().map(|(name, value)| header(name, value)).collect(),
            body: body(call),
            call: kind,
            account,
            fault: None,
            status: None,
        }
    }
}

pub(crate) struct Requests {
    books: [Mutex<VecDeque<Recorded>>; Network::ALL.len()],
}

impl Default for Requests {
    fn default() -> Self {
        Self { books: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Requests {
    pub(crate) fn add(&self, network: Network, recorded: Recorded) {
        let mut book = lock(&self.books[network as usize]);
        if book.len() == KEPT {
            book.pop_front();
        }
        book.push_back(recorded);
    }

    pub(crate) fn of(&self, network: Network) -> Vec<Recorded> {
        lock(&self.books[network as usize]).iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        for book in &self.books {
            lock(book).clear();
        }
    }
}

fn is_secret(name: &str) -> bool {
    const SECRETS: &[&str] = &[
        "accessjwt",
        "access_token",
        "api-key",
        "authfactortoken",
        "authorization",
        "client_secret",
        "cookie",
        "fb_exchange_token",
        "jwt",
        "password",
        "refresh_token",
        "refreshjwt",
        "token",
        "upload_id",
        "upload_token",
    ];
    SECRETS.contains(&name.to_ascii_lowercase().as_str())
}

/// `bot123:secret/sendMessage` → `/telegram/bot***/sendMessage`
fn masked_path(network: Network, path: &str) -> String {
    let path = match (network, path.split_once('/')) {
        (Network::Telegram, Some((_, method))) => format!("bot{MASK}/{method}"),
        (Network::Telegram, None) => format!("bot{MASK}"),
        (Network::DiscordWebhook, _) => masked_part(path, "webhooks", 2),
        (Network::SlackWebhook, _) => masked_part(path, "services", 3),
        // The ticket of an upload is a right of its own.
        (Network::Slack, _) => masked_part(path, "v1", 1),
        _ => path.to_owned(),
    };
    format!("/{}/{path}", network.id())
}

/// The path without its part so many places behind `mark`: where a webhook's token stands.
fn masked_part(path: &str, mark: &str, behind: usize) -> String {
    let at = path.split('/').position(|part| part == mark).map(|at| at + behind);
    let shown = |(i, part)| if Some(i) == at { MASK } else { part };
    path.split('/').enumerate().map(shown).collect::<Vec<_>>().join("/")
}

fn masked(pairs: &[(String, String)]) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::<String, String>::new();
    for (name, value) in pairs {
        let value = if is_secret(name) { MASK } else { value };
        shown
            .entry(name.clone())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    shown
}

fn body(call: &Call) -> String {
    let text = if let Some(why) = &call.unreadable {
        format!("({}, {} bytes, unreadable: {why})", call.content_type(), call.body.len())
    } else if let Some(json) = &call.json {
        masked_json(json.clone()).to_string()
    } else if !call.form.is_empty() || !call.files.is_empty() {
        let fields = call
            .form
            .iter()
            .map(|(name, value)| format!("{name}={}", if is_secret(name) { MASK } else { value }));
        let files = call
            .files
            .iter()
            .map(|file| format!("{}=({}, {} bytes)", file.field, file.name, file.bytes.len()));
        fields.chain(files).collect::<Vec<_>>().join("&")
    } else if call.body.is_empty() {
        String::new()
    } else {
        format!("({}, {} bytes)", call.content_type(), call.body.len())
    };
    match text.char_indices().nth(BODY) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn masked_json(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let shown = if is_secret(&name) { Value::from(MASK) } else { masked_json(value) };
                (name, shown)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(masked_json).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[tokio::test]
    async fn no_secret_is_kept() {
        let secret = "sandbox-alice";
        let json = format!(r#"{{"identifier":"alice.test","password":"{secret}"}}"#);
        let mut call = Call::of(
            Method::POST,
            &format!("/bot1:{secret}/x?access_token={secret}&fields=id"),
            "application/json",
            &json,
        )
        .await;
        call.headers.insert("authorization", format!("Bearer {secret}").parse().unwrap());
        let recorded = Recorded::of(Network::Telegram, &call, Calls::Read, None);
        let written = serde_json::to_string(&recorded).unwrap();
        assert!(!written.contains(secret), "{written}");
        assert!(written.contains("Bearer ***"), "{written}");
        assert_eq!(recorded.path, "/telegram/bot***/x");
        assert_eq!(recorded.query["fields"], "id");
    }

    #[test]
    fn a_webhooks_token_is_masked() {
        let shown = |path| masked_path(Network::DiscordWebhook, path);
        assert_eq!(
            shown("api/v10/webhooks/1/sEcret/messages/5"),
            "/discord-webhook/api/v10/webhooks/1/***/messages/5"
        );
        assert_eq!(shown("api/webhooks/1/sEcret"), "/discord-webhook/api/webhooks/1/***");
        assert_eq!(shown("api/webhooks"), "/discord-webhook/api/webhooks");
        let shown = masked_path(Network::SlackWebhook, "services/T0/B0/sEcret");
        assert_eq!(shown, "/slack-webhook/services/T0/B0/***");
    }

    #[tokio::test]
    async fn only_the_last_requests_are_kept() {
        let requests = Requests::default();
        let call = Call::of(Method::GET, "/x", "text/plain", "").await;
        let recorded = Recorded::of(Network::Bluesky, &call, Calls::Read, None);
        for status in 0..2_005 {
            requests.add(Network::Bluesky, Recorded { status: Some(status), ..recorded.clone() });
        }
        let kept = requests.of(Network::Bluesky);
        assert_eq!((kept.len(), kept[0].status), (KEPT, Some(5)));
    }
}
