//! Everything one step of a delivery needs, read in one snapshot, with others whose turn it is.

use std::collections::BTreeMap;
use std::sync::Mutex;

use carillon_networks::spec::Placement;
use carillon_networks::{Error, Network};

use super::account;
use super::circuits::{self, Sign};
use crate::App;
use crate::app::Networks;
use crate::approval;
use crate::db::{self, Tx};
use crate::domain::policy::Policies;
use crate::store::accounts;
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery};
use crate::store::media::{self, Media};
use crate::store::posts::{self, Post};

/// Everything one step needs, read in one snapshot.
pub(super) struct Work {
    pub delivery: Delivery,
    /// Of a segment: what it follows, from the head on.
    pub before: Vec<Delivery>,
    pub post: Post,
    pub media: Vec<Media>,
    pub connection: Connection,
    pub network: &'static dyn Network,
    pub placement: &'static Placement,
    pub policies: Policies,
    /// Where its workspace asks for approvals: what it shows, as a hash, and whether that is approved.
    pub content: Option<(String, bool)>,
    /// What this step's calls say about the network.
    pub sign: Mutex<Option<Sign>>,
}

impl Work {
    /// Takes note of a call's answer on its way through, in people's words.
    pub(super) fn noted<T>(&self, base: &str, answer: Result<T, Error>) -> Result<T, Error> {
        let answer = answer.map_err(|e| account::in_words(e, self.network, base));
        *self.sign.lock().unwrap_or_else(|e| e.into_inner()) = Some(circuits::sign(&answer));
        answer
    }
}

/// The id of a delivery that is to be worked on.
#[derive(Clone)]
struct Wanted(String);

/// `None` when it is no longer there.
pub(super) async fn load(app: &App, delivery: &str) -> Result<Option<Work>, db::Error> {
    let networks = app.networks;
    let unit = move |tx: Tx, wanted: std::sync::Arc<[Wanted]>| async move {
        read(&tx, networks, wanted.iter().map(|w| w.0.as_str())).await
    };
    app.db.read_together(Wanted(delivery.to_owned()), unit).await
}

type Loaded = Result<Option<Work>, db::Error>;

async fn read(
    tx: &Tx,
    networks: Networks,
    wanted: impl Iterator<Item = &str>,
) -> Result<Vec<Loaded>, db::Error> {
    let found = deliveries::load_each(tx, wanted).await?;
    let here: Vec<&Delivery> = found.iter().flatten().collect();
    let posts = posts::load_each(tx, here.iter().map(|d| d.post_id.as_str())).await?;
    let connections =
        connections::load_each(tx, here.iter().map(|d| d.connection_id.as_str())).await?;
    let media = media::of_each(tx, here.iter().map(|d| d.post_id.as_str())).await?;
    let mut policies = BTreeMap::new();
    for d in &here {
        if !policies.contains_key(&d.workspace_id) {
            policies.insert(d.workspace_id.clone(), accounts::policies(tx, &d.workspace_id).await?);
        }
    }
    let mut beside = posts.into_iter().zip(connections).zip(media);
    let mut works = Vec::with_capacity(found.len());
    for delivery in found {
        let beside = if delivery.is_some() { beside.next() } else { None };
        let (Some(delivery), Some(((Some(post), Some(connection)), media))) = (delivery, beside)
        else {
            works.push(Ok(None));
            continue;
        };
        let Some((network, placement)) = place(networks, &delivery) else {
            let what = format!("delivery {}: no such network or placement", delivery.id);
            works.push(Err(db::Error::Corrupt(what)));
            continue;
        };
        let media = if delivery.parent_id.is_none() { media } else { Vec::new() };
        let policies = policies.get(&delivery.workspace_id).copied().unwrap_or_default();
        let content = match policies.last_stage() {
            None => None,
            Some(stage) => {
                let content = approval::content_of(tx, &post, &media, &delivery).await?;
                let given = approval::given(tx, stage, &delivery, &content).await?;
                Some((content, given))
            }
        };
        works.push(Ok(Some(Work {
            before: before(tx, &delivery).await?,
            media,
            policies,
            content,
            delivery,
            post,
            connection,
            network,
            placement,
            sign: Mutex::default(),
        })));
    }
    Ok(works)
}

fn place(networks: Networks, d: &Delivery) -> Option<(&'static dyn Network, &'static Placement)> {
    let network = crate::app::find(networks, &d.network)?;
    Some((network, network.spec().placement(&d.placement)?))
}

async fn before(tx: &Tx, d: &Delivery) -> Result<Vec<Delivery>, db::Error> {
    let mut before = Vec::new();
    let mut next = d.parent_id.clone();
    while let Some(id) = next {
        let Some(parent) = deliveries::load(tx, &id).await? else { break };
        next = parent.parent_id.clone();
        before.push(parent);
    }
    before.reverse();
    Ok(before)
}
