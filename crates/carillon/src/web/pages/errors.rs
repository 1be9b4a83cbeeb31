//! Errors as pages, for people who followed a link.

use axum::http::{StatusCode, header};
use axum::response::Response;
use maud::html;

use crate::web::error::{Spoken, Told};
use crate::web::pages::layout::{self, Page};
use crate::web::request;

/// Turns an error into a page; what is a page already stays.
pub fn dress(response: Response) -> Response {
    let status = response.status();
    let marks = response.extensions();
    if !(status.is_client_error() || status.is_server_error())
        || marks.get::<Page>().is_some()
        || marks.get::<Spoken>().is_some()
    {
        return response;
    }
    let (sentence, fix) = match marks.get::<Told>() {
        Some(Told(e)) => (e.refusal().sentence.clone(), e.refusal().fix.clone()),
        None if status == StatusCode::NOT_FOUND => {
            ("There is no such page.".into(), "Check the address, or start at the planner.".into())
        }
        None => ("This cannot be answered.".into(), "Go back and try it another way.".into()),
    };
    let mut page = answer(status, &sentence, &fix);
    for name in [header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = response.headers().get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

/// A page of `status` that says what happened and what to do.
pub fn answer(status: StatusCode, sentence: &str, fix: &str) -> Response {
    let main = html! {
        p class="code" { (status.as_u16()) }
        h1 { (layout::prose(sentence)) }
        p { (layout::prose(fix)) }
        p class="actions" { a class="button" href="/" { "Go to Carillon" } }
        @if let Some(id) = request::id() {
            p class="fine" { "Request " code { (id) } }
        }
    };
    layout::respond(status, &sentence.trim_end_matches('.').replace('`', ""), &main)
}
