//! The app's HTML, made for each request: what its route loads is named in the head, and what its
//! first screen shows is in it as data, so that nothing waits for a second round trip.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::{Value, json};

use crate::app::App;
use crate::domain::delivery::DeliveryState;
use crate::domain::refusal::Refusal;
use crate::domain::when;
use crate::ids;
use crate::planning::campaigns::{self, CampaignView};
use crate::publishing::{apps, calendar, connecting, dead_letters, pausing};
use crate::store::dead_letters::Filter;
use crate::watch::trail;
use crate::web::api::session;
use crate::web::assets::{self, Preload};
use crate::web::pages::errors;
use crate::web::{ApiError, Caller, Web, auth, request};

/// Beyond this many posts in a month the page asks for them itself: they would hold up its text.
const MOST_POSTS: usize = 500;
/// Beyond this many it asks for campaigns itself.
const MOST_CAMPAIGNS: usize = 50;
/// More questions than anybody answers at once.
const MOST_QUESTIONS: usize = 100;

/// Whatever no route answers: the app for a browser, a file of the build, or nothing.
pub async fn fallback(State(web): State<Web>, request: Request) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    if !reads || super::router::is_api(path) {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    if path.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        let found = assets::root_file(path, &parts.headers);
        return Ok(found.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response()));
    }
    if !request::wants_html(&parts.headers) {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    match auth::caller(&web.app, &parts).await? {
        Some(caller) => shell(&web.app, &caller, path).await,
        None => Ok(Redirect::to(&sign_in(&parts.uri)).into_response()),
    }
}

/// Where somebody who is signed out goes first.
pub(crate) fn sign_in(uri: &Uri) -> String {
    let wanted = uri.path_and_query().map_or("/", |p| p.as_str());
    if wanted == "/" {
        return "/login".to_owned();
    }
    let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    format!("/login?next={next}")
}

async fn shell(app: &App, caller: &Caller, path: &str) -> Result<Response, ApiError> {
    let Some(index) = assets::index() else { return Ok(not_built()) };
    let preloads = assets::preloads();
    let route = preloads.iter().find(|(pattern, _)| matches(pattern, path));
    let any_font = preloads.values().find_map(|p| p.font.as_deref());
    let links = links(route.map(|(_, p)| p), any_font);
    let boot = boot(app, caller).await?;
    let html =
        index.replacen("<!--preload-->", &links, 1).replacen("<!--boot-->", &data_block(&boot), 1);
    Ok(([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response())
}

/// Is `path` one of the route `pattern` (`/posts/{id}`)?
fn matches(pattern: &str, path: &str) -> bool {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let (mut left, mut right) = (pattern.split('/'), path.split('/'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(p), Some(s)) if p == s || (p.starts_with('{') && !s.is_empty()) => {}
            _ => return false,
        }
    }
}

fn links(route: Option<&Preload>, font: Option<&str>) -> String {
    let mut links = String::new();
    // First: it is what the first text waits for.
    if let Some(font) = font {
        links += &format!(
            "<link rel=\"preload\" href=\"{font}\" as=\"font\" type=\"font/woff2\" crossorigin>"
        );
    }
    for css in route.iter().flat_map(|r| &r.css) {
        links += &format!("<link rel=\"stylesheet\" crossorigin href=\"{css}\">");
    }
    for js in route.iter().flat_map(|r| &r.js) {
        links += &format!("<link rel=\"modulepreload\" crossorigin href=\"{js}\">");
    }
    links
}

/// What the first screen shows. The names are those of web/src/app/boot.ts.
async fn boot(app: &App, caller: &Caller) -> Result<Value, Refusal> {
    let session = session::view(app, caller).await?;
    let now = app.clock.now();
    let (month, from, to) = month(now, &session.workspace.timezone);
    let query = calendar::Query { from, to, limit: MOST_POSTS, ..calendar::Query::default() };
    let connections = connecting::list(app, &caller.workspace_id).await?;
    let posts = calendar::list(app, &caller.workspace_id, query).await?;
    // What the bands above every page say: known later, they would push the page down.
    let pauses = pausing::list(app, Some(&caller.workspace_id)).await?;
    let alerts = trail::alerts(app, &caller.workspace_id, true).await?;
    let doubts = Filter {
        states: vec![DeliveryState::Held],
        cause: Some("unknown".into()),
        network: None,
        connection_id: None,
        from: 0,
        to: i64::MAX,
    };
    let doubts =
        dead_letters::list(app, &caller.workspace_id, doubts, None, MOST_QUESTIONS).await?.items;
    let networks: Vec<_> = carillon_networks::ALL.iter().map(|n| n.spec()).collect();
    let ready = apps::list(app).await?.into_iter().filter(|a| a.ready).map(|a| a.network);
    let mut boot = json!({
        "session": session,
        "networks": networks,
        // Those that can be connected through their own consent page.
        "consents": ready.collect::<Vec<_>>(),
        "connections": connections,
        "pauses": pauses,
        "alerts": alerts,
        "questions": doubts.iter().filter(|d| d.delivery.question.is_some()).collect::<Vec<_>>(),
        "month": month,
        "now": when::iso(now),
        // Where the live feed goes on from, so that nothing between this page and it is missed.
        "lastEventId": ids::new(now),
    });
    // Bars above the weeks, which would push them down, too.
    let campaigns = campaigns::list(app, &caller.workspace_id, None, MOST_CAMPAIGNS).await?;
    if campaigns.next.is_none() {
        let brief = |c: &CampaignView| {
            let (name, state) = (&c.form.name, c.state);
            json!({ "id": c.id, "name": name, "state": state, "first": c.first, "last": c.last })
        };
        boot["campaigns"] = campaigns.items.iter().map(brief).collect();
    }
    if posts.next.is_none() {
        boot["posts"] = json!(posts.items);
    }
    Ok(boot)
}

/// The month of this moment in a zone as `2026-11`, and its span with a week on either side, which
/// the calendar's first and last row show.
fn month(now: i64, zone: &str) -> (String, i64, i64) {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let moment = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
    let today = Zoned::new(moment, zone.clone()).date();
    let start = |date: Date| {
        let midnight = date.to_zoned(zone.clone()).map(|z| z.timestamp());
        midnight.unwrap_or(moment).as_millisecond()
    };
    let from = today.first_of_month().saturating_sub(7.days());
    let to = today.last_of_month().saturating_add(8.days());
    (today.strftime("%Y-%m").to_string(), start(from), start(to))
}

/// JSON that HTML cannot read anything else into: no `<` can end the block or begin a comment.
fn data_block(boot: &Value) -> String {
    let json = boot.to_string().replace('<', "\\u003c");
    format!("<script type=\"application/json\" id=\"boot\">{json}</script>")
}

fn not_built() -> Response {
    errors::answer(
        StatusCode::SERVICE_UNAVAILABLE,
        "The web app is not in this build.",
        "Run `make run`, which builds it first. The API works without it.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_leave_the_data_block() {
        let text = "</script><script>alert(1)</script><!--";
        let block = data_block(&json!({ "text": text }));
        let inner = block
            .strip_prefix("<script type=\"application/json\" id=\"boot\">")
            .and_then(|b| b.strip_suffix("</script>"))
            .expect("one block");
        assert!(!inner.contains('<'), "{inner}");
        let back: Value = serde_json::from_str(inner).expect("still JSON");
        assert_eq!(back["text"], text);
    }

    #[test]
    fn routes_are_found_by_their_pattern() {
        assert!(matches("/", "/") && matches("/planner", "/planner/"));
        assert!(matches("/posts/{id}", "/posts/01993d3c"));
        assert!(!matches("/posts/{id}", "/posts/") && !matches("/posts/{id}", "/posts/a/b"));
        assert!(!matches("/planner", "/"));
    }

    #[test]
    fn the_month_is_that_of_the_zone() {
        let at = |t: &str| when::parse(t, "UTC").expect(t);
        // 23:30 UTC on the last of March is April in London's summer time.
        let (month, from, to) = month(at("2026-03-31T23:30:00Z"), "Europe/London");
        assert_eq!(month, "2026-04");
        assert_eq!(when::iso(from), "2026-03-25T00:00:00Z", "before the clock change");
        assert_eq!(when::iso(to), "2026-05-07T23:00:00Z");
    }

    #[test]
    fn signing_in_leads_back() {
        let to = |u: &str| sign_in(&u.parse().expect(u));
        assert_eq!(to("/"), "/login");
        assert_eq!(to("/posts/1?a=b"), "/login?next=%2Fposts%2F1%3Fa%3Db");
    }
}
