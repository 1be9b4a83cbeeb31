//! DEV: one Forem community under `/devto/api/…`. Every account name exists on it.
//!
//! networks.md §18 and the source of Forem's API v1. `api-key: sandbox-{account}`; without a
//! `User-Agent` everything is 403. Front matter in a text is obeyed as Forem obeys it, and wins over
//! the fields beside it. `GET articles/{id}` knows published articles only. Nobody can delete.
//! Not spoken: organisations, comments, the calls of moderators; refused with 401 or 404.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::ledger::Appeared;
use crate::markdown;
use crate::world::{Fields, Network, World, account_of_secret, iso, lock, number_of, secret_of};

const BODY_MAX: usize = 800 << 10;
const TITLE_MAX: usize = 128;
const TITLE_REST: i64 = 5 * 60_000;
const TAGS_MAX: usize = 4;
const TAG_MAX: usize = 30;

#[derive(Default)]
pub(crate) struct State {
    articles: BTreeMap<u64, Article>,
}

#[derive(Clone)]
struct Article {
    account: String,
    title: String,
    /// As it was sent, with its front matter.
    body: String,
    /// What is shown of it.
    content: String,
    description: String,
    tags: Vec<String>,
    series: Option<String>,
    cover: Option<String>,
    canonical: Option<String>,
    published: bool,
    published_at: Option<i64>,
    created: i64,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("apiKey", secret_of(account))]
}

/// Is it a change of an article that readers see?
fn edits_shown(world: &World, call: &Call) -> bool {
    let id = call.segments().last().and_then(|id| id.parse().ok());
    let state = lock(&world.states.devto);
    id.and_then(|id: u64| state.articles.get(&id)).is_some_and(|article| article.published)
}

pub(crate) fn aim(world: &World, call: &Call) -> Aim {
    let published = call.value("article").and_then(|article| article["published"].as_bool());
    let kind = match (&call.method, published) {
        (&Method::GET | &Method::HEAD, _) => Calls::Read,
        (_, Some(true)) => Calls::Publish,
        (&Method::PUT, Some(false)) => Calls::Delete,
        (&Method::PUT, None) if edits_shown(world, call) => Calls::Edit,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: key_account(call).map(str::to_owned) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if call.header("user-agent").is_none_or(str::is_empty) {
        return Answer::new(403, "text/plain", "Forbidden\n");
    }
    let handled = match (call.method.as_str(), call.segments().as_slice()) {
        ("GET", ["api", "users", "me"]) => me(call),
        ("POST", ["api", "articles"]) => write(world, call, None).await,
        ("PUT", ["api", "articles", id]) => write(world, call, Some(id)).await,
        ("GET", ["api", "articles", "me"]) => mine(world, call, "published"),
        ("GET", ["api", "articles", "me", status]) => mine(world, call, status),
        ("GET", ["api", "articles", id]) => show(world, call, id),
        ("PUT", ["api", "articles", _, "unpublish"]) => Err(unauthorized()),
        _ => Err(not_found()),
    };
    handled.map_or_else(
        |refused| refused,
        |body| {
            let made = call.method == Method::POST;
            Answer::json(if made { 201 } else { 200 }, &body)
        },
    )
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => error(400, "Bad Request"),
        Refusal::RateLimit(ms) => Answer::new(429, "text/plain", "Retry later\n")
            .header("retry-after", &(ms.max(0).unsigned_abs().div_ceil(1_000)).to_string()),
        Refusal::ServerError => {
            Answer::json(500, &json!({ "status": 500, "error": "Internal Server Error" }))
        }
        Refusal::Auth => unauthorized(),
        Refusal::TooLarge => {
            Answer::html(413, "<html><h1>413 Request Entity Too Large</h1></html>")
        }
    }
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": message, "status": status }))
}

fn unauthorized() -> Answer {
    error(401, "unauthorized")
}

fn not_found() -> Answer {
    error(404, "not found")
}

fn key_account(call: &Call) -> Option<&str> {
    account_of_secret(call.header("api-key")?)
}

fn authorized(call: &Call) -> Result<&str, Answer> {
    key_account(call).ok_or_else(unauthorized)
}

fn user(account: &str) -> Value {
    json!({
        "user_id": number_of(account, 6),
        "name": account,
        "username": account,
        "twitter_username": null,
        "github_username": null,
        "website_url": null,
    })
}

fn me(call: &Call) -> Result<Value, Answer> {
    let account = authorized(call)?;
    Ok(json!({
        "type_of": "user",
        "id": number_of(account, 6),
        "username": account,
        "name": account,
        "twitter_username": null,
        "github_username": null,
        "summary": null,
        "location": null,
        "website_url": null,
        "joined_at": "Jan  1, 2026",
        "profile_image": format!("{}/_style.css", call.origin),
    }))
}

/// Creates an article, or changes one of the caller's own.
async fn write(world: &World, call: &Call, id: Option<&str>) -> Result<Value, Answer> {
    let account = authorized(call)?;
    let asked = call.value("article").filter(Value::is_object);
    let asked =
        asked.ok_or_else(|| error(422, "param is missing or the value is empty: article"))?;
    let (id, article, was) = {
        let state = lock(&world.states.devto);
        let old = match id {
            Some(id) => Some(own(&state, account, id)?),
            None => None,
        };
        let was = old.as_ref().is_some_and(|(_, article)| article.published);
        let is_new = old.is_none();
        let next = state.articles.last_key_value().map_or(1_000_001, |(last, _)| last + 1);
        let (id, mut article) = old.unwrap_or_else(|| (next, blank(account, call.now)));
        fill(&mut article, &asked);
        let mut wrong = obey_front_matter(&mut article);
        if article.published && article.published_at.is_none() {
            article.published_at = Some(call.now);
        }
        wrong.extend(problems(&state, id, &article, is_new));
        if !wrong.is_empty() {
            return Err(error(422, &wrong.join(", ")));
        }
        (id, article, was)
    };
    let (text, pictures) = markdown::pictures(&article.content);
    let mut media = Vec::new();
    let cover = article.cover.iter().map(|url| (String::new(), url.clone()));
    for (alt, url) in cover.chain(pictures) {
        media.push(markdown::shown(world, &url, &alt).await);
    }
    let text = format!("{}\n\n{text}", article.title);
    let body = json_of(call, id, &article);
    lock(&world.states.devto).articles.insert(id, article.clone());
    let ledger = &world.ledger;
    match (was, article.published) {
        (_, true) => ledger.appear(
            Network::Devto,
            Appeared {
                id: id.to_string(),
                account,
                placement: "article",
                reply_to: None,
                text,
                media,
                at: call.now,
            },
        ),
        (true, false) => ledger.vanish(Network::Devto, &id.to_string(), call.now),
        (false, false) => {}
    }
    Ok(body)
}

fn blank(account: &str, now: i64) -> Article {
    Article {
        account: account.to_owned(),
        title: String::new(),
        body: String::new(),
        content: String::new(),
        description: String::new(),
        tags: Vec::new(),
        series: None,
        cover: None,
        canonical: None,
        published: false,
        published_at: None,
        created: now,
    }
}

fn fill(article: &mut Article, asked: &Value) {
    let text = |name: &str| asked[name].as_str().map(str::to_owned);
    if let Some(title) = text("title") {
        article.title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    article.body = text("body_markdown").unwrap_or_else(|| article.body.clone());
    article.description = text("description").unwrap_or_else(|| article.description.clone());
    article.series = text("series").or(article.series.take());
    article.cover = text("main_image").or(article.cover.take());
    article.canonical = text("canonical_url").or(article.canonical.take());
    article.published = asked["published"].as_bool().unwrap_or(article.published);
    if let Some(tags) = asked["tags"].as_array() {
        article.tags =
            tags.iter().filter_map(Value::as_str).map(|t| t.trim().to_lowercase()).collect();
    }
}

/// Front matter: white space, three dashes, `name: value` lines, three dashes. It wins.
fn obey_front_matter(article: &mut Article) -> Vec<String> {
    let body = article.body.clone();
    article.content.clone_from(&body);
    let Some(inside) = body.trim_start().strip_prefix("---") else { return Vec::new() };
    let Some((matter, content)) = inside.split_once("---") else { return Vec::new() };
    for line in matter.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            return vec!["could not find expected ':' while scanning a simple key".to_owned()];
        };
        let value = value.trim().trim_matches(['"', '\'']).to_owned();
        match name.trim() {
            _ if value.is_empty() => {}
            "title" => article.title = value,
            "tags" => {
                article.tags = value.split(',').map(|tag| tag.trim().to_lowercase()).collect();
            }
            "published" => article.published = value == "true",
            "canonical_url" => article.canonical = Some(value),
            "description" => article.description = value,
            "series" => article.series = Some(value),
            "cover_image" => article.cover = Some(value),
            _ => {}
        }
    }
    article.content = content.trim().to_owned();
    Vec::new()
}

fn problems(state: &State, id: u64, article: &Article, is_new: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut add = |message: &str| wrong.push(message.to_owned());
    match article.title.chars().count() {
        0 => add("Title can't be blank"),
        n if n > TITLE_MAX => {
            add("Title is too long (maximum is 128 characters for full_post)");
        }
        _ => {}
    }
    let others = || state.articles.iter().filter(|(other, _)| **other != id).map(|(_, a)| a);
    let again = |other: &Article| {
        other.account == article.account
            && other.title == article.title
            && article.created - other.created < TITLE_REST
    };
    if is_new && others().any(again) {
        add("Title has already been used in the last five minutes");
    }
    if article.body.len() > BODY_MAX {
        add("Body markdown is too long.");
    }
    if article.tags.len() > TAGS_MAX {
        add("Tag list exceed the maximum of 4 tags");
    }
    for tag in &article.tags {
        if tag.is_empty() || !tag.chars().all(char::is_alphanumeric) {
            add(&format!(
                "Tag \"{tag}\" contains non-alphanumeric or prohibited unicode characters"
            ));
        } else if tag.chars().count() > TAG_MAX {
            add(&format!("Tag \"{tag}\" is too long (maximum is 30 characters)"));
        }
    }
    let is_url = |text: &str| {
        url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
    };
    if article.cover.as_deref().is_some_and(|cover| !is_url(cover)) {
        add("Main image is not a valid URL");
    }
    if let Some(canonical) = article.canonical.as_deref() {
        if !is_url(canonical) {
            add("Canonical url is not a valid URL");
        }
        let taken = |other: &Article| other.published && other.canonical == article.canonical;
        if article.published && others().any(taken) {
            add("Canonical url has already been taken. Email yo@dev.to for further details.");
        }
    }
    wrong
}

fn own(state: &State, account: &str, id: &str) -> Result<(u64, Article), Answer> {
    let id: u64 = id.parse().map_err(|_| not_found())?;
    let article = state.articles.get(&id).filter(|article| article.account == account);
    article.map(|article| (id, article.clone())).ok_or_else(not_found)
}

fn show(world: &World, call: &Call, id: &str) -> Result<Value, Answer> {
    let state = lock(&world.states.devto);
    let id: u64 = id.parse().map_err(|_| not_found())?;
    let article = state.articles.get(&id).filter(|article| article.published);
    article.map(|article| json_of(call, id, article)).ok_or_else(not_found)
}

fn mine(world: &World, call: &Call, status: &str) -> Result<Value, Answer> {
    let account = authorized(call)?;
    let state = lock(&world.states.devto);
    let wanted = |article: &&Article| match status {
        "unpublished" => !article.published,
        "all" => true,
        _ => article.published,
    };
    let mine = state.articles.iter().filter(|(_, a)| a.account == account && wanted(a));
    let mut mine: Vec<_> = mine.collect();
    // Newest first, and those that never were published before all others.
    mine.sort_by_key(|(_, a)| std::cmp::Reverse((a.published_at.unwrap_or(i64::MAX), a.created)));
    let number = |name: &str, or: i64| call.number(name).unwrap_or(or);
    let per_page = usize::try_from(number("per_page", 30).clamp(1, 1_000)).unwrap_or(30);
    let page = usize::try_from(number("page", 1).max(1)).unwrap_or(1);
    let page = mine.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page);
    let counted = |(id, article): (&u64, &Article)| {
        let told = world.numbers(Network::Devto, &id.to_string());
        let mut shown = listed(call, *id, article);
        shown["comments_count"] = json!(told.comments);
        shown["public_reactions_count"] = json!(told.likes);
        shown["page_views_count"] = json!(told.views);
        shown
    };
    Ok(page.map(counted).collect())
}

fn listed(call: &Call, id: u64, article: &Article) -> Value {
    let slug = slug(id, article);
    // The page of the sandbox stands for the one that the path leads to.
    let url = format!("{}/posts/devto/{id}", call.origin);
    json!({
        "type_of": "article",
        "id": id,
        "title": article.title,
        "description": article.description,
        "published": article.published,
        "published_at": article.published_at.map(iso),
        "slug": slug,
        "path": format!("/{}/{slug}", article.account),
        "url": url,
        "comments_count": 0,
        "public_reactions_count": 0,
        "page_views_count": 0,
        "published_timestamp":
            article.published_at.filter(|_| article.published).map_or(String::new(), iso),
        "body_markdown": article.body,
        "positive_reactions_count": 0,
        "cover_image": article.cover,
        "tag_list": article.tags,
        "canonical_url": article.canonical.clone().unwrap_or(url),
        "reading_time_minutes": 1,
        "user": user(&article.account),
    })
}

fn json_of(call: &Call, id: u64, article: &Article) -> Value {
    let mut body = listed(call, id, article);
    // Shown alone, the two are the other way round than in a list.
    body["tag_list"] = json!(article.tags.join(", "));
    body["tags"] = json!(article.tags);
    body["created_at"] = json!(iso(article.created));
    body["edited_at"] = Value::Null;
    body["crossposted_at"] = Value::Null;
    body["collection_id"] = Value::Null;
    body["social_image"] = json!(article.cover);
    body["body_html"] = json!(format!("<p>{}</p>", crate::text::escaped(&article.content)));
    body
}

fn slug(id: u64, article: &Article) -> String {
    let mut slug = String::new();
    for c in article.title.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    let end = if article.published_at.is_some() { "" } else { "temp-slug-" };
    format!("{}-{end}{}", slug.trim_end_matches('-'), number_of(&id.to_string(), 4))
}
