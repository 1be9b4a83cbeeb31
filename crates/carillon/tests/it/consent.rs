//! Connecting through consent pages: the way there and back, by HTTP, as a browser takes it.

use std::sync::Mutex;

use carillon::App;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState;
use carillon::identity::door;
use carillon::ids;
use carillon::publishing::connecting::{self, ConnectionState};
use carillon::publishing::{account, apps};
use carillon::store::accounts::{self, Account};
use carillon::store::connections;
use carillon_networks::oauth::{Life, Target};
use carillon_sandbox::{Calls, Trouble};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use url::Url;

use crate::both;
use crate::support::guild::{Guild, SCOPES, State};
use crate::support::{On, TestApp};

/// A person who is signed in, with a browser that follows nothing by itself.
pub(crate) struct Browser {
    app: App,
    url: String,
    workspace: String,
    account: String,
    cookie: Mutex<String>,
    client: reqwest::Client,
}

/// What a consent came to.
pub(crate) struct Came {
    status: StatusCode,
    pub(crate) view: Value,
}

impl Came {
    pub(crate) fn connection(&self) -> String {
        assert_eq!(self.view["state"], "connected", "{}", self.view);
        self.view["connectionId"].as_str().expect("an id").to_owned()
    }

    fn code(&self) -> &str {
        assert_eq!(self.view["state"], "failed", "{}", self.view);
        self.view["problem"]["code"].as_str().unwrap_or_default()
    }

    fn says(&self) -> &str {
        self.view["problem"]["sentence"].as_str().unwrap_or_default()
    }
}

impl Browser {
    pub(crate) async fn of(t: &TestApp) -> Self {
        Self::of_app(t, t.app.clone()).await
    }

    pub(crate) async fn of_app(t: &TestApp, app: App) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let _ = app.url.set(url);
        let served = carillon::web::serve::serve(app.clone(), listener, std::future::pending());
        tokio::spawn(served);
        Self::of_another(&app, &t.workspace).await
    }

    /// Another person of a workspace.
    async fn of_another(app: &App, workspace: &str) -> Self {
        let now = app.clock.now();
        let (ws, account) = (workspace.to_owned(), ids::new(now));
        let person = Account {
            email: format!("{account}@anchor.example"),
            name: "Ada".into(),
            password_hash: None,
            id: account.clone(),
        };
        let added = app.db.write(move |tx| async move {
            accounts::add_account(&tx, &person, &ws, "owner", now).await
        });
        added.await.expect("a person");
        let none = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(none).build().expect("a client");
        let (url, app, cookie) = (app.public_url(), app.clone(), Mutex::default());
        let browser = Self { app, url, workspace: workspace.to_owned(), account, cookie, client };
        browser.sign_in().await;
        browser
    }

    /// Sessions last a month.
    pub(crate) async fn sign_in(&self) {
        let (ws, account, now) =
            (self.workspace.clone(), self.account.clone(), self.app.clock.now());
        let session = self
            .app
            .db
            .write(move |tx| async move { door::open_session(&tx, &account, &ws, now).await });
        let session: Result<String, Error> = session.await;
        let cookie = format!("carillon_session={}", session.expect("a session"));
        *self.cookie.lock().unwrap() = cookie;
    }

    fn cookie(&self) -> String {
        self.cookie.lock().unwrap().clone()
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .header("cookie", self.cookie())
            .header("sec-fetch-site", "same-origin");
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn begin(&self, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, "/api/v1/connections/consent", Some(body)).await
    }

    /// The address of the consent page.
    pub(crate) async fn begin_ok(&self, network: &str) -> Url {
        self.page_of(json!({ "network": network })).await
    }

    pub(crate) async fn reconnect_ok(&self, network: &str, id: &str) -> Url {
        self.page_of(json!({ "network": network, "reconnect": id })).await
    }

    async fn page_of(&self, body: Value) -> Url {
        let (status, begun) = self.begin(body).await;
        assert_eq!(status, StatusCode::CREATED, "{begun}");
        begun["url"].as_str().expect("an address").parse().expect("an address")
    }

    /// Opens the page and presses a button of it; where that leads.
    async fn press(&self, page: &Url, button: &str, untick: &[&str]) -> Url {
        let shown = self.client.get(page.clone()).send().await.expect("a page");
        assert_eq!(shown.status(), StatusCode::OK, "{page}");
        let html = shown.text().await.expect("a page");
        let mut form = inputs(&html);
        form.retain(|(name, value)| name != "grant" || !untick.contains(&value.as_str()));
        form.push((button.to_owned(), "1".to_owned()));
        let sent = self.client.post(page.clone()).form(&form).send().await.expect("an answer");
        assert_eq!(sent.status(), StatusCode::SEE_OTHER);
        let to = sent.headers()[header::LOCATION].to_str().expect("an address").to_owned();
        assert!(to.starts_with(&format!("{}/oauth/callback?", self.url)), "{to}");
        to.parse().expect("an address")
    }

    /// Goes where a page led back to.
    async fn follow(&self, way: &Url) -> Came {
        let request = self.client.get(way.clone()).header("cookie", self.cookie());
        let answer = request.header("accept", "text/html").send().await.expect("an answer");
        let status = answer.status();
        let Some(to) = answer.headers().get(header::LOCATION) else {
            return Came { status, view: Value::Null };
        };
        let to = to.to_str().expect("an address").to_owned();
        let id = to.strip_prefix("/connections?consent=").and_then(|id| id.strip_suffix('#'));
        let id = id.unwrap_or_else(|| panic!("{to}"));
        let (found, view) = self.call(Method::GET, &format!("/api/v1/consents/{id}"), None).await;
        assert_eq!(found, StatusCode::OK, "{view}");
        Came { status, view }
    }

    /// Connects `alice` through the sandbox's page: what it asks for beside is entered as somebody
    /// would who knows it.
    pub(crate) async fn connect(&self, t: &TestApp, network: &str, again: Option<&str>) -> String {
        let page = match again {
            Some(id) => self.reconnect_ok(network, id).await,
            None => self.begin_ok(network).await,
        };
        assert!(!page.as_str().contains("verifier"), "{page}");
        let came = self.allow(&page).await;
        assert_eq!(came.status, StatusCode::SEE_OTHER, "{network}");
        if came.view["state"] != "choice" {
            return came.connection();
        }
        let base = format!("{}/{network}", t.sandbox_url);
        let by_hand = carillon_sandbox::fields(network, "alice", &base);
        let asked = came.view["missing"].as_array().expect("a list").iter();
        let settings: serde_json::Map<String, Value> = asked
            .filter_map(|key| by_hand.iter().find(|(k, _)| key == k))
            .map(|(k, v)| ((*k).to_owned(), json!(v)))
            .collect();
        let choice = json!({ "target": came.view["preselected"], "settings": settings });
        let (status, made) = self.choose(&came, choice).await;
        assert_eq!(status, StatusCode::CREATED, "{network}: {made} {}", came.view);
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn allow(&self, page: &Url) -> Came {
        let way = self.press(page, "allow", &[]).await;
        self.follow(&way).await
    }

    /// As from a page that nobody serves: back with this code.
    pub(crate) async fn come_back(&self, page: &Url, code: &str) -> Came {
        self.follow(&self.way(page, &[("code", code)])).await
    }

    fn way(&self, page: &Url, with: &[(&str, &str)]) -> Url {
        let asked = |key: &str| {
            let found = page.query_pairs().find(|(k, _)| k == key);
            found.unwrap_or_else(|| panic!("{page} has no {key}")).1.into_owned()
        };
        let mut way: Url = asked("redirect_uri").parse().expect("an address");
        way.query_pairs_mut().append_pair("state", &asked("state")).extend_pairs(with);
        way
    }

    async fn choose(&self, came: &Came, body: Value) -> (StatusCode, Value) {
        let id = came.view["id"].as_str().expect("an id");
        self.call(Method::POST, &format!("/api/v1/consents/{id}"), Some(body)).await
    }
}

/// What a form sends as it stands: its fields with their values, boxes where they are ticked.
fn inputs(html: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for tag in html.split("<input").skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let of = |name: &str| {
            let value = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
            Some(value.replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&"))
        };
        let ticked = of("type").as_deref() != Some("checkbox") || tag.contains("checked");
        if let (Some(name), true) = (of("name"), ticked) {
            found.push((name, of("value").unwrap_or_default()));
        }
    }
    found
}

fn target(id: &str, problem: Option<&str>) -> Target {
    Target {
        id: id.into(),
        name: format!("The {id}"),
        problem: problem.map(str::to_owned),
        settings: [("hall".to_owned(), id.to_owned())].into(),
        secrets: Default::default(),
    }
}

fn lasting() -> State {
    State { access_ms: 3_600_000, refresh_ms: Some(90 * 86_400_000), ..State::default() }
}

async fn halls(t: &TestApp, targets: Vec<Target>) -> (&'static Guild, Browser) {
    let guild = Guild::with_page(Life::Rotating, State { targets, ..lasting() });
    let app = guild.install(t).await;
    (guild, Browser::of_app(t, app).await)
}

both! {
    /// Every network with a consent page, through the sandbox's own.
    async fn every_network_with_a_page_is_connected_through_it(t: TestApp) {
        let browser = Browser::of(&t).await;
        let with_page = carillon_networks::ALL.iter().map(|n| n.spec()).filter(|s| s.oauth.is_some());
        let mut seen = 0;
        for spec in with_page {
            let name = spec.id;
            let id = browser.connect(&t, name, None).await;
            let view = connecting::find(&t.app, &t.workspace, &id).await.expect("connected");
            assert_eq!(view.state, ConnectionState::Active, "{name}");
            let checked = connecting::check(&t.app, &t.workspace, &id).await.expect("checked");
            assert!(checked.ok, "{name}: {:?}", checked.checks);
            let shown = serde_json::to_string(&view).expect("JSON");
            assert!(!shown.contains("sandbox-app"), "{name}: {shown}");
            let row = t.app.db.read(move |tx| async move { connections::load(&tx, &id).await });
            let row: Result<_, Error> = row.await;
            let held = account::open(&t.app, &row.expect("read").expect("there")).expect("opens");
            assert!(held.secret("accessToken").is_ok() && held.secret("clientSecret").is_err(), "{name}");
            assert!(!held.settings.contains_key("clientId"), "{name}");
            seen += 1;
        }
        assert!(seen > 0);
    }

    async fn what_was_connected_posts_and_is_given_back(t: TestApp) {
        let browser = Browser::of(&t).await;
        let id = browser.allow(&browser.begin_ok("mastodon").await).await.connection();
        let post = t.schedule(t.draft("Doors at seven", &[&id])).await;
        t.pass(std::time::Duration::from_secs(700)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        assert_eq!(t.post(&post.id).await.deliveries[0].state, DeliveryState::Published);
        connecting::disconnect(&t.app, &t.workspace, &id, "operator").await.expect("gone");
        let asked = t.sandbox.requests("mastodon");
        let last = asked.last().expect("a request");
        assert_eq!((last.path.as_str(), last.status), ("/mastodon/oauth/revoke", Some(200)));
    }

    async fn a_state_works_once(t: TestApp) {
        let browser = Browser::of(&t).await;
        let way = browser.press(&browser.begin_ok("mastodon").await, "allow", &[]).await;
        browser.follow(&way).await.connection();
        let again = browser.follow(&way).await;
        assert_eq!((again.status, again.view), (StatusCode::UNPROCESSABLE_ENTITY, Value::Null));
        let mut other = way.clone();
        other.set_query(Some("state=st_invented&code=good"));
        assert_eq!(browser.follow(&other).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let all = connecting::list(&t.app, &t.workspace).await.expect("a list");
        assert_eq!(all.len(), 1);
    }

    async fn a_state_ends_after_ten_minutes(t: TestApp) {
        let browser = Browser::of(&t).await;
        let way = browser.press(&browser.begin_ok("mastodon").await, "allow", &[]).await;
        t.clock.advance(std::time::Duration::from_secs(600));
        assert_eq!(browser.follow(&way).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(connecting::list(&t.app, &t.workspace).await.expect("a list").is_empty());
        let traded = t.sandbox.requests("mastodon").iter().any(|r| r.path.ends_with("/token"));
        assert!(!traded, "nothing was asked with it");
    }

    /// Whoever is led to a way back that somebody else opened would connect that one's account.
    async fn a_state_is_one_persons(t: TestApp) {
        let browser = Browser::of(&t).await;
        let stranger = Browser::of_another(&t.app, &t.workspace).await;
        let way = browser.press(&browser.begin_ok("mastodon").await, "allow", &[]).await;
        assert_eq!(stranger.follow(&way).await.status, StatusCode::FORBIDDEN);
        assert_eq!(browser.follow(&way).await.status, StatusCode::UNPROCESSABLE_ENTITY, "used up");
        assert!(connecting::list(&t.app, &t.workspace).await.expect("a list").is_empty());

        let (_, begun) = browser.begin(json!({ "network": "mastodon" })).await;
        let path = format!("/api/v1/consents/{}", begun["id"].as_str().expect("an id"));
        assert_eq!(stranger.call(Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
        let (status, _) = stranger.call(Method::POST, &path, Some(json!({}))).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    /// The database gives nobody who reads it a way in.
    async fn neither_state_nor_verifier_nor_token_is_kept_readable(t: TestApp) {
        let (guild, browser) = halls(&t, vec![target("hall", None), target("court", None)]).await;
        let page = browser.begin_ok("guild").await;
        let state = page.query_pairs().find(|(k, _)| k == "state").expect("a state").1.into_owned();
        assert!(state.len() > 40);
        let all = async || {
            let rows = browser.app.db.read(|tx| async move {
                tx.rows("SELECT state_hash, sealed FROM consent", &[]).await?.iter()
                    .map(|r| Ok::<_, Error>(format!("{} {}", r.text("state_hash")?, r.text("sealed")?)))
                    .collect::<Result<Vec<_>, _>>()
            });
            rows.await.expect("the rows").join("\n")
        };
        assert!(!all().await.contains(&state) && !all().await.contains("pk_"));
        browser.come_back(&page, "good").await;
        let access = guild.state().access.clone();
        assert!(!access.is_empty() && !all().await.contains(&access));
    }

    async fn a_no_is_told_as_one(t: TestApp) {
        let browser = Browser::of(&t).await;
        let way = browser.press(&browser.begin_ok("mastodon").await, "deny", &[]).await;
        let came = browser.follow(&way).await;
        assert_eq!(came.code(), "access_denied");
        assert!(came.says().contains("somebody said no"), "{}", came.says());
        let page = browser.begin_ok("mastodon").await;
        let came = browser.follow(&browser.way(&page, &[("error", "invalid_scope")])).await;
        assert_eq!(came.view["problem"]["action"], "ask_operator");
        assert!(connecting::list(&t.app, &t.workspace).await.expect("a list").is_empty());
    }

    async fn what_was_unticked_is_named(t: TestApp) {
        let browser = Browser::of(&t).await;
        let page = browser.begin_ok("mastodon").await;
        let way = browser.press(&page, "allow", &["write:media", "write:statuses"]).await;
        let came = browser.follow(&way).await;
        assert_eq!(came.code(), "missing_scope");
        assert!(came.says().contains("`write:media` and `write:statuses`"), "{}", came.says());
        assert!(connecting::list(&t.app, &t.workspace).await.expect("a list").is_empty());
    }

    async fn a_network_that_fails_on_the_way_back_is_told(t: TestApp) {
        let browser = Browser::of(&t).await;
        for trouble in [Trouble::ServerError, Trouble::ResetAfterAccept, Trouble::Garbage] {
            let way = browser.press(&browser.begin_ok("mastodon").await, "allow", &[]).await;
            t.fault("mastodon", Calls::Prepare, trouble);
            let came = browser.follow(&way).await;
            assert_eq!(came.view["problem"]["action"], "reconnect", "{trouble:?}: {}", came.view);
        }
        assert!(connecting::list(&t.app, &t.workspace).await.expect("a list").is_empty());
        browser.allow(&browser.begin_ok("mastodon").await).await.connection();
    }

    async fn signed_out_meanwhile_the_answer_waits_for_the_sign_in(t: TestApp) {
        let browser = Browser::of(&t).await;
        let way = browser.press(&browser.begin_ok("mastodon").await, "allow", &[]).await;
        let answer = browser.client.get(way.clone()).header("accept", "text/html").send().await;
        let answer = answer.expect("an answer");
        let to = answer.headers()[header::LOCATION].to_str().expect("an address");
        assert!(to.starts_with("/login?next=%2Foauth%2Fcallback%3F"), "{to}");
        // A mail scanner's look uses nothing up.
        browser.client.head(way.clone()).header("cookie", browser.cookie()).send().await.expect("");
        browser.follow(&way).await.connection();
    }

    async fn reconnecting_fills_the_connection_and_lets_go_what_waited(t: TestApp) {
        let browser = Browser::of(&t).await;
        let id = t.connect("mastodon").await;
        t.sandbox.add_fault(carillon_sandbox::Fault::new("mastodon", Calls::Read, Trouble::Auth));
        assert!(!connecting::check(&t.app, &t.workspace, &id).await.expect("checked").ok);
        let post = t.schedule(t.draft("Quiz night", &[&id])).await;
        t.pass(std::time::Duration::from_secs(700)).await;
        assert!(t.visible("mastodon").is_empty(), "it waits");
        let page = browser.reconnect_ok("mastodon", &id).await;
        assert_eq!(browser.allow(&page).await.connection(), id);
        t.pass(std::time::Duration::from_secs(60)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        assert_eq!(t.post(&post.id).await.deliveries[0].state, DeliveryState::Published);
        let all = connecting::list(&t.app, &t.workspace).await.expect("a list");
        assert_eq!((all.len(), all[0].name.as_str()), (1, "alice at mastodon"), "its name stays");
    }

    async fn reconnecting_as_somebody_else_changes_nothing(t: TestApp) {
        let browser = Browser::of(&t).await;
        let id = t.connect_as("mastodon", "bob").await;
        let came = browser.allow(&browser.reconnect_ok("mastodon", &id).await).await;
        assert_eq!(came.code(), "other_account");
        assert!(came.says().contains("not to bob"), "{}", came.says());
        let view = connecting::find(&t.app, &t.workspace, &id).await.expect("there");
        assert_eq!((view.state, view.name.as_str()), (ConnectionState::Active, "bob at mastodon"));
        let (status, said) = browser.begin(json!({ "network": "facebook", "reconnect": id })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
    }

    async fn of_several_targets_a_person_chooses(t: TestApp) {
        let targets = vec![
            target("attic", Some("You may not post there.")),
            target("hall", None),
            target("court", None),
        ];
        let (_, browser) = halls(&t, targets).await;
        let came = browser.come_back(&browser.begin_ok("guild").await, "good").await;
        assert_eq!((&came.view["state"], &came.view["preselected"]), (&json!("choice"), &json!("hall")));
        assert_eq!(came.view["targets"].as_array().map(Vec::len), Some(3));
        assert_eq!(came.view["targets"][0]["problem"], "You may not post there.");
        for (body, field) in [
            (json!({}), "target"),
            (json!({ "target": "attic" }), "target"),
            (json!({ "target": "cellar" }), "target"),
        ] {
            let (status, said) = browser.choose(&came, body).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
            assert_eq!(said["details"]["problems"][0]["field"], field);
        }
        let (status, made) = browser.choose(&came, json!({ "target": "court" })).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        assert_eq!((&made["remoteId"], &made["settings"]["hall"]), (&json!("court"), &json!("court")));
        let (status, _) = browser.choose(&came, json!({ "target": "hall" })).await;
        assert_eq!(status, StatusCode::CONFLICT, "decided once");

        // The one that is connected comes first, wherever it stands in the list.
        let id = made["id"].as_str().expect("an id");
        let again = browser.come_back(&browser.reconnect_ok("guild", id).await, "good").await;
        assert_eq!(again.connection(), id);
        let all = connecting::list(&browser.app, &t.workspace).await.expect("a list");
        assert_eq!(all.len(), 1);
    }

    async fn one_target_needs_no_choice_and_a_lost_one_does(t: TestApp) {
        let (guild, browser) = halls(&t, vec![target("hall", None)]).await;
        let id = browser.come_back(&browser.begin_ok("guild").await, "good").await.connection();
        guild.state().targets = vec![target("court", None)];
        let page = browser.reconnect_ok("guild", &id).await;
        let came = browser.come_back(&page, "good").await;
        assert_eq!(came.view["state"], "choice", "it would post elsewhere: {}", came.view);
        assert_eq!(came.view["preselected"], "court");
        guild.state().targets = vec![target("hall", Some("You may no longer post there."))];
        let came = browser.come_back(&browser.reconnect_ok("guild", &id).await, "good").await;
        assert_eq!(came.code(), "nothing_eligible");
        assert!(came.says().contains("The hall: You may no longer post there."), "{}", came.says());
        // The choice that was not made ends by itself.
        let came = browser.come_back(&browser.begin_ok("guild").await, "good").await;
        assert_eq!(came.code(), "nothing_eligible");
    }

    async fn a_choice_does_not_wait_for_ever(t: TestApp) {
        let (_, browser) = halls(&t, vec![target("hall", None), target("court", None)]).await;
        let came = browser.come_back(&browser.begin_ok("guild").await, "good").await;
        assert_eq!(came.view["state"], "choice");
        t.clock.advance(std::time::Duration::from_secs(1800));
        let (status, _) = browser.choose(&came, json!({ "target": "hall" })).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let path = format!("/api/v1/consents/{}", came.view["id"].as_str().expect("an id"));
        assert_eq!(browser.call(Method::GET, &path, None).await.1["state"], "failed");
    }

    async fn what_is_granted_is_read_off_the_tokens(t: TestApp) {
        let (guild, browser) = halls(&t, vec![]).await;
        guild.state().scopes = Some(vec!["read".into()]);
        let came = browser.come_back(&browser.begin_ok("guild").await, "good").await;
        assert_eq!(came.code(), "missing_scope");
        assert!(came.says().contains("`write`") && !came.says().contains("`read`"));
        guild.state().scopes = Some(SCOPES.iter().map(|s| (*s).to_owned()).collect());
        let id = browser.come_back(&browser.begin_ok("guild").await, "good").await.connection();
        let shown = connecting::find(&t.app, &t.workspace, &id).await.expect("the connection");
        let granted: Vec<String> = SCOPES.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(shown.token.scopes, Some(granted));
        let came = browser.come_back(&browser.begin_ok("guild").await, "bad").await;
        assert!(came.says().contains("does not know this code"), "{}", came.view);
    }

    async fn without_an_app_there_is_no_page_and_a_program_has_none(t: TestApp) {
        let browser = Browser::of(&t).await;
        let (status, said) = browser.begin(json!({ "network": "telegram" })).await;
        assert_eq!((status, &said["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("no_consent_page")));
        let api = crate::api::Api::of(&t).await;
        let begin = Some(json!({ "network": "mastodon" }));
        let (status, said) = api.call(Method::POST, "/api/v1/connections/consent", begin).await;
        assert_eq!((status, &said["code"]), (StatusCode::FORBIDDEN, &json!("session_required")));
        for server in ["http://10.0.0.1", "ftp://mastodon.example", "http://169.254.169.254"] {
            let (status, _) = browser.begin(json!({ "network": "mastodon", "server": server })).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{server}");
        }
        assert!(t.sandbox.requests("mastodon").is_empty());
    }

    async fn apps_are_set_for_all_by_whoever_runs_the_installation(t: TestApp) {
        let (_, browser) = halls(&t, vec![]).await;
        let (_, listed) = browser.call(Method::GET, "/api/v1/apps", None).await;
        let guild = &listed["items"][0];
        assert_eq!((&guild["network"], &guild["ready"]), (&json!("guild"), &json!(true)));
        assert_eq!((&guild["apps"][0]["origin"], &listed["editable"]), (&json!("sandbox"), &json!(true)));
        assert_eq!(guild["redirectUri"], apps::redirect_uri(&browser.app));
        assert_eq!(guild["guide"][0], "Ask the guild.");

        let new = json!({ "network": "guild", "clientId": "app-1", "clientSecret": "s3cret-of-the-app" });
        let (status, set) = browser.call(Method::POST, "/api/v1/apps", Some(new.clone())).await;
        assert_eq!(status, StatusCode::OK, "{set}");
        assert_eq!((&set["apps"][0]["clientId"], &set["apps"][0]["origin"]), (&json!("app-1"), &json!("entered")));
        assert!(!set.to_string().contains("s3cret"), "never shown again");
        let page = browser.begin_ok("guild").await;
        assert!(page.query_pairs().any(|(k, v)| k == "client_id" && v == "app-1"), "{page}");
        let kept = browser.app.db.read(|tx| async move { carillon::store::apps::list(&tx).await });
        assert!(!kept.await.expect("the apps")[0].secret.contains("s3cret"), "sealed");

        let key = t.stranger().await;
        let client = reqwest::Client::new();
        let theirs = client.post(format!("{}/api/v1/apps", browser.url)).bearer_auth(&key);
        let theirs = theirs.header("content-type", "application/json").body(new.to_string());
        assert_eq!(theirs.send().await.expect("an answer").status(), StatusCode::FORBIDDEN);

        for (body, field) in [
            (json!({ "network": "guild", "clientId": " ", "clientSecret": "x" }), "clientId"),
            (json!({ "network": "guild", "clientId": "a", "clientSecret": "x y" }), "clientSecret"),
            (json!({ "network": "guild", "clientId": "a", "clientSecret": "x", "server": "https://a.example" }), "server"),
            (json!({ "network": "myspace", "clientId": "a", "clientSecret": "x" }), "network"),
        ] {
            let (status, said) = browser.call(Method::POST, "/api/v1/apps", Some(body)).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
            assert_eq!(said["details"]["problems"][0]["field"], field);
        }
        let (status, gone) = browser.call(Method::DELETE, "/api/v1/apps/guild", None).await;
        assert_eq!((status, &gone["apps"][0]["origin"]), (StatusCode::OK, &json!("sandbox")));
        let (status, _) = browser.call(Method::DELETE, "/api/v1/apps/guild", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}

/// A server that nobody made an app at is asked for one, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_its_own_registers_the_app_by_itself() {
    let t = TestApp::with(On::Sqlite, &[("CARILLON_ALLOW_HOSTS", "localhost")]).await;
    let browser = Browser::of(&t).await;
    // The sandbox under another name is another server.
    let server = format!("{}/mastodon", t.sandbox_url.replace("127.0.0.1", "localhost"));
    let registered = || {
        let asked = t.sandbox.requests("mastodon");
        asked.iter().filter(|r| r.path.ends_with("/api/v1/apps")).count()
    };
    for _ in 0..2 {
        let page = browser.page_of(json!({ "network": "mastodon", "server": server })).await;
        assert!(page.as_str().starts_with("http://localhost"), "{page}");
        browser.allow(&page).await.connection();
    }
    assert_eq!(registered(), 1);
    let (_, listed) = browser.call(Method::GET, "/api/v1/apps", None).await;
    let mastodon =
        listed["items"].as_array().expect("a list").iter().find(|a| a["network"] == "mastodon");
    let origins: Vec<_> = mastodon.expect("listed")["apps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|a| a["origin"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(origins, ["registered", "sandbox"]);
}
