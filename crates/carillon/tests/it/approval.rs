//! The gate: in a workspace that asks for approvals nothing is seen by followers that was not
//! approved, whichever way it takes.

use std::time::Duration;

use carillon::domain::alert::AlertKind;
use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::policy::{Approval, Policies};
use carillon::domain::post::PostState;
use carillon::domain::refusal::Refusal;
use carillon::domain::review::ReviewState;
use carillon::media::library::{self, Description};
use carillon::media::versions;
use carillon::planning::review::{Answer, Approved};
use carillon::planning::{gating, review};
use carillon::publishing::amend::{self, Amendment};
use carillon::publishing::dead_letters::{self, How, Which};
use carillon::publishing::desk;
use carillon::publishing::rollback;
use carillon::publishing::schedule::{self, Change, Draft, DraftDelivery, Move};
use carillon::publishing::view::PostView;
use carillon::store::audit::OPERATOR;
use carillon::store::{accounts, alerts, deliveries, posts};
use carillon_sandbox::{Calls, Fault, Trouble};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::both;
use crate::segments::parts;
use crate::support::{TestApp, picture, to};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Asks for approvals from now on.
pub(crate) async fn gated(t: &TestApp, approval: Approval) {
    set(t, Some(approval), false).await.expect("approvals are asked for");
}

pub(crate) async fn set(
    t: &TestApp,
    approval: Option<Approval>,
    take_back: bool,
) -> Result<Policies, Refusal> {
    let change = move |old| Policies { approval, ..old };
    gating::set(&t.app, &t.workspace, change, take_back, OPERATOR).await
}

/// The question that is open about a post.
pub(crate) async fn open(t: &TestApp, post: &str) -> String {
    let all = review::of_post(&t.app, &t.workspace, post, OPERATOR).await.expect("its reviews");
    let open = all.into_iter().find(|r| r.state == ReviewState::Open);
    open.unwrap_or_else(|| panic!("nobody is asked about {post}")).id
}

pub(crate) async fn approve(t: &TestApp, post: &str) -> Approved {
    let id = open(t, post).await;
    let answer = Answer { text: Some("They agreed on the phone.".into()), content: None };
    review::approve(&t.app, &t.workspace, &id, answer, OPERATOR).await.expect("it is approved")
}

/// A post of the workspace, approved and with its time still to come.
async fn approved(t: &TestApp, draft: Draft) -> PostView {
    let post = t.schedule(draft).await;
    assert_eq!(post.state, PostState::InReview);
    approve(t, &post.id).await;
    let post = t.post(&post.id).await;
    assert_eq!(post.state, PostState::Scheduled);
    post
}

async fn edit(t: &TestApp, post: &PostView, change: Change) -> PostView {
    let version = t.post(&post.id).await.version;
    let change = Change { version, allow_collision: true, allow_duplicate: true, ..change };
    schedule::edit(&t.app, &t.workspace, &post.id, change).await.expect("it is edited")
}

fn texts(t: &TestApp, network: &str) -> Vec<String> {
    t.visible(network).into_iter().map(|p| p.text).collect()
}

async fn describe(t: &TestApp, medium: &str, change: Description) {
    library::describe(&t.app, &t.workspace, medium, change).await.expect("it is described");
}

async fn replace(t: &TestApp, medium: &str) {
    let bytes = futures_util::stream::iter([Ok::<_, std::io::Error>(picture(640, 480).into())]);
    versions::replace(&t.app, &t.workspace, medium, OPERATOR, bytes).await.expect("replaced");
}

async fn alert(t: &TestApp, kind: AlertKind) -> Vec<String> {
    let open = t.app.db.read(move |tx| async move { alerts::open(&tx, kind).await }).await;
    open.expect("the alerts").into_iter().map(|a| a.subject).collect()
}

/// As if approvals had been asked for all along, without taking anything back: what only the
/// intent can find out.
async fn gate_without_looking(t: &TestApp, approval: Option<Approval>) {
    let (ws, policies) = (t.workspace.clone(), Policies { approval, ..Policies::default() });
    t.app
        .db
        .write(move |tx| async move { accounts::set_policies(&tx, &ws, &policies).await })
        .await
        .expect("the policies are set");
}

both! {
    async fn without_approvals_nothing_waits(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Doors open at seven.", &[&c])).await;
        assert_eq!((post.state, post.review.is_none()), (PostState::Scheduled, true));
        let refusal = review::request(&t.app, &t.workspace, &post.id, None, OPERATOR).await.unwrap_err();
        assert_eq!(refusal.code, "approvals_off");
        t.pass(HOUR).await;
        assert_eq!(texts(&t, "mastodon"), ["Doors open at seven."]);
    }

    async fn what_is_approved_goes_out_at_its_time_and_nothing_else(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let c = t.connect("mastodon").await;
        let (yes, no) = (t.schedule(t.draft("Yes", &[&c])).await, t.schedule(t.draft("No", &[&c])).await);
        assert_eq!((yes.state, yes.deliveries[0].state), (PostState::InReview, State::Draft));
        assert_eq!(yes.scheduled_at, no.scheduled_at, "both keep their time");
        let done = approve(&t, &yes.id).await;
        assert_eq!((done.passed, done.client_next, done.review.state), (0, false, ReviewState::Approved));
        assert_eq!(t.post(&yes.id).await.state, PostState::Scheduled);
        assert!(texts(&t, "mastodon").is_empty(), "not before its time");
        t.pass(DAY).await;
        assert_eq!(texts(&t, "mastodon"), ["Yes"]);
        assert_eq!(t.post(&no.id).await.state, PostState::InReview);
    }

    async fn the_client_is_asked_after_the_workspace(t: TestApp) {
        gated(&t, Approval::Client).await;
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Doors open at seven.", &[&c])).await;
        assert!(approve(&t, &post.id).await.client_next);
        assert_eq!(t.post(&post.id).await.state, PostState::InReview, "one yes is not enough");
        let id = open(&t, &post.id).await;
        let refusal = review::approve(&t.app, &t.workspace, &id, Answer::default(), OPERATOR).await.unwrap_err();
        assert_eq!(refusal.code, "note_required", "who speaks for the client says how they know");
        approve(&t, &post.id).await;
        t.pass(HOUR).await;
        assert_eq!(texts(&t, "mastodon"), ["Doors open at seven."]);
    }

    /// Nothing is sent late because somebody was late to approve it.
    async fn a_time_that_has_passed_is_told_and_not_made_up_for(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Doors open at seven.", &[&c])).await;
        t.pass(HOUR).await;
        let done = approve(&t, &post.id).await;
        assert_eq!(done.passed, 1);
        let free = done.suggested_at.expect("the next free time");
        t.pass(HOUR).await;
        assert!(texts(&t, "mastodon").is_empty());
        let post = t.post(&post.id).await;
        assert_eq!((post.state, post.deliveries[0].can.contains(&"retry".to_owned())), (PostState::Approved, true));
        let to = Move { scheduled_at: free, allow_collision: true, allow_duplicate: true, ..Move::default() };
        let refused = schedule::move_to(&t.app, &t.workspace, &post.id, to).await.unwrap_err();
        assert_eq!(refused.code, "in_the_past", "it was free an hour ago");
        let at = carillon::domain::when::iso(t.clock.now() + 600_000);
        let to = Move { scheduled_at: at, allow_collision: true, allow_duplicate: true, ..Move::default() };
        let moved = schedule::move_to(&t.app, &t.workspace, &post.id, to).await.expect("it is moved");
        assert_eq!(moved.state, PostState::Scheduled, "a time is no content");
        t.pass(HOUR).await;
        assert_eq!(texts(&t, "mastodon"), ["Doors open at seven."]);
        // … or a person sends it at once.
        let late = t.schedule(t.draft("Support from nine.", &[&c])).await;
        t.pass(HOUR).await;
        approve(&t, &late.id).await;
        desk::retry(&t.app, &t.workspace, &late.deliveries[0].id, None, OPERATOR).await.expect("it is sent");
        t.pass(MINUTE).await;
        assert_eq!(texts(&t, "mastodon").len(), 2);
    }

    /// Each change of what followers see ends what was approved and what was asked.
    async fn every_change_of_content_voids(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let (m, w, f) = (t.connect("mastodon").await, t.connect("wordpress").await, t.connect("facebook").await);
        let other = t.connect_as("mastodon", "bob").await;
        let (one, two) = (t.upload().await, t.upload().await);
        let draft = Draft {
            title: Some("Tonight".into()),
            media: vec![one.clone()],
            ..t.draft("Doors open at seven.", &[&m, &w, &f])
        };
        let list = |change: fn(&mut Vec<DraftDelivery>, &str), other: &str| {
            let mut all = vec![to(&m), to(&w), to(&f)];
            change(&mut all, other);
            Some(all)
        };
        let cases: Vec<(&str, Change)> = vec![
            ("text", Change { text: Some("Doors open at six.".into()), ..Change::default() }),
            ("title", Change { title: Some(Some("Tomorrow".into())), ..Change::default() }),
            ("no title", Change { title: Some(None), ..Change::default() }),
            ("another picture", Change { media: Some(vec![two.clone()]), ..Change::default() }),
            ("one more picture", Change { media: Some(vec![one.clone(), two.clone()]), ..Change::default() }),
            ("no picture", Change { media: Some(Vec::new()), ..Change::default() }),
            ("thread", Change { thread: Some(parts(&["And more."])), deliveries: list(|all, _| {
                for d in &mut all[1..] { d.thread = Some(schedule::Parts::FIRST) }
            }, ""), ..Change::default() }),
            ("text of one", Change { deliveries: list(|all, _| all[0].text = Some("Doors!".into()), ""), ..Change::default() }),
            ("answer of one", Change { deliveries: list(|all, _| {
                all[2].options = Some([("link".to_owned(), "https://example.com/".to_owned())].into());
            }, ""), media: Some(Vec::new()), ..Change::default() }),
            ("first comment", Change { deliveries: list(|all, _| all[2].first_comment = Some("Tickets".into()), ""), ..Change::default() }),
            ("placement", Change { deliveries: list(|all, _| all[2].placement = Some("story".into()), ""), ..Change::default() }),
            ("one account more", Change { deliveries: list(|all, other| all.push(to(other)), &other), ..Change::default() }),
            ("another account", Change { deliveries: list(|all, other| all[0] = to(other), &other), ..Change::default() }),
            ("one account less", Change { deliveries: list(|all, _| drop(all.pop()), ""), ..Change::default() }),
        ];
        for (what, change) in cases {
            let post = approved(&t, draft.clone()).await;
            let after = edit(&t, &post, change).await;
            assert_eq!(after.state, PostState::InReview, "{what}");
            let review = after.review.expect("a review");
            assert_eq!((review.state, review.why.as_deref()), (ReviewState::Voided, Some("edited")), "{what}");
            assert!(after.deliveries.iter().all(|d| d.state == State::Draft), "{what}: {:?}", after.deliveries);
            assert_eq!(alert(&t, AlertKind::ApprovalLost).await, [post.id.as_str()], "{what}");
            schedule::cancel(&t.app, &t.workspace, &post.id).await.expect("cancelled");
            assert!(alert(&t, AlertKind::ApprovalLost).await.is_empty());
        }
        let cases: Vec<(&str, Description)> = vec![
            ("description", Description { alt: Some("The harbour at dawn".into()), ..Description::default() }),
            ("focus", Description { focus_x: Some(10), ..Description::default() }),
        ];
        for (what, change) in cases {
            let (post, asked) = (approved(&t, draft.clone()).await, t.schedule(draft.clone()).await);
            describe(&t, &one, change).await;
            for id in [&post.id, &asked.id] {
                let after = t.post(id).await;
                assert_eq!((after.state, after.review.unwrap().why.as_deref()), (PostState::InReview, Some("media_changed")), "{what}");
            }
        }
        let (post, asked) = (approved(&t, draft.clone()).await, t.schedule(draft.clone()).await);
        replace(&t, &one).await;
        for id in [&post.id, &asked.id] {
            assert_eq!(t.post(id).await.review.unwrap().state, ReviewState::Voided, "another file");
        }
        t.pass(DAY).await;
        for network in ["mastodon", "wordpress", "facebook"] {
            assert!(texts(&t, network).is_empty(), "{network}: {:?}", texts(&t, network));
        }
    }

    async fn what_is_no_content_voids_nothing(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let (m, picture) = (t.connect("mastodon").await, t.upload().await);
        let draft = Draft { media: vec![picture.clone()], ..t.draft("Doors open at seven.", &[&m]) };
        let post = approved(&t, draft).await;
        let later = carillon::domain::when::iso(t.clock.now() + 1_200_000);
        let after = edit(&t, &post, Change { scheduled_at: Some(Some(later)), timezone: Some("UTC".into()), ..Change::default() }).await;
        assert_eq!(after.state, PostState::Scheduled);
        let after = edit(&t, &post, Change { text: Some(post.text.clone()), deliveries: Some(vec![to(&m)]), ..Change::default() }).await;
        assert_eq!(after.state, PostState::Scheduled, "the same said once more");
        describe(&t, &picture, Description { name: Some("quay".into()), ..Description::default() }).await;
        assert_eq!(t.post(&post.id).await.state, PostState::Scheduled, "followers see no name");
        t.pass(HOUR).await;
        assert_eq!(texts(&t, "mastodon"), ["Doors open at seven."]);
    }

    /// Every way to a network, tried with what nobody approved.
    async fn no_way_leads_around_the_gate(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let (m, tg, f) = (t.connect("mastodon").await, t.connect("telegram").await, t.connect("facebook").await);
        let (app, ws) = (&t.app, t.workspace.as_str());
        let seen = |t: &TestApp| -> Vec<String> {
            let all = ["mastodon", "telegram", "facebook"].into_iter().flat_map(|n| texts(t, n));
            all.filter(|text| text.contains("secret")).collect()
        };

        // Written: planned, at once, a draft that is scheduled, with and without a first comment.
        let planned = t.schedule(t.draft("secret plan", &[&m])).await;
        t.schedule(Draft { scheduled_at: None, ..t.draft("secret now", &[&m]) }).await;
        let draft = t.schedule(Draft { draft: true, ..t.draft("secret draft", &[&m, &f]) }).await;
        edit(&t, &draft, Change { draft: Some(false), ..Change::default() }).await;
        let comment = vec![DraftDelivery { first_comment: Some("secret comment".into()), ..to(&f) }];
        t.schedule(Draft { deliveries: comment, ..t.draft("secret with a comment", &[]) }).await;
        t.schedule(Draft { thread: parts(&["secret part"]), ..t.draft("secret thread", &[&m]) }).await;
        // Moved.
        let at = carillon::domain::when::iso(t.clock.now() + 120_000);
        let sooner = Move { scheduled_at: at, allow_collision: true, allow_duplicate: true, ..Move::default() };
        schedule::move_to(app, ws, &planned.id, sooner).await.expect("moved");
        // Sent by hand.
        let d = &planned.deliveries[0].id;
        let refusal = desk::retry(app, ws, d, None, OPERATOR).await.unwrap_err();
        assert_eq!(refusal.code, "not_approved");
        desk::cancel(app, ws, d, OPERATOR).await.expect("cancelled");
        let refusal = desk::retry(app, ws, d, None, OPERATOR).await.unwrap_err();
        assert_eq!(refusal.code, "not_approved", "a cancelled one does not come back");
        // By the API, with any key.
        let api = Api::of(&t).await;
        let body = json!({ "text": "secret by the API", "deliveries": [{ "connectionId": m }], "allowCollision": true });
        let (status, made) = api.call(Method::POST, "/api/v1/posts", Some(body)).await;
        assert_eq!((status, made["state"].as_str()), (StatusCode::CREATED, Some("in_review")));
        let review = made["review"]["id"].as_str().expect("a review");
        let (status, answer) = api.call(Method::POST, &format!("/api/v1/reviews/{review}/approve"), Some(json!({}))).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::FORBIDDEN, Some("may_not_approve")), "a key approves nothing unless it was made for that");
        t.pass(DAY).await;
        assert!(seen(&t).is_empty(), "{:?}", seen(&t));

        // Approved, then changed: by an edit, in what failed, in what was in doubt, at the network.
        let post = approved(&t, t.draft("fine", &[&m])).await;
        edit(&t, &post, Change { text: Some("secret edit".into()), ..Change::default() }).await;
        let picture = t.upload().await;
        let with_picture = |text: &str, c: &str| Draft { media: vec![picture.clone()], ..t.draft(text, &[c]) };
        t.sandbox.add_fault(Fault::new("mastodon", Calls::Publish, Trouble::ResetBeforeAccept).times(50));
        let failed = approved(&t, with_picture("a secret that fails", &m)).await;
        t.pass(4 * HOUR).await;
        t.sandbox.clear_faults();
        let d = failed.deliveries[0].id.clone();
        assert_eq!(t.delivery(&d).await.state, State::Failed);
        let refusal = desk::retry(app, ws, &d, Some("secret new text".into()), OPERATOR).await.unwrap_err();
        assert_eq!(refusal.code, "not_approved");
        t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
        let doubt = approved(&t, with_picture("a doubt", &tg)).await;
        t.pass(HOUR).await;
        let asked = doubt.deliveries[0].id.clone();
        assert_eq!(t.delivery(&asked).await.question.as_deref(), Some("is_it_live"));
        describe(&t, &picture, Description { alt: Some("secret description".into()), ..Description::default() }).await;
        let refusal = desk::retry(app, ws, &d, None, OPERATOR).await.unwrap_err();
        assert_eq!(refusal.code, "not_approved", "its picture is described otherwise");
        let how = How { spacing: None, dry_run: false };
        let done = dead_letters::replay(app, ws, Which::Ids(vec![d.clone()]), how, OPERATOR, |_| ()).await.expect("replayed");
        assert_eq!((done.replayed.len(), done.skipped[0].code.as_str()), (0, "not_approved"));
        let no = desk::Answer { live: false, url: None };
        let after = desk::answer(app, ws, &asked, no, OPERATOR).await.expect("answered");
        assert_eq!(after.state, State::Draft, "it is not sent again as it is now");
        let before = t.sandbox.ledger("telegram").len();
        t.pass(DAY).await;
        assert!(seen(&t).is_empty(), "{:?}", seen(&t));
        assert_eq!(t.sandbox.ledger("telegram").len(), before);

        // Live, changed at its network, or taken back and published again.
        let live = approved(&t, t.draft("live", &[&m])).await;
        t.pass(HOUR).await;
        assert_eq!(texts(&t, "mastodon"), ["live"]);
        let said = Amendment { text: "secret amendment".into(), title: None };
        let refusal = amend::amend(app, ws, &live.deliveries[0].id, said, &format!("key:{ws}")).await.unwrap_err();
        assert_eq!(refusal.code, "not_approved");
        rollback::post(app, ws, &live.id).await.expect("taken back");
        let again = Change { draft: Some(false), scheduled_at: Some(None), text: Some("secret again".into()), deliveries: Some(vec![to(&m)]), ..Change::default() };
        edit(&t, &live, again).await;
        let back = approved(&t, t.draft("once and again", &[&m])).await;
        t.pass(HOUR).await;
        rollback::post(app, ws, &back.id).await.expect("taken back");
        let again = Change { draft: Some(false), scheduled_at: Some(None), deliveries: Some(vec![to(&m)]), ..Change::default() };
        assert_eq!(edit(&t, &back, again).await.state, PostState::InReview, "another post at its network");
        t.pass(DAY).await;
        assert!(texts(&t, "mastodon").is_empty(), "{:?}", texts(&t, "mastodon"));
    }

    /// A thread whose head is out, and a comment behind it: what was not approved stays behind.
    async fn what_follows_a_live_post_needs_its_approval_too(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let f = t.connect("facebook").await;
        let comment = |text: &str| vec![DraftDelivery { first_comment: Some(text.into()), ..to(&f) }];
        let post = approved(&t, Draft { deliveries: comment("Tickets"), ..t.draft("Doors", &[]) }).await;
        assert_eq!(post.deliveries[1].state, State::Queued);
        let after = edit(&t, &post, Change { deliveries: Some(comment("secret tickets")), ..Change::default() }).await;
        assert!(after.deliveries.iter().all(|d| d.state == State::Draft));
        t.pass(HOUR).await;
        assert!(texts(&t, "facebook").is_empty());
        let at = carillon::domain::when::iso(t.clock.now() + 600_000);
        edit(&t, &post, Change { scheduled_at: Some(Some(at)), ..Change::default() }).await;
        review::request(&t.app, &t.workspace, &post.id, None, OPERATOR).await.expect("asked again");
        approve(&t, &post.id).await;
        t.pass(HOUR).await;
        assert_eq!(texts(&t, "facebook"), ["Doors", "secret tickets"], "approved, it follows");
    }

    /// Beneath everything else: what stands in the queue without an approval is stopped before the
    /// network hears of it.
    async fn the_last_look_is_the_intents_own(t: TestApp) {
        let m = t.connect("mastodon").await;
        let queued = t.schedule(t.draft("secret", &[&m])).await;
        gate_without_looking(&t, Some(Approval::Internal)).await;
        let (id, now) = (queued.deliveries[0].id.clone(), t.clock.now());
        let slipped = t.app.db.write(move |tx| async move {
            deliveries::intend(&tx, &id, State::Queued, now).await
        });
        assert!(!slipped.await.expect("it can be asked"), "no intent without an approval");
        t.pass(HOUR).await;
        let d = t.delivery(&queued.deliveries[0].id).await;
        assert_eq!((d.state, d.problem.as_ref().map(|p| p.action.as_str())), (State::Held, Some("request_approval")));
        let calls = t.journal(&d.id).await;
        assert!(calls.iter().all(|line| line.step == "prepare"), "{calls:?}");
        assert!(texts(&t, "mastodon").is_empty());

        // What changes behind the back of everything is not what was approved.
        let post = approved(&t, t.draft("fine", &[&m])).await;
        let id = post.id.clone();
        t.app.db.write(move |tx| async move {
            let old = posts::load(&tx, &id).await?.expect("the post");
            posts::save(&tx, &posts::Post { text: "secret".into(), ..old }, now).await
        }).await.expect("it is written");
        t.pass(HOUR).await;
        assert_eq!(t.delivery(&post.deliveries[0].id).await.state, State::Held);
        assert!(texts(&t, "mastodon").is_empty());

        // Held for want of an approval; once it is there a person says when.
        review::request(&t.app, &t.workspace, &queued.id, None, OPERATOR).await.expect("asked");
        assert_eq!(approve(&t, &queued.id).await.passed, 1);
        desk::retry(&t.app, &t.workspace, &d.id, None, OPERATOR).await.expect("it is sent");
        t.pass(MINUTE).await;
        assert_eq!(texts(&t, "mastodon"), ["secret"]);
    }

    async fn the_setting_takes_back_and_releases(t: TestApp) {
        let m = t.connect("mastodon").await;
        let scheduled = t.schedule(t.draft("secret", &[&m])).await;
        let refusal = set(&t, Some(Approval::Client), false).await.unwrap_err();
        assert_eq!(refusal.code, "posts_scheduled");
        assert!(refusal.sentence.starts_with("1 post is scheduled"), "{}", refusal.sentence);
        assert_eq!(t.post(&scheduled.id).await.state, PostState::Scheduled, "nothing was changed");
        set(&t, Some(Approval::Internal), true).await.expect("taken back");
        let post = t.post(&scheduled.id).await;
        assert_eq!((post.state, post.review.map(|r| r.state)), (PostState::InReview, Some(ReviewState::Open)));
        approve(&t, &post.id).await;
        assert_eq!(t.post(&post.id).await.state, PostState::Scheduled);
        // The client's yes is asked for as well: what has one of two waits for the other.
        assert_eq!(set(&t, Some(Approval::Client), false).await.unwrap_err().code, "posts_scheduled");
        set(&t, Some(Approval::Client), true).await.expect("taken back");
        let post = t.post(&scheduled.id).await;
        let stage = post.review.as_ref().map(|r| r.stage.as_str());
        assert_eq!((post.state, stage), (PostState::InReview, Some("client")));
        // Nobody is asked any more: a draft, not a post that is sent.
        set(&t, None, false).await.expect("released");
        let post = t.post(&scheduled.id).await;
        assert_eq!((post.state, post.review.is_none()), (PostState::Draft, true));
        t.pass(DAY).await;
        assert!(texts(&t, "mastodon").is_empty());
        // Asked again later, what was approved before counts for nothing.
        gated(&t, Approval::Internal).await;
        let later = carillon::domain::when::iso(t.clock.now() + 600_000);
        let again = Change { draft: Some(false), scheduled_at: Some(Some(later)), ..Change::default() };
        assert_eq!(edit(&t, &post, again).await.state, PostState::InReview);
    }
}
