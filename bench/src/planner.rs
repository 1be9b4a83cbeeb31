//! A month of 5,000 posts in the planner, in a real browser, beside a page of React and FullCalendar
//! with the same posts; and how long the server takes to tell that month. The browser's part is
//! web/tests/measure/planner.mjs, which says a line of JSON a round.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use carillon::domain::when;
use serde_json::Value;

use crate::machine;
use crate::measure;
use crate::report::grouped;
use crate::stage::Cluster;

const PAGES: [(&str, &str); 2] = [("Carillon", "ours"), ("React and FullCalendar", "peer")];

/// Measures and gives the table as Markdown.
pub(crate) fn drive(rounds: usize, quick: bool) -> Result<String> {
    let posts = if quick { 200 } else { 5_000 };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cluster = Cluster::start().context("PostgreSQL did not start")?;
    cluster.create("planner")?;
    let (sqlite, postgres) = (
        measured(posts, rounds, "ours,peer", None)?,
        measured(posts, rounds, "none", Some(cluster.url_of("planner")))?,
    );
    let mut text = format!(
        "### The planner\n\nA month of {} posts of two deliveries in Chromium with its processor slowed four times, first visit: until it is painted (LCP), what \
         moves by itself (CLS), and the slowest answer to a click or key (INP): a post opened and closed, a day's list too, the week and back, the next month and \
         back. JavaScript until the calendar stands, as it is sent.\n\n\
         | page | wide: LCP ms | CLS | INP ms | phone: LCP ms | CLS | INP ms | JS KB |\n|---|---|---|---|---|---|---|---|\n",
        grouped(posts as f64)
    );
    for (name, who) in PAGES {
        let of = |size: &str, key: &str| {
            let lines = sqlite.iter().filter(|l| l["who"] == who && l["size"] == size);
            let mut values: Vec<f64> = lines.filter_map(|l| l[key].as_f64()).collect();
            measure::quantile(&mut values, 0.5)
        };
        let cells: String = ["wide", "phone"]
            .map(|size| {
                let (lcp, cls, inp) = (of(size, "lcp"), of(size, "cls"), of(size, "inp"));
                format!("{lcp:.0} | {cls:.3} | {inp:.0} | ")
            })
            .concat();
        text.push_str(&format!("| {name} | {cells}{:.0} |\n", of("wide", "js")));
    }
    text.push_str("\n| the month from the API | p50 ms | p99 ms |\n|---|---|---|\n");
    for (name, lines) in [("SQLite", &sqlite), ("PostgreSQL", &postgres)] {
        let mut times: Vec<f64> = lines
            .iter()
            .filter_map(|l| l["api"].as_array())
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        ensure!(!times.is_empty(), "nobody asked the server");
        text.push_str(&format!(
            "| {name} | {:.1} | {:.1} |\n",
            measure::quantile(&mut times, 0.5),
            measure::quantile(&mut times, 0.99)
        ));
    }
    let mut words = machine::bare()?;
    for (package, name) in [("react", "React"), ("@fullcalendar/react", "FullCalendar")] {
        words.push(format!("{name} {}", machine::version("planner", package)?));
    }
    let now = when::iso(measure::epoch_ms() as i64);
    let quick = if quick {
        " **A quick run: it shows that everything works, not how fast it is.**"
    } else {
        ""
    };
    Ok(format!(
        "{text}\n{}, medians of {rounds} rounds, {}; load before the run {}.{quick}\n",
        now.split('T').next().unwrap_or_default(),
        words.join(", "),
        load.split(' ').next().unwrap_or("?")
    ))
}

fn measured(
    posts: usize,
    rounds: usize,
    pages: &str,
    database: Option<String>,
) -> Result<Vec<Value>> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web");
    let mut command = Command::new("node");
    command
        .current_dir(web)
        .args(["tests/measure/planner.mjs", "--pages", pages])
        .args(["--posts", &posts.to_string(), "--rounds", &rounds.to_string()])
        .env("CARILLON_BIN", std::env::current_exe()?.with_file_name("carillon"))
        .envs(database.map(|url| ("CARILLON_DATABASE", url)))
        .stderr(Stdio::inherit());
    let ended = command.output().context("node does not start")?;
    let said = String::from_utf8(ended.stdout)?;
    eprint!("{said}");
    ensure!(ended.status.success(), "the browser's part failed; its own message is above");
    said.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
