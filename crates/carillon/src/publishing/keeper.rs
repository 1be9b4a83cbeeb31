//! What a connector keeps while it works: handles, and renewed sessions; fenced by the claim.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use carillon_networks::{Class, Error, Keeper, Secret};
use serde_json::Value as Json;

use super::account::{self, NotKept};
use super::load::Work;
use super::outcome::Lost;
use crate::domain::job::Claim;
use crate::store::connections::Connection;
use crate::store::{deliveries, queue};
use crate::{App, bugs};

/// Keeps handles and renewed sessions for the connector, fenced by the claim.
pub(super) struct Durable<'a> {
    app: &'a App,
    claim: &'a Claim,
    delivery: &'a str,
    connection: &'a Connection,
    lost: Mutex<Option<Lost>>,
}

impl<'a> Durable<'a> {
    pub(super) fn new(app: &'a App, claim: &'a Claim, work: &'a Work) -> Self {
        Self {
            app,
            claim,
            delivery: &work.delivery.id,
            connection: &work.connection,
            lost: Mutex::new(None),
        }
    }

    /// Was a checkpoint refused because the claim or the database was lost?
    pub(super) fn still_ours(&self) -> Result<(), Lost> {
        match self.lost.lock().unwrap_or_else(|e| e.into_inner()).take() {
            Some(lost) => Err(lost),
            None => Ok(()),
        }
    }

    fn lost(&self, lost: Lost) -> Error {
        let e = Error::new(Class::Transient, format!("A handle could not be kept: {lost}."))
            .code("not_kept");
        *self.lost.lock().unwrap_or_else(|e| e.into_inner()) = Some(lost);
        e
    }
}

#[async_trait]
impl Keeper for Durable<'_> {
    async fn checkpoint(&self, name: &str, value: &Json) -> Result<(), Error> {
        let (claim, id) = (self.claim.clone(), self.delivery.to_owned());
        let (name, value) = (name.to_owned(), value.clone());
        let lease_until = self.app.clock.now() + self.app.config.queue.lease.as_millis() as i64;
        self.app
            .db
            .write(move |tx| async move {
                if !queue::extend(&tx, &claim, lease_until).await? {
                    return Err(Lost::Stale);
                }
                let mut kept = deliveries::load(&tx, &id).await?.ok_or(Lost::Stale)?.checkpoints;
                if bugs::on("handle not kept") {
                    return Ok(());
                }
                if value.is_null() {
                    kept.remove(&name);
                } else {
                    kept.insert(name, value);
                }
                deliveries::set_checkpoints(&tx, &id, &kept).await?;
                Ok(())
            })
            .await
            .map_err(|e| self.lost(e))
    }

    async fn renew(&self, secrets: &BTreeMap<String, Secret>) -> Result<(), Error> {
        account::keep(self.app, &self.connection.id, secrets).await.map_err(|e| match e {
            NotKept::Db(e) => self.lost(Lost::Db(e)),
            sealed => account::not_kept(&sealed),
        })
    }
}
