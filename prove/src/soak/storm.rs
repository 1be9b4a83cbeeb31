//! The weather at the networks: faults of single accounts all the time, outages of a whole network
//! now and then. What is told afterwards is when and where it was calm.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use carillon::clock::Clock;
use serde_json::json;

use crate::installation::Account;
use crate::sim::rng::Rng;

/// A fault that nothing has met is taken back after this time.
const SWEPT_EVERY: i64 = 10_000;
/// What a fault leaves behind, looks and tries and a full lane, is over after this time.
const RECOVERY: i64 = 20_000;
/// Longest outage of a network.
const OUTAGE: u64 = 5_000;
/// What goes wrong: its name at the sandbox and its ms, from and to.
const TROUBLES: [(&str, i64, i64); 7] = [
    ("reset_after_accept", 0, 0),
    ("reset_before_accept", 0, 0),
    ("server_error", 0, 0),
    ("rate_limit", 1_000, 4_000),
    ("garbage", 0, 0),
    ("slow", 200, 900),
    // Longer than the product waits: the answer is lost, and what was asked may come all the same.
    ("slow", 2_500, 4_000),
];

/// What has gone wrong so far.
#[derive(Clone, Default)]
pub(super) struct Weather(Arc<Mutex<Vec<Storm>>>);

/// A time in which something may not be well, ms UTC.
struct Storm {
    from: i64,
    to: i64,
    /// `None`: everywhere.
    network: Option<&'static str>,
    /// `None`: all of the network.
    account: Option<String>,
}

impl Weather {
    /// Was it calm for this account all the time?
    pub(super) fn calm(&self, network: &str, account: &str, from: i64, to: i64) -> bool {
        let storms = self.0.lock().unwrap_or_else(|e| e.into_inner());
        !storms.iter().any(|s| {
            s.from <= to
                && from <= s.to
                && s.network.is_none_or(|n| n == network)
                && s.account.as_deref().is_none_or(|a| a == account)
        })
    }

    /// The server died in this time.
    pub(super) fn died(&self, from: i64, to: i64) {
        self.note(Storm { from, to: to + RECOVERY / 2, network: None, account: None });
    }

    pub(super) fn faults(&self) -> u64 {
        let storms = self.0.lock().unwrap_or_else(|e| e.into_inner());
        storms.iter().filter(|s| s.network.is_some()).count() as u64
    }

    fn note(&self, storm: Storm) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(storm);
    }
}

pub(super) struct Storms {
    pub sandbox: String,
    pub accounts: Vec<Account>,
    pub weather: Weather,
    pub clock: Clock,
    pub random: Rng,
    /// Mean time between two faults, in ms.
    pub every: i64,
    /// Where there are any.
    pub networks: Vec<&'static str>,
}

impl Storms {
    /// Until dropped.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut swept = self.clock.now();
        let mut outage = swept + self.random.between(8_000, 30_000);
        loop {
            tokio::time::sleep(
                Duration::from_millis(self.random.between(1, 2 * self.every) as u64),
            )
            .await;
            let now = self.clock.now();
            if now >= outage {
                self.outage().await?;
                swept = self.clock.now();
                outage = swept + self.random.between(20_000, 60_000);
            } else {
                if now - swept >= SWEPT_EVERY {
                    clear(&self.sandbox).await?;
                    swept = now;
                }
                self.fault(now).await?;
            }
        }
    }

    /// One account's next requests.
    async fn fault(&mut self, now: i64) -> Result<()> {
        let account = &self.accounts[self.random.below(self.accounts.len() as u64) as usize];
        let (network, name) = (account.network, account.name.clone());
        let (fault, least, most) = TROUBLES[self.random.below(TROUBLES.len() as u64) as usize];
        // Mostly where it hurts.
        let call = ["publish", "publish", "publish", "prepare", "read", "any"]
            [self.random.below(6) as usize];
        let body = json!({
            "network": network, "account": name, "call": call, "fault": fault,
            "times": self.random.between(1, 3), "ms": self.random.between(least, most),
        });
        let to = now + SWEPT_EVERY + OUTAGE as i64 + RECOVERY;
        self.weather.note(Storm { from: now, to, network: Some(network), account: Some(name) });
        add(&self.sandbox, &body).await
    }

    /// A whole network, for seconds.
    async fn outage(&mut self) -> Result<()> {
        let network = self.networks[self.random.below(self.networks.len() as u64) as usize];
        let (fault, ..) = TROUBLES[self.random.below(5) as usize];
        let from = self.clock.now();
        let body = json!({
            "network": network, "call": "any", "fault": fault, "times": 1_000_000, "ms": 1_000,
        });
        add(&self.sandbox, &body).await?;
        tokio::time::sleep(Duration::from_millis(1_000 + self.random.below(OUTAGE - 1_000))).await;
        clear(&self.sandbox).await?;
        let to = self.clock.now() + RECOVERY;
        self.weather.note(Storm { from, to, network: Some(network), account: None });
        Ok(())
    }
}

async fn add(sandbox: &str, body: &serde_json::Value) -> Result<()> {
    let added = reqwest::Client::new().post(format!("{sandbox}/_faults")).json(body).send().await?;
    ensure!(added.status().is_success(), "no fault: {}", added.text().await?);
    Ok(())
}

/// Takes back what nothing has met yet.
pub(super) async fn clear(sandbox: &str) -> Result<()> {
    let cleared = reqwest::Client::new().delete(format!("{sandbox}/_faults")).send().await?;
    ensure!(cleared.status().is_success(), "the faults stay: {}", cleared.text().await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calm_is_where_nothing_was_wrong_at_any_time_between() {
        let weather = Weather::default();
        let storm = |from, to, network, account: Option<&str>| Storm {
            from,
            to,
            network,
            account: account.map(str::to_owned),
        };
        weather.note(storm(100, 200, Some("mastodon"), Some("ann")));
        weather.note(storm(300, 400, Some("telegram"), None));
        weather.note(storm(500, 600, None, None));
        assert!(!weather.calm("mastodon", "ann", 50, 100));
        assert!(!weather.calm("mastodon", "ann", 150, 160));
        assert!(weather.calm("mastodon", "ben", 150, 160));
        assert!(weather.calm("mastodon", "ann", 201, 499));
        assert!(!weather.calm("telegram", "ben", 390, 410));
        assert!(!weather.calm("facebook", "ann", 450, 700));
        assert_eq!(weather.faults(), 2, "a death is counted elsewhere");
    }
}
