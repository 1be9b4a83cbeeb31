//! What followers did can be read where a placement says so, and every placement that says so is
//! held to the same: exactly what it declares, as it is, and never a zero in place of a refusal.

use std::time::Duration;

use carillon_networks::bluesky::Bluesky;
use carillon_networks::instagram::Instagram;
use carillon_networks::linkedin::LinkedIn;
use carillon_networks::mastodon::Mastodon;
use carillon_networks::nostr::Nostr;
use carillon_networks::tiktok::TikTok;
use carillon_networks::{
    ALL, Account, Applied, Class, Metric, Network, Placement, Rendition, UNGRANTED,
};
use carillon_sandbox::{Calls, Fault, Numbers, Trouble};

use crate::consent;
use crate::contract::{Stand, is_well_put};
use crate::support::Desk;

/// Each another, so that none is taken for another.
const DONE: Numbers =
    Numbers { views: 97, reach: 83, likes: 7, comments: 5, shares: 4, saves: 2, clicks: 11 };

fn of(numbers: Numbers, metric: Metric) -> u64 {
    match metric {
        Metric::Views => numbers.views,
        Metric::Reach => numbers.reach,
        Metric::Likes => numbers.likes,
        Metric::Comments => numbers.comments,
        Metric::Shares => numbers.shares,
        Metric::Saves => numbers.saves,
        Metric::Clicks => numbers.clicks,
    }
}

/// Runs for every placement that measures something.
async fn each<F: AsyncFn(Stand, Rendition, &'static Placement)>(test: F) {
    for &network in ALL {
        for place in network.spec().placements.iter().filter(|p| !p.measures.is_empty()) {
            let (stand, out) = Stand::at(network, place.id).await;
            Box::pin(test(stand, out, place)).await;
        }
    }
}

#[tokio::test]
async fn what_is_declared_is_read_and_nothing_else() {
    each(async |stand, out, place| {
        let (name, id) = (stand.name(&out), stand.network.spec().id);
        let remote = stand.send(&out).await;
        let measure = async || {
            let read = stand.network.measure(&stand.desk.cx(), place, &remote.id).await;
            read.unwrap_or_else(|e| panic!("{name}: {e:?}"))
        };
        // At first little or nothing: where a network says nothing, there is no zero either.
        for (metric, count) in measure().await {
            assert!(place.measures.contains(&metric) && count <= 1, "{name}: {metric:?} {count}");
        }
        stand.desk.sandbox.set_numbers(id, &remote.id, DONE);
        // Who keeps answers tells moments apart.
        stand.desk.pass(Duration::from_secs(1));
        let wanted = place.measures.iter().map(|metric| (*metric, of(DONE, *metric)));
        assert_eq!(measure().await, wanted.collect(), "{name}");
        stand.no_secret_in(&format!("{:?}", stand.desk.sandbox.requests(id)));
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_no_number_and_has_its_class() {
    each(async |stand, out, place| {
        let name = stand.name(&out);
        let remote = stand.send(&out).await;
        stand.desk.sandbox.set_numbers(stand.network.spec().id, &remote.id, DONE);
        for (trouble, classes) in [
            (Trouble::RateLimit, &[Class::RateLimit, Class::Quota][..]),
            (Trouble::Auth, &[Class::Auth]),
            (Trouble::ServerError, &[Class::Transient]),
            (Trouble::ResetBeforeAccept, &[Class::Transient]),
            (Trouble::Garbage, &[Class::Transient]),
        ] {
            // A session that ended is begun anew by those that have one: once, not for ever. Who
            // has the query as a POST has it without a name of its own.
            for call in [Calls::Read, Calls::Prepare] {
                let fault = Fault::new(stand.network.spec().id, call, trouble);
                stand.desk.sandbox.add_fault(fault.times(3));
            }
            let error = stand.network.measure(&stand.desk.cx(), place, &remote.id).await;
            let error = error.err().unwrap_or_else(|| panic!("{name}: {trouble:?} is an answer"));
            assert!(classes.contains(&error.class), "{name}: {trouble:?}: {error:?}");
            assert_eq!(error.applied, Applied::No, "{name}: {trouble:?}: {error:?}");
            assert_ne!(error.code.as_deref(), Some(UNGRANTED), "{name}: {error:?}");
            is_well_put(&error);
            stand.no_secret_in(&format!("{error:?}"));
            stand.desk.sandbox.clear_faults();
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_gone_or_none_of_ours_is_refused() {
    each(async |stand, out, place| {
        let (name, spec) = (stand.name(&out), stand.network.spec());
        let remote = stand.send(&out).await;
        stand.desk.sandbox.set_numbers(spec.id, &remote.id, DONE);
        let refused = async |id: &str| {
            let read = stand.network.measure(&stand.desk.cx(), place, id).await;
            let error = read.err().unwrap_or_else(|| panic!("{name}: `{id}` has numbers"));
            assert_eq!(
                (error.class, error.applied),
                (Class::Content, Applied::No),
                "{name}: {error:?}"
            );
            is_well_put(&error);
        };
        for none in ["", "../1", "no such id"] {
            refused(none).await;
        }
        if spec.abilities.delete {
            stand.network.delete(&stand.desk.cx(), &remote.id).await.unwrap();
            refused(&remote.id).await;
        }
    })
    .await;
}

#[tokio::test]
async fn where_nothing_is_told_nothing_is_called() {
    for &network in ALL {
        let desk = Desk::of(network).await;
        for place in network.spec().placements.iter().filter(|p| p.measures.is_empty()) {
            let error = network.measure(&desk.cx(), place, "1").await.unwrap_err();
            assert_eq!(error.code.as_deref(), Some("unsupported"), "{}", network.spec().id);
        }
        assert!(desk.sandbox.requests(network.spec().id).is_empty(), "{}", network.spec().id);
    }
}

/// An account with the token of a consent that left out what numbers are read with.
async fn ungranted(desk: &Desk, network: &'static dyn Network) -> Account {
    let reading = network.spec().oauth.as_ref().unwrap().reading;
    let code = consent::code(desk, network, "alice", reading).await;
    let tokens = consent::exchange(desk, network, code).await.unwrap();
    let oauth = network.spec().oauth.as_ref().unwrap();
    let missing = oauth.missing(tokens.scopes.as_deref().unwrap_or_default());
    assert!(tokens.scopes.is_none() || missing.is_empty(), "{missing:?} is needed to publish");
    let account = consent::app(desk, &[("accessToken", tokens.access.reveal())]);
    // Where a page was to be chosen, its token is the one that is kept.
    let targets = network.targets(&consent::cx(desk, &account)).await.unwrap();
    if let Some(target) = targets.into_iter().find(|target| target.problem.is_none()) {
        account.secrets.lock().unwrap().extend(target.secrets);
    }
    account
}

#[tokio::test]
async fn a_token_without_the_right_says_so_and_still_publishes() {
    let reading = |network: &&&'static dyn Network| {
        network.spec().oauth.as_ref().is_some_and(|oauth| !oauth.reading.is_empty())
    };
    let mut count = 0;
    for &network in ALL.iter().filter(reading) {
        let place = network.spec().placements.iter().find(|p| !p.measures.is_empty()).unwrap();
        let (mut stand, mut out) = Stand::at(network, place.id).await;
        if network.spec().id == "linkedin" {
            // The right that can be left out is that of members.
            stand.desk.account.settings.remove("author");
            out.text = "Of a member".to_owned();
        }
        let mut account = ungranted(&stand.desk, network).await;
        let settings = stand.desk.account.settings.clone();
        account.settings.extend(settings);
        stand.desk.account = account;
        let remote = stand.send(&out).await;
        let error = network.measure(&stand.desk.cx(), place, &remote.id).await.unwrap_err();
        let name = network.spec().name;
        assert_eq!(
            (error.class, error.code.as_deref()),
            (Class::Auth, Some(UNGRANTED)),
            "{error:?}"
        );
        let says = format!("Connect {name} again to let Carillon read numbers.");
        assert_eq!(error.sentence, says);
        network.check(&stand.desk.cx()).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        count += 1;
    }
    assert_eq!(count, 5);
}

#[tokio::test]
async fn a_members_post_on_linkedin_has_the_same_numbers() {
    let (mut stand, out) = Stand::at(&LinkedIn, "feed").await;
    stand.desk.account.settings.remove("author");
    let remote = stand.send(&out).await;
    stand.desk.sandbox.set_numbers("linkedin", &remote.id, DONE);
    let place = LinkedIn.spec().placement("feed").unwrap();
    let read = LinkedIn.measure(&stand.desk.cx(), place, &remote.id).await.unwrap();
    assert_eq!(read, place.measures.iter().map(|m| (*m, of(DONE, *m))).collect());
}

#[tokio::test]
async fn a_server_of_bluesky_that_passes_nothing_on_is_named() {
    let (mut stand, out) = Stand::at(&Bluesky, "feed").await;
    stand.desk.sign_in(&Bluesky, "bare");
    let remote = stand.send(&out).await;
    let place = Bluesky.spec().placement("feed").unwrap();
    let error = Bluesky.measure(&stand.desk.cx(), place, &remote.id).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_deref()),
        (Class::Config, Some("no_appview")),
        "{error:?}"
    );
    is_well_put(&error);
}

#[tokio::test]
async fn private_videos_have_no_numbers_at_tiktok() {
    let (mut stand, mut out) = Stand::at(&TikTok, "video").await;
    out.extra.insert("audience".to_owned(), "SELF_ONLY".to_owned());
    stand.desk.sign_in(&TikTok, "alice");
    let remote = stand.send(&out).await;
    let place = TikTok.spec().placement("video").unwrap();
    let error = TikTok.measure(&stand.desk.cx(), place, &remote.id).await.unwrap_err();
    assert_eq!(
        (error.class, error.code.as_deref()),
        (Class::Content, Some("not_public")),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_later_parts_of_a_thread_are_no_comments_on_it() {
    let (stand, out) = Stand::at(&Nostr, "reply").await;
    stand.send(&out).await;
    let head = out.reply_to.unwrap().root.id;
    let place = Nostr.spec().placement("feed").unwrap();
    let read = Nostr.measure(&stand.desk.cx(), place, &head).await.unwrap();
    assert_eq!(read[&Metric::Comments], 0);
    stand.desk.sandbox.set_numbers("nostr", &head, DONE);
    let read = Nostr.measure(&stand.desk.cx(), place, &head).await.unwrap();
    assert_eq!(read[&Metric::Comments], DONE.comments);
}

#[tokio::test]
async fn too_few_viewers_are_no_missing_right() {
    let body = r#"{"error":{"message":"(#10) Not enough viewers for the media to show insights","type":"OAuthException","code":10}}"#;
    let reply = carillon_networks::http::Reply {
        status: http::StatusCode::BAD_REQUEST,
        headers: Default::default(),
        body: body.into(),
    };
    let error = Instagram.parse_error(&reply);
    assert_eq!((error.class, error.code.as_deref()), (Class::Content, Some("few_viewers")));
    // Neither is a status that nobody has reacted to.
    let (stand, out) = Stand::at(&Mastodon, "feed").await;
    let remote = stand.send(&out).await;
    let place = Mastodon.spec().placement("feed").unwrap();
    let read = Mastodon.measure(&stand.desk.cx(), place, &remote.id).await.unwrap();
    assert!(read.values().all(|count| *count == 0), "{read:?}");
}
