//! Every route on one screen, grouped by who calls it.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::routing::{delete, get, post};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::publishing::apps::CALLBACK;
use crate::web::api::{
    alerts, apps, audit, calendar_link, campaigns, circuits, connections, consents, content,
    dead_letters, deliveries, drafts, events, export, feeds, health, imports, library, media,
    networks, pauses, posts, queue, review_links, reviews, series, session, snippets, sweeps,
    uploads, workspace,
};
use crate::web::pages::{consent, layout, login, review, setup};
use crate::web::{Web, assets, files, idempotency, request, shell, unread};

/// Most bytes of a JSON body.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// Programs and the signed-in app, documented.
fn rest() -> OpenApiRouter<Web> {
    let v1 = OpenApiRouter::new()
        .routes(routes!(session::show, session::end))
        .routes(routes!(workspace::policies, workspace::set_policies))
        .routes(routes!(networks::list))
        .routes(routes!(apps::list, apps::create))
        .routes(routes!(apps::delete))
        .routes(routes!(connections::list, connections::create))
        .routes(routes!(consents::create))
        .routes(routes!(consents::show, consents::choose))
        .routes(routes!(connections::show, connections::edit, connections::delete))
        .routes(routes!(connections::diagnose_all))
        .routes(routes!(connections::diagnose))
        .routes(routes!(connections::check))
        .routes(routes!(connections::pause))
        .routes(routes!(connections::resume))
        .routes(routes!(media::list, media::upload))
        .routes(routes!(library::tags, library::tag))
        .routes(routes!(library::delete))
        .routes(routes!(library::restore))
        .routes(routes!(library::purge))
        .routes(routes!(library::usage))
        .routes(routes!(library::clean))
        .routes(routes!(library::uses))
        .routes(routes!(library::versions))
        .routes(routes!(library::replace))
        .routes(routes!(library::make_current))
        .routes(routes!(media::show, media::edit, media::delete))
        .routes(routes!(media::reprocess))
        .merge(resumable())
        .routes(routes!(posts::list, posts::create))
        .routes(routes!(posts::check))
        .routes(routes!(posts::slots))
        .routes(routes!(posts::calendar))
        .routes(routes!(posts::move_all))
        .routes(routes!(posts::show, posts::edit, posts::delete))
        .routes(routes!(posts::move_to))
        .routes(routes!(posts::cancel))
        .routes(routes!(posts::roll_back))
        .merge(planning())
        .merge(bulk())
        .merge(written())
        .routes(routes!(deliveries::show))
        .routes(routes!(deliveries::attempts))
        .routes(routes!(deliveries::pack))
        .routes(routes!(deliveries::cancel))
        .routes(routes!(deliveries::retry))
        .routes(routes!(deliveries::amend))
        .routes(routes!(deliveries::measure))
        .routes(routes!(deliveries::answer))
        .routes(routes!(deliveries::discard))
        .routes(routes!(events::stream))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(queue::stats))
        .routes(routes!(queue::lanes))
        .routes(routes!(queue::drain))
        .routes(routes!(pauses::list, pauses::create))
        .routes(routes!(pauses::delete))
        .routes(routes!(circuits::list))
        .routes(routes!(circuits::reset))
        .routes(routes!(sweeps::list, sweeps::create))
        .routes(routes!(alerts::list))
        .routes(routes!(audit::list))
        .routes(routes!(health::platforms));
    let mut all = OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", v1)
        .routes(routes!(health::health))
        .routes(routes!(content::upload_image))
        .routes(routes!(queue::push));
    finish(all.get_openapi_mut());
    all
}

/// What is planned before it is posts.
fn planning() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(series::list, series::create))
        .routes(routes!(series::preview))
        .routes(routes!(series::materialise))
        .routes(routes!(series::show))
        .routes(routes!(series::occurrences))
        .routes(routes!(series::skip))
        .routes(routes!(series::unskip))
        .routes(routes!(series::follow))
        .routes(routes!(series::end))
        .routes(routes!(series::pause))
        .routes(routes!(series::resume))
        .routes(routes!(campaigns::list, campaigns::create))
        .routes(routes!(campaigns::preview))
        .routes(routes!(campaigns::show))
        .routes(routes!(campaigns::posts))
        .routes(routes!(campaigns::schedule))
        .routes(routes!(campaigns::pause))
        .routes(routes!(campaigns::resume))
        .routes(routes!(campaigns::shift))
        .routes(routes!(campaigns::cancel))
        .routes(routes!(campaigns::reopen))
        .routes(routes!(campaigns::duplicate))
        .routes(routes!(reviews::list, reviews::create))
        .routes(routes!(reviews::show))
        .routes(routes!(reviews::approve))
        .routes(routes!(reviews::request_changes))
        .routes(routes!(reviews::comment))
        .routes(routes!(reviews::withdraw))
        .routes(routes!(reviews::swap))
        .routes(routes!(review_links::list, review_links::create))
        .routes(routes!(review_links::revoke))
}

/// Many posts in and out.
fn bulk() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(imports::list, imports::create))
        .routes(routes!(imports::show))
        .routes(routes!(imports::undo))
        .routes(routes!(export::download))
        .routes(routes!(feeds::list, feeds::create))
        .routes(routes!(feeds::delete))
        .routes(routes!(feeds::poll))
        .routes(routes!(calendar_link::show, calendar_link::renew, calendar_link::switch_off))
}

/// Posts before and after they are posts: the trash, versions, what is written with.
fn written() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(drafts::trash))
        .routes(routes!(drafts::restore))
        .routes(routes!(drafts::purge))
        .routes(routes!(drafts::versions))
        .routes(routes!(drafts::restore_version))
        .routes(routes!(drafts::editors, drafts::take_lock, drafts::release_lock))
        .routes(routes!(snippets::list, snippets::create))
        .routes(routes!(snippets::tag))
        .routes(routes!(snippets::edit, snippets::delete))
}

/// Files in pieces, by the tus protocol.
fn resumable() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(uploads::abilities, uploads::create))
        .routes(routes!(uploads::show, uploads::append, uploads::cancel))
        .route("/uploads/{id}", post(uploads::instead))
        .layer(from_fn(uploads::protocol))
}

/// Says what holds for every operation: handlers are called `list` in every file, operations need
/// names of their own (`posts_list`); and every write takes a key, but for pieces of files: their
/// offset is one.
fn finish(document: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let writes = [&mut item.post, &mut item.patch, &mut item.delete];
        let keyed = path.starts_with("/api/v1/") && !is_resumable(path);
        for operation in writes.into_iter().flatten().filter(|_| keyed) {
            operation.parameters.get_or_insert_default().push(idempotency::parameter().into());
        }
        let all = [
            &mut item.get,
            &mut item.head,
            &mut item.options,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in all.into_iter().flatten() {
            let tag = operation.tags.as_ref().and_then(|t| t.first()).cloned();
            if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
                operation.operation_id = Some(format!("{tag}_{id}"));
            }
        }
    }
}

/// Paths that runbooks and monitors know: other names of the same handlers.
fn aliases() -> Router<Web> {
    Router::new()
        .route("/functions/v1/health", get(health::health).post(health::health))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/api/scheduling/stats", get(queue::stats))
        .route("/api/platforms/health", get(health::platforms))
        .route("/api/publishing/{id}", delete(posts::roll_back))
        // Schedulers of hosting platforms can only GET.
        .route("/api/cron/publish", get(queue::push))
}

/// People in a browser.
fn pages() -> Router<Web> {
    Router::new()
        .route("/login", get(login::show).post(login::submit))
        .route("/login/{token}", get(login::link))
        .route(CALLBACK, get(consent::back))
        .route("/logout", post(login::leave))
        // Clients who have a link and no account
        .route("/r/{token}", get(review::show).post(review::submit))
        .route("/setup", get(setup::show).post(setup::submit))
        .route(layout::CSS_PATH, get(layout::css))
        .route("/assets/{*path}", get(assets::hashed))
        .route("/media/{id}/{kind}", get(files::own))
        // Programs that show calendars
        .route("/cal/{name}", get(calendar_link::calendar))
        // Networks that fetch media
        .route("/m/{token}", get(files::shared))
}

/// The whole surface of one process.
pub fn router(app: App) -> Router {
    let web = Web::new(app);
    let (rest, document) = rest().split_for_parts();
    rest.merge(aliases())
        .route("/api/v1/openapi.json", get(async || axum::Json(document)))
        .layer(from_fn_with_state(web.clone(), idempotency::once))
        .merge(pages())
        // The signed-in app at every other path
        .fallback(shell::fallback)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(compression())
        .layer(from_fn_with_state(web.clone(), request::pass))
        .layer(map_request(unread::finish))
        .with_state(web)
}

/// Of what is made per request; files of the build come compressed, fonts, pictures, videos and zips
/// are dense.
fn compression() -> CompressionLayer<impl Predicate> {
    let fonts = NotForContentType::const_new("font/");
    let videos = NotForContentType::const_new("video/");
    let zips = NotForContentType::const_new("application/zip");
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(DefaultPredicate::new().and(fonts).and(videos).and(zips))
}

/// What programs can call, as OpenAPI 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    rest().into_openapi()
}

/// Is it called by programs, which want the envelope instead of a page?
pub(crate) fn is_api(path: &str) -> bool {
    ["/api/", "/functions/"].iter().any(|p| path.starts_with(p)) || path == "/api" || is_probe(path)
}

/// Is it asked every few seconds by something that watches?
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/api/health" | "/functions/v1/health")
}

/// Does its body hold a file?
pub(crate) fn is_upload(request: &Request) -> bool {
    let path = request.uri().path();
    request.method() == Method::POST
        && (matches!(path, "/api/v1/media" | "/api/v1/imports" | "/api/content/upload-image")
            || path.starts_with("/api/v1/media/") && path.ends_with("/file"))
}

/// Is it part of an upload in pieces?
pub(crate) fn is_resumable(path: &str) -> bool {
    path.starts_with("/api/v1/uploads")
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Carillon", description = "Create, plan and publish posts: each goes out once, on time, or you \
        know why and what to do. Instants are ISO 8601 in UTC, ids are UUIDs. Every write but those \
        below `/uploads` takes an `Idempotency-Key`: the same key with the same request is answered with what was answered \
        before, and nothing happens twice."),
    components(schemas(crate::web::Envelope)),
    modifiers(&Doors),
    security(("key" = []), ("session" = [])),
)]
struct Document;

struct Doors;

impl utoipa::Modify for Doors {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("car_…")
            .description(Some("An API key, made with `carillon keys api`."));
        let cookie = ApiKeyValue::with_description(
            "carillon_session",
            "A browser's session. Writes must come from Carillon's own pages.",
        );
        let cron = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The value of CRON_SECRET."));
        components.add_security_scheme("cron", SecurityScheme::Http(cron.build()));
        components.add_security_scheme("key", SecurityScheme::Http(key.build()));
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_answers() {
        let document = serde_json::to_value(super::openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let name = operation["operationId"].as_str().expect("a name");
                assert!(names.insert(name.to_owned()), "{name} twice: {method} {path}");
                let says = operation["summary"].as_str();
                assert!(says.is_some_and(|s| s.ends_with(['.', '?', ')'])), "{name}: {says:?}");
                let answers = operation["responses"].as_object().unwrap();
                assert!(answers.keys().any(|s| s.starts_with('2')), "{name}");
                assert!(answers.keys().any(|s| s.starts_with(['4', '5'])), "{name}");
            }
        }
        let states = &document["components"]["schemas"]["DeliveryState"]["enum"];
        assert_eq!(states[0], "draft", "as it is sent, not as it is called inside");
        assert!(names.contains("posts_list") && names.contains("operations_push"), "{names:?}");
    }
}
