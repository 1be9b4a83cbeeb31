//! Everything sealed: none of it stands outside of the one list, all of it is sealed anew while
//! servers publish, whatever dies in the middle, and what is damaged is named and harms no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use carillon::App;
use carillon::config::Config;
use carillon::db::Error;
use carillon::domain::delivery::DeliveryState;
use carillon::domain::refusal::Kind;
use carillon::domain::sealed::Place;
use carillon::identity::keys::Keys;
use carillon::identity::sealing::{self, Survey};
use carillon::params;
use carillon::publishing::account;
use carillon::publishing::apps::{self, NewApp};
use carillon::store::accounts;
use carillon::store::connections::{self, Connection};
use carillon::store::consents::{self, Consent};
use carillon::store::sealed::Resealed;
use carillon::store::tokens::TokenLife;
use carillon::store::{nodes, sealed};
use serde_json::Value;

use crate::both;
use crate::cli::{beside, fails, said, told};
use crate::support::process::{self, Process};
use crate::support::{On, START, TestApp};

const SECRETS: Place = Place::ConnectionSecrets;

async fn survey(app: &App) -> Survey {
    sealing::survey(&app.db, &app.keys).await.expect("a survey")
}

/// How many texts each key seals.
async fn rows(app: &App) -> BTreeMap<String, u64> {
    survey(app).await.keys.into_iter().map(|key| (key.id, key.rows)).collect()
}

/// How many connections' texts name this key: it opens none, so it is quick.
async fn naming(app: &App, key: &str) -> i64 {
    let with = format!("{key}.%");
    let sql = "SELECT count(*) AS n FROM connection WHERE secrets LIKE $1";
    let found: Result<_, Error> =
        app.db.read(move |tx| async move { tx.row(sql, params![with]).await }).await;
    found.expect("the database answers").expect("a count").int("n").expect("a number")
}

async fn row(app: &App, id: &str) -> Connection {
    let id = id.to_owned();
    let found: Result<_, Error> =
        app.db.read(move |tx| async move { connections::load(&tx, &id).await }).await;
    found.expect("the database answers").expect("the row")
}

/// Puts another sealed text there; `false` where nothing is to be put any more.
async fn put(app: &App, id: &str, secrets: &str) -> bool {
    let version = row(app, id).await.tokens.version;
    let (id, secrets) = (id.to_owned(), secrets.to_owned());
    let done = app
        .db
        .write(move |tx| async move { connections::renew(&tx, &id, version, &secrets).await });
    done.await.expect("it is written")
}

/// One bit of the sealed part is another.
async fn damage(app: &App, id: &str) {
    let mut text = row(app, id).await.secrets.into_bytes();
    let at = text.len() / 2;
    text[at] = if text[at] == b'A' { b'B' } else { b'A' };
    put(app, id, &String::from_utf8(text).expect("text")).await;
}

/// The same installation, started with this ring.
async fn started_with(t: &TestApp, ring: &str) -> anyhow::Result<App> {
    App::open(with_ring(t, ring), t.clock.clone()).await
}

fn with_ring(t: &TestApp, ring: &str) -> Config {
    let get = |name: &str| match name {
        "CARILLON_KEYS" => Some(ring.to_owned()),
        name => t.settings.get(name).cloned(),
    };
    Config::read(get).expect("the settings are right")
}

/// A ring in the environment in the place of the folder's.
async fn on_ring(t: TestApp, ring: &str) -> TestApp {
    let mut t = t;
    t.settings.insert("CARILLON_KEYS".into(), ring.to_owned());
    t.app = started_with(&t, ring).await.expect("it starts");
    t
}

fn quiet(_: u64, _: u64) {}

// The one list.

/// Columns whose names sound like secrets, and why they are not sealed.
const NOT_SEALED: &[(&str, &str)] = &[("account.password_hash", "a hash")];
/// Sealed with the key that it proves, for as long as there is that key.
const PROOF: &str = "sealing_key.proof";

both! {
    /// Whatever looks sealed stands in a column of the list, and every column of the list is there.
    async fn nothing_sealed_stands_outside_of_the_list(t: TestApp) {
        for network in ["facebook", "instagram", "bluesky", "mastodon", "wordpress", "telegram"] {
            let c = t.connect(network).await;
            let mut draft = t.draft("Doors at seven", &[&c]);
            draft.media = vec![t.upload().await];
            t.schedule(draft).await;
        }
        t.pass(Duration::from_secs(3_600)).await;
        fill_every_place(&t).await;
        let known: BTreeSet<String> = Place::ALL.iter().map(Place::to_string).collect();
        let mut seen = BTreeSet::new();
        let mut wrong = Vec::new();
        for (table, column) in columns(&t).await {
            let name = format!("{table}.{column}");
            if name == PROOF {
                continue;
            }
            for text in texts(&t, &table, &column).await {
                let sealed = Keys::id_of(&text).is_some_and(|id| t.app.keys.ids().iter().any(|k| k == id));
                if sealed && !known.contains(&name) {
                    wrong.push(format!("{name} holds a sealed text: it is missing in domain/sealed.rs"));
                }
                if sealed {
                    seen.insert(name.clone());
                }
            }
            let sounds = ["secret", "token", "password", "credential", "verifier"].iter().any(|w| column.contains(w));
            let excused = NOT_SEALED.iter().any(|(excused, _)| *excused == name);
            if sounds && !excused && !known.contains(&name) {
                wrong.push(format!("{name}: is it sealed? Then domain/sealed.rs; else say here why not"));
            }
        }
        wrong.dedup();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(seen, known, "each place of the list was seen in use: else this test looks at nothing");
    }
}

/// Something sealed in every place of the list.
async fn fill_every_place(t: &TestApp) {
    t.connect("mastodon").await;
    let (client_id, client_secret) = ("78abc".to_owned(), "the app's own secret".replace(' ', "-"));
    let app = NewApp { network: "linkedin".into(), client_id, client_secret, server: None };
    apps::set(&t.app, app, "operator").await.expect("the app is set");
    let (id, person) = (carillon::ids::new(START), carillon::ids::new(START));
    let account = accounts::Account {
        id: person.clone(),
        email: format!("{person}@example.com"),
        name: "Ada".into(),
        password_hash: None,
    };
    let consent = Consent {
        sealed: t.app.keys.seal("a verifier", Place::ConsentSealed, &id),
        id,
        workspace_id: t.workspace.clone(),
        account_id: person,
        network: "linkedin".into(),
        server: String::new(),
        connection_id: None,
        redirect_uri: "https://posts.example.com/oauth/callback".into(),
        problem: None,
        created_at: START,
        expires_at: START + 86_400_000,
        returned_at: None,
        ended_at: None,
    };
    let workspace = t.workspace.clone();
    let added = t.app.db.write(move |tx| async move {
        accounts::add_account(&tx, &account, &workspace, "editor", START).await?;
        consents::add(&tx, &consent, &consent.id).await
    });
    added.await.expect("a consent under way");
}

async fn columns(t: &TestApp) -> Vec<(String, String)> {
    let sql = if t.app.db.is_postgres() {
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns \
         WHERE table_schema = current_schema() AND data_type = 'text'"
    } else {
        "SELECT m.name AS t, p.name AS c FROM sqlite_schema m, pragma_table_info(m.name) p \
         WHERE m.type = 'table' AND p.type = 'TEXT'"
    };
    let all = t.app.db.read(move |tx| async move { tx.rows(sql, params![]).await }).await;
    let all = all.expect("the columns");
    assert!(all.len() > 60, "only {} columns found", all.len());
    all.iter().map(|r| (r.text("t").unwrap(), r.text("c").unwrap())).collect()
}

async fn texts(t: &TestApp, table: &str, column: &str) -> Vec<String> {
    let sql = format!("SELECT {column} AS text FROM {table} WHERE {column} IS NOT NULL");
    let all = t.app.db.read(move |tx| async move { tx.rows(&sql, params![]).await }).await;
    all.unwrap_or_else(|e| panic!("{table}.{column}: {e}"))
        .iter()
        .map(|r| r.text("text").unwrap())
        .collect()
}

/// The statements of a place are about its own column, so that none goes over another's.
#[test]
fn the_statements_of_a_place_are_about_its_column() {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sealed.rs"));
    let source = std::fs::read_to_string(source).unwrap();
    for place in Place::ALL {
        let (table, column) = place.as_str().split_once('.').expect("table.column");
        let page = format!("{column} AS sealed FROM {table} WHERE");
        assert!(source.contains(&page), "{place}: no `{page}`");
        let replace = format!("UPDATE {table} SET {column} = $1 WHERE");
        let at = source.find(&replace).unwrap_or_else(|| panic!("{place}: no `{replace}`"));
        let rest = source[at..].split('"').next().unwrap_or_default();
        assert!(rest.contains(&format!("AND {column} = $3")), "{place}: the old text is compared");
    }
}

/// Sealing is asked of the ring only, and what is sealed without being kept says so.
#[test]
fn nobody_seals_past_the_list() {
    let src = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let (mut ciphers, mut tickets) = (BTreeSet::new(), BTreeSet::new());
    for file in sources(src) {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(src).unwrap().display().to_string();
        if text.contains("chacha20poly1305") {
            ciphers.insert(name.clone());
        }
        if name != "identity/keys.rs" && text.contains(".ticket(") {
            tickets.insert(name);
        }
    }
    assert_eq!(ciphers, BTreeSet::from(["identity/keys.rs".to_owned()]));
    // A ticket travels and ends by itself: one that is kept would not be sealed anew.
    let known = ["media/links.rs", "web/pages/review.rs", "web/pages/setup.rs"].map(str::to_owned);
    assert_eq!(tickets, BTreeSet::from(known));
}

fn sources(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

// Sealing anew.

both! {
    /// Five keys in a row under a server that publishes and renews sessions; then the old ones go.
    async fn everything_is_sealed_anew_while_a_server_publishes(t: TestApp) {
        let mut all = Vec::new();
        for network in ["facebook", "bluesky", "mastodon", "wordpress", "telegram"] {
            for who in ["alice", "bob"] {
                all.push(t.connect_as(network, who).await);
            }
        }
        let targets: Vec<&str> = all.iter().map(String::as_str).collect();
        let first = t.app.keys.newest();
        let rounds = 5;
        for round in 0..rounds {
            let post = t.schedule(t.draft(&format!("Round {round}"), &targets)).await;
            let added = told(&t, &["keys", "generate", "--add"]);
            let newest = added["id"].as_str().expect("an id").to_owned();
            assert!(t.worker.beat().await, "the server says which keys it has");
            // Two hours: Bluesky's sessions end, and are renewed in the middle of it.
            let hours = Duration::from_secs(2 * 3_600 + 600);
            let (done, ()) = tokio::join!(rotating(&t), t.pass(hours));
            assert_eq!(done["to"], newest.as_str(), "{done}");
            for d in t.post(&post.id).await.deliveries {
                assert_eq!(d.state, DeliveryState::Published, "{d:?}");
            }
            // What the server wrote meanwhile is of the newest key as well: it had it before.
            assert_eq!(rows(&t.app).await[&newest], all.len() as u64, "round {round}");
        }
        assert_eq!(t.visible("bluesky").len(), 2 * rounds);
        let again = told(&t, &["keys", "rotate"]);
        assert_eq!((again["resealed"].as_u64(), again["already"].as_u64()), (Some(0), Some(all.len() as u64)), "{again}");
        let free: Vec<&str> = again["free"].as_array().unwrap().iter().map(|k| k.as_str().unwrap()).collect();
        assert_eq!(free.len(), rounds, "{again}");
        assert!(free.contains(&first.as_str()));
        for key in free {
            told(&t, &["keys", "remove", key]);
        }
        let app = t.again().await;
        assert_eq!(app.keys.ids().len(), 1);
        for id in &all {
            account::open(&app, &row(&app, id).await).expect("it opens with the one key that is left");
        }
        let deeds = told(&t, &["ops", "audit", "--action", "keys.rotated"]);
        assert_eq!(deeds["items"].as_array().map(Vec::len), Some(rounds), "{deeds}");
    }

    /// Whatever is in the list is gone through, each text under its own row's name.
    async fn every_place_is_sealed_anew(t: TestApp) {
        fill_every_place(&t).await;
        let before = survey(&t.app).await;
        let old = t.app.keys.newest();
        Keys::add_in_folder(Path::new(&t.settings["CARILLON_DATA"])).expect("a new key");
        let done = sealing::rotate(&t.app, false, "operator", quiet).await.expect("sealed anew");
        assert_eq!((done.resealed, done.whole()), (before.keys[0].rows, true), "{done:?}");
        assert_eq!(done.free, [old]);
        let after = survey(&t.app).await;
        let all: BTreeSet<String> = Place::ALL.iter().map(Place::to_string).collect();
        assert_eq!(after.keys[0].places.keys().cloned().collect::<BTreeSet<_>>(), all);
        assert_eq!(after.keys[0].places, before.keys[0].places);
        for place in Place::ALL.iter().copied() {
            let page = t.app.db.read(move |tx| async move { sealed::page(&tx, place, "", 100).await });
            for text in page.await.expect("a page") {
                assert_eq!(Keys::id_of(&text.text), Some(&t.app.keys.newest()[..]), "{place}");
                assert!(t.app.keys.open(&text.text, place, &text.row).is_ok(), "{place}");
                assert!(t.app.keys.open(&text.text, place, "another row").is_err(), "{place}");
            }
            let empty = t.app.db.read(move |tx| async move { sealed::page(&tx, place, "~", 100).await });
            assert!(empty.await.expect("a page").is_empty(), "{place}: pages come to an end");
        }
    }

    async fn a_dry_run_changes_nothing(t: TestApp) {
        let id = t.connect("mastodon").await;
        let before = row(&t.app, &id).await.secrets;
        let old = t.app.keys.newest();
        told(&t, &["keys", "generate", "--add"]);
        let dry = told(&t, &["keys", "rotate", "--dry-run"]);
        assert_eq!((dry["dryRun"].as_bool(), dry["resealed"].as_u64()), (Some(true), Some(1)), "{dry}");
        assert_eq!(dry["needed"][0]["key"], old.as_str(), "{dry}");
        let text = said(&t, &["keys", "rotate", "--dry-run"]);
        assert!(text.contains("would be sealed anew") && text.contains("nothing was changed"), "{text}");
        assert_eq!(row(&t.app, &id).await.secrets, before);
        assert_eq!(told(&t, &["ops", "audit"])["items"], serde_json::json!([]));
        let text = said(&t, &["keys", "rotate"]);
        assert!(text.contains(": 1\n") && text.contains(&format!("carillon keys remove {old}")), "{text}");
        assert!(text.contains("backups"), "{text}");
        assert_ne!(row(&t.app, &id).await.secrets, before);
    }

    /// Between reading and writing somebody else wrote: theirs stays.
    async fn what_was_written_meanwhile_is_not_overwritten(t: TestApp) {
        let (kept, moved) = (t.connect("mastodon").await, t.connect("telegram").await);
        let page = t.app.db.read(|tx| async move { sealed::page(&tx, SECRETS, "", 10).await });
        let page = page.await.expect("a page");
        assert_eq!(page.len(), 2);
        let theirs = t.app.keys.seal(r#"{"accessToken":"newer"}"#, SECRETS, &kept);
        put(&t.app, &kept, &theirs).await;
        let anew: Vec<Resealed> = page.into_iter().map(|s| {
            let open = t.app.keys.open(&s.text, SECRETS, &s.row).expect("it opens");
            Resealed { new: t.app.keys.seal(&open, SECRETS, &s.row), row: s.row, old: s.text }
        }).collect();
        let expected = anew.iter().find(|r| r.row == moved).expect("both").new.clone();
        let done = t.app.db.write(move |tx| async move { sealed::replace_each(&tx, SECRETS, &anew).await });
        assert_eq!(done.await.expect("written"), 1);
        assert_eq!(row(&t.app, &kept).await.secrets, theirs);
        assert_eq!(row(&t.app, &moved).await.secrets, expected);
    }

    /// A check that began before the texts were sealed anew, and a name that is changed, do not
    /// bring the old ones back; neither does a session that is renewed bring back what was erased.
    async fn no_edit_brings_back_an_old_text(t: TestApp) {
        let id = t.connect("mastodon").await;
        let old = row(&t.app, &id).await;
        put(&t.app, &id, &t.app.keys.seal(r#"{"accessToken":"newer"}"#, SECRETS, &id)).await;
        let newer = row(&t.app, &id).await.secrets;
        let stale = old.clone();
        t.app.db.write(move |tx| async move { connections::save(&tx, &stale).await }).await.expect("saved");
        assert_eq!(row(&t.app, &id).await.secrets, newer);
        let (ws, gone) = (t.workspace.clone(), id.clone());
        t.app.db.write(move |tx| async move { connections::delete(&tx, &ws, &gone, START).await }).await.expect("erased");
        assert!(!put(&t.app, &id, &old.secrets).await);
        assert_eq!(row(&t.app, &id).await.secrets, "");
    }

    /// Where the ring is in the environment, a server that was not started anew lacks the key.
    async fn no_server_is_left_without_the_key(t: TestApp) {
        let (one, two) = (Keys::fresh(), Keys::fresh());
        let id = |key: &str| key.split(':').next().unwrap().to_owned();
        let t = on_ring(t, &one).await;
        let c = t.connect("mastodon").await;
        seen(&t, "server-a", &id(&one)).await;
        let app = started_with(&t, &format!("{two},{one}")).await.expect("it starts");
        let refused = sealing::rotate(&app, false, "operator", quiet).await.expect_err("server-a is behind");
        assert_eq!((refused.kind, refused.code.as_str()), (Kind::Conflict, "server_behind"), "{refused:?}");
        assert!(refused.sentence.contains("server-a") && refused.sentence.contains(&id(&two)), "{refused:?}");
        assert!(sealing::ready(&app).await.is_err(), "it is said before anything is done");
        assert_eq!(Keys::id_of(&row(&app, &c).await.secrets), Some(id(&one).as_str()));

        // Its version does not say: it cannot be trusted to open it either.
        t.app.db.write(|tx| async move {
            tx.execute("UPDATE node SET keys = NULL WHERE id = $1", params!["server-a"]).await
        }).await.expect("set");
        assert!(sealing::ready(&app).await.is_err());

        // It opens the new key's texts, but seals with the old one still.
        seen(&t, "server-a", &format!("{},{}", id(&one), id(&two))).await;
        let done = sealing::rotate(&app, false, "operator", quiet).await.expect("sealed anew");
        assert_eq!((done.resealed, done.whole()), (1, true));
        assert!(done.free.is_empty() && done.needed[0].reason.contains("server-a"), "{done:?}");
        seen(&t, "server-a", &format!("{},{}", id(&two), id(&one))).await;
        let done = sealing::rotate(&app, false, "operator", quiet).await.expect("nothing to do");
        assert_eq!((done.resealed, done.free), (0, vec![id(&one)]));
        let no = sealing::remove(&app, &id(&one), "operator").await.expect_err("not ours to change");
        assert_eq!(no.code, "ring_of_environment");

        // Ended or long gone, it keeps nobody waiting.
        seen(&t, "server-a", &id(&one)).await;
        t.app.db.write(|tx| async move { nodes::ended(&tx, "server-a").await }).await.expect("ended");
        sealing::ready(&app).await.expect("it ended by itself");
        seen(&t, "seat/1", &id(&one)).await;
        assert!(sealing::ready(&app).await.is_err());
        t.app.db.write(|tx| async move { nodes::ended_on(&tx, "seat").await }).await.expect("ended");
        sealing::ready(&app).await.expect("its seat is another's");
        seen(&t, "server-b", &id(&one)).await;
        t.clock.advance(Duration::from_secs(61));
        sealing::ready(&app).await.expect("it is gone");

        let app = started_with(&t, &two).await.expect("the old key is not needed");
        account::open(&app, &row(&app, &c).await).expect("it opens");
    }

    /// Two machines were given different keys of the same name: neither could open the other's.
    async fn a_key_is_the_same_everywhere_or_nothing_is_sealed_with_it(t: TestApp) {
        let (one, two, three) = (Keys::fresh(), Keys::fresh(), Keys::fresh());
        let id = two.split(':').next().unwrap().to_owned();
        let other = format!("{id}:{}", three.split(':').nth(1).unwrap());
        let t = on_ring(t, &one).await;
        let c = t.connect("mastodon").await;
        // The server has it, and has nothing sealed with it yet.
        drop(started_with(&t, &format!("{two},{one}")).await.expect("it starts"));
        seen(&t, "server-a", &format!("{id},{}", one.split(':').next().unwrap())).await;
        let e = started_with(&t, &format!("{other},{one}")).await.err().expect("it does not start");
        assert!(e.to_string().contains("server-a") && e.to_string().contains(&id), "{e}");
        let config = with_ring(&t, &format!("{other},{one}"));
        let app = App::open_unchecked(config, t.clock.clone(), carillon_networks::ALL).await.expect("opens");
        let before = row(&app, &c).await.secrets;
        let refused = sealing::rotate(&app, false, "operator", quiet).await.expect_err("not with this key");
        assert_eq!(refused.code, "key_wrong");
        assert_eq!(row(&app, &c).await.secrets, before);
        // Where nobody has the first of that name, it is forgotten.
        t.clock.advance(Duration::from_secs(61));
        sealing::rotate(&app, false, "operator", quiet).await.expect("sealed anew");
        drop(started_with(&t, &other).await.expect("it opens everything"));
    }

    async fn a_key_that_is_needed_stops_the_start_and_names_the_rows(t: TestApp) {
        let (one, two) = (Keys::fresh(), Keys::fresh());
        let t = on_ring(t, &one).await;
        let mut all = Vec::new();
        for who in ["alice", "bob", "carol"] {
            all.push(t.connect_as("mastodon", who).await);
        }
        let e = started_with(&t, &two).await.err().expect("it does not start").to_string();
        let old = one.split(':').next().unwrap();
        assert!(e.contains(&format!("3 sealed texts need the key `{old}`")), "{e}");
        assert!(all.iter().all(|id| e.contains(&format!("connection.secrets of row {id}"))), "{e}");
        // Another key of the same name.
        let other = format!("{old}:{}", two.split(':').nth(1).unwrap());
        let e = started_with(&t, &other).await.err().expect("it does not start").to_string();
        assert!(e.contains("so it is another key of that name") && e.contains(&all[0]), "{e}");

        let mut t = t;
        for (ring, code, says) in [(two.clone(), "missing", "3 sealed texts need the key"), (other, "wrong", "another key of that name")] {
            t.settings.insert("CARILLON_KEYS".into(), ring);
            fails(&t, &["serve"], 1, says);
            fails(&t, &["worker"], 1, says);
            fails(&t, &["connection", "list"], 1, says);
            let out = beside(&t, &["doctor", "--json"]);
            assert_eq!(out.status.code(), Some(1));
            let found: Value = serde_json::from_slice(&out.stdout).expect("JSON");
            let keys = found.as_array().unwrap().iter().find(|f| f["name"] == "keys").expect("keys");
            assert!(keys["ok"] == false && keys["detail"].as_str().unwrap().contains(&all[2]), "{keys}");
            assert!(!keys["hint"].as_str().unwrap().is_empty());
            let out = beside(&t, &["keys", "list", "--json"]);
            assert_eq!(out.status.code(), Some(1));
            let listed: Value = serde_json::from_slice(&out.stdout).expect("JSON");
            let named = if code == "missing" { &listed["missing"] } else { &listed["damaged"] };
            assert_eq!(named.as_array().map(Vec::len), Some(3), "{listed}");
            assert_eq!(named[0]["place"], "connection.secrets");
        }
        t.settings.insert("CARILLON_KEYS".into(), format!("{two},{one}"));
        let listed = told(&t, &["keys", "list"]);
        assert_eq!((listed["keys"][0]["rows"].as_u64(), listed["keys"][1]["rows"].as_u64()), (Some(0), Some(3)), "{listed}");
        assert_eq!(listed["keys"][1]["places"]["connection.secrets"], 3);
        assert!(said(&t, &["keys", "list"]).contains("carillon keys rotate"));
        fails(&t, &["keys", "generate", "--add"], 4, "comes from CARILLON_KEYS");
    }

    /// One text is damaged: its row is named, and everybody else goes on.
    async fn a_damaged_text_is_named_and_harms_no_other(t: TestApp) {
        let (bad, good) = (t.connect("mastodon").await, t.connect("telegram").await);
        damage(&t.app, &bad).await;
        let before = row(&t.app, &bad).await.secrets;
        told(&t, &["keys", "generate", "--add"]);
        let out = beside(&t, &["keys", "rotate", "--json"]);
        assert_eq!(out.status.code(), Some(1), "it is not whole");
        let done: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!((done["resealed"].as_u64(), done["damaged"].as_array().map(Vec::len)), (Some(1), Some(1)), "{done}");
        assert_eq!((done["damaged"][0]["place"].as_str(), done["damaged"][0]["row"].as_str()), (Some("connection.secrets"), Some(&bad[..])));
        assert!(done["free"].as_array().unwrap().is_empty(), "the old key may open a backup of it: {done}");
        assert_eq!(row(&t.app, &bad).await.secrets, before, "it stays as it was");
        let text = String::from_utf8(beside(&t, &["keys", "rotate"]).stdout).unwrap();
        assert!(text.contains(&format!("FAIL connection.secrets of row {bad}")), "{text}");

        let out = beside(&t, &["doctor"]);
        assert_eq!(out.status.code(), Some(1));
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(text.contains("FAIL keys") && text.contains(&bad) && !text.contains(&good), "{text}");
        // The same database under a new process: it starts, the other one is sent.
        told(&t, &["connection", "list"]);
        drop(t.again().await);
        let post = t.schedule(t.draft("Doors at seven", &[&bad, &good])).await;
        t.pass(Duration::from_secs(1_200)).await;
        let post = t.post(&post.id).await;
        assert_eq!(post.deliveries[1].state, DeliveryState::Published);
        assert_eq!(post.deliveries[0].state, DeliveryState::Queued, "it waits for its credentials");
        let problem = post.deliveries[0].problem.clone().expect("a reason");
        assert!(problem.sentence.contains("cannot be opened"), "{problem:?}");
        // Entered anew it works.
        t.connect("mastodon").await;
        t.pass(Duration::from_secs(60)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        assert_eq!(told(&t, &["keys", "rotate"])["damaged"], serde_json::json!([]));
    }

    /// The only connection there is, and nothing opens it: the key is known to be the right one, so
    /// it is the text that is damaged. Under another key of that name nothing starts.
    async fn a_wrong_key_is_told_from_a_damaged_text(t: TestApp) {
        let one = Keys::fresh();
        let t = on_ring(t, &one).await;
        let only = t.connect("mastodon").await;
        let whole = row(&t.app, &only).await.secrets;
        damage(&t.app, &only).await;
        drop(t.again().await);
        let (id, other) = (one.split(':').next().unwrap(), Keys::fresh());
        put(&t.app, &only, &whole).await;
        let other = format!("{id}:{}", other.split(':').nth(1).unwrap());
        let e = started_with(&t, &other).await.err().expect("it does not start").to_string();
        assert!(e.contains(&format!("connection.secrets of row {only} does not open with key `{id}`")), "{e}");
        // Credentials that nothing opens any more can be disconnected all the same.
        let mut t = t;
        t.settings.insert("CARILLON_KEYS".into(), other);
        fails(&t, &["serve"], 1, &only);
        let gone = told(&t, &["connection", "disconnect", &only, "--go"]);
        assert_eq!(gone["revocation"], "failed", "{gone}");
        drop(t.again().await);
    }

    async fn keys_of_a_folder_are_made_listed_and_removed(t: TestApp) {
        t.connect("mastodon").await;
        let first = t.app.keys.newest();
        let made = told(&t, &["keys", "new"]);
        assert!(Keys::parse(made["key"].as_str().expect("a key")).is_ok());
        let listed = told(&t, &["keys", "list"]);
        assert_eq!((listed["keys"].as_array().map(Vec::len), listed["keys"][0]["newest"].as_bool()), (Some(1), Some(true)), "{listed}");
        fails(&t, &["keys", "remove", &first], 4, "is the key that seals");
        fails(&t, &["keys", "remove", "k0"], 3, "no key `k0`");
        told(&t, &["keys", "generate", "--add"]);
        fails(&t, &["keys", "remove", &first], 4, "1 texts are sealed with it");
        told(&t, &["keys", "rotate"]);
        told(&t, &["keys", "remove", &first]);
        assert_eq!(t.again().await.keys.ids().len(), 1);
        for command in [&["keys", "--help"][..], &["keys", "rotate", "--help"], &["keys", "generate", "--help"]] {
            assert!(said(&t, command).contains("Examples:"), "{command:?}");
        }
    }
}

async fn rotating(t: &TestApp) -> Value {
    // A process of its own, beside the server of this one.
    let out = tokio::process::Command::new(process::binary())
        .args(["keys", "rotate", "--json"])
        .envs(&t.settings)
        .output()
        .await
        .expect("the binary runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("JSON")
}

async fn seen(t: &TestApp, node: &str, keys: &str) {
    let (node, keys, now) = (node.to_owned(), keys.to_owned(), t.clock.now());
    let done = t
        .app
        .db
        .write(move |tx| async move { nodes::seen(&tx, &node, "worker", &keys, now).await });
    done.await.expect("a heartbeat");
}

// kill -9.

/// So many texts are sealed anew.
const TEXTS: usize = 1_500;
/// So many kills in the middle are enough, and so many tries at most.
const MIDST: usize = 5;
const MOST: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn sealing_anew_can_be_killed_at_any_moment_on_sqlite() {
    killed(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_anew_can_be_killed_at_any_moment_on_postgres() {
    killed(On::Postgres).await;
}

/// The shipped binary is killed while it seals anew, beside a server that publishes. After every
/// kill everything opens, as what it was; the next run goes on.
async fn killed(on: On) {
    let (_sandbox, sandbox) = process::sandbox(5);
    let more = [
        ("CARILLON_SANDBOX", sandbox.as_str()),
        ("CARILLON_HEARTBEAT", "300ms"),
        ("CARILLON_LATE_GAP", "0s"),
    ];
    let t = TestApp::with_sandbox_of(on, &sandbox, &more).await;
    let c = t.connect("mastodon").await;
    let mut ids = Vec::new();
    for part in 0..TEXTS / 100 {
        let made: Vec<Connection> = (0..100).map(|i| filler(&t, part * 100 + i)).collect();
        ids.extend(made.iter().map(|c| c.id.clone()));
        let add = t.app.db.write(move |tx| async move {
            for c in &made {
                connections::add(&tx, c).await?;
            }
            Ok::<_, Error>(())
        });
        add.await.expect("they are there");
    }
    let (server, _) = Process::start(&["serve"], &t.settings, "listening on ");

    let mut random = 0x5eed_u64 + u64::from(on == On::Postgres);
    let (mut midst, mut posts) = (0, 0);
    for turn in 0..MOST {
        tokio::task::block_in_place(|| told(&t, &["keys", "generate", "--add"]));
        let mut draft = t.draft(&format!("message number {turn:04}"), &[&c]);
        draft.scheduled_at = None;
        t.schedule(draft).await;
        posts += 1;
        t.app.keys.refresh();
        let newest = t.app.keys.newest();
        let begun = t.clock.mono();
        let mut child = tokio::process::Command::new(process::binary())
            .args(["keys", "rotate"])
            .envs(&t.settings)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // When the process dies is the input of this test: somewhere in the first three quarters.
        let moment = 1 + (random >> 33) as i64 % (TEXTS as i64 * 3 / 4);
        while naming(&t.app, &newest).await < moment && child.try_wait().expect("a child").is_none()
        {
            assert!(t.clock.mono() - begun < 60_000, "it never comes so far");
        }
        if child.try_wait().expect("a child").is_none() {
            child.kill().await.expect("it is killed");
        }
        let found = survey(&t.app).await;
        assert!(found.missing.is_empty() && found.damaged.is_empty(), "{found:?}");
        // Else it was through before it was killed.
        midst += usize::from(found.keys[0].rows < ids.len() as u64);
        if midst == MIDST {
            break;
        }
    }
    assert_eq!(midst, MIDST, "it was never hit in the middle");
    let done = rotating(&t).await;
    assert!(done["damaged"].as_array().unwrap().is_empty() && done["left"] == 0, "{done}");
    for (n, id) in ids.iter().enumerate() {
        let open = account::open(&t.app, &row(&t.app, id).await).expect("it opens");
        let secrets = open.secrets.into_inner().unwrap();
        assert_eq!(secrets["accessToken"].reveal(), secret(n), "{n} is what it was");
    }
    until_published(&t, posts, &sandbox).await;
    server.kill();
    // The server is dead, and whoever it was counts for a minute: nothing is to be sealed anew.
    for id in t.app.keys.ids().into_iter().skip(1) {
        // Whoever seals last with it is gone with the server.
        tokio::task::block_in_place(|| told(&t, &["keys", "remove", &id]));
    }
    let app = t.again().await;
    assert_eq!(
        (app.keys.ids().len(), rows(&app).await[&app.keys.newest()]),
        (1, ids.len() as u64 + 1)
    );
}

fn secret(n: usize) -> String {
    format!("token number {n}")
}

/// A connection that nothing is posted to.
fn filler(t: &TestApp, n: usize) -> Connection {
    let id = carillon::ids::new(t.clock.now());
    let secrets = serde_json::json!({ "accessToken": secret(n) }).to_string();
    Connection {
        workspace_id: t.workspace.clone(),
        network: "mastodon".into(),
        name: format!("filler {n}"),
        remote_id: n.to_string(),
        settings: BTreeMap::new(),
        secrets: t.app.keys.seal(&secrets, SECRETS, &id),
        id,
        broken_at: None,
        problem: None,
        checked_at: None,
        published_at: None,
        twice_at: None,
        quota_until: None,
        quota_of: None,
        tokens: TokenLife::default(),
        created_at: t.clock.now(),
    }
}

async fn until_published(t: &TestApp, posts: usize, sandbox: &str) {
    let end = t.clock.mono() + 60_000;
    loop {
        let body = reqwest::get(format!("{sandbox}/_ledger/mastodon")).await.unwrap().bytes().await;
        let ledger: Value = serde_json::from_slice(&body.unwrap()).unwrap();
        let seen = ledger["posts"].as_array().map_or(0, Vec::len);
        assert!(seen <= posts, "{seen} of {posts}: one is there twice");
        if seen == posts {
            return;
        }
        assert!(t.clock.mono() < end, "only {seen} of {posts} were published");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
