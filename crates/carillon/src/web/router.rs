//! Every route on one screen, grouped by who calls it.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::web::api::session;
use crate::web::pages::layout;
use crate::web::{Web, request};

/// Most bytes of a JSON body.
const BODY_LIMIT: usize = 1 << 20;

/// Programs and the signed-in app, documented.
fn rest() -> OpenApiRouter<Web> {
    let v1 = OpenApiRouter::new().routes(routes!(session::show, session::end));
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", v1)
}

/// People in a browser.
fn pages() -> Router<Web> {
    Router::new().route(layout::CSS_PATH, get(layout::css))
}

/// The whole surface of one process.
pub fn router(app: App) -> Router {
    let web = Web::new(app);
    let (rest, _) = rest().split_for_parts();
    rest.merge(pages())
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(web.clone(), request::pass))
        .with_state(web)
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
    request.method() == Method::POST && request.uri().path() == "/api/v1/media"
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Carillon", description = "Create, plan and publish posts: each goes out once, on time, or you \
        know why and what to do. Instants are ISO 8601 in UTC, ids are UUIDs. Every write takes an \
        `Idempotency-Key`: the same key with the same request is answered with what was answered \
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
        components.add_security_scheme("key", SecurityScheme::Http(key.build()));
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}
