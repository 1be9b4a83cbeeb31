//! Uploads when things go wrong: kill -9 in the middle, a full disk, a store that is away; and how
//! much memory a large one takes.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bytes::Bytes;
use carillon::identity::door;
use carillon::media::blobs::{self, PIECE};
use carillon::media::{library, uploads};
use futures_util::{StreamExt, stream};
use reqwest::{Body, Method, StatusCode};

use crate::both;
use crate::support::process::Process;
use crate::support::s3::{S3, files};
use crate::support::{On, TestApp, picture, throw_away};
use crate::uploads::{Tus, heavy};

fn staged(t: &TestApp, path: &str) -> PathBuf {
    let id = path.rsplit('/').next().expect("an id");
    t.app.config.data.dir.join("media/uploads").join(id)
}

/// A body that gives these bytes and then neither more nor an end.
fn stalling(bytes: Vec<u8>) -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    Body::wrap_stream(first.chain(stream::pending()))
}

both! {
    async fn a_full_disk_costs_nothing_that_was_there(t: TestApp) {
        let (tus, file) = (Tus::of(&t).await, picture(640, 480));
        let path = tus.begin("a.jpg", file.len()).await;
        assert_eq!(tus.send(&path, 0, file[..1000].to_vec()).await.offset(), 1000);
        let (staged, aside) = (staged(&t, &path), t.app.config.data.dir.join("aside"));
        std::fs::rename(&staged, &aside).unwrap();
        symlink("/dev/full", &staged).unwrap();
        let said = tus.send(&path, 1000, file[1000..].to_vec()).await;
        assert_eq!((said.status.as_u16(), said.code.as_str()), (507, "media_store_full"), "{}", said.error);
        assert_eq!(tus.head(&path).await.offset(), 1000);
        // Somebody makes room.
        std::fs::remove_file(&staged).unwrap();
        std::fs::rename(&aside, &staged).unwrap();
        let said = tus.send(&path, 1000, file[1000..].to_vec()).await;
        let key = blobs::key(&t.workspace, said.header("media-id"), "original");
        assert_eq!(t.app.blobs.get(&key).await.expect("whole"), file);
    }

    async fn a_whole_file_becomes_a_medium_as_soon_as_the_store_is_back(t: TestApp) {
        let (tus, file) = (Tus::of(&t).await, picture(64, 64));
        let obstacle = t.app.config.data.dir.join("media").join(&t.workspace);
        for swept in [false, true] {
            let path = tus.begin("a.jpg", file.len()).await;
            std::fs::write(&obstacle, "in the way").unwrap();
            let said = tus.send(&path, 0, file.clone()).await;
            assert_eq!((said.status.as_u16(), said.code.as_str()), (503, "media_store_unavailable"));
            assert_eq!(tus.head(&path).await.status.as_u16(), 503, "not told as done before it is");
            assert_eq!(uploads::sweep(&t.app).await.expect("a sweep"), 0);
            std::fs::remove_file(&obstacle).unwrap();
            if swept {
                uploads::sweep(&t.app).await.expect("a sweep");
            }
            let said = tus.head(&path).await;
            assert_eq!((said.status, said.offset()), (StatusCode::OK, file.len() as u64));
            let medium = said.header("media-id");
            library::find(&t.app, &t.workspace, medium).await.expect("a medium");
            throw_away(&t.app, &t.workspace, medium).await.expect("deleted");
        }
    }

    async fn pieces_that_are_gone_end_the_upload(t: TestApp) {
        let (tus, file) = (Tus::of(&t).await, picture(64, 64));
        let path = tus.begin("a.jpg", file.len()).await;
        assert_eq!(tus.send(&path, 0, file[..100].to_vec()).await.offset(), 100);
        std::fs::remove_file(staged(&t, &path)).unwrap();
        let said = tus.send(&path, 100, file[100..].to_vec()).await;
        assert_eq!((said.status.as_u16(), said.code.as_str()), (410, "upload_gone"), "no hole is made");
        assert_eq!(tus.head(&path).await.status, StatusCode::NOT_FOUND);
    }
}

/// The shipped binary, on the system's clock, and a key to it.
pub(crate) async fn installed(on: On) -> (TestApp, String) {
    let more = [("CARILLON_IMAGE_MAX", "2GB")];
    let t = TestApp::with_sandbox_of(on, "http://127.0.0.1:9", &more).await;
    let (workspace, now) = (t.workspace.clone(), t.clock.now());
    let made =
        t.app.db.write(move |tx| async move { door::make_key(&tx, &workspace, "test", now).await });
    let key = made.await.expect("a key");
    (t, key)
}

fn serve(t: &TestApp, key: &str) -> (Process, Tus) {
    let (server, line) = Process::start(&["serve"], &t.settings, "listening on ");
    (server, Tus::at(line.trim_start_matches("listening on "), key))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_for_survives_a_kill_on_sqlite() {
    kill(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_for_survives_a_kill_on_postgres() {
    kill(On::Postgres).await;
}

async fn kill(on: On) {
    let ((t, key), file) = (installed(on).await, heavy(18_000_000));
    let (mut server, mut tus) = serve(&t, &key);
    let path = tus.begin("large.jpg", file.len()).await;
    let mut at = 0;
    // Twice, the second time from the middle of a piece.
    for send in [PIECE as usize * 2 + 77, 1_000_000] {
        let answered = if at == 0 { PIECE * 2 } else { PIECE * 2 + 1000 };
        if at > 0 {
            let said = tus.send(&path, at, file[at as usize..answered as usize].to_vec()).await;
            assert_eq!(said.offset(), answered);
        }
        let from = if at == 0 { 0 } else { answered as usize };
        let (on, body) = (Tus::at(&tus.url, &key), stalling(file[from..from + send].to_vec()));
        let to = path.clone();
        let sending = tokio::spawn(async move { on.send(&to, from as u64, body).await });
        while tus.head(&path).await.offset() < answered {
            tokio::task::yield_now().await;
        }
        server.kill();
        sending.abort();
        (server, tus) = serve(&t, &key);
        at = tus.head(&path).await.offset();
        assert_eq!(at, answered, "what was answered for, and nothing that was not");
    }
    let said = tus.send(&path, at, file[at as usize..].to_vec()).await;
    assert_eq!(said.status, StatusCode::NO_CONTENT, "{}", said.error);
    let original = blobs::key(&t.workspace, said.header("media-id"), "original");
    assert!(t.app.blobs.get(&original).await.expect("the original") == file, "the same bytes");
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_gigabyte_to_the_disk_takes_little_memory() {
    let t = gigabyte(&[]).await;
    assert_eq!(files(&t.app.config.data.dir.join("media")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_a_gigabyte_to_a_bucket_takes_little_memory() {
    let s3 = S3::start().await;
    gigabyte(&s3.settings("s3")).await;
    assert_eq!((s3.objects(), s3.parts()), (0, 0));
}

/// Sends all but the last byte, because what a whole file of its type takes is another question;
/// then cancels it.
async fn gigabyte(store: &[(&'static str, String)]) -> TestApp {
    const LENGTH: usize = 1_000_000_000;
    let (mut t, key) = installed(On::Sqlite).await;
    t.settings.extend(store.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let (server, tus) = serve(&t, &key);
    let path = tus.begin("large.jpg", LENGTH).await;
    let before = server.peak_memory();
    let head = Bytes::from(heavy(1_000_000));
    let chunks = std::iter::once(head.clone())
        .chain(std::iter::repeat_n(head.clone(), LENGTH / head.len() - 2))
        .chain([head.slice(1..)]);
    let body = Body::wrap_stream(stream::iter(chunks.map(Ok::<_, std::io::Error>)));
    let said = tus.send(&path, 0, body).await;
    assert_eq!(said.offset(), LENGTH as u64 - 1, "{}", said.error);
    let added = server.peak_memory() - before;
    println!("1 GB in one request: {} MB more at its peak", added / 1_000_000);
    assert!(added < 64_000_000, "{added} bytes more");
    assert_eq!(tus.ask(Method::DELETE, &path, &[], "").await.status, StatusCode::NO_CONTENT);
    server.kill();
    t
}
