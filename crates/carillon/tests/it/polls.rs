//! Polls, from outside: written once, published with their answers wherever a network takes them,
//! and refused in words that say what to change.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::refusal::Refusal;
use carillon::publishing::amend::{self, Amendment};
use carillon::publishing::draft::DraftDelivery;
use carillon::publishing::schedule::{self, Draft};
use carillon_sandbox::LedgerPost;

use crate::both;
use crate::support::{On, TestApp, to};

const HOUR: Duration = Duration::from_secs(3600);
const QUESTION: &str = "Which loaf do you want on Sunday?";

/// A delivery with these answers to its placement's options.
fn asking(connection: &str, answers: &[(&str, &str)]) -> DraftDelivery {
    let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    let options: BTreeMap<String, String> = answers.iter().map(own).collect();
    DraftDelivery { options: Some(options), ..to(connection) }
}

fn draft(t: &TestApp, deliveries: Vec<DraftDelivery>) -> Draft {
    Draft { deliveries, ..t.draft(QUESTION, &[]) }
}

/// The codes and sentences of a draft that is not taken.
async fn refused(t: &TestApp, draft: Draft) -> Vec<(String, String)> {
    let taken = schedule::create(&t.app, &t.workspace, draft, None).await;
    let refusal = taken.map(|post| post.id).expect_err("it is refused");
    refusal.problems.into_iter().map(|p| (p.code, p.message)).collect()
}

fn only(t: &TestApp, network: &str) -> LedgerPost {
    let mut all = t.visible(network);
    assert_eq!(all.len(), 1, "{network}: {all:#?}");
    all.remove(0)
}

both! {
    async fn a_poll_is_scheduled_and_published_with_its_answers(t: TestApp) {
        let poll = ("poll", "Rye\nOats\nSunflower");
        let (x, mastodon, telegram) =
            (t.connect("x").await, t.connect("mastodon").await, t.connect("telegram").await);
        let deliveries = vec![
            asking(&x, &[poll, ("pollFor", "3d")]),
            asking(&mastodon, &[poll, ("pollFor", "30d"), ("pollSeveral", "true")]),
            asking(&telegram, &[poll, ("pollSeveral", "false")]),
        ];
        let post = t.schedule(draft(&t, deliveries)).await;
        assert_eq!(post.deliveries[0].options["poll"], poll.1, "as it was written");
        let due = t.clock.now() + 600_000;
        t.pass(HOUR).await;
        for d in t.post(&post.id).await.deliveries {
            assert_eq!(d.state, State::Published, "{:#?}", t.journal(&d.id).await);
        }
        for (network, several, days) in
            [("x", false, Some(3)), ("mastodon", true, Some(30)), ("telegram", false, None)]
        {
            let shown = only(&t, network);
            let poll = shown.poll.unwrap_or_else(|| panic!("{network} shows no poll"));
            assert_eq!((shown.text.as_str(), poll.several), (QUESTION, several), "{network}");
            assert_eq!(poll.answers, ["Rye", "Oats", "Sunflower"], "{network}");
            assert_eq!(poll.ends_at.is_some(), days.is_some(), "{network}");
            if let (Some(ends), Some(days)) = (poll.ends_at, days) {
                let ends: jiff::Timestamp = ends.parse().expect("a time");
                let open = ends.as_millisecond() - due - days * 86_400_000;
                assert!((0..600_000).contains(&open), "{network}: {open} ms too long");
            }
        }
    }

    async fn what_no_network_takes_is_refused_in_words_that_help(t: TestApp) {
        let x = t.connect("x").await;
        for (answers, code, says) in [
            (&[("poll", "Rye")][..], "option_invalid",
             "X, Poll: at least 2 answers, one a line, there is 1."),
            (&[("poll", "1\n2\n3\n4\n5")], "option_invalid",
             "X, Poll: at most 4 answers, there are 5."),
            (&[("poll", "Rye\nOats from the mill by the river")], "option_invalid",
             "X, Poll: at most 25 characters an answer, “Oats from the mill by the river” has 31."),
            (&[("poll", "Rye\nRye")], "option_invalid",
             "X, Poll: every answer stands there once."),
            (&[("poll", "Rye\nOats"), ("pollFor", "30d")], "option_invalid",
             "X, Poll: open for: it is one of 1h, 6h, 12h, 1d, 3d, 7d."),
            (&[("pollFor", "3d")], "poll_missing",
             "X (Post): Poll: open for is for a poll, and there is none: write its answers, or leave this empty."),
        ] {
            let told = refused(&t, draft(&t, vec![asking(&x, answers)])).await;
            assert_eq!(told, [(code.to_owned(), says.to_owned())]);
        }
        let picture = t.upload().await;
        let beside = Draft {
            media: vec![picture],
            ..draft(&t, vec![asking(&x, &[("poll", "Rye\nOats")])])
        };
        let says = "X (Post) shows no pictures and videos beside a poll: take them out, or the poll.";
        assert_eq!(refused(&t, beside).await, [("poll_with_media".to_owned(), says.to_owned())]);

        // Where the text is the question it is as short as one, and where it is not there is one.
        let telegram = t.connect("telegram").await;
        let long = Draft {
            text: "a".repeat(301),
            ..draft(&t, vec![asking(&telegram, &[("poll", "Rye\nOats")])])
        };
        let says = "The text is 1 UTF-16 unit too long for Telegram as the question of a poll (301 of 300).";
        assert_eq!(refused(&t, long).await, [("text_too_long".to_owned(), says.to_owned())]);
        let linkedin = t.connect("linkedin").await;
        let told = refused(&t, draft(&t, vec![asking(&linkedin, &[("poll", "Rye\nOats")])])).await;
        assert_eq!(told[0].0, "option_required", "{told:?}");
        assert!(told[0].1.contains("Poll: question"), "{told:?}");
        let bluesky = t.connect("bluesky").await;
        let told = refused(&t, draft(&t, vec![asking(&bluesky, &[("poll", "Rye\nOats")])])).await;
        assert_eq!(told[0].0, "unknown_option", "{told:?}");
        assert_eq!(t.visible("x").len() + t.visible("telegram").len(), 0);
    }

    async fn other_words_keep_the_poll_or_are_refused(t: TestApp) {
        let (mastodon, telegram) = (t.connect("mastodon").await, t.connect("telegram").await);
        let poll = ("poll", "Rye\nOats");
        let post = t.schedule(draft(&t, vec![
            asking(&mastodon, &[poll, ("pollFor", "7d")]),
            asking(&telegram, &[poll]),
        ]));
        let post = post.await;
        t.pass(HOUR).await;
        let before = only(&t, "mastodon");
        let live = t.post(&post.id).await.deliveries;
        let change = async |id: &str| -> Result<(), Refusal> {
            let new = Amendment { text: "Which loaf on Monday?".into(), title: None };
            amend::amend(&t.app, &t.workspace, id, new, "account:mia").await.map(drop)
        };

        // Mastodon takes away what an edit leaves out.
        change(&live[0].id).await.expect("it is changed");
        let after = only(&t, "mastodon");
        assert_eq!((after.text.as_str(), &after.poll), ("Which loaf on Monday?", &before.poll));
        t.pass(HOUR * 24 * 8).await;
        let refusal = change(&live[0].id).await.expect_err("the poll has ended");
        assert!(refusal.sentence.contains("poll has ended"), "{refusal:?}");
        assert_eq!(only(&t, "mastodon"), after);

        // At Telegram the words are the poll, which nobody can change.
        assert!(!live[1].can.contains(&"amend".to_owned()), "{:?}", live[1].can);
        let asked = t.sandbox.requests("telegram").len();
        let refusal = change(&live[1].id).await.expect_err("it stays");
        assert_eq!(refusal.code, "not_changeable");
        assert_eq!(refusal.sentence, "The text is the question of a poll, and Telegram lets nobody change a poll.");
        assert_eq!(t.sandbox.requests("telegram").len(), asked, "and nobody asked for it");
        assert_eq!(only(&t, "telegram").text, QUESTION);
    }
}

#[tokio::test]
async fn a_poll_needs_no_picture_where_other_posts_do() {
    let t = TestApp::with(On::Sqlite, &[("CARILLON_MEDIA_REQUIRED", "true")]).await;
    let x = t.connect("x").await;
    let plain = refused(&t, draft(&t, vec![to(&x)])).await;
    assert_eq!(plain[0].0, "media_required", "{plain:?}");
    t.schedule(draft(&t, vec![asking(&x, &[("poll", "Rye\nOats")])])).await;
}
