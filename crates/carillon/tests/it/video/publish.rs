//! From an upload to what followers see, at every network that takes videos by itself: once, also
//! when answers are lost on the way.

use carillon::domain::delivery::DeliveryState as State;
use carillon_sandbox::{Calls, Trouble};

use super::*;
use crate::both;
use crate::support::video::probe;

/// Publishes a video and loses every answer that comes on the way, one after the other.
async fn goes_out(t: &TestApp, network: &str, placement: &str, name: &'static str) {
    // Networks that fetch need an address of ours.
    t.serve().await;
    let (id, connection) = (ready(t, name).await, t.connect(network).await);
    let faults = [
        None,
        Some((Calls::Prepare, Trouble::ResetAfterAccept, 1)),
        Some((Calls::Prepare, Trouble::ResetBeforeAccept, 2)),
        Some((Calls::Publish, Trouble::ResetAfterAccept, 1)),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        if let Some((call, trouble, times)) = fault {
            let fault = carillon_sandbox::Fault::new(network, call, trouble);
            t.sandbox.add_fault(fault.times(times));
        }
        let post = schedule(t, &id, &[(&connection, placement)]).await;
        t.pass(2 * HOUR).await;
        let d = &t.post(&post.id).await.deliveries[0];
        let journal = t.journal(&d.id).await;
        assert_eq!(d.state, State::Published, "{network} {placement} {fault:?}: {journal:#?}");
        let visible = t.visible(network);
        assert_eq!(visible.len(), n + 1, "{network} {placement} {fault:?}: once");
        let shown =
            visible.iter().find(|p| d.remote_id.as_deref().is_some_and(|id| p.id.contains(id)));
        let shown = shown
            .unwrap_or_else(|| panic!("{network}: {:?} is not among {visible:#?}", d.remote_id));
        let [film] = &shown.media[..] else { panic!("{network}: {shown:#?}") };
        assert_eq!(film.kind, "video");
        let seen = reqwest::get(format!("{}{}", t.sandbox_url, film.url)).await.expect("shown");
        let probed = probe(&seen.bytes().await.expect("the film"));
        assert_eq!(probed["streams"][0]["codec_name"], "h264", "{network}");
        assert_eq!(t.sandbox.faults_left(), 0, "{network} {placement}: {fault:?} was met");
    }
    assert_eq!(under_work(t), Vec::<std::path::PathBuf>::new());
}

both! {
    async fn an_instagram_reel(t: TestApp) {
        goes_out(&t, "instagram", "reel", "upright.mp4").await;
    }

    async fn an_instagram_story(t: TestApp) {
        goes_out(&t, "instagram", "story", "upright.mp4").await;
    }

    async fn a_video_on_tiktok(t: TestApp) {
        goes_out(&t, "tiktok", "video", "noise.mp4").await;
    }

    async fn a_video_on_youtube(t: TestApp) {
        goes_out(&t, "youtube", "video", "noise.mp4").await;
    }

    async fn a_short_on_youtube(t: TestApp) {
        goes_out(&t, "youtube", "short", "upright.mp4").await;
    }

    async fn a_video_on_a_facebook_page(t: TestApp) {
        goes_out(&t, "facebook", "video", "noise.mp4").await;
    }

    async fn a_facebook_reel(t: TestApp) {
        goes_out(&t, "facebook", "reel", "upright.mp4").await;
    }

    async fn a_facebook_story(t: TestApp) {
        goes_out(&t, "facebook", "story", "upright.mp4").await;
    }

    async fn a_video_on_mastodon(t: TestApp) {
        goes_out(&t, "mastodon", "feed", "film.webm").await;
    }

    async fn a_video_on_bluesky(t: TestApp) {
        goes_out(&t, "bluesky", "feed", "silent.mov").await;
    }

    /// One video to all of them at once: made twice, shown by each once.
    async fn a_video_everywhere(t: TestApp) {
        let id = ready(&t, "upright.mp4").await;
        let places = [
            ("instagram", "reel"),
            ("tiktok", "video"),
            ("youtube", "short"),
            ("facebook", "reel"),
            ("mastodon", "feed"),
            ("bluesky", "feed"),
        ];
        let mut connections = Vec::new();
        for (network, placement) in places {
            connections.push((t.connect(network).await, placement));
        }
        let to: Vec<(&str, &str)> = connections.iter().map(|(c, p)| (c.as_str(), *p)).collect();
        let post = schedule(&t, &id, &to).await;
        t.pass(HOUR).await;
        for d in t.post(&post.id).await.deliveries {
            assert_eq!(d.state, State::Published, "{}: {:#?}", d.network, t.journal(&d.id).await);
            assert_eq!(t.visible(&d.network).len(), 1, "{}", d.network);
        }
        let kinds: Vec<String> = show(&t, &id).await.derivatives.into_iter().map(|d| d.kind).collect();
        assert_eq!(kinds, ["video", "video-8000-360", "video-8000-540"]);
    }

    /// The moment that its owner chose stands for it where networks take one.
    async fn a_chosen_cover_goes_along(t: TestApp) {
        let id = ready(&t, "upright.mp4").await;
        let cover = library::Description { cover_ms: Some(2_000), ..Default::default() };
        library::describe(&t.app, &t.workspace, &id, cover).await.expect("chosen");
        t.worker.tick().await.expect("a tick");
        let (youtube, tiktok, instagram) =
            (t.connect("youtube").await, t.connect("tiktok").await, t.connect("instagram").await);
        schedule(&t, &id, &[(&youtube, "short"), (&tiktok, "video"), (&instagram, "reel")]).await;
        t.pass(HOUR).await;
        let said = |network: &str, path: &str, word: &str| {
            let asked = t.sandbox.requests(network);
            assert!(
                asked.iter().any(|r| r.path.contains(path) && format!("{r:?}").contains(word)),
                "{network} was not told {word}: {asked:#?}"
            );
        };
        said("youtube", "thumbnails/set", "image/jpeg");
        said("tiktok", "video/init", "video_cover_timestamp_ms");
        said("instagram", "media", "thumb_offset");
        for network in ["youtube", "tiktok", "instagram"] {
            assert_eq!(t.visible(network).len(), 1, "{network}");
        }
    }
}
