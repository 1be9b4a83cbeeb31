//! Diagnostics and disconnecting: who sees what of a stored connection, and what is left of it.

use std::sync::Mutex;

use async_trait::async_trait;
use carillon::App;
use carillon::config::Config;
use carillon::domain::delivery::DeliveryState;
use carillon::domain::refusal::Kind;
use carillon::domain::sealed::Place;
use carillon::identity::door;
use carillon::ids;
use carillon::publishing::connecting::{self, Disconnected, New, Revocation};
use carillon::publishing::diagnosing;
use carillon::store::accounts::{self, Account};
use carillon::store::connections;
use carillon_networks::http::Reply;
use carillon_networks::{
    Class, Context, Error as NetworkError, Identity, Network, Published, Rendition, Spec,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::Api;
use crate::both;
use crate::cli::{beside, fails, said, told};
use crate::support::{START, TestApp};

const ON: (&str, &str) = ("ENABLE_CONNECTION_DIAGNOSTICS", "true");
/// Long enough for its ends to be shown.
const LONG: &str = "alice-of-the-harbour-street-bakery";

async fn set_secrets(t: &TestApp, id: &str, text: &str) {
    let (id, text) = (id.to_owned(), text.to_owned());
    let set = t.app.db.write(move |tx| async move {
        let row = connections::load(&tx, &id).await?.expect("the row");
        connections::renew(&tx, &id, row.tokens.version, &text).await
    });
    assert!(set.await.expect("it is written"));
}

/// The installation with diagnostics switched on.
async fn on(mut t: TestApp) -> TestApp {
    t.settings.insert(ON.0.into(), ON.1.into());
    t.app = t.again().await;
    t
}

/// A browser's session of somebody with this role in a workspace.
async fn session(t: &TestApp, workspace: &str, role: &'static str) -> String {
    let (workspace, now) = (workspace.to_owned(), t.clock.now());
    let id = ids::new(now);
    let email = format!("{id}@example.com");
    let account = Account { id: id.clone(), email, name: "Ada".into(), password_hash: None };
    let made = t.app.db.write(move |tx| async move {
        accounts::add_account(&tx, &account, &workspace, role, now).await?;
        door::open_session(&tx, &id, &workspace, now).await
    });
    made.await.expect("a session")
}

async fn seen_by(api: &Api<'_>, session: &str, path: &str) -> (StatusCode, Value) {
    let answer = api
        .client
        .get(format!("{}{path}", api.url))
        .header("cookie", format!("carillon_session={session}"))
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    (status, serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or(Value::Null))
}

const ALL: &str = "/api/v1/connections/diagnostics";

both! {
    async fn an_admin_sees_masked_tokens_and_nobody_else_anything(t: TestApp) {
        let t = on(t).await;
        let (long, short) = (t.connect_as("mastodon", LONG).await, t.connect_as("facebook", "bob").await);
        let api = Api::of(&t).await;
        let one = format!("/api/v1/connections/{long}/diagnostics");
        for role in ["owner", "admin"] {
            let session = session(&t, &t.workspace, role).await;
            let (status, found) = seen_by(&api, &session, ALL).await;
            assert_eq!(status, StatusCode::OK, "{role}: {found}");
            let items = found["items"].as_array().unwrap();
            assert_eq!(items.len(), 2, "{found}");
            let mastodon = items.iter().find(|d| d["connectionId"] == long.as_str()).unwrap();
            assert_eq!(mastodon["tokens"], json!([{ "key": "accessToken", "masked": "sand…kery", "expiresAt": null }]));
            assert_eq!((mastodon["key"].as_str(), mastodon["newestKey"].as_bool()), (Some(&t.app.keys.newest()[..]), Some(true)));
            assert!(mastodon["settings"]["accountId"].is_string() && mastodon["checkedAt"].is_string(), "{mastodon}");
            assert_eq!((mastodon["state"].as_str(), &mastodon["missing"], &mastodon["unopened"]), (Some("active"), &json!([]), &Value::Null));
            let facebook = items.iter().find(|d| d["connectionId"] == short.as_str()).unwrap();
            assert_eq!(facebook["tokens"][0]["masked"], "•••", "nothing of a short one: {facebook}");
            let text = found.to_string();
            assert!(!text.contains(&format!("sandbox-{LONG}")) && !text.contains("sandbox-bob"), "{text}");
            let (status, alone) = seen_by(&api, &session, &one).await;
            assert_eq!((status, &alone), (StatusCode::OK, mastodon));
            let (_, who) = seen_by(&api, &session, "/api/v1/session").await;
            assert_eq!(who["diagnostics"], true, "{who}");
        }

        let editor = session(&t, &t.workspace, "editor").await;
        let stranger = t.stranger().await;
        let theirs = carillon::store::accounts::Workspace { id: ids::new(START), name: "Theirs".into(), timezone: "UTC".into(), demo_at: None };
        let their_id = theirs.id.clone();
        t.app.db.write(move |tx| async move { accounts::add_workspace(&tx, &theirs, START).await }).await.expect("added");
        let owner_of_theirs = session(&t, &their_id, "owner").await;
        for path in [ALL, &one] {
            let (status, no) = seen_by(&api, &editor, path).await;
            assert_eq!((status, no["code"].as_str()), (StatusCode::FORBIDDEN, Some("admins_only")), "{path}");
            let (status, no) = seen_by(&api, "ses_nobody", path).await;
            assert_eq!((status, no["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("unauthorized")), "{path}");
            for key in [&api.key, &stranger] {
                let (status, no) = api.call_with(Method::GET, path, None, &[("authorization", &format!("Bearer {key}"))]).await;
                assert!(!status.is_success() && no["items"].is_null() && no["tokens"].is_null(), "{path}: {no}");
            }
            let (status, no) = api.call(Method::GET, path, None).await;
            assert_eq!((status, no["code"].as_str()), (StatusCode::FORBIDDEN, Some("admins_only")), "a key is no admin: {path}");
        }
        let (_, who) = seen_by(&api, &editor, "/api/v1/session").await;
        assert_eq!(who["diagnostics"], false, "{who}");
        assert_eq!(seen_by(&api, &owner_of_theirs, ALL).await.1["items"], json!([]));
        assert_eq!(seen_by(&api, &owner_of_theirs, &one).await.0, StatusCode::NOT_FOUND);

        // Who looked is kept, and nothing of what was seen.
        let (_, trail) = api.call(Method::GET, "/api/v1/audit?action=connections.diagnosed", None).await;
        let items = trail["items"].as_array().unwrap();
        assert_eq!(items.len(), 4, "{trail}");
        assert!(items.iter().all(|i| i["actor"].as_str().unwrap().starts_with("account:")), "{trail}");
        assert!(!trail.to_string().contains("kery"), "{trail}");
    }

    async fn they_are_off_unless_switched_on(t: TestApp) {
        let c = t.connect_as("mastodon", LONG).await;
        let api = Api::of(&t).await;
        let owner = session(&t, &t.workspace, "owner").await;
        for path in [ALL, &format!("/api/v1/connections/{c}/diagnostics")] {
            let (status, no) = seen_by(&api, &owner, path).await;
            assert_eq!((status, no["code"].as_str()), (StatusCode::FORBIDDEN, Some("diagnostics_off")), "{no}");
            assert!(no["details"]["fix"].as_str().unwrap().contains("ENABLE_CONNECTION_DIAGNOSTICS"), "{no}");
        }
        let (_, who) = seen_by(&api, &owner, "/api/v1/session").await;
        assert_eq!(who["diagnostics"], false);
        fails(&t, &["connection", "diagnose"], 1, "diagnostics are off");
        let no = diagnosing::diagnose(&t.app, &t.workspace, None, "operator").await.expect_err("off");
        assert_eq!(no.kind, Kind::Forbidden);
        assert_eq!(told(&t, &["ops", "audit"])["items"], json!([]), "nobody saw anything");
    }

    async fn the_command_line_shows_them_masked(t: TestApp) {
        let t = on(t).await;
        let long = t.connect_as("mastodon", LONG).await;
        t.connect("bluesky").await;
        let all = said(&t, &["connection", "diagnose"]);
        for shows in ["sand…kery", "the newest", "accountId", "active", &long, "•••", "ends 2026-"] {
            assert!(all.contains(shows), "{shows}: {all}");
        }
        assert!(!all.contains(&format!("sandbox-{LONG}")), "{all}");
        let one = told(&t, &["connection", "diagnose", &long]);
        assert_eq!(one.as_array().map(Vec::len), Some(1), "{one}");
        fails(&t, &["connection", "diagnose", "myspace"], 3, "no connection `myspace`");
        assert!(said(&t, &["connection", "diagnose", "--help"]).contains("Examples:"));

        // What does not open is said, and what an older key seals as well.
        told(&t, &["keys", "generate", "--add"]);
        let text = t.app.keys.seal("{}", Place::ConnectionSecrets, "another row");
        set_secrets(&t, &long, &text).await;
        let one = &told(&t, &["connection", "diagnose", &long])[0];
        assert!(one["unopened"].as_str().unwrap().contains("cannot be opened"), "{one}");
        assert_eq!((one["newestKey"].as_bool(), &one["tokens"]), (Some(false), &json!([])), "{one}");
    }
}

// Disconnecting.

/// A network that tells who asked it to revoke what, and answers as it is told.
struct Revoking {
    answers: Mutex<Vec<Result<(), NetworkError>>>,
    revoked: Mutex<Vec<String>>,
}

static SPEC: Spec = {
    let mut spec = Spec::bare("harbour", &PLACEMENTS);
    spec.fields = &FIELDS;
    spec
};
static PLACEMENTS: [carillon_networks::spec::Placement; 1] =
    [carillon_networks::spec::Placement::bare(carillon_networks::SendClass::Blind)];
static FIELDS: [carillon_networks::spec::Field; 1] = [carillon_networks::spec::Field {
    key: "token",
    label: "Token",
    help: "From the harbour master.",
    secret: true,
    required: true,
}];

#[async_trait]
impl Network for Revoking {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }
    async fn check(&self, cx: &Context<'_>) -> Result<Identity, NetworkError> {
        let token = cx.account.secret("token")?;
        let remote_id = token.reveal().to_owned();
        Ok(Identity { name: remote_id.clone(), remote_id, ..Identity::default() })
    }
    async fn publish(&self, _: &Context<'_>, _: &Rendition) -> Result<Published, NetworkError> {
        Err(NetworkError::new(Class::Content, "The harbour takes no posts."))
    }
    async fn revoke(&self, cx: &Context<'_>) -> Result<(), NetworkError> {
        let token = cx.account.secret("token")?;
        self.revoked.lock().unwrap().push(token.reveal().to_owned());
        self.answers.lock().unwrap().pop().expect("an answer was scripted")
    }
    fn parse_error(&self, _: &Reply) -> NetworkError {
        NetworkError::new(Class::Unknown, "The harbour sends no replies.")
    }
}

/// The installation with the harbour as its only network.
async fn at_the_harbour(mut t: TestApp) -> (TestApp, &'static Revoking) {
    let harbour: &'static Revoking =
        Box::leak(Box::new(Revoking { answers: Mutex::default(), revoked: Mutex::default() }));
    let networks: &'static [&'static dyn Network] = Box::leak(Box::new([harbour as &dyn Network]));
    t.settings.insert("CARILLON_ALLOW_HOSTS".into(), "bare.invalid".into());
    t.settings.remove("CARILLON_SANDBOX");
    let config = Config::read(|name| t.settings.get(name).cloned()).expect("settings");
    t.app = App::open_with(config, t.clock.clone(), networks).await.expect("it opens");
    (t, harbour)
}

async fn moored(t: &TestApp, workspace: &str, token: &str) -> String {
    let credentials = [("token".to_owned(), token.to_owned())].into();
    let new = New { network: "harbour".into(), credentials, ..New::default() };
    connecting::add(&t.app, workspace, new).await.expect("connected").id
}

async fn leave(t: &TestApp, id: &str) -> Disconnected {
    let done = connecting::disconnect(&t.app, &t.workspace, id, "operator").await;
    let done = done.expect("it is disconnected, whatever the network says");
    let id = id.to_owned();
    let row = t.app.db.read(move |tx| async move { connections::load(&tx, &id).await }).await;
    assert_eq!(row.expect("read").expect("the row stays").secrets, "", "its tokens are erased");
    done
}

both! {
    async fn tokens_are_revoked_at_the_network_and_erased_here(t: TestApp) {
        let (t, harbour) = at_the_harbour(t).await;
        let script = |answer| harbour.answers.lock().unwrap().push(answer);
        let token = "ebb-and-flow-0123456789";
        let away = || NetworkError::new(Class::Transient, format!("The harbour is closed to {token}."));
        for (answer, revocation, says) in [
            (Ok(()), Revocation::Revoked, "harbour has ended the session"),
            (Err(NetworkError::unsupported("revoke")), Revocation::Unsupported, "does not let Carillon end"),
            (Err(NetworkError::new(Class::Auth, "The token is unknown.")), Revocation::Revoked, "no longer"),
            (Err(away()), Revocation::Failed, "may work at harbour still"),
            (Err(NetworkError::garbled("HTML")), Revocation::Failed, "by hand"),
        ] {
            let id = moored(&t, &t.workspace, token).await;
            script(answer);
            let done = leave(&t, &id).await;
            assert_eq!((done.revocation, &done.name[..]), (revocation, token), "{done:?}");
            assert!(done.sentence.contains(says), "{done:?}");
            assert!(!done.sentence.contains(token), "no secret in a sentence: {done:?}");
            let hidden = connecting::find(&t.app, &t.workspace, &id).await.expect_err("gone");
            assert_eq!(hidden.kind, Kind::NotFound);
            let again = connecting::disconnect(&t.app, &t.workspace, &id, "operator").await;
            assert_eq!(again.expect_err("once is enough").kind, Kind::NotFound);
        }
        assert_eq!(harbour.revoked.lock().unwrap().len(), 5, "each was asked once");
        let (ws, action) = (t.workspace.clone(), "connection.disconnected");
        let trail = t.app.db.read(move |tx| async move {
            carillon::store::audit::before(&tx, &ws, Some(action), (i64::MAX, ""), 10).await
        }).await.expect("the trail");
        assert_eq!(trail.len(), 5);
        assert!(trail.iter().any(|e| e.data["revocation"] == "failed" && e.actor == "operator"), "{trail:?}");
    }

    /// Revoked, the other connection would end as well, whosever it is.
    async fn tokens_that_another_connection_lives_on_are_not_revoked(t: TestApp) {
        let (t, harbour) = at_the_harbour(t).await;
        let theirs = carillon::store::accounts::Workspace { id: ids::new(START), name: "Theirs".into(), timezone: "UTC".into(), demo_at: None };
        let their_id = theirs.id.clone();
        t.app.db.write(move |tx| async move { accounts::add_workspace(&tx, &theirs, START).await }).await.expect("added");
        let ours = moored(&t, &t.workspace, "one-token-for-two").await;
        let other = moored(&t, &their_id, "one-token-for-two").await;
        let done = leave(&t, &ours).await;
        assert_eq!(done.revocation, Revocation::Shared, "{done:?}");
        assert!(done.sentence.contains("another workspace") && !done.sentence.contains("Theirs"), "{done:?}");
        assert!(harbour.revoked.lock().unwrap().is_empty());
        harbour.answers.lock().unwrap().push(Ok(()));
        let done = connecting::disconnect(&t.app, &their_id, &other, "operator").await.expect("gone");
        assert_eq!(done.revocation, Revocation::Revoked, "it was the last");
    }

    async fn what_was_disconnected_is_told_by_api_and_command_line(t: TestApp) {
        let (one, two) = (t.connect("mastodon").await, t.connect("telegram").await);
        let post = t.schedule(t.draft("Doors at seven", &[&one, &two])).await;
        let api = Api::of(&t).await;
        let (status, gone) = api.call(Method::DELETE, &format!("/api/v1/connections/{one}"), None).await;
        assert_eq!(status, StatusCode::OK, "{gone}");
        assert_eq!((gone["connectionId"].as_str(), gone["cancelled"].as_u64()), (Some(&one[..]), Some(1)), "{gone}");
        assert!(gone["revocation"].is_string() && gone["sentence"].as_str().unwrap().ends_with('.'), "{gone}");
        let dry = said(&t, &["connection", "disconnect", "telegram"]);
        assert!(dry.contains("1 waiting deliveries") && dry.contains("add --go"), "{dry}");
        assert_eq!(t.delivery(&post.deliveries[1].id).await.state, DeliveryState::Queued);
        let done = beside(&t, &["connection", "disconnect", "telegram", "--go"]);
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success() && text.contains("cancelled deliveries: 1"), "{text}");
        assert_eq!(t.delivery(&post.deliveries[1].id).await.state, DeliveryState::Cancelled);
        fails(&t, &["connection", "disconnect", "telegram"], 3, "no connection `telegram`");
        let who: Vec<String> = told(&t, &["ops", "audit", "--action", "connection.disconnected"])["items"]
            .as_array().unwrap().iter().map(|i| i["actor"].as_str().unwrap().to_owned()).collect();
        assert!(who.iter().any(|a| a == "operator") && who.iter().any(|a| a.starts_with("key:")), "{who:?}");
    }
}
