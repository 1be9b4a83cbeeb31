//! A library of 100,000 media, searched as the media page and the composer search it, each question
//! for the first page of fifty. Words come as words do: a few everywhere, most of them rarely.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use carillon::media::finding::{self, Asked, Sort};
use carillon::store::accounts::{self, Workspace};
use carillon::store::media::{self, Media, MediaState};
use carillon::{App, ids};

use super::set::Random;
use crate::measure;
use crate::shipped;
use crate::stage::Cluster;

const MEDIA: usize = 100_000;
const VOCABULARY: usize = 5_000;
const TAGS: usize = 40;
const PAGE: usize = 50;
/// Media that are written in one transaction.
const LOT: usize = 1_000;

/// A kind of question.
type Question = (&'static str, fn(&mut Words) -> Asked);

const QUESTIONS: [Question; 8] = [
    ("a word", |w| search(&[w.any()])),
    ("three letters", |w| search(&[w.any()[..3].to_owned()])),
    ("two words", |w| search(&[w.any(), w.any()])),
    ("two words that are everywhere", |w| search(&[w.common(), w.common()])),
    ("two letters, and two more", |w| search(&[w.any()[..2].to_owned(), w.any()[..2].to_owned()])),
    ("a word of no medium", |_| search(&["zzzzz".to_owned()])),
    ("a tag and a word", |w| Asked { tags: vec![w.tag()], ..search(&[w.any()]) }),
    ("a word, pictures without a description", |w| Asked {
        missing_alt: true,
        kind: Some(Sort::Picture),
        ..search(&[w.any()])
    }),
];

fn search(words: &[String]) -> Asked {
    Asked { search: words.join(" "), ..Asked::default() }
}

pub(super) fn drive(rounds: usize, quick: bool) -> Result<String> {
    let (count, asked) = if quick { (5_000, 20) } else { (MEDIA, 200) };
    let cluster = Cluster::start().context("PostgreSQL did not start")?;
    cluster.create("library")?;
    let databases = [("SQLite", None), ("PostgreSQL", Some(cluster.url_of("library")))];
    let mut columns = Vec::new();
    for (name, database) in databases {
        let times = searched(database, count, asked * rounds)?;
        eprintln!("{{\"library\":{name:?}, {times:?}}}");
        columns.push((name, times));
    }
    let mut text = format!(
        "### A library\n\n{} media with names, descriptions and tags; the first {PAGE} that a question finds, newest first, {} questions of each kind. \
         p50 / p99, ms.\n\n| question | {} |\n|{}\n",
        crate::report::grouped(count as f64),
        asked * rounds,
        columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | "),
        "---|".repeat(columns.len() + 1)
    );
    for question in QUESTIONS.iter().map(|(name, _)| *name).chain(["all of them"]) {
        let cells = columns.iter().map(|(_, times)| {
            let mut of: Vec<f64> = match times.get(question) {
                Some(times) => times.clone(),
                None => times.values().flatten().copied().collect(),
            };
            format!(
                "{:.1} / {:.1}",
                measure::quantile(&mut of, 0.5),
                measure::quantile(&mut of, 0.99)
            )
        });
        text.push_str(&format!("| {question} | {} |\n", cells.collect::<Vec<_>>().join(" | ")));
    }
    Ok(text)
}

/// ms of each question, by its kind.
#[tokio::main]
async fn searched(
    database: Option<String>,
    count: usize,
    asked: usize,
) -> Result<BTreeMap<&'static str, Vec<f64>>> {
    let folder = tempfile::tempdir()?;
    let mut settings =
        BTreeMap::from([("CARILLON_DATA".to_owned(), folder.path().display().to_string())]);
    settings.extend(database.clone().map(|url| ("CARILLON_DATABASE".to_owned(), url)));
    let app = shipped::open(&settings).await?;
    let mut words = Words(Random(7));
    let workspace = fill(&app, &mut words, count).await?;
    match database {
        None => app.db.write(|tx| async move { tx.script("ANALYZE").await }).await?,
        Some(url) => tidied(&url).await?,
    }
    let mut times: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for _ in 0..asked {
        for (name, question) in QUESTIONS {
            let question = question(&mut words);
            let begun = measure::now();
            finding::list(&app, &workspace, &question, None, PAGE).await?;
            times.entry(name).or_default().push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(times)
}

async fn fill(app: &App, words: &mut Words, count: usize) -> Result<String> {
    let now = app.clock.now();
    let workspace = ids::new(now);
    let w = Workspace {
        id: workspace.clone(),
        name: "bench".into(),
        timezone: "UTC".into(),
        demo_at: None,
    };
    app.db.write(move |tx| async move { accounts::add_workspace(&tx, &w, now).await }).await?;
    let all: Vec<Media> = (0..count).map(|_| words.medium(&workspace, now)).collect();
    for lot in all.chunks(LOT) {
        let lot = lot.to_vec();
        let written = app.db.write(move |tx| async move {
            for m in &lot {
                media::add(&tx, m).await?;
                media::describe(&tx, m, now).await?;
            }
            Ok::<_, carillon::db::Error>(())
        });
        written.await?;
    }
    let indexed = finding::index_all(app).await?;
    ensure!(indexed == count, "{indexed} of {count} media are in the index");
    Ok(workspace)
}

/// As PostgreSQL's own cleaner leaves it within minutes of so many new rows.
async fn tidied(url: &str) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let served = tokio::spawn(connection);
    client.batch_execute("VACUUM ANALYZE").await?;
    drop(client);
    Ok(served.await??)
}

struct Words(Random);

impl Words {
    /// The one of this number: two to four syllables.
    fn word(mut number: usize) -> String {
        const SYLLABLES: [&str; 20] = [
            "ha", "ro", "mi", "tel", "son", "ke", "bra", "lu", "der", "ni", "po", "sta", "gen",
            "wi", "ma", "tor", "fe", "lan", "qui", "ves",
        ];
        let mut word = String::new();
        number += SYLLABLES.len();
        while number > 0 {
            word.push_str(SYLLABLES[number % SYLLABLES.len()]);
            number /= SYLLABLES.len();
        }
        word
    }

    /// One as they come: the tenth word a tenth as often as the first.
    fn any(&mut self) -> String {
        let rank = (VOCABULARY as f32).powf(self.0.unit());
        Self::word(rank as usize)
    }

    fn common(&mut self) -> String {
        Self::word(1 + self.0.below(10))
    }

    fn tag(&mut self) -> String {
        Self::word(VOCABULARY + self.0.below(TAGS))
    }

    fn some(&mut self, count: usize) -> String {
        (0..count).map(|_| self.any()).collect::<Vec<_>>().join(" ")
    }

    fn medium(&mut self, workspace: &str, now: i64) -> Media {
        let described = self.0.below(10) < 8;
        let tags: std::collections::BTreeSet<String> =
            (0..self.0.below(4)).map(|_| self.tag()).collect();
        let tags = match tags.is_empty() {
            true => String::new(),
            false => format!(" {} ", tags.into_iter().collect::<Vec<_>>().join(" ")),
        };
        let film = self.0.below(20) == 0;
        Media {
            id: ids::new(now),
            workspace_id: workspace.to_owned(),
            name: format!("{}.jpg", self.some(3)),
            alt: if described { self.some(8) } else { String::new() },
            content_type: if film { "video/mp4" } else { "image/jpeg" }.to_owned(),
            bytes: 3_000_000,
            width: 4_000,
            height: 3_000,
            sha256: ids::secret(),
            state: MediaState::Pending,
            problem: None,
            facts: None,
            cut: Default::default(),
            frame: Default::default(),
            tags,
            words: String::new(),
            version: 1,
            created_at: now,
            deleted_at: None,
        }
    }
}
