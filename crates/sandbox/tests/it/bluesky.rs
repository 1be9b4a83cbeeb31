//! Bluesky, call by call, against networks.md §10 and §23.2.

use serde_json::{Value, json};

use crate::support::{World, mp4, ok, png, said, start};

const POST: &str = "app.bsky.feed.post";
const CREATED: &str = "2026-11-18T11:06:40.000Z";

struct Session {
    did: String,
    access: String,
    refresh: String,
}

fn xrpc(nsid: &str) -> String {
    format!("/bluesky/xrpc/{nsid}")
}

async fn log_in(world: &World, account: &str) -> Session {
    let body = json!({
        "identifier": format!("{account}.test"),
        "password": format!("sandbox-{account}"),
    });
    let answer = ok(world.post(&xrpc("com.atproto.server.createSession")).json(&body)).await;
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let pds = answer["didDoc"]["service"][0]["serviceEndpoint"].as_str().unwrap();
    assert_eq!(pds, world.url("/bluesky"));
    Session { did: text("did"), access: text("accessJwt"), refresh: text("refreshJwt") }
}

impl Session {
    fn write(&self, world: &World, call: &str, body: Value) -> reqwest::RequestBuilder {
        let mut body = body;
        body["repo"] = json!(self.did);
        body["collection"] = json!(POST);
        world.post(&xrpc(&format!("com.atproto.repo.{call}"))).bearer_auth(&self.access).json(&body)
    }

    fn put(&self, world: &World, rkey: &str, record: Value) -> reqwest::RequestBuilder {
        self.write(world, "putRecord", json!({"rkey": rkey, "record": record}))
    }

    fn record(&self, world: &World, rkey: &str) -> reqwest::RequestBuilder {
        world.get(&xrpc("com.atproto.repo.getRecord")).query(&[
            ("repo", self.did.as_str()),
            ("collection", POST),
            ("rkey", rkey),
        ])
    }

    async fn upload(&self, world: &World, bytes: Vec<u8>) -> Value {
        let request = world
            .post(&xrpc("com.atproto.repo.uploadBlob"))
            .bearer_auth(&self.access)
            .header("content-type", "image/png")
            .body(bytes);
        ok(request).await["blob"].clone()
    }
}

fn record(text: &str) -> Value {
    json!({"$type": POST, "text": text, "createdAt": CREATED})
}

#[tokio::test]
async fn a_repeated_put_changes_nothing_and_another_text_edits() {
    let world = start().await;
    let ann = log_in(&world, "ann").await;
    let first = ok(ann.put(&world, "3jui7kd54zh2y", record("Hello"))).await;
    let again = ok(ann.put(&world, "3jui7kd54zh2y", record("Hello"))).await;
    assert_eq!(first["cid"], again["cid"]);
    assert!(first["commit"].is_object() && again["commit"].is_null());
    let posts = world.sandbox.ledger("bluesky");
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0].id, format!("at://{}/{POST}/3jui7kd54zh2y", ann.did));
    assert_eq!((posts[0].text.as_str(), posts[0].account.as_str()), ("Hello", "ann"));

    let body = json!({"rkey": "3jui7kd54zh2y", "record": record("Hello"), "swapRecord": null});
    assert_eq!(ok(ann.write(&world, "putRecord", body)).await["cid"], first["cid"]);
    let body = json!({"rkey": "3jui7kd54zh2y", "record": record("Bye"), "swapRecord": null});
    let (status, error) = said(ann.write(&world, "putRecord", body)).await;
    assert_eq!((status, &error["error"]), (400, &json!("InvalidSwap")));

    let edited = ok(ann.put(&world, "3jui7kd54zh2y", record("Bye"))).await;
    assert_ne!(edited["cid"], first["cid"]);
    assert_eq!(world.sandbox.ledger("bluesky")[0].text, "Bye");
    assert_eq!(world.sandbox.ledger("bluesky").len(), 1);
}

#[tokio::test]
async fn create_with_a_used_key_is_a_500_and_without_one_makes_a_key() {
    let world = start().await;
    let ann = log_in(&world, "ann").await;
    let body = json!({"rkey": "3jui7kd54zh2y", "record": record("One")});
    ok(ann.write(&world, "createRecord", body.clone())).await;
    let (status, error) = said(ann.write(&world, "createRecord", body)).await;
    assert_eq!((status, &error["error"]), (500, &json!("InternalServerError")));
    ok(ann.write(&world, "createRecord", json!({"record": record("Two")}))).await;
    assert_eq!(world.sandbox.ledger("bluesky").len(), 2);
    let (status, _) = said(ann.write(&world, "putRecord", json!({"record": record("x")}))).await;
    assert_eq!(status, 400);
    let bad_key = said(ann.put(&world, "a b", record("x"))).await;
    assert_eq!(bad_key.1["message"], "Invalid record key (got \"a b\") at $.rkey");
    let (status, error) = said(ann.put(&world, "self", record("x"))).await;
    assert_eq!(status, 400);
    assert!(error["message"].as_str().unwrap().contains("Invalid TID string"), "{error}");
}

#[tokio::test]
async fn records_are_read_listed_and_deleted() {
    let world = start().await;
    let ann = log_in(&world, "ann").await;
    let (status, error) = said(ann.record(&world, "3aaaaaaaaaaa2")).await;
    assert_eq!((status, &error["error"]), (400, &json!("RecordNotFound")));
    for at in 2..7 {
        ok(ann.put(&world, &format!("3aaaaaaaaaaa{at}"), record(&format!("No. {at}")))).await;
    }
    assert_eq!(ok(ann.record(&world, "3aaaaaaaaaaa4")).await["value"]["text"], "No. 4");
    let list = |more: &[(&str, &str)]| {
        let mut query = vec![("repo", "ann.test"), ("collection", POST), ("limit", "2")];
        query.extend(more);
        world.get(&xrpc("com.atproto.repo.listRecords")).query(&query)
    };
    let texts = |page: &Value| {
        let records = page["records"].as_array().unwrap();
        records.iter().map(|r| r["value"]["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let page = ok(list(&[])).await;
    assert_eq!(texts(&page), ["No. 6", "No. 5"]);
    let page = ok(list(&[("cursor", page["cursor"].as_str().unwrap())])).await;
    assert_eq!(texts(&page), ["No. 4", "No. 3"]);
    assert_eq!(texts(&ok(list(&[("reverse", "true")])).await), ["No. 2", "No. 3"]);

    for _ in 0..2 {
        // Deleting what is gone is a success as well.
        ok(ann.write(&world, "deleteRecord", json!({"rkey": "3aaaaaaaaaaa4"}))).await;
    }
    assert_eq!(said(ann.record(&world, "3aaaaaaaaaaa4")).await.0, 400);
    assert_eq!(world.visible("bluesky").len(), 4);
    assert_eq!(world.sandbox.ledger("bluesky").len(), 5);
}

#[tokio::test]
async fn a_blob_must_be_uploaded_and_dies_with_its_record() {
    let world = start().await;
    let ann = log_in(&world, "ann").await;
    let blob = ann.upload(&world, png(640, 480)).await;
    assert_eq!(blob["mimeType"], "image/png");
    let with = |blob: &Value| {
        let mut record = record("Look");
        let images = json!([{"alt": "A square", "image": blob}]);
        record["embed"] = json!({"$type": "app.bsky.embed.images", "images": images});
        record
    };
    ok(ann.put(&world, "3aaaaaaaaaaa2", with(&blob))).await;
    let post = &world.sandbox.ledger("bluesky")[0];
    assert_eq!((post.media[0].alt.as_str(), post.media[0].bytes), ("A square", 29));
    let shown = world.get(&post.media[0].url).send().await.unwrap();
    assert_eq!(shown.headers()["content-type"], "image/png");
    assert_eq!(shown.bytes().await.unwrap(), png(640, 480));

    ok(ann.write(&world, "deleteRecord", json!({"rkey": "3aaaaaaaaaaa2"}))).await;
    let (status, error) = said(ann.put(&world, "3aaaaaaaaaaa2", with(&blob))).await;
    assert_eq!((status, &error["error"]), (400, &json!("BlobNotFound")));
    ann.upload(&world, png(640, 480)).await;
    ok(ann.put(&world, "3aaaaaaaaaaa2", with(&blob))).await;
    assert_eq!(world.visible("bluesky").len(), 1);

    // A blob that is described wrongly is refused while no record holds it.
    let mut lie = ann.upload(&world, png(320, 240)).await;
    lie["size"] = json!(5);
    assert_eq!(said(ann.put(&world, "3aaaaaaaaaaa4", with(&lie))).await.1["error"], "InvalidSize");
    // Another account's blob is not ours, and an image of a post has a bound.
    let bob = log_in(&world, "bob").await;
    let (_, error) = said(bob.put(&world, "3aaaaaaaaaaa2", with(&blob))).await;
    assert_eq!(error["error"], "BlobNotFound");
    let mut big = png(1, 1);
    big.resize(1_000_001, 0);
    let blob = ann.upload(&world, big).await;
    let (_, error) = said(ann.put(&world, "3aaaaaaaaaaa3", with(&blob))).await;
    assert!(error["message"].as_str().unwrap().contains("blob too big"), "{error}");
    let huge = world
        .post(&xrpc("com.atproto.repo.uploadBlob"))
        .bearer_auth(&ann.access)
        .header("content-type", "image/png")
        .body(vec![0; 6 << 20]);
    let (status, error) = said(huge).await;
    assert_eq!((status, &error["error"]), (413, &json!("PayloadTooLarge")));
}

#[tokio::test]
async fn a_text_is_bounded_and_facets_are_not_checked_against_it() {
    let world = start().await;
    let ann = log_in(&world, "ann").await;
    let (status, error) = said(ann.put(&world, "3aaaaaaaaaaa2", record(&"a".repeat(406)))).await;
    assert_eq!(status, 400);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("grapheme too big (maximum 300, got 406)"), "{message}");
    let mut odd = record("short");
    odd["facets"] = json!([{
        "index": {"byteStart": 100, "byteEnd": 200},
        "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "x"}],
    }]);
    ok(ann.put(&world, "3aaaaaaaaaaa2", odd)).await;
}

#[tokio::test]
async fn tokens_expire_refresh_and_are_refused_with_400() {
    let world = start().await;
    let wrong = json!({"identifier": "ann.test", "password": "sandbox-bob"});
    let (status, error) =
        said(world.post(&xrpc("com.atproto.server.createSession")).json(&wrong)).await;
    assert_eq!((status, &error["error"]), (401, &json!("AuthenticationRequired")));

    let ann = log_in(&world, "ann").await;
    let session = |token: &str| {
        world.get(&xrpc("com.atproto.server.getSession")).bearer_auth(token.to_owned())
    };
    let refresh = |token: &str| {
        world.post(&xrpc("com.atproto.server.refreshSession")).bearer_auth(token.to_owned())
    };
    assert_eq!(ok(session(&ann.access)).await["handle"], "ann.test");
    assert_eq!(said(session("nonsense")).await.1["error"], "InvalidToken");
    assert_eq!(said(session(&ann.refresh)).await.1["message"], "Invalid token type");
    assert_eq!(said(refresh(&ann.access)).await.1["error"], "InvalidToken");
    let (status, error) = said(world.get(&xrpc("com.atproto.server.getSession"))).await;
    assert_eq!((status, &error["error"]), (401, &json!("AuthMissing")));

    world.pass(2 * 3_600);
    let (status, error) = said(session(&ann.access)).await;
    assert_eq!((status, &error["error"]), (400, &json!("ExpiredToken")));
    let new = ok(refresh(&ann.refresh)).await;
    ok(session(new["accessJwt"].as_str().unwrap())).await;
    // The used one works a little longer, and then no more; the new one does.
    ok(refresh(&ann.refresh)).await;
    world.pass(2 * 3_600);
    assert_eq!(said(refresh(&ann.refresh)).await.1["error"], "ExpiredToken");
    ok(refresh(new["refreshJwt"].as_str().unwrap())).await;
    world.pass(91 * 86_400);
    assert_eq!(said(refresh(new["refreshJwt"].as_str().unwrap())).await.1["error"], "ExpiredToken");
}

#[tokio::test]
async fn too_many_logins_are_a_rate_limit() {
    let world = start().await;
    for _ in 0..30 {
        log_in(&world, "ann").await;
    }
    let body = json!({"identifier": "ann.test", "password": "sandbox-ann"});
    let request = world.post(&xrpc("com.atproto.server.createSession")).json(&body);
    let answer = request.try_clone().unwrap().send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["ratelimit-reset"], "1795000300");
    log_in(&world, "bob").await;
    world.pass(300);
    ok(request).await;
}

#[tokio::test]
async fn nobody_writes_into_the_repository_of_another() {
    let world = start().await;
    let ann = log_in(&world, "ann").await;
    let bob = log_in(&world, "bob").await;
    let body = json!({
        "repo": bob.did, "collection": POST, "rkey": "3aaaaaaaaaaa2", "record": record("x"),
    });
    let request = world.post(&xrpc("com.atproto.repo.putRecord")).bearer_auth(&ann.access);
    assert_eq!(said(request.json(&body)).await.0, 401);
    assert!(world.sandbox.ledger("bluesky").is_empty());
    let resolve = |handle: &str| {
        world
            .get(&xrpc("com.atproto.identity.resolveHandle"))
            .query(&[("handle", handle.to_owned())])
    };
    assert_eq!(ok(resolve("bob.test")).await["did"], bob.did);
    assert_eq!(said(resolve("bob.example")).await.0, 400);
}

#[tokio::test]
async fn counts_of_posts_can_be_read() {
    let world = start().await;
    let ann = log_in(&world, "ann").await;
    let uri = ok(ann.put(&world, "3aaaaaaaaaaa2", record("x"))).await["uri"].clone();
    let uri = uri.as_str().unwrap();
    let asked = || {
        let request = world.get(&xrpc("app.bsky.feed.getPosts")).bearer_auth(&ann.access);
        request.query(&[("uris", uri), ("uris", "at://did:plc:none/app.bsky.feed.post/x")])
    };
    let passed_on = || asked().header("atproto-proxy", "did:web:api.bsky.app#bsky_appview");
    let posts = ok(passed_on()).await["posts"].clone();
    assert_eq!(posts.as_array().unwrap().len(), 1);
    assert_eq!((&posts[0]["uri"], &posts[0]["likeCount"]), (&json!(uri), &json!(0)));
    // Nobody is asked who is not named.
    assert_eq!(said(asked()).await.0, 400);

    let id: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
    let order = world.post(&format!("/_numbers/bluesky/{id}"));
    let set = ok(order.json(&json!({ "likes": 3, "shares": 4 }))).await;
    assert_eq!((&set["likes"], &set["views"]), (&json!(3), &json!(0)));
    let post = ok(passed_on()).await["posts"][0].clone();
    let told = ["likeCount", "repostCount", "quoteCount", "replyCount"].map(|name| &post[name]);
    assert_eq!(told, [&json!(3), &json!(3), &json!(1), &json!(0)]);
    for (path, body, status) in [
        (format!("bluesky/{id}"), json!({ "hearts": 1 }), 400),
        (format!("bluesky/{id}"), json!({ "likes": -1 }), 400),
        ("bluesky/none".to_owned(), json!({}), 404),
        ("myspace/1".to_owned(), json!({}), 404),
    ] {
        let (got, error) = said(world.post(&format!("/_numbers/{path}")).json(&body)).await;
        assert_eq!(got, status, "{path} {body}: {error}");
        assert!(error["error"].as_str().unwrap().ends_with('.'), "{error}");
    }
    let (status, error) = said(world.post(&xrpc("com.atproto.repo.applyWrites"))).await;
    assert_eq!(status, 400);
    assert_eq!(error["message"], "No service configured for com.atproto.repo.applyWrites");
}

#[tokio::test]
async fn a_video_is_a_job_that_ends_in_a_blob() {
    let world = start().await;
    let ann = log_in(&world, "ann").await;
    let pass = async |lxm: &str, exp: i64| {
        let query = [("aud", "did:web:localhost"), ("lxm", lxm), ("exp", &exp.to_string())];
        let request = world.get(&xrpc("com.atproto.server.getServiceAuth")).query(&query);
        said(request.bearer_auth(&ann.access)).await
    };
    let now = 1_795_000_000;
    let (status, body) = pass("com.atproto.repo.uploadBlob", now + 4_000).await;
    assert_eq!((status, &body["error"]), (400, &json!("BadExpiration")));
    let upload = |token: &str, did: &str, film: &[u8]| {
        world
            .post(&xrpc("app.bsky.video.uploadVideo"))
            .query(&[("did", did), ("name", "a.mp4")])
            .header("content-type", "video/mp4")
            .bearer_auth(token)
            .body(film.to_vec())
    };
    let film = mp4(1080, 1920, 30);
    let other = pass("app.bsky.feed.getTimeline", now + 1_800).await.1["token"].clone();
    let token = pass("com.atproto.repo.uploadBlob", now + 1_800).await.1["token"].clone();
    let (other, token) = (other.as_str().unwrap(), token.as_str().unwrap());
    for request in [
        upload(other, &ann.did, &film),
        upload(&ann.access, &ann.did, &film),
        upload(token, "did:plc:bob", &film),
    ] {
        assert_eq!(said(request).await.0, 401);
    }
    let job = ok(upload(token, &ann.did, &film)).await;
    let id = job["jobId"].as_str().unwrap().to_owned();
    let (status, again) = said(upload(token, &ann.did, &film)).await;
    assert_eq!((status, &again["jobId"]), (409, &job["jobId"]));
    let ask = |id: &str| world.get(&xrpc("app.bsky.video.getJobStatus")).query(&[("jobId", id)]);
    assert_eq!(ok(ask(&id)).await["jobStatus"]["state"], "JOB_STATE_ENCODING");
    world.pass(10);
    let done = ok(ask(&id)).await["jobStatus"].clone();
    assert_eq!(
        (&done["state"], &done["blob"]["size"]),
        (&json!("JOB_STATE_COMPLETED"), &json!(film.len()))
    );
    let embed = json!({"$type": "app.bsky.embed.video", "video": done["blob"], "alt": "A film"});
    let mut post = record("Film");
    post["embed"] = embed;
    ok(ann.put(&world, "3jui7kd54zh2y", post)).await;
    let seen = &world.sandbox.ledger("bluesky")[0].media[0];
    assert_eq!((seen.kind.as_str(), seen.alt.as_str()), ("video", "A film"));

    let long = ok(upload(token, &ann.did, &mp4(1080, 1920, 181))).await;
    world.pass(10);
    let failed = ok(ask(long["jobId"].as_str().unwrap())).await;
    assert_eq!(failed["jobStatus"]["state"], "JOB_STATE_FAILED");
    world.pass(1_800);
    assert_eq!(said(upload(token, &ann.did, &film)).await.0, 401);
}
