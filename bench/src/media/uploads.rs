//! Pictures sent to the shipped server while it publishes and cuts those that came before: from the
//! first byte to the answer, by the server's REST API.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{median, set};
use crate::measure;
use crate::shipped::Shipped;
use crate::stage::Cluster;

/// Texts that are due each second.
const POSTS: usize = 50;
/// ms between two uploads, whatever becomes of them.
const GAP: u64 = 500;
const NETWORK_MS: u64 = 50;
/// The photo has a little more than the 5 MB that are taken by default.
const LARGEST: usize = 8_000_000;

#[derive(Debug)]
struct Seen {
    half: f64,
    nearly: f64,
    most: f64,
    late: f64,
    peak: f64,
}

pub(super) fn drive(rounds: usize, quick: bool) -> Result<String> {
    let data = std::fs::read(set::large()?)?;
    let seconds = if quick { 5 } else { 40 };
    let binary = std::env::current_exe()?.with_file_name("carillon");
    let cluster = Cluster::start().context("PostgreSQL did not start")?;
    let mut rows = vec![("SQLite", None, Vec::new()), ("PostgreSQL", Some(&cluster), Vec::new())];
    for round in 1..=rounds {
        for (name, cluster, seen) in &mut rows {
            let one = match cluster {
                None => load(&binary, &data, seconds, None)?,
                Some(cluster) => {
                    cluster.create("uploads")?;
                    let one = load(&binary, &data, seconds, Some(cluster.url_of("uploads")));
                    cluster.drop("uploads")?;
                    one?
                }
            };
            eprintln!("{{\"uploads\":{name:?},\"round\":{round}, {one:?}}}");
            seen.push(one);
        }
    }
    let mut text = format!(
        "### Uploads\n\n`carillon serve`, {} uploads a second for {seconds} s of a 12 MP photo with {:.1} MB, each cut for the networks meanwhile, \
         beside {POSTS} deliveries a second to a network of {NETWORK_MS} ms. From the first byte to the answer.\n\n\
         | server | p50 / p95 / worst, ms | deliveries p99 late, ms | peak MB |\n|---|---|---|---|\n",
        1_000 / GAP,
        data.len() as f64 / 1e6
    );
    for (name, _, seen) in &rows {
        let of = |value: fn(&Seen) -> f64| median(seen.iter().map(value));
        text.push_str(&format!(
            "| {name} | {:.0} / {:.0} / {:.0} | {:.0} | {:.0} |\n",
            of(|s| s.half),
            of(|s| s.nearly),
            seen.iter().map(|s| s.most).fold(0.0, f64::max),
            of(|s| s.late),
            of(|s| s.peak),
        ));
    }
    Ok(text)
}

#[tokio::main]
async fn load(binary: &Path, data: &[u8], seconds: u64, database: Option<String>) -> Result<Seen> {
    let shipped =
        Shipped::open(binary, NETWORK_MS, database, &[("CARILLON_IMAGE_MAX", LARGEST)]).await?;
    let targets = shipped.connect(POSTS).await?;
    let begins = shipped.now() + 3_000 + seconds as i64 * 100;
    let ends = begins + seconds as i64 * 1_000;
    for second in 0..seconds as i64 {
        shipped.schedule(begins + second * 1_000, &targets).await?;
    }
    let (server, url) = shipped.serve()?;
    ensure!(shipped.now() < begins, "seeding took longer than until the load begins");
    let http = reqwest::Client::new();
    let body = bytes::Bytes::copy_from_slice(data);
    let mut tasks = tokio::task::JoinSet::new();
    tokio::time::sleep(Duration::from_millis((begins - shipped.now()).max(0) as u64)).await;
    let mut beat = tokio::time::interval(Duration::from_millis(GAP));
    for number in 0..seconds * 1_000 / GAP {
        beat.tick().await;
        let asked = http
            .post(format!("{url}/api/v1/media?name=photo-{number}.jpg"))
            .bearer_auth(&shipped.key)
            .body(body.clone());
        tasks.spawn(async move {
            let begun = measure::now();
            let answer = asked.send().await?;
            let status = answer.status();
            let said = answer.text().await?;
            ensure!(status == 201, "an upload is refused: {status} {said}");
            Ok(begun.elapsed().as_secs_f64() * 1e3)
        });
    }
    let mut times = tasks.join_all().await.into_iter().collect::<Result<Vec<f64>>>()?;
    let total = targets.len() * seconds as usize;
    let mut late = loop {
        let late = shipped.late(begins, ends).await?;
        if late.len() == total {
            break late;
        }
        ensure!(shipped.now() < ends + 60_000, "{} of {total} went out", late.len());
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    Ok(Seen {
        half: measure::quantile(&mut times, 0.50),
        nearly: measure::quantile(&mut times, 0.95),
        most: measure::quantile(&mut times, 1.0),
        late: measure::quantile(&mut late, 0.99),
        peak: measure::memory(server.id())?.1,
    })
}
