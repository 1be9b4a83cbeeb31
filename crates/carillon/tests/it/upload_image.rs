//! `POST /api/content/upload-image`: the picture that was sent, or an honest refusal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon::media::finding;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::Api;
use crate::both;
use crate::support::picture;

const PATH: &str = "/api/content/upload-image";

async fn form(api: &Api<'_>, form: Form) -> (StatusCode, Value) {
    let request = api.client.post(format!("{}{PATH}", api.url)).bearer_auth(&api.key);
    let answer = request.multipart(form).send().await.expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

both! {
    async fn what_was_sent_is_what_the_address_gives(t: TestApp) {
        let (api, file) = (Api::of(&t).await, picture(640, 480));
        let coded = STANDARD.encode(&file);
        let mut answers = Vec::new();
        for image in [coded.clone(), coded.trim_end_matches('=').to_owned(), format!("data:image/png;base64,{coded}")] {
            let body = json!({ "image": image, "filename": "harbour.png", "alt": "The harbour" });
            answers.push(api.call(Method::POST, PATH, Some(body)).await);
        }
        for name in ["image", "file"] {
            let part = Part::bytes(file.clone()).file_name("harbour.png");
            answers.push(form(&api, Form::new().part(name, part).text("alt", "The harbour").text("more", "x")).await);
        }
        for (status, stored) in answers {
            assert_eq!(status, StatusCode::CREATED, "{stored}");
            assert_eq!(stored["media"]["name"], "harbour.jpg", "by its content");
            assert_eq!(stored["media"]["alt"], "The harbour");
            assert_eq!(stored["expiresAt"], "2026-11-24T08:00:00Z");
            let url = stored["url"].as_str().expect("an address");
            assert!(url.starts_with(&api.url), "absolute: {url}");
            // Without a key: it is for whoever has it.
            let answer = reqwest::get(url).await.expect("an answer");
            assert_eq!(answer.headers()["content-type"], "image/jpeg");
            assert_eq!(answer.bytes().await.expect("bytes"), file);
        }
    }

    async fn what_cannot_be_taken_is_refused_and_nothing_stands_in_for_it(t: TestApp) {
        let api = Api::of(&t).await;
        let large = STANDARD.encode([picture(64, 64), vec![0; 5_000_000]].concat());
        let page = STANDARD.encode("<!doctype html><title>cat.png</title>");
        for (body, status, code) in [
            (json!({ "image": "https://example.org/cat.png" }), 422, "image_encoding"),
            (json!({ "image": "data:image/png,raw" }), 422, "image_encoding"),
            (json!({ "image": "" }), 422, "image_required"),
            (json!({ "image": "data:image/png;base64," }), 422, "image_required"),
            (json!({ "prompt": "a cat" }), 422, "invalid_field"),
            (json!({ "image": page }), 415, "media_type"),
            (json!({ "image": large }), 413, "media_too_large"),
            (json!({ "image": "A".repeat(8_000_000) }), 413, "media_too_large"),
        ] {
            let (answered, told) = api.call(Method::POST, PATH, Some(body)).await;
            assert_eq!((answered.as_u16(), told["code"].as_str()), (status, Some(code)), "{told}");
            assert!(told.get("url").is_none() && told["details"]["fix"].as_str().is_some_and(|f| !f.is_empty()));
        }
        let (status, told) = form(&api, Form::new().text("alt", "nothing")).await;
        assert_eq!((status.as_u16(), told["code"].as_str()), (422, Some("image_required")));
        let huge = Part::bytes(vec![0xff; 6_000_000]).file_name("huge.jpg");
        let (status, told) = form(&api, Form::new().part("image", huge)).await;
        assert_eq!((status.as_u16(), told["code"].as_str()), (413, Some("media_too_large")));
        assert!(told["error"].as_str().is_some_and(|e| e.contains("5 MB")), "{told}");
        let request = api.client.post(format!("{}{PATH}", api.url)).body("x");
        assert_eq!(request.bearer_auth(&api.key).send().await.expect("an answer").status(), 415);
        let request = api.client.post(format!("{}{PATH}", api.url)).json(&json!({ "image": page }));
        assert_eq!(request.send().await.expect("an answer").status(), 401, "with a key only");
        let (all, _) = finding::list(&t.app, &t.workspace, &Default::default(), None, 50).await.expect("a list");
        assert!(all.is_empty());
    }
}
