//! Posts at a steady rate, as a client writes them that means well: under an idempotency key, again
//! and again until it is told that the post stands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use carillon::clock::Clock;
use carillon::domain::when;
use carillon::ids;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::installation::{Account, Api};
use crate::judge::{HANDLE, NETWORKS, Told, text};

/// Of so many posts one is a picture; the others are words for four of five networks.
const ROUND: u64 = 7;
/// Deliveries of one round.
const OF_A_ROUND: u64 = 25;
/// A post that is not taken in this time is lost.
const PATIENCE: i64 = 60_000;

pub(super) struct Load {
    pub api: Api,
    pub accounts: Vec<Account>,
    pub picture: String,
    pub clock: Clock,
    /// Deliveries a second.
    pub rate: u64,
    pub told: Arc<Mutex<Vec<Told>>>,
}

impl Load {
    /// Writes posts for so long; returns when the last one is taken.
    pub(super) async fn run(self, time: Duration) -> Result<()> {
        let by_network = self.by_network();
        let each = Duration::from_micros(1_000_000 * OF_A_ROUND / ROUND / self.rate);
        let mut tick = tokio::time::interval(each);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut writing = JoinSet::new();
        let posts = time.as_micros() / each.as_micros();
        for n in 0..posts as u64 {
            tick.tick().await;
            while let Some(written) = writing.try_join_next() {
                written??;
            }
            let (targets, picture) = targets(&by_network, n);
            writing.spawn(write(
                self.api.clone(),
                self.draft(n, &targets, picture),
                self.clock.clone(),
            ));
            let told = Told { text: text(n), targets };
            self.told.lock().unwrap_or_else(|e| e.into_inner()).push(told);
        }
        while let Some(written) = writing.join_next().await {
            written??;
        }
        Ok(())
    }

    fn draft(&self, n: u64, targets: &[usize], picture: bool) -> serde_json::Value {
        let connections =
            targets.iter().map(|t| json!({ "connectionId": self.accounts[*t].connection }));
        // Half of them at once, half of them in a few seconds.
        let at = (n % 2 == 1).then(|| when::iso(self.clock.now() + 5_000 + n as i64 % 5 * 1_000));
        json!({
            "text": text(n),
            "media": if picture { vec![&self.picture] } else { vec![] },
            "scheduledAt": at,
            "timezone": "UTC",
            "allowCollision": true,
            "deliveries": connections.collect::<Vec<_>>(),
        })
    }

    /// The accounts of each network that takes words, and those of the one that needs pictures.
    fn by_network(&self) -> (Vec<Vec<usize>>, Vec<usize>) {
        let of = |network: &str| -> Vec<usize> {
            (0..self.accounts.len()).filter(|i| self.accounts[*i].network == network).collect()
        };
        let words = NETWORKS.iter().filter(|n| **n != HANDLE);
        (words.map(|n| of(n)).collect(), of(HANDLE))
    }
}

/// In which accounts the `n`-th post is to be seen, and whether it has a picture: each in turn.
fn targets((words, pictures): &(Vec<Vec<usize>>, Vec<usize>), n: u64) -> (Vec<usize>, bool) {
    let (round, place) = (n / ROUND, n % ROUND);
    if place == ROUND - 1 {
        return (vec![pictures[round as usize % pictures.len()]], true);
    }
    let one = (round * (ROUND - 1) + place) as usize;
    let others = words.iter().enumerate().filter(|(i, _)| *i != one % words.len());
    (others.map(|(_, accounts)| accounts[one % accounts.len()]).collect(), false)
}

/// Asks until it is taken.
async fn write(api: Api, draft: serde_json::Value, clock: Clock) -> Result<()> {
    let (key, end) = (ids::new(clock.now()), clock.mono() + PATIENCE);
    while api.create(&key, &draft).await?.is_none() {
        ensure!(clock.mono() < end, "a post is not taken for a minute: {draft}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_has_its_turn() {
        let words: Vec<Vec<usize>> = (0..5).map(|n| (n * 4..n * 4 + 4).collect()).collect();
        let by_network = (words, vec![20, 21]);
        let mut counted = [0; 22];
        for n in 0..ROUND * 20 {
            let (targets, picture) = targets(&by_network, n);
            assert_eq!((targets.len(), picture), if n % 7 == 6 { (1, true) } else { (4, false) });
            targets.iter().for_each(|t| counted[*t] += 1);
        }
        assert_eq!(counted.iter().sum::<u64>(), 20 * OF_A_ROUND);
        assert!(counted[..20].iter().all(|n| *n == 24), "{counted:?}");
        assert_eq!(counted[20..], [10, 10]);
    }
}
