//! What every network is held to, whatever it is: published once, found again, taken down, and
//! every failure with its class, its certainty and nothing secret in it. A new network is held to
//! all of it by standing in `ALL`; what is its own is tested in its own file.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use carillon_networks::http::{Guard, Http};
use carillon_networks::poll::OF_A_POLL;
use carillon_networks::spec::{Edit, Kind};
use carillon_networks::{
    ALL, Account, Applied, Class, Context, Error, Forgetful, Grant, Network, Polled, Prepared,
    Published, Remote, Rendition, ReplyTo, Secret, SendClass,
};
use carillon_sandbox::{Calls, Fault, Trouble};
use futures_util::future::join_all;

use crate::support::{Desk, hosted, jpeg, mp4, only, post};

/// Longest chain of "ask again later" before a test gives up.
const PATIENCE: usize = 60;

/// A network with an account of the sandbox.
pub(crate) struct Stand {
    pub(crate) desk: Desk,
    pub(crate) network: &'static dyn Network,
}

/// Runs for every network and placement that the suite can begin with.
async fn each<F: AsyncFn(Stand, Rendition, SendClass)>(test: F) {
    let one = async |network: &'static dyn Network| {
        for placement in network.spec().placements {
            let (stand, out) = Stand::at(network, placement.id).await;
            Box::pin(test(stand, out, placement.send)).await;
        }
    };
    // Beside each other, because some wait for a time limit.
    join_all(ALL.iter().map(|&network| Box::pin(one(network)))).await;
}

impl Stand {
    /// With a post that this placement takes.
    pub(crate) async fn at(network: &'static dyn Network, placement: &str) -> (Self, Rendition) {
        let stand = Self { desk: Desk::of(network).await, network };
        let out = stand.sample(placement, "first").await;
        (stand, out)
    }

    pub(crate) fn name(&self, out: &Rendition) -> String {
        format!("{}/{}", self.network.spec().id, out.placement)
    }

    /// A post that this placement takes; with what it follows, where it has to follow something.
    pub(crate) async fn sample(&self, placement: &str, key: &str) -> Rendition {
        let spec = self.network.spec();
        let place = spec.placement(placement).unwrap();
        let least = u8::try_from(place.media.min).unwrap();
        let film = place.media.types.is_empty();
        let make = |i| if film { mp4(1080, 1920, 20, 4_000) } else { jpeg(1080, 1080, i) };
        let at = |media| if place.media.pull { hosted(media) } else { media };
        let media = (0..least).map(|i| at(make(i))).collect();
        let text = if place.text.max == 0 { "" } else { "Fresh bread, from seven" };
        let mut out = Rendition { key: format!("key-{key}"), ..post(placement, text, media) };
        out.title = place.text.title_max.map(|_| "Open on Sunday".to_owned());
        let asked = place.options.iter().filter(|option| option.required).enumerate();
        out.extra =
            asked.map(|(i, option)| (option.key.to_owned(), answer(option.kind, i))).collect();
        if let Some(head) = place.follows.first() {
            let head = Box::pin(self.sample(head, &format!("{key}-head"))).await;
            let parent = self.send(&head).await;
            out.reply_to = Some(ReplyTo { root: parent.clone(), parent });
            self.forget();
        }
        out
    }

    async fn prepare(&self, out: &Rendition) {
        for _ in 0..PATIENCE {
            match self.network.prepare(&self.desk.cx(), out).await.unwrap() {
                Prepared::Ready => return,
                Prepared::Processing { again_in } => self.desk.pass(again_in),
            }
        }
        panic!("{} is never prepared", self.name(out));
    }

    /// Publishes, and waits until it is visible. Handles of another delivery are gone first.
    pub(crate) async fn send(&self, out: &Rendition) -> Remote {
        self.forget();
        self.prepare(out).await;
        self.publish(out).await
    }

    fn forget(&self) {
        self.desk.kept.all().keys().for_each(|name| self.desk.kept.lose(name));
    }

    async fn publish(&self, out: &Rendition) -> Remote {
        match self.network.publish(&self.desk.cx(), out).await {
            Ok(Published::Accepted(remote)) => remote,
            Ok(Published::Processing { again_in }) => {
                self.desk.pass(again_in);
                match self.settled(out).await {
                    Polled::Published(remote) => remote,
                    other => panic!("{}: {other:?}", self.name(out)),
                }
            }
            Err(e) => panic!("{}: {e:?}", self.name(out)),
        }
    }

    async fn settled(&self, out: &Rendition) -> Polled {
        for _ in 0..PATIENCE {
            match self.network.poll(&self.desk.cx(), out).await.unwrap() {
                Polled::Processing { again_in } => self.desk.pass(again_in),
                settled => return settled,
            }
        }
        panic!("{} is never settled", self.name(out));
    }

    /// How many of this text are visible.
    pub(crate) fn visible(&self, out: &Rendition) -> usize {
        let head = out.reply_to.as_ref().map(|to| to.parent.id.clone());
        self.desk.visible().iter().filter(|post| Some(&post.id) != head.as_ref()).count()
    }

    /// What the network can tell of a send in doubt.
    pub(crate) async fn found(&self, out: &Rendition, class: SendClass) -> Option<Vec<Remote>> {
        match class {
            SendClass::Handle => Some(match self.settled(out).await {
                Polled::Published(remote) => vec![remote],
                _ => vec![],
            }),
            SendClass::Blind => None,
            _ if !self.network.spec().abilities.read_back => None,
            _ => {
                let window = self.desk.window();
                Some(self.network.look_up(&self.desk.cx(), out, window).await.unwrap())
            }
        }
    }

    /// No word of an error, of what was kept, or of the sandbox's records holds a secret.
    pub(crate) fn no_secret_in(&self, what: &str) {
        let secrets = self.desk.account.secrets.lock().unwrap();
        for (key, secret) in secrets.iter().filter(|(_, s)| s.reveal().len() > 3) {
            assert!(!what.contains(secret.reveal()), "`{key}` is in {what}");
        }
    }
}

/// What somebody answers to the option at this place, later days to later ones.
fn answer(kind: Kind, at: usize) -> String {
    match kind {
        Kind::Line { .. } => "Something".to_owned(),
        Kind::Lines { min, .. } => (1..=min).map(|n| format!("Bread {n}\n")).collect(),
        Kind::Words { .. } => "bread, rye".to_owned(),
        Kind::Link => "https://example.com/bread".to_owned(),
        Kind::LocalTime => format!("2026-12-{:02}T09:30", at + 1),
        Kind::Flag => "true".to_owned(),
        Kind::OneOf { picks } => picks[0].value.to_owned(),
        Kind::Picture { .. } => panic!("the suite has no picture for an option"),
    }
}

/// An error as every network must put it.
pub(crate) fn is_well_put(error: &Error) {
    assert!(error.sentence.ends_with(['.', '?']), "{error:?}");
    assert!(!error.sentence.contains('\n') && error.sentence.len() < 600, "{error:?}");
    assert!(!error.sentence.contains(": ."), "an empty quotation: {error:?}");
}

#[tokio::test]
async fn every_placement_is_published_found_and_taken_down() {
    each(async |stand, out, class| {
        let name = stand.name(&out);
        let identity = stand.network.check(&stand.desk.cx()).await;
        let identity = identity.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert!(!identity.remote_id.is_empty() && !identity.name.is_empty(), "{name}");
        stand.no_secret_in(&format!("{identity:?}"));

        let remote = stand.send(&out).await;
        let seen = stand.desk.visible();
        let seen = seen.iter().find(|post| post.id == remote.id);
        let seen = seen.unwrap_or_else(|| panic!("{name}: {remote:?} is not visible"));
        // Stories show no text.
        let shown = out.placement == "story" || seen.text.contains(&out.text);
        assert!(shown, "{name}: {seen:?}");
        assert_eq!(stand.visible(&out), 1, "{name}");
        if let Some(found) = stand.found(&out, class).await {
            assert_eq!(only(&found).id, remote.id, "{name}");
        }
        if stand.network.spec().abilities.delete {
            for _ in 0..2 {
                let deleted = stand.network.delete(&stand.desk.cx(), &remote.id).await;
                deleted.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            }
            assert_eq!(stand.visible(&out), 0, "{name}");
        }
        stand.no_secret_in(&format!("{:?}", stand.desk.kept.all()));
        stand.no_secret_in(&format!("{:?}", stand.desk.sandbox.requests(stand.network.spec().id)));
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_is_a_doubt_that_looking_settles() {
    for trouble in [Trouble::ResetAfterAccept, Trouble::Garbage] {
        each(async |stand, out, class| {
            let name = stand.name(&out);
            stand.prepare(&out).await;
            stand.desk.fault(Calls::Publish, trouble);
            let error = stand.network.publish(&stand.desk.cx(), &out).await;
            let error = error.err().unwrap_or_else(|| panic!("{name}: {trouble:?} is an answer"));
            assert_eq!(error.applied, Applied::Maybe, "{name}: {error:?}");
            is_well_put(&error);
            stand.no_secret_in(&format!("{error:?}"));
            if let Some(found) = stand.found(&out, class).await {
                assert_eq!(found.len(), 1, "{name}: {trouble:?}");
            }
            if let SendClass::Keyed { .. } = class {
                stand.publish(&out).await;
            }
            assert_eq!(stand.visible(&out), 1, "{name}: {trouble:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn what_never_arrived_is_proven_absent_and_sent_again() {
    each(async |stand, out, class| {
        let name = stand.name(&out);
        stand.prepare(&out).await;
        stand.desk.fault(Calls::Publish, Trouble::ResetBeforeAccept);
        let error = stand.network.publish(&stand.desk.cx(), &out).await.unwrap_err();
        assert_eq!((error.class, error.applied), (Class::Unknown, Applied::Maybe), "{name}");
        if let Some(found) = stand.found(&out, class).await {
            assert_eq!(found, [], "{name}");
        }
        stand.publish(&out).await;
        assert_eq!(stand.visible(&out), 1, "{name}");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_has_its_class_and_changes_nothing() {
    each(async |stand, out, class| {
        let name = stand.name(&out);
        stand.prepare(&out).await;
        let all = [
            (Trouble::RateLimit, &[Class::RateLimit, Class::Quota][..], Applied::No),
            (Trouble::Auth, &[Class::Auth], Applied::No),
            (Trouble::ServerError, &[Class::Transient], Applied::Maybe),
            (Trouble::Slow, &[Class::Unknown], Applied::Maybe),
        ];
        for (trouble, classes, applied) in all {
            // A session that ended is begun anew by those that have one: once, not for ever.
            let times = if trouble == Trouble::Auth { 3 } else { 1 };
            let fault = Fault::new(stand.network.spec().id, Calls::Publish, trouble);
            stand.desk.sandbox.add_fault(fault.times(times));
            let slow = trouble == Trouble::Slow;
            let cx = stand.desk.cx_within(Duration::from_secs(if slow { 2 } else { 20 }));
            let error = stand.network.publish(&cx, &out).await.unwrap_err();
            assert!(classes.contains(&error.class), "{name}: {trouble:?}: {error:?}");
            // A refusal that is known to have changed nothing may say so.
            let sure = error.applied == Applied::No && trouble == Trouble::ServerError;
            assert!(error.applied == applied || sure, "{name}: {trouble:?}: {error:?}");
            is_well_put(&error);
            stand.no_secret_in(&format!("{error:?}"));
            stand.desk.sandbox.clear_faults();
        }
        // Only the slow one may have been applied.
        assert!(stand.visible(&out) <= 1, "{name}");
        if !matches!(class, SendClass::Blind) && stand.network.spec().abilities.read_back {
            for trouble in [Trouble::ServerError, Trouble::Garbage, Trouble::ResetBeforeAccept] {
                stand.desk.fault(Calls::Read, trouble);
                let (cx, window) = (stand.desk.cx(), stand.desk.window());
                let told = match class {
                    SendClass::Handle => stand.network.poll(&cx, &out).await.map(drop),
                    _ => stand.network.look_up(&cx, &out, window).await.map(drop),
                };
                let error = told.err();
                assert!(error.is_some(), "{name}: {trouble:?} is no answer and proves nothing");
                stand.desk.sandbox.clear_faults();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn wrong_and_missing_credentials_are_told_apart() {
    for &network in ALL {
        let spec = network.spec();
        // The address itself is the context's.
        for field in spec.fields.iter().filter(|f| f.required && f.key != "server") {
            let desk = Desk::of(network).await;
            let cx = |account| {
                let (http, base, keeper) = desk.parts();
                let second = Duration::from_secs(5);
                Context::new(http, account, base, desk.now(), second, Default::default(), keeper)
            };
            let without = desk.without(field.key);
            let error = network.check(&cx(&without)).await.unwrap_err();
            let name = format!("{} without {}", spec.id, field.key);
            assert_eq!((error.class, error.applied), (Class::Config, Applied::No), "{name}");
            is_well_put(&error);
            if field.secret {
                let wrong = desk.with(field.key, "n0-such-s3cret");
                let error = network.check(&cx(&wrong)).await;
                let name = format!("{} with a wrong {}", spec.id, field.key);
                let error = error.err().unwrap_or_else(|| panic!("{name} is taken"));
                assert!(matches!(error.class, Class::Auth | Class::Config), "{name}: {error:?}");
                assert_eq!(error.applied, Applied::No, "{name}: {error:?}");
                assert!(!format!("{error:?}").contains("n0-such-s3cret"), "{name}: {error:?}");
            }
        }
    }
}

/// A server that sends everybody elsewhere, until the test ends.
fn elsewhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok() {
                let answer = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\n\
                              content-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer.as_bytes()).ok();
            }
        }
    });
    base
}

#[tokio::test]
async fn redirects_and_private_addresses_are_refused() {
    let base = elsewhere();
    let host = base.trim_start_matches("http://").to_owned();
    for &network in
        ALL.iter().filter(|n| n.spec().base_url.starts_with("http") || n.spec().base_url.is_empty())
    {
        let name = network.spec().id;
        let desk = Desk::of(network).await;
        let moved = desk.elsewhere(&base);
        let ask = async |http: &Http, base: &str, account: &Account| {
            let checkpoints = Default::default();
            let cx = Context::new(
                http,
                account,
                base,
                desk.now(),
                Duration::from_secs(5),
                checkpoints,
                &Forgetful,
            );
            network.check(&cx).await.unwrap_err()
        };
        let error = ask(&Http::new(Guard::allowing([host.clone()])), &base, &moved).await;
        assert_eq!(error.applied, Applied::No, "{name}: {error:?}");
        assert_ne!(error.code.as_deref(), Some("address_refused"), "{name} follows redirects");
        for private in
            ["http://127.0.0.1:9", "http://10.0.0.1", "http://[::1]", "http://169.254.169.254"]
        {
            let moved = desk.elsewhere(private);
            let error = ask(&Http::new(Guard::default()), private, &moved).await;
            assert_eq!(error.code.as_deref(), Some("address_refused"), "{name}: {error:?}");
        }
    }
}

/// A network's answer as it was recorded or documented, and what it means.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recorded {
    /// What happened, in a few words.
    when: String,
    status: u16,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    /// JSON, or a string for any other body.
    body: serde_json::Value,
    class: Class,
    /// Certain that nothing was applied, unless it says `maybe`.
    #[serde(default)]
    applied: Option<Applied>,
    /// Seconds that the network asks for.
    #[serde(default)]
    retry_after: Option<f64>,
}

#[test]
fn every_recorded_error_has_its_class_a_sentence_and_an_action() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/errors");
    let (mut count, mut sentences) = (0, BTreeSet::new());
    for &network in ALL {
        let name = network.spec().id;
        let text = std::fs::read_to_string(format!("{folder}/{name}.json"));
        let text = text.unwrap_or_else(|e| panic!("{name} has no recorded errors: {e}"));
        let all: Vec<Recorded> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(all.len() >= 8, "{name} has {} recorded errors", all.len());
        for recorded in all {
            let what = format!("{name}: {}", recorded.when);
            let reply = reply(&recorded);
            let error = network.parse_error(&reply);
            assert_eq!(error.class, recorded.class, "{what}: {error:?}");
            let applied = recorded.applied.unwrap_or(match recorded.class {
                Class::Transient if recorded.status >= 500 => Applied::Maybe,
                _ => Applied::No,
            });
            assert_eq!(error.applied, applied, "{what}: {error:?}");
            let wait = error.retry_after.map(|wait| wait.as_secs_f64());
            if let Some(asked) = recorded.retry_after {
                let wait = wait.unwrap_or_else(|| panic!("{what} names no time: {error:?}"));
                assert!((wait - asked).abs() < 1.0, "{what}: {wait} is not {asked}");
            }
            assert_ne!(error.class, Class::Unknown, "{what}");
            is_well_put(&error);
            assert!(!error.action.sentence().is_empty(), "{what}");
            sentences.insert(format!("{name} {}", error.sentence));
            count += 1;
        }
    }
    println!("{count} recorded errors, {} sentences", sentences.len());
}

fn reply(recorded: &Recorded) -> carillon_networks::http::Reply {
    let body = match &recorded.body {
        serde_json::Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    let pairs = recorded.headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()));
    carillon_networks::http::Reply {
        status: recorded.status.try_into().unwrap(),
        headers: pairs.collect(),
        body: body.into(),
    }
}

#[test]
fn every_spec_makes_sense() {
    let mut ids = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for network in ALL {
        let spec = network.spec();
        assert!(ids.insert(spec.id) && codes.insert(spec.code), "{} is not unique", spec.id);
        assert_eq!(spec.code.len(), 2, "{}", spec.id);
        assert!(spec.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        assert!(spec.placements.first().is_some_and(|p| p.stands_alone()), "{}", spec.id);
        for place in spec.placements {
            let name = format!("{}/{}", spec.id, place.id);
            assert!(place.media.min <= place.media.max, "{name}");
            let types = !place.media.types.is_empty() || place.media.video.is_some();
            assert!(place.media.max == 0 || types, "{name}");
            assert!(place.follows.iter().all(|id| spec.placement(id).is_some()), "{name}");
            // What can go on in a thread or take a first comment is read off these two names.
            let follows = matches!(place.id, "reply" | "comment");
            assert_eq!(follows, !place.follows.is_empty(), "{name}");
            if let SendClass::Readable { .. } = place.send {
                assert!(spec.abilities.read_back, "{name} is looked up and cannot be read");
            }
            assert!(spec.abilities.alt_text || place.media.alt_max == 0, "{name}");
            assert!(place.edit == Edit::No || place.text.max > 0, "{name} has no text to change");
            let titled = place.edit != Edit::TitleAndText || place.text.title_max.is_some();
            assert!(titled, "{name} has no title to change");
            let metrics: BTreeSet<_> = place.measures.iter().collect();
            assert_eq!(metrics.len(), place.measures.len(), "{name} measures one thing twice");
            assert!(place.measures.is_sorted(), "{name} measures in another order than others");
            let mut keys = BTreeSet::new();
            for option in place.options {
                let name = format!("{name} {}", option.key);
                assert!(keys.insert(option.key), "{name} is not unique");
                assert!(option.help.ends_with('.') && !option.label.is_empty(), "{name}");
                if let Kind::OneOf { picks } = option.kind {
                    assert!(picks.len() > 1, "{name}");
                }
                if let Kind::Lines { min, max, chars } = option.kind {
                    assert!(0 < min && min < max && chars > 0, "{name}");
                }
            }
            let polled = OF_A_POLL.iter().all(|key| place.polls() || !keys.contains(key));
            assert!(polled, "{name} asks of a poll and takes none");
            assert!(place.polls() || place.text.question_max.is_none(), "{name} has no question");
        }
        for budget in spec.budgets {
            let known = budget.of.iter().all(|id| spec.placement(id).is_some());
            let counts = spec.placements.iter().any(|p| budget.counts(p));
            assert!(known && counts && budget.posts > 0, "{}: {budget:?}", spec.id);
        }
        if let Some(oauth) = &spec.oauth {
            assert!(!oauth.guide.is_empty(), "{} has no guide for its app", spec.id);
            let filled = ["accessToken"].iter().all(|k| spec.fields.iter().any(|f| f.key == *k));
            assert!(filled, "{} has no field for what a consent brings", spec.id);
        }
        for field in spec.fields {
            assert!(
                field.help.ends_with('.') && !field.label.is_empty(),
                "{} {}",
                spec.id,
                field.key
            );
        }
    }
}

/// The code of a call that a SPEC does not declare.
const UNSUPPORTED: Option<&str> = Some("unsupported");

#[tokio::test]
async fn what_is_declared_is_there_and_nothing_else() {
    for &network in ALL {
        let (spec, desk) = (network.spec(), Desk::of(network).await);
        let declared = |what: &str, declared: bool, said: Option<Error>| {
            let there = said.and_then(|e| e.code).as_deref() != UNSUPPORTED;
            assert_eq!(there, declared, "{}: {what} is declared or there, not both", spec.id);
        };
        let cx = desk.cx();
        declared("delete", spec.abilities.delete, network.delete(&cx, "1").await.err());
        let has = |class: fn(SendClass) -> bool| spec.placements.iter().any(|p| class(p.send));
        let out = post(spec.placements[0].id, "Never sent", vec![]);
        declared("edit", spec.can().edit, network.edit(&cx, "1", &out).await.err());
        for place in spec.placements {
            let measured = network.measure(&cx, place, "1").await.err();
            declared("measure", !place.measures.is_empty(), measured);
        }
        let handle = has(|class| matches!(class, SendClass::Handle));
        // Others may have one as well, for what is processed after it was taken.
        if handle {
            declared("poll", true, network.poll(&cx, &out).await.err());
        }
        // Whoever sends with a key that holds for ever need not look.
        let keyed = has(|class| matches!(class, SendClass::Keyed { .. }));
        let listed = has(|class| matches!(class, SendClass::Readable { .. }));
        let read_back = spec.abilities.read_back;
        if listed || (read_back && !handle) || (!read_back && !keyed) {
            let looked = network.look_up(&cx, &out, desk.window()).await;
            declared("look_up", read_back, looked.err());
        }
        let grant = Grant {
            code: Secret::new("no-such-code"),
            redirect_uri: "https://carillon.example/back".to_owned(),
            verifier: Secret::new("verifier"),
        };
        declared("a consent page", spec.oauth.is_some(), network.exchange(&cx, &grant).await.err());
    }
}
