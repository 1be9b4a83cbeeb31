//! Every placement that takes polls is held to the same: followers see the poll with its answers,
//! it is found again, other words do not take it away, and what the network refuses leaves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_networks::discord::Discord;
use carillon_networks::mastodon::Mastodon;
use carillon_networks::poll::{POLL, QUESTION};
use carillon_networks::spec::{Edit, Kind, Placement};
use carillon_networks::{ALL, Applied, Class, Error, Network, Remote, Rendition, SendClass};
use carillon_sandbox::LedgerPoll;

use crate::contract::{Stand, is_well_put};
use crate::support::{hosted, jpeg, only};

const DAY: i64 = 86_400_000;

/// Runs for every placement that takes polls.
async fn each<F: AsyncFn(Stand, Rendition, &'static Placement)>(test: F) {
    for &network in ALL {
        for place in network.spec().placements.iter().filter(|p| p.polls()) {
            let (stand, out) = Stand::at(network, place.id).await;
            let out = asking(&out, place, &answers(place, 0, 0));
            Box::pin(test(stand, out, place)).await;
        }
    }
}

/// As many answers as it takes and as long as it takes them, or so many more.
fn answers(place: &Placement, more: usize, longer: usize) -> Vec<String> {
    let of = |place: &Placement| place.options.iter().find(|option| option.key == POLL);
    let Some(Kind::Lines { max, chars, .. }) = of(place).map(|option| option.kind) else {
        panic!("{} has no lines of answers", place.id);
    };
    (0..max + more).map(|n| format!("{n:0>width$}", width = chars + longer)).collect()
}

/// The same post with a poll that says all that it can be told.
fn asking(out: &Rendition, place: &Placement, answers: &[String]) -> Rendition {
    let told = place.options.iter().map(|option| {
        let answer = match option.kind {
            Kind::Lines { .. } => answers.join("\n"),
            Kind::OneOf { picks } => picks[picks.len() - 1].value.to_owned(),
            Kind::Flag => "true".to_owned(),
            Kind::Line { max } => "?".repeat(max),
            other => panic!("{other:?} is of no poll"),
        };
        (option.key.to_owned(), answer)
    });
    Rendition { extra: told.collect(), ..out.clone() }
}

fn seen(stand: &Stand, remote: &Remote) -> (String, Option<LedgerPoll>) {
    let post = stand.desk.visible().into_iter().find(|post| post.id == remote.id);
    post.map(|post| (post.text, post.poll)).unwrap_or_else(|| panic!("{remote:?} is not visible"))
}

#[tokio::test]
async fn a_poll_is_seen_with_its_answers_and_found_again() {
    each(async |stand, out, place| {
        let name = stand.name(&out);
        let remote = stand.send(&out).await;
        let (text, poll) = seen(&stand, &remote);
        let poll = poll.unwrap_or_else(|| panic!("{name} shows no poll"));
        assert!(text.contains(&out.text), "{name}: {text}");
        assert_eq!(poll.answers, answers(place, 0, 0), "{name}");
        assert_eq!(poll.several, out.extra.contains_key("pollSeveral"), "{name}");
        if let Some(question) = out.extra.get(QUESTION) {
            assert_eq!(poll.question.as_ref(), Some(question), "{name}");
        }
        let days =
            out.extra.get("pollFor").map_or(1, |span| span.trim_end_matches('d').parse().unwrap());
        if let Some(ends) = &poll.ends_at {
            let ends: jiff::Timestamp = ends.parse().unwrap();
            assert_eq!(ends.as_millisecond() - stand.desk.now(), days * DAY, "{name}");
        }
        if let Some(found) = stand.found(&out, place.send).await {
            assert_eq!(only(&found).id, remote.id, "{name}");
        }
        // The same words without a poll are another post.
        let plain = Rendition { extra: BTreeMap::new(), ..out.clone() };
        if !matches!(place.send, SendClass::Handle)
            && let Some(found) = stand.found(&plain, place.send).await
        {
            assert_eq!(found, [], "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn other_words_do_not_take_the_poll_away() {
    each(async |stand, out, place| {
        if place.edit == Edit::No {
            return;
        }
        let name = stand.name(&out);
        let remote = stand.send(&out).await;
        let before = seen(&stand, &remote);
        stand.desk.pass(Duration::from_secs(3600));
        let new = Rendition { text: "Which loaf, then?".to_owned(), ..out.clone() };
        for _ in 0..2 {
            let edited = stand.network.edit(&stand.desk.cx(), &remote.id, &new).await;
            let (text, poll) = seen(&stand, &remote);
            assert_eq!(poll, before.1, "{name}");
            // Where the words are the poll's question they stay, and Carillon does not ask.
            if place.text.question_max.is_some() {
                assert_eq!(edited.unwrap_err().class, Class::Content, "{name}");
                assert_eq!(text, before.0, "{name}");
            } else {
                edited.unwrap_or_else(|e| panic!("{name}: {e:?}"));
                assert!(text.contains(&new.text), "{name}: {text}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_poll_that_has_ended_keeps_its_words_on_mastodon() {
    let (stand, out) = Stand::at(&Mastodon, "feed").await;
    let out = asking(&out, &Mastodon.spec().placements[0], &["Rye".into(), "Oats".into()]);
    let remote = stand.send(&out).await;
    let before = seen(&stand, &remote);
    stand.desk.pass(Duration::from_secs(30 * 86_400 - 60));
    let new = Rendition { text: "Which loaf, then?".to_owned(), ..out };
    let error = stand.network.edit(&stand.desk.cx(), &remote.id, &new).await.unwrap_err();
    assert_eq!((error.code.as_deref(), error.applied), (Some("poll_ended"), Applied::No));
    is_well_put(&error);
    assert_eq!(seen(&stand, &remote), before);
}

#[tokio::test]
async fn what_a_network_takes_no_poll_of_is_refused() {
    each(async |stand, out, place| {
        let mut picture = jpeg(1080, 1080, 1);
        if place.media.pull {
            picture = hosted(picture);
        }
        let all = [
            ("too many answers", asking(&out, place, &answers(place, 1, 0))),
            ("too long an answer", asking(&out, place, &answers(place, 0, 1))),
            ("too few answers", asking(&out, place, &["Rye".to_owned()])),
            ("a picture", Rendition { media: vec![picture], ..out.clone() }),
        ];
        // Discord has polls of a single answer.
        let spec = stand.network.spec().id;
        let few = |what: &str| what == "too few answers" && spec.starts_with("discord");
        for (what, wrong) in all.into_iter().filter(|(what, _)| !few(what)) {
            let error = refused(&stand, &wrong).await;
            let name = format!("{} with {what}", stand.name(&out));
            let error = error.unwrap_or_else(|| panic!("{name} is taken"));
            assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{name}");
            is_well_put(&error);
            assert_eq!(stand.visible(&wrong), 0, "{name}");
        }
    })
    .await;
}

/// Why a post is not taken, in whichever of its steps.
async fn refused(stand: &Stand, out: &Rendition) -> Option<Error> {
    match stand.network.prepare(&stand.desk.cx(), out).await {
        Ok(_) => stand.network.publish(&stand.desk.cx(), out).await.err(),
        Err(e) => Some(e),
    }
}

#[tokio::test]
async fn a_bot_that_may_not_make_polls_is_told_so() {
    let (stand, out) = Stand::at(&Discord, "message").await;
    let place = &Discord.spec().placements[0];
    let out = asking(&out, place, &["Rye".into(), "Oats".into()]);
    let channel = &stand.desk.account.settings["channelId"];
    let closed = format!("{}003", &channel[..channel.len() - 3]);
    let account = stand.desk.with("channelId", &closed);
    let (http, base, keeper) = stand.desk.parts();
    let second = Duration::from_secs(5);
    let cx = carillon_networks::Context::new(
        http,
        &account,
        base,
        stand.desk.now(),
        second,
        Default::default(),
        keeper,
    );
    let error = stand.network.publish(&cx, &out).await.unwrap_err();
    // Its other posts go on.
    assert_eq!((error.class, error.applied), (Class::Content, Applied::No), "{error:?}");
    assert!(error.sentence.contains("polls"), "{error:?}");
}
