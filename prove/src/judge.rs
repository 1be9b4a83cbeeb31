//! What became of every post that was told to the product: what it says of it, and what followers
//! see.

use std::collections::HashMap;

use anyhow::{Context, Result};
use carillon::domain::when;
use carillon_networks::SendClass;
use serde_json::Value;

use crate::Counts;
use crate::installation::{Account, Installation};

pub(crate) const NETWORKS: [&str; 6] =
    ["facebook", "instagram", "bluesky", "mastodon", "wordpress", "telegram"];
/// The one that needs pictures, and time to process them.
pub(crate) const HANDLE: &str = "instagram";
/// How our posts begin, and how long they are.
const BEGIN: &str = "message number ";
const LENGTH: usize = BEGIN.len() + 7;

/// What the `n`-th post says: its number is what it is known by.
pub(crate) fn text(n: u64) -> String {
    format!("{BEGIN}{n:07}")
}

/// A post that the product has taken, and where it is to be seen.
pub(crate) struct Told {
    pub text: String,
    /// Places in the list of accounts.
    pub targets: Vec<usize>,
}

/// A delivery that was published.
pub(crate) struct Published {
    /// Its place in the list of accounts.
    pub account: usize,
    /// ms UTC
    pub due: i64,
    pub at: i64,
}

/// By account and text.
type Seen = HashMap<(String, String), u64>;

/// Counts into `counts`; what is wrong, in words, and what was published when.
pub(crate) async fn judge(
    house: &Installation,
    sandbox: &str,
    told: &[Told],
    counts: &mut Counts,
) -> Result<(Vec<String>, Vec<Published>)> {
    let mut kept = HashMap::new();
    for (text, d) in house.api.deliveries().await? {
        let connection = d["connectionId"].as_str().context("a connection")?.to_owned();
        kept.insert((connection, text), d);
    }
    let seen = visible(sandbox).await?;
    let (mut wrong, mut published) = (Vec::new(), Vec::new());
    for post in told {
        for target in &post.targets {
            let account = &house.accounts[*target];
            let d = kept.get(&(account.connection.clone(), post.text.clone()));
            let n = seen.get(&(key(account), post.text.clone())).copied().unwrap_or(0);
            let state = d.and_then(|d| d["state"].as_str()).unwrap_or("not there");
            match (state, n) {
                ("published", 1) => {}
                ("held", 0 | 1) if asks(account, d) => counts.held += 1,
                (_, 2..) => counts.doubled += 1,
                _ => counts.lost += 1,
            }
            let well =
                n == 1 && state == "published" || n < 2 && state == "held" && asks(account, d);
            if !well {
                let of = format!("`{}` at {}", post.text, key(account));
                wrong.push(format!("{of}: {n} visible, {state}, {}", d.unwrap_or(&Value::Null)));
            }
            if let Some((due, at)) = d.and_then(times) {
                published.push(Published { account: *target, due, at });
            }
        }
    }
    Ok((wrong, published))
}

/// Is it for a person to say whether it is there, as on a network that cannot be read?
fn asks(account: &Account, d: Option<&Value>) -> bool {
    let placement = d.and_then(|d| d["placement"].as_str()).unwrap_or_default();
    d.is_some_and(|d| d["question"] == "is_it_live")
        && carillon_networks::find(account.network)
            .and_then(|n| n.spec().placement(placement))
            .is_some_and(|p| p.send == SendClass::Blind)
}

/// When it was due and when it was published, ms UTC.
fn times(d: &Value) -> Option<(i64, i64)> {
    let at = |name: &str| when::parse(d[name].as_str()?, "UTC").ok();
    Some((at("scheduledAt")?, at("publishedAt")?))
}

/// How many posts of each text followers see, by account.
async fn visible(sandbox: &str) -> Result<Seen> {
    let mut seen = Seen::new();
    for network in NETWORKS {
        let ledger = reqwest::get(format!("{sandbox}/_ledger/{network}")).await?;
        let ledger: Value = ledger.json().await?;
        for post in ledger["posts"].as_array().context("a ledger")? {
            let text = post["text"].as_str().context("a text")?;
            let at = text.find(BEGIN).context("a text of ours")?;
            let text = text.get(at..at + LENGTH).context("a whole text")?.to_owned();
            let account = post["account"].as_str().context("an account")?;
            if post["deleted_at"].is_null() {
                *seen.entry((format!("{network}/{account}"), text)).or_insert(0) += 1;
            }
        }
    }
    Ok(seen)
}

fn key(account: &Account) -> String {
    format!("{}/{}", account.network, account.name)
}
