//! What followers did to live deliveries, as their networks last told it.

use std::collections::{BTreeMap, HashMap};

use crate::db::{Error, Row, Tx};
use crate::{params, row};

/// The numbers of one delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The network's id of the post that was measured.
    pub remote_id: String,
    /// ms UTC
    pub at: i64,
    /// By the metric's word.
    pub values: BTreeMap<String, i64>,
}

/// Puts what was told now in the place of what was told before.
pub async fn replace(tx: &Tx, delivery: &str, told: &Told) -> Result<(), Error> {
    tx.execute("DELETE FROM numbers WHERE delivery_id = $1", params![delivery]).await?;
    let rows = told
        .values
        .iter()
        .map(|(metric, value)| row![delivery, metric, &told.remote_id, *value, told.at]);
    tx.execute_each(
        "INSERT INTO numbers (delivery_id, metric, remote_id, value, measured_at) \
         VALUES ($1, $2, $3, $4, $5)",
        &rows.collect::<Vec<_>>(),
    )
    .await?;
    Ok(())
}

/// The numbers of a delivery, if some were told.
pub async fn of(tx: &Tx, delivery: &str) -> Result<Option<Told>, Error> {
    let rows = tx.rows("SELECT * FROM numbers WHERE delivery_id = $1", params![delivery]).await?;
    Ok(gather(&rows)?.remove(delivery))
}

/// The numbers of a post's deliveries, by delivery.
pub async fn of_post(tx: &Tx, post: &str) -> Result<HashMap<String, Told>, Error> {
    let rows = tx
        .rows(
            "SELECT numbers.* FROM numbers JOIN delivery ON delivery.id = numbers.delivery_id \
             WHERE delivery.post_id = $1",
            params![post],
        )
        .await?;
    gather(&rows)
}

fn gather(rows: &[Row]) -> Result<HashMap<String, Told>, Error> {
    let mut all: HashMap<String, Told> = HashMap::new();
    for r in rows {
        let told = all.entry(r.text("delivery_id")?).or_default();
        (told.remote_id, told.at) = (r.text("remote_id")?, r.int("measured_at")?);
        told.values.insert(r.text("metric")?, r.int("value")?);
    }
    Ok(all)
}
