//! The command line: one file a command. `--json` everywhere, errors end with a `hint:` line.
//!
//! Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 not found, 4 conflict, 5 not
//! available at the moment.

mod app;
mod bulk;
mod campaign;
mod config;
mod connection;
mod delivery;
mod demo;
mod doctor;
mod drafts;
mod keys;
mod library;
mod media;
mod moving;
mod ops;
mod post;
mod review;
mod sandbox;
mod seat;
mod series;
mod serve;
mod snippet;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::db;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::when;
use crate::store::accounts::{self, Workspace};

/// Carillon: every post goes out once, on time, or you know why and what to do.
#[derive(Debug, Parser)]
#[command(
    name = "carillon",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  carillon serve --demo                      a working demo, nothing to configure\n  carillon post list --from 2026-11-01       what goes out\n  carillon ops sweep                         free what a dead worker held\n\nSettings come from the environment: `carillon config print` shows them all."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Folder for the SQLite file, media and keys [env: CARILLON_DATA] [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// postgres://… or the path of a SQLite file [env: CARILLON_DATABASE]
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// The workspace to act in, where there are several
    #[arg(long, global = true, value_name = "ID")]
    workspace: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve web and API, and work: everything in one process
    #[command(after_help = serve::EXAMPLES)]
    Serve(serve::Serve),
    /// Work only: beside `serve` on other machines, over one PostgreSQL
    Worker,
    /// Serve the networks' own APIs for tests and demos
    #[command(after_help = sandbox::EXAMPLES)]
    Sandbox(sandbox::Serve),
    /// Write, show, list and cancel posts
    #[command(subcommand, after_help = post::EXAMPLES)]
    Post(post::Post),
    /// Plan campaigns: many posts, made and changed as one
    #[command(subcommand, after_help = campaign::EXAMPLES)]
    Campaign(campaign::Campaign),
    /// Show, skip, pause and end posts that come round
    #[command(subcommand, after_help = series::EXAMPLES)]
    Series(series::Series),
    /// Make posts of a CSV or JSON file, or of what another tool exported
    #[command(after_help = bulk::IMPORT_EXAMPLES)]
    Import(bulk::Import),
    /// Write posts to a file that `import` reads
    #[command(after_help = bulk::EXPORT_EXAMPLES)]
    Export(bulk::Export),
    /// Have new entries of RSS and Atom feeds become posts
    #[command(subcommand, after_help = bulk::FEED_EXAMPLES)]
    Feed(bulk::Feed),
    /// Let other programs show the calendar (iCalendar)
    #[command(after_help = bulk::ICAL_EXAMPLES)]
    Ical(bulk::Ical),
    /// Keep what is written again and again: templates, hashtags, UTM presets
    #[command(subcommand, after_help = snippet::EXAMPLES)]
    Snippet(snippet::Snippet),
    /// Answer for a delivery, and send one again
    #[command(subcommand, after_help = delivery::EXAMPLES)]
    Delivery(delivery::Delivery),
    /// Connect accounts and check that they can post
    #[command(subcommand, after_help = connection::EXAMPLES)]
    Connection(connection::Connection),
    /// Set up the apps that networks' consent pages ask for
    #[command(subcommand, after_help = app::EXAMPLES)]
    App(app::AppCommand),
    /// Ask for approvals and give them, also to clients without an account
    #[command(subcommand, after_help = review::EXAMPLES)]
    Review(review::Review),
    /// Upload pictures and videos and see what became of them
    #[command(subcommand, after_help = media::EXAMPLES)]
    Media(media::Media),
    /// Operate: dead letters, pauses, drain, sweep, what was done
    #[command(subcommand, after_help = ops::EXAMPLES)]
    Ops(ops::Ops),
    /// Show and check the settings
    #[command(subcommand)]
    Config(config::Command),
    /// Make, list and rotate the keys that seal tokens
    #[command(subcommand, after_help = keys::EXAMPLES)]
    Keys(keys::Keys),
    /// Print the OpenAPI description of the REST API
    Openapi,
    /// Find what is wrong with this installation
    Doctor,
}

/// Runs the command of this process's arguments.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Out { json: cli.global.json };
    match run(cli, &out).await {
        Ok(code) => code,
        Err(e) => {
            out.error(&e);
            ExitCode::from(code(&e))
        }
    }
}

async fn run(cli: Cli, out: &Out) -> anyhow::Result<ExitCode> {
    let given = cli.global.settings();
    match cli.command {
        Command::Serve(command) => {
            log();
            command.run(given).await?;
        }
        Command::Worker => {
            log();
            serve::worker(given).await?;
        }
        Command::Sandbox(command) => command.run(out).await?,
        Command::Config(command) => command.run(&given, out)?,
        Command::Keys(command) => {
            let workspace = cli.global.workspace.as_deref();
            return command.run(&given, workspace, out).await;
        }
        Command::Openapi => {
            let document = crate::web::router::openapi().to_pretty_json()?;
            Out::print(&document);
        }
        Command::Doctor => return doctor::run(&given, out).await,
        Command::Post(command) => {
            let here = Here::open(&cli.global, given).await?;
            command.run(&here, out).await?;
        }
        Command::Campaign(command) => {
            let here = Here::open(&cli.global, given).await?;
            Box::pin(command.run(&here, out)).await?;
        }
        Command::Series(command) => {
            let here = Here::open(&cli.global, given).await?;
            Box::pin(command.run(&here, out)).await?;
        }
        Command::Review(command) => {
            let here = Here::open(&cli.global, given).await?;
            Box::pin(command.run(&here, out)).await?;
        }
        Command::Import(command) => {
            let here = Here::open(&cli.global, given).await?;
            Box::pin(command.run(&here, out)).await?;
        }
        Command::Export(command) => {
            let here = Here::open(&cli.global, given).await?;
            Box::pin(command.run(&here)).await?;
        }
        Command::Feed(command) => {
            let here = Here::open(&cli.global, given).await?;
            Box::pin(command.run(&here, out)).await?;
        }
        Command::Ical(command) => {
            let here = Here::open(&cli.global, given).await?;
            Box::pin(command.run(&here, out)).await?;
        }
        Command::Snippet(command) => {
            let here = Here::open(&cli.global, given).await?;
            Box::pin(command.run(&here, out)).await?;
        }
        Command::Delivery(command) => {
            let here = Here::open(&cli.global, given).await?;
            command.run(&here, out).await?;
        }
        Command::Connection(command) => {
            // What no key opens any more must be there to be disconnected.
            let app = match command.minds_keys() {
                true => open(&given).await?,
                false => open_unchecked(&given).await?,
            };
            let here = Here::of(app, cli.global.workspace.as_deref()).await?;
            return command.run(&here, out).await;
        }
        Command::App(command) => Box::pin(command.run(&open(&given).await?, out)).await?,
        // Of all workspaces at once.
        Command::Media(media::Media::Move(all)) => {
            return all.run(&open(&given).await?, out).await;
        }
        Command::Media(command) => {
            let here = Here::open(&cli.global, given).await?;
            return command.run(&here, out).await;
        }
        Command::Ops(command) => {
            let app = open(&given).await?;
            return command.run(app, cli.global.workspace.as_deref(), out).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Global {
    /// Settings given on the command line, by their names in the environment.
    fn settings(&self) -> BTreeMap<String, String> {
        let mut given = BTreeMap::new();
        let mut put = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                given.insert(name.to_owned(), value.clone());
            }
        };
        put("CARILLON_DATA", &self.data);
        put("CARILLON_DATABASE", &self.database);
        given
    }
}

/// The app and the workspace that a command acts in.
struct Here {
    app: App,
    workspace: String,
}

impl Here {
    async fn open(global: &Global, given: BTreeMap<String, String>) -> anyhow::Result<Self> {
        Self::of(open(&given).await?, global.workspace.as_deref()).await
    }

    /// The one that is named (by id or name), or the only one there is.
    async fn of(app: App, named: Option<&str>) -> anyhow::Result<Self> {
        let all = app.db.read(|tx| async move { accounts::workspaces(&tx).await }).await?;
        let workspace = match (named, all.as_slice()) {
            (Some(id), _) => all
                .iter()
                .find(|w| w.id == *id || w.name == *id)
                .map(|w| w.id.clone())
                .ok_or_else(|| unknown_workspace(id, &all))?,
            (None, [one]) => one.id.clone(),
            (None, []) => {
                return Err(Refusal::new(
                    Kind::NotFound,
                    "no_workspace",
                    "There is no workspace in this database yet.",
                    "Start `carillon serve` and open its address to set one up, or `carillon serve --demo`.",
                )
                .into());
            }
            (None, several) => {
                let names: Vec<String> =
                    several.iter().map(|w| format!("{} ({})", w.id, w.name)).collect();
                return Err(Refusal::new(
                    Kind::Invalid,
                    "which_workspace",
                    format!("There are several workspaces: {}.", names.join(", ")),
                    "Name one with --workspace.",
                )
                .into());
            }
        };
        Ok(Self { app, workspace })
    }
}

fn unknown_workspace(named: &str, all: &[Workspace]) -> Refusal {
    let known: Vec<String> = all.iter().map(|w| format!("{} ({})", w.id, w.name)).collect();
    let fix = match known.as_slice() {
        [] => "Start `carillon serve` and open its address to set one up.".to_owned(),
        known => format!("Name one of these, by id or name: {}.", known.join(", ")),
    };
    let sentence = format!("There is no workspace `{named}`.");
    Refusal::new(Kind::NotFound, "not_found", sentence, fix)
}

fn settings(given: &BTreeMap<String, String>) -> anyhow::Result<Config> {
    Config::from_env(given).map_err(|wrong| {
        Refusal::new(
            Kind::Invalid,
            "settings",
            format!("{}.", wrong.join(". ")),
            "`carillon config print` shows every setting and its form.",
        )
        .into()
    })
}

async fn open(given: &BTreeMap<String, String>) -> anyhow::Result<App> {
    App::open(demo::joined(settings(given)?), Clock::system()).await
}

/// Whatever the key ring opens or does not open: for the commands that look after it.
async fn open_unchecked(given: &BTreeMap<String, String>) -> anyhow::Result<App> {
    App::open_unchecked(demo::joined(settings(given)?), Clock::system(), carillon_networks::ALL)
        .await
}

/// Logs go to stderr: text on a terminal, JSON otherwise; RUST_LOG chooses what.
fn log() {
    use std::io::IsTerminal;
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let to = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        to.with_target(false).init();
    } else {
        to.json().flatten_event(true).with_target(false).init();
    }
}

/// Where a command's answer goes.
pub(crate) struct Out {
    json: bool,
}

impl Out {
    /// One thing: as JSON, or as the text that a person reads.
    fn show<T: Serialize>(&self, thing: &T, text: impl FnOnce(&T) -> String) {
        if self.json {
            Self::print(&serde_json::to_string_pretty(thing).unwrap_or_default());
        } else {
            Self::print(text(thing).trim_end());
        }
    }

    /// A closed pipe (`| head`) is no error.
    fn print(text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    fn error(&self, e: &anyhow::Error) {
        if self.json {
            let (code, hint, problems) = match e.downcast_ref::<Refusal>() {
                Some(r) => (
                    r.code.as_str(),
                    hint(e),
                    serde_json::to_value(&r.problems).unwrap_or_default(),
                ),
                None => ("failed", hint(e), serde_json::Value::Array(vec![])),
            };
            let body = serde_json::json!({ "error": format!("{e:#}"), "code": code, "hint": hint, "problems": problems });
            eprintln!("{body}");
            return;
        }
        eprintln!("error: {e:#}");
        if let Some(r) = e.downcast_ref::<Refusal>() {
            for p in r.problems.iter().filter(|p| p.message != r.sentence) {
                eprintln!("  {}: {}", p.field, p.message);
            }
        }
        eprintln!("hint: {}", hint(e));
    }
}

/// What to do about an error.
fn hint(e: &anyhow::Error) -> String {
    if let Some(r) = e.downcast_ref::<Refusal>() {
        if r.kind == Kind::Invalid && !r.problems.is_empty() {
            return "correct what is named above and run it again; nothing was saved".into();
        }
        return r.fix.clone();
    }
    for cause in e.chain() {
        if let Some(db) = cause.downcast_ref::<db::Error>() {
            return match db {
                db::Error::Unavailable(_) => "see that the database runs and that `carillon config print` names the right one".into(),
                db::Error::Corrupt(_) => "the file is damaged or no database: restore a backup, or name another one".into(),
                _ => "`carillon doctor` looks at the whole installation".into(),
            };
        }
        if cause.is::<crate::identity::keys::KeyError>() {
            return "set CARILLON_KEYS (or the `keys` file in the data folder) to the ring that sealed this data".into();
        }
    }
    "`carillon doctor` looks at the whole installation".into()
}

fn code(e: &anyhow::Error) -> u8 {
    match e.downcast_ref::<Refusal>().map(|r| r.kind) {
        Some(Kind::NotFound) => 3,
        Some(Kind::Conflict) => 4,
        Some(Kind::Unavailable | Kind::Full) => 5,
        None if e.chain().any(|c| matches!(c.downcast_ref(), Some(db::Error::Unavailable(_)))) => 5,
        _ => 1,
    }
}

/// A day (its first moment) or a time, in UTC where it does not say otherwise; ms UTC.
fn day_or_time(option: &str, given: Option<&str>) -> anyhow::Result<Option<i64>> {
    let Some(text) = given else { return Ok(None) };
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00") };
    match when::parse(&whole, "UTC") {
        Ok(at) => Ok(Some(at)),
        Err(_) => Err(Refusal::new(
            Kind::Invalid,
            "invalid_time",
            format!("`{text}` is no day or time."),
            format!("For example {option} 2026-11-23, or {option} 2026-11-23T09:00Z."),
        )
        .into()),
    }
}

/// Rows as columns, the last one free.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().enumerate().map(|(c, t)| format!("{t:<w$}", w = widths[c])).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
