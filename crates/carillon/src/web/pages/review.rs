//! What a client sees who has a link and no account: each post as followers will see it, and a form
//! for a yes or for what to change. It works without a script, and shows nothing else.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use carillon_networks::spec::Spec;
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::approval;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::review::ReviewState;
use crate::domain::when;
use crate::ids;
use crate::media::links as media_links;
use crate::planning::links::{self, Item, Opened, Verdict};
use crate::planning::review::Answer;
use crate::publishing::view::{DeliveryView, MediaBrief, PostView};
use crate::store::reviews::{Comment, Review};
use crate::web::auth::{self, Peer};
use crate::web::pages::{errors, layout};
use crate::web::{ApiError, Web};

const PURPOSE: &str = "review-form";
/// Tokens that open nothing, a minute from one network address.
const GUESSES: usize = 20;

#[derive(Deserialize)]
pub struct Given {
    /// Sealed when the page was made: which review it is about, and which content.
    #[serde(default)]
    form: String,
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    text: String,
}

/// `GET /r/{token}`
pub async fn show(
    State(web): State<Web>,
    peer: Peer,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    match open(&web, &peer, &token).await? {
        Ok(opened) => Ok(page(StatusCode::OK, &web.app, &token, &opened, None)),
        Err(closed) => Ok(closed),
    }
}

/// `POST /r/{token}`
pub async fn submit(
    State(web): State<Web>,
    peer: Peer,
    headers: HeaderMap,
    Path(token): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, ApiError> {
    let app = &web.app;
    auth::from_our_pages(&headers, &app.public_url())?;
    let opened = match open(&web, &peer, &token).await? {
        Ok(opened) => opened,
        Err(closed) => return Ok(closed),
    };
    let Some((review, content)) = read_form(app, &opened, &given.form) else {
        let fix = "Open your link again and answer there.";
        return Err(ApiError::new(Kind::Forbidden, "form_unknown", "This form is not ours.", fix));
    };
    let verdict = match given.verdict.as_str() {
        "approve" => Verdict::Approve,
        _ => Verdict::Change,
    };
    let text = Some(given.text.clone()).filter(|text| !text.trim().is_empty());
    let answer = Answer { text, content: Some(content) };
    match links::answer(app, &token, &review, verdict, answer).await {
        Ok(()) => Ok(Redirect::to(&format!("/r/{token}#{review}")).into_response()),
        Err(refusal) if refusal.kind == Kind::Internal => Err(refusal.into()),
        Err(refusal) => {
            let status = ApiError::from(refusal.clone()).status();
            // As it is now: it may have changed since.
            let opened = links::open(app, &token).await?;
            let wrong = Wrong { review, refusal, text: given.text };
            Ok(page(status, app, &token, &opened, Some(&wrong)))
        }
    }
}

/// What an answer was refused for, and what was written.
struct Wrong {
    review: String,
    refusal: Refusal,
    text: String,
}

/// What the link shows, or a page that says why it shows nothing.
async fn open(
    web: &Web,
    Peer(from): &Peer,
    token: &str,
) -> Result<Result<Opened, Response>, ApiError> {
    let address = from.map_or_else(|| "unknown".to_owned(), |a| a.ip().to_string());
    let now = web.app.clock.mono();
    if let Err(seconds) = web.guesses.begin(&address, GUESSES, now) {
        let sentence = "Too many links that open nothing came from your network.";
        let fix = format!("Wait {seconds} s and try again.");
        let e = ApiError::new(Kind::TooMany, "too_many_links", sentence, fix);
        return Err(e.retry_after(seconds));
    }
    match links::open(&web.app, token).await {
        Ok(opened) => {
            web.guesses.clear(&address);
            Ok(Ok(opened))
        }
        Err(e) if matches!(e.kind, Kind::NotFound | Kind::Conflict) => {
            let gone = e.kind == Kind::Conflict;
            let status = if gone { StatusCode::GONE } else { StatusCode::NOT_FOUND };
            Ok(Err(errors::answer(status, &e.sentence, &e.fix)))
        }
        Err(e) => Err(e.into()),
    }
}

fn form_of(app: &App, opened: &Opened, review: &Review) -> String {
    let content = approval::name_of(&review.content);
    app.keys.ticket(&format!("{}|{}|{content}", opened.link.id, review.id), PURPOSE)
}

/// The review and the content that a form was made for, if it is one of this link's.
fn read_form(app: &App, opened: &Opened, form: &str) -> Option<(String, String)> {
    let text = app.keys.read_ticket(form, PURPOSE).ok()?;
    let mut parts = text.split('|');
    (parts.next()? == opened.link.id).then_some(())?;
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn page(
    status: StatusCode,
    app: &App,
    token: &str,
    opened: &Opened,
    wrong: Option<&Wrong>,
) -> Response {
    let waiting = |item: &&Item| matches!(item, Item::Shown { review, .. } if review.state == ReviewState::Open);
    let open = opened.items.iter().filter(waiting).count();
    let title = match open {
        0 => "Nothing waits for you".to_owned(),
        1 => "One post waits for your approval".to_owned(),
        n => format!("{n} posts wait for your approval"),
    };
    let until = when::long(opened.link.expires_at, &opened.zone);
    let main = html! {
        h1 { (title) }
        p { (opened.workspace) " shows you, " (opened.link.name) ", what followers will see." }
        @if wrong.is_some_and(|w| !opened.items.iter().any(|i| is(i, &w.review))) {
            @if let Some(w) = wrong { (refused(&w.refusal)) }
        }
        @for item in &opened.items {
            @match item {
                Item::Shown { review, post, said } => {
                    (shown(app, token, opened, review, post, said, wrong))
                }
                Item::Later => {
                    section class="review" {
                        p { "A post is being worked on. It is shown here when it is ready for you." }
                    }
                }
            }
        }
        p class="fine" { "This page opens until " (until) ". Whoever has its address can answer in your name." }
    };
    let mut response = layout::respond(status, &title, &main);
    response.headers_mut().insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex, nofollow"),
    );
    response
}

fn is(item: &Item, id: &str) -> bool {
    matches!(item, Item::Shown { review, .. } if review.id == id)
}

fn refused(refusal: &Refusal) -> Markup {
    let says = refusal.problems.first().map_or(&refusal.sentence, |p| &p.message);
    html! { p class="alert" role="alert" { (layout::prose(says)) } }
}

fn shown(
    app: &App,
    token: &str,
    opened: &Opened,
    review: &Review,
    post: &PostView,
    said: &[Comment],
    wrong: Option<&Wrong>,
) -> Markup {
    let (id, wrong) = (&review.id, wrong.filter(|w| w.review == review.id));
    let heading = match post.title.as_deref().filter(|title| !title.is_empty()) {
        Some(title) => title.to_owned(),
        None => "Post".to_owned(),
    };
    html! {
        section class="review" id=(id) aria-labelledby=(format!("{id}-h")) {
            h2 id=(format!("{id}-h")) { (heading) }
            p class="when" { (time(post.scheduled_at.as_deref(), &opened.zone)) }
            @for m in &post.media { (medium(app, &opened.link.workspace_id, m)) }
            @for group in groups(post) { (seen(post, &group, &opened.zone)) }
            @for c in said {
                blockquote class="said" { p { (c.text) } p class="fine" { "You, " (when::long(c.at, &opened.zone)) } }
            }
            @if review.state == ReviewState::Approved {
                p class="done" { "✓ Approved" }
            } @else {
                @if let Some(w) = wrong { (refused(&w.refusal)) }
                form method="post" action=(format!("/r/{token}")) {
                    input type="hidden" name="form" value=(form_of(app, opened, review));
                    div class="field" {
                        label for=(format!("{id}-text")) { "What should change?" }
                        p class="fine" id=(format!("{id}-help")) { "Needed only if you ask for changes." }
                        textarea id=(format!("{id}-text")) name="text" rows="3" maxlength="5000"
                            aria-describedby=(format!("{id}-help"))
                            aria-invalid=[wrong.map(|_| "true")] { (wrong.map_or("", |w| w.text.as_str())) }
                    }
                    p class="actions" {
                        button name="verdict" value="approve" { "Approve" }
                        " "
                        button class="quiet" name="verdict" value="change" { "Ask for changes" }
                    }
                }
            }
        }
    }
}

/// Deliveries that followers see alike.
fn groups(post: &PostView) -> Vec<Vec<&DeliveryView>> {
    let alike = |a: &DeliveryView, b: &DeliveryView| {
        let after = |d: &DeliveryView| following(post, &d.id);
        (&a.text, &a.options, &a.scheduled_at) == (&b.text, &b.options, &b.scheduled_at)
            && after(a) == after(b)
    };
    let mut all: Vec<Vec<&DeliveryView>> = Vec::new();
    for d in post.deliveries.iter().filter(|d| d.parent_id.is_none() && goes(d)) {
        match all.iter_mut().find(|group| alike(group[0], d)) {
            Some(group) => group.push(d),
            None => all.push(vec![d]),
        }
    }
    all
}

fn goes(d: &DeliveryView) -> bool {
    use crate::domain::delivery::DeliveryState::{Cancelled, Removed};
    !matches!(d.state, Cancelled | Removed)
}

/// What is said after a delivery: the next parts of a thread, a first comment.
fn following<'a>(post: &'a PostView, id: &str) -> Vec<&'a str> {
    let mut texts = Vec::new();
    for d in post.deliveries.iter().filter(|d| d.parent_id.as_deref() == Some(id) && goes(d)) {
        texts.push(d.text.as_deref().unwrap_or_default());
        texts.extend(following(post, &d.id));
    }
    texts
}

fn seen(post: &PostView, group: &[&DeliveryView], zone: &str) -> Markup {
    let first = group[0];
    let own_time = first.scheduled_at != post.scheduled_at;
    html! {
        article {
            h3 {
                @for (i, d) in group.iter().enumerate() {
                    @if i > 0 { ", " }
                    (network(d)) " (" (d.connection_name) ")"
                }
            }
            @if own_time { p class="when" { (time(first.scheduled_at.as_deref(), zone)) } }
            p class="text" { (first.text.as_deref().unwrap_or(&post.text)) }
            @for text in following(post, &first.id) { p class="text after" { (text) } }
            @for (label, answer) in answers(first) { p class="fine" { (label) ": " (answer) } }
        }
    }
}

fn spec(d: &DeliveryView) -> Option<&'static Spec> {
    carillon_networks::find(&d.network).map(|n| n.spec())
}

fn network(d: &DeliveryView) -> String {
    let Some(spec) = spec(d) else { return d.network.clone() };
    match spec.placement(&d.placement) {
        Some(place) if spec.placements.len() > 1 => format!("{} {}", spec.name, place.name),
        _ => spec.name.to_owned(),
    }
}

/// What is said beside text and media, by its name; an answer that is an id of ours says nothing.
fn answers(d: &DeliveryView) -> Vec<(&'static str, &str)> {
    let Some(place) = spec(d).and_then(|s| s.placement(&d.placement)) else { return Vec::new() };
    let mut told = Vec::new();
    for (key, answer) in &d.options {
        let option = place.options.iter().find(|o| o.key == key);
        if let Some(option) = option.filter(|_| !answer.is_empty() && !ids::valid(answer)) {
            told.push((option.label, answer.as_str()));
        }
    }
    told
}

/// A picture as it is sent, a video by the picture that stands for it.
fn medium(app: &App, workspace: &str, m: &MediaBrief) -> Markup {
    let film = m.content_type.starts_with("video/");
    let link = |kind: &str| {
        let link = media_links::own(app, workspace, &m.id, kind);
        // At whatever address this page was opened.
        link.strip_prefix(&app.public_url()).map(str::to_owned).unwrap_or(link)
    };
    html! {
        figure {
            img src=(link(if film { "poster" } else { "full" })) alt=(m.alt) loading="lazy"
                width=[(m.width > 0).then_some(m.width)] height=[(m.height > 0).then_some(m.height)];
            @if film { figcaption class="fine" { "A video; its first picture is shown." } }
            @else if m.alt.is_empty() { figcaption class="fine" { "It has no description." } }
        }
    }
}

fn time(at: Option<&str>, zone: &str) -> String {
    match at.and_then(|at| when::parse(at, "UTC").ok()) {
        Some(at) => format!("{} ({zone})", when::long(at, zone)),
        None => "No time is chosen yet".to_owned(),
    }
}
