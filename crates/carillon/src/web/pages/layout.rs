//! The frame of every page made on the server, and its one style sheet.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::web::assets;

/// Where the style sheet is.
pub const CSS_PATH: &str = "/assets-pages/pages.css";

/// Marks an answer that is a page already.
#[derive(Clone)]
pub struct Page;

/// A whole page as an answer. `main` begins with its own `h1`.
pub fn respond(status: StatusCode, title: &str, main: &Markup) -> Response {
    let mut response = (status, page(title, main)).into_response();
    response.extensions_mut().insert(Page);
    response
}

fn page(title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Carillon" }
                link rel="icon" href="/favicon.svg" type="image/svg+xml";
                @if let Some(font) = assets::font() {
                    link rel="preload" href=(font) as="font" type="font/woff2" crossorigin;
                }
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

/// A sentence whose `literals` stand in backticks.
pub fn prose(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A labelled field of a form, with what was wrong about it.
pub struct Field<'a> {
    pub name: &'a str,
    pub label: &'a str,
    /// The `type` of the input.
    pub kind: &'a str,
    pub value: &'a str,
    pub autocomplete: &'a str,
    pub help: Option<&'a str>,
    pub wrong: Option<&'a str>,
}

impl Field<'_> {
    pub fn markup(&self, extra: &[(&str, &str)]) -> Markup {
        let (help_id, wrong_id) = (format!("{}-help", self.name), format!("{}-wrong", self.name));
        let mut described = Vec::new();
        if self.help.is_some() {
            described.push(help_id.as_str());
        }
        if self.wrong.is_some() {
            described.push(wrong_id.as_str());
        }
        let described = (!described.is_empty()).then(|| described.join(" "));
        let list = extra.iter().find(|(k, _)| *k == "list").map(|(_, v)| *v);
        let minlength = extra.iter().find(|(k, _)| *k == "minlength").map(|(_, v)| *v);
        html! {
            div class="field" {
                label for=(self.name) { (self.label) }
                @if let Some(help) = self.help { p class="fine" id=(help_id) { (help) } }
                input id=(self.name) name=(self.name) type=(self.kind) value=(self.value) required
                    autocomplete=(self.autocomplete) list=[list] minlength=[minlength]
                    aria-invalid=[self.wrong.map(|_| "true")] aria-describedby=[described];
                @if let Some(wrong) = self.wrong { p class="wrong" id=(wrong_id) { (prose(wrong)) } }
            }
        }
    }
}

/// `GET /assets-pages/pages.css`, with the web app's font where it is built.
pub async fn css() -> Response {
    let face = assets::font().map_or_else(String::new, |url| {
        format!(
            "@font-face{{font-family:'Atkinson Hyperlegible Next';font-display:swap;\
             font-weight:200 800;src:url('{url}') format('woff2')}}\n"
        )
    });
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, face + include_str!("pages.css")).into_response()
}
