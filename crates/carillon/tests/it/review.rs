//! Approvals from outside: who may ask and answer, what is said, and the client's page.

use std::time::Duration;

use carillon::domain::alert::AlertKind;
use carillon::domain::policy::{Approval, Policies};
use carillon::domain::post::PostState;
use carillon::domain::review::{ReviewState, Stage};
use carillon::domain::when;
use carillon::identity::door;
use carillon::planning::gating;
use carillon::planning::links::{self, LinkView, NewLink};
use carillon::planning::review::{self, Answer};
use carillon::publishing::schedule::{self, Change, Draft};
use carillon::store::accounts::{self, Account};
use carillon::store::audit::OPERATOR;
use carillon::store::{alerts, audit, events};
use carillon::{App, ids};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::Api;
use crate::approval::{approve, gated, open};
use crate::both;
use crate::cli::{fails, said, told};
use crate::support::TestApp;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Somebody of the workspace; who they are in the audit trail.
pub(crate) async fn person(t: &TestApp, name: &str, role: &'static str) -> String {
    let (ws, now) = (t.workspace.clone(), t.clock.now());
    let account = Account {
        id: ids::new(now),
        email: format!("{name}@example.com"),
        name: name.into(),
        password_hash: None,
    };
    let actor = format!("account:{}", account.id);
    t.app
        .db
        .write(move |tx| async move { accounts::add_account(&tx, &account, &ws, role, now).await })
        .await
        .expect("a member");
    actor
}

async fn code_of<T: std::fmt::Debug>(
    asked: impl Future<Output = Result<T, carillon::domain::refusal::Refusal>>,
) -> String {
    asked.await.expect_err("it is refused").code
}

fn says(text: &str) -> Answer {
    Answer { text: Some(text.into()), content: None }
}

async fn link(t: &TestApp, days: i64) -> LinkView {
    let new = NewLink { name: "Grace".into(), days: Some(days), ..NewLink::default() };
    links::create(&t.app, &t.workspace, new, OPERATOR).await.expect("a link")
}

/// A browser without an account at the client's page.
struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    async fn of(t: &TestApp, link: &LinkView) -> Self {
        let path =
            link.url.as_deref().and_then(|u| u.find("/r/").map(|i| &u[i..])).expect("a page");
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = http.build().expect("a client");
        Self { http, url: format!("{}{path}", t.serve().await) }
    }

    async fn get(&self) -> (StatusCode, String) {
        let answer = self.http.get(&self.url).header("accept", "text/html").send().await;
        let answer = answer.expect("an answer");
        (answer.status(), answer.text().await.expect("a page"))
    }

    async fn send(&self, form: &str, verdict: &str, text: &str) -> (StatusCode, String) {
        let body = [("form", form), ("verdict", verdict), ("text", text)];
        let answer = self
            .http
            .post(&self.url)
            .header("accept", "text/html")
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(body).finish())
            .send()
            .await
            .expect("an answer");
        (answer.status(), answer.text().await.expect("a page"))
    }
}

/// The sealed fields of the forms on a page.
fn forms(page: &str) -> Vec<String> {
    let value = |rest: &str| rest.split('"').next().unwrap_or_default().to_owned();
    page.split("name=\"form\" value=\"").skip(1).map(value).collect()
}

both! {
    async fn who_asked_does_not_answer_where_others_can(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let (ada, c) = (person(&t, "Ada", "owner").await, t.connect("mastodon").await);
        let draft = |by: &str| Draft { by: Some(by.to_owned()), ..t.draft("Doors open at seven.", &[&c]) };
        let (app, ws) = (&t.app, t.workspace.as_str());
        let own = t.schedule(draft(&ada)).await;
        let id = open(&t, &own.id).await;
        review::approve(app, ws, &id, Answer::default(), &ada).await.expect("alone, they may");
        let (bob, eve) = (person(&t, "Bob", "admin").await, person(&t, "Eve", "editor").await);
        let own = t.schedule(draft(&ada)).await;
        let id = open(&t, &own.id).await;
        assert_eq!(code_of(review::approve(app, ws, &id, Answer::default(), &ada)).await, "own_request");
        assert_eq!(code_of(review::approve(app, ws, &id, Answer::default(), &eve)).await, "may_not_approve");
        assert_eq!(code_of(review::approve(app, ws, &id, Answer::default(), "key:none")).await, "may_not_approve");
        let seen = review::show(app, ws, &id, &ada).await.expect("the review");
        assert_eq!((seen.requested_by.as_deref(), seen.can.contains(&"approve".to_owned())), (Some("Ada"), false));
        assert!(seen.barred.is_some());
        let done = review::approve(app, ws, &id, Answer::default(), &bob).await.expect("another may");
        assert_eq!(done.review.decided_by.as_deref(), Some("Bob"));
        let mine = |own| move |old| Policies { approval_self: Some(own), ..old };
        gating::set(app, ws, mine(true), false, OPERATOR).await.expect("set");
        let own = t.schedule(draft(&ada)).await;
        let id = open(&t, &own.id).await;
        review::approve(app, ws, &id, Answer::default(), &ada).await.expect("they may now");
    }

    async fn changes_are_asked_for_made_and_asked_about_again(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let (app, ws, c) = (&t.app, t.workspace.as_str(), t.connect("mastodon").await);
        let post = t.schedule(t.draft("Doors open at nine.", &[&c])).await;
        let id = open(&t, &post.id).await;
        review::comment(app, ws, &id, "Is that right?".into(), OPERATOR).await.expect("said");
        assert_eq!(code_of(review::request_changes(app, ws, &id, Answer::default(), OPERATOR)).await, "comment_required");
        let answered = review::request_changes(app, ws, &id, says("It is seven."), OPERATOR).await.expect("answered");
        assert_eq!(answered.state, ReviewState::ChangesRequested);
        let said: Vec<&str> = answered.comments.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(said, ["Is that right?", "It is seven."]);
        assert_eq!(t.post(&post.id).await.state, PostState::InReview);
        let kind = AlertKind::ChangesRequested;
        let alert = t.app.db.read(move |tx| async move { alerts::open(&tx, kind).await }).await.unwrap().remove(0);
        assert!(alert.problem.sentence.contains("It is seven."), "{:?}", alert.problem);
        assert_eq!(code_of(review::approve(app, ws, &id, Answer::default(), OPERATOR)).await, "review_over");

        let change = Change { version: t.post(&post.id).await.version, text: Some("Doors open at seven.".into()), allow_collision: true, allow_duplicate: true, ..Change::default() };
        schedule::edit(app, ws, &post.id, change).await.expect("changed");
        let asked = review::request(app, ws, &post.id, Some("Seven now.".into()), OPERATOR).await.expect("asked");
        assert_eq!(asked.before.as_ref().map(|b| b.text.as_str()), Some("Doors open at nine."));
        assert_eq!(code_of(review::request(app, ws, &post.id, None, OPERATOR)).await, "review_open");
        assert!(t.app.db.read(move |tx| async move { alerts::open(&tx, kind).await }).await.unwrap().is_empty());
        let list = review::list(app, ws, None, None, 10, OPERATOR).await.expect("the queue");
        assert_eq!((list.items.len(), list.items[0].note.as_deref()), (1, Some("Seven now.")));
        let stale = Answer { text: None, content: Some("0123".into()) };
        assert_eq!(code_of(review::approve(app, ws, &asked.id, stale, OPERATOR)).await, "changed_meanwhile");
        let seen = Answer { text: None, content: Some(asked.content.clone()) };
        review::approve(app, ws, &asked.id, seen, OPERATOR).await.expect("approved");
        assert_eq!(code_of(review::request(app, ws, &post.id, None, OPERATOR)).await, "approved_already");
        t.pass(HOUR).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        let ws_ = t.workspace.clone();
        let trail = t.app.db.read(move |tx| async move { audit::before(&tx, &ws_, None, (i64::MAX, ""), 100).await });
        let deeds: Vec<String> = trail.await.unwrap().into_iter().map(|e| e.action).filter(|a| a.starts_with("review.")).collect();
        assert_eq!(deeds, ["review.approved", "review.requested", "review.changes_requested"]);
        let ws_ = t.workspace.clone();
        let told = t.app.db.read(move |tx| async move { events::after(&tx, &ws_, (0, ""), 1000).await }).await.unwrap();
        for kind in ["review.requested", "review.commented", "review.changes_requested", "review.approved"] {
            assert!(told.iter().any(|e| e.kind == kind && e.data["postId"] == post.id.as_str()), "{kind}");
        }
    }

    /// Of two answers in one moment one counts, and the other is told.
    async fn two_answer_at_once(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Doors open at seven.", &[&c])).await;
        let id = open(&t, &post.id).await;
        let answers = futures_util::future::join_all((0..8).map(|n| {
            let (app, ws, id): (App, String, String) = (t.app.clone(), t.workspace.clone(), id.clone());
            tokio::spawn(async move {
                match n % 2 {
                    0 => review::approve(&app, &ws, &id, Answer::default(), OPERATOR).await.map(drop),
                    _ => review::request_changes(&app, &ws, &id, says("No."), OPERATOR).await.map(drop),
                }
            })
        }));
        let answers: Vec<_> = answers.await.into_iter().map(|a| a.expect("no panic")).collect();
        assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1, "{answers:?}");
        for refusal in answers.into_iter().filter_map(Result::err) {
            assert_eq!(refusal.code, "review_over");
        }
    }

    async fn a_question_and_an_answer_are_taken_back(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let (app, ws, c) = (&t.app, t.workspace.as_str(), t.connect("mastodon").await);
        let post = t.schedule(t.draft("Doors open at seven.", &[&c])).await;
        let id = open(&t, &post.id).await;
        assert_eq!(code_of(review::withdraw(app, ws, &id, "key:none")).await, "not_yours");
        review::withdraw(app, ws, &id, OPERATOR).await.expect("withdrawn");
        assert_eq!(t.post(&post.id).await.review.unwrap().why.as_deref(), Some("withdrawn"));
        review::request(app, ws, &post.id, None, OPERATOR).await.expect("asked again");
        let done = approve(&t, &post.id).await;
        assert_eq!(t.post(&post.id).await.state, PostState::Scheduled);
        let again = review::withdraw(app, ws, &done.review.id, OPERATOR).await.expect("taken back");
        assert_eq!((again.state, again.post.state), (ReviewState::Open, PostState::InReview));
        t.pass(HOUR).await;
        assert!(t.visible("mastodon").is_empty());
        // Once it is out nothing can be taken back by that.
        let out = t.schedule(t.draft("Support from nine.", &[&c])).await;
        let done = approve(&t, &out.id).await;
        t.pass(HOUR).await;
        assert_eq!(code_of(review::withdraw(app, ws, &done.review.id, OPERATOR)).await, "out_already");
    }

    async fn whoever_is_asked_shows_another_picture(t: TestApp) {
        gated(&t, Approval::Internal).await;
        let (app, ws, c) = (&t.app, t.workspace.as_str(), t.connect("mastodon").await);
        let (one, two, more) = (t.upload().await, t.upload().await, t.upload().await);
        let draft = Draft { media: vec![one, more.clone()], ..t.draft("Doors open at seven.", &[&c]) };
        let post = t.schedule(draft).await;
        let id = open(&t, &post.id).await;
        assert_eq!(code_of(review::swap(app, ws, &id, &two, "key:none")).await, "may_not_approve");
        assert_eq!(code_of(review::swap(app, ws, &id, &ids::new(0), OPERATOR)).await, "unknown_media");
        let before = review::show(app, ws, &id, OPERATOR).await.expect("the review");
        let swapped = review::swap(app, ws, &id, &two, OPERATOR).await.expect("swapped");
        assert_eq!((swapped.id.as_str(), swapped.state), (id.as_str(), ReviewState::Open), "the same question");
        let media: Vec<&str> = swapped.post.media.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(media, [two.as_str(), more.as_str()]);
        assert!(swapped.comments.last().is_some_and(|c| c.text.starts_with("Shows harbour")), "{:?}", swapped.comments);
        let old = Answer { text: None, content: Some(before.content) };
        assert_eq!(code_of(review::approve(app, ws, &id, old, OPERATOR)).await, "changed_meanwhile", "who saw the old one");
        approve(&t, &post.id).await;
        t.pass(HOUR).await;
        assert_eq!(t.visible("mastodon")[0].media.len(), 2);
    }

    async fn the_api_asks_and_answers(t: TestApp) {
        let (c, mut api) = (t.connect("mastodon").await, Api::of(&t).await);
        let path = "/api/v1/workspace/policies";
        let (status, no) = api.call(Method::PATCH, path, Some(json!({ "approval": "internal" }))).await;
        assert_eq!((status, no["code"].as_str()), (StatusCode::FORBIDDEN, Some("may_not_approve")), "nor may it switch them off");
        let approver = door::new_key(&t.app, &t.workspace, "approver", true, OPERATOR).await.expect("a key");
        let plain = std::mem::replace(&mut api.key, approver.clone());
        let (status, set) = api.call(Method::PATCH, path, Some(json!({ "approval": "internal" }))).await;
        assert_eq!((status, set["approval"].as_str()), (StatusCode::OK, Some("internal")));
        api.key = plain;
        let body = json!({ "text": "Doors open at seven.", "deliveries": [{ "connectionId": c }], "scheduledAt": "2026-11-23T10:00" });
        let (_, post) = api.call(Method::POST, "/api/v1/posts", Some(body)).await;
        let (_, list) = api.call(Method::GET, "/api/v1/reviews", None).await;
        let id = list["items"][0]["id"].as_str().expect("a question").to_owned();
        assert_eq!((&list["items"][0]["post"]["id"], &list["items"][0]["requestedBy"]), (&post["id"], &json!("test")));
        let (_, session) = api.call(Method::GET, "/api/v1/session", None).await;
        assert_eq!((&session["reviews"], &session["mayApprove"], &session["workspace"]["approval"]), (&json!(1), &json!(false), &json!("internal")));
        let answer = format!("/api/v1/reviews/{id}/approve");
        let (status, no) = api.call(Method::POST, &answer, Some(json!({}))).await;
        assert_eq!((status, no["code"].as_str()), (StatusCode::FORBIDDEN, Some("may_not_approve")));
        api.key = approver;
        let (status, done) = api.call(Method::POST, &answer, Some(json!({ "text": "Fine." }))).await;
        assert_eq!((status, done["review"]["state"].as_str()), (StatusCode::OK, Some("approved")), "{done}");
        let query = format!("/api/v1/reviews?postId={}", post["id"].as_str().unwrap());
        let (_, history) = api.call(Method::GET, &query, None).await;
        assert_eq!(history["items"][0]["comments"][0]["by"], "approver");
        let stranger = Api { key: t.stranger().await, client: api.client.clone(), url: api.url.clone(), t: api.t };
        for (method, path) in [(Method::GET, format!("/api/v1/reviews/{id}")), (Method::POST, answer), (Method::GET, query)] {
            let (status, _) = stranger.call(method, &path, Some(json!({}))).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    async fn a_client_answers_by_their_link_alone(t: TestApp) {
        gated(&t, Approval::Client).await;
        let (app, ws, c) = (&t.app, t.workspace.as_str(), t.connect("mastodon").await);
        let secret = t.schedule(t.draft("Not for clients yet", &[&c])).await;
        let nothing = NewLink { name: "Grace".into(), ..NewLink::default() };
        assert_eq!(code_of(links::create(app, ws, nothing, OPERATOR)).await, "nothing_to_show");
        let (one, two) = (t.schedule(t.draft("Doors open at seven.", &[&c])).await, t.schedule(t.draft("Quiz night", &[&c])).await);
        for post in [&one, &two] {
            approve(&t, &post.id).await;
            assert_eq!(t.post(&post.id).await.review.unwrap().stage, Stage::Client);
        }
        let made = link(&t, 7).await;
        assert_eq!(made.post_ids.len(), 2, "what waits for a client");
        let client = Client::of(&t, &made).await;
        let (status, page) = client.get().await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("Doors open at seven.") && page.contains("Quiz night") && page.contains("2 posts wait"), "{page}");
        assert!(!page.contains("Not for clients") && !page.contains("<script"), "{page}");
        let sealed = forms(&page);
        assert_eq!(sealed.len(), 2);

        let (status, page) = client.send(&sealed[0], "change", "  ").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
        assert!(page.contains("role=\"alert\""), "{page}");
        let (status, _) = client.send("made up", "approve", "").await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        let (status, _) = client.send(&sealed[0], "approve", "").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let (status, _) = client.send(&sealed[1], "change", "The quiz is on Tuesday.").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let (_, page) = client.get().await;
        assert!(page.contains("✓ Approved") && page.contains("Nothing waits for you"), "{page}");
        assert!(!page.contains("Quiz night"), "it is being worked on: {page}");
        let (status, page) = client.send(&sealed[1], "approve", "").await;
        assert_eq!(status, StatusCode::CONFLICT, "an old form changes nothing: {page}");

        let history = review::of_post(app, ws, &two.id, OPERATOR).await.expect("its reviews");
        assert_eq!((history[0].state, history[0].decided_by.as_deref()), (ReviewState::ChangesRequested, Some("Grace")));
        t.pass(HOUR).await;
        let texts: Vec<String> = t.visible("mastodon").into_iter().map(|p| p.text).collect();
        assert_eq!(texts, ["Doors open at seven."]);
        let (token, other) = (made.url.as_deref().and_then(|u| u.rsplit('/').next()).unwrap(), open(&t, &secret.id).await);
        let other = links::answer(app, token, &other, links::Verdict::Approve, Answer::default());
        assert_eq!(code_of(other).await, "not_found", "what the link does not show is not its to answer");
    }

    async fn a_link_ends_and_is_taken_back(t: TestApp) {
        gated(&t, Approval::Client).await;
        let (app, ws, c) = (&t.app, t.workspace.as_str(), t.connect("mastodon").await);
        let at = Some(when::iso(t.clock.now() + 30 * 86_400_000));
        let post = t.schedule(Draft { scheduled_at: at, ..t.draft("Doors open at seven.", &[&c]) }).await;
        approve(&t, &post.id).await;
        let (short, long) = (link(&t, 1).await, link(&t, 7).await);
        let (short_page, long_page) = (Client::of(&t, &short).await, Client::of(&t, &long).await);
        assert_eq!(short_page.get().await.0, StatusCode::OK);
        let form = forms(&long_page.get().await.1).remove(0);
        t.clock.advance(DAY);
        let (status, page) = short_page.get().await;
        assert_eq!(status, StatusCode::GONE);
        assert!(page.contains("Ask whoever sent it") && !page.contains("Doors"), "{page}");
        assert_eq!(long_page.get().await.0, StatusCode::OK);
        links::revoke(app, ws, &long.id, OPERATOR).await.expect("taken back");
        assert_eq!(long_page.get().await.0, StatusCode::GONE);
        assert_eq!(long_page.send(&form, "approve", "").await.0, StatusCode::GONE, "a form that was open, too");
        assert_eq!(t.post(&post.id).await.state, PostState::InReview);
        let states: Vec<String> = links::list(app, ws).await.unwrap().into_iter().map(|l| l.state).collect();
        assert_eq!(states, ["revoked", "expired"]);
        for days in [0, 91] {
            let new = NewLink { name: "Grace".into(), days: Some(days), ..NewLink::default() };
            assert_eq!(code_of(links::create(app, ws, new, OPERATOR)).await, "out_of_range");
        }
        let new = NewLink { name: "Grace".into(), ..NewLink::default() };
        assert_eq!(code_of(links::create(app, ws, new, "key:none")).await, "may_not_approve");
    }

    async fn links_are_not_guessed(t: TestApp) {
        gated(&t, Approval::Client).await;
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Doors open at seven.", &[&c])).await;
        approve(&t, &post.id).await;
        let mut client = Client::of(&t, &link(&t, 7).await).await;
        let good = client.url.clone();
        client.url.push('x');
        for _ in 0..20 {
            assert_eq!(client.get().await.0, StatusCode::NOT_FOUND);
        }
        let (status, page) = client.get().await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert!(page.contains("Wait"), "{page}");
        t.clock.advance(Duration::from_secs(61));
        client.url = good;
        assert_eq!(client.get().await.0, StatusCode::OK, "a minute later it opens");
    }

    async fn approvals_are_asked_and_given_from_a_terminal(t: TestApp) {
        t.connect("mastodon").await;
        let set = told(&t, &["review", "policy", "client", "--own", "yes"]);
        assert_eq!((&set["approval"], &set["approvalSelf"]), (&json!("client"), &json!(true)));
        let create = ["post", "create", "--at", "2035-01-01T09:00", "--to", "mastodon", "--text", "Doors open at seven."];
        let post = told(&t, &create);
        assert_eq!(post["state"], "in_review");
        let id = post["id"].as_str().unwrap();
        let list = told(&t, &["review", "list"]);
        assert_eq!((&list["items"][0]["postId"], &list["items"][0]["stage"]), (&post["id"], &json!("internal")));
        assert!(said(&t, &["review", "list"]).contains("Doors open at seven."));
        fails(&t, &["review", "request", id], 4, "asked about this post already");
        told(&t, &["review", "comment", id, "Is the picture ours?"]);
        assert_eq!(told(&t, &["review", "approve", id])["clientNext"], true);
        fails(&t, &["review", "approve", id], 1, "how the client agreed");
        let link = told(&t, &["review", "link", "Grace", "--expires", "14d"]);
        assert!(link["url"].as_str().unwrap().contains("/r/rev_"), "{link}");
        assert!(said(&t, &["review", "links"]).contains("never opened"));
        assert_eq!(told(&t, &["review", "revoke", link["id"].as_str().unwrap()])["state"], "revoked");
        let done = told(&t, &["review", "approve", id, "--note", "On the phone"]);
        assert_eq!(done["review"]["post"]["state"], "scheduled");
        fails(&t, &["review", "changes", id, "Too late"], 4, "This question is over");
        assert_eq!(told(&t, &["review", "withdraw", id])["state"], "open");
        told(&t, &["review", "changes", id, "The date is wrong."]);
        fails(&t, &["review", "link", "Grace"], 4, "No post waits for a client.");
        fails(&t, &["review", "link", "Grace", "--expires", "soon"], 1, "`soon` is no number of days.");
        let key = told(&t, &["keys", "api", "Our website", "--may-approve"]);
        assert!(key["key"].as_str().unwrap().starts_with("car_"), "{key}");
        told(&t, &["review", "policy", "none"]);
        assert_eq!(told(&t, &["post", "show", id])["post"]["state"], "draft");
    }
}
