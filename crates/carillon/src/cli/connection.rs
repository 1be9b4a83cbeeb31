//! `carillon connection`: connect, check, list, diagnose, disconnect.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Here, Out, table};
use crate::domain::refusal::{Kind, Refusal};
use crate::publishing::connecting::{self, ConnectionView, New};
use crate::publishing::diagnosing::{self, Diagnosis};
use crate::store::audit::OPERATOR;

pub(super) const EXAMPLES: &str = "Examples:\n  carillon connection add mastodon --set server=https://mastodon.example --secret accessToken\n  carillon connection check\n  carillon connection list --json\n  carillon connection disconnect 0193… --go\n\nSecrets are read from standard input, one line each, never from the command line.";

const ADD_EXAMPLES: &str = "Examples:\n  carillon connection add mastodon --set server=https://mastodon.example --secret accessToken < token.txt\n  carillon connection add bluesky --set identifier=anchor.example --secret password\n  carillon connection add telegram --set chatId=@anchor --secret botToken\n\nWithout settings and secrets it says which ones the network needs. Secrets are read from standard\ninput, one line each, never from the command line.";

const DIAGNOSE_EXAMPLES: &str = "Examples:\n  ENABLE_CONNECTION_DIAGNOSTICS=true carillon connection diagnose\n  ENABLE_CONNECTION_DIAGNOSTICS=true carillon connection diagnose mastodon --json\n\nOf a token its first and last four characters are shown, of a short one nothing. Whoever looks is\nwritten into the audit trail.";

const DISCONNECT_EXAMPLES: &str = "Examples:\n  carillon connection disconnect mastodon         what would go with it\n  carillon connection disconnect mastodon --go\n\nIts credentials are revoked at the network where that can be done, and erased here in any case.";

const CHECK_EXAMPLES: &str = "Examples:\n  carillon connection check\n  carillon connection check mastodon --json\n\nThose of every workspace: carillon ops check-connections";

#[derive(Debug, Subcommand)]
pub(super) enum Connection {
    /// Connect an account; it is checked at the network first
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// Prove that connections can post; exit code 1 when one cannot
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// Id, name or network; all when absent
        which: Option<String>,
    },
    /// List connections and how they are
    List,
    /// Show what is stored of connections: masked tokens, their ends, metadata, keys
    #[command(after_help = DIAGNOSE_EXAMPLES)]
    Diagnose {
        /// Id, name or network; all when absent
        which: Option<String>,
    },
    /// Revoke and erase its credentials and cancel what waits for it; a dry run without --go
    #[command(after_help = DISCONNECT_EXAMPLES)]
    Disconnect {
        /// Id, name or network
        which: String,
        /// Do it; without, only say what would be done
        #[arg(long)]
        go: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// facebook, instagram, bluesky, mastodon, wordpress, telegram
    network: String,
    /// What to call it here; what the network calls it when absent
    #[arg(long)]
    name: Option<String>,
    /// A setting, key=value; repeat for several
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The key of a secret that is read from standard input; repeat for several
    #[arg(long = "secret", value_name = "KEY")]
    secrets: Vec<String>,
}

impl Connection {
    /// Does it need the key ring to be the right one?
    pub(super) fn minds_keys(&self) -> bool {
        !matches!(self, Connection::Diagnose { .. } | Connection::Disconnect { .. })
    }

    pub(super) async fn run(&self, here: &Here, out: &Out) -> anyhow::Result<ExitCode> {
        let (app, ws) = (&here.app, here.workspace.as_str());
        match self {
            Connection::Add(add) => {
                let new = New {
                    network: add.network.clone(),
                    name: add.name.clone(),
                    settings: pairs(&add.settings)?,
                    credentials: read_secrets(&add.secrets)?,
                };
                let made = connecting::add(app, ws, new).await?;
                out.show(&made, |c| format!("connected {} as {} ({})", c.network, c.name, c.id));
            }
            Connection::Check { which } => {
                let ids = match which {
                    Some(which) => vec![resolve(here, which).await?],
                    None => connecting::list(app, ws).await?.into_iter().map(|c| c.id).collect(),
                };
                let mut checked = Vec::new();
                for id in ids {
                    checked.push(connecting::check(app, ws, &id).await?);
                }
                let good = checked.iter().all(|c| c.ok);
                out.show(&checked, |all| {
                    let mut text = String::new();
                    for c in all {
                        text.push_str(&format!(
                            "{} ({})\n",
                            c.connection.name, c.connection.network
                        ));
                        for line in &c.checks {
                            let mark = if line.ok { "ok  " } else { "FAIL" };
                            text.push_str(&format!("  {mark} {}: {}\n", line.name, line.detail));
                        }
                    }
                    if text.is_empty() {
                        "No connections yet: carillon connection add --help".into()
                    } else {
                        text
                    }
                });
                return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Connection::List => {
                let all = connecting::list(app, ws).await?;
                out.show(&all, |all| listed(all));
            }
            Connection::Diagnose { which } => {
                let id = match which {
                    Some(which) => Some(resolve(here, which).await?),
                    None => None,
                };
                let found = diagnosing::diagnose(app, ws, id.as_deref(), OPERATOR).await?;
                out.show(&found, |all| diagnosed(all));
            }
            Connection::Disconnect { which, go: false } => {
                let meant = find(here, which).await?;
                out.show(&json!({ "dryRun": true, "connection": meant }), |_| {
                    format!(
                        "would be disconnected: {} ({}), and {} waiting deliveries cancelled; nothing was changed, add --go to do it",
                        meant.name, meant.network, meant.waiting
                    )
                });
            }
            Connection::Disconnect { which, go: true } => {
                let id = resolve(here, which).await?;
                let done = Box::pin(connecting::disconnect(app, ws, &id, OPERATOR)).await?;
                out.show(&done, |d| {
                    format!(
                        "disconnected: {}; cancelled deliveries: {}\n{}",
                        d.name, d.cancelled, d.sentence
                    )
                });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn listed(all: &[ConnectionView]) -> String {
    if all.is_empty() {
        return "No connections yet: carillon connection add --help".into();
    }
    let row = |c: &ConnectionView| {
        let problem = c.problem.as_ref().map(|p| p.sentence.clone());
        let note = problem.or_else(|| spent(c));
        vec![
            c.id.clone(),
            c.network.clone(),
            c.name.clone(),
            c.state.to_string(),
            note.unwrap_or_default(),
        ]
    };
    table(&all.iter().map(row).collect::<Vec<_>>())
}

/// Why it posts nothing more at the moment, though it works.
fn spent(c: &ConnectionView) -> Option<String> {
    if let Some(at) = &c.refused_until {
        return Some(format!("The network takes no more posts until {at}."));
    }
    let empty = c.budgets.iter().find(|b| b.left == 0)?;
    let at = empty.more_at.as_ref()?;
    Some(format!("Its budget of {} posts in {} s is spent until {at}.", empty.posts, empty.seconds))
}

/// A paragraph for each connection.
fn diagnosed(all: &[Diagnosis]) -> String {
    let mut text = String::new();
    for d in all {
        text.push_str(&format!("{} ({}, {})\n", d.name, d.network, d.state));
        let mut rows = Vec::new();
        let mut line = |name: &str, value: String| {
            rows.push(vec![String::new(), name.to_owned(), value]);
        };
        line("id", d.connection_id.clone());
        line("account", d.remote_id.clone());
        for token in &d.tokens {
            let ends = token.expires_at.as_ref().map(|at| format!(", ends {at}"));
            line(&token.key, format!("{}{}", token.masked, ends.unwrap_or_default()));
        }
        for (name, at) in [("ends", &d.token.expires_at), ("renewed", &d.token.renewed_at)] {
            if let Some(at) = at {
                line(name, at.clone());
            }
        }
        if let Some(scopes) = &d.token.scopes {
            line("granted", scopes.join(" "));
        }
        let age = if d.newest_key { "the newest" } else { "an older one" };
        line("key", d.key.as_ref().map_or("none".into(), |key| format!("{key}, {age}")));
        for (key, value) in &d.settings {
            line(key, value.clone());
        }
        if !d.missing.is_empty() {
            line("missing", d.missing.join(", "));
        }
        if let Some(why) = &d.unopened {
            line("FAIL", why.clone());
        }
        let never = || "never".to_owned();
        line("checked", d.checked_at.clone().unwrap_or_else(never));
        line("published", d.last_published_at.clone().unwrap_or_else(never));
        line("connected", d.created_at.clone());
        text.push_str(&table(&rows));
    }
    if text.is_empty() { "No connections yet: carillon connection add --help".into() } else { text }
}

pub(super) async fn resolve(here: &Here, which: &str) -> anyhow::Result<String> {
    Ok(find(here, which).await?.id)
}

/// The one connection that is meant by an id, a name or a network.
pub(super) async fn find(here: &Here, which: &str) -> anyhow::Result<ConnectionView> {
    let mut meant = connecting::list(&here.app, &here.workspace).await?;
    meant.retain(|c| c.id == which || c.name == which || c.network == which);
    match (meant.len(), meant.pop()) {
        (1, Some(one)) => Ok(one),
        (_, None) => Err(Refusal::new(
            Kind::NotFound,
            "unknown_connection",
            format!("There is no connection `{which}`."),
            "`carillon connection list` shows them.",
        )
        .into()),
        (several, _) => Err(Refusal::new(
            Kind::Invalid,
            "which_connection",
            format!("`{which}` could be {several} connections."),
            "Name it by its id: `carillon connection list` shows them.",
        )
        .into()),
    }
}

fn pairs(given: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    given
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
            None => Err(Refusal::new(
                Kind::Invalid,
                "usage",
                format!("`{pair}` is not of the form key=value."),
                "For example --set server=https://mastodon.example",
            )
            .into()),
        })
        .collect()
}

/// One line of standard input for each key: what stands on a command line is seen by everybody.
pub(super) fn read_secrets(keys: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for key in keys {
        // Whoever sits at a terminal would otherwise wonder what it waits for.
        if std::io::stdin().is_terminal() {
            eprint!("{key}: ");
        }
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        found.insert(key.clone(), line.trim().to_owned());
    }
    Ok(found)
}
