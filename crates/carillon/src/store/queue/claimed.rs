//! What the holder of a claim may do: keep it longer, or end it. Everything here names id, fence and
//! owner; a claim that was lost changes nothing.

use std::collections::BTreeSet;

use super::retime_each;
use crate::db::{Error, Tx, Value};
use crate::domain::job::Claim;
use crate::{bugs, params, row};

/// What becomes of a claimed job.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Done,
    /// A dead letter.
    Dead,
    /// Put back for this time; a counted try uses up its budget.
    At {
        run_at: i64,
        counted: bool,
    },
    /// Put back into another lane, due now: its next step belongs to another pool.
    Lane(String),
}

#[derive(Debug, Clone)]
pub struct Ending<'a> {
    pub claim: &'a Claim,
    pub end: End,
    pub error: Option<&'a str>,
}

/// Extends the lease; `false` when the claim was lost.
pub async fn extend(tx: &Tx, claim: &Claim, lease_until: i64) -> Result<bool, Error> {
    Ok(extend_each(tx, &[claim], lease_until).await? == [true])
}

/// Extends leases; `false` for each claim that was lost.
pub async fn extend_each(tx: &Tx, claims: &[&Claim], lease_until: i64) -> Result<Vec<bool>, Error> {
    let mut each = Vec::with_capacity(claims.len());
    for claim in claims {
        let (fence, owner) = held(tx, claim).await?;
        each.push(row![lease_until, &claim.id, fence, owner]);
    }
    change(
        tx,
        "UPDATE job SET lease_until = $1 WHERE id = $2 AND fence = $3 AND lease_owner = $4 AND state = 'leased'",
        claims.iter().copied(),
        each,
    )
    .await
}

/// Makes sure that claims are held until `enough` at least: a lease that ends before, or beyond what
/// is given now (the clock was set back), is set to `lease_until`, the others are only looked at.
/// When each ends, `None` for a claim that was lost.
pub async fn hold_each(
    tx: &Tx,
    claims: &[&Claim],
    enough: i64,
    lease_until: i64,
) -> Result<Vec<Option<i64>>, Error> {
    let lasts = |claim: &Claim| (enough..=lease_until).contains(&claim.lease_until);
    let (lasting, ending): (Vec<&Claim>, Vec<&Claim>) = claims.iter().partition(|c| lasts(c));
    let mut looks = Vec::with_capacity(lasting.len());
    for claim in &lasting {
        let (fence, owner) = held(tx, claim).await?;
        looks.push(row![&claim.id, fence, owner]);
    }
    let looked = tx
        .rows_each(
            "SELECT id FROM job WHERE id = $1 AND fence = $2 AND lease_owner = $3 AND state = 'leased'",
            &looks,
        )
        .await?;
    let mut looked = looked.iter().map(|rows| !rows.is_empty());
    let mut extended = extend_each(tx, &ending, lease_until).await?.into_iter();
    Ok(claims
        .iter()
        .map(|claim| {
            let (kept, until) = if lasts(claim) {
                (looked.next(), claim.lease_until)
            } else {
                (extended.next(), lease_until)
            };
            kept.unwrap_or(false).then_some(until)
        })
        .collect())
}

/// Ends a job; `state` is `done` or `dead`. `false` when the claim was lost.
pub async fn finish(
    tx: &Tx,
    claim: &Claim,
    state: &str,
    error: Option<&str>,
    now: i64,
) -> Result<bool, Error> {
    let end = if state == "dead" { End::Dead } else { End::Done };
    Ok(end_each(tx, &[Ending { claim, end, error }], now).await? == [true])
}

/// Puts a claimed job back for `run_at`; `false` when the claim was lost.
pub async fn put_back(
    tx: &Tx,
    claim: &Claim,
    run_at: i64,
    counted: bool,
    error: Option<&str>,
) -> Result<bool, Error> {
    let end = End::At { run_at, counted };
    Ok(end_each(tx, &[Ending { claim, end, error }], run_at).await? == [true])
}

/// Ends claims, and works out the lanes anew that they were in; `false` for each that was lost.
pub async fn end_each(tx: &Tx, endings: &[Ending<'_>], now: i64) -> Result<Vec<bool>, Error> {
    let mut each = Vec::with_capacity(endings.len());
    for Ending { claim, end, error } in endings {
        let (fence, owner) = held(tx, claim).await?;
        let lane = claim.lane.as_str();
        let over = matches!(end, End::Done | End::Dead);
        let (state, lane, run_at, counted) = match end {
            End::Done => ("done", lane, claim.run_at, false),
            End::Dead => ("dead", lane, claim.run_at, false),
            End::At { run_at, counted } => ("ready", lane, *run_at, *counted),
            End::Lane(other) => ("ready", other.as_str(), now, false),
        };
        each.push(row![
            state,
            lane,
            run_at,
            i64::from(counted),
            *error,
            over.then_some(now),
            over.then_some(owner.as_str()),
            &claim.id,
            fence,
            &owner
        ]);
    }
    let changed = change(
        tx,
        "UPDATE job SET state = $1, lane = $2, run_at = $3, tries = tries + $4, error = $5, finished_at = $6, \
         lease_owner = $7, lease_until = NULL WHERE id = $8 AND fence = $9 AND lease_owner = $10 AND state = 'leased'",
        endings.iter().map(|e| e.claim),
        each,
    )
    .await?;
    let mut lanes = BTreeSet::new();
    for (Ending { claim, end, .. }, _) in endings.iter().zip(&changed).filter(|(_, held)| **held) {
        match end {
            End::At { .. } if bugs::on("lane not retimed") => continue,
            End::Lane(other) => lanes.insert(other.as_str()),
            _ => false,
        };
        lanes.insert(&claim.lane);
    }
    retime_each(tx, &lanes).await?;
    Ok(changed)
}

/// Changes the jobs of these claims, in the order of their ids: a heartbeat and a group of endings
/// that each hold a job the other wants would be a deadlock. `false` for each that was lost.
async fn change(
    tx: &Tx,
    sql: &'static str,
    claims: impl Iterator<Item = &Claim>,
    each: Vec<Vec<Value>>,
) -> Result<Vec<bool>, Error> {
    let mut ordered: Vec<_> = claims.zip(each).enumerate().collect();
    ordered.sort_by(|(_, (a, _)), (_, (b, _))| a.id.cmp(&b.id));
    let (places, each): (Vec<usize>, Vec<_>) =
        ordered.into_iter().map(|(place, (_, row))| (place, row)).unzip();
    let mut held = vec![false; each.len()];
    for (place, changed) in places.into_iter().zip(tx.execute_each(sql, &each).await?) {
        held[place] = changed == 1;
    }
    Ok(held)
}

/// Fence and owner as the claim has them; for a deliberate bug, as whoever holds the job now.
async fn held(tx: &Tx, claim: &Claim) -> Result<(i64, String), Error> {
    if bugs::on("no fence") {
        let sql = "SELECT fence, lease_owner FROM job WHERE id = $1";
        if let Some(row) = tx.row(sql, params![&claim.id]).await? {
            return Ok((row.int("fence")?, row.opt_text("lease_owner")?.unwrap_or_default()));
        }
    }
    Ok((claim.fence, claim.owner.clone()))
}
