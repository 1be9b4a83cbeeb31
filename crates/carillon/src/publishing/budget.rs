//! Which posting budgets a send is counted against: the account's as its network publishes them,
//! and the installation's own from CARILLON_BUDGETS.

use std::collections::HashMap;

use carillon_networks::Spec;
use carillon_networks::spec::{self, Placement};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Publishing;
use crate::db::{Error, Tx};
use crate::domain::budget::Budget;
use crate::domain::problem::Problem;
use crate::domain::when::iso;
use crate::store::budgets::{self, Left, Spent};
use crate::store::connections::Connection;

/// What is left of a posting budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetView {
    /// So many posts …
    #[schema(example = 100)]
    pub posts: u32,
    /// … in so many seconds. Those of a day or more are counted by UTC day.
    #[schema(example = 86_400)]
    pub seconds: u64,
    /// How many may go out now.
    #[schema(example = 97)]
    pub left: u32,
    /// How many that can be at most: shorter budgets than a day's let a quarter go at once and
    /// spread the rest.
    #[schema(example = 100)]
    pub at_once: u32,
    /// When more may; `null` while all of it is left, and where nothing goes because what was spent
    /// cannot be read.
    pub more_at: Option<String>,
    /// What it counts.
    #[schema(example = json!(["feed"]))]
    pub placements: Vec<String>,
    /// Of all accounts at the network together, as CARILLON_BUDGETS says; else this account's own.
    pub shared: bool,
}

/// One budget, kept at its place in a row.
struct Kept {
    budget: Budget,
    /// As the network publishes it; `None`: as CARILLON_BUDGETS says.
    of: Option<&'static spec::Budget>,
}

impl Kept {
    fn counts(&self, placement: &Placement) -> bool {
        self.of.map_or(placement.in_budget, |b| b.counts(placement))
    }
}

/// The budgets of an account, and those of all accounts together, each under the name it is kept
/// by.
fn kept(
    config: &Publishing,
    spec: &'static Spec,
    connection: &str,
) -> [(String, Vec<Option<Kept>>); 2] {
    let said = |budget: Option<Budget>| budget.map(|budget| Kept { budget, of: None });
    let own = config.budgets.iter().find(|b| b.network == spec.id && !b.shared);
    let own = match own {
        Some(b) => vec![said(b.budget)],
        None => {
            let published = |b: &'static spec::Budget| {
                let budget = Budget { posts: b.posts, per: b.per };
                Some(Kept { budget, of: Some(b) })
            };
            spec.budgets.iter().map(published).collect()
        }
    };
    let shared = config.budgets.iter().filter(|b| b.network == spec.id && b.shared);
    let shared = shared.map(|b| said(b.budget)).collect();
    let [account, network] = names(spec, connection);
    [(account, own), (network, shared)]
}

/// The names under which the budgets of an account are kept.
pub(super) fn names(spec: &Spec, connection: &str) -> [String; 2] {
    [connection.to_owned(), format!("network:{}", spec.id)]
}

/// What is left of an account's budgets, where `spent` has what was spent under each name.
pub(super) fn left(
    config: &Publishing,
    spec: &'static Spec,
    connection: &str,
    spent: &HashMap<String, Option<Vec<Spent>>>,
    now: i64,
) -> Vec<BudgetView> {
    let mut all = Vec::new();
    for (i, (name, budgets)) in kept(config, spec, connection).into_iter().enumerate() {
        let unread = Some(&None);
        let row = spent.get(&name);
        for (place, kept) in budgets.iter().enumerate() {
            let Some(kept) = kept else { continue };
            let counted = spec.placements.iter().filter(|p| kept.counts(p));
            let placements: Vec<String> = counted.map(|p| p.id.to_owned()).collect();
            let spent = row.and_then(Option::as_ref).and_then(|r| r.get(place));
            let mut left = budgets::left(kept.budget, spent.copied().unwrap_or_default(), now);
            if row == unread {
                left = Left { posts: 0, more_at: None, ..left };
            }
            all.push(BudgetView {
                posts: kept.budget.posts,
                seconds: kept.budget.per.as_secs(),
                left: left.posts,
                at_once: left.at_once,
                more_at: left.more_at.map(iso),
                placements,
                shared: i == 1,
            });
        }
    }
    all
}

/// Those that count this placement; `None` in place of one that does not.
fn counting(
    config: &Publishing,
    spec: &'static Spec,
    placement: &Placement,
    connection: &str,
) -> Vec<(String, Vec<Option<Budget>>)> {
    let counted = |k: Option<Kept>| k.filter(|k| k.counts(placement)).map(|k| k.budget);
    kept(config, spec, connection)
        .into_iter()
        .map(|(name, budgets)| (name, budgets.into_iter().map(counted).collect::<Vec<_>>()))
        .filter(|(_, budgets)| budgets.iter().any(Option::is_some))
        .collect()
}

/// Counts one send of an account; when it may not go, the time before which nothing is left (ms
/// UTC), and nothing was counted.
pub(super) async fn spend(
    tx: &Tx,
    config: &Publishing,
    spec: &'static Spec,
    placement: &Placement,
    connection: &str,
    now: i64,
) -> Result<Option<i64>, Error> {
    budgets::spend(tx, &counting(config, spec, placement, connection), now).await
}

/// Gives a send back that is certain not to have posted anything.
pub(super) async fn refund(
    tx: &Tx,
    config: &Publishing,
    spec: &'static Spec,
    placement: &Placement,
    connection: &str,
) -> Result<(), Error> {
    for (name, budgets) in counting(config, spec, placement, connection) {
        budgets::refund(tx, &name, &budgets).await?;
    }
    Ok(())
}

/// Until when the network lets nothing more be posted there, if it said so (ms UTC).
pub(super) fn refused_until(spec: &Spec, placement: &Placement, c: &Connection) -> Option<i64> {
    let of = c.quota_of.as_deref().and_then(|id| spec.placement(id));
    let held = of.map_or(placement.in_budget, |of| spec.one_budget(of, placement));
    c.quota_until.filter(|_| held)
}

/// Why a delivery waits for its budget; `late` when it would be too late by then.
pub(super) fn spent(spec: &Spec, at: i64, late: bool) -> Problem {
    let sentence = format!("{}'s posting budget is spent until {}.", spec.name, iso(at));
    if late {
        let next = "That is later than it may be: move it, send it then with Retry, or cancel it.";
        return Problem::new("quota", sentence, "decide", next);
    }
    let next = "It goes out by itself then. Post less often there, or set CARILLON_BUDGETS.";
    Problem::new("quota", sentence, "wait", next)
}
