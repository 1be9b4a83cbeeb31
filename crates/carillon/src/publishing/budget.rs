//! Which posting budgets a send is counted against: the account's as its network publishes them,
//! and the installation's own from CARILLON_BUDGETS.

use carillon_networks::Spec;
use carillon_networks::spec::Placement;

use crate::config::Publishing;
use crate::db::{Error, Tx};
use crate::domain::budget::Budget;
use crate::domain::problem::Problem;
use crate::domain::when::iso;
use crate::store::budgets;
use crate::store::connections::Connection;

/// The budgets of an account, and those of all accounts together, each under the name it is kept
/// by; `None` in place of one that does not count this placement.
fn counting(
    config: &Publishing,
    spec: &Spec,
    placement: &Placement,
    connection: &str,
) -> Vec<(String, Vec<Option<Budget>>)> {
    let of_posts = |budget: Option<Budget>| budget.filter(|_| placement.in_budget);
    let own = config.budgets.iter().find(|b| b.network == spec.id && !b.shared);
    let own: Vec<Option<Budget>> = match own {
        Some(b) => vec![of_posts(b.budget)],
        None => spec
            .budgets
            .iter()
            .map(|b| b.counts(placement).then_some(Budget { posts: b.posts, per: b.per }))
            .collect(),
    };
    let shared = config.budgets.iter().filter(|b| b.network == spec.id && b.shared);
    let shared = shared.map(|b| of_posts(b.budget)).collect();
    let mut named = vec![(connection.to_owned(), own), (format!("network:{}", spec.id), shared)];
    named.retain(|(_, budgets)| budgets.iter().any(Option::is_some));
    named
}

/// Counts one send of an account; when it may not go, the time before which nothing is left (ms
/// UTC), and nothing was counted.
pub(super) async fn spend(
    tx: &Tx,
    config: &Publishing,
    spec: &Spec,
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
    spec: &Spec,
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
