//! Which posting budgets a send is counted against: the account's as its network publishes them,
//! and the installation's own from CARILLON_BUDGETS.

use carillon_networks::Spec;

use crate::config::Publishing;
use crate::db::{Error, Tx};
use crate::domain::budget::Budget;
use crate::domain::problem::Problem;
use crate::domain::when::iso;
use crate::store::budgets;

/// Counts one send of an account; when it may not go, the time before which nothing is left (ms
/// UTC), and nothing was counted.
pub(super) async fn spend(
    tx: &Tx,
    config: &Publishing,
    spec: &Spec,
    connection: &str,
    now: i64,
) -> Result<Option<i64>, Error> {
    let own = config.budgets.iter().find(|b| b.network == spec.id && !b.shared);
    let own: Vec<Budget> = match own {
        Some(b) => b.budget.into_iter().collect(),
        None => spec.budgets.iter().map(|b| Budget { posts: b.posts, per: b.per }).collect(),
    };
    let shared = config.budgets.iter().filter(|b| b.network == spec.id && b.shared);
    let shared: Vec<Budget> = shared.filter_map(|b| b.budget).collect();
    let network = format!("network:{}", spec.id);
    let mut named = vec![(connection, own), (network.as_str(), shared)];
    named.retain(|(_, budgets)| !budgets.is_empty());
    budgets::spend(tx, &named, now).await
}

/// Gives a send back that is certain not to have posted anything.
pub(super) async fn refund(
    tx: &Tx,
    config: &Publishing,
    spec: &Spec,
    connection: &str,
) -> Result<(), Error> {
    let own = config.budgets.iter().any(|b| b.network == spec.id && !b.shared);
    if own || !spec.budgets.is_empty() {
        budgets::refund(tx, connection).await?;
    }
    if config.budgets.iter().any(|b| b.network == spec.id && b.shared) {
        budgets::refund(tx, &format!("network:{}", spec.id)).await?;
    }
    Ok(())
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
