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
/// UTC). The caller's transaction must not commit then: another budget may have been counted.
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
    let mut wait = None::<i64>;
    let network = format!("network:{}", spec.id);
    for (name, budgets) in [(connection, own), (&network, shared)] {
        if !budgets.is_empty()
            && let Some(at) = budgets::spend(tx, name, &budgets, now).await?
        {
            wait = Some(wait.map_or(at, |w| w.max(at)));
        }
    }
    Ok(wait)
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
