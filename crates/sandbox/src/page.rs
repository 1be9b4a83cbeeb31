//! The page.
use axum::response::{IntoResponse, Response};
use http::StatusCode;
pub(crate) async fn index() -> Response {
    StatusCode::NOT_IMPLEMENTED.into_response()
}
pub(crate) async fn post() -> Response {
    StatusCode::NOT_IMPLEMENTED.into_response()
}
pub(crate) async fn style() -> Response {
    StatusCode::NOT_IMPLEMENTED.into_response()
}
pub(crate) async fn missing() -> Response {
    StatusCode::NOT_FOUND.into_response()
}
