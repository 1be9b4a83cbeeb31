//! From a written post to a live one, once: every send class, every fault.

use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::post::PostState;
use carillon_sandbox::{Calls, Trouble};

use crate::both;

const HOUR: Duration = Duration::from_secs(3600);

both! {
    async fn a_post_goes_out_at_its_time_on_every_network_once(t: TestApp) {
        let mut connections = Vec::new();
        for network in ["facebook", "bluesky", "mastodon", "wordpress", "telegram"] {
            connections.push(t.connect(network).await);
        }
        let ids: Vec<&str> = connections.iter().map(String::as_str).collect();
        let post = t.schedule(t.draft("Doors open at seven. #livemusic", &ids)).await;
        assert_eq!(post.state, PostState::Scheduled);
        t.pass(Duration::from_secs(9 * 60)).await;
        assert!(t.visible("mastodon").is_empty(), "nothing goes out before its time");
        t.pass(HOUR).await;
        let post = t.post(&post.id).await;
        assert_eq!(post.state, PostState::Published, "{:#?}", post.deliveries);
        for d in &post.deliveries {
            let visible = t.visible(&d.network);
            assert_eq!(visible.len(), 1, "{}", d.network);
            assert_eq!(d.remote_id.as_deref(), Some(visible[0].id.as_str()), "{}", d.network);
            assert!(visible[0].text.contains("Doors open at seven"), "{visible:?}");
            let journal = t.journal(&d.id).await;
            assert_eq!(journal.last().unwrap().outcome.as_deref(), Some("accepted"));
        }
    }

    /// The answer is lost after the network took the post: found, not sent again, nobody asked.
    async fn a_lost_answer_is_settled_by_looking(t: TestApp) {
        for network in ["facebook", "bluesky", "mastodon", "wordpress"] {
            let c = t.connect(network).await;
            t.fault(network, Calls::Publish, Trouble::ResetAfterAccept);
            let post = t.schedule(t.draft("Quiz night", &[&c])).await;
            t.pass(2 * HOUR).await;
            let d = &t.post(&post.id).await.deliveries[0];
            assert_eq!(d.state, State::Published, "{network}: {:#?}", t.journal(&d.id).await);
            assert_eq!(t.visible(network).len(), 1, "{network}");
            assert_eq!(d.remote_id.as_deref(), Some(t.visible(network)[0].id.as_str()));
            assert!(t.journal(&d.id).await.iter().any(|a| a.outcome.as_deref() == Some("unknown")));
        }
    }

    /// The connection breaks before the network took the post: sent again, once.
    async fn a_send_that_never_arrived_is_repeated_once(t: TestApp) {
        for network in ["facebook", "bluesky", "mastodon", "wordpress"] {
            let c = t.connect(network).await;
            t.fault(network, Calls::Publish, Trouble::ResetBeforeAccept);
            let post = t.schedule(t.draft("Sunday roast", &[&c])).await;
            t.pass(2 * HOUR).await;
            let d = &t.post(&post.id).await.deliveries[0];
            assert_eq!(d.state, State::Published, "{network}: {:#?}", t.journal(&d.id).await);
            assert_eq!(t.visible(network).len(), 1, "{network}");
        }
    }

    async fn a_blind_network_asks_a_person(t: TestApp) {
        let c = t.connect("telegram").await;
        t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
        let post = t.schedule(t.draft("Happy hour", &[&c])).await;
        t.pass(2 * HOUR).await;
        let d = &t.post(&post.id).await.deliveries[0];
        assert_eq!((d.state, d.question.as_deref()), (State::Held, Some("is_it_live")));
        assert_eq!(d.can, ["answer"]);
        assert_eq!(t.visible("telegram").len(), 1);
        let live = carillon::publishing::schedule::Answer { live: true, url: Some("https://t.me/alice/1".into()) };
        let d = carillon::publishing::schedule::answer(&t.app, &t.workspace, &d.id, live).await.unwrap();
        assert_eq!((d.state, d.remote_url.as_deref()), (State::Published, Some("https://t.me/alice/1")));
        t.pass(HOUR).await;
        assert_eq!(t.visible("telegram").len(), 1);
    }
}
