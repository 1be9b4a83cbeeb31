//! What holds lanes back: a lane's own pause and wait, pauses of many lanes, a network's circuit.
//!
//! Each is written onto the gates it covers when it changes, so that a claim need not ask; a sweep
//! repairs what was missed. Gates are locked in the order of their lanes.

use super::retime;
use crate::db::{Error, Row, Tx};
use crate::domain::job::Pool;
use crate::params;

/// A lane of a connection, before its first job.
#[derive(Debug, Clone)]
pub struct Lane<'a> {
    pub lane: &'a str,
    pub pool: Pool,
    pub width: i64,
    pub workspace_id: &'a str,
    pub network: &'a str,
    pub circuit: &'a str,
}

/// Makes a lane's gate, or says anew whose it is.
pub async fn open(tx: &Tx, lane: &Lane<'_>) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO gate (lane, pool, width, next_at, open_at, workspace_id, network, circuit) \
         VALUES ($1, $2, $3, 9000000000000, 0, $4, $5, $6) ON CONFLICT (lane) DO UPDATE SET \
         workspace_id = excluded.workspace_id, network = excluded.network, circuit = excluded.circuit",
        params![
            lane.lane,
            lane.pool.as_str(),
            lane.width,
            lane.workspace_id,
            lane.network,
            lane.circuit
        ],
    )
    .await?;
    tx.execute(
        "UPDATE gate SET circuit_until = coalesce((SELECT open_until FROM circuit WHERE circuit.name = gate.circuit), 0) \
         WHERE lane = $1",
        params![lane.lane],
    )
    .await?;
    reshut(tx, lane.lane).await?;
    retime(tx, lane.lane).await
}

/// Keeps a lane shut until `at`: the network asked for a pause.
pub async fn hold(tx: &Tx, lane: &str, at: i64) -> Result<(), Error> {
    tx.execute("UPDATE gate SET open_at = $1 WHERE lane = $2", params![at, lane]).await?;
    retime(tx, lane).await
}

/// Pauses a connection's lanes (`Some((now, why))`) or lets them go on.
pub async fn pause(tx: &Tx, lane: &str, paused: Option<(i64, &str)>) -> Result<(), Error> {
    let rows = lock(tx, Some(lane), None).await?;
    for row in &rows {
        let lane = row.text("lane")?;
        tx.execute(
            "UPDATE gate SET paused_at = $1, paused_why = $2, open_at = 0 WHERE lane = $3",
            params![paused.map(|p| p.0), paused.map(|p| p.1), &lane],
        )
        .await?;
        retime(tx, &lane).await?;
    }
    Ok(())
}

/// The gates of a connection's lane and its uploads, or of a circuit, locked in order.
async fn lock(tx: &Tx, lane: Option<&str>, circuit: Option<&str>) -> Result<Vec<Row>, Error> {
    if tx.is_postgres() {
        tx.rows(
            "SELECT lane FROM gate WHERE lane IN ($1, CAST($2 AS TEXT) || '/upload') OR circuit = $3 ORDER BY lane FOR UPDATE",
            params![lane, lane, circuit],
        )
        .await
    } else {
        tx.rows(
            "SELECT lane FROM gate WHERE lane IN ($1, CAST($2 AS TEXT) || '/upload') OR circuit = $3 ORDER BY lane",
            params![lane, lane, circuit],
        )
        .await
    }
}

/// Why the lane itself is paused, if it is.
pub async fn paused_why(tx: &Tx, lane: &str) -> Result<Option<String>, Error> {
    let row = tx
        .row("SELECT paused_why FROM gate WHERE lane = $1 AND paused_at IS NOT NULL", params![lane])
        .await?;
    row.map_or(Ok(None), |r| r.opt_text("paused_why"))
}

/// Writes onto one lane which pause covers it.
pub(super) async fn reshut(tx: &Tx, lane: &str) -> Result<(), Error> {
    tx.execute(
        "UPDATE gate SET shut_by = (SELECT shut_by FROM lane_pause WHERE lane_pause.lane = gate.lane) WHERE lane = $1",
        params![lane],
    )
    .await?;
    Ok(())
}

/// The same for every lane where it changed; how many there were.
pub async fn reshut_all(tx: &Tx) -> Result<u64, Error> {
    let rows = tx
        .rows(
            "SELECT gate.lane AS lane FROM gate JOIN lane_pause ON lane_pause.lane = gate.lane \
             WHERE coalesce(gate.shut_by, '') <> coalesce(lane_pause.shut_by, '') ORDER BY gate.lane",
            params![],
        )
        .await?;
    for row in &rows {
        let lane = row.text("lane")?;
        reshut(tx, &lane).await?;
        retime(tx, &lane).await?;
    }
    Ok(rows.len() as u64)
}

/// Keeps every lane of a circuit shut until `until`; 0 lets them go on.
pub async fn hold_circuit(tx: &Tx, circuit: &str, until: i64) -> Result<(), Error> {
    for row in &lock(tx, None, Some(circuit)).await? {
        let lane = row.text("lane")?;
        tx.execute("UPDATE gate SET circuit_until = $1 WHERE lane = $2", params![until, &lane])
            .await?;
        retime(tx, &lane).await?;
    }
    Ok(())
}

/// A lane whose circuit's wait is over: may it go and try? One at a time may; the others wait until
/// that one is back, or `until` when it does not come back.
pub(super) async fn admit(tx: &Tx, circuit: &str, now: i64, until: i64) -> Result<Probe, Error> {
    // A row that somebody holds is being decided upon right now.
    let row = if tx.is_postgres() {
        tx.row(
            "SELECT open_until, probe_until FROM circuit WHERE name = $1 FOR UPDATE SKIP LOCKED",
            params![circuit],
        )
        .await?
    } else {
        tx.row("SELECT open_until, probe_until FROM circuit WHERE name = $1", params![circuit])
            .await?
    };
    let Some(row) = row else { return Ok(Probe::Wait(now + 1_000)) };
    let Some(open_until) = row.opt_int("open_until")? else { return Ok(Probe::Closed) };
    match row.opt_int("probe_until")? {
        _ if open_until > now => Ok(Probe::Wait(open_until)),
        Some(busy) if busy > now => Ok(Probe::Wait(busy)),
        _ => {
            tx.execute(
                "UPDATE circuit SET probe_until = $1 WHERE name = $2",
                params![until, circuit],
            )
            .await?;
            Ok(Probe::Go)
        }
    }
}

/// What a lane behind a circuit may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// The circuit is closed by now.
    Closed,
    /// It is the probe.
    Go,
    /// Not before this time.
    Wait(i64),
}

/// Writes onto one lane until when its circuit keeps it waiting.
pub(super) async fn wait(tx: &Tx, lane: &str, until: i64) -> Result<(), Error> {
    tx.execute("UPDATE gate SET circuit_until = $1 WHERE lane = $2", params![until, lane]).await?;
    retime(tx, lane).await
}
