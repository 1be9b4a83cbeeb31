//! What became of every post that was told to the product: what it says of it, and what followers
//! see.

use std::collections::HashMap;

use anyhow::{Context, Result};
use carillon::domain::when;
use carillon_networks::SendClass;
use serde_json::Value;

use super::gauge::Late;
use super::load::Told;
use super::storm::Weather;
use super::{HANDLE, NETWORKS};
use crate::Counts;
use crate::installation::{Account, Installation};

/// How our posts begin, and how long they are.
const BEGIN: &str = "soaking message ";
const LENGTH: usize = BEGIN.len() + 7;

/// By account and text.
type Seen = HashMap<(String, String), u64>;

/// Counts into `counts`; what is wrong, in words, and how late each was that met no fault.
pub(super) async fn judge(
    house: &Installation,
    sandbox: &str,
    told: &[Told],
    weather: &Weather,
    begun: i64,
    counts: &mut Counts,
) -> Result<(Vec<String>, Vec<Late>)> {
    let mut kept = HashMap::new();
    for (text, d) in house.api.deliveries().await? {
        let connection = d["connectionId"].as_str().context("a connection")?.to_owned();
        kept.insert((connection, text), d);
    }
    let seen = visible(sandbox).await?;
    let (mut wrong, mut late) = (Vec::new(), Vec::new());
    for post in told {
        for account in post.targets.iter().map(|t| &house.accounts[*t]) {
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
            if let Some((due, published)) = d.and_then(times)
                && weather.calm(account.network, &account.name, due, published)
            {
                let picture = account.network == HANDLE;
                late.push(Late { at: due - begun, ms: published - due, picture });
            }
        }
    }
    Ok((wrong, late))
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
