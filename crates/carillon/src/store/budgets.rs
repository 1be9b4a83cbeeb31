//! What was spent of posting budgets. Spent in the transaction of the intent, so that a budget
//! cannot be lost beside what it counts; a row that cannot be read lets nothing through.

use std::collections::HashMap;

use crate::db::{Error, Row, Tx};
use crate::domain::budget::Budget;
use crate::{params, row, store};

const DAY: i64 = 86_400_000;
/// A time so far beyond what a budget can have spent was written before the clock was set back;
/// nodes' clocks differ by less.
const SET_BACK: i64 = 300_000;

/// Takes one post from each of these budgets, which are kept under their names in this order;
/// `Some(at)` when one of them has nothing left before that time (ms UTC), and nothing is taken.
/// `None` stands for one that does not count this post.
///
/// Budgets of a day or more are counted by UTC day; shorter ones by GCRA: a quarter of the posts
/// may go at once, then they are spread evenly.
pub async fn spend(
    tx: &Tx,
    named: &[(String, Vec<Option<Budget>>)],
    now: i64,
) -> Result<Option<i64>, Error> {
    let (mut wait, mut spent) = (None::<i64>, Vec::new());
    for (name, budgets) in named {
        let mut row = stand(tx, name).await?;
        row.resize(budgets.len(), (0, 0, 0));
        for (budget, spent) in budgets.iter().zip(&mut row) {
            let Some(budget) = *budget else { continue };
            match after(budget, *spent, now) {
                Ok(next) => *spent = next,
                Err(at) => wait = Some(wait.map_or(at, |w| w.max(at))),
            }
        }
        spent.push(row);
    }
    if wait.is_none() {
        for ((name, _), spent) in named.iter().zip(&spent) {
            save(tx, name, spent).await?;
        }
    }
    Ok(wait)
}

/// What was spent, in a row that is locked from here on.
async fn stand(tx: &Tx, name: &str) -> Result<Vec<Spent>, Error> {
    let mut row = lock(tx, name).await?;
    if row.is_none() {
        // Two nodes may be the first at once: the row stands before it is looked at.
        tx.execute(
            "INSERT INTO budget (name, spent) VALUES ($1, '[]') ON CONFLICT (name) DO NOTHING",
            params![name],
        )
        .await?;
        row = lock(tx, name).await?;
    }
    row.map_or(Ok(Vec::new()), |r| r.json("spent"))
}

/// Gives one post back to those of a name's budgets that counted it by day: it is certain that
/// nothing was posted.
pub async fn refund(tx: &Tx, name: &str, budgets: &[Option<Budget>]) -> Result<(), Error> {
    let Some(row) = lock(tx, name).await? else { return Ok(()) };
    let mut spent: Vec<Spent> = row.json("spent")?;
    for ((_, _, used), _) in spent.iter_mut().zip(budgets).filter(|(_, b)| b.is_some()) {
        *used = (*used - 1).max(0);
    }
    save(tx, name, &spent).await
}

async fn lock(tx: &Tx, name: &str) -> Result<Option<Row>, Error> {
    if tx.is_postgres() {
        tx.row("SELECT spent FROM budget WHERE name = $1 FOR UPDATE", params![name]).await
    } else {
        tx.row("SELECT spent FROM budget WHERE name = $1", params![name]).await
    }
}

async fn save(tx: &Tx, name: &str, spent: &[Spent]) -> Result<(), Error> {
    let spent = store::json(&spent);
    tx.execute("UPDATE budget SET spent = $1 WHERE name = $2", params![spent, name]).await?;
    Ok(())
}

/// What was spent under each of these names; a name that spent nothing is absent, and `None` stands
/// for a row that cannot be read.
pub async fn spent(
    tx: &Tx,
    names: Vec<String>,
) -> Result<HashMap<String, Option<Vec<Spent>>>, Error> {
    let keys: Vec<_> = names.iter().map(|name| row![name]).collect();
    let rows = tx.rows_each("SELECT spent FROM budget WHERE name = $1", &keys).await?;
    let mut all = HashMap::new();
    for (name, rows) in names.into_iter().zip(rows) {
        if let Some(row) = rows.first() {
            all.insert(name, row.json("spent").ok());
        }
    }
    Ok(all)
}

/// GCRA's theoretical arrival time; the UTC day, and what was used on it.
pub type Spent = (i64, i64, i64);

/// What is left of a budget.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// So many may go now …
    pub posts: u32,
    /// … of so many, when nothing was spent.
    pub at_once: u32,
    /// When one more may, or all of a day's again; `None` when nothing was spent.
    pub more_at: Option<i64>,
}

/// How often [`spend`] would let a post through now.
pub fn left(budget: Budget, row: Spent, now: i64) -> Left {
    let (tat, day, used) = row;
    let (posts, per) = (i64::from(budget.posts.max(1)), budget.per.as_millis() as i64);
    let count = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
    if per >= DAY {
        let days = per / DAY;
        let today = now.div_euclid(DAY * days);
        let used = if today == day { used } else { 0 };
        let more_at = (used > 0).then_some((today + 1) * DAY * days);
        return Left { posts: count(posts - used), at_once: count(posts), more_at };
    }
    let (each, burst) = pace(posts, per);
    let tat = arrived(tat, burst, now).max(now);
    let free = (now + burst - tat) / each;
    let more_at = (free < burst / each).then_some(tat - burst + (free + 1) * each);
    Left { posts: count(free), at_once: count(burst / each), more_at }
}

/// The ms between posts of a budget that is shorter than a day, and the burst that may go at once.
fn pace(posts: i64, per: i64) -> (i64, i64) {
    let each = (per / posts).max(1);
    (each, (posts / 4).max(1) * each)
}

/// Nothing would go out for as long as the clock went back, were that not seen.
fn arrived(tat: i64, burst: i64, now: i64) -> i64 {
    if tat > now + burst + SET_BACK { now } else { tat }
}

/// The row after one more post, or when the next may go.
fn after(budget: Budget, row: Spent, now: i64) -> Result<Spent, i64> {
    let (tat, day, used) = row;
    let (posts, per) = (i64::from(budget.posts.max(1)), budget.per.as_millis() as i64);
    if per >= DAY {
        let days = per / DAY;
        let today = now.div_euclid(DAY * days);
        let used = if today == day { used } else { 0 };
        return if used < posts {
            Ok((tat, today, used + 1))
        } else {
            Err((today + 1) * DAY * days)
        };
    }
    let (each, burst) = pace(posts, per);
    let arrives = arrived(tat, burst, now).max(now) + each;
    if arrives - burst > now { Err(arrives - burst) } else { Ok((arrives, day, used)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sent(budget: Budget, from: i64, to: i64) -> Vec<i64> {
        let (mut row, mut now, mut sent) = ((0, 0, 0), from, Vec::new());
        while now < to {
            match after(budget, row, now) {
                Ok(next) => {
                    row = next;
                    sent.push(now);
                }
                Err(at) => {
                    assert!(at > now, "the next time lies ahead");
                    now = at;
                }
            }
        }
        sent
    }

    #[test]
    fn a_minute_never_sees_more_than_a_quarter_above_its_budget() {
        let budget = Budget { posts: 20, per: Duration::from_secs(60) };
        let sent = sent(budget, 1_000_000, 1_000_000 + 600_000);
        for (i, at) in sent.iter().enumerate() {
            let within = sent[i..].iter().take_while(|t| **t < at + 60_000).count();
            assert!(within <= 25, "{within} in a minute");
        }
        assert!(sent.len() >= 200, "and what it allows is used: {}", sent.len());
    }

    /// What is told to be left is what goes, and more goes when it is told to.
    #[test]
    fn what_is_left_can_be_spent_and_no_more() {
        for (posts, per) in
            [(1, 1), (5, 5), (20, 60), (6, 600), (100, 900), (15, 86_400), (3, 172_800)]
        {
            let budget = Budget { posts, per: Duration::from_secs(per) };
            let (mut row, mut now) = ((0, 0, 0), 1_795_420_800_123);
            assert_eq!(left(budget, row, now).more_at, None);
            for step in 0..400 {
                let told = left(budget, row, now);
                match after(budget, row, now) {
                    Ok(next) => {
                        assert!(told.posts > 0, "{told:?}");
                        assert_eq!(left(budget, next, now).posts, told.posts - 1);
                        row = next;
                    }
                    Err(at) => {
                        assert_eq!((told.posts, told.more_at), (0, Some(at)));
                        assert_eq!(left(budget, row, at - 1).posts, 0);
                        now = at + step % 7;
                    }
                }
            }
        }
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let sent = sent(Budget { posts: 1, per: Duration::from_secs(1) }, 5_000, 10_000);
        assert_eq!(sent, [5_000, 6_000, 7_000, 8_000, 9_000]);
    }

    #[test]
    fn a_clock_set_back_starts_a_budget_anew() {
        let budget = Budget { posts: 300, per: Duration::from_secs(300) };
        let spent = after(budget, (0, 0, 0), 9_000_000).expect("the first one");
        let (tat, ..) = after(budget, spent, 9_000_000 - 3_600_000).expect("an hour before");
        assert_eq!(tat, 9_000_000 - 3_600_000 + 1_000);
        // Another node's clock is a little ahead: what it spent counts.
        let (tat, ..) = after(budget, spent, 9_000_000 - 60_000).expect("a part of the burst");
        assert_eq!(tat, 9_000_000 + 2_000);
    }

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let budget = Budget { posts: 2, per: Duration::from_secs(86_400) };
        let sent = sent(budget, 10 * DAY + 1_000, 12 * DAY);
        assert_eq!(sent, [10 * DAY + 1_000, 10 * DAY + 1_000, 11 * DAY, 11 * DAY]);
    }
}
