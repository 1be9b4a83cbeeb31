//! Budgets: what a send that certainly did not post took from them comes back, whatever the network;
//! what may be live stays counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use carillon::App;
use carillon::app::Networks;
use carillon::config::Config;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState as State;
use carillon::domain::sealed::Place;
use carillon::ids;
use carillon::params;
use carillon::publishing::connecting::{self, Change};
use carillon::publishing::schedule::{self, DraftDelivery};
use carillon::publishing::view::{self, DeliveryView};
use carillon::queue::worker::Worker;
use carillon::store::connections::{self, Connection};
use carillon_networks::http::Reply;
use carillon_networks::spec::{Budget, Placement};
use carillon_networks::{
    Applied, Class, Context, Error as NetworkError, Identity, Network, Published, Remote,
    Rendition, SendClass, Spec,
};
use carillon_sandbox::{Calls, Trouble};

use crate::support::{On, TestApp, to};

const HOUR: Duration = Duration::from_secs(3600);

static SPEC: Spec = Spec {
    budgets: &[Budget { posts: 1, per: Duration::from_secs(86_400), of: &[] }],
    ..Spec::bare("guild", &[Placement::bare(SendClass::Blind)])
};

/// A network that only this installation knows. Its first calls end as it is told to, then it takes
/// whatever comes.
struct Guild {
    ends: &'static [fn() -> NetworkError],
    calls: AtomicUsize,
}

impl Guild {
    fn installed(ends: &'static [fn() -> NetworkError]) -> Networks {
        let guild: &'static Guild = Box::leak(Box::new(Guild { ends, calls: AtomicUsize::new(0) }));
        Box::leak(Box::new([guild as &dyn Network]))
    }
}

#[async_trait]
impl Network for Guild {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, _: &Context<'_>) -> Result<Identity, NetworkError> {
        Ok(Identity::default())
    }

    async fn publish(&self, _: &Context<'_>, out: &Rendition) -> Result<Published, NetworkError> {
        if let Some(end) = self.ends.get(self.calls.fetch_add(1, Ordering::Relaxed)) {
            return Err(end());
        }
        Ok(Published::Accepted(Remote { id: out.key.clone(), url: None }))
    }

    fn parse_error(&self, _: &Reply) -> NetworkError {
        NetworkError::new(Class::Unknown, "The guild sends no replies.")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_of_ones_own_gives_back_what_did_not_go_on_sqlite() {
    given_back(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_of_ones_own_gives_back_what_did_not_go_on_postgres() {
    given_back(On::Postgres).await;
}

/// One post a day, and the first try took it: the second goes today all the same.
async fn given_back(on: On) {
    let t = TestApp::with(on, &[("CARILLON_LATE_AFTER", "5d")]).await;
    let (began, d) = (t.clock.now(), night(&t, &[unreached], None).await);
    assert_eq!(d.state, State::Published, "{d:?}");
    let published = t.app.db.read(|tx| async move {
        tx.row("SELECT published_at AS at FROM delivery WHERE network = 'guild'", params![]).await
    });
    let published = published.await.unwrap_or_else(|e: Error| panic!("{e}")).expect("a row");
    let after = published.int("at").unwrap() - began;
    assert!(after < 4 * HOUR.as_millis() as i64, "the same day: {after} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_nothing_of_an_earlier_try_on_sqlite() {
    asked_after_a_refusal(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_nothing_of_an_earlier_try_on_postgres() {
    asked_after_a_refusal(On::Postgres).await;
}

/// The first try may be live and is sent again as its owner wants; the second is refused for good.
async fn asked_after_a_refusal(on: On) {
    let t = TestApp::with(on, &[("CARILLON_LATE_AFTER", "5d")]).await;
    let ends: [&'static [fn() -> NetworkError]; 2] =
        [&[unheard, refused], &[unheard, unreached, refused]];
    for ends in ends {
        let d = night(&t, ends, Some(0)).await;
        assert_eq!((d.state, d.question.as_deref()), (State::Held, Some("is_it_live")), "{d:?}");
    }
    let d = night(&t, &[refused], Some(0)).await;
    assert_eq!((d.state, d.question), (State::Failed, None), "nothing was in doubt");
}

fn unreached() -> NetworkError {
    NetworkError::new(Class::Transient, "The guild could not be reached.")
}

fn unheard() -> NetworkError {
    let e = NetworkError::new(Class::Transient, "The guild's answer was lost.");
    NetworkError { applied: Applied::Maybe, ..e }
}

fn refused() -> NetworkError {
    NetworkError::new(Class::Content, "The guild does not want it.")
}

/// What became of a post to the guild within days of its time.
async fn night(
    t: &TestApp,
    ends: &'static [fn() -> NetworkError],
    twice_at: Option<i64>,
) -> DeliveryView {
    let config = Config::read(|name| t.settings.get(name).cloned()).unwrap();
    let networks = Guild::installed(ends);
    let app = App::open_with(config, t.clock.clone(), networks).await.unwrap();
    let c = connect(&app, &t.workspace, SPEC.id, twice_at).await;
    let mut draft = t.draft("Guild night", &[]);
    draft.deliveries = vec![to(&c)];
    draft.scheduled_at = None;
    let post = schedule::create(&app, &t.workspace, draft, None).await.unwrap();
    let worker = Worker::new(app.clone());
    for _ in 0..100 {
        t.clock.advance(HOUR);
        worker.tick().await.unwrap();
    }
    view::post(&app, &t.workspace, &post.id).await.unwrap().deliveries.remove(0)
}

async fn connect(app: &App, workspace: &str, network: &str, twice_at: Option<i64>) -> String {
    let (now, id) = (app.clock.now(), ids::new(app.clock.now()));
    let row = Connection {
        workspace_id: workspace.to_owned(),
        network: network.into(),
        name: "the guild".into(),
        remote_id: "guild".into(),
        settings: Default::default(),
        secrets: app.keys.seal("{}", Place::ConnectionSecrets, &id),
        id: id.clone(),
        broken_at: None,
        problem: None,
        twice_at,
        quota_until: None,
        quota_of: None,
        tokens: Default::default(),
        checked_at: None,
        published_at: None,
        created_at: now,
    };
    let added = app.db.write(move |tx| async move { connections::add(&tx, &row).await });
    added.await.unwrap_or_else(|e: Error| panic!("{e}"));
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_twice_is_counted_twice_on_sqlite() {
    counted_twice(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_twice_is_counted_twice_on_postgres() {
    counted_twice(On::Postgres).await;
}

/// Two posts a day; the first was there though its answer was lost, and is sent again.
async fn counted_twice(on: On) {
    let more = [("CARILLON_BUDGETS", "telegram=2/1d"), ("CARILLON_LATE_AFTER", "1d")];
    let t = TestApp::with(on, &more).await;
    let c = t.connect("telegram").await;
    let twice = Change { send_twice: Some(true), ..Change::default() };
    connecting::edit(&t.app, &t.workspace, &c, twice).await.unwrap();
    t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
    let post = t.schedule(t.draft("Open mike", &[&c])).await;
    t.pass(Duration::from_secs(601)).await;
    assert_eq!(t.post(&post.id).await.deliveries[0].state, State::Queued);
    let id = post.deliveries[0].id.clone();
    let first = t.app.db.read(move |tx| async move {
        tx.row("SELECT first_intent_at FROM delivery WHERE id = $1", params![id]).await
    });
    let first = first.await.unwrap_or_else(|e: Error| panic!("{e}")).expect("a row");
    assert!(first.opt_int("first_intent_at").unwrap().is_some(), "it may be live since then");
    t.pass(2 * HOUR).await;
    assert_eq!(t.visible("telegram").len(), 2);

    t.schedule(t.draft("Last orders", &[&c])).await;
    t.pass(2 * HOUR).await;
    assert_eq!(t.visible("telegram").len(), 2, "nothing is left of this day's two");
    t.pass(16 * HOUR).await;
    assert_eq!(t.visible("telegram").len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_that_may_all_be_live_end_with_a_question_on_sqlite() {
    asked_at_the_end(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_that_may_all_be_live_end_with_a_question_on_postgres() {
    asked_at_the_end(On::Postgres).await;
}

/// When all tries are used up it is not safe to replay: some of them may be there.
async fn asked_at_the_end(on: On) {
    let t = TestApp::with(on, &[("CARILLON_RETRIES", "1m,5m")]).await;
    let c = t.connect("telegram").await;
    let twice = Change { send_twice: Some(true), ..Change::default() };
    connecting::edit(&t.app, &t.workspace, &c, twice).await.unwrap();
    for _ in 0..3 {
        t.fault("telegram", Calls::Publish, Trouble::ResetAfterAccept);
    }
    let post = t.schedule(t.draft("Open mike", &[&c])).await;
    t.pass(HOUR).await;
    let d = &t.post(&post.id).await.deliveries[0];
    assert_eq!((d.state, d.question.as_deref()), (State::Held, Some("is_it_live")), "{d:?}");
    assert!(!d.can.contains(&"retry".to_owned()), "{d:?}");
    assert_eq!(t.visible("telegram").len(), 3);
}

/// A network that counts its kinds of posts apart. What it is told of one kind it says at its first.
struct Hall {
    refuses: Option<&'static str>,
    refused: AtomicUsize,
}

static HALL: Spec = Spec {
    budgets: &[
        Budget { posts: 1, per: Duration::from_secs(86_400), of: &["feed"] },
        Budget { posts: 2, per: Duration::from_secs(86_400), of: &["notice"] },
    ],
    ..Spec::bare(
        "hall",
        &[
            Placement::bare(SendClass::Blind),
            Placement { id: "notice", ..Placement::bare(SendClass::Blind) },
        ],
    )
};

#[async_trait]
impl Network for Hall {
    fn spec(&self) -> &'static Spec {
        &HALL
    }

    async fn check(&self, _: &Context<'_>) -> Result<Identity, NetworkError> {
        Ok(Identity::default())
    }

    async fn publish(&self, _: &Context<'_>, out: &Rendition) -> Result<Published, NetworkError> {
        let first = || self.refused.fetch_add(1, Ordering::Relaxed) == 0;
        if self.refuses == Some(&out.placement) && first() {
            let e = NetworkError::new(Class::Quota, "The hall takes no more of these today.");
            return Err(e.retry_after(Some(5 * HOUR)));
        }
        Ok(Published::Accepted(Remote { id: out.key.clone(), url: None }))
    }

    fn parse_error(&self, _: &Reply) -> NetworkError {
        NetworkError::new(Class::Unknown, "The hall sends no replies.")
    }
}

/// Three of each kind, asked for at once, and how many of each are out after so many hours.
async fn hall(on: On, refuses: Option<&'static str>, after: &[usize]) -> Vec<(usize, usize)> {
    let t = TestApp::with(on, &[("CARILLON_LATE_AFTER", "5d")]).await;
    let hall: &'static Hall = Box::leak(Box::new(Hall { refuses, refused: AtomicUsize::new(0) }));
    let networks: Networks = Box::leak(Box::new([hall as &dyn Network]));
    let config = Config::read(|name| t.settings.get(name).cloned()).unwrap();
    let app = App::open_with(config, t.clock.clone(), networks).await.unwrap();
    let c = connect(&app, &t.workspace, HALL.id, None).await;
    let mut posts = Vec::new();
    for n in 0..3 {
        for placement in ["feed", "notice"] {
            let mut draft = t.draft(&format!("{placement} {n}"), &[]);
            draft.deliveries = vec![DraftDelivery { placement: Some(placement.into()), ..to(&c) }];
            draft.scheduled_at = None;
            posts.push(schedule::create(&app, &t.workspace, draft, None).await.unwrap().id);
        }
    }
    let worker = Worker::new(app.clone());
    let (mut hours, mut seen) = (0, Vec::new());
    for &until in after {
        while hours < until {
            worker.tick().await.unwrap();
            t.clock.advance(HOUR);
            hours += 1;
        }
        let mut out = (0, 0);
        for id in &posts {
            let d = view::post(&app, &t.workspace, id).await.unwrap().deliveries.remove(0);
            match d.placement.as_str() {
                _ if d.state != State::Published => {}
                "feed" => out.0 += 1,
                _ => out.1 += 1,
            }
        }
        seen.push(out);
    }
    seen
}

/// It is eight in the morning: the first day has sixteen hours left.
async fn counted_apart(on: On) {
    assert_eq!(hall(on, None, &[12, 30, 54]).await, [(1, 2), (2, 3), (3, 3)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_has_a_budget_of_its_own_on_sqlite() {
    counted_apart(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_has_a_budget_of_its_own_on_postgres() {
    counted_apart(On::Postgres).await;
}

/// What the network says of one kind holds that kind, for as long as it says.
async fn refused_apart(on: On) {
    assert_eq!(hall(on, Some("notice"), &[3, 12]).await, [(1, 0), (1, 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_of_one_kind_holds_no_other_on_sqlite() {
    refused_apart(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_of_one_kind_holds_no_other_on_postgres() {
    refused_apart(On::Postgres).await;
}
