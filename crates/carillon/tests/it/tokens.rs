//! Tokens last: renewed in time by one at a time, lost by nobody, and told of when they cannot be.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon::App;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState;
use carillon::domain::when;
use carillon::publishing::connecting::{self, Change, ConnectionState, ConnectionView, New};
use carillon::publishing::schedule;
use carillon::publishing::tokens::{self, Renewal};
use carillon::publishing::view::{self, DeliveryView, PostView};
use carillon::publishing::{account, preflight};
use carillon::queue::cron;
use carillon::queue::worker::Worker;
use carillon::store::alerts;
use carillon::store::connections::{self, Connection};
use carillon_networks::Spec;
use carillon_networks::oauth::Life;
use carillon_sandbox::{Calls, Fault, Trouble};

use crate::both;
use crate::consent::Browser;
use crate::support::guild::{Guild, State};
use crate::support::{TestApp, to};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// An hour, renewed by a token that is another each time.
fn hourly() -> State {
    State { access_ms: HOUR, refresh_ms: Some(90 * DAY), ..State::default() }
}

/// The guild, an installation that knows it, and a connection to it.
struct Stand {
    guild: &'static Guild,
    app: App,
    worker: Worker,
    id: String,
}

async fn stand(t: &TestApp, life: Life, state: State) -> Stand {
    let guild = Guild::new(life, state);
    let app = guild.install(t).await;
    let credentials = guild.hand_out(t.clock.now());
    let new = New { network: "guild".into(), credentials, ..New::default() };
    let id = connecting::add(&app, &t.workspace, new).await.expect("connected").id;
    let worker = Worker::new(app.clone());
    let s = Stand { guild, app, worker, id };
    // Tokens entered by hand are of an unknown age: they are renewed soon.
    pass(t, &s, 26 * HOUR).await;
    s
}

/// The networks whose tokens end, as the sandbox issues them through its consent pages.
fn mortal() -> Vec<&'static Spec> {
    let all = carillon_networks::ALL.iter().map(|n| n.spec());
    all.filter(|s| s.oauth.is_some() && s.life != Life::Endless).collect()
}

/// How often the sandbox was asked for newer tokens.
fn refreshed(t: &TestApp, network: &str) -> usize {
    let asked = t.sandbox.requests(network);
    let renewals = asked.iter().filter(|r| r.body.contains("grant_type=refresh_token"));
    renewals.filter(|r| r.status.is_some()).count()
}

/// Everything runs for so long, on the clock's time.
async fn run(t: &TestApp, worker: &Worker, ms: i64) {
    let end = t.clock.now() + ms;
    loop {
        cron::tick(&t.app).await.expect("a tick");
        worker.tick().await.expect("work");
        let now = t.clock.now();
        if now >= end {
            return;
        }
        let next = t.app.db.read(|tx| async move {
            let sql = "SELECT min(renew_at) AS at FROM connection WHERE deleted_at IS NULL";
            tx.row(sql, &[]).await?.map_or(Ok(None), |r| r.opt_int("at"))
        });
        let next: Result<_, Error> = next.await;
        let step = next.expect("a time").map_or(DAY, |at| (at - now).clamp(MINUTE, DAY));
        t.clock.advance(Duration::from_millis(step.min(end - now) as u64));
    }
}

/// The clockwork ticks each minute for the first and the last two hours, and else when something
/// is to be renewed.
async fn pass(t: &TestApp, s: &Stand, ms: i64) {
    let end = t.clock.now() + ms;
    loop {
        cron::tick(&s.app).await.expect("a tick");
        s.worker.tick().await.expect("work");
        let now = t.clock.now();
        if now >= end {
            return;
        }
        let step = if ms <= 4 * HOUR { MINUTE } else { next(t, s).await.clamp(MINUTE, DAY) };
        t.clock.advance(Duration::from_millis(step.min(end - now) as u64));
    }
}

/// Passes time until the network is asked once more, at its time and not before.
async fn asked_again(t: &TestApp, s: &Stand) {
    let renew_at = row(s).await.tokens.renew_at.expect("planned");
    let before = s.guild.state().asked;
    for _ in 0..1_000 {
        cron::tick(&s.app).await.expect("a tick");
        s.worker.tick().await.expect("work");
        if s.guild.state().asked > before {
            assert!(t.clock.now() >= renew_at);
            return;
        }
        t.clock.advance(Duration::from_secs(10));
    }
    panic!("nobody asked");
}

/// Passes time until its tokens are new.
async fn newly_renewed(t: &TestApp, s: &Stand) {
    pass(t, s, next(t, s).await + MINUTE).await;
    let ends = row(s).await.tokens.expires_at.expect("known");
    assert!(ends - t.clock.now() > 50 * MINUTE);
}

/// How long until something is to be renewed, in ms.
async fn next(t: &TestApp, s: &Stand) -> i64 {
    let at = row(s).await.tokens.renew_at;
    at.map_or(DAY, |at| (at - t.clock.now()).max(MINUTE))
}

async fn row(s: &Stand) -> Connection {
    stored(&s.app, &s.id).await
}

async fn stored(app: &App, id: &str) -> Connection {
    let id = id.to_owned();
    let found: Result<_, Error> =
        app.db.read(move |tx| async move { connections::load(&tx, &id).await }).await;
    found.expect("the database answers").expect("the row")
}

async fn held(s: &Stand) -> BTreeMap<String, String> {
    let account = account::open(&s.app, &row(s).await).expect("opens");
    let secrets = account.secrets.into_inner().unwrap();
    secrets.into_iter().map(|(k, v)| (k, v.reveal().to_owned())).collect()
}

async fn shown(t: &TestApp, s: &Stand) -> ConnectionView {
    connecting::find(&s.app, &t.workspace, &s.id).await.expect("there")
}

async fn post(t: &TestApp, s: &Stand, text: &str, at: i64) -> PostView {
    let mut draft = t.draft(text, &[]);
    draft.deliveries = vec![to(&s.id)];
    draft.scheduled_at = Some(when::iso(at));
    schedule::create(&s.app, &t.workspace, draft, None).await.expect("the post is taken")
}

async fn delivery(t: &TestApp, s: &Stand, post: &PostView) -> DeliveryView {
    view::delivery(&s.app, &t.workspace, &post.deliveries[0].id).await.expect("there")
}

/// Sentences of the open alerts of this kind.
async fn open(t: &TestApp, s: &Stand, kind: &str) -> Vec<String> {
    let ws = t.workspace.clone();
    let all = s.app.db.read(move |tx| async move { alerts::open_in(&tx, &ws, 100).await });
    let all = all.await.expect("the alerts").into_iter();
    all.filter(|a| a.kind.as_str() == kind).map(|a| a.problem.sentence).collect()
}

/// How often an end was told of.
async fn alerts_of(t: &TestApp) -> usize {
    raised(t, "connection_ends").await
}

/// How often an alert of this kind was raised.
async fn raised(t: &TestApp, kind: &str) -> usize {
    let ws = t.workspace.clone();
    let all = t.app.db.read(move |tx| async move { alerts::all_in(&tx, &ws, 1_000).await });
    all.await.expect("the alerts").iter().filter(|a| a.kind.as_str() == kind).count()
}

both! {
    /// A year with the tokens that the sandbox issues: days on which all runs, and weeks on which
    /// nothing does. What can be renewed works on each of those days, the rest was told of.
    async fn every_networks_tokens_last_a_year(t: TestApp) {
        let browser = Browser::of(&t).await;
        let mut all = Vec::new();
        for spec in mortal() {
            all.push((spec, browser.connect(&t, spec.id, None).await));
        }
        assert!(!all.is_empty());
        let (began, mut mended) = (t.clock.now(), 0);
        while t.clock.now() < began + 365 * DAY {
            run(&t, &t.worker, DAY).await;
            for (spec, id) in &all {
                let view = connecting::find(&t.app, &t.workspace, id).await.expect("there");
                if view.state == ConnectionState::NeedsAction {
                    assert_eq!(spec.life, Life::Fixed, "{}: {view:?}", spec.id);
                    browser.sign_in().await;
                    assert_eq!(&browser.connect(&t, spec.id, Some(id)).await, id);
                    mended += 1;
                }
                let checked = connecting::check(&t.app, &t.workspace, id).await.expect("checked");
                assert!(checked.ok, "{}: {:?}", spec.id, checked.checks);
            }
            t.clock.advance(Duration::from_millis(50 * DAY as u64));
        }
        let fixed = all.iter().filter(|(spec, _)| spec.life == Life::Fixed).count();
        assert!(mended >= fixed * 3 && alerts_of(&t).await >= fixed, "{mended} times");
    }

    async fn fifty_at_once_ask_the_sandbox_once(t: TestApp) {
        let browser = Browser::of(&t).await;
        let other = t.again().await;
        for spec in mortal().into_iter().filter(|s| s.life == Life::Rotating) {
            let id = browser.connect(&t, spec.id, None).await;
            let row = stored(&t.app, &id).await;
            let Some(at) = row.tokens.renew_at else { continue };
            t.clock.advance(Duration::from_millis((at - t.clock.now()).max(0) as u64));
            let before = refreshed(&t, spec.id);
            let mut all = tokio::task::JoinSet::new();
            for i in 0..50 {
                let (app, id) = (if i % 2 == 0 { &t.app } else { &other }.clone(), id.clone());
                all.spawn(async move { tokens::renew(&app, &id, row.tokens.version).await });
            }
            let all = all.join_all().await;
            assert_eq!(refreshed(&t, spec.id), before + 1, "{}", spec.id);
            assert!(all.iter().all(|r| matches!(r, Ok(Renewal::Newer | Renewal::Busy))), "{all:?}");
            t.clock.advance(Duration::from_millis(2 * MINUTE as u64));
            let version = stored(&t.app, &id).await.tokens.version;
            let next = tokens::renew(&t.app, &id, version).await;
            assert!(matches!(next, Ok(Renewal::Newer)), "{}: the grant lives on: {next:?}", spec.id);
            connecting::disconnect(&t.app, &t.workspace, &id, "operator").await.expect("gone");
        }
    }

    async fn three_errors_of_the_sandbox_disconnect_nobody(t: TestApp) {
        let browser = Browser::of(&t).await;
        for spec in mortal().into_iter().filter(|s| s.life == Life::Rotating) {
            let id = browser.connect(&t, spec.id, None).await;
            let Some(at) = stored(&t.app, &id).await.tokens.renew_at else { continue };
            t.clock.advance(Duration::from_millis((at - t.clock.now()).max(0) as u64));
            for trouble in [Trouble::ServerError, Trouble::ResetBeforeAccept, Trouble::RateLimit] {
                t.sandbox.add_fault(Fault::new(spec.id, Calls::Any, trouble).ms(1_000));
                let version = stored(&t.app, &id).await.tokens.version;
                let tried = tokens::renew(&t.app, &id, version).await;
                assert!(matches!(tried, Ok(Renewal::Later(..))), "{}: {trouble:?}: {tried:?}", spec.id);
            }
            assert_eq!(stored(&t.app, &id).await.tokens.tries, 3, "{}", spec.id);
            let view = connecting::find(&t.app, &t.workspace, &id).await.expect("there");
            assert_eq!((view.state, view.token.problem), (ConnectionState::Active, None), "{}", spec.id);
            run(&t, &t.worker, 10 * MINUTE).await;
            assert_eq!(stored(&t.app, &id).await.tokens.tries, 0, "{}: renewed", spec.id);
            connecting::disconnect(&t.app, &t.workspace, &id, "operator").await.expect("gone");
        }
    }

    async fn tokens_of_an_hour_are_renewed_before_they_end(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        let before = s.guild.state().asked;
        let mut ends = row(&s).await.tokens.expires_at.expect("known");
        for _ in 0..5 {
            pass(&t, &s, ends - t.clock.now() - 10 * MINUTE - MINUTE).await;
            let now = row(&s).await.tokens.expires_at.expect("known");
            if now == ends {
                pass(&t, &s, 7 * MINUTE).await;
            }
            let new = row(&s).await.tokens;
            assert!(new.expires_at.expect("known") > ends, "renewed before its end");
            let left = ends - new.refreshed_at.expect("known");
            assert!((4 * MINUTE..=12 * MINUTE).contains(&left), "{left}");
            ends = new.expires_at.expect("known");
        }
        assert_eq!(s.guild.state().asked, before + 5);
        assert_eq!(s.guild.state().turned_away, 0);
        let view = shown(&t, &s).await;
        assert_eq!((view.state, view.token.ends_at), (ConnectionState::Active, None));
        assert!(view.token.expires_at.is_some() && view.token.renews_at.is_some());
    }

    /// Fifty at two nodes: one asks, nobody's token is lost.
    async fn fifty_at_once_ask_once(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        let other = s.guild.install(&t).await;
        for _ in 0..3 {
            let before = s.guild.state().asked;
            let version = row(&s).await.tokens.version;
            t.clock.advance(Duration::from_millis(55 * MINUTE as u64));
            let mut all = tokio::task::JoinSet::new();
            for i in 0..50 {
                let (app, id) = (if i % 2 == 0 { &s.app } else { &other }.clone(), s.id.clone());
                all.spawn(async move { tokens::renew(&app, &id, version).await });
            }
            let all = all.join_all().await;
            assert_eq!(s.guild.state().asked, before + 1);
            let fine = |r: &Result<Renewal, Error>| matches!(r, Ok(Renewal::Newer | Renewal::Busy));
            assert!(all.iter().all(fine), "{all:?}");
            assert_eq!(held(&s).await["accessToken"], s.guild.state().access);
            assert_eq!(held(&s).await["refreshToken"], s.guild.state().refresh);
            assert!(!s.guild.state().closed, "no refresh token was used twice");
        }
    }

    /// A lease that its holder did not give back ends by itself.
    async fn who_dies_at_it_holds_nobody_up_for_long(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        let (id, version, now) = (s.id.clone(), row(&s).await.tokens.version, t.clock.now());
        let taken = s.app.db.write(move |tx| async move {
            carillon::store::tokens::take(&tx, &id, version, now + MINUTE, now).await
        });
        assert!(taken.await.expect("the database answers").is_some());
        let tried = tokens::renew(&s.app, &s.id, version).await.expect("the database answers");
        assert!(matches!(tried, Renewal::Busy), "{tried:?}");
        t.clock.advance(Duration::from_millis(MINUTE as u64));
        let tried = tokens::renew(&s.app, &s.id, version).await.expect("the database answers");
        assert!(matches!(tried, Renewal::Newer), "{tried:?}");
    }

    async fn a_network_that_is_away_disconnects_nobody(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        let before = s.guild.state().asked;
        let was = held(&s).await;
        s.guild.state().away = 3;
        asked_again(&t, &s).await;
        assert_eq!(s.guild.state().asked, before + 1);
        assert_eq!(held(&s).await, was, "what works stays");
        pass(&t, &s, 15 * MINUTE).await;
        assert_eq!(s.guild.state().asked, before + 4, "ever more rarely, until it answers");
        assert_ne!(held(&s).await, was);
        let view = shown(&t, &s).await;
        assert_eq!((view.state, view.token.problem), (ConnectionState::Active, None));
        assert_eq!(row(&s).await.tokens.tries, 0);
        assert_eq!(open(&t, &s, "connection_ends").await, Vec::<String>::new());
    }

    async fn an_empty_token_never_takes_the_place_of_one(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        let was = held(&s).await;
        s.guild.state().blank = 2;
        asked_again(&t, &s).await;
        assert_eq!(s.guild.state().blank, 1);
        assert_eq!(held(&s).await, was);
        assert_eq!(shown(&t, &s).await.state, ConnectionState::Active);
        pass(&t, &s, 10 * MINUTE).await;
        assert_eq!(s.guild.state().blank, 0);
        assert_eq!(held(&s).await["accessToken"], s.guild.state().access);
    }

    /// Nothing ran while the token ended: it is renewed before the post is sent, not after a refusal.
    async fn what_ended_meanwhile_is_renewed_before_the_send(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        let late = post(&t, &s, "Doors at seven", t.clock.now() + 3 * DAY).await;
        t.clock.advance(Duration::from_millis((3 * DAY + MINUTE) as u64));
        s.worker.tick().await.expect("work");
        assert_eq!(s.guild.state().posts, ["Doors at seven"]);
        assert_eq!(s.guild.state().turned_away, 0, "no dead token was shown to anybody");
        assert_eq!(delivery(&t, &s, &late).await.state, DeliveryState::Published);
    }

    async fn the_look_before_its_time_renews_what_ended(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        let due = post(&t, &s, "Quiz night", t.clock.now() + DAY).await;
        t.clock.advance(Duration::from_millis((DAY - 10 * MINUTE) as u64));
        preflight::find(&s.app).await.expect("found");
        s.worker.tick().await.expect("work");
        let d = delivery(&t, &s, &due).await;
        assert_eq!((d.state, d.warning), (DeliveryState::Queued, None));
        assert_eq!(s.guild.state().turned_away, 0);
        assert!(row(&s).await.tokens.expires_at.expect("known") > t.clock.now());
    }

    /// The network ended the token before its time: one refusal, one renewal, one post.
    async fn a_token_refused_in_the_middle_is_renewed_and_the_post_goes_out(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        newly_renewed(&t, &s).await;
        let due = post(&t, &s, "Happy hour", t.clock.now() + 20 * MINUTE).await;
        let asked = s.guild.state().asked;
        t.clock.advance(Duration::from_millis(20 * MINUTE as u64));
        s.guild.state().ends = t.clock.now();
        s.worker.tick().await.expect("work");
        assert_eq!(s.guild.state().posts, ["Happy hour"]);
        assert_eq!(s.guild.counts(), (asked + 1, 1));
        assert_eq!(shown(&t, &s).await.state, ConnectionState::Active);
        let d = delivery(&t, &s, &due).await;
        assert_eq!(d.state, DeliveryState::Published);
        let journal = view::attempts(&s.app, &t.workspace, &d.id).await.expect("a journal");
        let words: Vec<_> = journal.iter().map(|a| a.outcome.clone().unwrap_or_default()).collect();
        assert_eq!(words, ["renewed", "accepted"]);
        assert_eq!(open(&t, &s, "connection_needs_action").await, Vec::<String>::new());
    }

    /// New tokens are refused as well: it is not the token, and nobody renews for ever.
    async fn what_is_refused_with_new_tokens_too_needs_its_owner(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        newly_renewed(&t, &s).await;
        let due = post(&t, &s, "Open mike", t.clock.now() + 20 * MINUTE).await;
        let asked = s.guild.state().asked;
        t.clock.advance(Duration::from_millis(20 * MINUTE as u64));
        s.guild.state().strict = true;
        s.worker.tick().await.expect("work");
        assert_eq!(s.guild.counts(), (asked + 1, 2));
        assert_eq!(shown(&t, &s).await.state, ConnectionState::NeedsAction);
        assert_eq!(delivery(&t, &s, &due).await.state, DeliveryState::Queued, "it waits");
        s.guild.state().strict = false;
        assert!(connecting::check(&s.app, &t.workspace, &s.id).await.expect("checked").ok);
        s.worker.tick().await.expect("work");
        assert_eq!(s.guild.state().posts, ["Open mike"]);
    }

    /// The token has ended and its network does not renew it at the moment: the post waits, no try
    /// is counted, nobody is asked to do anything.
    async fn a_post_waits_for_a_token_that_is_not_to_be_had_yet(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        let due = post(&t, &s, "Last orders", t.clock.now() + 2 * HOUR).await;
        t.clock.advance(Duration::from_millis(2 * HOUR as u64));
        s.guild.state().away = 3;
        s.worker.tick().await.expect("work");
        let d = delivery(&t, &s, &due).await;
        assert_eq!(d.state, DeliveryState::Queued);
        assert_eq!(shown(&t, &s).await.state, ConnectionState::Active);
        pass(&t, &s, 10 * MINUTE).await;
        assert_eq!(s.guild.state().posts, ["Last orders"]);
        assert_eq!(s.guild.state().turned_away, 0);
    }

    /// The network ended the consent: told at once, posted while the token lasts, held after it,
    /// and all of it goes out once the account is connected again.
    async fn a_refused_renewal_is_told_held_and_released(t: TestApp) {
        let s = stand(&t, Life::Rotating, hourly()).await;
        s.guild.state().closed = true;
        let ends = row(&s).await.tokens.expires_at.expect("known");
        let soon = post(&t, &s, "Before its end", ends - 3 * MINUTE).await;
        let late = post(&t, &s, "After its end", ends + 30 * MINUTE).await;
        pass(&t, &s, ends - t.clock.now() - 2 * MINUTE).await;
        assert_eq!(s.guild.state().posts, ["Before its end"]);
        assert_eq!(delivery(&t, &s, &soon).await.state, DeliveryState::Published);
        let told = open(&t, &s, "connection_ends").await;
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("no longer accepts this consent"), "{told:?}");
        assert!(told[0].contains("“After its end”"), "{told:?}");
        assert_eq!(shown(&t, &s).await.state, ConnectionState::Active);

        pass(&t, &s, HOUR).await;
        let view = shown(&t, &s).await;
        assert_eq!((view.state, view.waiting), (ConnectionState::NeedsAction, 1));
        assert_eq!(open(&t, &s, "connection_ends").await, Vec::<String>::new());
        assert_eq!(open(&t, &s, "connection_needs_action").await.len(), 1);
        assert_eq!(delivery(&t, &s, &late).await.state, DeliveryState::Queued);

        s.guild.state().closed = false;
        let credentials = s.guild.hand_out(t.clock.now());
        let change = Change { credentials, ..Change::default() };
        let view = connecting::edit(&s.app, &t.workspace, &s.id, change).await.expect("connected");
        assert_eq!(view.state, ConnectionState::Active);
        pass(&t, &s, 5 * MINUTE).await;
        assert_eq!(s.guild.state().posts.len(), 2);
        assert_eq!(open(&t, &s, "connection_needs_action").await, Vec::<String>::new());
    }

    async fn what_ends_on_a_date_is_told_14_7_and_1_day_before(t: TestApp) {
        let state = State { access_ms: 60 * DAY, refresh_ms: None, ..State::default() };
        let guild = Guild::with_page(Life::Fixed, state);
        let app = guild.install(&t).await;
        let browser = Browser::of_app(&t, app.clone()).await;
        let began = t.clock.now();
        let id = browser.come_back(&browser.begin_ok("guild").await, "good").await.connection();
        let s = Stand { guild, worker: Worker::new(app.clone()), app, id };
        let end = began + 60 * DAY;
        assert_eq!(row(&s).await.tokens.ends_at, Some(end));
        for (i, days) in [59, 61, 62, 63, 64].into_iter().enumerate() {
            post(&t, &s, &format!("Post {i}"), began + days * DAY).await;
        }
        pass(&t, &s, 46 * DAY - HOUR).await;
        assert_eq!(alerts_of(&t).await, 0);
        for (days, times) in [(14, 1), (7, 2), (1, 3)] {
            pass(&t, &s, end - days * DAY - t.clock.now() + HOUR).await;
            let told = open(&t, &s, "connection_ends").await;
            assert_eq!((told.len(), alerts_of(&t).await), (1, times), "{days}");
            let all = &told[0];
            assert!(all.contains("works until 2027-01-22"), "{all}");
            assert!(all.contains("“Post 1” (2027-01-23 08:00), “Post 2”") && all.contains("and 1 more"), "{all}");
            assert!(!all.contains("Post 0"), "that one goes out: {all}");
        }
        pass(&t, &s, end - t.clock.now() - 2 * HOUR).await;
        assert_eq!(alerts_of(&t).await, 3, "three times and no more");
        assert_eq!(s.guild.state().posts, ["Post 0"]);
        pass(&t, &s, 2 * HOUR).await;
        let view = shown(&t, &s).await;
        assert_eq!((view.state, view.waiting), (ConnectionState::NeedsAction, 4));

        browser.sign_in().await;
        let again = browser.reconnect_ok("guild", &s.id).await;
        assert_eq!(browser.come_back(&again, "good").await.connection(), s.id);
        pass(&t, &s, 5 * DAY).await;
        assert_eq!(s.guild.state().posts.len(), 5, "what waited went out");
        assert_eq!(open(&t, &s, "connection_ends").await, Vec::<String>::new());
    }

    /// A year in which nobody does anything: what can be renewed always works, and what renews only
    /// until a date is told of before that.
    async fn a_year_goes_by(t: TestApp) {
        let year = 365 * DAY;
        for (life, access, refresh, fixed, works) in [
            (Life::Rotating, 30 * DAY, Some(60 * DAY), None, true),
            (Life::Extending, 60 * DAY, None, None, true),
            (Life::Rotating, 60 * DAY, None, Some(200 * DAY), false),
        ] {
            let fixed_end = fixed.map(|ms| t.clock.now() + ms);
            let state = State { access_ms: access, refresh_ms: refresh, fixed_end, ..State::default() };
            let before = alerts_of(&t).await;
            let s = stand(&t, life, state).await;
            // Alerts that are over are kept for a while only.
            pass(&t, &s, if works { year } else { 275 * DAY }).await;
            let (view, told) = (shown(&t, &s).await, alerts_of(&t).await - before);
            let state = if works { ConnectionState::Active } else { ConnectionState::NeedsAction };
            assert_eq!(view.state, state, "{life:?}: {view:?}");
            assert_eq!(told, if works { 0 } else { 3 }, "{life:?}");
            assert_eq!(s.guild.state().turned_away, 0, "{life:?}");
            let asked = s.guild.state().asked;
            assert!((5..40).contains(&asked), "{life:?} asked {asked} times");
            connecting::disconnect(&s.app, &t.workspace, &s.id, "operator").await.expect("gone");
        }
    }

    async fn tokens_that_nobody_can_renew_here_are_told_of(t: TestApp) {
        let guild = Guild::new(Life::Rotating, State { closed: true, ..hourly() });
        let app = guild.install(&t).await;
        let credentials = guild.hand_out(t.clock.now());
        let new = New { network: "guild".into(), credentials, ..New::default() };
        let id = connecting::add(&app, &t.workspace, new).await.expect("connected").id;
        let s = Stand { guild, worker: Worker::new(app.clone()), app, id };
        pass(&t, &s, 5 * MINUTE).await;
        let view = shown(&t, &s).await;
        // Its token works still, and nobody knows for how long.
        assert_eq!(view.state, ConnectionState::Active);
        assert!(view.token.problem.is_some_and(|p| p.sentence.contains("connect again")));
        assert_eq!(s.guild.state().asked, 1, "a refusal is not asked for again");
    }
}
