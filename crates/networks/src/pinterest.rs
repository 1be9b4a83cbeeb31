//! Pinterest API v5 (OpenAPI 5.23); checked 2026-11-22.
//!
//! Keys: an app at developers.pinterest.com; its consent page asks for boards, pins and the
//! account. With trial access pins are seen by their creator alone, until Pinterest has granted
//! standard access.
//!
//! Pictures travel inside the request, so no public address of ours is needed. There is no
//! idempotency key and nothing is refused as a duplicate: after an unknown outcome the board's pins
//! are read and compared. Times of pins are in whole seconds, mostly without a zone (UTC).

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::quote;
use crate::http::{Reply, Request};
use crate::oauth::{self, Grant, Life, OAuth, SecretIn, Target, Tokens};
use crate::spec::{Abilities, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, Text};
use crate::text::{normalise, urls};
use crate::words::{cut, title_and_text, told};
use crate::{
    Action, Class, Context, Error, Identity, Media, Network, Numbers, Published, Remote, Rendition,
    SendClass, Spec, Window, numbers,
};

pub struct Pinterest;

const TITLE_MAX: usize = 100;
const ALT_MAX: usize = 500;
const LINK_MAX: usize = 2_048;

const TEXT: Text = Text {
    max: 800,
    count: Count::Chars,
    max_bytes: None,
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: Some(TITLE_MAX),
    required: false,
};

const PICTURE: MediaRule = MediaRule {
    min: 1,
    max: 1,
    types: &["image/jpeg", "image/png"],
    max_bytes: 10 << 20,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: ALT_MAX,
    video: None,
};

pub static SPEC: Spec = Spec {
    id: "pinterest",
    name: "Pinterest",
    code: "PI",
    base_url: "https://api.pinterest.com",
    fields: &[
        Field {
            key: "boardId",
            label: "Board ID",
            help: "The number of the board, from `GET /v5/boards`.",
            secret: false,
            required: true,
        },
        Field {
            key: "accessToken",
            label: "Access token",
            help: "From the consent page, or from the app's page at developers.pinterest.com.",
            secret: true,
            required: true,
        },
        Field {
            key: "refreshToken",
            label: "Refresh token",
            help: "Comes with the access token; without it the connection ends after 30 days.",
            secret: true,
            required: false,
        },
    ],
    placements: &[
        Placement {
            id: "feed",
            name: "Pin",
            send: SendClass::Readable { lag: Duration::from_secs(60) },
            follows: &[],
            in_budget: true,
            edit: Edit::TitleAndText,
            measures: &[Metric::Views, Metric::Likes, Metric::Comments, Metric::Clicks],
            text: TEXT,
            media: PICTURE,
            options: &[],
        },
        Placement {
            id: "carousel",
            name: "Carousel",
            send: SendClass::Readable { lag: Duration::from_secs(60) },
            follows: &[],
            in_budget: true,
            edit: Edit::TitleAndText,
            measures: &[Metric::Views, Metric::Likes, Metric::Comments, Metric::Clicks],
            text: TEXT,
            // Pictures of a carousel must share one size.
            media: MediaRule { min: 2, max: 5, derivative: Derivative::Square, ..PICTURE },
            options: &[],
        },
    ],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: Some(OAuth {
        authorize: "https://www.pinterest.com/oauth/",
        token: "https://api.pinterest.com/v5/oauth/token",
        scopes: &["boards:read", "boards:write", "pins:read", "pins:write", "user_accounts:read"],
        reading: &[],
        separator: ',',
        pkce: false,
        id_param: "client_id",
        secret_in: SecretIn::Basic,
        params: &[],
        guide: &[
            "Open developers.pinterest.com with a business account, then My apps, Connect app.",
            "Enter the redirect address of this installation exactly as it is shown here.",
            "Ask for standard access: with trial access only you can see your pins.",
        ],
    }),
    life: Life::Rotating,
    budgets: &[],
};

/// Pins on one page of a listing, and most pages that a look-up reads before it says that it cannot
/// tell.
const PAGE: &str = "100";
const MAX_PAGES: usize = 5;

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct Board {
    id: String,
    name: String,
    #[serde(default)]
    is_ads_only: bool,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    bookmark: Option<String>,
}

#[derive(Deserialize)]
struct Pin {
    id: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    media: Value,
    /// Others can pin to a board too.
    #[serde(default)]
    is_owner: Option<bool>,
}

impl Pin {
    fn created(&self) -> Option<i64> {
        millis(self.created_at.as_deref()?)
    }

    /// How many pictures it shows; `None` when the network did not say.
    fn pictures(&self) -> Option<usize> {
        match self.media["media_type"].as_str()? {
            "image" => Some(1),
            "multiple_images" => self.media["items"].as_array().map(Vec::len),
            _ => Some(0),
        }
    }
}

#[async_trait]
impl Network for Pinterest {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let id = board_id(cx)?;
        let user: User = self.read(cx, "user_account", &[]).await?;
        let board: Board = self.read(cx, &format!("boards/{id}"), &[]).await?;
        if let Some(problem) = board.problem() {
            return Err(Error::new(Class::Config, problem).code("ads_only"));
        }
        let name = format!("{}: {}", user.username, board.name);
        Ok(Identity { remote_id: board.id, name, settings: BTreeMap::new() })
    }

    async fn publish(&self, cx: &Context<'_>, out: &Rendition) -> Result<Published, Error> {
        let (title, description) = title_and_text(out, TITLE_MAX);
        let mut body = json!({ "board_id": board_id(cx)?, "media_source": source(&out.media)? });
        let mut add = |key: &str, value: &str| {
            if !value.is_empty() {
                body[key] = json!(value);
            }
        };
        add("title", &title);
        add("description", &description);
        add("alt_text", &alt_text(&out.media));
        add("link", link(&out.text));
        let request = cx.http.post(&format!("{}/v5/pins", cx.base)).json(&body);
        let reply = self.call(cx, request).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        Ok(Published::Accepted(remote(cx.base, reply.json::<Pin>()?.id)))
    }

    async fn look_up(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        window: Window,
    ) -> Result<Vec<Remote>, Error> {
        let path = format!("boards/{}/pins", board_id(cx)?);
        let (title, description) = title_and_text(out, TITLE_MAX);
        let wanted = (normalise(&title), normalise(&description));
        // The network counts in whole seconds.
        let since = window.since.div_euclid(1_000) * 1_000;
        let (mut found, mut bookmark) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query = vec![("page_size", PAGE)];
            query.extend(bookmark.as_deref().map(|at| ("bookmark", at)));
            let page: Page<Pin> = self.read(cx, &path, &query).await?;
            let old = |pin: &Pin| pin.created().is_some_and(|at| at < since);
            let enough = !page.items.is_empty() && page.items.iter().all(old);
            for pin in page.items {
                let of = |text: &Option<String>| normalise(text.as_deref().unwrap_or_default());
                let ours = pin.is_owner != Some(false)
                    && pin.pictures().is_none_or(|n| n == out.media.len())
                    && (of(&pin.title), of(&pin.description)) == wanted;
                if !ours {
                    continue;
                }
                let Some(at) = pin.created() else {
                    return Err(Error::garbled("a pin without a time").harmless());
                };
                if (since..=window.until).contains(&at) {
                    found.push(remote(cx.base, pin.id));
                }
            }
            bookmark = page.bookmark.filter(|at| !at.is_empty());
            if enough || bookmark.is_none() {
                return Ok(found);
            }
        }
        let why = "The board has more pins in this time than can be looked through.";
        Err(Error::new(Class::Transient, why).code("too_many_pages").action(Action::Look))
    }

    /// In beta: Pinterest refuses it to apps that it has not opened it for.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        let url = address(cx, remote_id)?;
        let (title, description) = title_and_text(out, TITLE_MAX);
        let mut body = json!({ "title": title, "description": description });
        let link = link(&out.text);
        if !link.is_empty() {
            body["link"] = json!(link);
        }
        let reply = self.call(cx, cx.http.patch(&url).json(&body)).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        Ok(Published::Accepted(remote(cx.base, reply.json::<Pin>()?.id)))
    }

    /// Over the whole life of the pin. How often it was saved is told of 90 days only.
    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        address(cx, remote_id)?;
        let path = format!("pins/{remote_id}");
        let pin: Value = match self.read(cx, &path, &[("pin_metrics", "true")]).await {
            Err(error) if error.status == Some(404) => return Err(numbers::gone(SPEC.name)),
            pin => pin?,
        };
        Ok(numbers::read(
            &pin["pin_metrics"]["lifetime_metrics"],
            &[
                (Metric::Views, "/impression"),
                (Metric::Likes, "/reaction"),
                (Metric::Comments, "/comment"),
                (Metric::Clicks, "/clickthrough"),
            ],
        ))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        let url = address(cx, remote_id)?;
        let reply = self.call(cx, cx.http.delete(&url)).await?;
        let gone = reply.status.as_u16() == 404;
        if reply.ok() || gone { Ok(()) } else { Err(self.parse_error(&reply)) }
    }

    /// Apps made before 25 September 2025 have to ask for the refresh token that goes on for ever.
    async fn exchange(&self, cx: &Context<'_>, grant: &Grant) -> Result<Tokens, Error> {
        let form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", grant.code.reveal().to_owned()),
            ("redirect_uri", grant.redirect_uri.clone()),
            ("continuous_refresh", "true".to_owned()),
        ];
        oauth::trade(&SPEC, &|reply| self.parse_error(reply), cx, form).await
    }

    async fn targets(&self, cx: &Context<'_>) -> Result<Vec<Target>, Error> {
        let (mut all, mut bookmark) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query = vec![("page_size", "250")];
            query.extend(bookmark.as_deref().map(|at| ("bookmark", at)));
            let page: Page<Board> = self.read(cx, "boards", &query).await?;
            all.extend(page.items.into_iter().map(|board| Target {
                problem: board.problem().map(str::to_owned),
                settings: BTreeMap::from([("boardId".to_owned(), board.id.clone())]),
                secrets: BTreeMap::new(),
                id: board.id,
                name: board.name,
            }));
            bookmark = page.bookmark.filter(|at| !at.is_empty());
            if bookmark.is_none() {
                break;
            }
        }
        Ok(all)
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let code = body["code"].as_i64();
        let said = quote(body["message"].as_str().unwrap_or_default());
        let has = |words: &str| said.to_lowercase().contains(words);
        let mut error = reply.error(SPEC.name);
        error.code = code.map(|code| code.to_string());
        match (reply.status.as_u16(), code) {
            (401, _) => error.becomes(Class::Auth, "Pinterest refuses the access token."),
            (403, Some(3)) => {
                let why = "The access token lacks a right that publishing needs.";
                error.becomes(Class::Auth, why)
            }
            (403, _) => error
                .becomes(Class::Auth, told("Pinterest does not let this account do that", &said))
                .action(Action::ActAtNetwork),
            (404, _) if has("board") => {
                let why = "Pinterest does not know the board of this connection.";
                error.becomes(Class::Config, why)
            }
            (429, _) => {
                let wait = seconds(reply.header("x-ratelimit-reset")).or(error.retry_after);
                error.becomes(Class::RateLimit, "Pinterest asks for fewer calls.").retry_after(wait)
            }
            (400, _) if has("unable to reach") => {
                error.becomes(Class::Transient, "Pinterest could not fetch a picture.")
            }
            (400 | 404 | 409 | 413 | 422, _) => {
                error.becomes(Class::Content, told("Pinterest refuses the pin", &said))
            }
            _ => error,
        }
    }
}

impl Pinterest {
    async fn call(&self, cx: &Context<'_>, request: Request) -> Result<Reply, Error> {
        let token = cx.account.secret("accessToken")?;
        cx.http.send(request.bearer_auth(token.reveal()), cx.timeout).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        cx: &Context<'_>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let request = cx.http.get(&format!("{}/v5/{path}", cx.base)).query(query);
        let reply = self.call(cx, request).await.map_err(Error::harmless)?;
        match reply.ok() {
            true => reply.json().map_err(Error::harmless),
            false => Err(self.parse_error(&reply).harmless()),
        }
    }
}

impl Board {
    fn problem(&self) -> Option<&'static str> {
        self.is_ads_only.then_some("This board of Pinterest is for advertisements only.")
    }
}

/// The board's id, which goes into paths.
fn board_id<'c>(cx: &'c Context<'_>) -> Result<&'c str, Error> {
    let id = cx.account.setting("boardId")?;
    match is_number(id) {
        true => Ok(id),
        false => Err(Error::new(Class::Config, "The id of a Pinterest board is a number.")),
    }
}

/// Where a pin is.
fn address(cx: &Context<'_>, remote_id: &str) -> Result<String, Error> {
    match is_number(remote_id) {
        true => Ok(format!("{}/v5/pins/{remote_id}", cx.base)),
        false => Err(Error::new(Class::Content, "This is not the id of a Pinterest pin.")),
    }
}

fn is_number(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())
}

/// The pictures as the body carries them.
fn source(media: &[Media]) -> Result<Value, Error> {
    let picture = |media: &Media| {
        let data = STANDARD.encode(&media.data);
        json!({ "content_type": media.content_type, "data": data })
    };
    match media {
        [] => Err(Error::new(Class::Content, "Pinterest takes no pin without a picture.")),
        [one] => {
            let mut source = picture(one);
            source["source_type"] = json!("image_base64");
            Ok(source)
        }
        several => {
            let items: Vec<Value> = several.iter().map(picture).collect();
            Ok(json!({ "source_type": "multiple_image_base64", "items": items, "index": 0 }))
        }
    }
}

/// A pin has one description for people who cannot see it, however many pictures.
fn alt_text(media: &[Media]) -> String {
    let all = media.iter().map(|m| m.alt.trim()).filter(|alt| !alt.is_empty());
    cut(&all.collect::<Vec<_>>().join("\n"), ALT_MAX).to_owned()
}

/// Where the pin leads: the first link of the text.
fn link(text: &str) -> &str {
    let first = urls(text).into_iter().next().map_or("", |range| &text[range]);
    if first.chars().count() > LINK_MAX { "" } else { first }
}

/// The network writes times with a zone or, in UTC, without.
fn millis(time: &str) -> Option<i64> {
    if let Ok(at) = time.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    let at = time.parse::<jiff::civil::DateTime>().ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// `x-ratelimit-reset` counts the seconds that are left.
fn seconds(header: Option<&str>) -> Option<Duration> {
    let first = header?.split([',', ';']).next()?.trim();
    Some(Duration::from_secs(first.parse::<u64>().ok()?.min(86_400)))
}

/// The pin with its page. The local stand-in has pages of its own.
fn remote(base: &str, id: String) -> Remote {
    let url = match base.strip_suffix("/pinterest") {
        Some(origin) => format!("{origin}/posts/pinterest/{id}"),
        None => format!("https://www.pinterest.com/pin/{id}/"),
    };
    Remote { id, url: Some(url) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        for time in ["2026-11-22T10:00:00", "2026-11-22T10:00:00Z", "2026-11-22T11:00:00+01:00"] {
            assert_eq!(millis(time), Some(1_795_341_600_000), "{time}");
        }
        for none in ["", "yesterday", "2026-11-22T25:00:00"] {
            assert_eq!(millis(none), None, "{none}");
        }
    }

    #[test]
    fn the_first_link_is_where_the_pin_leads() {
        assert_eq!(link("See (https://a.example/b) and https://c.example"), "https://a.example/b");
        assert_eq!(link("nothing"), "");
        assert_eq!(link(&format!("https://a.example/{}", "x".repeat(LINK_MAX))), "");
    }

    #[test]
    fn pictures_are_counted_where_the_network_tells() {
        let pictures = |media: Value| {
            let pin = json!({ "id": "1", "media": media });
            serde_json::from_value::<Pin>(pin).unwrap().pictures()
        };
        assert_eq!(pictures(json!({ "media_type": "image" })), Some(1));
        assert_eq!(
            pictures(json!({ "media_type": "multiple_images", "items": [{}, {}] })),
            Some(2)
        );
        assert_eq!(pictures(json!({ "media_type": "video" })), Some(0));
        assert_eq!(pictures(json!(null)), None);
    }

    #[test]
    fn the_end_of_a_limit_is_read_from_its_header() {
        assert_eq!(seconds(Some("35")), Some(Duration::from_secs(35)));
        assert_eq!(seconds(Some("1, 60;w=60")), Some(Duration::from_secs(1)));
        assert_eq!(seconds(Some("999999999")), Some(Duration::from_secs(86_400)));
        assert_eq!((seconds(Some("soon")), seconds(None)), (None, None));
    }
}
