//! A webhook of the user's own: one signed JSON document to an address of theirs, as the Standard
//! Webhooks specification 1.0 has it; checked 2026-11-22.
//!
//! Keys: the receiver's own; a secret that begins with `whsec_` is Base64 behind it, any other is
//! taken as it is. What a receiver does:
//!
//! - It checks `webhook-signature`: `v1,` and Base64 of the HMAC-SHA256 of `id.timestamp.body`, and
//!   that `webhook-timestamp` is of these minutes.
//! - It remembers `webhook-id` and publishes a second document with the same one no second time,
//!   but answers as it did to the first. That is what makes a lost answer harmless.
//! - It acts on `type`: `post.published` is to be shown, `post.deleted` taken down, anything else
//!   (`ping`, when a connection is checked) only answered.
//! - It answers 2xx. JSON with `id` and `url` says what the post is called there and where it is;
//!   `{"deleted": true}`, or 404 or 410, that it is gone.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::quote;
use crate::http::Reply;
use crate::oauth::Life;
use crate::sign::hmac_sha256;
use crate::spec::{
    Abilities, Count, Derivative, Edit, Field, MediaRule, Placement, SendClass, Spec, Text,
    VideoRule,
};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Published, Remote, Rendition, Window,
};

pub struct Webhook;

pub static SPEC: Spec = Spec {
    id: "webhook",
    name: "Webhook",
    code: "WH",
    // Never called: every connection has its own `url`.
    base_url: "https://webhook.invalid",
    fields: &[
        Field {
            key: "url",
            label: "Address",
            help: "Where the posts are sent, for example `https://shop.example/posts`.",
            secret: false,
            required: true,
        },
        Field {
            key: "secret",
            label: "Signing secret",
            help: "Shared with the receiver, at best `whsec_` and Base64 of 24 random bytes or more.",
            secret: true,
            required: true,
        },
    ],
    placements: &[Placement {
        id: "feed",
        name: "Post",
        send: SendClass::Keyed { horizon: None },
        follows: &[],
        in_budget: true,
        edit: Edit::No,
        measures: &[],
        text: Text {
            max: 100_000,
            count: Count::Chars,
            max_bytes: None,
            max_with_media: None,
            question_max: None,
            max_hashtags: None,
            max_mentions: None,
            title_max: Some(300),
            required: false,
        },
        media: MediaRule {
            min: 0,
            max: 20,
            types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
            max_bytes: 16 << 20,
            ratio: None,
            derivative: Derivative::Original,
            pull: true,
            alt_max: 2_000,
            video: Some(VideoRule {
                max: 4,
                types: &["video/mp4", "video/quicktime"],
                max_bytes: 1 << 30,
                seconds: (1, 3_600),
                ratio: None,
                side: None,
                mixed: true,
            }),
        },
        options: &[],
    }],
    abilities: Abilities { delete: true, read_back: false, alt_text: true },
    oauth: None,
    life: Life::Endless,
    budgets: &[],
};

/// Most characters of a receiver's own id of a post.
const ID_MAX: usize = 200;

#[async_trait]
impl Network for Webhook {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let url = receiver(cx)?;
        let id = format!("ping-{}", cx.now);
        let reply = self.send(cx, &id, "ping", cx.now, json!({})).await.map_err(Error::harmless)?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let name = url.host_str().unwrap_or_default().to_owned();
        Ok(Identity { remote_id: url.into(), name, ..Identity::default() })
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let data = document(out)?;
        let reply = self.send(cx, &out.key, "post.published", out.created_at, data).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        Ok(Published::Accepted(accepted(&reply, &out.key)?))
    }

    /// Nothing can be asked, and nothing has to be: the same key again is harmless.
    async fn look_up(
        &self,
        _: &Context<'_>,
        _: &Rendition,
        _: Window,
    ) -> Result<Vec<Remote>, Error> {
        Ok(Vec::new())
    }

    /// Believed only when the receiver says so: many answer 200 to whatever they are sent.
    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let id: String = Sha256::digest(format!("delete {remote_id}"))
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let reply = self.send(cx, &id, "post.deleted", cx.now, json!({ "id": remote_id })).await?;
        match reply.status.as_u16() {
            404 | 410 => Ok(()),
            _ if !reply.ok() => Err(self.parse_error(&reply)),
            _ if reply.value()["deleted"] == Value::Bool(true) => Ok(()),
            _ => {
                let says = "The receiver of the webhook does not say that the post is gone.";
                Err(Error::new(Class::Content, says)
                    .code("not_confirmed")
                    .action(Action::ActAtNetwork))
            }
        }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let words = body["message"].as_str().or(body["error"].as_str());
        let said = words.or(body["error"]["message"].as_str()).map(quote).unwrap_or_default();
        let because = |what: &str| match said.as_str() {
            "" => format!("{what}."),
            said => format!("{what}: {said}."),
        };
        let error = reply.error(SPEC.name);
        match reply.status.as_u16() {
            300..=399 => error.becomes(
                Class::Config,
                "The receiver of the webhook answers from another address: enter that one.",
            ),
            401 | 403 => error
                .becomes(Class::Auth, because("The receiver of the webhook refuses the signature")),
            404 | 405 => error.becomes(Class::Config, "At this address nothing takes webhooks."),
            // By the specification: no more documents are wanted.
            410 => error.becomes(Class::Config, "The receiver of the webhook is closed for good."),
            409 => {
                let existing = own_id(&body["id"]);
                let says = because("The receiver of the webhook has this post already");
                Error { existing, ..error.becomes(Class::Duplicate, says) }
            }
            413 => {
                error.becomes(Class::Content, "The post is too long for the webhook's receiver.")
            }
            425 => error
                .becomes(Class::Transient, "The receiver of the webhook is not ready.")
                .maybe_applied(),
            429 => {
                error.becomes(Class::RateLimit, "The receiver of the webhook asks for fewer calls.")
            }
            408 | 500.. => error
                .becomes(Class::Transient, because("The receiver of the webhook is out of order"))
                .maybe_applied(),
            _ => error
                .becomes(Class::Content, because("The receiver of the webhook refuses the post")),
        }
    }
}

impl Webhook {
    /// Sends one signed document. The time of `at` is the event's, the signature's is now.
    async fn send(
        &self,
        cx: &Context<'_>,
        id: &str,
        kind: &str,
        at: i64,
        data: Value,
    ) -> Result<Reply, Error> {
        let url = receiver(cx)?;
        let body = json!({ "type": kind, "timestamp": iso(at), "data": data }).to_string();
        let timestamp = cx.now.div_euclid(1_000).to_string();
        let key = key(cx.account.secret("secret")?.reveal())?;
        let request = cx
            .http
            .post(url.as_str())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signature(&key, id, &timestamp, &body))
            .body(body);
        cx.http.send(request, cx.timeout).await
    }
}

/// Where the documents go: https, or a host that whoever runs this installation allows.
fn receiver(cx: &Context<'_>) -> Result<url::Url, Error> {
    let refuse = |why: &str| {
        Error::new(Class::Config, format!("The webhook's address {why}.")).code("address_refused")
    };
    let entered = cx.account.setting("url")?;
    let url: url::Url = entered.parse().map_err(|_| refuse("is no web address"))?;
    cx.http.check(&url)?;
    if url.scheme() != "https" && !cx.http.allows(&url) {
        return Err(refuse("does not begin with `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("holds a user name or a password"));
    }
    Ok(url)
}

/// The bytes that a secret stands for.
fn key(secret: &str) -> Result<Vec<u8>, Error> {
    let Some(encoded) = secret.strip_prefix("whsec_") else { return Ok(secret.into()) };
    STANDARD.decode(encoded).ok().filter(|key| !key.is_empty()).ok_or_else(|| {
        let says = "The webhook's signing secret begins with `whsec_` and is no Base64 behind it.";
        Error::new(Class::Config, says).code("bad_secret")
    })
}

fn signature(key: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    let parts = [id, ".", timestamp, ".", body].map(str::as_bytes);
    format!("v1,{}", STANDARD.encode(hmac_sha256(key, &parts)))
}

/// The post as the receiver reads it: the same for the same rendition, to the byte.
fn document(out: &Rendition) -> Result<Value, Error> {
    let media = out.media.iter().map(medium).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "id": out.key,
        "placement": out.placement,
        "title": out.title,
        "text": out.text,
        "media": media,
        "createdAt": iso(out.created_at),
    }))
}

fn medium(media: &Media) -> Result<Value, Error> {
    if media.url.is_empty() {
        let says =
            "A webhook names media by their address, and this installation has no public one.";
        return Err(Error::new(Class::Config, says)
            .code("no_public_address")
            .action(Action::AskOperator));
    }
    Ok(json!({
        "url": media.url,
        "contentType": media.content_type,
        "width": media.width,
        "height": media.height,
        "alt": media.alt,
    }))
}

fn iso(ms: i64) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap_or_default())
}

/// What the receiver calls the post, where it says so; else our key. Any 2xx is a yes, but JSON
/// that breaks off is none: the same document again brings the whole answer.
fn accepted(reply: &Reply, key: &str) -> Result<Remote, Error> {
    let labelled = reply.header("content-type").is_some_and(|kind| kind.contains("json"));
    let said: Value =
        if labelled && !reply.body.is_empty() { reply.json()? } else { reply.value() };
    let id = own_id(&said["id"]).unwrap_or_else(|| key.to_owned());
    let address = |url: &&str| {
        url.parse::<url::Url>().is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    };
    Ok(Remote { id, url: said["url"].as_str().filter(address).map(str::to_owned) })
}

fn own_id(id: &Value) -> Option<String> {
    let id = match id {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    let fits = !id.is_empty() && id.chars().count() <= ID_MAX && !id.chars().any(char::is_control);
    fits.then_some(id)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::{Guard, Http, reply};
    use crate::{Account, Applied, Forgetful};

    /// From the reference implementations of the specification.
    #[test]
    fn a_document_is_signed_as_the_specification_has_it() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_base64_only_behind_its_prefix() {
        assert_eq!(key("plain.text").unwrap(), b"plain.text");
        for bad in ["whsec_", "whsec_not base64", "whsec_%%"] {
            let error = key(bad).unwrap_err();
            assert_eq!((error.class, error.applied), (Class::Config, Applied::No), "{bad}");
            assert!(!error.sentence.contains("not base64"));
        }
    }

    #[test]
    fn any_2xx_is_a_yes_and_may_name_the_post() {
        let json = [("content-type", "application/json; charset=utf-8")];
        let of = |status, headers: &[(&'static str, &str)], body| {
            accepted(&reply(status, headers, body), "key").unwrap()
        };
        let named =
            |id: &str, url: Option<&str>| Remote { id: id.to_owned(), url: url.map(str::to_owned) };
        for (status, body, remote) in [
            (200, "ok", named("key", None)),
            (204, "", named("key", None)),
            (202, r#"{"id":7,"url":"javascript:alert(1)"}"#, named("7", None)),
            (
                201,
                r#"{"id":"a/7","url":"https://a.example/7"}"#,
                named("a/7", Some("https://a.example/7")),
            ),
            (200, r#"{"id":"","url":7}"#, named("key", None)),
            (200, r#"{"id":"a\nb"}"#, named("key", None)),
            (200, r#"["id"]"#, named("key", None)),
        ] {
            assert_eq!(of(status, &[], body), remote, "{body}");
        }
        assert_eq!(of(200, &json, ""), named("key", None));
        assert_eq!(of(200, &json, "\"ok\""), named("key", None));
        let cut = accepted(&reply(200, &json, r#"{"id":"#), "key").unwrap_err();
        assert_eq!(cut.applied, Applied::Maybe);
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(ID_MAX + 1));
        assert_eq!(of(200, &json, &long).id, "key");
    }

    #[test]
    fn a_conflict_names_the_post_where_the_receiver_does() {
        let error = Webhook.parse_error(&reply(409, &[], r#"{"id":"7","message":"Seen before."}"#));
        assert_eq!((error.class, error.existing.as_deref()), (Class::Duplicate, Some("7")));
        assert!(error.sentence.ends_with("already: Seen before."), "{error}");
        assert_eq!(Webhook.parse_error(&reply(409, &[], "")).existing, None);
    }

    #[test]
    fn only_https_or_an_allowed_host_is_spoken_to() {
        let http = Http::new(Guard::allowing(["lan.example:8080".to_owned()]));
        let ask = |url: &str| {
            let settings = [("url".to_owned(), url.to_owned())].into();
            let account = Account { settings, ..Account::default() };
            let time = Duration::from_secs(1);
            let cx = Context::new(&http, &account, "", 0, time, <_>::default(), &Forgetful);
            receiver(&cx).map(String::from)
        };
        assert_eq!(ask(" https://shop.example/in?a=b ").unwrap(), "https://shop.example/in?a=b");
        assert!(ask("http://lan.example:8080/in").is_ok());
        for bad in [
            "http://shop.example/in",
            "http://lan.example/in",
            "https://user:word@shop.example/in",
            "https://10.0.0.1/in",
            "ftp://shop.example/in",
            "shop.example/in",
        ] {
            let error = ask(bad).unwrap_err();
            assert_eq!(error.code.as_deref(), Some("address_refused"), "{bad}: {error:?}");
            assert!(!error.sentence.contains("word@"), "{error}");
        }
    }
}
