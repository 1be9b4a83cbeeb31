//! What is exported, deleted and imported again is the same.

use carillon::planning::export::{self, ExportFormat, Query};
use carillon::planning::import::Options;
use carillon::publishing::schedule::{self, Draft, DraftDelivery, Part, Parts};
use carillon::publishing::view::PostView;
use carillon::store::audit::OPERATOR;
use futures_util::StreamExt;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{all, imported, scheduled};
use crate::both;
use crate::support::{TestApp, to};

async fn export(t: &TestApp, query: Query, format: ExportFormat) -> String {
    let pieces = export::export(&t.app, &t.workspace, query, format, OPERATOR).await.unwrap();
    let pieces: Vec<_> = pieces.collect().await;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|p| p.unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

/// Everything that a person chose about a post.
fn chosen(p: &PostView) -> Value {
    let deliveries: Vec<Value> = p
        .deliveries
        .iter()
        .map(|d| {
            json!({ "connection": d.connection_id, "placement": d.placement, "text": d.text,
                "options": d.options, "at": d.scheduled_at, "position": d.position, "follows": d.parent_id.is_some() })
        })
        .collect();
    let media: Vec<&str> = p.media.iter().map(|m| m.id.as_str()).collect();
    json!({ "text": p.text, "title": p.title, "media": media, "state": p.state, "at": p.scheduled_at,
        "zone": p.timezone, "thread": p.thread, "deliveries": deliveries })
}

async fn chosen_of_all(t: &TestApp) -> Vec<String> {
    let mut found: Vec<String> = all(t).await.iter().map(|p| chosen(p).to_string()).collect();
    found.sort();
    found
}

fn odd_texts(n: usize) -> Vec<String> {
    let pieces = [
        "=1+1",
        "+44 20",
        "-5",
        "@anchor",
        "'quoted'",
        "''",
        "\"",
        "\"\"",
        ",",
        ";",
        "\t",
        "\n",
        "\r\n",
        "\r",
        " ",
        "  ",
        "👩‍🍳",
        "🇬🇧",
        "שלום",
        "مرحبا",
        "\u{202e}",
        "é",
        "e\u{301}",
        "\\",
        "{}",
        "[\"a\"]",
        "x",
        "null",
        "\u{feff}",
        "a|b",
    ];
    let piece = proptest::sample::select(pieces.to_vec());
    let odd = proptest::collection::vec(
        proptest::prop_oneof![3 => piece.prop_map(str::to_owned), 1 => "\\PC{1,12}"],
        1..8,
    );
    let mut runner = TestRunner::deterministic();
    let mut next = || odd.new_tree(&mut runner).unwrap().current().concat();
    (0..n).map(|i| format!("{}{i}", next())).collect()
}

both! {
    async fn odd_posts_come_back_as_they_were(t: TestApp) {
        let (mastodon, telegram) = (t.connect("mastodon").await, t.connect("telegram").await);
        let picture = t.upload().await;
        let texts = odd_texts(120);
        for (i, text) in texts.iter().enumerate() {
            let other = texts[(i + 7) % texts.len()].clone();
            let dated = i % 3 != 0;
            let draft = Draft {
                text: text.clone(),
                title: (i % 4 == 0).then(|| other.clone()),
                media: if i % 5 == 0 { vec![picture.clone()] } else { Vec::new() },
                scheduled_at: dated.then(|| format!("2027-0{}-1{}T0{}:30", i % 9 + 1, i % 7, i % 8)),
                timezone: Some(["Europe/London", "America/New_York", "Asia/Kolkata"][i % 3].into()),
                draft: i % 2 == 0 || !dated,
                allow_collision: true,
                allow_duplicate: true,
                thread: if i % 6 == 1 { vec![Part { text: other.clone(), media: Vec::new() }] } else { Vec::new() },
                deliveries: match i % 4 {
                    0 => vec![],
                    1 => vec![to(&mastodon)],
                    2 => vec![to(&mastodon), DraftDelivery { thread: Some(Parts::FIRST), ..to(&telegram) }],
                    _ => vec![DraftDelivery { text: Some(other), scheduled_at: Some("2027-05-05T05:05:00Z".into()), ..to(&telegram) }],
                },
                by: None,
            };
            let draft = if draft.deliveries.is_empty() { Draft { draft: true, ..draft } } else { draft };
            let draft = if i % 4 == 3 { Draft { thread: Vec::new(), ..draft } } else { draft };
            schedule::create(&t.app, &t.workspace, draft, None).await.unwrap_or_else(|e| panic!("{i}: {e:?}"));
        }
        let before = chosen_of_all(&t).await;
        assert_eq!(before.len(), 120);
        for format in [ExportFormat::Csv, ExportFormat::Json] {
            let file = export(&t, Query::default(), format).await;
            assert_eq!(file, export(&t, Query::default(), format).await);
            for post in all(&t).await {
                schedule::delete(&t.app, &t.workspace, &post.id, OPERATOR).await.unwrap();
            }
            let options = Options { allow_collision: true, allow_duplicate: true, ..scheduled() };
            let done = imported(&t, &file, options).await.unwrap();
            let wrong: Vec<_> = done.rows.iter().filter(|r| r.notes.iter().any(|n| !n.warning)).collect();
            assert!(wrong.is_empty(), "{wrong:#?}");
            assert_eq!((done.format.as_str(), done.made), (format.as_str(), 120));
            assert_eq!(chosen_of_all(&t).await, before, "{format}");
        }
    }

    async fn an_export_holds_what_is_asked_for(t: TestApp) {
        let (mastodon, bluesky) = (t.connect("mastodon").await, t.connect("bluesky").await);
        t.schedule(t.draft("=HYPERLINK(1)", &[&mastodon])).await;
        t.schedule(t.draft("Two", &[&bluesky])).await;
        t.schedule(Draft { draft: true, scheduled_at: None, ..t.draft("Three", &[&mastodon]) }).await;
        let csv = export(&t, Query::default(), ExportFormat::Csv).await;
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "\u{feff}text,scheduledAt,timezone,connections,media,alt,firstComment,title,link,state,thread,deliveries");
        assert!(lines[1].starts_with("'=HYPERLINK(1),2026-11-23T08:10:00,Europe/London,alice at mastodon,"), "{}", lines[1]);
        let only = Query { connection: Some("mastodon".into()), ..Query::default() };
        let found: Value = serde_json::from_str(&export(&t, only, ExportFormat::Json).await).unwrap();
        assert_eq!(found.as_array().unwrap().len(), 2);
        let drafts = Query { state: Some(carillon::domain::post::PostState::Draft), ..Query::default() };
        let found: Value = serde_json::from_str(&export(&t, drafts, ExportFormat::Json).await).unwrap();
        assert_eq!((found[0]["text"].as_str(), found.as_array().unwrap().len()), (Some("Three"), 1));
        let none = Query { to: Some(1), ..Query::default() };
        assert_eq!(export(&t, none, ExportFormat::Json).await, "[\n]\n");
        let unknown = Query { connection: Some("nobody".into()), ..Query::default() };
        let e = export::export(&t.app, &t.workspace, unknown, ExportFormat::Csv, OPERATOR).await.err().unwrap();
        assert_eq!(e.problems[0].field, "connection");
    }
}
