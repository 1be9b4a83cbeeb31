//! Errors as pages, for people who followed a link.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::web::error::Told;
use crate::web::pages::layout;
use crate::web::request;

/// Turns an error into a page; an answer that is a page already stays.
pub fn dress(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let told = response.extensions().get::<Told>().map(|Told(e)| e.clone());
    let is_page = response.extensions().get::<Page>().is_some();
    match told {
        _ if is_page => response,
        Some(e) => {
            let mut page = answer(status, &e.refusal().sentence, &e.refusal().fix);
            let retry = response.headers().get(axum::http::header::RETRY_AFTER);
            if let Some(seconds) = retry {
                page.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds.clone());
            }
            page
        }
        None if status == StatusCode::NOT_FOUND => {
            answer(status, "There is no such page.", "Check the address, or start at the planner.")
        }
        None => {
            answer(status, "This request cannot be answered.", "Go back and try it another way.")
        }
    }
}

/// Marks an answer that is a page already.
#[derive(Clone)]
pub struct Page;

/// A page of `status` that says what happened and what to do.
pub fn answer(status: StatusCode, sentence: &str, fix: &str) -> Response {
    let mut response = (status, markup(status, sentence, fix)).into_response();
    response.extensions_mut().insert(Page);
    response
}

fn markup(status: StatusCode, sentence: &str, fix: &str) -> Markup {
    let main = html! {
        p class="code" { (status.as_u16()) }
        h1 { (sentence) }
        p { (fix) }
        p class="actions" { a class="button" href="/" { "Go to Carillon" } }
        @if let Some(id) = request::id() {
            p class="fine" { "Request " code { (id) } }
        }
    };
    layout::page(sentence.trim_end_matches('.'), &main)
}
