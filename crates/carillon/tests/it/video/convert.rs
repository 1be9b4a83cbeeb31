//! What networks are sent is made once for all places with the same need, when a post needs it.

use carillon::clock::Clock;
use carillon::media::Unfit;
use carillon::media::derive;
use carillon::media::library::{DerivativeView, Description};
use carillon::publishing::schedule;
use carillon::queue::worker::Worker;
use carillon::store::renditions;
use carillon_networks::spec::Placement;
use serde_json::Value;

use super::*;
use crate::both;
use crate::support::On;
use crate::support::process::Process;
use crate::support::video::{SECRET, probe};

fn placement(network: &str, placement: &str) -> &'static Placement {
    let spec = carillon_networks::find(network).expect("known").spec();
    spec.placement(placement).expect("a placement")
}

/// `(kind, state)` of what networks are sent of a video.
async fn made(t: &TestApp, id: &str) -> Vec<(String, MediaState)> {
    show(t, id).await.derivatives.into_iter().map(|d| (d.kind, d.state)).collect()
}

fn stream<'a>(probed: &'a Value, kind: &str) -> &'a Value {
    let streams = probed["streams"].as_array().expect("streams").iter();
    streams.into_iter().find(|s| s["codec_type"] == kind).unwrap_or(&Value::Null)
}

fn at(data: &[u8], atom: &[u8]) -> Option<usize> {
    data.windows(atom.len()).position(|w| w == atom)
}

/// What every network takes.
fn is_sound(name: &str, data: &[u8]) -> Value {
    let probed = probe(data);
    let picture = stream(&probed, "video");
    assert_eq!(
        (picture["codec_name"].as_str(), picture["pix_fmt"].as_str()),
        (Some("h264"), Some("yuv420p")),
        "{name}"
    );
    // Where sound begins before the picture, the first picture stands that much longer.
    let rate = |of: &str| {
        let (over, under) = picture[of].as_str().and_then(|r| r.split_once('/')).expect(of);
        over.parse::<f64>().expect(of) / under.parse::<f64>().expect(of)
    };
    let (mean, usual) = (rate("avg_frame_rate"), rate("r_frame_rate"));
    assert!((mean / usual - 1.0).abs() < 0.01, "{name}: no steady rate, {mean} of {usual}");
    for side in ["width", "height"] {
        assert_eq!(picture[side].as_i64().expect("a side") % 2, 0, "{name}");
    }
    assert!(picture["side_data_list"].is_null(), "{name} is turned itself: {picture}");
    let sound = stream(&probed, "audio");
    assert!(sound.is_null() || sound["codec_name"] == "aac", "{name}: {sound}");
    assert!(at(data, b"moov") < at(data, b"mdat"), "{name}: its index comes first");
    assert_eq!(at(data, b"elst"), None, "{name} has an edit list");
    assert_eq!(at(data, SECRET.as_bytes()), None, "{name} tells where it was taken");
    probed
}

both! {
    /// Two placements that take the file as it is share it; one that refuses small videos has its own.
    async fn one_rendition_serves_every_place_with_the_same_need(t: TestApp) {
        let id = ready(&t, "upright.mp4").await;
        let (mastodon, bluesky, tiktok) =
            (t.connect("mastodon").await, t.connect("bluesky").await, t.connect("tiktok").await);
        schedule(&t, &id, &[(&mastodon, "feed"), (&bluesky, "feed")]).await;
        assert_eq!(made(&t, &id).await, [("video".to_owned(), MediaState::Pending)], "asked for at once");
        schedule(&t, &id, &[(&tiktok, "video")]).await;
        assert_eq!(t.worker.tick().await.expect("a tick"), 2, "one job each");
        assert_eq!(made(&t, &id).await, [
            ("video".to_owned(), MediaState::Ready),
            ("video-8000-360".to_owned(), MediaState::Ready),
        ]);
        let plain = blob(&t, &id, "video").await.expect("made");
        let probed = is_sound("video", &plain);
        assert_eq!(stream(&probed, "video")["width"], 180, "as it was");
        let large = blob(&t, &id, "video-8000-360").await.expect("made");
        let probed = is_sound("video-8000-360", &large);
        assert_eq!((&stream(&probed, "video")["width"], &stream(&probed, "video")["height"]), (&360.into(), &640.into()));
        // The same once more: nothing is made again.
        schedule(&t, &id, &[(&mastodon, "feed")]).await;
        assert_eq!(t.worker.tick().await.expect("a tick"), 0);
        let medium = load(&t.app, &id).await;
        let out = derive::rendition(&t.app, &medium, placement("mastodon", "feed")).await.expect("ready");
        assert_eq!((out.content_type.as_str(), out.file_name.as_str()), ("video/mp4", "upright.mp4"));
        assert_eq!((out.width, out.height, out.size()), (180, 320, plain.len() as u64));
        assert!(out.data.is_empty(), "it is read piece by piece");
        assert_eq!(out.piece(10, 20).await.expect("a piece"), plain.slice(10..30));
        assert_eq!(out.piece(plain.len() as u64 - 5, 20).await.expect("the rest").len(), 5);
        assert!(out.piece(plain.len() as u64, 20).await.expect("nothing").is_empty());
        assert!(out.duration.is_some_and(|d| (2_900..=3_100).contains(&d.as_millis())), "{:?}", out.duration);
        assert_eq!(out.alt, "Gulls over the quay");
        assert_eq!(under_work(&t), Vec::<std::path::PathBuf>::new());
    }

    async fn whatever_comes_goes_out_as_networks_take_it(t: TestApp) {
        let bluesky = t.connect("bluesky").await;
        for (name, width, height) in [
            ("silent.mov", 320, 240),
            ("film.mkv", 320, 240),
            ("film.webm", 320, 240),
            ("hdr.mp4", 320, 240),
            ("varying.mp4", 320, 240),
            ("turned.mp4", 240, 320),
            ("odd.mkv", 322, 244),
        ] {
            let id = ready(&t, name).await;
            schedule(&t, &id, &[(&bluesky, "feed")]).await;
            t.worker.tick().await.expect("a tick");
            let view = show(&t, &id).await;
            let [d] = &view.derivatives[..] else { panic!("{name}: {:?}", view.derivatives) };
            assert_eq!(d.state, MediaState::Ready, "{name}: {:?}", d.problem);
            assert_eq!(d.kind, if name == "silent.mov" { "video" } else { "video-8000" }, "{name}");
            let data = blob(&t, &id, &d.kind).await.expect(name);
            let probed = is_sound(name, &data);
            let picture = stream(&probed, "video");
            assert_eq!((picture["width"].as_i64(), picture["height"].as_i64()), (Some(width), Some(height)), "{name}");
            if name == "hdr.mp4" {
                assert_eq!(picture["color_transfer"], "bt709", "{picture}");
            }
            if name == "odd.mkv" {
                assert_eq!(picture["avg_frame_rate"], "24/1");
            }
        }
    }

    async fn nothing_is_made_that_nobody_needs(t: TestApp) {
        let id = ready(&t, "plain.mp4").await;
        let mastodon = t.connect("mastodon").await;
        let draft = Draft { draft: true, ..post(&t, &id, &[(&mastodon, "feed")]) };
        let written = t.schedule(draft).await;
        assert_eq!(made(&t, &id).await, []);
        let change = schedule::Change { version: written.version, draft: Some(false), ..Default::default() };
        let changed = schedule::edit(&t.app, &t.workspace, &written.id, change).await.expect("scheduled");
        assert_eq!(made(&t, &id).await.len(), 1, "with the schedule it is asked for");
        schedule::delete(&t.app, &t.workspace, &changed.id, carillon::store::audit::OPERATOR).await.expect("deleted");
        t.worker.tick().await.expect("a tick");
        assert_eq!(made(&t, &id).await, [], "with the post it went");
        assert_eq!(files(&t, "media").len(), 3, "original, poster, thumb");
    }

    /// What was uploaded together with its post: asked for as soon as the video is known.
    async fn a_post_may_be_scheduled_before_its_video_is_looked_into(t: TestApp) {
        let medium = send(&t, "plain.mp4", video("plain.mp4")).await.expect("taken");
        let mastodon = t.connect("mastodon").await;
        let post = schedule(&t, &medium.id, &[(&mastodon, "feed")]).await;
        t.pass(HOUR).await;
        assert_eq!(t.visible("mastodon").len(), 1, "{:#?}", t.post(&post.id).await.deliveries);
        assert_eq!(t.visible("mastodon")[0].media[0].kind, "video");
    }

    async fn what_does_not_fit_is_refused_with_the_numbers(t: TestApp) {
        let wide = ready(&t, "plain.mp4").await;
        let facebook = t.connect("facebook").await;
        let refused = |video: &str, place: &'static str| {
            let draft = post(&t, video, &[(&facebook, place)]);
            let app = t.app.clone();
            let ws = t.workspace.clone();
            async move { schedule::create(&app, &ws, draft, None).await.expect_err(place).problems }
        };
        let problems = refused(&wide, "reel").await;
        assert_eq!(problems[0].code, "video_too_short");
        assert_eq!(
            problems[0].message,
            "Facebook (Reel) takes videos of 3 s to 90 s, plain.mp4 has 2 s: choose a longer one."
        );
        // A wide one of three seconds.
        let noise = ready(&t, "noise.mp4").await;
        let problems = refused(&noise, "reel").await;
        assert_eq!(problems[0].code, "video_ratio");
        assert!(problems[0].message.contains("noise.mp4 has 640 × 360 pixels (1.78)"), "{}", problems[0].message);
        let checked = schedule::check(&t.app, &t.workspace, &post(&t, &noise, &[(&facebook, "reel")]), None).await;
        assert_eq!(checked.expect("checked").problems[0].code, "video_ratio", "said before anything is saved");
    }

    async fn a_cut_is_what_goes_out(t: TestApp) {
        let id = ready(&t, "plain.mp4").await;
        let mastodon = t.connect("mastodon").await;
        schedule(&t, &id, &[(&mastodon, "feed")]).await;
        t.worker.tick().await.expect("a tick");
        let whole = blob(&t, &id, "video").await.expect("made");
        let cut = Description { start_ms: Some(500), end_ms: Some(1_500), ..Description::default() };
        library::describe(&t.app, &t.workspace, &id, cut).await.expect("cut");
        assert_eq!(blob(&t, &id, "video").await, None, "what was made of the whole is gone");
        t.worker.tick().await.expect("a tick");
        let view = show(&t, &id).await;
        let [d] = &view.derivatives[..] else { panic!("{:?}", view.derivatives) };
        assert_eq!((d.kind.as_str(), d.state), ("video-8000", MediaState::Ready));
        let data = blob(&t, &id, "video-8000").await.expect("made anew");
        assert_ne!(data, whole);
        let seconds = is_sound("cut", &data)["format"]["duration"].as_str().unwrap().parse::<f64>().unwrap();
        assert!((0.9..=1.15).contains(&seconds), "{seconds}");
    }

    async fn a_rendition_lost_from_the_store_is_made_anew(t: TestApp) {
        let id = ready(&t, "plain.mp4").await;
        let mastodon = t.connect("mastodon").await;
        schedule(&t, &id, &[(&mastodon, "feed")]).await;
        t.worker.tick().await.expect("a tick");
        t.app.blobs.delete(&blobs::key(&t.workspace, &id, "video")).await.unwrap();
        let (medium, place) = (load(&t.app, &id).await, placement("mastodon", "feed"));
        assert_eq!(derive::rendition(&t.app, &medium, place).await.err(), Some(Unfit::NotYet));
        t.worker.tick().await.expect("a tick");
        assert!(derive::rendition(&t.app, &medium, place).await.is_ok());
    }

    /// ffmpeg fails in the middle: the post is told, and with a better one it is made.
    async fn what_cannot_be_converted_says_so_and_can_be_tried_again(t: TestApp) {
        let id = ready(&t, "film.webm").await;
        let mastodon = t.connect("mastodon").await;
        schedule(&t, &id, &[(&mastodon, "feed")]).await;
        let script = "case \"$*\" in *libx264*) echo 'Conversion failed!' >&2; exit 1;; esac; exec $FFMPEG \"$@\"";
        let app = with(&t, &[("CARILLON_FFMPEG", &program(&t, "bad", script))]).await;
        Worker::new(app.clone()).tick().await.expect("a tick");
        let view = show(&t, &id).await;
        let d = &view.derivatives[0];
        assert_eq!((view.state, d.state), (MediaState::Ready, MediaState::Failed));
        let problem = d.problem.as_ref().expect("a reason");
        assert!(problem.sentence.contains("cannot be read to its end"), "{}", problem.sentence);
        let (medium, place) = (load(&t.app, &id).await, placement("mastodon", "feed"));
        let unfit = derive::rendition(&t.app, &medium, place).await.err();
        assert_eq!(unfit, Some(Unfit::Never(problem.clone())));
        library::reprocess(&t.app, Some(&t.workspace), &id).await.expect("asked");
        t.worker.tick().await.expect("a tick");
        assert!(derive::rendition(&t.app, &load(&t.app, &id).await, place).await.is_ok());
        assert_eq!(under_work(&t), Vec::<std::path::PathBuf>::new());
    }

    /// A quarter of an hour before its time somebody is told, with what to do.
    async fn what_will_not_go_out_is_told_before_its_time(t: TestApp) {
        let id = ready(&t, "film.webm").await;
        let mastodon = t.connect("mastodon").await;
        let at = carillon::domain::when::iso(t.clock.now() + 60 * 60_000);
        let draft = Draft { scheduled_at: Some(at), ..post(&t, &id, &[(&mastodon, "feed")]) };
        let planned = t.schedule(draft).await;
        let app = with(&t, &[("CARILLON_FFMPEG", "no-such-program")]).await;
        Worker::new(app.clone()).tick().await.expect("a tick");
        t.clock.advance(Duration::from_secs(46 * 60));
        carillon::publishing::preflight::find(&t.app).await.expect("a look");
        t.worker.tick().await.expect("a tick");
        let warning = t.delivery(&planned.deliveries[0].id).await.warning.expect("a warning");
        assert!(warning.sentence.contains("`no-such-program` is missing"), "{}", warning.sentence);
        assert_eq!(warning.action, "ask_operator");
        library::reprocess(&t.app, Some(&t.workspace), &id).await.expect("asked");
        t.pass(HOUR).await;
        assert_eq!(t.visible("mastodon").len(), 1);
    }

    /// It waits for room and takes none; then it goes on.
    async fn a_full_disk_is_waited_for(t: TestApp) {
        let id = ready(&t, "plain.mp4").await;
        let mastodon = t.connect("mastodon").await;
        schedule(&t, &id, &[(&mastodon, "feed")]).await;
        let full = with(&t, &[("CARILLON_DISK_RESERVE", "9000000GB")]).await;
        let worker = Worker::new(full);
        worker.tick().await.expect("a tick");
        let d = &show(&t, &id).await.derivatives[0];
        assert_eq!(d.state, MediaState::Pending);
        let problem = d.problem.as_ref().expect("what it waits for");
        assert!(problem.sentence.contains("no room") && problem.action == "ask_operator", "{problem:?}");
        for _ in 0..5 {
            t.clock.advance(Duration::from_secs(300));
            worker.tick().await.expect("a tick");
        }
        assert_eq!(show(&t, &id).await.derivatives[0].state, MediaState::Pending, "it is not given up");
        t.clock.advance(Duration::from_secs(900));
        derive::safety_net(&t.app).await.expect("a look");
        t.worker.tick().await.expect("a tick");
        let d = &show(&t, &id).await.derivatives[0];
        assert_eq!((d.state, &d.problem), (MediaState::Ready, &None));
    }

    /// A conversion that would take for ever: seen under way, and gone with its post.
    async fn a_conversion_tells_how_far_it_is_and_ends_with_its_post(t: TestApp) {
        let id = ready(&t, "film.webm").await;
        let mastodon = t.connect("mastodon").await;
        let (app, alive) = endless(&t).await;
        let planned = schedule(&t, &id, &[(&mastodon, "feed")]).await;
        let worker = Worker::new(app.clone());
        let ticking = tokio::spawn(async move { worker.tick().await });
        let d = until(&app, &t, &id, |d| d.progress > 0).await;
        assert_eq!((d.state, d.progress), (MediaState::Processing, 49), "half of a second and a bit");
        schedule::delete(&t.app, &t.workspace, &planned.id, carillon::store::audit::OPERATOR).await.expect("deleted");
        ticking.await.expect("no panic").expect("the job ends by itself");
        assert_eq!(made(&t, &id).await, []);
        assert_eq!(under_work(&t), Vec::<std::path::PathBuf>::new());
        ended(alive).await;
        assert_eq!(t.worker.tick().await.expect("a tick"), 0, "no job is left");
    }

    /// The process that converts dies: nothing of it stays, and another one begins anew.
    async fn a_crash_in_the_middle_leaves_nothing_behind(t: TestApp) {
        let id = ready(&t, "film.webm").await;
        let mastodon = t.connect("mastodon").await;
        let (app, alive) = endless(&t).await;
        schedule(&t, &id, &[(&mastodon, "feed")]).await;
        let worker = Worker::new(app.clone());
        let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        dying.spawn(async move { worker.tick().await });
        until(&app, &t, &id, |d| d.progress > 0).await;
        assert!(!under_work(&t).is_empty());
        dying.shutdown_background();
        ended(alive).await;
        t.clock.advance(Duration::from_secs(120));
        carillon::publishing::sweep::sweep(&t.app, false).await.expect("leases are freed");
        t.pass(HOUR).await;
        assert_eq!(made(&t, &id).await, [("video-8000".to_owned(), MediaState::Ready)]);
        assert_eq!(t.visible("mastodon").len(), 1);
        carillon::media::scratch::sweep(&t.app).await.expect("swept");
        assert_eq!(under_work(&t), Vec::<std::path::PathBuf>::new());
    }

    async fn a_rendition_that_nobody_works_on_gets_a_job_again(t: TestApp) {
        let id = ready(&t, "plain.mp4").await;
        let mastodon = t.connect("mastodon").await;
        schedule(&t, &id, &[(&mastodon, "feed")]).await;
        let of = format!("{id}/video");
        let gone: Result<_, Error> = t.app.db.write(move |tx| async move {
            carillon::store::queue::remove(&tx, &of).await
        }).await;
        gone.expect("its job is lost");
        assert_eq!(derive::safety_net(&t.app).await.expect("a look"), 0, "too early");
        t.clock.advance(Duration::from_secs(11 * 60));
        assert_eq!(derive::safety_net(&t.app).await.expect("a look"), 1);
        assert_eq!(derive::safety_net(&t.app).await.expect("a look"), 0, "it has one");
        t.worker.tick().await.expect("a tick");
        assert_eq!(made(&t, &id).await[0].1, MediaState::Ready);
    }

    /// What is half way to a network keeps the bytes that it began with.
    async fn a_video_on_its_way_is_not_cut(t: TestApp) {
        let id = ready(&t, "plain.mp4").await;
        let mastodon = t.connect("mastodon").await;
        let planned = schedule(&t, &id, &[(&mastodon, "feed")]).await;
        t.worker.tick().await.expect("a tick");
        let (delivery, of) = (planned.deliveries[0].id.clone(), id.clone());
        let begun: Result<bool, Error> = t.app.db.write(move |tx| async move {
            let handle = [("media:0".to_owned(), serde_json::json!("1"))].into();
            carillon::store::deliveries::set_checkpoints(&tx, &delivery, &handle).await?;
            renditions::under_way(&tx, &of).await
        }).await;
        assert!(begun.expect("written"));
        let before = blob(&t, &id, "video").await;
        let cut = Description { start_ms: Some(500), ..Description::default() };
        let refusal = library::describe(&t.app, &t.workspace, &id, cut).await.expect_err("under way");
        assert_eq!(refusal.code, "media_under_way");
        library::reprocess(&t.app, Some(&t.workspace), &id).await.expect("asked");
        t.worker.tick().await.expect("a tick");
        assert_eq!(blob(&t, &id, "video").await, before);
    }
}

/// A server is killed while it converts, and ffmpeg goes on without it: the next start ends that,
/// removes what it has made, and begins anew.
async fn killed(on: On) {
    let t = TestApp::on_clock(on, Clock::system(), &[]).await;
    let id = ready(&t, "film.webm").await;
    let mastodon = t.connect("mastodon").await;
    let (app, alive) = endless(&t).await;
    schedule(&t, &id, &[(&mastodon, "feed")]).await;
    let mut settings = t.settings.clone();
    settings.insert("CARILLON_FFMPEG".into(), app.config.media.ffmpeg.clone());
    let (worker, _) = Process::start(&["worker"], &settings, "working");
    becomes(&t, &id, |d| d.progress > 0).await;
    worker.kill();
    assert!(!under_work(&t).is_empty(), "nobody was there to tidy up");
    let held = std::fs::File::open(&alive).expect("it was there");
    assert!(held.try_lock().is_err(), "what it had started runs on");
    let (_worker, _) = Process::start(&["worker"], &t.settings, "working");
    ended(alive).await;
    becomes(&t, &id, |d| d.state == MediaState::Ready).await;
    assert_eq!(under_work(&t), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_nothing_behind_on_sqlite() {
    killed(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_leaves_nothing_behind_on_postgres() {
    killed(On::Postgres).await;
}

/// Waits for what another process makes of a video.
async fn becomes(t: &TestApp, id: &str, so: impl Fn(&DerivativeView) -> bool) {
    let waited = async {
        while !show(t, id).await.derivatives.iter().any(&so) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited).await.expect("within a minute");
}

/// The app with an ffmpeg that converts for ever, half way through; and the file that it keeps
/// locked while it lives.
async fn endless(t: &TestApp) -> (App, std::path::PathBuf) {
    let alive = t.app.config.data.dir.join("alive");
    let script = format!(
        "case \"$*\" in *libx264*) exec flock {} sh -c 'while :; do echo out_time_us=500000; sleep 0.2; done' sh \"$@\";; \
         esac; exec $FFMPEG \"$@\"",
        alive.display()
    );
    let app = with(t, &[("CARILLON_FFMPEG", &program(t, "endless", &script))]).await;
    (app, alive)
}

/// Returns once nobody holds the lock of a program any more.
async fn ended(alive: std::path::PathBuf) {
    let file = std::fs::File::open(alive).expect("it was there");
    tokio::task::spawn_blocking(move || file.lock()).await.unwrap().unwrap();
}

/// A video's one rendition as soon as it is so; woken by the events of what works on it.
async fn until(
    app: &App,
    t: &TestApp,
    id: &str,
    so: impl Fn(&DerivativeView) -> bool,
) -> DerivativeView {
    let waited = async {
        loop {
            let news = app.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(d) = show(t, id).await.derivatives.into_iter().find(|d| so(d)) {
                return d;
            }
            news.await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited).await.expect("it begins within a minute")
}
