//! Videos come in, and are looked into.

use carillon::domain::refusal::Kind;
use carillon::media::library::Description;
use carillon::queue::worker::Worker;
use carillon::store::events;
use carillon_pictures::probe;

use super::*;
use crate::both;
use crate::support::video::SECRET;
use crate::support::{On, throw_away};

both! {
    async fn a_video_is_looked_into_and_gets_its_poster(t: TestApp) {
        let file = video("plain.mp4");
        let medium = send(&t, "../films/Quay.MOV", file.clone()).await.expect("taken");
        assert_eq!((medium.name.as_str(), medium.content_type.as_str()), ("Quay.mp4", "video/mp4"));
        assert_eq!((medium.state, medium.bytes, medium.width), (MediaState::Pending, file.len() as i64, 0));
        assert_eq!(blob(&t, &medium.id, "original").await.expect("the original"), file, "kept as it came");
        let before = show(&t, &medium.id).await;
        assert!(before.thumb_url.is_none() && before.poster_url.is_none() && before.video.is_none());

        assert_eq!(t.worker.tick().await.expect("a tick"), 1, "nothing is converted that nobody needs");
        let view = show(&t, &medium.id).await;
        assert_eq!((view.state, view.width, view.height), (MediaState::Ready, 320, 240));
        assert!(view.derivatives.is_empty() && view.thumb_url.is_some() && view.poster_url.is_some());
        let facts = view.video.expect("its facts").facts;
        assert_eq!((facts.codec.as_str(), facts.fps, facts.rotation), ("h264", 30.0, 0));
        assert!((1_900..=2_100).contains(&facts.duration_ms), "{facts:?}");
        assert!(facts.plain && !facts.hdr && !facts.variable_fps);
        let audio = facts.audio.expect("a tone");
        assert_eq!((audio.codec.as_str(), audio.sample_rate), ("aac", 44_100));
        assert!(audio.loudness.is_some_and(|l| (-30.0..-10.0).contains(&l)), "{:?}", audio.loudness);
        for (kind, width, height) in [("poster", 320, 240), ("thumb", 320, 240)] {
            let picture = probe::probe(&blob(&t, &medium.id, kind).await.expect(kind)).expect(kind);
            assert_eq!((picture.width, picture.height), (width, height), "{kind}");
        }
        let ws = t.workspace.clone();
        let told: Result<_, Error> =
            t.app.db.read(move |tx| async move { events::after(&tx, &ws, (0, ""), 100).await }).await;
        let told: Vec<String> = told.unwrap().into_iter().map(|e| e.kind).collect();
        assert_eq!(told, ["media.created", "media.ready"]);
        assert_eq!(under_work(&t), Vec::<std::path::PathBuf>::new());
    }

    async fn what_was_written_on_the_file_is_found_out(t: TestApp) {
        for (name, content_type, codec, seen, sound) in [
            ("silent.mov", "video/quicktime", "h264", (320, 240), false),
            ("film.mkv", "video/x-matroska", "h264", (320, 240), true),
            ("film.webm", "video/webm", "vp9", (320, 240), true),
            ("hdr.mp4", "video/mp4", "hevc", (320, 240), false),
            ("varying.mp4", "video/mp4", "h264", (320, 240), false),
            ("turned.mp4", "video/mp4", "h264", (240, 320), false),
            ("odd.mkv", "video/x-matroska", "ffv1", (321, 243), false),
        ] {
            let view = add(&t, name).await;
            assert_eq!(view.state, MediaState::Ready, "{name}: {:?}", view.problem);
            let facts = view.video.expect(name).facts;
            assert_eq!((view.content_type.as_str(), facts.codec.as_str()), (content_type, codec), "{name}");
            assert_eq!(((view.width, view.height), facts.audio.is_some()), (seen, sound), "{name}");
            assert!(facts.duration_ms > 900, "{name}: {facts:?}");
            assert_eq!(facts.hdr, name == "hdr.mp4", "{name}");
            assert_eq!(facts.variable_fps, name == "varying.mp4", "{name}");
            assert_eq!(facts.rotation % 180, if name == "turned.mp4" { 90 } else { 0 }, "{name}");
            let poster = probe::probe(&blob(&t, &view.id, "poster").await.expect(name)).expect(name);
            let near = |a: u32, b: i64| (i64::from(a) - b).abs() <= 1;
            assert!(near(poster.width, seen.0) && near(poster.height, seen.1), "{name}: {poster:?}");
        }
    }

    /// As a browser records: nobody has written how long it is.
    async fn a_recording_without_a_length_is_walked_through(t: TestApp) {
        let whole = video("film.webm");
        // The element `Duration` (44 89) becomes one that says nothing (EC, Void).
        let at = whole.windows(2).position(|w| w == [0x44, 0x89]).expect("a duration");
        let mut live = whole.to_vec();
        live[at..at + 2].copy_from_slice(&[0xEC, 0x89]);
        let medium = send(&t, "recording.webm", live.into()).await.expect("taken");
        t.worker.tick().await.expect("a tick");
        let view = show(&t, &medium.id).await;
        assert_eq!(view.state, MediaState::Ready, "{:?}", view.problem);
        let length = view.video.expect("its facts").facts.duration_ms;
        assert!((900..=1_100).contains(&length), "{length}");
    }

    async fn what_cannot_be_read_says_why_and_what_to_do(t: TestApp) {
        let whole = video("plain.mp4");
        let cut = whole.slice(..whole.len() / 2);
        let head = Bytes::from_static(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41\0\0\0\x08free");
        // A movie whose index is rubbish behind a good beginning.
        let mut broken = head[..32].to_vec();
        broken.extend([0, 0, 16, 8]);
        broken.extend(b"moov");
        broken.extend((0..4096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
        for (name, data, says) in [
            ("cut.mp4", cut, "cut short"),
            ("head.mp4", head, "cut short"),
            ("sound.mp4", video("sound.mp4"), "sound and no picture"),
            ("broken.mp4", broken.into(), "The video cannot be used: "),
        ] {
            let medium = send(&t, name, data).await.expect(name);
            t.worker.tick().await.expect("a tick");
            let view = show(&t, &medium.id).await;
            assert_eq!(view.state, MediaState::Failed, "{name}");
            let problem = view.problem.expect(name);
            assert!(problem.sentence.contains(says), "{name}: {}", problem.sentence);
            assert_eq!((problem.class.as_str(), problem.action.as_str()), ("media", "edit_post"), "{name}");
            assert!(!problem.action_sentence.is_empty(), "{name}");
        }
        assert_eq!(under_work(&t), Vec::<std::path::PathBuf>::new());
    }

    /// What is no film at all is refused at the door. Where it slips in, nothing else is read.
    async fn a_playlist_reads_nothing(t: TestApp) {
        let secret = t.app.config.data.dir.join("secret.txt");
        std::fs::write(&secret, "what nobody may see").unwrap();
        let list = format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{}\n#EXT-X-ENDLIST\n", secret.display());
        let refusal = send(&t, "list.mp4", list.clone().into()).await.expect_err("no film");
        assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::Unsupported, "media_type"));
        for slips in [list.clone(), format!("ffconcat version 1.0\nfile '{}'\n", secret.display())] {
            let medium = send(&t, "film.mp4", video("plain.mp4")).await.expect("taken");
            let key = blobs::key(&t.workspace, &medium.id, "original");
            t.app.blobs.put(&key, slips.into()).await.unwrap();
            t.worker.tick().await.expect("a tick");
            assert_eq!(show(&t, &medium.id).await.state, MediaState::Failed);
        }
    }

    async fn a_lost_original_and_a_repaired_one(t: TestApp) {
        let medium = send(&t, "film.mp4", video("plain.mp4")).await.expect("taken");
        let key = blobs::key(&t.workspace, &medium.id, "original");
        t.app.blobs.delete(&key).await.unwrap();
        t.worker.tick().await.expect("a tick");
        let view = show(&t, &medium.id).await;
        assert!(view.problem.expect("a reason").sentence.contains("no longer in the store"));
        t.app.blobs.put(&key, video("plain.mp4")).await.unwrap();
        let view = library::reprocess(&t.app, Some(&t.workspace), &medium.id).await.expect("asked");
        assert_eq!((view.state, view.problem), (MediaState::Pending, None));
        t.worker.tick().await.expect("a tick");
        assert_eq!(show(&t, &medium.id).await.state, MediaState::Ready);
    }

    async fn a_video_is_cut_and_its_cover_chosen(t: TestApp) {
        let id = ready(&t, "plain.mp4").await;
        let first = blob(&t, &id, "poster").await.expect("a poster");
        let change = |start, end, cover| Description {
            start_ms: start,
            end_ms: end,
            cover_ms: cover,
            ..Description::default()
        };
        for (wrong, code) in [
            (change(Some(1_500), Some(1_500), None), "cut_empty"),
            (change(Some(9_000), None, None), "cut_empty"),
            (change(None, None, Some(9_000)), "cover_outside"),
        ] {
            let refusal = library::describe(&t.app, &t.workspace, &id, wrong).await.expect_err(code);
            assert_eq!(refusal.problems[0].code, code);
        }
        let picture = t.upload().await;
        let refusal = library::describe(&t.app, &t.workspace, &picture, change(Some(1), None, None)).await;
        assert_eq!(refusal.expect_err("no video").problems[0].code, "not_a_video");

        let view = library::describe(&t.app, &t.workspace, &id, change(Some(500), Some(1_500), Some(1_900))).await.expect("cut");
        assert_eq!(view.state, MediaState::Pending, "its poster is made anew");
        t.worker.tick().await.expect("a tick");
        let view = show(&t, &id).await;
        let video = view.video.expect("its facts");
        assert_eq!((video.start_ms, video.end_ms, video.cover_ms), (Some(500), Some(1_500), Some(1_900)));
        assert_ne!(blob(&t, &id, "poster").await.expect("a poster"), first);
        let view = library::describe(&t.app, &t.workspace, &id, change(Some(-1), Some(-1), None)).await.expect("whole again");
        let video = view.video.expect("its facts");
        assert_eq!((video.start_ms, video.end_ms, video.cover_ms), (None, None, Some(1_900)));
    }

    async fn a_video_goes_with_all_its_files(t: TestApp) {
        let id = ready(&t, "plain.mp4").await;
        assert_eq!(files(&t, "media").len(), 3, "original, poster, thumb");
        throw_away(&t.app, &t.workspace, &id).await.expect("gone");
        assert_eq!(files(&t, "media").len(), 0);
    }
}

async fn limits(on: On) {
    let t = TestApp::with(on, &[("CARILLON_VIDEO_MAX", "20KB")]).await;
    let refusal = send(&t, "film.mp4", video("plain.mp4")).await.expect_err("too large");
    assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::TooLarge, "media_too_large"));
    assert_eq!(refusal.sentence, "The file is larger than the 20 KB a video may have.");
    assert!(refusal.fix.contains("CARILLON_VIDEO_MAX"), "{}", refusal.fix);
    let full = TestApp::with(on, &[("CARILLON_DISK_RESERVE", "9000000GB")]).await;
    let refusal = send(&full, "film.mp4", video("plain.mp4")).await.expect_err("no room");
    assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::Unavailable, "disk_full"));
    for t in [&t, &full] {
        assert_eq!(files(t, "media").len(), 0);
        assert_eq!(under_work(t), Vec::<std::path::PathBuf>::new());
        assert_eq!(t.worker.tick().await.expect("a tick"), 0, "no job");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_has_no_room_is_refused_on_sqlite() {
    limits(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_has_no_room_is_refused_on_postgres() {
    limits(On::Postgres).await;
}

/// Whoever runs the installation has to act, and then the video works.
#[tokio::test(flavor = "multi_thread")]
async fn without_ffmpeg_it_is_said_what_is_missing() {
    let t = TestApp::with(On::Sqlite, &[("CARILLON_FFPROBE", "no-such-program")]).await;
    let view = add(&t, "plain.mp4").await;
    assert_eq!(view.state, MediaState::Failed);
    let problem = view.problem.expect("a reason");
    assert!(problem.sentence.contains("`no-such-program` is missing"), "{}", problem.sentence);
    assert_eq!(problem.action, "ask_operator");
    assert!(
        carillon::media::video::programs(&t.app).await.unwrap_err().contains("no-such-program")
    );

    let app = with(&t, &[("CARILLON_FFPROBE", "ffprobe")]).await;
    let well = carillon::media::video::programs(&app).await.expect("all is there");
    assert!(well.starts_with("ffmpeg "), "{well}");
    library::reprocess(&app, None, &view.id).await.expect("asked");
    Worker::new(app.clone()).tick().await.expect("a tick");
    assert_eq!(load(&app, &view.id).await.state, MediaState::Ready);
}

/// Metadata of the original stays with us.
#[test]
fn the_test_video_tells_where_it_was_taken() {
    assert!(video("plain.mp4").windows(SECRET.len()).any(|w| w == SECRET.as_bytes()));
}
