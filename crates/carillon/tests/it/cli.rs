//! The command line from outside: exit codes, hints, JSON, and a start that is refused.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use carillon_sandbox::{Calls, Fault, Options, Sandbox, Trouble};
use serde_json::Value;

use crate::both;
use crate::desk;
use crate::support::TestApp;
use crate::support::process::{self, Process};

struct Shell {
    dir: tempfile::TempDir,
    settings: BTreeMap<String, String>,
}

impl Shell {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), settings: BTreeMap::new() }
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(process::binary())
            .args(args)
            .env("CARILLON_DATA", self.dir.path())
            .envs(&self.settings)
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs")
    }

    fn fails(&self, args: &[&str], code: i32, says: &str) {
        let out = self.run(args);
        let err = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?} says {err}");
        assert!(err.lines().any(|l| l.starts_with("hint: ")), "{args:?} gives no hint: {err}");
    }
}

#[test]
fn a_wrong_key_or_setting_stops_the_start_and_says_why() {
    let mut shell = Shell::new();
    shell.settings.insert("CARILLON_KEYS".into(), "k1:c2hvcnQ=".into());
    shell.fails(&["serve", "--listen", "127.0.0.1:0"], 1, "the key `k1` has 5 bytes, it needs 32");
    shell.settings.insert("CARILLON_KEYS".into(), String::new());
    shell.settings.insert("CARILLON_LEASE".into(), "soon".into());
    shell.fails(&["serve", "--listen", "127.0.0.1:0"], 1, "CARILLON_LEASE is `soon`");
    shell.settings.remove("CARILLON_LEASE");
    std::fs::write(
        shell.dir.path().join("carillon.db"),
        "this is no database at all, but a letter",
    )
    .unwrap();
    shell.fails(&["post", "list"], 1, "cannot open the database");
}

#[test]
fn an_empty_installation_says_what_to_do_first() {
    let shell = Shell::new();
    shell.fails(&["post", "list"], 3, "There is no workspace in this database yet.");
    let out = shell.run(&["post", "list", "--json"]);
    let told: Value = serde_json::from_slice(&out.stderr).expect("JSON on stderr");
    assert_eq!(told["code"], "no_workspace");
    assert_eq!(shell.run(&["post", "lst"]).status.code(), Some(2), "wrong usage");
    let help = shell.run(&["post", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
}

#[test]
fn settings_are_printed_masked_and_a_key_is_made() {
    let mut shell = Shell::new();
    shell.settings.insert("CRON_SECRET".into(), "hush-hush".into());
    let out = shell.run(&["config", "print", "--json"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("CRON_SECRET") && !text.contains("hush-hush"), "{text}");
    let made: Value =
        serde_json::from_slice(&shell.run(&["keys", "generate", "--json"]).stdout).unwrap();
    shell.settings.insert("CARILLON_KEYS".into(), made["key"].as_str().unwrap().into());
    assert!(shell.run(&["doctor"]).status.success());
}

/// The demo by its own binary: a post from the command line reaches the sandbox; the log of it all
/// at debug level holds no secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_demo_publishes_from_the_command_line_and_logs_no_secret() {
    let mut shell = Shell::new();
    let sandbox = Sandbox::start("127.0.0.1:0".parse().unwrap(), Options::default()).await.unwrap();
    for fault in [Trouble::Auth, Trouble::Garbage] {
        sandbox.add_fault(Fault::new("facebook", Calls::Publish, fault));
    }
    shell.settings.insert("CARILLON_DATA".into(), shell.dir.path().display().to_string());
    let url = sandbox.url();
    let log = shell.dir.path().join("log.txt");
    let args = ["serve", "--demo", "--listen", "127.0.0.1:0", "--sandbox", &url];
    let (server, _) = tokio::task::block_in_place(|| {
        Process::start_logging(
            &args,
            &shell.settings,
            "listening on ",
            Some((&log, "trace,hyper=debug")),
        )
    });
    let demo: Value =
        serde_json::from_slice(&std::fs::read(shell.dir.path().join("demo.json")).unwrap())
            .unwrap();
    // It finds the demo's sandbox by itself; a check against the real networks would break them.
    let out = tokio::task::block_in_place(|| shell.run(&["ops", "check-connections", "--json"]));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    let text = "From the command line, once";
    let out = tokio::task::block_in_place(|| {
        shell.run(&[
            "post",
            "create",
            "--text",
            text,
            "--to",
            "mastodon",
            "--allow-collision",
            "--json",
        ])
    });
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let post: Value = serde_json::from_slice(&out.stdout).unwrap();
    // It brings the TLS provider that any client needs.
    let _ = carillon_networks::Http::new(carillon_networks::http::Guard::default());
    let client = reqwest::Client::new();
    let path =
        format!("{}/api/v1/posts/{}", demo["url"].as_str().unwrap(), post["id"].as_str().unwrap());
    let mut state = String::new();
    for _ in 0..150 {
        let answer =
            client.get(&path).bearer_auth(demo["apiKey"].as_str().unwrap()).send().await.unwrap();
        let now: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        state = now["state"].as_str().unwrap_or_default().to_owned();
        if state == "published" {
            break;
        }
        // Another process publishes it: there is no event of ours to await.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(state, "published");
    let seen = sandbox.ledger("mastodon").into_iter().filter(|p| p.text.contains(text)).count();
    assert_eq!(seen, 1);
    server.kill();
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.len() > 1000, "the log is there");
    let session = demo["loginUrl"].as_str().unwrap().rsplit('/').next().unwrap();
    for secret in
        ["sandbox-the_anchor", "sandbox-the-anchor", demo["apiKey"].as_str().unwrap(), session]
    {
        let line = log.lines().find(|l| l.contains(secret));
        assert!(line.is_none(), "a secret is in the log: {line:?}");
    }
}

/// The command line beside the app of a test: the same database, a process of its own.
pub(crate) fn beside(t: &TestApp, args: &[&str]) -> Output {
    tokio::task::block_in_place(|| {
        Command::new(process::binary())
            .args(args)
            .envs(&t.settings)
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs")
    })
}

pub(crate) fn told(t: &TestApp, args: &[&str]) -> Value {
    told_with(t, args, 0)
}

/// The same with another exit code.
pub(crate) fn told_with(t: &TestApp, args: &[&str], code: i32) -> Value {
    let out = beside(t, &[args, &["--json"]].concat());
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {err}");
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}"))
}

pub(crate) fn said(t: &TestApp, args: &[&str]) -> String {
    let out = beside(t, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

pub(crate) fn fails(t: &TestApp, args: &[&str], code: i32, says: &str) {
    let out = beside(t, args);
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {err}");
    assert!(err.contains(says) && err.contains("\nhint: "), "{args:?} says {err}");
}

both! {
    async fn retry_failed_only_says_what_it_would_do_until_told_to_go(t: TestApp) {
        let (a, b) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let one = desk::failed(&t, &a, "mastodon", "Quiz night").await;
        let two = desk::failed(&t, &b, "bluesky", "Karaoke").await;
        let pile = told(&t, &["ops", "dead-letters"]);
        assert_eq!(pile["total"], 2, "{pile}");
        let dry = told(&t, &["ops", "retry-failed", "--network", "mastodon"]);
        assert_eq!((dry["dryRun"].as_bool(), dry["replayed"][0]["id"].as_str()), (Some(true), Some(&one[..])));
        assert!(said(&t, &["ops", "retry-failed"]).contains("would be sent again: 2"));
        assert_eq!(told(&t, &["ops", "dead-letters"]), pile, "a dry run writes nothing");
        assert_eq!(told(&t, &["ops", "audit"])["items"], serde_json::json!([]));
        for none in [&["--class", "content"][..], &["--until", "2020-01-01"], &["--since", "2039-01-01"], &["--state", "missed"]] {
            let found = told(&t, &[&["ops", "retry-failed"], none].concat());
            assert_eq!(found["replayed"], serde_json::json!([]), "{none:?}");
        }
        let done = told(&t, &["ops", "retry-failed", "--network", "mastodon", "--class", "transient", "--since", "2026-11-23", "--go"]);
        assert_eq!((done["dryRun"].as_bool(), done["replayed"][0]["id"].as_str()), (Some(false), Some(&one[..])));
        assert_eq!(t.delivery(&one).await.state.as_str(), "queued");
        assert_eq!(t.delivery(&two).await.state.as_str(), "failed");
        let trail = told(&t, &["ops", "audit", "--action", "dead_letters.replayed"]);
        assert_eq!((trail["items"][0]["actor"].as_str(), trail["items"][0]["data"]["ids"][0].as_str()), (Some("operator"), Some(&one[..])));
        fails(&t, &["ops", "retry-failed", "--network", "myspace"], 1, "There is no network `myspace`.");
        fails(&t, &["ops", "retry-failed", "--since", "soon"], 1, "`soon` is no day or time.");
        fails(&t, &["ops", "retry-failed", "--state", "queued"], 1, "`queued` is no state of a dead letter.");
        fails(&t, &["ops", "retry-failed", "--workspace", "nobody"], 3, "There is no workspace `nobody`.");
    }

    async fn threads_and_first_comments_are_written_from_a_terminal(t: TestApp) {
        t.connect("mastodon").await;
        t.connect("facebook").await;
        t.connect("telegram").await;
        let create = ["post", "create", "--at", "2027-01-01T09:00", "--text", "One"];
        let thread = [&create[..], &["--to", "mastodon", "--then", "Two", "--thread", "Three"]].concat();
        let post = told(&t, &thread);
        let parts: Vec<_> = post["deliveries"].as_array().unwrap().iter().map(|d| &d["text"]).collect();
        assert_eq!(parts, [&Value::Null, &"Two".into(), &"Three".into()]);
        assert!(said(&t, &["post", "show", post["id"].as_str().unwrap()]).contains(", part 3"));
        let comment = [&create[..], &["--to", "facebook", "--first-comment", "Tickets"]].concat();
        let post = told(&t, &comment);
        assert_eq!(post["deliveries"][1]["placement"], "comment");
        assert!(said(&t, &["post", "show", post["id"].as_str().unwrap()]).contains(", first comment"));
        let neither = [&create[..], &["--to", "facebook", "--then", "Two"]].concat();
        fails(&t, &neither, 1, "has no threads");
        let all = ["--to", "mastodon", "--to", "facebook", "--to", "telegram", "--then", "Two", "--first-comment", "Tickets"];
        fails(&t, &[&create[..], &all].concat(), 1, "takes no first comment");
        let fitting = told(&t, &[&create[..], &all, &["--where-possible", "--allow-collision", "--allow-duplicate"]].concat());
        let got: Vec<_> = fitting["deliveries"].as_array().unwrap().iter().map(|d| (d["network"].as_str().unwrap(), d["placement"].as_str().unwrap())).collect();
        assert_eq!(got, [("mastodon", "feed"), ("mastodon", "reply"), ("facebook", "feed"), ("facebook", "comment"), ("telegram", "message")]);
        let nobody = [&create[..], &["--to", "telegram", "--first-comment", "Tickets", "--where-possible"]].concat();
        fails(&t, &nobody, 1, "No connection takes the first comment");
        let nobody = [&create[..], &["--to", "telegram", "--then", "Two", "--where-possible"]].concat();
        fails(&t, &nobody, 1, "No connection takes the thread");
        assert!(said(&t, &["post", "create", "--help"]).contains("Examples:"));
    }

    async fn posts_are_found_and_moved_from_a_terminal(t: TestApp) {
        t.connect("mastodon").await;
        let mut ids = Vec::new();
        for (text, at) in [("Quiz night", "2027-03-27T09:00"), ("Happy hour", "2027-03-28T09:00")] {
            let post = told(&t, &["post", "create", "--at", at, "--zone", "Europe/London", "--text", text, "--to", "mastodon"]);
            ids.push(post["id"].as_str().unwrap().to_owned());
        }
        let found = told(&t, &["post", "list", "--search", "QUIZ"]);
        assert_eq!(found["items"][0]["id"], ids[0].as_str());
        assert_eq!(found["items"].as_array().unwrap().len(), 1);
        // Over the day on which London's clocks go forward, each keeps its hour.
        let moved = told(&t, &["post", "move", &ids[0], &ids[1], "--days", "1"]);
        let at = |n: usize| moved["items"][n]["scheduledAt"].as_str().unwrap().to_owned();
        assert_eq!((at(0), at(1)), ("2027-03-28T08:00:00Z".into(), "2027-03-29T08:00:00Z".into()));
        assert!(said(&t, &["post", "move", &ids[0], &ids[1], "--days", "-1"]).contains("2027-03-27T09:00:00Z"));
        fails(&t, &["post", "move", &ids[0], &ids[1], "--days", "-365"], 4, "2 of 2 posts cannot move");
        fails(&t, &["post", "move", "0193", "--days", "1"], 3, "There is no such post");
    }

    async fn a_doubt_is_answered_from_a_terminal(t: TestApp) {
        let c = t.connect("telegram").await;
        let one = desk::in_doubt(&t, &c, "Quiz night").await;
        let post = t.delivery(&one).await.post_id;
        let ask = format!("carillon delivery answer {one} --live URL");
        assert!(said(&t, &["post", "show", &post]).contains(&ask));
        assert!(said(&t, &["delivery", "show", &one]).contains(&ask));
        assert_eq!(told(&t, &["delivery", "show", &one])["attempts"][0]["outcome"], "unknown");
        fails(&t, &["delivery", "retry", &one], 4, "may be live already");
        fails(&t, &["delivery", "answer", &one, "--live", "over there"], 1, "`over there` is no web address.");
        for usage in [&["delivery", "answer", &one][..], &["delivery", "answer", &one, "--live", "--not-live"]] {
            assert_eq!(beside(&t, usage).status.code(), Some(2), "{usage:?}");
        }
        let live = told(&t, &["delivery", "answer", &one, "--live", "https://t.me/anchor_news/7"]);
        assert_eq!((live["state"].as_str(), live["remoteUrl"].as_str()), (Some("published"), Some("https://t.me/anchor_news/7")));
        fails(&t, &["delivery", "answer", &one, "--not-live"], 4, "Nobody asks whether this delivery is live.");
        fails(&t, &["delivery", "answer", "0193", "--live"], 3, "There is no such delivery");

        let two = desk::in_doubt(&t, &c, "Karaoke").await;
        assert!(said(&t, &["delivery", "answer", &two, "--not-live"]).contains("queued"));
        assert_eq!(t.delivery(&two).await.question, None);
        let trail = told(&t, &["ops", "audit", "--action", "delivery.answered"]);
        assert_eq!((trail["items"][0]["actor"].as_str(), trail["items"][0]["data"]["live"].as_bool()), (Some("operator"), Some(false)));
        let failed = desk::failed(&t, &t.connect("mastodon").await, "mastodon", "Trivia").await;
        fails(&t, &["delivery", "answer", &failed, "--live"], 1, "`url` is needed");
        let again = told(&t, &["delivery", "retry", &failed, "--text", "Trivia, again"]);
        assert_eq!((again["state"].as_str(), again["text"].as_str()), (Some("queued"), Some("Trivia, again")));
    }

    async fn what_is_live_is_changed_from_a_terminal(t: TestApp) {
        let (c, fixed) = (t.connect("mastodon").await, t.connect("bluesky").await);
        let post = t.schedule(t.draft("Trivia at eight", &[&c, &fixed])).await;
        let (id, other) = (post.deliveries[0].id.as_str(), post.deliveries[1].id.as_str());
        fails(&t, &["delivery", "amend", id, "--text", "Later"], 4, "This delivery is not live");
        fails(&t, &["delivery", "measure", id], 4, "This delivery is not live");
        t.pass(Duration::from_secs(3600)).await;
        let now = told(&t, &["delivery", "amend", id, "--text", "Trivia at nine"]);
        assert_eq!((now["text"].as_str(), &t.visible("mastodon")[0].text[..]), (Some("Trivia at nine"), "Trivia at nine"));
        assert!(said(&t, &["delivery", "show", id]).contains("Trivia at nine"));
        assert!(said(&t, &["post", "show", &post.id]).contains("\nalice at mastodon\nTrivia at nine\n"));
        fails(&t, &["delivery", "amend", id, "--text", &"x".repeat(501)], 1, "1 character too long");
        fails(&t, &["delivery", "amend", other, "--text", "Later"], 4, "lets no program change what is live");
        assert_eq!(t.visible("bluesky")[0].text, "Trivia at eight");

        let remote_id = t.delivery(id).await.remote_id.expect("an id");
        let did = carillon_sandbox::Numbers { likes: 7, comments: 5, shares: 4, ..<_>::default() };
        t.sandbox.set_numbers("mastodon", &remote_id, did);
        let read = said(&t, &["delivery", "measure", id]);
        assert!(read.contains("\n5 comments, 7 likes, 4 shares, as of 20"), "{read}");
        assert_eq!(told(&t, &["delivery", "show", id])["delivery"]["numbers"]["values"]["likes"], 7);
    }

    async fn pauses_and_drains_are_made_from_a_terminal(t: TestApp) {
        let c = t.connect("mastodon").await;
        let post = t.schedule(t.draft("Soon", &[&c])).await;
        assert!(said(&t, &["ops", "pauses"]).contains("Nothing is paused."));
        assert!(said(&t, &["ops", "pause", "all", "--why", "We move house."]).contains("for the whole installation"));
        let here = told(&t, &["ops", "pause", "network:mastodon", "--workspace", &t.workspace]);
        assert_eq!(here["wide"], false);
        let listed = told(&t, &["ops", "pauses"]);
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
        assert!(said(&t, &["ops", "resume", "all"]).contains("all goes on"));
        fails(&t, &["ops", "resume", "all"], 3, "`all` is not paused for the whole installation.");
        fails(&t, &["ops", "pause", "network:myspace"], 1, "nothing that can be paused");
        fails(&t, &["ops", "reset-circuit", "myspace"], 3, "no such circuit");
        assert!(said(&t, &["ops", "circuits"]).contains("every circuit is closed"));
        assert!(said(&t, &["ops", "drain", "send"]).contains("would be cancelled: 1 delivery;"));
        assert_eq!(t.post(&post.id).await.state.as_str(), "scheduled");
        assert_eq!(told(&t, &["ops", "drain", "send", "--go"])["count"], 1);
        assert_eq!(t.post(&post.id).await.state.as_str(), "cancelled");
        assert!(said(&t, &["ops", "drain", "send"]).contains("nothing to drain"));
        fails(&t, &["ops", "drain", "media"], 1, "`media` cannot be drained");
        told(&t, &["ops", "sweep"]);
        assert_eq!(told(&t, &["ops", "sweeps"])["items"][0]["cause"], "person");
        let actions: Vec<String> = told(&t, &["ops", "audit"])["items"].as_array().unwrap().iter().map(|i| i["action"].as_str().unwrap().to_owned()).collect();
        assert_eq!(actions.len(), 5, "{actions:?}");
        for action in ["pause.added", "pause.lifted", "queue.drained", "sweep.run"] {
            assert!(actions.iter().any(|a| a == action), "{action}: {actions:?}");
        }
        fails(&t, &["post", "list", "--state", "lost"], 1, "`lost` is no state of a post.");
        fails(&t, &["post", "list", "--from", "soon"], 1, "`soon` is no day or time.");
        fails(&t, &["media", "add", "/nowhere/at/all.png"], 1, "/nowhere/at/all.png cannot be read");
        fails(&t, &["media", "add", t.settings["CARILLON_DATA"].as_str()], 1, "it is no file");
        fails(&t, &["connection", "add", "mastodon"], 1, "credentials.accessToken");
        for command in ["dead-letters", "retry-failed", "drain", "pause", "resume"] {
            assert!(said(&t, &["ops", command, "--help"]).contains("Examples:"), "{command}");
        }
    }
}
