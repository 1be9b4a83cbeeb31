//! Pictures: taken in by their content, made into what networks take, thrown away with their files.

use std::time::Duration;

use bytes::Bytes;
use carillon::App;
use carillon::db::Error;
use carillon::domain::alert::AlertKind;
use carillon::domain::frame::Fit;
use carillon::domain::job::Pool;
use carillon::domain::refusal::{Kind, Refusal};
use carillon::media::library::{self, Description};
use carillon::media::{Unfit, blobs, derive, finding, intake};
use carillon::store::media::{Media, MediaState};
use carillon::store::{alerts, events, queue};
use futures_util::stream;

use crate::both;
use crate::support::{START, TestApp, picture, throw_away};

const RENDITIONS: [&str; 5] = ["full", "thumb", "square", "story", "landscape"];

async fn upload(t: &TestApp, name: &str, data: Vec<u8>) -> Result<Media, Refusal> {
    upload_into(t, &t.workspace, name, data).await
}

async fn upload_into(
    t: &TestApp,
    workspace: &str,
    name: &str,
    data: Vec<u8>,
) -> Result<Media, Refusal> {
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(data))]);
    intake::upload(&t.app, workspace, name, "Loaves on the counter", body).await
}

async fn load(app: &App, id: &str) -> Option<Media> {
    let id = id.to_owned();
    let found: Result<_, Error> =
        app.db.read(move |tx| async move { carillon::store::media::load(&tx, &id).await }).await;
    found.expect("the database answers")
}

/// The kinds of every event so far that is about this medium.
async fn told(t: &TestApp, id: &str) -> Vec<String> {
    let ws = t.workspace.clone();
    let all: Result<_, Error> =
        t.app.db.read(move |tx| async move { events::after(&tx, &ws, (0, ""), 1000).await }).await;
    let all = all.expect("the events");
    all.into_iter().filter(|e| e.data["mediaId"] == id).map(|e| e.kind).collect()
}

async fn has_blob(t: &TestApp, id: &str, kind: &str) -> bool {
    t.app.blobs.get(&blobs::key(&t.workspace, id, kind)).await.is_ok()
}

/// A JPEG with a block of Exif in it that names a place.
fn telling(width: u16, height: u16) -> Vec<u8> {
    let plain = picture(width, height);
    let exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0GPS 51.5074N";
    let mut file = plain[..2].to_vec();
    file.extend([0xff, 0xe1]);
    file.extend((exif.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(exif);
    file.extend_from_slice(&plain[2..]);
    file
}

/// A GIF of two frames.
fn moving(width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut file, width, height, &[0, 0, 0, 255, 255, 255]).unwrap();
    for colour in [0u8, 1] {
        let pixels = vec![colour; usize::from(width) * usize::from(height)];
        let frame = gif::Frame { width, height, buffer: pixels.into(), ..gif::Frame::default() };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    file
}

fn says(place: &[u8]) -> bool {
    place.windows(4).any(|w| w == b"GPS ")
}

both! {
    async fn a_picture_is_typed_by_its_content_and_made_into_what_networks_take(t: TestApp) {
        let file = telling(1600, 1200);
        assert!(says(&file));
        let medium = upload(&t, "../uploads/photo.png", file.clone()).await.expect("taken");
        assert_eq!((medium.name.as_str(), medium.content_type.as_str()), ("photo.jpg", "image/jpeg"));
        assert_eq!((medium.width, medium.height, medium.bytes), (1600, 1200, file.len() as i64));
        assert_eq!(medium.state, MediaState::Pending);
        assert_eq!(medium.sha256.len(), 64);
        let before = library::view(&medium, &[]);
        assert_eq!(before.thumb_url, None, "nothing is promised that is not there");

        assert_eq!(t.worker.tick().await.expect("a tick"), 1, "one job");
        let view = library::find(&t.app, &t.workspace, &medium.id).await.expect("there");
        assert_eq!(view.state, MediaState::Ready);
        let made: Vec<(&str, Option<i64>, Option<i64>)> =
            view.derivatives.iter().map(|d| (d.kind.as_str(), d.width, d.height)).collect();
        assert_eq!(made, [
            ("square", Some(1080), Some(1350)),
            ("story", Some(1080), Some(1920)),
            ("landscape", Some(1920), Some(1080)),
        ]);
        assert!(view.thumb_url.is_some());
        assert_eq!(told(&t, &medium.id).await, ["media.created", "media.ready"]);

        let original = t.app.blobs.get(&blobs::key(&t.workspace, &medium.id, "original")).await;
        assert_eq!(original.expect("the original"), file, "kept as it came");
        for kind in RENDITIONS {
            let data = t.app.blobs.get(&blobs::key(&t.workspace, &medium.id, kind)).await.expect(kind);
            assert!(!says(&data), "{kind} tells where it was taken");
        }
        // Once more changes nothing.
        derive::derive(&t.app, &medium.id).await.expect("idle");
        assert_eq!(told(&t, &medium.id).await.len(), 2);
    }

    async fn what_is_no_picture_is_refused_and_leaves_nothing(t: TestApp) {
        let bomb = {
            let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
            png.extend(60_000u32.to_be_bytes());
            png.extend(60_000u32.to_be_bytes());
            png.extend([8, 2, 0, 0, 0, 0, 0, 0, 0]);
            png
        };
        for (name, data, kind, code) in [
            ("page.png", b"<!doctype html><script>alert(1)</script>".to_vec(), Kind::Unsupported, "media_type"),
            ("draw.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), Kind::Unsupported, "media_type"),
            ("film.jpg", b"RIFF\x36\0\0\0AVI LIST and more than a head of it, all of it film".to_vec(), Kind::Unsupported, "media_type"),
            ("none.jpg", Vec::new(), Kind::Invalid, "media_empty"),
            ("half.jpg", picture(64, 64)[..20].to_vec(), Kind::Unsupported, "media_broken"),
            ("bomb.png", bomb, Kind::TooLarge, "media_too_many_pixels"),
            ("huge.jpg", [picture(64, 64), vec![0; 5_000_000]].concat(), Kind::TooLarge, "media_too_large"),
        ] {
            let refusal = upload(&t, name, data).await.expect_err(name);
            assert_eq!((refusal.kind, refusal.code.as_str()), (kind, code), "{name}: {refusal}");
            assert!(refusal.sentence.ends_with('.') && !refusal.fix.is_empty(), "{name}: {refusal:?}");
        }
        let refusal = upload(&t, "huge.jpg", [picture(64, 64), vec![0; 5_000_000]].concat()).await;
        assert!(refusal.expect_err("too large").sentence.contains("5 MB"));
        let (all, _) = finding::list(&t.app, &t.workspace, &Default::default(), None, 50).await.expect("a list");
        assert!(all.is_empty());
        assert_eq!(t.worker.tick().await.expect("a tick"), 0, "no job");
        assert_eq!(files(&t), 0, "no file");
    }

    async fn a_row_that_cannot_be_written_takes_its_file_with_it(t: TestApp) {
        let nobody = carillon::ids::new(START);
        let refusal = upload_into(&t, &nobody, "a.jpg", picture(64, 64)).await.expect_err("no workspace");
        assert_eq!(refusal.kind, Kind::Internal);
        assert_eq!(files(&t), 0);
    }

    async fn a_store_that_is_away_refuses_and_saves_nothing(t: TestApp) {
        let folder = t.app.config.data.dir.join("media");
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "in the way").unwrap();
        let refusal = upload(&t, "a.jpg", picture(64, 64)).await.expect_err("no store");
        assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::Unavailable, "media_store_unavailable"));
        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let medium = upload(&t, "a.jpg", picture(64, 64)).await.expect("taken");
        // Trouble that passes is tried again, not held against the picture.
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "in the way").unwrap();
        derive::derive(&t.app, &medium.id).await.expect_err("the store is away");
        assert_eq!(load(&t.app, &medium.id).await.unwrap().state, MediaState::Processing);
    }

    async fn a_picture_that_breaks_off_fails_with_its_reason_and_can_be_made_anew(t: TestApp) {
        let whole = picture(800, 600);
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40\x08\x02\0\0\0".to_vec();
        let medium = upload(&t, "cut.png", [png, vec![1, 2, 3, 4]].concat()).await.expect("a good header");
        t.worker.tick().await.expect("a tick");
        let view = library::find(&t.app, &t.workspace, &medium.id).await.expect("there");
        assert_eq!(view.state, MediaState::Failed);
        let problem = view.problem.expect("a reason");
        assert_eq!((problem.class.as_str(), problem.action.as_str()), ("media", "edit_post"));
        assert_eq!(told(&t, &medium.id).await, ["media.created", "media.failed"]);

        // Somebody repairs the file; one job however often it is asked for.
        t.app.blobs.put(&blobs::key(&t.workspace, &medium.id, "original"), whole.into()).await.unwrap();
        for _ in 0..3 {
            let view = library::reprocess(&t.app, Some(&t.workspace), &medium.id).await.expect("asked");
            assert_eq!((view.state, view.problem), (MediaState::Pending, None));
        }
        assert_eq!(t.worker.tick().await.expect("a tick"), 1);
        assert_eq!(load(&t.app, &medium.id).await.unwrap().state, MediaState::Ready);
    }

    async fn a_lost_original_is_said_so(t: TestApp) {
        let medium = upload(&t, "a.jpg", picture(64, 64)).await.expect("taken");
        t.app.blobs.delete(&blobs::key(&t.workspace, &medium.id, "original")).await.unwrap();
        t.worker.tick().await.expect("a tick");
        let medium = load(&t.app, &medium.id).await.unwrap();
        assert_eq!(medium.state, MediaState::Failed);
        assert!(medium.problem.unwrap().sentence.contains("no longer in the store"));
    }

    async fn what_a_post_has_stays_and_the_rest_goes_with_its_files(t: TestApp) {
        let (used, free) = (t.upload().await, t.upload().await);
        let connection = t.connect("mastodon").await;
        let post = t.schedule(carillon::publishing::schedule::Draft {
            media: vec![used.clone()],
            ..t.draft("At the quay", &[&connection])
        }).await;
        let refusal = throw_away(&t.app, &t.workspace, &used).await.expect_err("in use");
        assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::Conflict, "media_in_use"));
        assert!(has_blob(&t, &used, "original").await);
        assert!(load(&t.app, &used).await.is_some());

        throw_away(&t.app, &t.workspace, &free).await.expect("gone");
        assert!(load(&t.app, &free).await.is_none());
        for kind in RENDITIONS.into_iter().chain(["original"]) {
            assert!(!has_blob(&t, &free, kind).await, "{kind} is still there");
            assert!(has_blob(&t, &used, kind).await, "{kind} of the other one");
        }
        carillon::publishing::schedule::delete(&t.app, &t.workspace, &post.id, carillon::store::audit::OPERATOR).await.expect("deleted");
        throw_away(&t.app, &t.workspace, &used).await.expect("no post has it now");
        assert_eq!(files(&t), 0);
    }

    async fn a_picture_deleted_before_its_turn_leaves_no_job(t: TestApp) {
        let medium = upload(&t, "a.jpg", picture(64, 64)).await.expect("taken");
        throw_away(&t.app, &t.workspace, &medium.id).await.expect("gone");
        assert_eq!(t.worker.tick().await.expect("a tick"), 0);
        derive::derive(&t.app, &medium.id).await.expect("nothing to do");
        assert_eq!(files(&t), 0);
    }

    async fn another_workspace_sees_and_changes_nothing(t: TestApp) {
        let id = t.upload().await;
        let other = carillon::ids::new(START);
        let not_found = |r: Refusal| assert_eq!(r.kind, Kind::NotFound);
        not_found(library::find(&t.app, &other, &id).await.expect_err("hidden"));
        let change = Description { alt: Some("mine".into()), ..Description::default() };
        not_found(library::describe(&t.app, &other, &id, change).await.expect_err("hidden"));
        not_found(throw_away(&t.app, &other, &id).await.expect_err("hidden"));
        not_found(library::reprocess(&t.app, Some(&other), &id).await.expect_err("hidden"));
        assert_eq!(finding::list(&t.app, &other, &Default::default(), None, 50).await.expect("a list").0.len(), 0);
        assert_eq!(load(&t.app, &id).await.unwrap().alt, "The harbour");
    }

    async fn the_library_is_listed_newest_first_page_by_page(t: TestApp) {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(t.upload().await);
        }
        ids.reverse();
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = finding::list(&t.app, &t.workspace, &Default::default(), cursor.as_deref(), 2).await.expect("a page");
            assert!(page.0.iter().all(|m| m.derivatives.iter().all(|d| d.bytes.is_some())));
            seen.extend(page.0.into_iter().map(|m| m.id));
            let Some(next) = page.1 else { break };
            cursor = Some(next);
        }
        assert_eq!(seen, ids);
    }

    async fn a_description_changes_and_an_absent_one_stays(t: TestApp) {
        let id = t.upload().await;
        let change = Description { name: Some("Quay.png".into()), ..Description::default() };
        let view = library::describe(&t.app, &t.workspace, &id, change).await.expect("changed");
        assert_eq!((view.name.as_str(), view.alt.as_str()), ("Quay.jpg", "The harbour"));
        let change = Description { alt: Some("é".repeat(2001)), ..Description::default() };
        let refusal = library::describe(&t.app, &t.workspace, &id, change).await.expect_err("too long");
        assert_eq!(refusal.problems[0].field, "alt");
        assert_eq!(told(&t, &id).await.last().unwrap(), "media.updated");
    }

    async fn the_safety_net_finds_what_nobody_works_on(t: TestApp) {
        let lost = upload(&t, "lost.jpg", picture(64, 64)).await.expect("taken");
        // Its job dies as one does that was tried too often.
        let now = t.clock.now();
        let claims = t.app.db.write(move |tx| async move {
            let claims = queue::claim(&tx, Pool::Media, 10, "a worker", now, now + 60_000).await?;
            for claim in &claims {
                queue::finish(&tx, claim, "dead", Some("it was so"), now).await?;
            }
            Ok::<_, Error>(claims)
        }).await.expect("claimed");
        assert_eq!(claims.len(), 1);
        let waiting = upload(&t, "waiting.jpg", picture(64, 64)).await.expect("taken");
        assert_eq!(derive::safety_net(&t.app).await.expect("a look"), 0, "too early");
        t.clock.advance(Duration::from_secs(11 * 60));
        assert_eq!(derive::safety_net(&t.app).await.expect("a look"), 1, "one has a job already");
        assert_eq!(derive::safety_net(&t.app).await.expect("a look"), 0, "now both have");
        t.worker.tick().await.expect("a tick");
        for id in [lost.id, waiting.id] {
            assert_eq!(load(&t.app, &id).await.unwrap().state, MediaState::Ready);
        }
    }

    async fn every_placement_gets_a_rendition_within_its_rules(t: TestApp) {
        let medium = upload(&t, "noise.jpg", telling(2400, 1800)).await.expect("taken");
        let early = load(&t.app, &medium.id).await.unwrap();
        for network in carillon_networks::ALL {
            for placement in network.spec().placements {
                assert_eq!(derive::rendition(&t.app, &early, placement).await.err(), Some(Unfit::NotYet));
            }
        }
        t.worker.tick().await.expect("a tick");
        let medium = load(&t.app, &medium.id).await.unwrap();
        for network in carillon_networks::ALL {
            for placement in network.spec().placements.iter().filter(|p| !p.media.types.is_empty()) {
                let (rule, who) = (&placement.media, network.spec().id);
                let out = derive::rendition(&t.app, &medium, placement).await.expect(who);
                let header = carillon_pictures::probe::probe(&out.data).expect(who);
                assert_eq!((header.width, header.height), (out.width, out.height), "{who}");
                assert_eq!(header.kind.content_type(), out.content_type, "{who}");
                assert!(rule.types.contains(&out.content_type.as_str()), "{who}");
                assert!(out.data.len() as u64 <= rule.max_bytes, "{who}: {} bytes", out.data.len());
                assert!(!says(&out.data), "{who} learns where it was taken");
                assert_eq!(out.file_name, "noise.jpg");
                assert_eq!(out.alt.is_empty(), rule.alt_max == 0, "{who}");
                assert_eq!(out.url.is_empty(), !rule.pull, "{who}: {}", out.url);
                let again = derive::rendition(&t.app, &medium, placement).await.expect(who);
                assert_eq!(again.data, out.data, "{who}: a repeated send carries the same bytes");
            }
        }
    }

    async fn a_picture_is_framed_around_its_focus_or_shown_whole(t: TestApp) {
        let id = upload(&t, "wide.jpg", picture(1600, 400)).await.expect("taken").id;
        t.worker.tick().await.expect("a tick");
        let square = async || t.app.blobs.get(&blobs::key(&t.workspace, &id, "square")).await.expect("made");
        let full = async || t.app.blobs.get(&blobs::key(&t.workspace, &id, "full")).await.expect("made");
        let (middle, whole) = (square().await, full().await);
        let framed = async |fit, x| {
            let change = Description { fit, focus_x: x, ..Description::default() };
            let view = library::describe(&t.app, &t.workspace, &id, change).await.expect("changed");
            t.worker.tick().await.expect("a tick");
            assert_eq!(load(&t.app, &id).await.expect("there").state, MediaState::Ready);
            (view.state, square().await)
        };
        let (state, left) = framed(None, Some(0)).await;
        assert_eq!(state, MediaState::Pending, "it is made anew");
        assert_ne!(left, middle);
        let (_, padded) = framed(Some(Fit::Pad), None).await;
        assert!(padded != left && padded != middle);
        assert_eq!(framed(Some(Fit::Crop), Some(50)).await.1, middle, "as it was");
        assert_eq!(framed(None, Some(50)).await.0, MediaState::Ready, "nothing changes, nothing is made");
        assert_eq!(full().await, whole, "what is shown whole stays whole");

        let outside = Description { focus_x: Some(101), focus_y: Some(-1), ..Description::default() };
        let refusal = library::describe(&t.app, &t.workspace, &id, outside).await.expect_err("outside");
        let fields: Vec<_> = refusal.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["focusX", "focusY"]);
    }

    /// Somebody moves its point again before it is cut: nobody waits a backoff's time for the last of it.
    async fn a_picture_framed_anew_while_it_is_cut_is_cut_again_at_once(t: TestApp) {
        let id = upload(&t, "wide.jpg", picture(1600, 400)).await.expect("taken").id;
        t.worker.tick().await.expect("a tick");
        let square = async || t.app.blobs.get(&blobs::key(&t.workspace, &id, "square")).await.expect("made");
        let frame = async |x| {
            let change = Description { focus_x: Some(x), ..Description::default() };
            library::describe(&t.app, &t.workspace, &id, change).await.expect("changed");
        };
        for (before, last) in [(50, 0), (50, 100), (0, 30), (100, 70)] {
            frame(last).await;
            t.worker.tick().await.expect("a tick");
            let alone = square().await;
            frame(before).await;
            let (ticked, ()) = tokio::join!(t.worker.tick(), frame(last));
            ticked.expect("a tick");
            t.worker.tick().await.expect("a tick");
            assert_eq!(load(&t.app, &id).await.expect("there").state, MediaState::Ready);
            assert_eq!(square().await, alone);
        }
    }

    /// Whatever code says: the database takes none as ready that is not whole.
    async fn ready_is_what_has_every_rendition(t: TestApp) {
        let medium = upload(&t, "a.jpg", picture(64, 64)).await.expect("taken");
        let m = medium.clone();
        let whole: Result<(), Error> = t.app.db.write(move |tx| async move {
            carillon::store::media::ready(&tx, &m, START).await
        }).await;
        whole.expect_err("nothing was made of it");
        let m = medium.clone();
        let by_hand: Result<(), Error> = t.app.db.write(move |tx| async move {
            carillon::store::media::set_state(&tx, &m.id, MediaState::Ready, None, START).await
        }).await;
        by_hand.expect_err("it is no habit");
        let empty = carillon::store::media::Made::ready("square", 1080, 1350, 0);
        let m = medium.clone();
        let nothing: Result<(), Error> = t.app.db.write(move |tx| async move {
            carillon::store::media::made(&tx, &m.id, &empty, START).await
        }).await;
        nothing.expect_err("a rendition without bytes");
        t.worker.tick().await.expect("a tick");
        assert_eq!(load(&t.app, &medium.id).await.expect("there").state, MediaState::Ready);
    }

    async fn what_fails_is_told_until_it_is_mended_or_gone(t: TestApp) {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40\x08\x02\0\0\0".to_vec();
        let broken = [png, vec![1, 2, 3, 4]].concat();
        let alerts = async || {
            let ws = t.workspace.clone();
            let open: Result<_, Error> =
                t.app.db.read(move |tx| async move { alerts::open_in(&tx, &ws, 10).await }).await;
            let open = open.expect("the alerts").into_iter().filter(|a| a.kind == AlertKind::MediaFailed);
            open.map(|a| (a.subject, a.problem.sentence)).collect::<Vec<_>>()
        };
        let medium = upload(&t, "cut.png", broken).await.expect("a good header");
        t.worker.tick().await.expect("a tick");
        let told = alerts().await;
        assert_eq!(told[0].0, medium.id);
        assert!(told.len() == 1 && told[0].1.starts_with("cut.png: "), "{told:?}");
        let key = blobs::key(&t.workspace, &medium.id, "original");
        t.app.blobs.put(&key, picture(64, 64).into()).await.expect("repaired");
        library::reprocess(&t.app, Some(&t.workspace), &medium.id).await.expect("asked");
        t.worker.tick().await.expect("a tick");
        assert_eq!(alerts().await, []);
    }

    async fn a_gif_moves_where_it_may(t: TestApp) {
        let file = moving(40, 30);
        let medium = upload(&t, "wave.gif", file.clone()).await.expect("taken");
        t.worker.tick().await.expect("a tick");
        let medium = load(&t.app, &medium.id).await.unwrap();
        let of = |network: &str| &carillon_networks::find(network).expect("known").spec().placements[0];
        let moves = derive::rendition(&t.app, &medium, of("mastodon")).await.expect("taken");
        assert_eq!((moves.content_type.as_str(), moves.file_name.as_str()), ("image/gif", "wave.gif"));
        assert_eq!(moves.data, file);
        let still = derive::rendition(&t.app, &medium, of("bluesky")).await.expect("taken");
        assert_eq!((still.content_type.as_str(), still.file_name.as_str()), ("image/jpeg", "wave.jpg"));
    }

    async fn a_rendition_lost_from_the_store_is_made_anew(t: TestApp) {
        let id = t.upload().await;
        t.app.blobs.delete(&blobs::key(&t.workspace, &id, "full")).await.unwrap();
        let placement = &carillon_networks::find("telegram").expect("known").spec().placements[0];
        let medium = load(&t.app, &id).await.unwrap();
        assert_eq!(derive::rendition(&t.app, &medium, placement).await.err(), Some(Unfit::NotYet));
        t.worker.tick().await.expect("a tick");
        let medium = load(&t.app, &id).await.unwrap();
        assert!(derive::rendition(&t.app, &medium, placement).await.is_ok());
    }
}

/// How many files the store holds.
fn files(t: &TestApp) -> usize {
    fn within(folder: &std::path::Path) -> usize {
        let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
        entries
            .map(|e| e.expect("an entry").path())
            .map(|path| if path.is_dir() { within(&path) } else { 1 })
            .sum()
    }
    within(&t.app.config.data.dir.join("media"))
}
