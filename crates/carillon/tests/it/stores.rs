//! Media in an S3-compatible store, and on their way between it and the disk.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use carillon::App;
use carillon::config::{Config, Place};
use carillon::media::blobs::{self, PIECE};
use carillon::media::{library, links, moving, uploads};
use carillon::store::media::MediaState;
use futures_util::stream;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::process;
use crate::support::s3::{S3, SECRET, files};
use crate::support::{On, TestApp, picture, throw_away};
use crate::uploads::{Tus, heavy};

const KINDS: [&str; 6] = ["original", "full", "thumb", "square", "story", "landscape"];
const OPERATOR: &str = "operator";

async fn with(on: On, s3: &S3, home: &'static str, more: &[(&str, &str)]) -> TestApp {
    let settings = s3.settings(home);
    let mut all: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    all.extend(more);
    TestApp::with(on, &all).await
}

/// The same installation with other settings.
async fn again(t: &TestApp, more: &[(&str, &str)]) -> App {
    let mut settings: BTreeMap<String, String> = t.settings.clone();
    settings.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let config = Config::read(|name| settings.get(name).cloned()).expect("the settings are right");
    App::open(config, t.clock.clone()).await.expect("the app opens")
}

fn on_disk(t: &TestApp) -> usize {
    files(&t.app.config.data.dir.join("media"))
}

async fn read(app: &App, t: &TestApp, id: &str, kind: &str) -> Bytes {
    app.blobs.get(&blobs::key(&t.workspace, id, kind)).await.expect("a blob")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_lives_in_the_bucket_and_goes_with_all_that_was_made_of_it() {
    for on in [On::Sqlite, On::Postgres] {
        let s3 = S3::start().await;
        let t = with(on, &s3, "s3", &[]).await;
        let id = t.upload().await;
        let view = library::find(&t.app, &t.workspace, &id).await.expect("a medium");
        assert_eq!(view.state, MediaState::Ready);
        assert_eq!((s3.objects(), on_disk(&t)), (KINDS.len(), 0));
        assert_eq!(read(&t.app, &t, &id, "original").await, picture(1200, 900));
        let part = t.app.blobs.part(&blobs::key(&t.workspace, &id, "original"), 10..20).await;
        assert_eq!(part.expect("a part"), picture(1200, 900)[10..20]);
        // To where the operator set it, and to nobody else.
        let there = format!("{}/media", s3.url).parse().expect("an address");
        assert!(t.app.http.check(&there).is_err(), "the way to the networks stays shut");
        // What a network is sent is what lies there.
        let (mastodon, mut draft) = (t.connect("mastodon").await, t.draft("At the quay", &[]));
        draft.deliveries = vec![crate::support::to(&mastodon)];
        draft.media = vec![id.clone()];
        t.schedule(draft).await;
        t.pass(std::time::Duration::from_secs(700)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        let other = t.upload().await;
        assert_eq!(s3.objects(), 2 * KINDS.len());
        throw_away(&t.app, &t.workspace, &other).await.expect("deleted");
        assert_eq!(s3.objects(), KINDS.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_go_to_the_bucket_as_parts_whatever_their_size() {
    for on in [On::Sqlite, On::Postgres] {
        let s3 = S3::start().await;
        let t = with(on, &s3, "s3", &[("CARILLON_IMAGE_MAX", "20MB")]).await;
        let (tus, file) = (Tus::of(&t).await, heavy(12_000_000));
        let path = tus.begin("large.jpg", file.len()).await;
        let mut at = 0;
        for size in [100, 3_000_000, 1, PIECE as usize, 50] {
            let said = tus.send(&path, at as u64, file[at..at + size].to_vec()).await;
            at += size;
            assert_eq!(
                (said.status, said.offset()),
                (StatusCode::NO_CONTENT, at as u64),
                "{}",
                said.error
            );
        }
        assert_eq!(s3.objects(), 1, "what is less than a part waits once");
        let wrong = [("upload-checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")];
        let offset = at.to_string();
        let headers = [
            wrong[0],
            ("content-type", "application/offset+octet-stream"),
            ("upload-offset", offset.as_str()),
        ];
        let said = tus.ask(Method::PATCH, &path, &headers, file[at..].to_vec()).await;
        assert_eq!(said.code, "checksum_mismatch");
        // Another process goes on.
        let (other, id) = (t.again().await, path.rsplit('/').next().expect("an id"));
        let rest = stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(&file[at..]))]);
        let upload = uploads::receive(&other, &t.workspace, id, at as u64, None, None, rest).await;
        assert!(upload.expect("taken").finished_at.is_some());
        assert!(read(&t.app, &t, id, "original").await == file, "the same bytes");
        assert_eq!((s3.objects(), s3.parts(), on_disk(&t)), (1, 0, 0), "nothing else is kept");

        // One that is cancelled leaves nothing, neither parts nor what is less than one.
        let path = tus.begin("large.jpg", file.len()).await;
        assert_eq!(tus.send(&path, 0, file[..6_000_000].to_vec()).await.offset(), 6_000_000);
        assert_eq!((s3.objects(), s3.parts()), (2, 1));
        assert_eq!(tus.ask(Method::DELETE, &path, &[], "").await.status, StatusCode::NO_CONTENT);
        assert_eq!((s3.objects(), s3.parts()), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_while_it_is_read_and_back_again() {
    for on in [On::Sqlite, On::Postgres] {
        let s3 = S3::start().await;
        let t = with(on, &s3, "disk", &[("CARILLON_IMAGE_MAX", "20MB")]).await;
        let tus = Tus::of(&t).await;
        let (large, mut ids) = (heavy(11_000_000), Vec::new());
        let path = tus.begin("large.jpg", large.len()).await;
        ids.push(tus.send(&path, 0, large.clone()).await.header("media-id").to_owned());
        t.worker.tick().await.expect("a tick");
        for _ in 0..2 {
            ids.push(t.upload().await);
        }
        let all = ids.len() * KINDS.len();
        std::fs::write(t.app.config.data.dir.join("media/stray"), "nobody's").unwrap();
        assert_eq!((on_disk(&t), s3.objects()), (all + 1, 0));
        let mut before = BTreeMap::new();
        for id in &ids {
            for kind in KINDS {
                before.insert((id.clone(), kind), read(&t.app, &t, id, kind).await);
            }
        }

        let refusal = moving::run(&t.app, Place::S3, OPERATOR, |_| {}).await.expect_err("not yet");
        assert_eq!(refusal.code, "store_not_home");
        assert_eq!(s3.objects(), 0);
        // A server that was started anew reads everything, from wherever it is.
        let app = again(&t, &[("CARILLON_STORE", "s3")]).await;
        let reading = Arc::new(AtomicBool::new(true));
        let reader = tokio::spawn({
            let (app, before, ws) = (app.clone(), before.clone(), t.workspace.clone());
            let reading = reading.clone();
            async move {
                let mut rounds = 0;
                while reading.load(Ordering::Relaxed) || rounds == 0 {
                    for ((id, kind), bytes) in &before {
                        let found = app.blobs.get(&blobs::key(&ws, id, kind)).await;
                        assert!(found.expect("always somewhere") == *bytes, "{kind} of {id}");
                    }
                    rounds += 1;
                }
            }
        });
        let load = moving::survey(&app, Place::S3).await.expect("a look");
        assert_eq!(load.files as usize, all + 1);
        // Killed in the middle: what began is run again.
        let (seen, stop) = (AtomicU64::new(0), tokio::sync::Notify::new());
        let told = |_| {
            if seen.fetch_add(1, Ordering::Relaxed) == 4 {
                stop.notify_one()
            }
        };
        tokio::select! {
            ended = moving::run(&app, Place::S3, OPERATOR, told) => panic!("{ended:?}"),
            () = stop.notified() => {}
        }
        assert!(s3.objects() >= 4 && on_disk(&t) > 1, "in the middle");
        let moved = moving::run(&app, Place::S3, OPERATOR, |_| {}).await.expect("moved");
        assert!(moved.failed.is_empty(), "{:?}", moved.failed);
        assert_eq!(moved.foreign.files, 1, "what belongs to nobody is left alone");
        assert_eq!((on_disk(&t), s3.objects()), (1, all));
        // Of the one file that was under way when it was killed: three parts of 5 MB.
        assert!(s3.parts() <= 3, "{}", s3.parts());
        let none = moving::run(&app, Place::S3, OPERATOR, |_| {}).await.expect("nothing to do");
        assert_eq!((none.moved.files, none.there.files), (0, 0));

        // And back; one that was damaged meanwhile stays, with its reason.
        let broken = s3.object(&blobs::key(&t.workspace, &ids[1], "original"));
        let good = std::fs::read(&broken).unwrap();
        std::fs::write(&broken, picture(10, 10)).unwrap();
        reading.store(false, Ordering::Relaxed);
        // It may be reading just that one, and says so if it does.
        reader.abort();
        let moved = moving::run(&t.app, Place::Disk, OPERATOR, |_| {}).await.expect("moved");
        assert_eq!(moved.failed.len(), 1);
        assert!(moved.failed[0].reason.contains("restore it"), "{:?}", moved.failed);
        assert_eq!((on_disk(&t), s3.objects()), (all, 1));
        std::fs::write(&broken, good).unwrap();
        moving::run(&t.app, Place::Disk, OPERATOR, |_| {}).await.expect("moved");
        assert_eq!((on_disk(&t), s3.objects()), (all + 1, 0));
        for ((id, kind), bytes) in &before {
            assert!(read(&t.app, &t, id, kind).await == *bytes, "{kind} of {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medium_is_deleted_from_both_places() {
    let s3 = S3::start().await;
    let t = with(On::Sqlite, &s3, "disk", &[]).await;
    let id = t.upload().await;
    // As a move leaves it that was killed between copying and removing.
    let key = blobs::key(&t.workspace, &id, "original");
    let copy = s3.object(&key);
    std::fs::create_dir_all(copy.parent().expect("a folder")).unwrap();
    std::fs::copy(t.app.config.data.dir.join("media").join(key), copy).unwrap();
    let app = again(&t, &[("CARILLON_STORE", "s3")]).await;
    throw_away(&app, &t.workspace, &id).await.expect("deleted");
    assert_eq!((on_disk(&t), s3.objects()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_to_the_store_where_they_should_and_open_nothing_else() {
    let s3 = S3::start().await;
    let t = with(On::Sqlite, &s3, "s3", &[("CARILLON_MEDIA_LINKS", "store")]).await;
    let (id, ws) = (t.upload().await, t.workspace.as_str());
    let link = links::public(&t.app, ws, &id, "square").await;
    assert!(link.starts_with(&s3.url) && link.contains("/square.jpg?"), "{link}");
    assert!(link.contains("response-content-type=image%2Fjpeg"), "{link}");
    assert!(link.contains("X-Amz-Expires=86400"), "{link}");
    assert!(!link.contains(SECRET));
    let get = async |url: &str| reqwest::get(url).await.expect("an answer");
    let answer = get(&link).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.bytes().await.expect("bytes"), read(&t.app, &t, &id, "square").await);
    for wrong in [
        link.replace("square", "story"),
        link.replace("Expires=86400", "Expires=864000"),
        link.split('?').next().expect("a path").to_owned(),
    ] {
        assert_eq!(get(&wrong).await.status(), StatusCode::FORBIDDEN, "{wrong}");
    }
    // This server's: where it is asked for, where the store is no https address, and for what is
    // on the disk still.
    let ours = |link: String| assert!(link.starts_with("http://here/m/"), "{link}");
    for (setting, home) in [("server", "s3"), ("auto", "s3"), ("store", "disk")] {
        let more = [
            ("CARILLON_MEDIA_LINKS", setting),
            ("CARILLON_STORE", home),
            ("CARILLON_PUBLIC_URL", "http://here"),
        ];
        let app = again(&t, &more).await;
        if home == "disk" {
            moving::run(&app, Place::Disk, OPERATOR, |_| {}).await.expect("moved");
        }
        ours(links::public(&app, ws, &id, "square").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_or_shut_refuses_and_loses_nothing() {
    let s3 = S3::start().await;
    let t = with(On::Sqlite, &s3, "s3", &[]).await;
    let (tus, file) = (Tus::of(&t).await, picture(300, 200));
    let path = tus.begin("a.jpg", file.len()).await;
    assert_eq!(tus.send(&path, 0, file[..1000].to_vec()).await.offset(), 1000);
    s3.set_away(true);
    let said = tus.send(&path, 1000, file[1000..].to_vec()).await;
    assert_eq!((said.status.as_u16(), said.code.as_str()), (503, "media_store_unavailable"));
    assert_eq!(tus.head(&path).await.offset(), 1000);
    s3.set_away(false);
    let said = tus.send(&path, 1000, file[1000..].to_vec()).await;
    let id = said.header("media-id").to_owned();
    assert_eq!(read(&t.app, &t, &id, "original").await, file, "{}", said.error);

    let shut = again(&t, &[("CARILLON_S3_SECRET", "another")]).await;
    let found = shut.blobs.get(&blobs::key(&t.workspace, &id, "original")).await;
    let error = found.expect_err("shut").to_string();
    assert!(error.contains("not available") && !error.contains("another"), "{error}");
}

fn run(t: &TestApp, args: &[&str], more: &[(&str, &str)]) -> (Option<i32>, Value, String) {
    let mut command = Command::new(process::binary());
    command.args(args).envs(&t.settings).envs(more.iter().copied());
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    let json = serde_json::from_slice(&stdout).unwrap_or_default();
    (status.code(), json, String::from_utf8_lossy(&stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_looks_at_the_stores_and_moves_between_them() {
    let s3 = S3::start().await;
    let t = with(On::Sqlite, &s3, "disk", &[("CARILLON_MEDIA_LINKS", "store")]).await;
    t.upload().await;
    let of = |found: &Value, name: &str| {
        let all = found.as_array().cloned().unwrap_or_default();
        all.into_iter().find(|f| f["name"] == name).unwrap_or_default()
    };
    let (code, found, said) = run(&t, &["doctor", "--json"], &[]);
    assert_eq!(code, Some(0), "{found} {said}");
    for (name, says) in [
        ("media store", "disk: writes, reads"),
        ("other media store", "s3: writes, reads"),
        ("media links", "one was fetched"),
    ] {
        let detail = of(&found, name)["detail"].to_string();
        assert!(detail.contains(says), "{name}: {detail}");
    }
    let (code, found, _) = run(&t, &["doctor", "--json"], &[("CARILLON_S3_SECRET", "wrong")]);
    assert_eq!(code, Some(1));
    assert_eq!(of(&found, "other media store")["ok"], false);
    assert_eq!(of(&found, "media links")["ok"], false);
    assert_eq!(s3.objects(), 0, "it clears up after itself");

    let (code, _, said) = run(&t, &["media", "move", "--to", "s3"], &[]);
    assert_eq!(code, Some(4));
    assert!(said.contains("Set CARILLON_STORE=s3"), "{said}");
    let home = [("CARILLON_STORE", "s3")];
    let (code, load, _) = run(&t, &["media", "move", "--to", "s3", "--dry-run", "--json"], &home);
    assert_eq!((code, load["files"].as_u64()), (Some(0), Some(KINDS.len() as u64)));
    let (code, moved, said) = run(&t, &["media", "move", "--to", "s3", "--json"], &home);
    assert_eq!((code, moved["moved"]["files"].as_u64()), (Some(0), Some(6)), "{said}");
    assert_eq!((on_disk(&t), s3.objects()), (0, 6));
    let (_, trail, _) = run(&t, &["ops", "audit", "--action", "media.moved", "--json"], &home);
    assert!(trail.to_string().contains("\"files\":6"), "{trail}");
    let (code, ..) = run(&t, &["media", "move", "--to", "moon"], &home);
    assert_eq!(code, Some(2));

    let large = t.app.config.data.dir.join("large.jpg");
    std::fs::write(&large, heavy(4_900_000)).unwrap();
    let (code, added, said) = run(&t, &["media", "add", &large.to_string_lossy(), "--json"], &home);
    assert_eq!((code, added["bytes"].as_u64()), (Some(0), Some(4_900_000)), "{said}");
    assert_eq!((on_disk(&t), s3.objects()), (0, 12));
    let home = [("CARILLON_STORE", "disk")];
    let (code, moved, said) = run(&t, &["media", "move", "--to", "disk", "--json"], &home);
    assert_eq!((code, moved["moved"]["files"].as_u64()), (Some(0), Some(12)), "{said}");
    assert_eq!((on_disk(&t), s3.objects()), (12, 0));
    std::fs::write(&large, heavy(5_000_001)).unwrap();
    let (code, _, said) = run(&t, &["media", "add", &large.to_string_lossy()], &home);
    assert_eq!(code, Some(1));
    assert!(said.contains("larger than the 5 MB a picture may have"), "{said}");
}
