//! Videos by the REST API and from the command line.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::*;
use crate::api::Api;
use crate::both;
use crate::cli::{fails, said, told};

both! {
    async fn a_video_is_uploaded_played_cut_and_made_anew_by_the_api(t: TestApp) {
        let api = Api::of(&t).await;
        let file = video("plain.mp4");
        let pieces: Vec<_> = file.chunks(7_000).map(|c| Ok::<_, std::io::Error>(file.slice_ref(c))).collect();
        let sent = api.client.post(format!("{}/api/v1/media?name=quay.mp4&alt=Gulls", api.url));
        let sent = sent.bearer_auth(&api.key).body(reqwest::Body::wrap_stream(stream::iter(pieces)));
        let answer = sent.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED);
        let made: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!((&made["state"], &made["video"]), (&json!("pending"), &json!(null)));
        let id = made["id"].as_str().expect("an id").to_owned();
        t.worker.tick().await.expect("a tick");
        let path = format!("/api/v1/media/{id}");
        let (_, view) = api.call(Method::GET, &path, None).await;
        assert_eq!((&view["state"], &view["width"]), (&json!("ready"), &json!(320)), "{view}");
        assert_eq!((&view["video"]["codec"], &view["video"]["startMs"]), (&json!("h264"), &json!(null)));
        assert_eq!(view["derivatives"], json!([]));

        let get = |kind: &str, range: Option<&str>| {
            let asked = api.client.get(format!("{}/media/{id}/{kind}", api.url)).bearer_auth(&api.key);
            let asked = range.iter().fold(asked, |asked, range| asked.header("range", *range));
            async move { asked.send().await.expect("an answer") }
        };
        let whole = get("original", None).await;
        assert_eq!(whole.status(), StatusCode::OK);
        assert_eq!(whole.headers()["content-type"], "video/mp4");
        assert_eq!(whole.headers()["accept-ranges"], "bytes");
        assert_eq!(whole.bytes().await.expect("a body"), file);
        let part = get("original", Some("bytes=100-199")).await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.headers()["content-range"], format!("bytes 100-199/{}", file.len()));
        assert_eq!(part.bytes().await.expect("a body"), file.slice(100..200));
        assert_eq!(get("original", Some("bytes=99999999-")).await.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(get("poster", None).await.headers()["content-type"], "image/jpeg");
        assert_eq!(get("video", None).await.status(), StatusCode::NOT_FOUND, "nobody needs it yet");

        let connection = t.connect("mastodon").await;
        let planned = schedule(&t, &id, &[(&connection, "feed")]).await;
        assert_eq!(planned.media[0].duration_ms, show(&t, &id).await.video.map(|v| v.facts.duration_ms));
        let (_, view) = api.call(Method::GET, &path, None).await;
        let d = &view["derivatives"][0];
        assert_eq!((&d["kind"], &d["state"], &d["progress"]), (&json!("video"), &json!("pending"), &json!(0)));
        t.worker.tick().await.expect("a tick");
        let made = get("video", None).await;
        assert_eq!(made.status(), StatusCode::OK);
        assert_eq!(made.headers()["content-type"], "video/mp4");

        let (status, cut) = api.call(Method::PATCH, &path, Some(json!({ "startMs": 500, "coverMs": 1000 }))).await;
        assert_eq!((status, &cut["video"]["startMs"], &cut["state"]), (StatusCode::OK, &json!(500), &json!("pending")), "{cut}");
        let (status, refused) = api.call(Method::PATCH, &path, Some(json!({ "startMs": 60_000 }))).await;
        assert_eq!((status, &refused["details"]["problems"][0]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("cut_empty")), "{refused}");
        let (status, again) = api.call(Method::POST, &format!("{path}/reprocess"), None).await;
        assert_eq!((status, &again["state"]), (StatusCode::OK, &json!("pending")));
    }

    async fn a_video_is_added_cut_and_shown_from_the_command_line(t: TestApp) {
        let file = t.app.config.data.dir.join("Quay at dawn.mov");
        std::fs::write(&file, video("silent.mov")).unwrap();
        let path = file.display().to_string();
        let added = told(&t, &["media", "add", &path, "--alt", "Gulls", "--wait"]);
        assert_eq!((&added["state"], &added["name"]), (&json!("ready"), &json!("Quay at dawn.mov")), "{added}");
        let id = added["id"].as_str().expect("an id");
        let shown = said(&t, &["media", "show", id]);
        assert!(shown.contains("320 × 240, 2 s, h264 at 30 fps, no sound"), "{shown}");
        let cut = told(&t, &["media", "cut", id, "--start", "0.5", "--cover", "1.25"]);
        assert_eq!((&cut["video"]["startMs"], &cut["video"]["endMs"], &cut["video"]["coverMs"]), (&json!(500), &json!(null), &json!(1250)));
        fails(&t, &["media", "cut", id, "--start", "60"], 1, "Nothing is left between start and end");
        let whole = told(&t, &["media", "cut", id]);
        assert_eq!((&whole["video"]["startMs"], &whole["video"]["coverMs"]), (&json!(null), &json!(null)));
        let doctor = told(&t, &["doctor"]);
        let videos = doctor.as_array().and_then(|all| all.iter().find(|f| f["name"] == "videos")).expect("looked for");
        assert_eq!(videos["ok"], true, "{videos}");
        let broken = t.app.config.data.dir.join("broken.mp4");
        std::fs::write(&broken, &video("plain.mp4")[..5_000]).unwrap();
        let failed = said(&t, &["media", "add", &broken.display().to_string(), "--wait"]);
        assert!(failed.contains("failed") && failed.contains("cut short"), "{failed}");
    }
}
