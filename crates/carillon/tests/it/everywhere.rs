//! Every network through the product: connected, published to once, taken down again, through
//! refusals and lost answers, and not one secret in all that is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use carillon::domain::delivery::DeliveryState as State;
use carillon::publishing::draft::DraftDelivery;
use carillon::publishing::rollback;
use carillon_networks::spec::{Kind, Placement};
use carillon_networks::{ALL, Network, SendClass};
use carillon_sandbox::{Calls, Trouble};

use crate::both;
use crate::support::{On, TestApp, to};

/// Where a post with nothing but pictures can go at this network.
fn place(network: &dyn Network) -> Option<&'static Placement> {
    network.spec().placements.iter().find(|p| p.follows.is_empty() && !p.media.types.is_empty())
}

/// The answers without which this placement takes nothing.
fn answers(placement: &Placement) -> BTreeMap<String, String> {
    let required = placement.options.iter().filter(|option| option.required).enumerate();
    let answer = |(i, kind): (usize, Kind)| match kind {
        Kind::Line { .. } => "Something".to_owned(),
        Kind::Lines { .. } => "Rye\nOats".to_owned(),
        Kind::Words { .. } => "bread, rye".to_owned(),
        Kind::Link => "https://example.com/bread".to_owned(),
        Kind::LocalTime => format!("2026-12-{:02}T09:30", i + 1),
        Kind::Flag => "true".to_owned(),
        Kind::OneOf { picks } => picks[0].value.to_owned(),
        Kind::Picture { .. } => panic!("no placement requires a picture as an option"),
    };
    required.map(|(i, option)| (option.key.to_owned(), answer((i, option.kind)))).collect()
}

async fn post(t: &TestApp, connection: &str, placement: &Placement, text: &str) -> String {
    let mut draft = t.draft(text, &[]);
    if placement.text.title_max.is_some() {
        draft.title = Some(format!("Open on Sunday, {text}"));
    }
    for _ in 0..placement.media.min {
        draft.media.push(t.upload().await);
    }
    draft.deliveries = vec![DraftDelivery {
        placement: Some(placement.id.to_owned()),
        options: Some(answers(placement)),
        ..to(connection)
    }];
    t.schedule(draft).await.deliveries[0].id.clone()
}

both! {
    async fn every_network_is_connected_published_to_once_and_taken_down(t: TestApp) {
        t.serve().await;
        let mut made = Vec::new();
        for &network in ALL {
            let id = network.spec().id;
            let connection = t.connect(id).await;
            let Some(placement) = place(network) else { continue };
            made.push((network, placement, post(&t, &connection, placement, &format!("Bread at {id}")).await));
        }
        t.pass(Duration::from_secs(7_200)).await;
        for (network, placement, delivery) in made {
            let (spec, d) = (network.spec(), t.delivery(&delivery).await);
            assert_eq!(d.state, State::Published, "{}: {d:?}", spec.id);
            assert_eq!(t.visible(spec.id).len(), 1, "{}", spec.id);
            let post = rollback::post(&t.app, &t.workspace, &d.post_id).await.expect("an answer");
            let gone = if spec.abilities.delete { "deleted" } else { "cannot_be_deleted" };
            assert_eq!(post.results[0].result, gone, "{}/{}", spec.id, placement.id);
            assert_eq!(t.visible(spec.id).is_empty(), spec.abilities.delete, "{}", spec.id);
        }
    }
}

/// All that a database file holds, as text.
fn everything(t: &TestApp) -> String {
    let file = std::path::Path::new(&t.settings["CARILLON_DATA"]).join("carillon.db");
    let look = rusqlite::Connection::open(file).expect("a second look at the file");
    let mut tables = look.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = String::new();
    for table in tables {
        let mut select = look.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).unwrap();
                all.push_str(&format!("{table}: {value:?}\n"));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_any_network_is_kept_in_the_clear() {
    let t = TestApp::new(On::Sqlite).await;
    t.serve().await;
    let mut secrets = BTreeSet::new();
    for &network in ALL {
        let spec = network.spec();
        let secret = |key: &str| spec.fields.iter().any(|field| field.secret && field.key == key);
        let own = t
            .fields(spec.id, "alice")
            .into_iter()
            .filter(|(key, value)| secret(key) && value.len() > 3);
        secrets.extend(own.map(|(_, value)| value));
        let connection = t.connect(spec.id).await;
        let Some(placement) = place(network) else { continue };
        let delivery = post(&t, &connection, placement, "Bread and trouble").await;
        for trouble in [Trouble::RateLimit, Trouble::ServerError, Trouble::Garbage, Trouble::Auth] {
            t.fault(spec.id, Calls::Publish, trouble);
        }
        t.pass(Duration::from_secs(7_200)).await;
        t.sandbox.clear_faults();
        let blind = placement.send == SendClass::Blind;
        let told = t.journal(&delivery).await;
        assert!(told.len() > 1 || blind, "{}: it met no trouble: {told:?}", spec.id);
    }
    assert!(secrets.len() > 3, "{secrets:?}");
    let all = everything(&t);
    assert!(all.contains("Bread and trouble"), "the posts are among what was read");
    for secret in &secrets {
        let line = all.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "`{secret}`");
    }
}
