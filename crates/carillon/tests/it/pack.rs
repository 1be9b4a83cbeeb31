//! The publish pack, opened by somebody else's unzip.

use std::io::Write as _;
use std::process::{Command, Stdio};

use carillon::media::library::{self, Description};
use carillon::publishing::desk::{self as answering, Answer};
use carillon::publishing::schedule::Draft;
use carillon::store::audit::OPERATOR;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::api::Api;
use crate::both;
use crate::cli::{fails, said};
use crate::desk;
use crate::segments::parts;
use crate::support::to;

/// What Python's zipfile finds in a zip whose checksums it has tried: names, with the text of texts
/// and the size of the rest.
fn opened(zip: &[u8]) -> Value {
    let script = "import io, json, sys, zipfile\n\
        z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\n\
        assert z.testzip() is None\n\
        text = lambda n: z.read(n).decode() if n.endswith('.txt') else len(z.read(n))\n\
        print(json.dumps({n: text(n) for n in z.namelist()}))";
    let mut python = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python is there");
    python.stdin.take().expect("its input").write_all(zip).expect("it reads");
    let out = python.wait_with_output().expect("it ends");
    assert!(out.status.success(), "it cannot be opened");
    serde_json::from_slice(&out.stdout).expect("what is in it")
}

async fn fetched(api: &Api<'_>, delivery: &str) -> (reqwest::Response, StatusCode) {
    let url = format!("{}/api/v1/deliveries/{delivery}/pack", api.url);
    // As browsers ask.
    let asked = api.client.get(url).bearer_auth(&api.key).header("accept-encoding", "gzip, br");
    let answer = asked.send().await.expect("an answer");
    let status = answer.status();
    let packed = answer.headers().contains_key("content-encoding");
    assert!(!packed || status != StatusCode::OK, "it is dense already");
    (answer, status)
}

both! {
    async fn all_that_is_needed_to_post_by_hand_is_in_it(t: TestApp) {
        let (api, c, picture) = (Api::of(&t).await, t.connect("mastodon").await, t.upload().await);
        let description = Description { alt: Some("Boats at sunset".into()), ..Description::default() };
        library::describe(&t.app, &t.workspace, &picture, description).await.expect("described");
        let mut draft = Draft { media: vec![picture], thread: parts(&["Support at eight.", "Us at nine."]), ..t.draft("Doors at seven.\nBring friends.", &[&c]) };
        draft.scheduled_at = Some("2026-12-24T19:30".into());
        let post = t.schedule(draft).await;
        let (answer, status) = fetched(&api, &post.deliveries[0].id).await;
        assert_eq!((status, answer.headers()["content-type"].to_str().unwrap()), (StatusCode::OK, "application/zip"));
        let named = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
        assert!(named.starts_with("attachment; filename=\"mastodon-2026-12-24-doors-at-seven.zip\""), "{named}");
        let found = opened(&answer.bytes().await.expect("the zip"));
        let names: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["text.txt", "part-2.txt", "part-3.txt", "1-harbour.jpg", "descriptions.txt", "README.txt"]);
        assert_eq!(found["text.txt"], "Doors at seven.\nBring friends.\n");
        assert_eq!((found["part-2.txt"].as_str(), found["part-3.txt"].as_str()), (Some("Support at eight.\n"), Some("Us at nine.\n")));
        assert_eq!(found["descriptions.txt"], "1-harbour.jpg\nBoats at sunset\n");
        assert!(found["1-harbour.jpg"].as_u64().unwrap() > 1_000);
        let readme = found["README.txt"].as_str().unwrap();
        for says in ["alice at mastodon, Mastodon", "24 December 2026, 19:30 (Europe/London)", "part-2.txt", "with its address"] {
            assert!(readme.contains(says), "{says}: {readme}");
        }
    }

    /// A dead letter is posted by hand, and said to be live.
    async fn a_dead_letter_has_one_and_then_its_address(t: TestApp) {
        let (api, c) = (Api::of(&t).await, t.connect("mastodon").await);
        let id = desk::failed(&t, &c, "mastodon", "Quiz night").await;
        let found = opened(&fetched(&api, &id).await.0.bytes().await.expect("the zip"));
        assert_eq!(found["text.txt"], "Quiz night\n");
        let problem = t.delivery(&id).await.problem.expect("why it failed").sentence;
        assert!(found["README.txt"].as_str().unwrap().contains(&problem), "{found}");
        let answer = Answer { live: true, url: Some("https://social.example/@alice/7".into()) };
        let now = answering::answer(&t.app, &t.workspace, &id, answer, OPERATOR).await.expect("said");
        assert_eq!(now.state.as_str(), "published");
    }

    /// A picture that the network would refuse goes in as it was uploaded, and the README says why.
    async fn what_cannot_be_made_to_fit_is_there_as_it_was_uploaded(t: TestApp) {
        let c = t.connect("instagram").await;
        let body = futures_util::stream::iter([Ok::<_, std::io::Error>(crate::support::picture(1600, 200).into())]);
        let wide = carillon::media::intake::upload(&t.app, &t.workspace, "wide: a \"panorama\".jpg", "", body).await.expect("taken").id;
        let draft = Draft { media: vec![wide], draft: true, deliveries: vec![to(&c)], ..t.draft("Wide", &[]) };
        let post = t.schedule(draft).await;
        let api = Api::of(&t).await;
        let found = opened(&fetched(&api, &post.deliveries[0].id).await.0.bytes().await.expect("the zip"));
        assert_eq!(found["1-wide a panorama.jpg"], crate::support::picture(1600, 200).len());
        let readme = found["README.txt"].as_str().unwrap();
        assert!(readme.contains("as it was uploaded") && readme.contains("still being prepared"), "{readme}");
    }

    async fn the_terminal_writes_it_and_strangers_have_none(t: TestApp) {
        let (api, c, dir) = (Api::of(&t).await, t.connect("mastodon").await, tempfile::tempdir().unwrap());
        let post = t.schedule(t.draft("Doors at seven.", &[&c])).await;
        let id = post.deliveries[0].id.as_str();
        let file = dir.path().join("pack.zip");
        let name = file.to_str().unwrap();
        assert!(said(&t, &["delivery", "pack", id, "--to", name]).contains("delivery answer"));
        let first = std::fs::read(&file).unwrap();
        assert_eq!(opened(&first)["text.txt"], json!("Doors at seven.\n"));
        fails(&t, &["delivery", "pack", "nothing"], 3, "no such delivery");
        let stranger = Api { key: t.stranger().await, url: api.url.clone(), client: api.client.clone(), t: &t };
        assert_eq!(fetched(&stranger, id).await.1, StatusCode::NOT_FOUND);
    }
}
