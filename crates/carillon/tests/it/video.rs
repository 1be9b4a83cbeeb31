//! Videos: looked into, made into what networks take when a post needs it, and published once.

mod convert;
mod intake;
mod publish;
mod served;

use std::time::Duration;

use bytes::Bytes;
use carillon::App;
use carillon::db::Error;
use carillon::domain::refusal::Refusal;
use carillon::media::library::{self, MediaView};
use carillon::media::{blobs, intake as door};
use carillon::publishing::schedule::{Draft, DraftDelivery};
use carillon::publishing::view::PostView;
use carillon::store::media::{Media, MediaState};
use futures_util::stream;

use crate::support::TestApp;
use crate::support::video::video;

const HOUR: Duration = Duration::from_secs(3_600);

/// In pieces, as a body comes.
async fn send(t: &TestApp, name: &str, data: Bytes) -> Result<Media, Refusal> {
    let pieces: Vec<_> =
        data.chunks(10_000).map(|c| Ok::<_, std::io::Error>(data.slice_ref(c))).collect();
    door::upload(&t.app, &t.workspace, name, "Gulls over the quay", stream::iter(pieces)).await
}

/// Uploads a video of this name and has it looked into.
async fn add(t: &TestApp, name: &'static str) -> MediaView {
    let medium = send(t, name, video(name)).await.expect("the video is taken");
    t.worker.tick().await.expect("a tick");
    show(t, &medium.id).await
}

async fn show(t: &TestApp, id: &str) -> MediaView {
    library::find(&t.app, &t.workspace, id).await.expect("the video is there")
}

async fn ready(t: &TestApp, name: &'static str) -> String {
    let view = add(t, name).await;
    assert_eq!(view.state, MediaState::Ready, "{:?}", view.problem);
    view.id
}

/// A post with this video to these places, due in ten minutes.
fn post(t: &TestApp, video: &str, places: &[(&str, &str)]) -> Draft {
    let to = |(connection, placement): &(&str, &str)| DraftDelivery {
        connection_id: (*connection).to_owned(),
        placement: Some((*placement).to_owned()),
        ..DraftDelivery::default()
    };
    Draft {
        media: vec![video.to_owned()],
        title: Some("Gulls".into()),
        deliveries: places.iter().map(to).collect(),
        ..t.draft("Gulls over the quay", &[])
    }
}

async fn schedule(t: &TestApp, video: &str, places: &[(&str, &str)]) -> PostView {
    t.schedule(post(t, video, places)).await
}

async fn load(app: &App, id: &str) -> Media {
    let id = id.to_owned();
    let found: Result<_, Error> =
        app.db.read(move |tx| async move { carillon::store::media::load(&tx, &id).await }).await;
    found.expect("the database answers").expect("the medium is there")
}

async fn blob(t: &TestApp, id: &str, kind: &str) -> Option<Bytes> {
    t.app.blobs.get(&blobs::key(&t.workspace, id, kind)).await.ok()
}

/// The files under this folder of the data.
fn files(t: &TestApp, folder: &str) -> Vec<std::path::PathBuf> {
    fn within(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for path in entries.map(|e| e.expect("an entry").path()) {
            if path.is_dir() { within(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    within(&t.app.config.data.dir.join(folder), &mut found);
    found
}

/// What is under work now: nothing, once everything is over.
fn under_work(t: &TestApp) -> Vec<std::path::PathBuf> {
    let mut all = files(t, "scratch");
    all.retain(|f| f.file_name().is_some_and(|n| n != "turn"));
    all
}

/// A program in ffmpeg's place; `$FFMPEG` in the script is the real one.
fn program(t: &TestApp, name: &str, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = t.app.config.data.dir.join(name);
    let script = script.replace("$FFMPEG", "/usr/bin/env ffmpeg");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// The same installation with other settings.
async fn with(t: &TestApp, settings: &[(&str, &str)]) -> App {
    let get = |name: &str| {
        let own = settings.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        own.or_else(|| t.settings.get(name).cloned())
    };
    let config = carillon::config::Config::read(get).expect("the settings are right");
    App::open(config, t.clock.clone()).await.expect("the app opens again")
}
