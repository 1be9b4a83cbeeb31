//! WordPress against the sandbox, and against a real one where there is one: a draft first, then a
//! flip that can be repeated.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use carillon_networks::http::{Guard, Http};
use carillon_networks::wordpress::WordPress;
use carillon_networks::{
    Applied, Class, Context, Forgetful, Media, Network, Prepared, Published, Remote, Rendition,
};
use carillon_sandbox::{Calls, Trouble};
use serde_json::Value;

use crate::support::{Desk, Kept, account, jpeg, only, post};

async fn desk() -> Desk {
    desk_with("sandbox-alice").await
}

async fn desk_with(password: &str) -> Desk {
    let secrets = [("applicationPassword", password)];
    Desk::open(&WordPress, &[("username", "alice")], &secrets).await
}

fn article(media: Vec<Media>) -> Rendition {
    post("article", "A title <with> signs\n\nFirst & foremost.\nNext line.\n\nThe end.", media)
}

async fn publish(cx: &Context<'_>, out: &Rendition) -> Remote {
    match WordPress.publish(cx, out).await.unwrap() {
        Published::Accepted(remote) => remote,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_site_is_checked() {
    let identity = WordPress.check(&desk().await.cx()).await.unwrap();
    assert!(!identity.name.is_empty() && !identity.remote_id.is_empty());
    assert!(identity.settings.is_empty(), "{identity:?}");

    let error = WordPress.check(&desk_with("no-such-word").await.cx()).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");
    assert!(!error.sentence.contains("no-such-word"));
}

#[tokio::test]
async fn an_article_with_pictures_is_published_and_deleted() {
    let desk = desk().await;
    let out = article(vec![jpeg(1200, 800, 1), jpeg(1200, 800, 2)]);
    assert_eq!(WordPress.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
    assert!(desk.visible().is_empty(), "a draft is not visible");
    let remote = publish(&desk.cx(), &out).await;

    let seen = desk.visible();
    assert_eq!((seen.len(), &seen[0].id), (1, &remote.id));
    assert!(seen[0].text.contains("A title <with> signs"), "{}", seen[0].text);
    assert!(seen[0].text.contains("First & foremost."), "{}", seen[0].text);
    assert!(remote.url.is_some());
    // Repeated: the same article.
    assert_eq!(WordPress.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
    assert_eq!(publish(&desk.cx(), &out).await, remote);
    assert_eq!(desk.visible().len(), 1);

    WordPress.delete(&desk.cx(), &remote.id).await.unwrap();
    WordPress.delete(&desk.cx(), &remote.id).await.unwrap();
    assert!(desk.visible().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_found_by_the_drafts_id() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = desk().await;
        let out = article(vec![]);
        WordPress.prepare(&desk.cx(), &out).await.unwrap();
        desk.fault(Calls::Publish, trouble);
        let error = WordPress.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{error:?}");
        let found = WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(only(&found).id, desk.visible()[0].id);

        desk.kept.lose("post");
        let by_slug = WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(by_slug, found);
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn what_never_arrived_is_published_from_the_same_draft() {
    let desk = desk().await;
    let out = article(vec![]);
    WordPress.prepare(&desk.cx(), &out).await.unwrap();
    desk.fault(Calls::Publish, Trouble::ResetBeforeAccept);
    let error = WordPress.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe));
    assert_eq!(WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    WordPress.prepare(&desk.cx(), &out).await.unwrap();
    publish(&desk.cx(), &out).await;
    assert_eq!(desk.visible().len(), 1);
    assert_eq!(desk.requests("POST", "/posts"), 1, "one draft");
}

#[tokio::test]
async fn a_draft_whose_answer_was_lost_is_not_made_twice() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        let desk = desk().await;
        let out = article(vec![]);
        desk.fault(Calls::Prepare, trouble);
        let error = WordPress.prepare(&desk.cx(), &out).await.unwrap_err();
        assert_eq!(error.applied, Applied::Maybe);
        // The title may be edited meanwhile: the slug that was asked for counts.
        let out = Rendition { title: Some("Another".to_owned()), ..out };
        assert_eq!(WordPress.prepare(&desk.cx(), &out).await.unwrap(), Prepared::Ready);
        assert_eq!(desk.requests("POST", "/posts"), 1, "one draft");
        publish(&desk.cx(), &out).await;
        assert_eq!(desk.visible().len(), 1);
    }
}

#[tokio::test]
async fn refusals_say_when_and_what() {
    let desk = desk().await;
    let out = article(vec![]);
    WordPress.prepare(&desk.cx(), &out).await.unwrap();
    desk.fault(Calls::Publish, Trouble::RateLimit);
    let error = WordPress.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::RateLimit, Applied::No), "{error:?}");
    assert!(error.retry_after.is_some_and(|after| after > Duration::ZERO), "{error:?}");

    desk.fault(Calls::Publish, Trouble::ServerError);
    let error = WordPress.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Transient, Applied::Maybe), "{error:?}");

    desk.kept.lose("post");
    desk.kept.lose("slug");
    let empty = post("article", "", vec![]);
    let error = WordPress.prepare(&desk.cx(), &empty).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("empty_content")));
    assert!(desk.visible().is_empty());
}

fn told(key: &str, text: &str, answers: &[(&str, &str)]) -> Rendition {
    let extra = answers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Rendition { key: key.to_owned(), extra, ..post("article", text, vec![]) }
}

/// Prepared and published, without handles of another.
async fn put(desk: &Desk, out: &Rendition) -> Remote {
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    assert_eq!(WordPress.prepare(&desk.cx(), out).await.unwrap(), Prepared::Ready);
    publish(&desk.cx(), out).await
}

/// What the site has of an article, for its editors.
async fn node(desk: &Desk, path: &str) -> Value {
    let (http, base, _) = desk.parts();
    let request = http
        .get(&format!("{base}/wp-json/wp/v2/{path}"))
        .query(&[("context", "edit")])
        .basic_auth("alice", Some("sandbox-alice"));
    http.send(request, Duration::from_secs(5)).await.unwrap().json().unwrap()
}

#[tokio::test]
async fn categories_and_tags_go_by_name_and_are_made_once() {
    let desk = desk().await;
    let answers = [("categories", "News, Bread & butter"), ("tags", "rye, Open on Sunday,rye")];
    let first = put(&desk, &told("a", "One", &answers)).await;
    let answers = [("categories", "bread & BUTTER"), ("tags", "Rye")];
    let second = put(&desk, &told("b", "Two", &answers)).await;
    assert_eq!(desk.requests("POST", "/categories"), 2);
    assert_eq!(desk.requests("POST", "/tags"), 2);
    let (first, second) = (
        node(&desk, &format!("posts/{}", first.id)).await,
        node(&desk, &format!("posts/{}", second.id)).await,
    );
    assert_eq!(first["categories"].as_array().unwrap().len(), 2);
    assert_eq!(first["tags"].as_array().unwrap().len(), 2);
    assert_eq!(second["categories"][0], first["categories"][1]);
    assert_eq!(second["tags"][0], first["tags"][0]);
    // One whose name is a part of another's is another.
    put(&desk, &told("d", "Part", &[("categories", "New"), ("tags", "Open")])).await;
    assert_eq!(desk.requests("POST", "/categories"), 3);
    assert_eq!(desk.requests("POST", "/tags"), 3);
    let plain = put(&desk, &told("c", "Three", &[])).await;
    assert_eq!(
        node(&desk, &format!("posts/{}", plain.id)).await["categories"],
        serde_json::json!([1])
    );
}

#[tokio::test]
async fn the_usual_category_stands_in_where_none_can_be_made() {
    let secrets = [("applicationPassword", "sandbox-author-ann")];
    let mut desk = Desk::open(&WordPress, &[("username", "author-ann")], &secrets).await;
    let out = told("a", "One", &[("categories", "News"), ("tags", "rye")]);
    let id = put(&desk, &out).await.id;
    let seen = node(&desk, &format!("posts/{id}")).await;
    assert_eq!(seen["categories"], serde_json::json!([1]), "the site's own default");
    assert_eq!(seen["tags"].as_array().unwrap().len(), 1);

    let (http, base, _) = desk.parts();
    let made = http
        .post(&format!("{base}/wp-json/wp/v2/categories"))
        .basic_auth("alice", Some("sandbox-alice"))
        .json(&serde_json::json!({ "name": "Bakery" }));
    let made: Value = http.send(made, Duration::from_secs(5)).await.unwrap().json().unwrap();
    desk.account.settings.insert("usualCategory".to_owned(), "bakery".to_owned());
    for (key, answers) in [("b", &[("categories", "News")][..]), ("c", &[])] {
        let id = put(&desk, &told(key, "Two", answers)).await.id;
        let seen = node(&desk, &format!("posts/{id}")).await;
        assert_eq!(seen["categories"], serde_json::json!([made["id"]]));
    }
    // What the user may do is not taken for a broken connection.
    assert!(WordPress.check(&desk.cx()).await.is_ok());
}

#[tokio::test]
async fn excerpt_and_slug_are_set_when_it_is_published() {
    let desk = desk().await;
    let out = told("a", "A title\n\nText", &[("excerpt", "Short & sweet"), ("slug", "sunday")]);
    WordPress.prepare(&desk.cx(), &out).await.unwrap();
    let id = desk.kept.all()["post"].as_str().unwrap().to_owned();
    let draft = node(&desk, &format!("posts/{id}")).await["slug"].clone();
    assert!(draft.as_str().unwrap().starts_with("a-title-"), "its mark: {draft}");
    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    WordPress.publish(&desk.cx(), &out).await.unwrap_err();
    let found = WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found).id, id);
    let seen = node(&desk, &format!("posts/{id}")).await;
    assert_eq!((&seen["slug"], &seen["status"]), (&"sunday".into(), &"publish".into()));
    assert_eq!(seen["excerpt"]["raw"], "Short &amp; sweet");
}

#[tokio::test]
async fn a_draft_stays_one_and_is_found_and_deleted() {
    let desk = desk().await;
    let out = told("a", "For the editors", &[("status", "draft"), ("slug", "later")]);
    WordPress.prepare(&desk.cx(), &out).await.unwrap();
    assert_eq!(WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    desk.fault(Calls::Publish, Trouble::ResetBeforeAccept);
    WordPress.publish(&desk.cx(), &out).await.unwrap_err();
    assert_eq!(WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    let remote = publish(&desk.cx(), &out).await;
    let found = WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &remote);
    let seen = node(&desk, &format!("posts/{}", remote.id)).await;
    assert_eq!((&seen["slug"], &seen["status"]), (&"later".into(), &"draft".into()));
    assert!(desk.visible().is_empty());
    WordPress.delete(&desk.cx(), &remote.id).await.unwrap();
    assert_eq!(WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
}

#[tokio::test]
async fn the_site_publishes_at_its_own_time() {
    let desk = desk().await;
    // The sandbox's site is in UTC, and it is ten o'clock there.
    let out = told("a", "Later", &[("publishAt", "2026-11-22T12:30")]);
    WordPress.prepare(&desk.cx(), &out).await.unwrap();
    desk.fault(Calls::Publish, Trouble::ResetAfterAccept);
    WordPress.publish(&desk.cx(), &out).await.unwrap_err();
    let found = WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
    assert_eq!(only(&found), &publish(&desk.cx(), &out).await);
    desk.pass(Duration::from_secs(9_000 - 1));
    assert!(desk.visible().is_empty());
    desk.pass(Duration::from_secs(1));
    assert_eq!(desk.visible().len(), 1);
    assert_eq!(only(&found).id, desk.visible()[0].id);
}

#[tokio::test]
async fn an_article_is_replaced_in_its_place() {
    let desk = desk().await;
    let first = put(&desk, &told("a", "Old title\n\nOld text", &[("tags", "rye")])).await;
    let out = Rendition {
        media: vec![jpeg(800, 600, 1)],
        ..told("b", "New title\n\nNew text", &[("replaces", &first.id)])
    };
    desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
    WordPress.prepare(&desk.cx(), &out).await.unwrap();
    assert!(desk.visible()[0].text.contains("Old"), "nothing is to be seen of it as yet");
    assert_eq!(WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap(), []);
    for trouble in [Trouble::ResetBeforeAccept, Trouble::ResetAfterAccept] {
        desk.fault(Calls::Edit, trouble);
        let error = WordPress.publish(&desk.cx(), &out).await.unwrap_err();
        assert_eq!(error.applied, Applied::Maybe, "{error:?}");
        let found = WordPress.look_up(&desk.cx(), &out, desk.window()).await.unwrap();
        assert_eq!(found.len(), usize::from(trouble == Trouble::ResetAfterAccept));
    }
    assert_eq!(publish(&desk.cx(), &out).await.id, first.id);
    let seen = desk.visible();
    assert_eq!((seen.len(), seen[0].id.as_str()), (1, first.id.as_str()));
    assert!(seen[0].text.contains("New text") && !seen[0].text.contains("Old"), "{}", seen[0].text);
    let kept = node(&desk, &format!("posts/{}", first.id)).await;
    assert_eq!(kept["tags"].as_array().unwrap().len(), 1, "what was not said stays");

    for (id, code) in [("999999", "rest_post_invalid_id"), ("../users/1", "bad_article")] {
        desk.kept.all().keys().for_each(|name| desk.kept.lose(name));
        let gone = told("c", "x", &[("replaces", id)]);
        let error = WordPress.prepare(&desk.cx(), &gone).await.unwrap_err();
        assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some(code)));
    }
}

/// `CARILLON_WORDPRESS` holds the line that `crates/carillon/tests/live/wordpress/start.sh` prints.
#[tokio::test]
#[ignore = "needs a running WordPress, named by CARILLON_WORDPRESS"]
async fn a_real_site_agrees() {
    let site: Value = serde_json::from_str(&std::env::var("CARILLON_WORDPRESS").unwrap()).unwrap();
    let url = site["url"].as_str().unwrap();
    let user = site["username"].as_str().unwrap();
    let http = Http::new(Guard::allowing([url.trim_start_matches("http://").to_owned()]));
    let kept = Kept::default();
    let alice = |settings: &[(&str, &str)], password: &str| {
        let settings = [&[("username", user)], settings].concat();
        account(&settings, &[("applicationPassword", password)])
    };
    let mut right = alice(&[], site["applicationPassword"].as_str().unwrap());
    let timeout = Duration::from_secs(20);
    let fresh = Context::new(&http, &right, url, 0, timeout, Default::default(), &Forgetful);
    let learnt = WordPress.check(&fresh).await.unwrap().settings;
    // On a site without pretty permalinks it is the other address of the API.
    right.settings.extend(learnt.clone());
    let cx = || Context::new(&http, &right, url, 0, timeout, kept.all(), &kept);

    let wrong = alice(&[], "wrong");
    let wrong = Context::new(&http, &wrong, url, 0, timeout, Default::default(), &Forgetful);
    let error = WordPress.check(&wrong).await.unwrap_err();
    assert_eq!((error.class, error.applied), (Class::Auth, Applied::No), "{error:?}");

    // A whole PNG: WordPress makes smaller ones of it.
    let dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
    let picture = Media {
        content_type: "image/png".to_owned(),
        file_name: "ein „Bild“.png".to_owned(),
        data: STANDARD.decode(dot).unwrap().into(),
        source: None,
        duration: None,
        cover: None,
        ..jpeg(1, 1, 1)
    };
    let window = carillon_networks::Window { since: 0, until: i64::MAX };
    let key = format!("{}", std::process::id());
    let out = Rendition { key, ..article(vec![picture]) };
    assert_eq!(WordPress.prepare(&cx(), &out).await.unwrap(), Prepared::Ready);
    assert_eq!(WordPress.look_up(&cx(), &out, window).await.unwrap(), []);
    let first = kept.all()["post"].clone();
    // Lost: it is found by its slug and not made again.
    kept.lose("post");
    WordPress.prepare(&cx(), &out).await.unwrap();
    assert_eq!(kept.all()["post"], first);

    let remote = publish(&cx(), &out).await;
    assert_eq!(publish(&cx(), &out).await, remote, "the flip can be repeated");
    // What anybody sees of it.
    let address = format!("{url}/index.php?rest_route=/wp/v2/posts/{}", remote.id);
    let seen: Value = http.send(http.get(&address), timeout).await.unwrap().json().unwrap();
    assert_eq!(seen["title"]["rendered"], "A title &lt;with&gt; signs");
    assert_eq!(seen["link"], remote.url.as_deref().unwrap());
    assert!(seen["featured_media"].as_u64().is_some_and(|id| id > 0), "{seen}");
    let page = seen["content"]["rendered"].as_str().unwrap();
    for part in [
        "<p>First &amp; foremost.<br>Next line.</p>",
        "<p>The end.</p>",
        "<figure class=\"wp-block-image\">",
        "alt=\"Picture “1”\"",
    ] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    assert_eq!(only(&WordPress.look_up(&cx(), &out, window).await.unwrap()), &remote);
    kept.lose("post");
    assert_eq!(only(&WordPress.look_up(&cx(), &out, window).await.unwrap()), &remote);

    // The address that every site has.
    let plain = format!("{url}/index.php?rest_route=");
    let plain = alice(&[("restBase", &plain)], site["applicationPassword"].as_str().unwrap());
    let plain = Context::new(&http, &plain, url, 0, timeout, kept.all(), &kept);
    assert_eq!(only(&WordPress.look_up(&plain, &out, window).await.unwrap()), &remote);
    let again = WordPress.check(&plain).await.unwrap().settings;
    let usual = String::new();
    assert_eq!(&again["restBase"], learnt.get("restBase").unwrap_or(&usual), "looked for anew");

    // What else an article can be told.
    let own = format!("own-{}", std::process::id());
    let answers = [
        ("categories", "Bread & butter, News"),
        ("tags", "Rye “bread”, rye “bread”,Open on Sunday"),
        ("excerpt", "Short & sweet"),
        ("slug", own.as_str()),
    ];
    let edit = async |id: &str| -> Value {
        let request = http.get(&format!("{url}/index.php?rest_route=/wp/v2/posts/{id}"));
        let password = site["applicationPassword"].as_str();
        let request = request.query(&[("context", "edit")]).basic_auth(user, password);
        http.send(request, timeout).await.unwrap().json().unwrap()
    };
    let begin = |key: &str, text: &str, answers: &[(&str, &str)]| {
        kept.all().keys().for_each(|name| kept.lose(name));
        told(&format!("{key}-{}", std::process::id()), text, answers)
    };
    for round in 0..2 {
        let out = begin(&format!("told-{round}"), "Told\n\nText", &answers);
        WordPress.prepare(&cx(), &out).await.unwrap();
        let told = publish(&cx(), &out).await;
        assert_eq!(only(&WordPress.look_up(&cx(), &out, window).await.unwrap()), &told);
        let seen = edit(&told.id).await;
        let of = |key: &str| seen[key].as_array().unwrap().len();
        assert_eq!((of("categories"), of("tags")), (2, 2), "{seen}");
        assert_eq!(seen["excerpt"]["raw"], "Short &amp; sweet");
        assert!(seen["slug"].as_str().unwrap().starts_with(&own), "{seen}");

        let changed = begin("changed", "Changed\n\nNew & <b>text</b>", &[("replaces", &told.id)]);
        WordPress.prepare(&cx(), &changed).await.unwrap();
        assert_eq!(WordPress.look_up(&cx(), &changed, window).await.unwrap(), []);
        assert_eq!(publish(&cx(), &changed).await.id, told.id);
        assert_eq!(only(&WordPress.look_up(&cx(), &changed, window).await.unwrap()).id, told.id);
        WordPress.delete(&cx(), &told.id).await.unwrap();
    }
    for (answers, status) in [
        (&[("status", "draft"), ("slug", "a-draft")][..], "draft"),
        (&[("publishAt", "2099-12-24T18:30")][..], "future"),
    ] {
        let out = begin(status, "Waits", answers);
        WordPress.prepare(&cx(), &out).await.unwrap();
        let waits = publish(&cx(), &out).await;
        assert_eq!(edit(&waits.id).await["status"], status);
        assert_eq!(only(&WordPress.look_up(&cx(), &out, window).await.unwrap()), &waits);
        WordPress.delete(&cx(), &waits.id).await.unwrap();
    }

    kept.all().keys().for_each(|name| kept.lose(name));
    WordPress.delete(&plain, &remote.id).await.unwrap();
    WordPress.delete(&cx(), &remote.id).await.unwrap();
    assert_eq!(WordPress.look_up(&cx(), &out, window).await.unwrap(), []);
}
