//! The page that people look at: what was posted, as followers would see it.
//!
//! Every permalink that an API returns ends here. No JavaScript, one embedded style sheet, light and
//! dark by the reader's setting.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use http::{HeaderMap, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use crate::ledger::{LedgerMedia, LedgerPost};
use crate::telegram;
use crate::world::{Network, World};

/// Posts on one page.
const SHOWN: usize = 50;
/// Posts of each network on the page of all of them.
const SHOWN_OF_EACH: usize = 10;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    network: Option<String>,
    account: Option<String>,
    #[serde(default)]
    skip: usize,
}

pub(crate) async fn index(
    State(world): State<Arc<World>>,
    Query(wanted): Query<Wanted>,
) -> (StatusCode, Markup) {
    let network = wanted.network.as_deref().filter(|network| !network.is_empty());
    match network.map(|id| (id, Network::find(id))) {
        None => (StatusCode::OK, overview(&world)),
        Some((_, Some(network))) => (StatusCode::OK, of_network(&world, network, &wanted)),
        Some((id, None)) => not_found(&format!("{id} is not a network of the sandbox.")),
    }
}

pub(crate) async fn post(
    State(world): State<Arc<World>>,
    Path((network, id)): Path<(String, String)>,
) -> (StatusCode, Markup) {
    let Some(network) = Network::find(&network) else {
        return not_found(&format!("{network} is not a network of the sandbox."));
    };
    world.catch_up(network);
    let id = if network == Network::Telegram { numbered(&id) } else { id };
    let Some(post) = world.ledger.get(network, &id) else {
        return not_found(&format!("{} has no post {id}, and never had one.", network.name()));
    };
    let gone = post.deleted_at.is_some();
    let title = format!("{} on {}", post.account, network.name());
    let body = html! {
        h1 { (title) }
        @if gone { p.notice role="status" { "This post was deleted. Followers no longer see it." } }
        ol.posts { (article(network, &post)) }
        p { a href=(account_path(network, &post.account)) { "Everything of " (post.account) } }
    };
    let status = if gone { StatusCode::GONE } else { StatusCode::OK };
    (status, page(&world, Some(network), &title, &body))
}

pub(crate) async fn style() -> ([(header::HeaderName, &'static str); 2], &'static str) {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, include_str!("style.css"))
}

/// What browsers ask every page's host for.
pub(crate) async fn icon() -> ([(header::HeaderName, &'static str); 2], &'static str) {
    let headers =
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "max-age=3600")];
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><path fill=\"#b8863b\" \
               d=\"M3 12h26v15a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2zM9 3h3v7H9zm11 0h3v7h-3z\"/></svg>";
    (headers, svg)
}

/// Everything that is not routed. A program is told so in a few words.
pub(crate) async fn missing(headers: HeaderMap) -> axum::response::Response {
    use axum::response::IntoResponse;
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains("text/html")) {
        return not_found("There is no such page.").into_response();
    }
    let known = Network::ALL
        .iter()
        .map(|network| format!("/{}/", network.id()))
        .collect::<Vec<_>>()
        .join(" ");
    let said = format!("Not found. The networks of the sandbox are at {known}\n");
    (StatusCode::NOT_FOUND, said).into_response()
}

fn overview(world: &World) -> Markup {
    let body = html! {
        h1 { "What was posted" }
        @for &network in Network::ALL {
            @let (posts, total) = newest(world, network, None, 0, SHOWN_OF_EACH);
            section aria-labelledby=(network.id()) {
                h2 id=(network.id()) { (network.name()) " " span.count { (count(total)) } }
                @if posts.is_empty() {
                    p.empty { "Nothing yet." }
                } @else {
                    ol.posts { @for post in &posts { (article(network, post)) } }
                    @if total > posts.len() {
                        p { a href=(network_path(network)) { "All of " (network.name()) } }
                    }
                }
            }
        }
    };
    page(world, None, "What was posted", &body)
}

fn of_network(world: &World, network: Network, wanted: &Wanted) -> Markup {
    let account = wanted.account.as_deref().filter(|account| !account.is_empty());
    let (posts, total) = newest(world, network, account, wanted.skip, SHOWN);
    let accounts = world.ledger.accounts(network);
    let title = match account {
        Some(account) => format!("{account} on {}", network.name()),
        None => network.name().to_owned(),
    };
    let here = |skip: usize| match account {
        Some(account) => format!("{}&skip={skip}", account_path(network, account)),
        None => format!("{}&skip={skip}", network_path(network)),
    };
    let body = html! {
        h1 { (title) " " span.count { (count(total)) } }
        @if accounts.len() > 1 || account.is_some() {
            nav.accounts aria-label="Accounts" {
                a href=(network_path(network)) aria-current=[current(account.is_none())] { "All" }
                @for (name, posts) in &accounts {
                    a href=(account_path(network, name)) aria-current=[current(account == Some(name))] {
                        (name) " " span.count { (posts) }
                    }
                }
            }
        }
        @if posts.is_empty() {
            p.empty { "Nothing here." }
        } @else {
            ol.posts { @for post in &posts { (article(network, post)) } }
        }
        @if wanted.skip > 0 || total > wanted.skip + posts.len() {
            nav.more aria-label="Pages" {
                @if wanted.skip > 0 { a href=(here(wanted.skip.saturating_sub(SHOWN))) { "Newer" } }
                @if total > wanted.skip + posts.len() { a href=(here(wanted.skip + SHOWN)) { "Older" } }
            }
        }
    };
    page(world, Some(network), &title, &body)
}

fn newest(
    world: &World,
    network: Network,
    account: Option<&str>,
    skip: usize,
    limit: usize,
) -> (Vec<LedgerPost>, usize) {
    world.catch_up(network);
    world.ledger.newest(network, account, skip, limit)
}

fn page(world: &World, here: Option<Network>, title: &str, body: &Markup) -> Markup {
    let faults = world.faults.left();
    let faults = faults["faults"].as_array().map_or(0, Vec::len);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · Carillon sandbox" }
                link rel="stylesheet" href="/_style.css";
                link rel="icon" href="data:,";
            }
            body {
                a.skip href="#main" { "Skip to the posts" }
                header {
                    p.sandbox {
                        strong { "Sandbox: nothing here is public." }
                        @if faults > 0 { " " span { (faults) " scripted " (if faults == 1 { "fault" } else { "faults" }) " waiting." } }
                    }
                    nav aria-label="Networks" {
                        a href="/" aria-current=[current(here.is_none())] { "All" }
                        @for &network in Network::ALL {
                            a href=(network_path(network)) aria-current=[current(here == Some(network))] {
                                (network.name())
                            }
                        }
                    }
                }
                main id="main" { (body) }
            }
        }
    }
}

fn current(is: bool) -> Option<&'static str> {
    is.then_some("page")
}

fn article(network: Network, post: &LedgerPost) -> Markup {
    let anchor = format!("{}-{}", network.id(), post.id);
    let created = readable_time(&post.created_at);
    html! {
        li id=(anchor) {
            article.deleted[post.deleted_at.is_some()] {
                header {
                    a.account href=(account_path(network, &post.account)) { (post.account) }
                    " "
                    @if post.placement != "feed" { span.placement { (post.placement) } " " }
                    a.when href=(post_path(network, &post.id)) {
                        time datetime=(post.created_at) { (created) }
                    }
                }
                @if let Some(at) = &post.deleted_at {
                    p.gone { "Deleted " time datetime=(at) { (readable_time(at)) } }
                }
                @if !post.text.is_empty() {
                    @if post.deleted_at.is_some() {
                        p.text { s { (post.text) } }
                    } @else {
                        p.text { (post.text) }
                    }
                }
                @if let Some(poll) = &post.poll {
                    @if let Some(question) = &poll.question { p.text { (question) } }
                    ul.poll { @for answer in &poll.answers { li { (answer) } } }
                }
                @if !post.media.is_empty() {
                    ul.media { @for medium in &post.media { li { (shown(medium)) } } }
                }
            }
        }
    }
}

fn shown(medium: &LedgerMedia) -> Markup {
    html! {
        @match medium.kind.as_str() {
            "image" => {
                img src=(medium.url) alt=(medium.alt) loading="lazy";
                @if medium.alt.is_empty() { span.alt { "No description" } }
                @else { span.alt { (medium.alt) } }
            }
            "video" => { video src=(medium.url) controls preload="metadata" {} }
            "link" => {
                a.card href=(medium.url) rel="noopener noreferrer" {
                    @if medium.alt.is_empty() { (medium.url) } @else { (medium.alt) }
                }
            }
            _ => { a href=(medium.url) { "File, " (medium.bytes) " bytes" } }
        }
    }
}

fn not_found(why: &str) -> (StatusCode, Markup) {
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Not found · Carillon sandbox" }
                link rel="stylesheet" href="/_style.css";
                link rel="icon" href="data:,";
            }
            body {
                main id="main" {
                    h1 { "Not found" }
                    p { (why) }
                    p { a href="/" { "What was posted" } }
                }
            }
        }
    };
    (StatusCode::NOT_FOUND, body)
}

/// `2026-11-22T04:05:06.789Z` → `2026-11-22 04:05:06 UTC`
fn readable_time(iso: &str) -> String {
    format!("{} UTC", iso.get(..19).unwrap_or(iso).replace('T', " "))
}

fn count(total: usize) -> String {
    match total {
        1 => "1 post".to_owned(),
        n => format!("{n} posts"),
    }
}

fn network_path(network: Network) -> String {
    format!("/?network={}", network.id())
}

fn account_path(network: Network, account: &str) -> String {
    format!("/?network={}&account={account}", network.id())
}

fn post_path(network: Network, id: &str) -> String {
    let escaped: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/posts/{}/{}", network.id(), escaped.replace('+', "%20"))
}

/// `@name/5` → `-100…/5`: a chat has both.
fn numbered(id: &str) -> String {
    match id.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
        Some((name, message)) => format!("{}/{message}", telegram::number_of_chat(name)),
        None => id.to_owned(),
    }
}
