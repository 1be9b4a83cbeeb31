//! Every connection at once: which can post, and what is completed by asking the networks.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use carillon::config::Config;
use carillon::db::Error;
use carillon::publishing::checking::{self, AllChecked, Proof, Which};
use carillon::publishing::connecting::{self, ConnectionState, ConnectionView, New};
use carillon::store::accounts::{self, Workspace};
use carillon::store::connections::{self, Connection};
use carillon::{App, ids, params};
use carillon_networks::http::Reply;
use carillon_networks::spec::{Field, Placement};
use carillon_networks::{
    Class, Context, Error as NetworkError, Identity, Network, Published, Rendition, Secret,
    SendClass, Spec, Target,
};
use carillon_sandbox::{Calls, Fault, Trouble};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::both;
use crate::cli::{beside, fails, said, told};
use crate::support::{START, TestApp};

fn always(t: &TestApp, network: &str, trouble: Trouble) {
    t.sandbox.add_fault(Fault::new(network, Calls::Any, trouble).times(1_000));
}

async fn view(t: &TestApp, id: &str) -> ConnectionView {
    connecting::find(&t.app, &t.workspace, id).await.expect("it is there")
}

async fn row(t: &TestApp, id: &str) -> Connection {
    let id = id.to_owned();
    let found: Result<_, Error> =
        t.app.db.read(move |tx| async move { connections::load(&tx, &id).await }).await;
    found.expect("the database answers").expect("the row")
}

async fn put(t: &TestApp, id: &str, secrets: &str) {
    let (id, secrets, version) =
        (id.to_owned(), secrets.to_owned(), row(t, id).await.tokens.version);
    let done = t
        .app
        .db
        .write(move |tx| async move { connections::renew(&tx, &id, version, &secrets).await });
    assert!(done.await.expect("it is written"));
}

/// As an older version, or a hand, left it.
async fn set(t: &TestApp, id: &str, remote_id: &str, settings: Value) {
    let (id, remote_id, settings) = (id.to_owned(), remote_id.to_owned(), settings.to_string());
    let sql = "UPDATE connection SET remote_id = $1, settings = $2 WHERE id = $3";
    let done = t
        .app
        .db
        .write(move |tx| async move { tx.execute(sql, params![&remote_id, &settings, &id]).await });
    assert_eq!(done.await.expect("it is written"), 1);
}

async fn another_workspace(t: &TestApp) -> String {
    let id = ids::new(START);
    let (timezone, demo_at) = ("UTC".to_owned(), None);
    let w = Workspace { id: id.clone(), name: "The Mill".into(), timezone, demo_at };
    let added =
        t.app.db.write(move |tx| async move { accounts::add_workspace(&tx, &w, START).await });
    added.await.expect("added");
    id
}

async fn connect_in(t: &TestApp, workspace: &str, network: &str, account: &str) -> String {
    let base = format!("{}/{network}", t.sandbox_url);
    let fields = carillon_sandbox::fields(network, account, &base);
    let credentials = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let new = New { network: network.into(), credentials, ..New::default() };
    connecting::add(&t.app, workspace, new).await.expect("connected").id
}

/// The exit code and the answer of a check from the command line.
fn checked(t: &TestApp, args: &[&str]) -> (i32, Value) {
    let out = beside(t, &[&["ops", "check-connections", "--json"], args].concat());
    let found = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)));
    (out.status.code().expect("a code"), found)
}

both! {
    async fn the_exit_code_is_how_many_are_broken(t: TestApp) {
        let mill = another_workspace(&t).await;
        let good = t.connect("bluesky").await;
        let bad = t.connect("mastodon").await;
        let away = t.connect("telegram").await;
        let theirs = connect_in(&t, &mill, "mastodon", "bob").await;
        let (code, found) = checked(&t, &[]);
        assert_eq!((code, found["works"].as_u64(), found["items"].as_array().map(Vec::len)), (0, Some(4), Some(4)), "{found}");

        always(&t, "mastodon", Trouble::Auth);
        always(&t, "telegram", Trouble::ServerError);
        let healthy = view(&t, &away).await;
        let (code, found) = checked(&t, &[]);
        assert_eq!(code, 2, "{found}");
        let of = |id: &str| found["items"].as_array().unwrap().iter().find(|i| i["connectionId"] == id).unwrap().clone();
        // The process reads the machine's clock, the sandbox the test's.
        assert_eq!((of(&good)["proof"].as_str(), of(&good)["step"].as_str()), (Some("works"), Some("clock")));
        let broken = of(&bad);
        assert_eq!((broken["proof"].as_str(), broken["step"].as_str(), broken["action"].as_str()), (Some("broken"), Some("rights"), Some("reconnect")), "{broken}");
        assert_eq!((of(&theirs)["proof"].as_str(), of(&theirs)["workspace"].as_str()), (Some("broken"), Some("The Mill")));
        assert_eq!((of(&away)["proof"].as_str(), of(&away)["step"].as_str()), (Some("unknown"), Some("reach")));
        assert_eq!(view(&t, &away).await, healthy, "an outage changes nothing");
        assert_eq!(view(&t, &bad).await.state, ConnectionState::NeedsAction);
        assert!(!found.to_string().contains("sandbox-"), "no token: {found}");

        assert_eq!(checked(&t, &["--network", "bluesky"]).0, 0);
        assert_eq!(checked(&t, &["--network", "mastodon", "--workspace", &mill]).1["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(checked(&t, &["--workspace", "The Mill", "--parallel", "1"]).0, 1);
        let text = String::from_utf8(beside(&t, &["ops", "check-connections"]).stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("FAIL") && lines[2].starts_with('?') && lines[3].starts_with("ok"), "{text}");
        assert!(text.contains("1 work, 2 broken, 1 not known"), "{text}");
        fails(&t, &["ops", "check-connections", "--network", "myspace"], 1, "There is no network `myspace`.");
        assert_eq!(beside(&t, &["ops", "check-connections", "--parallel", "0"]).status.code(), Some(2));

        // What works again is found to.
        t.sandbox.clear_faults();
        assert_eq!(checked(&t, &[]).0, 0);
        assert_eq!(view(&t, &bad).await.state, ConnectionState::Active);
        for command in ["check-connections", "backfill-connections"] {
            assert!(said(&t, &["ops", command, "--help"]).contains("Examples:"), "{command}");
        }
    }

    /// Secrets that do not open are broken too, and keep nobody else from being asked.
    async fn what_does_not_open_is_broken(t: TestApp) {
        let (bad, good) = (t.connect("mastodon").await, t.connect("telegram").await);
        let id = bad.clone();
        let text = t.app.keys.seal("{}", carillon::domain::sealed::Place::ConnectionSecrets, "another row");
        put(&t, &id, &text).await;
        let found = all(&t.app, 8).await;
        assert_eq!((found.works, found.broken), (1, 1), "{found:?}");
        let broken = found.items.iter().find(|i| i.proof == Proof::Broken).unwrap();
        assert_eq!((&broken.about.connection_id, broken.action.as_deref()), (&bad, Some("ask_operator")));
        assert!(broken.sentence.contains("cannot be opened"), "{broken:?}");
        assert_eq!(view(&t, &good).await.state, ConnectionState::Active);
    }

    async fn what_is_not_known_is_filled_in_once(t: TestApp) {
        let (bluesky, mastodon) = (t.connect("bluesky").await, t.connect("mastodon").await);
        let (telegram, facebook) = (t.connect("telegram").await, t.connect("facebook").await);
        let (did, account) = (row(&t, &bluesky).await, row(&t, &mastodon).await);
        let mut without = did.settings.clone();
        assert!(without.remove("did").is_some());
        set(&t, &bluesky, "", json!(without)).await;
        let mut without = account.settings.clone();
        assert!(without.remove("accountId").is_some());
        set(&t, &mastodon, &account.remote_id, json!(without)).await;
        let before = (row(&t, &bluesky).await.settings, row(&t, &mastodon).await.settings);

        // One refuses, one is away.
        always(&t, "telegram", Trouble::Auth);
        always(&t, "facebook", Trouble::ServerError);
        let states = [view(&t, &telegram).await, view(&t, &facebook).await];
        let dry = told(&t, &["ops", "backfill-connections", "--dry-run"]);
        assert_eq!((dry["dryRun"].as_bool(), dry["filled"].as_array().map(Vec::len)), (Some(true), Some(2)), "{dry}");
        let of = |found: &Value, list: &str, id: &str| found[list].as_array().unwrap().iter().find(|i| i["connectionId"] == id).cloned().unwrap_or_default();
        assert_eq!(of(&dry, "filled", &bluesky)["learnt"]["remoteId"], did.remote_id.as_str());
        assert_eq!(of(&dry, "filled", &bluesky)["learnt"]["did"], did.settings["did"].as_str());
        assert_eq!(of(&dry, "filled", &mastodon)["learnt"], json!({ "accountId": account.settings["accountId"] }));
        assert_eq!(of(&dry, "skipped", &facebook)["reason"], "network_unavailable", "{dry}");
        let refused = of(&dry, "skipped", &telegram);
        assert!(refused["reason"].is_string() && refused["reason"] != "network_unavailable" && refused["sentence"].is_string(), "{refused}");
        assert_eq!((row(&t, &bluesky).await.settings, row(&t, &mastodon).await.settings), before, "a dry run writes nothing");

        let text = said(&t, &["ops", "backfill-connections"]);
        assert!(text.contains("filled in: 2; skipped: 2; complete: 0"), "{text}");
        assert!(text.contains(&format!("accountId={}", account.settings["accountId"])), "{text}");
        let now = row(&t, &bluesky).await;
        assert_eq!((now.settings, now.remote_id), (did.settings, did.remote_id));
        assert_eq!(row(&t, &mastodon).await.settings, account.settings);
        assert_eq!([view(&t, &telegram).await, view(&t, &facebook).await], states, "what was skipped stays");

        t.sandbox.clear_faults();
        let rest = told(&t, &["ops", "backfill-connections"]);
        assert_eq!((&rest["filled"], &rest["skipped"], rest["complete"].as_u64()), (&json!([]), &json!([]), Some(4)), "{rest}");
        let stamp = row(&t, &mastodon).await.checked_at;
        let again = told(&t, &["ops", "backfill-connections", "--network", "mastodon"]);
        assert_eq!((again["complete"].as_u64(), row(&t, &mastodon).await.checked_at), (Some(1), stamp), "nothing is written twice");
    }

    /// Complete again, a connection that needed action works; its deliveries go on.
    async fn what_was_completed_goes_on(t: TestApp) {
        let id = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Doors at seven", &[&id])).await;
        always(&t, "mastodon", Trouble::Auth);
        connecting::check(&t.app, &t.workspace, &id).await.expect("checked");
        t.sandbox.clear_faults();
        assert_eq!(view(&t, &id).await.state, ConnectionState::NeedsAction);
        let dry = checking::backfill(&t.app, &Which::default(), true, 8, |_, _| ()).await.expect("asked");
        assert_eq!(dry.complete, 1);
        assert_eq!(view(&t, &id).await.state, ConnectionState::NeedsAction);
        checking::backfill(&t.app, &Which::default(), false, 8, |_, _| ()).await.expect("done");
        assert_eq!(view(&t, &id).await.state, ConnectionState::Active);
        t.pass(std::time::Duration::from_secs(1_200)).await;
        assert_eq!(t.post(&post.id).await.state.as_str(), "published");
    }

    /// An account that was connected twice by hand: the second keeps being nobody.
    async fn no_account_is_filled_in_twice(t: TestApp) {
        let first = t.connect("mastodon").await;
        let second = t.connect_as("mastodon", "bob").await;
        let stolen = row(&t, &first).await;
        let account = carillon::publishing::account::open(&t.app, &stolen).expect("opens");
        let sealed = carillon::publishing::account::seal(&t.app, &account, &second);
        let id = second.clone();
        put(&t, &id, &sealed).await;
        let known = row(&t, &second).await;
        let done = told(&t, &["ops", "backfill-connections"]);
        assert_eq!(done["skipped"][0]["reason"], "other_account", "{done}");
        set(&t, &second, "", json!(known.settings)).await;
        let done = told(&t, &["ops", "backfill-connections"]);
        assert_eq!(done["skipped"][0]["reason"], "already_connected", "{done}");
        assert_eq!(row(&t, &second).await.remote_id, "");
    }
}

async fn all(app: &App, at_once: usize) -> AllChecked {
    checking::check(app, &Which::default(), at_once, |_, _| ()).await.expect("they are asked")
}

// A network of the test's own: it counts who asks at once, and offers pages to choose from.

struct Guild {
    asking: AtomicUsize,
    most: AtomicUsize,
    /// Callers wait until the test lets them go on.
    gate: Semaphore,
    pages: Mutex<Result<Vec<Target>, NetworkError>>,
}

static PLACEMENTS: [Placement; 1] = [Placement::bare(SendClass::Blind)];
static FIELDS: [Field; 2] = [
    Field { key: "token", label: "Token", help: "Yours.", secret: true, required: true },
    Field { key: "pageId", label: "Page", help: "Its number.", secret: false, required: true },
];
static SPEC: Spec = {
    let mut spec = Spec::bare("guild", &PLACEMENTS);
    spec.fields = &FIELDS;
    spec
};

#[async_trait]
impl Network for Guild {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }
    async fn check(&self, cx: &Context<'_>) -> Result<Identity, NetworkError> {
        let now = self.asking.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let turn = self.gate.acquire().await.expect("the gate stays");
        turn.forget();
        self.asking.fetch_sub(1, Ordering::SeqCst);
        let page = cx.account.setting("pageId")?.to_owned();
        Ok(Identity { name: format!("Page {page}"), remote_id: page, ..Identity::default() })
    }
    async fn targets(&self, _: &Context<'_>) -> Result<Vec<Target>, NetworkError> {
        self.pages.lock().unwrap().clone()
    }
    async fn publish(&self, _: &Context<'_>, _: &Rendition) -> Result<Published, NetworkError> {
        Err(NetworkError::new(Class::Content, "The guild takes no posts."))
    }
    fn parse_error(&self, _: &Reply) -> NetworkError {
        NetworkError::new(Class::Unknown, "The guild sends no replies.")
    }
}

fn page(id: &str, problem: Option<&str>) -> Target {
    Target {
        id: id.into(),
        name: format!("Page {id}"),
        problem: problem.map(str::to_owned),
        settings: [("pageId".to_owned(), id.to_owned())].into(),
        secrets: [("token".to_owned(), Secret::new(format!("token of page {id}")))].into(),
    }
}

async fn at_the_guild(t: &mut TestApp) -> &'static Guild {
    let guild: &'static Guild = Box::leak(Box::new(Guild {
        asking: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        gate: Semaphore::new(1_000_000),
        pages: Mutex::new(Ok(Vec::new())),
    }));
    let networks: &'static [&'static dyn Network] = Box::leak(Box::new([guild as &dyn Network]));
    t.settings.insert("CARILLON_ALLOW_HOSTS".into(), "bare.invalid".into());
    t.settings.remove("CARILLON_SANDBOX");
    let config = Config::read(|name| t.settings.get(name).cloned()).expect("settings");
    t.app = App::open_with(config, t.clock.clone(), networks).await.expect("it opens");
    guild
}

async fn member(t: &TestApp, page: &str) -> String {
    let new = New {
        network: "guild".into(),
        settings: [("pageId".to_owned(), page.to_owned())].into(),
        credentials: [("token".to_owned(), "user token".to_owned())].into(),
        ..New::default()
    };
    connecting::add(&t.app, &t.workspace, new).await.expect("connected").id
}

both! {
    async fn so_many_are_asked_at_once_and_no_more(t: TestApp) {
        let mut t = t;
        let guild = at_the_guild(&mut t).await;
        for n in 0..12 {
            member(&t, &n.to_string()).await;
        }
        for (at_once, most) in [(3, 3), (1, 1), (50, 12)] {
            guild.gate.forget_permits(usize::MAX);
            guild.most.store(0, Ordering::SeqCst);
            let app = t.app.clone();
            let asking = tokio::spawn(async move { all(&app, at_once).await });
            // Nobody is let go on before as many wait as may.
            while guild.asking.load(Ordering::SeqCst) < most {
                tokio::task::yield_now().await;
            }
            guild.gate.add_permits(12);
            let found = asking.await.expect("it ends");
            assert_eq!((found.works, guild.most.load(Ordering::SeqCst)), (12, most));
            let names: Vec<&str> = found.items.iter().map(|i| i.about.name.as_str()).collect();
            assert_eq!(names[..3], ["Page 0", "Page 1", "Page 2"], "in the order of the connections");
        }
    }

    /// A page that was never chosen is filled in where there is no doubt which.
    async fn a_page_is_filled_in_where_there_is_one(t: TestApp) {
        let mut t = t;
        let guild = at_the_guild(&mut t).await;
        let id = member(&t, "7").await;
        let fill = async || {
            let done = checking::backfill(&t.app, &Which::default(), false, 8, |_, _| ()).await.expect("asked");
            let reason = done.skipped.first().map(|s| (s.reason.clone(), s.sentence.clone()));
            (done.filled.first().map(|f| f.learnt.clone()).unwrap_or_default(), reason)
        };
        let offer = |pages| *guild.pages.lock().unwrap() = pages;
        let nothing = BTreeMap::new;

        // Of a connection whose page is known and whose number got lost, it is that page.
        set(&t, &id, "7", json!({})).await;
        offer(Ok(vec![page("1", None), page("7", None)]));
        assert_eq!(fill().await, ([("pageId".to_owned(), "7".to_owned())].into(), None));
        let kept = row(&t, &id).await;
        let open = carillon::publishing::account::open(&t.app, &kept).expect("opens").secrets.into_inner().unwrap();
        assert_eq!(open["token"].reveal(), "token of page 7", "the page's own token is kept");

        set(&t, &id, "", json!({})).await;
        let which = |(learnt, why): (BTreeMap<String, String>, Option<(String, String)>)| {
            assert_eq!(learnt, nothing());
            why.expect("a reason")
        };
        let (reason, sentence) = which(fill().await);
        assert_eq!(reason, "which_target");
        assert!(sentence.contains("Page 1, Page 7"), "{sentence}");
        offer(Ok(vec![page("1", Some("It is not verified.")), page("7", Some("It is closed."))]));
        let (reason, sentence) = which(fill().await);
        assert_eq!((&reason[..], &sentence[..]), ("no_target", "Page 1: It is not verified. Page 7: It is closed."));
        offer(Ok(Vec::new()));
        assert_eq!(which(fill().await).0, "missing_field", "the check says what is missing");
        offer(Err(NetworkError::new(Class::Transient, "The guild is closed.")));
        assert_eq!(which(fill().await).0, "network_unavailable");
        offer(Err(NetworkError::new(Class::Auth, "The token is unknown.").code("190")));
        assert_eq!(which(fill().await).0, "190");
        assert_eq!(row(&t, &id).await.remote_id, "");

        offer(Ok(vec![page("1", Some("It is not verified.")), page("9", None)]));
        let learnt = [("pageId", "9"), ("remoteId", "9")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(fill().await, (learnt.into(), None));
        assert_eq!(fill().await, (nothing(), None), "once");
    }
}
