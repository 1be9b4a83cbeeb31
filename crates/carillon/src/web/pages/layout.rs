//! The frame of every page made on the server.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

/// Where the one style sheet is.
pub const CSS_PATH: &str = "/assets-pages/pages.css";

/// A whole page. `main` begins with its own `h1`.
pub fn page(title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Carillon" }
                link rel="icon" href="/favicon.svg" type="image/svg+xml";
                link rel="stylesheet" href=(CSS_PATH);
            }
            body {
                header class="brand" {
                    svg viewBox="0 0 32 32" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2.2" {
                        circle cx="16" cy="16" r="9" {}
                        circle cx="16" cy="16" r="3.2" fill="currentColor" stroke="none" {}
                        path d="M16 1v10M16 21v10M1 16h10M21 16h10" {}
                    }
                    span { "Carillon" }
                }
                main class="sheet" { (main) }
            }
        }
    }
}

/// `GET /assets-pages/pages.css`
pub async fn css() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("pages.css")).into_response()
}
