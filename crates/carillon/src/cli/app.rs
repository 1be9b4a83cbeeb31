//! `carillon app`: the apps that networks' consent pages know this installation by.

use clap::{Args, Subcommand};

use super::{Out, connection, table};
use crate::App;
use crate::publishing::apps::{self, AppView, NewApp};
use crate::store::audit;

pub(super) const EXAMPLES: &str = "Examples:\n  carillon app list\n  carillon app list linkedin                 what to do there, step by step\n  carillon app set linkedin --id 78abc < secret.txt\n  carillon app remove linkedin\n\nThe secret is read from standard input, one line, never from the command line.";

#[derive(Debug, Subcommand)]
pub(super) enum AppCommand {
    /// List the networks that have a consent page and the apps set for them
    List {
        /// With what to do at this network
        network: Option<String>,
    },
    /// Set the app of a network, for every workspace
    #[command(after_help = EXAMPLES)]
    Set(Set),
    /// Forget the app of a network; connections go on with the tokens they have
    Remove {
        network: String,
        /// Where the network is many servers, the one that knows the app
        #[arg(long)]
        server: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Set {
    network: String,
    /// The app's id (client id, client key, app id)
    #[arg(long)]
    id: String,
    /// Where the network is many servers, the one that knows the app
    #[arg(long)]
    server: Option<String>,
}

impl AppCommand {
    pub(super) async fn run(&self, app: &App, out: &Out) -> anyhow::Result<()> {
        match self {
            AppCommand::List { network: None } => {
                out.show(&apps::list(app).await?, |all| {
                    table(&all.iter().map(row).collect::<Vec<_>>())
                });
            }
            AppCommand::List { network: Some(network) } => {
                let found = apps::list(app).await?.into_iter().find(|a| a.network == *network);
                let Some(one) = found else { return Err(apps::without_page(app, network).into()) };
                out.show(&one, guide);
            }
            AppCommand::Set(set) => {
                let mut secrets = connection::read_secrets(&["client secret".to_owned()])?;
                let new = NewApp {
                    network: set.network.clone(),
                    client_id: set.id.clone(),
                    client_secret: secrets.remove("client secret").unwrap_or_default(),
                    server: set.server.clone(),
                };
                let view = apps::set(app, new, audit::OPERATOR).await?;
                out.show(&view, |a| {
                    format!("{} can be connected through its consent page", a.name)
                });
            }
            AppCommand::Remove { network, server } => {
                let view = apps::remove(app, network, server.as_deref(), audit::OPERATOR).await?;
                out.show(&view, |a| format!("the {} app is forgotten", a.name));
            }
        }
        Ok(())
    }
}

fn row(a: &AppView) -> Vec<String> {
    let set: Vec<String> = a
        .apps
        .iter()
        .map(|one| match one.server.as_str() {
            "" => format!("{} ({})", one.client_id, one.origin),
            server => format!("{} at {server} ({})", one.client_id, one.origin),
        })
        .collect();
    let set = match (set.is_empty(), a.registers) {
        (true, true) => "registers itself".to_owned(),
        (true, false) => "not set".to_owned(),
        (false, _) => set.join(", "),
    };
    vec![a.network.clone(), set]
}

fn guide(a: &AppView) -> String {
    let mut text = format!("{}: {}\n\n", a.name, row(a)[1]);
    for (i, step) in a.guide.iter().enumerate() {
        text.push_str(&format!("  {}. {step}\n", i + 1));
    }
    text.push_str(&format!("\nRedirect address: {}\n", a.redirect_uri));
    if let Some(problem) = &a.redirect_problem {
        text.push_str(&format!("  {problem}\n"));
    }
    text.push_str(&format!("Rights: {}\n", a.scopes.join(" ")));
    text
}
