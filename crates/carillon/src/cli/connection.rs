//! `carillon connection`: connect, check, list.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Here, Out, table};
use crate::domain::refusal::{Kind, Refusal};
use crate::publishing::connecting::{self, ConnectionView, New};

pub(super) const EXAMPLES: &str = "Examples:\n  carillon connection add mastodon --set server=https://mastodon.example --secret accessToken\n  carillon connection check\n  carillon connection list --json\n\nSecrets are read from standard input, one line each, never from the command line.";

const ADD_EXAMPLES: &str = "Examples:\n  carillon connection add mastodon --set server=https://mastodon.example --secret accessToken < token.txt\n  carillon connection add bluesky --set identifier=anchor.example --secret password\n  carillon connection add telegram --set chatId=@anchor --secret botToken\n\nWithout settings and secrets it says which ones the network needs. Secrets are read from standard\ninput, one line each, never from the command line.";

#[derive(Debug, Subcommand)]
pub(super) enum Connection {
    /// Connect an account; it is checked at the network first
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// Prove that connections can post; exit code 1 when one cannot
    Check {
        /// Id, name or network; all when absent
        which: Option<String>,
    },
    /// List connections and how they are
    List,
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
                out.show(&all, |all| {
                    if all.is_empty() {
                        return "No connections yet: carillon connection add --help".into();
                    }
                    let rows: Vec<Vec<String>> = all
                        .iter()
                        .map(|c| {
                            let problem = c.problem.as_ref().map(|p| p.sentence.clone());
                            vec![
                                c.id.clone(),
                                c.network.clone(),
                                c.name.clone(),
                                c.state.to_string(),
                                problem.unwrap_or_default(),
                            ]
                        })
                        .collect();
                    table(&rows)
                });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
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
