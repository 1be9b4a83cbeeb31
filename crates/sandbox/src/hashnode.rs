//! Hashnode: its GraphQL API at `/hashnode`, one publication with a Pro plan an account,
//! `{account}.hashnode.dev`.
//!
//! By the public schema (generated/schema.graphql of Hashnode's starter kit). The token goes bare into
//! `Authorization`: `sandbox-{account}`. Errors come with status 200, those of a wrong query with 400.
//! A draft stays after it is published, and then has a `publishedPost`. Answers are cached by their
//! words until the account mutates something, as at the edge of the real one.
//! Of `updatePost` are spoken the words alone. Not spoken: series, comments, newsletters, teams; unknown fields are refused.

use std::collections::{BTreeMap, HashMap};

use http::Method;
use serde_json::{Value, json};

use crate::call::{Aim, Answer, Call, Refusal};
use crate::faults::Calls;
use crate::graphql::{Field, Operation, parse, select};
use crate::ledger::{Appeared, LedgerMedia};
use crate::markdown;
use crate::rendering::slug_of;
use crate::world::{Fields, Network, World, account_of_secret, hex, iso, lock, secret_of, sha256};

/// The most that a connection gives at once.
const FIRST: i64 = 50;

#[derive(Default)]
pub(crate) struct State {
    drafts: BTreeMap<String, Draft>,
    posts: BTreeMap<String, Post>,
    made: u64,
    /// Answers to queries, by account and the words of the query.
    cache: HashMap<(String, String), Value>,
}

struct Draft {
    account: String,
    input: Value,
    slug: String,
    post: Option<String>,
    at: i64,
}

struct Post {
    account: String,
    title: String,
    content: String,
    cover: Option<String>,
    slug: String,
    at: i64,
}

pub(crate) fn fields(account: &str, _: &str) -> Fields {
    vec![("publication", host_of(account)), ("accessToken", secret_of(account))]
}

fn host_of(account: &str) -> String {
    format!("{account}.hashnode.dev")
}

fn publication_id(account: &str) -> String {
    id_of(&format!("publication {account}"))
}

/// 24 hexadecimal digits, like every id of Hashnode.
fn id_of(name: &str) -> String {
    hex(&sha256(name.as_bytes()))[..24].to_owned()
}

pub(crate) fn aim(_: &World, call: &Call) -> Aim {
    let read = operation(call);
    let first =
        read.as_ref().ok().and_then(|op| op.fields.first()).map(|field| field.name.as_str());
    let kind = match (read.as_ref().map(|op| op.kind.as_str()), first) {
        (Ok("query"), _) => Calls::Read,
        (_, Some("publishDraft" | "publishPost")) => Calls::Publish,
        (_, Some("updatePost")) => Calls::Edit,
        (_, Some("removePost")) => Calls::Delete,
        _ => Calls::Prepare,
    };
    Aim { call: kind, account: account(call).map(str::to_owned) }
}

pub(crate) async fn answer(world: &World, call: &Call) -> Answer {
    if call.method != Method::POST || !call.path.is_empty() {
        return Answer::html(404, "<html>Not Found</html>");
    }
    let operation = match operation(call) {
        Ok(operation) => operation,
        Err(message) => return errors(400, &message, "GRAPHQL_VALIDATION_FAILED", None),
    };
    let words = (call.header("authorization").unwrap_or_default().to_owned(), call_words(call));
    let is_query = operation.kind == "query";
    if is_query && let Some(known) = lock(&world.states.hashnode).cache.get(&words) {
        return Answer::json(200, known).header("gcdn-cache", "HIT");
    }
    let mut data = serde_json::Map::new();
    for field in &operation.fields {
        let value = match is_query {
            true => query(world, call, field),
            false => mutate(world, call, field).await,
        };
        match value {
            Ok(value) => drop(data.insert(field.alias.clone(), value)),
            Err(refused) => return refused,
        }
    }
    let body = json!({ "data": data });
    let mut state = lock(&world.states.hashnode);
    if is_query {
        state.cache.insert(words, body.clone());
    }
    Answer::json(200, &body).header("gcdn-cache", "MISS")
}

pub(crate) fn refuse(_: &Call, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Unreadable => errors(400, "POST body is not JSON.", "BAD_REQUEST", None),
        Refusal::RateLimit(ms) => errors(429, "Too many requests.", "RATE_LIMITED", None)
            .header("retry-after", &(ms.max(0).unsigned_abs().div_ceil(1_000)).to_string()),
        Refusal::ServerError => errors(200, "Internal server error", "INTERNAL_SERVER_ERROR", None),
        Refusal::Auth => errors(200, UNAUTHENTICATED, "UNAUTHENTICATED", None),
        Refusal::TooLarge => errors(413, "Request entity too large.", "BAD_REQUEST", None),
    }
}

const UNAUTHENTICATED: &str = "You must be authenticated.";

fn errors(status: u16, message: &str, code: &str, path: Option<&str>) -> Answer {
    let mut error = json!({ "message": message, "extensions": { "code": code } });
    if let Some(path) = path {
        error["locations"] = json!([{ "line": 1, "column": 1 }]);
        error["path"] = json!([path]);
    }
    let mut body = json!({ "errors": [error] });
    if status == 200 {
        body["data"] = Value::Null;
    }
    Answer::json(status, &body)
}

fn operation(call: &Call) -> Result<Operation, String> {
    let query = call.text("query").ok_or("GraphQL operations must contain a `query`.")?;
    parse(&query, &call.value("variables").unwrap_or_default())
}

fn call_words(call: &Call) -> String {
    String::from_utf8_lossy(&call.body).into_owned()
}

fn account(call: &Call) -> Option<&str> {
    account_of_secret(call.header("authorization")?)
}

fn authorized<'c>(call: &'c Call, field: &Field) -> Result<&'c str, Answer> {
    let refused = || errors(200, UNAUTHENTICATED, "UNAUTHENTICATED", Some(&field.alias));
    account(call).ok_or_else(refused)
}

fn bad(field: &Field, message: &str) -> Answer {
    errors(200, message, "BAD_USER_INPUT", Some(&field.alias))
}

fn missing(field: &Field, what: &str) -> Answer {
    errors(200, &format!("{what} not found"), "NOT_FOUND", Some(&field.alias))
}

/// The fields of an object that were asked for; `extra` are those with arguments.
fn shown(whole: &Value, field: &Field) -> Result<Value, Answer> {
    select(whole, &field.fields)
        .map_err(|message| errors(400, &message, "GRAPHQL_VALIDATION_FAILED", None))
}

fn object_id<'f>(field: &'f Field, arg: &str) -> Result<&'f str, Answer> {
    let id = field.text(arg);
    match id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(id),
        false => Err(bad(field, &format!("Invalid ObjectId: {id}"))),
    }
}

// Queries

fn query(world: &World, call: &Call, field: &Field) -> Result<Value, Answer> {
    let state = lock(&world.states.hashnode);
    match field.name.as_str() {
        "me" => {
            let account = authorized(call, field)?;
            let mut me = json!({
                "id": id_of(&format!("user {account}")), "username": account, "name": account,
            });
            if let Some(asked) = field.fields.iter().find(|f| f.name == "publications") {
                first(asked)?;
                let node = publication(&state, call, account);
                me["publications"] = connection(vec![json!({ "role": "OWNER", "node": node })]);
            }
            shown(&me, field)
        }
        "publication" => {
            let id = match field.text("host") {
                "" => object_id(field, "id")?.to_owned(),
                host => match host.strip_suffix(".hashnode.dev") {
                    Some(account) => publication_id(account),
                    None => return Ok(Value::Null),
                },
            };
            // The sandbox knows the publications of those who ask for their own.
            let Some(owner) = account(call).filter(|name| publication_id(name) == id) else {
                return Ok(Value::Null);
            };
            let mut whole = publication(&state, call, owner);
            for asked in &field.fields {
                match asked.name.as_str() {
                    "post" => {
                        let slug = asked.text("slug");
                        let post =
                            state.posts.iter().find(|(_, p)| p.account == owner && p.slug == slug);
                        whole["post"] =
                            post.map_or(Value::Null, |(id, post)| post_json(call, id, post));
                    }
                    "drafts" => {
                        let most = first(asked)?;
                        let mine = state
                            .drafts
                            .iter()
                            .filter(|(_, d)| d.account == owner && d.post.is_none());
                        let mut mine: Vec<_> = mine.collect();
                        mine.sort_by_key(|(_, draft)| std::cmp::Reverse(draft.at));
                        let edges = mine.into_iter().take(most);
                        let edges = edges.map(
                            |(id, draft)| json!({ "node": draft_json(&state, call, id, draft) }),
                        );
                        whole["drafts"] = connection(edges.collect());
                    }
                    _ => {}
                }
            }
            shown(&whole, field)
        }
        "draft" => {
            let account = authorized(call, field)?;
            let id = object_id(field, "id")?;
            match state.drafts.get(id).filter(|draft| draft.account == account) {
                Some(draft) => shown(&draft_json(&state, call, id, draft), field),
                None => Ok(Value::Null),
            }
        }
        "post" => match state.posts.get(field.text("id")) {
            Some(post) => {
                let told = world.numbers(Network::Hashnode, field.text("id"));
                let mut whole = post_json(call, field.text("id"), post);
                whole["views"] = json!(told.views);
                whole["reactionCount"] = json!(told.likes);
                whole["responseCount"] = json!(told.comments);
                shown(&whole, field)
            }
            None => Ok(Value::Null),
        },
        other => Err(unknown(other, "Query")),
    }
}

fn unknown(field: &str, kind: &str) -> Answer {
    let message = format!("Cannot query field \"{field}\" on type \"{kind}\".");
    errors(400, &message, "GRAPHQL_VALIDATION_FAILED", None)
}

fn first(field: &Field) -> Result<usize, Answer> {
    let first = field.args.get("first").and_then(Value::as_i64);
    let first = first
        .filter(|n| (1..=FIRST).contains(n))
        .ok_or_else(|| bad(field, "Argument \"first\" must be between 1 and 50."))?;
    Ok(usize::try_from(first).unwrap_or_default())
}

fn connection(edges: Vec<Value>) -> Value {
    json!({
        "edges": edges,
        "totalDocuments": edges.len(),
        "pageInfo": { "hasNextPage": false, "endCursor": null },
    })
}

fn publication(_: &State, _: &Call, account: &str) -> Value {
    json!({
        "id": publication_id(account),
        "title": format!("The blog of {account}"),
        "url": format!("https://{}", host_of(account)),
        "isTeam": false,
    })
}

fn draft_json(state: &State, call: &Call, id: &str, draft: &Draft) -> Value {
    let post = draft.post.as_ref().and_then(|post| Some((post, state.posts.get(post)?)));
    json!({
        "id": id,
        "slug": draft.slug,
        "title": draft.input["title"],
        "content": { "markdown": draft.input["contentMarkdown"] },
        "publishedPost": post.map(|(id, post)| post_json(call, id, post)),
        "scheduledDate": null,
        "updatedAt": iso(draft.at),
    })
}

fn post_json(call: &Call, id: &str, post: &Post) -> Value {
    json!({
        "id": id,
        "title": post.title,
        "slug": post.slug,
        "content": { "markdown": post.content },
        // The page of the sandbox stands for the one on the blog.
        "url": format!("{}/posts/hashnode/{id}", call.origin),
        "publishedAt": iso(post.at),
    })
}

// Mutations

async fn mutate(world: &World, call: &Call, field: &Field) -> Result<Value, Answer> {
    let account = authorized(call, field)?;
    let input = field.args.get("input").cloned().unwrap_or_default();
    let whole = match field.name.as_str() {
        "createDraft" => create(world, call, field, account, input)?,
        "publishDraft" => publish(world, call, field, account, &input).await?,
        "updatePost" => update(world, call, field, account, &input).await?,
        "removePost" => {
            let mut state = lock(&world.states.hashnode);
            let id = input["id"].as_str().unwrap_or_default();
            let own = state.posts.get(id).is_some_and(|post| post.account == account);
            let post = own.then(|| state.posts.remove(id)).flatten();
            let post = post.ok_or_else(|| missing(field, "Post"))?;
            world.ledger.vanish(Network::Hashnode, id, call.now);
            json!({ "post": post_json(call, id, &post) })
        }
        other => return Err(unknown(other, "Mutation")),
    };
    // What an account changes, it sees changed.
    let token = call.header("authorization").unwrap_or_default();
    lock(&world.states.hashnode).cache.retain(|(by, _), _| by != token);
    shown(&whole, field)
}

fn create(
    world: &World,
    call: &Call,
    field: &Field,
    account: &str,
    input: Value,
) -> Result<Value, Answer> {
    const KNOWN: [&str; 15] = [
        "coAuthors",
        "contentMarkdown",
        "coverImageOptions",
        "disableComments",
        "metaTags",
        "originalArticleURL",
        "publicationId",
        "publishAs",
        "publishedAt",
        "seriesId",
        "settings",
        "slug",
        "subtitle",
        "tags",
        "title",
    ];
    let given = input.as_object().ok_or_else(|| bad(field, "`input` is missing"))?;
    if let Some(name) = given.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        let message = format!("Field \"{name}\" is not defined by type \"CreateDraftInput\".");
        return Err(errors(400, &message, "GRAPHQL_VALIDATION_FAILED", None));
    }
    if input["publicationId"] != json!(publication_id(account)) {
        let message = "You don't have permission to write for this publication.";
        return Err(errors(200, message, "FORBIDDEN", Some(&field.alias)));
    }
    check_tags(field, &input)?;
    let mut state = lock(&world.states.hashnode);
    state.made += 1;
    let id = id_of(&format!("draft {}", state.made));
    let title = input["title"].as_str().unwrap_or_default();
    let slug = input["slug"].as_str().map_or_else(|| slug_of(title), str::to_owned);
    let draft = Draft { account: account.to_owned(), input, slug, post: None, at: call.now };
    let body = json!({ "draft": draft_json(&state, call, &id, &draft) });
    state.drafts.insert(id, draft);
    Ok(body)
}

fn check_tags(field: &Field, input: &Value) -> Result<(), Answer> {
    for tag in input["tags"].as_array().into_iter().flatten() {
        let slug = tag["slug"].as_str().unwrap_or_default();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if slug.is_empty() || !slug.bytes().all(plain) || tag["name"].as_str().is_none() {
            return Err(bad(field, "A tag needs a name and a slug."));
        }
    }
    Ok(())
}

/// An article as readers see it: its text, and its pictures behind the cover.
async fn read(world: &World, content: &str, cover: Option<&String>) -> (String, Vec<LedgerMedia>) {
    let (text, pictures) = markdown::pictures(content);
    let mut media = Vec::new();
    for (alt, url) in cover.map(|url| (String::new(), url.clone())).into_iter().chain(pictures) {
        media.push(markdown::shown(world, &url, &alt).await);
    }
    (text, media)
}

/// Changes what is given of a post of one's own; what is left out stays.
async fn update(
    world: &World,
    call: &Call,
    field: &Field,
    account: &str,
    input: &Value,
) -> Result<Value, Answer> {
    const KNOWN: [&str; 5] = ["id", "title", "subtitle", "contentMarkdown", "tags"];
    let given = input.as_object().ok_or_else(|| bad(field, "`input` is missing"))?;
    if let Some(name) = given.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        let message = format!("Field \"{name}\" is not defined by type \"UpdatePostInput\".");
        return Err(errors(400, &message, "GRAPHQL_VALIDATION_FAILED", None));
    }
    check_tags(field, input)?;
    let id = input["id"].as_str().unwrap_or_default();
    let new = |name: &str| input[name].as_str().map(str::to_owned);
    let (content, cover) = {
        let state = lock(&world.states.hashnode);
        let post = state.posts.get(id).filter(|post| post.account == account);
        let post = post.ok_or_else(|| missing(field, "Post"))?;
        (new("contentMarkdown").unwrap_or_else(|| post.content.clone()), post.cover.clone())
    };
    if new("title").is_some_and(|title| title.trim().is_empty()) {
        return Err(bad(field, "Title is required."));
    }
    let (text, media) = read(world, &content, cover.as_ref()).await;
    let mut state = lock(&world.states.hashnode);
    let post = state.posts.get_mut(id).ok_or_else(|| missing(field, "Post"))?;
    post.content = content;
    if let Some(title) = new("title") {
        title.trim().clone_into(&mut post.title);
    }
    let text = format!("{}\n\n{text}", post.title);
    world.ledger.edit(Network::Hashnode, id, |post| (post.text, post.media) = (text, media));
    Ok(json!({ "post": post_json(call, id, post) }))
}

async fn publish(
    world: &World,
    call: &Call,
    field: &Field,
    account: &str,
    input: &Value,
) -> Result<Value, Answer> {
    let id = input["draftId"].as_str().unwrap_or_default();
    let (content, cover) = {
        let state = lock(&world.states.hashnode);
        let draft = state.drafts.get(id).filter(|draft| draft.account == account);
        let draft = draft.ok_or_else(|| missing(field, "Draft"))?;
        if draft.post.is_some() {
            return Err(bad(field, "The draft has already been published."));
        }
        let text = |name: &str| draft.input[name].as_str().unwrap_or_default().to_owned();
        if text("title").trim().is_empty() {
            return Err(bad(field, "Title is required."));
        }
        let cover = draft.input["coverImageOptions"]["coverImageURL"].as_str();
        (text("contentMarkdown"), cover.map(str::to_owned))
    };
    let (text, media) = read(world, &content, cover.as_ref()).await;
    let mut state = lock(&world.states.hashnode);
    state.made += 1;
    let post_id = id_of(&format!("post {}", state.made));
    let Some(draft) = state.drafts.get_mut(id) else { return Err(missing(field, "Draft")) };
    draft.post = Some(post_id.clone());
    let title = draft.input["title"].as_str().unwrap_or_default().trim().to_owned();
    let mut slug = draft.slug.clone();
    if state.posts.values().any(|post| post.account == account && post.slug == slug) {
        slug = format!("{slug}-1");
    }
    world.ledger.appear(
        Network::Hashnode,
        Appeared {
            id: post_id.clone(),
            account,
            placement: "article",
            reply_to: None,
            text: format!("{title}\n\n{text}"),
            media,
            at: call.now,
        },
    );
    let post = Post { account: account.to_owned(), title, content, cover, slug, at: call.now };
    let body = json!({ "post": post_json(call, &post_id, &post) });
    state.posts.insert(post_id, post);
    Ok(body)
}
