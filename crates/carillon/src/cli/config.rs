//! `carillon config`: every setting with its value, secrets masked.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;

use super::{Out, settings, table};
use crate::config::SETTINGS;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print every setting, its value and where it comes from
    Print,
    /// Check the settings without starting anything
    Check,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    name: &'static str,
    value: String,
    /// `default`, `environment`, `command line`
    from: &'static str,
    help: &'static str,
}

impl Command {
    pub(super) fn run(&self, given: &BTreeMap<String, String>, out: &Out) -> anyhow::Result<()> {
        match self {
            Command::Print => {
                let lines: Vec<Line> = SETTINGS.iter().map(|s| line(s, given)).collect();
                out.show(&lines, |lines| {
                    let rows: Vec<Vec<String>> = lines
                        .iter()
                        .map(|l| vec![l.name.into(), l.value.clone(), l.from.into(), l.help.into()])
                        .collect();
                    table(&rows)
                });
            }
            Command::Check => {
                settings(given)?;
                out.show(&serde_json::json!({ "ok": true }), |_| "The settings are right.".into());
            }
        }
        Ok(())
    }
}

fn line(s: &crate::config::Setting, given: &BTreeMap<String, String>) -> Line {
    let (value, from) = match (given.get(s.name), std::env::var(s.name)) {
        (Some(v), _) => (v.clone(), "command line"),
        (None, Ok(v)) => (v, "environment"),
        (None, Err(_)) => (s.default.to_owned(), "default"),
    };
    let value = match value.as_str() {
        "" => "(unset)".to_owned(),
        _ if s.secret => "•••".to_owned(),
        value => value.to_owned(),
    };
    Line { name: s.name, value, from, help: s.help }
}
